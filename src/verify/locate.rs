//! Where two tables differ: the rows by key, the cells by column.
//!
//! Reads both sides again, twice or more: buckets of keys that differ, then the rows in them, then the cells of the
//! rows that differ. Memory is bounded by rows held at once, whatever the table's size and however wrong it is.

use super::form::{self, Form};
use super::show;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::bounds::{LOCATE_PAIRS_MAX, LOCATE_ROWS_MAX};
use crate::model::digest::{RowDigest, SetDigest};
use crate::model::plan::TablePlan;
use crate::model::verdict::{CellDifference, Difference, Differences, Kind};
use std::collections::HashMap;

/// Buckets that keys are spread over by their hash.
const BUCKETS: usize = 4096;

/// One side of the comparison, which can be read as often as needed and is the same each time.
pub trait Side {
    /// Hands out each row: its form, and what shows the cell of a column.
    fn each(&mut self, row: &mut dyn FnMut(&Form, &dyn Fn(usize) -> String) -> Result<()>) -> Result<()>;
}

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

type Hash = [u8; 16];

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

    fn hash(&self, form: &[u8]) -> Hash {
        if self.columns.is_empty() {
            return short(blake3::hash(form));
        }
        let cells: Vec<&[u8]> = form::cells(form).collect();
        let mut hasher = blake3::Hasher::new();
        for &column in &self.columns {
            hasher.update(cells[column]);
        }
        short(hasher.finalize())
    }

    fn words(&self, form: &[u8]) -> String {
        let cells: Vec<&[u8]> = form::cells(form).collect();
        let word = |&column: &usize| format!("{}={}", self.names[column], show::cell(cells[column]));
        self.columns.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

fn short(hash: blake3::Hash) -> Hash {
    hash.as_bytes()[..16].try_into().expect("a hash is 32 bytes")
}

fn bucket(key: &Hash) -> usize {
    usize::from(u16::from_be_bytes([key[0], key[1]])) % BUCKETS
}

/// Finds what differs and hands each row of it to `found`. The totals are whole where the search was not cut.
pub fn locate(
    key: &Key,
    source: &mut dyn Side,
    target: &mut dyn Side,
    wanted: Wanted,
    found: &mut dyn FnMut(&Difference) -> Result<()>,
) -> Result<Differences> {
    let mut differences = Differences { complete: true, ..Differences::default() };
    let mut changed = vec![0; key.names.len()];
    for group in groups(key, source, target)? {
        let left = wanted.rows_max.saturating_sub(total(&differences));
        if left == 0 {
            differences.complete = false;
            break;
        }
        let rows = differing_rows(key, source, target, &group)?;
        let take = rows.len().min(left as usize);
        differences.complete &= take == rows.len();
        for keys in rows[..take].chunks(LOCATE_PAIRS_MAX) {
            for pair in pairs(key, source, target, keys)?.into_values() {
                pair.tell(key, wanted.values, &mut differences, &mut changed, found)?;
            }
        }
    }
    differences.columns = key.names.iter().cloned().zip(changed).filter(|(_, cells)| *cells > 0).collect();
    Ok(differences)
}

fn total(differences: &Differences) -> u64 {
    differences.missing + differences.extra + differences.changed
}

/// The buckets that differ, in groups whose rows can be held.
fn groups(key: &Key, source: &mut dyn Side, target: &mut dyn Side) -> Result<Vec<Vec<bool>>> {
    let mut sides = [vec![SetDigest::default(); BUCKETS], vec![SetDigest::default(); BUCKETS]];
    for (side, buckets) in [source, target].into_iter().zip(&mut sides) {
        side.each(&mut |form, _| {
            buckets[bucket(&key.hash(form.bytes()))].add(&form.digest());
            Ok(())
        })?;
    }
    let mut groups: Vec<Vec<bool>> = Vec::new();
    let mut held = 0;
    for (b, (source, target)) in sides[0].iter().zip(&sides[1]).enumerate() {
        if source == target {
            continue;
        }
        let rows = source.rows + target.rows;
        if groups.is_empty() || held + rows > LOCATE_ROWS_MAX {
            groups.push(vec![false; BUCKETS]);
            held = 0;
        }
        held += rows;
        groups.last_mut().expect("one was just made")[b] = true;
    }
    Ok(groups)
}

// The keys of the rows in these buckets that are not on both sides alike.
fn differing_rows(key: &Key, source: &mut dyn Side, target: &mut dyn Side, group: &[bool]) -> Result<Vec<Hash>> {
    let mut balance: HashMap<(Hash, Hash), i64> = HashMap::new();
    for (side, weight) in [(source, 1), (target, -1)] {
        side.each(&mut |form, _| {
            let hash = key.hash(form.bytes());
            if group[bucket(&hash)] {
                let RowDigest(row) = form.digest();
                let row = row[..16].try_into().expect("a digest is 32 bytes");
                let entry = balance.entry((hash, row)).or_default();
                *entry += weight;
                if *entry == 0 {
                    balance.remove(&(hash, row));
                }
            }
            Ok(())
        })?;
    }
    let mut keys: Vec<Hash> = balance.into_keys().map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

// Both sides of one key: the forms, and the cells in words.
#[derive(Default)]
struct Pair {
    source: Vec<Row>,
    target: Vec<Row>,
}

struct Row {
    form: Vec<u8>,
    cells: Vec<String>,
}

fn pairs(key: &Key, source: &mut dyn Side, target: &mut dyn Side, keys: &[Hash]) -> Result<HashMap<Hash, Pair>> {
    let mut pairs: HashMap<Hash, Pair> = keys.iter().map(|key| (*key, Pair::default())).collect();
    for (side, is_source) in [(source, true), (target, false)] {
        side.each(&mut |form, show| {
            let Some(pair) = pairs.get_mut(&key.hash(form.bytes())) else { return Ok(()) };
            let rows = if is_source { &mut pair.source } else { &mut pair.target };
            // A key without uniqueness may have any number of rows; some of them tell enough.
            if rows.len() < LOCATE_PAIRS_MAX {
                let cells = (0..key.names.len()).map(show).collect();
                rows.push(Row { form: form.bytes().to_vec(), cells });
            }
            Ok(())
        })?;
    }
    Ok(pairs)
}

impl Pair {
    fn tell(
        mut self,
        key: &Key,
        values: bool,
        differences: &mut Differences,
        changed: &mut [u64],
        found: &mut dyn FnMut(&Difference) -> Result<()>,
    ) -> Result<()> {
        // Rows that are on both sides alike are no difference, however many there are.
        self.source.retain(|row| {
            let same = self.target.iter().position(|t| t.form == row.form);
            same.is_none_or(|at| {
                self.target.swap_remove(at);
                false
            })
        });
        let mut rest = self.target.into_iter();
        for source in self.source {
            // Without a key, nothing says which row became which.
            let target = if key.columns.is_empty() { None } else { rest.next() };
            let Some(target) = target else {
                differences.missing += 1;
                found(&alone(key, Kind::Missing, &source, values))?;
                continue;
            };
            let of: Vec<usize> = form::cells(&source.form)
                .zip(form::cells(&target.form))
                .enumerate()
                .filter(|(_, (a, b))| a != b)
                .map(|(i, _)| i)
                .collect();
            of.iter().for_each(|&i| changed[i] += 1);
            differences.changed += 1;
            let told = |row: &Row, i: usize| values.then(|| row.cells[i].clone());
            let cell = |&i: &usize| CellDifference {
                column: key.names[i].clone(),
                source: told(&source, i),
                target: told(&target, i),
            };
            let cells = of.iter().map(cell).collect();
            found(&Difference { kind: Kind::Changed, key: key.words(&source.form), cells })?;
        }
        for target in rest {
            differences.extra += 1;
            found(&alone(key, Kind::Extra, &target, values))?;
        }
        Ok(())
    }
}

// A row that one side lacks: all its cells, where values may be shown.
fn alone(key: &Key, kind: Kind, row: &Row, values: bool) -> Difference {
    let cell = |(name, value): (&String, &String)| {
        let (here, there) = (Some(value.clone()), None);
        let (source, target) = if kind == Kind::Missing { (here, there) } else { (there, here) };
        CellDifference { column: name.clone(), source, target }
    };
    let cells = if values { key.names.iter().zip(&row.cells).map(cell).collect() } else { Vec::new() };
    Difference { kind, key: key.words(&row.form), cells }
}
