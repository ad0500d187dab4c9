//! Tables that a pipeline makes of others, on the way back: what is done for those that differ, and whether SQLite comes to
//! the same by what went back into others.

use super::super::proof::{self, Known as Rows, Proof, Subject, go_on};
use super::super::{Opened, shape};
use super::{Both, Way};
use crate::error::Result;
use crate::model::digest::SetDigest;
use crate::model::plan::{Plan, Remark, TablePlan};
use crate::model::restored::TableRestored;
use crate::postgres::read::Moment;
use crate::rollback::apply::Applied;
use crate::rollback::down::Ids;
use crate::rollback::export::Unfits;
use crate::rollback::inverse::{self, Inverses, Stated};
use crate::sqlite::restore::Writer;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;

/// The tables of a plan that are made of others, those that differ among them.
pub struct Made<'a> {
    plan: &'a Plan,
    sides: &'a Both<'a>,
    /// By their places in the plan.
    all: BTreeMap<usize, inverse::Made<'a>>,
    differing: Vec<usize>,
    /// Tables whose own rows an inverse writes to.
    touched: BTreeSet<usize>,
    has_inverses: bool,
}

/// What is known of the tables by their digests.
pub struct Known<'a> {
    /// Of the source, without rows that were set aside.
    pub before: &'a HashMap<usize, SetDigest>,
    /// Of the target.
    pub found: &'a HashMap<usize, SetDigest>,
    /// Of the source, with all rows.
    pub whole: &'a HashMap<usize, SetDigest>,
}

/// What came of tables that are made of others and that differed.
#[derive(Default)]
pub struct Settled {
    /// They are made again of what went back, and are what the target holds.
    pub equal: BTreeSet<usize>,
    /// Why one is not, where its inverse is to blame.
    pub why: HashMap<usize, String>,
    /// What a person should know.
    pub remarks: Vec<Remark>,
}

impl<'a> Made<'a> {
    /// Looks a plan through; `differing` are those of them that differ.
    pub fn look(plan: &'a Plan, sides: &'a Both<'a>, differing: &[usize]) -> Self {
        let mut made = Self {
            plan,
            sides,
            all: BTreeMap::new(),
            differing: differing.to_vec(),
            touched: BTreeSet::new(),
            has_inverses: false,
        };
        for (t, table) in plan.tables.iter().enumerate() {
            let shape = sides.reshape.table(&table.source).filter(|shape| shape.is_made_of_others());
            if let Some((shape, shaped)) = shape.zip(sides.shaped.table(&table.source)) {
                made.all.insert(t, inverse::Made { plan: table, table: shaped, shape });
            }
        }
        let stated = made.stated();
        made.has_inverses = !stated.is_empty();
        let own = stated.iter().filter(|stated| !stated.comes_and_goes);
        made.touched = own.filter_map(|s| plan.tables.iter().position(|t| t.source == s.base.name)).collect();
        made
    }

    /// Whether something is written by the inverse of a table.
    pub fn has_inverses(&self) -> bool {
        self.has_inverses
    }

    /// Tables with rows of their own on the target that an inverse may write to.
    pub fn touched(&self) -> impl Iterator<Item = &usize> {
        self.touched.iter()
    }

    // The SELECTs over tables of which one differs.
    fn stated(&self) -> Vec<Stated<'a>> {
        let mut all = Vec::new();
        for made in self.all.values() {
            for inverse in &made.shape.inverse {
                let differs = |t: &usize| self.all.get(t).is_some_and(|made| inverse.uses(&made.table.name));
                let Some(base) = self.sides.base.table(&inverse.table) else { continue };
                if self.differing.iter().any(differs) {
                    let has_own = |t: &TablePlan| {
                        t.source == base.name
                            && self.sides.reshape.table(&t.source).is_none_or(|s| !s.is_made_of_others())
                    };
                    let comes_and_goes = !self.plan.tables.iter().any(has_own);
                    all.push(Stated { of: made.shape, inverse, base, comes_and_goes });
                }
            }
        }
        all
    }

    /// The digests of tables whose rows are compared once they are written, rows included that were set aside.
    pub fn whole(
        &self,
        proof: &Proof<'_>,
        before: &HashMap<usize, SetDigest>,
        opened: &mut Opened,
    ) -> Result<HashMap<usize, SetDigest>> {
        let wanted = |t: usize| self.all.contains_key(&t) || self.touched.contains(&t);
        let is_read = |t: usize| wanted(t) && proof.rejected_of(&self.plan.tables[t]) > 0;
        let of = |t: usize| Subject {
            source: if is_read(t) { Rows::Unread } else { Rows::Digest(before[&t]) },
            unverified: Vec::new(),
        };
        let subjects: Vec<Subject> = (0..self.plan.tables.len()).map(of).collect();
        let nothing = HashMap::new();
        let progress = proof::announce(proof, &subjects);
        let read = proof::source_digests(&Proof { rejected: &nothing, ..*proof }, opened, &subjects, &progress)?;
        let digest =
            |t: usize| read.get(&t).copied().unwrap_or(if is_read(t) { SetDigest::default() } else { before[&t] });
        Ok((0..subjects.len()).filter(|t| wanted(*t)).map(|t| (t, digest(t))).collect())
    }

    /// Keeps what the inverses need to know, before anything is written.
    pub fn begin<'w>(
        &'w self,
        writer: &'w Writer,
        ids: &'w Ids<'w>,
        stop: &AtomicBool,
    ) -> Result<Option<Inverses<'w>>> {
        let stated = self.stated();
        if stated.is_empty() {
            return Ok(None);
        }
        let names = |made: &inverse::Made<'_>| {
            stated.iter().any(|s| {
                shape::made(self.sides.shaped, self.sides.reshape, s.inverse).iter().any(|t| t.name == made.table.name)
            })
        };
        let tables: Vec<inverse::Made<'w>> = self.all.values().filter(|made| names(made)).copied().collect();
        Inverses::begin(writer.beside(), &tables, stated, ids, &|| go_on(stop)).map(Some)
    }
}

impl Way<'_> {
    /// Writes what the inverses give, and looks whether tables that are made of others are what the target holds now. What
    /// an inverse wrote stays only where its own table is.
    pub fn settle(
        &self,
        made: &Made<'_>,
        inverses: Option<Inverses<'_>>,
        writer: &Writer,
        moment: &Moment,
        known: &Known<'_>,
        unfits: &mut Unfits,
    ) -> Result<Settled> {
        let beside = writer.beside();
        let look = || go_on(self.stop);
        let mut settled = Settled::default();
        let equal = |of: &mut BTreeSet<usize>| -> Result<()> {
            of.clear();
            for &t in &made.differing {
                let Some(table) = made.all.get(&t) else { continue };
                let accounts = as_it_is(table.plan, known.before[&t], known.whole[&t]);
                if accounts.accounts_for(inverse::digest(&beside, table, &look)?, known.found[&t]) {
                    of.insert(t);
                }
            }
            Ok(())
        };
        let Some(mut inverses) = inverses else {
            equal(&mut settled.equal)?;
            settled.remarks.extend(settled.equal.iter().map(|t| by_others(&made.plan.tables[*t])));
            return Ok(settled);
        };
        beside.mark()?;
        let mut session = self.pool.lone_session()?;
        let mut tx = moment.begin(&mut session)?;
        let turned = inverses.turn(&mut tx, &made.plan.schema, unfits, &look)?;
        let stating: Vec<usize> = (made.differing.iter().copied())
            .filter(|t| made.all.get(t).is_some_and(|made| !made.shape.inverse.is_empty()))
            .collect();
        let why: HashMap<usize, String> = match turned {
            Ok(turned) => {
                equal(&mut settled.equal)?;
                let wrong: Vec<usize> = stating.iter().copied().filter(|t| !settled.equal.contains(t)).collect();
                if wrong.is_empty() {
                    beside.settle(true)?;
                    for (of, into, n) in turned {
                        let text = format!(
                            "went back into `{into}` by its `inverse`: {} rows updated, {} inserted, {} deleted there",
                            n.updated, n.inserted, n.deleted
                        );
                        settled.remarks.push(Remark::note(of, text));
                    }
                    return Ok(settled);
                }
                let words = "what its `inverse` gives, read through the pipeline again, is not what PostgreSQL holds";
                // They may build on each other.
                let names: Vec<String> = wrong.iter().map(|t| format!("`{}`", made.plan.tables[*t].target)).collect();
                let others = format!("its `inverse` is undone with that of {}, which does not do", names.join(", "));
                let why = |t: usize| if wrong.contains(&t) { words.to_owned() } else { others.clone() };
                stating.iter().map(|t| (*t, why(*t))).collect()
            }
            Err(words) => stating.iter().map(|t| (*t, words.clone())).collect(),
        };
        beside.settle(false)?;
        equal(&mut settled.equal)?;
        settled.why = why;
        Ok(settled)
    }
}

fn by_others(table: &TablePlan) -> Remark {
    Remark::note(&table.source, "is made again of the rows that went back, and is what PostgreSQL holds")
}

/// What a table is that must be what the target holds, but for rows that were set aside.
pub fn as_it_is(table: &TablePlan, before: SetDigest, whole: SetDigest) -> Applied {
    let counts = TableRestored {
        source: table.source.clone(),
        table: table.target.clone(),
        unchanged: before.rows,
        ..TableRestored::default()
    };
    Applied { counts, lacks: before, keeps: whole }
}
