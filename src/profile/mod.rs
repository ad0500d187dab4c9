//! Reading rows to decide types: all of a small table, spread places of a large one.
//!
//! Owns which rows are read and what is tried on them. The choice between the rules that held is the plan's.

pub mod judge;

use crate::error::Result;
use crate::model::bounds::{PROFILE_BYTES_MAX, PROFILE_ROWS_MAX, PROFILE_SPOTS};
use crate::model::cell::Cell;
use crate::model::profile::{TableProfile, Trials};
use crate::model::range::Range;
use crate::model::source::Table;
use crate::sqlite::{Flow, Reader, TableScan};
use judge::Judge;

/// How much of a table to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Within the bounds: a small table whole, a large one in places.
    Sample,
    /// Every row: after a sample proved wrong.
    Whole,
}

/// Profiles a table. `trials` are the rules to try, a list a column; `source_bytes` is the size of the database; `go_on` is asked now and then and may end
/// the reading with its error.
pub fn table(
    reader: &Reader,
    table: &Table,
    trials: Vec<Trials>,
    depth: Depth,
    source_bytes: u64,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<TableProfile> {
    let query = TableScan::all(table).with_marks(table);
    let rejects = table.marks.iter().map(|mark| mark.rejects).collect();
    let judges = table.columns.iter().zip(trials).map(|(c, t)| Judge::new(&c.declared, t)).collect::<Result<_>>()?;
    let key_bounds = reader.key_bounds(&query)?;
    let mut look = Look { judges, rejects, rows: 0, bytes: 0, largest_cell: 0, go_on };
    let spans = spans(key_bounds, depth);
    let limits = Limits::of(depth, spans.len() as u64);
    let mut rows = 0.0;
    let mut complete = true;
    for span in &spans {
        let (seen, last_key, whole) = look.read(reader, &query, *span, limits)?;
        complete &= whole;
        rows += if whole { seen as f64 } else { extrapolate(*span, key_bounds, seen, last_key) };
    }
    let counted = if complete {
        look.rows
    } else if key_bounds.is_none() {
        reader.count(table)?
    } else {
        (rows as u64).min(rows_max(source_bytes, look.rows, look.bytes)).max(look.rows)
    };
    Ok(TableProfile {
        rows_read: look.rows,
        bytes_read: look.bytes,
        largest_cell: look.largest_cell,
        complete,
        rows: counted,
        key_bounds,
        columns: look.judges.into_iter().map(Judge::finish).collect(),
    })
}

#[derive(Clone, Copy)]
struct Limits {
    rows: Option<u64>,
    bytes: u64,
}

impl Limits {
    fn of(depth: Depth, spans: u64) -> Self {
        match depth {
            Depth::Whole => Self { rows: None, bytes: u64::MAX },
            Depth::Sample => {
                Self { rows: Some((PROFILE_ROWS_MAX / spans).max(1)), bytes: (PROFILE_BYTES_MAX / spans).max(1) }
            }
        }
    }
}

struct Look<'a> {
    judges: Vec<Judge>,
    // Which of the marks behind the columns set a row aside.
    rejects: Vec<bool>,
    rows: u64,
    bytes: u64,
    largest_cell: u64,
    go_on: &'a dyn Fn() -> Result<()>,
}

impl Look<'_> {
    // Rows seen, the last key, and whether the span was read to its end.
    fn read(
        &mut self,
        reader: &Reader,
        query: &TableScan,
        span: Range,
        limits: Limits,
    ) -> Result<(u64, Option<i64>, bool)> {
        let (rows_before, bytes_before) = (self.rows, self.bytes);
        let columns = self.judges.len();
        let end = reader.scan(query, span, limits.rows, |key, row| {
            // A row that is set aside is no evidence.
            let is_met = |n: usize| matches!(row.cell(columns + n), Cell::Integer(number) if number != 0);
            if self.rejects.iter().enumerate().any(|(n, rejects)| *rejects && is_met(n)) {
                self.rows += 1;
                return Ok(Flow::Continue);
            }
            for (i, judge) in self.judges.iter_mut().enumerate() {
                let cell = row.cell(i);
                self.bytes += cell.bytes() as u64;
                self.largest_cell = self.largest_cell.max(cell.bytes() as u64);
                judge.see(key, cell);
            }
            self.rows += 1;
            if self.rows.is_multiple_of(1024) {
                (self.go_on)()?;
            }
            Ok(if self.bytes - bytes_before >= limits.bytes { Flow::Stop } else { Flow::Continue })
        })?;
        Ok((self.rows - rows_before, end.last_key, end.finished))
    }
}

// The rows that the file has room for, by the size of those that were read: one far-off key would make the
// density of the others a wild guess. Small integers take fewer bytes in the file than they count here.
fn rows_max(source_bytes: u64, rows: u64, bytes: u64) -> u64 {
    const BYTES_COUNTED_PER_BYTE: u64 = 8;
    let row = (bytes / rows.max(1)).max(1);
    source_bytes.saturating_mul(BYTES_COUNTED_PER_BYTE) / row
}

// Spans that together are the whole table: one where it is small or has no integer key.
fn spans(key_bounds: Option<(i64, i64)>, depth: Depth) -> Vec<Range> {
    match key_bounds {
        Some((min, max)) if depth == Depth::Sample && max.abs_diff(min) >= PROFILE_ROWS_MAX => {
            Range::ALL.split(min, max, PROFILE_SPOTS as u32)
        }
        _ => vec![Range::ALL],
    }
}

// The rows of a span that was read in part, by how densely its keys lay where it was read.
fn extrapolate(span: Range, key_bounds: Option<(i64, i64)>, seen: u64, last_key: Option<i64>) -> f64 {
    let Some(((min, max), last)) = key_bounds.zip(last_key) else { return seen as f64 };
    let lo = span.lo.unwrap_or(min);
    let hi = span.hi.unwrap_or(max);
    let read = last.abs_diff(lo) as f64 + 1.0;
    seen as f64 * (hi.abs_diff(lo) as f64 + 1.0) / read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_read_in_part_is_extrapolated_by_its_density() {
        let span = Range { lo: Some(1), hi: Some(1000) };
        let rows = extrapolate(span, Some((1, 5000)), 50, Some(100));
        assert!((rows - 500.0).abs() < 1e-9);
    }

    #[test]
    fn one_far_off_key_does_not_make_a_table_larger_than_its_file() {
        let span = Range { lo: None, hi: Some(1 << 56) };
        let guess = extrapolate(span, Some((1, 1 << 62)), 781, Some(781)) as u64;
        assert!(guess > 1 << 50);
        assert_eq!(guess.min(rows_max(1_000_000, 781, 78_100)), 80_000);
    }

    #[test]
    fn a_sampled_table_is_covered_by_its_spans() {
        let spans = spans(Some((1, 10_000_000)), Depth::Sample);
        assert_eq!(spans.len(), PROFILE_SPOTS as usize);
        assert!(Range::ALL.minus(&spans).is_empty());
        assert_eq!(super::spans(Some((1, 10_000_000)), Depth::Whole), [Range::ALL]);
    }
}
