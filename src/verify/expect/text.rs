//! Text, with stand-ins where PostgreSQL takes no such text, and blanks where it adds them.

use super::written;
use crate::model::cell::Cell;
use crate::model::pg_type::PgType;
use crate::model::plan::ColumnPlan;

/// The rule of a column of text.
#[derive(Debug)]
pub(super) struct Texts {
    numbers: bool,
    stand_ins: bool,
    chars_max: Option<usize>,
    /// `character(n)`: PostgreSQL fills up with blanks and gives them back (docs, "Character Types").
    padded_to: usize,
}

impl Texts {
    pub(super) fn of(column: &ColumnPlan, numbers: bool, chars_max: Option<u32>) -> Self {
        let padded_to = if let PgType::Char(n) = column.pg_type { n as usize } else { 0 };
        Self { numbers, stand_ins: column.stand_ins, chars_max: chars_max.map(|n| n as usize), padded_to }
    }

    /// The text that the target holds; it may stand in `scratch`.
    #[inline]
    pub(super) fn read<'a>(&self, cell: Cell<'a>, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let has_length = self.chars_max.is_some() || self.padded_to > 0;
        match cell {
            Cell::Text(bytes) if is_clean(bytes) && !has_length => Some(bytes),
            Cell::Text(bytes) => {
                if !self.stand_ins && !is_clean(bytes) {
                    return None;
                }
                scratch.clear();
                stand_in(bytes, scratch);
                self.sized(scratch)
            }
            Cell::Integer(_) | Cell::Real(_) if self.numbers => {
                written::out(cell, scratch)?;
                self.sized(scratch)
            }
            _ => None,
        }
    }

    fn sized<'a>(&self, text: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        // A character is a byte that continues none.
        let chars = text.iter().filter(|b| **b & 0xc0 != 0x80).count();
        if self.chars_max.is_some_and(|max| chars > max) {
            return None;
        }
        text.resize(text.len() + self.padded_to.saturating_sub(chars), b' ');
        Some(text)
    }
}

#[inline]
fn is_clean(bytes: &[u8]) -> bool {
    memchr::memchr(0, bytes).is_none() && is_utf8(bytes)
}

/// Most texts are ASCII, which is told several times as fast.
#[inline]
pub(super) fn is_utf8(bytes: &[u8]) -> bool {
    bytes.is_ascii() || std::str::from_utf8(bytes).is_ok()
}

/// U+FFFD for every NUL and for every sequence that is no UTF-8, as long as the standard library sees it:
/// the longest that could have begun a character (Unicode 15, "U+FFFD Substitution of Maximal Subparts").
fn stand_in(bytes: &[u8], out: &mut Vec<u8>) {
    const STAND_IN: &[u8] = "\u{fffd}".as_bytes();
    for chunk in bytes.utf8_chunks() {
        for (n, part) in chunk.valid().split('\0').enumerate() {
            if n > 0 {
                out.extend_from_slice(STAND_IN);
            }
            out.extend_from_slice(part.as_bytes());
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(STAND_IN);
        }
    }
}
