//! The rows of all tables: rounds of lanes, until nothing disproves the plan any more.

use super::{Context, clock::millis, crew, evidence, probe, rejects};
use crate::error::{Error, Kind, Result};
use crate::load::queue::Item;
use crate::load::unfit::Unfit;
use crate::load::{Disproof, Load, Order, interrupted};
use crate::model::bounds::{RANGE_BYTES_MAX, RANGE_ROWS, RANGES_PER_TABLE_MAX, RELOAD_ROUNDS_MAX};
use crate::model::event::{CopyTable, Event, Progress};
use crate::model::name::{exclude, reject};
use crate::model::plan::{Plan, TablePlan};
use crate::model::profile::{Failure, TableProfile};
use crate::model::range::Range;
use crate::plan::Draft;
use crate::postgres::control::{self, DoneRange};
use crate::postgres::ddl;
use crate::profile::Depth;
use crate::sqlite::{Reader, TableScan};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that a range is planned for: half of what one transaction takes, so that a wrong estimate seldom
/// cuts it.
const RANGE_BYTES: u64 = RANGE_BYTES_MAX / 2;

/// A plan with its evidence; both change when rows disprove a type.
pub struct Planned {
    /// What can plan again.
    pub draft: Draft,
    /// The evidence, in the catalog's order.
    pub profiles: Vec<TableProfile>,
    /// The plan.
    pub plan: Plan,
    /// Values that PostgreSQL does not cast to their column's type.
    pub unfit: Unfit,
}

/// Copies everything that is not on the target yet.
pub fn copy(context: &Context<'_>, readers: &mut Vec<Reader>, planned: &mut Planned) -> Result<()> {
    for _ in 0..RELOAD_ROUNDS_MAX {
        let disproofs = round(context, readers, planned)?;
        if disproofs.is_empty() {
            return Ok(());
        }
        replan(context, readers, planned, &disproofs)?;
    }
    Err(Error::new(Kind::Bug, format!("rows disproved the plan in each of {RELOAD_ROUNDS_MAX} rounds")))
}

fn round(context: &Context<'_>, readers: &mut [Reader], planned: &Planned) -> Result<Vec<Disproof>> {
    let plan = &planned.plan;
    let done = control::ranges(context.control, context.run)?;
    let there = control::tables_of(context.control, context.run)?;
    create_large_tables(context, plan, &there)?;
    let mut items: Vec<Item> = Vec::new();
    let range_rows = context.options.settings.range_rows;
    for (t, table) in plan.tables.iter().enumerate() {
        let creates = !table.existing && !there.contains(&table.target) && is_small(table, range_rows);
        items.extend(items_of(
            (t, table),
            range_rows.unwrap_or(RANGE_ROWS),
            done.get(&table.target).map_or(&[][..], Vec::as_slice),
            creates,
        ));
    }
    let progress = Arc::new(Progress::new(plan.tables.len()));
    announce(context, plan, &done, &progress);
    let scans = scans(planned, context.options.verify);
    let mut disproofs = Vec::new();
    for level in levels(context, plan) {
        let items = items.iter().filter(|i| level.contains(&i.table)).copied().collect();
        let conflict = context.options.conflict.unwrap_or_default();
        // Counted anew for each level: the one before has added to them.
        let set_aside = control::rejects(context.control, context.run)?.values().map(|r| r.len() as u64).sum();
        let order = Order {
            plan,
            scans: &scans,
            run: context.run,
            conflict,
            digests: context.options.verify,
            batch_rows: context.options.settings.batch_rows.unwrap_or(u64::MAX),
            rejects: (set_aside, context.options.rejects.most),
            unfit: &planned.unfit,
        };
        let load = Load::new(order, &progress, context.stop, context.observer, items);
        lanes(context, readers, &load)?;
        disproofs.extend(load.into_disproofs());
    }
    Ok(disproofs)
}

// Each lane is a thread with a reader and a session of its own.
fn lanes(context: &Context<'_>, readers: &mut [Reader], load: &Load<'_>) -> Result<()> {
    let first_error = Mutex::new(None::<Error>);
    let running = Mutex::new(Vec::new());
    let over = AtomicBool::new(false);
    let work = |number: usize, reader: &Reader| {
        let mut session = context.session()?;
        if context.replica_role {
            session.batch("SET session_replication_role = replica")?;
        }
        lock(&running).push(session.cancel_handle());
        load.lane(number, reader, &mut session)
    };
    let lane = |number: usize, reader: &Reader| {
        let Err(error) = work(number, reader) else { return };
        load.queue.close();
        let mut first = lock(&first_error);
        // An interruption is how the others end after the first real error.
        if first.as_ref().is_none_or(|f| f.kind() == Kind::Interrupted) {
            // A lane that waits, for a lock of somebody else say, ends by being cancelled.
            let stopped = context.stop.load(Ordering::Relaxed) && error.kind() == Kind::Failed;
            *first = Some(if stopped { interrupted() } else { error });
        }
    };
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| crew::cancel_on(context.stop, &over, &running));
        let lane = &lane;
        let lanes: Vec<_> =
            readers.iter_mut().enumerate().map(|(number, reader)| scope.spawn(move || lane(number, reader))).collect();
        let ended: Vec<_> = lanes.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        watch.thread().unpark();
        for end in ended {
            end.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
    first_error.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A table that one transaction takes is created in it, so that its rows can be frozen at once.
fn is_small(table: &TablePlan, rows_max: Option<u64>) -> bool {
    table.rows_exact && table.bytes <= RANGE_BYTES && rows_max.is_none_or(|most| table.rows <= most)
}

fn create_large_tables(context: &Context<'_>, plan: &Plan, there: &HashSet<String>) -> Result<()> {
    let range_rows = context.options.settings.range_rows;
    let is_made = |t: &&TablePlan| t.existing || there.contains(&t.target) || is_small(t, range_rows);
    for table in plan.tables.iter().filter(|t| !is_made(t)) {
        create_table(context, plan, table)?;
    }
    Ok(())
}

/// Creates a table and writes down that it is ours, in one transaction.
pub fn create_table(context: &Context<'_>, plan: &Plan, table: &TablePlan) -> Result<()> {
    let mut session = context.session()?;
    let tx = session.transaction()?;
    tx.batch(&ddl::create_table(&plan.schema, table))?;
    control::record_object(&tx, context.run, "table", &plan.schema, &table.target)?;
    tx.commit()
}

fn items_of((t, table): (usize, &TablePlan), rows: u64, done: &[DoneRange], creates: bool) -> Vec<Item> {
    let ranges: Vec<Range> = done.iter().map(|d| d.range).collect();
    let left = Range::ALL.minus(&ranges);
    if creates {
        return vec![Item { table: t, range: Range::ALL, bytes: table.bytes.max(1), creates: true }];
    }
    let parts = u64::max(table.bytes.div_ceil(RANGE_BYTES), table.rows.div_ceil(rows));
    let parts = parts.clamp(1, u64::from(RANGES_PER_TABLE_MAX)) as u32;
    let whole = match table.key_bounds {
        Some((min, max)) => Range::ALL.split(min, max, parts),
        None => vec![Range::ALL],
    };
    let bytes = (table.bytes / whole.len() as u64).max(1);
    let mut items = Vec::new();
    for part in whole {
        // What of this part was not copied by an earlier start.
        for range in left.iter().filter_map(|l| l.and(part)) {
            items.push(Item { table: t, range, bytes, creates: false });
        }
    }
    items
}

fn announce(context: &Context<'_>, plan: &Plan, done: &HashMap<String, Vec<DoneRange>>, progress: &Arc<Progress>) {
    let mut tables = Vec::with_capacity(plan.tables.len());
    for (t, table) in plan.tables.iter().enumerate() {
        let (rows_done, bytes_done) =
            done.get(&table.target).map_or((0, 0), |d| d.iter().fold((0, 0), |(r, b), d| (r + d.rows, b + d.bytes)));
        progress.add(t, rows_done, bytes_done);
        tables.push(CopyTable { name: table.target.clone(), rows: table.rows, bytes: table.bytes, rows_done });
    }
    context.observer.event(&Event::CopyPlanned { tables });
    context.observer.watch(Arc::clone(progress));
}

/// What to read of each table: the loaded columns, and all that are compared where digests are wanted.
pub fn scans(planned: &Planned, compared: bool) -> Vec<TableScan> {
    let catalog = planned.draft.catalog();
    planned
        .plan
        .tables
        .iter()
        .zip(&catalog.tables)
        .map(|(plan, table)| {
            let position = |c: &crate::model::plan::ColumnPlan| table.column_index(&c.source);
            let columns: Vec<usize> = if compared {
                plan.compared().filter_map(position).collect()
            } else {
                plan.loaded().filter_map(position).collect()
            };
            TableScan::new(table, &columns).with_marks(table)
        })
        .collect()
}

// Tables that may be loaded at once. With foreign keys in force on the target, parents come first.
fn levels(context: &Context<'_>, plan: &Plan) -> Vec<HashSet<usize>> {
    let all: HashSet<usize> = (0..plan.tables.len()).collect();
    if context.replica_role || context.parents.is_empty() {
        return vec![all];
    }
    let mut left = all;
    let mut levels = Vec::new();
    while !left.is_empty() {
        let waits = |t: &usize| {
            let name = &plan.tables[*t].target;
            let parents = context.parents.get(name).map_or(&[][..], Vec::as_slice);
            parents.iter().any(|p| p != name && left.iter().any(|&o| plan.tables[o].target == *p))
        };
        let mut ready: HashSet<usize> = left.iter().copied().filter(|t| !waits(t)).collect();
        if ready.is_empty() {
            // A cycle: the server will say which row it misses.
            ready.clone_from(&left);
        }
        left.retain(|t| !ready.contains(t));
        levels.push(ready);
    }
    levels
}

/// Tables whose rows no order brings in past the foreign keys: those of a cycle, and those that point at themselves
/// and take more than one range.
pub fn without_order(plan: &Plan, parents: &HashMap<String, Vec<String>>, range_rows: Option<u64>) -> Vec<String> {
    let most = range_rows.unwrap_or(RANGE_ROWS);
    let is_one_range = |name: &str| plan.tables.iter().any(|t| t.target == name && is_small(t, Some(most)));
    let leads_back = |start: &str| {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut next: Vec<&str> = parents.get(start).into_iter().flatten().map(String::as_str).collect();
        next.retain(|p| *p != start || !is_one_range(start));
        while let Some(name) = next.pop() {
            if name == start {
                return true;
            }
            if seen.insert(name) {
                next.extend(parents.get(name).into_iter().flatten().map(String::as_str));
            }
        }
        false
    };
    let mut stuck: Vec<String> = parents.keys().filter(|name| leads_back(name)).cloned().collect();
    stuck.sort_unstable();
    stuck
}

// Reads the disproved tables whole, plans again, and empties every table whose types changed by that.
fn replan(
    context: &Context<'_>,
    readers: &mut Vec<Reader>,
    planned: &mut Planned,
    disproofs: &[Disproof],
) -> Result<()> {
    let started = std::time::Instant::now();
    let mut tables: Vec<usize> = disproofs.iter().filter(|d| d.refusal.is_none()).map(|d| d.table).collect();
    tables.sort_unstable();
    tables.dedup();
    tables.retain(|&t| !planned.profiles[t].complete);
    let whole: Vec<(usize, Depth)> = tables.iter().map(|&t| (t, Depth::Whole)).collect();
    let fresh = evidence::gather(&planned.draft, readers, &whole, context.observer, context.stop)?;
    for (&t, profile) in tables.iter().zip(fresh) {
        let kept: Vec<bool> = planned.profiles[t].columns.iter().map(|c| c.keep_values).collect();
        planned.profiles[t] = profile;
        for (column, keep) in planned.profiles[t].columns.iter_mut().zip(kept) {
            column.keep_values = keep;
        }
    }
    for disproof in disproofs {
        mark(planned, disproof);
    }
    let mut plan = planned
        .draft
        .plan(&planned.profiles)
        .map_err(|e| e.state("finished ranges are on the target; the command goes on with them once the rule holds"))?;
    let mut session = context.session()?;
    let mut tx = session.transaction()?;
    rejects::fallbacks(&mut tx, &mut plan)?;
    tx.rollback()?;
    drop(session);
    keep_probed(&planned.plan, &mut plan);
    let changed: Vec<usize> =
        (0..plan.tables.len()).filter(|&t| !plan.tables[t].loads_like(&planned.plan.tables[t])).collect();
    for disproof in disproofs {
        let table = &planned.plan.tables[disproof.table];
        if !changed.contains(&disproof.table) {
            return Err(without_way_out(table, disproof));
        }
        let why = words(table, disproof);
        context.observer.event(&Event::Widened { table: table.target.clone(), why });
    }
    empty(context, &planned.plan, &mut plan, &changed, &planned.profiles)?;
    context.observer.event(&Event::Info { text: format!("planned again in {} ms", millis(started)) });
    planned.plan = plan;
    Ok(())
}

fn mark(planned: &mut Planned, disproof: &Disproof) {
    let column = &planned.plan.tables[disproof.table].columns[disproof.column];
    let source = planned.draft.catalog().tables[disproof.table].column_index(&column.source);
    let profile = &mut planned.profiles[disproof.table].columns[source.expect("the plan's columns are the catalog's")];
    if column.generated.is_some() {
        profile.keep_values = true;
    } else {
        let failure = Failure { key: disproof.key.unwrap_or(0), misfit: disproof.misfit };
        profile.disprove(&column.conversion, &failure);
    }
}

// The server was asked about definitions before the rows moved; its answers still hold where the types do.
fn keep_probed(old: &Plan, new: &mut Plan) {
    new.left_alone.clone_from(&old.left_alone);
    for (old, new) in old.tables.iter().zip(&mut new.tables) {
        if old.loads_like(new) {
            let rows = (new.rows, new.rows_exact, new.bytes);
            new.clone_from(old);
            (new.rows, new.rows_exact, new.bytes) = rows;
        }
    }
    new.views.retain(|view| old.views.iter().any(|o| o.source == view.source));
    for remark in &old.remarks {
        if !new.remarks.contains(remark) {
            new.remarks.push(remark.clone());
        }
    }
}

fn empty(
    context: &Context<'_>,
    old: &Plan,
    new: &mut Plan,
    changed: &[usize],
    profiles: &[TableProfile],
) -> Result<()> {
    let mut session = context.session()?;
    let ours = control::tables_of(&session, context.run)?;
    let tx = session.transaction()?;
    // In a table that was there before, rows loaded by another rule are the same rows of the same type.
    let made: Vec<String> =
        changed.iter().filter(|&&t| !new.tables[t].existing).map(|&t| old.tables[t].target.clone()).collect();
    for table in made.iter().filter(|t| ours.contains(*t)) {
        tx.batch(&ddl::drop_table(&new.schema, table))?;
        control::forget_object(&tx, context.run, table)?;
    }
    probe::columns_of(&tx, new, changed)?;
    control::replan(&tx, context.run, new, profiles, &made)?;
    tx.commit()
}

fn words(table: &TablePlan, disproof: &Disproof) -> String {
    let column = &table.columns[disproof.column];
    let at = disproof.key.map_or_else(String::new, |k| format!(" (key {k})"));
    match (&disproof.refusal, disproof.misfit) {
        (Some(refusal), _) => format!("`{}` as {}: {refusal}", column.target, column.pg_type),
        (None, Some(misfit)) => format!("`{}` as {} met {misfit}{at}", column.target, column.pg_type),
        (None, None) => format!("`{}` as {} met text that is not clean{at}", column.target, column.pg_type),
    }
}

fn without_way_out(table: &TablePlan, disproof: &Disproof) -> Error {
    Error::new(Kind::Failed, format!("`{}` cannot be loaded", table.target))
        .fact(words(table, disproof))
        .state("finished tables are kept on the target")
        .hint(format!(
            "`{}` sets such rows aside; `{}` leaves the table out",
            reject(&table.source),
            exclude(&table.source)
        ))
}
