//! What a verification found: equal, different and where, or not compared and why.

use serde::Serialize;

/// What was found out about a whole database.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    /// How deep the comparison went.
    pub level: Level,
    /// A word a table, in the plan's order.
    pub tables: Vec<TableVerdict>,
    /// Numbers that identity columns would give out twice.
    pub sequences: Vec<String>,
    /// Changes that were planted in a scratch copy, and found. Without any there was no row to copy.
    pub planted: u32,
    /// Figures that both databases stated in SQL, and that agree.
    pub figures: u64,
    /// Cells of a sample that PostgreSQL read itself, and that agree.
    pub cast: u64,
    /// What else was to be asked and was not, with the reason.
    pub remarks: Vec<String>,
    /// The sample that was compared, where only one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
    /// Hashes that were taken of tables that are equal, at the moment at which they were read, to be kept.
    #[serde(skip)]
    pub hashes: Vec<TableHash>,
    /// The moment of the target that they are of, in UTC.
    #[serde(skip)]
    pub compared_at: Option<String>,
    /// Tables of which such a hash was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<u64>,
    /// What a repair did before this comparison, where one was wanted and needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<Repaired>,
    /// Time it took.
    pub ms: u64,
}

/// Rows that a repair wrote and deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// Rows taken from the source again.
    pub written: u64,
    /// Rows that only the target had, and rows that were replaced as a whole.
    pub deleted: u64,
}

/// How deep a comparison goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Numbers of rows.
    Counts,
    /// Numbers of rows and values, extremes and sums, asked of both databases in SQL.
    Aggregates,
    /// The target's own hash of each table beside the one that was kept when its rows were compared.
    Hash,
    /// Numbers of rows, and every cell of some of them.
    Sample,
    /// Every cell of every row.
    Rows,
}

/// A sample of rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sample {
    /// How many rows of each table.
    #[serde(flatten)]
    pub size: SampleSize,
    /// What its places were drawn by: the same number draws the same places.
    pub seed: u64,
}

/// The size of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleSize {
    /// This many rows of each table.
    RowsPerTable(u64),
    /// This part of each table's rows, in percent.
    Percent(f64),
}

impl SampleSize {
    /// The rows of a sample of a table that has so many.
    #[must_use]
    pub fn rows_of(self, rows: u64) -> u64 {
        match self {
            Self::RowsPerTable(wanted) => wanted.min(rows),
            // Numbers of rows are far below 2⁵³, and a cast saturates.
            Self::Percent(percent) => ((rows as f64 * percent / 100.0).ceil() as u64).min(rows),
        }
    }
}

/// What the server makes of a table's compared columns at one moment: internal to PostgreSQL, 64 bits a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableHash {
    /// The table on the target.
    pub table: String,
    /// What was hashed, as SQL: a hash of other columns or types means something else.
    pub columns: String,
    /// Rows.
    pub rows: u64,
    /// The sum of the rows' hashes, in decimal.
    pub hash: String,
}

/// What was found out about one table.
#[derive(Debug, Clone, Serialize)]
pub struct TableVerdict {
    /// Its name in SQLite.
    pub source: String,
    /// Its name on the target.
    pub table: String,
    /// Rows in SQLite.
    pub source_rows: u64,
    /// Rows on the target.
    pub target_rows: u64,
    /// Rows of the source that were set aside, and are not wanted on the target.
    pub rejected: u64,
    /// The word.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Columns of the source that were not compared, with the reason.
    pub unverified: Vec<String>,
}

/// The word on a table.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Both sides were read whole, and agree.
    Equal,
    /// Their numbers of rows agree, and so does every cell of a sample.
    Alike {
        /// Rows of the sample.
        rows: u64,
    },
    /// The target hashes to what it did when it was compared row by row, and was equal.
    Unchanged {
        /// When that was, in UTC.
        since: String,
    },
    /// It hashes to something else by now.
    Changed {
        /// When it was compared and was equal, in UTC.
        since: String,
    },
    /// They differ.
    Different(Differences),
    /// The target has no such table.
    Absent,
    /// They were not compared.
    Unverified {
        /// Why.
        why: String,
    },
}

/// How two tables differ.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Differences {
    /// Rows that the target lacks.
    pub missing: u64,
    /// Rows that only the target has.
    pub extra: u64,
    /// Rows of one key that differ in other columns.
    pub changed: u64,
    /// Changed cells of each column that has some.
    pub columns: Vec<(String, u64)>,
    /// Where the databases' own figures, or PostgreSQL's own reading of a sample, do not agree.
    pub disputed: Vec<String>,
    /// The first ones.
    pub samples: Vec<Difference>,
    /// Whether these are all. Otherwise the search ended at its limit, and there are more.
    pub complete: bool,
    /// The file that lists them.
    pub file: Option<String>,
}

/// One row that differs.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// How.
    pub kind: Kind,
    /// The row's key as `column=value`; empty in tables without a key.
    pub key: String,
    /// The cells that differ.
    pub cells: Vec<CellDifference>,
}

/// How a row differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only the source has it.
    Missing,
    /// Only the target has it.
    Extra,
    /// Both have its key.
    Changed,
}

/// One cell that differs.
#[derive(Debug, Clone, Serialize)]
pub struct CellDifference {
    /// The column on the target.
    pub column: String,
    /// What the source holds, where values may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the target holds, where values may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Kind {
    /// The word for people and files.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Changed => "changed",
        }
    }
}

impl Verification {
    /// Whether every row and column was compared at this level, and all agree. Never so of a sample, nor of hashes.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        !matches!(self.level, Level::Sample | Level::Hash) && self.agrees_by(|t| matches!(t.outcome, Outcome::Equal))
    }

    /// Whether both sides were read completely and agree, cell by cell: what "verified" means. What is equal at a level that
    /// goes less deep proves nothing.
    #[must_use]
    pub fn is_proof(&self) -> bool {
        self.level == Level::Rows && self.is_equal()
    }

    /// Whether nothing that was asked for was left out, and nothing of it differs.
    #[must_use]
    pub fn agrees(&self) -> bool {
        let word =
            |t: &TableVerdict| matches!(t.outcome, Outcome::Equal | Outcome::Alike { .. } | Outcome::Unchanged { .. });
        self.agrees_by(word)
    }

    fn agrees_by(&self, word: fn(&TableVerdict) -> bool) -> bool {
        self.sequences.is_empty() && self.tables.iter().all(|t| word(t) && t.unverified.is_empty())
    }

    /// Whether something differs.
    #[must_use]
    pub fn is_different(&self) -> bool {
        !self.sequences.is_empty() || self.tables.iter().any(|t| t.outcome.is_different())
    }
}

impl Outcome {
    /// Whether the two sides are known to differ, or the target not to be what it was.
    #[must_use]
    pub const fn is_different(&self) -> bool {
        matches!(self, Self::Different(_) | Self::Absent | Self::Changed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_table_is_rounded_up_and_never_more_than_the_table() {
        for (size, rows, expect) in [
            (SampleSize::RowsPerTable(1000), 10, 10),
            (SampleSize::RowsPerTable(1000), 1_000_000, 1000),
            (SampleSize::Percent(1.0), 1001, 11),
            (SampleSize::Percent(0.001), 5, 1),
            (SampleSize::Percent(100.0), 7, 7),
            (SampleSize::Percent(50.0), 0, 0),
        ] {
            assert_eq!(size.rows_of(rows), expect, "{size:?} of {rows}");
        }
    }
}
