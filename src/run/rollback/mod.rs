//! The verb `rollback`: PostgreSQL's state as a SQLite file, everything that was not changed there as the source had it.
//!
//! All of it happens in a private copy of the source, which is published whole or not at all. A dry run is the same
//! without the last step.

mod ground;
mod losses;
mod made;
mod place;
mod prove;
mod rows;
mod strangers;

use super::clock::Clock;
use super::crew::Hands;
use super::proof::{self, Known, Proof, Subject, Wish, go_on};
use super::{Opened, Options, open, rejects, start};
use crate::error::{Error, Kind, Result};
use crate::model::bounds::FENCE_PATIENCE;
use crate::model::digest::SetDigest;
use crate::model::event::{Event, Observer, Phase};
use crate::model::name::quoted;
use crate::model::plan::{Plan, Remark, TablePlan};
use crate::model::policy::Place as Placed;
use crate::model::reshape::Reshape;
use crate::model::restored::{Ending, Restored, TableRestored};
use crate::model::source::{Catalog, Table, VirtualTable};
use crate::postgres::control::{self, RunRecord, State};
use crate::postgres::read::{self, Moment};
use crate::postgres::{Pool, PoolSettings, Session, Target, Transaction, catalog, fence, ids, stranger};
use crate::rollback::apply::Applied;
use crate::rollback::differ;
use crate::rollback::export::Unfits;
use crate::sqlite::restore::{Writer, is_autoincrement};
use crate::sqlite::stage::Stage;
use crate::sqlite::{Reader, TableScan};
use crate::verify::source;
use ground::Ground;
use place::{AS_IT_WAS, Place, Workshop};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// Everything that shapes a way back besides its source and target.
#[derive(Debug, Clone)]
pub struct RollbackOptions {
    /// The SQLite file that was migrated, or a copy of it; as typed.
    pub source: PathBuf,
    /// Where the restored file goes.
    pub to: PathBuf,
    /// The target schema.
    pub schema: String,
    /// Readers and connections at work at once.
    pub jobs: usize,
    /// Replace a file that is there.
    pub force: bool,
    /// Only find out what would happen.
    pub dry_run: bool,
    /// Tables and columns that stay as the source has them, and those of the target that are left behind.
    pub leave: Vec<String>,
    /// Find out what only the source has, which takes one more reading of both sides.
    pub losses: bool,
    /// A folder for what SQLite cannot hold; without one, such a way back is refused.
    pub export: Option<PathBuf>,
    /// Whether writers of the target are stopped meanwhile.
    pub fence: Fence,
    /// The shapes of the run, where somebody states anew how they go back; the run's own otherwise.
    pub reshape: Option<Reshape>,
}

/// Whether writers of the target are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fence {
    /// No: what they write after the start is not in the file.
    #[default]
    No,
    /// Until the end.
    During,
    /// Until the end, and for good once the file is there.
    Keep,
}

impl RollbackOptions {
    /// A way back of everything with the defaults of the command line.
    pub fn new(source: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            to: to.into(),
            schema: "public".to_owned(),
            jobs: super::default_jobs(),
            force: false,
            dry_run: false,
            leave: Vec::new(),
            losses: false,
            export: None,
            fence: Fence::No,
            reshape: None,
        }
    }
}

/// Brings PostgreSQL's state back into a SQLite file. `stop` may be set from a signal handler: then nothing is
/// published, and the same call may be made again.
pub fn rollback(
    options: &RollbackOptions,
    target: &Target,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<Restored> {
    let clock = Clock::new(observer);
    let place = Place::look(&options.to, &options.source, options.force || options.dry_run)?;
    let pool = Pool::connect(target, 1, &PoolSettings::default())?;
    let mut control = pool.session()?;
    start::check_encoding(&control)?;
    let reading = reading(options);
    start::check_reading_rights(&control, &reading, start::Use::Compare)?;
    start::hold(&mut control, &reading)?;
    lift_left_over(&mut control, options, observer)?;
    let run = run_of(&control, options)?;
    let reshape = reshape_of(&run, options)?;
    let mut tables = stranger::tables(&control, &options.schema)?;
    tables.retain(|table| !options.leave.contains(table));
    start::check_table_rights(&control, &reading, &tables, start::Use::Compare)?;
    let rejected = rejects::places(&control, run.id)?;
    let workshop = place.open(observer)?;
    let way = Way {
        options,
        observer,
        stop,
        pool: &pool,
        place: &place,
        workshop: &workshop,
        run: &run,
        reshape: &reshape,
        rejected: &rejected,
    };
    let result = way.go(&mut control, clock);
    // Whatever came of it, writers do not wait for us any longer than they must.
    let keep = options.fence == Fence::Keep && matches!(&result, Ok(r) if r.ending == Ending::Published);
    let ended = match (options.fence, keep) {
        (Fence::No, _) => Ok(()),
        (_, true) => fence::keep(&mut control, &options.schema),
        (_, false) => fence::lift(&mut control, &options.schema, false).map(drop),
    };
    let mut restored = result?;
    ended?;
    restored.fence_kept = keep && restored.fenced > 0;
    Ok(restored)
}

/// Lifts whatever fence is up in a schema; the tables that can be written to again.
pub fn lift_fence(target: &Target, schema: &str) -> Result<Vec<String>> {
    let pool = Pool::connect(target, 1, &PoolSettings::default())?;
    let mut control = pool.session()?;
    let options = Options { schema: schema.to_owned(), ..Options::new(PathBuf::new()) };
    start::hold(&mut control, &options)?;
    fence::lift(&mut control, schema, true)
}

// Nobody else works on the schema: what stands there was left by a command that was killed.
fn lift_left_over(control: &mut Session, options: &RollbackOptions, observer: &dyn Observer) -> Result<()> {
    let fenced = fence::look(control, &options.schema)?;
    if !fenced.raised.is_empty() {
        let tables = fence::lift(control, &options.schema, false)?;
        let text = format!("the fence of a rollback that was killed is lifted from {} tables", tables.len());
        observer.event(&Event::Remark(Remark::warning(&options.schema, text)));
    }
    if !fenced.kept.is_empty() {
        let text = "a fence that an earlier rollback left up on purpose is still there: writers are refused";
        observer.event(&Event::Remark(Remark::note(&options.schema, text)));
    }
    Ok(())
}

// The finished run whose rows are to come back.
fn run_of(control: &Session, options: &RollbackOptions) -> Result<RunRecord> {
    let blocked = |what: String| Error::new(Kind::Blocked, what).state(AS_IT_WAS);
    let schema = &options.schema;
    let run = if control::exists(control)? { control::latest(control, schema)? } else { None };
    let Some(run) = run else {
        return Err(blocked(format!("lite2pg has no run into schema `{schema}`"))
            .fact("the way back goes by the plan of the run that loaded the rows")
            .hint("`--schema NAME`, if they are elsewhere"));
    };
    if run.format != control::FORMAT {
        return Err(blocked(format!("run {} was made by another version of lite2pg", run.id)));
    }
    if run.state != State::Done {
        return Err(blocked(format!("run {} into schema `{schema}` has not ended", run.id))
            .hint("the `lite2pg migrate` that began it goes on with it"));
    }
    let shape = shape(&run);
    if shape["scope"] == "schema_only" {
        return Err(blocked(format!("run {} made tables and no rows: there is nothing to bring back", run.id)));
    }
    let is_left = |t: &TablePlan| options.leave.contains(&t.source) || options.leave.contains(&t.target);
    if !shape["conflict"].is_null()
        && let Some(table) = run.plan.tables.iter().find(|t| t.existing && !is_left(t))
    {
        return Err(blocked(format!("run {} added its rows to those that `{}` had", run.id, table.target))
            .fact("nobody can tell any more which of them came from SQLite")
            .hint(format!("`--leave '{}'` leaves the table as the source has it", table.source)));
    }
    Ok(run)
}

// The shapes that the run gave its tables, with the ways back that are stated now.
fn reshape_of(run: &RunRecord, options: &RollbackOptions) -> Result<Reshape> {
    let of_run = super::options::reshape_of(&run.options);
    let Some(stated) = &options.reshape else { return Ok(of_run) };
    if stated.clone().without_inverses() == of_run.clone().without_inverses() {
        return Ok(stated.clone());
    }
    Err(Error::new(Kind::Blocked, format!("run {} was made through another pipeline than this one", run.id))
        .fact("only what it says of `inverse` may have changed since")
        .state(AS_IT_WAS)
        .hint("without --pipeline, the way back goes by the pipeline of that run"))
}

// What start's questions are asked with.
fn reading(options: &RollbackOptions) -> Options {
    Options { schema: options.schema.clone(), jobs: options.jobs, ..Options::new(&options.source) }
}

fn shape(run: &RunRecord) -> serde_json::Value {
    serde_json::from_str(&run.options).unwrap_or_default()
}

// What all steps share.
struct Way<'a> {
    options: &'a RollbackOptions,
    observer: &'a dyn Observer,
    stop: &'a AtomicBool,
    pool: &'a Pool,
    place: &'a Place,
    workshop: &'a Workshop,
    run: &'a RunRecord,
    /// What the run's pipeline made of the source's tables.
    reshape: &'a Reshape,
    /// Rows that the run set aside, by table on the target.
    rejected: &'a HashMap<String, HashSet<Placed>>,
}

impl Way<'_> {
    fn go(&self, control: &mut Session, mut clock: Clock<'_>) -> Result<Restored> {
        let is_the_file = clock.phase(Phase::Open, 1, || self.copy())?;
        let mut opened = open(&self.reading(self.workshop.copy()))?;
        if !is_the_file {
            self.same_rows(control, &mut opened)?;
        }
        let fenced = self.fence(control)?;
        let mut holder = self.pool.lone_session()?;
        let tx = holder.transaction_as(read::BEGIN)?;
        let moment = Moment::of(&tx)?;
        // Tables as they are read, and as they are written to.
        let base = opened.readers[0].catalog()?;
        let sides = Both { shaped: &opened.catalog, base: &base, reshape: self.reshape };
        let ground = Ground::look(&tx, self.run, &sides, &self.options.leave)?;
        let mut remarks = ground.remarks.clone();
        let plan = &ground.plan;
        for table in &plan.tables {
            if let Some(places) = self.rejected.get(&table.target).filter(|places| !places.is_empty()) {
                let text = format!("{} rows that the migration set aside stay as the source has them", places.len());
                remarks.push(Remark::note(&table.source, text));
            }
        }
        let session = || self.pool.lone_session();
        let hands = Hands { number: self.options.jobs, stop: self.stop, session: &session };
        let wish = Wish::default();
        let proof =
            Proof { plan, wish: &wish, hands, observer: self.observer, is_thorough: false, rejected: self.rejected };
        let tables = plan.tables.len();
        let (before, found) = clock.phase(Phase::Verify, tables, || survey(&proof, &moment, &mut opened))?;
        let folder = self.options.export.as_deref().filter(|_| !self.options.dry_run);
        let mut unfits = Unfits::new(folder);
        let stage = Stage::create(&self.workshop.stage())?;
        let differs = |t: &usize| before[t] != found[t];
        let (one_way, both_ways): (Vec<usize>, Vec<usize>) =
            (0..tables).filter(differs).partition(|t| ground.one_way.contains_key(&plan.tables[*t].target));
        let differing = clock
            .phase(Phase::Verify, tables, || self.differing(&proof, &moment, &opened, &base, &both_ways, &stage))?;
        remarks.extend(self.strangers(&tx, &moment, plan, &ground, &mut unfits)?);
        let losses = if self.options.losses { Some(self.losses(&moment, &opened, &base, &ground)?) } else { None };
        let ahead = sequences_ahead(&tx, plan, &base, &opened.readers[0])?;
        let catalog = opened.catalog.clone();
        let sides = Both { shaped: &catalog, base: &base, reshape: self.reshape };
        let made = made::Made::look(plan, &sides, &one_way);
        let is_written = !differing.is_empty() || !ahead.is_empty() || made.has_inverses();
        let whole = if is_written { made.whole(&proof, &before, &mut opened)? } else { HashMap::new() };
        // A reader of the copy keeps its writer out.
        drop(opened);
        let mut settled = made::Settled::default();
        let mut applied = HashMap::new();
        if is_written {
            let known = made::Known { before: &before, found: &found, whole: &whole };
            let write = || {
                let writer = Writer::open(&self.workshop.copy())?;
                let session = self.pool.lone_session()?;
                let ids = |map: &str, new: [u8; 16]| ids::old(&session, self.run.id, map, new);
                let inverses = made.begin(&writer, &ids, self.stop)?;
                let applied =
                    self.write(plan, &sides, (&differing, &ahead), (&writer, &ids), &stage, &before, &mut unfits)?;
                let settled = self.settle(&made, inverses, &writer, &moment, &known, &mut unfits)?;
                writer.finish()?;
                Ok((applied, settled))
            };
            (applied, settled) = clock.phase(Phase::Restore, differing.len(), write)?;
            for &t in made.touched() {
                let as_it_is = || made::as_it_is(&plan.tables[t], before[&t], whole[&t]);
                applied.entry(t).or_insert_with(as_it_is);
            }
        }
        for &t in &one_way {
            let table = &plan.tables[t];
            let now = if settled.equal.contains(&t) {
                made::as_it_is(table, before[&t], whole[&t])
            } else {
                let why = settled.why.get(&t).or_else(|| ground.one_way.get(&table.target));
                let why = why.map_or("it has no way back", String::as_str);
                self.one_way(&moment, plan, table, why, found[&t].rows, &mut unfits)?;
                kept(table, before[&t], found[&t])
            };
            applied.insert(t, now);
        }
        remarks.append(&mut settled.remarks);
        drop(stage);
        let is_refused = !unfits.is_empty() && self.options.export.is_none();
        let verification = if is_refused {
            None
        } else {
            let proving = prove::Proving {
                proof: &proof,
                moment: &moment,
                before: &before,
                found: &found,
                applied: &applied,
                whole: &whole,
                is_written,
                unverified: &ground.unverified,
                one_way: &ground.one_way,
            };
            let copy = self.reading(self.workshop.copy());
            let source = self.reading(self.options.source.clone());
            Some(clock.phase(Phase::Verify, tables, || proving.prove(&copy, &source, &mut remarks))?)
        };
        if !differing.is_empty() && !base.virtual_tables.is_empty() {
            remarks.extend(base.virtual_tables.iter().map(stale));
        }
        let ending = match (is_refused, self.options.dry_run) {
            (true, _) => Ending::Refused,
            (false, true) => Ending::DryRun,
            (false, false) => Ending::Published,
        };
        go_on(self.stop)?;
        let unfit = unfits.finish()?;
        if ending == Ending::Published {
            self.place.publish(self.workshop)?;
        }
        for remark in &remarks {
            self.observer.event(&Event::Remark(remark.clone()));
        }
        Ok(Restored {
            ending,
            run: self.run.id.to_string(),
            file: (ending == Ending::Published).then(|| self.options.to.display().to_string()),
            tables: counts(plan, &before, applied),
            unfit,
            losses,
            sequences: ahead.iter().map(|(t, last)| (plan.tables[*t].source.clone(), *last)).collect(),
            remarks,
            verification,
            fenced,
            fence_kept: false,
            ms: clock.ms(),
        })
    }

    // How a file is read that this run has read, or a copy of it.
    fn reading(&self, file: PathBuf) -> Options {
        let shape = shape(self.run);
        let globs = |name: &str| serde_json::from_value(shape[name].clone()).unwrap_or_default();
        Options {
            schema: self.options.schema.clone(),
            include: globs("include"),
            exclude: globs("exclude"),
            jobs: self.options.jobs,
            reshape: self.reshape.clone(),
            ..Options::new(file)
        }
    }

    // Makes the private copy; says whether it is of the very file that was loaded.
    fn copy(&self) -> Result<bool> {
        let opened = open(&self.reading(self.options.source.clone()))?;
        opened.readers[0].copy_to(&self.workshop.copy())?;
        Ok(opened.fingerprint == self.run.fingerprint)
    }

    // Another file than the one that was loaded: a checkpoint makes one of the same rows. Their digests tell.
    fn same_rows(&self, control: &Session, opened: &mut Opened) -> Result<()> {
        let loaded = control::ranges(control, self.run.id)?;
        let changed = |what: String| {
            Error::new(Kind::Blocked, "this is not the source that was loaded")
                .fact(what)
                .fact(format!("run {} read `{}`", self.run.id, self.run.source))
                .state(AS_IT_WAS)
                .hint("name the file that was migrated as it was then, or the backup of it")
        };
        let session = || self.pool.lone_session();
        let hands = Hands { number: self.options.jobs, stop: self.stop, session: &session };
        let wish = Wish::default();
        let plan = &self.run.plan;
        let proof =
            Proof { plan, wish: &wish, hands, observer: self.observer, is_thorough: false, rejected: self.rejected };
        for table in &plan.tables {
            let there = opened.catalog.table(&table.source);
            let is_whole = |t: &Table| table.columns.iter().all(|c| t.column_index(&c.source).is_some());
            if there.is_none_or(|t| !is_whole(t)) {
                return Err(changed(format!("it has no table `{}` with the columns that were loaded", table.source)));
            }
        }
        let subjects: Vec<Subject> = plan.tables.iter().map(|_| unread(Vec::new())).collect();
        let progress = proof::announce(&proof, &subjects);
        let now = proof::source_digests(&proof, opened, &subjects, &progress)?;
        for (t, table) in plan.tables.iter().enumerate() {
            let parts = loaded.get(&table.target).into_iter().flatten();
            let digests: Option<Vec<SetDigest>> =
                parts.map(|r| r.digest.as_deref().and_then(source::from_stored)).collect();
            let then = digests.map(|all| {
                all.iter().fold(SetDigest::default(), |mut sum, digest| {
                    sum.merge(digest);
                    sum
                })
            });
            if then != Some(now.get(&t).copied().unwrap_or_default()) {
                return Err(changed(format!("the rows of `{}` are not those that were loaded", table.source)));
            }
        }
        let text =
            "the file was written since it was loaded, as a checkpoint does; by their digests its rows are the same";
        self.observer.event(&Event::Remark(Remark::note(self.options.source.display().to_string(), text)));
        Ok(())
    }

    fn fence(&self, control: &mut Session) -> Result<u64> {
        if self.options.fence == Fence::No || self.options.dry_run {
            return Ok(0);
        }
        let schema = &self.options.schema;
        let tables = stranger::tables(control, schema)?;
        fence::raise(control, schema, &tables, FENCE_PATIENCE).map_err(|e| {
            let is_explained = e.way_out().is_some();
            let e = e.context("no fence can be put up").or_state(AS_IT_WAS);
            if is_explained { e } else { e.hint("the role must own the tables, and the schema `lite2pg`") }
        })?;
        let text = format!("writers of {} tables in schema `{schema}` are refused until this ends", tables.len());
        self.observer.event(&Event::Info { text });
        Ok(tables.len() as u64)
    }
}

fn unread(unverified: Vec<String>) -> Subject {
    Subject { source: Known::Unread, unverified }
}

// Both sides read once.
fn survey(
    proof: &Proof<'_>,
    moment: &Moment,
    opened: &mut Opened,
) -> Result<(HashMap<usize, SetDigest>, HashMap<usize, SetDigest>)> {
    let subjects: Vec<Subject> = proof.plan.tables.iter().map(|_| unread(Vec::new())).collect();
    let progress = proof::announce(proof, &subjects);
    let mut here = proof::source_digests(proof, opened, &subjects, &progress)?;
    // A table without rows has no part that was read.
    for t in 0..subjects.len() {
        here.entry(t).or_default();
    }
    let there = proof::target_digests(proof, moment, &subjects, &progress, None)?;
    Ok((here, there))
}

// Identities that have given out more than AUTOINCREMENT knows of, beyond what the migration set them to.
fn sequences_ahead(tx: &Transaction<'_>, plan: &Plan, base: &Catalog, reader: &Reader) -> Result<Vec<(usize, i64)>> {
    let mut ahead = Vec::new();
    for (t, table) in plan.tables.iter().enumerate() {
        let Some(there) = base.table(&table.source).filter(|t| is_autoincrement(t)) else { continue };
        let column = there.rowid_column().map(|i| &there.columns[i].name);
        let Some(column) = table.columns.iter().find(|c| Some(&c.source) == column) else { continue };
        let largest = reader.key_bounds(&TableScan::new(there, &[]))?.map(|(_, max)| max);
        let known = there.sequence.max(largest);
        for owned in catalog::owned_sequences(tx, &plan.schema, &table.target)? {
            if owned.column == column.target
                && let Some(given) = catalog::given(tx, &owned)?.filter(|given| Some(*given) > known)
            {
                ahead.push((t, given));
            }
        }
    }
    Ok(ahead)
}

/// The source's tables as they are read and as they are written to.
pub struct Both<'a> {
    /// As they are read.
    pub shaped: &'a Catalog,
    /// As they are.
    pub base: &'a Catalog,
    /// What makes one of the other.
    pub reshape: &'a Reshape,
}

impl<'a> Both<'a> {
    fn subject(&self, plan: &'a TablePlan, aside: Option<&'a HashSet<Placed>>) -> Result<differ::Subject<'a>> {
        differ::Subject::new(plan, self.tables(plan), self.reshape.table(&plan.source), aside)
    }

    // A table that goes back, as it is read and as it is written to.
    fn tables(&self, plan: &TablePlan) -> (&'a Table, &'a Table) {
        let known = "the ground was looked at with these catalogs, and tables without a way back are left out";
        self.shaped.table(&plan.source).zip(self.base.table(&plan.source)).expect(known)
    }
}

// A table that differs and stays as the source has it.
fn kept(table: &TablePlan, before: SetDigest, found: SetDigest) -> Applied {
    let counts = TableRestored {
        source: table.source.clone(),
        table: table.target.clone(),
        unchanged: before.rows,
        unfit: found.rows,
        ..TableRestored::default()
    };
    Applied { counts, lacks: found, keeps: before }
}

fn stale(table: &VirtualTable) -> Remark {
    let text = "keeps what it held in the source: the triggers that fill it did not run";
    let remark = Remark::warning(&table.name, text);
    if table.module.starts_with("fts") {
        let name = quoted(&table.name);
        return remark.with_sql(format!("INSERT INTO {name} ({name}) VALUES ('rebuild')"));
    }
    remark
}

fn counts(plan: &Plan, before: &HashMap<usize, SetDigest>, mut applied: HashMap<usize, Applied>) -> Vec<TableRestored> {
    let of = |(t, table): (usize, &TablePlan)| match applied.remove(&t) {
        Some(applied) => applied.counts,
        None => TableRestored {
            source: table.source.clone(),
            table: table.target.clone(),
            unchanged: before[&t].rows,
            ..TableRestored::default()
        },
    };
    plan.tables.iter().enumerate().map(of).collect()
}
