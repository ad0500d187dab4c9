//! What a rehearsal found: a migration, its way back and everything between, each step with its word.

use super::cell::Owned;
use super::loss::Loss;
use super::plan::Remark;
use serde::Serialize;

/// The whole drill.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsal {
    /// Whether every step passed.
    pub passed: bool,
    /// The version of the program.
    pub version: String,
    /// The source as it was named.
    pub source: String,
    /// The source's content, as BLAKE3 of its moment.
    pub content: String,
    /// The pipeline, where there is one.
    pub pipeline: Option<String>,
    /// Where it was rehearsed, in words.
    pub server: String,
    /// Tables that were moved.
    pub tables: u64,
    /// Rows that were moved.
    pub rows: u64,
    /// Bytes of their cells.
    pub bytes: u64,
    /// What of the source was rehearsed, where that is not all of it.
    pub sample: Option<Part>,
    /// The steps, in their order.
    pub steps: Vec<Step>,
    /// How long the application stands still, there and back. None where the migration itself did not pass.
    pub downtime: Option<Downtime>,
    /// What of the source PostgreSQL alone does not tell, as far as the way back with nothing changed was made.
    pub losses: Vec<Loss>,
    /// What a person should know of the migration.
    pub remarks: Vec<Remark>,
    /// Time it took.
    pub ms: u64,
}

/// A part of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Rows that were taken.
    pub rows: u64,
    /// Rows that there are.
    pub of: u64,
}

/// The steps of a rehearsal, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// The migration, verified.
    There,
    /// Back with nothing changed.
    BackUntouched,
    /// Back with every row written anew with the values that it had.
    BackRewritten,
    /// Back with writes of every kind.
    BackChanged,
    /// Back with tables emptied.
    BackEmptied,
    /// The restored file, migrated again.
    ThereAgain,
    /// The migration, killed at its durable steps.
    KilledThere,
    /// The way back, killed at its durable steps.
    KilledBack,
    /// The application's own test of the restored file.
    Hook,
}

impl Act {
    /// A few words for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::There => "there",
            Self::BackUntouched => "back, untouched",
            Self::BackRewritten => "back, rows written anew",
            Self::BackChanged => "back, changed",
            Self::BackEmptied => "back, emptied",
            Self::ThereAgain => "there again",
            Self::KilledThere => "killed on the way there",
            Self::KilledBack => "killed on the way back",
            Self::Hook => "hook",
        }
    }

    /// What the step is about, in a sentence.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::There => "the source is migrated, and every cell compared",
            Self::BackUntouched => {
                "PostgreSQL's state comes back into a SQLite file: the source's, to the byte of every cell, rowids, \
                 sequences and schema text included"
            }
            Self::BackRewritten => {
                "every row was written anew in PostgreSQL with the values that it had: nothing of it may reach the file"
            }
            Self::BackChanged => {
                "writes of every kind, in PostgreSQL and by SQLite itself in a copy of the source: the file that comes \
                 back is that copy, and cells that nobody wrote are the source's"
            }
            Self::BackEmptied => "the same with tables emptied by TRUNCATE",
            Self::ThereAgain => "the restored file is migrated again: the server's hash of every table is the same",
            Self::KilledThere => {
                "the program is killed at a durable step of the migration; the same command ends as if it had not been"
            }
            Self::KilledBack => {
                "the program is killed at a durable step of the way back; source and earlier file stay, and the same \
                 command ends as if it had not been"
            }
            Self::Hook => "a command of the application's own, on the file that came back with the writes",
        }
    }
}

/// A step and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Which.
    pub act: Act,
    /// The word.
    pub outcome: Outcome,
    /// What was done and found, in words.
    pub told: Vec<String>,
    /// Why it did not pass or was not done.
    pub why: Vec<String>,
    /// What of the source it was done with, where that is not all of what is rehearsed.
    pub part: Option<Part>,
    /// Time it took.
    pub ms: u64,
}

/// The word on a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything that was asked for was done, and holds.
    Passed,
    /// Something does not hold.
    Failed,
    /// An earlier step did not pass, and this one needs it.
    NotRun,
    /// Nobody asked for it.
    NotAsked,
}

impl Outcome {
    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::NotRun => "not run",
            Self::NotAsked => "-",
        }
    }

    /// Whether it stands in the way of the whole.
    #[must_use]
    pub const fn is_in_the_way(self) -> bool {
        matches!(self, Self::Failed | Self::NotRun)
    }
}

/// How long an application stands still, as measured, and extrapolated by the rows where only a part was rehearsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Downtime {
    /// From the last write to the source until PostgreSQL may be written to.
    pub there_ms: u64,
    /// From the last write to PostgreSQL until the restored file is there; unknown where that step did not pass.
    pub back_ms: Option<u64>,
    /// Whether these were measured on all rows.
    pub measured: bool,
}

/// How many writes of each kind both databases took, and how many only one or none of them did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Writes {
    /// New rows.
    pub inserts: u64,
    /// Cells that became another row's, another value, or NULL.
    pub updates: u64,
    /// Rows whose key was changed.
    pub moves: u64,
    /// New rows that met one of their key.
    pub upserts: u64,
    /// Rows that were deleted.
    pub deletes: u64,
    /// Writes that a constraint refused; on both sides nothing of them stayed.
    pub refused: u64,
}

impl Writes {
    /// Writes that stayed.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.inserts + self.updates + self.moves + self.upserts + self.deletes
    }
}

/// What a new cell is made of, on both sides.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// The cell of the row that the new one is made after.
    Copied,
    /// A number more: the cell is an integer.
    Plus(i64),
    /// Text behind the cell's own: the cell is text.
    Behind(String),
    /// This cell, which PostgreSQL reads from its text.
    New(Owned),
    /// What the table gives to a row that names none.
    LeftOut,
}

/// What an insert does about a row that has its key: some columns become the new row's.
#[derive(Debug, Clone, Copy)]
pub struct Over<'a> {
    /// The key's columns.
    pub key: &'a [usize],
    /// The columns that change.
    pub set: &'a [usize],
}
