//! Uuids in each of six spellings, one per column.

use crate::model::cell::Cell;
use crate::model::conversion::{Fit, Misfit, Rewrite, UuidSpelling};
use crate::postgres::encode;

#[inline]
pub(super) fn write(cell: Cell<'_>, spelling: UuidSpelling, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    let Cell::Text(text) = cell else { return Err(Misfit::Class) };
    encode::uuid(parse(text, spelling).ok_or(Misfit::NotUuid)?, out);
    Ok(if spelling == UuidSpelling::Hyphens { Fit::Exact } else { Fit::Rewritten(Rewrite::UuidSpelling) })
}

/// The uuid, if the text is one in exactly this spelling. Without letters a text is both lower and upper case.
#[inline]
pub(super) fn parse(text: &[u8], spelling: UuidSpelling) -> Option<[u8; 16]> {
    match spelling {
        UuidSpelling::Hyphens => hyphens(text, &LOWER),
        UuidSpelling::HyphensUpper => hyphens(text, &UPPER),
        UuidSpelling::Hex => hex(text, &LOWER),
        UuidSpelling::HexUpper => hex(text, &UPPER),
        UuidSpelling::Braces => hyphens(braced(text)?, &LOWER),
        UuidSpelling::BracesUpper => hyphens(braced(text)?, &UPPER),
    }
}

type Digits = [u8; 256];
const LOWER: Digits = digits(b'a');
const UPPER: Digits = digits(b'A');

// The value of each hex digit, 0xff for every other byte.
const fn digits(ten: u8) -> Digits {
    let mut table = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        let digit = if value < 10 { b'0' + value } else { ten + value - 10 };
        table[digit as usize] = value;
        value += 1;
    }
    table
}

fn braced(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"{")?.strip_suffix(b"}")
}

#[inline]
fn hyphens(text: &[u8], digits: &Digits) -> Option<[u8; 16]> {
    const PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let text: &[u8; 36] = text.try_into().ok()?;
    let separated = [text[8], text[13], text[18], text[23]] == *b"----";
    if separated { decode(text, PAIRS, digits) } else { None }
}

#[inline]
fn hex(text: &[u8], digits: &Digits) -> Option<[u8; 16]> {
    const PAIRS: [usize; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];
    let text: &[u8; 32] = text.try_into().ok()?;
    decode(text, PAIRS, digits)
}

// Looks at all digits before it judges: no branch inside the loop.
#[inline]
fn decode<const N: usize>(text: &[u8; N], pairs: [usize; 16], digits: &Digits) -> Option<[u8; 16]> {
    let (mut bytes, mut seen) = ([0; 16], 0);
    for (byte, at) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (digits[usize::from(text[at])], digits[usize::from(text[at + 1])]);
        seen |= high | low;
        *byte = high << 4 | low & 0xf;
    }
    (seen <= 0xf).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversion::Conversion::Uuid;
    use crate::transform::tests::check;

    const LOWER_CASE: &str = "018f4e2a-9b7c-7def-8123-456789abcdef";
    const BYTES: [u8; 16] = 0x018f_4e2a_9b7c_7def_8123_4567_89ab_cdef_u128.to_be_bytes();

    #[test]
    fn each_spelling_takes_itself_and_no_other() {
        let upper = LOWER_CASE.to_uppercase();
        let spellings = [
            (UuidSpelling::Hyphens, LOWER_CASE.to_owned()),
            (UuidSpelling::HyphensUpper, upper.clone()),
            (UuidSpelling::Hex, LOWER_CASE.replace('-', "")),
            (UuidSpelling::HexUpper, upper.replace('-', "")),
            (UuidSpelling::Braces, format!("{{{LOWER_CASE}}}")),
            (UuidSpelling::BracesUpper, format!("{{{upper}}}")),
        ];
        for (spelling, _) in &spellings {
            for (other, text) in &spellings {
                assert_eq!(parse(text.as_bytes(), *spelling).is_some(), spelling == other, "{text}");
            }
        }
        for (spelling, text) in &spellings[1..] {
            check(&Uuid(*spelling), Cell::Text(text.as_bytes()), Ok((Fit::Rewritten(Rewrite::UuidSpelling), &BYTES)));
        }
        check(&Uuid(UuidSpelling::Hyphens), Cell::Text(LOWER_CASE.as_bytes()), Ok((Fit::Exact, &BYTES)));
    }

    #[test]
    fn near_uuids_are_none() {
        for text in [
            "",
            "018f4e2a-9b7c-7def-8123-456789abcde",
            "018f4e2a-9b7c-7def-8123-456789abcdef ",
            "018f4e2a-9b7c-7def-8123-456789abcdeg",
            "018f4e2a-9b7c-7def-8123-456789abcdeF",
            "018f4e2a9b7c-7def-8123--456789abcdef",
            "018f4e2a-9b7c-7def-8123_456789abcdef",
            "018f4e2a-9b7c-7def-8123-456789abcd\u{e9}",
        ] {
            check(&Uuid(UuidSpelling::Hyphens), Cell::Text(text.as_bytes()), Err(Misfit::NotUuid));
        }
        check(&Uuid(UuidSpelling::Hyphens), Cell::Blob(&BYTES), Err(Misfit::Class));
    }
}
