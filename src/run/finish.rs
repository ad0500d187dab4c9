//! After the rows: keys and indexes in parallel, then checks, foreign keys, identities, views, statistics.
//!
//! Every step can be done again: a run that was cut here goes on. What the server refuses because of the rows
//! is a remark with SQL to edit, never an end.

use super::chores::Chores;
use super::clock::millis;
use super::{Context, crew};
use crate::error::{Error, Kind, Result};
use crate::model::bounds::MAINTENANCE_MB_TOTAL;
use crate::model::event::{Event, Phase};
use crate::model::pg_type::PgType;
use crate::model::plan::{CheckPlan, ColumnPlan, ForeignKeyPlan, IndexPlan, KeyPlan, Plan, Remark, TablePlan};
use crate::postgres::indexes::{self, Index};
use crate::postgres::{Session, aside, catalog, control, ddl, is_answer, triggers};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Time that sessions spent on the indexes of each table, by its position, in milliseconds.
pub type IndexMs = HashMap<usize, u64>;

/// An index to build, alone or as the beginning of a key.
struct Build<'p> {
    t: usize,
    table: &'p TablePlan,
    name: &'p str,
    create: String,
    // The statement that makes the index a key, where it is one.
    add: Option<String>,
    what: String,
}

impl<'p> Build<'p> {
    fn key(schema: &str, (t, table): (usize, &'p TablePlan), key: &'p KeyPlan) -> Self {
        let add = Some(ddl::add_primary_key(schema, table, key));
        let create = ddl::create_key_index(schema, table, key);
        Self { t, table, name: &key.name, create, add, what: "primary key not built".to_owned() }
    }

    fn index(schema: &str, (t, table): (usize, &'p TablePlan), index: &'p IndexPlan) -> Self {
        let add = index.constraint.then(|| ddl::add_unique(schema, table, index));
        let create = ddl::create_index(schema, table, index);
        Self { t, table, name: &index.name, create, add, what: format!("index `{}` not built", index.name) }
    }

    fn refused(&self, refusal: &Error) -> Remark {
        let sql: Vec<&str> = std::iter::once(&*self.create).chain(self.add.as_deref()).collect();
        refused(&self.table.source, &self.what, refusal, &sql)
    }
}

/// Builds primary keys, unique constraints and indexes, the largest tables first. An index is made a key once nothing
/// is built on its table any more: that takes a lock for which it would wait.
pub fn indexes(context: &Context<'_>, plan: &Plan, chores: Option<&Chores<'_>>) -> Result<(IndexMs, Vec<Remark>)> {
    let schema = &plan.schema;
    let mut builds: Vec<Build<'_>> = Vec::new();
    for (t, table) in plan.tables.iter().enumerate().filter(|(_, t)| !t.existing) {
        builds.extend(table.primary_key.iter().map(|key| Build::key(schema, (t, table), key)));
        builds.extend(table.indexes.iter().map(|index| Build::index(schema, (t, table), index)));
    }
    builds.sort_by_key(|build| std::cmp::Reverse(build.table.rows));
    let left: Vec<AtomicUsize> = plan.tables.iter().map(|_| AtomicUsize::new(0)).collect();
    for build in &builds {
        left[build.t].fetch_add(1, Ordering::Relaxed);
    }
    // Keys whose index is built, by table.
    let keys: Vec<Mutex<Vec<usize>>> = plan.tables.iter().map(|_| Mutex::default()).collect();
    let memory = MAINTENANCE_MB_TOTAL / context.options.jobs.max(1);
    let work = |session: &mut Session, i: &usize| {
        let build = &builds[*i];
        let started = Instant::now();
        session.batch(&format!("SET maintenance_work_mem = '{memory}MB'"))?;
        let mut remarks = Vec::new();
        let keys = &keys[build.t];
        match create(session, plan, build)? {
            Created::Whole => {}
            Created::Index => lock(keys).extend(build.add.is_some().then_some(*i)),
            Created::Refused(refusal) => remarks.push(build.refused(&refusal)),
        }
        // Acquires what the others of the table have built.
        if left[build.t].fetch_sub(1, Ordering::AcqRel) == 1 {
            for key in lock(keys).drain(..).map(|i| &builds[i]) {
                let add = key.add.as_deref().expect("only keys are kept");
                remarks.extend(attempt(session, add)?.map(|refusal| key.refused(&refusal)));
            }
        }
        let ms = millis(started);
        context.observer.event(&Event::Step { phase: Phase::Index, object: build.name.to_owned(), ms });
        Ok((build.t, ms, remarks))
    };
    let is_still = |t: usize| left[t].load(Ordering::Acquire) == 0;
    let spare = |session: &mut Session| chores.map_or(Ok(false), |chores| chores.one(session, is_still));
    let order: Vec<usize> = (0..builds.len()).collect();
    let mut spent = IndexMs::new();
    let mut remarks = Vec::new();
    for (table, ms, found) in crew::each_and(context, &order, work, spare)? {
        *spent.entry(table).or_default() += ms;
        remarks.extend(found);
    }
    Ok((spent, remarks))
}

/// Builds the indexes of tables that were there again, largest tables first.
pub fn indexes_back(context: &Context<'_>, plan: &Plan) -> Result<()> {
    let mut dropped = indexes::kept(context.control, &plan.schema)?;
    let rows_of = |index: &Index| plan.tables.iter().find(|t| t.target == index.table).map_or(0, |t| t.rows);
    dropped.sort_by_key(|index| std::cmp::Reverse(rows_of(index)));
    let memory = MAINTENANCE_MB_TOTAL / context.options.jobs.max(1);
    crew::each(context, &dropped, |session, index| {
        let started = Instant::now();
        session.batch(&format!("SET maintenance_work_mem = '{memory}MB'"))?;
        let tx = session.transaction()?;
        indexes::put_back(&tx, &plan.schema, index)?;
        tx.commit()?;
        let (object, ms) = (index.name.clone(), millis(started));
        context.observer.event(&Event::Step { phase: Phase::Index, object, ms });
        Ok(())
    })?;
    Ok(())
}

enum Created {
    // An earlier start has made the key.
    Whole,
    Index,
    Refused(Error),
}

fn create(session: &Session, plan: &Plan, build: &Build<'_>) -> Result<Created> {
    let is_there = || Ok(catalog::constraints(session, &plan.schema, &build.table.target)?.contains_key(build.name));
    if build.add.is_some() && is_there()? {
        return Ok(Created::Whole);
    }
    Ok(attempt(session, &build.create)?.map_or(Created::Index, Created::Refused))
}

// What the server refuses for good is an answer; a full disk or a lost connection ends the run, to be resumed.
fn attempt(session: &Session, sql: &str) -> Result<Option<Error>> {
    match session.batch(sql) {
        Ok(()) => Ok(None),
        Err(error) if is_answer(&error) => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

fn refused(object: &str, what: &str, refusal: &Error, sql: &[&str]) -> Remark {
    let detail =
        refusal.facts().iter().find(|f| f.starts_with("detail")).map_or_else(String::new, |d| format!("; {d}"));
    Remark::warning(object, format!("{what}: {}{detail}", refusal.message())).with_sql(format!("{};", sql.join(";\n")))
}

enum Constraint<'p> {
    Check(&'p CheckPlan),
    Key(&'p ForeignKeyPlan),
}

impl Constraint<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Check(check) => &check.name,
            Self::Key(key) => &key.name,
        }
    }
}

/// Adds checks and foreign keys without looking at the rows, then lets the server look at them in parallel.
pub fn constraints(context: &Context<'_>, plan: &Plan, chores: &Chores<'_>) -> Result<Vec<Remark>> {
    let schema = &plan.schema;
    let session = context.control;
    let mut remarks = Vec::new();
    let mut to_validate = Vec::new();
    for table in plan.tables.iter().filter(|t| !(t.existing || t.checks.is_empty() && t.foreign_keys.is_empty())) {
        let there = catalog::constraints(session, schema, &table.target)?;
        let checks = table.checks.iter().map(Constraint::Check);
        for constraint in checks.chain(table.foreign_keys.iter().map(Constraint::Key)) {
            let (sql, what) = match &constraint {
                Constraint::Check(check) => (ddl::add_check(schema, table, check), "check not added"),
                Constraint::Key(key) => (ddl::add_foreign_key(schema, table, key), "foreign key not added"),
            };
            let valid = there.get(constraint.name()).copied();
            if valid.is_none()
                && let Some(refusal) = attempt(session, &sql)?
            {
                remarks.push(refused(&table.source, what, &refusal, &[&sql]));
            } else if valid != Some(true) {
                to_validate.push((table, constraint));
            }
        }
    }
    let is_still = |t: usize| to_validate.iter().all(|(table, _)| table.target != plan.tables[t].target);
    let work =
        |session: &mut Session, (table, c): &(&TablePlan, Constraint<'_>)| validate(context, session, plan, table, c);
    let found = crew::each_and(context, &to_validate, work, |session| chores.one(session, is_still))?;
    remarks.extend(found.into_iter().flatten());
    Ok(remarks)
}

fn validate(
    context: &Context<'_>,
    session: &Session,
    plan: &Plan,
    table: &TablePlan,
    constraint: &Constraint<'_>,
) -> Result<Option<Remark>> {
    let started = Instant::now();
    let sql = ddl::validate(&plan.schema, &table.target, constraint.name());
    let refusal = attempt(session, &sql)?;
    let object = constraint.name().to_owned();
    context.observer.event(&Event::Step { phase: Phase::Constrain, object, ms: millis(started) });
    let Some(refusal) = refusal else { return Ok(None) };
    let text = match constraint {
        Constraint::Check(check) => {
            format!("check `{}` holds for new rows only: rows of the source break it", check.name)
        }
        Constraint::Key(key) => {
            let orphans: i64 = session.query_one(&ddl::count_orphans(&plan.schema, table, key), &[])?.get(0);
            let rows = if orphans == 1 { "1 row has" } else { &format!("{orphans} rows have") };
            format!("foreign key `{}` holds for new rows only: {rows} no parent in `{}`", key.name, key.parent)
        }
    };
    let code = refusal.sqlstate().unwrap_or_default();
    let sql = format!("-- after mending the rows (SQLSTATE {code})\n{sql};");
    Ok(Some(Remark::warning(&table.source, text).with_sql(sql)))
}

/// Sets every identity and serial behind its column's numbers, and reads it back.
pub fn sequences(context: &Context<'_>, plan: &Plan) -> Result<Vec<Remark>> {
    let session = context.control;
    let mut remarks = Vec::new();
    for table in &plan.tables {
        if !table.existing && table.columns.iter().all(|c| c.identity.is_none()) {
            continue;
        }
        for owned in catalog::owned_sequences(session, &plan.schema, &table.target)? {
            let column = table.columns.iter().find(|c| c.target == owned.column);
            let last = column.filter(|c| c.identity.is_some()).and_then(|c| last(table, c));
            let state = catalog::advance_sequence(session, &plan.schema, &table.target, &owned, last)?;
            let object = format!("{}.{}", table.target, owned.column);
            if state.max == Some(state.end) {
                let text = "the largest number is taken: no new row gets one by itself, as in SQLite";
                remarks.push(Remark::warning(object, text));
            } else if state.max.is_some_and(|max| state.next <= max) {
                return Err(Error::new(Kind::Bug, format!("the identity of `{object}` would give a number twice"))
                    .fact(format!("next is {}, largest is {}", state.next, state.max.unwrap_or_default())));
            }
        }
    }
    Ok(remarks)
}

// The last number that SQLite gave out, that of a row among those that were set aside: it is taken where the row still is.
fn last(table: &TablePlan, column: &ColumnPlan) -> Option<i64> {
    let end = match column.pg_type {
        PgType::Int2 => i64::from(i16::MAX),
        PgType::Int4 => i64::from(i32::MAX),
        _ => i64::MAX,
    };
    // One that the column cannot hold is why its row was set aside.
    let largest = table.key_bounds.map(|(_, max)| max).filter(|max| *max < end);
    column.identity.as_ref().and_then(|identity| identity.last).max(largest)
}

/// Creates the views. The plan has them in an order that finds what they read.
pub fn views(context: &Context<'_>, plan: &Plan) -> Result<Vec<Remark>> {
    let there = catalog::views(context.control, &plan.schema)?;
    let mut remarks = Vec::new();
    let mut session = context.session()?;
    for view in plan.views.iter().filter(|v| !there.contains(&v.target)) {
        let sql = ddl::create_view(&plan.schema, view);
        let tx = session.transaction()?;
        match attempt(&tx, &sql)? {
            None => {
                control::record_object(&tx, context.run, "view", &plan.schema, &view.target)?;
                tx.commit()?;
            }
            Some(refusal) => remarks.push(refused(&view.source, "view not created", &refusal, &[&sql])),
        }
    }
    Ok(remarks)
}

/// Puts the foreign keys and triggers back that were set aside, and lets the server look at all rows.
pub fn put_back(context: &Context<'_>, plan: &Plan) -> Result<Vec<Remark>> {
    let schema = &plan.schema;
    let keys = aside::kept(context.control, schema)?;
    let mut session = context.session()?;
    for key in &keys {
        let tx = session.transaction()?;
        aside::put_back(&tx, schema, key)?;
        tx.commit()?;
    }
    for trigger in triggers::kept(context.control, schema)? {
        let tx = session.transaction()?;
        triggers::put_back(&tx, schema, &trigger)?;
        tx.commit()?;
    }
    drop(session);
    let results = crew::each(context, &keys, |session, key| {
        let sql = ddl::validate(schema, &key.table, &key.name);
        let refusal = if aside::was_valid(key) { attempt(session, &sql)? } else { None };
        // Only now: a run that was cut before this looks at the rows again.
        aside::forget(session, schema, key)?;
        let what = format!("foreign key `{}` holds for new rows only", key.name);
        Ok(refusal.map(|refusal| refused(&key.table, &what, &refusal, &[&sql])))
    })?;
    Ok(results.into_iter().flatten().collect())
}

/// Counts the rows back; the counts in the plan's order.
pub fn count(context: &Context<'_>, plan: &Plan) -> Result<Vec<u64>> {
    let mut order: Vec<usize> = (0..plan.tables.len()).collect();
    order.sort_by_key(|&t| std::cmp::Reverse(plan.tables[t].rows));
    let counted = crew::each(context, &order, |session, &t| {
        Ok((t, catalog::count(session, &plan.schema, &plan.tables[t].target)?))
    })?;
    let mut counts = vec![0; plan.tables.len()];
    for (t, rows) in counted {
        counts[t] = rows;
    }
    Ok(counts)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
