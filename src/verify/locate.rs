//! Where two tables differ: the rows by key, the cells by column.
//!
//! Reads both sides again, twice or more: buckets of keys that differ, then the rows in them, then the cells of the
//! rows that differ. Memory is bounded by rows held at once, whatever the table's size and however wrong it is.

use super::form::{self, Form};
use super::show;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::bounds::{LOCATE_PAIRS_MAX, LOCATE_ROWS_MAX, REPAIR_ROWS_MAX};
use crate::model::digest::{RowDigest, SetDigest};
use crate::model::plan::TablePlan;
use crate::model::verdict::{CellDifference, Difference, Differences, Kind};
use std::collections::{BTreeMap, HashMap, HashSet};

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

    /// What stands for the key of the row with this form.
    #[must_use]
    pub fn hash(&self, form: &[u8]) -> Hash {
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
    'search: for group in groups(key, sides)? {
        for keys in differing_keys(key, sides, &group)?.chunks(LOCATE_PAIRS_MAX) {
            if tally.is_full() {
                tally.differences.complete = false;
                break 'search;
            }
            for pair in pairs(key, sides, keys)?.into_values() {
                tally.pair(pair)?;
            }
        }
    }
    let columns = key.names.iter().cloned().zip(tally.changed).filter(|(_, cells)| *cells > 0).collect();
    Ok(Differences { columns, ..tally.differences })
}

/// The keys of all rows that differ. Fails where they are more than can be held.
pub fn differing(key: &Key, sides: &mut Sides<'_>) -> Result<HashSet<Hash>> {
    let mut keys = HashSet::new();
    for group in groups(key, sides)? {
        keys.extend(differing_keys(key, sides, &group)?);
        if keys.len() > REPAIR_ROWS_MAX {
            return Err(Error::new(ErrorKind::Blocked, format!("more than {REPAIR_ROWS_MAX} rows differ"))
                .state("nothing was repaired")
                .hint("that is no repair: load the table again"));
        }
    }
    Ok(keys)
}

/// The buckets that differ, in groups whose rows can be held.
fn groups(key: &Key, sides: &mut Sides<'_>) -> Result<Vec<Vec<bool>>> {
    let mut source = vec![SetDigest::default(); BUCKETS];
    let mut target = source.clone();
    sides.each(|is_source, form, _| {
        let buckets = if is_source { &mut source } else { &mut target };
        buckets[bucket(&key.hash(form.bytes()))].add(&form.digest());
        Ok(())
    })?;
    let mut groups: Vec<Vec<bool>> = Vec::new();
    let mut held = 0;
    for (b, (source, target)) in source.iter().zip(&target).enumerate() {
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
fn differing_keys(key: &Key, sides: &mut Sides<'_>, group: &[bool]) -> Result<Vec<Hash>> {
    let mut balance: HashMap<(Hash, Hash), i64> = HashMap::new();
    sides.each(|is_source, form, _| {
        let hash = key.hash(form.bytes());
        if group[bucket(&hash)] {
            let RowDigest(row) = form.digest();
            let row = row[..16].try_into().expect("a digest is 32 bytes");
            let entry = balance.entry((hash, row)).or_default();
            *entry += if is_source { 1 } else { -1 };
            if *entry == 0 {
                balance.remove(&(hash, row));
            }
        }
        Ok(())
    })?;
    let mut keys: Vec<Hash> = balance.into_keys().map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

// The rows of one key on both sides.
#[derive(Default)]
struct Pair {
    source: Vec<Row>,
    target: Vec<Row>,
}

// Rows that are alike.
struct Row {
    form: Vec<u8>,
    cells: Vec<String>,
    count: u64,
}

fn pairs(key: &Key, sides: &mut Sides<'_>, keys: &[Hash]) -> Result<BTreeMap<Hash, Pair>> {
    let mut pairs: BTreeMap<Hash, Pair> = keys.iter().map(|key| (*key, Pair::default())).collect();
    sides.each(|is_source, form, show| {
        let Some(pair) = pairs.get_mut(&key.hash(form.bytes())) else { return Ok(()) };
        let rows = if is_source { &mut pair.source } else { &mut pair.target };
        if let Some(alike) = rows.iter_mut().find(|r| r.form == form.bytes()) {
            alike.count += 1;
        } else {
            let cells = (0..key.names.len()).map(show).collect();
            rows.push(Row { form: form.bytes().to_vec(), cells, count: 1 });
        }
        Ok(())
    })?;
    Ok(pairs)
}

struct Tally<'a> {
    key: &'a Key,
    wanted: Wanted,
    found: &'a mut dyn FnMut(&Difference) -> Result<()>,
    changed: Vec<u64>,
    differences: Differences,
}

impl Tally<'_> {
    fn is_full(&self) -> bool {
        let Differences { missing, extra, changed, .. } = &self.differences;
        missing + extra + changed >= self.wanted.rows_max
    }

    fn pair(&mut self, mut pair: Pair) -> Result<()> {
        // What is on both sides alike is no difference, however often.
        for source in &mut pair.source {
            if let Some(target) = pair.target.iter_mut().find(|t| t.form == source.form) {
                let both = source.count.min(target.count);
                source.count -= both;
                target.count -= both;
            }
        }
        let mut rest: Vec<Row> = pair.target.into_iter().filter(|t| t.count > 0).collect();
        for mut source in pair.source {
            // Without a key, nothing says which row became which.
            while source.count > 0 && !self.key.columns.is_empty() {
                let Some(target) = rest.last_mut() else { break };
                self.changed(&source, target)?;
                (source.count, target.count) = (source.count - 1, target.count - 1);
                rest.retain(|t| t.count > 0);
            }
            self.alone(Kind::Missing, &source)?;
        }
        rest.iter().try_for_each(|target| self.alone(Kind::Extra, target))
    }

    fn changed(&mut self, source: &Row, target: &Row) -> Result<()> {
        let of: Vec<usize> = form::cells(&source.form)
            .zip(form::cells(&target.form))
            .enumerate()
            .filter(|(_, (a, b))| a != b)
            .map(|(i, _)| i)
            .collect();
        of.iter().for_each(|&i| self.changed[i] += 1);
        self.differences.changed += 1;
        let told = |row: &Row, i: usize| self.wanted.values.then(|| row.cells[i].clone());
        let cell = |&i: &usize| CellDifference {
            column: self.key.names[i].clone(),
            source: told(source, i),
            target: told(target, i),
        };
        let cells = of.iter().map(cell).collect();
        (self.found)(&Difference { kind: Kind::Changed, key: self.key.words(&source.form), cells })
    }

    fn alone(&mut self, kind: Kind, row: &Row) -> Result<()> {
        for _ in 0..row.count {
            match kind {
                Kind::Extra => self.differences.extra += 1,
                _ => self.differences.missing += 1,
            }
            (self.found)(&alone(self.key, kind, row, self.wanted.values))?;
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
