//! Sources that are damaged, cut off, or no database at all; and media that cannot be written to.
//!
//! SQLite is the oracle: where it reads a table to its end, the same rows must arrive; where it does not, no run may
//! end as if they had.

use super::disk::Small;
use super::stage::{BIG, SMALL, Stage, is_long};
use crate::support::database;
use crate::support::program::{Ran, ended, listing, program, source, url, value};
use crate::support::session;
use lite2pg::postgres::{Session, Target};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A target that must stay as it is.
struct Untouched {
    target: Target,
    seen: Session,
    before: String,
}

impl Untouched {
    fn new() -> Self {
        let target = database();
        let seen = session(&target);
        seen.batch("CREATE TABLE theirs (id int PRIMARY KEY); INSERT INTO theirs VALUES (1)").unwrap();
        let before = listing(&seen);
        Self { target, seen, before }
    }

    fn run(&self, path: &Path) -> Ran {
        ended(program().arg("migrate").arg(path).arg(url(&self.target)).output().unwrap())
    }

    /// The run is refused with 6, says so, and leaves the target as it was.
    #[track_caller]
    fn refuses(&self, path: &Path, words: &[&str]) {
        self.run(path).exits(6).says(words).says(&["state nothing was written by this start"]);
        assert_eq!(listing(&self.seen), self.before, "{}", path.display());
    }
}

fn file(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn what_is_no_database_is_6_with_its_reason_and_a_way_out_and_the_target_stays_as_it_was() {
    let (dir, whole) = source(SMALL);
    let bytes = std::fs::read(&whole).unwrap();
    let random: Vec<u8> = (0..64_u8).flat_map(|i| *blake3::hash(&[i]).as_bytes()).collect();
    let mut page_size = bytes.clone();
    page_size[16..18].copy_from_slice(&[3, 3]);
    let mut behind_the_header = bytes.clone();
    behind_the_header[100..].fill(0);
    let to = Untouched::new();
    for (path, words) in [
        (dir.path().join("none.db"), &["does not exist", "hint: check the path"][..]),
        (whole.join("x"), &["a part of its path is a file"]),
        (dir.path().to_owned(), &["is a directory", "hint: name the database file inside it"]),
        (PathBuf::from("/dev/null"), &["is no regular file"]),
        (file(&dir, "zero.db", b""), &["is empty", "hint: check the path"]),
        (file(&dir, "text.db", b"hello"), &["is not a SQLite database"]),
        (file(&dir, "dump.sql", b"PRAGMA foreign_keys=OFF;\n"), &["looks like a SQL dump", "hint: sqlite3 new.db"]),
        (file(&dir, "a.db.gz", b"\x1f\x8b\x08 and so on"), &["looks like a gzip archive", "hint: gunzip"]),
        (file(&dir, "wal.db", b"\x37\x7f\x06\x82and so on"), &["looks like the -wal", "hint: name the database"]),
        (file(&dir, "secret.db", &random), &["encrypted", "hint: decrypt it"]),
        (file(&dir, "head.db", &bytes[..60]), &["is cut off within its header", "hint: copy the file again"]),
        (file(&dir, "page.db", &page_size), &["damaged header"]),
        (
            file(&dir, "hollow.db", &behind_the_header),
            &["the database is damaged", "hint: sqlite3 damaged.db .recover"],
        ),
    ] {
        to.refuses(&path, words);
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_this_user_may_not_read_is_6_and_says_how_to_see_who_may() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let (dir, path) = source(SMALL);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // Root may read everything, and another user may not reach the build's own directory.
    let copy = dir.path().join("lite2pg");
    std::fs::copy(env!("CARGO_BIN_EXE_lite2pg"), &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = std::process::Command::new(copy);
    command.arg("migrate").arg(&path).arg("host=/nonexistent").env_clear().current_dir("/");
    if std::fs::read(&path).is_ok() {
        command.uid(65534).gid(65534);
    }
    ended(command.output().unwrap()).exits(6).says(&["may not be read by this user", "state nothing", "hint: ls -l"]);
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_6_and_the_target_stays_as_it_was() {
    let (dir, whole) = source(SMALL);
    let bytes = std::fs::read(&whole).unwrap();
    let to = Untouched::new();
    let cuts = if is_long() { 400 } else { 24 };
    for i in 1..cuts {
        let cut = bytes.len() * i / cuts;
        to.refuses(&file(&dir, "cut.db", &bytes[..cut]), &["is cut off", "hint: copy the file again"]);
    }
}

/// What SQLite itself reads of each table from its first row to its last; None where it does not come to the end.
fn as_sqlite_reads(path: &Path) -> Option<BTreeMap<String, String>> {
    let conn = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    let mut names =
        conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'").ok()?;
    let names: Vec<String> = names.query_map([], |row| row.get(0)).ok()?.collect::<Result<_, _>>().ok()?;
    let mut all = BTreeMap::new();
    for name in names {
        let mut sum = (0_u64, 0_i64);
        let mut rows = conn.prepare(&format!("SELECT rowid, * FROM \"{name}\" NOT INDEXED")).ok()?;
        let width = rows.column_count();
        let mut rows = rows.query([]).ok()?;
        while let Some(row) = rows.next().ok()? {
            sum.0 += 1;
            sum.1 = sum.1.wrapping_add(row.get::<_, i64>(0).ok()?);
            // To the end of each cell, wherever its pages are.
            (1..width).try_for_each(|i| row.get_ref(i).map(drop)).ok()?;
        }
        all.insert(name, format!("{} {}", sum.0, sum.1));
    }
    Some(all)
}

/// Runs over a damaged file: whatever becomes of it, no row is lost in silence, and nothing panics.
#[track_caller]
fn judged_like_sqlite(stage: &Stage, path: &Path, what: &str) -> bool {
    stage.renew();
    let ran = ended(program().arg("migrate").arg(path).arg(stage.direct()).output().unwrap());
    assert!(!ran.stderr.contains("fault of lite2pg"), "{what}: {}", ran.stderr);
    let Some(tables) = as_sqlite_reads(path) else {
        assert!(
            [3, 6].contains(&ran.code),
            "{what}: SQLite does not read it, and we end with {}\n{}",
            ran.code,
            ran.stderr
        );
        ran.says(&["state"]);
        return false;
    };
    if ran.code == 0 {
        for (table, sum) in tables {
            let there = value(&stage.seen, &format!("SELECT count(*) || ' ' || coalesce(sum(id), 0) FROM \"{table}\""));
            assert_eq!(there, sum, "{what}: `{table}`");
        }
        return true;
    }
    // More is looked at than rows: an entry of the schema, say.
    assert!([3, 6].contains(&ran.code), "{what}: SQLite reads it, and we end with {}\n{}", ran.code, ran.stderr);
    false
}

const PAGES: &str = "
    PRAGMA page_size = 1024;
    CREATE TABLE a (id INTEGER PRIMARY KEY, t TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT INTO a SELECT i, 'row ' || i || hex(zeroblob(20)) FROM n;
    CREATE INDEX a_t ON a (t);
    CREATE TABLE b (id INTEGER PRIMARY KEY, t TEXT);
    INSERT INTO b VALUES (1, hex(zeroblob(2500))), (2, 'small'), (3, NULL);";

#[test]
fn a_file_whose_header_does_not_tell_its_size_is_read_whole_or_refused_when_it_is_cut() {
    let (dir, whole) = source(PAGES);
    let mut bytes = std::fs::read(&whole).unwrap();
    // The page count holds where this number agrees with the change counter; older writers leave it behind.
    bytes[95] ^= 1;
    let stage = Stage::of(PAGES);
    let whole = as_sqlite_reads(&file(&dir, "whole.db", &bytes)).unwrap();
    let mut refused = 0;
    for pages in (1..bytes.len() / 1024).step_by(if is_long() { 1 } else { 5 }) {
        let path = file(&dir, "cut.db", &bytes[..pages * 1024]);
        let arrived = judged_like_sqlite(&stage, &path, &format!("{pages} pages"));
        assert!(!arrived || as_sqlite_reads(&path).unwrap() == whole, "{pages} pages");
        refused += u32::from(!arrived);
    }
    assert!(refused > 2);
}

#[test]
fn a_damaged_page_anywhere_costs_no_row_in_silence() {
    let (dir, whole) = source(PAGES);
    let bytes = std::fs::read(&whole).unwrap();
    let stage = Stage::of(PAGES);
    let (mut arrived, mut refused) = (0, 0);
    for page in (0..bytes.len() / 1024).step_by(if is_long() { 1 } else { 4 }) {
        for kind in 0..if is_long() { 6 } else { 2 } {
            let mut damaged = bytes.clone();
            let at = page * 1024;
            // The header of the file is another test's.
            let start = if page == 0 { 100 } else { at };
            match kind {
                0 => damaged[start..at + 1024].fill(0xff),
                1 => damaged[start + 3] ^= 0x55,
                2 => damaged[start..at + 1024].fill(0),
                3 => damaged[start..start + 8].reverse(),
                4 => damaged[at + 512..at + 1024].iter_mut().for_each(|b| *b = !*b),
                _ => damaged[start + 8..start + 40].iter_mut().enumerate().for_each(|(i, b)| *b ^= i as u8),
            }
            let path = file(&dir, "damaged.db", &damaged);
            if judged_like_sqlite(&stage, &path, &format!("page {page}, damage {kind}")) {
                arrived += 1;
            } else {
                refused += 1;
            }
        }
    }
    println!("{arrived} arrived whole, {refused} were refused");
    assert!(arrived > 0 && refused > 0);
}

#[test]
fn a_damaged_page_that_the_copy_meets_is_6_with_the_table_and_the_last_key_and_nothing_of_its_range() {
    let (_dir, path) = source(BIG);
    let mut bytes = std::fs::read(&path).unwrap();
    // Half way between two of the 64 places that the profile reads.
    let (first, step, key) = (1, 450_000 / 64, 450_000 / 64 * 40);
    let key = first + key + step * 3 / 4;
    let words = format!("row {key}");
    let at = bytes.windows(words.len()).position(|w| w == words.as_bytes()).unwrap() / 4096 * 4096;
    bytes[at..at + 4096].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let stage = Stage::of("CREATE TABLE unused (x)");
    let run = || ended(program().arg("migrate").arg(&path).arg(stage.direct()).args(["--jobs", "1"]).output().unwrap());
    let ran = run().exits(6).says(&[
        "error: `big` cannot be copied",
        "cannot read table `big` after key ",
        "the database is damaged",
        "state finished ranges are on the target; half-done ones were rolled back",
        "hint: sqlite3 damaged.db .recover",
    ]);
    let last: i64 =
        ran.stderr.split("after key ").nth(1).unwrap().split(':').next().unwrap().replace(' ', "").parse().unwrap();
    assert!((key - 400..key).contains(&last), "{last} before {key}");
    let told = "SELECT (SELECT count(*) FROM big) = (SELECT coalesce(sum(rows), 0) FROM lite2pg.range WHERE table_name = 'big')";
    assert_eq!(value(&stage.seen, told), "true");
    let range = format!(
        "SELECT count(*) FROM lite2pg.range WHERE table_name = 'big' AND coalesce(lo <= {key}, true) AND coalesce(hi >= {key}, true)"
    );
    assert_eq!(value(&stage.seen, &range), "0");
    // Asked again, it says the same and loses nothing.
    let again = run().exits(6).says(&["going on with run", "cannot read table `big` after key "]);
    assert!(again.stderr.contains(&format!("after key {last}")), "{}", again.stderr);
    assert_eq!(value(&stage.seen, told), "true");
}

#[test]
fn a_source_on_media_that_cannot_be_written_to_arrives_whole_whatever_its_journal() {
    let Some(disk) = Small::of_megabytes(8, None) else { return };
    let mut sources = Vec::new();
    for (journal, leaves) in [("DELETE", "nothing"), ("WAL", "nothing"), ("WAL", "wal"), ("DELETE", "journal")] {
        let alive = TempDir::new().unwrap();
        let path = alive.path().join("a.db");
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch(&format!("PRAGMA journal_mode = {journal}; {SMALL}")).unwrap();
        match leaves {
            "wal" => conn
                .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 0; INSERT INTO owner VALUES (8, 'in the log')")
                .unwrap(),
            "journal" => conn
                .execute_batch("PRAGMA cache_size = 2; BEGIN; UPDATE item SET t = t || hex(zeroblob(200))")
                .unwrap(),
            _ => {}
        }
        let place = disk.path.join(format!("{journal}-{leaves}"));
        std::fs::create_dir(&place).unwrap();
        // What a program leaves that dies now. Without the -shm: a machine that went down has none.
        for name in ["a.db", "a.db-wal", "a.db-journal"] {
            let beside = alive.path().join(name);
            if beside.exists() {
                std::fs::copy(beside, place.join(name)).unwrap();
            }
        }
        let owners = if leaves == "wal" { 4 } else { 3 };
        sources.push((place.join("a.db"), owners));
    }
    disk.remount_read_only();
    for (path, owners) in sources {
        let target = database();
        ended(program().arg("migrate").arg(&path).arg(url(&target)).output().unwrap()).exits(0);
        let seen = session(&target);
        let told = "SELECT (SELECT count(*) FROM owner) || ' ' || (SELECT count(*) || ' ' || max(length(t)) FROM item)";
        assert_eq!(value(&seen, told), format!("{owners} 501 10"), "{}", path.display());
    }
}
