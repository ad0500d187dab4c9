//! `verify --level hash`: is the target what it was when its rows were compared? And the hashes that tell so.
//!
//! A hash is taken at the very moment of the target at which its rows were read, and kept only of tables that were
//! equal then. It says nothing about the source, whose fingerprint is kept with it.

use super::proof::{self, Held, Known, Proof, Subject, go_on, nothing, uncompared, verdict};
use crate::error::{Error, Kind, Result};
use crate::model::digest::SetDigest;
use crate::model::event::Progress;
use crate::model::verdict::{Outcome, TableHash, TableVerdict, Verification};
use crate::postgres::hash::{self, Baseline, Server};
use crate::postgres::read::{self, Chunk, Moment};
use crate::postgres::{Session, control};
use std::collections::HashMap;

/// What must stay as it is while rows are compared whose hash is to be kept: each name means the same relation.
pub struct Watch {
    tables: Vec<String>,
    identities: Vec<Option<i64>>,
}

impl Watch {
    /// Begins to watch, before the first row is read.
    pub fn begin(proof: &Proof<'_>) -> Result<Self> {
        let tables: Vec<String> = proof.plan.tables.iter().map(|t| t.target.clone()).collect();
        let identities = identities(proof, &tables)?;
        Ok(Self { tables, identities })
    }

    /// The hashes of the tables that are equal, at the moment at which they were read.
    pub fn hashes(self, proof: &Proof<'_>, moment: &Moment, found: &[TableVerdict]) -> Result<Vec<TableHash>> {
        let is_equal = |t: &usize| matches!(found[*t].outcome, Outcome::Equal);
        let equal: Vec<usize> = (0..found.len()).filter(is_equal).collect();
        let progress = Progress::new(proof.plan.tables.len());
        let hashes = of_tables(proof, moment, &equal, &progress)?;
        let identities = identities(proof, &self.tables)?;
        let is_same = |(t, hash): &(usize, TableHash)| {
            // A snapshot does not see that a table was emptied or replaced: then its rows are not those that were read.
            hash.rows == found[*t].target_rows && identities[*t] == self.identities[*t]
        };
        let mut all: Vec<(usize, TableHash)> = hashes.into_iter().collect();
        if let Some((t, _)) = all.iter().find(|of| !is_same(of)) {
            return Err(Error::new(
                Kind::Failed,
                format!("`{}` was replaced or emptied while it was read", found[*t].table),
            )
            .state("no hash was recorded")
            .hint("run the same command again"));
        }
        all.sort_unstable_by_key(|(t, _)| *t);
        Ok(all.into_iter().map(|(_, hash)| hash).collect())
    }
}

// Asked outside the transaction that holds the moment: that one does not hear of what names mean since.
fn identities(proof: &Proof<'_>, tables: &[String]) -> Result<Vec<Option<i64>>> {
    hash::identities(&(proof.hands.session)()?, &proof.plan.schema, tables)
}

/// Makes sure that hashes can be kept, before anything is compared.
pub fn prepare(session: &mut Session) -> Result<()> {
    hash::server(session)?;
    let tx = session.transaction_as("BEGIN READ WRITE")?;
    control::create(&tx)?;
    hash::create(&tx)?;
    tx.commit()
}

/// Keeps hashes of tables that were compared with a source of this content at this time.
pub fn record(session: &mut Session, schema: &str, of: (&str, &str), hashes: &[TableHash]) -> Result<u64> {
    let server = hash::server(session)?;
    let tx = session.transaction_as("BEGIN READ WRITE")?;
    hash::record(&tx, schema, of, &server, hashes)?;
    tx.commit()?;
    Ok(hashes.len() as u64)
}

/// Compares the target with what it was.
pub fn compare(
    proof: &Proof<'_>,
    (moment, holder): (&Moment, &Session),
    subjects: Vec<Subject>,
    source: &mut Held<'_>,
) -> Result<Verification> {
    let server = hash::server(holder)?;
    let baselines = hash::baselines(holder, &proof.plan.schema)?;
    let fingerprint = source.get()?.fingerprint.clone();
    let is_read = |s: &Subject| matches!(s.source, Known::Digest(_) | Known::Unread);
    // Of the source, nothing is read.
    let of_target = |s: &Subject| Subject {
        source: if is_read(s) { Known::Digest(SetDigest::default()) } else { s.source.clone() },
        unverified: Vec::new(),
    };
    let progress = proof::announce(proof, &subjects.iter().map(of_target).collect::<Vec<_>>());
    let mut words: HashMap<usize, Result<&Baseline, String>> = HashMap::new();
    for (t, subject) in subjects.iter().enumerate() {
        if is_read(subject) {
            let table = &proof.plan.tables[t];
            let columns = hash::columns(table);
            words.insert(t, usable(baselines.get(&table.target), &server, &columns, &fingerprint));
        }
    }
    let asked: Vec<usize> = words.iter().filter(|(_, word)| word.is_ok()).map(|(t, _)| *t).collect();
    let mut hashes = of_tables(proof, moment, &asked, &progress)?;
    let mut tables = Vec::with_capacity(subjects.len());
    for (t, subject) in subjects.into_iter().enumerate() {
        let table = &proof.plan.tables[t];
        let (rows, outcome) = match words.remove(&t) {
            None => {
                tables.push(uncompared(table, subject));
                continue;
            }
            Some(Err(why)) => ((0, 0), Outcome::Unverified { why }),
            Some(Ok(then)) => {
                let now = hashes.remove(&t).expect("each baseline was asked for");
                let since = then.compared_at.clone();
                let is_same = now == then.hash;
                let rows = (then.hash.rows, now.rows);
                (rows, if is_same { Outcome::Unchanged { since } } else { Outcome::Changed { since } })
            }
        };
        tables.push(verdict(table, rows, proof.rejected_of(table), outcome, subject.unverified));
    }
    Ok(nothing(proof, tables))
}

// The hash that a table can be compared with, or why there is none.
fn usable<'a>(
    found: Option<&'a Baseline>,
    server: &Server,
    columns: &str,
    fingerprint: &str,
) -> Result<&'a Baseline, String> {
    let Some(then) = found else {
        return Err("no hash of it was recorded".to_owned());
    };
    let at = &then.compared_at;
    if then.server.major != server.major {
        return Err(format!(
            "its hash of {at} is PostgreSQL {}'s, and version {} hashes otherwise",
            then.server.major, server.major
        ));
    }
    if then.server != *server {
        return Err(format!("this server hashes otherwise than the one of {at} did"));
    }
    if then.hash.columns != columns {
        return Err(format!("its columns or their types are not those of its hash of {at}"));
    }
    if then.fingerprint != fingerprint {
        return Err(format!("the source's file was written to since the comparison of {at}"));
    }
    Ok(then)
}

// The hashes of these tables, several stretches at once.
fn of_tables(
    proof: &Proof<'_>,
    moment: &Moment,
    tables: &[usize],
    progress: &Progress,
) -> Result<HashMap<usize, TableHash>> {
    let schema = &proof.plan.schema;
    let chunks = proof.hands.each(tables, |session, t| {
        let tx = moment.begin(session)?;
        let chunks = read::chunks(&tx, schema, &proof.plan.tables[*t].target)?;
        Ok(chunks.into_iter().map(|chunk| (*t, chunk)).collect::<Vec<_>>())
    })?;
    let mut parts: Vec<(usize, Chunk)> = chunks.into_iter().flatten().collect();
    parts.sort_by_key(|(_, chunk)| std::cmp::Reverse(chunk.bytes));
    let sums = proof.hands.each(&parts, |session, (t, chunk)| {
        go_on(proof.hands.stop)?;
        let tx = moment.begin(session)?;
        let table = &proof.plan.tables[*t];
        let (rows, sum) = hash::of_chunk(&tx, schema, &table.target, &hash::columns(table), *chunk)
            .map_err(|e| e.context(format!("the server cannot hash `{}`", table.target)))?;
        progress.add(*t, rows, chunk.bytes);
        Ok((*t, rows, sum))
    })?;
    let mut all: HashMap<usize, (u64, i128)> = tables.iter().map(|t| (*t, (0, 0))).collect();
    for (t, rows, sum) in sums {
        let of = all.entry(t).or_default();
        *of = (of.0 + rows, of.1 + sum);
    }
    let hash = |(t, (rows, sum)): (usize, (u64, i128))| {
        let table = &proof.plan.tables[t];
        let (table, columns) = (table.target.clone(), hash::columns(table));
        (t, TableHash { table, columns, rows, hash: sum.to_string() })
    };
    Ok(all.into_iter().map(hash).collect())
}
