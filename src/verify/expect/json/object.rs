//! Objects of JSON in the order of `jsonb`: shorter keys first, then by their bytes; of equal keys the last one.

use super::{Document, Printer, string};
use std::cmp::Ordering;
use std::ops::Range;

/// A member of an object, by where it stands in the printed form.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Its key without quotes: in the printed form, or unescaped in `keys`.
    key: Range<usize>,
    is_unescaped: bool,
    /// Key and value.
    printed: Range<usize>,
}

impl Document<'_, '_> {
    pub(super) fn object(&mut self, depth: usize) -> Option<()> {
        self.open(b'{', depth)?;
        if self.after_blanks()? == b'}' {
            return self.close(b'}');
        }
        let first = self.printer.members.len();
        let keys = self.printer.keys.len();
        let mut in_order = true;
        loop {
            in_order &= self.member(first, depth)?;
            match self.after_blanks()? {
                b',' => self.comma(),
                b'}' => break,
                _ => return None,
            }
        }
        if !in_order {
            self.printer.put_in_order(first);
        }
        self.printer.members.truncate(first);
        self.printer.keys.truncate(keys);
        self.close(b'}')
    }

    /// Prints a member; whether its key comes after that of the one before.
    fn member(&mut self, first: usize, depth: usize) -> Option<bool> {
        if self.after_blanks()? != b'"' {
            return None;
        }
        let start = self.printer.out.len();
        self.string()?;
        let in_order = self.printer.begin_member(first, start);
        if self.after_blanks()? != b':' {
            return None;
        }
        self.at += 1;
        self.printer.out.extend_from_slice(b": ");
        let this = self.printer.members.len() - 1;
        self.value(depth)?;
        self.printer.members[this].printed.end = self.printer.out.len();
        Some(in_order)
    }
}

impl Printer {
    /// Notes the member whose key was printed from `start` on.
    fn begin_member(&mut self, first: usize, start: usize) -> bool {
        let end = self.out.len();
        let mut member = Member { key: start + 1..end - 1, is_unescaped: false, printed: start..end };
        if memchr::memchr(b'\\', &self.out[member.key.clone()]).is_some() {
            let unescaped = self.keys.len();
            string::unescape(&self.out[member.key], &mut self.keys);
            member.key = unescaped..self.keys.len();
            member.is_unescaped = true;
        }
        let before = self.members[first..].last();
        let in_order = before.is_none_or(|before| self.compare(before, &member) == Ordering::Less);
        self.members.push(member);
        in_order
    }

    fn compare(&self, a: &Member, b: &Member) -> Ordering {
        compare(a, b, &self.out, &self.keys)
    }

    /// Writes the members from `first` on again, in order; the last thing printed is the last of them.
    fn put_in_order(&mut self, first: usize) {
        let Self { out, members, keys, ordered } = self;
        let members = &mut members[first..];
        let start = members[0].printed.start;
        let later_first = |a: &Member, b: &Member| b.printed.start.cmp(&a.printed.start);
        members.sort_unstable_by(|a, b| compare(a, b, out, keys).then_with(|| later_first(a, b)));
        ordered.clear();
        for (n, member) in members.iter().enumerate() {
            if n > 0 {
                if compare(&members[n - 1], member, out, keys) == Ordering::Equal {
                    continue;
                }
                ordered.extend_from_slice(b", ");
            }
            ordered.extend_from_slice(&out[member.printed.clone()]);
        }
        out.truncate(start);
        out.extend_from_slice(ordered);
    }
}

fn compare(a: &Member, b: &Member, out: &[u8], keys: &[u8]) -> Ordering {
    let key = |member: &Member| {
        let range = member.key.clone();
        if member.is_unescaped { &keys[range] } else { &out[range] }
    };
    a.key.len().cmp(&b.key.len()).then_with(|| key(a).cmp(key(b)))
}
