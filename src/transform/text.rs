//! Text and bytes as they are, and numbers written out.

use crate::model::cell::Cell;
use crate::model::conversion::{Fit, Misfit, Rewrite};
use crate::postgres::encode;
use memchr::memchr;

#[inline]
pub(super) fn write(cell: Cell<'_>, numbers: bool, chars_max: Option<u32>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    match cell {
        Cell::Text(text) if is_clean(text) => {
            if is_longer(text, chars_max) {
                return Err(Misfit::TooLong);
            }
            encode::text(text, out);
            Ok(Fit::Exact)
        }
        Cell::Text(text) => write_stand_in(text, chars_max, out),
        Cell::Integer(_) | Cell::Real(_) if numbers => with_number(cell, |text| {
            if is_longer(text, chars_max) {
                return Err(Misfit::TooLong);
            }
            encode::text(text, out);
            Ok(Fit::Rewritten(Rewrite::NumberAsText))
        }),
        _ => Err(Misfit::Class),
    }
}

#[inline]
pub(super) fn write_bytes(cell: Cell<'_>, all_classes: bool, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    match cell {
        Cell::Blob(bytes) => {
            encode::bytea(bytes, out);
            return Ok(Fit::Exact);
        }
        _ if !all_classes => return Err(Misfit::Class),
        Cell::Text(bytes) => encode::bytea(bytes, out),
        _ => with_number(cell, |text| encode::bytea(text, out)),
    }
    Ok(Fit::Rewritten(Rewrite::TextAsBytes))
}

/// Whether the server takes the bytes as text: UTF-8 without NUL
/// (<https://www.postgresql.org/docs/15/datatype-character.html>).
#[inline]
pub(super) fn is_clean(text: &[u8]) -> bool {
    is_plain(text) || (memchr(0, text).is_none() && simdutf8::basic::from_utf8(text).is_ok())
}

// ASCII without NUL, which most texts are: in one pass, a block of bytes in a few vector instructions.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    const BLOCK: usize = 64;
    // The high bit of a byte, and of the byte less one: set for all that is not ASCII, and for NUL.
    let odd = |bytes: &[u8]| bytes.iter().fold(0, |odd, byte| odd | byte | byte.wrapping_sub(1)) & 0x80 != 0;
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    !blocks.iter().any(|block| odd(block)) && !odd(rest)
}

/// Whether the bytes are UTF-8. Most texts are ASCII, which is told several times as fast.
#[inline]
pub(super) fn is_utf8(text: &[u8]) -> bool {
    text.is_ascii() || simdutf8::basic::from_utf8(text).is_ok()
}

// A stand-in can be three times as long as what it stands for, so that its size is known only afterwards.
#[cold]
fn write_stand_in(text: &[u8], chars_max: Option<u32>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    let start = out.len();
    encode::text_lossy(text, out);
    let written = &out[start + 4..];
    if written.len() > encode::FIELD_BYTES_MAX || is_longer(written, chars_max) {
        out.truncate(start);
        return Err(Misfit::TooLong);
    }
    Ok(Fit::StandIn)
}

// Counts characters only where the bytes do not decide. The text must be UTF-8.
#[inline]
fn is_longer(text: &[u8], chars_max: Option<u32>) -> bool {
    let Some(max) = chars_max else { return false };
    let max = max as usize;
    text.len() > max && text.iter().filter(|b| **b & 0xc0 != 0x80).count() > max
}

// Hands the text of a number to `then`. An INTEGER has only digits and a sign; a REAL always has a point, an
// exponent, or is `Infinity`, `-Infinity`, so that the two stay apart.
#[inline]
fn with_number<T>(number: Cell<'_>, then: impl FnOnce(&[u8]) -> T) -> T {
    match number {
        Cell::Integer(value) => {
            let mut buffer = [0; INTEGER_CHARS_MAX];
            then(integer_text(value, &mut buffer))
        }
        Cell::Real(value) if value.is_finite() => then(zmij::Buffer::new().format_finite(value).as_bytes()),
        Cell::Real(value) if value.is_nan() => then(b"NaN"),
        Cell::Real(value) => then(if value > 0.0 { b"Infinity" } else { b"-Infinity" }),
        Cell::Null => then(b""),
        Cell::Text(bytes) | Cell::Blob(bytes) => then(bytes),
    }
}

const INTEGER_CHARS_MAX: usize = 20;

// By hand, because `write!` into the buffer costs more than all the rest of the cell.
fn integer_text(value: i64, buffer: &mut [u8; INTEGER_CHARS_MAX]) -> &[u8] {
    let (mut rest, mut at) = (value.unsigned_abs(), INTEGER_CHARS_MAX);
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    &buffer[at..]
}

#[cfg(test)]
mod tests {
    use crate::model::cell::Cell;
    use crate::model::conversion::Conversion::{Bytea, Text};
    use crate::model::conversion::{Fit, Misfit, Rewrite};
    use crate::transform::tests::check;

    #[test]
    fn clean_text_is_kept_and_the_rest_gets_a_stand_in() {
        let any = Text { numbers: false, chars_max: None };
        check(&any, Cell::Text("é😀".as_bytes()), Ok((Fit::Exact, "é😀".as_bytes())));
        check(&any, Cell::Text(b""), Ok((Fit::Exact, b"")));
        check(&any, Cell::Text(b"a\0b"), Ok((Fit::StandIn, "a\u{fffd}b".as_bytes())));
        check(&any, Cell::Text(b"a\xffb"), Ok((Fit::StandIn, "a\u{fffd}b".as_bytes())));
        check(&any, Cell::Blob(b"a"), Err(Misfit::Class));
        check(&any, Cell::Integer(1), Err(Misfit::Class));
    }

    #[test]
    fn length_is_counted_in_characters_of_what_arrives() {
        let three = Text { numbers: true, chars_max: Some(3) };
        check(&three, Cell::Text("äöü".as_bytes()), Ok((Fit::Exact, "äöü".as_bytes())));
        check(&three, Cell::Text("äöüx".as_bytes()), Err(Misfit::TooLong));
        check(&three, Cell::Text(b"ab  "), Err(Misfit::TooLong));
        check(&three, Cell::Text(b"\0\0\0"), Ok((Fit::StandIn, "\u{fffd}\u{fffd}\u{fffd}".as_bytes())));
        check(&three, Cell::Text(b"\0\0\0\0"), Err(Misfit::TooLong));
        check(&three, Cell::Integer(1000), Err(Misfit::TooLong));
    }

    #[test]
    fn written_out_numbers_tell_their_class() {
        let numbers = Text { numbers: true, chars_max: None };
        let fit = Fit::Rewritten(Rewrite::NumberAsText);
        for value in [0, -1, 10, i64::MAX, i64::MIN] {
            check(&numbers, Cell::Integer(value), Ok((fit, value.to_string().as_bytes())));
        }
        for value in [1.0, -0.0, 0.1, 1e16, 1e100, 5e-324, f64::MAX] {
            let mut buffer = zmij::Buffer::new();
            let text = buffer.format(value);
            assert!(text.contains(['.', 'e']), "{text}");
            assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
            check(&numbers, Cell::Real(value), Ok((fit, text.as_bytes())));
        }
        check(&numbers, Cell::Real(1.0), Ok((fit, b"1.0")));
        check(&numbers, Cell::Real(f64::NEG_INFINITY), Ok((fit, b"-Infinity")));
    }

    #[test]
    fn bytes_take_other_classes_only_when_told_to() {
        let blobs = Bytea { all_classes: false };
        let all = Bytea { all_classes: true };
        let fit = Fit::Rewritten(Rewrite::TextAsBytes);
        check(&blobs, Cell::Blob(b"\0\xff"), Ok((Fit::Exact, b"\0\xff")));
        check(&blobs, Cell::Text(b"a"), Err(Misfit::Class));
        check(&all, Cell::Text(b"a\0\xff"), Ok((fit, b"a\0\xff")));
        check(&all, Cell::Integer(-7), Ok((fit, b"-7")));
        check(&all, Cell::Real(1.5), Ok((fit, b"1.5")));
    }
}
