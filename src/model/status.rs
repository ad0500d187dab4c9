//! Where a run stands, as its control schema and the server's catalogs tell it to somebody else.

use serde::Serialize;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunStatus {
    /// Its id.
    pub run: String,
    /// The target schema.
    pub schema: String,
    /// The source as it was given.
    pub source: String,
    /// The version of lite2pg that began it.
    pub lite2pg: String,
    /// In one word.
    pub word: Word,
    /// Whether a process holds the schema's lock now.
    pub at_work: bool,
    /// When it began, in UTC.
    pub started_at: String,
    /// When everything was on the target, in UTC.
    pub ended_at: Option<String>,
    /// Time since it began, or that it took.
    pub ms: u64,
    /// Its phases in their order; one that ran again, after a crash or to compare once more, is there again.
    pub phases: Vec<PhaseStatus>,
    /// What the last comparison of both sides said, where one ended.
    pub verdict: Option<String>,
    /// Rows on the target.
    pub rows: u64,
    /// Rows that are expected, counted or estimated.
    pub rows_expected: u64,
    /// Bytes of the cells that are on the target.
    pub bytes: u64,
    /// Bytes that are expected, estimated.
    pub bytes_expected: u64,
    /// Rows a second over the last minute, while rows move.
    pub rows_per_second: Option<u64>,
    /// Bytes a second over the last minute, while rows move.
    pub bytes_per_second: Option<u64>,
    /// What is left of the copy at that speed.
    pub copy_remaining_ms: Option<u64>,
    /// Keys and indexes.
    pub indexes: Built,
    /// Checks and foreign keys that hold for all rows.
    pub constraints: Built,
    /// The tables in the plan's order.
    pub tables: Vec<TableStatus>,
}

/// Where a run stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Rows move.
    Copying,
    /// Keys, indexes and the rest are being built.
    Finishing,
    /// Both sides are being compared.
    Comparing,
    /// Nobody works on it, and it is not finished: the command that began it goes on with it.
    Stopped,
    /// Everything is on the target.
    Done,
    /// It was given up, and another one begun.
    Abandoned,
}

impl Word {
    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Finishing => "finishing",
            Self::Comparing => "comparing",
            Self::Stopped => "stopped",
            Self::Done => "done",
            Self::Abandoned => "abandoned",
        }
    }
}

/// One phase of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhaseStatus {
    /// Its word.
    pub phase: String,
    /// When it began, in UTC.
    pub at: String,
    /// How long it took, until now where it goes on.
    pub ms: u64,
}

/// Objects that are there, of those that were planned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Built {
    /// There.
    pub done: u64,
    /// Planned.
    pub planned: u64,
}

/// One table of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableStatus {
    /// Its name on the target.
    pub table: String,
    /// Rows of finished ranges.
    pub rows: u64,
    /// Rows of ranges that are on their way, as far as the server tells.
    pub rows_under_way: u64,
    /// Rows that are expected.
    pub rows_expected: u64,
    /// Whether they were counted.
    pub rows_exact: bool,
    /// Bytes of the cells of finished ranges.
    pub bytes: u64,
    /// Bytes that are expected, estimated.
    pub bytes_expected: u64,
    /// Rows that were set aside.
    pub rejected: u64,
}
