//! A source, a target of its own, the program between them, and what both sides must look like in the end.

use crate::support::program::{Ran, Running, ended, program, source, value};
use crate::support::proxy::{Act, Message, Proxy};
use crate::support::{database, session};
use lite2pg::postgres::{Session, Target};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Every kind of object that a run makes, each in a transaction or statement of its own.
pub const SMALL: &str = "
    CREATE TABLE owner (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);
    INSERT INTO owner VALUES (1, 'one'), (2, 'two'), (7, 'three');
    CREATE TABLE item (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL REFERENCES owner, t TEXT CHECK (t <> ''), j TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO item SELECT i, CASE i % 3 WHEN 0 THEN 7 ELSE i % 3 END, 'row ' || i, '{\"i\": ' || i || '}' FROM n;
    INSERT INTO item VALUES (501, 1, 'nul' || char(0) || 'inside', NULL);
    CREATE INDEX item_owner ON item (owner);
    CREATE VIEW of_one AS SELECT id, t FROM item WHERE owner = 1;";

/// A table of three ranges with an index and a foreign key.
pub const BIG: &str = "
    CREATE TABLE owner (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    INSERT INTO owner VALUES (1, 'one'), (2, 'two'), (3, 'three');
    CREATE TABLE big (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL REFERENCES owner, t TEXT NOT NULL);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450000)
        INSERT INTO big SELECT i, i % 3 + 1, 'row ' || i FROM n;
    CREATE INDEX big_owner ON big (owner);";

/// Whether more is tried than a person waits for.
pub fn is_long() -> bool {
    std::env::var_os("LITE2PG_LONG").is_some()
}

/// A source and a fresh target.
pub struct Stage {
    pub path: PathBuf,
    pub target: Target,
    pub seen: Session,
    pub more: Vec<String>,
    /// Another role than the superuser.
    pub user: Option<String>,
    _dir: TempDir,
}

impl Stage {
    pub fn of(sql: &str) -> Self {
        let (dir, path) = source(sql);
        let target = database();
        Self { path, seen: session(&target), target, more: Vec::new(), user: None, _dir: dir }
    }

    /// The large source, made once for all tests of the binary.
    pub fn big() -> Self {
        static MADE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
        let (_, made) = MADE.get_or_init(|| source(BIG));
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("app.db");
        std::fs::copy(made, &path).unwrap();
        let target = database();
        Self { path, seen: session(&target), target, more: Vec::new(), user: None, _dir: dir }
    }

    /// Makes the target as fresh as it was: cheaper than another database, of which a test would need hundreds.
    pub fn renew(&self) {
        self.seen.batch("DROP SCHEMA IF EXISTS public, app, lite2pg CASCADE; CREATE SCHEMA public").unwrap();
    }

    pub fn with(mut self, more: &[&str]) -> Self {
        self.more.extend(more.iter().map(|&m| m.to_owned()));
        self
    }

    pub fn command(&self, target: &str) -> Command {
        let mut command = program();
        command.arg("migrate").arg(&self.path).arg(target).args(&self.more);
        // Where lists of rows are written.
        command.current_dir(self.folder());
        command
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap()
    }

    /// The lists of rows that were set aside: a table's name and its lines.
    pub fn lists(&self) -> Vec<(String, String)> {
        let Ok(folder) = std::fs::read_dir(self.folder().join("rejects")) else { return Vec::new() };
        let read = |path: PathBuf| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(&path).unwrap())
        };
        let mut lists: Vec<(String, String)> = folder.map(|entry| read(entry.unwrap().path())).collect();
        lists.sort();
        lists
    }

    /// The command without anybody in between, to its end.
    pub fn run(&self) -> Ran {
        ended(self.command(&self.direct()).output().unwrap())
    }

    /// How to come to the server.
    pub fn direct(&self) -> String {
        self.to(&self.target.host())
    }

    /// The same through a proxy's socket.
    pub fn through(&self, proxy: &Proxy) -> String {
        self.to(&proxy.socket_dir())
    }

    fn to(&self, host: &str) -> String {
        let user = self.user.as_deref().unwrap_or(self.target.user());
        format!("host={host} user={user} dbname={}", self.target.dbname())
    }

    pub fn proxy(&self, rule: impl Fn(&Message<'_>) -> Act + Send + Sync + 'static) -> Proxy {
        Proxy::before(&self.target, rule)
    }

    /// All that the last run of this source must leave behind, as text: rows, columns, constraints, indexes, views,
    /// sequences, and what the control schema says. Nothing in it depends on when or how often it was tried.
    #[track_caller]
    pub fn state(&self, schema: &str) -> String {
        state(&self.seen, schema)
    }

    /// Both sides have the same rows, by what either database adds up in its own SQL.
    #[track_caller]
    pub fn has_every_row_once(&self, schema: &str, table: &str, texts: &[&str]) {
        same_rows(&self.path, &self.seen, schema, table, texts);
    }

    /// Each table has as many rows on both sides.
    #[track_caller]
    pub fn has_as_many_rows(&self, schema: &str) {
        let source = Connection::open(&self.path).unwrap();
        let mut names =
            source.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'").unwrap();
        let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert!(!names.is_empty());
        for name in names {
            let sql = |schema: &str| format!("SELECT count(*) FROM {schema}\"{name}\"");
            let here: i64 = source.query_row(&sql(""), [], |row| row.get(0)).unwrap();
            assert_eq!(value(&self.seen, &sql(&format!("\"{schema}\"."))), here.to_string(), "{name}");
        }
    }

    /// The runs that were begun.
    pub fn runs(&self) -> String {
        value(&self.seen, "SELECT count(*) FROM lite2pg.run")
    }

    /// The ranges that are on the target, with the time of it.
    pub fn ranges(&self) -> Vec<String> {
        let sql =
            "SELECT table_name || ' ' || coalesce(lo::text, '-') || ' ' || committed_at FROM lite2pg.range ORDER BY 1";
        self.seen.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
    }
}

/// Runs until the proxy has met what it waits for, and kills the program there. Otherwise its end.
pub fn killed_when_reached(mut running: Running, proxy: &Proxy) -> Option<Ran> {
    loop {
        if proxy.is_reached() {
            running.kill();
            return None;
        }
        if running.is_over() {
            return Some(running.end());
        }
    }
}

#[track_caller]
pub fn same_rows(path: &Path, seen: &Session, schema: &str, table: &str, texts: &[&str]) {
    let lengths = |function: &str| {
        texts.iter().map(|c| format!("sum({function}(\"{c}\"))")).collect::<Vec<_>>().join(" || ' ' || ")
    };
    let here: String = Connection::open(path)
        .unwrap()
        .query_row(
            &format!(
                "SELECT count(*) || ' ' || count(DISTINCT id) || ' ' || sum(id) || ' ' || {} FROM \"{table}\"",
                lengths("length")
            ),
            [],
            |row| row.get(0),
        )
        .unwrap();
    let there = value(
        seen,
        &format!(
            "SELECT count(*) || ' ' || count(DISTINCT id) || ' ' || sum(id) || ' ' || {} FROM \"{schema}\".\"{table}\"",
            lengths("length")
        ),
    );
    assert_eq!(there, here, "`{table}` on the target and in the source");
}

#[track_caller]
pub fn state(seen: &Session, schema: &str) -> String {
    let relations = format!(
        "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class \
         WHERE relnamespace = '{schema}'::regnamespace AND relkind IN ('r', 'v')"
    );
    let mut lines = Vec::new();
    for name in value(seen, &relations).split(',').filter(|name| *name != "NULL") {
        let rows = format!(
            "SELECT count(*) || ' ' || md5(string_agg(r::text, '|' ORDER BY r::text)) FROM \"{schema}\".\"{name}\" r"
        );
        lines.push(format!("rows of {name}: {}", value(seen, &rows)));
    }
    let of = format!("IN (SELECT oid FROM pg_class WHERE relnamespace = '{schema}'::regnamespace)");
    for (what, sql) in [
        (
            "columns",
            format!(
                "SELECT string_agg(attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || \
                 attnotnull || ' ' || attidentity::text || ' ' || coalesce((SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef \
                 WHERE adrelid = attrelid AND adnum = attnum), ''), E'\\n' ORDER BY attrelid::regclass::text, attnum) \
                 FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid {of}"
            ),
        ),
        (
            "constraints",
            format!(
                "SELECT string_agg(conrelid::regclass || ' ' || conname || ' ' || convalidated || ' ' || pg_get_constraintdef(oid), E'\\n' \
                 ORDER BY conrelid::regclass::text, conname) FROM pg_constraint WHERE conrelid {of}"
            ),
        ),
        (
            "indexes",
            format!(
                "SELECT string_agg(pg_get_indexdef(indexrelid) || ' ' || indisvalid, E'\\n' ORDER BY 1) \
                 FROM (SELECT * FROM pg_index WHERE indrelid {of} ORDER BY pg_get_indexdef(indexrelid)) i"
            ),
        ),
        (
            "views",
            format!("SELECT string_agg(viewname || ' ' || definition, E'\\n' ORDER BY viewname) FROM pg_views WHERE schemaname = '{schema}'"),
        ),
        (
            "sequences",
            format!(
                "SELECT string_agg(sequencename || ' ' || coalesce(last_value::text, '-'), ' ' ORDER BY sequencename) \
                 FROM pg_sequences WHERE schemaname = '{schema}'"
            ),
        ),
        (
            "control",
            "SELECT (SELECT state FROM lite2pg.run ORDER BY id DESC LIMIT 1) || ', originals ' || \
             (SELECT coalesce(string_agg(concat_ws(' ', table_name, key, column_name, class, encode(bytes, 'hex')), ';' \
             ORDER BY table_name, key), '-') FROM lite2pg.original WHERE run = (SELECT id FROM lite2pg.run ORDER BY id DESC LIMIT 1)) \
             || ', rows ' || (SELECT string_agg(table_name || ' ' || rows, ' ' ORDER BY table_name) FROM \
             (SELECT table_name, sum(rows) AS rows FROM lite2pg.range \
             WHERE run = (SELECT id FROM lite2pg.run ORDER BY id DESC LIMIT 1) GROUP BY 1) r) || ', objects ' || \
             (SELECT coalesce(string_agg(kind || ' ' || name, ' ' ORDER BY kind, name), '-') FROM lite2pg.object) || ', aside ' || \
             (SELECT count(*) FROM lite2pg.foreign_key) || ', set aside ' || \
             (SELECT coalesce(string_agg(concat_ws(' ', table_name, key, nth, column_name, reason, sqlstate), ';' \
             ORDER BY table_name, key, nth), '-') FROM lite2pg.reject \
             WHERE run = (SELECT id FROM lite2pg.run ORDER BY id DESC LIMIT 1))"
                .to_owned(),
        ),
    ] {
        lines.push(format!("{what}:\n{}", value(seen, &sql)));
    }
    lines.join("\n")
}
