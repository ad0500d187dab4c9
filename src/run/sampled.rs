//! `verify --sample`: numbers of rows of all tables, and some rows of each cell by cell.

use super::oracles::{self, Figures};
use super::proof::{self, Held, Known, Proof, Subject, go_on, key_of, nothing, scan_of, uncompared, verdict};
use crate::error::Result;
use crate::model::bounds::DIFFERENCE_SAMPLES;
use crate::model::plan::TablePlan;
use crate::model::policy::Place;
use crate::model::source::{Catalog, RowKey};
use crate::model::verdict::{Difference, Differences, Outcome, Sample, TableVerdict, Verification};
use crate::postgres::Session;
use crate::postgres::read::Moment;
use crate::sqlite::{Flow, Reader};
use crate::verify::listing::Listing;
use crate::verify::locate::Key;
use crate::verify::sampled::Lookup;
use crate::verify::side::raw;
use crate::verify::source::SourceDigest;
use crate::verify::waiting::Waiting;
use std::collections::{HashMap, HashSet};

/// Compares a sample of each table. Tables that are no larger than their sample are compared whole.
pub fn compare(
    proof: &Proof<'_>,
    moment: &Moment,
    subjects: Vec<Subject>,
    sample: Sample,
    source: &mut Held<'_>,
) -> Result<Verification> {
    let is_read = |t: &usize| matches!(subjects[*t].source, Known::Digest(_) | Known::Unread);
    let read: Vec<usize> = (0..subjects.len()).filter(is_read).collect();
    let counts = oracles::figures(proof, moment, &read, source.get()?)?;
    let is_whole = |t: &usize| {
        let (here, there) = counts[t].rows;
        sample.size.rows_of(here) >= here && sample.size.rows_of(there) >= there
    };
    let (whole, parts): (Vec<usize>, Vec<usize>) = read.iter().copied().partition(is_whole);
    // Whole tables take the path of every other comparison, the others stand aside there.
    let aside = |(t, subject): (usize, &Subject)| Subject {
        source: if whole.contains(&t) { Known::Unread } else { Known::Out(String::new()) },
        unverified: subject.unverified.clone(),
    };
    let mut found = proof::rows(proof, moment, subjects.iter().enumerate().map(aside).collect(), source, None)?;
    let filled: Vec<usize> = parts.iter().copied().filter(|t| counts[t].rows.1 > 0).collect();
    found.planted += oracles::planted(proof, moment, &filled)?;
    let mut samples: HashMap<usize, Sampled> =
        oracles::with_readers(proof, &parts, source.get()?, |session, reader, catalog, t| {
            let at = Part { proof, moment, table: &proof.plan.tables[t], counts: counts[&t].rows, sample };
            Ok((t, at.compare(session, reader, catalog)?))
        })?
        .into_iter()
        .collect();
    let mut tables: Vec<TableVerdict> = Vec::with_capacity(subjects.len());
    for ((t, subject), by_rows) in subjects.into_iter().enumerate().zip(found.tables) {
        tables.push(match samples.remove(&t) {
            Some(of_sample) => {
                found.remarks.extend(of_sample.remark);
                let table = &proof.plan.tables[t];
                let outcome = with_counts(of_sample.outcome, &counts[&t], proof.rejected_of(table));
                let (here, there) = counts[&t].rows;
                let rejected = proof.rejected_of(table);
                verdict(table, (here.saturating_sub(rejected), there), rejected, outcome, subject.unverified)
            }
            None if whole.contains(&t) => by_rows,
            None => uncompared(&proof.plan.tables[t], subject),
        });
    }
    Ok(Verification {
        planted: found.planted,
        figures: found.figures + counts.values().map(|f| f.agreed).sum::<u64>(),
        cast: found.cast,
        remarks: found.remarks,
        sample: Some(sample),
        ..nothing(proof, tables)
    })
}

// What the numbers of rows add to what the sample says.
fn with_counts(outcome: Outcome, counts: &Figures, rejected: u64) -> Outcome {
    let (here, there) = (counts.rows.0.saturating_sub(rejected), counts.rows.1);
    if here == there {
        return outcome;
    }
    let found = match outcome {
        Outcome::Different(differences) => differences,
        _ => Differences::default(),
    };
    Outcome::Different(Differences {
        missing: found.missing.max(here.saturating_sub(there)),
        extra: found.extra.max(there.saturating_sub(here)),
        disputed: counts.disputed.clone(),
        complete: false,
        ..found
    })
}

// What came of one table.
struct Sampled {
    outcome: Outcome,
    remark: Option<String>,
}

// One table to be sampled.
struct Part<'a> {
    proof: &'a Proof<'a>,
    moment: &'a Moment,
    table: &'a TablePlan,
    counts: (u64, u64),
    sample: Sample,
}

impl Part<'_> {
    fn compare(&self, session: &mut Session, reader: &Reader, catalog: &Catalog) -> Result<Sampled> {
        let (proof, table) = (self.proof, self.table);
        let key = key_of(proof, table)?;
        let unverified = |why: &str| Ok(Sampled { outcome: Outcome::Unverified { why: why.to_owned() }, remark: None });
        if !key.has_columns() {
            return unverified("no key tells its rows apart: only their number was compared; `--key` states one");
        }
        let none = HashSet::new();
        let rejected = proof.rejected.get(&table.target).unwrap_or(&none);
        if !rejected.is_empty() && !matches!(table.row_key, RowKey::Rowid { .. }) {
            return unverified("rows of it were set aside, and without a rowid a sample cannot tell which");
        }
        let scan = scan_of(catalog, table)?;
        let mut listing = Listing::new(&proof.wish.folder, &table.target);
        let mut samples = Vec::new();
        let mut keep = |difference: &Difference| {
            if samples.len() < DIFFERENCE_SAMPLES {
                samples.push(proof::told(proof, difference));
            }
            listing.add(difference)
        };
        let mut tx = self.moment.begin(session)?;
        let by = (&key, is_unique(table, &key, catalog));
        let mut lookup = Lookup::new(&mut tx, &proof.plan.schema, table, by, proof.wish.rows_max, &mut keep);
        let mut digest = SourceDigest::new(table)?;
        let mut casting = Waiting::of(table, proof.hands.session)?;
        let wanted = self.sample.size.rows_of(self.counts.0);
        reader.draw(&scan, (wanted, self.counts.0), self.sample.seed, |rowid, row| {
            if rejected.contains(&Place { key: rowid, nth: 0 }) {
                return Ok(Flow::Continue);
            }
            match &mut casting {
                None => lookup.add(digest.form(row), |i| raw(row.cell(i)))?,
                Some(waiting) => {
                    if waiting.add(row, true) {
                        waiting.settle(|form, show| lookup.add(form, show))?;
                    }
                }
            }
            go_on(proof.hands.stop)?;
            Ok(if lookup.is_full() { Flow::Stop } else { Flow::Continue })
        })?;
        if let Some(waiting) = &mut casting {
            waiting.settle(|form, show| lookup.add(form, show))?;
        }
        lookup.compare()?;
        let so_far = std::mem::take(&mut lookup.so_far);
        let (rows, passed) = (so_far.rows, so_far.passed);
        let mut differences = so_far.differences(table);
        differences.samples = samples;
        differences.file = listing.finish()?.map(|path| path.display().to_string());
        let remark = (passed > 0).then(|| {
            format!(
                "`{}`: {passed} rows of the sample have NULL or a long value in their key: not looked up",
                table.target
            )
        });
        let outcome = if differences.missing + differences.extra + differences.changed > 0 {
            // A sample never shows all.
            Outcome::Different(Differences { complete: false, ..differences })
        } else if rows == 0 {
            Outcome::Unverified { why: "no row of its sample can be looked up by its key".to_owned() }
        } else {
            Outcome::Alike { rows }
        };
        Ok(Sampled { outcome, remark })
    }
}

// Whether SQLite itself sees to it that no two rows share the key.
fn is_unique(table: &TablePlan, key: &Key, catalog: &Catalog) -> bool {
    let source = catalog.table(&table.source);
    let Some(rowid) = source.and_then(|s| s.rowid_column().map(|i| &s.columns[i].name)) else { return false };
    matches!(key.columns(), [only] if table.compared().nth(*only).is_some_and(|c| c.source == *rowid))
}
