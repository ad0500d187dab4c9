//! A spread sample of the source's raw cells, for PostgreSQL to read by its own input functions.
//!
//! Owns which cells are sent and how they are written. Left out, cell by cell: what PostgreSQL holds a stand-in for,
//! numbers whose text or time SQLite and PostgreSQL write otherwise, cells that the column's rule does not take, large
//! ones, and times of a named zone outside the years in which all editions of its history agree.

use crate::error::Result;
use crate::model::bounds::{SAMPLE_BYTES_MAX, SAMPLE_CELL_BYTES_MAX, SAMPLE_COLUMNS_MAX};
use crate::model::cell::Cell;
use crate::model::conversion::{Conversion, MomentForm, Naive};
use crate::model::plan::{ColumnPlan, TablePlan};
use crate::model::policy::{Place, Places};
use crate::model::source::RowKey;
use crate::postgres::sample::{self, BLOB, NULL, NUMBER, SKIPPED, TEXT};
use crate::sqlite::{Flow, Reader, TableScan};
use std::fmt::Write as _;

/// Raw rows of a table.
#[derive(Debug)]
pub struct Gathered<'a> {
    /// The columns that are compared.
    pub columns: Vec<&'a ColumnPlan>,
    /// Positions of the primary key among them.
    pub key: Vec<usize>,
    /// The cells as `postgres::sample` wants them.
    pub rows: Vec<Vec<Option<Vec<u8>>>>,
    /// Cells that are compared.
    pub cells: u64,
}

/// Reads rows from places spread over the table. None where nothing tells its rows apart. `scan` reads the table's
/// compared columns.
pub fn gather<'a>(
    reader: &Reader,
    scan: &TableScan,
    table: &'a TablePlan,
    (spots, rows_per_spot): (u64, u64),
    rejected: Option<&Places>,
) -> Result<Option<Gathered<'a>>> {
    let Some(key) = &table.primary_key else { return Ok(None) };
    // A sample does not know the number of a row among those before it.
    if rejected.is_some_and(|r| !r.is_empty()) && !matches!(table.row_key, RowKey::Rowid { .. }) {
        return Ok(None);
    }
    let is_key = |c: &ColumnPlan| key.columns.contains(&c.target);
    // Texts that PostgreSQL casts were cast in UTC, and the sample is read in the zone of its other columns.
    let in_utc = zone(&table.compared().collect::<Vec<_>>()) == "UTC";
    let reads = |c: &ColumnPlan| sample::reads(c) && !c.replaces() && (in_utc || c.cast().is_none());
    let readable = table.compared().enumerate().filter(|(_, c)| reads(c));
    let (mut chosen, others): (Vec<_>, Vec<_>) = readable.partition(|(_, c)| is_key(c));
    if chosen.len() < key.columns.len() {
        return Ok(None);
    }
    let keys = chosen.len();
    chosen.extend(others);
    chosen.truncate(SAMPLE_COLUMNS_MAX.max(keys));
    let (mut rows, mut cells, mut bytes) = (Vec::new(), 0, 0);
    reader.sample(scan, spots, rows_per_spot, |key, row| {
        if rejected.is_some_and(|r| r.contains(&Place { key, nth: 0 })) {
            return Ok(Flow::Continue);
        }
        let raw: Vec<Vec<u8>> = chosen.iter().map(|(i, column)| raw(row.cell(*i), column)).collect();
        if raw[..keys].iter().all(|cell| !matches!(cell[0], NULL | SKIPPED)) {
            cells += raw.iter().filter(|cell| cell[0] != SKIPPED).count() as u64;
            bytes += raw.iter().map(Vec::len).sum::<usize>();
            rows.push(raw.into_iter().map(Some).collect());
        }
        Ok(if bytes > SAMPLE_BYTES_MAX { Flow::Stop } else { Flow::Continue })
    })?;
    let columns = chosen.into_iter().map(|(_, column)| column).collect();
    Ok(Some(Gathered { columns, key: (0..keys).collect(), rows, cells }))
}

/// The zone that times without one are of, by the columns' rules.
#[must_use]
pub fn zone<'a>(columns: &[&'a ColumnPlan]) -> &'a str {
    let named = columns.iter().find_map(|c| match &c.conversion {
        Conversion::Moment { naive: Naive::Zone(name), .. } | Conversion::Cast { zone: Some(name), .. } => {
            Some(name.as_str())
        }
        _ => None,
    });
    named.unwrap_or("UTC")
}

fn raw(cell: Cell<'_>, column: &ColumnPlan) -> Vec<u8> {
    let mut out = String::new();
    let letter = match (&column.conversion, cell) {
        (_, Cell::Null) => NULL,
        (_, cell) if cell.bytes() > SAMPLE_CELL_BYTES_MAX => SKIPPED,
        (rule, Cell::Integer(n)) if takes_integers(rule) => {
            let _ = write!(out, "{n}");
            NUMBER
        }
        (Conversion::Float8 | Conversion::Float4 | Conversion::Numeric { .. }, Cell::Real(x)) => {
            // Of two shortest decimals that are equally near, the standard library takes another than the rules do.
            if x.is_finite() {
                out.push_str(ryu::Buffer::new().format_finite(x));
            } else {
                let _ = write!(out, "{x}");
            }
            NUMBER
        }
        (rule, Cell::Text(text)) if takes_text(rule, text) => match std::str::from_utf8(text) {
            Ok(clean) if !clean.contains('\0') => {
                out.push_str(clean);
                TEXT
            }
            _ => SKIPPED,
        },
        (Conversion::Bytea { .. }, Cell::Blob(bytes)) => {
            for byte in bytes {
                let _ = write!(out, "{byte:02x}");
            }
            BLOB
        }
        _ => SKIPPED,
    };
    std::iter::once(letter).chain(out.into_bytes()).collect()
}

fn takes_integers(rule: &Conversion) -> bool {
    match rule {
        Conversion::Bool
        | Conversion::Int { .. }
        | Conversion::Whole { .. }
        | Conversion::Float8
        | Conversion::Float4
        | Conversion::Numeric { .. }
        | Conversion::Text { numbers: true, .. }
        | Conversion::Cast { numbers: true, .. }
        | Conversion::Bytea { all_classes: true } => true,
        Conversion::Moment { form, .. } => matches!(form, MomentForm::Epoch(_)),
        _ => false,
    }
}

fn takes_text(rule: &Conversion, text: &[u8]) -> bool {
    match rule {
        Conversion::Int { .. } | Conversion::Float8 | Conversion::Float4 => false,
        Conversion::Numeric { text, .. } => *text,
        Conversion::Bytea { all_classes } => *all_classes,
        // The histories of zones before 1970 differ between editions, and what comes is not settled.
        Conversion::Moment { naive: Naive::Zone(_), target_has_zone: true, .. } => {
            text.get(..4).is_some_and(|year| (&b"1970"[..]..&b"2037"[..]).contains(&year))
        }
        Conversion::Moment { form, .. } => matches!(form, MomentForm::Text { .. }),
        _ => true,
    }
}
