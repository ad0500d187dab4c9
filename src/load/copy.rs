//! One range: its transaction from BEGIN to the checkpoint's COMMIT.

use super::entry::Entry;
use super::writer::{Misfitting, RowWriter, Written};
use super::{Disproof, Load, queue::Item, search};
use crate::error::{Error, Kind, Result};
use crate::model::bounds::{BATCH_BYTES, ORIGINALS_BYTES_MAX, RANGE_BYTES_MAX, REFUSED_TRIES_MAX};
use crate::model::name::{exclude, reject};
use crate::model::plan::TablePlan;
use crate::model::policy::{Place, Policy, Reject};
use crate::model::range::Range;
use crate::postgres::control::{self, DoneRange};
use crate::postgres::{CopyIn, Session, Transaction, ddl, refused_column};
use crate::sqlite::{Flow, Reader, RowRef};
use crate::verify::source::{self, SourceDigest};
use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What became of a range.
pub enum Outcome {
    /// Its rows are on the target, or as many as one transaction takes; `rest` is what is left of it.
    Done {
        /// The keys that are still to be copied.
        rest: Option<Item>,
    },
    /// The rows disprove the plan. Nothing of the range is on the target.
    Disproved(Disproof),
    /// Another lane has disproved the table meanwhile. Nothing of the range is on the target.
    Out,
    /// Somebody wants the run to end. Nothing of the range is on the target.
    Stopped,
}

// Why the scan of a range ended before its last row.
enum Halt {
    Misfit(Misfitting),
    Out,
    Stopped,
}

/// Copies one range in one transaction. Rows that the server refuses are searched for and set aside, where the table's
/// policy says so: what is left is copied then, as if they had never been in the range.
pub fn copy_range(load: &Load<'_>, reader: &Reader, session: &mut Session, item: Item) -> Result<Outcome> {
    let table = &load.order.plan.tables[item.table];
    if load.is_out(item.table) {
        return Ok(Outcome::Out);
    }
    if table.on_refusal != Policy::Reject {
        return attempt(load, reader, session, item, &Refused::new()).or_else(|e| refusal(table, item, e));
    }
    let refusals = &load.refusals[item.table];
    let mut refused = Refused::new();
    for _ in 0..REFUSED_TRIES_MAX {
        if session.is_given_up() {
            *session = session.another()?;
        }
        if refusals.met.load(Ordering::Relaxed) {
            let _turn = refusals.turn.lock().unwrap_or_else(PoisonError::into_inner);
            match search::refused_rows(load, reader, session, item) {
                Ok(Some(found)) => refused = found,
                Ok(None) => return Ok(Outcome::Stopped),
                Err(error) if is_deadlock(&error) => continue,
                Err(error) => return refusal(table, item, error),
            }
        }
        match attempt(load, reader, session, item, &refused) {
            Err(error) if search::is_about_rows(&error) || is_deadlock(&error) => {
                refusals.met.store(true, Ordering::Relaxed);
            }
            Err(error) => return refusal(table, item, error),
            done => return done,
        }
    }
    Err(Error::new(Kind::Failed, format!("the server refuses other rows of `{}` each time", table.target))
        .fact(format!("a range was tried {REFUSED_TRIES_MAX} times"))
        .state("finished ranges are on the target; this one was rolled back")
        .hint("does something else write to the target? stop it, and run the same command again; or `--jobs 1`"))
}

fn is_deadlock(error: &Error) -> bool {
    error.sqlstate() == Some("40P01")
}

/// Rows of a range that the server refused.
pub type Refused = HashMap<Place, Reject>;

fn attempt(load: &Load<'_>, reader: &Reader, session: &mut Session, item: Item, refused: &Refused) -> Result<Outcome> {
    let table = &load.order.plan.tables[item.table];
    let mut sent = Sent::default();
    let range = Attempt { load, reader, item, table, refused, started: Instant::now() };
    let result = range.transaction(session, &mut sent);
    if !matches!(result, Ok(Outcome::Done { .. })) {
        load.progress.take_back(item.table, sent.rows, sent.bytes);
    }
    result
}

// One try at a range.
struct Attempt<'l> {
    load: &'l Load<'l>,
    reader: &'l Reader,
    item: Item,
    table: &'l TablePlan,
    refused: &'l Refused,
    started: Instant,
}

// What the counters were told of the range so far.
#[derive(Default)]
struct Sent {
    rows: u64,
    bytes: u64,
}

impl Attempt<'_> {
    fn transaction(&self, session: &mut Session, sent: &mut Sent) -> Result<Outcome> {
        let Self { load, reader, item, table, refused, started } = *self;
        let schema = &load.order.plan.schema;
        let tx = session.transaction()?;
        if item.creates {
            tx.batch(&ddl::create_table(schema, table))?;
            control::record_object(&tx, load.order.run, "table", schema, &table.target)?;
        }
        let entry = Entry::of(schema, table, load.order.conflict, item.creates);
        entry.prepare(&tx)?;
        // What the server makes of texts that it casts is asked when both sides are compared.
        let has_digest = load.order.digests && !table.has_casts();
        let digest = has_digest.then(|| SourceDigest::new(table)).transpose()?;
        let writer = RowWriter::new(table)?.with_marks(table).without(load.order.unfit, table);
        let tracks = table.may_reject() || table.columns.iter().any(|c| c.on_error.replaces());
        let mut stream = Stream {
            load,
            tx: &tx,
            item,
            table,
            entry: &entry,
            copy: None,
            writer,
            digest,
            acknowledged: 0,
            refused,
            tracks,
            place: Place::BEFORE,
            rejects: Vec::new(),
        };
        stream.open()?;
        let (last_key, halt) = scan(load, reader, item, &mut stream, sent)?;
        match halt {
            Some(Halt::Misfit(misfit)) => return Ok(Outcome::Disproved(disproof(table, item, misfit))),
            Some(Halt::Out) => return Ok(Outcome::Out),
            Some(Halt::Stopped) => return Ok(Outcome::Stopped),
            None => {}
        }
        let Closed { writer, digest, acknowledged, rejects } = stream.close()?;
        let acknowledged = entry.arrive_last(&tx, acknowledged)?;
        if acknowledged != writer.rows {
            return Err(Error::new(Kind::Bug, format!("`{}`: rows sent and rows acknowledged differ", table.target))
                .fact(format!("{} sent, {acknowledged} acknowledged", writer.rows)));
        }
        let range = Range { lo: item.range.lo, hi: last_key.or(item.range.hi) };
        let done = DoneRange {
            range,
            rows: writer.rows,
            bytes: writer.bytes,
            ms: started.elapsed().as_millis() as u64,
            digest: digest.map(|mut d| source::to_stored(d.set())),
        };
        control::record_rejects(&tx, load.order.run, &table.target, &rejects)?;
        control::record_range(&tx, load.order.run, &table.target, &done, &writer.ledger(&table.target))?;
        tx.commit()?;
        load.rejected.fetch_add(rejects.len() as u64, Ordering::Relaxed);
        let rest = last_key.and_then(|key| rest_of(item, key, writer.bytes));
        Ok(Outcome::Done { rest })
    }
}

// Runs the scan. The first value is the last key, where the range ended before its end.
fn scan(
    load: &Load<'_>,
    reader: &Reader,
    item: Item,
    stream: &mut Stream<'_, '_>,
    sent: &mut Sent,
) -> Result<(Option<i64>, Option<Halt>)> {
    let query = &load.order.scans[item.table];
    let mut halt = None;
    let end = reader.scan(query, item.range, None, |key, row: &RowRef<'_>| {
        if let Some(misfit) = stream.write(key, row)? {
            halt = Some(Halt::Misfit(misfit));
            return Ok(Flow::Stop);
        }
        let is_full =
            stream.writer.buffered() >= BATCH_BYTES || stream.writer.rows - sent.rows >= load.order.batch_rows;
        if is_full {
            stream.send()?;
            load.progress.add(item.table, stream.writer.rows - sent.rows, stream.writer.bytes - sent.bytes);
            (sent.rows, sent.bytes) = (stream.writer.rows, stream.writer.bytes);
            if load.stop.load(Ordering::Relaxed) {
                halt = Some(Halt::Stopped);
                return Ok(Flow::Stop);
            }
            if load.is_out(item.table) {
                halt = Some(Halt::Out);
                return Ok(Flow::Stop);
            }
            if query.has_key() && stream.writer.bytes >= RANGE_BYTES_MAX {
                return Ok(Flow::StopAfterKey);
            }
        }
        if stream.writer.originals_bytes() >= ORIGINALS_BYTES_MAX {
            stream.flush_originals()?;
        }
        Ok(Flow::Continue)
    })?;
    load.progress.add(item.table, stream.writer.rows - sent.rows, stream.writer.bytes - sent.bytes);
    (sent.rows, sent.bytes) = (stream.writer.rows, stream.writer.bytes);
    if halt.is_none() && load.stop.load(Ordering::Relaxed) {
        halt = Some(Halt::Stopped);
    }
    let last_key = if end.finished { None } else { end.last_key };
    Ok((last_key, halt))
}

fn rest_of(item: Item, last_key: i64, bytes: u64) -> Option<Item> {
    let lo = last_key.checked_add(1)?;
    if item.range.hi.is_some_and(|hi| lo > hi) {
        return None;
    }
    let range = Range { lo: Some(lo), hi: item.range.hi };
    Some(Item { range, bytes: item.bytes.saturating_sub(bytes).max(1), creates: false, ..item })
}

// One COPY after another inside the range's transaction; almost always just one.
struct Stream<'l, 't> {
    load: &'l Load<'l>,
    tx: &'t Transaction<'t>,
    item: Item,
    table: &'l TablePlan,
    entry: &'t Entry,
    copy: Option<CopyIn<'t>>,
    writer: RowWriter,
    digest: Option<SourceDigest>,
    acknowledged: u64,
    refused: &'l Refused,
    // Whether rows may be set aside or their values replaced, so that their places count.
    tracks: bool,
    place: Place,
    rejects: Vec<Reject>,
}

// What is left of a stream.
struct Closed {
    writer: RowWriter,
    digest: Option<SourceDigest>,
    acknowledged: u64,
    rejects: Vec<Reject>,
}

impl Stream<'_, '_> {
    fn open(&mut self) -> Result<()> {
        self.copy = Some(self.entry.copy(self.tx)?);
        self.writer.begin();
        Ok(())
    }

    // The cell that ends the load of the table, if one does.
    fn write(&mut self, key: i64, row: &RowRef<'_>) -> Result<Option<Misfitting>> {
        if self.tracks {
            self.place = self.place.next(key);
            if let Some(refused) = self.refused.get(&self.place) {
                self.rejects.push(refused.clone());
                self.load.check_rejects(self.table, &self.rejects)?;
                return Ok(None);
            }
        }
        // A row without an integer key is told by its number, where anything is written down of it.
        let key = if self.load.order.scans[self.item.table].has_key() { key } else { self.place.nth };
        let Self { writer, copy, load, item, digest, .. } = self;
        let copy = copy.as_mut().expect("a stream is open between open and finish");
        let large_before = writer.met_large_cell;
        let result = writer.row(key, row, |batch| copy.send(batch.into()));
        if writer.met_large_cell && !large_before {
            load.queue.mark_large(item.table);
        }
        match result? {
            Written::Whole => {
                if let Some(digest) = digest {
                    digest.add(row);
                }
                Ok(None)
            }
            Written::Misfit(misfit) => Ok(Some(misfit)),
            Written::Rejected(misfit) => self.set_aside(rejected(self.table, self.place, misfit)),
            Written::Marked(mark, number) => self.set_aside(marked(self.table, self.place, mark, number)),
        }
    }

    fn set_aside(&mut self, reject: Reject) -> Result<Option<Misfitting>> {
        self.rejects.push(reject);
        self.load.check_rejects(self.table, &self.rejects)?;
        Ok(None)
    }

    fn send(&mut self) -> Result<()> {
        let batch = self.writer.take_batch();
        self.copy.as_mut().expect("a stream is open between open and finish").send(batch.into())
    }

    fn finish(&mut self) -> Result<()> {
        self.writer.end();
        self.send()?;
        let copy = self.copy.take().expect("a stream is open between open and finish");
        self.acknowledged += copy.finish()?;
        let originals = self.writer.take_originals();
        if originals.is_empty() {
            return Ok(());
        }
        control::record_originals(self.tx, self.load.order.run, &self.table.target, originals)
    }

    // The originals go into the same transaction, so the COPY has to pause for them.
    fn flush_originals(&mut self) -> Result<()> {
        self.finish()?;
        // FREEZE is allowed once more: the table is still new in this transaction.
        self.open()
    }

    fn close(mut self) -> Result<Closed> {
        self.finish()?;
        let Self { writer, digest, acknowledged, rejects, .. } = self;
        Ok(Closed { writer, digest, acknowledged, rejects })
    }
}

/// A row that a column's policy sets aside.
#[must_use]
pub fn rejected(table: &TablePlan, place: Place, found: Misfitting) -> Reject {
    let reason = found.misfit.map_or("text that holds NUL or is no UTF-8", |misfit| misfit.phrase());
    let column = table.columns[position(table, found.column)].source.clone();
    Reject { place, column: Some(column), reason: reason.to_owned(), sqlstate: None }
}

/// A row that a mark sets aside.
#[must_use]
pub fn marked(table: &TablePlan, place: Place, mark: usize, number: i64) -> Reject {
    let mark = &table.marks[mark];
    Reject { place, column: mark.column.clone(), reason: mark.told(number), sqlstate: None }
}

fn disproof(table: &TablePlan, item: Item, found: Misfitting) -> Disproof {
    Disproof {
        table: item.table,
        column: position(table, found.column),
        key: Some(found.key),
        misfit: found.misfit,
        refusal: None,
    }
}

// The position among all columns of the plan of the n-th loaded one.
fn position(table: &TablePlan, loaded: usize) -> usize {
    let mut positions = table.columns.iter().enumerate().filter(|(_, c)| c.generated.is_none()).map(|(i, _)| i);
    positions.nth(loaded).expect("the writer has the plan's loaded columns")
}

/// What a server's refusal means: a column whose type does not take its values, or an error of the run.
fn refusal(table: &TablePlan, item: Item, error: Error) -> Result<Outcome> {
    let refused = if error.kind() == Kind::Failed { error.sqlstate().map(str::to_owned) } else { None };
    let Some(sqlstate) = refused else {
        // It says by itself what and where.
        if error.kind() == Kind::Failed && error.data_state().is_some() {
            return Err(error);
        }
        let error = error.context(format!("`{}` cannot be copied", table.target));
        let is_lost = error.kind() == Kind::Target && error.data_state().is_none();
        return Err(if is_lost {
            error.state("finished ranges are on the target; this one was rolled back")
        } else {
            error
        });
    };
    // Class 22: data exception; 54: program limit exceeded (a jsonb beyond its limits, nesting too deep).
    let about_data = sqlstate.starts_with("22") || sqlstate.starts_with("54");
    let column = refused_column(&error).and_then(|name| table.columns.iter().position(|c| c.target == name));
    let generated = table.columns.iter().position(|c| c.generated.is_some());
    if let Some(column) = column.or(generated).filter(|_| about_data && !table.existing) {
        let refusal = Some(error.to_string());
        return Ok(Outcome::Disproved(Disproof { table: item.table, column, key: None, misfit: None, refusal }));
    }
    let about_rows = search::is_about_rows(&error);
    let too_big = error.to_string().contains("row is too big");
    let error = error
        .context(format!("the server refused rows of `{}`", table.target))
        .state("this range was rolled back; finished ranges are kept");
    if !too_big {
        let hint = format!("`{}` sets such rows aside, and the same run goes on", reject(&table.source));
        return Err(if about_rows { error.hint(hint) } else { error });
    }
    Err(error
        .fact("a row of PostgreSQL has to fit a page of 8 kB; only long texts and blobs are moved out")
        .hint(format!("`{}` leaves the table out; split it in SQLite to move it", exclude(&table.source))))
}
