//! Writes of every kind to one table, each made by SQLite and by PostgreSQL, and kept only where both took it.

use super::rows::{Pair, Row, cell};
use super::writes::Done;
use crate::error::Result;
use crate::model::cell::Owned;
use crate::model::rehearsal::{Made, Over};
use crate::model::source::RowKey;
use crate::postgres::Transaction;
use crate::postgres::drill::Written;
use crate::sqlite::alike::is_same;
use crate::sqlite::mirror::Mirror;
use crate::sqlite::restore::At;

/// What is written into which column.
type Cells = Vec<(usize, Made)>;

/// Where a row lies once it is written.
enum Lies {
    /// Here.
    At(At),
    /// Where SQLite put it, unless that is its key.
    Last,
    /// It is not there any more.
    Nowhere,
}

/// What is between two numbers that a write adds, so that no two of them meet.
pub const STEP: i64 = 1_009;

/// Who writes to one table.
pub struct Hand<'a> {
    /// The table.
    pub pair: &'a Pair<'a>,
    /// SQLite's copy.
    pub mirror: &'a Mirror,
    /// PostgreSQL.
    pub tx: &'a Transaction<'a>,
    /// The schema there.
    pub schema: &'a str,
    /// What was written so far.
    pub done: &'a mut Done,
}

impl<'a> Hand<'a> {
    /// Writes of every kind; with or without deletes and other keys, with numbers of this table's own.
    pub fn table(&mut self, rows: &[Row], deletes: bool, number: i64) -> Result<()> {
        let Some(first) = rows.first() else { return Ok(()) };
        let by = STEP * (number + 2);
        // Below 1 the two count from different numbers.
        let takes_new = self.new_rows(rows, first, by)?;
        if self.pair.computed_here_only().is_none() {
            self.upsert(first)?;
        }
        // The last ones go, the ones before them get other keys.
        let (gone, moved) = match rows.len() {
            0 | 1 => (rows.len(), rows.len()),
            n @ 2..=5 => (n - 1, (n - 2).max(1)),
            n => (n - 2, n - 4),
        };
        match self.pair.computed_here_only() {
            None => self.columns(&rows[..moved.max(1)], by)?,
            Some(name) => self.done.told.push(format!(
                "no column of `{}` is written alone: SQLite computes `{name}`, and PostgreSQL does not",
                self.pair.base.name
            )),
        }
        if deletes {
            // To the way back, a row under another key is a new one.
            for row in rows[moved.min(gone)..gone].iter().filter(|_| takes_new) {
                self.moved(row, by)?;
            }
            // What is rolled back leaves no trace, and so needs no counterpart.
            let savepoint = self.tx.savepoint("undone")?;
            self.written().delete(self.tx, &first.address)?;
            savepoint.back()?;
            for row in rows.get(gone..).unwrap_or_default() {
                self.delete(row)?;
            }
        }
        Ok(())
    }

    // New rows; whether there can be any, as far as the pipeline tells.
    fn new_rows(&mut self, rows: &[Row], first: &Row, by: i64) -> Result<bool> {
        let table = self.pair.base.name.clone();
        if let Some(column) = self.pair.without_inverse() {
            let words = format!("the pipeline computes `{column}`, and states no `inverse`");
            self.done.told.push(format!("no row is inserted into `{table}`: {words}"));
            return Ok(false);
        }
        let before = (self.done.writes.inserts, self.done.unlike.get(&table).copied());
        if rows.iter().any(|row| matches!(row.at, At::Rowid(1..))) {
            self.numbered(first)?;
        }
        self.fresh(first, by)?;
        Ok(self.done.writes.inserts > before.0 || self.done.unlike.get(&table).copied() == before.1)
    }

    fn written<'s>(&self) -> Written<'s>
    where
        'a: 's,
    {
        Written { schema: self.schema, plan: self.pair.plan }
    }

    // Whether both sides did it to one row. Otherwise nothing of it stays on either.
    fn both(
        &mut self,
        here: impl FnOnce() -> Result<Option<usize>>,
        there: impl FnOnce() -> Result<Option<u64>>,
        (row, at, reaches_others): (&Row, Lies, bool),
    ) -> Result<bool> {
        self.mirror.mark()?;
        let before = self.mirror.written();
        let savepoint = self.tx.savepoint("on_both_sides")?;
        let is_here = here()? == Some(1) && (reaches_others || self.mirror.written() == before + 1);
        let is_taken = is_here && self.stays(row, at)? && there()? == Some(1);
        if is_taken {
            savepoint.keep()?;
        } else {
            savepoint.back()?;
        }
        self.mirror.settle(is_taken)?;
        Ok(is_taken)
    }

    // Whether a row, read through the pipeline, is still there, and has in its computed columns what PostgreSQL's has: what
    // the other row has of which it is made. Other writes have no counterpart, and none that goes back.
    fn stays(&mut self, row: &Row, at: Lies) -> Result<bool> {
        let pair = self.pair;
        if pair.shaped.derived.is_none() || matches!(at, Lies::Nowhere) {
            return Ok(true);
        }
        let at = match at {
            Lies::At(at) => at,
            _ if pair.base.without_rowid => return Ok(true),
            _ => self.mirror.last(),
        };
        let computed = pair.computed();
        let Some(places) = computed
            .iter()
            .map(|&c| pair.shaped.column_index(&pair.plan.columns[c].source))
            .collect::<Option<Vec<_>>>()
        else {
            return Ok(true);
        };
        let cells = self.mirror.read((pair.base, pair.shaped), &at, &places)?;
        let stays =
            cells.is_some_and(|cells| cells.iter().zip(&computed).all(|(cell, &c)| is_same(cell, &row.cells[c])));
        if !stays {
            *self.done.unlike.entry(pair.base.name.clone()).or_default() += 1;
        }
        Ok(stays)
    }

    // A new row for which SQLite and PostgreSQL find the number themselves.
    fn numbered(&mut self, from: &Row) -> Result<()> {
        let RowKey::Rowid { column: Some(rowid), .. } = &self.pair.base.row_key else { return Ok(()) };
        let name = &self.pair.base.columns[*rowid].name;
        let numbered = self.pair.plan.columns.iter().position(|c| c.source == *name && c.identity.is_some());
        let Some(numbered) = numbered else { return Ok(()) };
        let row = |c: usize| if c == numbered { Made::LeftOut } else { Made::Copied };
        self.insert(from, &row)
    }

    // A new row with a key of its own; once more with other values in all that is unique, where that was refused.
    fn fresh(&mut self, from: &Row, by: i64) -> Result<()> {
        let key = self.pair.key.clone();
        let one = key.iter().copied().find(|&c| !self.pair.is_child(c) && self.other(from, c, by).is_some());
        if !key.is_empty() && one.is_none() {
            return Ok(());
        }
        let before = self.done.writes.inserts;
        let made = |c: usize| one.filter(|&one| one == c).and_then(|c| self.other(from, c, by)).unwrap_or(Made::Copied);
        let made: Vec<Made> = (0..self.pair.plan.columns.len()).map(made).collect();
        self.insert(from, &|c| made[c].clone())?;
        if self.done.writes.inserts == before {
            let all: Vec<Made> = (0..made.len())
                .map(|c| match (&made[c], self.pair.is_child(c)) {
                    (Made::Copied, false) => self.other(from, c, by).unwrap_or(Made::Copied),
                    (made, _) => made.clone(),
                })
                .collect();
            self.insert(from, &|c| all[c].clone())?;
        }
        Ok(())
    }

    fn other(&self, row: &Row, column: usize, by: i64) -> Option<Made> {
        self.pair.written(column)?;
        self.pair.another(column, &row.cells[column], by)
    }

    // A row of all columns: each as the other side has it.
    fn row(&self, made: &dyn Fn(usize) -> Made) -> Option<(Cells, Cells)> {
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for (c, column) in self.pair.plan.columns.iter().enumerate().filter(|(_, c)| c.generated.is_none()) {
            there.push((c, made(c)));
            match self.pair.base.column_index(&column.source) {
                Some(at) if self.pair.base.columns[at].generated.is_none() => here.push((at, made(c))),
                // A column that only the target has holds what is computed of others.
                _ => {}
            }
        }
        // What is left out on the way: SQLite's own, or what it takes for none.
        (!here.is_empty()).then_some((here, there))
    }

    fn insert(&mut self, from: &Row, made: &dyn Fn(usize) -> Made) -> Result<()> {
        let Some((here, there)) = self.row(made) else { return Ok(()) };
        let (pair, mirror, tx, written) = (self.pair, self.mirror, self.tx, self.written());
        let lies = if pair.base.without_rowid { Lies::At(self.key_at(from, made)) } else { Lies::Last };
        let is_taken = self.both(
            || mirror.insert(pair.base, &from.at, &here, None),
            || written.insert(tx, &from.address, &there, None),
            (from, lies, false),
        )?;
        if is_taken {
            let at = if pair.base.without_rowid { self.key_at(from, made) } else { mirror.last() };
            self.done.whole.insert((pair.base.name.clone(), format!("{at:?}")));
            self.of_keyless();
        }
        count(is_taken, &mut self.done.writes.inserts, &mut self.done.writes.refused);
        Ok(())
    }

    // Where a row of a table without rowids comes to lie.
    fn key_at(&self, from: &Row, made: &dyn Fn(usize) -> Made) -> At {
        let of = |&i: &usize| {
            let name = &self.pair.base.columns[i].name;
            let column = self.pair.plan.columns.iter().position(|c| c.source.eq_ignore_ascii_case(name));
            column.map_or(Owned::Null, |c| cell(&made(c), &from.cells[c]))
        };
        At::Key(self.pair.base.primary_key.iter().map(of).collect())
    }

    // A row that is there is inserted once more, and changes instead.
    fn upsert(&mut self, row: &Row) -> Result<()> {
        let pair = self.pair;
        let written = |&c: &usize| !pair.key.contains(&c) && !pair.is_child(c) && pair.written(c).is_some();
        let changed = (0..pair.plan.columns.len()).filter(written).find(|&c| self.other(row, c, STEP).is_some());
        let Some(column) = changed.filter(|_| !pair.key.is_empty()) else { return Ok(()) };
        let new = self.other(row, column, STEP).unwrap_or(Made::Copied);
        let made = |c: usize| if c == column { new.clone() } else { Made::Copied };
        let Some((here, there)) = self.row(&made) else { return Ok(()) };
        let key: Option<Vec<usize>> =
            pair.key.iter().map(|&c| pair.base.column_index(&pair.plan.columns[c].source)).collect();
        let (Some(key), Some(at)) = (key, pair.written(column)) else { return Ok(()) };
        let (mirror, tx, written) = (self.mirror, self.tx, self.written());
        let is_taken = self.both(
            || mirror.insert(pair.base, &row.at, &here, Some(Over { key: &key, set: &[at] })),
            || written.insert(tx, &row.address, &there, Some(Over { key: &pair.key, set: &[column] })),
            (row, Lies::At(row.at.clone()), false),
        )?;
        if is_taken {
            self.touch(row, column);
        }
        count(is_taken, &mut self.done.writes.upserts, &mut self.done.writes.refused);
        Ok(())
    }

    // Each column alone: another row's cell, another value, NULL.
    fn columns(&mut self, rows: &[Row], by: i64) -> Result<()> {
        for column in 0..self.pair.plan.columns.len() {
            if self.pair.key.contains(&column) || self.pair.written(column).is_none() {
                continue;
            }
            let row = &rows[column % rows.len()];
            if let Some(from) = rows.iter().find(|r| r.cells[column] != row.cells[column]) {
                self.update(row, from, column, &Made::Copied)?;
            }
            let row = &rows[(column + 1) % rows.len()];
            if let Some(made) =
                self.pair.another(column, &row.cells[column], by).filter(|_| !self.pair.is_child(column))
            {
                self.update(row, row, column, &made)?;
            }
            let row = &rows[(column + 2) % rows.len()];
            if row.cells[column] != Owned::Null && self.pair.may_be_null(column) {
                self.update(row, row, column, &Made::New(Owned::Null))?;
            }
        }
        Ok(())
    }

    /// Gives one column of a row another cell; whether both sides took it.
    pub fn update(&mut self, row: &Row, from: &Row, column: usize, made: &Made) -> Result<bool> {
        let Some(at) = self.pair.written(column) else { return Ok(false) };
        // Rows without a key are found by what they hold, which is another by now.
        if self.pair.key.is_empty() && self.is_touched(row) {
            return Ok(false);
        }
        if self.pair.key.is_empty() && self.is_touched(from) {
            return Ok(false);
        }
        let (pair, mirror, tx, written) = (self.pair, self.mirror, self.tx, self.written());
        let is_taken = self.both(
            || mirror.update(pair.base, &row.at, &from.at, &[(at, made.clone())]),
            || written.update(tx, (&row.address, &from.address), &[(column, made.clone())]),
            (row, Lies::At(row.at.clone()), false),
        )?;
        if is_taken {
            self.touch(row, column);
        }
        count(is_taken, &mut self.done.writes.updates, &mut self.done.writes.refused);
        Ok(is_taken)
    }

    fn is_touched(&self, row: &Row) -> bool {
        self.done.whole.contains(&(self.pair.base.name.clone(), format!("{:?}", row.at)))
    }

    fn touch(&mut self, row: &Row, column: usize) {
        let at = (self.pair.base.name.clone(), format!("{:?}", row.at));
        if self.pair.key.is_empty() {
            self.done.whole.insert(at);
            self.of_keyless();
            return;
        }
        self.done.cells.insert((at.0, at.1, self.pair.plan.columns[column].source.clone()));
    }

    fn of_keyless(&mut self) {
        if self.pair.key.is_empty() {
            *self.done.keyless.entry(self.pair.base.name.clone()).or_default() += 1;
        }
    }

    // Another key. Where foreign keys follow it, rows of other tables get other keys too; such a row is left alone.
    fn moved(&mut self, row: &Row, by: i64) -> Result<()> {
        let pair = self.pair;
        let key = pair.key.iter().copied().filter(|&c| !pair.is_child(c));
        let Some(column) = key.clone().find(|&c| self.other(row, c, by + 1).is_some()) else { return Ok(()) };
        let (Some(made), Some(at)) = (self.other(row, column, by + 1), pair.written(column)) else { return Ok(()) };
        let (mirror, tx, written) = (self.mirror, self.tx, self.written());
        let is_rowid = pair.base.rowid_column() == Some(at);
        let now = match (&row.at, cell(&made, &row.cells[column])) {
            (At::Rowid(_), Owned::Integer(rowid)) if is_rowid => At::Rowid(rowid),
            (At::Rowid(_), _) => row.at.clone(),
            (At::Key(_), _) => self.key_at(row, &|c| if c == column { made.clone() } else { Made::Copied }),
        };
        let is_taken = self.both(
            || mirror.update(pair.base, &row.at, &row.at, &[(at, made.clone())]),
            || written.update(tx, (&row.address, &row.address), &[(column, made.clone())]),
            (row, Lies::At(now.clone()), false),
        )?;
        if is_taken {
            self.done.whole.insert((pair.base.name.clone(), format!("{now:?}")));
            self.done.moved.insert(pair.base.name.clone());
        }
        count(is_taken, &mut self.done.writes.moves, &mut self.done.writes.refused);
        Ok(())
    }

    fn delete(&mut self, row: &Row) -> Result<()> {
        if self.pair.key.is_empty() && self.is_touched(row) {
            return Ok(());
        }
        let (pair, mirror, tx, written) = (self.pair, self.mirror, self.tx, self.written());
        let is_taken = self.both(
            || mirror.delete(pair.base, &row.at),
            || written.delete(tx, &row.address),
            (row, Lies::Nowhere, true),
        )?;
        if is_taken {
            self.of_keyless();
        }
        count(is_taken, &mut self.done.writes.deletes, &mut self.done.writes.refused);
        Ok(())
    }
}

fn count(is_taken: bool, taken: &mut u64, refused: &mut u64) {
    *if is_taken { taken } else { refused } += 1;
}
