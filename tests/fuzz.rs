//! Input made by chance: damaged databases, mangled statements and pipeline files, connection strings, lists and command
//! lines. Never a panic, never a hang, never success with other rows than SQLite itself reads.
//!
//! A few seconds each; `LITE2PG_FUZZ_SECONDS=600` for a night's worth, `LITE2PG_CORPUS` adds real files. Cells against the
//! server are in the tests `encode_oracle`, `expect_oracle` and `chance`.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::Kind;
use lite2pg::dialect::scope::{Column, Relation, Scope};
use lite2pg::dialect::view::{self, ViewSource};
use lite2pg::dialect::{Want, default, expression, index, table};
use lite2pg::model::event::{Event, Observer, Progress};
use lite2pg::model::pg_type::PgType;
use lite2pg::model::verdict::{self, CellDifference, Difference};
use lite2pg::pipeline::{Pipeline, check};
use lite2pg::postgres::{Environment, Target};
use lite2pg::run::{self, Options};
use lite2pg::verify::listing::Listing;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rusqlite::{Connection, OpenFlags};
use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use support::budget::for_a_while;
use support::program::{ended, program};
use support::scenario::attempt_in;
use support::{database, oracle, session, told};
use tempfile::TempDir;

struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Event) {}
    fn watch(&self, _: Arc<Progress>) {}
}

/// What the work gives; an error where it panics or takes longer than a minute.
fn soundly<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (give, given) = channel();
    std::thread::Builder::new()
        // The stack that a program's first thread has on Linux; plans are made there.
        .stack_size(8 << 20)
        .spawn(move || give.send(catch_unwind(AssertUnwindSafe(work))))
        .unwrap();
    match given.recv_timeout(Duration::from_secs(60)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(panic)) => {
            let said = panic.downcast_ref::<&str>().copied().map(str::to_owned);
            Err(format!("a panic: {:?}", said.or_else(|| panic.downcast_ref::<String>().cloned())))
        }
        Err(_) => Err("no end after a minute".to_owned()),
    }
}

/// An error that a person can do something about.
fn is_clear(error: &lite2pg::Error) -> Result<(), String> {
    let broken = error.kind() == Kind::Bug || error.message().is_empty();
    if broken { Err(format!("no clear error: {}", told(error))) } else { Ok(()) }
}

// ---------------------------------------------------------------------------------------------------------
// Damaged databases
// ---------------------------------------------------------------------------------------------------------

/// A database file, and the log beside it.
#[derive(Clone)]
struct File {
    name: String,
    main: Vec<u8>,
    log: Option<Vec<u8>>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.name, self.main.len())
    }
}

impl File {
    fn of(name: &str, path: &Path) -> Self {
        let log = fs::read(format!("{}-wal", path.display())).ok();
        Self { name: name.to_owned(), main: fs::read(path).unwrap(), log }
    }

    fn made(name: &str, sql: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("a.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(sql).unwrap_or_else(|e| panic!("{name}: {e}"));
        Self::of(name, &path)
    }

    /// Into the same file each time: a source that was opened once keeps a handle until the process ends.
    fn write(&self, path: &Path) {
        for side in ["-wal", "-shm", "-journal"] {
            drop(fs::remove_file(format!("{}{side}", path.display())));
        }
        fs::write(path, &self.main).unwrap();
        if let Some(log) = &self.log {
            fs::write(format!("{}-wal", path.display()), log).unwrap();
        }
    }
}

const MIXED: &str = "
    CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER, r REAL, t TEXT, b BLOB, d DATETIME, j JSON);
    CREATE INDEX an ON a (n, t); CREATE UNIQUE INDEX at ON a (t) WHERE n > 3;
    CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID; CREATE TABLE x (y, z); CREATE VIEW v AS SELECT n, t FROM a;
    WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 40)
      INSERT INTO a SELECT i, i * i, i / 3.0, 'text ' || i, zeroblob(i % 5 * 300), '2024-01-01 00:00:' || (10 + i), '{\"a\":' || i || '}' FROM i;
    INSERT INTO w SELECT t, n FROM a; INSERT INTO x SELECT b, r FROM a; DELETE FROM a WHERE id % 7 = 0;";

fn files() -> Vec<File> {
    let fixture = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
        File::made(name, &fs::read_to_string(path).unwrap())
    };
    let mut files = vec![
        File::made("pages of 512 bytes", &format!("PRAGMA page_size = 512; {MIXED}")),
        File::made("pages of 4096 bytes", MIXED),
        File::made("vacuumed as it goes", &format!("PRAGMA page_size = 1024; PRAGMA auto_vacuum = FULL; {MIXED}")),
        File::made("UTF-16", &format!("PRAGMA encoding = 'UTF-16le'; PRAGMA page_size = 512; {MIXED}")),
        File::made("empty", "CREATE TABLE t (x)"),
        fixture("schema.sql"),
        fixture("names.sql"),
    ];
    // Its writer is still there when it is copied, so that the log is too.
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(&format!("PRAGMA page_size = 512; PRAGMA journal_mode = WAL; {MIXED}")).unwrap();
    files.push(File::of("with a log", &path));
    files.extend(real_files());
    files
}

/// Small ones of the folder that `LITE2PG_CORPUS` names.
fn real_files() -> Vec<File> {
    let Some(folder) = std::env::var_os("LITE2PG_CORPUS") else { return Vec::new() };
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if entry.metadata().is_ok_and(|m| (1..300_000).contains(&m.len()))
                && fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"))
            {
                found.push(File::of(&path.display().to_string(), &path));
            }
        }
    }
    found.truncate(40);
    found
}

#[derive(Debug, Clone)]
enum Damage {
    Flip(Index, u8),
    Set(Index, u8),
    /// In the header of the file.
    Header(usize, u8),
    /// In the header of a page: its kind, counts and pointers.
    PageHeader(Index, usize, u8),
    Number(Index, u32),
    Cut(Index),
    Copy(Index, Index, usize),
    Insert(Index, Vec<u8>),
    Zero(Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = || prop_oneof![select(vec![0_u8, 1, 2, 5, 10, 13, 127, 128, 254, 255]), any::<u8>()];
    let number = prop_oneof![0..20_u32, select(vec![u32::MAX, i32::MAX as u32, 1 << 31, 0x00ff_ffff])];
    prop_oneof![
        4 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        4 => (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        2 => (16..100_usize, byte()).prop_map(|(at, byte)| Damage::Header(at, byte)),
        6 => (any::<Index>(), 0..40_usize, byte()).prop_map(|(page, at, byte)| Damage::PageHeader(page, at, byte)),
        3 => (any::<Index>(), number).prop_map(|(at, number)| Damage::Number(at, number)),
        1 => any::<Index>().prop_map(Damage::Cut),
        2 => (any::<Index>(), any::<Index>(), 1..1500_usize).prop_map(|(a, b, n)| Damage::Copy(a, b, n)),
        1 => (any::<Index>(), vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (any::<Index>(), 1..1500_usize).prop_map(|(at, n)| Damage::Zero(at, n)),
    ]
}

impl Damage {
    fn done_to(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        if length == 0 {
            return;
        }
        let page = 512.min(length);
        let end = |at: usize, n: usize| (at + n).min(length);
        match self {
            Self::Flip(at, bits) => bytes[at.index(length)] ^= bits,
            Self::Set(at, byte) => bytes[at.index(length)] = *byte,
            Self::Header(at, byte) => bytes[*at % length] = *byte,
            Self::PageHeader(number, at, byte) => {
                let at = number.index(length / page) * page + at;
                bytes[at % length] = *byte;
            }
            Self::Number(at, number) => {
                let at = at.index(length);
                let end = end(at, 4);
                bytes[at..end].copy_from_slice(&number.to_be_bytes()[..end - at]);
            }
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Copy(from, to, n) => {
                let piece = bytes[from.index(length)..end(from.index(length), *n)].to_vec();
                let to = to.index(length);
                let end = end(to, piece.len());
                bytes[to..end].copy_from_slice(&piece[..end - to]);
            }
            Self::Insert(at, more) => drop(bytes.splice(at.index(length)..at.index(length), more.iter().copied())),
            Self::Zero(at, n) => {
                let at = at.index(length);
                bytes[at..end(at, *n)].fill(0);
            }
        }
    }
}

/// What SQLite itself makes of every row of a table that was moved.
fn as_sqlite_reads_it(path: &Path, moved: &support::scenario::Moved) -> Result<(), String> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| e.to_string())?;
    // With this, SQLite passes over entries of the schema that it does not understand, after one failure; such a table is
    // blocked, a trigger is a remark.
    let look = || db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    if look().is_err() {
        db.execute_batch("PRAGMA writable_schema = ON").map_err(|e| e.to_string())?;
        drop(look());
    }
    let tables: Vec<String> =
        moved.plan["tables"].as_array().unwrap().iter().map(|t| t["source"].as_str().unwrap().to_owned()).collect();
    for table in tables {
        let compared = catch_unwind(AssertUnwindSafe(|| oracle::compare(&db, moved, &table)));
        if let Err(panic) = compared {
            let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            return Err(format!("success, and SQLite reads something else: {said}"));
        }
    }
    Ok(())
}

#[test]
fn a_damaged_database_gives_its_rows_or_a_clear_error() {
    let target = database();
    let schemas = AtomicU32::new(0);
    let cases = (select(files()), any::<bool>(), vec(damage(), 1..6));
    let (moved, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.db");
    for_a_while("damaged databases", cases, |(mut file, in_log, damages)| {
        let bytes = match &mut file.log {
            Some(log) if in_log => log,
            _ => &mut file.main,
        };
        for damage in &damages {
            damage.done_to(bytes);
        }
        file.write(&path);
        let schema = format!("f{}", schemas.fetch_add(1, Ordering::Relaxed));
        let options = Options { schema: schema.clone(), jobs: 2, ..Options::new(&path) };
        let (alone, to) = (options.clone(), target.clone());
        let dry = soundly(move || run::dry_run(&alone, None, &Silent, &AtomicBool::new(false)).map(drop))?;
        dry.as_ref().err().map_or(Ok(()), is_clear)?;
        if dry.is_err() {
            refused.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let with = options.clone();
        let tried = soundly(move || attempt_in(&to, &with))?;
        let outcome = match &tried.result {
            Err(e) => {
                refused.fetch_add(1, Ordering::Relaxed);
                is_clear(e)
            }
            Ok(summary) if summary.verification.as_ref().is_some_and(verdict::Verification::is_equal) => {
                moved.fetch_add(1, Ordering::Relaxed);
                as_sqlite_reads_it(&path, &tried.moved(&options))
            }
            Ok(_) => Ok(()),
        };
        session(&target).batch(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).unwrap();
        outcome
    });
    println!("{moved:?} were moved, {refused:?} refused");
}

// ---------------------------------------------------------------------------------------------------------
// Mangled statements
// ---------------------------------------------------------------------------------------------------------

const STATEMENTS: &[&str] = &[
    "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, \"a b\" TEXT NOT NULL DEFAULT 'it''s' COLLATE NOCASE, c DECIMAL(10, 2) \
     DEFAULT -1.5e3 CHECK (c > 0 AND c < 1e9), d DATETIME DEFAULT CURRENT_TIMESTAMP, e BLOB DEFAULT x'00ff', f GENERATED ALWAYS \
     AS (c * 2 || 'x') STORED, UNIQUE (\"a b\", c) ON CONFLICT REPLACE, FOREIGN KEY (c) REFERENCES u (x) ON DELETE SET NULL \
     DEFERRABLE INITIALLY DEFERRED, CONSTRAINT q CHECK (length(\"a b\") BETWEEN 1 AND 10 OR d IS NOT NULL))",
    "CREATE TABLE t (k TEXT, v INT, PRIMARY KEY (k DESC, v)) WITHOUT ROWID, STRICT",
    "CREATE TABLE [t] (`x` INT DEFAULT (strftime('%s','now')), y DEFAULT (json_array(1, 'a')), z BOOLEAN CHECK (z IN (0, 1, NULL)))",
    "CREATE UNIQUE INDEX i ON t (lower(\"a b\") DESC, c COLLATE NOCASE) WHERE c IS NOT NULL AND \"a b\" LIKE 'x%' ESCAPE '!'",
    "CREATE VIEW v AS WITH w AS (SELECT * FROM t) SELECT a.id, count(*) AS n, CASE WHEN c > 1 THEN 'x' ELSE NULL END FROM w a \
     LEFT JOIN t b USING (id) WHERE a.c -> '$.x' = 1 GROUP BY a.id HAVING n > 1 UNION ALL SELECT 1, 2, 3 ORDER BY 1 LIMIT 3 OFFSET 1",
    "CREATE VIEW v AS SELECT printf('%d', id), date(d, '+1 day'), substr(\"a b\", -2), group_concat(c, ',') FILTER (WHERE c) OVER \
     (PARTITION BY id ORDER BY c ROWS 1 PRECEDING), EXISTS (SELECT 1 FROM t) FROM t NATURAL JOIN t AS u",
    "CREATE TRIGGER g AFTER UPDATE OF c ON t WHEN new.c > 1 BEGIN UPDATE t SET c = 0 WHERE id = old.id; END",
];

const TOKENS: &[&str] = &[
    "(",
    ")",
    ",",
    ";",
    "'",
    "\"",
    "`",
    "[",
    "]",
    "--",
    "/*",
    "*/",
    "\n",
    "NULL",
    "''",
    "x'",
    "x'0g'",
    "0x",
    "1e999",
    "-",
    "+",
    "*",
    "||",
    "->",
    "->>",
    "%",
    "\\",
    "\0",
    "\u{feff}",
    "😀",
    "$a",
    "?1",
    ":x",
    "@y",
    "AS",
    "NOT",
    "IN",
    "IS",
    "LIKE",
    "GLOB",
    "MATCH",
    "CASE",
    "WHEN",
    "END",
    "SELECT",
    "FROM",
    "WITH RECURSIVE",
    "VALUES",
    "RAISE(ABORT, 'x')",
    "COLLATE x",
    "CAST(1 AS)",
    "DEFAULT",
    "CHECK",
    "PRIMARY KEY",
    "REFERENCES t",
    "9223372036854775808",
    "rowid",
    "ON CONFLICT",
    "WITHOUT ROWID",
    "STRICT",
    "GENERATED",
];

#[derive(Debug, Clone)]
enum Mangle {
    Drop(Index),
    Double(Index),
    Swap(Index, Index),
    Put(Index, &'static str),
    Byte(Index, u8),
    /// Brackets around a token, a chain of operators behind it, queries in queries.
    Nest(Index, usize),
    Chain(Index, &'static str, usize),
    Query(Index, usize),
}

fn mangle() -> impl Strategy<Value = Mangle> {
    prop_oneof![
        4 => any::<Index>().prop_map(Mangle::Drop),
        3 => any::<Index>().prop_map(Mangle::Double),
        3 => (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mangle::Swap(a, b)),
        6 => (any::<Index>(), select(TOKENS.to_vec())).prop_map(|(at, token)| Mangle::Put(at, token)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mangle::Byte(at, byte)),
        1 => (any::<Index>(), 1..960_usize).prop_map(|(at, n)| Mangle::Nest(at, n)),
        1 => (any::<Index>(), select(vec![" + 1", " || 'x'", " AND 1", " COLLATE NOCASE", " -> 'a'"]), 1..960_usize)
            .prop_map(|(at, link, n)| Mangle::Chain(at, link, n)),
        1 => (any::<Index>(), 1..300_usize).prop_map(|(at, n)| Mangle::Query(at, n)),
    ]
}

/// Words, numbers, blanks and single characters.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    for c in text.chars() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        match tokens.last_mut() {
            Some(last) if is_word(c) && last.ends_with(is_word) => last.push(c),
            _ => tokens.push(c.to_string()),
        }
    }
    tokens
}

fn mangled(statement: &str, by: &[Mangle]) -> String {
    let mut tokens = tokens(statement);
    for mangle in by {
        let length = tokens.len().max(1);
        if tokens.is_empty() {
            break;
        }
        match mangle {
            Mangle::Drop(at) => drop(tokens.remove(at.index(length))),
            Mangle::Double(at) => tokens.insert(at.index(length), tokens[at.index(length)].clone()),
            Mangle::Swap(a, b) => tokens.swap(a.index(length), b.index(length)),
            Mangle::Put(at, token) => tokens.insert(at.index(length), (*token).to_owned()),
            Mangle::Byte(at, byte) => {
                let token = &mut tokens[at.index(length)];
                let mut bytes = std::mem::take(token).into_bytes();
                let at = usize::from(*byte) % bytes.len().max(1);
                if let Some(b) = bytes.get_mut(at) {
                    *b = *byte;
                }
                *token = String::from_utf8_lossy(&bytes).into_owned();
            }
            Mangle::Nest(at, n) => {
                let token = &mut tokens[at.index(length)];
                *token = format!("{}{token}{}", "(".repeat(*n), ")".repeat(*n));
            }
            Mangle::Chain(at, link, n) => tokens[at.index(length)].push_str(&link.repeat(*n)),
            Mangle::Query(at, n) => {
                let token = &mut tokens[at.index(length)];
                *token = format!("{}{token}{}", "(SELECT ".repeat(*n), ")".repeat(*n));
            }
        }
    }
    tokens.concat()
}

fn scope() -> Scope {
    let column = |name: &str, pg_type, declared: &str| Column::new(name, name, pg_type).declared(declared);
    let columns = vec![
        column("id", PgType::Int8, "INTEGER").not_null(true),
        column("a b", PgType::Text, "TEXT").collation(Some("NOCASE".to_owned())),
        column("c", PgType::Numeric(Some((10, 2))), "DECIMAL(10, 2)"),
        column("d", PgType::TimestampTz, "DATETIME"),
        column("e", PgType::Bytea, "BLOB"),
    ];
    Scope::table(Relation::new("t", "public", "t", columns))
}

#[test]
fn a_mangled_statement_is_translated_or_refused() {
    let cases = (select(STATEMENTS.to_vec()), vec(mangle(), 0..5));
    for_a_while("mangled statements", cases, |(statement, by)| {
        let sql = mangled(statement, &by);
        soundly(move || {
            let scope = scope();
            drop(table::parse(&sql));
            drop(index::parse(&sql));
            drop(view::translate(&sql, &scope));
            let source = ViewSource {
                source: "v".to_owned(),
                schema: "public".to_owned(),
                target: "v".to_owned(),
                create_sql: sql.clone(),
            };
            drop(view::translate_all(&[source], &scope));
            for part in [sql.as_str(), sql.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'))] {
                for want in [Want::Boolean, Want::Value(PgType::Text), Want::Any] {
                    drop(expression(part, &scope, &want));
                }
                for kind in [PgType::Int8, PgType::Text, PgType::TimestampTz, PgType::Jsonb, PgType::Bool] {
                    drop(default::translate(part, &kind, None));
                }
            }
        })
    });
}

#[test]
fn a_mangled_schema_is_planned_or_refused() {
    let cases = (select(STATEMENTS.to_vec()), vec(mangle(), 1..4));
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.db");
    let before =
        File::made("", &format!("{}; CREATE TABLE u (x PRIMARY KEY); INSERT INTO u VALUES (1), ('x');", STATEMENTS[0]));
    for_a_while("mangled schemas", cases, |(statement, by)| {
        let sql = mangled(statement, &by);
        before.write(&path);
        let db = Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY").unwrap();
        if !statement.starts_with("CREATE TABLE") {
            // A view or an index of that kind may not stand beside this table.
            drop(db.execute_batch(statement));
        }
        db.execute_batch("PRAGMA writable_schema = ON").unwrap();
        let name = if statement.starts_with("CREATE TABLE") { "t" } else { "%" };
        let kind =
            statement.split(' ').find(|w| ["TABLE", "INDEX", "VIEW", "TRIGGER"].contains(w)).unwrap().to_lowercase();
        db.execute(
            "UPDATE sqlite_schema SET sql = ?1 WHERE type = ?2 AND name LIKE ?3 AND sql IS NOT NULL AND name <> 'u'",
            [&sql, &kind, name],
        )
        .unwrap();
        drop(db);
        let options = Options::new(&path);
        let dry = soundly(move || run::dry_run(&options, None, &Silent, &AtomicBool::new(false)).map(drop))?;
        dry.as_ref().err().map_or(Ok(()), is_clear)
    });
}

// ---------------------------------------------------------------------------------------------------------
// Pipeline files
// ---------------------------------------------------------------------------------------------------------

const PIPELINE: &str = r#"
name = "shop"
source = "${SOURCE}"
target = "embedded"
[rejects]
max = 9
[[before]]
sql = "SELECT 1"
[[table]]
from = "orders"
where = "deleted = 0"
on_error = "reject"
reject = [{ when = "amount < 0", reason = "below zero: {}" }]
[table.columns]
id = { type = "uuid", v5 = "orders" }
amount = { type = "numeric(12,2)", on_error = "null" }
status = { map = { A = "active" }, others = "reject", default = "none" }
tags = { type = "text[]", split = "," }
deleted = { skip = true }
[[table]]
to = "tags"
query = "SELECT id, value AS tag FROM orders, json_each(tags)"
key = ["id", "tag"]
[[parity]]
name = "one"
sql = "SELECT 1"
times = 3
[[check]]
name = "two"
target = "SELECT 2"
expect = "2"
"#;

#[test]
fn a_mangled_pipeline_file_is_read_or_its_mistakes_are_told() {
    let pipelines = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let mut texts: Vec<String> = fs::read_dir(pipelines)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    texts.sort();
    texts.push(PIPELINE.to_owned());
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("app.db");
    let made = Connection::open(&path).unwrap();
    made.execute_batch("CREATE TABLE orders (id TEXT PRIMARY KEY, amount, status TEXT, tags TEXT, deleted INTEGER)")
        .unwrap();
    let catalog = Arc::new(run::catalog_of(&Options::new(&path)).unwrap());
    let cases = (select(texts), vec(mangle(), 0..4));
    for_a_while("mangled pipeline files", cases, |(text, by)| {
        let text = mangled(&text, &by);
        let catalog = Arc::clone(&catalog);
        soundly(move || {
            let variable = |name: &str| (name == "SOURCE").then(|| "app.db".to_owned());
            let read = Pipeline::parse(Path::new("shop.toml"), text, &variable);
            let read = read.and_then(|pipeline| check::check(&pipeline, &catalog).map(drop));
            match read {
                Err(e) if e.kind() != Kind::Usage => Err(format!("another kind of error: {}", told(&e))),
                Err(e) => is_clear(&e),
                Ok(()) => Ok(()),
            }
        })?
    });
}

// ---------------------------------------------------------------------------------------------------------
// Connection strings, and the files behind them
// ---------------------------------------------------------------------------------------------------------

const PIECES: &[&str] = &[
    "postgres://",
    "postgresql://",
    "host=",
    "port=",
    "user=",
    "dbname=",
    "sslmode=",
    "service=app",
    "passfile=",
    "options=",
    "'",
    "\\",
    "@",
    ":",
    "/",
    "?",
    "&",
    "=",
    "%",
    "%zz",
    "%00",
    "%40",
    "[",
    "]",
    "[::1]",
    ",",
    " ",
    "localhost",
    "5432",
    "0",
    "99999",
    "-1",
    "verify-full",
    "require",
    "connect_timeout=",
    "hostaddr=",
    "127.0.0.1",
    "target_session_attrs=",
    "é",
    "😀",
    "\0",
    "\n",
    "\t",
    "app",
    "u",
    "keepalives=",
    "sslrootcert=system",
    "requirepeer=x",
    "load_balance_hosts=random",
    "*",
    "#",
    "[app]",
    "host=x\n",
    "port=y\n",
    "service=other",
];

/// Both are words of a password wherever they stand behind `password=` or a colon of a URL.
const SECRET: &str = "Hunter2Xyzzy";

#[test]
fn a_connection_string_is_read_or_refused_and_its_password_not_repeated() {
    let soup = |n| {
        vec(prop_oneof![9 => select(PIECES.to_vec()), 1 => Just("password="), 1 => Just(SECRET)], 0..n)
            .prop_map(|v| v.concat())
    };
    let password = prop_oneof![
        Just(format!("postgres://u:{SECRET}")),
        Just(format!("host=h password={SECRET}")),
        Just(format!("host=h password='{SECRET}")),
        Just(format!("postgres://h/d?password={SECRET}")),
        Just(String::new()),
    ];
    let dir = TempDir::new().unwrap();
    for_a_while("connection strings", (password, soup(12), soup(30), soup(20)), |(start, rest, service, passes)| {
        let (service_file, pass_file) = (dir.path().join("service"), dir.path().join("pass"));
        fs::write(&service_file, format!("[app]\n{service}")).unwrap();
        fs::write(&pass_file, passes).unwrap();
        fs::set_permissions(&pass_file, Permissions::from_mode(0o600)).unwrap();
        let env = Environment::empty()
            .with_user("me")
            .with_var("PGSERVICEFILE", service_file.to_str().unwrap())
            .with_var("PGPASSFILE", pass_file.to_str().unwrap())
            .with_var("PGPASSWORD", SECRET);
        let text = start.clone() + &rest;
        let shown = soundly({
            let text = text.clone();
            move || match Target::parse(&text, &env) {
                Ok(target) => Ok(format!("{:?} {} {:?}", target.psql(), target.redacted(), target.remarks())),
                Err(e) => is_clear(&e).map(|()| told(&e)),
            }
        })??;
        // Elsewhere than behind a password's place, the word may be a host or a database, which are shown.
        if !start.is_empty() && !rest.contains(SECRET) && !service.contains(SECRET) && shown.contains(SECRET) {
            return Err(format!("a password is shown: {shown}"));
        }
        Ok(())
    });
}

// ---------------------------------------------------------------------------------------------------------
// Lists of differences, and command lines
// ---------------------------------------------------------------------------------------------------------

#[test]
fn a_list_of_differences_reads_back_as_it_was_meant() {
    let text = || "\\PC{0,12}|[\"',\\n\\r\\t;\\x00\\\\]{0,6}|=cmd\\|' /C'!A0";
    let value = || prop::option::of(text());
    let kind = select(vec![verdict::Kind::Missing, verdict::Kind::Extra, verdict::Kind::Changed]);
    let cell =
        (text(), value(), value()).prop_map(|(column, source, target)| CellDifference { column, source, target });
    let row = (kind, text(), vec(cell, 0..4)).prop_map(|(kind, key, cells)| Difference { kind, key, cells });
    let names = "[a-z./\\\\%é\\x00-\\x1f]{1,12}|\\.\\.(/\\.\\.){0,3}/x|CON|\\.";
    let dir = TempDir::new().unwrap();
    for_a_while("lists of differences", (names, vec(row, 1..5)), |(name, rows)| {
        let folder = dir.path().join("lists");
        let mut listing = Listing::new(&folder, &name);
        for row in &rows {
            listing.add(row).map_err(|e| told(&e))?;
        }
        let path = listing.finish().map_err(|e| told(&e))?.unwrap();
        if path.canonicalize().unwrap().parent() != Some(&folder.canonicalize().unwrap()) {
            return Err(format!("it is elsewhere: {}", path.display()));
        }
        let text = |v: &Option<String>| v.clone().unwrap_or_default();
        let wanted: Vec<Vec<String>> = rows
            .iter()
            .flat_map(|row| row.cells.iter().map(move |c| (row, c)))
            .map(|(row, c)| {
                vec![row.kind.word().to_owned(), row.key.clone(), c.column.clone(), text(&c.source), text(&c.target)]
            })
            .collect();
        let mut reader = csv::Reader::from_path(&path).unwrap();
        let read: Result<Vec<Vec<String>>, _> =
            reader.records().map(|r| r.map(|r| r.iter().map(str::to_owned).collect())).collect();
        let read = read.map_err(|e| e.to_string())?;
        if read == wanted { Ok(()) } else { Err(format!("{read:?} is not {wanted:?}")) }
    });
}

#[test]
fn two_tables_never_share_a_list() {
    let name = || "[aA./\\\\%25Ff\\x00-\\x03]{1,5}";
    let folder = TempDir::new().unwrap();
    let difference = Difference {
        kind: verdict::Kind::Extra,
        key: String::new(),
        cells: vec![CellDifference { column: "c".to_owned(), source: None, target: None }],
    };
    for_a_while("names of lists", (name(), name()), |(a, b)| {
        let path = |name: &str| {
            let mut listing = Listing::new(folder.path(), name);
            listing.add(&difference).map_err(|e| told(&e))?;
            listing.finish().map_err(|e| told(&e))
        };
        if a != b && path(&a)? == path(&b)? { Err(format!("{a:?} and {b:?}")) } else { Ok(()) }
    });
}

const ARGUMENTS: &[&str] = &[
    "migrate",
    "verify",
    "bench",
    "SOURCE",
    "embedded",
    "--dry-run",
    "--sql",
    "--schema",
    "--include",
    "--exclude",
    "--jobs",
    "--jobs=0",
    "--assume-tz",
    "none",
    "Europe/Berlin",
    "--on-conflict",
    "skip",
    "--truncate",
    "--restart",
    "--json",
    "--log-format",
    "json",
    "--quiet",
    "--progress-every",
    "0",
    "-1",
    "18446744073709551616",
    "1e9",
    "--max-differences",
    "--key",
    "t=x",
    "=",
    "t=",
    "--table",
    "--level",
    "counts",
    "--repair",
    "--rounds",
    "--csv",
    "--differences-dir",
    "",
    "*",
    "[",
    "{a,",
    "\\",
    "é😀",
    "--",
    "-",
    "--help",
    "--version",
    "host=/nonexistent",
    "postgres://u:Hunter2Xyzzy@127.0.0.1:1/x",
    "password=Hunter2Xyzzy",
    "--snapshot",
    "lock",
    "--identifiers",
    "snake",
    "--keep",
    "lite2pg",
];

#[test]
fn a_command_line_is_followed_or_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
    // A server of its own at every other case would take the time: none is found.
    let none = dir.path().join("no programs");
    fs::create_dir(&none).unwrap();
    for_a_while("command lines", vec(select(ARGUMENTS.to_vec()), 0..9), |arguments| {
        let mut command: Command = program();
        command.args(arguments.iter().map(|a| if *a == "SOURCE" { path.to_str().unwrap() } else { a }));
        let ran = ended(command.env("PG_BIN", &none).current_dir(dir.path()).output().unwrap());
        let all = format!("{}{}", ran.stdout, ran.stderr);
        if !(0..=8).contains(&ran.code) || all.contains("broke one of its own rules") {
            return Err(format!("exit {}: {all}", ran.code));
        }
        if ran.code != 0 && ran.stderr.is_empty() {
            return Err(format!("exit {} without a word", ran.code));
        }
        if all.contains(SECRET) { Err(format!("a password is shown: {all}")) } else { Ok(()) }
    });
}
