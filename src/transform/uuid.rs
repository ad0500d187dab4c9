//! Uuids in each of six spellings: one per column, or any where the type is a rule.

use crate::model::cell::Cell;
use crate::model::conversion::{Fit, Misfit, Rewrite, UuidSpelling};
use crate::postgres::encode;

#[inline]
pub(super) fn write(cell: Cell<'_>, spelling: UuidSpelling, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    let Cell::Text(text) = cell else { return Err(Misfit::Class) };
    let canonical = match spelling {
        UuidSpelling::Any => hyphens(text, b'a'),
        spelling => parse(text, spelling),
    };
    let (uuid, is_exact) = match canonical {
        Some(uuid) => (uuid, matches!(spelling, UuidSpelling::Hyphens | UuidSpelling::Any)),
        None if spelling == UuidSpelling::Any => (parse(text, spelling).ok_or(Misfit::NotUuid)?, false),
        None => return Err(Misfit::NotUuid),
    };
    encode::uuid(uuid, out);
    Ok(if is_exact { Fit::Exact } else { Fit::Rewritten(Rewrite::UuidSpelling) })
}

/// The uuid, if the text is one in exactly this spelling. Without letters a text is both lower and upper case.
#[inline]
pub(super) fn parse(text: &[u8], spelling: UuidSpelling) -> Option<[u8; 16]> {
    match spelling {
        UuidSpelling::Hyphens => hyphens(text, b'a'),
        UuidSpelling::HyphensUpper => hyphens(text, b'A'),
        UuidSpelling::Hex => hex(text, b'a'),
        UuidSpelling::HexUpper => hex(text, b'A'),
        UuidSpelling::Braces => hyphens(braced(text)?, b'a'),
        UuidSpelling::BracesUpper => hyphens(braced(text)?, b'A'),
        UuidSpelling::Any => any(text),
    }
}

// The longest spelling has 38 characters, so that folding their case takes no allocation.
#[cold]
fn any(text: &[u8]) -> Option<[u8; 16]> {
    let mut folded = [0; 38];
    let folded = folded.get_mut(..text.len())?;
    folded.copy_from_slice(text);
    folded.make_ascii_lowercase();
    hyphens(folded, b'a').or_else(|| hex(folded, b'a')).or_else(|| hyphens(braced(folded)?, b'a'))
}

fn braced(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"{")?.strip_suffix(b"}")
}

#[inline]
fn hyphens(text: &[u8], ten: u8) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.try_into().ok()?;
    let separated = [text[8], text[13], text[18], text[23]] == *b"----";
    let mut digits = [0; 32];
    for (to, from) in [(0..8, 0..8), (8..12, 9..13), (12..16, 14..18), (16..20, 19..23), (20..32, 24..36)] {
        digits[to].copy_from_slice(&text[from]);
    }
    if separated { hex(&digits, ten) } else { None }
}

// Eight digits at a time, and judged only after the last: a digit is right if its value, written out again, is it.
#[inline]
fn hex(text: &[u8], ten: u8) -> Option<[u8; 16]> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let text: &[u8; 32] = text.try_into().ok()?;
    let above_nine = u64::from(ten - 10 - b'0');
    let (mut bytes, mut wrong) = ([0; 16], 0);
    for (eight, four) in text.as_chunks::<8>().0.iter().zip(bytes.as_chunks_mut::<4>().0) {
        let word = u64::from_le_bytes(*eight);
        // Letters have the bit 0x40, and stand nine beyond their low half.
        let values = (word & (ONES * 0xf)) + (word >> 6 & ONES) * 9;
        let letters = ((values + ONES * 6) >> 4) & ONES;
        wrong |= (values + ONES * u64::from(b'0') + letters * above_nine) ^ word | values & (ONES * 0xf0);
        let pairs = (values << 4 | values >> 8) & 0x00ff_00ff_00ff_00ff;
        let pairs = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
        *four = ((pairs | pairs >> 16) as u32).to_le_bytes();
    }
    (wrong == 0).then_some(bytes)
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
    fn under_a_stated_type_each_spelling_is_a_uuid_and_only_the_canonical_one_is_exact() {
        let upper = LOWER_CASE.to_uppercase();
        let any = Uuid(UuidSpelling::Any);
        check(&any, Cell::Text(LOWER_CASE.as_bytes()), Ok((Fit::Exact, &BYTES)));
        let mixed = format!("{}{}", &upper[..20], &LOWER_CASE[20..]);
        for text in [upper.clone(), LOWER_CASE.replace('-', ""), format!("{{{upper}}}"), mixed] {
            check(&any, Cell::Text(text.as_bytes()), Ok((Fit::Rewritten(Rewrite::UuidSpelling), &BYTES)));
        }
        for text in [format!("{{{LOWER_CASE}"), format!("{{{LOWER_CASE}}} "), "agent-7".to_owned(), String::new()] {
            check(&any, Cell::Text(text.as_bytes()), Err(Misfit::NotUuid));
        }
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
