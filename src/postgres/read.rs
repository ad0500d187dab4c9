//! A table read whole, by several sessions at one moment: a shared snapshot, and the table cut into stretches of
//! pages.

use super::cast;
use super::decode::fixed;
use super::session::{Session, Transaction};
use crate::error::Result;
use crate::model::name::qualified;
use crate::model::plan::TablePlan;

/// Bytes of a table that one session reads in one go.
const CHUNK_BYTES: u64 = 64 * 1024 * 1024;

/// A moment of the database that several sessions look at. It lasts as long as the transaction that it was taken in.
#[derive(Debug, Clone)]
pub struct Moment(String);

impl Moment {
    /// The moment of this transaction, which must be of level REPEATABLE READ.
    pub fn of(tx: &Transaction<'_>) -> Result<Self> {
        Ok(Self(tx.query_one("SELECT pg_export_snapshot()", &[])?.get(0)))
    }

    /// Begins a transaction that looks at this moment.
    pub fn begin<'a>(&self, session: &'a mut Session) -> Result<Transaction<'a>> {
        self.begin_as(session, BEGIN)
    }

    /// The same, in which tables can be made.
    pub fn begin_to_write<'a>(&self, session: &'a mut Session) -> Result<Transaction<'a>> {
        self.begin_as(session, "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE")
    }

    fn begin_as<'a>(&self, session: &'a mut Session, begin: &str) -> Result<Transaction<'a>> {
        let tx = session.transaction_as(begin)?;
        // Rows that a policy hides from this role are no proof of anything: with `row_security` off, the server refuses to
        // leave them out in silence.
        tx.batch(&format!("SET TRANSACTION SNAPSHOT '{}'; SET LOCAL row_security = off", self.0))?;
        Ok(tx)
    }
}

/// Begins a transaction whose moment can be shared.
pub const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A stretch of a table's pages, `first` to before `end`; without an end, to the table's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// The first page.
    pub first: u32,
    /// The page after the last.
    pub end: Option<u32>,
    /// Bytes, for who wants to take the largest first.
    pub bytes: u64,
}

impl Chunk {
    /// The whole table.
    pub const WHOLE: Self = Self { first: 0, end: None, bytes: 0 };
}

/// Cuts a table so that each row lies in one chunk. A partitioned table is one.
pub fn chunks(session: &Session, schema: &str, table: &str) -> Result<Vec<Chunk>> {
    let row = session.query_one(
        "SELECT c.relkind = 'r', pg_table_size(c.oid), pg_relation_size(c.oid), \
                current_setting('block_size')::int8, current_setting('server_version_num')::int4 \
         FROM pg_class c WHERE c.oid = $1::text::regclass",
        &[&qualified(schema, table)],
    )?;
    let (ordinary, bytes, heap, page): (bool, i64, i64, i64) = (row.get(0), row.get(1), row.get(2), row.get(3));
    // Version 14 is the first that reads a stretch of pages without reading the others.
    let parts =
        if ordinary && row.get::<_, i32>(4) >= 140_000 { (bytes as u64).div_ceil(CHUNK_BYTES).max(1) } else { 1 };
    let pages = ((heap / page) as u64).max(1);
    let parts = parts.min(pages);
    let place = |i: u64| (pages * i / parts) as u32;
    Ok((0..parts)
        .map(|i| Chunk { first: place(i), end: (i + 1 < parts).then(|| place(i + 1)), bytes: bytes as u64 / parts })
        .collect())
}

/// The statement that sends the compared columns of all rows, each behind the place of its row.
#[must_use]
pub fn copy_out_places(schema: &str, table: &TablePlan) -> String {
    let columns: Vec<String> = std::iter::once("ctid".to_owned()).chain(compared(table)).collect();
    copy_query_out(&format!("SELECT {} FROM {}", columns.join(", "), qualified(schema, &table.target)))
}

/// The compared columns of a table, as they are read.
pub(super) fn compared(table: &TablePlan) -> impl Iterator<Item = String> {
    table.compared().map(|c| cast::read_as(&c.target, &c.pg_type))
}

/// Deletes the rows at these places, which must have been read in the same transaction, and counts them. A place
/// means one row in an ordinary table only.
pub fn delete_places(tx: &Transaction<'_>, schema: &str, table: &str, places: &[Place]) -> Result<u64> {
    let list: Vec<String> = places.iter().map(|Place { page, item }| format!("({page},{item})")).collect();
    let sql = format!("DELETE FROM {} WHERE ctid = ANY ($1::text[]::tid[])", qualified(schema, table));
    tx.execute(&sql, &[&list])
}

/// Whether a relation is an ordinary table, neither partitioned nor a view.
pub fn is_ordinary(session: &Session, schema: &str, table: &str) -> Result<bool> {
    let sql = "SELECT relkind = 'r' FROM pg_class WHERE oid = $1::text::regclass";
    Ok(session.query_one(sql, &[&qualified(schema, table)])?.get(0))
}

/// Where a row lies in its table, until somebody writes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The page.
    pub page: u32,
    /// The item in the page, from 1 on.
    pub item: u16,
}

impl Place {
    /// Reads what `tidsend` writes.
    pub fn read(field: &[u8]) -> Result<Self> {
        let [page @ .., high, low]: [u8; 6] = fixed(field)?;
        Ok(Self { page: u32::from_be_bytes(page), item: u16::from_be_bytes([high, low]) })
    }
}

/// The statement that sends the compared columns of a chunk's rows.
#[must_use]
pub fn copy_out(schema: &str, table: &TablePlan, chunk: Chunk) -> String {
    let columns: Vec<String> = compared(table).collect();
    let from = qualified(schema, &table.target);
    copy_query_out(&format!("SELECT {} FROM {from}{}", columns.join(", "), where_chunk(chunk)))
}

/// The condition that takes the rows of a chunk.
pub(super) fn where_chunk(chunk: Chunk) -> String {
    let mut pages = Vec::new();
    if chunk.first > 0 {
        pages.push(format!("ctid >= '({},0)'", chunk.first));
    }
    if let Some(end) = chunk.end {
        pages.push(format!("ctid < '({end},0)'"));
    }
    if pages.is_empty() { String::new() } else { format!(" WHERE {}", pages.join(" AND ")) }
}

/// The statement that sends the rows of a query.
#[must_use]
pub fn copy_query_out(query: &str) -> String {
    format!("COPY ({query}) TO STDOUT (FORMAT binary)")
}

/// The same as CSV, with a line of names.
#[must_use]
pub fn copy_query_out_csv(query: &str) -> String {
    format!("COPY ({query}) TO STDOUT (FORMAT csv, HEADER true)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_names_its_pages() {
        let chunk = |first, end| where_chunk(Chunk { first, end, bytes: 0 });
        assert_eq!(chunk(0, None), "");
        assert_eq!(chunk(8, Some(16)), " WHERE ctid >= '(8,0)' AND ctid < '(16,0)'");
    }
}
