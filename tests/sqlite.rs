//! Reading SQLite: every source is left as it was, every reader sees one moment, every row is handed out once.

use lite2pg::Kind;
use lite2pg::model::cell::Cell;
use lite2pg::model::range::Range;
use lite2pg::model::source::{Catalog, Generated, IndexOrigin, RowKey, Table};
use lite2pg::sqlite::{
    Flow, Reader, RowRef, SnapshotChoice, SnapshotKind, Source, TableScan, describe_key, fingerprint,
};
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

// ---- what every test needs ----

fn dir() -> TempDir {
    tempfile::Builder::new().prefix("lite2pg-test-").tempdir().expect("a temporary directory")
}

fn database(path: &Path, sql: &str) {
    let conn = Connection::open(path).expect("a new database");
    conn.execute_batch(sql).expect("the test's own SQL");
}

fn source(path: &Path) -> Source {
    Source::open(path, SnapshotChoice::Auto).expect("a source").busy_timeout(Duration::from_millis(200))
}

fn reader(path: &Path) -> Reader {
    source(path).snapshot(1).expect("a snapshot").readers.remove(0)
}

/// A database made by `sql`, with its one reader and its catalog.
fn read(sql: &str) -> (TempDir, Reader, Catalog) {
    let dir = dir();
    database(&dir.path().join("a.db"), sql);
    let reader = reader(&dir.path().join("a.db"));
    let catalog = reader.catalog().expect("a catalog");
    (dir, reader, catalog)
}

fn show(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => "null".to_owned(),
        Cell::Integer(n) => n.to_string(),
        Cell::Real(x) => format!("{x:?}"),
        Cell::Text(t) => format!("'{}'", t.escape_ascii()),
        Cell::Blob(b) => format!("x'{}'", b.escape_ascii()),
    }
}

fn rows_of(reader: &Reader, table: &Table, range: Range) -> Vec<String> {
    let mut rows = Vec::new();
    let scan = TableScan::all(table);
    let end = reader
        .scan(&scan, range, None, |_, row| {
            rows.push((0..row.len()).map(|i| show(row.cell(i))).collect::<Vec<_>>().join(" "));
            Ok(Flow::Continue)
        })
        .expect("a scan");
    assert_eq!((end.rows, end.finished), (rows.len() as u64, true));
    rows
}

fn all(reader: &Reader, catalog: &Catalog, table: &str) -> Vec<String> {
    rows_of(reader, catalog.table(table).expect("the table"), Range::ALL)
}

fn keys(reader: &Reader, table: &Table, range: Range) -> Vec<i64> {
    let mut keys = Vec::new();
    let scan = TableScan::new(table, &[]);
    reader
        .scan(&scan, range, None, |key, _| {
            keys.push(key);
            Ok(Flow::Continue)
        })
        .expect("a scan");
    keys
}

const fn range(lo: i64, hi: i64) -> Range {
    Range { lo: Some(lo), hi: Some(hi) }
}

type Listing = BTreeMap<String, (Vec<u8>, SystemTime)>;

/// Every file with its bytes and its time. Only while this process has no lock on them: closing a handle would drop it.
fn listing(dir: &Path) -> Listing {
    names(dir)
        .into_iter()
        .map(|name| {
            let path = dir.join(&name);
            let time = fs::metadata(&path).and_then(|m| m.modified()).expect("a file time");
            (name, (fs::read(path).expect("a file"), time))
        })
        .collect()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .expect("a directory")
        .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Reads everything with three readers and says how.
fn session(path: &Path, choice: SnapshotChoice, rows: usize) -> SnapshotKind {
    let snapshot = Source::open(path, choice).expect("a source").snapshot(3).expect("a snapshot");
    for reader in &snapshot.readers {
        let catalog = reader.catalog().expect("a catalog");
        assert_eq!(all(reader, &catalog, "t").len(), rows);
    }
    snapshot.kind
}

const THREE_ROWS: &str = "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t(v) VALUES('a'),('b'),('c');";

/// What a writer leaves that dies with 3 rows in the file and 5 more in the -wal.
fn crashed_wal(dir: &Path, with_shm: bool) -> PathBuf {
    let alive = tempfile::tempdir_in(dir.parent().expect("a parent")).expect("a temporary directory");
    let path = alive.path().join("a.db");
    let conn = Connection::open(&path).expect("a new database");
    conn.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; {THREE_ROWS} PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint=0;
         INSERT INTO t(v) VALUES('d'),('e'),('f'),('g'),('h');"
    ))
    .expect("the test's own SQL");
    for suffix in if with_shm { &["", "-wal", "-shm"][..] } else { &["", "-wal"] } {
        let name = format!("a.db{suffix}");
        fs::copy(alive.path().join(&name), dir.join(&name)).expect("a copy");
    }
    dir.join("a.db")
}

/// What a writer leaves that dies in the middle of changing 2000 rows.
fn hot_journal(dir: &Path) -> PathBuf {
    let alive = tempfile::tempdir_in(dir.parent().expect("a parent")).expect("a temporary directory");
    let path = alive.path().join("a.db");
    let conn = Connection::open(&path).expect("a new database");
    conn.execute_batch(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<2000) INSERT INTO t SELECT i, 'old' || hex(zeroblob(100)) FROM n;
         PRAGMA cache_size=5; BEGIN; UPDATE t SET v = 'new' || v;",
    )
    .expect("the test's own SQL");
    for name in ["a.db", "a.db-journal"] {
        fs::copy(alive.path().join(name), dir.join(name)).expect("a copy");
    }
    let copy = fs::read(dir.join("a.db")).expect("the copy");
    assert!(copy.windows(6).any(|w| w == b"newold"), "the half-done change reached the file");
    dir.join("a.db")
}

#[cfg(unix)]
fn mode(path: &Path, bits: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).expect("to set the mode");
}

// ---- the source is left as it was ----

#[test]
fn a_rollback_journal_source_is_left_byte_for_byte() {
    let dir = dir();
    database(&dir.path().join("a.db"), THREE_ROWS);
    let before = listing(dir.path());
    for choice in [SnapshotChoice::Auto, SnapshotChoice::Lock] {
        assert_eq!(session(&dir.path().join("a.db"), choice, 3), SnapshotKind::ReadLock);
    }
    assert_eq!(session(&dir.path().join("a.db"), SnapshotChoice::Backup, 3), SnapshotKind::Backup);
    assert_eq!(listing(dir.path()), before);
}

#[test]
fn a_wal_source_at_rest_is_left_byte_for_byte() {
    let dir = dir();
    database(&dir.path().join("a.db"), &format!("PRAGMA journal_mode=WAL; {THREE_ROWS}"));
    assert_eq!(names(dir.path()), ["a.db"]);
    let before = listing(dir.path());
    assert_eq!(session(&dir.path().join("a.db"), SnapshotChoice::Auto, 3), SnapshotKind::WalMark);
    assert_eq!(session(&dir.path().join("a.db"), SnapshotChoice::Backup, 3), SnapshotKind::Backup);
    assert_eq!(listing(dir.path()), before);
}

#[test]
fn a_wal_that_a_crash_left_is_read_and_left_byte_for_byte() {
    for (with_shm, choice) in [
        (false, SnapshotChoice::Auto),
        (true, SnapshotChoice::Auto),
        (false, SnapshotChoice::Backup),
        (true, SnapshotChoice::Backup),
    ] {
        let dir = dir();
        let path = crashed_wal(dir.path(), with_shm);
        let mut before = listing(dir.path());
        session(&path, choice, 8);
        let mut after = listing(dir.path());
        // The -shm is shared memory: reading marks it, whoever reads.
        let shm = (before.remove("a.db-shm").is_some(), after.remove("a.db-shm").is_some());
        assert_eq!(shm, (with_shm, with_shm));
        assert!(before == after, "{with_shm} {choice:?}");
    }
}

#[test]
fn empty_side_files_that_were_there_stay() {
    for there in [&["a.db-wal"][..], &["a.db-shm"], &["a.db-wal", "a.db-shm"]] {
        let dir = dir();
        database(&dir.path().join("a.db"), &format!("PRAGMA journal_mode=WAL; {THREE_ROWS}"));
        for name in there {
            fs::write(dir.path().join(name), "").expect("a file");
        }
        let before = names(dir.path());
        session(&dir.path().join("a.db"), SnapshotChoice::Auto, 3);
        assert_eq!(names(dir.path()), before);
    }
}

#[test]
fn the_side_files_of_a_program_at_work_are_left_to_it() {
    let dir = dir();
    let path = dir.path().join("a.db");
    let writer = Connection::open(&path).expect("a new database");
    writer.execute_batch(&format!("PRAGMA journal_mode=WAL; {THREE_ROWS}")).expect("the test's own SQL");
    let before = names(dir.path());
    assert_eq!(before, ["a.db", "a.db-shm", "a.db-wal"]);
    session(&path, SnapshotChoice::Auto, 3);
    assert_eq!(names(dir.path()), before);
    writer.execute_batch("INSERT INTO t(v) VALUES('d')").expect("the writer goes on");
    session(&path, SnapshotChoice::Auto, 4);
}

#[test]
fn snapshots_that_overlap_leave_nothing_either() {
    let dir = dir();
    let path = dir.path().join("a.db");
    database(&path, &format!("PRAGMA journal_mode=WAL; {THREE_ROWS}"));
    let before = listing(dir.path());
    for first_ends_first in [true, false] {
        let first = source(&path).snapshot(2).expect("a snapshot");
        let second = source(&path).snapshot(2).expect("a snapshot");
        let (one, other) = if first_ends_first { (first, second) } else { (second, first) };
        drop(one);
        assert_eq!(all(&other.readers[1], &other.readers[0].catalog().expect("a catalog"), "t").len(), 3);
        drop(other);
        assert!(listing(dir.path()) == before);
    }
}

#[test]
fn a_hot_journal_is_rolled_back_in_a_private_copy_only() {
    let (dir, scratch) = (dir(), dir());
    let path = hot_journal(dir.path());
    let before = listing(dir.path());
    let snapshot = source(&path).scratch_in(scratch.path()).snapshot(2).expect("a snapshot");
    assert!(matches!(snapshot.kind, SnapshotKind::Copy { .. }), "{}", snapshot.kind);
    let catalog = snapshot.readers[1].catalog().expect("a catalog");
    let rows = all(&snapshot.readers[1], &catalog, "t");
    assert_eq!(rows.len(), 2000);
    assert!(rows.iter().all(|row| row.contains("'old")), "the change was not committed");
    assert_eq!(names(scratch.path()).len(), 1);
    drop(snapshot);
    assert!(names(scratch.path()).is_empty(), "the private copy is gone");
    assert!(listing(dir.path()) == before);
    let refused =
        Source::open(&path, SnapshotChoice::Lock).expect("a source").snapshot(1).expect_err("no copy allowed");
    assert_eq!(refused.kind(), Kind::Blocked);
}

#[cfg(unix)]
#[test]
fn what_nobody_can_write_is_read_without_a_lock() {
    for journal in ["DELETE", "WAL"] {
        let dir = dir();
        let path = dir.path().join("a.db");
        database(&path, &format!("PRAGMA journal_mode={journal}; {THREE_ROWS}"));
        mode(&path, 0o444);
        mode(dir.path(), 0o555);
        let before = listing(dir.path());
        assert_eq!(session(&path, SnapshotChoice::Auto, 3), SnapshotKind::Frozen, "{journal}");
        assert!(listing(dir.path()) == before);
        mode(dir.path(), 0o755);
    }
}

#[cfg(unix)]
#[test]
fn a_wal_in_a_read_only_directory_is_read_from_a_private_copy() {
    for with_shm in [false, true] {
        let (dir, scratch) = (dir(), dir());
        let path = crashed_wal(dir.path(), with_shm);
        mode(dir.path(), 0o555);
        let mut before = listing(dir.path());
        let snapshot = source(&path).scratch_in(scratch.path()).snapshot(2).expect("a snapshot");
        let catalog = snapshot.readers[0].catalog().expect("a catalog");
        assert_eq!(all(&snapshot.readers[0], &catalog, "t").len(), 8);
        assert_eq!(matches!(snapshot.kind, SnapshotKind::Copy { .. }), !with_shm, "{}", snapshot.kind);
        drop(snapshot);
        assert!(names(scratch.path()).is_empty());
        let mut after = listing(dir.path());
        assert_eq!(before.remove("a.db-shm").is_some(), after.remove("a.db-shm").is_some());
        assert!(before == after);
        mode(dir.path(), 0o755);
    }
}

#[cfg(unix)]
#[test]
fn a_private_copy_is_for_this_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let bits = |path: &Path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    let (dir, scratch) = (dir(), dir());
    let path = dir.path().join("a.db");
    database(&path, THREE_ROWS);
    mode(&path, 0o644);
    let source = Source::open(&path, SnapshotChoice::Backup).expect("a source").scratch_in(scratch.path());
    let snapshot = source.snapshot(1).expect("a snapshot");
    let private = scratch.path().join(&names(scratch.path())[0]);
    assert_eq!(bits(&private), 0o700);
    for name in names(&private) {
        assert_eq!(bits(&private.join(name)), 0o600);
    }
    drop(snapshot);
    assert!(names(scratch.path()).is_empty());
}

// ---- one moment ----

#[test]
fn all_readers_see_one_moment_of_a_wal_source_while_a_writer_goes_on() {
    let dir = dir();
    let path = dir.path().join("a.db");
    database(
        &path,
        "PRAGMA journal_mode=WAL; CREATE TABLE a(id INTEGER PRIMARY KEY, n INTEGER); CREATE TABLE b(id INTEGER PRIMARY KEY, n INTEGER);
         WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM i WHERE i<500) INSERT INTO a SELECT i, 1000 FROM i; INSERT INTO b SELECT id, n FROM a;
         CREATE TABLE tick(n INTEGER); INSERT INTO tick VALUES(0);",
    );
    let done = AtomicBool::new(false);
    let commits = AtomicU64::new(0);
    let committed = || commits.load(Ordering::Relaxed);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let conn = Connection::open(&path).expect("the database");
            conn.busy_timeout(Duration::from_secs(20)).expect("a timeout");
            conn.execute_batch("PRAGMA synchronous=OFF").expect("a pragma");
            // A writer that had to wait for a whole snapshot would run into its timeout.
            while !done.load(Ordering::Relaxed) {
                let n = commits.fetch_add(1, Ordering::Relaxed);
                conn.execute_batch(&format!(
                    "BEGIN IMMEDIATE; UPDATE a SET n = n - {n} WHERE id = {n} % 500 + 1; UPDATE tick SET n = n + 1;
                     UPDATE b SET n = n + {n} WHERE id = ({n} * 7) % 500 + 1; COMMIT;"
                ))
                .expect("a commit");
            }
        });
        let mut ticks = Vec::new();
        for _ in 0..6 {
            let source = Source::open(&path, SnapshotChoice::Auto).expect("a source");
            let snapshot = source.snapshot(4).expect("a snapshot");
            assert_eq!(snapshot.kind, SnapshotKind::WalMark);
            // While the snapshot is held, the writer goes on.
            let before = committed();
            while committed() < before + 20 && !writer.is_finished() {
                std::thread::yield_now();
            }
            let seen: Vec<(i64, i64)> = std::thread::scope(|readers| {
                let each = |reader: Reader| move || (sum(&reader, "a") + sum(&reader, "b"), sum(&reader, "tick"));
                let threads: Vec<_> = snapshot.readers.into_iter().map(|r| readers.spawn(each(r))).collect();
                threads.into_iter().map(|t| t.join().expect("a reader")).collect()
            });
            assert!(seen.iter().all(|one| *one == seen[0] && one.0 == 1_000_000), "{seen:?}");
            ticks.push(seen[0].1);
        }
        done.store(true, Ordering::Relaxed);
        assert!(ticks.is_sorted() && ticks[0] < ticks[5], "the writer went on meanwhile: {ticks:?}");
        writer.join().expect("the writer");
    });
    assert_eq!(names(dir.path()), ["a.db"]);
}

fn sum(reader: &Reader, table: &str) -> i64 {
    let catalog = reader.catalog().expect("a catalog");
    let table = catalog.table(table).expect("the table");
    let n = table.column_index("n").expect("the column");
    let mut sum = 0;
    reader
        .scan(&TableScan::new(table, &[n]), Range::ALL, None, |_, row| {
            let Cell::Integer(n) = row.cell(0) else { panic!("not an integer") };
            sum += n;
            Ok(Flow::Continue)
        })
        .expect("a scan");
    sum
}

/// Run by the tests below as a process of its own: locks of one process do not show within it.
#[test]
fn another_process_writes() {
    let Some(path) = std::env::var_os("LITE2PG_TEST_WRITES") else { return };
    let conn = Connection::open(path).expect("the database");
    conn.busy_timeout(Duration::ZERO).expect("a timeout");
    conn.execute_batch("INSERT INTO t(v) VALUES('other')").expect("a commit");
}

fn another_process_can_write(path: &Path) -> bool {
    std::process::Command::new(std::env::current_exe().expect("this test program"))
        .args(["--exact", "another_process_writes"])
        .env("LITE2PG_TEST_WRITES", path)
        .output()
        .expect("the helper process")
        .status
        .success()
}

#[test]
fn a_read_lock_keeps_other_processes_from_committing_until_the_last_reader_is_gone() {
    let dir = dir();
    let path = dir.path().join("a.db");
    database(&path, THREE_ROWS);
    assert!(another_process_can_write(&path));
    let mut snapshot = source(&path).snapshot(2).expect("a snapshot");
    assert!(!another_process_can_write(&path));
    // Both open and close the file elsewhere in this process, which must not cost the lock.
    fingerprint(&path).expect("a fingerprint");
    drop(source(&path).snapshot(1).expect("another snapshot"));
    assert!(!another_process_can_write(&path));
    let last = snapshot.readers.pop().expect("two readers");
    drop(snapshot);
    assert!(!another_process_can_write(&path));
    assert_eq!(all(&last, &last.catalog().expect("a catalog"), "t").len(), 4);
    drop(last);
    assert!(another_process_can_write(&path));
}

#[test]
fn other_processes_write_while_a_wal_source_is_read() {
    let dir = dir();
    let path = dir.path().join("a.db");
    database(&path, &format!("PRAGMA journal_mode=WAL; {THREE_ROWS}"));
    let snapshot = source(&path).snapshot(2).expect("a snapshot");
    assert!(another_process_can_write(&path));
    for reader in &snapshot.readers {
        assert_eq!(all(reader, &reader.catalog().expect("a catalog"), "t").len(), 3);
    }
    drop(snapshot);
    assert_eq!(session(&path, SnapshotChoice::Auto, 4), SnapshotKind::WalMark, "the commit is kept in the -wal");
}

/// Run by the test below as a process of another user: prints how it reads and how many rows.
#[test]
fn another_user_reads() {
    let Some(path) = std::env::var_os("LITE2PG_TEST_READS") else { return };
    let source = Source::open(&path, SnapshotChoice::Auto).expect("a source").busy_timeout(Duration::from_millis(500));
    let snapshot = source.snapshot(2).expect("a snapshot");
    let catalog = snapshot.readers[1].catalog().expect("a catalog");
    println!("\n>{:?} {}<", snapshot.kind, all(&snapshot.readers[1], &catalog, "t").len());
}

#[cfg(unix)]
#[test]
fn a_user_who_may_only_read_sees_the_same_rows_and_leaves_nothing() {
    use std::os::unix::process::CommandExt;
    let dir = dir();
    mode(dir.path(), 0o755);
    // A copy, because another user may not reach the build's own directory.
    let program = dir.path().join("reads");
    fs::copy(std::env::current_exe().expect("this test program"), &program).expect("a copy");
    let room = dir.path().join("room");
    fs::create_dir(&room).expect("a directory");
    mode(&room, 0o777);
    let reads = |path: &Path| {
        let said = std::process::Command::new(&program)
            .args(["--exact", "another_user_reads", "--nocapture"])
            .env("LITE2PG_TEST_READS", path)
            .env("TMPDIR", &room)
            .current_dir("/")
            .uid(65534)
            .gid(65534)
            .output();
        // Only root may become somebody else.
        let said = said.ok().map(|o| (String::from_utf8_lossy(&o.stdout).into_owned(), o));
        said.map(|(out, o)| out.split(['>', '<']).nth(1).map_or_else(|| format!("{o:?}"), str::to_owned))
    };
    for (journal, want) in [("DELETE", "ReadLock 3"), ("WAL", "Copy { because: \"this user may not lock its WAL\" } 3")]
    {
        let place = dir.path().join(journal);
        fs::create_dir(&place).expect("a directory");
        // Where it could make files of its own, which would then keep the owner out.
        mode(&place, 0o777);
        let path = place.join("a.db");
        database(&path, &format!("PRAGMA journal_mode={journal}; {THREE_ROWS}"));
        let before = listing(&place);
        let Some(got) = reads(&path) else {
            println!("skipped: only root can start a process of another user");
            return;
        };
        assert_eq!(got, want);
        assert!(listing(&place) == before);
    }
    let path = dir.path().join("WAL/a.db");
    let writer = Connection::open(&path).expect("the database");
    writer.execute_batch("INSERT INTO t(v) VALUES('d')").expect("a commit");
    assert_eq!(reads(&path).as_deref(), Some("Backup 4"), "under the locks of the program at work");
    assert_eq!(names(&dir.path().join("WAL")), ["a.db", "a.db-shm", "a.db-wal"]);
    assert!(names(&room).is_empty());
    drop(writer);
}

#[test]
fn a_lock_that_stays_is_an_error_that_says_so() {
    for journal in ["DELETE", "WAL"] {
        let dir = dir();
        let path = dir.path().join("a.db");
        database(&path, &format!("PRAGMA journal_mode={journal}; {THREE_ROWS}"));
        let other = Connection::open(&path).expect("the database");
        other.execute_batch("BEGIN EXCLUSIVE; INSERT INTO t(v) VALUES('d')").expect("the test's own SQL");
        let error = source(&path).snapshot(1).expect_err("locked");
        assert_eq!(error.kind(), Kind::Source);
        assert!(error.to_string().contains("another program holds a lock"), "{error}");
        other.execute_batch("COMMIT").expect("a commit");
        drop(other);
        session(&path, SnapshotChoice::Auto, 4);
    }
}

// ---- what cannot be a source ----

#[test]
fn what_is_no_readable_database_is_refused_by_its_reason() {
    let dir = dir();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    };
    let random: Vec<u8> = (0..64_u8).flat_map(|i| *blake3::hash(&[i]).as_bytes()).collect();
    let whole = dir.path().join("whole.db");
    database(&whole, THREE_ROWS);
    let whole = fs::read(whole).expect("the database");
    let mut odd_page = whole.clone();
    odd_page[16..18].copy_from_slice(&[3, 3]);
    for (path, want) in [
        (dir.path().join("none.db"), "does not exist"),
        (dir.path().join("whole.db/x"), "does not exist"),
        (dir.path().to_path_buf(), "is a directory"),
        (file("empty.db", b""), "is empty"),
        (file("text.db", b"hello"), "is not a SQLite database"),
        (file("dump.sql", b"PRAGMA foreign_keys=OFF;\n"), "looks like a SQL dump"),
        (file("a.db.gz", b"\x1f\x8b\x08 and so on"), "looks like a gzip archive"),
        (file("secret.db", &random), "encrypted"),
        (file("cut.db", &whole[..whole.len() - 4096]), "is cut off"),
        (file("head.db", &whole[..60]), "is cut off within its header"),
        (file("page.db", &odd_page), "damaged header"),
    ] {
        let error = Source::open(&path, SnapshotChoice::Auto).expect_err(want);
        assert_eq!(error.kind(), Kind::Source, "{want}");
        assert!(error.to_string().contains(want), "{error}");
    }
}

#[test]
fn every_spelling_opens_the_same_file() {
    let dir = dir();
    let path = dir.path().join("a b.db");
    database(&path, THREE_ROWS);
    let path = path.canonicalize().expect("a path");
    let text = path.display().to_string();
    let encoded = text.replace(' ', "%20");
    for typed in
        [text.clone(), format!("sqlite://{encoded}"), format!("file:{encoded}?mode=ro"), format!("file://{encoded}")]
    {
        assert_eq!(Source::open(&typed, SnapshotChoice::Auto).expect(&typed).path(), path);
    }
}

#[test]
fn a_damaged_page_stops_the_scan_with_the_table_and_the_last_key() {
    let dir = dir();
    let path = dir.path().join("a.db");
    database(
        &path,
        "PRAGMA page_size=1024; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500) INSERT INTO t SELECT i, hex(zeroblob(100)) FROM n;",
    );
    let mut bytes = fs::read(&path).expect("the database");
    let page = bytes.len() / 1024 / 2 * 1024;
    bytes[page..page + 1024].fill(0xff);
    fs::write(&path, bytes).expect("the damage");
    let reader = reader(&path);
    let catalog = reader.catalog().expect("a catalog");
    let mut last = 0;
    let error = reader
        .scan(&TableScan::all(&catalog.tables[0]), Range::ALL, None, |key, _| {
            last = key;
            Ok(Flow::Continue)
        })
        .expect_err("damage");
    assert!(last > 0);
    assert_eq!(error.to_string(), format!("cannot read table `t` after key {last}: the database is damaged"));
    assert_eq!(error.kind(), Kind::Source);
}

// ---- cells ----

#[test]
fn text_of_every_encoding_arrives_as_utf8() {
    for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
        let (_dir, reader, catalog) = read(&format!(
            "PRAGMA encoding='{encoding}'; CREATE TABLE \"tä\"(id INTEGER PRIMARY KEY, \"ü\" TEXT); INSERT INTO \"tä\" VALUES(1,'grüße 𝄞'),(2,'');"
        ));
        assert_eq!(catalog.encoding, encoding);
        assert_eq!(
            all(&reader, &catalog, "tä"),
            [format!("1 '{}'", "grüße 𝄞".as_bytes().escape_ascii()), "2 ''".to_owned()]
        );
    }
}

#[test]
fn every_page_size_is_read() {
    for shift in 9..=16 {
        let size = 1_u32 << shift;
        let (_dir, reader, catalog) = read(&format!("PRAGMA page_size={size}; {THREE_ROWS}"));
        assert_eq!((catalog.page_size, catalog.bytes), (size, u64::from(size) * 2));
        assert_eq!(all(&reader, &catalog, "t").len(), 3);
    }
}

#[test]
fn bytes_that_are_no_text_arrive_as_they_are() {
    let (_dir, reader, catalog) = read(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v);
         INSERT INTO t(v) VALUES(CAST(x'ff00fe' AS TEXT)),('a' || char(0) || 'b'),(x'00ff'),(x''),(1e999),(-0.0),(NULL),(9223372036854775807);",
    );
    assert_eq!(
        all(&reader, &catalog, "t"),
        [
            r"1 '\xff\x00\xfe'",
            r"2 'a\x00b'",
            r"3 x'\x00\xff'",
            "4 x''",
            "5 inf",
            "6 -0.0",
            "7 null",
            "8 9223372036854775807"
        ]
    );
}

#[test]
fn a_large_cell_is_lent_whole() {
    let bytes: usize = std::env::var("LITE2PG_TEST_CELL_BYTES").ok().and_then(|n| n.parse().ok()).unwrap_or(32_000_000);
    let (_dir, reader, catalog) =
        read(&format!("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB); INSERT INTO t VALUES(7, zeroblob({bytes}));"));
    let end = reader
        .scan(&TableScan::all(&catalog.tables[0]), Range::ALL, None, |key, row| {
            assert_eq!((key, row.bytes()), (7, bytes + 8));
            assert!(matches!(row.cell(1), Cell::Blob(b) if b.len() == bytes));
            Ok(Flow::Continue)
        })
        .expect("a scan");
    assert_eq!(end.rows, 1);
}

#[test]
fn a_table_of_two_thousand_columns_is_read() {
    let columns: Vec<String> = (0..2000).map(|i| format!("c{i}")).collect();
    let values: Vec<String> = (0..2000).map(|i| i.to_string()).collect();
    let (_dir, reader, catalog) =
        read(&format!("CREATE TABLE t({}); INSERT INTO t VALUES({});", columns.join(","), values.join(",")));
    // SQLite allows 2000 columns in a result: with the key, one less of the table.
    let scan = TableScan::new(&catalog.tables[0], &(0..1999).collect::<Vec<_>>());
    let end = reader
        .scan(&scan, Range::ALL, None, |_, row| {
            assert!((0..1999).all(|i| row.cell(i) == Cell::Integer(i as i64)));
            Ok(Flow::Continue)
        })
        .expect("a scan");
    assert_eq!(end.rows, 1);
}

// ---- keys and ranges ----

#[test]
fn ranges_reach_the_ends_of_the_integers() {
    let (_dir, reader, catalog) = read(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v);
         INSERT INTO t VALUES(-9223372036854775808,1),(-1,2),(0,3),(1,4),(9223372036854775807,5);",
    );
    let t = &catalog.tables[0];
    assert_eq!(reader.key_bounds(&TableScan::all(t)).expect("bounds"), Some((i64::MIN, i64::MAX)));
    assert_eq!(keys(&reader, t, range(i64::MIN, i64::MAX)).len(), 5);
    assert_eq!(keys(&reader, t, range(-1, 0)), [-1, 0]);
    assert_eq!(keys(&reader, t, Range { lo: Some(i64::MAX), hi: None }), [i64::MAX]);
    assert_eq!(keys(&reader, t, Range { lo: None, hi: Some(i64::MIN) }), [i64::MIN]);
    let parts = Range::ALL.split(i64::MIN, i64::MAX, 7);
    assert_eq!(parts.iter().map(|r| keys(&reader, t, *r).len()).sum::<usize>(), 5);
    assert_eq!(describe_key(t, 5), "`id` 5");
}

#[test]
fn a_scan_backwards_reads_the_same_rows_from_the_last_to_the_first() {
    let (_dir, reader, catalog) = read(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v);
         INSERT INTO t VALUES(-9223372036854775808,1),(-1,2),(0,3),(1,4),(9223372036854775807,5);
         CREATE TABLE w(a, b, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO w VALUES (1, 2), (1, 1), (0.5, 0), ('x', 'y');",
    );
    for table in &catalog.tables {
        let rows = |scan: &TableScan, range| {
            let mut rows = Vec::new();
            let read = reader.scan(scan, range, None, |_, row| {
                rows.push((0..row.len()).map(|i| show(row.cell(i))).collect::<Vec<_>>());
                Ok(Flow::Continue)
            });
            assert!(read.expect("a scan").finished);
            rows
        };
        for range in [Range::ALL, range(-1, 1)] {
            let forth = rows(&TableScan::all(table), range);
            let mut back = rows(&TableScan::all(table).backwards(), range);
            assert_eq!(back.len(), forth.len());
            if table.name == "t" {
                back.reverse();
                assert_eq!(back, forth);
            }
            assert!(forth.iter().all(|row| back.contains(row)));
        }
    }
}

#[test]
fn an_empty_table_has_no_bounds_and_no_rows() {
    let (_dir, reader, catalog) = read("CREATE TABLE t(v); CREATE TABLE w(k INTEGER PRIMARY KEY) WITHOUT ROWID;");
    for table in &catalog.tables {
        assert_eq!(reader.key_bounds(&TableScan::all(table)).expect("bounds"), None);
        assert_eq!(reader.count(table).expect("a count"), 0);
        assert!(rows_of(&reader, table, Range::ALL).is_empty());
    }
}

#[test]
fn the_rowid_is_found_behind_any_column_names() {
    let (_dir, reader, catalog) = read(
        "CREATE TABLE plain(a); CREATE TABLE one(RowId TEXT); CREATE TABLE two(rowid, _ROWID_); CREATE TABLE three(rowid, _rowid_, oid);
         CREATE TABLE alias(rowid, _rowid_, oid, id INTEGER PRIMARY KEY); CREATE TABLE self(rowid INTEGER PRIMARY KEY);
         CREATE TABLE quirk(id INTEGER PRIMARY KEY DESC); CREATE TABLE short(id INT PRIMARY KEY); CREATE TABLE lower(id integer, PRIMARY KEY(id DESC));
         INSERT INTO three VALUES(1,2,3),(4,5,6); INSERT INTO one VALUES('x'); INSERT INTO alias VALUES(1,2,3,77); INSERT INTO quirk VALUES(9);",
    );
    let rowid = |name: &str, column| RowKey::Rowid { name: name.to_owned(), column };
    for (table, want) in [
        ("plain", rowid("rowid", None)),
        ("one", rowid("_rowid_", None)),
        ("two", rowid("oid", None)),
        ("three", RowKey::None),
        ("alias", rowid("id", Some(3))),
        ("self", rowid("_rowid_", Some(0))),
        ("quirk", rowid("rowid", None)),
        ("short", rowid("rowid", None)),
        ("lower", rowid("rowid", Some(0))),
    ] {
        assert_eq!(catalog.table(table).expect(table).row_key, want, "{table}");
    }
    assert_eq!(all(&reader, &catalog, "three"), ["1 2 3", "4 5 6"]);
    assert_eq!(keys(&reader, catalog.table("alias").expect("alias"), Range::ALL), [77]);
    assert_eq!(keys(&reader, catalog.table("one").expect("one"), Range::ALL), [1]);
    assert_eq!(keys(&reader, catalog.table("quirk").expect("quirk"), Range::ALL), [1]);
}

#[test]
fn a_table_without_rowid_is_split_by_its_first_key_column_and_loses_no_row() {
    let (_dir, reader, catalog) = read(
        "CREATE TABLE t(a INTEGER, b TEXT, PRIMARY KEY(a, b)) WITHOUT ROWID;
         INSERT INTO t VALUES(-5,'x'),(1,'a'),(1,'b'),(1.5,'c'),(2,'d'),(2,'e'),(2,'f'),(3,'g'),(1e300,'h'),('text','i'),(x'00','j');",
    );
    let t = &catalog.tables[0];
    assert_eq!(t.row_key, RowKey::PrimaryKey { split: Some(0) });
    let scan = TableScan::all(t);
    assert_eq!(reader.key_bounds(&scan).expect("bounds"), Some((-5, 3)));
    let order = [-5, 1, 1, 1, 2, 2, 2, 3, i64::MAX, i64::MAX, i64::MAX];
    assert_eq!(keys(&reader, t, Range::ALL), order);
    for cut in -6..5 {
        let (low, high) = (Range { lo: None, hi: Some(cut) }, Range { lo: Some(cut + 1), hi: None });
        assert_eq!(keys(&reader, t, low).len() + keys(&reader, t, high).len(), 11, "cut after {cut}");
    }
    // Whatever row asks to stop: what follows its key is exactly what was not handed out.
    for stop in 0..11 {
        let mut seen = Vec::new();
        let end = reader
            .scan(&scan, Range::ALL, None, |key, _| {
                seen.push(key);
                Ok(if seen.len() == stop + 1 { Flow::StopAfterKey } else { Flow::Continue })
            })
            .expect("a scan");
        let rest = end
            .last_key
            .and_then(|k| k.checked_add(1))
            .map_or_else(Vec::new, |lo| keys(&reader, t, Range { lo: Some(lo), hi: None }));
        seen.extend(rest);
        assert_eq!(seen, order, "stopped at row {stop}");
    }
}

#[test]
fn a_key_that_does_not_lean_to_integers_splits_nothing() {
    let (_dir, reader, catalog) = read(
        "CREATE TABLE t(k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES('b',1),('a',2);
         CREATE TABLE s(k ANY PRIMARY KEY) STRICT, WITHOUT ROWID; INSERT INTO s VALUES(1),('1');",
    );
    for table in &catalog.tables {
        assert_eq!(table.row_key, RowKey::PrimaryKey { split: None });
        assert!(!TableScan::all(table).has_key());
        assert_eq!(rows_of(&reader, table, Range::ALL).len(), 2);
    }
    assert!(catalog.tables[1].strict && catalog.tables[1].without_rowid);
}

#[test]
fn a_stop_gives_the_last_key_and_the_rest_can_be_read_after_it() {
    let (_dir, reader, catalog) = read(THREE_ROWS);
    let scan = TableScan::all(&catalog.tables[0]);
    let end = reader.scan(&scan, Range::ALL, None, |key, _| Ok(if key == 2 { Flow::Stop } else { Flow::Continue }));
    let end = end.expect("a scan");
    assert_eq!((end.rows, end.last_key, end.finished), (2, Some(2), false));
    assert_eq!(keys(&reader, &catalog.tables[0], Range { lo: Some(3), hi: None }), [3]);
    let limited = reader.scan(&scan, Range::ALL, Some(3), |_, _| Ok(Flow::Continue)).expect("a scan");
    assert_eq!((limited.rows, limited.finished), (3, false));
    let failed = reader.scan(&scan, Range::ALL, None, |_, _| Err(lite2pg::Error::new(Kind::Failed, "mine")));
    assert_eq!(failed.expect_err("mine").to_string(), "mine");
}

#[test]
fn a_damaged_index_costs_no_row() {
    let (_dir, reader, catalog) = read(
        "CREATE TABLE w(a INTEGER, b TEXT, c, PRIMARY KEY(a, b)) WITHOUT ROWID; CREATE INDEX wi ON w(a, c, b);
         CREATE TABLE t(v); CREATE INDEX ti ON t(v); CREATE TABLE e(v, c, b); CREATE INDEX e1 ON e(v, c, b); CREATE INDEX e2 ON e(v);
         INSERT INTO w VALUES(1,'x',1),(2,'y',2); INSERT INTO t VALUES(1),(2);
         PRAGMA writable_schema=1;
         UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name='e1') WHERE name='wi';
         UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name='e2') WHERE name='ti';",
    );
    for name in ["w", "t"] {
        let table = catalog.table(name).expect("the table");
        assert_eq!(reader.count(table).expect("a count"), 2, "{name}");
        assert_eq!(rows_of(&reader, table, Range::ALL).len(), 2, "{name}");
        assert_eq!(keys(&reader, table, range(1, 2)), [1, 2], "{name}");
        assert_eq!(reader.key_bounds(&TableScan::all(table)).expect("bounds"), Some((1, 2)), "{name}");
    }
}

#[test]
fn a_sample_has_the_first_the_last_and_rows_between_each_once() {
    for (what, keys_sql) in [
        ("dense", "i"),
        ("with one far key", "CASE WHEN i = 5000 THEN 9223372036854775807 ELSE i END"),
        (
            "at both ends",
            "CASE WHEN i = 1 THEN -9223372036854775808 WHEN i = 5000 THEN 9223372036854775807 ELSE i * 3 END",
        ),
    ] {
        let (_dir, reader, catalog) = read(&format!(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, n); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<5000) INSERT INTO t SELECT {keys_sql}, i FROM c;"
        ));
        let scan = TableScan::all(&catalog.tables[0]);
        let mut seen = Vec::new();
        let mut take = |_: i64, row: &lite2pg::sqlite::RowRef<'_>| {
            let Cell::Integer(n) = row.cell(1) else { panic!("not an integer") };
            seen.push(n);
            Ok(Flow::Continue)
        };
        let end = reader.sample(&scan, 16, 10, &mut take).expect("a sample");
        assert!(!end.whole);
        assert_eq!(end.rows, seen.len() as u64);
        seen.sort_unstable();
        let distinct = seen.windows(2).all(|w| w[0] != w[1]);
        assert!(distinct && seen.starts_with(&[1, 2, 3]) && seen.ends_with(&[4999, 5000]), "{what}: {seen:?}");
        assert!(seen.len() > 120, "{what}: {} rows", seen.len());
        let quarters: Vec<usize> = (0..4).map(|q| seen.iter().filter(|n| (**n - 1) / 1250 == q).count()).collect();
        assert!(quarters.iter().all(|n| *n >= 10), "{what}: {quarters:?}");

        let mut rows = 0;
        let whole = reader
            .sample(&scan, 50, 100, |_, _| {
                rows += 1;
                Ok(Flow::Continue)
            })
            .expect("a sample");
        assert_eq!((whole.whole, whole.rows, rows), (true, 5000, 5000));
        let stopped = reader.sample(&scan, 16, 10, |_, _| Ok(Flow::Stop)).expect("a sample");
        assert_eq!((stopped.whole, stopped.rows), (false, 1));
    }
}

#[test]
fn a_sample_of_a_table_without_an_integer_key_is_its_beginning() {
    let (_dir, reader, catalog) = read(
        "CREATE TABLE t(rowid, _rowid_, oid); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<100) INSERT INTO t SELECT i,i,i FROM c;
         CREATE TABLE one(a INTEGER, b, PRIMARY KEY(a,b)) WITHOUT ROWID; WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<100) INSERT INTO one SELECT 5,i FROM c;",
    );
    for table in &catalog.tables {
        let end = reader.sample(&TableScan::all(table), 4, 5, |_, _| Ok(Flow::Continue)).expect("a sample");
        assert!(!end.whole && end.rows >= 5 && end.rows <= 21, "{end:?}");
    }
}

// ---- the catalog ----

#[test]
fn names_with_quotes_semicolons_and_newlines_are_only_names() {
    let name = "a\"b'; DROP TABLE x; --\n]`";
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    let (_dir, reader, catalog) = read(&format!(
        "CREATE TABLE {quoted}({quoted} INTEGER PRIMARY KEY AUTOINCREMENT, \"select\" TEXT UNIQUE, \"\" INT);
         CREATE INDEX \"i;{}\" ON {quoted}({quoted}); INSERT INTO {quoted} VALUES(4,'v',1); CREATE TABLE x(a);",
        name.replace('"', "\"\"")
    ));
    let table = &catalog.tables[0];
    assert_eq!((table.name.as_str(), table.columns[0].name.as_str(), table.sequence), (name, name, Some(4)));
    assert_eq!(table.indexes.len(), 2);
    assert_eq!(rows_of(&reader, table, Range::ALL), ["4 'v' 1"]);
    assert_eq!(reader.count(table).expect("a count"), 1);
    assert_eq!(catalog.tables.len(), 2);
}

#[test]
fn columns_keys_indexes_and_foreign_keys_are_listed_as_declared() {
    let (_dir, _reader, catalog) = read(
        "CREATE TABLE parent(a INT, b TEXT, PRIMARY KEY(b, a));
         CREATE TABLE child(id INTEGER PRIMARY KEY, x INT NOT NULL DEFAULT (1+1), y VARCHAR(10) UNIQUE COLLATE NOCASE,
           g INT GENERATED ALWAYS AS (x*2), s INT AS (x*3) STORED, p INT REFERENCES child ON DELETE CASCADE,
           FOREIGN KEY(x, y) REFERENCES parent(a, b) ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED);
         CREATE UNIQUE INDEX part ON child(y DESC, x+1, id) WHERE x > 0;
         CREATE VIEW good AS SELECT * FROM child; CREATE VIEW bad AS SELECT absent FROM nowhere; CREATE VIEW dated AS SELECT \"a string\" FROM child;
         CREATE TRIGGER tr AFTER INSERT ON child BEGIN SELECT 1; END;",
    );
    let parent = catalog.table("PARENT").expect("parent");
    assert_eq!(parent.primary_key, [1, 0]);
    assert_eq!(parent.indexes[0].origin, IndexOrigin::PrimaryKey);
    let child = catalog.table("child").expect("child");
    assert_eq!(child.rowid_column(), Some(0));
    let x = &child.columns[1];
    assert_eq!((x.declared.as_str(), x.not_null, x.default.as_deref()), ("INT", true, Some("1+1")));
    assert_eq!(child.columns[3].generated, Some(Generated::Virtual));
    assert_eq!(child.columns[4].generated, Some(Generated::Stored));
    let [unique, part] = child.indexes.as_slice() else { panic!("{:?}", child.indexes) };
    assert_eq!((unique.origin, unique.sql.is_none()), (IndexOrigin::Unique, true));
    assert_eq!(unique.columns[0].collation, "NOCASE");
    assert!(part.unique && part.partial && part.sql.as_deref().is_some_and(|sql| sql.contains("WHERE x > 0")));
    let columns: Vec<_> = part.columns.iter().map(|c| (c.column, c.expression, c.descending)).collect();
    assert_eq!(columns, [(Some(2), false, true), (None, true, false), (Some(0), false, false)]);
    let keys: Vec<_> =
        child.foreign_keys.iter().map(|k| (k.parent.as_str(), k.columns.clone(), k.parent_columns.clone())).collect();
    assert_eq!(keys, [("parent", vec![1, 2], vec!["a".to_owned(), "b".to_owned()]), ("child", vec![5], vec![])]);
    assert_eq!(
        (child.foreign_keys[0].on_update.as_str(), child.foreign_keys[1].on_delete.as_str()),
        ("SET NULL", "CASCADE")
    );
    assert_eq!((catalog.views.len(), catalog.triggers[0].table.as_str()), (3, "child"));
    assert!(
        matches!(catalog.remarks.as_slice(), [one] if one.starts_with("view `bad` does not run")),
        "{:?}",
        catalog.remarks
    );
}

#[test]
fn generated_columns_are_read_and_one_that_cannot_be_computed_is_a_remark() {
    let dir = dir();
    let path = dir.path().join("a.db");
    let conn = Connection::open(&path).expect("a new database");
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("mine", 1, flags, |_| Ok(1)).expect("a function");
    conn.execute_batch(
        "CREATE TABLE t(a INT, g AS (a+1), s AS (a+2) STORED, m AS (mine(a))); INSERT INTO t(a) VALUES(1);",
    )
    .expect("the test's own SQL");
    drop(conn);
    let reader = reader(&path);
    let catalog = reader.catalog().expect("a catalog");
    assert!(catalog.remarks[0].starts_with("generated column `t.m` cannot be computed"), "{:?}", catalog.remarks);
    let mut row = Vec::new();
    let scan = TableScan::new(&catalog.tables[0], &[2, 1, 0]);
    reader
        .scan(&scan, Range::ALL, None, |_, cells| {
            row.extend((0..3).map(|i| show(cells.cell(i))));
            Ok(Flow::Continue)
        })
        .expect("a scan");
    assert_eq!(row, ["3", "2", "1"]);
    let broken: Vec<bool> = catalog.tables[0].columns.iter().map(|c| c.broken).collect();
    assert_eq!(broken.iter().filter(|b| **b).count(), 1, "{broken:?}");
    let scan =
        TableScan::new(&catalog.tables[0], &[broken.iter().position(|b| *b).expect("the one without its function")]);
    let seen = |_, cells: &RowRef<'_>| {
        assert_eq!(cells.cell(0), Cell::Null, "what cannot be computed reads as NULL");
        Ok(Flow::Continue)
    };
    assert_eq!(reader.scan(&scan, Range::ALL, None, seen).expect("a scan").rows, 1);
}

#[test]
fn a_collation_of_the_application_hinders_nothing() {
    for encoding in ["UTF-8", "UTF-16le"] {
        let dir = dir();
        let path = dir.path().join("a.db");
        let conn = Connection::open(&path).expect("a new database");
        for name in ["APPLE", "my own"] {
            conn.create_collation(name, |a: &str, b: &str| b.cmp(a)).expect("a collation");
        }
        conn.execute_batch(&format!(
            "PRAGMA encoding='{encoding}'; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT COLLATE APPLE); CREATE INDEX i ON t(v COLLATE \"my own\");
             INSERT INTO t(v) VALUES('a'),('c'),('b'); CREATE TABLE w(k INTEGER COLLATE apple PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO w VALUES(1,1),(2,2);
             CREATE VIEW sorted AS SELECT * FROM t ORDER BY v;"
        ))
        .expect("the test's own SQL");
        drop(conn);
        let reader = reader(&path);
        let catalog = reader.catalog().expect("a catalog");
        assert_eq!(all(&reader, &catalog, "t"), ["1 'a'", "2 'c'", "3 'b'"]);
        assert_eq!(keys(&reader, catalog.table("w").expect("w"), range(2, 9)), [2]);
        assert_eq!(catalog.table("t").expect("t").indexes[0].columns[0].collation, "my own");
        assert!(catalog.remarks.is_empty(), "{encoding}: {:?}", catalog.remarks);
    }
}

#[test]
fn virtual_tables_go_with_their_shadows_and_nothing_else_does() {
    let (_dir, _reader, catalog) = read(
        "CREATE TABLE notes(body); CREATE VIRTUAL TABLE notes_fts USING fts5(body, content='notes'); CREATE VIRTUAL TABLE old USING FTS4(x);
         CREATE VIRTUAL TABLE \"rtree_t-x_geom\" USING rtree(id, a, b); CREATE TABLE notes_fts_extra(a); CREATE TABLE old_content_x(a);
         CREATE TABLE emb_chunks(a); CREATE TABLE emb_vector_chunks00(a); CREATE TABLE emb_rowids(a); CREATE TABLE emb_other(a);
         CREATE TABLE geo_node(a); PRAGMA writable_schema=1;
         INSERT INTO sqlite_schema VALUES('table','emb','emb',0,'CREATE VIRTUAL TABLE emb /* using x */ USING Vec0(e float[4])');",
    );
    let tables: Vec<&str> = catalog.tables.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(tables, ["notes", "notes_fts_extra", "old_content_x", "emb_other", "geo_node"]);
    let found: Vec<_> = catalog
        .virtual_tables
        .iter()
        .map(|v| (v.name.as_str(), v.module.as_str(), v.module_known, v.shadows.len()))
        .collect();
    assert_eq!(
        found,
        [
            ("notes_fts", "fts5", true, 4),
            ("old", "fts4", true, 5),
            ("rtree_t-x_geom", "rtree", true, 3),
            ("emb", "vec0", false, 3)
        ]
    );
    assert_eq!(catalog.remarks, ["virtual table `emb` needs the module `vec0`, which is not here"]);
}

#[test]
fn an_entry_that_sqlite_does_not_understand_costs_only_itself() {
    let (_dir, reader, catalog) = read(&format!(
        "{THREE_ROWS} CREATE TABLE later(a); INSERT INTO later VALUES(1); PRAGMA writable_schema=1;
         INSERT INTO sqlite_schema VALUES('table','broken','broken',0,'CREATE TABLE broken(a, a)');"
    ));
    assert_eq!(all(&reader, &catalog, "t").len(), 3);
    assert_eq!(all(&reader, &catalog, "later").len(), 1);
    assert!(catalog.remarks[0].contains("malformed database schema"), "{:?}", catalog.remarks);
    assert_eq!(catalog.unreadable, ["broken"]);
}

#[test]
fn a_sequence_is_read_and_an_odd_one_is_a_remark() {
    let (_dir, _reader, catalog) = read(
        "CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE TABLE b(id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE TABLE c(id INTEGER PRIMARY KEY AUTOINCREMENT);
         INSERT INTO a VALUES(41); DELETE FROM a; INSERT INTO b VALUES(1); UPDATE sqlite_sequence SET seq='x' WHERE name='b';",
    );
    let seen: Vec<_> = catalog.tables.iter().map(|t| t.sequence).collect();
    assert_eq!(seen, [Some(41), None, None]);
    assert!(catalog.remarks[0].contains("`b`"), "{:?}", catalog.remarks);
}

// ---- the fingerprint ----

#[test]
fn a_faithful_copy_has_the_same_fingerprint_and_a_changed_one_has_not() {
    let dir = dir();
    let (path, copy) = (dir.path().join("a.db"), dir.path().join("copy.db"));
    database(&path, THREE_ROWS);
    fs::copy(&path, &copy).expect("a copy");
    let first = fingerprint(&path).expect("a fingerprint");
    assert_eq!(first, fingerprint(&copy).expect("a fingerprint"));
    assert_eq!(first.to_string().len(), 12);
    let stored = serde_json::to_string(&first).expect("json");
    assert_eq!(serde_json::from_str::<lite2pg::sqlite::Fingerprint>(&stored).expect("json"), first);
    fs::write(dir.path().join("copy.db-wal"), "").expect("a file");
    assert_eq!(first, fingerprint(&copy).expect("a fingerprint"), "an empty -wal is none");
    database(&path, "UPDATE t SET v = 'z' WHERE id = 2");
    let second = fingerprint(&path).expect("a fingerprint");
    assert_ne!(first, second);
    assert_ne!(first.to_string(), second.to_string());
    assert_eq!(source(&path).snapshot(1).expect("a snapshot").fingerprint, second);
}

#[test]
fn a_commit_in_the_wal_changes_the_fingerprint() {
    let dir = dir();
    let path = dir.path().join("a.db");
    database(&path, &format!("PRAGMA journal_mode=WAL; {THREE_ROWS}"));
    let writer = Connection::open(&path).expect("the database");
    let before = source(&path).snapshot(1).expect("a snapshot").fingerprint;
    writer.execute_batch("UPDATE t SET v = 'z'").expect("a commit");
    let after = source(&path).snapshot(1).expect("a snapshot").fingerprint;
    assert_ne!(before, after);
    assert_eq!(after, source(&path).snapshot(1).expect("a snapshot").fingerprint);
}

// ---- databases that nobody here wrote ----

#[test]
fn every_database_of_the_corpus_is_read_whole_and_left_alone() {
    let Some(corpus) = std::env::var_os("LITE2PG_CORPUS").map(PathBuf::from) else {
        println!("skipped: LITE2PG_CORPUS is not set");
        return;
    };
    let (mut files, mut rows) = (0, 0);
    let mut folders = vec![corpus];
    while let Some(folder) = folders.pop() {
        // Read in a copy, so that a failing test cannot harm the corpus.
        let copy = dir();
        for name in names(&folder) {
            let path = folder.join(&name);
            if path.is_dir() {
                folders.push(path);
            } else if !name.starts_with("README") {
                fs::copy(&path, copy.path().join(&name)).expect("a copy");
            }
        }
        let before = listing(copy.path());
        for name in before.keys().filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm")) {
            let path = copy.path().join(name);
            let snapshot = match Source::open(&path, SnapshotChoice::Auto).and_then(|s| s.snapshot(2)) {
                Ok(snapshot) => snapshot,
                Err(e) => {
                    println!("{name}: {e:?}");
                    continue;
                }
            };
            let catalog = snapshot.readers[0].catalog().expect(name);
            for table in &catalog.tables {
                let end = snapshot.readers[1].scan(&TableScan::all(table), Range::ALL, None, |_, row| {
                    let _ = row.bytes();
                    Ok(Flow::Continue)
                });
                let end = end.unwrap_or_else(|e| panic!("{name} {}: {e:?}", table.name));
                assert_eq!(end.rows, snapshot.readers[0].count(table).expect(name), "{name} {}", table.name);
                rows += end.rows;
            }
            if !catalog.remarks.is_empty() {
                println!("{name} ({}): {:?}", snapshot.kind, catalog.remarks);
            }
            files += 1;
        }
        assert!(listing(copy.path()) == before, "{} is as it was", folder.display());
    }
    println!("{files} databases, {rows} rows");
    assert!(files > 0);
}
