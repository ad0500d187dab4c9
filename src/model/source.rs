//! The source's catalog: what SQLite says of its own tables, before anyone judges it.

use super::reshape::Mark;
use serde::{Deserialize, Serialize};

/// Everything that the schema of a SQLite database names.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Catalog {
    /// Ordinary tables, in the order of `sqlite_schema`; no internal, virtual or shadow tables.
    pub tables: Vec<Table>,
    /// Views, in the order of `sqlite_schema`.
    pub views: Vec<Object>,
    /// Triggers, in the order of `sqlite_schema`.
    pub triggers: Vec<Object>,
    /// Tables whose rows are there and cannot be read, by name.
    pub unreadable: Vec<String>,
    /// Virtual tables and what stores their content.
    pub virtual_tables: Vec<VirtualTable>,
    /// `PRAGMA encoding`
    pub encoding: String,
    /// `PRAGMA page_size`
    pub page_size: u32,
    /// `PRAGMA page_count` × page size.
    pub bytes: u64,
    /// Things that could not be read, in words: a view's columns, a missing module.
    pub remarks: Vec<String>,
}

/// An ordinary table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Table {
    /// The name as written in the schema.
    pub name: String,
    /// The `CREATE TABLE` text.
    pub sql: String,
    /// All columns, generated ones included, in their order.
    pub columns: Vec<Column>,
    /// Indexes into `columns` of the PRIMARY KEY, in key order. Empty without one.
    pub primary_key: Vec<usize>,
    /// How its rows are told apart and split.
    pub row_key: RowKey,
    /// `WITHOUT ROWID`
    pub without_rowid: bool,
    /// `STRICT`
    pub strict: bool,
    /// The `seq` of `sqlite_sequence`, where the table is AUTOINCREMENT and has ever held a row.
    pub sequence: Option<i64>,
    /// Indexes, the automatic ones of UNIQUE and PRIMARY KEY included.
    pub indexes: Vec<Index>,
    /// Foreign keys in the order of their `id`.
    pub foreign_keys: Vec<ForeignKey>,
    /// The SELECT by which its rows are read, where a person gave it another shape than that of the source's table.
    #[serde(default)]
    pub derived: Option<String>,
    /// What that SELECT says of rows, behind its columns.
    #[serde(default)]
    pub marks: Vec<Mark>,
    /// Its name on the target, where a person states it.
    #[serde(default)]
    pub to: Option<String>,
}

/// A column of a table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Column {
    /// The name as written.
    pub name: String,
    /// The declared type, verbatim; empty where there is none.
    pub declared: String,
    /// NOT NULL was declared.
    pub not_null: bool,
    /// The text of DEFAULT, verbatim SQL.
    pub default: Option<String>,
    /// Whether and how it is generated.
    pub generated: Option<Generated>,
    /// It is computed when read, by a function that is not here: it reads as NULL.
    pub broken: bool,
    /// Its name on the target, where a person states it.
    #[serde(default)]
    pub to: Option<String>,
}

/// The storage of a generated column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Generated {
    /// Computed when read.
    Virtual,
    /// Computed when written.
    Stored,
}

/// How the rows of a table are told apart, and how a range of them is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKey {
    /// A rowid table: this name reaches the rowid (`rowid`, `_rowid_`, `oid`, or the INTEGER PRIMARY KEY).
    Rowid {
        /// The unquoted name that reaches the rowid.
        name: String,
        /// Index of the INTEGER PRIMARY KEY column that is the rowid, if one is.
        column: Option<usize>,
    },
    /// A WITHOUT ROWID table: the primary key. Split by ranges where its first column has INTEGER affinity.
    PrimaryKey {
        /// Index of the first key column, where ranges of integers may split the table.
        split: Option<usize>,
    },
    /// A rowid table whose three rowid names are all taken by columns: one range, no key.
    None,
}

impl RowKey {
    /// Whether a row is told by an integer that a person can look up, and not by its number only.
    #[must_use]
    pub const fn is_integer(&self) -> bool {
        matches!(self, Self::Rowid { .. } | Self::PrimaryKey { split: Some(_) })
    }
}

/// An index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Index {
    /// The name; `sqlite_autoindex_…` for automatic ones.
    pub name: String,
    /// UNIQUE
    pub unique: bool,
    /// What made it.
    pub origin: IndexOrigin,
    /// It has a WHERE clause.
    pub partial: bool,
    /// Its key columns in order.
    pub columns: Vec<IndexColumn>,
    /// The `CREATE INDEX` text; none for automatic indexes.
    pub sql: Option<String>,
}

/// What made an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexOrigin {
    /// `CREATE INDEX`
    Create,
    /// A UNIQUE constraint.
    Unique,
    /// A PRIMARY KEY constraint.
    PrimaryKey,
}

/// One key column of an index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IndexColumn {
    /// Index into the table's columns; `None` for the rowid or an expression.
    pub column: Option<usize>,
    /// The key column is an expression (as opposed to the rowid).
    pub expression: bool,
    /// Sorted descending.
    pub descending: bool,
    /// The collation's name: `BINARY`, `NOCASE`, `RTRIM` or the application's own.
    pub collation: String,
}

/// A foreign key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForeignKey {
    /// Indexes of the child columns.
    pub columns: Vec<usize>,
    /// The parent table's name as the child writes it.
    pub parent: String,
    /// The parent columns' names; empty where the clause leaves them to the parent's primary key.
    pub parent_columns: Vec<String>,
    /// `NO ACTION`, `RESTRICT`, `SET NULL`, `SET DEFAULT` or `CASCADE`.
    pub on_update: String,
    /// The same for deletes.
    pub on_delete: String,
}

/// A view or a trigger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// The table it belongs to; its own name for a view.
    pub table: String,
    /// Its `CREATE` text.
    pub sql: String,
}

/// A virtual table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VirtualTable {
    /// Its name.
    pub name: String,
    /// The module named after USING, lowercase.
    pub module: String,
    /// Its `CREATE VIRTUAL TABLE` text.
    pub sql: String,
    /// Tables that hold its content and are left out with it.
    pub shadows: Vec<String>,
    /// Whether this build of SQLite has the module.
    pub module_known: bool,
}

impl Catalog {
    /// The table of that name; SQLite compares names without regard to ASCII case.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.name.eq_ignore_ascii_case(name))
    }
}

impl Table {
    /// The position of the column of that name, ASCII case ignored.
    #[must_use]
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))
    }

    /// The positions of the columns that tell its rows apart; none without a primary key.
    #[must_use]
    pub fn key_columns(&self) -> Vec<usize> {
        match &self.row_key {
            RowKey::Rowid { column: Some(rowid), .. } => vec![*rowid],
            _ => self.primary_key.clone(),
        }
    }

    /// The position of the INTEGER PRIMARY KEY that is the rowid, if there is one.
    #[must_use]
    pub fn rowid_column(&self) -> Option<usize> {
        match &self.row_key {
            RowKey::Rowid { column, .. } => *column,
            _ => None,
        }
    }
}
