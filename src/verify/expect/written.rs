//! Numbers written out as text: integers in decimal, reals in the shortest form that reads back the same.

use crate::model::cell::Cell;
use std::io::Write as _;

/// The number's text; `None` for what is no number.
pub(super) fn out<'a>(cell: Cell<'_>, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    scratch.clear();
    match cell {
        Cell::Integer(n) => write!(scratch, "{n}").ok()?,
        Cell::Real(x) => write!(scratch, "{x:?}").ok()?,
        _ => return None,
    }
    Some(scratch)
}
