//! What does it cost to step through a table in SQLite and to look at every cell, without doing anything with it?

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lite2pg::sqlite::{Flow, Reader, SnapshotChoice, Source, TableScan};
use std::hint::black_box;

const ROWS: u64 = 20_000;

/// Tables of the shapes that matter: name, definition, one row by its number `i`.
const TABLES: [(&str, &str, &str); 4] = [
    (
        "narrow, integer key",
        "id INTEGER PRIMARY KEY, n INTEGER, x REAL, at INTEGER",
        "i, i % 7, i / 3.0, 1700000000 + i",
    ),
    ("narrow, hidden key", "n INTEGER, x REAL, at INTEGER", "i % 7, i / 3.0, 1700000000 + i"),
    (
        "wide, text key",
        "id TEXT PRIMARY KEY, a TEXT, b TEXT, c TEXT, body TEXT, at TEXT",
        "printf('%032x', i), 'one', 'two', NULL, printf('%0200d', i), '2024-03-01T12:00:00Z'",
    ),
    ("blobs, 1 KB", "id INTEGER PRIMARY KEY, data BLOB", "i, zeroblob(1024)"),
];

fn measure(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("scan.db");
    let db = rusqlite::Connection::open(&path).expect("a new database");
    for (t, (_, columns, row)) in TABLES.iter().enumerate() {
        db.execute_batch(&format!(
            "CREATE TABLE t{t} ({columns}); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
             WHERE i < {ROWS}) INSERT INTO t{t} SELECT {row} FROM n;"
        ))
        .expect("rows");
    }
    drop(db);
    let source = Source::open(&path, SnapshotChoice::Auto).expect("the source opens");
    let snapshot = source.snapshot(1).expect("a snapshot");
    let reader = &snapshot.readers[0];
    let catalog = reader.catalog().expect("a catalog");
    let mut group = c.benchmark_group("scan");
    group.throughput(Throughput::Elements(ROWS)).sample_size(30);
    for ((name, ..), table) in TABLES.iter().zip(&catalog.tables) {
        let scan = TableScan::all(table);
        group.bench_function(*name, |b| b.iter(|| bytes(reader, &scan)));
    }
}

fn bytes(reader: &Reader, scan: &TableScan) -> usize {
    let mut bytes = 0;
    let end = reader.scan(scan, lite2pg::model::range::Range::ALL, None, |_, row| {
        bytes += black_box(row).bytes();
        Ok(Flow::Continue)
    });
    assert!(end.is_ok_and(|end| end.finished && end.rows == ROWS));
    bytes
}

criterion_group!(benches, measure);
criterion_main!(benches);
