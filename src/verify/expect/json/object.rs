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
    /// The first eight bytes of the key as a number, all of a shorter one: of keys of one length the smaller number is
    /// that of the smaller key.
    head: u64,
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
        let has_escapes = self.string()?;
        let in_order = self.printer.begin_member(first, start, has_escapes);
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
    fn begin_member(&mut self, first: usize, start: usize, has_escapes: bool) -> bool {
        let end = self.out.len();
        let mut member = Member { key: start + 1..end - 1, is_unescaped: false, head: 0, printed: start..end };
        // An escape need not be printed as one.
        if has_escapes && memchr::memchr(b'\\', &self.out[member.key.clone()]).is_some() {
            let unescaped = self.keys.len();
            string::unescape(&self.out[member.key], &mut self.keys);
            member.key = unescaped..self.keys.len();
            member.is_unescaped = true;
        }
        member.head = head(member.key_in(&self.out, &self.keys));
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
            string::append(&out[member.printed.start..], member.printed.len(), ordered);
        }
        out.truncate(start);
        out.extend_from_slice(ordered);
    }
}

impl Member {
    fn key_in<'a>(&self, out: &'a [u8], keys: &'a [u8]) -> &'a [u8] {
        let place = if self.is_unescaped { keys } else { out };
        &place[self.key.clone()]
    }
}

#[inline]
fn head(key: &[u8]) -> u64 {
    match key.first_chunk::<8>() {
        Some(first) => u64::from_be_bytes(*first),
        None => key.iter().fold(0, |head, byte| head << 8 | u64::from(*byte)),
    }
}

#[inline]
fn compare(a: &Member, b: &Member, out: &[u8], keys: &[u8]) -> Ordering {
    let by_head = a.key.len().cmp(&b.key.len()).then(a.head.cmp(&b.head));
    if by_head != Ordering::Equal || a.key.len() <= 8 {
        return by_head;
    }
    a.key_in(out, keys).cmp(b.key_in(out, keys))
}
