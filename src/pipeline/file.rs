//! What a pipeline file can say. The types are its grammar: docs/pipelines.md and the editors' schema come from them.

use crate::model::policy::Policy;
use crate::model::reshape::Stray;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

/// A pipeline: what is not said is decided as in `lite2pg migrate app.db`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// A name for people.
    pub name: Option<String>,
    /// The SQLite file, relative to this one; `--source` overrides it.
    pub source: Option<String>,
    /// The target; `--target` overrides it. `embedded` is a throw-away server.
    pub target: Option<String>,
    /// The schema on the target.
    pub schema: Option<String>,
    /// The namespace of ids that are made by version 5, a uuid; unless stated, one made of the pipeline's name.
    pub namespace: Option<String>,
    /// How names change: `preserve`, `lower` or `snake`.
    pub identifiers: Option<Identifiers>,
    /// What times without a zone mean: `UTC`, an IANA zone, or `none`.
    pub assume_tz: Option<String>,
    /// Readers and connections at work at once.
    pub jobs: Option<usize>,
    /// Only tables whose names match one of these globs.
    pub include: Vec<String>,
    /// Not the tables whose names match one of these globs.
    pub exclude: Vec<String>,
    /// A file with the target's own DDL, relative to this one: it is run first, and its tables are loaded as they are.
    pub ddl: Option<String>,
    /// Rows only, into tables that are there.
    pub data_only: bool,
    /// Triggers of tables that are there fire for the rows that are loaded.
    pub fire_triggers: bool,
    /// Indexes of tables that are there stay while many rows are loaded.
    pub keep_indexes: bool,
    /// Tables in which the application keeps its migrations.
    pub migrations: Migrations,
    /// What becomes of values that break a rule.
    pub on_error: Option<Policy>,
    /// Rows that are set aside.
    pub rejects: Rejects,
    /// SELECTs in SQLite's own SQL, by the names that queries use them under.
    pub define: IndexMap<String, String>,
    /// Enums of the target, by their names: their values in their order. A column has one as its `type`.
    #[serde(rename = "enum")]
    pub enums: IndexMap<String, Vec<String>>,
    /// Tables about which there is something to say.
    pub table: Vec<Table>,
    /// SQL that is run on the target before anything is created, in one transaction.
    pub before: Vec<Script>,
    /// SQL that is run on the target once everything is there, in one transaction.
    pub after: Vec<Script>,
    /// Questions whose answers must be right at the end.
    pub check: Vec<Check>,
    /// The same questions to both sides, asked again and again: answers must agree, times are compared.
    pub parity: Vec<Parity>,
    /// Questions whose answers are shown at the end and not judged.
    pub show: Vec<Show>,
    /// The way back.
    pub rollback: Rollback,
    /// Copies of both sides that are made before anything is written.
    pub backup: Option<Backup>,
    /// How the server is spoken to.
    pub settings: Settings,
}

/// The way back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rollback {
    /// `TABLE` or `TABLE.COLUMN`, as the source or the target has it: what the source has of it stays, and what only the
    /// target has is left behind.
    pub leave: Vec<String>,
}

/// Copies of both sides that are made before anything is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backup {
    /// The folder for them, relative to this file: `backups`, unless stated.
    pub dir: String,
    /// The source, by SQLite's backup API: unless this is `false`.
    pub source: bool,
    /// The target's database, by `pg_dump`, where it holds rows: unless this is `false`.
    pub target: bool,
    /// Earlier ones go after as many days; without it they stay.
    pub keep_days: Option<u32>,
}

impl Default for Backup {
    fn default() -> Self {
        Self { dir: "backups".to_owned(), source: true, target: true, keep_days: None }
    }
}

/// How the server is spoken to. Times are in seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Connections at once, at least 3; the lanes are as many as it leaves room for. From twice the lanes and two on, rows
    /// are compared while keys are built.
    pub connections: Option<usize>,
    /// How long a connection may take to be made.
    pub connect_timeout: Option<u64>,
    /// How long a statement waits for a lock of somebody else.
    pub lock_timeout: Option<u64>,
    /// How long one statement may take, the COPY of a range and the building of an index among them.
    pub statement_timeout: Option<u64>,
    /// Rows that one transaction is planned for.
    pub range_rows: Option<u64>,
    /// Rows that are sent to the server at once, at most; 256 KB are sent however few they are.
    pub batch_rows: Option<u64>,
}

/// How names change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Identifiers {
    /// As they are.
    Preserve,
    /// In lower case.
    Lower,
    /// camelCase and blanks become `snake_case`.
    Snake,
}

/// Tables in which the application keeps its migrations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Migrations {
    /// Further tables that are left alone where the target has them, by their names in the source.
    pub tables: Vec<String>,
    /// Tables of this kind that move like any other.
    pub r#move: Vec<String>,
    /// Loads although both sides have done other migrations.
    pub ignore: bool,
}

/// Rows that are set aside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rejects {
    /// The folder for the files that list them, relative to this file.
    pub dir: Option<String>,
    /// The run ends once there are more.
    pub max: Option<u64>,
    /// The run counts as done with as many.
    pub allow: Option<u64>,
}

/// A table of the target, and where its rows come from.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Table {
    /// The source's table.
    pub from: Option<String>,
    /// A SELECT in SQLite's own SQL, in the place of `from`.
    pub query: Option<String>,
    /// Tables that are merged into this one, best first, in the place of `from`.
    pub merge: Vec<MergeSource>,
    /// The columns of the query, or of the merged tables, that tell rows apart.
    pub key: Vec<String>,
    /// The name on the target.
    pub to: Option<String>,
    /// Leaves the table out, on purpose.
    pub skip: bool,
    /// Only the rows for which this is true, in SQLite's own SQL.
    #[serde(rename = "where")]
    pub only: Option<String>,
    /// Rows that are set aside for what they say.
    pub reject: Vec<Refusal>,
    /// What becomes of values of this table that break a rule, and of rows that the server refuses.
    pub on_error: Option<Policy>,
    /// How the rows of a `query` or a `merge` go back: for each table of the source a SELECT in SQLite's own SQL over them,
    /// by the names that they have in this file. It gives columns of that table, its primary key among them.
    pub inverse: IndexMap<String, String>,
    /// Columns about which there is something to say, by their names in the source; others are new ones.
    pub columns: IndexMap<String, Column>,
}

/// A table among those that are merged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeSource {
    /// The source's table; it is no table of the target's any more.
    pub from: String,
    /// Its columns that have other names in the merged table: `old = "new"`.
    #[serde(default)]
    pub columns: IndexMap<String, String>,
    /// Its columns that are left behind, on purpose.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Only its rows for which this is true, in SQLite's own SQL.
    #[serde(default, rename = "where")]
    pub only: Option<String>,
}

/// Rows that are set aside for what they say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// An expression in SQLite's own SQL: a number other than 0 sets the row aside.
    pub when: String,
    /// Why, in words; `{}` stands for the number.
    pub reason: String,
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Column {
    /// Its name on the target.
    pub to: Option<String>,
    /// Leaves the column out, on purpose.
    pub skip: bool,
    /// Its type on the target, which is then the rule.
    #[serde(rename = "type")]
    pub pg_type: Option<String>,
    /// What becomes of values that break the rule.
    pub on_error: Option<Policy>,
    /// Ids: uuids stay, any other id becomes a uuid of version 5, the same in every column that names the same map.
    pub v5: Option<String>,
    /// The same with random uuids of version 4, which the run draws.
    pub v4: Option<String>,
    /// The same with uuids of version 7, which begin with the time of the run.
    pub v7: Option<String>,
    /// What stands between the values of an array's text; unless stated, the text is a list in JSON or PostgreSQL's own `{a,b}`.
    pub split: Option<String>,
    /// An expression in SQLite's own SQL over the source's columns.
    pub sql: Option<String>,
    /// The same value in every row.
    pub value: Option<Constant>,
    /// A path into the JSON that the column holds: `$.a.b[0]`.
    pub json: Option<String>,
    /// Old values and what they become; others stay.
    pub map: IndexMap<String, Constant>,
    /// What becomes of values that `map` neither names nor gives: `keep`, `null` or `reject`.
    pub others: Option<Stray>,
    /// What takes the place of NULL.
    pub default: Option<Constant>,
    /// `default`: the target's own default takes the place of NULL.
    pub nulls: Option<Nulls>,
    /// What becomes of values that refer to no row: `keep`, `null` or `reject`.
    pub orphans: Option<Stray>,
    /// The `table.column` of the source that the values refer to, where no foreign key says it.
    pub references: Option<String>,
    /// What this column of the source becomes on the way back: an expression in SQLite's own SQL over the columns of the
    /// target's row, by the names that they have in this file.
    pub inverse: Option<String>,
}

/// What becomes of NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Nulls {
    /// It stays.
    Keep,
    /// The target's own default takes its place.
    Default,
}

/// A value as TOML writes it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Constant {
    /// 0 or 1, as SQLite has it.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A real.
    Real(f64),
    /// A text.
    Text(String),
}

/// SQL to run on the target.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The statements.
    pub sql: Option<String>,
    /// A file that holds them, relative to this one.
    pub file: Option<String>,
}

/// A question about one side with its answer, or the same question to both.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What is asked, for people.
    pub name: String,
    /// A query on the source with one row.
    pub source: Option<String>,
    /// A query on the target with one row. With both, the answers must be the same.
    pub target: Option<String>,
    /// The answer, where only one side is asked; several columns are joined by a comma.
    pub expect: Option<String>,
}

/// The same question to both sides, timed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parity {
    /// What is asked, for people.
    pub name: String,
    /// A query that both sides understand; in the place of the two below.
    pub sql: Option<String>,
    /// The query in SQLite's own SQL.
    pub source: Option<String>,
    /// The query in PostgreSQL's.
    pub target: Option<String>,
    /// How often each side is asked after a first time that is not counted: 5, unless stated.
    pub times: Option<u32>,
}

/// A question whose answer is shown.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Show {
    /// What is asked, for people.
    pub name: String,
    /// A query on the source.
    pub source: Option<String>,
    /// A query on the target.
    pub target: Option<String>,
}
