//! A migration from the first look to the last count: the stages composed, in the order of [`migrate`].

mod account;
mod ahead;
mod backup;
mod bench;
mod bookkeeping;
mod casts;
mod checks;
mod chores;
mod clock;
mod comparison;
mod crew;
mod evidence;
mod existing;
mod finish;
mod front;
mod hashed;
mod ids;
mod inspect;
mod memory;
mod options;
mod oracles;
mod parents;
mod parts;
mod pipeline;
mod prepare;
mod probe;
mod proof;
mod rehearse;
mod rejects;
mod repair;
mod retry;
mod rights;
mod rollback;
mod rows;
mod sampled;
mod shape;
mod start;
mod status;
mod strict;
mod unreturned;
mod verify;

pub use bench::{BenchOptions, bench};
pub use inspect::inspect;
pub use options::{
    Backup, Ddl, Migrations, Options, RejectLimits, Scope, Scripts, Settings, assumed, check_jobs, default_jobs,
};
pub use proof::Wish;
pub use rehearse::{Job, RehearseOptions, rehearse, work};
pub use retry::{Retried, Wanted, set_aside};
pub use rollback::{Fence, RollbackOptions, lift_fence, rollback};
pub use status::Watch;
pub use strict::after as strictly;
pub use verify::verify;

use crate::error::{Error, Kind, Result};
use crate::load::unfit::Unfit;
use crate::model::check::{Answer, Race};
use crate::model::event::{Event, Observer, Phase, Summary};
use crate::model::name::exclude;
use crate::model::plan::{Draw, Plan, Remark, TablePlan};
use crate::model::restored::{Unreturned, WayBack};
use crate::model::source::Catalog;
use crate::model::verdict::Level;
use crate::plan::select::Selection;
use crate::plan::{Draft, PlanOptions};
use crate::postgres::control::{self, RunRecord, State};
use crate::postgres::{Pool, PoolSettings, Session, Target, catalog, ddl, indexes};
use crate::rollback::carry::{leaving, way_back};
use crate::run::bookkeeping::Left;
use crate::sqlite::{Reader, Source};
use ahead::Ahead;
use casts::Asked;
use chores::Chores;
use clock::Clock;
use comparison::{compare, is_compared, is_shared, one_word, rows_of};
use existing::{Passage, Stuck};
use prepare::{Preparation, plan_rows};
use rows::Planned;
use start::Start;
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use uuid::Uuid;

/// What the steps of a run share.
pub struct Context<'a> {
    options: &'a Options,
    observer: &'a dyn Observer,
    stop: &'a AtomicBool,
    pool: &'a Pool,
    /// The session that holds the schema's lock.
    control: &'a Session,
    run: Uuid,
    /// The source's content as it was planned.
    fingerprint: &'a str,
    /// The target for people, without a password.
    target: &'a str,
    /// Whether lanes may load without triggers and foreign keys being asked.
    replica_role: bool,
    /// For tables that were there: the tables that their foreign keys point at.
    parents: HashMap<String, Vec<String>>,
}

impl Context<'_> {
    /// Writes the phase down for those who watch, then carries it out.
    fn phase<T>(
        &self,
        clock: &mut Clock<'_>,
        phase: Phase,
        steps: usize,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        control::record_phase(self.control, self.run, phase.word(), None)?;
        clock.phase(phase, steps, work)
    }

    /// A session to read in, whose thread reads its socket too; marked like the others.
    fn reading_session(&self) -> Result<Session> {
        let session = self.pool.lone_session()?;
        control::mark_worker(&session, &self.options.schema)?;
        Ok(session)
    }

    /// A session to work in: marked, so that the next start waits for it even if this process is killed.
    fn session(&self) -> Result<Session> {
        let session = self.pool.session()?;
        control::mark_worker(&session, &self.options.schema)?;
        Ok(session)
    }
}

/// A plan that was made and not carried out.
#[derive(Debug, Clone)]
pub struct DryRun {
    /// The plan.
    pub plan: Plan,
    /// How the source would be held still, in words.
    pub snapshot: String,
    /// All DDL, in order.
    pub script: String,
    /// How much of each table goes back, in the plan's order.
    pub ways_back: Vec<WayBack>,
    /// What a way back will ask about: to be left or exported.
    pub unreturned: Vec<Unreturned>,
    /// What is left already.
    pub leave: Vec<String>,
}

/// The source, held still.
struct Opened {
    readers: Vec<Reader>,
    catalog: Catalog,
    snapshot: String,
    fingerprint: String,
}

/// Moves a SQLite database into PostgreSQL. `stop` may be set from a signal handler: the run then ends with
/// [`Kind::Interrupted`], and the same call goes on with it.
pub fn migrate(options: &Options, target: &Target, observer: &dyn Observer, stop: &AtomicBool) -> Result<Summary> {
    let mut clock = Clock::new(observer);
    let named = target.redacted();
    let untouched = |e: Error| e.or_state("nothing was written by this start");
    checks::look_at(&options.scripts)?;
    let mut opened = clock.phase(Phase::Open, 1, || open(options).map_err(untouched))?;
    observer.event(&Event::Info { text: format!("source: {}", opened.snapshot) });
    let pool = Pool::connect(target, options.jobs + 2, &pool_settings(options)).map_err(untouched)?;
    let mut control = pool.session().map_err(untouched)?;
    start::check_server(&control).map_err(untouched)?;
    start::check_rights(&control, options).map_err(untouched)?;
    // A restart drops what an earlier run made, with all that was written into it since.
    let mut backups = if options.restart {
        backup::make(options, &opened, &control, observer, stop).map_err(untouched)?
    } else {
        Vec::new()
    };
    let found = start::look(&mut control, options, &opened.fingerprint).map_err(untouched)?;
    let (mut planned, run, resumed) = match found {
        Start::Finished(run) => {
            return finished(&run, &opened, (&pool, &named), options, observer, stop, clock).map_err(untouched);
        }
        Start::Resume(run) => resume(*run, &mut opened, &mut control, options, (observer, stop)).map_err(untouched)?,
        Start::Fresh => {
            let preparation = Preparation { options, observer, stop, draw: options.draw.unwrap_or_else(prepare::draw) };
            let prepared = preparation.plan(&mut opened, &mut control, &mut clock);
            let dropped = "what the earlier run created is dropped; nothing new was written";
            let planned = prepared.map_err(|e| if options.restart { e.state(dropped) } else { untouched(e) })?;
            if !options.restart {
                backups = backup::make(options, &opened, &control, observer, stop).map_err(untouched)?;
            }
            let begun = preparation.begin(&opened, &planned, &mut control);
            let run = begun.map_err(|e| if options.restart { e.or_state(dropped) } else { untouched(e) })?;
            (planned, run, false)
        }
    };
    let no_row = |e: Error| e.or_state("no row was written by this start");
    let mut parents = existing::parents(&control, options, &planned).map_err(no_row)?;
    let passage = existing::open_keys(&mut control, run.id, (options, &planned.plan), &parents, observer);
    let Passage { as_replica: replica_role, stuck } = passage.map_err(no_row)?;
    if stuck == Stuck::Aside {
        parents = existing::parents(&control, options, &planned).map_err(no_row)?;
    }
    // A run that goes on has dropped them, or holds rows by now.
    if !resumed {
        let kept = existing::drop_indexes(&mut control, run.id, options, &planned.plan).map_err(no_row)?;
        if let Some(remark) = kept {
            observer.event(&Event::Remark(remark));
        }
    }
    let found = existing::quiet_triggers(&mut control, run.id, options, &planned.plan, replica_role, observer);
    planned.plan.remarks.extend(found.map_err(no_row)?);
    let context = Context {
        options,
        observer,
        stop,
        pool: &pool,
        control: &control,
        run: run.id,
        fingerprint: &run.fingerprint,
        target: &named,
        replica_role,
        parents,
    };
    if options.scope == Scope::SchemaOnly {
        let tables = planned.plan.tables.len();
        context.phase(&mut clock, Phase::Create, tables, || create_all(&context, &planned.plan))?;
    } else {
        parents::hold(&opened, &options.reshape, &planned.plan).map_err(no_row)?;
        let tables = planned.plan.tables.len();
        let copied =
            context.phase(&mut clock, Phase::Copy, tables, || rows::copy(&context, &mut opened.readers, &mut planned));
        // Listed even where the run ends here: what was set aside so far says what to do about the rest.
        let listed = control::rejects(&control, run.id).and_then(|found| {
            rejects::list(&options.rejects, &planned.plan, &opened.catalog, &opened.readers[0], &found)
        });
        copied.map_err(|e| {
            let e = existing::still_aside(&control, options).into_iter().fold(stuck.explain(e, &control), Error::fact);
            e.or_state("finished ranges are on the target; half-done ones were rolled back")
        })?;
        ids::write_down(&context, &opened, &planned)
            .map_err(|e| e.or_state("the rows are on the target; the same command goes on with their ids"))?;
        listed
            .map_err(|e| e.or_state("the rows are on the target; those that were set aside are in `lite2pg.reject`"))?;
    }
    // The readers hold locks on the source; nothing below needs it.
    opened.readers.clear();
    let there = match options.scope {
        Scope::SchemaOnly => "all tables",
        _ => "all rows",
    };
    let finished = finish(&context, &planned.plan, &opened.snapshot, resumed, clock);
    finished.map(|summary| Summary { backups, ..summary }).map_err(|e| {
        e.or_state(&format!("{there} are on the target; of keys, indexes, constraints and views, what was finished"))
    })
}

fn pool_settings(options: &Options) -> PoolSettings {
    let Settings { lock_timeout, statement_timeout, .. } = options.settings;
    PoolSettings { lock_timeout, statement_timeout, ..PoolSettings::default() }
}

/// Makes the plan and asks the server about it, without leaving anything behind. Without a target, or where the
/// control schema is missing, nothing is asked.
pub fn dry_run(
    options: &Options,
    target: Option<&Target>,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<DryRun> {
    let mut clock = Clock::new(observer);
    checks::look_at(&options.scripts)?;
    let mut opened = clock.phase(Phase::Open, 1, || open(options))?;
    let (planned, strangers) = if let Some(target) = target {
        let pool = Pool::connect(target, 2, &PoolSettings::default())?;
        let mut control = pool.session()?;
        start::check_server(&control)?;
        start::check_rights(&control, options)?;
        let preparation = Preparation { options, observer, stop, draw: Draw::default() };
        preparation.plan_and(&mut opened, &mut control, &mut clock, unreturned::only_there)?
    } else {
        let draft = Draft::new(opened.catalog.clone(), options.plan_options(), &[], &[])?;
        (plan_rows(draft, &mut opened, observer, stop, &mut clock)?, Vec::new())
    };
    let script = ddl::script(&planned.plan);
    let base = opened.readers[0].catalog()?;
    let way = |t: &TablePlan| {
        let way = way_back(&t.target, options.reshape.table(&t.source), base.table(&t.source));
        leaving(way, t, &options.leave)
    };
    let ways_back: Vec<WayBack> = planned.plan.tables.iter().map(way).collect();
    let leave = options.leave.clone();
    let unreturned = unreturned::unreturned(&ways_back, &strangers, &leave);
    Ok(DryRun { plan: planned.plan, snapshot: opened.snapshot, script, ways_back, unreturned, leave })
}

fn open(options: &Options) -> Result<Opened> {
    options.check()?;
    let source = Source::open(&options.source, options.snapshot)?;
    let snapshot = source.snapshot(options.jobs)?;
    let mut catalog = snapshot.readers[0].catalog()?;
    let selection = Selection::new(&options.include, &options.exclude)?;
    let all = catalog.tables.len();
    let idle = selection.idle(&names(&catalog));
    catalog.remarks.extend(idle);
    catalog.tables.retain(|t| selection.takes(&t.name));
    catalog.triggers.retain(|t| selection.takes(&t.table));
    if let Some(name) = catalog.unreadable.iter().find(|name| selection.takes(name)) {
        return Err(Error::new(Kind::Blocked, format!("the rows of `{name}` cannot be read"))
            .fact("SQLite does not understand the table's CREATE statement")
            .state("nothing was written")
            .hint(format!("`{}` leaves its rows behind; `sqlite3 app.db .recover` may save them", exclude(name))));
    }
    shape::apply(&mut catalog, &options.reshape, &snapshot.readers[0])?;
    if catalog.tables.is_empty() && all > 0 {
        return Err(Error::new(Kind::Usage, "no table is left of the source")
            .fact(format!("it has {all} tables, and none of those that were asked for"))
            .state("nothing was written")
            .hint("`--include` and `--exclude` take globs of names; `lite2pg inspect` lists the tables"));
    }
    Ok(Opened {
        readers: snapshot.readers,
        catalog,
        snapshot: snapshot.kind.to_string(),
        fingerprint: snapshot.fingerprint.to_string(),
    })
}

// Whatever a person may take for a table.
fn names(catalog: &Catalog) -> Vec<&str> {
    let tables = catalog.tables.iter().map(|t| &t.name).chain(&catalog.unreadable);
    let virtual_tables = catalog.virtual_tables.iter().flat_map(|t| std::iter::once(&t.name).chain(&t.shadows));
    tables.chain(virtual_tables).map(String::as_str).collect()
}

// Remarks on the application's own tables name one each.
fn note_left(plan: &mut Plan, left: Left) {
    plan.left_alone = left.tables;
    plan.remarks.splice(0..0, left.remarks);
}

fn resume(
    run: RunRecord,
    opened: &mut Opened,
    control: &mut Session,
    options: &Options,
    (observer, stop): (&dyn Observer, &AtomicBool),
) -> Result<(Planned, RunRecord, bool)> {
    let text = format!("going on with run {}: finished ranges are not copied again", run.id);
    observer.event(&Event::Info { text });
    bookkeeping::forget(opened, &run.plan.left_alone);
    let names: Vec<String> = run.plan.tables.iter().filter(|t| t.existing).map(|t| t.target.clone()).collect();
    let existing = catalog::tables(control, &options.schema, &names)?;
    let taken = start::taken(control, &options.schema, Some(&run.plan))?;
    let plan_options = PlanOptions { draw: run.plan.draw.unwrap_or_default(), ..options.plan_options() };
    let draft = Draft::new(opened.catalog.clone(), plan_options, &taken, &existing)?;
    let unfit = Unfit::default();
    let mut planned = Planned { draft, profiles: run.profiles.clone(), plan: run.plan.clone(), unfit };
    if rejects::change_policies(&mut planned.plan, &planned.draft, control)? {
        control::change_plan(control, run.id, &planned.plan, &options.shape())?;
    }
    let (catalog, reader) = (&opened.catalog, &opened.readers[0]);
    planned.unfit = Asked { plan: &planned.plan, catalog, reader, must_fit: true, stop }.apart(control)?;
    Ok((planned, run, true))
}

fn finished(
    run: &RunRecord,
    opened: &Opened,
    (pool, named): (&Pool, &str),
    options: &Options,
    observer: &dyn Observer,
    stop: &AtomicBool,
    mut clock: Clock<'_>,
) -> Result<Summary> {
    let control = pool.session()?;
    let context = Context {
        options,
        observer,
        stop,
        pool,
        control: &control,
        run: run.id,
        fingerprint: &run.fingerprint,
        target: named,
        replica_role: false,
        parents: HashMap::new(),
    };
    let done = control::ranges(&control, run.id)?;
    let verification = compare(&context, &run.plan, &done, None, &mut clock)?;
    control::record_phase(&control, run.id, status::END, Some(one_word(verification.as_ref())))?;
    let counts = rows_of(&context, &run.plan, verification.as_ref())?;
    if options.scope != Scope::SchemaOnly && verification.is_none() {
        account::check_ranges(&run.plan, &done)?;
        account::check_counts(&run.plan, &done, &counts, options).map_err(|e| changed_since(e, run.id))?;
    }
    let tables = account::table_summaries(&run.plan, &done, &counts, &HashMap::new(), &run.plan.remarks);
    let ledger = control::ledger(&control, run.id)?;
    let remarks = run.plan.remarks.clone();
    let mut summary = account::summary(&context, &run.plan, remarks, tables, ledger, opened.snapshot.clone(), clock)?;
    summary.finished_before = true;
    (summary.checks, summary.parity) = answers(&context)?;
    summary.rejects = rejects::summary(options, &run.plan, &control::rejects(&control, run.id)?);
    summary.verification = verification;
    Ok(summary)
}

// The answers to a person's questions.
fn answers(context: &Context<'_>) -> Result<(Vec<Answer>, Vec<Race>)> {
    let (questions, parity) = (&context.options.questions, &context.options.parity);
    if questions.is_empty() && parity.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let asks_source = questions.iter().any(|q| q.source.is_some()) || !parity.is_empty();
    let opened = if asks_source { Some(open(context.options)?) } else { None };
    let reader = opened.as_ref().map(|o| &o.readers[0]);
    let mut session = context.pool.lone_session()?;
    Ok((checks::ask(questions, reader, &mut session)?, checks::race(parity, reader, &mut session, context.stop)?))
}

/// The catalog of the source, with every table that it has: for who checks names against it.
pub fn catalog_of(options: &Options) -> Result<Catalog> {
    let source = Source::open(&options.source, options.snapshot)?;
    source.snapshot(1)?.readers[0].catalog()
}

// The application may write to its new home by now, so that beginning again is not what we recommend first.
fn changed_since(error: Error, run: Uuid) -> Error {
    if error.kind() != Kind::Failed {
        return error;
    }
    error
        .context(format!("run {run} had finished, and the target was changed since"))
        .state("nothing was written by this start")
        .hint("is the target in use? then this is as it should be; `--restart` drops the tables and begins again")
}

fn create_all(context: &Context<'_>, plan: &Plan) -> Result<()> {
    let there = control::tables_of(context.control, context.run)?;
    for table in plan.tables.iter().filter(|t| !t.existing && !there.contains(&t.target)) {
        rows::create_table(context, plan, table)?;
    }
    Ok(())
}

// Everything after the rows. They do not change any more, so that the comparison begins to read them meanwhile.
fn finish(context: &Context<'_>, plan: &Plan, snapshot: &str, resumed: bool, clock: Clock<'_>) -> Result<Summary> {
    control::set_state(context.control, context.run, State::Finishing)?;
    // What a person's own SQL makes of the rows is compared too.
    let changes = !context.options.scripts.after.is_empty();
    if !is_compared(context.options) || changes || context.options.wish.level != Level::Rows {
        return finish_beside(context, plan, None, snapshot, resumed, clock);
    }
    let is_compared = |t: &usize| !is_shared(context.options, &plan.tables[*t]);
    let tables: Vec<usize> = (0..plan.tables.len()).filter(is_compared).collect();
    ahead::beside(context, plan, &tables, |ahead| finish_beside(context, plan, ahead, snapshot, resumed, clock))
}

fn finish_beside(
    context: &Context<'_>,
    plan: &Plan,
    ahead: Option<&Ahead<'_>>,
    snapshot: &str,
    resumed: bool,
    mut clock: Clock<'_>,
) -> Result<Summary> {
    let builds: usize = plan.tables.iter().map(|t| t.indexes.len() + usize::from(t.primary_key.is_some())).sum();
    let builds = builds + indexes::kept(context.control, &plan.schema)?.len();
    // A comparison counts as it reads.
    let chores = Chores::new(plan, !is_compared(context.options));
    let (index_ms, mut found) = context.phase(&mut clock, Phase::Index, builds, || {
        let built = finish::indexes(context, plan, Some(&chores))?;
        finish::indexes_back(context, plan)?;
        Ok(built)
    })?;
    let constraints = plan.tables.iter().map(|t| t.checks.len() + t.foreign_keys.len()).sum::<usize>();
    found.extend(context.phase(&mut clock, Phase::Constrain, constraints + plan.views.len(), || {
        let mut remarks = finish::constraints(context, plan, &chores)?;
        remarks.extend(finish::sequences(context, plan)?);
        remarks.extend(finish::views(context, plan)?);
        remarks.extend(finish::put_back(context, plan)?);
        remarks.extend(existing::unchecked_keys(context, plan)?);
        Ok(remarks)
    })?);
    for remark in &found {
        context.observer.event(&Event::Remark(remark.clone()));
    }
    let counts = context.phase(&mut clock, Phase::Analyze, plan.tables.len(), || chores.finish(context))?;
    let done = control::ranges(context.control, context.run)?;
    if context.options.scope != Scope::SchemaOnly {
        account::check_ranges(plan, &done)?;
        if let Some(counts) = &counts {
            account::check_counts(plan, &done, counts, context.options)?;
        }
    }
    let mut session = context.session()?;
    let tx = session.transaction()?;
    if !context.options.scripts.after.is_empty() {
        let there = catalog::objects(&tx, &context.options.schema)?;
        checks::run(&tx, &context.options.scripts.after, "after")?;
        let mut made = catalog::objects(&tx, &context.options.schema)?;
        made.retain(|object| !there.contains(object));
        control::record_objects(&tx, context.run, &made)?;
    }
    control::set_state(&tx, context.run, State::Done)?;
    tx.commit()?;
    drop(session);
    let verification = compare(context, plan, &done, ahead, &mut clock)
        .map_err(|e| e.or_state("everything is on the target, and was not compared to the end"))?;
    control::record_phase(context.control, context.run, status::END, Some(one_word(verification.as_ref())))?;
    let counts = match counts {
        Some(counts) => counts,
        None => rows_of(context, plan, verification.as_ref())?,
    };
    let remarks: Vec<Remark> = plan.remarks.iter().cloned().chain(found).collect();
    let tables = account::table_summaries(plan, &done, &counts, &index_ms, &remarks);
    let ledger = control::ledger(context.control, context.run)?;
    let mut summary = account::summary(context, plan, remarks, tables, ledger, snapshot.to_owned(), clock)?;
    summary.resumed = resumed;
    (summary.checks, summary.parity) = answers(context)?;
    summary.rejects = rejects::summary(context.options, plan, &control::rejects(context.control, context.run)?);
    summary.verification = verification;
    Ok(summary)
}
