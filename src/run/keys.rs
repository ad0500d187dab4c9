//! Keys of tables that the run's scripts have made: away while rows are copied, built again once they are there.
//!
//! That rows fit them is known only then. Where they do not, the table is emptied and loaded once more with its keys in force:
//! so the error names the range and the row, and its way out works, as if the keys had never been away.

use super::clock::millis;
use super::{Context, crew};
use crate::error::Result;
use crate::model::bounds::MAINTENANCE_MB_TOTAL;
use crate::model::event::{Event, Phase};
use crate::model::plan::Plan;
use crate::postgres::indexes::{self, Index};
use crate::postgres::{control, ddl};
use std::time::Instant;

/// A row is there twice, by what a key tells rows apart by.
const UNIQUE_VIOLATION: &str = "23505";
/// A value of a row is NULL, or longer than an index takes (`not_null_violation`, `program_limit_exceeded`).
const OTHER_VIOLATIONS: [&str; 2] = ["23502", "54000"];

/// The keys that are away.
pub fn away(context: &Context<'_>, plan: &Plan) -> Result<Vec<Index>> {
    let mut away = indexes::kept(context.control, &plan.schema)?;
    away.retain(|index| index.is_key() && plan.tables.iter().any(|t| t.target == index.table));
    Ok(away)
}

/// Builds them, the largest tables' first; the tables whose rows do not fit. Each key is there and forgotten, or neither.
pub fn build(context: &Context<'_>, plan: &Plan, mut away: Vec<Index>) -> Result<Vec<String>> {
    let rows_of = |index: &Index| plan.tables.iter().find(|t| t.target == index.table).map_or(0, |t| t.rows);
    away.sort_by_key(|index| std::cmp::Reverse(rows_of(index)));
    let memory = MAINTENANCE_MB_TOTAL / context.options.jobs.max(1);
    let refused = crew::each(context, &away, |session, index| {
        let started = Instant::now();
        session.batch(&format!("SET maintenance_work_mem = '{memory}MB'"))?;
        let tx = session.transaction()?;
        let is_unfit = |code: &str| code == UNIQUE_VIOLATION || OTHER_VIOLATIONS.contains(&code);
        match indexes::put_back(&tx, &plan.schema, index) {
            Ok(()) => tx.commit()?,
            Err(error) if error.sqlstate().is_some_and(is_unfit) => return Ok(Some(index.table.clone())),
            Err(error) => return Err(error),
        }
        let (object, ms) = (index.name.clone(), millis(started));
        context.observer.event(&Event::Step { phase: Phase::Index, object, ms });
        Ok(None)
    })?;
    let mut tables: Vec<String> = refused.into_iter().flatten().collect();
    tables.sort_unstable();
    tables.dedup();
    Ok(tables)
}

/// Empties these tables, puts their keys in force, and forgets that their rows were there, all at once.
pub fn begin_again(context: &Context<'_>, plan: &Plan, tables: &[String]) -> Result<()> {
    let mut session = context.session()?;
    let tx = session.transaction()?;
    for table in tables {
        // No foreign key refers to it, or its keys would not have been away.
        tx.batch(&ddl::truncate(&plan.schema, &[table]))?;
        let text = format!("rows of `{table}` do not fit its keys: it is loaded again with the keys in force");
        context.observer.event(&Event::Info { text });
    }
    for key in away(context, plan)?.iter().filter(|key| tables.contains(&key.table)) {
        indexes::put_back(&tx, &plan.schema, key)?;
    }
    control::forget_rows(&tx, context.run, tables)?;
    tx.commit()
}
