//! Booleans: 0 and 1, and the words that PostgreSQL's `boolean` takes in full.

use crate::model::cell::Cell;

const TRUE: [&[u8]; 6] = [b"t", b"true", b"y", b"yes", b"on", b"1"];
const FALSE: [&[u8]; 6] = [b"f", b"false", b"n", b"no", b"off", b"0"];

pub(super) fn read(cell: Cell<'_>) -> Option<bool> {
    match cell {
        Cell::Integer(0) => Some(false),
        Cell::Integer(1) => Some(true),
        Cell::Text(word) if is_any(word, TRUE) => Some(true),
        Cell::Text(word) if is_any(word, FALSE) => Some(false),
        _ => None,
    }
}

fn is_any(word: &[u8], words: [&[u8]; 6]) -> bool {
    words.iter().any(|w| w.eq_ignore_ascii_case(word))
}
