//! After the rows: keys and indexes in parallel, then checks, foreign keys, identities, views, statistics.
//!
//! Every step can be done again: a run that was cut here goes on. What the server refuses because of the rows
//! is a remark with SQL to edit, never an end.

use super::Context;
use super::clock::millis;
use super::crew;
use crate::error::{Error, Kind, Result};
use crate::model::bounds::MAINTENANCE_MB_TOTAL;
use crate::model::event::{Event, Phase};
use crate::model::plan::{CheckPlan, ForeignKeyPlan, IndexPlan, KeyPlan, Plan, Remark, TablePlan};
use crate::postgres::{Session, aside, catalog, control, ddl, is_answer};
use std::collections::HashMap;
use std::time::Instant;

/// Time that sessions spent on the indexes of each table, by its position, in milliseconds.
pub type IndexMs = HashMap<usize, u64>;

enum Build<'p> {
    Key(usize, &'p TablePlan, &'p KeyPlan),
    Index(usize, &'p TablePlan, &'p IndexPlan),
}

/// Builds primary keys, unique constraints and indexes, the largest tables first.
pub fn indexes(context: &Context<'_>, plan: &Plan) -> Result<(IndexMs, Vec<Remark>)> {
    let mut builds: Vec<(u64, Build<'_>)> = Vec::new();
    for (t, table) in plan.tables.iter().enumerate().filter(|(_, t)| !t.existing) {
        builds.extend(table.primary_key.iter().map(|key| (table.rows, Build::Key(t, table, key))));
        builds.extend(table.indexes.iter().map(|index| (table.rows, Build::Index(t, table, index))));
    }
    builds.sort_by_key(|(rows, _)| std::cmp::Reverse(*rows));
    let memory = MAINTENANCE_MB_TOTAL / context.options.jobs.max(1);
    let results = crew::each(context, &builds, |session, (_, build)| {
        let started = Instant::now();
        session.batch(&format!("SET maintenance_work_mem = '{memory}MB'"))?;
        let (table, name, remark) = match build {
            Build::Key(t, table, key) => (*t, &key.name, primary_key(session, plan, table, key)?),
            Build::Index(t, table, index) => (*t, &index.name, index_of(session, plan, table, index)?),
        };
        let ms = millis(started);
        context.observer.event(&Event::Step { phase: Phase::Index, object: name.clone(), ms });
        Ok((table, ms, remark))
    })?;
    let mut spent = IndexMs::new();
    let mut remarks = Vec::new();
    for (table, ms, remark) in results {
        *spent.entry(table).or_default() += ms;
        remarks.extend(remark);
    }
    Ok((spent, remarks))
}

fn primary_key(session: &Session, plan: &Plan, table: &TablePlan, key: &KeyPlan) -> Result<Option<Remark>> {
    let index = ddl::create_key_index(&plan.schema, table, key);
    let add = ddl::add_primary_key(&plan.schema, table, key);
    if catalog::constraints(session, &plan.schema, &table.target)?.contains_key(&key.name) {
        return Ok(None);
    }
    match try_both(session, &index, Some(&add))? {
        None => Ok(None),
        Some(refusal) => Ok(Some(refused(&table.source, "primary key not built", &refusal, &[&index, &add]))),
    }
}

fn index_of(session: &Session, plan: &Plan, table: &TablePlan, index: &IndexPlan) -> Result<Option<Remark>> {
    let create = ddl::create_index(&plan.schema, table, index);
    let add = index.constraint.then(|| ddl::add_unique(&plan.schema, table, index));
    if add.is_some() && catalog::constraints(session, &plan.schema, &table.target)?.contains_key(&index.name) {
        return Ok(None);
    }
    match try_both(session, &create, add.as_deref())? {
        None => Ok(None),
        Some(refusal) => {
            let what = format!("index `{}` not built", index.name);
            Ok(Some(refused(&table.source, &what, &refusal, &[&create])))
        }
    }
}

// Two statements of their own, not one transaction: the first holds a lock that lets other builds go on.
fn try_both(session: &Session, first: &str, second: Option<&str>) -> Result<Option<Error>> {
    for sql in [Some(first), second].into_iter().flatten() {
        if let Some(refusal) = attempt(session, sql)? {
            return Ok(Some(refusal));
        }
    }
    Ok(None)
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
pub fn constraints(context: &Context<'_>, plan: &Plan) -> Result<Vec<Remark>> {
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
    let found = crew::each(context, &to_validate, |session, (table, c)| validate(context, session, plan, table, c))?;
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
            let last = column.and_then(|c| c.identity.as_ref()).and_then(|i| i.last);
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

/// Puts the foreign keys back that were set aside, and lets the server look at all rows.
pub fn put_back(context: &Context<'_>, plan: &Plan) -> Result<Vec<Remark>> {
    let schema = &plan.schema;
    let keys = aside::kept(context.control, schema)?;
    let mut session = context.session()?;
    for key in &keys {
        let tx = session.transaction()?;
        aside::put_back(&tx, schema, key)?;
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

/// Gathers statistics.
pub fn analyze(context: &Context<'_>, plan: &Plan) -> Result<()> {
    crew::each(context, &plan.tables, |session, table| session.batch(&ddl::analyze(&plan.schema, &table.target)))?;
    Ok(())
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
