//! The search for rows that the server refuses, so that the others of their range can be loaded.
//!
//! Goes through the range in steps, each under a savepoint, and undoes everything at the end: what was found is left
//! out of the range's own transaction afterwards. COPY names the line of most refusals; where it names none (a foreign
//! key, a trigger), the step is halved. A row costs about a step to find, and steps shrink where rows are refused, so
//! that a range with many such rows costs a few times its own copy, and one with few costs twice.

use super::copy::Refused;
use super::entry::Entry;
use super::queue::Item;
use super::writer::{RowWriter, Written};
use super::{Conflict, Load, Order};
use crate::error::{Error, Kind, Result};
use crate::model::bounds::{SEARCH_BYTES_MAX, SEARCH_ROWS};
use crate::model::plan::TablePlan;
use crate::model::policy::{Place, Reject};
use crate::postgres::{Session, Transaction, ddl, encode, refused_column, refused_line};
use crate::sqlite::{Flow, Reader, RowRef};
use bytes::Bytes;
use std::sync::atomic::Ordering;

/// Whether the server refused rows, and not the statement: data exceptions (22), constraints (23), views' conditions
/// (44), limits (54), and what a trigger raises (P0).
#[must_use]
pub fn is_about_rows(error: &Error) -> bool {
    let classes = ["22", "23", "44", "54", "P0"];
    error.kind() == Kind::Failed && error.sqlstate().is_some_and(|code| classes.iter().any(|c| code.starts_with(c)))
}

/// Finds the rows of a range that the server refuses. None where the run is to end.
pub fn refused_rows(load: &Load<'_>, reader: &Reader, session: &mut Session, item: Item) -> Result<Option<Refused>> {
    let Order { plan, conflict, rejects, unfit, .. } = load.order;
    let table = &plan.tables[item.table];
    let tx = session.transaction()?;
    if item.creates {
        tx.batch(&ddl::create_table(&plan.schema, table))?;
    }
    let mut search = Search::new(&tx, &plan.schema, table, conflict)?;
    let mut writer = RowWriter::new(table)?.with_marks(table).without(unfit, table);
    let mut place = Place::BEFORE;
    let mut stopped = false;
    reader.scan(&load.order.scans[item.table], item.range, None, |key, row| {
        place = place.next(key);
        search.row(&mut writer, place, key, row)?;
        if search.is_full() {
            search.try_step()?;
            if search.found.len() as u64 > rejects.1 {
                load.check_rejects(table, &search.found.values().cloned().collect::<Vec<_>>())?;
            }
            stopped = load.stop.load(Ordering::Relaxed);
        }
        Ok(if stopped { Flow::Stop } else { Flow::Continue })
    })?;
    if stopped {
        return Ok(None);
    }
    search.try_step()?;
    let found = search.found;
    tx.rollback()?;
    Ok(Some(found))
}

// Rows that are tried together, as COPY takes them.
#[derive(Default)]
struct Step {
    places: Vec<Place>,
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl Step {
    fn end_row(&mut self, place: Place) {
        self.places.push(place);
        self.ends.push(self.bytes.len());
    }

    fn forget_row(&mut self) {
        self.bytes.truncate(self.start(self.places.len()));
    }

    fn start(&self, row: usize) -> usize {
        if row == 0 { 0 } else { self.ends[row - 1] }
    }

    fn is_full(&self, rows_max: usize) -> bool {
        self.places.len() >= rows_max || self.bytes.len() >= SEARCH_BYTES_MAX
    }
}

/// A search under way, in a transaction that is undone afterwards.
pub struct Search<'s, 't> {
    table: &'s TablePlan,
    tx: &'s Transaction<'t>,
    entry: Entry,
    step: Step,
    rows_max: usize,
    /// What was found.
    pub found: Refused,
}

impl<'s, 't> Search<'s, 't> {
    /// A search in this table, by the way that its rows come into it.
    pub fn new(tx: &'s Transaction<'t>, schema: &str, table: &'s TablePlan, conflict: Conflict) -> Result<Self> {
        // A constraint that waits for the commit would name no row.
        tx.batch(ddl::CHECK_AT_ONCE)?;
        let entry = Entry::of(schema, table, conflict, false);
        entry.prepare(tx)?;
        let (step, rows_max) = (Step::default(), SEARCH_ROWS.0);
        Ok(Self { table, tx, entry, step, rows_max, found: Refused::new() })
    }

    /// Whether the rows that wait are to be tried.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.step.is_full(self.rows_max)
    }

    /// Lets a row wait for its try; one that its own cells keep from the target is not tried: what the writer says of it.
    pub fn row(&mut self, writer: &mut RowWriter, place: Place, key: i64, row: &RowRef<'_>) -> Result<Written> {
        let step = &mut self.step;
        let written = writer.row(key, row, |part| {
            step.bytes.extend_from_slice(&part);
            Ok(())
        })?;
        writer.give_row(&mut step.bytes);
        if written == Written::Whole {
            step.end_row(place);
        } else {
            step.forget_row();
        }
        drop(writer.take_originals());
        Ok(written)
    }

    /// Tries the rows that wait, and finds those among them that are refused.
    pub fn try_step(&mut self) -> Result<()> {
        let mut step = std::mem::take(&mut self.step);
        // Parts of the step are sent without being copied: a row may hold a large cell.
        let bytes = Bytes::from(std::mem::take(&mut step.bytes));
        let before = self.found.len();
        let mut parts = vec![(0, step.places.len())];
        while let Some((from, to)) = parts.pop() {
            if from == to {
                continue;
            }
            let Some(error) = self.refusal_of(bytes.slice(step.start(from)..step.start(to)))? else { continue };
            let line = refused_line(&error).and_then(|line| line.checked_sub(1)).filter(|line| *line < to - from);
            let guilty = match line {
                Some(line) => Some(from + line),
                None => (to - from == 1).then_some(from),
            };
            // The rows before it come first: of two that exclude each other, the first one stays.
            if let Some(guilty) = guilty {
                parts.extend([(guilty + 1, to), (from, guilty)]);
                self.set_aside(step.places[guilty], &error);
            } else {
                let middle = from.midpoint(to);
                parts.extend([(middle, to), (from, middle)]);
            }
        }
        // Steps in which one row or none is refused have the right size; in larger ones more would be sent again and again.
        self.rows_max = match self.found.len() - before {
            0 => self.rows_max * 2,
            1 => self.rows_max,
            _ => self.rows_max / 2,
        }
        .clamp(SEARCH_ROWS.0 / 8, SEARCH_ROWS.1);
        Ok(())
    }

    fn set_aside(&mut self, place: Place, error: &Error) {
        let column = refused_column(error).map(|name| {
            let planned = self.table.columns.iter().find(|c| c.target == name);
            planned.map_or(name, |c| c.source.clone())
        });
        let message = error.message();
        let reason = message.strip_prefix("the server refused a statement: ").unwrap_or(message).to_owned();
        let reject = Reject { place, column, reason, sqlstate: error.sqlstate().map(str::to_owned) };
        self.found.insert(place, reject);
    }

    // What the server says against these rows; none where it takes them. They stay for those that come after them.
    fn refusal_of(&self, rows: Bytes) -> Result<Option<Error>> {
        let before = self.tx.savepoint("lite2pg_step")?;
        match self.send(rows) {
            Ok(()) => before.keep().map(|()| None),
            Err(error) if is_about_rows(&error) => before.back().map(|()| Some(error)),
            Err(error) => Err(error),
        }
    }

    fn send(&self, rows: Bytes) -> Result<()> {
        let mut copy = self.entry.copy(self.tx)?;
        let (mut head, mut tail) = (Vec::new(), Vec::new());
        encode::header(&mut head);
        encode::trailer(&mut tail);
        for part in [head.into(), rows, tail.into()] {
            copy.send(part)?;
        }
        copy.finish()?;
        self.entry.arrive(self.tx)
    }
}
