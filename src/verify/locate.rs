//! Where two tables differ: the rows by key, the cells by column.
//!
//! Reads both sides again, twice or more: to find the rows that differ (`surplus`), then their cells. Memory is bounded by
//! what is held at once, whatever the table's size and however wrong it is.

mod sketch;
mod surplus;

use self::surplus::{Surplus, parts, row_hash};
use super::form::{self, Form};
use super::show;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::bounds::{LOCATE_BYTES_MAX, LOCATE_HELD_MAX, REPAIR_ROWS_MAX};
use crate::model::plan::TablePlan;
use crate::model::verdict::{CellDifference, Difference, Differences, Kind};
use std::collections::HashSet;

/// One side of the comparison, which can be read as often as needed and is the same each time.
pub trait Side {
    /// Hands out each row: its form, and what shows the cell of a column.
    fn each(&mut self, row: &mut EachRow<'_>) -> Result<()>;
}

/// What is called with each row: its form, and what shows the cell of a column.
pub type EachRow<'a> = dyn FnMut(&Form, &dyn Fn(usize) -> String) -> Result<()> + 'a;

/// Which rows are the same row: the positions of the key among the compared columns.
#[derive(Debug, Clone)]
pub struct Key {
    columns: Vec<usize>,
    names: Vec<String>,
}

/// What is wanted of a search.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The search ends after this many rows.
    pub rows_max: u64,
    /// Whether values are told.
    pub values: bool,
}

/// What stands for the key of a row, or for the row where its table has no key.
pub type Hash = [u8; 16];

impl Key {
    /// The key of a table: its primary key where all of it is compared, else the whole row.
    #[must_use]
    pub fn of(table: &TablePlan) -> Self {
        let position = |name: &String| table.compared().position(|c| c.target == *name);
        let key = table.primary_key.as_ref().map_or(&[][..], |k| &k.columns);
        Self::new(table, key.iter().map(position).collect::<Option<Vec<_>>>().unwrap_or_default())
    }

    /// The key made of these columns, by their names on the target.
    pub fn stated(table: &TablePlan, names: &[String]) -> Result<Self> {
        let mut columns = Vec::new();
        for name in names {
            let found = table.compared().position(|c| c.target == *name || c.source == *name);
            columns.push(found.ok_or_else(|| {
                Error::new(ErrorKind::Usage, format!("`{}` has no column `{name}` to tell rows apart by", table.target))
            })?);
        }
        Ok(Self::new(table, columns))
    }

    fn new(table: &TablePlan, columns: Vec<usize>) -> Self {
        let names: Vec<String> = table.compared().map(|c| c.target.clone()).collect();
        Self { columns, names }
    }

    /// Whether rows are told apart by some of their columns, and not only as a whole.
    #[must_use]
    pub fn has_columns(&self) -> bool {
        !self.columns.is_empty()
    }

    /// The positions of the key among the compared columns; none where the whole row is its key.
    #[must_use]
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// What stands for the key of the row with this form.
    #[must_use]
    pub fn hash(&self, form: &[u8]) -> Hash {
        if self.columns.is_empty() {
            return short(blake3::hash(form));
        }
        let mut hasher = blake3::Hasher::new();
        for &column in &self.columns {
            hasher.update(form::cells(form).nth(column).expect("a form has all compared columns"));
        }
        short(hasher.finalize())
    }

    /// The key of the row with this form, as `column=value`; empty where there is none.
    #[must_use]
    pub fn words(&self, form: &[u8]) -> String {
        let cells: Vec<&[u8]> = form::cells(form).collect();
        let word = |&column: &usize| format!("{}={}", self.names[column], show::cell(cells[column]));
        self.columns.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

fn short(hash: blake3::Hash) -> Hash {
    hash.as_bytes()[..16].try_into().expect("a hash is 32 bytes")
}

/// The two sides of a table.
pub struct Sides<'a> {
    /// SQLite's rows, as the target must hold them.
    pub source: &'a mut dyn Side,
    /// The target's rows.
    pub target: &'a mut dyn Side,
}

impl Sides<'_> {
    // All rows of both: whether it is the source's, its form, and what shows its cells.
    fn each(&mut self, mut row: impl FnMut(bool, &Form, &dyn Fn(usize) -> String) -> Result<()>) -> Result<()> {
        self.source.each(&mut |form, show| row(true, form, show))?;
        self.target.each(&mut |form, show| row(false, form, show))
    }
}

/// Finds what differs and hands each row of it to `found`. The totals are whole where the search was not cut.
pub fn locate(
    key: &Key,
    sides: &mut Sides<'_>,
    wanted: Wanted,
    found: &mut dyn FnMut(&Difference) -> Result<()>,
) -> Result<Differences> {
    let mut tally = Tally {
        key,
        wanted,
        found,
        changed: vec![0; key.names.len()],
        differences: Differences { complete: true, ..Differences::default() },
    };
    'search: for part in parts(key, sides)? {
        // Each part differs.
        if tally.is_full() {
            break;
        }
        let surplus = part.surplus(key, sides)?;
        let mut rest = &surplus[..];
        while !rest.is_empty() && !tally.is_full() {
            let held = hold(key, sides, rest, &tally)?;
            let done;
            (done, rest) = rest.split_at(held.len());
            let rows: Vec<(Surplus, Row)> = done.iter().copied().zip(held).collect();
            if !tally.rows(&rows)? {
                break 'search;
            }
        }
    }
    let columns = key.names.iter().cloned().zip(tally.changed).filter(|(_, cells)| *cells > 0).collect();
    Ok(Differences { columns, ..tally.differences })
}

/// The keys of all rows that differ. Fails where they are more than can be held.
pub fn differing(key: &Key, sides: &mut Sides<'_>) -> Result<HashSet<Hash>> {
    let mut keys = HashSet::new();
    for part in parts(key, sides)? {
        keys.extend(part.surplus(key, sides)?.into_iter().map(|s| s.key));
        if keys.len() > REPAIR_ROWS_MAX {
            return Err(Error::new(ErrorKind::Blocked, format!("more than {REPAIR_ROWS_MAX} rows differ"))
                .state("nothing was repaired")
                .hint("that is no repair: load the table again"));
        }
    }
    Ok(keys)
}

// A row of one side.
struct Row {
    form: Vec<u8>,
    cells: Vec<String>,
}

impl Row {
    fn bytes(&self) -> usize {
        let cells: usize = self.cells.iter().map(|c| c.len() + size_of::<String>()).sum();
        self.form.len() + cells
    }
}

// The rows of the first ones, as many as can be held: at least one, and those of one key together where they fit.
fn hold(key: &Key, sides: &mut Sides<'_>, all: &[Surplus], tally: &Tally<'_>) -> Result<Vec<Row>> {
    // A changed row is one on either side.
    let wanted = usize::try_from(tally.room().saturating_mul(2)).unwrap_or(usize::MAX);
    let mut end = key_end(all, wanted.clamp(2, LOCATE_HELD_MAX));
    let mut held: Vec<Option<Row>> = all[..end].iter().map(|_| None).collect();
    let mut bytes = 0;
    sides.each(|is_source, form, show| {
        let at = (key.hash(form.bytes()), row_hash(form));
        let Ok(found) = all[..end].binary_search_by(|s| (s.key, s.row).cmp(&at)) else { return Ok(()) };
        if held[found].is_some() || is_source != (all[found].count > 0) {
            return Ok(());
        }
        let cells = if tally.wanted.values { (0..key.names.len()).map(show).collect() } else { Vec::new() };
        let row = Row { form: form.bytes().to_vec(), cells };
        bytes += row.bytes();
        held[found] = Some(row);
        while bytes > LOCATE_BYTES_MAX && end > 1 {
            let fewer = key_end(all, end - 1);
            bytes -= held.drain(fewer..).flatten().map(|row| row.bytes()).sum::<usize>();
            end = fewer;
        }
        Ok(())
    })?;
    held.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| {
        Error::new(ErrorKind::Failed, "rows that were there a moment ago are not there any more")
            .state("the comparison has no result")
            .hint("was the source changed while it was read? `--snapshot backup` compares a copy of it")
    })
}

// The place up to `most` where a key ends, or `most` where one key has more rows than that.
fn key_end(all: &[Surplus], most: usize) -> usize {
    let most = most.min(all.len());
    if most == all.len() {
        return most;
    }
    let last = all[most].key;
    let before = all[..most].iter().rposition(|s| s.key != last).map_or(0, |i| i + 1);
    if before == 0 { most } else { before }
}

struct Tally<'a> {
    key: &'a Key,
    wanted: Wanted,
    found: &'a mut dyn FnMut(&Difference) -> Result<()>,
    changed: Vec<u64>,
    differences: Differences,
}

impl Tally<'_> {
    fn room(&self) -> u64 {
        let Differences { missing, extra, changed, .. } = &self.differences;
        self.wanted.rows_max.saturating_sub(missing + extra + changed)
    }

    // Where nothing more is wanted, what follows is a reason to say that there is more.
    fn is_full(&mut self) -> bool {
        let full = self.room() == 0;
        // Not `&= !full`: built with optimisations (rustc 1.95), that came out as false for a search that was not cut.
        if full {
            self.differences.complete = false;
        }
        full
    }

    // Rows in the order of keys; false where no more are wanted.
    fn rows(&mut self, rows: &[(Surplus, Row)]) -> Result<bool> {
        for rows in rows.chunk_by(|(a, _), (b, _)| a.key == b.key) {
            let (mut source, mut target) = (Vec::new(), Vec::new());
            for (surplus, row) in rows {
                let side = if surplus.count > 0 { &mut source } else { &mut target };
                side.push((surplus.count.unsigned_abs(), row));
            }
            // Without a key, nothing says which row became which.
            while !self.key.columns.is_empty() {
                let (Some((a, before)), Some((b, after))) = (source.last_mut(), target.last_mut()) else { break };
                if self.is_full() {
                    return Ok(false);
                }
                self.changed(before, after)?;
                (*a, *b) = (*a - 1, *b - 1);
                source.retain(|(count, _)| *count > 0);
                target.retain(|(count, _)| *count > 0);
            }
            for (kind, side) in [(Kind::Missing, source), (Kind::Extra, target)] {
                for (count, row) in side {
                    for _ in 0..count {
                        if self.is_full() {
                            return Ok(false);
                        }
                        self.alone(kind, row)?;
                    }
                }
            }
        }
        Ok(true)
    }

    fn changed(&mut self, source: &Row, target: &Row) -> Result<()> {
        let of: Vec<usize> = form::cells(&source.form)
            .zip(form::cells(&target.form))
            .enumerate()
            .filter(|(_, (a, b))| a != b)
            .map(|(i, _)| i)
            .collect();
        for &i in &of {
            self.changed[i] += 1;
        }
        self.differences.changed += 1;
        let cell = |&i: &usize| CellDifference {
            column: self.key.names[i].clone(),
            source: source.cells.get(i).cloned(),
            target: target.cells.get(i).cloned(),
        };
        let cells = of.iter().map(cell).collect();
        (self.found)(&Difference { kind: Kind::Changed, key: self.key.words(&source.form), cells })
    }

    // A row that one side lacks: all its cells, where values are told.
    fn alone(&mut self, kind: Kind, row: &Row) -> Result<()> {
        match kind {
            Kind::Extra => self.differences.extra += 1,
            _ => self.differences.missing += 1,
        }
        let cell = |(name, value): (&String, &String)| {
            let (here, there) = (Some(value.clone()), None);
            let (source, target) = if kind == Kind::Missing { (here, there) } else { (there, here) };
            CellDifference { column: name.clone(), source, target }
        };
        let cells = self.key.names.iter().zip(&row.cells).map(cell).collect();
        (self.found)(&Difference { kind, key: self.key.words(&row.form), cells })
    }
}

#[cfg(test)]
mod tests;
