//! What differs between two multisets of rows, in memory that does not grow with them.
//!
//! An invertible Bloom lookup table (Goodrich and Mitzenmacher, 2011): each row is added to three cells that its hash
//! chooses, the source's with +1 and the target's with -1, so that what both have leaves nothing. A cell in which one
//! row is left names it; taken out of its other cells, it lays further rows open. With fewer rows than 0.8 of the cells
//! nearly every sketch can be undone to the last row, and one that cannot says so.

use super::Hash;
use super::surplus::Surplus;
use crate::model::bounds::SKETCH_CELLS;

// Cells that a row is added to, each in a third of its own: so that no two of them are the same.
const CHOICES: usize = 3;
const THIRD: usize = SKETCH_CELLS / CHOICES;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cell {
    count: i64,
    key: u128,
    row: u128,
    // The sum of a function of the rows that sums of rows do not keep: it tells one row from several that look like one.
    check: u64,
}

impl Cell {
    fn add(&mut self, key: u128, row: u128, times: i64) {
        // The same number of times in each field; below zero it wraps, and comes back.
        self.count = self.count.wrapping_add(times);
        self.key = self.key.wrapping_add(key.wrapping_mul(times as u128));
        self.row = self.row.wrapping_add(row.wrapping_mul(times as u128));
        self.check = self.check.wrapping_add(check(row).wrapping_mul(times as u64));
    }

    // The one row that is in here: more of the source's, or more of the target's.
    fn only(&self) -> Option<Surplus> {
        let (key, row, sum) = match self.count {
            1 => (self.key, self.row, self.check),
            -1 => (self.key.wrapping_neg(), self.row.wrapping_neg(), self.check.wrapping_neg()),
            _ => return None,
        };
        let (key, hash) = (key.to_be_bytes(), row.to_be_bytes());
        (check(row) == sum).then_some(Surplus { key, row: hash, count: self.count })
    }
}

/// The difference of two multisets of rows.
pub struct Sketch {
    cells: Vec<Cell>,
}

impl Sketch {
    /// Of two empty ones.
    pub fn new() -> Self {
        Self { cells: vec![Cell::default(); THIRD * CHOICES] }
    }

    /// Puts a row in, as often as the source has it more than the target.
    pub fn add(&mut self, key: Hash, row: Hash, times: i64) {
        let (key, row) = (u128::from_be_bytes(key), u128::from_be_bytes(row));
        for cell in places(row) {
            self.cells[cell].add(key, row, times);
        }
    }

    /// All rows of which one side has more; `None` where they are too many, or one of them is there too often.
    pub fn undo(mut self) -> Option<Vec<Surplus>> {
        let mut rows = Vec::new();
        let mut open: Vec<usize> = (0..self.cells.len()).collect();
        while let Some(cell) = open.pop() {
            let Some(found) = self.cells[cell].only() else { continue };
            self.add(found.key, found.row, -found.count);
            open.extend(places(u128::from_be_bytes(found.row)));
            rows.push(found);
        }
        self.cells.iter().all(|cell| *cell == Cell::default()).then_some(rows)
    }
}

// A row's hash is even already: its bits are taken as they come.
fn places(row: u128) -> [usize; CHOICES] {
    std::array::from_fn(|choice| choice * THIRD + (row >> (choice * 42)) as u32 as usize % THIRD)
}

// Not linear, so that the sum of some rows is hardly ever the row that their sum looks like.
fn check(row: u128) -> u64 {
    let mixed = (row as u64) ^ ((row >> 64) as u64).rotate_left(32);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn hash(of: (&str, u64)) -> Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(of.0.as_bytes()).update(&of.1.to_be_bytes());
        hasher.finalize().as_bytes()[..16].try_into().expect("a hash is 32 bytes")
    }

    fn sketch(rows: impl IntoIterator<Item = (u64, i64)>) -> Sketch {
        let mut sketch = Sketch::new();
        for (row, times) in rows {
            sketch.add(hash(("key", row / 2)), hash(("row", row)), times);
        }
        sketch
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn what_one_side_has_more_of_is_all_that_is_left(
            shared in 0_u64..50_000,
            more in proptest::collection::btree_map(100_000_u64..200_000, prop_oneof![Just(1_i64), Just(-1)], 0..2_000),
        ) {
            let both = (0..shared).flat_map(|row| [(row, 1), (row, -1)]);
            let mut undone = sketch(both.chain(more.clone())).undo().expect("few rows differ");
            let mut expect: Vec<Surplus> = more
                .iter()
                .map(|(&row, &count)| Surplus { key: hash(("key", row / 2)), row: hash(("row", row)), count })
                .collect();
            undone.sort_unstable();
            expect.sort_unstable();
            prop_assert_eq!(undone, expect);
        }
    }

    #[test]
    fn as_many_as_three_quarters_of_the_cells_are_found_and_more_than_cells_are_not() {
        let many = SKETCH_CELLS as u64 * 3 / 4;
        let undone =
            sketch((0..many).map(|row| (row, if row % 3 == 0 { -1 } else { 1 }))).undo().expect("enough cells");
        let found: BTreeMap<Hash, i64> = undone.iter().map(|s| (s.row, s.count)).collect();
        assert_eq!(found.len() as u64, many);
        assert!((0..many).all(|row| found[&hash(("row", row))] == if row % 3 == 0 { -1 } else { 1 }));
        assert!(sketch((0..SKETCH_CELLS as u64 * 11 / 10).map(|row| (row, 1))).undo().is_none());
    }

    #[test]
    fn a_row_that_one_side_has_twice_more_is_not_taken_for_another() {
        assert!(sketch([(1, 2), (2, 1)]).undo().is_none());
        assert_eq!(sketch([(1, 2), (2, 1), (1, -1)]).undo().map(|rows| rows.len()), Some(2));
    }
}
