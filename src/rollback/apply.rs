//! The rows of one table that differ, written into the copy: deletions first, then changes, then new rows.
//!
//! A cell that means the same on both sides is not touched. What was written is read back, and stays only where the
//! verifier reads in it what the target holds. A row that finds its place taken waits until the others have moved.

use super::differ::Subject;
use super::down::Down;
use super::export::Unfits;
use super::habit::Habit;
use super::words;
use crate::error::{Error, Kind, Result};
use crate::model::cell::Owned;
use crate::model::digest::SetDigest;
use crate::model::restored::{Reason, TableRestored};
use crate::model::source::RowKey;
use crate::postgres::decode::Fields;
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
    look: &dyn Fn() -> Result<()>,
) -> Result<Applied> {
    let (alone, both, _) = stage.counts(number)?;
    let counts = TableRestored {
        source: subject.plan.source.clone(),
        table: subject.plan.target.clone(),
        unchanged: source_rows.saturating_sub(alone + both),
        deleted: alone,
        ..TableRestored::default()
    };
    let is_stored = |i: &usize| subject.table.columns[*i].generated.is_none();
    let writable: Vec<bool> =
        subject.plan.compared().zip(&subject.compared).map(|(c, i)| c.generated.is_none() && is_stored(i)).collect();
    let mut work = Work {
        rows: writer.rows(subject.table),
        down: Down::new(subject.plan, subject.table, habits)?,
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
    down: Down,
    subject: &'a Subject<'a>,
    /// Which of the compared columns can be written.
    writable: Vec<bool>,
    unfits: &'a mut Unfits,
    applied: Applied,
    /// Scratch memory: the form of SQLite's row, and of the target's.
    here: Form,
    there: Form,
}

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
        let fields = self.fields(row)?;
        let own = self.read(at)?;
        let (mut set, mut misfits) = (Vec::new(), Misfits::new());
        for i in self.differing(&own, &fields)? {
            if !self.writable[i] {
                continue;
            }
            match self.down.cell(i, fields[i], Some(&own[i]))? {
                Ok(cell) => set.push((i, cell)),
                Err(reason) => misfits.push((i, reason)),
            }
        }
        loop {
            match self.update(at, &own, &set, &fields, &misfits)? {
                Outcome::Done(computed) => {
                    misfits.extend(computed.into_iter().map(|i| (i, Reason::Computed)));
                    let now = self.moved(at, &set);
                    return self.done(&now, &fields, &misfits);
                }
                Outcome::Objected(objection) if objection.is_unique => return stage.put_later(at, row),
                Outcome::Objected(objection) => return self.refused(&fields, Some(at), &objection),
                Outcome::Altered(columns) => {
                    set.retain(|(i, _)| !columns.contains(i));
                    misfits.extend(columns.into_iter().map(|i| (i, Reason::Affinity)));
                }
            }
        }
    }

    fn update(
        &mut self,
        at: &At,
        own: &[Owned],
        set: &[(usize, Owned)],
        fields: &[Option<&[u8]>],
        misfits: &Misfits,
    ) -> Result<Outcome> {
        let columns: Vec<usize> = set.iter().map(|(i, _)| self.subject.compared[*i]).collect();
        let cells: Vec<Owned> = set.iter().map(|(_, cell)| cell.clone()).collect();
        let now = self.moved(at, set);
        let written: Vec<usize> = set.iter().map(|(i, _)| *i).collect();
        let (rows, subject, down) = (&self.rows, self.subject, &mut self.down);
        let (here, there) = (&mut self.here, &mut self.there);
        let writable = &self.writable;
        let mut outcome = Outcome::Done(Vec::new());
        rows.attempt(|| {
            if !columns.is_empty()
                && let Some(objection) = rows.update(at, &columns, &cells)?
            {
                outcome = Outcome::Objected(objection);
                return Ok(false);
            }
            let cells = rows.read(&now, &subject.compared)?.ok_or_else(|| gone(subject))?;
            // SQLite stores the whole row anew: a cell that the declared type was put upon later would follow it now.
            let kept = |i: &usize| writable[*i] && !written.contains(i);
            if let Some(i) = (0..cells.len()).filter(kept).find(|&i| !is_same(&cells[i], &own[i])) {
                let words = format!("its cell of `{}` would be stored as another one", name(subject, i));
                outcome = Outcome::Objected(Objection { is_unique: false, words });
                return Ok(false);
            }
            outcome = judged(differing(down, &cells, fields, here, there)?, &written, misfits);
            Ok(!matches!(outcome, Outcome::Altered(_)))
        })?;
        Ok(outcome)
    }

    // Where a row is reached once these cells are written.
    fn moved(&self, at: &At, set: &[(usize, Owned)]) -> At {
        let written = |column: usize| set.iter().find(|(i, _)| self.subject.compared[*i] == column).map(|(_, c)| c);
        match (at, &self.subject.table.row_key) {
            (At::Rowid(_), RowKey::Rowid { column: Some(column), .. }) => match written(*column) {
                Some(Owned::Integer(rowid)) => At::Rowid(*rowid),
                _ => at.clone(),
            },
            (At::Rowid(_), _) => at.clone(),
            (At::Key(cells), _) => {
                let key = self.subject.table.primary_key.iter().zip(cells);
                At::Key(key.map(|(column, cell)| written(*column).unwrap_or(cell).clone()).collect())
            }
        }
    }

    // Rows whose place was taken: all of them leave first, then each comes back as it shall be.
    fn later(&mut self, stage: &Stage) -> Result<()> {
        let stored = self.rows.stored().to_vec();
        let mut last = 0;
        while let Some(later) = stage.next_later(last)? {
            let cells = self.rows.read(&later.at, &stored)?.ok_or_else(|| gone(self.subject))?;
            stage.keep_cells(later.n, &cells)?;
            self.rows.delete(&later.at)?;
            last = later.n;
        }
        last = 0;
        while let Some(later) = stage.next_later(last)? {
            self.come_back(&later.at, &later.row, &stored, &later.cells)?;
            last = later.n;
        }
        stage.forget_later()
    }

    fn come_back(&mut self, at: &At, row: &[u8], stored: &[usize], was: &[Owned]) -> Result<()> {
        let fields = self.fields(row)?;
        let rowid = match (at, &self.subject.table.row_key) {
            (At::Rowid(rowid), RowKey::Rowid { column: None, .. }) => Some(*rowid),
            _ => None,
        };
        let place = |column: usize| stored.iter().position(|s| *s == column);
        let own: Vec<Owned> =
            self.subject.compared.iter().map(|c| place(*c).map_or(Owned::Null, |n| was[n].clone())).collect();
        let (mut cells, mut written, mut misfits) = (was.to_vec(), Vec::new(), Misfits::new());
        for i in self.differing(&own, &fields)? {
            let Some(n) = place(self.subject.compared[i]).filter(|_| self.writable[i]) else { continue };
            match self.down.cell(i, fields[i], Some(&own[i]))? {
                Ok(cell) => {
                    cells[n] = cell;
                    written.push(i);
                }
                Err(reason) => misfits.push((i, reason)),
            }
        }
        loop {
            match self.put(rowid, stored, &cells, &fields, &written, &misfits)? {
                (Outcome::Done(computed), Some(now)) => {
                    misfits.extend(computed.into_iter().map(|i| (i, Reason::Computed)));
                    return self.done(&now, &fields, &misfits);
                }
                (Outcome::Objected(objection), _) => {
                    // The row as it was is better than none, where it still has a place.
                    let back = self.rows.insert(rowid, stored, was)?.ok();
                    return self.refused(&fields, back.as_ref(), &objection);
                }
                (Outcome::Altered(columns) | Outcome::Done(columns), _) => {
                    for i in &columns {
                        if let Some(n) = place(self.subject.compared[*i]) {
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
        let fields = self.fields(row)?;
        let (mut columns, mut cells, mut written, mut misfits) = (Vec::new(), Vec::new(), Vec::new(), Misfits::new());
        for (i, field) in fields.iter().enumerate().filter(|(i, _)| self.writable[*i]) {
            match self.down.cell(i, *field, None)? {
                Ok(cell) => {
                    columns.push(self.subject.compared[i]);
                    cells.push(cell);
                    written.push(i);
                }
                Err(reason) => misfits.push((i, reason)),
            }
        }
        if misfits.is_empty() {
            match self.put(None, &columns, &cells, &fields, &written, &misfits)? {
                (Outcome::Done(computed), Some(_)) if computed.is_empty() => {
                    self.applied.counts.inserted += 1;
                    return Ok(());
                }
                (Outcome::Done(computed), Some(now)) => {
                    let misfits: Misfits = computed.into_iter().map(|i| (i, Reason::Computed)).collect();
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
        columns: &[usize],
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
            let is_kept = |n: &usize| !written.iter().any(|i| subject.compared[*i] == columns[*n]);
            if (0..columns.len()).filter(is_kept).any(|n| !is_same(&stored[n], &cells[n])) {
                let words = "another cell of it would be stored as another one".to_owned();
                outcome = Outcome::Objected(Objection { is_unique: false, words });
                return Ok(false);
            }
            let cells = rows.read(&at, &subject.compared)?.ok_or_else(|| gone(subject))?;
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

    fn read(&self, at: &At) -> Result<Vec<Owned>> {
        self.rows.read(at, &self.subject.compared)?.ok_or_else(|| gone(self.subject))
    }

    fn differing(&mut self, cells: &[Owned], fields: &[Option<&[u8]>]) -> Result<Vec<usize>> {
        differing(&mut self.down, cells, fields, &mut self.here, &mut self.there)
    }

    fn fields<'r>(&self, row: &'r [u8]) -> Result<Vec<Option<&'r [u8]>>> {
        let wrong = || Error::new(Kind::Bug, "a kept row does not have the fields that it was kept with");
        let width = self.subject.compared.len();
        let mut fields = Fields::of(row, u16::try_from(width).map_err(|_| wrong())?).ok_or_else(wrong)?;
        (0..width).map(|_| fields.next().ok_or_else(wrong)).collect()
    }
}

fn name<'s>(subject: &'s Subject<'_>, column: usize) -> &'s str {
    subject.plan.compared().nth(column).map_or("", |c| c.target.as_str())
}

// The compared columns that are not the same on both sides.
fn differing(
    down: &mut Down,
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

// The same class and bytes: -0.0 is another cell than 0.0.
fn is_same(a: &Owned, b: &Owned) -> bool {
    match (a, b) {
        (Owned::Real(a), Owned::Real(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

fn judged(differing: Vec<usize>, written: &[usize], misfits: &Misfits) -> Outcome {
    let new: Vec<usize> = differing.into_iter().filter(|i| misfits.iter().all(|(m, _)| m != i)).collect();
    let altered: Vec<usize> = new.iter().copied().filter(|i| written.contains(i)).collect();
    if altered.is_empty() { Outcome::Done(new) } else { Outcome::Altered(altered) }
}

#[cold]
fn gone(subject: &Subject<'_>) -> Error {
    Error::new(Kind::Bug, format!("a row of `{}` is not where it was", subject.plan.source))
        .state("nothing was restored; the source and earlier files are as they were")
}
