//! Rows become the bytes of a binary COPY: the innermost loop of a run.
//!
//! Owns the batch buffer and the counters of one range. Knows no connection.

use super::unfit::{self, Hashes, Unfit};
use crate::error::Result;
use crate::model::bounds::{BATCH_BYTES, LARGE_CELL_BYTES};
use crate::model::cell::Cell;
use crate::model::conversion::{Fit, Misfit, REWRITES, Rewrite};
use crate::model::event::LedgerLine;
use crate::model::plan::{ColumnPlan, TablePlan};
use crate::model::policy::Policy;
use crate::model::reshape::Mark;
use crate::postgres::control::Original;
use crate::postgres::encode;
use crate::sqlite::RowRef;
use crate::transform::Compiled;
use std::sync::Arc;

/// Keys kept as samples for each rule and column.
const SAMPLE_KEYS: usize = 3;

/// Room for the row that fills a batch: without it, nearly every batch would be moved to a larger buffer just
/// before it is sent.
const BATCH_SLACK_BYTES: usize = 16 * 1024;

/// A cell that the column's rule does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfitting {
    /// Position among the loaded columns.
    pub column: usize,
    /// The row's integer key, 0 without one.
    pub key: i64,
    /// Why; `None` where a stand-in would be needed and is not allowed.
    pub misfit: Option<Misfit>,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is in the batch.
    Whole,
    /// A cell misfits and no policy says what becomes of it: half a row is in the batch, and the COPY must be thrown away.
    Misfit(Misfitting),
    /// A cell misfits, and its policy sets the row aside: nothing of it is in the batch.
    Rejected(Misfitting),
    /// The mark of this number sets the row aside, and says why with another one: nothing of it is in the batch.
    Marked(usize, i64),
}

/// Writes rows of one table.
pub struct RowWriter {
    columns: Vec<ColumnWriter>,
    /// The batch so far.
    buffer: Vec<u8>,
    batch_bytes: usize,
    originals: Vec<Original>,
    originals_bytes: usize,
    /// Rows written since the start.
    pub rows: u64,
    /// Bytes of their cells.
    pub bytes: u64,
    /// A cell was so large that the batch was sent at once.
    pub met_large_cell: bool,
    /// Some column's policy sets rows aside, so that no part of a row may be sent before all of it was looked at.
    rejects: bool,
    marks: Vec<MarkWriter>,
}

// A mark, and the rows that it was met in, where it does not set them aside.
struct MarkWriter {
    mark: Mark,
    // The column that it is about, on the target.
    column: String,
    rows: u64,
    keys: Vec<i64>,
}

struct ColumnWriter {
    name: String,
    compiled: Compiled,
    not_null: bool,
    // NULL is not written as it is.
    minds_null: bool,
    // The field that takes the place of NULL.
    null_field: Option<Vec<u8>>,
    nulls: u64,
    null_keys: Vec<i64>,
    stand_ins: bool,
    rewrites: [u64; REWRITES.len()],
    keys: [Vec<i64>; REWRITES.len()],
    stood_in: u64,
    stood_in_keys: Vec<i64>,
    // What the column's type does not take of values that its rule takes.
    unfit: Option<Arc<Hashes>>,
    on_error: Policy,
    /// The field that takes a misfit's place: its length and its bytes.
    fallback: Vec<u8>,
    replaced: u64,
    replaced_keys: Vec<i64>,
}

impl ColumnWriter {
    fn new(column: &ColumnPlan) -> Result<Self> {
        Ok(Self {
            name: column.target.clone(),
            compiled: Compiled::new(&column.conversion)?,
            not_null: column.not_null,
            minds_null: column.not_null || column.null_is_default,
            null_field: column.null_is_default.then(|| field(column.fallback.as_deref())),
            nulls: 0,
            null_keys: Vec::new(),
            stand_ins: column.stand_ins,
            rewrites: [0; REWRITES.len()],
            keys: Default::default(),
            stood_in: 0,
            stood_in_keys: Vec::new(),
            unfit: None,
            on_error: column.on_error,
            fallback: field(column.fallback.as_deref().filter(|_| column.on_error == Policy::Default)),
            replaced: 0,
            replaced_keys: Vec::new(),
        })
    }

    // Appends a cell's field; on a misfit the buffer is as it was.
    #[inline]
    fn write(&mut self, cell: Cell<'_>, buffer: &mut Vec<u8>) -> std::result::Result<Fit, Misfit> {
        let at = buffer.len();
        let fit = self.compiled.write(cell, buffer)?;
        match &self.unfit {
            Some(unfit) if cell != Cell::Null && unfit.contains(&unfit::hash(&buffer[at + 4..])) => {
                buffer.truncate(at);
                Err(Misfit::NotCast)
            }
            _ => Ok(fit),
        }
    }

    // What is sent of a large cell as it is.
    fn verbatim<'a>(&self, cell: Cell<'a>) -> Option<(&'a [u8], Fit)> {
        let found = self.compiled.verbatim(cell)?;
        let is_unfit = self.unfit.as_ref().is_some_and(|unfit| unfit.contains(&unfit::hash(found.0)));
        (!is_unfit).then_some(found)
    }

    #[cold]
    fn null(&mut self, key: i64, buffer: &mut Vec<u8>) -> std::result::Result<Fit, Misfit> {
        let Some(field) = &self.null_field else { return Err(Misfit::NullInNotNull) };
        buffer.extend_from_slice(field);
        self.nulls += 1;
        if self.null_keys.len() < SAMPLE_KEYS {
            self.null_keys.push(key);
        }
        Ok(Fit::Exact)
    }

    #[inline]
    fn rewritten(&mut self, rule: Rewrite, key: i64) {
        let n = &mut self.rewrites[rule as usize];
        if *n < SAMPLE_KEYS as u64 {
            self.keys[rule as usize].push(key);
        }
        *n += 1;
    }
}

fn field(bytes: Option<&[u8]>) -> Vec<u8> {
    let mut field = Vec::new();
    match bytes {
        Some(bytes) => encode::bytea(bytes, &mut field),
        None => encode::null(&mut field),
    }
    field
}

impl RowWriter {
    /// A writer for the loaded columns of a table.
    pub fn new(table: &TablePlan) -> Result<Self> {
        Ok(Self {
            columns: table.loaded().map(ColumnWriter::new).collect::<Result<_>>()?,
            buffer: Vec::with_capacity(BATCH_BYTES + BATCH_SLACK_BYTES),
            batch_bytes: BATCH_BYTES,
            originals: Vec::new(),
            originals_bytes: 0,
            rows: 0,
            bytes: 0,
            met_large_cell: false,
            rejects: table.columns.iter().any(|c| c.on_error == Policy::Reject),
            marks: Vec::new(),
        })
    }

    /// The same for rows that have the table's marks behind their columns.
    #[must_use]
    pub fn with_marks(mut self, table: &TablePlan) -> Self {
        let of = |mark: &Mark| {
            let planned = table.columns.iter().find(|c| mark.column.as_ref() == Some(&c.source));
            let column = planned.map_or_else(String::new, |c| c.target.clone());
            MarkWriter { mark: mark.clone(), column, rows: 0, keys: Vec::new() }
        };
        self.marks = table.marks.iter().map(of).collect();
        self
    }

    /// The same for a table of which it is known which values PostgreSQL does not cast.
    #[must_use]
    pub fn without(mut self, unfit: &Unfit, table: &TablePlan) -> Self {
        for column in &mut self.columns {
            column.unfit = unfit.of(&table.target, &column.name);
        }
        self
    }

    /// The same with room for batches of another size than [`BATCH_BYTES`].
    #[must_use]
    pub fn with_batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes;
        self.buffer.reserve(bytes + BATCH_SLACK_BYTES);
        self
    }

    /// Begins a COPY stream.
    pub fn begin(&mut self) {
        encode::header(&mut self.buffer);
    }

    /// Ends a COPY stream.
    pub fn end(&mut self) {
        encode::trailer(&mut self.buffer);
    }

    /// Appends one row, or says which cell misfits and what becomes of the row. A batch that large cells fill is given to
    /// `send` in the middle of the row.
    #[inline]
    pub fn row(&mut self, key: i64, row: &RowRef<'_>, mut send: impl FnMut(Vec<u8>) -> Result<()>) -> Result<Written> {
        let start = (self.buffer.len(), self.originals.len());
        if let Some((mark, number)) = self.set_aside(row) {
            return Ok(Written::Marked(mark, number));
        }
        encode::row(self.columns.len() as u16, &mut self.buffer);
        for i in 0..self.columns.len() {
            let cell = row.cell(i);
            self.bytes += cell.bytes() as u64;
            let at = self.buffer.len();
            let column = &mut self.columns[i];
            let written = if column.minds_null && cell == Cell::Null {
                column.null(key, &mut self.buffer)
            } else if cell.bytes() as u64 >= LARGE_CELL_BYTES {
                self.met_large_cell = true;
                if let Some(misfit) = self.large_row_rejected(row, key) {
                    self.take_back(row, start, i);
                    return Ok(Written::Rejected(misfit));
                }
                self.write_large(i, cell, &mut send)?
            } else {
                column.write(cell, &mut self.buffer)
            };
            match written {
                Ok(Fit::Exact) => {}
                Ok(Fit::Rewritten(rule)) => self.columns[i].rewritten(rule, key),
                Ok(Fit::StandIn) if self.columns[i].stand_ins => self.keep_original(i, key, cell),
                unfit => {
                    let misfit = Misfitting { column: i, key, misfit: unfit.err() };
                    match self.unfit(misfit, at, cell) {
                        None => {}
                        Some(written) => {
                            if matches!(written, Written::Rejected(_)) {
                                self.take_back(row, start, i);
                            }
                            return Ok(written);
                        }
                    }
                }
            }
        }
        self.rows += 1;
        self.count_marks(key, row);
        Ok(Written::Whole)
    }

    // The mark that sets the row aside, and its number.
    #[inline]
    fn set_aside(&self, row: &RowRef<'_>) -> Option<(usize, i64)> {
        let first = row.len() - self.marks.len();
        self.marks.iter().enumerate().filter(|(_, of)| of.mark.rejects).find_map(|(n, _)| match row.cell(first + n) {
            Cell::Integer(number) if number != 0 => Some((n, number)),
            _ => None,
        })
    }

    #[inline]
    fn count_marks(&mut self, key: i64, row: &RowRef<'_>) {
        let first = row.len() - self.marks.len();
        for (n, of) in self.marks.iter_mut().enumerate() {
            if matches!(row.cell(first + n), Cell::Integer(number) if number != 0) {
                of.rows += 1;
                if of.keys.len() < SAMPLE_KEYS {
                    of.keys.push(key);
                }
            }
        }
    }

    // What the column's policy makes of a cell that misfits; None where the row goes on.
    #[cold]
    fn unfit(&mut self, found: Misfitting, at: usize, cell: Cell<'_>) -> Option<Written> {
        let column = &mut self.columns[found.column];
        match column.on_error {
            Policy::Fail => return Some(Written::Misfit(found)),
            Policy::Reject => return Some(Written::Rejected(found)),
            // A default of NULL helps no column that takes none.
            Policy::Null | Policy::Default if column.not_null && column.fallback == field(None) => {
                return Some(Written::Misfit(found));
            }
            Policy::Null | Policy::Default => {}
        }
        // A stand-in that is not allowed was written all the same.
        self.buffer.truncate(at);
        let column = &mut self.columns[found.column];
        self.buffer.extend_from_slice(&column.fallback);
        column.replaced += 1;
        if column.replaced_keys.len() < SAMPLE_KEYS {
            column.replaced_keys.push(found.key);
        }
        self.original(found.column, found.key, cell);
        None
    }

    // Takes back what was counted of a row that is set aside at this column.
    fn take_back(&mut self, row: &RowRef<'_>, (start, originals): (usize, usize), column: usize) {
        self.buffer.truncate(start);
        self.originals.truncate(originals);
        self.originals_bytes = self.originals.iter().map(|o| o.bytes.len()).sum();
        for i in 0..=column {
            let cell = row.cell(i);
            self.bytes -= cell.bytes() as u64;
            if i == column {
                break;
            }
            let of = &mut self.columns[i];
            if cell == Cell::Null && of.null_field.is_some() {
                of.nulls -= 1;
                of.null_keys.truncate(of.nulls as usize);
                continue;
            }
            let written = of.write(cell, &mut self.buffer);
            self.buffer.truncate(start);
            let (count, keys) = match written {
                Ok(Fit::Exact) => continue,
                Ok(Fit::Rewritten(rule)) => (&mut of.rewrites[rule as usize], &mut of.keys[rule as usize]),
                Ok(Fit::StandIn) if of.stand_ins => (&mut of.stood_in, &mut of.stood_in_keys),
                // It did not set the row aside, so that it was replaced.
                _ => (&mut of.replaced, &mut of.replaced_keys),
            };
            *count -= 1;
            if (*count as usize) < keys.len() {
                keys.truncate(*count as usize);
            }
        }
    }

    // Before any part of a row with a large cell is sent: whether another cell sets the row aside. Such a row is
    // converted twice; rows of a megabyte are few.
    #[cold]
    fn large_row_rejected(&mut self, row: &RowRef<'_>, key: i64) -> Option<Misfitting> {
        if !self.rejects {
            return None;
        }
        let start = self.buffer.len();
        for i in 0..self.columns.len() {
            let cell = row.cell(i);
            let column = &mut self.columns[i];
            if column.on_error != Policy::Reject {
                continue;
            }
            let misfit = if column.not_null && column.null_field.is_none() && cell == Cell::Null {
                Some(Some(Misfit::NullInNotNull))
            } else if column.verbatim(cell).is_some() {
                None
            } else {
                let written = column.write(cell, &mut self.buffer);
                self.buffer.truncate(start);
                match written {
                    Ok(Fit::StandIn) if !column.stand_ins => Some(None),
                    Ok(_) => None,
                    Err(misfit) => Some(Some(misfit)),
                }
            };
            if let Some(misfit) = misfit {
                return Some(Misfitting { column: i, key, misfit });
            }
        }
        None
    }

    // A large cell goes out in slices where its bytes are sent as they are, and at once where they are not, so
    // that at most one copy of it is held here.
    #[cold]
    fn write_large(
        &mut self,
        column: usize,
        cell: Cell<'_>,
        send: &mut impl FnMut(Vec<u8>) -> Result<()>,
    ) -> Result<Result<Fit, Misfit>> {
        send(self.take_batch())?;
        let Some((bytes, fit)) = self.columns[column].verbatim(cell) else {
            let of = &mut self.columns[column];
            let written = of.write(cell, &mut self.buffer);
            let stays = match written {
                Ok(Fit::StandIn) => of.stand_ins,
                Ok(_) => true,
                Err(_) => false,
            };
            if stays {
                send(self.take_batch())?;
            } else {
                self.buffer.clear();
            }
            return Ok(written);
        };
        encode::length(bytes.len(), &mut self.buffer);
        for slice in bytes.chunks(BATCH_BYTES) {
            self.buffer.extend_from_slice(slice);
            send(self.take_batch())?;
        }
        Ok(Ok(fit))
    }

    #[cold]
    fn keep_original(&mut self, column: usize, key: i64, cell: Cell<'_>) {
        let of = &mut self.columns[column];
        if of.stood_in_keys.len() < SAMPLE_KEYS {
            of.stood_in_keys.push(key);
        }
        of.stood_in += 1;
        self.original(column, key, cell);
    }

    // A number is kept as its text; NULL has no bytes.
    fn original(&mut self, column: usize, key: i64, cell: Cell<'_>) {
        let bytes = match cell {
            Cell::Null => Vec::new(),
            Cell::Integer(number) => number.to_string().into_bytes(),
            Cell::Real(number) => zmij::Buffer::new().format(number).as_bytes().to_vec(),
            Cell::Text(bytes) | Cell::Blob(bytes) => bytes.to_vec(),
        };
        self.originals_bytes += bytes.len();
        let column = self.columns[column].name.clone();
        self.originals.push(Original { key, column, class: cell.class().word(), bytes });
    }

    /// Bytes in the batch.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// Moves the batch behind other bytes, for one row after the other.
    pub fn give_row(&mut self, to: &mut Vec<u8>) {
        to.append(&mut self.buffer);
    }

    /// Takes the batch and leaves an empty one.
    pub fn take_batch(&mut self) -> Vec<u8> {
        std::mem::replace(&mut self.buffer, Vec::with_capacity(self.batch_bytes + BATCH_SLACK_BYTES))
    }

    /// Bytes of originals that wait to be written.
    #[must_use]
    pub fn originals_bytes(&self) -> usize {
        self.originals_bytes
    }

    /// Takes the originals.
    pub fn take_originals(&mut self) -> Vec<Original> {
        self.originals_bytes = 0;
        std::mem::take(&mut self.originals)
    }

    /// What was rewritten since the start, a line a rule and column.
    #[must_use]
    pub fn ledger(&self, table: &str) -> Vec<LedgerLine> {
        let mut lines = Vec::new();
        for of in self.marks.iter().filter(|of| of.rows > 0) {
            lines.push(LedgerLine {
                table: table.to_owned(),
                column: of.column.clone(),
                rule: of.mark.words.clone(),
                cells: of.rows,
                keys: of.keys.clone(),
            });
        }
        for column in &self.columns {
            let mut line = |rule: &str, cells: u64, keys: &[i64]| {
                if cells > 0 {
                    lines.push(LedgerLine {
                        table: table.to_owned(),
                        column: column.name.clone(),
                        rule: rule.to_owned(),
                        cells,
                        keys: keys.to_vec(),
                    });
                }
            };
            for rule in REWRITES {
                line(rule.phrase(), column.rewrites[rule as usize], &column.keys[rule as usize]);
            }
            line(
                "NUL or invalid UTF-8 stands as U+FFFD; the original is in lite2pg.original",
                column.stood_in,
                &column.stood_in_keys,
            );
            line("the default in the place of NULL", column.nulls, &column.null_keys);
            let place = if column.on_error == Policy::Default { "the default" } else { "NULL" };
            line(
                &format!("{place} in the place of a value that does not fit; the original is in lite2pg.original"),
                column.replaced,
                &column.replaced_keys,
            );
        }
        lines
    }
}
