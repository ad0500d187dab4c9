//! Decimals by their value: which digits they have, and where the point stands.

use crate::model::bounds::{NUMERIC_FRACTION_DIGITS_MAX, NUMERIC_INTEGER_DIGITS_MAX};
use crate::model::cell::Cell;
use crate::verify::form::Number;
use std::io::Write as _;

/// The value of the cell; its digits may stand in `scratch`.
#[inline]
pub(super) fn read<'a>(cell: Cell<'a>, text: bool, scratch: &'a mut Vec<u8>) -> Option<Number<'a>> {
    match cell {
        Cell::Integer(n) => {
            scratch.clear();
            write!(scratch, "{}", n.unsigned_abs()).ok()?;
            Some(whole(n < 0, scratch))
        }
        Cell::Real(x) => real(x, scratch),
        Cell::Text(bytes) if text => plain(bytes, scratch),
        _ => None,
    }
}

/// The value, if it has no more digits than `numeric(precision, scale)` takes, or any numeric.
#[inline]
pub(super) fn within(value: Number<'_>, limit: Option<(u16, u16)>) -> Option<Number<'_>> {
    let Number::Finite { digits, exponent, .. } = value else { return None };
    let (before_max, after_max) = match limit {
        Some((precision, scale)) => (i64::from(precision) - i64::from(scale), i64::from(scale)),
        None => (NUMERIC_INTEGER_DIGITS_MAX as i64, NUMERIC_FRACTION_DIGITS_MAX as i64),
    };
    let (before, after) = (i64::from(exponent), digits.len() as i64 - i64::from(exponent));
    (digits.is_empty() || before <= before_max && after <= after_max).then_some(value)
}

/// The shortest digits that read back as the same double, as the standard library finds them.
fn real(x: f64, scratch: &mut Vec<u8>) -> Option<Number<'_>> {
    if !x.is_finite() {
        return None;
    }
    scratch.clear();
    // `d.ddde±x`
    write!(scratch, "{:e}", x.abs()).ok()?;
    let e = memchr::memchr(b'e', scratch)?;
    let power: i32 = std::str::from_utf8(&scratch[e + 1..]).ok()?.parse().ok()?;
    scratch.truncate(e);
    if scratch.len() > 1 {
        scratch.remove(1);
    }
    Some(number(x < 0.0, scratch, power + 1))
}

/// `[+-]ddd[.ddd]`: digits before the point, after it, or on both sides.
fn plain<'a>(text: &'a [u8], scratch: &'a mut Vec<u8>) -> Option<Number<'a>> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let point = memchr::memchr(b'.', unsigned).unwrap_or(unsigned.len());
    let (before, after) = (&unsigned[..point], unsigned.get(point + 1..).unwrap_or_default());
    let is_decimal = before.len() + after.len() > 0 && before.iter().chain(after).all(u8::is_ascii_digit);
    if !is_decimal {
        return None;
    }
    let before = &before[leading_zeros(before)..];
    if before.is_empty() {
        let zeros = leading_zeros(after);
        return Some(number(negative, &after[zeros..], -i32::try_from(zeros).ok()?));
    }
    if after.is_empty() {
        return Some(whole(negative, before));
    }
    scratch.clear();
    scratch.extend_from_slice(before);
    scratch.extend_from_slice(after);
    Some(number(negative, scratch, i32::try_from(before.len()).ok()?))
}

/// An integer's digits without leading zeros.
fn whole(negative: bool, digits: &[u8]) -> Number<'_> {
    let digits = &digits[leading_zeros(digits)..];
    number(negative, digits, digits.len() as i32)
}

/// `0.` and these digits, of which the first is not zero, times ten to the `exponent`.
fn number(negative: bool, digits: &[u8], exponent: i32) -> Number<'_> {
    let end = digits.iter().rposition(|d| *d != b'0').map_or(0, |last| last + 1);
    if end == 0 {
        return Number::Finite { negative: false, digits: b"", exponent: 0 };
    }
    Number::Finite { negative, digits: &digits[..end], exponent }
}

fn leading_zeros(digits: &[u8]) -> usize {
    digits.iter().position(|d| *d != b'0').unwrap_or(digits.len())
}
