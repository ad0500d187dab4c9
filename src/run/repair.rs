//! Rows that differ are put right: taken from the source again, in one transaction over all tables.

use super::Opened;
use super::casts::Asked;
use super::existing::Quiet;
use super::proof::{Proof, go_on, key_of, scan_of};
use crate::error::{Error, Kind, Result};
use crate::load::Conflict;
use crate::load::entry::Entry;
use crate::load::unfit::Unfit;
use crate::load::writer::{RowWriter, Written};
use crate::model::bounds::BATCH_BYTES;
use crate::model::event::Event;
use crate::model::plan::TablePlan;
use crate::model::range::Range;
use crate::model::verdict::{Outcome, Repaired, Verification};
use crate::postgres::control::{self, Original};
use crate::postgres::read::{self, Place};
use crate::postgres::triggers::Events;
use crate::postgres::{Transaction, catalog};
use crate::sqlite::Flow;
use crate::verify::form::Form;
use crate::verify::locate::{EachRow, Side, Sides, differing};
use crate::verify::side::SourceSide;
use crate::verify::source::SourceDigest;
use crate::verify::target;
use crate::verify::waiting::Waiting;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

// The rows of a table that differ.
struct Work<'a> {
    table: &'a TablePlan,
    // Those of the source, by their numbers among the rows that must be on the target.
    rows: HashSet<u64>,
    extra: Vec<Place>,
}

/// Makes the tables that differ like the source. All of them, or, after an error, none. The application's triggers do not
/// fire meanwhile, unless that is wanted.
pub fn repair(
    proof: &Proof<'_>,
    opened: &Opened,
    found: &Verification,
    run: Option<Uuid>,
    fires: bool,
) -> Result<Repaired> {
    let schema = &proof.plan.schema;
    let mut session = (proof.hands.session)()?;
    // What is written is what was looked at: a row that somebody changes meanwhile is the server's to refuse.
    let mut tx = session.transaction_as("BEGIN ISOLATION LEVEL REPEATABLE READ")?;
    tx.batch("SET CONSTRAINTS ALL DEFERRED")?;
    let mut works = Vec::new();
    for (table, verdict) in proof.plan.tables.iter().zip(&found.tables) {
        if matches!(verdict.outcome, Outcome::Different(_)) {
            works.push(look(proof, opened, &mut tx, table)?);
        }
    }
    parents_first(&tx, schema, &mut works)?;
    let names: Vec<String> = works.iter().map(|w| w.table.target.clone()).collect();
    let quiet = Quiet::begin(&tx, (schema, &names), Events::ALL, fires)?;
    for remark in &quiet.remarks {
        proof.observer.event(&Event::Remark(remark.clone()));
    }
    let mut repaired = Repaired::default();
    // Before the rows that replace them: a unique column may hold the same value in another row.
    for work in works.iter().rev() {
        repaired.deleted += delete(&tx, schema, work)?;
    }
    let (catalog, reader, stop) = (&opened.catalog, &opened.readers[0], proof.hands.stop);
    let asked = Asked { plan: proof.plan, catalog, reader, must_fit: false, stop };
    let unfit = asked.of_all(&tx, |table| works.iter().any(|w| w.table.target == table.target))?;
    for work in &works {
        repaired.written += write(proof, opened, &tx, (work, &unfit), run)?;
    }
    for work in &works {
        for owned in catalog::owned_sequences(&tx, schema, &work.table.target)? {
            let identity =
                work.table.columns.iter().find(|c| c.target == owned.column).and_then(|c| c.identity.as_ref());
            let last = identity.and_then(|i| i.last);
            catalog::advance_sequence(&tx, schema, &work.table.target, &owned, last)?;
        }
    }
    quiet.end(&tx).map_err(undone)?;
    tx.commit().map_err(undone)?;
    Ok(repaired)
}

fn undone(error: Error) -> Error {
    error
        .context("the differences cannot be repaired")
        .state("the target is as it was: the repair is one transaction")
        .hint("does something else write to the target? stop it, and run the same command again")
}

fn look<'a>(proof: &Proof<'a>, opened: &Opened, tx: &mut Transaction<'_>, table: &'a TablePlan) -> Result<Work<'a>> {
    if !read::is_ordinary(tx, &proof.plan.schema, &table.target)? {
        return Err(Error::new(Kind::Blocked, format!("`{}` is partitioned, and cannot be repaired", table.target))
            .state("nothing was written"));
    }
    let key = key_of(proof, table)?;
    let scan = scan_of(&opened.catalog, table)?;
    let look = || go_on(proof.hands.stop);
    let digest = SourceDigest::new(table)?.without(proof.rejected.get(&table.target));
    let casting = Waiting::of(table, proof.hands.session)?;
    let mut source = SourceSide { reader: &opened.readers[0], scan: &scan, digest, casting, look: &look };
    let mut target = Seen { tx, schema: &proof.plan.schema, table };
    let differ = differing(&key, &mut Sides { source: &mut source, target: &mut target })?;
    let (mut in_source, mut rows, mut number) = (HashSet::new(), HashSet::new(), 0);
    source.each(&mut |form, _| {
        let hash = key.hash(form.bytes());
        if differ.contains(&hash) {
            in_source.insert(hash);
            rows.insert(number);
        }
        number += 1;
        Ok(())
    })?;
    // A row whose key stays is replaced in its place, so that rows that refer to it are not asked.
    let stays = table.primary_key.is_some() && key.has_columns() && !proof.wish.keys.contains_key(&table.source);
    let mut extra = Vec::new();
    target::read_places(tx, &proof.plan.schema, table, |place, form| {
        let hash = key.hash(form.bytes());
        if differ.contains(&hash) && !(stays && in_source.contains(&hash)) {
            extra.push(place);
        }
        Ok(())
    })?;
    Ok(Work { table, rows, extra })
}

// The target inside the repair's own transaction.
struct Seen<'a, 't> {
    tx: &'a mut Transaction<'t>,
    schema: &'a str,
    table: &'a TablePlan,
}

impl Side for Seen<'_, '_> {
    fn each(&mut self, row: &mut EachRow<'_>) -> Result<()> {
        let each = |form: &mut Form| row(form, &|_| String::new());
        target::read(self.tx, self.schema, self.table, read::Chunk::WHOLE, each, |_, _| Ok(()))
    }
}

// A table stands behind those that its foreign keys point at, where they form no cycle.
fn parents_first(tx: &Transaction<'_>, schema: &str, works: &mut Vec<Work<'_>>) -> Result<()> {
    let names: Vec<String> = works.iter().map(|w| w.table.target.clone()).collect();
    let parents: HashMap<String, Vec<String>> =
        catalog::tables(tx, schema, &names)?.into_iter().map(|t| (t.name, t.parents)).collect();
    let mut placed: Vec<Work<'_>> = Vec::new();
    while !works.is_empty() {
        let waits = |work: &Work<'_>| {
            let of = parents.get(&work.table.target).map_or(&[][..], Vec::as_slice);
            of.iter().any(|p| *p != work.table.target && works.iter().any(|w| w.table.target == *p))
        };
        let next = works.iter().position(|w| !waits(w)).unwrap_or(0);
        placed.push(works.remove(next));
    }
    *works = placed;
    Ok(())
}

fn delete(tx: &Transaction<'_>, schema: &str, work: &Work<'_>) -> Result<u64> {
    if work.extra.is_empty() {
        return Ok(0);
    }
    read::delete_places(tx, schema, &work.table.target, &work.extra).map_err(undone)
}

// Takes the rows that differ from the source, through a stage.
fn write(
    proof: &Proof<'_>,
    opened: &Opened,
    tx: &Transaction<'_>,
    (work, unfit): (&Work<'_>, &Unfit),
    run: Option<Uuid>,
) -> Result<u64> {
    let (schema, table) = (&proof.plan.schema, work.table);
    let entry = Entry::of(schema, &TablePlan { existing: true, ..table.clone() }, Conflict::Update, false);
    entry.prepare(tx)?;
    let mut copy = entry.copy(tx)?;
    let mut writer = RowWriter::new(table)?.without(unfit, table);
    let mut digest = SourceDigest::new(table)?.without(proof.rejected.get(&table.target));
    let (mut keys, mut number) = (Vec::new(), 0);
    writer.begin();
    opened.readers[0].scan(&scan_of(&opened.catalog, table)?, Range::ALL, None, |key, row| {
        if !digest.takes(key) {
            return Ok(Flow::Continue);
        }
        number += 1;
        if !work.rows.contains(&(number - 1)) {
            return Ok(Flow::Continue);
        }
        match writer.row(key, row, |batch| copy.send(batch.into()))? {
            // Rows that marks set aside are told by their places, and are none of these.
            Written::Whole | Written::Marked(..) => {}
            Written::Misfit(misfit) | Written::Rejected(misfit) => return Err(no_place(table, misfit.column, key)),
        }
        keys.push(key);
        if writer.buffered() >= BATCH_BYTES {
            copy.send(writer.take_batch().into())?;
        }
        go_on(proof.hands.stop)?;
        Ok(Flow::Continue)
    })?;
    writer.end();
    copy.send(writer.take_batch().into())?;
    let rows = copy.finish().map_err(undone)?;
    entry.arrive(tx).map_err(undone)?;
    entry.leave(tx)?;
    originals(tx, work.table, run, &keys, writer.take_originals())?;
    Ok(rows)
}

fn originals(
    tx: &Transaction<'_>,
    table: &TablePlan,
    run: Option<Uuid>,
    keys: &[i64],
    originals: Vec<Original>,
) -> Result<()> {
    let Some(run) = run else {
        return match originals.first() {
            None => Ok(()),
            Some(original) => Err(Error::new(
                Kind::Blocked,
                format!("`{}.{}` holds text that PostgreSQL cannot hold", table.target, original.column),
            )
            .fact("lite2pg did not load this database, so that there is no place for the original")
            .state("the target is as it was: the repair is one transaction")),
        };
    };
    control::forget_originals(tx, run, &table.target, keys)?;
    if originals.is_empty() { Ok(()) } else { control::record_originals(tx, run, &table.target, originals) }
}

fn no_place(table: &TablePlan, column: usize, key: i64) -> Error {
    let column = table.loaded().nth(column).map_or("", |c| c.target.as_str());
    Error::new(Kind::Blocked, format!("a row of `{}` has no place in the target's type", table.target))
        .fact(format!("`{column}` at key {key} (value hidden)"))
        .state("the target is as it was: the repair is one transaction")
        .hint("change the column's type on the target, or the value in the source")
}
