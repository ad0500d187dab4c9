//! Numbers into integers and floats of fixed width: exactly, or not at all.

use crate::model::cell::Cell;
use crate::model::conversion::{Fit, Misfit};
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
    use crate::model::conversion::Conversion::{Float4, Float8, Int};
    use crate::model::conversion::{Fit, Misfit};
    use crate::transform::tests::check;

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
