//! The rows of a target table, read through a binary COPY.

use super::adder::Adder;
use super::form::Form;
use super::found::Finder;
use crate::error::Result;
use crate::model::digest::SetDigest;
use crate::model::plan::TablePlan;
use crate::postgres::Transaction;
use crate::postgres::decode::Rows;
use crate::postgres::read::{Chunk, Place, copy_out, copy_out_places};

/// Pieces between two calls of the watcher.
const PIECES_PER_LOOK: u64 = 1024;

/// Hands the form of each row of a chunk to `row`, in no order; calls `look` now and then with the rows since.
pub fn read(
    tx: &mut Transaction<'_>,
    schema: &str,
    table: &TablePlan,
    chunk: Chunk,
    row: impl FnMut(&mut Form) -> Result<()>,
    look: impl FnMut(u64, u64) -> Result<()>,
) -> Result<()> {
    let sql = copy_out(schema, table, chunk);
    read_copy(tx, &sql, table, row, look)
}

/// The same of the rows that a statement sends, which are rows of the table's compared columns.
pub fn read_copy(
    tx: &mut Transaction<'_>,
    sql: &str,
    table: &TablePlan,
    mut row: impl FnMut(&mut Form) -> Result<()>,
    mut look: impl FnMut(u64, u64) -> Result<()>,
) -> Result<()> {
    let mut copy = tx.copy_out(sql)?;
    let (mut rows, mut finder, mut form) = (Rows::default(), Finder::new(table.compared()), Form::default());
    let (mut pieces, mut seen, mut bytes) = (0, 0, 0);
    while let Some(piece) = copy.next()? {
        bytes += piece.len() as u64;
        rows.feed(&piece, |fields| {
            form.clear();
            finder.row(fields, &mut form)?;
            seen += 1;
            row(&mut form)
        })?;
        pieces += 1;
        if pieces % PIECES_PER_LOOK == 0 {
            look(std::mem::take(&mut seen), std::mem::take(&mut bytes))?;
        }
    }
    look(seen, bytes)?;
    rows.finish()
}

/// Hands the place and the form of each row of a table to `row`.
pub fn read_places(
    tx: &mut Transaction<'_>,
    schema: &str,
    table: &TablePlan,
    mut row: impl FnMut(Place, &Form) -> Result<()>,
) -> Result<()> {
    let sql = copy_out_places(schema, table);
    let mut copy = tx.copy_out(&sql)?;
    let (mut rows, mut finder, mut form) = (Rows::default(), Finder::new(table.compared()), Form::default());
    while let Some(piece) = copy.next()? {
        rows.feed(&piece, |mut fields| {
            form.clear();
            let place = Place::read(fields.next().flatten().unwrap_or_default())?;
            finder.row(fields, &mut form)?;
            row(place, &form)
        })?;
    }
    rows.finish()
}

/// The digest of a chunk's rows.
pub fn digest(
    tx: &mut Transaction<'_>,
    schema: &str,
    table: &TablePlan,
    chunk: Chunk,
    look: impl FnMut(u64, u64) -> Result<()>,
) -> Result<SetDigest> {
    let mut set = Adder::default();
    read(
        tx,
        schema,
        table,
        chunk,
        |form| {
            set.add(form);
            Ok(())
        },
        look,
    )?;
    Ok(set.set())
}
