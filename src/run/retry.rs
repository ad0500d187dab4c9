//! Rows that were set aside are tried again, once a rule was changed: a column of the target, a policy, or rows that
//! were missing.

use super::casts::Asked;
use super::clock::Clock;
use super::existing::Quiet;
use super::options::Options;
use super::{Opened, open, rejects, start, verify};
use crate::error::{Error, Kind, Result};
use crate::load::Conflict;
use crate::load::copy::{Refused, marked, rejected};
use crate::load::entry::Entry;
use crate::load::interrupted;
use crate::load::search::Search;
use crate::load::unfit::Unfit;
use crate::load::writer::{RowWriter, Written};
use crate::model::bounds::BATCH_BYTES;
use crate::model::conversion::Conversion;
use crate::model::digest::SetDigest;
use crate::model::event::{Event, Observer, Phase, RejectedTable};
use crate::model::pg_type::PgType;
use crate::model::plan::{Plan, TablePlan};
use crate::model::policy::{Place, Reject, Rules};
use crate::model::range::Range;
use crate::model::source::RowKey;
use crate::model::verdict::Verification;
use crate::plan::{Draft, PlanOptions, Purpose};
use crate::postgres::catalog::{self, ExistingColumn};
use crate::postgres::control::{self, RunRecord, State};
use crate::postgres::triggers::Events;
use crate::postgres::{Pool, PoolSettings, Session, Target, Transaction};
use crate::sqlite::{Flow, Reader, RowRef, Source, TableScan};
use crate::verify::source::{SourceDigest, from_stored, to_stored};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

/// What a second try did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Retried {
    /// The run whose rows they are.
    pub run: String,
    /// Rows that are on the target now, by table.
    pub taken: Vec<(String, u64)>,
    /// What is still set aside.
    pub rejects: Vec<RejectedTable>,
    /// What the comparison of both sides found afterwards; none where nothing was tried.
    pub verification: Option<Verification>,
}

/// What is to be done with the rows that the latest run into a schema has set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The files that list them, written anew.
    List,
    /// Another try, under the target's columns as they are now and the policies that are stated now.
    Retry,
}

/// Lists the rows that the latest run has set aside, or tries them again: each table in one transaction, parents first.
pub fn set_aside(
    options: &Options,
    target: &Target,
    wanted: Wanted,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<Retried> {
    let mut clock = Clock::new(observer);
    // A source that is none is told before anybody is connected to; it is read once its shape is known.
    drop(Source::open(&options.source, options.snapshot)?);
    let pool = Pool::connect(target, 2, &PoolSettings::default())?;
    let mut control = pool.session()?;
    start::check_encoding(&control)?;
    start::hold(&mut control, options)?;
    let shaped = verify::options_of_run(&control, options)?;
    let options = shaped.as_ref().unwrap_or(options);
    let opened = clock.phase(Phase::Open, 1, || open(options))?;
    let mut run = finished_run(&control, options, &opened)?;
    let mut found = control::rejects(&control, run.id)?;
    let mut taken = Vec::new();
    if wanted == Wanted::Retry && !found.is_empty() {
        adapt(&mut run, &opened, options, &mut control)?;
        let (catalog, reader) = (&opened.catalog, &opened.readers[0]);
        let unfit = Asked { plan: &run.plan, catalog, reader, must_fit: false, stop }.apart(&mut control)?;
        let job = Job {
            run: run.id,
            plan: &run.plan,
            opened: &opened,
            unfit: &unfit,
            fires: options.fires_triggers,
            observer,
            stop,
        };
        taken = clock.phase(Phase::Copy, found.len(), || job.all(&mut control, &found))?;
        found = control::rejects(&control, run.id)?;
    }
    for table in run.plan.tables.iter().filter(|t| !found.contains_key(&t.target)) {
        rejects::unlist(&options.rejects, &table.target)?;
    }
    rejects::list(&options.rejects, &run.plan, &opened.catalog, &opened.readers[0], &found)
        .map_err(|e| e.or_state("what was taken is on the target; what was not is in `lite2pg.reject`"))?;
    let rejects = rejects::summary(options, &run.plan, &found);
    drop((control, opened));
    let verification = if taken.is_empty() || !options.verify {
        None
    } else {
        Some(verify::verify(options, target, false, observer, stop)?)
    };
    Ok(Retried { run: run.id.to_string(), taken, rejects, verification })
}

fn finished_run(session: &Session, options: &Options, opened: &Opened) -> Result<RunRecord> {
    let none = |what: String| Err(Error::new(Kind::Blocked, what).state("nothing was written"));
    let run = if control::exists(session)? { control::latest(session, &options.schema)? } else { None };
    let Some(run) = run.filter(|run| run.format == control::FORMAT) else {
        return none(format!("no run of lite2pg into schema `{}` is known here", options.schema));
    };
    if run.state != State::Done {
        return none(format!("run {} has not ended: `lite2pg migrate` goes on with it", run.id));
    }
    if run.fingerprint != opened.fingerprint {
        return none(format!("the source was changed since run {}: its rows may be others by now", run.id));
    }
    Ok(run)
}

// The plan under the target's columns as they are now, and the policies that are stated now.
fn adapt(run: &mut RunRecord, opened: &Opened, options: &Options, control: &mut Session) -> Result<()> {
    let names: Vec<String> = run.plan.tables.iter().map(|t| t.target.clone()).collect();
    let there = catalog::columns_of(control, &options.schema, &names)?;
    let mut changed = false;
    for table in &mut run.plan.tables {
        for column in &mut table.columns {
            let now = there.get(&table.target).and_then(|all| all.iter().find(|c| c.name == column.target));
            let name = format!("{}.{}", table.target, column.target);
            let Some(now) = now else {
                return Err(Error::new(Kind::Blocked, format!("the target has no column `{name}` any more"))
                    .state("nothing was written"));
            };
            let (conversion, pg_type) = retyped(&column.conversion, &column.pg_type, now).ok_or_else(|| {
                Error::new(Kind::Blocked, format!("`{name}` is {} now and was {}", now.type_text, column.pg_type))
                    .fact("rows are tried again in a wider type of the same kind, not in another one")
                    .state("nothing was written")
                    .hint("`lite2pg migrate --restart` begins again")
            })?;
            changed |= conversion != column.conversion || pg_type != column.pg_type || now.not_null != column.not_null;
            (column.conversion, column.pg_type, column.not_null) = (conversion, pg_type, now.not_null);
        }
    }
    let existing = catalog::tables(control, &options.schema, &names)?;
    // The types are the target's by now.
    let rules = Rules { types: Vec::new(), ..options.rules.clone() };
    let plan_options = PlanOptions { purpose: Purpose::Compare, rules, ..options.plan_options() };
    let draft = Draft::new(opened.catalog.clone(), plan_options, &[], &existing)?;
    changed |= rejects::change_policies(&mut run.plan, &draft, control)?;
    if changed {
        control::change_plan(control, run.id, &run.plan, &run.options)?;
    }
    Ok(())
}

// The rule for a column whose type was changed since: None where that is another kind of type.
fn retyped(rule: &Conversion, was: &PgType, now: &ExistingColumn) -> Option<(Conversion, PgType)> {
    let pg_type = now.pg_type.clone();
    let conversion = match (rule, &pg_type) {
        (Conversion::Label { .. }, _) if now.labels.is_some() => {
            Conversion::Label { labels: now.labels.clone().unwrap_or_default() }
        }
        (rule, pg_type) if pg_type == was => rule.clone(),
        (Conversion::Cast { .. }, PgType::Cast(_)) => rule.clone(),
        (Conversion::Int { .. }, PgType::Int2) => Conversion::Int { bytes: 2 },
        (Conversion::Int { .. }, PgType::Int4) => Conversion::Int { bytes: 4 },
        (Conversion::Int { .. }, PgType::Int8) => Conversion::Int { bytes: 8 },
        (Conversion::Whole { .. }, PgType::Int2) => Conversion::Whole { bytes: 2 },
        (Conversion::Whole { .. }, PgType::Int4) => Conversion::Whole { bytes: 4 },
        (Conversion::Whole { .. }, PgType::Int8) => Conversion::Whole { bytes: 8 },
        (Conversion::Numeric { text, .. }, PgType::Numeric(limit)) => {
            Conversion::Numeric { limit: *limit, text: *text }
        }
        (Conversion::Float4, PgType::Float8) => Conversion::Float8,
        (Conversion::Text { numbers, .. }, PgType::Text) => Conversion::Text { numbers: *numbers, chars_max: None },
        (Conversion::Text { numbers, .. }, PgType::Varchar(n)) => {
            Conversion::Text { numbers: *numbers, chars_max: Some(*n) }
        }
        _ => return None,
    };
    Some((conversion, pg_type))
}

struct Job<'a> {
    run: Uuid,
    plan: &'a Plan,
    opened: &'a Opened,
    unfit: &'a Unfit,
    // Whether triggers fire for rows that are taken.
    fires: bool,
    observer: &'a dyn Observer,
    stop: &'a AtomicBool,
}

impl Job<'_> {
    // A row may wait for one of another table, so that tables are tried until nothing more comes in.
    fn all(&self, control: &mut Session, found: &HashMap<String, Vec<Reject>>) -> Result<Vec<(String, u64)>> {
        let mut left: HashMap<&str, Vec<Reject>> = found.iter().map(|(t, r)| (t.as_str(), r.clone())).collect();
        let mut taken: HashMap<String, u64> = HashMap::new();
        let mut told: HashSet<String> = HashSet::new();
        loop {
            let mut progress = false;
            for table in &self.plan.tables {
                let Some(rejects) = left.get_mut(table.target.as_str()).filter(|r| !r.is_empty()) else { continue };
                if self.stop.load(Ordering::Relaxed) {
                    return Err(interrupted());
                }
                let before = rejects.len();
                *rejects = self.table(control, table, rejects, told.insert(table.target.clone()))?;
                let now = (before - rejects.len()) as u64;
                *taken.entry(table.target.clone()).or_default() += now;
                progress |= now > 0;
            }
            if !progress {
                break;
            }
        }
        let mut taken: Vec<(String, u64)> = taken.into_iter().filter(|(_, rows)| *rows > 0).collect();
        taken.sort();
        Ok(taken)
    }

    // Tries the rows of one table; gives those that are still set aside, with their reasons as they are now.
    fn table(
        &self,
        control: &mut Session,
        table: &TablePlan,
        rejects: &[Reject],
        is_first: bool,
    ) -> Result<Vec<Reject>> {
        let Some(source) = self.opened.catalog.table(&table.source) else { return Ok(rejects.to_vec()) };
        let positions: Vec<usize> = table.compared().filter_map(|c| source.column_index(&c.source)).collect();
        let scan = TableScan::new(source, &positions).with_marks(source);
        let places: Vec<Place> = rejects.iter().map(|r| r.place).collect();
        let rows = Rows { reader: &self.opened.readers[0], scan: &scan, row_key: &table.row_key, places: &places };
        let mut tx = control.transaction()?;
        let names = [table.target.clone()];
        let quiet = Quiet::begin(&tx, (&self.plan.schema, &names), Events::INSERT, self.fires)?;
        for remark in quiet.remarks.iter().filter(|_| is_first) {
            self.observer.event(&Event::Remark(remark.clone()));
        }
        let still = self.refused(&tx, table, &rows)?;
        if still.len() < places.len() {
            self.take(&mut tx, table, &rows, &still)?;
        }
        let mut still: Vec<Reject> = still.into_values().collect();
        still.sort_by_key(|r| r.place);
        control::forget_rejects(&tx, self.run, &table.target)?;
        control::record_rejects(&tx, self.run, &table.target, &still)?;
        quiet.end(&tx)?;
        tx.commit()?;
        Ok(still)
    }

    // Finds those that break a rule still, and leaves nothing of it in the transaction.
    fn refused(&self, tx: &Transaction<'_>, table: &TablePlan, rows: &Rows<'_>) -> Result<Refused> {
        let undo = tx.savepoint("lite2pg_retry")?;
        let mut search = Search::new(tx, &self.plan.schema, table, Conflict::Fail)?;
        let mut writer = RowWriter::new(table)?.with_marks(table).without(self.unfit, table);
        let mut unfit = Refused::new();
        rows.each(|place, key, row| {
            match search.row(&mut writer, place, key, row)? {
                Written::Whole => {}
                Written::Misfit(found) | Written::Rejected(found) => {
                    unfit.insert(place, rejected(table, place, found));
                }
                Written::Marked(mark, number) => {
                    unfit.insert(place, marked(table, place, mark, number));
                }
            }
            if search.is_full() { search.try_step() } else { Ok(()) }
        })?;
        search.try_step()?;
        unfit.extend(search.found);
        undo.back()?;
        Ok(unfit)
    }

    // Loads the others, and accounts for them with a range of the run.
    fn take(&self, tx: &mut Transaction<'_>, table: &TablePlan, rows: &Rows<'_>, still: &Refused) -> Result<()> {
        let schema = &self.plan.schema;
        let entry = Entry::of(schema, table, Conflict::Fail, false);
        entry.prepare(tx)?;
        let mut copy = entry.copy(tx)?;
        let mut writer = RowWriter::new(table)?.with_marks(table).without(self.unfit, table);
        let mut digest = SourceDigest::new(table)?;
        writer.begin();
        rows.each(|place, key, row| {
            if still.contains_key(&place) {
                return Ok(());
            }
            if writer.row(key, row, |batch| copy.send(batch.into()))? != Written::Whole {
                return Err(Error::new(Kind::Bug, format!("`{}` took a row and then did not", table.target)));
            }
            digest.add(row);
            if writer.buffered() >= BATCH_BYTES { copy.send(writer.take_batch().into()) } else { Ok(()) }
        })?;
        writer.end();
        copy.send(writer.take_batch().into())?;
        copy.finish()?;
        entry.arrive(tx)?;
        entry.leave(tx)?;
        let originals = writer.take_originals();
        if !originals.is_empty() {
            control::record_originals(tx, self.run, &table.target, originals)?;
        }
        let (ledger, sum) = (writer.ledger(&table.target), digest.set());
        control::add_to_range(tx, self.run, &table.target, (writer.rows, writer.bytes), &ledger, |stored| {
            // What PostgreSQL makes of values that it casts is asked when both sides are compared.
            if table.has_casts() {
                return None;
            }
            let mut set: SetDigest = from_stored(stored)?;
            set.merge(&sum);
            Some(to_stored(set))
        })?;
        for owned in catalog::owned_sequences(tx, schema, &table.target)? {
            let identity = table.columns.iter().find(|c| c.target == owned.column).and_then(|c| c.identity.as_ref());
            catalog::advance_sequence(tx, schema, &table.target, &owned, identity.and_then(|i| i.last))?;
        }
        Ok(())
    }
}

// The rows of a table at these places.
struct Rows<'a> {
    reader: &'a Reader,
    scan: &'a TableScan,
    row_key: &'a RowKey,
    places: &'a [Place],
}

impl Rows<'_> {
    fn each(&self, mut row: impl FnMut(Place, i64, &RowRef<'_>) -> Result<()>) -> Result<()> {
        if matches!(self.row_key, RowKey::Rowid { .. }) {
            for place in self.places {
                let range = Range { lo: Some(place.key), hi: Some(place.key) };
                self.reader
                    .scan(self.scan, range, None, |key, cells| row(*place, key, cells).map(|()| Flow::Continue))?;
            }
            return Ok(());
        }
        let wanted: HashSet<Place> = self.places.iter().copied().collect();
        let mut place = Place::BEFORE;
        self.reader.scan(self.scan, Range::ALL, None, |key, cells| {
            place = place.next(key);
            let told_by = if self.scan.has_key() { key } else { place.nth };
            if wanted.contains(&place) {
                row(place, told_by, cells)?;
            }
            Ok(Flow::Continue)
        })?;
        Ok(())
    }
}
