//! What a run tells of itself while it goes on, and what it tells at the end.

use super::check::{Answer, Race};
use super::details::Details;
use super::plan::Remark;
use super::verdict::Verification;
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// The phases of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Reading the source's schema and fixing its moment.
    Open,
    /// Reading rows to decide types.
    Profile,
    /// Deciding.
    Plan,
    /// Looking for what the rows of several tables say together, orphans say.
    Inspect,
    /// Creating tables.
    Create,
    /// Moving rows.
    Copy,
    /// Building keys and indexes.
    Index,
    /// Adding checks and foreign keys, setting identities, creating views.
    Constrain,
    /// Statistics, and the rows counted back.
    Analyze,
    /// Comparing both sides.
    Verify,
    /// Writing back into SQLite what was changed in PostgreSQL.
    Restore,
}

impl Phase {
    /// The word for people and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Profile => "profile",
            Self::Plan => "plan",
            Self::Inspect => "inspect",
            Self::Create => "create",
            Self::Copy => "copy",
            Self::Index => "index",
            Self::Constrain => "constrain",
            Self::Analyze => "analyze",
            Self::Verify => "verify",
            Self::Restore => "restore",
        }
    }
}

/// One thing that happened. Never holds a row's value.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A phase began; `steps` is how many tables or objects it works on.
    PhaseStarted {
        /// Which.
        phase: Phase,
        /// How many tables or objects.
        steps: u64,
    },
    /// A phase ended.
    PhaseFinished {
        /// Which.
        phase: Phase,
        /// How long it took.
        ms: u64,
    },
    /// One object of the phase is done: a table profiled, an index built.
    Step {
        /// The phase.
        phase: Phase,
        /// The object.
        object: String,
        /// How long it took.
        ms: u64,
    },
    /// The copy begins; the tables' positions here are their positions in [`Progress`].
    CopyPlanned {
        /// The tables in the plan's order.
        tables: Vec<CopyTable>,
    },
    /// Rows are read to be compared; the tables' positions here are their positions in [`Progress`].
    VerifyPlanned {
        /// The tables in the plan's order.
        tables: Vec<CopyTable>,
    },
    /// The rows of a table are all there.
    TableCopied {
        /// Its position in the plan.
        table: usize,
        /// Rows on the target.
        rows: u64,
        /// Bytes of their cells in SQLite.
        bytes: u64,
    },
    /// The rows disproved a type; the table is loaded again.
    Widened {
        /// The table.
        table: String,
        /// What disproved what, in words.
        why: String,
    },
    /// Something a person should know.
    Remark(Remark),
    /// The server that lite2pg started was left running.
    Kept {
        /// Its directory.
        dir: String,
        /// The command that opens it in psql.
        psql: String,
        /// The command that stops it.
        stop: String,
    },
    /// A word on the run itself: resumed, snapshot kind, server started.
    Info {
        /// The word.
        text: String,
    },
}

/// A table that the copy will move.
#[derive(Debug, Clone, Serialize)]
pub struct CopyTable {
    /// Its name on the target.
    pub name: String,
    /// Rows, counted or estimated.
    pub rows: u64,
    /// Bytes of its cells, estimated.
    pub bytes: u64,
    /// Rows that an earlier start has already moved.
    pub rows_done: u64,
}

/// Counters that lanes add to while they copy, one pair a table.
#[derive(Debug, Default)]
pub struct Progress {
    tables: Vec<(AtomicU64, AtomicU64)>,
}

impl Progress {
    /// Counters for this many tables, all zero.
    #[must_use]
    pub fn new(tables: usize) -> Self {
        Self { tables: (0..tables).map(|_| Default::default()).collect() }
    }

    /// Adds rows and bytes to a table.
    pub fn add(&self, table: usize, rows: u64, bytes: u64) {
        self.tables[table].0.fetch_add(rows, Ordering::Relaxed);
        self.tables[table].1.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes rows and bytes back that a rollback undid.
    pub fn take_back(&self, table: usize, rows: u64, bytes: u64) {
        self.tables[table].0.fetch_sub(rows, Ordering::Relaxed);
        self.tables[table].1.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Rows and bytes of a table so far.
    #[must_use]
    pub fn table(&self, table: usize) -> (u64, u64) {
        let (rows, bytes) = &self.tables[table];
        (rows.load(Ordering::Relaxed), bytes.load(Ordering::Relaxed))
    }

    /// Rows and bytes of all tables so far.
    #[must_use]
    pub fn total(&self) -> (u64, u64) {
        (0..self.tables.len()).map(|t| self.table(t)).fold((0, 0), |(a, b), (r, n)| (a + r, b + n))
    }
}

/// Listens to a run. Called from several threads.
pub trait Observer: Sync {
    /// Something happened.
    fn event(&self, event: &Event);
    /// The copy begins: these counters move from now on.
    fn watch(&self, progress: std::sync::Arc<Progress>);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Event) {}
    fn watch(&self, _: std::sync::Arc<Progress>) {}
}

/// What a run did.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The run's id in the control schema; none for a dry run.
    pub run: Option<String>,
    /// Whether an earlier start had finished everything already.
    pub finished_before: bool,
    /// Whether an earlier start's work was gone on with.
    pub resumed: bool,
    /// The tables.
    pub tables: Vec<TableSummary>,
    /// Wall time of each phase.
    pub phases: Vec<(Phase, u64)>,
    /// Warnings and notes, the plan's and those of the run.
    pub remarks: Vec<Remark>,
    /// Rules that rewrote values.
    pub ledger: Vec<LedgerLine>,
    /// Tables of which rows were set aside.
    pub rejects: Vec<RejectedTable>,
    /// A person's questions to both sides, with their answers.
    pub checks: Vec<Answer>,
    /// The same questions to both sides, timed.
    pub parity: Vec<Race>,
    /// Copies that were made before anything was written.
    pub backups: Vec<BackedUp>,
    /// Wall time of the whole run.
    pub ms: u64,
    /// What the comparison of both sides found; none where nobody wanted one.
    pub verification: Option<Verification>,
    /// The largest resident memory of this process, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// How the source was held still.
    pub snapshot: String,
    /// Under which plan and settings, of what, into what: for a report.
    #[serde(skip)]
    pub details: Details,
}

impl Summary {
    /// Whether every row is on the target and every cell of it agrees with the source, no row was set aside, and every
    /// question was answered as expected. A run that compared less, or nothing, is not verified.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verification.as_ref().is_some_and(Verification::is_proof)
            && self.rejects.is_empty()
            && self.checks.iter().all(|answer| answer.right)
            && self.parity.iter().all(|race| race.same)
    }
}

/// A copy of one side that was made before anything was written.
#[derive(Debug, Clone, Serialize)]
pub struct BackedUp {
    /// Of what: `source` or `target`.
    pub side: &'static str,
    /// The file.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Its BLAKE3, in hexadecimal digits.
    pub blake3: String,
}

/// What became of one table.
#[derive(Debug, Clone, Serialize)]
pub struct TableSummary {
    /// Its name on the target.
    pub table: String,
    /// Rows read, sent, and counted back on the target.
    pub rows: u64,
    /// Bytes of their cells in SQLite.
    pub bytes: u64,
    /// Time that lanes spent on it, added up.
    pub copy_ms: u64,
    /// Time that sessions spent on its keys and indexes, added up.
    pub index_ms: u64,
    /// Warnings about it.
    pub warnings: usize,
}

/// The rows of a table that were set aside.
#[derive(Debug, Clone, Serialize)]
pub struct RejectedTable {
    /// Its name on the target.
    pub table: String,
    /// How many.
    pub rows: u64,
    /// The file that lists them.
    pub file: String,
    /// Why, the commonest reason first.
    pub reasons: Vec<Rejection>,
}

/// One reason on one column.
#[derive(Debug, Clone, Serialize)]
pub struct Rejection {
    /// The source column, where one is at fault.
    pub column: Option<String>,
    /// Why, in words that hold no value.
    pub reason: String,
    /// The server's code, where it was the server that refused.
    pub sqlstate: Option<String>,
    /// Rows.
    pub rows: u64,
    /// Up to three keys of such rows.
    pub keys: Vec<i64>,
}

/// One rule on one column.
#[derive(Debug, Clone, Serialize)]
pub struct LedgerLine {
    /// The table on the target.
    pub table: String,
    /// The column on the target.
    pub column: String,
    /// The rule, in words.
    pub rule: String,
    /// Cells.
    pub cells: u64,
    /// Up to three integer keys of such rows.
    pub keys: Vec<i64>,
}
