//! Which rows differ: buckets of keys first, then the rows in those that differ, kept in a scratch file.
//!
//! Reads each side of a table that differs twice. Memory stays the same whatever was changed.

use super::carry::{Carried, inverses};
use super::habit::Habit;
use crate::error::{Error, Kind, Result};
use crate::model::cell::Owned;
use crate::model::digest::{RowDigest, SetDigest};
use crate::model::plan::TablePlan;
use crate::model::policy::Place;
use crate::model::range::Range;
use crate::model::reshape::TableShape;
use crate::model::source::{RowKey, Table};
use crate::postgres::Transaction;
use crate::postgres::decode::{Fields, Rows};
use crate::postgres::read::{Chunk, copy_out};
use crate::sqlite::restore::At;
use crate::sqlite::stage::{Hash, Stage};
use crate::sqlite::{Flow, Reader, RowRef, TableScan};
use crate::verify::form::Form;
use crate::verify::found::Finder;
use crate::verify::locate::Key;
use crate::verify::source::SourceDigest;
use std::collections::HashSet;

/// Buckets that keys are spread over by their hash: 40 bytes each, for each hand that reads. The more there are, the
/// fewer rows share theirs with one that was changed, and have to be kept.
const BUCKETS: usize = 1 << 16;

/// Rows between two calls of the watcher.
const ROWS_PER_LOOK: u64 = 4096;

/// A table that differs.
pub struct Subject<'a> {
    /// What was planned for it.
    pub plan: &'a TablePlan,
    /// What SQLite says of it, in the shape in which it is read.
    pub table: &'a Table,
    /// The table that is written to.
    pub base: &'a Table,
    /// How each of the compared columns goes back.
    pub carried: Vec<Carried>,
    /// Columns of the base whose cells a person's SQL makes.
    pub inverses: Vec<(usize, String)>,
    /// Which rows are the same row.
    pub key: Key,
    /// The positions of the compared columns in the table as it is read.
    pub compared: Vec<usize>,
    /// Rows that the migration set aside: the target never had them, and they stay.
    pub aside: Option<&'a HashSet<Place>>,
    pub(super) scan: TableScan,
}

impl<'a> Subject<'a> {
    /// A table of the plan, the same of SQLite as it is read and as it is written to, and what makes one of the other.
    pub fn new(
        plan: &'a TablePlan,
        (table, base): (&'a Table, &'a Table),
        shape: Option<&TableShape>,
        aside: Option<&'a HashSet<Place>>,
    ) -> Result<Self> {
        if matches!(base.row_key, RowKey::None) {
            return Err(Error::new(
                Kind::Blocked,
                format!("the rows of `{}` cannot be reached one by one", table.name),
            )
            .fact("its columns take all three names of SQLite's rowid: `rowid`, `_rowid_` and `oid`")
            .state("nothing was restored; the source and earlier files are as they were")
            .hint(format!("`--leave '{}'` leaves the table as the source has it", table.name)));
        }
        Self::to_read(plan, (table, base), shape, aside)
    }

    /// The same of a table that nothing is written to.
    pub fn to_read(
        plan: &'a TablePlan,
        (table, base): (&'a Table, &'a Table),
        shape: Option<&TableShape>,
        aside: Option<&'a HashSet<Place>>,
    ) -> Result<Self> {
        let position = |name: &str| {
            table.column_index(name).ok_or_else(|| {
                Error::new(Kind::Blocked, format!("the source has no column `{}.{name}` any more", table.name))
                    .state("nothing was restored")
            })
        };
        let compared = plan.compared().map(|c| position(&c.source)).collect::<Result<Vec<_>>>()?;
        // Behind them what reaches a row of a table without rowids.
        let mut read = compared.clone();
        if base.without_rowid {
            let place = |&i: &usize| position(&base.columns[i].name);
            read.extend(base.primary_key.iter().map(place).collect::<Result<Vec<_>>>()?);
        }
        let carried = plan.compared().map(|column| Carried::of(shape, base, column)).collect();
        let (key, scan) = (Key::of(plan), TableScan::new(table, &read));
        Ok(Self { plan, table, base, carried, inverses: inverses(shape, base), key, scan, compared, aside })
    }

    pub(super) fn place(&self, key: i64, row: &RowRef<'_>) -> At {
        if !self.base.without_rowid {
            return At::Rowid(key);
        }
        let cells = (self.compared.len()..row.len()).map(|i| Owned::from(row.cell(i)));
        At::Key(cells.collect())
    }
}

/// The fields of a row of the target, as it was kept.
pub(super) fn fields_of<'r>(subject: &Subject<'_>, row: &'r [u8]) -> Result<Vec<Option<&'r [u8]>>> {
    let wrong = || Error::new(Kind::Bug, "a kept row does not have the fields that it was kept with");
    let width = subject.compared.len();
    let mut fields = Fields::of(row, u16::try_from(width).map_err(|_| wrong())?).ok_or_else(wrong)?;
    (0..width).map(|_| fields.next().ok_or_else(wrong)).collect()
}

/// The rows of one side by their keys, added up.
pub struct Buckets(Vec<SetDigest>);

impl Default for Buckets {
    fn default() -> Self {
        Self(vec![SetDigest::default(); BUCKETS])
    }
}

impl Buckets {
    fn add(&mut self, key: &Hash, row: &RowDigest) {
        self.0[bucket(key)].add(row);
    }

    /// Puts the rows of another part of the same side in.
    pub fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| a.merge(b));
    }

    /// Which buckets differ.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<bool> {
        self.0.iter().zip(&other.0).map(|(a, b)| a != b).collect()
    }
}

fn bucket(key: &Hash) -> usize {
    usize::from(u16::from_be_bytes([key[0], key[1]]))
}

pub(super) fn hash_of(row: &RowDigest) -> Hash {
    row.0[..16].try_into().expect("a digest is 32 bytes")
}

/// SQLite's rows by their keys, and what its cells look like.
pub fn source_buckets(
    subject: &Subject<'_>,
    reader: &Reader,
    look: &dyn Fn() -> Result<()>,
) -> Result<(Buckets, Vec<Habit>)> {
    let (mut buckets, mut digest) = (Buckets::default(), SourceDigest::new(subject.plan)?.without(subject.aside));
    let mut habits: Vec<Habit> = subject.plan.compared().map(Habit::of).collect();
    let mut rows = 0_u64;
    reader.scan(&subject.scan, Range::ALL, None, |key, row| {
        if digest.takes(key) {
            let form = digest.form(row);
            buckets.add(&subject.key.hash(form.bytes()), &form.digest());
        }
        for (i, habit) in habits.iter_mut().enumerate() {
            habit.see(row.cell(i));
        }
        rows += 1;
        if rows.is_multiple_of(ROWS_PER_LOOK) {
            look()?;
        }
        Ok(Flow::Continue)
    })?;
    Ok((buckets, habits))
}

/// The rows of a chunk of the target by their keys.
pub fn target_buckets(
    subject: &Subject<'_>,
    tx: &mut Transaction<'_>,
    schema: &str,
    chunk: Chunk,
    look: &dyn Fn() -> Result<()>,
) -> Result<Buckets> {
    let mut buckets = Buckets::default();
    each_target_row(subject.plan, tx, schema, chunk, look, |form, _| {
        buckets.add(&subject.key.hash(form.bytes()), &form.digest());
        Ok(())
    })?;
    Ok(buckets)
}

/// Keeps SQLite's rows of the buckets that differ; gives the digest of those that were set aside.
pub fn stage_source(
    subject: &Subject<'_>,
    reader: &Reader,
    differing: &[bool],
    (stage, number): (&Stage, usize),
    look: &dyn Fn() -> Result<()>,
) -> Result<SetDigest> {
    stage.begin(number)?;
    let mut digest = SourceDigest::new(subject.plan)?.without(subject.aside);
    let mut aside = SetDigest::default();
    let mut rows = 0_u64;
    reader.scan(&subject.scan, Range::ALL, None, |key, row| {
        rows += 1;
        if rows.is_multiple_of(ROWS_PER_LOOK) {
            look()?;
        }
        let is_taken = digest.takes(key);
        let form = digest.form(row);
        if !is_taken {
            aside.add(&form.digest());
            return Ok(Flow::Continue);
        }
        let hash = subject.key.hash(form.bytes());
        if differing[bucket(&hash)] {
            stage.put_source(number, &hash, &hash_of(&form.digest()), &subject.place(key, row))?;
        }
        Ok(Flow::Continue)
    })?;
    stage.sort(number)?;
    Ok(aside)
}

/// Takes out of the stage what the target has alike, keeps what it has otherwise, and pairs the rest.
pub fn stage_target(
    subject: &Subject<'_>,
    tx: &mut Transaction<'_>,
    schema: &str,
    differing: &[bool],
    (stage, number): (&Stage, usize),
    look: &dyn Fn() -> Result<()>,
) -> Result<()> {
    each_target_row(subject.plan, tx, schema, Chunk::WHOLE, look, |form, bytes| {
        let hash = subject.key.hash(form.bytes());
        if !differing[bucket(&hash)] {
            return Ok(());
        }
        if !stage.take_alike(number, &hash, &hash_of(&form.digest()))? {
            stage.put_target(number, &hash, bytes)?;
        }
        Ok(())
    })?;
    stage.pair(number)
}

// Each row of a chunk: its form, and the bytes of its fields.
pub(super) fn each_target_row(
    plan: &TablePlan,
    tx: &mut Transaction<'_>,
    schema: &str,
    chunk: Chunk,
    look: &dyn Fn() -> Result<()>,
    mut row: impl FnMut(&Form, &[u8]) -> Result<()>,
) -> Result<()> {
    let sql = copy_out(schema, plan, chunk);
    let mut copy = tx.copy_out(&sql)?;
    let (mut rows, mut finder, mut form) = (Rows::default(), Finder::new(plan.compared()), Form::default());
    let mut seen = 0_u64;
    while let Some(piece) = copy.next()? {
        rows.feed(&piece, |fields| {
            let bytes = fields.bytes();
            form.clear();
            finder.row(fields, &mut form)?;
            row(&form, bytes)
        })?;
        seen += 1;
        if seen.is_multiple_of(ROWS_PER_LOOK) {
            look()?;
        }
    }
    rows.finish()
}
