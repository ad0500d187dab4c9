//! The plan of a run: a printable, storable value that says everything that will be created and converted.

use super::conversion::Conversion;
use super::pg_type::{CastType, PgType};
use super::policy::Policy;
use super::reshape::Mark;
use super::source::RowKey;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The plan of a migration. It exists only after it was checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The target schema.
    pub schema: String,
    /// The enums that a person states, in the file's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enums: Vec<EnumPlan>,
    /// The tables, in the source's order.
    pub tables: Vec<TablePlan>,
    /// The views that were translated, in the source's order.
    pub views: Vec<ViewPlan>,
    /// What was renamed, left out, or could not be translated.
    pub remarks: Vec<Remark>,
    /// Tables of the source that belong to the application and not to its data, by name: nothing is done about them.
    #[serde(default)]
    pub left_alone: Vec<String>,
    /// What ids of version 4 and 7 were drawn by, where there are such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<Draw>,
}

/// What a run draws ids by, once: it is kept with the run's plan, so that no old id ever becomes two new ones, whatever
/// cuts the run and whoever reads it later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Draw {
    /// The namespace in which each map has its own. Nil where nothing is drawn in earnest: in plans that nobody carries out.
    pub seed: Uuid,
    /// The time of the run, in milliseconds since 1970.
    pub millis: u64,
}

/// An enum of the target's schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnumPlan {
    /// Its name, unquoted.
    pub name: String,
    /// Its values, in their order.
    pub labels: Vec<String>,
    /// It was there before us, with these values at least.
    pub existing: bool,
}

/// What becomes of one table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TablePlan {
    /// Its name in SQLite.
    pub source: String,
    /// Its name in PostgreSQL, unquoted.
    pub target: String,
    /// How its rows are told apart and split.
    pub row_key: RowKey,
    /// The table was there before us: its definition stays, only rows are loaded.
    pub existing: bool,
    /// What becomes of a row that the server refuses: it is set aside, or the run ends.
    #[serde(default)]
    pub on_refusal: Policy,
    /// What the SELECT that shapes its rows says of some of them.
    #[serde(default)]
    pub marks: Vec<Mark>,
    /// All columns, generated ones included.
    pub columns: Vec<ColumnPlan>,
    /// The primary key.
    pub primary_key: Option<KeyPlan>,
    /// Unique constraints and indexes, best built after the load.
    pub indexes: Vec<IndexPlan>,
    /// CHECK constraints.
    pub checks: Vec<CheckPlan>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKeyPlan>,
    /// Rows, counted or estimated.
    pub rows: u64,
    /// Whether `rows` was counted.
    pub rows_exact: bool,
    /// Bytes of its cells, estimated.
    pub bytes: u64,
    /// Bytes of the largest cell that was seen.
    pub largest_cell: u64,
    /// Smallest and largest integer key.
    pub key_bounds: Option<(i64, i64)>,
}

/// What becomes of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "facts about a column, each independent of the others")]
pub struct ColumnPlan {
    /// Its name in SQLite.
    pub source: String,
    /// Its declared type in SQLite, verbatim.
    pub declared: String,
    /// Its name in PostgreSQL, unquoted.
    pub target: String,
    /// Its type in PostgreSQL.
    pub pg_type: PgType,
    /// The rule for its cells.
    pub conversion: Conversion,
    /// Whether cells that the type cannot hold get a stand-in, with the original kept in the control schema.
    pub stand_ins: bool,
    /// The type is one that a person stated, or that was there before: a value that it does not take breaks a rule, where
    /// an inferred type would be widened.
    #[serde(default)]
    pub is_rule: bool,
    /// What becomes of a cell that breaks the rule.
    #[serde(default)]
    pub on_error: Policy,
    /// Under [`Policy::Default`], and where NULL takes the default: the default as a field of a binary COPY, NULL where there is none.
    #[serde(default)]
    pub fallback: Option<Vec<u8>>,
    /// NULL takes the default too.
    #[serde(default)]
    pub null_is_default: bool,
    /// NOT NULL on the target.
    pub not_null: bool,
    /// DEFAULT on the target, as SQL.
    pub default: Option<String>,
    /// The expression of a stored generated column, as SQL. Its values are computed by the server, not loaded.
    pub generated: Option<String>,
    /// `GENERATED BY DEFAULT AS IDENTITY`, with the last number SQLite ever gave out where it says so.
    pub identity: Option<Identity>,
    /// Why this type, in words.
    pub evidence: String,
}

/// An identity column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `sqlite_sequence.seq`, where SQLite has it.
    pub last: Option<i64>,
    /// The sequence's name, where the one that PostgreSQL would choose belongs to something else.
    #[serde(default)]
    pub sequence: Option<String>,
}

/// A primary key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPlan {
    /// Name of the constraint and its index.
    pub name: String,
    /// Target columns.
    pub columns: Vec<String>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPlan {
    /// Its name on the target.
    pub name: String,
    /// UNIQUE
    pub unique: bool,
    /// It becomes a UNIQUE constraint of this name once built.
    pub constraint: bool,
    /// The parenthesised terms, as SQL.
    pub terms: String,
    /// The WHERE condition, as SQL.
    pub condition: Option<String>,
}

/// A CHECK constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckPlan {
    /// Its name on the target.
    pub name: String,
    /// The condition, as SQL for PostgreSQL.
    pub condition: String,
    /// The condition as SQLite has it.
    pub source: String,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKeyPlan {
    /// Its name on the target.
    pub name: String,
    /// Child columns on the target.
    pub columns: Vec<String>,
    /// Parent table on the target.
    pub parent: String,
    /// Parent columns on the target.
    pub parent_columns: Vec<String>,
    /// `NO ACTION`, `RESTRICT`, `SET NULL`, `SET DEFAULT` or `CASCADE`.
    pub on_update: String,
    /// The same for deletes.
    pub on_delete: String,
    /// DEFERRABLE INITIALLY DEFERRED
    pub deferred: bool,
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewPlan {
    /// Its name in SQLite.
    pub source: String,
    /// Its name on the target.
    pub target: String,
    /// The SELECT, as SQL for PostgreSQL. It names its columns itself.
    pub select: String,
    /// The view as SQLite has it.
    pub source_sql: String,
}

/// Something a person should know before or after the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// How much it matters.
    pub level: Level,
    /// The object it is about: a table, `table.column`, an index, a view, a trigger.
    pub object: String,
    /// What and why, in words.
    pub text: String,
    /// SQL to edit and run by hand.
    pub sql: Option<String>,
}

/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A decision worth knowing.
    Note,
    /// Something of the source is not on the target, or not in force there.
    Warning,
}

impl Remark {
    /// A decision worth knowing.
    pub fn note(object: impl Into<String>, text: impl Into<String>) -> Self {
        Self { level: Level::Note, object: object.into(), text: text.into(), sql: None }
    }

    /// Something that is not on the target, or not in force there.
    pub fn warning(object: impl Into<String>, text: impl Into<String>) -> Self {
        Self { level: Level::Warning, object: object.into(), text: text.into(), sql: None }
    }

    /// Adds SQL to edit and run by hand.
    #[must_use]
    pub fn with_sql(mut self, sql: impl Into<String>) -> Self {
        self.sql = Some(sql.into());
        self
    }
}

impl ColumnPlan {
    /// Whether some cells get something else than their value.
    #[must_use]
    pub const fn replaces(&self) -> bool {
        self.on_error.replaces() || self.null_is_default
    }

    /// The type that PostgreSQL itself casts its cells to, where it does.
    #[must_use]
    pub const fn cast(&self) -> Option<&CastType> {
        if let PgType::Cast(cast) = &self.pg_type { Some(cast) } else { None }
    }

    /// The zone in which it does so, where that is not UTC.
    #[must_use]
    pub fn cast_zone(&self) -> Option<&str> {
        if let Conversion::Cast { zone, .. } = &self.conversion { zone.as_deref() } else { None }
    }
}

impl TablePlan {
    /// The columns that the load sends, in order; the server computes the others.
    pub fn loaded(&self) -> impl Iterator<Item = &ColumnPlan> {
        self.columns.iter().filter(|c| c.generated.is_none())
    }

    /// The columns that are compared: the loaded ones, then those that the server computes.
    pub fn compared(&self) -> impl Iterator<Item = &ColumnPlan> {
        self.loaded().chain(self.columns.iter().filter(|c| c.generated.is_some()))
    }

    /// Whether PostgreSQL itself casts the cells of a loaded column.
    #[must_use]
    pub fn has_casts(&self) -> bool {
        self.loaded().any(|c| c.cast().is_some())
    }

    /// Whether rows of this table may be set aside.
    #[must_use]
    pub fn may_reject(&self) -> bool {
        self.on_refusal == Policy::Reject
            || self.marks.iter().any(|mark| mark.rejects)
            || self.columns.iter().any(|c| c.on_error == Policy::Reject)
    }

    /// Whether the same rows would land in the same columns: what decides about a reload.
    #[must_use]
    pub fn loads_like(&self, other: &Self) -> bool {
        let shape = |c: &ColumnPlan| {
            (c.target.clone(), c.pg_type.clone(), c.conversion.clone(), c.not_null, c.stand_ins, c.generated.clone())
        };
        self.target == other.target && self.columns.iter().map(shape).eq(other.columns.iter().map(shape))
    }
}
