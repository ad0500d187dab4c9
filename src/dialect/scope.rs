//! What the names in an expression stand for: columns with their target names, types and SQLite habits.

use super::Affinity;
use crate::model::pg_type::PgType;

/// A column that an expression may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name in SQLite.
    pub source: String,
    /// The name in PostgreSQL, unquoted.
    pub target: String,
    /// The type in PostgreSQL.
    pub pg_type: PgType,
    /// The affinity in SQLite: it decides how comparisons convert.
    pub affinity: Affinity,
    /// The collation declared in SQLite; `None` is BINARY.
    pub collation: Option<String>,
    /// The column never holds NULL.
    pub not_null: bool,
    /// No cell changes its storage class on the way: what is text in PostgreSQL was text in SQLite, what is
    /// a number was a number. False where numbers became text, decimal texts became numeric, or words boolean.
    pub uniform: bool,
}

impl Column {
    /// A nullable column of BINARY collation whose SQLite affinity is the one that goes with the type.
    pub fn new(source: impl Into<String>, target: impl Into<String>, pg_type: PgType) -> Self {
        let affinity = match &pg_type {
            PgType::Int2 | PgType::Int4 | PgType::Int8 => Affinity::Integer,
            PgType::Float4 | PgType::Float8 => Affinity::Real,
            PgType::Numeric(_) | PgType::Bool => Affinity::Numeric,
            PgType::Bytea => Affinity::Blob,
            _ => Affinity::Text,
        };
        let (source, target) = (source.into(), target.into());
        Self { source, target, pg_type, affinity, collation: None, not_null: false, uniform: true }
    }

    /// States the type declared in SQLite, from which the affinity follows.
    #[must_use]
    pub fn declared(mut self, declared: &str) -> Self {
        self.affinity = Affinity::of(declared);
        self
    }

    /// States the collation declared in SQLite.
    #[must_use]
    pub fn collation(mut self, collation: Option<String>) -> Self {
        self.collation = collation;
        self
    }

    /// States whether the column is free of NULL.
    #[must_use]
    pub fn not_null(mut self, not_null: bool) -> Self {
        self.not_null = not_null;
        self
    }

    /// States whether every cell keeps its storage class; see [`Column::uniform`].
    #[must_use]
    pub fn uniform(mut self, uniform: bool) -> Self {
        self.uniform = uniform;
        self
    }
}

/// A table or view whose columns an expression may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The name in SQLite.
    pub source: String,
    /// The schema in PostgreSQL, unquoted.
    pub schema: String,
    /// The name in PostgreSQL, unquoted.
    pub target: String,
    /// All its columns in order.
    pub columns: Vec<Column>,
    /// Index of the column that `rowid` means; `None` where no column of the target holds the rowid.
    pub rowid: Option<usize>,
}

impl Relation {
    /// A relation without a rowid column.
    pub fn new(
        source: impl Into<String>,
        schema: impl Into<String>,
        target: impl Into<String>,
        columns: Vec<Column>,
    ) -> Self {
        Self { source: source.into(), schema: schema.into(), target: target.into(), columns, rowid: None }
    }

    /// States which column is the rowid.
    #[must_use]
    pub fn rowid(mut self, rowid: Option<usize>) -> Self {
        self.rowid = rowid;
        self
    }

    /// The column of that name, ASCII case ignored; the rowid's names where no column takes them.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        let named = self.columns.iter().find(|c| c.source.eq_ignore_ascii_case(name));
        let is_rowid = || ["rowid", "_rowid_", "oid"].iter().any(|r| r.eq_ignore_ascii_case(name));
        named.or_else(|| self.rowid.filter(|_| is_rowid()).and_then(|i| self.columns.get(i)))
    }
}

/// The relations that an expression, or a view, may read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// For an expression of a table: that table. For a view: all tables, and the views translated so far.
    pub relations: Vec<Relation>,
}

impl Scope {
    /// The scope of a table's own expressions: CHECK, generated columns, index terms, partial WHERE.
    #[must_use]
    pub fn table(relation: Relation) -> Self {
        Self { relations: vec![relation] }
    }

    /// The relation of that name, ASCII case ignored.
    #[must_use]
    pub fn relation(&self, name: &str) -> Option<&Relation> {
        self.relations.iter().find(|r| r.source.eq_ignore_ascii_case(name))
    }
}
