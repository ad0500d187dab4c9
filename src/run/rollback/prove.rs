//! The copy against PostgreSQL, once it is written: SQLite's own checks, the digests, and what other oracles say.

use super::super::oracles;
use super::super::proof::{self, Held, Known, Proof, Subject};
use super::super::{Opened, Options, open};
use super::made::as_it_is;
use super::place::AS_IT_WAS;
use crate::error::{Error, Kind, Result};
use crate::model::digest::SetDigest;
use crate::model::plan::Remark;
use crate::model::verdict::{Differences, Level, Outcome, TableVerdict, Verification};
use crate::postgres::read::Moment;
use crate::rollback::apply::Applied;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

/// What is known once the copy is written.
pub struct Proving<'a> {
    /// The tables, and who reads.
    pub proof: &'a Proof<'a>,
    /// The moment of PostgreSQL that the copy must hold.
    pub moment: &'a Moment,
    /// The copy's digests before it was written to.
    pub before: &'a HashMap<usize, SetDigest>,
    /// PostgreSQL's.
    pub found: &'a HashMap<usize, SetDigest>,
    /// The tables that were written to.
    pub applied: &'a HashMap<usize, Applied>,
    /// The source's digests of tables that are made of others, rows included that were set aside; none where nothing is
    /// written.
    pub whole: &'a HashMap<usize, SetDigest>,
    /// Whether the copy was written to at all.
    pub is_written: bool,
    /// For each table, columns that nobody compares.
    pub unverified: &'a [Vec<String>],
    /// Tables that have no way back: what went back into others may show in them.
    pub one_way: &'a HashMap<String, String>,
}

impl Proving<'_> {
    /// Compares. An error where the copy is not what it must be.
    pub fn prove(&self, copy: &Options, source: &Options, remarks: &mut Vec<Remark>) -> Result<Verification> {
        let started = Instant::now();
        let mut opened = open(copy)?;
        if self.is_written {
            own_checks(&opened, source, remarks)?;
        }
        let now = self.digests(&mut opened)?;
        let derived = opened.catalog.tables.iter().filter(|t| t.derived.is_some());
        let opened_is_shaped: HashSet<String> = derived.map(|t| t.name.clone()).collect();
        let mut with_rows: Vec<usize> =
            self.found.iter().filter(|(_, digest)| digest.rows > 0).map(|(t, _)| *t).collect();
        with_rows.sort_unstable();
        let planted = oracles::planted(self.proof, self.moment, &with_rows)?;
        // Figures of a table that lacks rows cannot agree.
        let is_whole =
            |t: usize, found: &SetDigest| now[&t] == *found && self.proof.rejected_of(&self.proof.plan.tables[t]) == 0;
        let whole: HashMap<usize, SetDigest> =
            self.found.iter().filter(|(t, found)| is_whole(**t, found)).map(|(t, found)| (*t, *found)).collect();
        let mut other = oracles::Opinions::default();
        let reopen = || open(copy);
        let mut held = Held { opened: Some(opened), open: &reopen };
        other.ask(self.proof, self.moment, &whole, &mut held)?;
        let mut tables = Vec::new();
        for (t, table) in self.proof.plan.tables.iter().enumerate() {
            let (copy, target) = (now[&t], self.found[&t]);
            let disputed = other.disputed.remove(&t).unwrap_or_default();
            let is_made = self.one_way.contains_key(&table.target);
            let accounts = match (self.applied.get(&t), self.whole.get(&t)) {
                (Some(applied), _) => applied.accounts_for(copy, target),
                (None, Some(whole)) if is_made => as_it_is(table, self.before[&t], *whole).accounts_for(copy, target),
                _ => copy == target,
            };
            let is_made_of_others = is_made && !accounts;
            let is_accounted = is_made_of_others || accounts;
            if !is_accounted || !disputed.is_empty() {
                let is_shaped = opened_is_shaped.contains(&table.source);
                return Err(not_the_same(&table.source, &disputed, is_shaped));
            }
            let unfit = self.applied.get(&t).map_or(0, |a| a.counts.unfit);
            let rejected = self.proof.rejected_of(table);
            let outcome = if is_made_of_others && unfit == 0 {
                Outcome::Unverified { why: "it is made of rows of other tables, which went back".to_owned() }
            } else if unfit == 0 {
                Outcome::Equal
            } else {
                Outcome::Different(Differences { changed: unfit, complete: true, ..Differences::default() })
            };
            tables.push(TableVerdict {
                source: table.source.clone(),
                table: table.target.clone(),
                source_rows: if self.applied.contains_key(&t) { copy.rows.saturating_sub(rejected) } else { copy.rows },
                target_rows: target.rows,
                rejected,
                outcome,
                unverified: self.unverified[t].clone(),
            });
        }
        Ok(Verification {
            level: Level::Rows,
            planted,
            figures: other.figures,
            cast: other.cast,
            remarks: other.remarks,
            ms: started.elapsed().as_millis() as u64,
            ..proof::nothing(self.proof, tables)
        })
    }

    // The tables that were written to are read again; the others were read in this very file.
    fn digests(&self, opened: &mut Opened) -> Result<HashMap<usize, SetDigest>> {
        let mut now = self.before.clone();
        let subject = |t: usize| {
            let is_read = self.applied.contains_key(&t) || self.one_way.contains_key(&self.proof.plan.tables[t].target);
            let source = if is_read { Known::Unread } else { Known::Digest(self.before[&t]) };
            Subject { source, unverified: Vec::new() }
        };
        let subjects: Vec<Subject> = (0..self.proof.plan.tables.len()).map(subject).collect();
        if self.applied.is_empty() {
            return Ok(now);
        }
        let progress = proof::announce(self.proof, &subjects);
        // All rows: those that were set aside may have other places by now, and are accounted for.
        let (nothing, proof) = (HashMap::new(), self.proof);
        let all = Proof { rejected: &nothing, ..*proof };
        let read = proof::source_digests(&all, opened, &subjects, &progress)?;
        let one_way = (0..subjects.len()).filter(|t| self.one_way.contains_key(&self.proof.plan.tables[*t].target));
        for t in self.applied.keys().copied().chain(one_way) {
            now.insert(t, read.get(&t).copied().unwrap_or_default());
        }
        Ok(now)
    }
}

// What SQLite finds wrong with the copy must have been wrong with the source.
fn own_checks(opened: &Opened, source: &Options, remarks: &mut Vec<Remark>) -> Result<()> {
    let reader = &opened.readers[0];
    let wrong = reader.integrity()?;
    let orphans = reader.orphans(&reader.catalog()?.tables)?;
    if wrong.is_empty() && orphans.is_empty() {
        return Ok(());
    }
    let before = open(source)?;
    let was_wrong = before.readers[0].integrity()?;
    let new: Vec<&String> = wrong.iter().filter(|line| !was_wrong.contains(line)).collect();
    if let Some(first) = new.first() {
        return Err(Error::new(Kind::Bug, "the copy that was written is damaged")
            .fact(format!("PRAGMA integrity_check: {first}"))
            .state(AS_IT_WAS));
    }
    if !wrong.is_empty() {
        let text = format!("PRAGMA integrity_check finds in it what it finds in the source: {}", wrong[0]);
        remarks.push(Remark::warning("restored file", text));
    }
    let were = before.readers[0].orphans(&before.readers[0].catalog()?.tables)?;
    for ((table, parent, key), rows) in orphans {
        let had = were.get(&(table.clone(), parent.clone(), key)).copied().unwrap_or(0);
        if rows > had {
            let text = format!("{rows} rows refer to no row of `{parent}`, {had} of them did in the source");
            remarks.push(Remark::warning(table, text));
        }
    }
    Ok(())
}

fn not_the_same(table: &str, disputed: &[String], is_shaped: bool) -> Error {
    if is_shaped {
        let what = format!("`{table}`, read through the pipeline again, is not what PostgreSQL holds");
        return Error::new(Kind::Blocked, what)
            .fact("rows of another table decide about it, or its SQL gives something else each time")
            .state(AS_IT_WAS)
            .hint(format!("`--leave '{table}'` leaves the table as the source has it"));
    }
    let error = Error::new(Kind::Bug, format!("`{table}` was written back, and is not what PostgreSQL holds"));
    let error = disputed.iter().fold(error, |error, figure| error.fact(format!("not agreed on: {figure}")));
    error.state(AS_IT_WAS).hint("this is a fault of lite2pg; please report it")
}
