//! A scratch copy of a few rows of a table, in which values may be changed: it is gone with its transaction.
//!
//! Owns the SQL. Which change is made when, and what must come of it, is the verifier's business.

use super::cast;
use super::encode;
use super::session::Transaction;
use super::{is_answer, is_answer_of_a_type, read};
use crate::error::Result;
use crate::model::bounds::{PLANTED_CELL_BYTES_MAX, PLANTED_ROWS, PLANTED_ROWS_LOOKED_AT};
use crate::model::name::{qualified, quoted};
use crate::model::pg_type::PgType;
use crate::model::plan::ColumnPlan;

/// The name of the copy; its schema is `pg_temp`.
pub const TABLE: &str = "lite2pg_scratch";
/// The schema that a session's temporary tables are in.
pub const SCHEMA: &str = "pg_temp";

/// Begins a transaction that may create a scratch copy, whatever the role's default is.
pub const BEGIN: &str = "BEGIN READ WRITE";

const SAVEPOINT: &str = "lite2pg_planted";

/// Rows that are copied: their number in the first column, then the columns asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The table's schema.
    pub schema: &'a str,
    /// The table.
    pub table: &'a str,
    /// The name of the column with the row's number; none of the table's.
    pub number: &'a str,
    /// The table's columns.
    pub columns: &'a [&'a ColumnPlan],
}

impl Wanted<'_> {
    // Rows without large cells where there are some: the copy is read a few dozen times.
    // A copy holds values as they are, and what is sent of it is read as the table is.
    fn select(self, is_read: bool, of_any_size: bool) -> String {
        let columns: Vec<String> = self.columns.iter().map(|c| quoted(&c.target)).collect();
        let read =
            self.columns.iter().map(|c| if is_read { cast::read_as(&c.target, &c.pg_type) } else { quoted(&c.target) });
        let read = read.collect::<Vec<_>>().join(", ");
        let sizes: Vec<String> = columns.iter().map(|c| format!("pg_column_size({c})")).collect();
        let (list, from) = (columns.join(", "), qualified(self.schema, self.table));
        let (condition, rows) = if of_any_size {
            (String::new(), 2)
        } else {
            // A bound of its own: a table of large cells only is not read to its end. NULL has no size.
            let sizes = sizes.join(", ");
            (format!(" WHERE coalesce(greatest({sizes}, NULL), 0) <= {PLANTED_CELL_BYTES_MAX}"), PLANTED_ROWS)
        };
        let first = format!("SELECT {list} FROM {from} LIMIT {PLANTED_ROWS_LOOKED_AT}");
        let number = quoted(self.number);
        format!(
            "SELECT row_number() OVER () AS {number}, {read} FROM (SELECT * FROM ({first}) f{condition} LIMIT {rows}) s"
        )
    }
}

/// Makes the copy. False where the server does not let this role make one; the transaction goes on either way.
pub fn create(tx: &Transaction<'_>, wanted: Wanted<'_>) -> Result<bool> {
    tx.batch(&format!("SAVEPOINT {SAVEPOINT}"))?;
    let copy = qualified(SCHEMA, TABLE);
    let made =
        tx.batch(&format!("CREATE TEMP TABLE {} ON COMMIT DROP AS {}", quoted(TABLE), wanted.select(false, false)));
    match made {
        Err(e) if is_answer(&e) => {
            undo(tx)?;
            return Ok(false);
        }
        made => made?,
    }
    if !tx.query_one(&format!("SELECT EXISTS (SELECT FROM {copy})"), &[])?.get::<_, bool>(0) {
        tx.batch(&format!("INSERT INTO {copy} {}", wanted.select(false, true)))?;
    }
    tx.batch(&format!("SAVEPOINT {SAVEPOINT}"))?;
    Ok(true)
}

/// The statement that sends the rows of which [`create`] makes a copy, where no copy can be made.
#[must_use]
pub fn copy_out(wanted: Wanted<'_>, of_any_size: bool) -> String {
    read::copy_query_out(&wanted.select(true, of_any_size))
}

/// Takes back what was done since the copy was made.
pub fn undo(tx: &Transaction<'_>) -> Result<()> {
    tx.batch(&format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}"))
}

/// Changes one cell a little: to a neighbour of its value, or to another row's. False where none of that is
/// possible.
pub fn change(tx: &Transaction<'_>, number: &str, row: i64, column: &str, pg_type: &PgType) -> Result<bool> {
    for value in neighbours(&format!("s.{}", quoted(column)), pg_type) {
        if set(tx, number, row, column, pg_type, &value)? {
            return Ok(true);
        }
    }
    let other = format!(
        "(SELECT o.{0} FROM {1} o WHERE o.{0} IS NOT NULL AND o.{2} <> s.{2} LIMIT 1)",
        quoted(column),
        qualified(SCHEMA, TABLE),
        quoted(number)
    );
    set(tx, number, row, column, pg_type, &other)
}

/// Takes the value of a cell away.
pub fn clear(tx: &Transaction<'_>, number: &str, row: i64, column: &str, pg_type: &PgType) -> Result<bool> {
    set(tx, number, row, column, pg_type, "NULL")
}

/// Gives a cell another row's value.
pub fn take_from(
    tx: &Transaction<'_>,
    number: &str,
    (row, from): (i64, i64),
    column: &str,
    pg_type: &PgType,
) -> Result<bool> {
    let (name, copy, number_) = (quoted(column), qualified(SCHEMA, TABLE), quoted(number));
    let value = format!("(SELECT o.{name} FROM {copy} o WHERE o.{number_} = {from})");
    set(tx, number, row, column, pg_type, &value)
}

/// Swaps the cells of two rows.
pub fn swap(tx: &Transaction<'_>, number: &str, (a, b): (i64, i64), column: &str) -> Result<bool> {
    let (name, copy, number) = (quoted(column), qualified(SCHEMA, TABLE), quoted(number));
    let sql = format!(
        "UPDATE {copy} s SET {name} = o.{name} FROM {copy} o \
         WHERE (s.{number}, o.{number}) IN (({a}, {b}), ({b}, {a}))"
    );
    attempt(tx, &sql, 2)
}

/// Deletes a row.
pub fn delete(tx: &Transaction<'_>, number: &str, row: i64) -> Result<bool> {
    attempt(tx, &format!("DELETE FROM {} WHERE {} = {row}", qualified(SCHEMA, TABLE), quoted(number)), 1)
}

/// Puts a row in once more.
pub fn double(tx: &Transaction<'_>, number: &str, row: i64) -> Result<bool> {
    let copy = qualified(SCHEMA, TABLE);
    attempt(tx, &format!("INSERT INTO {copy} SELECT * FROM {copy} WHERE {} = {row}", quoted(number)), 1)
}

// `*<>` compares the bytes of two records: −0 is not 0 there, and `json` can be compared. Without the casts, two ROWs
// are compared column by column, and columns have no such operator.
fn set(tx: &Transaction<'_>, number: &str, row: i64, column: &str, pg_type: &PgType, value: &str) -> Result<bool> {
    let (name, number, copy) = (quoted(column), quoted(number), qualified(SCHEMA, TABLE));
    // The column has the last word: one of fewer decimals rounds the change away.
    let sql = format!(
        "WITH changed AS (UPDATE {copy} s SET {name} = ({value})::{pg_type} FROM {copy} o \
         WHERE o.ctid = s.ctid AND s.{number} = {row} \
         RETURNING ROW(s.{name}::{pg_type})::record *<> ROW(o.{name}::{pg_type})::record AS differs) \
         SELECT FROM changed WHERE differs"
    );
    attempt(tx, &sql, 1)
}

// A change that the server refuses, and one that changes nothing, leave no trace.
fn attempt(tx: &Transaction<'_>, sql: &str, rows: u64) -> Result<bool> {
    match tx.execute(sql, &[]) {
        Ok(changed) if changed == rows => Ok(true),
        Err(e) if !is_answer_of_a_type(&e) => Err(e),
        _ => undo(tx).map(|()| false),
    }
}

// Values close to that of column `c`, closest first.
fn neighbours(c: &str, pg_type: &PgType) -> Vec<String> {
    match pg_type {
        PgType::Bool => vec![format!("NOT {c}")],
        PgType::Int2 | PgType::Int4 | PgType::Int8 => vec![format!("{c} + 1"), format!("{c} - 1")],
        // One or two steps of the last bit; zero and the smallest numbers have none of that size.
        PgType::Float8 => {
            vec![format!("{c} * 1.0000000000000002::float8"), format!("{c} + 5e-324::float8"), "0".into()]
        }
        PgType::Float4 => vec![format!("{c} * 1.0000001::float4"), format!("{c} + 1e-45::float4"), "0".into()],
        PgType::Numeric(_) => {
            let last = format!("('1e-' || scale({c}))::numeric");
            vec![format!("{c} + {last}"), format!("{c} - {last}"), "0".into()]
        }
        PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::TextLike(_) => {
            let text = format!("{c}::text");
            vec![format!("{text} || 'x'"), format!("overlay({text} placing 'x' from 1 for 1)"), "'y'".into()]
        }
        PgType::Bytea => vec![format!("{c} || decode('00', 'hex')")],
        PgType::Uuid => vec![format!(
            "overlay({c}::text placing CASE WHEN right({c}::text, 1) = '0' THEN '1' ELSE '0' END from 36)"
        )],
        PgType::Array(_) => vec![format!("array_append({c}, NULL)")],
        // Of other types only their texts are known: some of these are of many of them.
        PgType::Cast(_) => ["x", "1", "0"]
            .map(|more| format!("{c}::text || '{more}'"))
            .into_iter()
            .chain(["1 day", "00:00:01", "1", "1.1.1.1", "(0,0)", "{}", "empty", "1:00+00"].map(|v| format!("'{v}'")))
            .collect(),
        PgType::Json => vec![format!("{c}::text || ' '")],
        PgType::Jsonb => vec![format!("jsonb_build_array({c})")],
        PgType::Date => vec![format!("{c} + 1"), format!("{c} - 1"), "'2000-01-01'".into()],
        PgType::Time => vec![format!("{c} + interval '1 microsecond'")],
        PgType::Timestamp | PgType::TimestampTz => {
            vec![
                format!("{c} + interval '1 microsecond'"),
                format!("{c} - interval '1 microsecond'"),
                format!("{c} + interval '1 millisecond'"),
                format!("{c} + interval '1 second'"),
                "'2000-01-01'".into(),
            ]
        }
    }
}

/// Rows as a binary COPY holds them, each field as the server would send it.
#[must_use]
pub fn stream(rows: &[Vec<Option<Vec<u8>>>]) -> Vec<u8> {
    let mut out = Vec::new();
    encode::header(&mut out);
    for row in rows {
        encode::row(row.len() as u16, &mut out);
        for field in row {
            let Some(field) = field else {
                encode::null(&mut out);
                continue;
            };
            encode::length(field.len(), &mut out);
            out.extend_from_slice(field);
        }
    }
    encode::trailer(&mut out);
    out
}
