//! What the rows of a table were seen to hold: the evidence behind each type.

use super::cell::Class;
use super::conversion::{Conversion, Misfit};
use serde::{Deserialize, Serialize};

/// The evidence of one table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableProfile {
    /// Rows that were read.
    pub rows_read: u64,
    /// Bytes of the cells that were read.
    pub bytes_read: u64,
    /// Bytes of the largest cell that was read.
    pub largest_cell: u64,
    /// Whether that is every row of the table.
    pub complete: bool,
    /// Rows of the whole table: counted where `complete`, else estimated.
    pub rows: u64,
    /// Smallest and largest integer key, where the table has one and any row.
    pub key_bounds: Option<(i64, i64)>,
    /// One entry a column, in the catalog's order.
    pub columns: Vec<ColumnProfile>,
}

/// The evidence of one column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Cells seen by class, in the order NULL, INTEGER, REAL, TEXT, BLOB.
    pub classes: [u64; 5],
    /// Every INTEGER was 0 or 1.
    pub only_zero_one: bool,
    /// The server cannot compute this generated column: its values are loaded into a plain one.
    #[serde(default)]
    pub keep_values: bool,
    /// The rules that were tried, best first, each with the first cell that it did not take.
    pub trials: Vec<Trial>,
    /// What else was noticed of the cells.
    #[serde(default)]
    pub marks: Marks,
}

/// What is worth telling of a column's cells, whatever its type becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// Bytes of its cells.
    pub bytes: u64,
    /// Texts with a NUL in them, as far as they were looked at for it: not where the column holds no text anyway.
    pub nul: u64,
    /// Texts that are no UTF-8, as far as they were looked at for it.
    pub bad_utf8: u64,
    /// Integers that 32 bits do not hold.
    pub beyond_32_bits: u64,
    /// Texts longer than the `n` of a declared `VARCHAR(n)` or `CHAR(n)`.
    pub too_long: u64,
}

/// A rule that was tried on every cell that was read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trial {
    /// The rule.
    pub conversion: Conversion,
    /// Whether a stand-in counts as taken.
    pub stand_ins: bool,
    /// Why it is out, if it is.
    pub failure: Option<Failure>,
    /// Cells that it did not take; counted beyond the first only where the column has a policy for them.
    #[serde(default)]
    pub misfits: u64,
    /// The rewritings that it was seen to need, a bit each in the order of their declaration.
    #[serde(default)]
    pub rewrites: u32,
    /// Whether it was seen to need a stand-in.
    #[serde(default)]
    pub stood_in: bool,
}

impl Trial {
    /// A rule that was not tried yet.
    #[must_use]
    pub const fn new(conversion: Conversion, stand_ins: bool) -> Self {
        Self { conversion, stand_ins, failure: None, misfits: 0, rewrites: 0, stood_in: false }
    }
}

/// The rules to try on a column.
#[derive(Debug, Clone, Default)]
pub struct Trials {
    /// The rules, best first.
    pub rules: Vec<Trial>,
    /// Whether a rule goes on being tried after a cell that it does not take: where a policy says what becomes of such
    /// cells, the rule that takes most is wanted.
    pub counts_misfits: bool,
}

/// The first cell that a rule did not take.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    /// The row's integer key; 0 where the table has none.
    pub key: i64,
    /// Why the cell was not taken; `None` where a stand-in was not allowed, or the server refused.
    pub misfit: Option<Misfit>,
}

impl TableProfile {
    /// Bytes of the whole table's cells, extrapolated from those that were read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        if self.rows_read == 0 {
            return 0;
        }
        (u128::from(self.bytes_read) * u128::from(self.rows) / u128::from(self.rows_read)) as u64
    }
}

impl ColumnProfile {
    /// Cells seen of one class.
    #[must_use]
    pub const fn count(&self, class: Class) -> u64 {
        self.classes[class as usize]
    }

    /// Cells seen that are not NULL.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.classes[1..].iter().sum()
    }

    /// Whether `conversion` was tried and took every cell.
    #[must_use]
    pub fn takes(&self, conversion: &Conversion) -> bool {
        self.trials.iter().any(|t| t.failure.is_none() && t.conversion == *conversion)
    }

    /// Marks a rule as out that the load or the server disproved.
    pub fn disprove(&mut self, conversion: &Conversion, failure: &Failure) {
        for trial in self.trials.iter_mut().filter(|t| t.conversion == *conversion) {
            trial.failure.get_or_insert_with(|| failure.clone());
        }
    }
}
