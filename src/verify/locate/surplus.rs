//! Which rows differ: of each, what stands for its key and for its cells.
//!
//! Both sides are read once, and that is enough where the rows that differ fit into a sketch. Where they do not, the
//! same reading has told which buckets of keys differ, and their rows are counted, group of buckets after group.

use super::sketch::Sketch;
use super::{Hash, Key, Sides};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::bounds::{BALANCE_ROWS_MAX, LOCATE_ROWS_MAX};
use crate::model::digest::{RowDigest, SetDigest};
use crate::verify::form::Form;
use std::collections::HashMap;

/// Buckets that keys are spread over by their hash.
const BUCKETS: usize = 4096;

/// Keys that are looked at together: those of some buckets, and of these every so-manieth.
pub struct Group {
    buckets: Vec<bool>,
    part: u32,
    parts: u32,
}

impl Group {
    fn holds(&self, key: &Hash) -> bool {
        // Other bytes than the bucket's.
        let rest = u32::from_be_bytes([key[2], key[3], key[4], key[5]]);
        self.buckets[bucket(key)] && rest % self.parts == self.part
    }
}

/// Reads both sides once. One part, with its rows found already, where they are few.
pub fn parts(key: &Key, sides: &mut Sides<'_>) -> Result<Vec<Part>> {
    let mut source = vec![SetDigest::default(); BUCKETS];
    let mut target = source.clone();
    let mut balance = Balance::default();
    sides.each(|is_source, form, _| {
        let (hash, digest) = (key.hash(form.bytes()), form.digest());
        let buckets = if is_source { &mut source } else { &mut target };
        buckets[bucket(&hash)].add(&digest);
        balance.add(hash, short_digest(&digest), if is_source { 1 } else { -1 });
        Ok(())
    })?;
    if let Some(mut found) = balance.surplus() {
        found.sort_unstable();
        return Ok(if found.is_empty() { Vec::new() } else { vec![Part::Found(found)] });
    }
    Ok(groups(&source, &target).into_iter().map(Part::Group).collect())
}

// The buckets that differ, in groups whose rows can be held.
fn groups(source: &[SetDigest], target: &[SetDigest]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut held = LOCATE_ROWS_MAX;
    for (b, (source, target)) in source.iter().zip(target).enumerate().filter(|(_, (s, t))| s != t) {
        let rows = source.rows + target.rows;
        let parts = rows.div_ceil(LOCATE_ROWS_MAX).max(1) as u32;
        if parts > 1 || held + rows > LOCATE_ROWS_MAX {
            groups.extend((0..parts).map(|part| Group { buckets: vec![false; BUCKETS], part, parts }));
            held = 0;
        }
        // A bucket that needs several groups shares them with none.
        held = if parts > 1 { LOCATE_ROWS_MAX } else { held + rows };
        let from = groups.len() - parts as usize;
        groups[from..].iter_mut().for_each(|group| group.buckets[b] = true);
    }
    groups
}

/// Rows that are alike, and more of them on one side than on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Surplus {
    /// What stands for their key.
    pub key: Hash,
    /// What stands for all of their cells.
    pub row: Hash,
    /// How many more the source has; below zero where the target has more.
    pub count: i64,
}

// Counts while the rows are few, which is exact, and a sketch from then on.
enum Balance {
    Counts(HashMap<(Hash, Hash), i64>),
    Sketch(Sketch),
}

impl Default for Balance {
    fn default() -> Self {
        Self::Counts(HashMap::new())
    }
}

impl Balance {
    fn add(&mut self, key: Hash, row: Hash, times: i64) {
        match self {
            Self::Sketch(sketch) => sketch.add(key, row, times),
            Self::Counts(counts) => {
                let entry = counts.entry((key, row)).or_default();
                *entry += times;
                if *entry == 0 {
                    counts.remove(&(key, row));
                }
                if counts.len() > BALANCE_ROWS_MAX {
                    let mut sketch = Sketch::new();
                    for ((key, row), times) in counts.drain() {
                        sketch.add(key, row, times);
                    }
                    *self = Self::Sketch(sketch);
                }
            }
        }
    }

    fn surplus(self) -> Option<Vec<Surplus>> {
        match self {
            Self::Sketch(sketch) => sketch.undo(),
            Self::Counts(counts) => {
                Some(counts.into_iter().map(|((key, row), count)| Surplus { key, row, count }).collect())
            }
        }
    }
}

/// Rows that are looked at together.
pub enum Part {
    /// They are found, in the order of their keys.
    Found(Vec<Surplus>),
    /// They are among these keys.
    Group(Group),
}

impl Part {
    /// The rows of it that differ, in the order of keys. Reads both sides where they are not found yet.
    pub fn surplus(self, key: &Key, sides: &mut Sides<'_>) -> Result<Vec<Surplus>> {
        match self {
            Self::Found(found) => Ok(found),
            Self::Group(group) => surplus(key, sides, &group),
        }
    }
}

// What is on both sides alike is no difference, however often: only the rest is kept, in the order of keys.
fn surplus(key: &Key, sides: &mut Sides<'_>, group: &Group) -> Result<Vec<Surplus>> {
    let mut balance: HashMap<(Hash, Hash), i64> = HashMap::new();
    sides.each(|is_source, form, _| {
        let hash = key.hash(form.bytes());
        if !group.holds(&hash) {
            return Ok(());
        }
        let at = (hash, row_hash(form));
        let entry = balance.entry(at).or_default();
        *entry += if is_source { 1 } else { -1 };
        if *entry == 0 {
            balance.remove(&at);
        }
        // Only rows of one key cannot be parted, and there are so many of one key only where a person stated it.
        if balance.len() as u64 > 4 * LOCATE_ROWS_MAX {
            return Err(Error::new(ErrorKind::Usage, "the stated key tells too few rows apart to find what differs")
                .fact(format!(
                    "columns: {}",
                    key.columns.iter().map(|&c| &*key.names[c]).collect::<Vec<_>>().join(", ")
                ))
                .state("the table differs; where, is not known")
                .hint("leave `--key` out, or state more columns"));
        }
        Ok(())
    })?;
    let mut all: Vec<Surplus> = balance.into_iter().map(|((key, row), count)| Surplus { key, row, count }).collect();
    all.sort_unstable();
    Ok(all)
}

fn bucket(key: &Hash) -> usize {
    usize::from(u16::from_be_bytes([key[0], key[1]])) % BUCKETS
}

/// What stands for all cells of the row with this form.
pub fn row_hash(form: &Form) -> Hash {
    short_digest(&form.digest())
}

fn short_digest(RowDigest(row): &RowDigest) -> Hash {
    row[..16].try_into().expect("a digest is 32 bytes")
}
