//! From the sample to the whole source: each table's time by its own rows.
//!
//! Rows cost what they cost in the sample; a sort of n rows grows with n log n. What only a large table meets (a
//! cache that is too small, a checkpoint) is not in it.

use super::lane::Spent;
use super::sample::Sample;
use crate::error::Result;
use crate::model::plan::{ForeignKeyPlan, Plan, TablePlan};
use crate::postgres::ddl;
use crate::run::chores::Chores;
use crate::run::clock::millis;
use crate::run::{Context, crew, finish};
use std::time::Instant;

/// The rows: the wall time of a load of the sample, stretched as its tables' shares are.
pub fn copy_us(plan: &Plan, sample: &Sample, wall_us: u64, spent: impl Iterator<Item = Spent>) -> u64 {
    stretched(wall_us, spent.map(|s| (s.us, ratio(plan, sample, s.table))))
}

/// Keys and indexes: built on the sample as `migrate` builds them.
pub fn index_ms(context: &Context<'_>, plan: &Plan, sample: &Sample) -> Result<u64> {
    let started = Instant::now();
    let (spent, _) = finish::indexes(context, plan, None)?;
    let wall = millis(started);
    let sorts = |t: usize| {
        let rows = sample.rows[t].max(2) as f64;
        let ratio = ratio(plan, sample, t);
        ratio * (rows * ratio).ln() / rows.ln()
    };
    Ok(stretched(wall, spent.into_iter().map(|(t, ms)| (ms, sorts(t)))))
}

/// Foreign keys: the same question to both tables that their validation asks.
pub fn constrain_ms(context: &Context<'_>, plan: &Plan, sample: &Sample) -> Result<u64> {
    let is_here = |name: &str| plan.tables.iter().any(|t| t.target == name);
    let mut keys: Vec<(usize, &TablePlan, &ForeignKeyPlan)> = Vec::new();
    for (t, table) in plan.tables.iter().enumerate() {
        keys.extend(table.foreign_keys.iter().filter(|k| is_here(&k.parent)).map(|key| (t, table, key)));
    }
    let started = Instant::now();
    let spent = crew::each(context, &keys, |session, (t, table, key)| {
        let started = Instant::now();
        session.query_one(&ddl::count_orphans(&plan.schema, table, key), &[])?;
        Ok((millis(started), ratio(plan, sample, *t)))
    })?;
    Ok(stretched(millis(started), spent.into_iter()))
}

/// Statistics read as many rows of any large table; counting reads all.
pub fn analyze_ms(context: &Context<'_>, plan: &Plan, sample: &Sample) -> Result<u64> {
    let started = Instant::now();
    Chores::new(plan, false).finish(context)?;
    let analyzed = millis(started);
    let started = Instant::now();
    finish::count(context, plan)?;
    let all = sample.size.rows_total as f64 / sample.size.rows.max(1) as f64;
    Ok(analyzed + (millis(started) as f64 * all) as u64)
}

// How many times the rows of the sample the table holds.
fn ratio(plan: &Plan, sample: &Sample, table: usize) -> f64 {
    if sample.size.whole || sample.rows[table] == 0 {
        return 1.0;
    }
    (plan.tables[table].rows as f64 / sample.rows[table] as f64).max(1.0)
}

// Wall time in which several parts of work were done side by side, each stretched by its own factor.
fn stretched(wall: u64, parts: impl Iterator<Item = (u64, f64)>) -> u64 {
    let (mut before, mut after) = (0.0, 0.0);
    for (spent, factor) in parts {
        // What took no time that the clock shows took some.
        let spent = spent.max(1) as f64;
        before += spent;
        after += spent * factor;
    }
    if before > 0.0 { (wall as f64 * after / before) as u64 } else { wall }
}

#[cfg(test)]
mod tests {
    use super::stretched;

    #[test]
    fn each_part_of_a_wall_time_grows_by_its_own_factor() {
        assert_eq!(stretched(100, [(30, 1.0), (10, 10.0)].into_iter()), 325);
        assert_eq!(stretched(7, std::iter::empty()), 7);
    }
}
