//! One lane of a bench: units of the sample, one transaction each, by one strategy.
//!
//! The binary COPY goes the load's own way (its row writer, its COPY) without the checkpoints. The other two write
//! the same values as text, with buffers that are used again.

use super::sample::{Piece, Unit};
use crate::error::{Error, Kind, Result};
use crate::load::interrupted;
use crate::load::writer::{RowWriter, Written};
use crate::model::bench::{Setting, Strategy};
use crate::model::bounds::{INSERT_ROWS_MAX, ORIGINALS_BYTES_MAX};
use crate::model::conversion::Misfit;
use crate::model::name::qualified;
use crate::model::plan::TablePlan;
use crate::postgres::bench::{self, SCRATCH_SCHEMA};
use crate::postgres::render::{Form, Syntax};
use crate::postgres::{Session, ddl};
use crate::sqlite::{Flow, Reader, RowRef, TableScan};
use crate::transform::Compiled;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

/// What the lanes of one load share.
pub struct Work<'a> {
    /// The tables.
    pub tables: &'a [TablePlan],
    /// Their scans.
    pub scans: &'a [TableScan],
    /// What is to be loaded.
    pub units: &'a [Unit],
    /// How.
    pub setting: Setting,
    /// The next unit.
    pub next: AtomicUsize,
    /// Set when a person wants the bench to end.
    pub stop: &'a AtomicBool,
}

/// Time that a lane spent on a unit of a table.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// The table.
    pub table: usize,
    /// Microseconds.
    pub us: u64,
}

impl Work<'_> {
    /// Loads units until none is left.
    pub fn lane(&self, reader: &Reader, session: &mut Session) -> Result<Vec<Spent>> {
        let mut spent = Vec::new();
        if self.setting.strategy == Strategy::Insert {
            bench::reads_literals(session)?;
        }
        while let Some(unit) = self.units.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            self.go_on()?;
            let started = Instant::now();
            match self.setting.strategy {
                Strategy::BinaryCopy => self.binary(unit, reader, session),
                Strategy::TextCopy => self.text(unit, reader, session),
                Strategy::Insert => self.insert(unit, reader, session),
            }
            .map_err(|e| e.context(format!("`{}` cannot be loaded", self.tables[unit.table].target)))?;
            spent.push(Spent { table: unit.table, us: started.elapsed().as_micros() as u64 });
        }
        Ok(spent)
    }

    fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(interrupted()) } else { Ok(()) }
    }

    fn binary(&self, unit: &Unit, reader: &Reader, session: &mut Session) -> Result<()> {
        let table = &self.tables[unit.table];
        let batch_bytes = self.setting.batch_bytes;
        let tx = session.transaction()?;
        let mut copy = tx.copy_in(&ddl::copy_in(&qualified(SCRATCH_SCHEMA, &table.target), table, false))?;
        let mut writer = RowWriter::new(table)?.with_batch_bytes(batch_bytes);
        writer.begin();
        self.read(unit, reader, |key, row| {
            match writer.row(key, row, |batch| copy.send(batch.into()))? {
                // A bench shapes no table.
                Written::Whole | Written::Marked(..) => {}
                Written::Misfit(found) | Written::Rejected(found) => {
                    return Err(misfitting(table, found.column, found.misfit));
                }
            }
            if writer.buffered() >= batch_bytes {
                copy.send(writer.take_batch().into())?;
                self.go_on()?;
            }
            if writer.originals_bytes() >= ORIGINALS_BYTES_MAX {
                drop(writer.take_originals());
            }
            Ok(())
        })?;
        writer.end();
        copy.send(writer.take_batch().into())?;
        copy.finish()?;
        tx.commit()
    }

    fn text(&self, unit: &Unit, reader: &Reader, session: &mut Session) -> Result<()> {
        let table = &self.tables[unit.table];
        let tx = session.transaction()?;
        let mut copy = tx.copy_in(&bench::copy_text_in(table))?;
        let mut writer = TextWriter::new(table, Syntax::Copy)?;
        let mut batch = Vec::with_capacity(self.setting.batch_bytes);
        self.read(unit, reader, |_, row| {
            writer.row(row, b'\t', &mut batch)?;
            batch.push(b'\n');
            if batch.len() >= self.setting.batch_bytes {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(self.setting.batch_bytes));
                copy.send(full.into())?;
                self.go_on()?;
            }
            Ok(())
        })?;
        copy.send(batch.into())?;
        copy.finish()?;
        tx.commit()
    }

    fn insert(&self, unit: &Unit, reader: &Reader, session: &mut Session) -> Result<()> {
        let table = &self.tables[unit.table];
        let head = bench::insert_into(table).into_bytes();
        let tx = session.transaction()?;
        let mut writer = TextWriter::new(table, Syntax::Literal)?;
        let (mut statement, mut rows) = (head.clone(), 0);
        self.read(unit, reader, |_, row| {
            statement.extend_from_slice(if rows == 0 { b"(" } else { b",(" });
            writer.row(row, b',', &mut statement)?;
            statement.push(b')');
            rows += 1;
            if rows == INSERT_ROWS_MAX || statement.len() >= self.setting.batch_bytes {
                tx.batch(as_sql(&statement))?;
                statement.truncate(head.len());
                rows = 0;
                self.go_on()?;
            }
            Ok(())
        })?;
        if rows > 0 {
            tx.batch(as_sql(&statement))?;
        }
        tx.commit()
    }

    fn read(&self, unit: &Unit, reader: &Reader, mut each: impl FnMut(i64, &RowRef<'_>) -> Result<()>) -> Result<()> {
        for Piece { range, limit } in &unit.pieces {
            reader.scan(&self.scans[unit.table], *range, *limit, |key, row| each(key, row).map(|()| Flow::Continue))?;
        }
        Ok(())
    }
}

fn as_sql(statement: &[u8]) -> &str {
    std::str::from_utf8(statement).expect("names and rendered values are UTF-8")
}

// Rows as text: each cell by its column's rule, then what that made of it, written out.
struct TextWriter<'t> {
    table: &'t TablePlan,
    columns: Vec<(Compiled, Form)>,
    syntax: Syntax,
    field: Vec<u8>,
}

impl<'t> TextWriter<'t> {
    fn new(table: &'t TablePlan, syntax: Syntax) -> Result<Self> {
        let column = |c: &crate::model::plan::ColumnPlan| Ok((Compiled::new(&c.conversion)?, Form::of(&c.pg_type)));
        Ok(Self { table, columns: table.loaded().map(column).collect::<Result<_>>()?, syntax, field: Vec::new() })
    }

    fn row(&mut self, row: &RowRef<'_>, separator: u8, out: &mut Vec<u8>) -> Result<()> {
        for (i, (compiled, form)) in self.columns.iter_mut().enumerate() {
            self.field.clear();
            if let Err(misfit) = compiled.write(row.cell(i), &mut self.field) {
                return Err(misfitting(self.table, i, Some(misfit)));
            }
            if i > 0 {
                out.push(separator);
            }
            form.write(&self.field, self.syntax, out);
        }
        Ok(())
    }
}

// The sample was read before with the same rules.
fn misfitting(table: &TablePlan, column: usize, misfit: Option<Misfit>) -> Error {
    let name = table.loaded().nth(column).map_or("", |c| c.target.as_str());
    let why = misfit.map_or_else(|| "text that is not clean".to_owned(), |m| m.to_string());
    Error::new(Kind::Bug, format!("`{}.{name}` met {why} in rows that were read before", table.target))
}
