//! Writes of every kind, made in PostgreSQL and by SQLite itself in a copy of the source.

use super::rows::{Pair, Row, cell};
use crate::error::Result;
use crate::model::cell::Owned;
use crate::model::plan::Plan;
use crate::model::policy::Places;
use crate::model::rehearsal::{Made, Over, Writes};
use crate::model::reshape::Reshape;
use crate::model::source::{Catalog, RowKey};
use crate::postgres::drill::{self, Written};
use crate::postgres::{Pool, Session, Transaction, catalog};
use crate::sqlite::Reader;
use crate::sqlite::alike::is_same;
use crate::sqlite::mirror::Mirror;
use crate::sqlite::restore::At;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What is written into which column.
type Cells = Vec<(usize, Made)>;

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
    unlike: BTreeMap<String, u64>,
    /// Tables whose rows have no key, with the rows of them that were written: any of several equal ones may be meant.
    pub(super) keyless: BTreeMap<String, u64>,
}

/// Rows that the migration set aside, by table on the target.
pub type Aside = HashMap<String, Places>;

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
const STEP: i64 = 1_009;

impl<'a> Sides<'a> {
    /// The tables that both sides can write to, in the plan's order; the names of the others.
    fn pairs(&self) -> (Vec<Pair<'a>>, Vec<String>) {
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

// Whether a row that was set aside is the same one whatever is written to others.
const fn is_told_by_rowid(pair: &Pair<'_>) -> bool {
    matches!(pair.base.row_key, RowKey::Rowid { .. })
}

// Who writes to one table.
struct Hand<'a> {
    pair: &'a Pair<'a>,
    mirror: &'a Mirror,
    tx: &'a Transaction<'a>,
    schema: &'a str,
    done: &'a mut Done,
}

impl<'a> Hand<'a> {
    fn table(&mut self, rows: &[Row], deletes: bool, number: i64) -> Result<()> {
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

    fn update(&mut self, row: &Row, from: &Row, column: usize, made: &Made) -> Result<bool> {
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

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
