//! What a person asks of a migration.

use super::proof::Wish;
use crate::error::{Error, Kind, Result};
use crate::load::Conflict;
use crate::model::bounds::{LANES_MAX, REJECTS_MAX};
use crate::model::candidates::TypeOptions;
use crate::model::check::{Parity, Question};
use crate::model::conversion::{Conversion, MomentForm, Naive};
use crate::model::name::Spelling;
use crate::model::plan::Draw;
use crate::model::policy::Rules;
use crate::model::reshape::Reshape;
use crate::plan::{PlanOptions, Purpose};
use crate::postgres::control;
use crate::sqlite::SnapshotChoice;
use crate::transform::Compiled;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that shapes a migration besides its source and target.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag of the command line")]
pub struct Options {
    /// The SQLite file, as typed.
    pub source: PathBuf,
    /// The target schema.
    pub schema: String,
    /// How names change.
    pub spelling: Spelling,
    /// Globs of tables to take; empty takes all.
    pub include: Vec<String>,
    /// Globs of tables to leave out.
    pub exclude: Vec<String>,
    /// Lanes: readers and connections at work at once.
    pub jobs: usize,
    /// What to carry over.
    pub scope: Scope,
    /// Options of types.
    pub types: TypeOptions,
    /// How the source is held still.
    pub snapshot: SnapshotChoice,
    /// Empty the target's tables first.
    pub truncate: bool,
    /// What to do about rows that are there. Without it, tables that hold rows are refused.
    pub conflict: Option<Conflict>,
    /// Drop what an earlier run created, and begin again.
    pub restart: bool,
    /// Compare both sides, cell by cell, at the end.
    pub verify: bool,
    /// How that is done.
    pub wish: Wish,
    /// Types and policies that a person states.
    pub rules: Rules,
    /// Shapes of tables and columns that a person states.
    pub reshape: Reshape,
    /// SQL to run on the target before anything is created there, and once everything is.
    pub scripts: Scripts,
    /// Questions to both sides at the end.
    pub questions: Vec<Question>,
    /// Rows that are set aside: where they are listed, and how many there may be.
    pub rejects: RejectLimits,
    /// Refuse whatever would be lost or rewritten.
    pub strict: bool,
    /// The same questions to both sides, timed.
    pub parity: Vec<Parity>,
    /// What is done before the first write, and how the server is spoken to.
    pub settings: Settings,
    /// Tables in which the application keeps its migrations.
    pub migrations: Migrations,
    /// Let triggers of tables that are there fire for rows that are loaded.
    pub fires_triggers: bool,
    /// Keep the indexes of tables that are there while many rows are loaded.
    pub keeps_indexes: bool,
    /// What ids are drawn by, where several runs have to draw the same ones; each run draws for itself otherwise.
    pub draw: Option<Draw>,
    /// Tables and columns that a way back leaves as they are, or behind: a plan and a rehearsal go by it.
    pub leave: Vec<String>,
}

/// DDL that a person wrote.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Ddl {
    /// Where it was read from.
    #[serde(skip)]
    pub name: String,
    /// The statements.
    pub sql: String,
}

/// What is done before the first write, and how the server is spoken to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Copies that are made first.
    pub backup: Option<Backup>,
    /// Connections at once, at least 3; lanes are at most two fewer ([`Options::jobs`]). `None`: what the lanes need, and as
    /// many again while keys and indexes are built.
    pub connections: Option<usize>,
    /// How long a statement waits for a lock.
    pub lock_timeout: Option<Duration>,
    /// How long a statement may take.
    pub statement_timeout: Option<Duration>,
    /// Rows that one transaction is planned for.
    pub range_rows: Option<u64>,
    /// Rows that are sent to the server at once, at most.
    pub batch_rows: Option<u64>,
}

/// Copies of both sides that are made before anything is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The folder.
    pub folder: PathBuf,
    /// The source, by SQLite's backup API.
    pub source: bool,
    /// A target that holds rows, by `pg_dump`.
    pub target: bool,
    /// Earlier ones of the same names go after as many days.
    pub keep_days: Option<u32>,
}

/// What a person says of the tables in which applications keep their migrations.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Migrations {
    /// Tables that are left alone beside those that are known, by name.
    pub alone: Vec<String>,
    /// Tables that move like any other, by name.
    pub moved: Vec<String>,
    /// Load although both sides have done other migrations.
    #[serde(skip)]
    pub ignored: bool,
}

/// SQL that a person wants run on the target.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Scripts {
    /// The target's own DDL, in the transaction that begins the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ddl: Option<Ddl>,
    /// Before anything is created, in the transaction that begins the run.
    pub before: Vec<String>,
    /// Once everything is there, in the transaction that ends it.
    pub after: Vec<String>,
}

/// Bounds on rows that are set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectLimits {
    /// The folder for the files that list them.
    pub folder: PathBuf,
    /// The run ends at one more than this.
    pub most: u64,
    /// The run counts as done with as many.
    pub allowed: u64,
}

impl Default for RejectLimits {
    fn default() -> Self {
        Self { folder: PathBuf::from("rejects"), most: REJECTS_MAX, allowed: 0 }
    }
}

/// Where a run's shape says how it shapes tables.
const RESHAPE: &str = "reshape";

/// The shapes of tables that an earlier run was started with.
pub fn reshape_of(earlier: &str) -> Reshape {
    let shape = serde_json::from_str::<serde_json::Value>(earlier).unwrap_or_default();
    serde_json::from_value(shape[RESHAPE].clone()).unwrap_or_default()
}

/// Where a run's shape says its policies.
const POLICIES: &str = "on_error";

/// What of the source is carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Tables, rows, keys and the rest.
    #[default]
    All,
    /// Everything but the rows.
    SchemaOnly,
    /// Rows, into tables that are there.
    DataOnly,
}

impl Options {
    /// A migration of everything with the defaults of the command line.
    #[must_use]
    pub fn new(source: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            schema: "public".to_owned(),
            spelling: Spelling::Preserve,
            include: Vec::new(),
            exclude: Vec::new(),
            jobs: default_jobs(),
            scope: Scope::All,
            types: TypeOptions::default(),
            snapshot: SnapshotChoice::Auto,
            truncate: false,
            conflict: None,
            restart: false,
            verify: true,
            wish: Wish::default(),
            rules: Rules::default(),
            reshape: Reshape::default(),
            scripts: Scripts::default(),
            questions: Vec::new(),
            rejects: RejectLimits::default(),
            strict: false,
            parity: Vec::new(),
            settings: Settings::default(),
            migrations: Migrations::default(),
            fires_triggers: false,
            keeps_indexes: false,
            draw: None,
            leave: Vec::new(),
        }
    }

    /// Refuses what no run can be asked for: lanes that are none or more than there may be, a schema that cannot be the
    /// target's. Errors have kind [`Kind::Usage`].
    pub fn check(&self) -> Result<()> {
        check_jobs(self.jobs)?;
        if self.schema.is_empty() {
            return Err(Error::new(Kind::Usage, "the schema has no name").hint("`--schema public`, or leave it out"));
        }
        if self.schema == control::NAME {
            return Err(Error::new(Kind::Usage, format!("`{}` cannot be the target's schema", self.schema))
                .fact("lite2pg keeps its own records there")
                .hint("any other name; it is created if absent"));
        }
        Ok(())
    }

    /// Refuses rows for tables that an application made, where a server that was just started would have to have them.
    pub(super) fn check_tables(&self) -> Result<()> {
        if self.scope != Scope::DataOnly || self.scripts.ddl.is_some() || !self.scripts.before.is_empty() {
            return Ok(());
        }
        let what = "rows are loaded into tables that an application made: a throw-away server has none";
        Err(Error::new(Kind::Usage, what).hint("`--ddl schema.sql` makes them there first"))
    }

    /// What was asked for, by name: without SQL that a person wrote, so that a report may show it.
    pub(super) fn told(&self) -> Vec<(&'static str, String)> {
        let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
        let all = |list: &[String], none: &str| if list.is_empty() { none.to_owned() } else { list.join(", ") };
        let zone = match &self.types.assume_tz {
            Some(Naive::Utc) => "UTC".to_owned(),
            Some(Naive::Zone(zone)) => zone.clone(),
            Some(Naive::Refuse) | None => "none".to_owned(),
        };
        let types = self.rules.types.iter().map(|(name, pg_type)| format!("{name}={pg_type}")).collect::<Vec<_>>();
        let policies = self.rules.policies.iter().map(|(name, policy)| match name {
            Some(name) => format!("{name}={policy}"),
            None => policy.to_string(),
        });
        let policies: Vec<String> = policies.collect();
        vec![
            ("schema", self.schema.clone()),
            ("identifiers", word(&self.spelling)),
            ("include", all(&self.include, "all")),
            ("exclude", all(&self.exclude, "none")),
            ("scope", word(&self.scope)),
            ("jobs", self.jobs.to_string()),
            ("snapshot", word(&self.snapshot)),
            ("assume_tz", zone),
            ("integers", if self.types.narrow_integers { "fit" } else { "bigint" }.to_owned()),
            ("types", all(&types, "by the rows")),
            ("on_error", all(&policies, "fail")),
            ("reshaped_tables", self.reshape.tables.len().to_string()),
            ("scripts", (self.scripts.before.len() + self.scripts.after.len()).to_string()),
            ("truncate", yes(self.truncate)),
            ("on_conflict", self.conflict.as_ref().map_or_else(|| "refuse".to_owned(), word)),
            ("restart", yes(self.restart)),
            ("strict", yes(self.strict)),
            ("verify", if self.verify { word(&self.wish.level) } else { "no".to_owned() }),
        ]
    }

    pub(super) fn plan_options(&self) -> PlanOptions {
        PlanOptions {
            schema: self.schema.clone(),
            spelling: self.spelling,
            types: self.types.clone(),
            purpose: if self.scope == Scope::DataOnly { Purpose::LoadRows } else { Purpose::Migrate },
            rules: self.rules.clone(),
            draw: Draw::default(),
        }
    }

    /// The options that shape the result, in a form that can be compared: a run is resumed only under the same.
    pub(super) fn shape(&self) -> String {
        let mut shape = serde_json::json!({
            "schema": self.schema,
            "identifiers": self.spelling,
            "include": self.include,
            "exclude": self.exclude,
            "scope": self.scope,
            "assume_tz": self.types.assume_tz,
            "narrow_integers": self.types.narrow_integers,
            "conflict": self.conflict,
        });
        // Left out where there are none, so that runs of versions without them can be gone on with.
        if !self.rules.types.is_empty() {
            shape["types"] = serde_json::json!(self.rules.types);
        }
        if !self.rules.readings.is_empty() {
            shape["readings"] = serde_json::json!(self.rules.readings);
        }
        if !self.rules.enums.is_empty() {
            shape["enums"] = serde_json::json!(self.rules.enums);
        }
        if !self.rules.nulls.is_empty() {
            shape["nulls"] = serde_json::json!(self.rules.nulls);
        }
        if !self.reshape.tables.is_empty() {
            shape[RESHAPE] = serde_json::json!(self.reshape);
        }
        if !(self.migrations.alone.is_empty() && self.migrations.moved.is_empty()) {
            shape["migrations"] = serde_json::json!(self.migrations);
        }
        if self.scripts != Scripts::default() {
            shape["scripts"] = serde_json::json!(self.scripts);
        }
        if !self.rules.policies.is_empty() {
            shape[POLICIES] = serde_json::json!(self.rules.policies);
        }
        shape.to_string()
    }

    /// Whether an earlier run was started under the same options. Policies may have changed: what becomes of a value that
    /// broke a rule is often decided once it has.
    pub(super) fn goes_on_with(&self, earlier: &str) -> bool {
        let read = |shape: &str| {
            let mut read = serde_json::from_str::<serde_json::Value>(shape).unwrap_or_default();
            if let Some(options) = read.as_object_mut() {
                options.remove(POLICIES);
            }
            read
        };
        read(earlier) == read(&self.shape())
    }

    /// What differs from an earlier shape: the option, what it was, what it is.
    pub(super) fn differences(&self, earlier: &str) -> Vec<(String, String, String)> {
        let read = |shape: &str| serde_json::from_str::<serde_json::Value>(shape).unwrap_or_default();
        let (was, is) = (read(earlier), read(&self.shape()));
        let names = |shape: &serde_json::Value| -> BTreeSet<String> {
            shape.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
        };
        let mut all = names(&is);
        all.extend(names(&was));
        all.remove(POLICIES);
        all.into_iter()
            .filter(|name| was[name.as_str()] != is[name.as_str()])
            .map(|name| (format!("`{name}`"), was[name.as_str()].to_string(), is[name.as_str()].to_string()))
            .collect()
    }
}

// The word that a plain enum is written as.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Refuses a number of lanes, on which readers and connections work at once, that is none or too many.
pub fn check_jobs(jobs: usize) -> Result<()> {
    if (1..=LANES_MAX).contains(&jobs) {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("`--jobs {jobs}` is outside 1 to {LANES_MAX}"))
        .fact("a job is one reader of the source and one connection to the target")
        .hint("leave it out: then it is two to four, by the processors of this machine"))
}

/// What a time without a zone means, in the words of `--assume-tz`: `UTC`, `none` for times that stay without one, or the
/// name of a zone that this machine knows.
pub fn assumed(zone: &str) -> Result<Option<Naive>> {
    let naive = match zone {
        "none" => return Ok(None),
        "UTC" | "utc" | "Z" => Naive::Utc,
        zone => Naive::Zone(zone.to_owned()),
    };
    // Compiling it finds out now whether this machine knows the zone.
    let form = MomentForm::Text { dates: false };
    Compiled::new(&Conversion::Moment { form, naive: naive.clone(), target_has_zone: true, spelled: None, digits: 6 })?;
    Ok(Some(naive))
}

/// Two lanes keep a local server busy, four a remote one; more only wait for it.
#[must_use]
pub fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4)
}
