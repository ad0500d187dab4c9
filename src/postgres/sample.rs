//! Rows of the source in their raw text, which PostgreSQL reads itself and compares with the rows that were loaded.
//!
//! Owns the SQL. A raw cell is text: a letter for its storage class, then its value as SQLite would write it. Which cells
//! are sent, and that only those are which the SQL below can state, is the verifier's business.

use super::cast;
use super::read::Moment;
use super::session::{Session, Transaction};
use super::{is_answer, scratch};
use crate::error::Result;
use crate::model::conversion::{Conversion, EpochUnit, MomentForm, Naive};
use crate::model::name::{literal, qualified, quoted};
use crate::model::pg_type::PgType;
use crate::model::plan::ColumnPlan;
use bytes::Bytes;

/// NULL.
pub const NULL: u8 = b'n';
/// An INTEGER or REAL in decimal.
pub const NUMBER: u8 = b'd';
/// A TEXT.
pub const TEXT: u8 = b't';
/// A BLOB in hexadecimal.
pub const BLOB: u8 = b'b';
/// A cell that is not compared.
pub const SKIPPED: u8 = b's';

/// Raw rows of one table.
#[derive(Debug)]
pub struct Sample<'a> {
    /// The table's schema.
    pub schema: &'a str,
    /// The table.
    pub table: &'a str,
    /// The columns that are compared.
    pub columns: &'a [&'a ColumnPlan],
    /// The positions among them of the columns that tell rows apart. Their cells are neither NULL nor skipped.
    pub key: &'a [usize],
    /// The zone of times that state none.
    pub zone: &'a str,
    /// The cells, each with its letter.
    pub rows: &'a [Vec<Option<Vec<u8>>>],
}

/// What the server found.
#[derive(Debug)]
pub enum Found {
    /// Rows that are not there, and for each column the cells that PostgreSQL reads otherwise.
    Cells(u64, Vec<u64>),
    /// It refuses to read a cell, for this SQLSTATE.
    Unreadable(String),
    /// It refuses the comparison itself, in its words.
    Refused(String),
}

const RAW: &str = "lite2pg_raw";

/// Compares the rows with those of that moment. Nothing of it stays.
pub fn compare(session: &mut Session, moment: &Moment, sample: &Sample<'_>) -> Result<Found> {
    let refused = |e: &crate::Error| Found::Refused(e.message().to_owned());
    let tx = match begin(session, moment, sample) {
        Err(e) if is_answer(&e) => return Ok(refused(&e)),
        tx => tx?,
    };
    let mut copy = tx.copy_in(&format!("COPY {} FROM STDIN (FORMAT binary)", qualified(scratch::SCHEMA, RAW)))?;
    copy.send(Bytes::from(scratch::stream(sample.rows)))?;
    copy.finish()?;
    match tx.query_one(&question(sample), &[]) {
        Err(e) if is_answer(&e) => Ok(Found::Unreadable(e.sqlstate().unwrap_or("no SQLSTATE").to_owned())),
        row => {
            let row = row?;
            let count = |i: usize| row.get::<_, i64>(i) as u64;
            Ok(Found::Cells(count(0), (1..=sample.columns.len()).map(count).collect()))
        }
    }
}

fn begin<'a>(session: &'a mut Session, moment: &Moment, sample: &Sample<'_>) -> Result<Transaction<'a>> {
    let tx = moment.begin_to_write(session)?;
    let columns: Vec<String> = (0..sample.columns.len()).map(|i| format!("c{i} text")).collect();
    tx.batch(&format!(
        "SET LOCAL timezone = {}; SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL bytea_output = 'hex'; \
         CREATE TEMP TABLE {} ({}) ON COMMIT DROP",
        literal(sample.zone),
        quoted(RAW),
        columns.join(", ")
    ))?;
    Ok(tx)
}

fn question(sample: &Sample<'_>) -> String {
    let column = |i: usize| format!("t.{}", quoted(&sample.columns[i].target));
    // The columns of the key are NULL where no row was found, and nowhere else. A system column would do too, but to read
    // one takes more than rights on the columns that are compared.
    let found = column(sample.key[0]);
    let mut list = vec![format!("count(*) FILTER (WHERE {found} IS NULL)")];
    for (i, plan) in sample.columns.iter().enumerate() {
        let Some((there, here)) = readings(&column(i), &format!("substr(r.c{i}, 2)"), &format!("r.c{i}"), plan) else {
            list.push("0::int8".to_owned());
            continue;
        };
        // CASE looks at the letter before anything is cast.
        list.push(format!(
            "count(*) FILTER (WHERE {found} IS NOT NULL AND CASE left(r.c{i}, 1) WHEN 's' THEN false \
             WHEN 'n' THEN {} IS NOT NULL ELSE {there} IS DISTINCT FROM {here} END)",
            column(i)
        ));
    }
    let key = |&i: &usize| {
        let value = key_value(&format!("substr(r.c{i}, 2)"), &format!("r.c{i}"), sample.columns[i]);
        format!("{} = {value}", column(i))
    };
    let keys: Vec<String> = sample.key.iter().map(key).collect();
    format!(
        "SELECT {} FROM {} r LEFT JOIN {} t ON {}",
        list.join(", "),
        qualified(scratch::SCHEMA, RAW),
        qualified(sample.schema, sample.table),
        keys.join(" AND ")
    )
}

// A key's value in the column's own type, so that its index can be used.
fn key_value(raw: &str, cell: &str, column: &ColumnPlan) -> String {
    match &column.pg_type {
        PgType::Text | PgType::Varchar(_) => raw.to_owned(),
        PgType::Char(_) => format!("{raw}::bpchar"),
        PgType::TextLike(name) => format!("{raw}::{name}"),
        PgType::Cast(to) => format!("({})", cast::value(raw, to)),
        PgType::Float4 | PgType::Float8 => format!("{raw}::{}", column.pg_type),
        _ => readings("", raw, cell, column).map_or_else(|| raw.to_owned(), |(_, here)| here),
    }
}

/// Whether PostgreSQL can read cells of this column itself.
#[must_use]
pub fn reads(column: &ColumnPlan) -> bool {
    readings("", "", "", column).is_some()
}

// What is compared: the column's value, and the raw one as PostgreSQL reads it. Where `=` is blind for a difference (the
// sign of zero, digits of jsonb's numbers, letters under some collations), both as bytes or text.
fn readings(there: &str, raw: &str, cell: &str, column: &ColumnPlan) -> Option<(String, String)> {
    let there = there.to_owned();
    Some(match &column.conversion {
        Conversion::Bool => (there, format!("{raw}::boolean")),
        Conversion::Int { .. } | Conversion::Whole { .. } => (there, format!("{raw}::int8")),
        Conversion::Float8 | Conversion::Float4 => {
            (format!("float8send({there}::float8)"), format!("float8send({raw}::float8)"))
        }
        Conversion::Numeric { .. } => (there, format!("{raw}::numeric")),
        Conversion::Text { .. } if matches!(column.pg_type, PgType::Char(_)) => {
            (format!("rtrim({there}::text) COLLATE \"C\""), format!("rtrim({raw}) COLLATE \"C\""))
        }
        Conversion::Text { .. } | Conversion::Label { .. } | Conversion::Json => {
            (format!("{there}::text COLLATE \"C\""), format!("{raw} COLLATE \"C\""))
        }
        Conversion::Cast { split: None, .. } => {
            let cast = column.cast()?;
            (format!("{there}::text COLLATE \"C\""), format!("({}) COLLATE \"C\"", cast::printed_of(raw, cast)))
        }
        Conversion::Bytea { .. } => (
            there,
            format!("CASE left({cell}, 1) WHEN 'b' THEN decode({raw}, 'hex') ELSE convert_to({raw}, 'UTF8') END"),
        ),
        // The core of PostgreSQL makes no uuid of version 5, and no cast reads an array's text where that is a list in JSON, or
        // values between separators.
        Conversion::Id { .. } | Conversion::Array { .. } | Conversion::Cast { .. } => return None,
        Conversion::Uuid(_) => (there, format!("{raw}::uuid")),
        Conversion::Jsonb { .. } => (format!("{there}::text"), format!("{raw}::jsonb::text")),
        Conversion::Date => (there, format!("{raw}::date")),
        Conversion::Time => (there, format!("{raw}::time")),
        Conversion::Moment { form, naive, target_has_zone, .. } => {
            (there, moment(raw, *form, *target_has_zone, *naive == Naive::Utc)?)
        }
    })
}

fn moment(raw: &str, form: MomentForm, has_zone: bool, is_utc: bool) -> Option<String> {
    let unit = match form {
        MomentForm::Text { .. } if has_zone => return Some(format!("{raw}::timestamptz")),
        // `timestamp` passes over an offset without a word; the session's zone is UTC here.
        MomentForm::Text { .. } if is_utc => return Some(format!("({raw}::timestamptz AT TIME ZONE 'UTC')")),
        MomentForm::Text { .. } => return Some(format!("{raw}::timestamp")),
        MomentForm::JulianDay => return None,
        MomentForm::Epoch(unit) => unit,
    };
    let micros = match unit {
        EpochUnit::Seconds => format!("({raw}::int8 * 1000000)"),
        EpochUnit::Millis => format!("({raw}::int8 * 1000)"),
        EpochUnit::Micros => format!("({raw}::int8)"),
        EpochUnit::Nanos => format!("div({raw}::numeric, 1000)::int8"),
    };
    // to_timestamp() takes a double, and so does an interval's factor: a day's part fits one exactly.
    let clock = format!(
        "(timestamp 'epoch' + ({micros} / 86400000000) * interval '1 day' \
         + ({micros} % 86400000000) * interval '1 microsecond')"
    );
    Some(if has_zone { format!("({clock} AT TIME ZONE 'UTC')") } else { clock })
}
