//! Arrays: JSON lists, PostgreSQL's own `{a,b}`, and values between separators.

use super::{literal, uuid};
use crate::model::cell::Cell;
use crate::model::conversion::{Fit, Misfit, Rewrite, UuidSpelling};
use crate::model::pg_type::Element;
use crate::postgres::encode::{self, array::Array};
use serde::de::{DeserializeSeed, Deserializer as _, Error, SeqAccess, Visitor};
use std::fmt;

pub(super) fn write(cell: Cell<'_>, element: Element, split: Option<&str>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    let Cell::Text(bytes) = cell else { return Err(Misfit::Class) };
    let text = std::str::from_utf8(bytes).map_err(|_| Misfit::NotList)?;
    let start = out.len();
    let mut array = encode::array::begin(element, out);
    let written = match split {
        Some(by) => between(text, by, element, &mut array, out),
        // No list in JSON begins so.
        None if text.trim_start().starts_with('{') => spelled(text, element, &mut array, out),
        None => listed(text, element, &mut array, out),
    };
    if written.is_none() {
        out.truncate(start);
        return Err(Misfit::NotList);
    }
    array.end(out);
    // Short elements take more bytes in an array than in its text.
    if out.len() - start > encode::FIELD_BYTES_MAX {
        out.truncate(start);
        return Err(Misfit::TooLong);
    }
    Ok(Fit::Rewritten(Rewrite::ListAsArray))
}

/// Values between separators as the array's text in PostgreSQL's own spelling, which it casts itself.
pub(super) fn write_spelled(cell: Cell<'_>, by: &str, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    let Cell::Text(bytes) = cell else { return Err(Misfit::Class) };
    let text = std::str::from_utf8(bytes).ok().filter(|_| memchr::memchr(0, bytes).is_none());
    let text = text.ok_or(Misfit::NotList)?;
    let start = out.len();
    encode::length(0, out);
    out.push(b'{');
    for (i, part) in text.split(by).filter(|_| !text.is_empty()).enumerate() {
        out.extend_from_slice(if i == 0 { b"\"" } else { b",\"" });
        for byte in part.bytes() {
            out.extend(matches!(byte, b'"' | b'\\').then_some(b'\\'));
            out.push(byte);
        }
        out.push(b'"');
    }
    out.push(b'}');
    let length = out.len() - start - 4;
    if length > encode::FIELD_BYTES_MAX {
        out.truncate(start);
        return Err(Misfit::TooLong);
    }
    out[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(Fit::Rewritten(Rewrite::ListAsArray))
}

fn between(text: &str, by: &str, element: Element, array: &mut Array, out: &mut Vec<u8>) -> Option<()> {
    if text.is_empty() {
        return Some(());
    }
    for part in text.split(by) {
        match element {
            Element::Text => text_element(part, out)?,
            Element::Uuid => encode::uuid(uuid::parse(part.as_bytes(), UuidSpelling::Any)?, out),
            Element::Bool => match part {
                "true" => encode::boolean(true, out),
                "false" => encode::boolean(false, out),
                _ => return None,
            },
            // Rust takes a plus, too.
            Element::Int4 | Element::Int8 if part.starts_with('+') => return None,
            Element::Int4 | Element::Int8 => integer(part.parse().ok()?, element, out)?,
        }
        array.counted(false);
    }
    Some(())
}

// As the type's own input function reads an element (`boolin`, `pg_strtoint32`, `uuid_in`): blanks count in text only.
fn spelled(text: &str, element: Element, array: &mut Array, out: &mut Vec<u8>) -> Option<()> {
    literal::elements(text, |value| {
        match (value, element) {
            (None, _) => encode::null(out),
            (Some(value), Element::Text) => text_element(value, out)?,
            (Some(value), Element::Uuid) => encode::uuid(uuid::parse(value.as_bytes(), UuidSpelling::Any)?, out),
            (Some(value), Element::Bool) => encode::boolean(truth(value.trim_matches(BLANKS))?, out),
            (Some(value), Element::Int4 | Element::Int8) => {
                integer(value.trim_matches(BLANKS).parse().ok()?, element, out)?;
            }
        }
        array.counted(value.is_none());
        Some(())
    })
}

// What `isspace` takes for a blank in the C locale.
const BLANKS: [char; 6] = [' ', '\t', '\n', '\r', '\u{b}', '\u{c}'];

// A word of which as much is there as tells it from the other.
fn truth(word: &str) -> Option<bool> {
    let begins = |whole: &str, least: usize| {
        word.len() >= least && whole.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
    };
    let is = |(whole, least)| begins(whole, least);
    let yes = [("true", 1), ("yes", 1), ("on", 2), ("1", 1)].into_iter().any(is);
    (yes || [("false", 1), ("no", 1), ("off", 2), ("0", 1)].into_iter().any(is)).then_some(yes)
}

fn text_element(text: &str, out: &mut Vec<u8>) -> Option<()> {
    memchr::memchr(0, text.as_bytes()).is_none().then(|| encode::text(text.as_bytes(), out))
}

fn integer(number: i64, element: Element, out: &mut Vec<u8>) -> Option<()> {
    match element {
        Element::Int8 => encode::int8(number, out),
        _ => encode::int4(i32::try_from(number).ok()?, out),
    }
    Some(())
}

fn listed(text: &str, element: Element, array: &mut Array, out: &mut Vec<u8>) -> Option<()> {
    let mut json = serde_json::Deserializer::from_str(text);
    json.deserialize_seq(List { element, array, out }).and_then(|()| json.end()).ok()
}

struct List<'a> {
    element: Element,
    array: &'a mut Array,
    out: &'a mut Vec<u8>,
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(is_null) = list.next_element_seed(Item { element: self.element, out: self.out })? {
            self.array.counted(is_null);
        }
        Ok(())
    }
}

// One value of a list; true where it is null.
struct Item<'a> {
    element: Element,
    out: &'a mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_any(self)
    }
}

impl Visitor<'_> for Item<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the array's type")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        encode::null(self.out);
        Ok(true)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        if self.element != Element::Bool {
            return Err(E::custom("a boolean"));
        }
        encode::boolean(value, self.out);
        Ok(false)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<bool, E> {
        if !matches!(self.element, Element::Int4 | Element::Int8) {
            return Err(E::custom("a number"));
        }
        integer(number, self.element, self.out).map(|()| false).ok_or_else(|| E::custom("beyond the width"))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<bool, E> {
        self.visit_i64(i64::try_from(number).map_err(E::custom)?)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        let written = match self.element {
            Element::Text => text_element(text, self.out),
            Element::Uuid => uuid::parse(text.as_bytes(), UuidSpelling::Any).map(|uuid| encode::uuid(uuid, self.out)),
            _ => None,
        };
        written.map(|()| false).ok_or_else(|| E::custom("a text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversion::Conversion;
    use crate::transform::tests::check;

    fn texts(split: Option<&str>) -> Conversion {
        Conversion::Array { element: Element::Text, split: split.map(str::to_owned) }
    }

    #[test]
    fn a_list_is_an_array_of_one_dimension_and_an_empty_one_has_none() {
        let fit = Fit::Rewritten(Rewrite::ListAsArray);
        let two = [&b"\0\0\0\x01\0\0\0\x01\0\0\0\x19\0\0\0\x02\0\0\0\x01"[..], &b"\0\0\0\x02a,\xff\xff\xff\xff"[..]];
        check(&texts(None), Cell::Text(b" [\"a,\", null] "), Ok((fit, &two.concat())));
        let none = b"\0\0\0\0\0\0\0\0\0\0\0\x19";
        check(&texts(None), Cell::Text(b"[]"), Ok((fit, none)));
        check(&texts(Some(",")), Cell::Text(b""), Ok((fit, none)));
    }

    #[test]
    fn what_is_no_list_of_such_values_misfits() {
        let wrong = [
            "",
            "a",
            "{a",
            "{{a}}",
            "[0:0]={a}",
            "[1]",
            "[true]",
            "[[]]",
            "[\"a\"",
            "[\"a\"] x",
            "null",
            "[\"a\",]",
            "[,]",
        ];
        for text in wrong.into_iter().chain(["[\"\\u0000\"]", "[\"\\ud800\"]", "[\"a\" \"b\"]"]) {
            check(&texts(None), Cell::Text(text.as_bytes()), Err(Misfit::NotList));
        }
        let numbers = Conversion::Array { element: Element::Int4, split: None };
        for text in ["[1.0]", "[2147483648]", "[1e0]", "[\"1\"]", "[18446744073709551616]", "[01]"] {
            check(&numbers, Cell::Text(text.as_bytes()), Err(Misfit::NotList));
        }
        let numbers = Conversion::Array { element: Element::Int4, split: Some(";".to_owned()) };
        for text in ["1; 2", "+1", "1;", "-", "--1"] {
            check(&numbers, Cell::Text(text.as_bytes()), Err(Misfit::NotList));
        }
        check(&texts(None), Cell::Blob(b"[]"), Err(Misfit::Class));
    }
}
