//! What a migration would take, in time and on the target's disk, without asking a server.
//!
//! Disk follows from PostgreSQL's page layout. Time follows from rates that were measured, and another machine has
//! others: `lite2pg bench` measures them.

use crate::model::cell::Class;
use crate::model::inspection::Forecast;
use crate::model::pg_type::PgType;
use crate::model::plan::{ColumnPlan, IndexPlan, Plan, TablePlan};
use crate::model::profile::{ColumnProfile, TableProfile};
use crate::model::source::Catalog;

// benches/RESULTS.md: 6.11 million rows with 1.3 GB of cells and 14 million index entries on 2 cores, server included:
// 7.0 s for the rows, 5.1 s for keys and indexes, 1.9 s for what is left, the comparison above all.
const ROW_NS: f64 = 450.0;
const COPIED_BYTES_PER_SECOND: f64 = 300e6;
const INDEX_ENTRY_NS: f64 = 360.0;
const COMPARED_BYTES_PER_SECOND: f64 = 700e6;
// A connection, a plan, a few catalog questions for each table.
const START_MS: f64 = 200.0;
const TABLE_MS: f64 = 10.0;

// PostgreSQL's page of 8 kB with its head of 24 bytes; a row's head of 23 is rounded up to 24, and the page points at
// it by 4 (docs, "Database Page Layout").
const PAGE_BYTES: f64 = 8192.0 - 24.0;
const ROW_HEAD_BYTES: f64 = 28.0;
const ALIGNED_TO: f64 = 8.0;
// An index entry has a head of 8 bytes and a pointer of 4; leaf pages are filled to nine tenths, and one in a few
// hundred pages is above them.
const ENTRY_HEAD_BYTES: f64 = 12.0;
const LEAF_FILL: f64 = 0.9;
// Larger values move out of their row into pieces of 2 kB, each a row of its own with an index entry.
const TOAST_BYTES: f64 = 2000.0;
const TOAST_PIECE_OVERHEAD: f64 = 0.04;

/// The forecast for this plan.
pub fn of(catalog: &Catalog, plan: &Plan, profiles: &[TableProfile]) -> Forecast {
    let (mut tables, mut indexes, mut ns) = (0.0, 0.0, 0.0);
    for ((table, profile), source) in plan.tables.iter().zip(profiles).zip(&catalog.tables) {
        let rows = table.rows as f64;
        let widths: Vec<f64> = table
            .columns
            .iter()
            .map(|c| source.column_index(&c.source).map_or(8.0, |i| width(c, &profile.columns[i], profile)))
            .collect();
        tables += heap(rows, &widths);
        let names =
            |columns: &[String]| -> f64 { columns.iter().map(|name| column_width(table, &widths, name)).sum::<f64>() };
        let keys = table.primary_key.iter().map(|key| names(&key.columns));
        let all: Vec<f64> = keys.chain(table.indexes.iter().map(|index| terms_width(table, &widths, index))).collect();
        indexes += all.iter().map(|width| entries(rows, *width)).sum::<f64>();
        ns += rows * ROW_NS + rows * all.len() as f64 * INDEX_ENTRY_NS;
        ns += table.bytes as f64 * (1e9 / COPIED_BYTES_PER_SECOND + 1e9 / COMPARED_BYTES_PER_SECOND);
    }
    let ms = ns / 1e6 + START_MS + TABLE_MS * plan.tables.len() as f64;
    Forecast { ms: ms as u64, table_bytes: tables as u64, index_bytes: indexes as u64 }
}

fn heap(rows: f64, widths: &[f64]) -> f64 {
    if rows == 0.0 {
        return 0.0;
    }
    let (inline, outside): (f64, f64) = widths.iter().fold((0.0, 0.0), |(inside, out), width| {
        if *width > TOAST_BYTES { (inside + 18.0, out + width) } else { (inside + width, out) }
    });
    let row = ROW_HEAD_BYTES + (inline / ALIGNED_TO).ceil() * ALIGNED_TO;
    let per_page = (PAGE_BYTES / row).floor().max(1.0);
    (rows / per_page).ceil() * 8192.0 + rows * outside * (1.0 + TOAST_PIECE_OVERHEAD)
}

fn entries(rows: f64, width: f64) -> f64 {
    let entry = ENTRY_HEAD_BYTES + (width.min(TOAST_BYTES) / ALIGNED_TO).ceil() * ALIGNED_TO;
    // A page that says what the index is, and at least one of entries.
    ((rows * entry / (PAGE_BYTES * LEAF_FILL)).ceil() + 1.0) * 8192.0
}

// Bytes of a column in a row, NULLs counted as nothing.
fn width(column: &ColumnPlan, profile: &ColumnProfile, table: &TableProfile) -> f64 {
    if table.rows_read == 0 {
        return 0.0;
    }
    let read = table.rows_read as f64;
    let filled = profile.values() as f64 / read;
    let stored = profile.marks.bytes as f64 / read;
    let text = || {
        // Numbers count as 8 bytes, and are a few digits as text. A short text has a head of one byte, a long one of four.
        let numbers = (profile.count(Class::Integer) + profile.count(Class::Real)) as f64 / read;
        let bytes = stored - numbers * 2.0;
        bytes + if bytes < 127.0 { filled } else { filled * 4.0 }
    };
    match column.pg_type {
        PgType::Bool => filled,
        PgType::Int2 => 2.0 * filled,
        PgType::Int4 | PgType::Float4 | PgType::Date => 4.0 * filled,
        PgType::Int8 | PgType::Float8 | PgType::Time | PgType::Timestamp | PgType::TimestampTz => 8.0 * filled,
        // Two bytes for each four digits, and a head.
        PgType::Numeric(_) => 9.0 * filled,
        PgType::Uuid => 16.0 * filled,
        // A head of four bytes for each key and value replaces quotes, colons and commas.
        PgType::Jsonb => text() * 1.2,
        PgType::Text
        | PgType::Varchar(_)
        | PgType::Char(_)
        | PgType::Bytea
        | PgType::Json
        | PgType::TextLike(_)
        | PgType::Array(_)
        | PgType::Cast(_) => text(),
    }
}

fn column_width(table: &TablePlan, widths: &[f64], name: &str) -> f64 {
    table.columns.iter().position(|c| c.target == name).map_or(ALIGNED_TO, |i| widths[i])
}

// The columns that an index names, as far as its SQL shows them.
fn terms_width(table: &TablePlan, widths: &[f64], index: &IndexPlan) -> f64 {
    let named = |column: &ColumnPlan| index.terms.contains(&crate::model::name::quoted(&column.target));
    let sum: f64 = table.columns.iter().zip(widths).filter(|(c, _)| named(c)).map(|(_, w)| w).sum();
    sum.max(ALIGNED_TO)
}
