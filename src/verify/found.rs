//! What the target holds, read from the fields of a binary COPY by the column's type.

use super::form::{Form, Number};
use crate::error::{Error, Kind, Result};
use crate::model::pg_type::{Element, PgType};
use crate::model::plan::ColumnPlan;
use crate::postgres::decode::{self, Decimal, Fields, Numeric};

/// Reads the rows of one table.
#[derive(Debug)]
pub struct Finder {
    kinds: Vec<Field>,
    digits: Vec<u8>,
    list: Form,
}

/// How a field is read.
#[derive(Debug, Clone, Copy)]
enum Field {
    Bool,
    Int,
    Float,
    Numeric,
    Text,
    Bytes,
    Uuid,
    List(Element),
    Json,
    Jsonb,
    Date,
    Time,
    Timestamp,
    TimestampTz,
}

impl Finder {
    /// The columns in the order in which fields will come.
    pub fn new<'a>(columns: impl Iterator<Item = &'a ColumnPlan>) -> Self {
        Self { kinds: columns.map(|c| Field::of(&c.pg_type)).collect(), digits: Vec::new(), list: Form::default() }
    }

    /// Appends the fields of a row.
    #[inline]
    pub fn row(&mut self, mut fields: Fields<'_>, form: &mut Form) -> Result<()> {
        for i in 0..self.kinds.len() {
            let field = fields.next().ok_or_else(|| another_width(self.kinds.len()))?;
            self.field(i, field, form)?;
        }
        if fields.next().is_some() { Err(another_width(self.kinds.len())) } else { Ok(()) }
    }

    /// Appends what a field of this column holds.
    #[inline]
    pub fn field(&mut self, column: usize, field: Option<&[u8]>, form: &mut Form) -> Result<()> {
        let Some(field) = field else {
            form.null();
            return Ok(());
        };
        match self.kinds[column] {
            Field::Bool => form.bool(decode::bool(field)?),
            Field::Int => form.int(decode::int(field)?),
            Field::Float => form.float(decode::float(field)?),
            Field::Numeric => form.numeric(match Numeric::read(field, &mut self.digits)? {
                Numeric::Finite(Decimal { negative, digits, exponent }) => {
                    Number::Finite { negative, digits, exponent }
                }
                Numeric::NaN => Number::NaN,
                Numeric::Infinite { negative } => Number::Infinite { negative },
            }),
            Field::Text => form.text(field),
            Field::Bytes => form.blob(field),
            Field::Uuid => form.uuid(decode::fixed(field)?),
            Field::List(element) => list(field, element, &mut self.list, form)?,
            Field::Json => form.json(field),
            Field::Jsonb => form.jsonb(decode::jsonb(field)?),
            Field::Date => form.date(i32::from_be_bytes(decode::fixed(field)?)),
            Field::Time => form.time(i64::from_be_bytes(decode::fixed(field)?)),
            Field::Timestamp => form.timestamp(i64::from_be_bytes(decode::fixed(field)?)),
            Field::TimestampTz => form.timestamp_tz(i64::from_be_bytes(decode::fixed(field)?)),
        }
        Ok(())
    }
}

impl Field {
    fn of(pg_type: &PgType) -> Self {
        match pg_type {
            PgType::Bool => Self::Bool,
            PgType::Int2 | PgType::Int4 | PgType::Int8 => Self::Int,
            PgType::Float4 | PgType::Float8 => Self::Float,
            PgType::Numeric(_) => Self::Numeric,
            // Of a value that PostgreSQL casts, its text is read.
            PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::TextLike(_) | PgType::Cast(_) => Self::Text,
            PgType::Bytea => Self::Bytes,
            PgType::Uuid => Self::Uuid,
            PgType::Array(element) => Self::List(*element),
            PgType::Json => Self::Json,
            PgType::Jsonb => Self::Jsonb,
            PgType::Date => Self::Date,
            PgType::Time => Self::Time,
            PgType::Timestamp => Self::Timestamp,
            PgType::TimestampTz => Self::TimestampTz,
        }
    }
}

fn list(field: &[u8], element: Element, list: &mut Form, form: &mut Form) -> Result<()> {
    list.clear();
    let is_flat = decode::array::elements(field, |found| {
        match (found, element) {
            (None, _) => list.null(),
            (Some(field), Element::Bool) => list.bool(decode::bool(field)?),
            (Some(field), Element::Int4 | Element::Int8) => list.int(decode::int(field)?),
            (Some(field), Element::Text) => list.text(field),
            (Some(field), Element::Uuid) => list.uuid(decode::fixed(field)?),
        }
        Ok(())
    })?;
    // A table of values is no list: it equals none.
    if is_flat {
        form.list(list);
    } else {
        form.blob(field);
    }
    Ok(())
}

#[cold]
fn another_width(columns: usize) -> Error {
    Error::new(Kind::Bug, format!("the server sent a row that has not {columns} fields"))
        .hint("this is a fault of lite2pg; please report it")
}
