//! A fresh run up to its first durable step: a person's scripts, names, evidence, plan, the server's word on it, the run.

use super::clock::Clock;
use super::options::Options;
use super::rows::Planned;
use super::{Opened, bookkeeping, checks, evidence, note_left, probe, rejects, start, strict};
use crate::error::Result;
use crate::load::Conflict;
use crate::model::event::{Event, Observer, Phase};
use crate::model::plan::{Plan, Remark};
use crate::plan::Draft;
use crate::postgres::control::{self, RunRecord, State};
use crate::postgres::{Session, Transaction, catalog, ddl, made};
use crate::profile::Depth;
use std::sync::atomic::AtomicBool;
use uuid::Uuid;

/// What the steps share.
#[derive(Clone, Copy)]
pub struct Preparation<'a> {
    /// What a person asks for.
    pub options: &'a Options,
    /// Who is told.
    pub observer: &'a dyn Observer,
    /// Set when the run is to end.
    pub stop: &'a AtomicBool,
}

impl Preparation<'_> {
    /// Plans a run and writes it down. What a person's scripts make is there when the plan is made, and lasts with the run
    /// or not at all.
    pub fn fresh(
        self,
        opened: &mut Opened,
        control: &mut Session,
        clock: &mut Clock<'_>,
    ) -> Result<(Planned, RunRecord)> {
        let planned = if self.options.scripts.before.is_empty() {
            self.unscripted(opened, control, clock)?
        } else {
            let mut tx = control.transaction()?;
            let there = self.scripted(&tx)?;
            let planned = self.planned(opened, &tx, clock)?;
            let planned = self.asked(planned, &mut tx, clock)?;
            return self.begin(tx, opened, planned, Some(&there));
        };
        self.begin(control.transaction()?, opened, planned, None)
    }

    /// Plans a run and leaves nothing behind.
    pub fn dry(self, opened: &mut Opened, control: &mut Session, clock: &mut Clock<'_>) -> Result<Planned> {
        if self.options.scripts.before.is_empty() {
            return self.unscripted(opened, control, clock);
        }
        let mut tx = control.transaction()?;
        self.scripted(&tx)?;
        let planned = self.planned(opened, &tx, clock)?;
        let planned = self.asked(planned, &mut tx, clock)?;
        tx.rollback()?;
        Ok(planned)
    }

    // No transaction is open while rows are looked at.
    fn unscripted(self, opened: &mut Opened, control: &Session, clock: &mut Clock<'_>) -> Result<Planned> {
        let planned = self.planned(opened, control, clock)?;
        let mut session = control.another()?;
        let mut tx = session.transaction()?;
        let planned = self.asked(planned, &mut tx, clock)?;
        tx.rollback()?;
        Ok(planned)
    }

    // Runs the scripts of `before`; gives what was there before them.
    fn scripted(self, tx: &Transaction<'_>) -> Result<Vec<i64>> {
        catalog::create_schema(tx, &self.options.schema)?;
        let there = made::there(tx, &self.options.schema)?;
        checks::run(tx, &self.options.scripts.before, "before")?;
        Ok(there)
    }

    fn planned(self, opened: &mut Opened, session: &Session, clock: &mut Clock<'_>) -> Result<Planned> {
        let left = bookkeeping::leave(session, self.options, opened)?;
        let existing = start::existing_tables(session, self.options, &opened.catalog)?;
        let taken = start::taken(session, &self.options.schema, None)?;
        let draft = Draft::new(opened.catalog.clone(), self.options.plan_options(), &taken, &existing)?;
        let mut planned = plan_rows(draft, opened, self.observer, self.stop, clock)?;
        note_left(&mut planned.plan, left);
        Ok(planned)
    }

    fn asked(self, mut planned: Planned, tx: &mut Transaction<'_>, clock: &mut Clock<'_>) -> Result<Planned> {
        clock.phase(Phase::Create, planned.plan.tables.len(), || probe::probe(tx, &mut planned.plan))?;
        rejects::fallbacks(tx, &mut planned.plan)?;
        keyless(self.options, &mut planned.plan);
        if self.options.strict {
            strict::before(&planned)?;
        }
        for remark in &planned.plan.remarks {
            self.observer.event(&Event::Remark(remark.clone()));
        }
        Ok(planned)
    }

    // The first durable step: the run with its plan, and emptied tables where that was asked for.
    fn begin(
        self,
        tx: Transaction<'_>,
        opened: &Opened,
        planned: Planned,
        there: Option<&[i64]>,
    ) -> Result<(Planned, RunRecord)> {
        let options = self.options;
        let run = RunRecord {
            id: Uuid::now_v7(),
            source: options.source.display().to_string(),
            fingerprint: opened.fingerprint.clone(),
            schema: options.schema.clone(),
            options: options.shape(),
            plan: planned.plan.clone(),
            profiles: planned.profiles.clone(),
            state: State::Copying,
            format: control::FORMAT,
        };
        control::create(&tx)?;
        catalog::create_schema(&tx, &options.schema)?;
        let existing: Vec<&str> =
            planned.plan.tables.iter().filter(|t| t.existing).map(|t| t.target.as_str()).collect();
        if options.truncate && !existing.is_empty() {
            tx.batch(&ddl::truncate(&options.schema, &existing)).map_err(|e| {
                e.context("the target's tables cannot be emptied")
                    .state("nothing was written")
                    .hint("tables outside this run refer to them; empty those first, or include them")
            })?;
        }
        control::insert(&tx, &run)?;
        if let Some(there) = there {
            made::record(&tx, run.id, &options.schema, there)?;
        }
        tx.commit()?;
        Ok((planned, run))
    }
}

// Without a key nobody can tell a row that is there from a new one.
fn keyless(options: &Options, plan: &mut Plan) {
    if !matches!(options.conflict, Some(Conflict::Skip | Conflict::Update)) {
        return;
    }
    for table in plan.tables.iter().filter(|t| t.existing && t.primary_key.is_none()) {
        let text = "no primary key on the target: rows that are there count as other rows, and all are added";
        plan.remarks.push(Remark::warning(&table.source, text));
    }
}

/// The plan that the rows give.
pub fn plan_rows(
    draft: Draft,
    opened: &mut Opened,
    observer: &dyn Observer,
    stop: &AtomicBool,
    clock: &mut Clock<'_>,
) -> Result<Planned> {
    let depth = |t: usize| if draft.is_read_whole(t) { Depth::Whole } else { Depth::Sample };
    let tables: Vec<(usize, Depth)> = (0..draft.catalog().tables.len()).map(|t| (t, depth(t))).collect();
    let profiles = clock.phase(Phase::Profile, tables.len(), || {
        evidence::gather(&draft, &mut opened.readers, &tables, observer, stop)
    })?;
    let plan = clock.phase(Phase::Plan, tables.len(), || draft.plan(&profiles))?;
    Ok(Planned { draft, profiles, plan })
}
