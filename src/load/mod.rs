//! Ranges of rows onto the target: one lane is one reader, one session, one thread.
//!
//! Owns the transaction of a range: its rows, its originals, its checkpoint. Does not decide types; a cell
//! that its rule does not take is told upwards as a [`Disproof`].

pub mod copy;
pub mod entry;
pub mod queue;
pub mod search;
pub mod unfit;
pub mod writer;

use crate::error::{Error, Kind, Result};
use crate::model::bounds::LARGE_CELL_BYTES;
use crate::model::conversion::Misfit;
use crate::model::event::{Event, Observer, Progress};
use crate::model::plan::{Plan, TablePlan};
use crate::model::policy::{Place, Reject};
use crate::model::source::RowKey;
use crate::postgres::Session;
use crate::sqlite::{Reader, TableScan};
use copy::{Outcome, copy_range};
use queue::{Item, Queue};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use unfit::Unfit;
use uuid::Uuid;

/// What to do about rows that are on the target already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Conflict {
    /// The server's refusal ends the run.
    #[default]
    Fail,
    /// The target's row stays.
    Skip,
    /// The source's row replaces it.
    Update,
}

/// Evidence of the load against the plan: a rule of a table does not take its rows.
#[derive(Debug, Clone)]
pub struct Disproof {
    /// Position of the table in the plan.
    pub table: usize,
    /// Position of the column among the plan's columns of the table.
    pub column: usize,
    /// Integer key of the row; `None` where the server refused without telling one.
    pub key: Option<i64>,
    /// Why; `None` where a stand-in was not allowed, or the server refused.
    pub misfit: Option<Misfit>,
    /// What the server said, where it refused.
    pub refusal: Option<String>,
}

/// What a load is to do.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The scan of each table's loaded columns, in the plan's order.
    pub scans: &'a [TableScan],
    /// The run's id.
    pub run: Uuid,
    /// Rows in the way.
    pub conflict: Conflict,
    /// Whether each range keeps the digest of what its rows must look like on the target. The scans then read the
    /// columns of [`TablePlan::compared`](crate::model::plan::TablePlan::compared).
    pub digests: bool,
    /// Rows that a batch holds at most.
    pub batch_rows: u64,
    /// Rows that the run has set aside so far, and how many it may.
    pub rejects: (u64, u64),
    /// Values that PostgreSQL does not cast to their column's type.
    pub unfit: &'a Unfit,
}

/// What all lanes of a load share.
pub struct Load<'a> {
    order: Order<'a>,
    /// Counters for whoever watches.
    progress: &'a Progress,
    /// Set when a person or the system wants the run to end.
    stop: &'a AtomicBool,
    observer: &'a dyn Observer,
    /// What is left to do.
    pub queue: Queue,
    /// Tables that a disproof took out of this round.
    out: Vec<AtomicBool>,
    open_ranges: Vec<AtomicU64>,
    disproofs: Mutex<Vec<Disproof>>,
    /// Rows set aside so far.
    rejected: AtomicU64,
    refusals: Vec<Refusals>,
}

/// What is known of the server's refusals of a table's rows.
#[derive(Debug, Default)]
struct Refusals {
    /// There were some: its ranges are searched before they are copied.
    met: AtomicBool,
    /// Held by the lane that searches: two that insert the same unique values would wait for each other.
    turn: Mutex<()>,
}

impl<'a> Load<'a> {
    /// A load of these items.
    pub fn new(
        order: Order<'a>,
        progress: &'a Progress,
        stop: &'a AtomicBool,
        observer: &'a dyn Observer,
        items: Vec<Item>,
    ) -> Self {
        let tables = &order.plan.tables;
        let open_ranges: Vec<AtomicU64> = tables.iter().map(|_| AtomicU64::new(0)).collect();
        for item in &items {
            open_ranges[item.table].fetch_add(1, Ordering::Relaxed);
        }
        Self {
            order,
            progress,
            stop,
            observer,
            queue: Queue::new(items, tables.iter().map(|t| t.largest_cell >= LARGE_CELL_BYTES).collect()),
            out: tables.iter().map(|_| AtomicBool::new(false)).collect(),
            open_ranges,
            disproofs: Mutex::default(),
            rejected: AtomicU64::new(order.rejects.0),
            refusals: tables.iter().map(|_| Refusals::default()).collect(),
        }
    }

    // Fails once more rows are set aside than may be: those of finished ranges, and these of the range at hand.
    fn check_rejects(&self, table: &TablePlan, rejects: &[Reject]) -> Result<()> {
        let most = self.order.rejects.1;
        if self.rejected.load(Ordering::Relaxed) + rejects.len() as u64 <= most {
            return Ok(());
        }
        Err(too_many_rejects(table, rejects, most))
    }

    /// Runs the lane of this number until nothing is left, or until the first error anywhere.
    pub fn lane(&self, number: usize, reader: &Reader, session: &mut Session) -> Result<()> {
        while let Some(item) = self.queue.take(number) {
            // The guard gives the item back on every way out, a panic included: other lanes wait for it.
            let mut guard = Guard { load: self, rest: Vec::new(), failed: true };
            if session.is_given_up() {
                // A COPY that the server refused early left the connection's answers out of step.
                *session = session.another()?;
            }
            match copy_range(self, reader, session, item)? {
                Outcome::Done { rest } => self.range_done(item, rest, &mut guard.rest),
                Outcome::Out => {}
                Outcome::Disproved(disproof) => self.disprove(disproof),
                Outcome::Stopped => {
                    self.queue.close();
                    guard.failed = false;
                    return Err(interrupted());
                }
            }
            guard.failed = false;
        }
        Ok(())
    }

    /// What the rows disproved. Empty when everything was copied.
    pub fn into_disproofs(self) -> Vec<Disproof> {
        self.disproofs.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a table was taken out of this round.
    #[must_use]
    pub fn is_out(&self, table: usize) -> bool {
        self.out[table].load(Ordering::Relaxed)
    }

    fn range_done(&self, item: Item, rest: Option<Item>, back: &mut Vec<Item>) {
        if let Some(rest) = rest {
            let idle = self.queue.waiting() as u32;
            let ranges = match self.order.plan.tables[rest.table].key_bounds {
                Some((min, max)) if idle > 0 => rest.range.split(min, max, idle + 1),
                _ => vec![rest.range],
            };
            let bytes = rest.bytes / ranges.len() as u64;
            back.extend(ranges.into_iter().map(|range| Item { range, bytes, ..rest }));
        }
        let open = &self.open_ranges[item.table];
        open.fetch_add(back.len() as u64, Ordering::Relaxed);
        if open.fetch_sub(1, Ordering::Relaxed) == 1 && !self.is_out(item.table) {
            let (rows, bytes) = self.progress.table(item.table);
            self.observer.event(&Event::TableCopied { table: item.table, rows, bytes });
        }
    }

    fn disprove(&self, disproof: Disproof) {
        self.out[disproof.table].store(true, Ordering::Relaxed);
        self.queue.forget(disproof.table);
        self.disproofs.lock().unwrap_or_else(PoisonError::into_inner).push(disproof);
    }
}

// By their reasons: the commonest first.
fn too_many_rejects(table: &TablePlan, rejects: &[Reject], most: u64) -> Error {
    let mut reasons: Vec<(u64, &Reject)> = Vec::new();
    for reject in rejects {
        match reasons.iter_mut().find(|(_, r)| r.reason == reject.reason && r.column == reject.column) {
            Some((count, _)) => *count += 1,
            None => reasons.push((1, reject)),
        }
    }
    reasons.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let mut error = Error::new(Kind::Failed, format!("more than {most} rows would be set aside"));
    for (count, reject) in reasons.iter().take(3) {
        let column = reject.column.as_ref().map_or_else(String::new, |c| format!(".{c}"));
        let at = describe(table, reject.place);
        error = error.fact(format!("`{}{column}`: {}: {count} of them, as at {at}", table.source, reject.reason));
    }
    error
        .state("finished ranges are on the target; this one was rolled back")
        .hint("`--max-rejects N` allows more; but is the rule that so many rows break the right one?")
}

fn describe(table: &TablePlan, place: Place) -> String {
    match table.row_key {
        RowKey::Rowid { .. } | RowKey::PrimaryKey { split: Some(_) } => format!("key {}", place.key),
        RowKey::PrimaryKey { split: None } | RowKey::None => format!("row {}", place.nth + 1),
    }
}

struct Guard<'l, 'a> {
    load: &'l Load<'a>,
    rest: Vec<Item>,
    failed: bool,
}

impl Drop for Guard<'_, '_> {
    fn drop(&mut self) {
        if self.failed {
            self.load.queue.close();
        }
        self.load.queue.done(&self.rest);
    }
}

/// The error of a run that was asked to stop.
#[must_use]
pub fn interrupted() -> Error {
    Error::new(Kind::Interrupted, "the run was interrupted")
        .state("finished ranges are on the target; half-done ones were rolled back")
        .hint("the same command goes on where this one stopped")
}
