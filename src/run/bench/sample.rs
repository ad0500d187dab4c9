//! The rows that every combination of a bench loads: chosen once, spread over each table, by exact ranges.

use crate::error::Result;
use crate::load::writer::{RowWriter, Written};
use crate::model::bench::SampleSize;
use crate::model::bounds::{
    BATCH_BYTES, BENCH_ROW_BYTES, BENCH_SAMPLE_BYTES, BENCH_SPOTS, BENCH_TABLE_BYTES_MIN, BENCH_TABLE_ROWS_MIN,
    BENCH_UNIT_BYTES, ORIGINALS_BYTES_MAX, RANGES_PER_TABLE_MAX,
};
use crate::model::plan::TablePlan;
use crate::model::range::Range;
use crate::sqlite::{Flow, Reader, TableScan};

/// Rows that one transaction of a lane brings.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Position of the table in the bench's list.
    pub table: usize,
    /// Where they are.
    pub pieces: Vec<Piece>,
    /// Bytes of their cells.
    pub bytes: u64,
}

/// Rows that stand together.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    /// Their keys.
    pub range: Range,
    /// How many, where the table has no key to tell by.
    pub limit: Option<u64>,
}

/// The sample.
#[derive(Debug, Default)]
pub struct Sample {
    /// The work of all lanes, largest first.
    pub units: Vec<Unit>,
    /// Rows of each table.
    pub rows: Vec<u64>,
    /// Its size.
    pub size: SampleSize,
}

/// What reading the sample found.
pub enum Collected {
    /// All of it can be loaded.
    Whole(Sample),
    /// The rule of a column does not take a cell of the table at this position.
    Misfit(usize),
}

/// Chooses and reads the sample. Reading it here also finds what the plan's own sample has not seen.
pub fn collect(
    reader: &Reader,
    tables: &[TablePlan],
    scans: &[TableScan],
    full: bool,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Collected> {
    let weight: u64 = tables.iter().map(|t| t.bytes + t.rows * BENCH_ROW_BYTES).sum();
    let part = if full { 1.0 } else { (BENCH_SAMPLE_BYTES as f64 / weight.max(1) as f64).min(1.0) };
    let mut sample = Sample::default();
    sample.size.whole = true;
    for (t, (table, scan)) in tables.iter().zip(scans).enumerate() {
        let wanted = wanted(table, part);
        let mut found = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        let is_whole = wanted >= table.rows;
        for piece in pieces(table, scan, wanted, is_whole) {
            let limit = if is_whole { None } else { Some(wanted.div_ceil(u64::from(spots(table, scan))).max(1)) };
            let Some(read) = read(reader, table, scan, piece, limit, go_on)? else {
                return Ok(Collected::Misfit(t));
            };
            rows += read.rows;
            bytes += read.bytes;
            if read.rows > 0 {
                found.push(read);
            }
        }
        sample.size.whole &= is_whole;
        sample.size.tables += u64::from(rows > 0);
        sample.size.rows += rows;
        sample.size.bytes += bytes;
        sample.size.rows_total += if is_whole { rows } else { table.rows };
        sample.size.bytes_total += if is_whole { bytes } else { table.bytes };
        sample.rows.push(rows);
        sample.units.extend(units(t, &found));
    }
    sample.units.sort_by_key(|u| std::cmp::Reverse(u.bytes));
    Ok(Collected::Whole(sample))
}

fn wanted(table: &TablePlan, part: f64) -> u64 {
    let row_bytes = (table.bytes / table.rows.max(1)).max(1);
    let at_least = (BENCH_TABLE_BYTES_MIN / row_bytes).clamp(1, BENCH_TABLE_ROWS_MIN);
    let share = (table.rows as f64 * part).ceil() as u64;
    share.max(at_least).min(table.rows)
}

fn spots(table: &TablePlan, scan: &TableScan) -> u32 {
    if scan.has_key() && table.key_bounds.is_some() { BENCH_SPOTS } else { 1 }
}

// Where to look; together all keys.
fn pieces(table: &TablePlan, scan: &TableScan, wanted: u64, is_whole: bool) -> Vec<Piece> {
    let of = |range| Piece { range, limit: None };
    match table.key_bounds.filter(|_| scan.has_key()) {
        Some((min, max)) => {
            let parts = if is_whole { table.bytes.div_ceil(BENCH_UNIT_BYTES) } else { u64::from(BENCH_SPOTS) };
            let parts = parts.clamp(1, u64::from(RANGES_PER_TABLE_MAX)) as u32;
            Range::ALL.split(min, max, parts).into_iter().map(of).collect()
        }
        None => vec![Piece { range: Range::ALL, limit: (!is_whole).then_some(wanted) }],
    }
}

struct Read {
    piece: Piece,
    rows: u64,
    bytes: u64,
}

// Reads the first rows of a piece, and narrows it to them. None where a cell misfits.
fn read(
    reader: &Reader,
    table: &TablePlan,
    scan: &TableScan,
    piece: Piece,
    limit: Option<u64>,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Option<Read>> {
    let mut writer = RowWriter::new(table)?;
    let mut misfits = false;
    let end = reader.scan(scan, piece.range, piece.limit, |key, row| {
        misfits = writer.row(key, row, |_| Ok(()))? != Written::Whole;
        if misfits {
            return Ok(Flow::Stop);
        }
        if writer.buffered() >= BATCH_BYTES || writer.originals_bytes() >= ORIGINALS_BYTES_MAX {
            drop((writer.take_batch(), writer.take_originals()));
            go_on()?;
        }
        let is_enough = scan.has_key() && limit.is_some_and(|limit| writer.rows >= limit);
        Ok(if is_enough { Flow::StopAfterKey } else { Flow::Continue })
    })?;
    if misfits {
        return Ok(None);
    }
    let hi = if end.finished || !scan.has_key() { piece.range.hi } else { end.last_key };
    let piece = Piece { range: Range { hi, ..piece.range }, ..piece };
    Ok(Some(Read { piece, rows: writer.rows, bytes: writer.bytes }))
}

// As many pieces as a transaction should hold.
fn units(table: usize, read: &[Read]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for found in read {
        match units.last_mut() {
            Some(last) if last.bytes + found.bytes <= BENCH_UNIT_BYTES => {
                last.pieces.push(found.piece);
                last.bytes += found.bytes;
            }
            _ => units.push(Unit { table, pieces: vec![found.piece], bytes: found.bytes }),
        }
    }
    units
}
