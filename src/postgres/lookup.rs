//! Rows of a table by their keys.
//!
//! Owns the SQL. Which keys are looked up, and what the rows must hold, is the verifier's business.

use super::read::copy_query_out;
use crate::model::name::{literal, qualified, quoted};
use crate::model::pg_type::PgType;
use crate::model::plan::TablePlan;
use std::fmt::Write as _;

/// A cell of a key. Each is written wide enough that no cast can fail, whatever the column's own width is.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyCell {
    /// True or false.
    Bool(bool),
    /// An integer of any width.
    Int(i64),
    /// A float of any width.
    Float(f64),
    /// A decimal as `numeric` reads it.
    Decimal(String),
    /// Text of any kind, `json` and `jsonb`.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A uuid as PostgreSQL reads it.
    Uuid(String),
    /// Days since 2000-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 2000-01-01 00:00, in UTC where the column knows zones.
    Timestamp(i64),
}

/// The statement that sends the compared columns of all rows with one of these keys, each row once.
#[must_use]
pub fn copy_out(schema: &str, table: &TablePlan, key: &[(&str, &PgType)], keys: &[Vec<KeyCell>]) -> String {
    let columns: Vec<String> = super::read::compared(table).collect();
    let from = qualified(schema, &table.target);
    copy_query_out(&format!("SELECT {} FROM {from} WHERE {}", columns.join(", "), has_key(key, keys)))
}

fn has_key(key: &[(&str, &PgType)], keys: &[Vec<KeyCell>]) -> String {
    let wanted: Vec<String> = key.iter().map(|(name, pg_type)| column(&quoted(name), pg_type)).collect();
    let row = |cells: &Vec<KeyCell>| {
        let cells: Vec<String> = cells.iter().zip(key).map(|(cell, (_, pg_type))| value(cell, pg_type)).collect();
        format!("({})", cells.join(", "))
    };
    let rows: Vec<String> = keys.iter().map(row).collect();
    format!("({}) IN (VALUES {})", wanted.join(", "), rows.join(", "))
}

// What is compared with a key's cell. A label that an enum does not know is no error as text, and `json` has no `=`.
pub(super) fn column(name: &str, pg_type: &PgType) -> String {
    match pg_type {
        PgType::TextLike(_) | PgType::Json | PgType::Cast(_) => format!("{name}::text"),
        _ => name.to_owned(),
    }
}

pub(super) fn value(cell: &KeyCell, pg_type: &PgType) -> String {
    const DAY: i64 = 86_400_000_000;
    match cell {
        KeyCell::Bool(value) => value.to_string(),
        KeyCell::Int(number) => format!("'{number}'::int8"),
        KeyCell::Float(number) if number.is_infinite() => {
            format!("'{}Infinity'::float8", if *number < 0.0 { "-" } else { "" })
        }
        KeyCell::Float(number) => format!("'{number:?}'::float8"),
        KeyCell::Decimal(number) => format!("'{number}'::numeric"),
        KeyCell::Text(text) => match pg_type {
            PgType::Char(_) => format!("{}::bpchar", literal(text)),
            PgType::Jsonb => format!("{}::jsonb", literal(text)),
            _ => format!("{}::text", literal(text)),
        },
        KeyCell::Bytes(bytes) => {
            let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            format!("decode('{hex}', 'hex')")
        }
        KeyCell::Uuid(text) => format!("{}::uuid", literal(text)),
        KeyCell::Date(days) => format!("('2000-01-01'::date + {days}::int4)"),
        KeyCell::Time(micros) => format!("('00:00'::time + {micros} * interval '1 microsecond')"),
        // An interval's factor is a double: a day's part fits one exactly, all of it may not.
        KeyCell::Timestamp(micros) => {
            let (days, micros) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
            let clock =
                format!("('2000-01-01'::timestamp + {days} * interval '1 day' + {micros} * interval '1 microsecond')");
            if *pg_type == PgType::TimestampTz { format!("({clock} AT TIME ZONE 'UTC')") } else { clock }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_quoted_and_typed() {
        let sql = has_key(
            &[("b\"", &PgType::Varchar(3)), ("n", &PgType::Int2)],
            &[vec![KeyCell::Text("it's \\".into()), KeyCell::Int(70_000)]],
        );
        assert_eq!(sql, "(\"b\"\"\", \"n\") IN (VALUES (E'it''s \\\\'::text, '70000'::int8))");
    }
}
