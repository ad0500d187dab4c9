//! The comparison of both sides: digests of all tables at one moment of the target, then the rows of what differs.

use super::ahead::Ahead;
use super::clock::millis;
use super::crew::Hands;
use super::hashed::{self, Watch};
use super::parts::{self, Part};
use super::{Opened, oracles, sampled};
use crate::error::{Error, Kind, Result};
use crate::load::interrupted;
use crate::model::bounds::{DIFFERENCE_SAMPLES, DIFFERENCES_MAX, RANGE_BYTES_MAX, SAMPLE_ROWS};
use crate::model::digest::SetDigest;
use crate::model::event::{CopyTable, Event, Observer, Progress};
use crate::model::plan::{Plan, TablePlan};
use crate::model::policy::Place;
use crate::model::range::Range;
use crate::model::source::{Catalog, RowKey};
use crate::model::verdict::{Difference, Differences, Level, Outcome, Sample, SampleSize, TableVerdict, Verification};
use crate::postgres::read::{self, Moment};
use crate::postgres::{Session, catalog, hash};
use crate::sqlite::{Flow, Reader, TableScan};
use crate::verify::listing::Listing;
use crate::verify::locate::{Key, Sides, Wanted, locate};
use crate::verify::side::{SourceSide, TargetSide};
use crate::verify::source::SourceDigest;
use crate::verify::waiting::Waiting;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What a person wants of a comparison.
#[derive(Debug, Clone)]
pub struct Wish {
    /// How deep.
    pub level: Level,
    /// The folder for the files that list what differs.
    pub folder: PathBuf,
    /// Rows that differ are searched for in one table until this many were found.
    pub rows_max: u64,
    /// Whether the summary may tell values.
    pub show_values: bool,
    /// Columns that tell the rows of a table apart, by the table's name, where it is not the primary key.
    pub keys: HashMap<String, Vec<String>>,
    /// Which rows, at [`Level::Sample`].
    pub sample: Sample,
    /// Whether the server's hash of each table that is equal is kept, for [`Level::Hash`].
    pub records_hash: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            level: Level::Rows,
            folder: PathBuf::from("differences"),
            rows_max: DIFFERENCES_MAX,
            show_values: false,
            keys: HashMap::new(),
            sample: Sample { size: SampleSize::RowsPerTable(SAMPLE_ROWS), seed: 1 },
            records_hash: false,
        }
    }
}

/// What is known of a table before it is compared.
#[derive(Debug, Clone)]
pub struct Subject {
    /// What its rows must look like, or how to find out.
    pub source: Known,
    /// Columns of the source that have no counterpart.
    pub unverified: Vec<String>,
}

/// What is known of a table's source rows.
#[derive(Debug, Clone)]
pub enum Known {
    /// The load has added them up.
    Digest(SetDigest),
    /// They have to be read.
    Unread,
    /// The target has no such table; the source has this many rows.
    Absent(u64),
    /// They cannot be compared, for this reason.
    Out(String),
}

/// What all steps of a comparison share.
pub struct Proof<'a> {
    /// The tables, and how their cells are to be read.
    pub plan: &'a Plan,
    /// What is wanted.
    pub wish: &'a Wish,
    /// Who reads the target.
    pub hands: Hands<'a>,
    /// Who is told.
    pub observer: &'a dyn Observer,
    /// Whether other opinions are asked for whatever they cost; else only where that is next to nothing.
    pub is_thorough: bool,
    /// The rows that the run set aside, by table: they are to be on the source only.
    pub rejected: &'a HashMap<String, HashSet<Place>>,
}

impl Proof<'_> {
    /// How many rows of a table were set aside.
    #[must_use]
    pub fn rejected_of(&self, table: &TablePlan) -> u64 {
        self.rejected.get(&table.target).map_or(0, |places| places.len() as u64)
    }
}

/// The source, held still, from the moment on that somebody reads from it.
pub struct Held<'a> {
    /// The source, once it is open.
    pub opened: Option<Opened>,
    /// Opens it.
    pub open: &'a dyn Fn() -> Result<Opened>,
}

impl Held<'_> {
    /// The source.
    pub fn get(&mut self) -> Result<&mut Opened> {
        if self.opened.is_none() {
            self.opened = Some((self.open)()?);
        }
        Ok(self.opened.as_mut().expect("it was just opened"))
    }
}

/// Compares. The source is opened only where rows have to be read from it. What was read ahead of the target is not
/// read again.
pub fn compare(
    proof: &Proof<'_>,
    subjects: Vec<Subject>,
    source: &mut Held<'_>,
    ahead: Option<&Ahead<'_>>,
) -> Result<Verification> {
    let started = Instant::now();
    // A key that cannot be used is known now, not once something differs.
    for name in proof.wish.keys.keys() {
        let named = proof.plan.tables.iter().find(|t| t.source == *name || t.target == *name);
        key_of(proof, named.ok_or_else(|| no_such_table(name))?)?;
    }
    let mut found = if let Some(ahead) = ahead.filter(|ahead| ahead.is_held()) {
        at(proof, (ahead.moment, ahead.holder), subjects, source, Some(ahead))?
    } else {
        let mut holder = (proof.hands.session)()?;
        let holder = holder.transaction_as(read::BEGIN)?;
        at(proof, (&Moment::of(&holder)?, &holder), subjects, source, None)?
    };
    found.ms = millis(started);
    Ok(found)
}

// At this moment, which this session holds.
fn at(
    proof: &Proof<'_>,
    (moment, holder): (&Moment, &Session),
    mut subjects: Vec<Subject>,
    source: &mut Held<'_>,
    ahead: Option<&Ahead<'_>>,
) -> Result<Verification> {
    without_hidden(proof, holder, &mut subjects)?;
    let watch = proof.wish.records_hash.then(|| Watch::begin(proof)).transpose()?;
    let mut found = match proof.wish.level {
        Level::Rows => rows(proof, moment, subjects, source, ahead)?,
        Level::Sample => sampled::compare(proof, moment, subjects, proof.wish.sample, source)?,
        Level::Hash => hashed::compare(proof, (moment, holder), subjects, source)?,
        Level::Aggregates | Level::Counts => figures(proof, moment, subjects, source)?,
    };
    if let Some(watch) = watch {
        found.hashes = watch.hashes(proof, moment, &found.tables)?;
        found.compared_at = Some(hash::now(holder)?);
    }
    found.sequences = sequences(proof, holder, &found.tables)?;
    Ok(found)
}

// A table is not compared by those of its rows that a policy lets this role see.
fn without_hidden(proof: &Proof<'_>, session: &Session, subjects: &mut [Subject]) -> Result<()> {
    let is_read = |s: &Subject| matches!(s.source, Known::Digest(_) | Known::Unread);
    let tables = proof.plan.tables.iter().zip(&*subjects).filter(|(_, s)| is_read(s));
    let names: Vec<String> = tables.map(|(t, _)| t.target.clone()).collect();
    let hidden = catalog::with_hidden_rows(session, &proof.plan.schema, &names)?;
    for (table, subject) in proof.plan.tables.iter().zip(subjects) {
        if hidden.contains(&table.target) && is_read(subject) {
            let why = "row security may hide rows of it from this role; its owner, or one with BYPASSRLS, sees all";
            subject.source = Known::Out(why.to_owned());
        }
    }
    Ok(())
}

/// Every cell by its digest, and then what other oracles say.
pub fn rows(
    proof: &Proof<'_>,
    moment: &Moment,
    subjects: Vec<Subject>,
    source: &mut Held<'_>,
    ahead: Option<&Ahead<'_>>,
) -> Result<Verification> {
    let progress = announce(proof, &subjects);
    let mut expected = HashMap::new();
    if subjects.iter().any(|s| matches!(s.source, Known::Unread)) {
        expected = source_digests(proof, source.get()?, &subjects, &progress)?;
    }
    let found = target_digests(proof, moment, &subjects, &progress, ahead)?;
    let mut with_rows: Vec<usize> = found.iter().filter(|(_, digest)| digest.rows > 0).map(|(t, _)| *t).collect();
    with_rows.sort_unstable();
    let planted = oracles::planted(proof, moment, &with_rows)?;
    let mut other = oracles::Opinions::default();
    other.ask(proof, moment, &found, source)?;
    let mut tables = Vec::with_capacity(subjects.len());
    for (t, subject) in subjects.into_iter().enumerate() {
        let expect = match subject.source {
            Known::Digest(digest) => digest,
            Known::Unread => expected.get(&t).copied().unwrap_or_default(),
            Known::Absent(_) | Known::Out(_) => {
                tables.push(uncompared(&proof.plan.tables[t], subject));
                continue;
            }
        };
        let target = found[&t];
        let disputed = other.disputed.remove(&t).unwrap_or_default();
        let outcome = if expect != target {
            let found = differences(proof, source.get()?, moment, t)?;
            Outcome::Different(Differences { disputed, ..found })
        } else if disputed.is_empty() {
            Outcome::Equal
        } else {
            Outcome::Different(Differences { disputed, complete: true, ..Differences::default() })
        };
        let table = &proof.plan.tables[t];
        let rejected = proof.rejected_of(table);
        tables.push(verdict(table, (expect.rows, target.rows), rejected, outcome, subject.unverified));
    }
    Ok(Verification {
        planted,
        figures: other.figures,
        cast: other.cast,
        remarks: other.remarks,
        ..nothing(proof, tables)
    })
}

// Numbers of rows, and the figures that both databases state in SQL.
fn figures(proof: &Proof<'_>, moment: &Moment, subjects: Vec<Subject>, source: &mut Held<'_>) -> Result<Verification> {
    let is_asked = |s: &Subject| matches!(s.source, Known::Digest(_) | Known::Unread);
    let asked: Vec<usize> = (0..subjects.len()).filter(|&t| is_asked(&subjects[t])).collect();
    let mut figures = oracles::figures(proof, moment, &asked, source.get()?)?;
    let (mut tables, mut agreed) = (Vec::with_capacity(subjects.len()), 0);
    for (t, subject) in subjects.into_iter().enumerate() {
        let table = &proof.plan.tables[t];
        let Some(figures) = figures.remove(&t) else {
            tables.push(uncompared(table, subject));
            continue;
        };
        let rejected = proof.rejected_of(table);
        let (here, there) = (figures.rows.0.saturating_sub(rejected), figures.rows.1);
        agreed += figures.agreed;
        let outcome = if here == there && figures.disputed.is_empty() {
            Outcome::Equal
        } else {
            // Which rows, nobody looked at.
            let (missing, extra) = (here.saturating_sub(there), there.saturating_sub(here));
            Outcome::Different(Differences { missing, extra, disputed: figures.disputed, ..Differences::default() })
        };
        tables.push(verdict(table, (here, there), rejected, outcome, subject.unverified));
    }
    Ok(Verification { figures: agreed, ..nothing(proof, tables) })
}

/// A comparison of these tables that asked nothing else.
pub fn nothing(proof: &Proof<'_>, tables: Vec<TableVerdict>) -> Verification {
    Verification {
        level: proof.wish.level,
        tables,
        sequences: Vec::new(),
        planted: 0,
        figures: 0,
        cast: 0,
        remarks: Vec::new(),
        sample: None,
        hashes: Vec::new(),
        compared_at: None,
        recorded: None,
        repaired: None,
        ms: 0,
    }
}

/// The word on one table.
pub fn verdict(
    table: &TablePlan,
    rows: (u64, u64),
    rejected: u64,
    outcome: Outcome,
    unverified: Vec<String>,
) -> TableVerdict {
    TableVerdict {
        source: table.source.clone(),
        table: table.target.clone(),
        source_rows: rows.0 + rejected,
        target_rows: rows.1,
        rejected,
        outcome,
        unverified,
    }
}

/// The word on a table that one side lacks, or that was left out.
pub fn uncompared(table: &TablePlan, subject: Subject) -> TableVerdict {
    let (rows, outcome) = match subject.source {
        Known::Absent(rows) => (rows, Outcome::Absent),
        Known::Out(why) => (0, Outcome::Unverified { why }),
        Known::Digest(_) | Known::Unread => (0, Outcome::Unverified { why: "nobody read it".to_owned() }),
    };
    verdict(table, (rows, 0), 0, outcome, subject.unverified)
}

/// Tells what will be read, and how far that is.
pub fn announce(proof: &Proof<'_>, subjects: &[Subject]) -> Arc<Progress> {
    let progress = Arc::new(Progress::new(proof.plan.tables.len()));
    let of = |(table, subject): (&TablePlan, &Subject)| {
        let sides = match subject.source {
            Known::Digest(_) => 1,
            Known::Unread => 2,
            Known::Absent(_) | Known::Out(_) => 0,
        };
        CopyTable { name: table.target.clone(), rows: table.rows * sides, bytes: table.bytes * sides, rows_done: 0 }
    };
    let tables = proof.plan.tables.iter().zip(subjects).map(of).collect();
    proof.observer.event(&Event::VerifyPlanned { tables });
    proof.observer.watch(Arc::clone(&progress));
    progress
}

/// An error once somebody wants the comparison to end.
pub fn go_on(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) { Err(interrupted()) } else { Ok(()) }
}

/// The digests of the target's tables at a moment.
pub fn target_digests(
    proof: &Proof<'_>,
    moment: &Moment,
    subjects: &[Subject],
    progress: &Progress,
    ahead: Option<&Ahead<'_>>,
) -> Result<HashMap<usize, SetDigest>> {
    let is_read = |t: &usize| matches!(subjects[*t].source, Known::Digest(_) | Known::Unread);
    let tables: Vec<usize> = (0..subjects.len()).filter(is_read).collect();
    let mut found: HashMap<usize, SetDigest> = tables.iter().map(|t| (*t, SetDigest::default())).collect();
    let listed;
    let parts = if let Some(parts) = ahead.and_then(Ahead::parts) {
        parts
    } else {
        listed = parts::list(&proof.hands, moment, proof.plan, &tables)?;
        &listed
    };
    let parts: Vec<&Part> = parts.iter().filter(|part| found.contains_key(&part.table)).collect();
    for part in &parts {
        progress.add(part.table, part.digest().map_or(0, |digest| digest.rows), 0);
    }
    let read = |session: &mut Session, part: &&Part| {
        let add = |rows, bytes| progress.add(part.table, rows, bytes);
        part.read(session, moment, proof.plan, proof.hands.stop, add)
    };
    proof.hands.each(&parts, read)?;
    if let Some(ahead) = ahead {
        // What was under way is read by now, or nobody's again.
        ahead.wait();
        proof.hands.each(&parts, read)?;
    }
    for part in parts {
        let digest = part.digest().expect("each part was read, or an error was met");
        found.entry(part.table).or_default().merge(&digest);
    }
    Ok(found)
}

/// The source once more, as many tables and ranges at once as there are readers.
pub fn source_digests(
    proof: &Proof<'_>,
    opened: &mut Opened,
    subjects: &[Subject],
    progress: &Progress,
) -> Result<HashMap<usize, SetDigest>> {
    let mut parts: Vec<(usize, TableScan, Range)> = Vec::new();
    for (t, _) in subjects.iter().enumerate().filter(|(_, s)| matches!(s.source, Known::Unread)) {
        let table = &proof.plan.tables[t];
        // The load went from the first row to the last. Only rowids say from which end a row was counted.
        let scan = scan_of(&opened.catalog, table)?;
        let is_counted = proof.rejected_of(table) > 0 && !matches!(table.row_key, RowKey::Rowid { .. });
        let scan = if is_counted { scan } else { scan.backwards() };
        let number = table.bytes.div_ceil(RANGE_BYTES_MAX).clamp(1, 1024) as u32;
        let ranges = match opened.readers[0].key_bounds(&scan)? {
            Some((min, max)) => Range::ALL.split(min, max, number),
            None => vec![Range::ALL],
        };
        parts.extend(ranges.into_iter().map(|range| (t, scan.clone(), range)));
    }
    parts.sort_by_key(|(t, _, _)| std::cmp::Reverse(proof.plan.tables[*t].bytes));
    let (next, sums, first_error) = (Mutex::new(parts.iter()), Mutex::new(HashMap::new()), Mutex::new(None));
    let work = |reader: &Reader| -> Result<()> {
        loop {
            let Some((t, scan, range)) = lock(&next).next() else { return Ok(()) };
            let table = &proof.plan.tables[*t];
            let mut digest = SourceDigest::new(table)?.without(proof.rejected.get(&table.target));
            let mut rows = 0;
            let mut casting = Waiting::of(table, proof.hands.session)?;
            let settle = |digest: &mut SourceDigest, waiting: &mut Waiting| {
                waiting.settle(|form, _| {
                    digest.add_form(form);
                    Ok(())
                })
            };
            reader.scan(scan, *range, None, |key, row| {
                if digest.takes(key) {
                    match &mut casting {
                        None => digest.add(row),
                        Some(waiting) => {
                            if waiting.add(row, false) {
                                settle(&mut digest, waiting)?;
                            }
                        }
                    }
                }
                rows += 1;
                if rows % 4096 == 0 {
                    progress.add(*t, 4096, 0);
                    go_on(proof.hands.stop)?;
                    if lock(&first_error).is_some() {
                        return Ok(Flow::Stop);
                    }
                }
                Ok(Flow::Continue)
            })?;
            if let Some(waiting) = &mut casting {
                settle(&mut digest, waiting)?;
            }
            progress.add(*t, rows % 4096, 0);
            lock(&sums).entry(*t).or_insert_with(SetDigest::default).merge(&digest.set());
        }
    };
    std::thread::scope(|scope| {
        for reader in &mut opened.readers {
            let (work, first_error) = (&work, &first_error);
            scope.spawn(move || {
                if let Err(error) = work(reader) {
                    lock(first_error).get_or_insert(error);
                }
            });
        }
    });
    match first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(sums.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The scan of a table's compared columns.
pub fn scan_of(catalog: &Catalog, table: &TablePlan) -> Result<TableScan> {
    let gone = |what: &str| {
        Error::new(Kind::Blocked, format!("the source has no {what} any more"))
            .hint("it was changed since it was migrated; `lite2pg migrate --restart` begins again")
    };
    let source = catalog.table(&table.source).ok_or_else(|| gone(&format!("table `{}`", table.source)))?;
    let position = |c: &crate::model::plan::ColumnPlan| {
        source.column_index(&c.source).ok_or_else(|| gone(&format!("column `{}.{}`", table.source, c.source)))
    };
    Ok(TableScan::new(source, &table.compared().map(position).collect::<Result<Vec<_>>>()?))
}

fn no_such_table(name: &str) -> Error {
    Error::new(Kind::Usage, format!("`--key` names a table `{name}`, which is none of those that are compared"))
        .state("nothing was compared")
}

/// What tells the rows of a table apart.
pub fn key_of(proof: &Proof<'_>, table: &TablePlan) -> Result<Key> {
    match proof.wish.keys.get(&table.source).or_else(|| proof.wish.keys.get(&table.target)) {
        Some(names) => Key::stated(table, names),
        None => Ok(Key::of(table)),
    }
}

fn differences(proof: &Proof<'_>, opened: &mut Opened, moment: &Moment, t: usize) -> Result<Differences> {
    let table = &proof.plan.tables[t];
    let key = key_of(proof, table)?;
    let scan = scan_of(&opened.catalog, table)?;
    let mut session = (proof.hands.session)()?;
    let look = || go_on(proof.hands.stop);
    let digest = SourceDigest::new(table)?.without(proof.rejected.get(&table.target));
    let casting = Waiting::of(table, proof.hands.session)?;
    let mut source = SourceSide { reader: &opened.readers[0], scan: &scan, digest, casting, look: &look };
    let mut target = TargetSide { session: &mut session, moment, schema: &proof.plan.schema, table, look: &look };
    let mut listing = Listing::new(&proof.wish.folder, &table.target);
    let mut samples = Vec::new();
    let mut sides = Sides { source: &mut source, target: &mut target };
    let wanted = Wanted { rows_max: proof.wish.rows_max, values: true };
    let mut differences = locate(&key, &mut sides, wanted, &mut |difference| {
        if samples.len() < DIFFERENCE_SAMPLES {
            samples.push(told(proof, difference));
        }
        listing.add(difference)
    })?;
    if differences.missing + differences.extra + differences.changed == 0 {
        return Err(Error::new(Kind::Bug, format!("the digests of `{}` differ, and its rows do not", table.target))
            .state("the target is as it was; it is not verified")
            .hint("was the source changed while it was read? otherwise please report it"));
    }
    differences.samples = samples;
    differences.file = listing.finish()?.map(|path| path.display().to_string());
    Ok(differences)
}

/// A difference as the summary may tell it.
#[must_use]
pub fn told(proof: &Proof<'_>, difference: &Difference) -> Difference {
    if proof.wish.show_values { difference.clone() } else { without_values(difference) }
}

fn without_values(difference: &Difference) -> Difference {
    let mut difference = difference.clone();
    if difference.kind == crate::model::verdict::Kind::Changed {
        difference.cells.iter_mut().for_each(|c| (c.source, c.target) = (None, None));
    } else {
        difference.cells.clear();
    }
    difference
}

// Identities that would give out a number that is taken.
fn sequences(proof: &Proof<'_>, session: &Session, tables: &[TableVerdict]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let is_there = |t: &&TableVerdict| !matches!(t.outcome, Outcome::Absent | Outcome::Unverified { .. });
    for table in tables.iter().filter(is_there) {
        if matches!(&table.outcome, Outcome::Different(_)) && table.target_rows == 0 {
            continue;
        }
        for owned in catalog::owned_sequences(session, &proof.plan.schema, &table.table)? {
            let state = catalog::sequence_state(session, &proof.plan.schema, &table.table, &owned)?;
            if state.max.is_some_and(|max| state.next <= max && max < state.end) {
                found.push(format!("{}.{}", table.table, owned.column));
            }
        }
    }
    Ok(found)
}
