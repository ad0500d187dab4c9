//! Integers and floats of fixed width, big-endian (`int2recv` … `float8recv` in `int.c`, `int8.c`, `float.c`).

use super::copy::fixed;

/// Appends a `smallint`.
#[inline]
pub fn int2(value: i16, out: &mut Vec<u8>) {
    fixed::<2, 6>(value.to_be_bytes(), out);
}

/// Appends an `integer`.
#[inline]
pub fn int4(value: i32, out: &mut Vec<u8>) {
    fixed::<4, 8>(value.to_be_bytes(), out);
}

/// Appends a `bigint`.
#[inline]
pub fn int8(value: i64, out: &mut Vec<u8>) {
    fixed::<8, 12>(value.to_be_bytes(), out);
}

/// Appends a `real`, bit for bit.
#[inline]
pub fn float4(value: f32, out: &mut Vec<u8>) {
    fixed::<4, 8>(value.to_be_bytes(), out);
}

/// Appends a `double precision`, bit for bit.
#[inline]
pub fn float8(value: f64, out: &mut Vec<u8>) {
    fixed::<8, 12>(value.to_be_bytes(), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_big_endian_behind_their_width() {
        let mut out = Vec::new();
        int2(-2, &mut out);
        int4(1, &mut out);
        int8(i64::MIN, &mut out);
        float4(1.0, &mut out);
        float8(-0.0, &mut out);
        let want: [&[u8]; 5] = [
            b"\0\0\0\x02\xff\xfe",
            b"\0\0\0\x04\0\0\0\x01",
            b"\0\0\0\x08\x80\0\0\0\0\0\0\0",
            b"\0\0\0\x04\x3f\x80\0\0",
            b"\0\0\0\x08\x80\0\0\0\0\0\0\0",
        ];
        assert_eq!(out, want.concat());
    }
}
