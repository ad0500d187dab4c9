//! The rows of one table that differ, written into the copy: deletions first, then changes, then new rows.
//!
//! A cell that means the same on both sides is not touched. What was written is read back, and stays only where the
//! verifier reads in it what the target holds. A row that finds its place taken waits until the others have moved.

use super::carry::Carried;
use super::differ::{Subject, fields_of};
use super::down::{Down, Ids};
use super::export::Unfits;
use super::habit::Habit;
use super::words;
use crate::error::{Error, Kind, Result};
use crate::model::cell::Owned;
use crate::model::digest::SetDigest;
use crate::model::restored::{Reason, TableRestored};
use crate::model::source::RowKey;
use crate::sqlite::alike::is_same;
use crate::sqlite::restore::{At, Objection, RowsOf, Writer};
use crate::sqlite::stage::Stage;
use crate::verify::form::{self, Form};

/// What was written to a table.
#[derive(Debug, Default)]
pub struct Applied {
    /// Rows, counted.
    pub counts: TableRestored,
    /// Rows of the target that the copy does not have as they are there.
    pub lacks: SetDigest,
    /// What the copy has in their place.
    pub keeps: SetDigest,
}

impl Applied {
    /// Whether a copy with this digest is what it must be where the target has that one.
    #[must_use]
    pub fn accounts_for(&self, copy: SetDigest, target: SetDigest) -> bool {
        let (mut ours, mut theirs) = (copy, target);
        ours.merge(&self.lacks);
        theirs.merge(&self.keeps);
        ours == theirs
    }
}

/// Writes what differs in a table; `source_rows` are the rows that it had.
pub fn apply(
    writer: &Writer,
    subject: &Subject<'_>,
    habits: &[Habit],
    (stage, number): (&Stage, usize),
    source_rows: u64,
    unfits: &mut Unfits,
    (ids, look): (&Ids<'_>, &dyn Fn() -> Result<()>),
) -> Result<Applied> {
    let (alone, both, _) = stage.counts(number)?;
    let counts = TableRestored {
        source: subject.plan.source.clone(),
        table: subject.plan.target.clone(),
        unchanged: source_rows.saturating_sub(alone + both),
        deleted: alone,
        ..TableRestored::default()
    };
    let is_stored = |i: usize| subject.base.columns[i].generated.is_none();
    let writable: Vec<bool> = subject
        .plan
        .compared()
        .zip(&subject.carried)
        .map(|(c, carried)| c.generated.is_none() && carried.to.is_some_and(is_stored))
        .collect();
    let mut work = Work {
        rows: writer.rows(subject.base, subject.table),
        down: Down::new(subject.plan, subject.table, habits, ids)?,
        subject,
        writable,
        unfits,
        applied: Applied { counts, ..Applied::default() },
        here: Form::default(),
        there: Form::default(),
    };
    stage.only_source(number, |at| {
        look()?;
        work.rows.delete(&at)
    })?;
    stage.both(number, |at, row| {
        look()?;
        work.change(&at, row, stage)
    })?;
    work.later(stage)?;
    stage.only_target(number, |row| {
        look()?;
        work.insert(row)
    })?;
    Ok(work.applied)
}

struct Work<'a> {
    rows: RowsOf<'a>,
    down: Down<'a>,
    subject: &'a Subject<'a>,
    /// Which of the compared columns can be written.
    writable: Vec<bool>,
    unfits: &'a mut Unfits,
    applied: Applied,
    /// Scratch memory: the form of SQLite's row, and of the target's.
    here: Form,
    there: Form,
}

/// Cells to write: of which compared column, where there is one, into which column of SQLite's table.
type Puts = Vec<(Option<usize>, usize, Owned)>;

/// The columns of a row that cannot go back, by their place among the compared ones.
type Misfits = Vec<(usize, Reason)>;

enum Outcome {
    /// It is written; these columns are not what they should be, and nothing can be done about it.
    Done(Vec<usize>),
    /// SQLite has something against it; nothing was written.
    Objected(Objection),
    /// These columns were written, and read back as something else; nothing was written.
    Altered(Vec<usize>),
}

impl Work<'_> {
    fn change(&mut self, at: &At, row: &[u8], stage: &Stage) -> Result<()> {
        let fields = fields_of(self.subject, row)?;
        let own = self.read(at)?;
        let raw = self.raw(at, &own)?;
        let (mut set, mut misfits) = (Puts::new(), Misfits::new());
        let differing = self.differing(&own, &fields)?;
        for &i in &differing {
            let Some(to) = self.subject.carried[i].to.filter(|_| self.writable[i]) else { continue };
            match self.down.cell(i, fields[i], Some((&own[i], &raw[i])), &self.subject.carried[i])? {
                Ok((_, cell)) => set.push((Some(i), to, cell)),
                Err(reason) => misfits.push((i, reason)),
            }
        }
        set.extend(self.inverted(Some(&own), &fields, &differing)?);
        loop {
            match self.update(at, &raw, &set, &fields, &misfits)? {
                Outcome::Done(computed) => {
                    misfits.extend(computed.into_iter().map(|i| (i, self.computed(i))));
                    let now = self.moved(at, &set);
                    return self.done(&now, &fields, &misfits);
                }
                Outcome::Objected(objection) if objection.is_unique => return stage.put_later(at, row),
                Outcome::Objected(objection) => return self.refused(&fields, Some(at), &objection),
                Outcome::Altered(columns) => {
                    set.retain(|(i, _, _)| i.is_none_or(|i| !columns.contains(&i)));
                    misfits.extend(columns.into_iter().map(|i| (i, Reason::Affinity)));
                }
            }
        }
    }

    fn update(
        &mut self,
        at: &At,
        raw: &[Owned],
        set: &Puts,
        fields: &[Option<&[u8]>],
        misfits: &Misfits,
    ) -> Result<Outcome> {
        let columns: Vec<usize> = set.iter().map(|(_, to, _)| *to).collect();
        let cells: Vec<Owned> = set.iter().map(|(_, _, cell)| cell.clone()).collect();
        let now = self.moved(at, set);
        let written: Vec<usize> = set.iter().filter_map(|(i, _, _)| *i).collect();
        let kept: Vec<(usize, usize)> = (0..raw.len())
            .filter(|&i| self.writable[i])
            .filter_map(|i| self.subject.carried[i].to.map(|to| (i, to)))
            .filter(|(_, to)| !columns.contains(to))
            .collect();
        let (rows, subject, down) = (&self.rows, self.subject, &mut self.down);
        let (here, there) = (&mut self.here, &mut self.there);
        let mut outcome = Outcome::Done(Vec::new());
        rows.attempt(|| {
            if !columns.is_empty()
                && let Some(objection) = rows.update(at, &columns, &cells)?
            {
                outcome = Outcome::Objected(objection);
                return Ok(false);
            }
            // SQLite stores the whole row anew: a cell that the declared type was put upon later would follow it now.
            let places: Vec<usize> = kept.iter().map(|(_, to)| *to).collect();
            let stored = rows.read(&now, &places)?.ok_or_else(|| gone(subject))?;
            let another = kept.iter().zip(&stored).find(|((i, _), cell)| !is_same(cell, &raw[*i]));
            if let Some(((i, _), _)) = another {
                let words = format!("its cell of `{}` would be stored as another one", name(subject, *i));
                outcome = Outcome::Objected(Objection { is_unique: false, words });
                return Ok(false);
            }
            let Some(cells) = rows.read_shaped(&now, &subject.compared)? else {
                outcome = Outcome::Objected(left_out());
                return Ok(false);
            };
            outcome = judged(differing(down, &cells, fields, here, there)?, &written, misfits);
            Ok(!matches!(outcome, Outcome::Altered(_)))
        })?;
        Ok(outcome)
    }

    // Where a row is reached once these cells are written.
    fn moved(&self, at: &At, set: &Puts) -> At {
        let written = |column: usize| set.iter().find(|(_, to, _)| *to == column).map(|(_, _, cell)| cell);
        match (at, &self.subject.base.row_key) {
            (At::Rowid(_), RowKey::Rowid { column: Some(column), .. }) => match written(*column) {
                Some(Owned::Integer(rowid)) => At::Rowid(*rowid),
                _ => at.clone(),
            },
            (At::Rowid(_), _) => at.clone(),
            (At::Key(cells), _) => {
                let key = self.subject.base.primary_key.iter().zip(cells);
                At::Key(key.map(|(column, cell)| written(*column).unwrap_or(cell).clone()).collect())
            }
        }
    }

    // Rows whose place was taken: all of them leave first, then each comes back as it shall be.
    fn later(&mut self, stage: &Stage) -> Result<()> {
        let stored = self.rows.stored().to_vec();
        let mut last = 0;
        while let Some(later) = stage.next_later(last)? {
            let mut cells = self.rows.read(&later.at, &stored)?.ok_or_else(|| gone(self.subject))?;
            // Behind them the same in its shape: out of its table, the row cannot be read through it.
            cells.extend(self.read(&later.at)?);
            stage.keep_cells(later.n, &cells)?;
            self.rows.delete(&later.at)?;
            last = later.n;
        }
        last = 0;
        while let Some(later) = stage.next_later(last)? {
            let (was, own) = later.cells.split_at(stored.len().min(later.cells.len()));
            self.come_back(&later.at, &later.row, &stored, (was, own))?;
            last = later.n;
        }
        stage.forget_later()
    }

    fn come_back(&mut self, at: &At, row: &[u8], stored: &[usize], (was, own): (&[Owned], &[Owned])) -> Result<()> {
        let fields = fields_of(self.subject, row)?;
        let rowid = match (at, &self.subject.base.row_key) {
            (At::Rowid(rowid), RowKey::Rowid { column: None, .. }) => Some(*rowid),
            _ => None,
        };
        let place = |column: usize| stored.iter().position(|s| *s == column);
        let (mut cells, mut written, mut misfits) = (was.to_vec(), Vec::new(), Misfits::new());
        let differing = self.differing(own, &fields)?;
        for &i in &differing {
            let to = self.subject.carried[i].to.filter(|_| self.writable[i]);
            let Some(n) = to.and_then(place) else { continue };
            match self.down.cell(i, fields[i], Some((&own[i], &was[n])), &self.subject.carried[i])? {
                Ok((_, cell)) => {
                    cells[n] = cell;
                    written.push(i);
                }
                Err(reason) => misfits.push((i, reason)),
            }
        }
        let mut touched: Vec<usize> = written.iter().filter_map(|i| self.subject.carried[*i].to).collect();
        for (_, to, cell) in self.inverted(Some(own), &fields, &differing)? {
            if let Some(n) = place(to) {
                cells[n] = cell;
                touched.push(to);
            }
        }
        loop {
            match self.put(rowid, (stored, &touched), &cells, &fields, &written, &misfits)? {
                (Outcome::Done(computed), Some(now)) => {
                    misfits.extend(computed.into_iter().map(|i| (i, self.computed(i))));
                    return self.done(&now, &fields, &misfits);
                }
                (Outcome::Objected(objection), _) => {
                    // The row as it was is better than none, where it still has a place.
                    let back = self.rows.insert(rowid, stored, was)?.ok();
                    return self.refused(&fields, back.as_ref(), &objection);
                }
                (Outcome::Altered(columns) | Outcome::Done(columns), _) => {
                    for i in &columns {
                        if let Some(n) = self.subject.carried[*i].to.and_then(place) {
                            cells[n] = was[n].clone();
                        }
                    }
                    written.retain(|i| !columns.contains(i));
                    misfits.extend(columns.into_iter().map(|i| (i, Reason::Affinity)));
                }
            }
        }
    }

    fn insert(&mut self, row: &[u8]) -> Result<()> {
        let fields = fields_of(self.subject, row)?;
        let (mut columns, mut cells, mut written, mut misfits) = (Vec::new(), Vec::new(), Vec::new(), Misfits::new());
        for (i, field) in fields.iter().enumerate().filter(|(i, _)| self.writable[*i]) {
            let Some(to) = self.subject.carried[i].to else { continue };
            match self.down.cell(i, *field, None, &self.subject.carried[i])? {
                Ok((_, cell)) => {
                    columns.push(to);
                    cells.push(cell);
                    written.push(i);
                }
                Err(reason) => misfits.push((i, reason)),
            }
        }
        let all: Vec<usize> = (0..fields.len()).collect();
        for (_, to, cell) in self.inverted(None, &fields, &all)? {
            columns.push(to);
            cells.push(cell);
        }
        if misfits.is_empty() {
            match self.put(None, (&columns, &columns), &cells, &fields, &written, &misfits)? {
                (Outcome::Done(computed), Some(_)) if computed.is_empty() => {
                    self.applied.counts.inserted += 1;
                    return Ok(());
                }
                (Outcome::Done(computed), Some(now)) => {
                    let misfits: Misfits = computed.into_iter().map(|i| (i, self.computed(i))).collect();
                    return self.done(&now, &fields, &misfits);
                }
                (Outcome::Objected(objection), _) => return self.refused(&fields, None, &objection),
                (Outcome::Altered(columns) | Outcome::Done(columns), _) => {
                    misfits = columns.into_iter().map(|i| (i, Reason::Affinity)).collect();
                }
            }
        }
        // A row goes back whole or not at all.
        self.lacks(&fields, None)?;
        let key = self.subject.key.words(self.there.bytes());
        for (i, reason) in &misfits {
            self.unfits.count(&self.subject.plan.target, Some(name(self.subject, *i)), reason, &key);
        }
        let cause = Reason::RowOf(name(self.subject, misfits[0].0).to_owned());
        self.list(&fields, &key, |i| misfits.iter().find(|(m, _)| *m == i).map_or(&cause, |(_, reason)| reason))
    }

    // Inserts a row, unless something of it reads back as something else.
    fn put(
        &mut self,
        rowid: Option<i64>,
        (columns, touched): (&[usize], &[usize]),
        cells: &[Owned],
        fields: &[Option<&[u8]>],
        written: &[usize],
        misfits: &Misfits,
    ) -> Result<(Outcome, Option<At>)> {
        let (rows, subject, down) = (&self.rows, self.subject, &mut self.down);
        let (here, there) = (&mut self.here, &mut self.there);
        let (mut outcome, mut now) = (Outcome::Done(Vec::new()), None);
        rows.attempt(|| {
            let at = match rows.insert(rowid, columns, cells)? {
                Ok(at) => at,
                Err(objection) => {
                    outcome = Outcome::Objected(objection);
                    return Ok(false);
                }
            };
            // As in a change: what was not written is what it was. A new row has nothing else.
            let stored = rows.read(&at, columns)?.ok_or_else(|| gone(subject))?;
            let is_kept = |n: &usize| !touched.contains(&columns[*n]);
            if (0..columns.len()).filter(is_kept).any(|n| !is_same(&stored[n], &cells[n])) {
                let words = "another cell of it would be stored as another one".to_owned();
                outcome = Outcome::Objected(Objection { is_unique: false, words });
                return Ok(false);
            }
            let Some(cells) = rows.read_shaped(&at, &subject.compared)? else {
                outcome = Outcome::Objected(left_out());
                return Ok(false);
            };
            now = Some(at);
            outcome = judged(differing(down, &cells, fields, here, there)?, written, misfits);
            Ok(!matches!(outcome, Outcome::Altered(_)))
        })?;
        Ok((outcome, now))
    }

    // A row is written. What of it is not as it should be is counted, listed and accounted for.
    fn done(&mut self, at: &At, fields: &[Option<&[u8]>], misfits: &Misfits) -> Result<()> {
        if misfits.is_empty() {
            self.applied.counts.updated += 1;
            return Ok(());
        }
        self.lacks(fields, Some(at))?;
        let key = self.subject.key.words(self.there.bytes());
        for (i, reason) in misfits {
            let value = words::value(&self.subject.plan.compared().nth(*i).expect("a column").pg_type, fields[*i])?;
            self.unfits.count(&self.subject.plan.target, Some(name(self.subject, *i)), reason, &key);
            self.unfits.list(&self.subject.plan.target, &key, name(self.subject, *i), value.as_deref(), reason)?;
        }
        Ok(())
    }

    // SQLite does not take a row; `at` is what stays in its place.
    fn refused(&mut self, fields: &[Option<&[u8]>], at: Option<&At>, objection: &Objection) -> Result<()> {
        self.lacks(fields, at)?;
        let key = self.subject.key.words(self.there.bytes());
        let reason = Reason::Refused(objection.words.clone());
        self.unfits.count(&self.subject.plan.target, None, &reason, &key);
        self.list(fields, &key, |_| &reason)
    }

    fn list<'r>(&mut self, fields: &[Option<&[u8]>], key: &str, reason: impl Fn(usize) -> &'r Reason) -> Result<()> {
        if !self.unfits.is_exported() {
            return Ok(());
        }
        for (i, (column, field)) in self.subject.plan.compared().zip(fields).enumerate() {
            let value = words::value(&column.pg_type, *field)?;
            self.unfits.list(&self.subject.plan.target, key, &column.target, value.as_deref(), reason(i))?;
        }
        Ok(())
    }

    // The target's row is not in the copy as it is; another one is, or none. Leaves the target's form in `there`.
    fn lacks(&mut self, fields: &[Option<&[u8]>], at: Option<&At>) -> Result<()> {
        self.applied.counts.unfit += 1;
        if let Some(at) = at {
            let cells = self.read(at)?;
            self.down.source_form(&cells, &mut self.here);
            self.applied.keeps.add(&self.here.digest());
        }
        self.down.target_form(fields, &mut self.there)?;
        self.applied.lacks.add(&self.there.digest());
        Ok(())
    }

    // The compared columns of a row, as the table's shape gives them.
    fn read(&self, at: &At) -> Result<Vec<Owned>> {
        self.rows.read_shaped(at, &self.subject.compared)?.ok_or_else(|| gone(self.subject))
    }

    // The cells that SQLite's table holds of them; NULL where a column is none of its own.
    fn raw(&self, at: &At, own: &[Owned]) -> Result<Vec<Owned>> {
        if self.subject.table.derived.is_none() {
            return Ok(own.to_vec());
        }
        let places: Vec<usize> = self.subject.carried.iter().filter_map(|c| c.to).collect();
        let mut cells = self.rows.read(at, &places)?.ok_or_else(|| gone(self.subject))?.into_iter();
        let of = |carried: &Carried| carried.to.and_then(|_| cells.next()).unwrap_or(Owned::Null);
        Ok(self.subject.carried.iter().map(of).collect())
    }

    // Cells that a person's SQL makes of the target's row. Where what it makes did not change, the source's stay.
    fn inverted(&mut self, own: Option<&[Owned]>, fields: &[Option<&[u8]>], differing: &[usize]) -> Result<Puts> {
        if self.subject.inverses.is_empty() {
            return Ok(Puts::new());
        }
        let mut new: Vec<Owned> = own.map_or_else(|| vec![Owned::Null; fields.len()], <[Owned]>::to_vec);
        for &i in differing {
            let own = own.map(|own| (&own[i], &own[i]));
            match self.down.cell(i, fields[i], own, &self.subject.carried[i])? {
                Ok((cell, _)) => new[i] = cell,
                // It is told of this column itself, once the row is read again.
                Err(_) => return Ok(Puts::new()),
            }
        }
        let names: Vec<String> = self.subject.plan.compared().map(|c| c.source.clone()).collect();
        let expressions: Vec<&str> = self.subject.inverses.iter().map(|(_, sql)| sql.as_str()).collect();
        let made = self.rows.evaluate(&expressions, &names, &new)?;
        let before = own.map(|own| self.rows.evaluate(&expressions, &names, own)).transpose()?;
        let is_new = |n: &usize| before.as_ref().is_none_or(|before| !is_same(&before[*n], &made[*n]));
        let put = |n: usize| (None, self.subject.inverses[n].0, made[n].clone());
        Ok((0..made.len()).filter(is_new).map(put).collect())
    }

    // Why a column that is not written is another than PostgreSQL's.
    fn computed(&self, column: usize) -> Reason {
        if self.subject.carried[column].to.is_none() { Reason::OneWay } else { Reason::Computed }
    }

    fn differing(&mut self, cells: &[Owned], fields: &[Option<&[u8]>]) -> Result<Vec<usize>> {
        differing(&mut self.down, cells, fields, &mut self.here, &mut self.there)
    }
}

fn name<'s>(subject: &'s Subject<'_>, column: usize) -> &'s str {
    subject.plan.compared().nth(column).map_or("", |c| c.target.as_str())
}

// The compared columns that are not the same on both sides.
fn differing(
    down: &mut Down<'_>,
    cells: &[Owned],
    fields: &[Option<&[u8]>],
    here: &mut Form,
    there: &mut Form,
) -> Result<Vec<usize>> {
    down.source_form(cells, here);
    down.target_form(fields, there)?;
    let sides = form::cells(here.bytes()).zip(form::cells(there.bytes()));
    Ok(sides.enumerate().filter(|(_, (a, b))| a != b).map(|(i, _)| i).collect())
}

fn judged(differing: Vec<usize>, written: &[usize], misfits: &Misfits) -> Outcome {
    let new: Vec<usize> = differing.into_iter().filter(|i| misfits.iter().all(|(m, _)| m != i)).collect();
    let altered: Vec<usize> = new.iter().copied().filter(|i| written.contains(i)).collect();
    if altered.is_empty() { Outcome::Done(new) } else { Outcome::Altered(altered) }
}

// A row that the shape does not take would not be on the target.
fn left_out() -> Objection {
    let words = "the pipeline would leave it out, or set it aside".to_owned();
    Objection { is_unique: false, words }
}

#[cold]
fn gone(subject: &Subject<'_>) -> Error {
    Error::new(Kind::Bug, format!("a row of `{}` is not where it was", subject.plan.source))
        .state("nothing was restored; the source and earlier files are as they were")
}
