//! What becomes of tables and columns before types are decided: renamed, left out, filtered, computed.

use serde::{Deserialize, Serialize};

/// The shapes that a person states. Tables without one stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reshape {
    /// In the file's order.
    pub tables: Vec<TableShape>,
    /// SELECTs in SQLite's SQL, with the names that queries use them under.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub define: Vec<(String, String)>,
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
    /// Rows that are set aside for what they say, whatever their types.
    #[serde(default)]
    pub rejects: Vec<Refusal>,
    /// How rows go back that are none of a table's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inverse: Vec<Inverse>,
}

/// What becomes of a table of the source on the way back of one that was made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inverse {
    /// The source's table.
    pub table: String,
    /// A SELECT in SQLite's SQL over the target's rows: columns of that table, its key among them.
    pub sql: String,
}

impl Inverse {
    /// Whether its SELECT names a table.
    #[must_use]
    pub fn uses(&self, table: &str) -> bool {
        mentions(&self.sql, table)
    }
}

/// Rows that a person does not want.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// SQLite's SQL: a number other than 0 sets the row aside.
    pub when: String,
    /// Why, in words; `{}` stands for the number.
    pub reason: String,
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
    /// Several tables that hold rows of the same kind.
    Merge {
        /// Them, best first.
        sources: Vec<MergeSource>,
        /// The columns that tell their rows apart: of two rows with one key, that of the better table is taken.
        key: Vec<String>,
    },
}

/// A table among those that are merged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MergeSource {
    /// Its name.
    pub table: String,
    /// Its columns that have other names than those of the merged table, each with that one.
    pub columns: Vec<(String, String)>,
    /// Its columns that are left behind.
    pub drop: Vec<String>,
    /// Only its rows for which this is true: SQLite's SQL.
    pub only: Option<String>,
}

impl MergeSource {
    /// What a column of it is called in the merged table; none where it is left behind.
    #[must_use]
    pub fn name_of<'a>(&'a self, column: &'a str) -> Option<&'a str> {
        if self.drop.iter().any(|dropped| dropped.eq_ignore_ascii_case(column)) {
            return None;
        }
        let renamed = self.columns.iter().find(|(from, _)| from.eq_ignore_ascii_case(column));
        Some(renamed.map_or(column, |(_, to)| to))
    }
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
    /// What becomes of values that a map does not name.
    #[serde(default)]
    pub others: Stray,
    /// What becomes of values that refer to no row.
    #[serde(default)]
    pub orphans: Option<Orphans>,
    /// What the source's cell becomes on the way back: SQLite's SQL over the target's row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inverse: Option<String>,
}

/// What becomes of a value that should not be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stray {
    /// It stays.
    #[default]
    Keep,
    /// NULL takes its place.
    Null,
    /// Its row is set aside.
    Reject,
}

/// A column whose values refer to rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphans {
    /// What becomes of one that refers to none.
    pub policy: Stray,
    /// The table referred to.
    pub parent: String,
    /// Its column.
    pub column: String,
}

/// A column that a SELECT has beside those of its table: a number other than 0 says something of the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The column that it is about, where it is about one.
    pub column: Option<String>,
    /// What it says; `{}` stands for the number.
    pub words: String,
    /// The row is set aside; else it is counted.
    pub rejects: bool,
    /// It says so only where the column is NULL. What makes the column NULL need not be worked out twice then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub if_null: bool,
}

impl Mark {
    /// What it says of a row with this number.
    #[must_use]
    pub fn told(&self, number: i64) -> String {
        self.words.replace("{}", &number.to_string())
    }
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

impl Reshape {
    /// The same without what is said of the way back: it may be stated once the rows are there.
    #[must_use]
    pub fn without_inverses(mut self) -> Self {
        self.tables.iter_mut().for_each(|table| table.inverse.clear());
        self.tables.iter_mut().flat_map(|t| &mut t.columns).for_each(|column| column.inverse = None);
        self
    }

    /// What is said of a table of the source.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&TableShape> {
        self.tables.iter().find(|t| t.name.eq_ignore_ascii_case(name))
    }
}

impl Reshape {
    /// A table of the source whose rows or values are made with those of another one: by SQL that names it.
    #[must_use]
    pub fn made_with(&self, other: &str) -> Option<&str> {
        let is_made = |shape: &&TableShape| {
            let is_another = !shape.skip && !shape.name.eq_ignore_ascii_case(other);
            is_another && !shape.is_made_of_others() && shape.sql().any(|sql| mentions(sql, other))
        };
        self.tables.iter().find(is_made).map(|shape| shape.name.as_str())
    }

    /// The tables of the source of which values or rows are left out that refer to no row of another one.
    pub fn orphaned_by<'a>(&'a self, parent: &'a str) -> impl Iterator<Item = &'a str> {
        let refers = |column: &ColumnShape| {
            let orphans = column.orphans.as_ref().filter(|o| o.policy != Stray::Keep);
            orphans.is_some_and(|o| o.parent.eq_ignore_ascii_case(parent))
        };
        let is_child = move |shape: &&TableShape| !shape.is_made_of_others() && shape.columns.iter().any(refers);
        self.tables.iter().filter(is_child).map(|shape| shape.name.as_str())
    }
}

// Whether SQL has this name in it: anywhere, so that none is overlooked.
fn mentions(sql: &str, name: &str) -> bool {
    let (sql, name) = (sql.to_ascii_lowercase(), name.to_ascii_lowercase());
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    sql.match_indices(&name)
        .any(|(at, _)| !is_part(sql[..at].chars().next_back()) && !is_part(sql[at + name.len()..].chars().next()))
}

impl TableShape {
    /// Whether its rows are none of a table's own.
    #[must_use]
    pub fn is_made_of_others(&self) -> bool {
        !matches!(self.origin, Origin::Table(_))
    }

    // What a person wrote of its rows.
    fn sql(&self) -> impl Iterator<Item = &str> {
        let columns = self.columns.iter().filter_map(|column| match &column.value {
            Value::Sql(sql) => Some(sql.as_str()),
            _ => None,
        });
        let rejects = self.rejects.iter().map(|refusal| refusal.when.as_str());
        self.only.as_deref().into_iter().chain(columns).chain(rejects)
    }

    /// Whether this column's values are its own, and all of the table's rows are there to give them.
    #[must_use]
    pub fn is_own(&self, column: &str) -> bool {
        let of = |shape: &&ColumnShape| shape.name.eq_ignore_ascii_case(column);
        matches!(self.origin, Origin::Table(_))
            && self.columns.iter().find(of).is_none_or(|c| c.is_own() && c.orphans.is_none())
    }

    /// Whether its rows or values are others than the table's: then they are read through a SELECT.
    #[must_use]
    pub fn is_derived(&self) -> bool {
        !matches!(self.origin, Origin::Table(_))
            || self.only.is_some()
            || !self.rejects.is_empty()
            || self.columns.iter().any(|c| !c.is_own() || c.orphans.is_some())
    }
}

impl ColumnShape {
    /// Whether its values are the column's own, but for those that refer to no row.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.value == Value::Own && self.default.is_none()
    }
}
