//! What only the source has: the forms of cells and rows that PostgreSQL alone does not tell, and that a way back keeps
//! because the source is its baseline.

use super::cell::Class;
use serde::Serialize;

/// One kind of form in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The table in SQLite.
    pub table: String,
    /// The column in SQLite, where it is about one.
    pub column: Option<String>,
    /// What would be another without the source.
    pub form: Form,
    /// Cells; rows, where it is about no column.
    pub count: u64,
    /// The same in words.
    pub words: String,
}

impl Loss {
    /// A loss of this many cells, or rows.
    #[must_use]
    pub fn new(table: &str, column: Option<&str>, form: Form, count: u64) -> Self {
        let (table, column) = (table.to_owned(), column.map(str::to_owned));
        Self { table, column, form, count, words: form.words() }
    }
}

/// What of a cell or a row PostgreSQL alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The storage class.
    Class {
        /// The source's.
        is: Class,
        /// That of the cell which the target's value gives.
        would_be: Class,
    },
    /// The same class, and other bytes: a time, a uuid, a number or JSON that is spelled otherwise.
    Spelling,
    /// The target holds a stand-in, NULL or a default: the cell itself is in `lite2pg.original`.
    Original,
    /// No cell is known that the value stands for.
    Unsaid,
    /// A column whose values the target does not have.
    Column,
    /// Rowids that are no column.
    Rowid,
    /// Rows that the target does not have.
    Row,
    /// Rows of a table that the target does not have as its own.
    Table,
}

impl Form {
    /// A phrase for people, behind a number of cells or rows.
    #[must_use]
    pub fn words(self) -> String {
        let words = match self {
            Self::Class { is, would_be } => {
                let word = |class: Class| class.word().to_ascii_uppercase();
                return format!("{} here, {} by PostgreSQL alone", word(is), word(would_be));
            }
            Self::Spelling => "spelled otherwise by PostgreSQL alone",
            Self::Original => "something else in their place; `lite2pg.original` has them",
            Self::Unsaid => "of values for which PostgreSQL alone gives no cell",
            Self::Column => "in no column of PostgreSQL",
            Self::Rowid => "whose rowid is no column",
            Self::Row => "that PostgreSQL does not have",
            Self::Table => "of a table that PostgreSQL does not have as its own",
        };
        words.to_owned()
    }
}
