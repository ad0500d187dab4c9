//! The steps of a rehearsal, each with what it found and what does not hold.

use super::super::clock::millis;
use super::super::proof::go_on;
use super::super::rollback::{RollbackOptions, rollback};
use super::super::{Opened, Options, migrate, open, rejects, verify};
use super::hook;
use super::judge::Judge;
use super::writes::{Aside, Done, Sides};
use super::{Grounds, RehearseOptions, cannot_read, of};
use crate::error::{Error, Kind, Result};
use crate::files::{Workplace, content};
use crate::model::event::{Event, Observer, Progress, Summary};
use crate::model::figures::plural;
use crate::model::loss::Loss;
use crate::model::plan::{Level, Plan, TablePlan};
use crate::model::rehearsal::{Act, Outcome, Part, Step};
use crate::model::reshape::TableShape;
use crate::model::restored::{Ending, Restored, TableRestored};
use crate::model::source::Catalog;
use crate::model::verdict::{Outcome as Word, TableVerdict, Verification};
use crate::postgres::drill::{self, Ground};
use crate::postgres::{Pool, Session, control};
use crate::sqlite::{self, alike};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

// Hears everything that sub-runs tell, and hands on what shows how far they are: what they warn of is about scratch.
struct Muffled<'a>(&'a dyn Observer);

impl Observer for Muffled<'_> {
    fn event(&self, event: &Event) {
        if !matches!(event, Event::Remark(_) | Event::Info { .. } | Event::Widened { .. }) {
            self.0.event(event);
        }
    }

    fn watch(&self, progress: Arc<Progress>) {
        self.0.watch(progress);
    }
}

/// What a step has to say.
#[derive(Default)]
pub struct Told {
    /// What was done and found.
    pub found: Vec<String>,
    /// What does not hold.
    pub wrong: Vec<String>,
    /// What of the source it was done with.
    pub part: Option<Part>,
}

impl Told {
    /// Says something more.
    pub fn tell(&mut self, words: impl Into<String>) -> &mut Self {
        self.found.push(words.into());
        self
    }
}

/// A rehearsal at work.
pub struct Drill<'a> {
    /// What is rehearsed.
    pub options: &'a RehearseOptions<'a>,
    /// Who listens.
    pub observer: &'a dyn Observer,
    /// Set where it shall end.
    pub stop: &'a AtomicBool,
    /// A session beside the grounds.
    pub admin: &'a Session,
    /// A private folder.
    pub place: &'a Workplace,
    /// The source's moment, as a file.
    pub base: &'a Path,
    /// Where it goes.
    pub grounds: &'a Grounds,
    /// The steps so far.
    pub steps: Vec<Step>,
    /// What of the source PostgreSQL alone does not tell.
    pub losses: Vec<Loss>,
    /// The file that came back with the writes.
    pub restored: Option<PathBuf>,
}

/// The migration's summary, and how long the way back took.
pub type Ended = (Option<Summary>, Option<u64>);

impl Drill<'_> {
    /// All steps, in their order.
    pub fn all(&mut self) -> Result<Ended> {
        let mut summary = None;
        let there = self.step(Act::There, true, |drill, told| {
            summary = Some(drill.there(told)?);
            Ok(())
        })?;
        let back = self.step(Act::BackUntouched, there, Drill::untouched)?;
        let mut back_ms = None;
        let changed = self.step(Act::BackChanged, there && back, |drill, told| {
            back_ms = Some(drill.changed(told)?);
            Ok(())
        })?;
        if self.options.hook.is_some() {
            self.step(Act::Hook, changed, Drill::hook)?;
        } else {
            self.steps.push(not_asked(Act::Hook));
        }
        self.step(Act::ThereAgain, changed, Drill::again)?;
        self.step(Act::BackEmptied, changed, Drill::emptied)?;
        self.discard();
        self.killed(there && back)?;
        Ok((summary, back_ms))
    }

    // Runs one step and keeps what came of it; whether it passed. An interruption ends all of it.
    pub(super) fn step(
        &mut self,
        act: Act,
        is_ready: bool,
        work: impl FnOnce(&mut Self, &mut Told) -> Result<()>,
    ) -> Result<bool> {
        go_on(self.stop)?;
        if !is_ready {
            let why = vec!["an earlier step did not pass".to_owned()];
            let (told, part) = (Vec::new(), None);
            self.steps.push(Step { act, outcome: Outcome::NotRun, told, why, part, ms: 0 });
            return Ok(false);
        }
        self.observer.event(&Event::Info { text: format!("rehearsal: {}", act.words()) });
        let (started, mut told) = (Instant::now(), Told::default());
        let worked = work(self, &mut told);
        if let Err(e) = &worked
            && e.kind() == Kind::Interrupted
        {
            return worked.map(|()| false);
        }
        let mut why = told.wrong;
        if let Err(e) = worked {
            why.extend(words_of(&e));
        }
        let outcome = if why.is_empty() { Outcome::Passed } else { Outcome::Failed };
        self.steps.push(Step { act, outcome, told: told.found, why, part: told.part, ms: millis(started) });
        Ok(outcome == Outcome::Passed)
    }

    fn muffled(&self) -> Muffled<'_> {
        Muffled(self.observer)
    }

    pub(super) fn look(&self) -> impl Fn() -> Result<()> + '_ {
        || go_on(self.stop)
    }

    fn options_of(&self, source: &Path, ground: &Ground) -> Options {
        of(&self.options.migration, source, &ground.schema, self.place.path())
    }

    fn there(&mut self, told: &mut Told) -> Result<Summary> {
        let ground = &self.grounds.main;
        ground.renew(self.admin)?;
        let summary = migrate(&self.options_of(self.base, ground), &ground.target, &self.muffled(), self.stop)?;
        let rows: u64 = summary.tables.iter().map(|t| t.rows).sum();
        told.tell(format!("{} in {}", plural(rows, "row"), plural(summary.tables.len() as u64, "table")));
        agreed(summary.verification.as_ref(), told);
        let rejected: u64 = summary.rejects.iter().map(|r| r.rows).sum();
        if rejected > 0 {
            told.tell(format!("set aside, in SQLite only: {}", plural(rejected, "row")));
        }
        for check in summary.checks.iter().filter(|check| !check.right) {
            told.wrong.push(format!("check `{}` does not hold", check.name));
        }
        let warnings = summary.remarks.iter().filter(|r| r.level == Level::Warning).count();
        if warnings > 0 {
            told.tell(format!("warnings, listed below: {warnings}"));
        }
        Ok(summary)
    }

    // Brings a ground's state back into a file of this name; the file, and how long it took.
    pub(super) fn back(&self, source: &Path, ground: &Ground, name: &str, told: &mut Told) -> Result<(PathBuf, u64)> {
        let (to, restored) = self.restored(source, ground, (name, false), told)?;
        Ok((to, restored.ms))
    }

    fn restored(
        &self,
        source: &Path,
        ground: &Ground,
        (name, losses): (&str, bool),
        told: &mut Told,
    ) -> Result<(PathBuf, Restored)> {
        let to = self.place.path().join(name);
        let options = RollbackOptions {
            schema: ground.schema.clone(),
            jobs: self.options.migration.jobs,
            force: true,
            leave: self.options.migration.leave.clone(),
            losses,
            ..RollbackOptions::new(source, &to)
        };
        let restored = rollback(&options, &ground.target, &self.muffled(), self.stop)?;
        if restored.ending != Ending::Published {
            return Err(refused(&restored));
        }
        let sum = |of: fn(&TableRestored) -> u64| restored.tables.iter().map(of).sum::<u64>();
        told.tell(format!(
            "restored: {} as before, {} updated, {} inserted, {} deleted",
            plural(sum(|t| t.unchanged), "row"),
            sum(|t| t.updated),
            sum(|t| t.inserted),
            sum(|t| t.deleted)
        ));
        Ok((to, restored))
    }

    fn untouched(&mut self, told: &mut Told) -> Result<()> {
        let (to, restored) = self.restored(self.base, &self.grounds.main, ("untouched.db", true), told)?;
        self.must_be_the_same(&to, self.base, told)?;
        self.losses = restored.losses.unwrap_or_default();
        forget(&to);
        Ok(())
    }

    // The restored file against another that it must be the same as.
    pub(super) fn must_be_the_same(&self, restored: &Path, other: &Path, told: &mut Told) -> Result<()> {
        let content = |path: &Path| content(path).map_err(|e| cannot_read(path, e));
        if content(restored)? == content(other)? {
            told.tell("the file is the source's, byte for byte");
            return Ok(());
        }
        let mut wrong = Vec::new();
        let compared = alike::compare(restored, other, &self.look(), &mut |unlike| {
            if wrong.len() < 10 {
                wrong.push(unlike.words());
            }
            Ok(())
        })?;
        told.tell(format!(
            "the source's to the byte: {} of {}",
            plural(compared.cells, "cell"),
            plural(compared.rows, "row")
        ));
        told.wrong.extend(wrong);
        Ok(())
    }

    fn sides<'s>(
        &self,
        plan: &'s Plan,
        (shaped, base): (&'s Opened, &'s Catalog),
        pool: &'s Pool,
        aside: &'s Aside,
    ) -> Sides<'s>
    where
        Self: 's,
    {
        Sides {
            plan,
            shaped: &shaped.catalog,
            base,
            reader: &shaped.readers[0],
            pool,
            aside,
            reshape: &self.options.migration.reshape,
        }
    }

    // Writes on both sides, the way back, and what it must come to.
    fn changed(&mut self, told: &mut Told) -> Result<u64> {
        let (to, mirror, done, ms) = self.written(self.base, &self.grounds.main, "restored.db", told)?;
        let mut judge = Judge::default();
        let compared = alike::compare(&to, &mirror, &self.look(), &mut |unlike| {
            judge.see(&done, &unlike);
            Ok(())
        })?;
        judge.end(&done);
        told.tell(format!(
            "{} cells are SQLite's own, to the byte; {} that were written mean the same and are spelled otherwise",
            compared.cells - judge.spelled,
            judge.spelled
        ));
        if judge.wrongs > 0 {
            told.wrong.push(format!("{} places were changed that nobody wrote to", judge.wrongs));
            told.wrong.extend(judge.wrong);
        }
        forget(&mirror);
        self.restored = Some(to);
        Ok(ms)
    }

    pub(super) fn written(
        &self,
        source: &Path,
        ground: &Ground,
        name: &str,
        told: &mut Told,
    ) -> Result<(PathBuf, PathBuf, Done, u64)> {
        let mirror = self.place.path().join(format!("mirror-of-{name}"));
        let pool = ground.pool()?;
        let run = run_of(&pool, ground)?;
        let aside = rejects::places(&pool.session()?, run.id)?;
        let done = {
            let shaped = open(&Options { jobs: 1, ..self.options_of(source, ground) })?;
            shaped.readers[0].copy_to(&mirror)?;
            let base = shaped.readers[0].catalog()?;
            self.sides(&run.plan, (&shaped, &base), &pool, &aside).write(&mirror, &self.look())?
        };
        let w = done.writes;
        told.tell(format!(
            "{} on both sides: {}, {}, {}, {}, {}; refused by a constraint, and on neither side: {}",
            plural(w.all(), "write"),
            plural(w.inserts, "insert"),
            plural(w.updates, "update"),
            plural(w.upserts, "upsert"),
            plural(w.moves, "key change"),
            plural(w.deletes, "delete"),
            w.refused
        ));
        told.found.extend(done.told.iter().cloned());
        self.mirror_agrees(&mirror, ground, told)?;
        let (to, ms) = self.back(source, ground, name, told)?;
        Ok((to, mirror, done, ms))
    }

    // What SQLite made of the same writes must be what PostgreSQL holds.
    fn mirror_agrees(&self, mirror: &Path, ground: &Ground, told: &mut Told) -> Result<()> {
        let found = self.compared(mirror, ground)?;
        if !found.is_equal() {
            told.wrong.push("the same writes came to other values in SQLite and in PostgreSQL".to_owned());
        }
        agreed(Some(&found), told);
        Ok(())
    }

    // Without the tables that have no way back: they are made of others, and SQLite makes them anew at once.
    fn compared(&self, file: &Path, ground: &Ground) -> Result<Verification> {
        let options = self.options_of(file, ground);
        let mut found = verify(&options, &ground.target, false, &self.muffled(), self.stop)?;
        found.tables.retain(|t| !self.is_one_way(&t.source));
        // Numbers that an identity would give out twice are those of rows that were written with one.
        found.sequences.clear();
        Ok(found)
    }

    fn is_one_way(&self, table: &str) -> bool {
        self.options.migration.reshape.table(table).is_some_and(TableShape::is_made_of_others)
    }

    fn hook(&mut self, told: &mut Told) -> Result<()> {
        let (Some(command), Some(restored)) = (&self.options.hook, &self.restored) else { return Ok(()) };
        // It may write to what it is given.
        let copy = self.place.path().join("for-the-hook.db");
        std::fs::copy(restored, &copy).map_err(|e| cannot_read(restored, e))?;
        let ended = hook::run(command, &copy, self.stop)?;
        forget(&copy);
        told.tell(format!("`{command}` ended with {}", ended.status));
        if !ended.is_good {
            told.wrong.push(format!("it ended with {}", ended.status));
            told.wrong.extend(ended.last_lines);
        }
        Ok(())
    }

    fn again(&mut self, told: &mut Told) -> Result<()> {
        let Some(restored) = self.restored.clone() else { return Ok(()) };
        let ground = &self.grounds.again;
        ground.renew(self.admin)?;
        let summary = migrate(&self.options_of(&restored, ground), &ground.target, &self.muffled(), self.stop)?;
        agreed(summary.verification.as_ref(), told);
        let (mut first, mut second) = (self.hashes(&self.grounds.main, false)?, self.hashes(ground, false)?);
        // The rows decide the types: without the one that made a column wider, it may be narrow again.
        for retyped in self.retyped()? {
            first.retain(|(table, ..)| *table != retyped);
            second.retain(|(table, ..)| *table != retyped);
            told.tell(format!("`{retyped}` has other types by its rows of now: compared cell by cell, not by hash"));
        }
        told.wrong.extend(unequal(&first, &second));
        if told.wrong.is_empty() {
            told.tell(format!("hashed alike: {}", plural(first.len() as u64, "table")));
            told.found.extend(self.without_hash()?);
        }
        ground.clear(self.admin)
    }

    // What the hashes say nothing of.
    fn without_hash(&self) -> Result<Option<String>> {
        let ground = &self.grounds.main;
        let plan = run_of(&ground.pool()?, ground)?.plan;
        let of = |table: &TablePlan| {
            let columns = table.columns.iter().filter(|c| c.fallback.is_some());
            columns.map(|c| format!("`{}.{}`", table.target, c.target)).collect::<Vec<_>>()
        };
        let names: Vec<String> = plan.tables.iter().flat_map(of).collect();
        let words = "may hold a default, which each run gives anew: compared cell by cell, not by hash";
        Ok((!names.is_empty()).then(|| format!("{} {words}", names.join(", "))))
    }

    // Tables to which the two migrations gave different types.
    fn retyped(&self) -> Result<Vec<String>> {
        let plan = |ground: &Ground| -> Result<Plan> { Ok(run_of(&ground.pool()?, ground)?.plan) };
        let (first, second) = (plan(&self.grounds.main)?, plan(&self.grounds.again)?);
        let types = |table: &TablePlan| table.columns.iter().map(|c| c.pg_type.clone()).collect::<Vec<_>>();
        let differs = |table: &&TablePlan| {
            second.tables.iter().any(|other| other.target == table.target && types(other) != types(table))
        };
        Ok(first.tables.iter().filter(differs).map(|table| table.target.clone()).collect())
    }

    // Those of tables made by a query too, where nothing else was written since they were made. Without columns that hold
    // a default: `now()` is another one in each run, and was compared with it cell by cell.
    pub(super) fn hashes(&self, ground: &Ground, one_way: bool) -> Result<Vec<(String, u64, i128)>> {
        let pool = ground.pool()?;
        let mut plan = run_of(&pool, ground)?.plan;
        plan.tables.retain(|t| one_way || !self.is_one_way(&t.source));
        plan.tables.iter_mut().for_each(|table| table.columns.retain(|c| c.fallback.is_none()));
        drill::hashes(&mut pool.session()?, &ground.schema, &plan)
    }

    fn emptied(&mut self, told: &mut Told) -> Result<()> {
        let ground = &self.grounds.main;
        let Some(before) = self.restored.clone() else { return Ok(()) };
        let pool = ground.pool()?;
        let run = run_of(&pool, ground)?;
        // What PostgreSQL holds now is what came back before: SQLite empties a copy of that.
        let mirror = self.place.path().join("mirror-emptied.db");
        let aside = rejects::places(&pool.session()?, run.id)?;
        let emptied = {
            let shaped = open(&Options { jobs: 1, ..self.options_of(&before, ground) })?;
            shaped.readers[0].copy_to(&mirror)?;
            let base = shaped.readers[0].catalog()?;
            self.sides(&run.plan, (&shaped, &base), &pool, &aside).empty(&mirror)?
        };
        if emptied.tables.is_empty() {
            told.tell("no table could be emptied on both sides alike");
            return Ok(());
        }
        told.tell(format!("emptied: {}", emptied.tables.join(", ")));
        if emptied.aside > 0 {
            told.tell(format!("set aside, and still in SQLite: {}", plural(emptied.aside, "row")));
        }
        self.mirror_agrees(&mirror, ground, told)?;
        let (to, _) = self.back(self.base, ground, "emptied.db", told)?;
        if !self.compared(&to, ground)?.is_equal() {
            told.wrong.push("the restored file is not what PostgreSQL holds".to_owned());
        }
        // What stays of these tables is what SQLite's own copy has of them, to the byte.
        let mut wrong = Vec::new();
        alike::compare(&to, &mirror, &self.look(), &mut |unlike| {
            let is_emptied = unlike.table().is_some_and(|table| emptied.sources.contains(table));
            if is_emptied && wrong.len() < 10 {
                wrong.push(unlike.words());
            }
            Ok(())
        })?;
        told.wrong.extend(wrong);
        for path in [&mirror, &to] {
            forget(path);
        }
        Ok(())
    }

    fn discard(&mut self) {
        if let Some(path) = self.restored.take() {
            forget(&path);
        }
        self.grounds.main.clear(self.admin).ok();
    }
}

fn not_asked(act: Act) -> Step {
    Step { act, outcome: Outcome::NotAsked, told: Vec::new(), why: Vec::new(), part: None, ms: 0 }
}

pub(super) fn run_of(pool: &Pool, ground: &Ground) -> Result<control::RunRecord> {
    control::latest(&pool.session()?, &ground.schema)?
        .ok_or_else(|| Error::new(Kind::Bug, "the run that was just made is not written down"))
}

// What a comparison of both sides says.
fn agreed(found: Option<&Verification>, told: &mut Told) {
    match found {
        Some(found) if found.is_equal() => {
            let rows: u64 = found.tables.iter().map(|t| t.target_rows).sum();
            let tables = plural(found.tables.len() as u64, "table");
            told.tell(format!("verified: every cell of {} in {tables} agrees", plural(rows, "row")));
        }
        Some(found) => {
            let is_bad = |t: &&TableVerdict| !matches!(t.outcome, Word::Equal) || !t.unverified.is_empty();
            for table in found.tables.iter().filter(is_bad).take(10) {
                told.wrong.push(format!("`{}` was compared, and is not known to be equal", table.table));
            }
            told.wrong.extend(found.sequences.iter().cloned());
        }
        None => told.wrong.push("both sides were not compared".to_owned()),
    }
}

pub(super) fn unequal(first: &[(String, u64, i128)], second: &[(String, u64, i128)]) -> Vec<String> {
    let differs = |(a, b): &(&(String, u64, i128), &(String, u64, i128))| a != b;
    let mut all: Vec<String> = first
        .iter()
        .zip(second)
        .filter(differs)
        .map(|((table, rows, _), (_, now, _))| {
            format!("`{table}` hashes to something else: {rows} rows before, {now} now, or other values or types")
        })
        .collect();
    if first.len() != second.len() {
        all.push(format!("{} tables before, {} now", first.len(), second.len()));
    }
    all
}

// A way back that was refused, as an error.
pub(super) fn refused(restored: &Restored) -> Error {
    let error = Error::new(Kind::Blocked, "PostgreSQL holds what SQLite cannot take back");
    restored.unfit.iter().take(10).fold(error, |error, unfit| {
        let column = unfit.column.as_ref().map_or_else(String::new, |column| format!(".{column}"));
        error.fact(format!("`{}{column}`, {}: {}", unfit.table, unfit.count, unfit.reason))
    })
}

// An error as lines: what, facts, causes, the way out.
fn words_of(error: &Error) -> Vec<String> {
    use std::error::Error as _;
    let mut lines = vec![error.message().to_owned()];
    lines.extend(error.facts().iter().cloned());
    let mut cause = error.source();
    while let Some(of) = cause {
        lines.push(format!("because: {of}"));
        cause = of.source();
    }
    lines.extend(error.way_out().map(|hint| format!("hint: {hint}")));
    lines
}

/// Takes a file away that nobody needs any more, so that its room is there for the next.
pub(super) fn forget(path: &Path) {
    sqlite::release(path);
    // All of the folder goes in the end.
    std::fs::remove_file(path).ok();
}
