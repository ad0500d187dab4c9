//! JSON: whether a text is, and what PostgreSQL prints for it as `jsonb`.
//!
//! Written from PostgreSQL's manual ("JSON Types") and from what a server answers. One pass over the text writes the
//! printed form; the members of an object are put in order when it ends, and only if they are not.

mod number;
mod object;
mod skeleton;
mod string;

use super::text::is_utf8;
use crate::model::bounds::JSON_DEPTH_MAX;
use object::Member;
use skeleton::Skeletons;

/// Prints a document, in the memory of those before.
#[derive(Debug, Default)]
struct Printer {
    /// What was printed so far.
    out: Vec<u8>,
    /// The members, so far, of the objects that are open: an outer object's before an inner's.
    members: Vec<Member>,
    /// Unescaped keys, of members whose printed key has escapes.
    keys: Vec<u8>,
    /// Where members are put in order.
    ordered: Vec<u8>,
}

/// Prints documents of columns, and learns from each how the next may look.
#[derive(Debug, Default)]
pub(super) struct Documents {
    printer: Printer,
    skeletons: Skeletons,
}

impl Documents {
    /// The text that PostgreSQL prints for the document as `jsonb`; `None` for what `jsonb` cannot hold.
    pub(super) fn print(&mut self, text: &[u8], scalars: bool) -> Option<&[u8]> {
        let Self { printer, skeletons } = self;
        is_utf8(text).then_some(())?;
        if skeletons.print(text, printer) {
            return Some(&printer.ordered);
        }
        printer.walk(text, Kept::Value, scalars)?;
        if skeletons.are_worth_learning() {
            skeletons.learn(text, printer);
            printer.walk(text, Kept::Value, scalars)?;
        }
        Some(&printer.out)
    }

    /// The text itself, if it is JSON as the type `json` takes it.
    pub(super) fn check<'a>(&mut self, text: &'a [u8]) -> Option<&'a [u8]> {
        is_utf8(text).then_some(())?;
        self.printer.walk(text, Kept::Text, true)?;
        Some(text)
    }
}

impl Printer {
    /// Reads a text that is UTF-8 and prints it; `None` where it is no document that is kept.
    fn walk(&mut self, text: &[u8], kept: Kept, scalars: bool) -> Option<()> {
        self.clear();
        let mut document = Document { text, at: 0, kept, printer: self };
        let first = document.after_blanks();
        if !scalars && !matches!(first, Some(b'{' | b'[')) {
            return None;
        }
        document.value(0)?;
        document.after_blanks().is_none().then_some(())
    }

    fn clear(&mut self) {
        self.out.clear();
        self.members.clear();
        self.keys.clear();
    }
}

/// What the target's type keeps of a document, and so what it looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// `jsonb`
    Value,
    /// `json`: escapes and numbers are not evaluated, so that they may be beyond what a value can be.
    Text,
}

/// A document being read. Everything below `at` is printed.
struct Document<'a, 'p> {
    text: &'a [u8],
    at: usize,
    kept: Kept,
    printer: &'p mut Printer,
}

impl Document<'_, '_> {
    /// Skips white space; the byte that follows it.
    #[inline]
    fn after_blanks(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.after_blanks()? {
            b'"' => self.string().map(|_| ()),
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        self.open(b'[', depth)?;
        if self.after_blanks()? == b']' {
            return self.close(b']');
        }
        loop {
            self.value(depth)?;
            match self.after_blanks()? {
                b',' => self.comma(),
                b']' => return self.close(b']'),
                _ => return None,
            }
        }
    }

    fn open(&mut self, bracket: u8, depth: usize) -> Option<()> {
        self.at += 1;
        self.printer.out.push(bracket);
        (depth <= JSON_DEPTH_MAX).then_some(())
    }

    fn comma(&mut self) {
        self.at += 1;
        self.printer.out.extend_from_slice(b", ");
    }

    #[expect(clippy::unnecessary_wraps, reason = "the last thing that reading an object or an array does")]
    fn close(&mut self, bracket: u8) -> Option<()> {
        self.at += 1;
        self.printer.out.push(bracket);
        Some(())
    }

    /// What follows a word decides about it: `nullx` is found to be wrong where `x` is no comma.
    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(word).then_some(())?;
        self.at += word.len();
        self.printer.out.extend_from_slice(word);
        Some(())
    }
}
