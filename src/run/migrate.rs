//! A migration from its first step to its last, and what a start goes through before its first row.

use super::bookkeeping;
use super::casts::Asked;
use super::clock::Clock;
use super::existing::{Passage, Stuck};
use super::prepare::{self, Preparation};
use super::rows::{self, Planned};
use super::start::{self, Start};
use super::{Context, Opened, Options, Scope, backup, checks, create_all, existing, finish, finished, ids, keys, open};
use super::{parents, pool_settings, rejects};
use crate::error::{Error, Result};
use crate::load::unfit::Unfit;
use crate::model::event::{BackedUp, Event, Observer, Phase, Summary};
use crate::plan::{Draft, PlanOptions};
use crate::postgres::control::{self, RunRecord};
use crate::postgres::{Pool, Session, Target, catalog};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

/// Moves a SQLite database into PostgreSQL. `stop` may be set from a signal handler: the run then ends with
/// [`Kind::Interrupted`](crate::Kind::Interrupted), and the same call goes on with it.
pub fn migrate(options: &Options, target: &Target, observer: &dyn Observer, stop: &AtomicBool) -> Result<Summary> {
    let mut clock = Clock::new(observer);
    let named = target.redacted();
    checks::look_at(&options.scripts)?;
    let mut opened = clock.phase(Phase::Open, 1, || open(options).map_err(untouched))?;
    observer.event(&Event::Info { text: format!("source: {}", opened.snapshot) });
    let pool = Pool::connect(target, options.jobs + 2, &pool_settings(options)).map_err(untouched)?;
    let mut control = pool.session().map_err(untouched)?;
    start::check_server(&control).map_err(untouched)?;
    start::check_rights(&control, options).map_err(untouched)?;
    let begun = match begin(options, &mut opened, &mut control, &mut clock, (observer, stop))? {
        Entered::Begun(begun) => *begun,
        Entered::Finished(run) => {
            return finished(&run, &opened, (&pool, &named), options, observer, stop, clock).map_err(untouched);
        }
    };
    let Begun { mut planned, run, resumed, backups } = begun;
    let Room { replica_role, stuck, parents } =
        make_room(&mut control, options, (&run, resumed), &mut planned, observer)
            .map_err(|e| e.or_state("no row was written by this start"))?;
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
    let tables = planned.plan.tables.len();
    let there = if options.scope == Scope::SchemaOnly {
        context.phase(&mut clock, Phase::Create, tables, || create_all(&context, &planned.plan))?;
        "all tables"
    } else {
        move_rows(&context, &stuck, &mut opened, &mut planned, &mut clock)?;
        "all rows"
    };
    // The readers hold locks on the source; nothing below needs it.
    opened.readers.clear();
    let finished = finish(&context, &planned.plan, &opened.snapshot, resumed, clock);
    finished.map(|summary| Summary { backups, ..summary }).map_err(|e| {
        e.or_state(&format!("{there} are on the target; of keys, indexes, constraints and views, what was finished"))
    })
}

/// What a start enters into.
enum Entered {
    /// A run, begun or gone on with.
    Begun(Box<Begun>),
    /// One that ended before.
    Finished(Box<RunRecord>),
}

struct Begun {
    planned: Planned,
    run: RunRecord,
    resumed: bool,
    backups: Vec<BackedUp>,
}

fn untouched(error: Error) -> Error {
    error.or_state("nothing was written by this start")
}

// Finds the run to go on with, or plans a new one and begins it.
fn begin(
    options: &Options,
    opened: &mut Opened,
    control: &mut Session,
    clock: &mut Clock<'_>,
    (observer, stop): (&dyn Observer, &AtomicBool),
) -> Result<Entered> {
    // A restart drops what an earlier run made, with all that was written into it since.
    let mut backups = if options.restart {
        backup::make(options, opened, control, observer, stop).map_err(untouched)?
    } else {
        Vec::new()
    };
    match start::look(control, options, &opened.fingerprint).map_err(untouched)? {
        Start::Finished(run) => Ok(Entered::Finished(run)),
        Start::Resume(run) => {
            let gone_on = resume(*run, opened, control, options, (observer, stop));
            let (planned, run, resumed) = gone_on.map_err(untouched)?;
            Ok(Entered::Begun(Box::new(Begun { planned, run, resumed, backups })))
        }
        Start::Fresh => {
            let preparation = Preparation { options, observer, stop, draw: options.draw.unwrap_or_else(prepare::draw) };
            let prepared = preparation.plan(opened, control, clock);
            let dropped = "what the earlier run created is dropped; nothing new was written";
            let planned = prepared.map_err(|e| if options.restart { e.state(dropped) } else { untouched(e) })?;
            if !options.restart {
                backups = backup::make(options, opened, control, observer, stop).map_err(untouched)?;
            }
            let begun = preparation.begin(opened, &planned, control);
            let run = begun.map_err(|e| if options.restart { e.or_state(dropped) } else { untouched(e) })?;
            Ok(Entered::Begun(Box::new(Begun { planned, run, resumed: false, backups })))
        }
    }
}

/// How rows come past what tables that are there have on them.
struct Room {
    replica_role: bool,
    stuck: Stuck,
    parents: HashMap<String, Vec<String>>,
}

// Sets aside, until the rows are there, what of tables that are there would refuse them, slow them down, or fire.
fn make_room(
    control: &mut Session,
    options: &Options,
    (run, resumed): (&RunRecord, bool),
    planned: &mut Planned,
    observer: &dyn Observer,
) -> Result<Room> {
    let mut parents = existing::parents(control, options, planned)?;
    let passage = existing::open_keys(control, run.id, (options, &planned.plan), &parents, observer)?;
    let Passage { as_replica: replica_role, stuck } = passage;
    if stuck == Stuck::Aside {
        parents = existing::parents(control, options, planned)?;
    }
    // A run that goes on has dropped them, or holds rows by now.
    if !resumed {
        let kept = existing::drop_indexes(control, run.id, options, &planned.plan)?;
        if let Some(remark) = kept {
            observer.event(&Event::Remark(remark));
        }
    }
    let found = existing::quiet_triggers(control, run.id, options, &planned.plan, replica_role, observer)?;
    planned.plan.remarks.extend(found);
    Ok(Room { replica_role, stuck, parents })
}

// Everything that is read from the source: rows, the lists of those that were set aside, the maps of ids.
fn move_rows(
    context: &Context<'_>,
    stuck: &Stuck,
    opened: &mut Opened,
    planned: &mut Planned,
    clock: &mut Clock<'_>,
) -> Result<()> {
    let Context { options, control, run, .. } = *context;
    parents::hold(opened, &options.reshape, &planned.plan)
        .map_err(|e| e.or_state("no row was written by this start"))?;
    let copied = copy_rows(context, opened, planned, clock);
    // Listed even where the run ends here: what was set aside so far says what to do about the rest.
    let listed = control::rejects(control, run)
        .and_then(|found| rejects::list(&options.rejects, &planned.plan, &opened.catalog, &opened.readers[0], &found));
    copied.map_err(|e| {
        let e = existing::still_aside(control, options).into_iter().fold(stuck.explain(e, control), Error::fact);
        e.or_state("finished ranges are on the target; half-done ones were rolled back")
    })?;
    ids::write_down(context, opened, planned)
        .map_err(|e| e.or_state("the rows are on the target; the same command goes on with their ids"))?;
    listed.map_err(|e| e.or_state("the rows are on the target; those that were set aside are in `lite2pg.reject`"))
}

// The rows, and the keys that were away for them: in force from the beginning, where the rows turn out not to fit them.
fn copy_rows(context: &Context<'_>, opened: &mut Opened, planned: &mut Planned, clock: &mut Clock<'_>) -> Result<()> {
    let tables = planned.plan.tables.len();
    context.phase(clock, Phase::Copy, tables, || rows::copy(context, &mut opened.readers, planned))?;
    let away = keys::away(context, &planned.plan)?;
    if away.is_empty() {
        return Ok(());
    }
    let unfit = context.phase(clock, Phase::Index, away.len(), || keys::build(context, &planned.plan, away))?;
    if unfit.is_empty() {
        return Ok(());
    }
    keys::begin_again(context, &planned.plan, &unfit)?;
    context.phase(clock, Phase::Copy, tables, || rows::copy(context, &mut opened.readers, planned))
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
