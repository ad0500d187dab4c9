//! A migration as a scenario: a SQLite file, one call of the library, and questions to both sides afterwards.
//!
//! Asks with SQL of its own. Of lite2pg's words it uses the names only that the plan gave to tables and columns.

use super::{database, session, told};
use lite2pg::model::event::{Event, Observer, Progress, Summary};
use lite2pg::model::plan::Remark;
use lite2pg::postgres::{Session, Target};
use lite2pg::run::{self, Options};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

/// A SQLite file in a folder of its own, which vanishes with it.
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    _folder: TempDir,
}

impl Source {
    /// A path where no file is yet.
    pub fn nothing() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self { path: folder.path().join("source.db"), _folder: folder }
    }

    /// What these statements make.
    pub fn sql(sql: &str) -> Self {
        let source = Self::nothing();
        let db = Connection::open(&source.path).expect("a new database");
        db.execute_batch(sql).unwrap_or_else(|e| panic!("{e}\n{sql}"));
        source
    }

    /// What a file of `fixtures/` makes.
    pub fn fixture(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
        Self::sql(&std::fs::read_to_string(path).expect("a fixture of this name"))
    }

    /// A copy of a file, with the log that lies beside it.
    pub fn copy_of(file: &Path) -> Self {
        let source = Self::nothing();
        std::fs::copy(file, &source.path).expect("a copy of the file");
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        if Path::new(&log).exists() {
            std::fs::copy(&log, source.path.with_file_name("source.db-wal")).expect("a copy of the log");
        }
        source
    }

    /// SQLite's own view of it.
    pub fn open(&self) -> Connection {
        Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE).expect("the source opens")
    }
}

/// Keeps everything that a run tells.
#[derive(Default)]
pub struct Listener(Mutex<Vec<Event>>);

impl Listener {
    /// What was told so far.
    pub fn into_events(self) -> Vec<Event> {
        self.0.into_inner().expect("no listener panics")
    }
}

impl Observer for Listener {
    fn event(&self, event: &Event) {
        self.0.lock().expect("no listener panics").push(event.clone());
    }

    fn watch(&self, _: Arc<Progress>) {}
}

/// A migration that was asked for, whatever became of it.
pub struct Tried {
    /// The fresh database that it was aimed at.
    pub target: Target,
    /// How it ended.
    pub result: lite2pg::Result<Summary>,
    /// What it told meanwhile.
    pub events: Vec<Event>,
}

/// Migrates into a fresh database.
pub fn attempt(options: &Options) -> Tried {
    attempt_in(&database(), options)
}

/// Migrates into a database that is there.
pub fn attempt_in(target: &Target, options: &Options) -> Tried {
    let target = target.clone();
    let listener = Listener::default();
    let result = run::migrate(options, &target, &listener, &AtomicBool::new(false));
    Tried { target, result, events: listener.into_events() }
}

/// Migrates into a fresh database, and it must work.
#[track_caller]
pub fn migrate(source: &Source) -> Moved {
    migrate_with(&Options::new(&source.path))
}

/// The same with options.
#[track_caller]
pub fn migrate_with(options: &Options) -> Moved {
    attempt(options).moved(options)
}

impl Tried {
    /// What was moved; it must have worked.
    #[track_caller]
    pub fn moved(self, options: &Options) -> Moved {
        let tried = self;
        let summary = tried.result.unwrap_or_else(|e| panic!("{}", told(&e)));
        let session = session(&tried.target);
        session.batch("SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET bytea_output = 'hex'").expect("settings");
        let run = summary.run.clone().expect("a run has an id");
        let row = session
            .query_one("SELECT plan::text FROM lite2pg.run WHERE id = $1::text::uuid", &[&run])
            .expect("the run is written down");
        let plan = serde_json::from_str(row.get(0)).expect("the plan is JSON");
        Moved { session, summary, events: tried.events, plan, schema: options.schema.clone(), asking: Mutex::default() }
    }
}

/// A migration that worked.
pub struct Moved {
    /// A session in its target, in UTC.
    pub session: Session,
    /// What it says it did.
    pub summary: Summary,
    /// What it told meanwhile.
    pub events: Vec<Event>,
    /// Its plan, as it was stored.
    pub plan: serde_json::Value,
    schema: String,
    // One view at a time in the session that several tests may share.
    asking: Mutex<()>,
}

/// Values as the server writes them as text.
pub type Rows = Vec<Vec<Option<String>>>;

impl Moved {
    /// One value as text.
    #[track_caller]
    pub fn one(&self, sql: &str) -> Option<String> {
        let rows = self.session.query(&format!("SELECT ({sql})::text"), &[]);
        rows.unwrap_or_else(|e| panic!("{sql}\n{}", told(&e)))[0].get(0)
    }

    /// Runs statements that must work.
    #[track_caller]
    pub fn run(&self, sql: &str) {
        self.session.batch(sql).unwrap_or_else(|e| panic!("{sql}\n{}", told(&e)));
    }

    /// The SQLSTATE by which the server refuses these statements; none where it takes them. Nothing of it stays.
    pub fn refusal(&self, sql: &str) -> Option<String> {
        self.session.batch("BEGIN").expect("a transaction");
        let result = self.session.batch(sql);
        self.session.batch("ROLLBACK").expect("the end of it");
        result.err().map(|e| e.sqlstate().unwrap_or("no SQLSTATE").to_owned())
    }

    /// The schema-qualified, quoted name that a table or view has on the target.
    #[track_caller]
    pub fn name(&self, source: &str) -> String {
        let all = ["tables", "views"].map(|kind| self.plan[kind].as_array().expect("a list"));
        let found = all.into_iter().flatten().find(|o| o["source"] == source);
        let target = found.unwrap_or_else(|| panic!("`{source}` is in the plan"))["target"].as_str();
        format!("{}.{}", quoted(&self.schema), quoted(target.expect("a name")))
    }

    /// Names and types of the columns of a relation, by its qualified name.
    #[track_caller]
    pub fn columns(&self, relation: &str) -> Vec<(String, String)> {
        let sql = "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute \
                   WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
        let rows = self.session.query(sql, &[&relation]).unwrap_or_else(|e| panic!("{relation}\n{}", told(&e)));
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// The columns and types of a table of the source, in one line.
    #[track_caller]
    pub fn types(&self, source: &str) -> String {
        let columns = self.columns(&self.name(source));
        columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect::<Vec<_>>().join(", ")
    }

    /// The type of one column.
    #[track_caller]
    pub fn type_of(&self, source: &str, column: &str) -> String {
        let columns = self.columns(&self.name(source));
        columns.into_iter().find(|(name, _)| name == column).expect("a column of that name").1
    }

    /// All rows of a table of the source in the order in which they were written: SQLite's own, where one lane
    /// wrote the table.
    #[track_caller]
    pub fn rows(&self, source: &str) -> Rows {
        let relation = self.name(source);
        self.query(&format!("SELECT * FROM {relation} ORDER BY ctid"))
    }

    /// All values of a query as text.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Rows {
        let fail = |e| panic!("{sql}\n{}", told(&e));
        let _one_at_a_time = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        // Casting whatever comes needs its width first.
        let width: i64 = self
            .session
            .batch(&format!("DROP VIEW IF EXISTS pg_temp.asked; CREATE TEMP VIEW asked AS {sql}"))
            .and_then(|()| {
                self.session.query_one(
                    "SELECT count(*) FROM pg_attribute WHERE attrelid = 'pg_temp.asked'::regclass AND attnum > 0",
                    &[],
                )
            })
            .unwrap_or_else(fail)
            .get(0);
        let names: Vec<String> = (0..width).map(|i| format!("c{i}")).collect();
        let casts: Vec<String> = names.iter().map(|n| format!("{n}::text")).collect();
        // A subquery keeps its order here: nothing above it sorts or joins.
        let sql = format!("SELECT {} FROM ({sql}) AS t ({})", casts.join(", "), names.join(", "));
        let fail = |e| panic!("{sql}\n{}", told(&e));
        let rows = self.session.query(&sql, &[]).unwrap_or_else(fail);
        rows.iter().map(|row| (0..names.len()).map(|i| row.get(i)).collect()).collect()
    }

    /// Warnings and notes about an object, as one text with their SQL.
    pub fn remarks(&self, object: &str) -> String {
        let about = |r: &&Remark| r.object == object;
        let words = |r: &Remark| format!("{:?}: {} {}", r.level, r.text, r.sql.as_deref().unwrap_or_default());
        self.summary.remarks.iter().filter(about).map(words).collect::<Vec<_>>().join("\n")
    }

    /// What disproved what, a line a table that was loaded again.
    pub fn widened(&self) -> Vec<String> {
        let line = |e: &Event| match e {
            Event::Widened { table, why } => Some(format!("{table}: {why}")),
            _ => None,
        };
        self.events.iter().filter_map(line).collect()
    }
}

/// A name in double quotes, for both databases.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
