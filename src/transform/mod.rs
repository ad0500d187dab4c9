//! A cell becomes a field of a binary COPY: the rules of [`Conversion`], carried out.
//!
//! Owns what the rules mean, down to the grammar of each text form. Knows neither tables nor connections, keeps
//! nothing from one cell to the next but a scratch buffer, and prints nothing: what happened to a cell is its
//! [`Fit`] or its [`Misfit`].

mod array;
mod boolean;
mod decimal;
mod id;
mod json;
mod keys;
mod label;
mod literal;
pub mod moment;
mod number;
mod skeleton;
mod text;
mod time;
mod uuid;

use crate::error::{Error, Kind, Result};
use crate::model::cell::Cell;
use crate::model::conversion::{Conversion, Fit, Misfit, Rewrite, UuidSpelling};
use crate::model::pg_type::Element;
use crate::postgres::encode;

/// A column's rule made ready: zones are looked up, and there is memory for JSON. One per lane and column.
#[derive(Debug, Clone)]
pub struct Compiled {
    rule: Rule,
    json: json::Memory,
}

#[derive(Debug, Clone)]
enum Rule {
    Bool,
    Int2,
    Int4,
    Int8,
    Whole { bytes: u8 },
    Float8,
    Float4,
    Numeric { limit: decimal::Limit, text: bool },
    Text { numbers: bool, chars_max: Option<u32> },
    Cast { numbers: bool },
    SplitCast(String),
    Bytea { all_classes: bool },
    Uuid(UuidSpelling),
    Id(id::Maker),
    Label(Vec<String>),
    Array(Element, Option<String>),
    Jsonb { scalars: bool },
    Json,
    Date,
    Time,
    Moment(moment::Rule),
}

impl Compiled {
    /// Makes a rule ready. Fails with [`Kind::Usage`] for a zone that this machine does not know, and for an
    /// integer width other than 2, 4 and 8.
    pub fn new(conversion: &Conversion) -> Result<Self> {
        let rule = match conversion {
            Conversion::Bool => Rule::Bool,
            Conversion::Int { bytes: 2 } => Rule::Int2,
            Conversion::Int { bytes: 4 } => Rule::Int4,
            Conversion::Int { bytes: 8 } => Rule::Int8,
            Conversion::Whole { bytes: bytes @ (2 | 4 | 8) } => Rule::Whole { bytes: *bytes },
            Conversion::Int { bytes } | Conversion::Whole { bytes } => {
                return Err(Error::new(Kind::Usage, format!("PostgreSQL has no integer of {bytes} bytes"))
                    .hint("state 2, 4 or 8"));
            }
            Conversion::Float8 => Rule::Float8,
            Conversion::Float4 => Rule::Float4,
            Conversion::Numeric { limit, text } => Rule::Numeric { limit: decimal::Limit::new(*limit), text: *text },
            Conversion::Text { numbers, chars_max } => Rule::Text { numbers: *numbers, chars_max: *chars_max },
            Conversion::Cast { numbers, split: None, .. } => Rule::Cast { numbers: *numbers },
            Conversion::Cast { split: Some(by), .. } => Rule::SplitCast(by.clone()),
            Conversion::Bytea { all_classes } => Rule::Bytea { all_classes: *all_classes },
            Conversion::Uuid(spelling) => Rule::Uuid(*spelling),
            Conversion::Id { namespace, version, .. } => Rule::Id(id::Maker::new(*namespace, *version)),
            Conversion::Label { labels } => Rule::Label(labels.clone()),
            Conversion::Array { element, split } => Rule::Array(*element, split.clone()),
            Conversion::Jsonb { scalars } => Rule::Jsonb { scalars: *scalars },
            Conversion::Json => Rule::Json,
            Conversion::Date => Rule::Date,
            Conversion::Time => Rule::Time,
            Conversion::Moment { form, naive, target_has_zone, spelled, digits } => {
                Rule::Moment(moment::Rule::new(*form, naive, *target_has_zone, spelled.as_deref(), *digits)?)
            }
        };
        Ok(Self { rule, json: json::Memory::default() })
    }

    /// The bytes of a cell whose field is nothing but its length and those bytes. Who writes a large cell asks
    /// first, so that it need not be copied whole; `None` sends it through [`Compiled::write`].
    #[must_use]
    pub fn verbatim<'a>(&self, cell: Cell<'a>) -> Option<(&'a [u8], Fit)> {
        let (bytes, fit) = match (&self.rule, cell) {
            (Rule::Text { chars_max: None, .. } | Rule::Cast { .. }, Cell::Text(bytes)) if text::is_clean(bytes) => {
                (bytes, Fit::Exact)
            }
            (Rule::Bytea { .. }, Cell::Blob(bytes)) => (bytes, Fit::Exact),
            (Rule::Bytea { all_classes: true }, Cell::Text(bytes)) => (bytes, Fit::Rewritten(Rewrite::TextAsBytes)),
            _ => return None,
        };
        (bytes.len() <= encode::FIELD_BYTES_MAX).then_some((bytes, fit))
    }

    /// Appends the cell's field to `out`: a length and a payload. On a misfit `out` is as it was.
    ///
    /// A cell larger than the server takes in one field ([`encode::FIELD_BYTES_MAX`]) is [`Misfit::TooLong`]
    /// under every rule.
    #[inline]
    pub fn write(&mut self, cell: Cell<'_>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
        if matches!(cell, Cell::Null) {
            encode::null(out);
            return Ok(Fit::Exact);
        }
        if cell.bytes() > encode::FIELD_BYTES_MAX {
            return Err(Misfit::TooLong);
        }
        match &self.rule {
            Rule::Bool => boolean::write(cell, out),
            Rule::Int2 => number::write_int2(cell, out),
            Rule::Int4 => number::write_int4(cell, out),
            Rule::Int8 => number::write_int8(cell, out),
            Rule::Whole { bytes } => number::write_whole(cell, *bytes, out),
            Rule::Float8 => number::write_float8(cell, out),
            Rule::Float4 => number::write_float4(cell, out),
            Rule::Numeric { limit, text } => decimal::write(cell, *limit, *text, out),
            Rule::Text { numbers, chars_max } => text::write(cell, *numbers, *chars_max, out),
            Rule::Cast { numbers } => text::write(cell, *numbers, None, out),
            Rule::SplitCast(by) => array::write_spelled(cell, by, out),
            Rule::Bytea { all_classes } => text::write_bytes(cell, *all_classes, out),
            Rule::Uuid(spelling) => uuid::write(cell, *spelling, out),
            Rule::Id(maker) => maker.write(cell, out),
            Rule::Label(labels) => label::write(cell, labels, out),
            Rule::Array(element, split) => array::write(cell, *element, split.as_deref(), out),
            Rule::Jsonb { scalars } => json::write_jsonb(cell, *scalars, &mut self.json, out),
            Rule::Json => json::write_json(cell, out),
            Rule::Date => time::write_date(cell, out),
            Rule::Time => time::write_time(cell, out),
            Rule::Moment(rule) => rule.write(cell, out),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::conversion::{EpochUnit, IdVersion, MomentForm, Naive};

    /// Checks one cell under one rule: the payload that was written, or the misfit and an untouched buffer.
    #[track_caller]
    pub(crate) fn check(conversion: &Conversion, cell: Cell<'_>, expect: Result<(Fit, &[u8]), Misfit>) {
        let mut compiled = Compiled::new(conversion).expect("the rule is sound");
        let mut out = b"before".to_vec();
        let fit = compiled.write(cell, &mut out);
        match expect {
            Ok((want, payload)) => {
                assert_eq!(fit, Ok(want), "{conversion:?} {cell:?}");
                let (length, written) = out[6..].split_at(4);
                assert_eq!(written, payload, "{conversion:?} {cell:?}");
                assert_eq!(length, (payload.len() as u32).to_be_bytes());
            }
            Err(misfit) => {
                assert_eq!(fit, Err(misfit), "{conversion:?} {cell:?}");
                assert_eq!(out, b"before");
            }
        }
    }

    fn every_rule() -> Vec<Conversion> {
        let moment =
            |form| Conversion::Moment { form, naive: Naive::Utc, target_has_zone: true, spelled: None, digits: 6 };
        let id = |version| Conversion::Id { map: "m".to_owned(), namespace: ::uuid::Uuid::NAMESPACE_URL, version };
        vec![
            Conversion::Bool,
            Conversion::Int { bytes: 2 },
            Conversion::Int { bytes: 4 },
            Conversion::Int { bytes: 8 },
            Conversion::Whole { bytes: 2 },
            Conversion::Whole { bytes: 8 },
            Conversion::Float8,
            Conversion::Float4,
            Conversion::Numeric { limit: Some((12, 2)), text: true },
            Conversion::Numeric { limit: None, text: true },
            Conversion::Text { numbers: true, chars_max: Some(3) },
            Conversion::Cast { numbers: true, split: None, zone: None },
            Conversion::Cast { numbers: false, split: Some(",".to_owned()), zone: None },
            Conversion::Bytea { all_classes: true },
            Conversion::Uuid(UuidSpelling::Hyphens),
            Conversion::Uuid(UuidSpelling::Any),
            id(IdVersion::V5),
            id(IdVersion::V4),
            id(IdVersion::V7 { millis: 1 }),
            Conversion::Label { labels: vec!["a".to_owned(), "b".to_owned()] },
            Conversion::Array { element: Element::Int4, split: None },
            Conversion::Array { element: Element::Text, split: Some(",".to_owned()) },
            Conversion::Jsonb { scalars: true },
            Conversion::Json,
            Conversion::Date,
            Conversion::Time,
            moment(MomentForm::Text { dates: true }),
            moment(MomentForm::Epoch(EpochUnit::Seconds)),
            moment(MomentForm::JulianDay),
        ]
    }

    #[test]
    fn null_is_null_under_every_rule() {
        for conversion in every_rule() {
            let mut out = Vec::new();
            assert_eq!(Compiled::new(&conversion).expect("sound").write(Cell::Null, &mut out), Ok(Fit::Exact));
            assert_eq!(out, b"\xff\xff\xff\xff");
        }
    }

    #[test]
    fn a_misfit_leaves_the_buffer_as_it_was_under_every_rule() {
        let cells = [
            Cell::Integer(i64::MIN),
            Cell::Real(f64::INFINITY),
            Cell::Real(f64::NAN),
            Cell::Real(1e300),
            Cell::Text(b""),
            Cell::Text(b"no such value \xff\0"),
            Cell::Text(b"{\"a\":1,"),
            Cell::Text(b"2024-02-30"),
            Cell::Blob(b"\0"),
        ];
        for conversion in every_rule() {
            let mut compiled = Compiled::new(&conversion).expect("sound");
            for cell in cells {
                let mut out = b"before".to_vec();
                if compiled.write(cell, &mut out).is_err() {
                    assert_eq!(out, b"before", "{conversion:?} {cell:?}");
                } else {
                    assert!(out.starts_with(b"before") && out.len() >= 10);
                }
            }
        }
    }

    #[test]
    fn unknown_zones_and_widths_are_usage_errors() {
        let moment = Conversion::Moment {
            form: MomentForm::Text { dates: false },
            naive: Naive::Zone("Mars/Olympus".to_owned()),
            target_has_zone: true,
            spelled: None,
            digits: 6,
        };
        for conversion in [moment, Conversion::Int { bytes: 3 }] {
            assert_eq!(Compiled::new(&conversion).expect_err("not sound").kind(), Kind::Usage);
        }
    }
}
