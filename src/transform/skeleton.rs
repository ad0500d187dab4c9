//! JSON documents with the keys of an earlier one: mostly, those of a column are written by one program.
//!
//! A skeleton is what stands between the values of a document. Where the same bytes stand between those of another one, its
//! keys need not be read, nor looked at for one that is there twice: only its values are.

use super::json::{Found, JSONB_TEXT_SURE, NoKeys, Reader, Watch};
use crate::model::bounds::{
    JSON_SKELETON_BYTES_MAX, JSON_SKELETON_COST, JSON_SKELETON_CREDIT_MAX, JSON_SKELETON_HIT, JSON_SKELETON_VALUES_MAX,
    JSON_SKELETONS_MAX,
};

/// What stands between the values of an object in which no key is twice.
#[derive(Debug, Clone)]
struct Skeleton {
    /// The bytes before each value and behind the last one, one after another.
    between: Vec<u8>,
    /// For each value: where the bytes before it end, and how many objects are around it.
    values: Vec<(usize, usize)>,
}

/// The last skeletons that documents had, and what is known of their use.
#[derive(Debug, Clone)]
pub(super) struct Skeletons {
    // The one that fitted last is the first to be tried.
    all: Vec<Skeleton>,
    // Documents in a row that fitted none.
    strangers: u32,
    // Learning is paid from this: documents that fit pay in, and a little those that do not.
    credit: u32,
}

impl Default for Skeletons {
    fn default() -> Self {
        Self { all: Vec::new(), strangers: 0, credit: JSON_SKELETON_CREDIT_MAX }
    }
}

impl Skeletons {
    /// What a text holds that fits one of them; `keys` are told of objects within arrays alone. None where none fits, or
    /// after many that fitted none: the text is then to be read as if nothing had been known.
    #[inline]
    pub(super) fn read(&mut self, text: &[u8], keys: &mut impl Watch) -> Option<Found> {
        const TRIED: u32 = 64;
        let is_rare = self.strangers >= TRIED && !self.strangers.is_multiple_of(TRIED);
        if self.all.is_empty() || is_rare || text.len() > JSONB_TEXT_SURE {
            return None;
        }
        let (at, found) = self.all.iter().enumerate().find_map(|(at, known)| Some((at, known.read(text, keys)?)))?;
        self.all.swap(0, at);
        self.strangers = 0;
        self.credit = JSON_SKELETON_CREDIT_MAX.min(self.credit + JSON_SKELETON_HIT);
        Some(found)
    }

    /// Is told of an object that fitted none and holds no key twice.
    #[inline]
    pub(super) fn meet(&mut self, text: &[u8]) {
        self.strangers = self.strangers.wrapping_add(1);
        self.credit += 1;
        if self.credit >= JSON_SKELETON_COST {
            self.learn(text);
        }
    }

    #[cold]
    fn learn(&mut self, text: &[u8]) {
        self.credit -= JSON_SKELETON_COST;
        if let Some(skeleton) = Skeleton::of(text) {
            self.strangers = 0;
            self.all.truncate(JSON_SKELETONS_MAX - 1);
            self.all.push(skeleton);
            let last = self.all.len() - 1;
            self.all.swap(0, last);
        }
    }
}

impl Skeleton {
    fn of(text: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(text);
        let (mut between, mut values) = (Vec::new(), Vec::new());
        let (mut depth, mut from) = (0, 0);
        loop {
            match reader.skip_blanks()? {
                b'{' => {
                    reader.at += 1;
                    depth += 1;
                }
                b',' => reader.at += 1,
                b'}' => {
                    reader.at += 1;
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                // A key, and its value, if that is no object.
                _ => {
                    reader.key(&mut NoKeys).ok()?;
                    if reader.skip_blanks()? == b'{' {
                        continue;
                    }
                    between.extend_from_slice(&text[from..reader.at]);
                    values.push((between.len(), depth));
                    reader.value(depth, &mut NoKeys).ok()?;
                    from = reader.at;
                }
            }
        }
        between.extend_from_slice(&text[from..]);
        let is_small = between.len() <= JSON_SKELETON_BYTES_MAX && values.len() <= JSON_SKELETON_VALUES_MAX;
        is_small.then_some(Self { between, values })
    }

    #[inline]
    fn read(&self, text: &[u8], keys: &mut impl Watch) -> Option<Found> {
        let mut reader = Reader::new(text);
        let mut from = 0;
        for &(end, depth) in &self.values {
            reader.bytes(&self.between[from..end])?;
            reader.value(depth, keys).ok()?;
            from = end;
        }
        (text[reader.at..] == self.between[from..]).then_some(Found { is_scalar: false, is_jsonb: reader.is_jsonb })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::json::Memory;

    fn known(text: &str) -> Skeletons {
        let mut skeletons = Skeletons::default();
        skeletons.meet(text.as_bytes());
        skeletons
    }

    fn fits(skeletons: &mut Skeletons, text: &str) -> Option<bool> {
        skeletons.read(text.as_bytes(), &mut NoKeys).map(|found| found.is_jsonb)
    }

    #[test]
    fn a_document_with_the_same_keys_fits_and_no_other_does() {
        let mut skeletons = known(r#" {"b": 1, "a":{"c":"x","d":{}},"e":[]} "#);
        for alike in [
            r#" {"b": {"b":2}, "a":{"c":[1,{"a":null}],"d":{}},"e":-0.5e3} "#,
            r#" {"b": "", "a":{"c":true,"d":{}},"e":"\"}"} "#,
        ] {
            assert_eq!(fits(&mut skeletons, alike), Some(true), "{alike}");
        }
        for other in [
            r#" {"b": 1, "a":{"c":"x","d":{}},"e":[]}"#,
            r#" {"b": 1, "a":{"c":"x","d":{}},"e":[]}  "#,
            r#" {"b": 1, "a":{"c":"x","d":{}},"e":[]} x"#,
            r#" {"b": 1,"a":{"c":"x","d":{}},"e":[]} "#,
            r#" {"b": 01, "a":{"c":"x","d":{}},"e":[]} "#,
            r#" {"b": , "a":{"c":"x","d":{}},"e":[]} "#,
            r#" {"b": 1, "a":{"c":"x","d":{},"f":1},"e":[]} "#,
            r#" {"b": 1, "a":{"c":"x","d":{"f":1}},"e":[]} "#,
            r#" {"b": 1, "a":{"c":"x","d":{}},"e":[] "#,
            r#" {"b": 1, "a":{"c":"x","d":{}},"e":"#,
            "",
        ] {
            assert_eq!(fits(&mut skeletons, other), None, "{other}");
        }
        let beyond = r#" {"b": "\u0000", "a":{"c":1e200000,"d":{}},"e":[]} "#;
        assert_eq!(fits(&mut skeletons, beyond), Some(false));
    }

    #[test]
    fn depth_is_counted_from_the_outermost() {
        let nested = |depth: usize| format!(r#"{{"a":{{"b":{}{}}}}}"#, "[".repeat(depth), "]".repeat(depth));
        let mut skeletons = known(&nested(0).replace(":}", ":1}"));
        assert_eq!(fits(&mut skeletons, &nested(510)), Some(true));
        assert_eq!(fits(&mut skeletons, &nested(511)), None);
    }

    #[test]
    fn what_no_document_fits_is_learned_seldom() {
        let mut skeletons = Skeletons::default();
        for n in 0..10_000 {
            let text = format!(r#"{{"k{n}":1}}"#);
            assert_eq!(fits(&mut skeletons, &text), None);
            skeletons.meet(text.as_bytes());
        }
        assert!(skeletons.all.len() == JSON_SKELETONS_MAX && skeletons.credit < JSON_SKELETON_COST);
        let large = format!("{{{}}}", (0..2000).map(|n| format!(r#""{n}":1"#)).collect::<Vec<_>>().join(","));
        assert!(known(&large).all.is_empty());
    }

    #[test]
    fn what_a_column_was_used_to_does_not_change_what_is_found() {
        let texts =
            [r#"{"a":1,"b":2}"#, r#"{"a":1,"a":2}"#, r#"{"a":[{"x":1,"x":2}],"b":2}"#, r#"{"a":{"b":1},"b":2}"#];
        let mut memory = Memory::default();
        let found = |memory: &mut Memory, text: &str| {
            let mut out = Vec::new();
            let cell = crate::model::cell::Cell::Text(text.as_bytes());
            super::super::json::write_jsonb(cell, false, memory, &mut out)
        };
        for _ in 0..3 {
            for text in texts {
                assert_eq!(found(&mut memory, text), found(&mut Memory::default(), text), "{text}");
            }
        }
    }
}
