//! What a way back did, or found out before it did anything.

use super::loss::Loss;
use super::plan::Remark;
use super::verdict::Verification;
use serde::Serialize;

/// What became of a way back.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    /// How it ended.
    pub ending: Ending,
    /// The run whose source and plan it went by.
    pub run: String,
    /// The restored file, where one was published.
    pub file: Option<String>,
    /// The tables, in the plan's order.
    pub tables: Vec<TableRestored>,
    /// What SQLite cannot hold.
    pub unfit: Vec<Unfit>,
    /// What only the source has of what PostgreSQL holds as well, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub losses: Option<Vec<Loss>>,
    /// Tables whose AUTOINCREMENT goes on where PostgreSQL's identity stands, with that number.
    pub sequences: Vec<(String, i64)>,
    /// What else a person should know.
    pub remarks: Vec<Remark>,
    /// How the copy compares with PostgreSQL. None where it was given up before.
    pub verification: Option<Verification>,
    /// Tables on which writers were stopped meanwhile.
    pub fenced: u64,
    /// Whether the fence is still up.
    pub fence_kept: bool,
    /// Time it took.
    pub ms: u64,
}

/// How a way back ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The file is there.
    Published,
    /// It would be, and nobody wanted it.
    DryRun,
    /// Something cannot go back, and nothing was written.
    Refused,
}

/// What became of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableRestored {
    /// Its name in SQLite.
    pub source: String,
    /// Its name on the target.
    pub table: String,
    /// Rows that stayed as they were, to the byte.
    pub unchanged: u64,
    /// Rows of which cells were written.
    pub updated: u64,
    /// Rows that only PostgreSQL had.
    pub inserted: u64,
    /// Rows that PostgreSQL did not have any more.
    pub deleted: u64,
    /// Rows of which something cannot go back.
    pub unfit: u64,
}

/// Something of PostgreSQL that SQLite cannot hold.
#[derive(Debug, Clone, Serialize)]
pub struct Unfit {
    /// The table on the target.
    pub table: String,
    /// The column, where it is about one.
    pub column: Option<String>,
    /// Why.
    pub reason: String,
    /// Values, or rows.
    pub count: u64,
    /// Some of the rows, by their keys.
    pub keys: Vec<String>,
    /// The file that has all of them, with their values.
    pub file: Option<String>,
}

/// How much of a table goes back, as far as that is known before anything was changed in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WayBack {
    /// The table on the target.
    pub table: String,
    /// How much.
    pub extent: Extent,
    /// What does not, or not as it came.
    pub notes: Vec<String>,
    /// Whether somebody said that it is left.
    #[serde(skip)]
    pub is_left: bool,
}

/// Something of the target that is refused on a way back, once it holds what SQLite cannot take, unless it is left or
/// exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreturned {
    /// `TABLE` or `TABLE.COLUMN`, as `leave` takes it.
    pub name: String,
    /// Why.
    pub why: Why,
}

/// Why something of the target does not go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// SQLite never had it.
    OnlyThere,
    /// The table has no way back.
    OneWay,
}

/// How much of a table goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// Everything that SQLite can hold.
    Whole,
    /// Everything but what the notes say.
    Partly,
    /// Nothing.
    OneWay,
}

impl Extent {
    /// A few words for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Partly => "with exceptions",
            Self::OneWay => "none",
        }
    }
}

/// Why a value cannot go back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Infinity of a date or time.
    InfiniteTime,
    /// A date or time that its text has no spelling for.
    BeyondCalendar,
    /// NaN, which SQLite stores as NULL.
    NotANumber,
    /// A number that a cell of this column cannot hold exactly.
    Inexact,
    /// A moment that the column's way of writing them cannot say.
    NoSpelling,
    /// What the column's rule reads as something else, whatever is written.
    NoCell,
    /// SQLite makes another value of it when it stores it.
    Affinity,
    /// SQLite computes the column, and gets something else.
    Computed,
    /// SQLite refuses the row, in its words.
    Refused(String),
    /// A value in another column of the row cannot go back.
    RowOf(String),
    /// The pipeline has no way back for it.
    OneWay,
    /// The pipeline puts a default in the place of NULL.
    NoNull,
}

impl Reason {
    /// A phrase for people: "3 values: …".
    #[must_use]
    pub fn phrase(&self) -> String {
        let words = match self {
            Self::InfiniteTime => "an infinite time",
            Self::BeyondCalendar => "a time outside the years 1 to 9999, or 24:00",
            Self::NotANumber => "NaN, which SQLite stores as NULL",
            Self::Inexact => "a number that a cell of this column cannot hold exactly",
            Self::NoSpelling => "a time that cannot be said in the one spelling of the column",
            Self::NoCell => "a value that no cell of this column stands for",
            Self::Affinity => "a value that the column's declared type changes into another",
            Self::Computed => "SQLite computes the column, and comes to another value",
            Self::OneWay => "the pipeline makes it of something else, and states no way back",
            Self::NoNull => "NULL, in whose place the pipeline puts a default",
            Self::Refused(words) => return format!("SQLite refuses the row: {words}"),
            Self::RowOf(column) => return format!("left out with its row, of which `{column}` cannot go back"),
        };
        words.to_owned()
    }
}
