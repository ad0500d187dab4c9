//! A fresh run up to its first durable step: a person's scripts, names, evidence, plan, the server's word on it, the run.

use super::casts::Asked;
use super::clock::Clock;
use super::options::{Options, Scope};
use super::rows::Planned;
use super::{Opened, bookkeeping, checks, evidence, existing, note_left, probe, rejects, rights, start, strict};
use crate::error::Result;
use crate::load::Conflict;
use crate::load::unfit::Unfit;
use crate::model::event::{Event, Observer, Phase};
use crate::model::plan::{Draw, Plan, Remark};
use crate::plan::{Draft, PlanOptions};
use crate::postgres::catalog::Object;
use crate::postgres::control::{self, RunRecord, State};
use crate::postgres::{Session, Transaction, catalog, ddl, enums, script};
use crate::profile::Depth;
use jiff::Timestamp;
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
    /// What ids are drawn by.
    pub draw: Draw,
}

/// What ids of a run are drawn by: nobody knows it before.
#[must_use]
pub fn draw() -> Draw {
    let millis = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
    Draw { seed: Uuid::new_v4(), millis }
}

impl Preparation<'_> {
    /// Plans a run on the target as it will find it, and leaves nothing behind. What a person's scripts make is there while
    /// the plan is made.
    pub fn plan(self, opened: &mut Opened, control: &mut Session, clock: &mut Clock<'_>) -> Result<Planned> {
        self.plan_and(opened, control, clock, |_, _| Ok(())).map(|(planned, ())| planned)
    }

    /// The same, and what is found out on the target as it will be then.
    pub fn plan_and<T>(
        self,
        opened: &mut Opened,
        control: &mut Session,
        clock: &mut Clock<'_>,
        look: impl FnOnce(&Session, &Plan) -> Result<T>,
    ) -> Result<(Planned, T)> {
        let scripts = &self.options.scripts;
        if scripts.ddl.is_some() || !scripts.before.is_empty() || !self.enums().is_empty() {
            let mut tx = control.transaction()?;
            let made = self.scripted(&tx)?;
            let mut planned = self.planned(opened, &tx, clock)?;
            for stated in &mut planned.plan.enums {
                stated.existing = !made.iter().any(|object| object.kind == "type" && object.name == stated.name);
            }
            if let Some(ddl) = &scripts.ddl {
                let tables = made.iter().filter(|o| o.kind == "table").count();
                let words = format!(
                    "run first: makes {} objects, {tables} of them tables, which are loaded as they are",
                    made.len()
                );
                planned.plan.remarks.insert(0, Remark::note(&ddl.name, words));
            }
            let planned = self.asked(planned, opened, &mut tx, clock)?;
            let found = look(&tx, &planned.plan)?;
            tx.rollback()?;
            return Ok((planned, found));
        }
        // No transaction is open while rows are looked at.
        let planned = self.planned(opened, control, clock)?;
        let mut session = control.another()?;
        let mut tx = session.transaction()?;
        let planned = self.asked(planned, opened, &mut tx, clock)?;
        let found = look(&tx, &planned.plan)?;
        tx.rollback()?;
        Ok((planned, found))
    }

    // Enums of tables that lite2pg does not make are the target's.
    fn enums(&self) -> &[(String, Vec<String>)] {
        if self.options.scope == Scope::DataOnly { &[] } else { &self.options.rules.enums }
    }

    // Makes the enums, which scripts may use; runs a person's DDL and the scripts of `before`; gives what they made.
    fn scripted(self, tx: &Transaction<'_>) -> Result<Vec<Object>> {
        let Options { schema, scripts, .. } = self.options;
        catalog::create_schema(tx, schema)?;
        if scripts.ddl.is_none() && scripts.before.is_empty() && self.enums().is_empty() {
            return Ok(Vec::new());
        }
        let before = catalog::objects(tx, schema)?;
        for (name, labels) in self.enums() {
            enums::create(tx, schema, name, labels)?;
        }
        if let Some(ddl) = &scripts.ddl {
            script::run(tx, schema, &ddl.name, &ddl.sql)?;
        }
        checks::run(tx, &scripts.before, "before")?;
        let mut made = catalog::objects(tx, schema)?;
        made.retain(|object| !before.contains(object));
        Ok(made)
    }

    fn planned(self, opened: &mut Opened, session: &Session, clock: &mut Clock<'_>) -> Result<Planned> {
        let left = bookkeeping::leave(session, self.options, opened)?;
        let existing = start::existing_tables(session, self.options, &opened.catalog)?;
        let taken = start::taken(session, &self.options.schema, None)?;
        let plan_options = PlanOptions { draw: self.draw, ..self.options.plan_options() };
        let draft = Draft::new(opened.catalog.clone(), plan_options, &taken, &existing)?;
        let mut planned = plan_rows(draft, opened, self.observer, self.stop, clock)?;
        note_left(&mut planned.plan, left);
        Ok(planned)
    }

    fn asked(
        self,
        mut planned: Planned,
        opened: &Opened,
        tx: &mut Transaction<'_>,
        clock: &mut Clock<'_>,
    ) -> Result<Planned> {
        clock.phase(Phase::Create, planned.plan.tables.len(), || probe::probe(tx, &mut planned.plan))?;
        rejects::fallbacks(tx, &mut planned.plan)?;
        rights::check(tx, self.options, &planned.plan, start::Use::Load)?;
        let asked = Asked {
            plan: &planned.plan,
            catalog: &opened.catalog,
            reader: &opened.readers[0],
            must_fit: true,
            stop: self.stop,
        };
        planned.unfit = asked.of_all(tx, |_| true)?;
        let told = existing::rules(tx, self.options, &planned.plan)?;
        planned.plan.remarks.extend(told);
        let dropped = existing::indexes_to_drop(tx, self.options, &planned.plan)?;
        let told = existing::indexes_told(&planned.plan, &dropped);
        planned.plan.remarks.extend(told);
        keyless(self.options, &mut planned.plan);
        if self.options.strict {
            strict::before(&planned)?;
        }
        for remark in &planned.plan.remarks {
            self.observer.event(&Event::Remark(remark.clone()));
        }
        Ok(planned)
    }

    /// The first durable step: the run with its plan, what a person's scripts make, and emptied tables where that was asked
    /// for.
    pub fn begin(self, opened: &Opened, planned: &Planned, control: &mut Session) -> Result<RunRecord> {
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
        let tx = control.transaction()?;
        control::create(&tx)?;
        let made = self.scripted(&tx)?;
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
        control::record_objects(&tx, run.id, &made)?;
        tx.commit()?;
        Ok(run)
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
    Ok(Planned { draft, profiles, plan, unfit: Unfit::default() })
}
