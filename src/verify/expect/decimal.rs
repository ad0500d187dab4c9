//! Decimals by their value: which digits they have, and where the point stands.

use crate::model::bounds::{NUMERIC_FRACTION_DIGITS_MAX, NUMERIC_INTEGER_DIGITS_MAX};
use crate::model::cell::Cell;
use crate::verify::form::Number;
use std::io::Write as _;

/// The value of the cell, if it has no more digits than `numeric(precision, scale)` takes, or any numeric. Its digits
/// may stand in `scratch`.
#[inline]
pub(super) fn read<'a>(
    cell: Cell<'a>,
    text: bool,
    limit: Option<(u16, u16)>,
    scratch: &'a mut Vec<u8>,
) -> Option<Number<'a>> {
    let (before_max, after_max) = match limit {
        Some((precision, scale)) => (i64::from(precision) - i64::from(scale), i64::from(scale)),
        None => (NUMERIC_INTEGER_DIGITS_MAX as i64, NUMERIC_FRACTION_DIGITS_MAX as i64),
    };
    let Decimal { value, written_after } = match cell {
        Cell::Integer(n) => integer(n, scratch)?,
        Cell::Real(x) => real(x, scratch)?,
        Cell::Text(bytes) if text => plain(bytes, scratch)?,
        _ => return None,
    };
    let Number::Finite { digits, exponent, .. } = value else { return None };
    let is_within = digits.is_empty() || i64::from(exponent) <= before_max;
    (is_within && written_after as i64 <= after_max).then_some(value)
}

/// A decimal, and how many digits are written after its point: a text says with zeros there how fine it is, and
/// `numeric(precision, scale)` would not keep them.
struct Decimal<'a> {
    value: Number<'a>,
    written_after: usize,
}

fn integer(n: i64, scratch: &mut Vec<u8>) -> Option<Decimal<'_>> {
    scratch.clear();
    write!(scratch, "{}", n.unsigned_abs()).ok()?;
    let power = scratch.len() as i64;
    Some(Decimal { value: number(n < 0, scratch, power)?, written_after: 0 })
}

/// The shortest digits that read back as the same double.
fn real(x: f64, scratch: &mut Vec<u8>) -> Option<Decimal<'_>> {
    if !x.is_finite() {
        return None;
    }
    // `ddd.ddd`, or `d.ddde±x`
    let mut buffer = ryu::Buffer::new();
    let written = buffer.format_finite(x.abs());
    let (mantissa, power) = match written.split_once('e') {
        Some((mantissa, power)) => (mantissa, power.parse().ok()?),
        None => (written, 0),
    };
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    scratch.clear();
    scratch.extend_from_slice(before.as_bytes());
    scratch.extend_from_slice(after.as_bytes());
    let value = number(x < 0.0, scratch, before.len() as i64 + power)?;
    let Number::Finite { digits, exponent, .. } = value else { return None };
    let written_after = (digits.len() as i64 - i64::from(exponent)).max(0) as usize;
    Some(Decimal { value, written_after })
}

/// `[+-]ddd[.ddd]`: digits, and where there is a point, on both sides of it.
fn plain<'a>(text: &'a [u8], scratch: &'a mut Vec<u8>) -> Option<Decimal<'a>> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (before, after) = match memchr::memchr(b'.', unsigned) {
        Some(point) => (digits(&unsigned[..point])?, digits(&unsigned[point + 1..])?),
        None => (digits(unsigned)?, &b""[..]),
    };
    scratch.clear();
    scratch.extend_from_slice(before);
    scratch.extend_from_slice(after);
    let value = number(negative, scratch, before.len() as i64)?;
    Some(Decimal { value, written_after: after.len() })
}

fn digits(text: &[u8]) -> Option<&[u8]> {
    (!text.is_empty() && text.iter().all(u8::is_ascii_digit)).then_some(text)
}

/// `0.` and these digits, times ten to the `power`.
fn number(negative: bool, digits: &[u8], power: i64) -> Option<Number<'_>> {
    let Some(first) = digits.iter().position(|d| *d != b'0') else {
        return Some(Number::Finite { negative: false, digits: b"", exponent: 0 });
    };
    let last = digits.iter().rposition(|d| *d != b'0')?;
    let exponent = i32::try_from(power - first as i64).ok()?;
    Some(Number::Finite { negative, digits: &digits[first..=last], exponent })
}
