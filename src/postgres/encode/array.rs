//! Arrays of one dimension (`array_recv` in `arrayfuncs.c`): dimensions, whether there are NULLs, the elements' type; the length
//! and the first index of each dimension; the elements, each with its length. An empty array has no dimension.

use super::copy;
use crate::model::pg_type::Element;

// Where the number of dimensions, the flag and the number of elements stand behind the field's length.
const FLAG: usize = 4;
const COUNT: usize = 12;

/// An array in the making, at the end of a buffer.
#[derive(Debug)]
pub struct Array {
    from: usize,
    elements: u32,
    has_null: bool,
}

/// The number of an element's type (`src/include/catalog/pg_type.dat`).
const fn oid(element: Element) -> u32 {
    match element {
        Element::Bool => 16,
        Element::Int8 => 20,
        Element::Int4 => 23,
        Element::Text => 25,
        Element::Uuid => 2950,
    }
}

/// Begins an array. Its elements follow as fields of their own.
pub fn begin(element: Element, out: &mut Vec<u8>) -> Array {
    let from = copy::begin(out);
    for word in [1, 0, oid(element), 0, 1] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    Array { from, elements: 0, has_null: false }
}

impl Array {
    /// Counts an element that was written, or a NULL.
    pub fn counted(&mut self, is_null: bool) {
        self.elements += 1;
        self.has_null |= is_null;
    }

    /// Ends the array.
    pub fn end(self, out: &mut Vec<u8>) {
        let at = self.from;
        if self.elements == 0 {
            out.truncate(at + COUNT);
            out[at..at + 4].fill(0);
        } else {
            out[at + FLAG..at + FLAG + 4].copy_from_slice(&u32::from(self.has_null).to_be_bytes());
            out[at + COUNT..at + COUNT + 4].copy_from_slice(&self.elements.to_be_bytes());
        }
        copy::end(at, out);
    }
}
