//! The verb `status`: where runs stand, looked at from another process. Nothing is written, nobody is waited for.

use crate::error::{Error, Kind, Result};
use crate::model::bounds::RATE_WINDOW;
use crate::model::name::quoted;
use crate::model::plan::Plan;
use crate::model::status::{Built, PhaseStatus, RunStatus, TableStatus, Word};
use crate::postgres::status::{self, Entered, Kept, Moved};
use crate::postgres::{Pool, PoolSettings, Session, Target, catalog, control};
use std::collections::HashMap;

/// The phase that is no phase: it says when the command ended, and how.
pub const END: &str = "end";

/// A connection that looks again and again.
pub struct Watch {
    session: Session,
    // Its connections end with it.
    _pool: Pool,
}

impl Watch {
    /// Connects. Fails with [`Kind::Blocked`] where the role may not read the control schema.
    pub fn open(target: &Target) -> Result<Self> {
        let pool = Pool::connect(target, 1, &PoolSettings::default())?;
        let session = pool.session()?;
        let rights = catalog::rights(&session, "public")?;
        if rights.control_exists && !rights.control_readable {
            let user = quoted(&rights.user);
            let what = format!("role `{}` may not read the control schema `lite2pg`", rights.user);
            return Err(Error::new(Kind::Blocked, what).hint(format!(
                "GRANT USAGE ON SCHEMA lite2pg TO {user}; GRANT SELECT ON ALL TABLES IN SCHEMA lite2pg TO {user}"
            )));
        }
        Ok(Self { session, _pool: pool })
    }

    /// Where runs stand now, the latest first: the last one of each schema or of this one, or with `all` every one.
    pub fn look(&self, schema: Option<&str>, all: bool) -> Result<Vec<RunStatus>> {
        if !control::exists(&self.session)? {
            return Ok(Vec::new());
        }
        status::runs(&self.session, schema, all)?.into_iter().map(|run| self.of(run)).collect()
    }

    fn of(&self, run: Kept) -> Result<RunStatus> {
        let session = &self.session;
        let plan: Plan = serde_json::from_str(&run.plan).map_err(|e| {
            Error::new(Kind::Blocked, format!("the plan of run {} cannot be read", run.id))
                .cause(e)
                .fact(format!("lite2pg {} wrote it", run.tool_version))
        })?;
        let entered = status::phases(session, &run.id)?;
        let is_locked = status::is_locked(session, &run.schema)?;
        let last = entered.last().map(|e| e.phase.as_str());
        // A lock of the schema may also be a later command's, which compares a finished run again.
        let word = match (run.state.as_str(), is_locked) {
            ("abandoned", _) => Word::Abandoned,
            ("done", true) if last == Some("verify") => Word::Comparing,
            ("done", _) => Word::Done,
            (_, false) => Word::Stopped,
            ("copying", true) => Word::Copying,
            (_, true) => Word::Finishing,
        };
        let at_work = matches!(word, Word::Copying | Word::Finishing | Word::Comparing);
        let copying_ms = entered.iter().rev().find(|e| e.phase == "copy").map_or(run.ms, |e| e.ago_ms);
        let window_ms = copying_ms.clamp(1, RATE_WINDOW.as_millis() as u64);
        let moved = status::moved(session, &run.id, window_ms)?;
        let rejected = status::rejected(session, &run.id)?;
        let under_way = if word == Word::Copying { status::under_way(session, &run.schema)? } else { HashMap::new() };
        let tables: Vec<TableStatus> = plan
            .tables
            .iter()
            .map(|table| {
                let Moved { rows, bytes, .. } = moved.get(&table.target).copied().unwrap_or_default();
                TableStatus {
                    table: table.target.clone(),
                    rows,
                    rows_under_way: under_way.get(&table.target).copied().unwrap_or(0),
                    rows_expected: table.rows,
                    rows_exact: table.rows_exact,
                    bytes,
                    bytes_expected: table.bytes,
                    rejected: rejected.get(&table.target).copied().unwrap_or(0),
                }
            })
            .collect();
        let sum = |of: fn(&TableStatus) -> u64| tables.iter().map(of).sum::<u64>();
        // An estimate that turned out too low is no reason to promise less than is there.
        let expected: u64 = tables.iter().map(|t| t.bytes_expected.max(t.bytes)).sum();
        let lately = |of: fn(&Moved) -> u64| {
            let sum: u64 = moved.values().map(of).sum();
            (word == Word::Copying && sum > 0).then(|| sum * 1000 / window_ms)
        };
        let bytes = sum(|t| t.bytes);
        let bytes_per_second = lately(|m| m.bytes_lately).filter(|rate| *rate > 0);
        Ok(RunStatus {
            word,
            at_work,
            phases: phases(&entered, at_work),
            verdict: entered.iter().rev().find(|e| e.phase == END).and_then(|e| e.note.clone()),
            rows: sum(|t| t.rows),
            rows_expected: tables.iter().map(|t| t.rows_expected.max(t.rows)).sum(),
            bytes,
            bytes_expected: expected,
            rows_per_second: lately(|m| m.rows_lately),
            bytes_per_second,
            copy_remaining_ms: bytes_per_second.map(|rate| expected.saturating_sub(bytes) * 1000 / rate),
            indexes: self.indexes(&plan)?,
            constraints: self.constraints(&plan)?,
            tables,
            run: run.id,
            schema: run.schema,
            source: run.source,
            lite2pg: run.tool_version,
            started_at: run.started_at,
            ended_at: run.ended_at,
            ms: run.ms,
        })
    }

    fn indexes(&self, plan: &Plan) -> Result<Built> {
        let names: Vec<String> = plan
            .tables
            .iter()
            .filter(|t| !t.existing)
            .flat_map(|t| t.primary_key.iter().map(|k| k.name.clone()).chain(t.indexes.iter().map(|i| i.name.clone())))
            .collect();
        let there = status::indexes(&self.session, &plan.schema, &names)?;
        Ok(Built { done: there.len() as u64, planned: names.len() as u64 })
    }

    fn constraints(&self, plan: &Plan) -> Result<Built> {
        let there = status::valid_constraints(&self.session, &plan.schema)?;
        let ours = plan.tables.iter().filter(|t| !t.existing).flat_map(|t| {
            let names = t.checks.iter().map(|c| &c.name).chain(t.foreign_keys.iter().map(|k| &k.name));
            names.map(|name| (t.target.clone(), name.clone()))
        });
        let planned: Vec<(String, String)> = ours.collect();
        let done = planned.iter().filter(|key| there.contains(key)).count();
        Ok(Built { done: done as u64, planned: planned.len() as u64 })
    }
}

// Each lasts until the next begins; the last one until now, if somebody is at it. Of one that nobody ended, nobody knows.
fn phases(entered: &[Entered], at_work: bool) -> Vec<PhaseStatus> {
    let until = |i: usize, entered: &[Entered]| match entered.get(i + 1) {
        Some(next) => next.ago_ms,
        None if at_work => 0,
        None => entered[i].ago_ms,
    };
    let of = |(i, e): (usize, &Entered)| PhaseStatus {
        phase: e.phase.clone(),
        at: e.at.clone(),
        ms: e.ago_ms.saturating_sub(until(i, entered)),
    };
    entered.iter().enumerate().filter(|(_, e)| e.phase != END).map(of).collect()
}
