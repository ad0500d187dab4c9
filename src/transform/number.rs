//! Numbers into integers and floats of fixed width: exactly, or not at all.

use super::decimal::Decimal;
use crate::model::cell::Cell;
use crate::model::conversion::{Fit, Misfit, Rewrite};
use crate::postgres::encode;

#[inline]
pub(super) fn write_int2(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    encode::int2(narrowed(cell)?, out);
    Ok(Fit::Exact)
}

#[inline]
pub(super) fn write_int4(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    encode::int4(narrowed(cell)?, out);
    Ok(Fit::Exact)
}

#[inline]
pub(super) fn write_int8(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    encode::int8(narrowed(cell)?, out);
    Ok(Fit::Exact)
}

/// Integers in whatever class they are stored. A whole REAL is written as the decimal that it is; a TEXT is the same
/// value, and its spelling too where it is the one that integers are printed in.
pub(super) fn write_whole(cell: Cell<'_>, bytes: u8, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    let (value, fit) = match cell {
        Cell::Integer(value) => (value, Fit::Exact),
        Cell::Real(value) if value.is_infinite() => return Err(Misfit::Infinite),
        Cell::Real(value) if value.fract() != 0.0 => return Err(Misfit::Inexact),
        Cell::Real(value) => {
            let is_negative_zero = value.to_bits() == (-0.0_f64).to_bits();
            // Doubles below 2^63 are exact in 64 bits; 2^63 itself is beyond them, and `as` would hide that.
            if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
                return Err(Misfit::OutOfRange);
            }
            let rewrite = if is_negative_zero { Rewrite::NegativeZero } else { Rewrite::RealAsDecimal };
            (value as i64, Fit::Rewritten(rewrite))
        }
        Cell::Text(text) => {
            let (value, is_printed_so) = Decimal::parse(text).ok_or(Misfit::NotNumber)?.whole(text)?;
            (value, if is_printed_so { Fit::Exact } else { Fit::Rewritten(Rewrite::DecimalSpelling) })
        }
        _ => return Err(Misfit::Class),
    };
    match bytes {
        2 => encode::int2(narrowed(Cell::Integer(value))?, out),
        4 => encode::int4(narrowed(Cell::Integer(value))?, out),
        _ => encode::int8(value, out),
    }
    Ok(fit)
}

#[inline]
pub(super) fn write_float8(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    let value = match cell {
        Cell::Real(value) => value,
        Cell::Integer(value) => double(value)?,
        _ => return Err(Misfit::Class),
    };
    encode::float8(value, out);
    Ok(Fit::Exact)
}

#[inline]
pub(super) fn write_float4(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    let value = match cell {
        Cell::Real(value) => value,
        Cell::Integer(value) => double(value)?,
        _ => return Err(Misfit::Class),
    };
    let single = value as f32;
    // Bits, not values: 0.0 is not −0.0, and a double that becomes infinite here is not the same.
    if f64::from(single).to_bits() != value.to_bits() {
        return Err(Misfit::Inexact);
    }
    encode::float4(single, out);
    Ok(Fit::Exact)
}

#[inline]
fn narrowed<T: TryFrom<i64>>(cell: Cell<'_>) -> Result<T, Misfit> {
    let Cell::Integer(value) = cell else { return Err(Misfit::Class) };
    T::try_from(value).map_err(|_| Misfit::OutOfRange)
}

// Through i128, because `as i64` would turn 2^63 back into i64::MAX and hide that the two differ.
#[inline]
fn double(value: i64) -> Result<f64, Misfit> {
    let double = value as f64;
    if double as i128 == i128::from(value) { Ok(double) } else { Err(Misfit::Inexact) }
}

#[cfg(test)]
mod tests {
    use crate::model::cell::Cell;
    use crate::model::conversion::Conversion::{Float4, Float8, Int, Whole};
    use crate::model::conversion::{Fit, Misfit, Rewrite};
    use crate::transform::tests::check;

    #[test]
    fn whole_numbers_are_taken_from_every_class_that_holds_them() {
        let (eight, two) = (Whole { bytes: 8 }, Whole { bytes: 2 });
        let rewritten = |rewrite| Fit::Rewritten(rewrite);
        check(&eight, Cell::Integer(i64::MIN), Ok((Fit::Exact, &i64::MIN.to_be_bytes())));
        check(&eight, Cell::Text(b"-12"), Ok((Fit::Exact, &(-12_i64).to_be_bytes())));
        check(&eight, Cell::Text(b"+12"), Ok((rewritten(Rewrite::DecimalSpelling), &12_i64.to_be_bytes())));
        check(&eight, Cell::Text(b"007"), Ok((rewritten(Rewrite::DecimalSpelling), &7_i64.to_be_bytes())));
        check(&eight, Cell::Text(b"-0"), Ok((rewritten(Rewrite::DecimalSpelling), &[0; 8])));
        check(&eight, Cell::Text(b"9223372036854775807"), Ok((Fit::Exact, &i64::MAX.to_be_bytes())));
        check(&eight, Cell::Text(b"-9223372036854775808"), Ok((Fit::Exact, &i64::MIN.to_be_bytes())));
        check(&eight, Cell::Text(b"9223372036854775808"), Err(Misfit::OutOfRange));
        check(&eight, Cell::Text(b"12.0"), Err(Misfit::NotNumber));
        for text in [&b""[..], b"-", b" 1", b"1 ", b"1e3", b"0x1", b"1_0", "\u{661}".as_bytes()] {
            check(&eight, Cell::Text(text), Err(Misfit::NotNumber));
        }
        check(&eight, Cell::Real(5.0), Ok((rewritten(Rewrite::RealAsDecimal), &5_i64.to_be_bytes())));
        check(&eight, Cell::Real(-0.0), Ok((rewritten(Rewrite::NegativeZero), &[0; 8])));
        check(&eight, Cell::Real(9_223_372_036_854_775_808.0), Err(Misfit::OutOfRange));
        check(&eight, Cell::Real(0.5), Err(Misfit::Inexact));
        check(&eight, Cell::Real(f64::NEG_INFINITY), Err(Misfit::Infinite));
        check(&eight, Cell::Real(f64::NAN), Err(Misfit::Inexact));
        check(&eight, Cell::Blob(b"1"), Err(Misfit::Class));
        check(&two, Cell::Text(b"32767"), Ok((Fit::Exact, b"\x7f\xff")));
        check(&two, Cell::Text(b"32768"), Err(Misfit::OutOfRange));
        check(&two, Cell::Real(-32769.0), Err(Misfit::OutOfRange));
    }

    #[test]
    fn integers_fit_to_the_last_value_of_their_width() {
        check(&Int { bytes: 2 }, Cell::Integer(-32768), Ok((Fit::Exact, b"\x80\0")));
        check(&Int { bytes: 2 }, Cell::Integer(32768), Err(Misfit::OutOfRange));
        check(&Int { bytes: 4 }, Cell::Integer(i64::from(i32::MAX) + 1), Err(Misfit::OutOfRange));
        check(&Int { bytes: 8 }, Cell::Integer(i64::MAX), Ok((Fit::Exact, &i64::MAX.to_be_bytes())));
        check(&Int { bytes: 8 }, Cell::Real(1.0), Err(Misfit::Class));
        check(&Int { bytes: 8 }, Cell::Text(b"1"), Err(Misfit::Class));
    }

    #[test]
    fn floats_take_only_what_they_hold_exactly() {
        for real in [-0.0, f64::MIN_POSITIVE / 8.0, f64::INFINITY, f64::MAX] {
            check(&Float8, Cell::Real(real), Ok((Fit::Exact, &real.to_be_bytes())));
        }
        check(&Float8, Cell::Integer(1 << 53), Ok((Fit::Exact, &9_007_199_254_740_992_f64.to_be_bytes())));
        check(&Float8, Cell::Integer((1 << 53) + 1), Err(Misfit::Inexact));
        check(&Float8, Cell::Integer(i64::MAX), Err(Misfit::Inexact));
        check(&Float8, Cell::Integer(i64::MIN), Ok((Fit::Exact, &(-(2_f64.powi(63))).to_be_bytes())));
        check(&Float4, Cell::Real(0.5), Ok((Fit::Exact, &0.5_f32.to_be_bytes())));
        check(&Float4, Cell::Real(-0.0), Ok((Fit::Exact, &(-0.0_f32).to_be_bytes())));
        check(&Float4, Cell::Real(f64::INFINITY), Ok((Fit::Exact, &f32::INFINITY.to_be_bytes())));
        for real in [0.1, 1e39, f64::MIN_POSITIVE] {
            check(&Float4, Cell::Real(real), Err(Misfit::Inexact));
        }
        check(&Float4, Cell::Integer(16_777_217), Err(Misfit::Inexact));
        check(&Float8, Cell::Text(b"1.5"), Err(Misfit::Class));
    }
}
