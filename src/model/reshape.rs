//! What becomes of tables and columns before types are decided: renamed, left out, filtered, computed.

use serde::{Deserialize, Serialize};

/// The shapes that a person states. Tables without one stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reshape {
    /// In the file's order.
    pub tables: Vec<TableShape>,
}

/// A table of the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableShape {
    /// Its name among the source's tables: the source's own, or that of a query.
    pub name: String,
    /// Where its rows come from.
    pub origin: Origin,
    /// Its name on the target, where that is another.
    pub to: Option<String>,
    /// It is left out.
    pub skip: bool,
    /// Only rows for which this is true: SQLite's SQL.
    pub only: Option<String>,
    /// Its columns that are not as they were.
    pub columns: Vec<ColumnShape>,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Origin {
    /// A table of the source.
    Table(String),
    /// A SELECT in SQLite's own SQL.
    Query {
        /// The SELECT.
        sql: String,
        /// The columns that tell its rows apart.
        key: Vec<String>,
    },
}

/// A column of the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnShape {
    /// Its name in the source, or that of a new one.
    pub name: String,
    /// Its name on the target, where that is another.
    pub to: Option<String>,
    /// It is left out.
    pub skip: bool,
    /// Where its values come from.
    pub value: Value,
    /// What takes the place of NULL.
    pub default: Option<Literal>,
}

/// Where a column's values come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// The column itself.
    Own,
    /// An expression in SQLite's own SQL.
    Sql(String),
    /// The same in every row.
    Constant(Literal),
    /// A path into the JSON that the column holds.
    Json(String),
    /// Old texts and what they become; other values stay.
    Map(Vec<(String, Literal)>),
}

/// A value that a person wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Literal {
    /// An integer.
    Integer(i64),
    /// A real.
    Real(f64),
    /// A text.
    Text(String),
}

impl TableShape {
    /// Whether its rows or values are others than the table's: then they are read through a SELECT.
    #[must_use]
    pub fn is_derived(&self) -> bool {
        matches!(self.origin, Origin::Query { .. })
            || self.only.is_some()
            || self.columns.iter().any(|c| c.value != Value::Own || c.default.is_some())
    }
}
