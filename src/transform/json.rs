//! JSON as PostgreSQL reads it: one pass over the bytes, without recursion, that also finds what `jsonb` refuses
//! and which objects hold a key twice.
//!
//! The grammar is RFC 8259's, as `src/common/jsonapi.c` of PostgreSQL 15 reads it. What `jsonb` takes of it
//! stands on <https://www.postgresql.org/docs/15/datatype-json.html> and in `jsonb_util.c`. Where the server's
//! limit depends on its memory or settings, this one is narrower: what is taken here, the server takes too.

use super::keys::Keys;
use super::skeleton::Skeletons;
use super::text::is_utf8;
use crate::model::bounds::{JSON_DEPTH_MAX, NUMERIC_FRACTION_DIGITS_MAX, NUMERIC_INTEGER_DIGITS_MAX};
use crate::model::cell::Cell;
use crate::model::conversion::{Fit, Misfit, Rewrite};
use crate::postgres::encode;

/// What is kept from document to document of a column.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    keys: Keys,
    skeletons: Skeletons,
}

impl Memory {
    // Reads a text to its end; `keys` then know whether it holds one twice.
    #[inline]
    fn read(&mut self, text: &[u8]) -> Result<Found, Misfit> {
        let Self { keys, skeletons } = self;
        keys.clear();
        if !is_utf8(text) {
            return Err(Misfit::NotJson);
        }
        if let Some(found) = skeletons.read(text, keys) {
            return Ok(found);
        }
        keys.clear();
        let found = read_utf8(text, keys)?;
        if found.is_jsonb && text.trim_ascii_start().starts_with(b"{") && !keys.has_duplicates() {
            skeletons.meet(text);
        }
        Ok(found)
    }
}

pub(super) fn write_jsonb(
    cell: Cell<'_>,
    scalars: bool,
    memory: &mut Memory,
    out: &mut Vec<u8>,
) -> Result<Fit, Misfit> {
    let Cell::Text(text) = cell else { return Err(Misfit::Class) };
    let found = memory.read(text)?;
    if found.is_scalar && !scalars {
        return Err(Misfit::JsonScalar);
    }
    if !found.is_jsonb {
        return Err(Misfit::JsonNotJsonb);
    }
    encode::jsonb(text, out);
    Ok(Fit::Rewritten(if memory.keys.has_duplicates() { Rewrite::JsonDuplicateKeys } else { Rewrite::JsonNormalised }))
}

pub(super) fn write_json(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    let Cell::Text(text) = cell else { return Err(Misfit::Class) };
    read(text, &mut NoKeys)?;
    encode::json(text, out);
    Ok(Fit::Exact)
}

/// What a JSON text holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// The whole text is one string, number, `true`, `false` or `null`.
    pub(super) is_scalar: bool,
    /// `jsonb` takes it.
    pub(super) is_jsonb: bool,
}

/// Reads a text to its end. [`Misfit::NotJson`] if it is none; [`Misfit::JsonNotJsonb`] where it nests too
/// deep to be read on.
pub(super) fn read(text: &[u8], keys: &mut impl Watch) -> Result<Found, Misfit> {
    // UTF-8 once for all: inside strings the reader then looks only for quotes, backslashes and control bytes.
    if !is_utf8(text) {
        return Err(Misfit::NotJson);
    }
    read_utf8(text, keys)
}

fn read_utf8(text: &[u8], keys: &mut impl Watch) -> Result<Found, Misfit> {
    let mut reader = Reader::new(text);
    let is_scalar = !matches!(reader.skip_blanks(), Some(b'{' | b'['));
    reader.value(0, keys)?;
    if reader.skip_blanks().is_some() {
        return Err(Misfit::NotJson);
    }
    Ok(Found { is_scalar, is_jsonb: reader.is_jsonb })
}

/// Who is told of objects and their keys.
pub(super) trait Watch {
    /// An object begins.
    fn open(&mut self);
    /// A key stands between `start` and `end`, its quotes not included.
    fn key(&mut self, text: &[u8], start: usize, end: usize, has_escapes: bool);
    /// The innermost object ends.
    fn close(&mut self, text: &[u8]);
}

/// Watches nothing.
pub(super) struct NoKeys;

impl Watch for NoKeys {
    fn open(&mut self) {}
    fn key(&mut self, _: &[u8], _: usize, _: usize, _: bool) {}
    fn close(&mut self, _: &[u8]) {}
}

// jsonb counts sizes in 28 bits (`JENTRY_OFFLENMASK`), and the server gathers an object's pairs and an array's
// elements in one allocation below 1 GB that doubles (2^23 pairs, 2^24 elements). A text up to this size meets
// none of it: `[1,1,…]` grows most, from 2 bytes to 12 for an element.
pub(super) const JSONB_TEXT_SURE: usize = 32 << 20;
pub(super) const JSONB_SIZE_MAX: usize = 0x0fff_ffff;
const JSONB_PAIRS_MAX: usize = 1 << 23;
// A header, an entry, the alignment and a numeric's own head: the most that a value adds to its text.
const JSONB_VALUE_OVERHEAD: usize = 20;

fn fits_jsonb(text: &[u8]) -> bool {
    if text.len() <= JSONB_TEXT_SURE {
        return true;
    }
    // Those inside strings are counted too: a text of this size may be refused by mistake, never taken by one.
    let structural = text.iter().filter(|b| matches!(b, b',' | b':' | b'[' | b'{')).count();
    structural < JSONB_PAIRS_MAX && text.len() + structural * JSONB_VALUE_OVERHEAD <= JSONB_SIZE_MAX
}

// The open containers, a bit for each: whether it is an object.
#[derive(Default)]
struct Containers {
    is_object: [u64; JSON_DEPTH_MAX / 64],
    depth: usize,
}

impl Containers {
    fn push(&mut self, is_object: bool) -> Result<(), Misfit> {
        if self.depth == JSON_DEPTH_MAX {
            return Err(Misfit::JsonNotJsonb);
        }
        let (word, bit) = (self.depth / 64, self.depth % 64);
        self.is_object[word] = self.is_object[word] & !(1 << bit) | u64::from(is_object) << bit;
        self.depth += 1;
        Ok(())
    }

    // The innermost one above a depth.
    fn above(&self, depth: usize) -> Option<Container> {
        if self.depth == depth {
            return None;
        }
        let last = self.depth - 1;
        let is_object = self.is_object[last / 64] >> (last % 64) & 1 == 1;
        Some(if is_object { Container::Object } else { Container::Array })
    }
}

enum Container {
    Array,
    Object,
}

/// Reads a text that is UTF-8.
pub(super) struct Reader<'a> {
    text: &'a [u8],
    pub(super) at: usize,
    pub(super) is_jsonb: bool,
    containers: Containers,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, is_jsonb: fits_jsonb(text), containers: Containers::default() }
    }
}

impl Reader<'_> {
    // Goes on behind these bytes, if they are what comes.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(bytes).then(|| self.at += bytes.len())
    }

    // Reads a value that so many objects are around. One loop with one place for each thing to read: what is called from
    // one place is inlined, and the position stays in a register.
    pub(super) fn value(&mut self, depth: usize, keys: &mut impl Watch) -> Result<(), Misfit> {
        self.containers.depth = depth;
        let mut is_member = false;
        'values: loop {
            if is_member {
                self.key(keys)?;
            }
            // A scalar, an empty container, or the beginning of another.
            match self.skip_blanks().ok_or(Misfit::NotJson)? {
                b'"' => {
                    self.string()?;
                }
                b'-' | b'0'..=b'9' => self.number()?,
                b'{' => {
                    self.at += 1;
                    self.containers.push(true)?;
                    keys.open();
                    if self.skip_blanks() != Some(b'}') {
                        is_member = true;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    self.containers.push(false)?;
                    if self.skip_blanks() != Some(b']') {
                        is_member = false;
                        continue;
                    }
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => return Err(Misfit::NotJson),
            }
            // A value has ended. A closing bracket ends the container around it, which is a value too.
            loop {
                let Some(container) = self.containers.above(depth) else { return Ok(()) };
                let next = self.skip_blanks();
                self.at += 1;
                match (next, container) {
                    (Some(b','), container) => {
                        is_member = matches!(container, Container::Object);
                        continue 'values;
                    }
                    (Some(b']'), Container::Array) => {}
                    (Some(b'}'), Container::Object) => keys.close(self.text),
                    _ => return Err(Misfit::NotJson),
                }
                self.containers.depth -= 1;
            }
        }
    }

    #[inline]
    pub(super) fn key(&mut self, keys: &mut impl Watch) -> Result<(), Misfit> {
        if self.skip_blanks() != Some(b'"') {
            return Err(Misfit::NotJson);
        }
        let start = self.at + 1;
        let has_escapes = self.string()?;
        keys.key(self.text, start, self.at - 1, has_escapes);
        if self.skip_blanks() != Some(b':') {
            return Err(Misfit::NotJson);
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    pub(super) fn skip_blanks(&mut self) -> Option<u8> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other,
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Misfit> {
        if !self.text[self.at..].starts_with(word) {
            return Err(Misfit::NotJson);
        }
        self.at += word.len();
        Ok(())
    }

    // Reads a string, both quotes included; returns whether it has escapes. Those without are read in place.
    #[inline]
    fn string(&mut self) -> Result<bool, Misfit> {
        self.at += 1;
        self.at += plain_bytes(&self.text[self.at..]);
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(false);
        }
        self.escapes().map(|()| true)
    }

    // Reads on from the first escape to behind the closing quote.
    #[inline(never)]
    fn escapes(&mut self) -> Result<(), Misfit> {
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(Misfit::NotJson),
            }
            self.at += plain_bytes(&self.text[self.at..]);
        }
    }

    // `json` takes any four digits after \u; `jsonb` must make a character of them.
    fn escape(&mut self) -> Result<(), Misfit> {
        let (escape, length) = Escape::at(&self.text[self.at..]).ok_or(Misfit::NotJson)?;
        self.at += length;
        self.is_jsonb &= !matches!(escape, Escape::Nul | Escape::LoneSurrogate);
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<(), Misfit> {
        self.at += usize::from(self.peek() == Some(b'-'));
        let start = self.at;
        let integer = match self.peek() {
            Some(b'0') => {
                self.at += 1;
                1
            }
            _ => self.digits()?,
        };
        let mut fraction = 0;
        if self.peek() == Some(b'.') {
            self.at += 1;
            fraction = self.digits()?;
        }
        let digits = start..self.at;
        let mut exponent = 0;
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            let sign = self.peek().filter(|b| matches!(b, b'+' | b'-'));
            self.at += usize::from(sign.is_some());
            let start = self.at;
            self.digits()?;
            exponent = small_integer(&self.text[start..self.at]);
            if sign == Some(b'-') {
                exponent = -exponent;
            }
        }
        self.is_jsonb &= fits_numeric(&self.text[digits], integer, fraction, exponent);
        Ok(())
    }

    // Skips digits, at least one, and returns how many.
    #[inline]
    fn digits(&mut self) -> Result<usize, Misfit> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(Misfit::NotJson) } else { Ok(self.at - start) }
    }
}

// The exponent that numeric refuses whatever it is an exponent of: half of the largest `int` (numeric.c).
const EXPONENT_BEYOND: i64 = 0x3fff_ffff;

fn small_integer(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |value, b| (value * 10 + i64::from(b - b'0')).min(EXPONENT_BEYOND))
}

// Digits behind the point count as written; before it only from the first that is not zero: `0.000001e131077` is the
// largest power of ten that there is room for. A zero has none.
#[inline]
fn fits_numeric(digits: &[u8], integer: usize, fraction: usize, exponent: i64) -> bool {
    let (integer, fraction) = (integer as i64 + exponent, fraction as i64 - exponent);
    let fits_behind = fraction <= NUMERIC_FRACTION_DIGITS_MAX as i64 && exponent.abs() < EXPONENT_BEYOND;
    let fits_before = || integer - leading_zeros(digits) <= NUMERIC_INTEGER_DIGITS_MAX as i64;
    fits_behind && (integer <= NUMERIC_INTEGER_DIGITS_MAX as i64 || fits_before())
}

// The zeros in front of the first other digit, on either side of the point; of a zero, more than any number has digits.
fn leading_zeros(digits: &[u8]) -> i64 {
    let before = digits.iter().take_while(|b| matches!(b, b'0' | b'.'));
    let zeros = before.clone().filter(|b| **b == b'0').count();
    if before.count() == digits.len() { i64::MAX / 2 } else { zeros as i64 }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

// How many bytes stand before the first quote, backslash or control byte: eight at a time, because most strings are
// too short for a search that has to be set up first.
#[inline]
fn plain_bytes(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = text[at..].first_chunk::<8>() {
        let found = special_bytes(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + text[at..].iter().take_while(|b| !matches!(b, b'"' | b'\\' | 0..0x20)).count()
}

// The high bit of each byte that is a quote, a backslash or below 0x20. Subtracting borrows from the byte above, so
// that only the lowest bit found is sure: the one that is used.
#[inline]
const fn special_bytes(word: u64) -> u64 {
    const fn below(word: u64, end: u64) -> u64 {
        word.wrapping_sub(ONES * end) & !word
    }
    let quote = below(word ^ (ONES * b'"' as u64), 1);
    let backslash = below(word ^ (ONES * b'\\' as u64), 1);
    (quote | backslash | below(word, 0x20)) & HIGHS
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    Char(char),
    Nul,
    LoneSurrogate,
}

impl Escape {
    // The escape that `text` begins with, and its length: a pair of surrogates is one.
    pub(super) fn at(text: &[u8]) -> Option<(Self, usize)> {
        let simple = |c| Some((Self::Char(c), 2));
        match text.get(1)? {
            b'"' => simple('"'),
            b'\\' => simple('\\'),
            b'/' => simple('/'),
            b'b' => simple('\u{8}'),
            b'f' => simple('\u{c}'),
            b'n' => simple('\n'),
            b'r' => simple('\r'),
            b't' => simple('\t'),
            b'u' => Self::unicode(text),
            _ => None,
        }
    }

    fn unicode(text: &[u8]) -> Option<(Self, usize)> {
        let first = hex4(text.get(2..6)?)?;
        if first == 0 {
            return Some((Self::Nul, 6));
        }
        if let Some(c) = char::from_u32(first) {
            return Some((Self::Char(c), 6));
        }
        let second = text.get(6..12).filter(|t| t.starts_with(b"\\u")).and_then(|t| hex4(&t[2..]));
        match second {
            Some(low @ 0xdc00..=0xdfff) if first < 0xdc00 => {
                let c = char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00))?;
                Some((Self::Char(c), 12))
            }
            _ => Some((Self::LoneSurrogate, 6)),
        }
    }
}

fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, b| Some(value << 4 | char::from(*b).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversion::Conversion::{Json, Jsonb};
    use crate::transform::tests::check;

    const ANY: crate::model::conversion::Conversion = Jsonb { scalars: true };

    #[track_caller]
    fn takes(text: &str, rewrite: Rewrite) {
        let payload = [b"\x01", text.as_bytes()].concat();
        check(&ANY, Cell::Text(text.as_bytes()), Ok((Fit::Rewritten(rewrite), &payload)));
        check(&Json, Cell::Text(text.as_bytes()), Ok((Fit::Exact, text.as_bytes())));
    }

    #[test]
    fn json_is_taken_with_its_blanks_and_escapes() {
        for text in [
            "{}",
            "[]",
            " [ 1 , 2.50 , -0 , 1e5 , 1E-5 , 0.0 ]\r\n\t",
            r#"{"a":{"b":[true,false,null,""]},"c":"\"\\\/\b\f\n\r\té"}"#,
            r#"["\ud83d\ude00","😀","\uFFFF"]"#,
            "\"a string longer than eight bytes, é\"",
            "0",
            "null",
            "[[],{},[{}]]",
            "[1e131071, 1e-16383]",
            "[0.000001e131077, 0e200000, 0.00e1073741822, 0e-16383, 100e-16383]",
        ] {
            takes(text, Rewrite::JsonNormalised);
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[",
            "]",
            "}",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "[1 2]",
            "01",
            "-",
            "+1",
            "1.",
            ".5",
            "1e",
            "1e+",
            "0x1",
            "NaN",
            "Infinity",
            "nul",
            "nulll",
            "True",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12G4\"",
            "\"\t\"",
            "\"\0\"",
            "[1]]",
            "{}{}",
            "{\"a\":1]",
            "[1}",
            "\u{feff}{}",
            "\u{a0}{}",
            "[\"\\u+123\"]",
            "1 2",
            "\"a\" :",
            "{\"a\":1 \"b\":2}",
            "/**/{}",
        ] {
            check(&ANY, Cell::Text(text.as_bytes()), Err(Misfit::NotJson));
            check(&Json, Cell::Text(text.as_bytes()), Err(Misfit::NotJson));
        }
        check(&ANY, Cell::Text(b"[\"\xff\"]"), Err(Misfit::NotJson));
        check(&ANY, Cell::Text(b"[\"\xed\xa0\x80\"]"), Err(Misfit::NotJson));
        check(&ANY, Cell::Blob(b"{}"), Err(Misfit::Class));
    }

    #[test]
    fn what_jsonb_cannot_hold_is_json_still() {
        for text in [
            r#"["\u0000"]"#,
            r#"{"\u0000":1}"#,
            r#"["\ud83d"]"#,
            r#"["\ude00\ud83d"]"#,
            r#"["\ude00\ude00"]"#,
            r#"["\ud83dx"]"#,
            r#"["\ud83d\n"]"#,
            r#"["\ud83d\ud83d\ude00"]"#,
            "[1e131072]",
            "[1e-16384]",
            "[0.000001e131078]",
            "[10e131071]",
            "[0e1073741823]",
            "[0e-16384]",
            "[1.0e-16383]",
            "[1e99999999999999999999]",
            "[1e-99999999999999999999]",
        ] {
            check(&ANY, Cell::Text(text.as_bytes()), Err(Misfit::JsonNotJsonb));
            check(&Json, Cell::Text(text.as_bytes()), Ok((Fit::Exact, text.as_bytes())));
        }
        check(&ANY, Cell::Text(br#"["\u0000","#), Err(Misfit::NotJson));
    }

    #[test]
    fn depth_has_a_bound() {
        let nested = |depth: usize| "[{\"a\":".repeat(depth / 2) + "1" + &"}]".repeat(depth / 2);
        takes(&nested(512), Rewrite::JsonNormalised);
        check(&ANY, Cell::Text(nested(514).as_bytes()), Err(Misfit::JsonNotJsonb));
        check(&ANY, Cell::Text("[".repeat(10_000_000).as_bytes()), Err(Misfit::JsonNotJsonb));
    }

    #[test]
    fn scalars_are_taken_only_when_told_to() {
        let containers = Jsonb { scalars: false };
        for text in ["1", " \"a\"", "null", r#""\u0000""#] {
            check(&containers, Cell::Text(text.as_bytes()), Err(Misfit::JsonScalar));
        }
        check(&containers, Cell::Text(b"word"), Err(Misfit::NotJson));
    }

    #[test]
    fn strings_are_scanned_to_the_right_byte_wherever_it_stands() {
        for special in [b'"', b'\\', 0, 0x1f] {
            for at in 0..20 {
                for filler in [b'a', b' ', b'!', 0x7f, 0xc3, 0xa2, 0x80, b'#', b'['] {
                    let mut text = vec![filler; 24];
                    text[at] = special;
                    assert_eq!(plain_bytes(&text), at, "{special} {filler}");
                }
            }
        }
    }
}
