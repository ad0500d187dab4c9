//! Tables made by chance: declared types, cells of every class, keys and indexes; whatever they are, they arrive whole.
//!
//! A few dozen cases, more with `LITE2PG_LONG=1`; `PROPTEST_RNG_SEED` repeats a run, and a failure prints its smallest case.

mod support;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use rusqlite::{Connection, params_from_iter};
use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};
use support::oracle::{self, Held};
use support::scenario::{Source, migrate, quoted};

const DECLARED: [&str; 24] = [
    "",
    "INTEGER",
    "INT",
    "BIGINT",
    "TINYINT",
    "REAL",
    "DOUBLE PRECISION",
    "FLOAT",
    "TEXT",
    "VARCHAR(5)",
    "CLOB",
    "BLOB",
    "NUMERIC",
    "DECIMAL(6,2)",
    "DECIMAL(10)",
    "BOOLEAN",
    "DATE",
    "DATETIME",
    "TIMESTAMP",
    "TIME",
    "JSON",
    "UUID",
    "STRING",
    "MONEY",
];

/// What a column mostly holds; one cell in a few is anything at all.
#[derive(Debug, Clone, Copy)]
enum Habit {
    Anything,
    Integers,
    Flags,
    Reals,
    Cents,
    Words,
    Uuids(u8),
    Json,
    Days,
    Clocks,
    Moments(u8),
    Epochs(u32),
    Julian,
    Bytes,
}

fn habit() -> impl Strategy<Value = Habit> {
    prop_oneof![
        Just(Habit::Anything),
        Just(Habit::Integers),
        Just(Habit::Flags),
        Just(Habit::Reals),
        Just(Habit::Cents),
        Just(Habit::Words),
        (0..6_u8).prop_map(Habit::Uuids),
        Just(Habit::Json),
        Just(Habit::Days),
        Just(Habit::Clocks),
        (0..6_u8).prop_map(Habit::Moments),
        prop_oneof![Just(1), Just(1000), Just(1_000_000), Just(1_000_000_000)].prop_map(Habit::Epochs),
        Just(Habit::Julian),
        Just(Habit::Bytes),
    ]
}

fn text(s: impl Into<String>) -> Held {
    Held::Text(s.into().into_bytes())
}

fn integer() -> impl Strategy<Value = i64> {
    let edges = prop::sample::select(vec![
        0,
        1,
        -1,
        i64::MIN,
        i64::MAX,
        i64::MIN + 1,
        1 << 53,
        (1 << 53) + 1,
        -(1 << 53) - 1,
        1 << 31,
        -(1 << 31) - 1,
        32768,
        10_000,
        1_000_000_000_000_000_000,
    ]);
    prop_oneof![edges, any::<i64>(), -1000..1000_i64]
}

fn real() -> impl Strategy<Value = f64> {
    let edges = prop::sample::select(vec![
        0.0,
        -0.0,
        0.1,
        0.1 + 0.2,
        1e300,
        5e-324,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        f64::NEG_INFINITY,
        9_007_199_254_740_993.0,
        1e18,
        -1e19,
        1e-7,
        123_456.789,
        0.5,
        9.223_372_036_854_776e18,
    ]);
    // SQLite stores NaN as NULL.
    let bits = any::<u64>().prop_map(f64::from_bits).prop_map(|x| if x.is_nan() { 1.5 } else { x });
    prop_oneof![edges, bits, -1e6..1e6_f64]
}

fn odd_text() -> impl Strategy<Value = Held> {
    let edges = prop::sample::select(vec![
        "",
        " ",
        "0",
        "1",
        "-0",
        "1.0",
        "1e5",
        "0x10",
        " 12 ",
        "NaN",
        "Infinity",
        "-inf",
        "t",
        "TRUE",
        "null",
        "\\N",
        "\\.",
        "{}",
        "[]",
        "{",
        "[1,]",
        "\"s\"",
        "17",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\\ud800\"}",
        "[1e999999]",
        "{\"a\":1,\"a\":2}",
        "[-0.0,1E400]",
        "2024-01-01",
        "2023-02-29",
        "24:00:00",
        "12:60",
        "😀",
        "e\u{301}",
        "\u{feff}x",
        "\u{ffff}",
        "\u{fffd}",
        "9223372036854775808",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999-14:00",
        "2016-12-31T23:59:60Z",
        "12:34:56.1234567",
        "00000000-0000-0000-0000-000000000000",
        "'; DROP TABLE t; --",
        "a\"b",
        "1,5",
        "１２",
        "1_000",
        "+5",
        ".5",
        "5.",
        "--5",
        "1e-400",
        "infinity",
        "today",
        "now",
        "epoch",
    ])
    .prop_map(text);
    let bad = prop::sample::select(vec![
        &b"\0"[..],
        b"a\0b",
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"ok\xe2\x82",
    ])
    .prop_map(|b| Held::Text(b.to_vec()));
    prop_oneof![4 => edges, 1 => bad, 3 => ".{0,12}".prop_map(text), 1 => "\\PC{0,300}".prop_map(text)]
}

fn anything() -> impl Strategy<Value = Held> {
    prop_oneof![
        Just(Held::Null),
        integer().prop_map(Held::Integer),
        real().prop_map(Held::Real),
        odd_text(),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Held::Blob),
    ]
}

fn usual(habit: Habit) -> BoxedStrategy<Held> {
    let day = || (1..=9999_i32, 1..=12_u8, 1..=28_u8).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}"));
    let clock = || (0..24_u8, 0..60_u8, 0..60_u8).prop_map(|(h, m, s)| format!("{h:02}:{m:02}:{s:02}"));
    match habit {
        Habit::Anything => anything().boxed(),
        Habit::Integers => integer().prop_map(Held::Integer).boxed(),
        Habit::Flags => prop::sample::select(vec![
            Held::Integer(0),
            Held::Integer(1),
            text("true"),
            text("No"),
            text("T"),
            Held::Real(1.0),
        ])
        .boxed(),
        Habit::Reals => real().prop_map(Held::Real).boxed(),
        Habit::Cents => (-1_000_000..1_000_000_i32).prop_map(|c| Held::Real(f64::from(c) / 100.0)).boxed(),
        Habit::Words => "[a-zé ]{0,8}".prop_map(text).boxed(),
        Habit::Uuids(spelling) => any::<u128>()
            .prop_map(move |n| {
                let hex = format!("{n:032x}");
                let parts = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
                text(match spelling {
                    0 => parts,
                    1 => parts.to_uppercase(),
                    2 => hex,
                    3 => hex.to_uppercase(),
                    4 => format!("{{{parts}}}"),
                    _ => format!("{{{}}}", parts.to_uppercase()),
                })
            })
            .boxed(),
        Habit::Json => json().prop_map(|v| text(v.to_string())).boxed(),
        Habit::Days => day().prop_map(text).boxed(),
        Habit::Clocks => clock().prop_map(text).boxed(),
        Habit::Moments(spelling) => (day(), clock(), 0..1_000_000_u32)
            .prop_map(move |(day, clock, us)| {
                text(match spelling {
                    0 => format!("{day}T{clock}Z"),
                    1 => format!("{day} {clock}"),
                    2 => format!("{day}T{clock}.{us:06}+05:30"),
                    3 => format!("{day} {clock}.{:03}-0800", us / 1000),
                    4 => format!("{day}T{clock}+14"),
                    _ => day,
                })
            })
            .boxed(),
        Habit::Epochs(unit) => (100_000_000..4_000_000_000_i64, 0..1000_i64)
            .prop_map(move |(s, rest)| {
                Held::Integer(s * i64::from(unit) + if unit >= 1_000_000 { rest * 1000 } else { 0 })
            })
            .boxed(),
        Habit::Julian => (2_415_021.0..2_500_000.0_f64).prop_map(|d| Held::Real((d * 4.0).round() / 4.0)).boxed(),
        Habit::Bytes => prop::collection::vec(any::<u8>(), 0..40).prop_map(Held::Blob).boxed(),
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        integer().prop_map(serde_json::Value::from),
        real().prop_map(serde_json::Value::from),
        "\\PC{0,6}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-zA-Z\"\\\\ é]{0,4}", inner, 0..4).prop_map(|m| m.into_iter().collect()),
        ]
    })
}

#[derive(Debug, Clone)]
struct Table {
    columns: Vec<&'static str>,
    key: Key,
    unique: Vec<usize>,
    nocase: bool,
    partial: bool,
    refers: bool,
    rows: Vec<Vec<Held>>,
}

#[derive(Debug, Clone, Copy)]
enum Key {
    Nothing,
    Rowid,
    First,
    Two,
    WithoutRowid,
    WithoutRowidTwo,
}

fn table() -> impl Strategy<Value = Table> {
    let key = prop::sample::select(vec![
        Key::Nothing,
        Key::Rowid,
        Key::First,
        Key::Two,
        Key::WithoutRowid,
        Key::WithoutRowidTwo,
    ]);
    let column = (prop::sample::select(DECLARED.to_vec()), habit(), 0..3_u8);
    (prop::collection::vec(column, 2..7), key, any::<bool>(), any::<bool>(), any::<bool>()).prop_flat_map(
        |(columns, key, nocase, partial, refers)| {
            let cells: Vec<BoxedStrategy<Held>> = columns
                .iter()
                .map(|(_, habit, oddity)| match oddity {
                    0 => usual(*habit),
                    1 => prop_oneof![5 => usual(*habit), 1 => Just(Held::Null)].boxed(),
                    _ => prop_oneof![12 => usual(*habit), 1 => anything()].boxed(),
                })
                .collect();
            let declared: Vec<&'static str> = columns.iter().map(|(d, _, _)| *d).collect();
            let width = declared.len();
            (prop::collection::vec(cells, 0..25), prop::collection::vec(0..width, 0..2)).prop_map(
                move |(rows, unique)| Table { columns: declared.clone(), key, unique, nocase, partial, refers, rows },
            )
        },
    )
}

/// Writes the tables; a row that SQLite refuses is not there.
fn write(tables: &[Table]) -> (Source, Connection) {
    let source = Source::nothing();
    let db = Connection::open(&source.path).expect("SQLite takes the tables");
    db.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; BEGIN").expect("SQLite takes the tables");
    for (n, table) in tables.iter().enumerate() {
        let name = format!("t{n}");
        let mut parts: Vec<String> = Vec::new();
        for (c, declared) in table.columns.iter().enumerate() {
            let collation = if table.nocase && c == 1 { " COLLATE NOCASE" } else { "" };
            let refers =
                if table.refers && c == 1 && n > 0 { format!(" REFERENCES t{} (c0)", n - 1) } else { String::new() };
            let declared = if matches!(table.key, Key::Rowid) && c == 0 { "INTEGER PRIMARY KEY" } else { declared };
            parts.push(format!("c{c} {declared}{collation}{refers}"));
        }
        parts.extend(match table.key {
            Key::Nothing | Key::Rowid => None,
            Key::First | Key::WithoutRowid => Some("PRIMARY KEY (c0)".to_owned()),
            Key::Two | Key::WithoutRowidTwo => Some("PRIMARY KEY (c1, c0)".to_owned()),
        });
        let tail = if matches!(table.key, Key::WithoutRowid | Key::WithoutRowidTwo) { " WITHOUT ROWID" } else { "" };
        db.execute_batch(&format!("CREATE TABLE {} ({}){tail}", quoted(&name), parts.join(", ")))
            .expect("SQLite takes the tables");
        for (i, column) in table.unique.iter().enumerate() {
            let condition = if table.partial { " WHERE c0 IS NOT NULL" } else { "" };
            db.execute_batch(&format!("CREATE UNIQUE INDEX {name}_u{i} ON {name} (c{column}){condition}"))
                .expect("SQLite takes the tables");
        }
        let marks = vec!["?"; table.columns.len()].join(", ");
        let mut insert =
            db.prepare(&format!("INSERT OR IGNORE INTO {name} VALUES ({marks})")).expect("SQLite takes the tables");
        for row in &table.rows {
            // A refused class (text for a rowid) is an error even so.
            let _ = insert.execute(params_from_iter(row));
        }
    }
    db.execute_batch("COMMIT").expect("SQLite takes the tables");
    (source, db)
}

#[test]
fn tables_made_by_chance_arrive_whole() {
    let long = std::env::var_os("LITE2PG_LONG").is_some();
    let seed = match Config::default().rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64),
    };
    println!("PROPTEST_RNG_SEED={seed}");
    let config = Config {
        cases: if long { 1000 } else { 24 },
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 40,
        ..Config::default()
    };
    let cells = Cell::new(0);
    TestRunner::new(config)
        .run(&prop::collection::vec(table(), 1..12), |tables| {
            let (source, db) = write(&tables);
            let moved = migrate(&source);
            for n in 0..tables.len() {
                cells.set(cells.get() + oracle::compare(&db, &moved, &format!("t{n}")));
            }
            Ok(())
        })
        .unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    println!("{} cells", cells.get());
}
