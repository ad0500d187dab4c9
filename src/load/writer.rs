//! Rows become the bytes of a binary COPY: the innermost loop of a run.
//!
//! Owns the batch buffer and the counters of one range. Knows no connection.

use crate::error::Result;
use crate::model::bounds::{BATCH_BYTES, LARGE_CELL_BYTES};
use crate::model::cell::{Cell, Class};
use crate::model::conversion::{Fit, Misfit, REWRITES, Rewrite};
use crate::model::event::LedgerLine;
use crate::model::plan::{ColumnPlan, TablePlan};
use crate::postgres::control::Original;
use crate::postgres::encode;
use crate::sqlite::RowRef;
use crate::transform::Compiled;

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
}

struct ColumnWriter {
    name: String,
    compiled: Compiled,
    not_null: bool,
    stand_ins: bool,
    rewrites: [u64; REWRITES.len()],
    keys: [Vec<i64>; REWRITES.len()],
    stood_in: u64,
    stood_in_keys: Vec<i64>,
}

impl ColumnWriter {
    fn new(column: &ColumnPlan) -> Result<Self> {
        Ok(Self {
            name: column.target.clone(),
            compiled: Compiled::new(&column.conversion)?,
            not_null: column.not_null,
            stand_ins: column.stand_ins,
            rewrites: [0; REWRITES.len()],
            keys: Default::default(),
            stood_in: 0,
            stood_in_keys: Vec::new(),
        })
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
        })
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

    /// Appends one row, or says which cell misfits: then half a row is in the batch, and the COPY must be thrown
    /// away. A batch that large cells fill is given to `send` in the middle of the row.
    #[inline]
    pub fn row(
        &mut self,
        key: i64,
        row: &RowRef<'_>,
        mut send: impl FnMut(Vec<u8>) -> Result<()>,
    ) -> Result<Option<Misfitting>> {
        encode::row(self.columns.len() as u16, &mut self.buffer);
        for i in 0..self.columns.len() {
            let cell = row.cell(i);
            self.bytes += cell.bytes() as u64;
            let column = &mut self.columns[i];
            if column.not_null && cell == Cell::Null {
                return Ok(Some(Misfitting { column: i, key, misfit: Some(Misfit::NullInNotNull) }));
            }
            let written = if cell.bytes() as u64 >= LARGE_CELL_BYTES {
                self.met_large_cell = true;
                self.write_large(i, cell, &mut send)?
            } else {
                column.compiled.write(cell, &mut self.buffer)
            };
            match written {
                Ok(Fit::Exact) => {}
                Ok(Fit::Rewritten(rule)) => self.columns[i].rewritten(rule, key),
                Ok(Fit::StandIn) if self.columns[i].stand_ins => self.keep_original(i, key, cell),
                Ok(Fit::StandIn) => return Ok(Some(Misfitting { column: i, key, misfit: None })),
                Err(misfit) => return Ok(Some(Misfitting { column: i, key, misfit: Some(misfit) })),
            }
        }
        self.rows += 1;
        Ok(None)
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
        let Some((bytes, fit)) = self.columns[column].compiled.verbatim(cell) else {
            let written = self.columns[column].compiled.write(cell, &mut self.buffer);
            if written.is_ok() {
                send(self.take_batch())?;
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
        let (Cell::Text(bytes) | Cell::Blob(bytes)) = cell else { return };
        let column = &mut self.columns[column];
        if column.stood_in_keys.len() < SAMPLE_KEYS {
            column.stood_in_keys.push(key);
        }
        column.stood_in += 1;
        self.originals_bytes += bytes.len();
        let class = if cell.class() == Class::Blob { Class::Blob } else { Class::Text };
        self.originals.push(Original { key, column: column.name.clone(), class: class.word(), bytes: bytes.to_vec() });
    }

    /// Bytes in the batch.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
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
        }
        lines
    }
}
