//! Writes of every kind, made in PostgreSQL and by SQLite itself in a copy of the source.

use super::hand::{Hand, STEP};
use super::rows::{Pair, Row};
use crate::error::Result;
use crate::model::plan::Plan;
use crate::model::policy::Places;
use crate::model::rehearsal::{Made, Writes};
use crate::model::reshape::Reshape;
use crate::model::source::{Catalog, RowKey};
use crate::postgres::Pool;
use crate::postgres::drill;
use crate::sqlite::Reader;
use crate::sqlite::mirror::Mirror;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Both sides, and what is known of them.
pub struct Sides<'a> {
    /// The plan of the run that loaded the target.
    pub plan: &'a Plan,
    /// The source as it is read.
    pub shaped: &'a Catalog,
    /// The source as it is.
    pub base: &'a Catalog,
    /// What a person makes of it on the way.
    pub reshape: &'a Reshape,
    /// A reader of the source.
    pub reader: &'a Reader,
    /// Connections to the target.
    pub pool: &'a Pool,
    /// Rows that the migration set aside.
    pub aside: &'a Aside,
}

/// What was written where.
#[derive(Debug, Default)]
pub struct Done {
    /// By kind.
    pub writes: Writes,
    /// What a person should know of it.
    pub told: Vec<String>,
    pub(super) whole: HashSet<(String, String)>,
    pub(super) cells: HashSet<(String, String, String)>,
    pub(super) moved: HashSet<String>,
    /// Writes that were left out because the pipeline makes another row of them than PostgreSQL has, by table.
    pub(super) unlike: BTreeMap<String, u64>,
    /// Tables whose rows have no key, with the rows of them that were written: any of several equal ones may be meant.
    pub(super) keyless: BTreeMap<String, u64>,
}

/// Rows that the migration set aside, by table on the target.
pub type Aside = HashMap<String, Places>;

impl<'a> Sides<'a> {
    /// The tables that both sides can write to, in the plan's order; the names of the others.
    pub(super) fn pairs(&self) -> (Vec<Pair<'a>>, Vec<String>) {
        let (mut pairs, mut others) = (Vec::new(), Vec::new());
        for plan in &self.plan.tables {
            let shape = self.reshape.tables.iter().find(|s| s.name.eq_ignore_ascii_case(&plan.source));
            let pair = self.base.table(&plan.source).zip(self.shaped.table(&plan.source));
            match pair.and_then(|(base, shaped)| Pair::new(plan, shaped, base, shape)) {
                Some(pair) => pairs.push(pair),
                None => others.push(plan.source.clone()),
            }
        }
        (pairs, others)
    }

    // Foreign keys act where both sides have the same ones. A table that only SQLite has is not written to.
    fn foreign_keys_agree(&self) -> bool {
        let is_same = |plan: &crate::model::plan::TablePlan| {
            self.base.table(&plan.source).is_some_and(|t| t.foreign_keys.len() == plan.foreign_keys.len())
        };
        self.plan.tables.len() == self.base.tables.len() && self.plan.tables.iter().all(is_same)
    }

    /// Writes to each table, and keeps what both sides took.
    pub fn write(&self, mirror: &std::path::Path, look: &dyn Fn() -> Result<()>) -> Result<Done> {
        let mut done = Done::default();
        let (pairs, others) = self.pairs();
        if !others.is_empty() {
            done.told.push(format!("nothing is written to {}: SQLite has no rows of its own there", list(&others)));
        }
        let mut session = self.pool.session()?;
        let tx = session.transaction()?;
        let mut acts = self.foreign_keys_agree();
        let mut deletes = true;
        if !drill::begin(&tx, acts)? {
            // They act in PostgreSQL whether we want it or not: what they would do is not asked for.
            (acts, deletes) = (false, false);
        }
        if !acts {
            done.told.push("foreign keys did not act: they are not the same on both sides".to_owned());
        }
        let mirror = Mirror::open(mirror, acts)?;
        let mut kept: Vec<(usize, Vec<Row>)> = Vec::new();
        for (n, pair) in pairs.iter().enumerate() {
            look()?;
            let name = &pair.base.name;
            // In PostgreSQL it has nothing to say any more, and in SQLite it would.
            if let Some(other) = self.reshape.made_with(name) {
                done.told.push(format!("nothing is written to `{name}`: the pipeline makes `{other}` with it"));
                continue;
            }
            let aside = self.aside.get(&pair.plan.target).filter(|places| !places.is_empty());
            if aside.is_some() && !is_told_by_rowid(pair) {
                let why = "rows of it were set aside, which no rowid tells from others that are written";
                done.told.push(format!("nothing is written to `{name}`: {why}"));
                continue;
            }
            let rows = pair.rows(self.reader, aside)?;
            let is_parent =
                self.plan.tables.iter().any(|t| t.foreign_keys.iter().any(|k| k.parent == pair.plan.target));
            let orphaned = self.reshape.orphaned_by(name).next();
            if let Some(child) = orphaned {
                let words = "no row is deleted and none gets another key";
                done.told.push(format!("`{name}`: {words}, for which the pipeline would change `{child}` as well"));
            }
            let mut hand = Hand { pair, mirror: &mirror, tx: &tx, schema: &self.plan.schema, done: &mut done };
            hand.table(&rows, orphaned.is_none() && (deletes || !is_parent), n as i64)?;
            kept.push((n, rows));
        }
        tx.commit()?;
        drop(session);
        self.interleaved(&pairs, &kept, &mirror, &mut done)?;
        mirror.finish()?;
        let of = |(table, n): (&String, &u64)| {
            format!("`{table}`: {n} writes were left out: read through the pipeline, SQLite's row is another one")
        };
        let unlike: Vec<String> = done.unlike.iter().map(of).collect();
        done.told.extend(unlike);
        Ok(done)
    }

    // Two transactions that are open at once, of which the second is committed first.
    fn interleaved(
        &self,
        pairs: &[Pair<'_>],
        kept: &[(usize, Vec<Row>)],
        mirror: &Mirror,
        done: &mut Done,
    ) -> Result<()> {
        let (mut first, mut second) = (self.pool.session()?, self.pool.session()?);
        for (n, rows) in kept.iter().filter(|(_, rows)| rows.len() >= 4) {
            let pair = &pairs[*n];
            let free = (0..pair.plan.columns.len()).filter(|c| !pair.key.contains(c) && !pair.is_child(*c));
            let of_both = free.filter(|&c| rows[..2].iter().all(|r| pair.another(c, &r.cells[c], 3 * STEP).is_some()));
            let Some(column) = of_both.filter(|&c| pair.written(c).is_some()).find(|_| !pair.key.is_empty()) else {
                continue;
            };
            let (a, b) = (first.transaction()?, second.transaction()?);
            let mut both = true;
            for (tx, row) in [(&a, &rows[0]), (&b, &rows[1])] {
                let mut hand = Hand { pair, mirror, tx, schema: &self.plan.schema, done };
                let made = pair.another(column, &row.cells[column], 3 * STEP).unwrap_or(Made::Copied);
                both &= hand.update(row, row, column, &made)?;
            }
            // Whatever one side did not take is on neither.
            b.commit()?;
            a.commit()?;
            if both {
                done.told.push("two transactions were open at once, and committed in the other order".to_owned());
                return Ok(());
            }
        }
        Ok(())
    }
}

// Whether a row that was set aside is the same one whatever is written to others.
pub(super) const fn is_told_by_rowid(pair: &Pair<'_>) -> bool {
    matches!(pair.base.row_key, RowKey::Rowid { .. })
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
