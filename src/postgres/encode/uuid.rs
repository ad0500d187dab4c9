//! `uuid`: its sixteen bytes (`uuid_recv` in `uuid.c`).

use super::copy::fixed;

/// Appends a `uuid`.
#[inline]
pub fn uuid(bytes: [u8; 16], out: &mut Vec<u8>) {
    fixed::<16, 20>(bytes, out);
}
