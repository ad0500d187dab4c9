//! Decimal numbers: plain digits around a point, never rounded.

use crate::model::bounds::{NUMERIC_FRACTION_DIGITS_MAX, NUMERIC_INTEGER_DIGITS_MAX};
use crate::model::cell::Cell;
use crate::model::conversion::{Fit, Misfit, Rewrite};
use crate::postgres::encode;

/// The room of a `numeric`: its own, or that of `numeric(precision, scale)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    // Negative where the scale is larger than the precision: numeric(2,4) holds 0.0099.
    integer_digits_max: isize,
    fraction_digits_max: usize,
    // numeric(p,s) prints every value with s decimals.
    pads: bool,
}

impl Limit {
    pub(super) fn new(limit: Option<(u16, u16)>) -> Self {
        limit.map_or(
            Self {
                integer_digits_max: NUMERIC_INTEGER_DIGITS_MAX as isize,
                fraction_digits_max: NUMERIC_FRACTION_DIGITS_MAX,
                pads: false,
            },
            |(precision, scale)| Self {
                integer_digits_max: precision as isize - scale as isize,
                fraction_digits_max: usize::from(scale),
                pads: true,
            },
        )
    }
}

#[inline]
pub(super) fn write(cell: Cell<'_>, limit: Limit, text: bool, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    match cell {
        Cell::Integer(value) => {
            let digits = value.unsigned_abs().checked_ilog10().map_or(0, |log| log as isize + 1);
            if digits > limit.integer_digits_max && digits > 0 {
                return Err(Misfit::TooManyDigits);
            }
            encode::numeric_integer(value, out);
            Ok(Fit::Exact)
        }
        Cell::Real(value) if value.is_finite() => {
            write_real(value, limit, out)?;
            let is_negative_zero = value.to_bits() == (-0.0_f64).to_bits();
            Ok(Fit::Rewritten(if is_negative_zero { Rewrite::NegativeZero } else { Rewrite::RealAsDecimal }))
        }
        Cell::Real(_) => Err(Misfit::Infinite),
        Cell::Text(digits) if text => {
            let decimal = Decimal::parse(digits).ok_or(Misfit::NotNumber)?;
            decimal.write(limit, out)?;
            let is_negative_zero = decimal.negative && decimal.is_zero();
            Ok(match (is_negative_zero, decimal.is_printed_as(digits, limit)) {
                (true, _) => Fit::Rewritten(Rewrite::NegativeZero),
                (false, true) => Fit::Exact,
                (false, false) => Fit::Rewritten(Rewrite::DecimalSpelling),
            })
        }
        _ => Err(Misfit::Class),
    }
}

/// A number as it is written: `[+-]?digits[.digits]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal<'a> {
    negative: bool,
    // Without leading zeros.
    integer: &'a [u8],
    fraction: &'a [u8],
}

impl<'a> Decimal<'a> {
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let end = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        let (integer, rest) = digits.split_at(end);
        let fraction = match rest {
            [] => rest,
            [b'.', fraction @ ..] if !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit) => fraction,
            _ => return None,
        };
        (!integer.is_empty()).then(|| Self { negative, integer: without_leading_zeros(integer), fraction })
    }

    /// The integer, and whether it is printed as `text`, from which this was read.
    pub(super) fn whole(&self, text: &[u8]) -> Result<(i64, bool), Misfit> {
        if !self.fraction.is_empty() {
            return Err(Misfit::NotNumber);
        }
        // Towards its own sign, so that the least integer needs no room that there is not.
        let digit = |value: i64, digit: &u8| {
            let digit = i64::from(digit - b'0');
            value.checked_mul(10)?.checked_add(if self.negative { -digit } else { digit })
        };
        let value = self.integer.iter().try_fold(0, digit).ok_or(Misfit::OutOfRange)?;
        Ok((value, self.is_printed_as(text, Limit::new(None))))
    }

    pub(super) fn fits(&self, limit: Limit) -> bool {
        let leading_zeros = || self.fraction.iter().take_while(|b| **b == b'0').count() as isize;
        let integer_digits = if self.integer.is_empty() { -leading_zeros() } else { self.integer.len() as isize };
        self.fraction.len() <= limit.fraction_digits_max
            && (integer_digits <= limit.integer_digits_max || self.is_zero())
    }

    // Whether numeric's own output is `text` again: no plus, no leading zeros, and as many decimals as
    // numeric(p,s) pads to.
    fn is_printed_as(&self, text: &[u8], limit: Limit) -> bool {
        let sign = usize::from(self.negative);
        let point = usize::from(!self.fraction.is_empty());
        let shortest = sign + self.integer.len().max(1) + point + self.fraction.len();
        let is_negative_zero = self.negative && self.is_zero();
        text.len() == shortest && !is_negative_zero && (!limit.pads || self.fraction.len() == limit.fraction_digits_max)
    }

    fn is_zero(&self) -> bool {
        self.integer.is_empty() && self.fraction.iter().all(|b| *b == b'0')
    }

    fn write(&self, limit: Limit, out: &mut Vec<u8>) -> Result<(), Misfit> {
        if !self.fits(limit) {
            return Err(Misfit::TooManyDigits);
        }
        encode::numeric(self.negative, self.integer, self.fraction, out);
        Ok(())
    }
}

// The smallest double has 324 + 17 decimals, the largest 309 digits.
const EXPANDED_DIGITS_MAX: usize = 352;
const SHORTEST_DIGITS_MAX: usize = 32;

fn write_real(value: f64, limit: Limit, out: &mut Vec<u8>) -> Result<(), Misfit> {
    let mut buffer = zmij::Buffer::new();
    let (mut digits, mut count, mut point) = ([b'0'; SHORTEST_DIGITS_MAX], 0, None);
    let text = buffer.format_finite(value.abs()).as_bytes();
    let (mantissa, exponent) = text.iter().position(|b| *b == b'e').map_or((text, &b""[..]), |at| {
        let (mantissa, exponent) = text.split_at(at);
        (mantissa, &exponent[1..])
    });
    for byte in mantissa {
        if *byte == b'.' {
            point = Some(count);
        } else {
            digits[count] = *byte;
            count += 1;
        }
    }
    let point = point.unwrap_or(count) as isize + exponent_value(exponent);
    let digits = &digits[..count];
    let significant = without_leading_zeros(digits);
    let point = point - (digits.len() - significant.len()) as isize;
    let zeros = significant.iter().rev().take_while(|b| **b == b'0').count();
    let significant = &significant[..significant.len() - zeros];
    write_significant(value < 0.0, significant, point, limit, out)
}

// The number 0.DIGITS × 10^point.
fn write_significant(
    negative: bool,
    digits: &[u8],
    point: isize,
    limit: Limit,
    out: &mut Vec<u8>,
) -> Result<(), Misfit> {
    let count = digits.len() as isize;
    if digits.is_empty() {
        return Decimal { negative, integer: b"", fraction: b"" }.write(limit, out);
    }
    if (1..count).contains(&point) {
        let (integer, fraction) = digits.split_at(point as usize);
        return Decimal { negative, integer, fraction }.write(limit, out);
    }
    let mut expanded = [b'0'; EXPANDED_DIGITS_MAX];
    if point >= count {
        expanded[..digits.len()].copy_from_slice(digits);
        return Decimal { negative, integer: &expanded[..point as usize], fraction: b"" }.write(limit, out);
    }
    let zeros = point.unsigned_abs();
    expanded[zeros..zeros + digits.len()].copy_from_slice(digits);
    Decimal { negative, integer: b"", fraction: &expanded[..zeros + digits.len()] }.write(limit, out)
}

fn exponent_value(text: &[u8]) -> isize {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let value = digits.iter().fold(0, |value, b| value * 10 + isize::from(b.wrapping_sub(b'0')));
    if negative { -value } else { value }
}

fn without_leading_zeros(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|b| **b == b'0').count()..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversion::Conversion::Numeric;
    use crate::postgres::encode::numeric;
    use crate::transform::tests::check;

    // The payload that the encoder makes of a plain decimal.
    fn payload(text: &str) -> Vec<u8> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut out = Vec::new();
        numeric(negative, integer.as_bytes(), fraction.as_bytes(), &mut out);
        out.split_off(4)
    }

    #[test]
    fn text_is_taken_digit_by_digit() {
        let any = Numeric { limit: None, text: true };
        for text in ["0", "1.10", "-12345.678900", "0.000000001", "123456789012345678901234567890.0000000001"] {
            check(&any, Cell::Text(text.as_bytes()), Ok((Fit::Exact, &payload(text))));
        }
        let respelled = Fit::Rewritten(Rewrite::DecimalSpelling);
        check(&any, Cell::Text(b"+007.5"), Ok((respelled, &payload("7.5"))));
        check(&any, Cell::Text(b"-0.00"), Ok((Fit::Rewritten(Rewrite::NegativeZero), &payload("0.00"))));
        for text in
            ["", "-", "+", ".", "1.", ".5", "1e5", " 1", "1 ", "1.2.3", "--1", "NaN", "Infinity", "0x10", "1_000", "١"]
        {
            check(&any, Cell::Text(text.as_bytes()), Err(Misfit::NotNumber));
        }
        check(&Numeric { limit: None, text: false }, Cell::Text(b"1"), Err(Misfit::Class));
    }

    #[test]
    fn reals_become_the_shortest_decimal_that_reads_back() {
        let any = Numeric { limit: None, text: false };
        let fit = Fit::Rewritten(Rewrite::RealAsDecimal);
        for value in [0.0, 1.0, 1.5, -0.1, 100.0, 1e15, 1e16, 123_456.789, 1e100, 1e-7, 5e-324, f64::MAX, 0.3] {
            // The standard library writes the same shortest digits without an exponent.
            check(&any, Cell::Real(value), Ok((fit, &payload(&format!("{value}")))));
        }
        check(&any, Cell::Real(-0.0), Ok((Fit::Rewritten(Rewrite::NegativeZero), &payload("0"))));
        check(&any, Cell::Real(f64::INFINITY), Err(Misfit::Infinite));
    }

    #[test]
    fn a_limit_is_never_met_by_rounding() {
        let money = Numeric { limit: Some((5, 2)), text: true };
        check(&money, Cell::Text(b"999.99"), Ok((Fit::Exact, &payload("999.99"))));
        check(&money, Cell::Integer(-999), Ok((Fit::Exact, &payload("-999"))));
        for text in ["1000", "999.990", "0.001"] {
            check(&money, Cell::Text(text.as_bytes()), Err(Misfit::TooManyDigits));
        }
        check(&money, Cell::Integer(1000), Err(Misfit::TooManyDigits));
        check(&money, Cell::Real(0.125), Err(Misfit::TooManyDigits));
        let tiny = Numeric { limit: Some((2, 4)), text: true };
        check(&tiny, Cell::Text(b"0.0099"), Ok((Fit::Exact, &payload("0.0099"))));
        check(&tiny, Cell::Text(b"0.0100"), Err(Misfit::TooManyDigits));
        check(&tiny, Cell::Integer(0), Ok((Fit::Exact, &payload("0"))));
        check(&tiny, Cell::Integer(1), Err(Misfit::TooManyDigits));
    }

    #[test]
    fn numerics_own_limits_hold_without_a_stated_one() {
        let any = Numeric { limit: None, text: true };
        let check_len = |integer: usize, fraction: usize, fits: bool| {
            let text = format!("{}.{}", "9".repeat(integer), "9".repeat(fraction));
            let decimal = Decimal::parse(text.as_bytes()).expect("a number");
            assert_eq!(decimal.fits(Limit::new(None)), fits);
        };
        check_len(131_072, 16_383, true);
        check_len(131_073, 1, false);
        check_len(1, 16_384, false);
        let zeros = "0".repeat(200_000);
        let respelled = Fit::Rewritten(Rewrite::DecimalSpelling);
        check(&any, Cell::Text(zeros.as_bytes()), Ok((respelled, &payload("0"))));
    }

    #[test]
    fn a_number_that_prints_otherwise_is_told_apart() {
        for (text, same) in
            [("0", true), ("-1.50", true), ("0.5", true), ("007", false), ("+1", false), ("-0.0", false), ("00", false)]
        {
            let decimal = Decimal::parse(text.as_bytes()).expect("a number");
            assert_eq!(decimal.is_printed_as(text.as_bytes(), Limit::new(None)), same, "{text}");
        }
    }
}
