//! What a binary COPY out of the server holds: the envelope, and the fields of each type.
//!
//! The way back of `encode`, and written apart from it: the verifier reads by this what the load wrote by that.
//! Formats: PostgreSQL's `*_send` functions in `src/backend/utils/adt`, unchanged from version 12 to 18.

pub mod array;
mod numeric;
mod rows;

pub use numeric::{Decimal, Numeric, scale};
pub use rows::{Fields, Rows};

use crate::error::{Error, Kind, Result};

/// An `int2`, `int4` or `int8`.
#[inline]
pub fn int(field: &[u8]) -> Result<i64> {
    match field.len() {
        8 => Ok(i64::from_be_bytes(fixed(field)?)),
        4 => Ok(i64::from(i32::from_be_bytes(fixed(field)?))),
        2 => Ok(i64::from(i16::from_be_bytes(fixed(field)?))),
        _ => Err(malformed("an integer", field)),
    }
}

/// A `float4` or `float8`. Every single-precision value is a double.
#[inline]
pub fn float(field: &[u8]) -> Result<f64> {
    match field.len() {
        8 => Ok(f64::from_be_bytes(fixed(field)?)),
        4 => Ok(f64::from(f32::from_be_bytes(fixed(field)?))),
        _ => Err(malformed("a float", field)),
    }
}

/// A `bool`.
#[inline]
pub fn bool(field: &[u8]) -> Result<bool> {
    match field {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(malformed("a boolean", field)),
    }
}

/// The text of a `jsonb`, as the server prints it.
#[inline]
pub fn jsonb(field: &[u8]) -> Result<&[u8]> {
    match field {
        [1, text @ ..] => Ok(text),
        _ => Err(malformed("a jsonb of version 1", field)),
    }
}

/// A field of a fixed width: `uuid`, `date`, `time`, `timestamp`.
#[inline]
pub fn fixed<const N: usize>(field: &[u8]) -> Result<[u8; N]> {
    field.try_into().map_err(|_| malformed("a value of a fixed width", field))
}

#[cold]
fn malformed(what: &str, field: &[u8]) -> Error {
    Error::new(Kind::Bug, format!("the server sent {} bytes where {what} was expected", field.len()))
        .hint("this is a fault of lite2pg, or the table changed while it was read; please report it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_of_a_number_give_one_value() {
        assert_eq!(int(&(-2_i16).to_be_bytes()).expect("int2"), -2);
        assert_eq!(int(&(-2_i32).to_be_bytes()).expect("int4"), -2);
        assert_eq!(int(&(-2_i64).to_be_bytes()).expect("int8"), -2);
        assert_eq!(float(&1.5_f32.to_be_bytes()).expect("float4").to_bits(), 1.5_f64.to_bits());
    }

    #[test]
    fn fields_of_another_width_are_errors() {
        for error in [int(b"abc").err(), float(b"").err(), bool(b"\x02").err(), fixed::<16>(b"1").err()] {
            assert_eq!(error.expect("malformed").kind(), Kind::Bug);
        }
        assert!(jsonb(b"").is_err() && jsonb(b"\x02{}").is_err());
    }
}
