//! The two sides of a table as the search for differences reads them.

use super::form::{self, Form};
use super::locate::{EachRow, Side};
use super::source::SourceDigest;
use super::waiting::Waiting;
use super::{show, target};
use crate::error::Result;
use crate::model::cell::Cell;
use crate::model::plan::TablePlan;
use crate::model::range::Range;
use crate::postgres::Session;
use crate::postgres::read::{Chunk, Moment};
use crate::sqlite::{Flow, Reader, TableScan};

/// SQLite's rows.
pub struct SourceSide<'a> {
    /// Who reads.
    pub reader: &'a Reader,
    /// The table's compared columns.
    pub scan: &'a TableScan,
    /// What is expected of them.
    pub digest: SourceDigest,
    /// Where PostgreSQL casts some of their cells: who asks it.
    pub casting: Option<Waiting>,
    /// Called now and then; an error ends the reading.
    pub look: &'a dyn Fn() -> Result<()>,
}

/// PostgreSQL's rows.
pub struct TargetSide<'a> {
    /// Who reads.
    pub session: &'a mut Session,
    /// When.
    pub moment: &'a Moment,
    /// The table's schema.
    pub schema: &'a str,
    /// The table.
    pub table: &'a TablePlan,
    /// Called now and then; an error ends the reading.
    pub look: &'a dyn Fn() -> Result<()>,
}

/// Rows between two calls of the watcher.
const ROWS_PER_LOOK: u64 = 4096;

impl Side for SourceSide<'_> {
    fn each(&mut self, row: &mut EachRow<'_>) -> Result<()> {
        let (digest, look) = (&mut self.digest, self.look);
        let mut rows = 0_u64;
        digest.restart();
        if let Some(waiting) = &mut self.casting {
            waiting.restart();
            self.reader.scan(self.scan, Range::ALL, None, |key, cells| {
                rows += 1;
                if rows.is_multiple_of(ROWS_PER_LOOK) {
                    look()?;
                }
                if digest.takes(key) && waiting.add(cells, true) {
                    waiting.settle(|form, show| row(form, show))?;
                }
                Ok(Flow::Continue)
            })?;
            return waiting.settle(|form, show| row(form, show));
        }
        self.reader.scan(self.scan, Range::ALL, None, |key, cells| {
            rows += 1;
            if rows.is_multiple_of(ROWS_PER_LOOK) {
                look()?;
            }
            if digest.takes(key) {
                row(digest.form(cells), &|i| raw(cells.cell(i)))?;
            }
            Ok(Flow::Continue)
        })?;
        Ok(())
    }
}

impl Side for TargetSide<'_> {
    fn each(&mut self, row: &mut EachRow<'_>) -> Result<()> {
        let mut tx = self.moment.begin(self.session)?;
        let each =
            |form: &mut Form| row(form, &|i| form::cells(form.bytes()).nth(i).map(show::cell).unwrap_or_default());
        target::read(&mut tx, self.schema, self.table, Chunk::WHOLE, each, |_, _| (self.look)())
    }
}

/// The source's own value in words, whatever the rule makes of it.
#[must_use]
pub fn raw(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => format!("{number:?}"),
        Cell::Text(text) => show::quoted(&String::from_utf8_lossy(text)),
        Cell::Blob(bytes) => show::hex(bytes),
    }
}
