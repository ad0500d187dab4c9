//! Tables that a rehearsal empties on both sides alike.

use super::rows::Pair;
use super::writes::{Sides, is_told_by_rowid};
use crate::error::Result;
use crate::model::policy::Places;
use crate::postgres::drill;
use crate::postgres::{Session, catalog};
use crate::sqlite::mirror::Mirror;
use std::collections::HashSet;

/// What was emptied.
#[derive(Debug, Default)]
pub struct Emptied {
    /// The tables on the target.
    pub tables: Vec<String>,
    /// The same in SQLite.
    pub sources: HashSet<String>,
    /// Rows of theirs that stay in SQLite, because the migration set them aside.
    pub aside: u64,
}

impl Sides<'_> {
    /// Empties every other table and those that refer to it, on both sides; their names. Rows that were set aside stay where
    /// they are, in SQLite. Those tables stay that cannot be emptied alike: of which rows were set aside that no rowid tells, or
    /// to which a table refers that only PostgreSQL has.
    pub fn empty(&self, mirror: &std::path::Path) -> Result<Emptied> {
        let (pairs, _) = self.pairs();
        let mut session = self.pool.session()?;
        let references = self.references(&session)?;
        let is_told =
            |pair: &Pair<'_>| is_told_by_rowid(pair) || self.aside.get(&pair.plan.target).is_none_or(Places::is_empty);
        let is_ours = |name: &String| {
            let pair = pairs.iter().find(|pair| pair.plan.target == *name);
            pair.is_some_and(|pair| is_told(pair) && self.reshape.made_with(&pair.base.name).is_none())
        };
        let mut chosen: HashSet<String> = HashSet::new();
        // The others are for where none of the first ones can be emptied.
        for (n, pair) in pairs.iter().enumerate().step_by(2).chain(pairs.iter().enumerate().skip(1).step_by(2)) {
            if n % 2 == 1 && !chosen.is_empty() {
                break;
            }
            let mut together = HashSet::from([pair.plan.target.clone()]);
            loop {
                let children = references.iter().filter(|(_, parent)| together.contains(parent));
                let children: Vec<String> = children.map(|(child, _)| child.clone()).collect();
                let before = together.len();
                together.extend(children);
                if together.len() == before {
                    break;
                }
            }
            if together.iter().all(is_ours) {
                chosen.extend(together);
            }
        }
        if chosen.is_empty() {
            return Ok(Emptied::default());
        }
        let names: Vec<&str> = pairs.iter().map(|p| p.plan.target.as_str()).filter(|n| chosen.contains(*n)).collect();
        let tx = session.transaction()?;
        drill::empty(&tx, &self.plan.schema, &names)?;
        tx.commit()?;
        let mirror = Mirror::open(mirror, false)?;
        let mut emptied = Emptied { tables: names.into_iter().map(str::to_owned).collect(), ..Emptied::default() };
        for pair in pairs.iter().filter(|pair| chosen.contains(&pair.plan.target)) {
            let kept: Vec<i64> =
                self.aside.get(&pair.plan.target).into_iter().flatten().map(|place| place.key).collect();
            mirror.empty(pair.base, pair.only(), &kept)?;
            emptied.aside += kept.len() as u64;
            emptied.sources.insert(pair.base.name.clone());
        }
        mirror.finish()?;
        Ok(emptied)
    }

    // Which table refers to which, on the target: by its foreign keys, and by what the pipeline says of orphans.
    fn references(&self, session: &Session) -> Result<Vec<(String, String)>> {
        let mut all = catalog::references(session, &self.plan.schema)?;
        for table in &self.plan.tables {
            for child in self.reshape.orphaned_by(&table.source) {
                let child = self.plan.tables.iter().find(|t| t.source.eq_ignore_ascii_case(child));
                all.extend(child.map(|child| (child.target.clone(), table.target.clone())));
            }
        }
        Ok(all)
    }
}
