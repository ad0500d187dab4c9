//! The steps of a way back, in their order: copy, look, compare, write, prove, publish.

use super::super::clock::Clock;
use super::super::crew::Hands;
use super::super::proof::{self, Proof, Subject, Wish, go_on};
use super::super::{Opened, open};
use super::baseline::unread;
use super::ground::Ground;
use super::place::{AS_IT_WAS, Place, Workshop};
use super::{Fence, RollbackOptions, made, prove};
use crate::error::Result;
use crate::model::bounds::FENCE_PATIENCE;
use crate::model::digest::SetDigest;
use crate::model::event::{Event, Observer, Phase};
use crate::model::name::quoted;
use crate::model::plan::{Plan, Remark, TablePlan};
use crate::model::policy::Place as Placed;
use crate::model::reshape::Reshape;
use crate::model::restored::{Ending, Restored, TableRestored};
use crate::model::source::{Catalog, Table, VirtualTable};
use crate::postgres::control::RunRecord;
use crate::postgres::read::{self, Moment};
use crate::postgres::{Pool, Session, Transaction, catalog, fence, ids, stranger};
use crate::rollback::apply::Applied;
use crate::rollback::differ;
use crate::rollback::export::Unfits;
use crate::sqlite::restore::{Writer, is_autoincrement};
use crate::sqlite::stage::Stage;
use crate::sqlite::{Reader, TableScan};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;

/// What all steps share.
pub struct Way<'a> {
    /// What was asked for.
    pub options: &'a RollbackOptions,
    /// Who listens.
    pub observer: &'a dyn Observer,
    /// Set where it shall end.
    pub stop: &'a AtomicBool,
    /// Connections to the target.
    pub pool: &'a Pool,
    /// Where the file goes.
    pub place: &'a Place,
    /// Where it is made.
    pub workshop: &'a Workshop,
    /// The run whose rows come back.
    pub run: &'a RunRecord,
    /// What the run's pipeline made of the source's tables.
    pub reshape: &'a Reshape,
    /// Rows that the run set aside, by table on the target.
    pub rejected: &'a HashMap<String, HashSet<Placed>>,
}

impl Way<'_> {
    /// All of it; nothing is published unless it is right.
    pub fn go(&self, control: &mut Session, mut clock: Clock<'_>) -> Result<Restored> {
        let is_the_file = clock.phase(Phase::Open, 1, || self.copy())?;
        let mut opened = open(&self.reading(self.workshop.copy()))?;
        if !is_the_file {
            self.same_rows(control, &mut opened)?;
        }
        let fenced = self.fence(control)?;
        let mut holder = self.pool.lone_session()?;
        let tx = holder.transaction_as(read::BEGIN)?;
        let moment = Moment::of(&tx)?;
        // Tables as they are read, and as they are written to.
        let base = opened.readers[0].catalog()?;
        let sides = Both { shaped: &opened.catalog, base: &base, reshape: self.reshape };
        let ground = Ground::look(&tx, self.run, &sides, &self.options.leave)?;
        let mut remarks = ground.remarks.clone();
        let plan = &ground.plan;
        remarks.extend(self.set_aside(plan));
        let session = || self.pool.lone_session();
        let hands = Hands { number: self.options.jobs, stop: self.stop, session: &session };
        let wish = Wish::default();
        let proof =
            Proof { plan, wish: &wish, hands, observer: self.observer, is_thorough: false, rejected: self.rejected };
        let tables = plan.tables.len();
        let (before, found) = clock.phase(Phase::Verify, tables, || survey(&proof, &moment, &mut opened))?;
        let folder = self.options.export.as_deref().filter(|_| !self.options.dry_run);
        let mut unfits = Unfits::new(folder);
        let stage = Stage::create(&self.workshop.stage())?;
        let differs = |t: &usize| before[t] != found[t];
        let (one_way, both_ways): (Vec<usize>, Vec<usize>) =
            (0..tables).filter(differs).partition(|t| ground.one_way.contains_key(&plan.tables[*t].target));
        let differing = clock
            .phase(Phase::Verify, tables, || self.differing(&proof, &moment, &opened, &base, &both_ways, &stage))?;
        remarks.extend(self.strangers(&tx, &moment, plan, &ground, &mut unfits)?);
        let losses = if self.options.losses { Some(self.losses(&moment, &opened, &base, &ground)?) } else { None };
        let ahead = sequences_ahead(&tx, plan, &base, &opened.readers[0])?;
        let catalog = opened.catalog.clone();
        let sides = Both { shaped: &catalog, base: &base, reshape: self.reshape };
        let made = made::Made::look(plan, &sides, &one_way);
        let is_written = !differing.is_empty() || !ahead.is_empty() || made.has_inverses();
        let whole = if is_written { made.whole(&proof, &before, &mut opened)? } else { HashMap::new() };
        // A reader of the copy keeps its writer out.
        drop(opened);
        let mut settled = made::Settled::default();
        let mut applied = HashMap::new();
        if is_written {
            let known = made::Known { before: &before, found: &found, whole: &whole };
            let write = || {
                let writer = Writer::open(&self.workshop.copy())?;
                let session = self.pool.lone_session()?;
                let ids = |map: &str, new: [u8; 16]| ids::old(&session, self.run.id, map, new);
                let inverses = made.begin(&writer, &ids, self.stop)?;
                let applied =
                    self.write(plan, &sides, (&differing, &ahead), (&writer, &ids), &stage, &before, &mut unfits)?;
                let settled = self.settle(&made, inverses, &writer, &moment, &known, &mut unfits)?;
                writer.finish()?;
                Ok((applied, settled))
            };
            (applied, settled) = clock.phase(Phase::Restore, differing.len(), write)?;
            for &t in made.touched() {
                let as_it_is = || made::as_it_is(&plan.tables[t], before[&t], whole[&t]);
                applied.entry(t).or_insert_with(as_it_is);
            }
        }
        let known = made::Known { before: &before, found: &found, whole: &whole };
        for &t in &one_way {
            applied.insert(t, self.stays((&ground, t), &settled, &known, &moment, &mut unfits)?);
        }
        remarks.append(&mut settled.remarks);
        drop(stage);
        let is_refused = !unfits.is_empty() && self.options.export.is_none();
        let verification = if is_refused {
            None
        } else {
            let proving = prove::Proving {
                proof: &proof,
                moment: &moment,
                before: &before,
                found: &found,
                applied: &applied,
                whole: &whole,
                is_written,
                unverified: &ground.unverified,
                one_way: &ground.one_way,
            };
            let copy = self.reading(self.workshop.copy());
            let source = self.reading(self.options.source.clone());
            Some(clock.phase(Phase::Verify, tables, || proving.prove(&copy, &source, &mut remarks))?)
        };
        if !differing.is_empty() && !base.virtual_tables.is_empty() {
            remarks.extend(base.virtual_tables.iter().map(stale));
        }
        go_on(self.stop)?;
        let unfit = unfits.finish()?;
        let ending = self.end(is_refused)?;
        for remark in &remarks {
            self.observer.event(&Event::Remark(remark.clone()));
        }
        Ok(Restored {
            ending,
            run: self.run.id.to_string(),
            file: (ending == Ending::Published).then(|| self.options.to.display().to_string()),
            tables: counts(plan, &before, applied),
            unfit,
            losses,
            sequences: ahead.iter().map(|(t, last)| (plan.tables[*t].source.clone(), *last)).collect(),
            remarks,
            verification,
            fenced,
            fence_kept: false,
            ms: clock.ms(),
        })
    }

    // Rows that only the source has, as the run left them.
    fn set_aside(&self, plan: &Plan) -> Vec<Remark> {
        let of = |table: &TablePlan| {
            let places = self.rejected.get(&table.target).filter(|places| !places.is_empty())?;
            let text = format!("{} rows that the migration set aside stay as the source has them", places.len());
            Some(Remark::note(&table.source, text))
        };
        plan.tables.iter().filter_map(of).collect()
    }

    // A table that differs and has no way back of its own: what it is in the copy now.
    fn stays(
        &self,
        (ground, t): (&Ground, usize),
        settled: &made::Settled,
        known: &made::Known<'_>,
        moment: &Moment,
        unfits: &mut Unfits,
    ) -> Result<Applied> {
        let table = &ground.plan.tables[t];
        let (before, found) = (known.before[&t], known.found[&t]);
        if settled.equal.contains(&t) {
            return Ok(made::as_it_is(table, before, known.whole[&t]));
        }
        let why = settled.why.get(&t).or_else(|| ground.one_way.get(&table.target));
        let why = why.map_or("it has no way back", String::as_str);
        self.one_way(moment, &ground.plan, table, why, found.rows, unfits)?;
        Ok(kept(table, before, found))
    }

    // The last step, where there is one.
    fn end(&self, is_refused: bool) -> Result<Ending> {
        Ok(match (is_refused, self.options.dry_run) {
            (true, _) => Ending::Refused,
            (false, true) => Ending::DryRun,
            (false, false) => {
                self.place.publish(self.workshop)?;
                Ending::Published
            }
        })
    }

    fn fence(&self, control: &mut Session) -> Result<u64> {
        if self.options.fence == Fence::No || self.options.dry_run {
            return Ok(0);
        }
        let schema = &self.options.schema;
        let tables = stranger::tables(control, schema)?;
        fence::raise(control, schema, &tables, FENCE_PATIENCE).map_err(|e| {
            let is_explained = e.way_out().is_some();
            let e = e.context("no fence can be put up").or_state(AS_IT_WAS);
            if is_explained { e } else { e.hint("the role must own the tables, and the schema `lite2pg`") }
        })?;
        let text = format!("writers of {} tables in schema `{schema}` are refused until this ends", tables.len());
        self.observer.event(&Event::Info { text });
        Ok(tables.len() as u64)
    }
}

// Both sides read once.
fn survey(
    proof: &Proof<'_>,
    moment: &Moment,
    opened: &mut Opened,
) -> Result<(HashMap<usize, SetDigest>, HashMap<usize, SetDigest>)> {
    let subjects: Vec<Subject> = proof.plan.tables.iter().map(|_| unread(Vec::new())).collect();
    let progress = proof::announce(proof, &subjects);
    let mut here = proof::source_digests(proof, opened, &subjects, &progress)?;
    // A table without rows has no part that was read.
    for t in 0..subjects.len() {
        here.entry(t).or_default();
    }
    let there = proof::target_digests(proof, moment, &subjects, &progress, None)?;
    Ok((here, there))
}

// Identities that have given out more than AUTOINCREMENT knows of, beyond what the migration set them to.
fn sequences_ahead(tx: &Transaction<'_>, plan: &Plan, base: &Catalog, reader: &Reader) -> Result<Vec<(usize, i64)>> {
    let mut ahead = Vec::new();
    for (t, table) in plan.tables.iter().enumerate() {
        let Some(there) = base.table(&table.source).filter(|t| is_autoincrement(t)) else { continue };
        let column = there.rowid_column().map(|i| &there.columns[i].name);
        let Some(column) = table.columns.iter().find(|c| Some(&c.source) == column) else { continue };
        let largest = reader.key_bounds(&TableScan::new(there, &[]))?.map(|(_, max)| max);
        let known = there.sequence.max(largest);
        for owned in catalog::owned_sequences(tx, &plan.schema, &table.target)? {
            if owned.column == column.target
                && let Some(given) = catalog::given(tx, &owned)?.filter(|given| Some(*given) > known)
            {
                ahead.push((t, given));
            }
        }
    }
    Ok(ahead)
}

/// The source's tables as they are read and as they are written to.
pub struct Both<'a> {
    /// As they are read.
    pub shaped: &'a Catalog,
    /// As they are.
    pub base: &'a Catalog,
    /// What makes one of the other.
    pub reshape: &'a Reshape,
}

impl<'a> Both<'a> {
    /// A table that goes back, looked at as one that differs.
    pub fn subject(&self, plan: &'a TablePlan, aside: Option<&'a HashSet<Placed>>) -> Result<differ::Subject<'a>> {
        differ::Subject::new(plan, self.tables(plan), self.reshape.table(&plan.source), aside)
    }

    /// A table that goes back, as it is read and as it is written to.
    pub fn tables(&self, plan: &TablePlan) -> (&'a Table, &'a Table) {
        let known = "the ground was looked at with these catalogs, and tables without a way back are left out";
        self.shaped.table(&plan.source).zip(self.base.table(&plan.source)).expect(known)
    }
}

// A table that differs and stays as the source has it.
fn kept(table: &TablePlan, before: SetDigest, found: SetDigest) -> Applied {
    let counts = TableRestored {
        source: table.source.clone(),
        table: table.target.clone(),
        unchanged: before.rows,
        unfit: found.rows,
        ..TableRestored::default()
    };
    Applied { counts, lacks: found, keeps: before }
}

fn stale(table: &VirtualTable) -> Remark {
    let text = "keeps what it held in the source: the triggers that fill it did not run";
    let remark = Remark::warning(&table.name, text);
    if table.module.starts_with("fts") {
        let name = quoted(&table.name);
        return remark.with_sql(format!("INSERT INTO {name} ({name}) VALUES ('rebuild')"));
    }
    remark
}

fn counts(plan: &Plan, before: &HashMap<usize, SetDigest>, mut applied: HashMap<usize, Applied>) -> Vec<TableRestored> {
    let of = |(t, table): (usize, &TablePlan)| match applied.remove(&t) {
        Some(applied) => applied.counts,
        None => TableRestored {
            source: table.source.clone(),
            table: table.target.clone(),
            unchanged: before[&t].rows,
            ..TableRestored::default()
        },
    };
    plan.tables.iter().enumerate().map(of).collect()
}
