//! Which objects of a JSON text hold a key twice: found while the text is read, in memory that is used again.

use super::json::{Escape, JSONB_SIZE_MAX, Watch};

/// The keys of the open objects, and whether any object held one twice. Kept from cell to cell for its memory.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    has_duplicates: bool,
    // The keys of the objects that are open, outermost first.
    open: Vec<Key>,
    // Where in `open` each open object begins.
    objects: Vec<u32>,
    // Keys that were written with escapes, without them.
    unescaped: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Key {
    hash: u32,
    start: u32,
    // The highest bit says that it stands in `unescaped`.
    length: u32,
}

const IN_UNESCAPED: u32 = 1 << 31;
// Most objects have fewer keys than this: comparing each with each is then cheaper than sorting.
const KEYS_COMPARED: usize = 12;
// What one large cell needed is given back.
const KEYS_KEPT: usize = 16 * 1024;

impl Keys {
    /// Whether an object of the document that was read held a key twice.
    pub(super) fn has_duplicates(&self) -> bool {
        self.has_duplicates
    }

    /// Forgets the document before.
    pub(super) fn clear(&mut self) {
        self.has_duplicates = false;
        self.open.clear();
        self.open.shrink_to(KEYS_KEPT);
        self.objects.clear();
        self.unescaped.clear();
        self.unescaped.shrink_to(KEYS_KEPT);
    }
}

impl Watch for Keys {
    #[inline]
    fn open(&mut self) {
        self.objects.push(self.open.len() as u32);
    }

    #[inline]
    fn key(&mut self, text: &[u8], start: usize, end: usize, has_escapes: bool) {
        // Texts beyond jsonb's size are refused, so that positions need no more than 32 bits.
        if self.has_duplicates || text.len() > JSONB_SIZE_MAX {
            return;
        }
        let key = &text[start..end];
        self.open.push(if has_escapes {
            let start = self.unescaped.len();
            unescape(key, &mut self.unescaped);
            let key = &self.unescaped[start..];
            Key { hash: hash(key), start: start as u32, length: key.len() as u32 | IN_UNESCAPED }
        } else {
            Key { hash: hash(key), start: start as u32, length: key.len() as u32 }
        });
    }

    #[inline]
    fn close(&mut self, text: &[u8]) {
        let from = self.objects.pop().unwrap_or(0) as usize;
        if self.has_duplicates {
            return;
        }
        let unescaped = &self.unescaped;
        let bytes = |key: &Key| {
            let (start, length) = (key.start as usize, (key.length & !IN_UNESCAPED) as usize);
            let place = if key.length & IN_UNESCAPED == 0 { text } else { unescaped.as_slice() };
            &place[start..start + length]
        };
        let keys = &mut self.open[from..];
        let is_same = |a: &Key, b: &Key| a.hash == b.hash && bytes(a) == bytes(b);
        self.has_duplicates = if keys.len() <= KEYS_COMPARED {
            keys.iter().enumerate().any(|(at, key)| keys[..at].iter().any(|other| is_same(key, other)))
        } else {
            // By the bytes too, so that made-up keys with one hash cost no more than a sort.
            keys.sort_unstable_by(|a, b| a.hash.cmp(&b.hash).then_with(|| bytes(a).cmp(bytes(b))));
            keys.windows(2).any(|pair| is_same(&pair[0], &pair[1]))
        };
        self.open.truncate(from);
    }
}

// Appends what the escapes stand for. The key was read before: what is no character makes the text no jsonb.
fn unescape(mut key: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(b'\\', key) {
        out.extend_from_slice(&key[..at]);
        let Some((escape, length)) = Escape::at(&key[at..]) else { break };
        if let Escape::Char(c) = escape {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        key = &key[at + length..];
    }
    out.extend_from_slice(key);
}

// Fast, not strong: equal hashes are compared byte by byte.
#[inline]
fn hash(key: &[u8]) -> u32 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let (chunks, _) = key.as_chunks::<8>();
    let hash = chunks.iter().fold(key.len() as u64, |hash, chunk| mix(hash, u64::from_le_bytes(*chunk)));
    // The last word overlaps the one before it: no byte stands alone, whatever the length.
    let last = if let Some(last) = key.last_chunk() {
        u64::from_le_bytes(*last)
    } else if let (Some(first), Some(last)) = (key.first_chunk(), key.last_chunk()) {
        u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
    } else {
        key.iter().fold(0, |word, b| word << 8 | u64::from(*b))
    };
    (mix(hash, last).wrapping_mul(FACTOR) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use crate::model::cell::Cell;
    use crate::model::conversion::{Conversion, Fit, Rewrite};
    use crate::transform::tests::check;

    #[track_caller]
    fn takes(text: &str, rewrite: Rewrite) {
        let payload = [b"\x01", text.as_bytes()].concat();
        let expect = Ok((Fit::Rewritten(rewrite), payload.as_slice()));
        check(&Conversion::Jsonb { scalars: false }, Cell::Text(text.as_bytes()), expect);
    }

    #[test]
    fn a_key_twice_is_found_in_its_own_object_only() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"":1,"":2}"#,
            r#"{"x":{"a":1,"b":2,"a":3},"y":1}"#,
            r#"[{"x":1},{"é":1,"\u00e9":2}]"#,
            r#"{"\ud83d\ude00":1,"😀":2}"#,
            r#"{"\/":1,"/":2}"#,
        ] {
            takes(text, Rewrite::JsonDuplicateKeys);
        }
        for text in [
            r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#,
            r#"[{"a":1},{"a":2}]"#,
            r#"{"a":"a","A":1,"aa":1,"\\u0061":1}"#,
            r#"{"a":["b","b"],"b":1}"#,
        ] {
            takes(text, Rewrite::JsonNormalised);
        }
        let many = |last: &str| {
            let keys: Vec<String> = (0..1000).map(|k| format!("\"k{k}\":{{\"k{k}\":0}}")).collect();
            format!("{{{},\"{last}\":1}}", keys.join(","))
        };
        takes(&many("k1000"), Rewrite::JsonNormalised);
        takes(&many("k500"), Rewrite::JsonDuplicateKeys);
    }
}
