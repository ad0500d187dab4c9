//! What documents of one column have in common: mostly the same keys in the same order, with other values.
//!
//! A skeleton is a document without its values, as it is written and as it is printed. A text that goes by it is printed
//! without its keys being read, put in order and looked at for repetitions again: they were, in the document that the
//! skeleton was learned from, and are the same bytes here. Values are read one by one all the same.

use super::{Document, Kept, Printer, string};
use crate::model::bounds::{
    JSON_SKELETON_BYTES_MAX, JSON_SKELETON_COST, JSON_SKELETON_CREDIT_MAX, JSON_SKELETON_HIT, JSON_SKELETON_VALUES_MAX,
    JSON_SKELETONS_MAX,
};

/// Bytes behind the texts of a skeleton, so that the copying of a few bytes has its fixed length to copy.
const ROOM: [u8; 32] = [0; 32];

/// A document without its values.
#[derive(Debug)]
struct Skeleton {
    /// What stands before each value and behind the last one, in the text.
    written: Vec<u8>,
    values: Vec<Place>,
    /// The same in the printed form, where values may stand in another order, and some nowhere.
    printed: Vec<u8>,
    pieces: Vec<Piece>,
}

/// A value in the text.
#[derive(Debug)]
struct Place {
    /// Where in `written` that ends which stands before it.
    end: usize,
    /// How many objects are around it.
    depth: usize,
}

/// A value in the printed form.
#[derive(Debug)]
struct Piece {
    /// Where in `printed` that ends which stands before it.
    end: usize,
    value: usize,
}

/// The skeletons of the documents before, the one that was used last in front.
#[derive(Debug)]
pub(super) struct Skeletons {
    known: Vec<Skeleton>,
    /// Documents since the last that went by one of them.
    misses: u32,
    /// What is left to learn with.
    credit: u32,
    /// Where, in what is printed, each value ends: of the document at hand.
    ends: Vec<usize>,
}

impl Default for Skeletons {
    fn default() -> Self {
        Self { known: Vec::new(), misses: 0, credit: JSON_SKELETON_CREDIT_MAX, ends: Vec::new() }
    }
}

impl Skeletons {
    /// Prints a text that goes by a skeleton into `printer.ordered`; whether one does.
    pub(super) fn print(&mut self, text: &[u8], printer: &mut Printer) -> bool {
        // Where nothing has been alike for long, only one in so many is tried.
        if self.misses >= 64 && !self.misses.is_multiple_of(64) {
            return false;
        }
        let found = (0..self.known.len()).find(|&i| self.known[i].print(text, printer, &mut self.ends).is_some());
        let Some(found) = found else { return false };
        self.known[..=found].rotate_right(1);
        self.misses = 0;
        self.credit = (self.credit + JSON_SKELETON_HIT).min(JSON_SKELETON_CREDIT_MAX);
        true
    }

    /// Whether a document that went by none is worth its learning. Asked once of each.
    #[inline]
    pub(super) fn are_worth_learning(&mut self) -> bool {
        self.misses = self.misses.wrapping_add(1);
        self.credit += 1;
        self.credit >= JSON_SKELETON_COST
    }

    /// Learns what a document looks like. `printer` works for that, and holds anything afterwards.
    #[cold]
    pub(super) fn learn(&mut self, text: &[u8], printer: &mut Printer) {
        self.credit -= JSON_SKELETON_COST;
        let Some(skeleton) = Skeleton::of(text, printer) else { return };
        self.misses = 0;
        self.known.truncate(JSON_SKELETONS_MAX - 1);
        self.known.insert(0, skeleton);
    }
}

impl Skeleton {
    /// The skeleton of a document; none of one that is no object, or is too large.
    fn of(text: &[u8], printer: &mut Printer) -> Option<Self> {
        let mut values = Vec::new();
        printer.clear();
        let mut document = Document { text, at: 0, kept: Kept::Value, printer };
        if document.after_blanks() != Some(b'{') {
            return None;
        }
        document.values_below(1, &mut values)?;
        // The same document with numbers in the places of its values: where they are printed, the values will be.
        let (mut written, mut numbered, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let mut from = 0;
        for (number, (start, end, depth)) in values.iter().copied().enumerate() {
            written.extend_from_slice(&text[from..start]);
            places.push(Place { end: written.len(), depth });
            numbered.extend_from_slice(&text[from..start]);
            numbered.extend_from_slice(number.to_string().as_bytes());
            from = end;
        }
        written.extend_from_slice(&text[from..]);
        numbered.extend_from_slice(&text[from..]);
        if written.len() > JSON_SKELETON_BYTES_MAX {
            return None;
        }
        printer.walk(&numbered, Kept::Value, true)?;
        let (form, pieces) = taken_apart(&printer.out);
        Some(Self { written, values: places, printed: form, pieces })
    }

    /// Prints a text that goes by this skeleton into `printer.ordered`.
    #[inline]
    fn print(&self, text: &[u8], printer: &mut Printer, ends: &mut Vec<usize>) -> Option<()> {
        printer.clear();
        ends.clear();
        let mut document = Document { text, at: 0, kept: Kept::Value, printer };
        let mut from = 0;
        for place in &self.values {
            document.pass(&self.written[from..place.end])?;
            document.value(place.depth)?;
            ends.push(document.printer.out.len());
            from = place.end;
        }
        (self.written[from..] == text[document.at..]).then_some(())?;
        let Printer { out, ordered, .. } = printer;
        out.extend_from_slice(&ROOM);
        ordered.clear();
        let mut from = 0;
        for piece in &self.pieces {
            string::append(&self.printed[from..], piece.end - from, ordered);
            let start = piece.value.checked_sub(1).map_or(0, |before| ends[before]);
            string::append(&out[start..], ends[piece.value] - start, ordered);
            from = piece.end;
        }
        ordered.extend_from_slice(&self.printed[from..self.printed.len() - ROOM.len()]);
        Some(())
    }
}

impl Document<'_, '_> {
    /// Goes on behind these bytes, if they are what comes.
    #[inline]
    fn pass(&mut self, bytes: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(bytes).then(|| self.at += bytes.len())
    }

    /// Notes each value in the object that begins here and in the objects in it, from where to where and how deep.
    fn values_below(&mut self, depth: usize, values: &mut Vec<(usize, usize, usize)>) -> Option<()> {
        self.at += 1;
        if self.after_blanks()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.after_blanks()?;
            self.string()?;
            self.after_blanks()?;
            self.at += 1;
            if self.after_blanks()? == b'{' {
                self.values_below(depth + 1, values)?;
            } else {
                let start = self.at;
                self.value(depth)?;
                values.push((start, self.at, depth));
            }
            let next = self.after_blanks()?;
            self.at += 1;
            if next == b'}' {
                return Some(());
            }
            if values.len() > JSON_SKELETON_VALUES_MAX {
                return None;
            }
        }
    }
}

/// A printed document, the numbers that are its values taken out.
fn taken_apart(document: &[u8]) -> (Vec<u8>, Vec<Piece>) {
    let (mut printed, mut pieces) = (Vec::new(), Vec::new());
    let (mut is_string, mut is_escaped, mut number) = (false, false, None);
    for &byte in document {
        if !is_string && byte.is_ascii_digit() {
            number = Some(number.unwrap_or(0) * 10 + usize::from(byte - b'0'));
            continue;
        }
        if let Some(value) = number.take() {
            pieces.push(Piece { end: printed.len(), value });
        }
        is_string ^= byte == b'"' && !is_escaped;
        is_escaped = is_string && byte == b'\\' && !is_escaped;
        printed.push(byte);
    }
    printed.extend_from_slice(&ROOM);
    (printed, pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed by the skeleton of another document.
    fn printed(known: &str, text: &str) -> Option<String> {
        let (mut skeletons, mut printer) = (Skeletons::default(), Printer::default());
        skeletons.learn(known.as_bytes(), &mut printer);
        let found = skeletons.print(text.as_bytes(), &mut printer);
        found.then(|| String::from_utf8(printer.ordered).expect("UTF-8"))
    }

    #[test]
    fn values_are_put_where_the_skeleton_prints_them() {
        let known = r#"{"bb":1, "a":{"d":0,"c":"x"},"bb":"0123456789","e\"1":[ ],"f":{}}"#;
        let alike = r#"{"bb":[1, {"b":1,"a":2}], "a":{"d":{"y":1,"x":2},"c":1e2},"bb":true,"e\"1":"\u000a","f":{}}"#;
        let want = r#"{"a": {"c": 100, "d": {"x": 2, "y": 1}}, "f": {}, "bb": true, "e\"1": "\n"}"#;
        assert_eq!(printed(known, alike).as_deref(), Some(want));
        // Long enough that short copies have no room behind them.
        let long = "z".repeat(100);
        assert_eq!(printed(r#"{"a":1}"#, &format!(r#"{{"a":"{long}"}}"#)), Some(format!(r#"{{"a": "{long}"}}"#)));
        assert_eq!(printed("{}", "{}").as_deref(), Some("{}"));
    }

    #[test]
    fn another_document_is_not_printed() {
        let known = r#"{"b":1,"a":{"c":1}}"#;
        for other in [
            r#"{"b":1,"a":{"c":1}} "#,
            r#"{"b":1,"a":{"c":1}}}"#,
            r#"{"b":1,"a":{"c":1}"#,
            r#"{"b":1,"a":{"c":1,"d":2}}"#,
            r#"{"b":1,"a":{"d":1}}"#,
            r#"{"b":01,"a":{"c":1}}"#,
            r#"{"b":,"a":{"c":1}}"#,
            r#"{"b":"\u0000","a":{"c":1}}"#,
            "",
        ] {
            assert_eq!(printed(known, other), None, "{other}");
        }
        assert_eq!(printed("[1]", "[1]"), None, "only objects are learned");
    }

    #[test]
    fn depth_is_counted_from_the_outermost() {
        let nested = |depth: usize| format!(r#"{{"a":{{"b":{}{}}}}}"#, "[".repeat(depth), "]".repeat(depth));
        let known = r#"{"a":{"b":1}}"#;
        assert!(printed(known, &nested(510)).is_some() && printed(known, &nested(511)).is_none());
    }
}
