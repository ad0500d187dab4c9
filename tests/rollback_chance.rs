//! Tables and writes made by chance, on both sides: the restored file holds what the same writes by SQLite make of the
//! source, and every cell that nobody wrote to is the source's, to the byte.
//!
//! A value that is written is one that another row holds, so that both databases are asked for the same by the same
//! SQL. A few dozen cases, more with `LITE2PG_LONG=1`; `PROPTEST_RNG_SEED` repeats a run.

mod support;

use lite2pg::model::restored::Ending;
use lite2pg::model::verdict::Outcome;
use lite2pg::postgres::{Session, Target};
use lite2pg::report::{restored, verification};
use lite2pg::run::{self, Options, RollbackOptions};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use rusqlite::{Connection, params_from_iter};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};
use support::oracle::Held;
use support::scenario::{Listener, Source};
use support::{database, session, told};

/// What a column holds: a declared type and cells that are at home in it.
#[derive(Debug, Clone, Copy)]
enum Habit {
    Integers,
    Reals,
    Cents,
    CentsAsText,
    Words,
    Odd,
    Flags,
    FlagWords(&'static str, &'static str),
    Uuids(u8),
    Json,
    Days,
    Clocks(u8),
    Moments,
    Epochs(i64),
    Julian,
    Bytes,
    Mixed,
}

const HABITS: [(&str, Habit); 30] = [
    ("INTEGER", Habit::Integers),
    ("BIGINT", Habit::Integers),
    ("REAL", Habit::Reals),
    ("DOUBLE", Habit::Reals),
    ("NUMERIC", Habit::Reals),
    ("DECIMAL(12,2)", Habit::Cents),
    ("NUMERIC", Habit::Cents),
    ("TEXT", Habit::CentsAsText),
    ("TEXT", Habit::Words),
    ("VARCHAR(5)", Habit::Words),
    ("", Habit::Words),
    ("STRING", Habit::Words),
    ("TEXT", Habit::Odd),
    ("", Habit::Odd),
    ("BOOLEAN", Habit::Flags),
    ("BOOLEAN", Habit::FlagWords("true", "false")),
    ("BOOL", Habit::FlagWords("Y", "N")),
    ("UUID", Habit::Uuids(0)),
    ("TEXT", Habit::Uuids(1)),
    ("GUID", Habit::Uuids(2)),
    ("JSON", Habit::Json),
    ("DATE", Habit::Days),
    ("TIME", Habit::Clocks(0)),
    ("TIME", Habit::Clocks(1)),
    ("DATETIME", Habit::Moments),
    ("TIMESTAMP", Habit::Epochs(1)),
    ("TIMESTAMP", Habit::Epochs(1000)),
    ("TIMESTAMP", Habit::Julian),
    ("BLOB", Habit::Bytes),
    ("", Habit::Mixed),
];

fn text(s: impl Into<String>) -> Held {
    Held::Text(s.into().into_bytes())
}

fn cell(habit: Habit) -> BoxedStrategy<Held> {
    let day = || (1..=9999_i32, 1..=12_u8, 1..=28_u8).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}"));
    let clock = || (0..24_u8, 0..60_u8, 0..60_u8).prop_map(|(h, m, s)| format!("{h:02}:{m:02}:{s:02}"));
    let integer = || prop_oneof![any::<i64>(), -1000..1000_i64, Just(i64::MIN), Just(1 << 53)];
    let real = || prop_oneof![-1e6..1e6_f64, Just(0.1), Just(1e300), Just(5e-324), Just(f64::INFINITY), Just(2.0)];
    match habit {
        Habit::Integers => integer().prop_map(Held::Integer).boxed(),
        Habit::Reals => real().prop_map(Held::Real).boxed(),
        Habit::Cents => (-1_000_000..1_000_000_i32).prop_map(|c| Held::Real(f64::from(c) / 100.0)).boxed(),
        Habit::CentsAsText => {
            (-99_999..99_999_i32).prop_map(|c| text(format!("{}.{:02}", c / 100, c.abs() % 100))).boxed()
        }
        Habit::Words => "[a-zé ]{0,5}".prop_map(text).boxed(),
        Habit::Odd => prop_oneof![
            "\\PC{0,12}".prop_map(text),
            prop::sample::select(vec![&b"a\0b"[..], b"\xff", b"ok\xe2\x82", b"1e5", b"007", b"", b" 12 ", b"NULL"])
                .prop_map(|b| Held::Text(b.to_vec())),
            "x{1000,1100}".prop_map(text),
        ]
        .boxed(),
        Habit::Flags => any::<bool>().prop_map(|b| Held::Integer(b.into())).boxed(),
        Habit::FlagWords(yes, no) => any::<bool>().prop_map(move |b| text(if b { yes } else { no })).boxed(),
        Habit::Uuids(spelling) => any::<u128>()
            .prop_map(move |n| {
                let hex = format!("{n:032x}");
                let parts = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
                text([parts.clone(), parts.to_uppercase(), format!("{{{parts}}}")][usize::from(spelling)].clone())
            })
            .boxed(),
        Habit::Json => (any::<i32>(), "[a-z\"\\\\ é]{0,4}", 0..3_u8)
            .prop_map(|(n, key, form)| {
                let key = serde_json::Value::from(key);
                text(match form {
                    0 => format!("{{{key}:{n},   \"a\": [1.50, null]}}"),
                    1 => format!("[{n} ,{key}]"),
                    _ => "{ }".to_owned(),
                })
            })
            .boxed(),
        Habit::Days => day().prop_map(text).boxed(),
        Habit::Clocks(0) => clock().prop_map(text).boxed(),
        Habit::Clocks(_) => clock().prop_map(|c| text(&c[..5])).boxed(),
        Habit::Moments => (day(), clock(), 0..1_000_000_u32, 0..5_u8)
            .prop_map(|(day, clock, us, spelling)| {
                text(match spelling {
                    0 => format!("{day}T{clock}Z"),
                    1 => format!("{day} {clock}"),
                    2 => format!("{day}T{clock}.{us:06}+05:30"),
                    3 => format!("{day} {clock}.{:03}-0800", us / 1000),
                    _ => format!("{day} {}", &clock[..5]),
                })
            })
            .boxed(),
        Habit::Epochs(unit) => (100_000_000..4_000_000_000_i64).prop_map(move |s| Held::Integer(s * unit)).boxed(),
        Habit::Julian => (2_415_021.0..2_500_000.0_f64).prop_map(|d| Held::Real((d * 4.0).round() / 4.0)).boxed(),
        Habit::Bytes => prop::collection::vec(any::<u8>(), 0..40).prop_map(Held::Blob).boxed(),
        Habit::Mixed => {
            prop_oneof![integer().prop_map(Held::Integer), real().prop_map(Held::Real), "[a-z]{0,4}".prop_map(text),]
                .boxed()
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Nothing,
    Rowid,
    Autoincrement,
    First,
    Two,
    WithoutRowid,
    WithoutRowidTwo,
}

#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "coins that were tossed, each for itself")]
struct Table {
    columns: Vec<(&'static str, Habit)>,
    key: Key,
    unique: Option<usize>,
    nocase: bool,
    not_null: bool,
    indexed: bool,
    generated: bool,
    rows: Vec<Vec<Held>>,
    writes: Vec<Write>,
}

/// A write to the rows that some number names, with what it needs of others.
#[derive(Debug, Clone)]
enum Write {
    /// The cell of a column becomes that of another row.
    Copy {
        row: usize,
        column: usize,
        from: usize,
    },
    /// All cells but the key's become those of another row.
    CopyAll {
        row: usize,
        from: usize,
    },
    Null {
        row: usize,
        column: usize,
    },
    Delete {
        row: usize,
    },
    /// A new row with cells of two others; the key, where it can be, moved on.
    Insert {
        from: usize,
        and: usize,
        column: usize,
        by: i64,
    },
    /// Another key.
    Move {
        row: usize,
        by: i64,
    },
    DeleteAll,
}

fn write(rows: usize, columns: usize) -> impl Strategy<Value = Write> {
    let (row, column) = (move || 0..rows.max(1), move || 0..columns);
    prop_oneof![
        6 => (row(), column(), row()).prop_map(|(row, column, from)| Write::Copy { row, column, from }),
        2 => (row(), row()).prop_map(|(row, from)| Write::CopyAll { row, from }),
        2 => (row(), column()).prop_map(|(row, column)| Write::Null { row, column }),
        3 => row().prop_map(|row| Write::Delete { row }),
        4 => (row(), row(), column(), 1..1000_i64)
            .prop_map(|(from, and, column, by)| Write::Insert { from, and, column, by }),
        2 => (row(), 1..1000_i64).prop_map(|(row, by)| Write::Move { row, by }),
        1 => Just(Write::DeleteAll),
    ]
}

fn table() -> impl Strategy<Value = Table> {
    let key = prop::sample::select(vec![
        Key::Nothing,
        Key::Rowid,
        Key::Autoincrement,
        Key::First,
        Key::Two,
        Key::WithoutRowid,
        Key::WithoutRowidTwo,
    ]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (prop::collection::vec(prop::sample::select(HABITS.to_vec()), 2..7), key, flags).prop_flat_map(
        |(columns, key, (nocase, not_null, indexed, generated))| {
            let width = columns.len();
            let cells: Vec<BoxedStrategy<Held>> = columns
                .iter()
                .enumerate()
                .map(|(i, (_, habit))| {
                    let usual = cell(*habit);
                    if i < 2 { usual } else { prop_oneof![6 => usual, 1 => Just(Held::Null)].boxed() }
                })
                .collect();
            (prop::collection::vec(cells, 0..20), prop::option::of(0..width)).prop_flat_map(move |(rows, unique)| {
                let (columns, writes) = (columns.clone(), prop::collection::vec(write(rows.len(), width), 0..12));
                writes.prop_map(move |writes| Table {
                    columns: columns.clone(),
                    key,
                    unique,
                    nocase,
                    not_null,
                    indexed,
                    generated,
                    rows: rows.clone(),
                    writes,
                })
            })
        },
    )
}

/// Writes the tables; a row that SQLite refuses is not there. Each row has a number, `z`, by which it is reached.
fn make(tables: &[Table]) -> Source {
    let source = Source::nothing();
    let db = Connection::open(&source.path).expect("a new file");
    db.execute_batch("PRAGMA synchronous = OFF; PRAGMA user_version = 3; BEGIN").expect("SQLite takes the tables");
    for (n, table) in tables.iter().enumerate() {
        let mut parts: Vec<String> = Vec::new();
        for (c, (declared, _)) in table.columns.iter().enumerate() {
            let collation = if table.nocase && c == 1 { " COLLATE NOCASE" } else { "" };
            let null = if table.not_null && c == 1 { " NOT NULL" } else { "" };
            let declared = match (table.key, c) {
                (Key::Rowid, 0) => "INTEGER PRIMARY KEY",
                (Key::Autoincrement, 0) => "INTEGER PRIMARY KEY AUTOINCREMENT",
                _ => declared,
            };
            parts.push(format!("c{c} {declared}{null}{collation}"));
        }
        parts.push("z INTEGER".to_owned());
        if table.generated {
            parts.push("g INTEGER GENERATED ALWAYS AS (z * 2) STORED".to_owned());
        }
        parts.extend(match table.key {
            Key::Nothing | Key::Rowid | Key::Autoincrement => None,
            Key::First | Key::WithoutRowid => Some("PRIMARY KEY (c0)".to_owned()),
            Key::Two | Key::WithoutRowidTwo => Some("PRIMARY KEY (c1, c0)".to_owned()),
        });
        let tail = if matches!(table.key, Key::WithoutRowid | Key::WithoutRowidTwo) { " WITHOUT ROWID" } else { "" };
        let mut sql = format!("CREATE TABLE t{n} ({}){tail};", parts.join(", "));
        if let Some(column) = table.unique {
            sql = format!("{sql} CREATE UNIQUE INDEX t{n}_u ON t{n} (c{column}) WHERE c{column} IS NOT NULL;");
        }
        if table.indexed {
            sql = format!("{sql} CREATE INDEX t{n}_i ON t{n} (c1, z DESC);");
        }
        db.execute_batch(&sql).unwrap_or_else(|e| panic!("{e}\n{sql}"));
        let marks = vec!["?"; table.columns.len() + 1].join(", ");
        let names: Vec<String> = (0..table.columns.len()).map(|c| format!("c{c}")).collect();
        let mut insert = db
            .prepare(&format!("INSERT OR IGNORE INTO t{n} ({}, z) VALUES ({marks})", names.join(", ")))
            .expect("SQLite takes the tables");
        for (z, row) in table.rows.iter().enumerate() {
            let number = Held::Integer(z as i64);
            // A refused class (text for a rowid) is an error even so.
            let _ = insert.execute(params_from_iter(row.iter().chain([&number])));
        }
    }
    db.execute_batch("COMMIT").expect("SQLite takes the tables");
    source
}

/// What was written to, by the number of the row: columns; the whole row where its key changed or it is new.
type Touched = BTreeMap<usize, BTreeSet<String>>;

/// Does the same on both sides, where both take it.
fn write_both(n: usize, table: &Table, db: &Connection, pg: &Session) -> Touched {
    let mut touched = Touched::new();
    let keys: &[usize] = match table.key {
        Key::Nothing => &[],
        Key::Two | Key::WithoutRowidTwo => &[0, 1],
        _ => &[0],
    };
    let kind = value(
        pg,
        &format!(
            "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 't{n}'::regclass AND attname = 'c0'"
        ),
    );
    // Text gets a letter more; a number that SQLite would write out by itself has another text there.
    let is_text = |z: usize| {
        let found = db.query_row(&format!("SELECT typeof(c0) = 'text' FROM t{n} WHERE z = {z}"), [], |row| row.get(0));
        found.unwrap_or(false)
    };
    let moved = |z: usize, by: i64| match kind.as_str() {
        "bigint" => Some(format!("c0 + {by}")),
        "text" if is_text(z) => Some(format!("c0 || 'x{by}'")),
        _ => None,
    };
    let width = table.columns.len();
    for (w, write) in table.writes.iter().enumerate() {
        let new = 1000 + w;
        let columns = |columns: &[usize]| columns.iter().map(|c| format!("c{c}")).collect::<Vec<_>>().join(", ");
        let (sql, row, written) = match write {
            Write::Copy { row, column, from } => (
                format!(
                    "UPDATE t{n} SET c{column} = (SELECT f.c{column} FROM t{n} f WHERE f.z = {from}) WHERE z = {row}"
                ),
                *row,
                vec![*column],
            ),
            Write::CopyAll { row, from } => {
                let rest: Vec<usize> = (0..width).filter(|c| !keys.contains(c)).collect();
                if rest.is_empty() {
                    continue;
                }
                let set: Vec<String> =
                    rest.iter().map(|c| format!("c{c} = (SELECT f.c{c} FROM t{n} f WHERE f.z = {from})")).collect();
                (format!("UPDATE t{n} SET {} WHERE z = {row}", set.join(", ")), *row, rest)
            }
            Write::Null { row, column } => {
                (format!("UPDATE t{n} SET c{column} = NULL WHERE z = {row}"), *row, vec![*column])
            }
            Write::Delete { row } => (format!("DELETE FROM t{n} WHERE z = {row}"), *row, vec![]),
            Write::DeleteAll => (format!("DELETE FROM t{n}"), 0, vec![]),
            Write::Move { row, by } => {
                let Some(moved) = moved(*row, *by) else { continue };
                (format!("UPDATE t{n} SET c0 = {moved} WHERE z = {row}"), *row, vec![0])
            }
            Write::Insert { from, and, column, by } => {
                let all: Vec<usize> = (0..width).collect();
                let list: Vec<String> = all
                    .iter()
                    .map(|c| match c {
                        0 if !keys.is_empty() => moved(*from, *by).unwrap_or_else(|| "c0".to_owned()),
                        c if c == column => format!("(SELECT f.c{c} FROM t{n} f WHERE f.z = {and})"),
                        c => format!("c{c}"),
                    })
                    .collect();
                let sql = format!(
                    "INSERT INTO t{n} ({}, z) SELECT {}, {new} FROM t{n} WHERE z = {from}",
                    columns(&all),
                    list.join(", ")
                );
                (sql, new, all)
            }
        };
        db.execute_batch("SAVEPOINT w").expect("a savepoint");
        let here = db.execute_batch(&sql);
        let taken = here.is_ok() && pg.batch(&sql).is_ok();
        db.execute_batch(if taken { "RELEASE w" } else { "ROLLBACK TO w; RELEASE w" }).expect("the end of it");
        if taken {
            let entry = touched.entry(row).or_default();
            entry.extend(written.iter().map(|c| format!("c{c}")));
            if keys.is_empty() || written.iter().any(|c| keys.contains(c)) || row >= 1000 {
                entry.insert("*".to_owned());
            }
        }
    }
    touched
}

fn value(pg: &Session, sql: &str) -> String {
    pg.query_one(sql, &[]).unwrap_or_else(|e| panic!("{sql}\n{}", told(&e))).get(0)
}

/// The rows of a table by their number: rowid where there is one, and all cells.
fn rows(db: &Connection, n: usize, table: &Table) -> BTreeMap<usize, BTreeMap<String, Held>> {
    let rowid = if matches!(table.key, Key::WithoutRowid | Key::WithoutRowidTwo) { "NULL" } else { "rowid" };
    let mut statement = db.prepare(&format!("SELECT {rowid} AS rowid, * FROM t{n}")).expect("a table");
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let read = |row: &rusqlite::Row<'_>| {
        let cells = names.iter().enumerate().map(|(i, name)| Ok((name.clone(), Held::from(row.get_ref(i)?))));
        let cells: BTreeMap<String, Held> = cells.collect::<rusqlite::Result<_>>()?;
        let Held::Integer(z) = cells["z"] else { panic!("every row has its number") };
        Ok((z as usize, cells))
    };
    statement.query_map([], read).expect("rows").collect::<Result<_, _>>().expect("rows")
}

fn schema(db: &Connection) -> Vec<String> {
    let mut statement = db
        .prepare("SELECT rowid || type || name || tbl_name || coalesce(sql, '') FROM sqlite_schema")
        .expect("a schema");
    let found = statement.query_map([], |row| row.get(0)).expect("a schema");
    found.collect::<Result<_, _>>().expect("a schema")
}

/// Whether a file holds what PostgreSQL holds, by the plan that it was loaded with.
fn is_equal(file: &Path, target: &Target) -> Result<(), String> {
    let mut options = Options::new(file);
    options.wish.folder = file.with_file_name("differences");
    let found = run::verify(&options, target, false, &Listener::default(), &AtomicBool::new(false));
    let found = found.map_err(|e| told(&e))?;
    if found.tables.iter().all(|t| matches!(t.outcome, Outcome::Equal)) {
        return Ok(());
    }
    Err(verification::text(&found))
}

fn case(tables: &[Table], figures: &Figures) -> Result<(), TestCaseError> {
    let fail = |what: String| TestCaseError::fail(what);
    let source = make(tables);
    let before = std::fs::read(&source.path).expect("the source");
    let target = database();
    let mut options = Options::new(&source.path);
    options.wish.folder = source.path.with_file_name("differences");
    run::migrate(&options, &target, &Listener::default(), &AtomicBool::new(false)).map_err(|e| fail(told(&e)))?;
    let to = source.path.with_file_name("restored.db");
    let back = || {
        let options = RollbackOptions { force: true, ..RollbackOptions::new(&source.path, &to) };
        run::rollback(&options, &target, &Listener::default(), &AtomicBool::new(false)).map_err(|e| fail(told(&e)))
    };
    back()?;
    prop_assert!(std::fs::read(&to).expect("a file") == before, "nothing was written, and the file is another");
    // The same writes on both sides.
    let mirror = Source::copy_of(&source.path);
    let pg = session(&target);
    let db = mirror.open();
    let touched: Vec<Touched> = tables.iter().enumerate().map(|(n, t)| write_both(n, t, &db, &pg)).collect();
    let done = back()?;
    prop_assert_eq!(done.ending, Ending::Published, "{}", restored::text(&done));
    prop_assert!(std::fs::read(&source.path).expect("the source") == before, "the source was written to");
    drop(db);
    is_equal(&to, &target).map_err(|e| fail(format!("restored and PostgreSQL:\n{e}")))?;
    is_equal(&mirror.path, &target).map_err(|e| fail(format!("mirror and PostgreSQL:\n{e}")))?;
    let (was, is, mirrored) = (source.open(), Connection::open(&to).expect("the file"), mirror.open());
    prop_assert_eq!(schema(&was), schema(&is));
    let check: String = is.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
    prop_assert_eq!(check, "ok");
    for (n, table) in tables.iter().enumerate() {
        let (was, is, mirrored) = (rows(&was, n, table), rows(&is, n, table), rows(&mirrored, n, table));
        prop_assert!(is.keys().eq(mirrored.keys()), "t{n}: other rows than SQLite's own writes leave");
        for (z, row) in is.iter().filter(|(z, _)| was.contains_key(z)) {
            let written = touched[n].get(z).cloned().unwrap_or_default();
            figures.rows.set(figures.rows.get() + 1);
            if written.contains("*") {
                continue;
            }
            for (name, cell) in row.iter().filter(|(name, _)| !written.contains(*name)) {
                let same = cell == &was[z][name];
                prop_assert!(same, "t{n} row {z} {name}: {:?} became {cell:?} and nobody wrote it", was[z][name]);
                figures.cells.set(figures.cells.get() + 1);
            }
        }
        figures.writes.set(figures.writes.get() + touched[n].len());
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Figures {
    rows: Cell<usize>,
    cells: Cell<usize>,
    writes: Cell<usize>,
}

#[test]
fn writes_made_by_chance_come_back_and_nothing_else_changes() {
    let long = std::env::var_os("LITE2PG_LONG").is_some();
    let seed = match Config::default().rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64),
    };
    println!("PROPTEST_RNG_SEED={seed}");
    let config = Config {
        cases: if long { 600 } else { 16 },
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 60,
        ..Config::default()
    };
    let figures = Figures::default();
    TestRunner::new(config)
        .run(&prop::collection::vec(table(), 1..5), |tables| case(&tables, &figures))
        .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    println!("{figures:?}");
}
