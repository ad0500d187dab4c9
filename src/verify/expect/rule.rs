//! One column's rule, made ready: which reading a cell gets.

use super::json::Documents;
use super::moment::Moments;
use super::text::Texts;
use super::{boolean, decimal, id, iso, list, uuid, written};
use crate::error::Result;
use crate::model::cell::Cell;
use crate::model::conversion::{Conversion, UuidSpelling};
use crate::model::pg_type::Element;
use crate::model::plan::ColumnPlan;
use crate::verify::form::Form;

#[derive(Debug)]
pub(super) enum Rule {
    Bool,
    Int { least: i64, most: i64 },
    Whole { least: i64, most: i64 },
    Float8,
    Float4,
    Numeric { limit: Option<(u16, u16)>, text: bool },
    Text(Texts),
    Cast(Texts),
    SplitCast(String),
    Bytea { all_classes: bool },
    Uuid(UuidSpelling),
    Id(id::Ids),
    Label(Vec<String>),
    List(Element, Option<String>),
    Jsonb { scalars: bool },
    Json,
    Date,
    Time,
    Moment(Moments),
}

/// Memory that cells share.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    json: Documents,
    list: Form,
}

impl Rule {
    pub(super) fn of(column: &ColumnPlan) -> Result<Self> {
        Ok(match &column.conversion {
            Conversion::Bool => Self::Bool,
            Conversion::Int { bytes } => {
                let (least, most) = ends(*bytes);
                Self::Int { least, most }
            }
            Conversion::Whole { bytes } => {
                let (least, most) = ends(*bytes);
                Self::Whole { least, most }
            }
            Conversion::Float8 => Self::Float8,
            Conversion::Float4 => Self::Float4,
            Conversion::Numeric { limit, text } => Self::Numeric { limit: *limit, text: *text },
            Conversion::Text { numbers, chars_max } => Self::Text(Texts::of(column, *numbers, *chars_max)),
            Conversion::Cast { numbers, split: None, .. } => Self::Cast(Texts::of(column, *numbers, None)),
            Conversion::Cast { split: Some(by), .. } => Self::SplitCast(by.clone()),
            Conversion::Bytea { all_classes } => Self::Bytea { all_classes: *all_classes },
            Conversion::Uuid(spelling) => Self::Uuid(*spelling),
            Conversion::Id { namespace, version, .. } => Self::Id(id::Ids::of(*namespace, *version)),
            Conversion::Label { labels } => Self::Label(labels.clone()),
            Conversion::Array { element, split } => Self::List(*element, split.clone()),
            Conversion::Jsonb { scalars } => Self::Jsonb { scalars: *scalars },
            Conversion::Json => Self::Json,
            Conversion::Date => Self::Date,
            Conversion::Time => Self::Time,
            Conversion::Moment { form, naive, target_has_zone, spelled, digits } => {
                Self::Moment(Moments::of(*form, naive, *target_has_zone, spelled.as_deref(), *digits)?)
            }
        })
    }

    /// The text that PostgreSQL is to cast, where that is this column's rule and the rule takes the cell.
    pub(super) fn text_to_cast<'a>(&self, cell: Cell<'a>, scratch: &'a mut Scratch) -> Option<&'a [u8]> {
        match (self, cell) {
            (Self::Cast(texts), cell) => texts.read(cell, &mut scratch.bytes),
            (Self::SplitCast(by), Cell::Text(text)) => list::spelled(text, by, &mut scratch.bytes),
            _ => None,
        }
    }

    /// Appends the value and gives `Some`, or appends nothing where the rule does not take the cell.
    #[inline]
    pub(super) fn read(&self, cell: Cell<'_>, scratch: &mut Scratch, form: &mut Form) -> Option<()> {
        match (self, cell) {
            (Self::Text(texts), cell) => form.text(texts.read(cell, &mut scratch.bytes)?),
            (Self::Int { least, most }, Cell::Integer(n)) if (*least..=*most).contains(&n) => form.int(n),
            (Self::Whole { least, most }, cell) => form.int(whole(cell).filter(|n| (*least..=*most).contains(n))?),
            (Self::Float8, cell) => form.float(double(cell)?),
            (Self::Float4, cell) => form.float(double(cell).filter(|x| f64::from(*x as f32).to_bits() == x.to_bits())?),
            (Self::Uuid(spelling), Cell::Text(text)) => form.uuid(uuid::read(text, *spelling)?),
            (Self::Id(ids), cell) => form.uuid(ids.read(cell)?),
            (Self::Label(labels), Cell::Text(text)) => {
                form.text(labels.iter().find(|label| label.as_bytes() == text)?.as_bytes());
            }
            (Self::List(element, split), Cell::Text(text)) => {
                list::read(text, *element, split.as_deref(), &mut scratch.list)?;
                form.list(&scratch.list);
            }
            (Self::Jsonb { scalars }, Cell::Text(text)) => form.jsonb(scratch.json.print(text, *scalars)?),
            (Self::Json, Cell::Text(text)) => form.json(scratch.json.check(text)?),
            (Self::Moment(moments), cell) => moments.read(cell)?.append_to(form),
            (Self::Date, Cell::Text(text)) => form.date(iso::date(text)?),
            (Self::Time, Cell::Text(text)) => form.time(iso::time(text)?),
            (Self::Bool, cell) => form.bool(boolean::read(cell)?),
            (Self::Numeric { limit, text }, cell) => {
                form.numeric(decimal::read(cell, *text, *limit, &mut scratch.bytes)?);
            }
            (Self::Bytea { .. }, Cell::Blob(bytes)) | (Self::Bytea { all_classes: true }, Cell::Text(bytes)) => {
                form.blob(bytes);
            }
            (Self::Bytea { all_classes: true }, number) => form.blob(written::out(number, &mut scratch.bytes)?),
            _ => return None,
        }
        Some(())
    }
}

/// The least and the most integer of so many bytes.
fn ends(bytes: u8) -> (i64, i64) {
    match bytes {
        2 => (i16::MIN.into(), i16::MAX.into()),
        4 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

/// An integer in any class: a REAL that comes back from one, a TEXT that Rust's own grammar of integers takes.
fn whole(cell: Cell<'_>) -> Option<i64> {
    match cell {
        Cell::Integer(n) => Some(n),
        Cell::Real(x) => Some(x as i128)
            .filter(|n| (*n as f64).total_cmp(&x).is_eq() || x == 0.0)
            .and_then(|n| i64::try_from(n).ok()),
        Cell::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

/// A REAL, or an INTEGER that a double holds exactly.
fn double(cell: Cell<'_>) -> Option<f64> {
    match cell {
        Cell::Real(x) => Some(x),
        // The way back in 128 bits: 2^63 as a double is no i64, and `as i64` would hide that.
        Cell::Integer(n) => Some(n as f64).filter(|x| *x as i128 == i128::from(n)),
        _ => None,
    }
}
