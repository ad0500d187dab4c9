//! Numbers written out as text: integers in decimal, reals in the shortest form that reads back the same.

use crate::model::cell::Cell;
use std::io::Write as _;

/// The number's text; `None` for what is no number.
pub(super) fn out<'a>(cell: Cell<'_>, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    scratch.clear();
    match cell {
        Cell::Integer(n) => write!(scratch, "{n}").ok()?,
        Cell::Real(x) => real(x, scratch),
        _ => return None,
    }
    Some(scratch)
}

/// Never without a point or an exponent, so that a real stays one: `100.0`, `1e+16`, `1e-6`, `Infinity`.
fn real(x: f64, out: &mut Vec<u8>) {
    if x.is_infinite() {
        out.extend_from_slice(if x > 0.0 { b"Infinity" } else { b"-Infinity" });
        return;
    }
    out.extend_from_slice(ryu::Buffer::new().format_finite(x).as_bytes());
    if let Some(e) = memchr::memchr(b'e', out).filter(|e| out[e + 1] != b'-') {
        out.insert(e + 1, b'+');
    }
}
