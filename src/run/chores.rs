//! What any session can do once the rows are there: gather a table's statistics, and count its rows back.
//!
//! Each is done once, by a session that finds nothing to build or to validate, and what is left at the end.

use super::proof::go_on;
use super::{Context, crew};
use crate::error::Result;
use crate::model::plan::Plan;
use crate::postgres::{Session, catalog, ddl};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The chores of a plan's tables.
pub struct Chores<'p> {
    plan: &'p Plan,
    /// Positions of the tables, the largest first.
    order: Vec<usize>,
    analyzed: Vec<AtomicBool>,
    counted: Vec<AtomicBool>,
    counts: Vec<OnceLock<u64>>,
}

enum Chore {
    Analyze(usize),
    Count(usize),
}

impl<'p> Chores<'p> {
    /// All of them; rows are counted only where that is wanted.
    pub fn new(plan: &'p Plan, are_counted: bool) -> Self {
        let mut order: Vec<usize> = (0..plan.tables.len()).collect();
        order.sort_by_key(|&t| std::cmp::Reverse(plan.tables[t].rows));
        let flags = |is_done: bool| order.iter().map(|_| AtomicBool::new(is_done)).collect();
        let (analyzed, counted) = (flags(false), flags(!are_counted));
        Self { plan, analyzed, counted, counts: order.iter().map(|_| OnceLock::new()).collect(), order }
    }

    /// Does one, if there is one. Statistics are gathered only where `is_still` says that nothing is built or validated
    /// on the table: those of an index come after it, and the table's lock would be waited for.
    pub fn one(&self, session: &Session, is_still: impl Fn(usize) -> bool) -> Result<bool> {
        let claim = |done: &[AtomicBool], t: usize| !done[t].swap(true, Ordering::Relaxed);
        let still = self.order.iter().copied().find(|&t| is_still(t) && claim(&self.analyzed, t)).map(Chore::Analyze);
        let count = || self.order.iter().copied().find(|&t| claim(&self.counted, t)).map(Chore::Count);
        let Some(chore) = still.or_else(count) else { return Ok(false) };
        let schema = &self.plan.schema;
        match chore {
            Chore::Analyze(t) => session.batch(&ddl::analyze(schema, &self.plan.tables[t].target))?,
            Chore::Count(t) => {
                let rows = catalog::count(session, schema, &self.plan.tables[t].target)?;
                self.counts[t].get_or_init(|| rows);
            }
        }
        Ok(true)
    }

    /// Does all that are left; the rows of each table, where they were counted.
    pub fn finish(self, context: &Context<'_>) -> Result<Option<Vec<u64>>> {
        let hands: Vec<()> = vec![(); context.options.jobs];
        crew::each(context, &hands, |session, ()| {
            while self.one(session, |_| true)? {
                go_on(context.stop)?;
            }
            Ok(())
        })?;
        Ok(self.counts.into_iter().map(OnceLock::into_inner).collect())
    }
}
