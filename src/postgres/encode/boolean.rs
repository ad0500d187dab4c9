//! `boolean`: one byte (`boolrecv` in `bool.c`).

use super::copy::fixed;

/// Appends a `boolean`.
#[inline]
pub fn boolean(value: bool, out: &mut Vec<u8>) {
    fixed::<1, 5>([u8::from(value)], out);
}
