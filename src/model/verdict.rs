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
    /// Every cell of every row.
    Rows,
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
    /// Whether every row and column was compared, and all agree.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.sequences.is_empty()
            && self.tables.iter().all(|t| matches!(t.outcome, Outcome::Equal) && t.unverified.is_empty())
    }

    /// Whether something differs.
    #[must_use]
    pub fn is_different(&self) -> bool {
        let differs = |t: &TableVerdict| matches!(t.outcome, Outcome::Different(_) | Outcome::Absent);
        !self.sequences.is_empty() || self.tables.iter().any(differs)
    }
}
