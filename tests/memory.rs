//! Promise: memory stays within 64 MB and four times the largest cell, whatever the size of the source.
//!
//! The program tells its own peak. `LITE2PG_LONG=1` runs the same at 2 GB and with a cell of 500 MB.

mod support;

#[path = "../fixtures/generate.rs"]
mod generate;

use rusqlite::Connection;
use std::path::Path;

const BASE: u64 = 64 * 1024 * 1024;

struct Migrated {
    rows: u64,
    peak: u64,
}

fn migrate(source: &Path, jobs: &str) -> Migrated {
    let target = support::program::url(&support::database());
    let source = source.display().to_string();
    let ran = support::program::migrate([&source, &target, "--json", "--quiet", "--jobs", jobs]).exits(0);
    let summary: serde_json::Value = serde_json::from_str(&ran.stdout).expect("a summary");
    let tables = summary["tables"].as_array().expect("tables");
    Migrated {
        rows: tables.iter().filter_map(|t| t["rows"].as_u64()).sum(),
        peak: summary["peak_memory_bytes"].as_u64().expect("a peak"),
    }
}

fn is_long() -> bool {
    std::env::var_os("LITE2PG_LONG").is_some()
}

#[test]
fn ten_times_the_rows_need_the_same_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let (small, large) = if is_long() { (0.1, 1.2) } else { (0.01, 0.1) };
    let peaks = [small, large].map(|scale| {
        let path = dir.path().join(format!("bench_{scale}.db"));
        generate::Source::Bench.write(&path, scale).expect("a source");
        let done = migrate(&path, "4");
        assert!(done.rows as f64 > 6_000_000.0 * scale, "{} rows", done.rows);
        assert!(done.peak <= BASE, "{} bytes at scale {scale}", done.peak);
        std::fs::remove_file(&path).expect("the source is ours");
        done.peak
    });
    assert!(peaks[1] < peaks[0] * 2 + 8 * 1024 * 1024, "{peaks:?}");
}

#[test]
fn rows_with_large_cells_stay_within_four_of_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("blobs.db");
    let connection = Connection::open(&path).expect("a database");
    connection
        .execute_batch(
            "CREATE TABLE b(id INTEGER PRIMARY KEY, v BLOB, w TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
             INSERT INTO b SELECT i, randomblob(CASE WHEN i % 5 = 0 THEN 10000000 ELSE 1000 * i END),
                                  hex(zeroblob(CASE WHEN i % 7 = 0 THEN 5000000 ELSE 10 END)) FROM n;",
        )
        .expect("rows");
    drop(connection);
    for jobs in ["1", "4", "8"] {
        let done = migrate(&path, jobs);
        assert_eq!(done.rows, 60);
        assert!(done.peak <= BASE + 4 * 10_000_000, "{} bytes with {jobs} jobs", done.peak);
    }
}

#[test]
fn one_huge_cell_arrives() {
    let bytes: u64 = if is_long() { 500_000_000 } else { 60_000_000 };
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("huge.db");
    let connection = Connection::open(&path).expect("a database");
    connection
        .execute_batch(&format!(
            "CREATE TABLE b(id INTEGER PRIMARY KEY, v BLOB); INSERT INTO b VALUES(1, zeroblob({bytes}));
             CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);
             INSERT INTO t VALUES(1, replace(hex(zeroblob({bytes} / 2)), '0', 'x'));
             CREATE TABLE n(id INTEGER PRIMARY KEY, v TEXT);
             INSERT INTO n SELECT 1, CAST(x'ff' || CAST(v AS BLOB) AS TEXT) FROM t;"
        ))
        .expect("rows");
    drop(connection);
    let done = migrate(&path, "2");
    assert_eq!(done.rows, 3);
    assert!(done.peak <= BASE + 4 * (bytes + 1), "{} bytes", done.peak);
}

/// The most memory that a rollback of a table held in which every row was changed.
#[test]
fn a_map_of_ids_needs_no_memory_for_the_ids() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, pipeline) = (dir.path().join("ids.db"), dir.path().join("ids.toml"));
    let connection = Connection::open(&path).expect("a database");
    let rows = if is_long() { 2_000_000 } else { 150_000 };
    connection
        .execute_batch(&format!(
            "CREATE TABLE t(n INTEGER PRIMARY KEY, id TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO t SELECT i, hex(randomblob(150)) FROM n;"
        ))
        .expect("rows");
    drop(connection);
    let text = "source = \"ids.db\"\n[[table]]\nfrom = \"t\"\n[table.columns]\nid = { v5 = \"t\" }\n";
    std::fs::write(&pipeline, text).expect("a pipeline");
    let target = support::database();
    let url = support::program::url(&target);
    let pipeline = pipeline.display().to_string();
    let ran = support::program::migrate(["-p", &pipeline, "--target", &url, "--json", "--quiet"]).exits(0);
    let summary: serde_json::Value = serde_json::from_str(&ran.stdout).expect("a summary");
    let peak = summary["peak_memory_bytes"].as_u64().expect("a peak");
    assert!(peak <= BASE, "{peak} bytes for {rows} ids");
    assert_eq!(
        support::program::value(&support::session(&target), "SELECT count(*) FROM lite2pg.id_map"),
        rows.to_string()
    );
    println!("{peak}");
}

fn rolled_back(rows: u64) -> u64 {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, to) = (dir.path().join("app.db"), dir.path().join("restored.db"));
    let connection = Connection::open(&path).expect("a database");
    connection
        .execute_batch(&format!(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT, n INTEGER);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO t SELECT i, hex(randomblob(150)), i FROM n;"
        ))
        .expect("rows");
    drop(connection);
    let target = support::database();
    let url = support::program::url(&target);
    support::program::migrate([path.as_os_str(), url.as_ref(), "--quiet".as_ref(), "--no-verify".as_ref()]).exits(0);
    let changed = "UPDATE t SET n = n + 1; DELETE FROM t WHERE id % 10 = 0; INSERT INTO t SELECT -id, v, n FROM t WHERE id % 10 = 1";
    support::session(&target).batch(changed).expect("changes");
    let mut command = support::program::program();
    command.arg("rollback").arg(&path).arg(&url).arg("--to").arg(&to).arg("--quiet");
    let mut running = support::program::Running::start(&mut command);
    let mut peak = 0;
    while !running.is_over() {
        peak = peak.max(running.memory_peak_bytes().unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.end().exits(0);
    peak
}

#[test]
fn a_way_back_needs_the_same_memory_however_much_was_changed() {
    let rows = if is_long() { [100_000, 1_000_000] } else { [10_000, 60_000] };
    let peaks = rows.map(rolled_back);
    assert!(peaks.iter().all(|&peak| peak <= BASE), "{peaks:?}");
    // The scratch file's cache fills up, and no more.
    assert!(peaks[1] < peaks[0] + 24 * 1024 * 1024, "{peaks:?}");
    println!("{peaks:?}");
}
