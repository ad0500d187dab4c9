//! `numeric_send`: digits of base 10 000 with a weight.

use super::malformed;
use crate::error::Result;

/// A numeric by its value: how it is padded with zeros is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numeric<'a> {
    /// A decimal number.
    Finite(Decimal<'a>),
    /// Not a number.
    NaN,
    /// Infinity, which numeric has since version 14.
    Infinite {
        /// Below zero.
        negative: bool,
    },
}

/// `0.` followed by `digits`, times ten to the `exponent`. Zero has no digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal<'a> {
    /// Below zero.
    pub negative: bool,
    /// ASCII digits; the first and the last are not `0`.
    pub digits: &'a [u8],
    /// The power of ten.
    pub exponent: i32,
}

/// Digits that the server prints after the point, zeros included.
#[must_use]
pub fn scale(field: &[u8]) -> usize {
    // The upper bits are none of its.
    field.get(6..8).map_or(0, |dscale| usize::from(u16::from_be_bytes([dscale[0], dscale[1]]) & 0x3fff))
}

impl<'a> Numeric<'a> {
    /// Reads a field; the digits are written to `room`.
    pub fn read(field: &[u8], room: &'a mut Vec<u8>) -> Result<Self> {
        let wrong = || malformed("a numeric", field);
        let (head, groups) = field.split_first_chunk::<8>().ok_or_else(wrong)?;
        let [count, weight, sign] = [0, 2, 4].map(|at| u16::from_be_bytes([head[at], head[at + 1]]));
        if groups.len() != usize::from(count) * 2 {
            return Err(wrong());
        }
        let negative = match sign {
            0x0000 => false,
            0x4000 => true,
            0xc000 => return Ok(Self::NaN),
            0xd000 => return Ok(Self::Infinite { negative: false }),
            0xf000 => return Ok(Self::Infinite { negative: true }),
            _ => return Err(wrong()),
        };
        room.clear();
        for group in groups.chunks_exact(2) {
            let group = u16::from_be_bytes([group[0], group[1]]);
            if group > 9999 {
                return Err(wrong());
            }
            let digit = |power: u16| b'0' + (group / power % 10) as u8;
            room.extend_from_slice(&[digit(1000), digit(100), digit(10), digit(1)]);
        }
        let leading = room.iter().take_while(|&&d| d == b'0').count();
        let trailing = room.iter().rev().take_while(|&&d| d == b'0').count();
        if leading == room.len() {
            return Ok(Self::Finite(Decimal { negative: false, digits: b"", exponent: 0 }));
        }
        let exponent = (i32::from(weight as i16) + 1) * 4 - leading as i32;
        let digits = &room[leading..room.len() - trailing];
        Ok(Self::Finite(Decimal { negative, digits, exponent }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(groups: &[u16], weight: i16, sign: u16, expect: (bool, &[u8], i32)) {
        let mut field = (groups.len() as u16).to_be_bytes().to_vec();
        field.extend_from_slice(&weight.to_be_bytes());
        field.extend_from_slice(&sign.to_be_bytes());
        // The display scale does not matter.
        field.extend_from_slice(&7_u16.to_be_bytes());
        for g in groups {
            field.extend_from_slice(&g.to_be_bytes());
        }
        let mut room = Vec::new();
        let (negative, digits, exponent) = expect;
        let want = Numeric::Finite(Decimal { negative, digits, exponent });
        assert_eq!(Numeric::read(&field, &mut room).expect("well-formed"), want);
    }

    #[test]
    fn a_value_has_one_reading() {
        check(&[], 0, 0, (false, b"", 0));
        check(&[1], 0, 0, (false, b"1", 1));
        check(&[1, 1000], 0, 0x4000, (true, b"11", 1));
        check(&[12, 3456], 1, 0, (false, b"123456", 6));
        check(&[5], -1, 0, (false, b"5", -3));
        check(&[10], 2, 0, (false, b"1", 10));
    }

    #[test]
    fn what_is_no_numeric_is_an_error() {
        let mut room = Vec::new();
        for field in [&b""[..], b"\0\x01\0\0\0\0\0\0", b"\0\0\0\0\x12\x34\0\0", b"\0\x01\0\0\0\0\0\0\xff\xff"] {
            assert!(Numeric::read(field, &mut room).is_err(), "{field:?}");
        }
        assert_eq!(Numeric::read(b"\0\0\0\0\xc0\0\0\0", &mut room).expect("NaN"), Numeric::NaN);
    }
}
