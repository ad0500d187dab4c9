//! Strings of JSON: their escapes are read, and those written that PostgreSQL writes.

use super::{Document, Kept};

impl Document<'_, '_> {
    /// Prints the string that begins here; whether it has escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Option<bool> {
        let start = self.at;
        self.at += 1;
        self.at += plain(&self.text[self.at..]);
        if *self.text.get(self.at)? != b'"' {
            return self.with_escapes(start).map(|()| true);
        }
        self.at += 1;
        append(&self.text[start..], self.at - start, &mut self.printer.out);
        Some(false)
    }

    /// Prints the string from `start` on, of which everything below `at` is plain.
    #[inline(never)]
    fn with_escapes(&mut self, mut start: usize) -> Option<()> {
        loop {
            match *self.text.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    self.printer.out.extend_from_slice(&self.text[start..self.at]);
                    return Some(());
                }
                b'\\' => {
                    self.printer.out.extend_from_slice(&self.text[start..self.at]);
                    self.escape()?;
                    start = self.at;
                }
                // A control character.
                _ => return None,
            }
            self.at += plain(&self.text[self.at..]);
        }
    }

    fn escape(&mut self) -> Option<()> {
        let escaped = *self.text.get(self.at + 1)?;
        self.at += 2;
        let character = match escaped {
            b'"' | b'\\' | b'/' => char::from(escaped),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            _ => return None,
        };
        print(character, &mut self.printer.out);
        Some(())
    }

    /// The character of `\uXXXX` or of a pair of them, from after the `u`; any, where only the text is kept.
    fn unicode(&mut self) -> Option<char> {
        let unit = self.hex()?;
        if self.kept == Kept::Text {
            return Some(char::REPLACEMENT_CHARACTER);
        }
        let code = match unit {
            // jsonb has no NUL.
            0 => return None,
            0xd800..=0xdbff => {
                self.text[self.at..].starts_with(b"\\u").then_some(())?;
                self.at += 2;
                let low = self.hex().filter(|low| (0xdc00..=0xdfff).contains(low))?;
                0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
            }
            _ => unit,
        };
        // A low surrogate alone is no character.
        char::from_u32(code)
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
    }
}

/// Appends the first bytes of a text. Most are few, and what is behind them is copied along and cut off again: a copy of
/// a fixed length is a few instructions, one of any length is a call.
#[inline]
pub(super) fn append(text: &[u8], length: usize, out: &mut Vec<u8>) {
    const FEW: usize = 32;
    match text.first_chunk::<FEW>() {
        Some(chunk) if length <= FEW => {
            let end = out.len() + length;
            out.extend_from_slice(chunk);
            out.truncate(end);
        }
        _ => out.extend_from_slice(&text[..length]),
    }
}

/// As PostgreSQL's `escape_json` writes it: short escapes where there are, `\u00xx` for other control characters below
/// the blank, everything else as it is.
fn print(character: char, out: &mut Vec<u8>) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        ..' ' => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let code = character as usize;
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', DIGITS[code >> 4], DIGITS[code & 15]]);
        }
        _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Undoes [`print()`] on the inside of a printed string.
pub(super) fn unescape(printed: &[u8], out: &mut Vec<u8>) {
    let mut rest = printed;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (byte, length) = match rest[at + 1..] {
            [b'b', ..] => (8, 2),
            [b'f', ..] => (12, 2),
            [b'n', ..] => (b'\n', 2),
            [b'r', ..] => (b'\r', 2),
            [b't', ..] => (b'\t', 2),
            [b'u', _, _, tens, ones, ..] => (nibble(tens) << 4 | nibble(ones), 6),
            [byte, ..] => (byte, 2),
            [] => unreachable!("a backslash that was printed escapes something"),
        };
        out.push(byte);
        rest = &rest[at + length..];
    }
    out.extend_from_slice(rest);
}

fn nibble(digit: u8) -> u8 {
    char::from(digit).to_digit(16).unwrap_or_default() as u8
}

/// How many bytes at the front are neither quote, backslash nor control character: eight at a time.
#[inline]
fn plain(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
    // Each byte's high bit tells whether it was zero; above the first such byte it may lie.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut at = 0;
    while let Some(chunk) = text[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = controls | zeros(word ^ QUOTES) | zeros(word ^ BACKSLASHES);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let stops = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
    at + text[at..].iter().position(stops).unwrap_or(text.len() - at)
}
