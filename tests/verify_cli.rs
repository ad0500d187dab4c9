//! `lite2pg verify` as a person sees it, and how it behaves beside others: exit code, streams, files, signals, memory.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::postgres::Target;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::program::{Ran, Running, migrate, program, source, until, url, value, verify};
use support::{database, eventually, session};
use unicode_width::UnicodeWidthStr as _;

const SHOP: &str = "
    CREATE TABLE customer (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(40) NOT NULL, since DATE, balance DECIMAL(10,2));
    INSERT INTO customer VALUES (1, 'Ann', '2024-01-31', 12.5), (2, 'Bob', NULL, 0), (3, 'Cy', '2024-02-29', -1);
    CREATE TABLE \"tag/of a customer\" (customer INTEGER, word TEXT);
    INSERT INTO \"tag/of a customer\" VALUES (1, 'tea'), (1, 'tea'), (2, ''), (7, NULL);";

const BREAK: &str = "
    UPDATE customer SET name = 'Ann ', balance = 12.51 WHERE id = 1; DELETE FROM customer WHERE id = 2;
    INSERT INTO customer VALUES (-5, 'Mallory', NULL, 0);
    UPDATE \"tag/of a customer\" SET word = NULL WHERE customer = 2;";

/// Exit code and both streams with everything filtered that differs from run to run.
fn snapshot(name: &str, ran: &Ran) {
    let mut settings = insta::Settings::clone_current();
    for (what, with) in [
        (r"/tmp/\.tmp\w+", "[dir]"),
        (r"\b\d+(\.\d+)?s\b", "[t]"),
        (r"copied at [^·\n]+ · peak memory .+", "[speed]"),
        (r"(?m)^\[speed\]\n|^peak memory .+\n|^copied at .+\n", ""),
        (r"(?m)^((open|profile|plan|create|copy|index|constrain|analyze|verify) \[t\]( · | ·$)?)+\n", ""),
        (r#""ms": \d+"#, r#""ms": "[ms]""#),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "[a day and its time]"),
        (r"\[default: [234]\]", "[default: N]"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[run]"),
    ] {
        settings.add_filter(what, with);
    }
    settings.set_omit_expression(true);
    let shown = format!("exit {}\n--- stdout\n{}--- stderr\n{}", ran.code, ran.stdout, ran.stderr);
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

/// A migrated shop, its file, and how the program names its target; `sql` was run on the target since.
struct Shop {
    dir: tempfile::TempDir,
    path: PathBuf,
    target: Target,
    url: String,
}

impl Shop {
    fn changed(sql: &str) -> Self {
        let (dir, path) = source(SHOP);
        let target = database();
        let url = url(&target);
        migrate([path.to_str().unwrap(), &url, "--quiet"]).exits(0);
        session(&target).batch(sql).unwrap();
        Self { dir, path, target, url }
    }

    /// `lite2pg verify` with its lists beside the source.
    fn verify(&self, more: &[&str]) -> Ran {
        let lists = self.lists();
        let first = [self.path.to_str().unwrap(), &self.url, "--differences-dir", lists.to_str().unwrap()];
        verify(first.iter().chain(more))
    }

    fn lists(&self) -> PathBuf {
        self.dir.path().join("differences")
    }
}

#[track_caller]
fn fits(text: &str) {
    for line in text.lines().filter(|line| !line.contains("/tmp/.tmp")) {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
        assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
    }
}

#[test]
fn help_of_verify_is_readable() {
    let ran = support::program::ended(program().args(["verify", "--help"]).env("COLUMNS", "80").output().unwrap());
    snapshot("verify_help", &ran);
}

#[test]
fn equal_sides_are_said_to_be_verified() {
    let shop = Shop::changed("SELECT");
    let ran = shop.verify(&[]).exits(0);
    fits(&ran.stdout);
    snapshot("verify_equal", &ran);
    assert!(!shop.lists().exists(), "no list where nothing differs");
    let ran = shop.verify(&["--quiet"]).exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

#[test]
fn differences_are_told_by_key_and_column_without_values() {
    let shop = Shop::changed(BREAK);
    let ran = shop.verify(&[]).exits(5);
    fits(&ran.stdout);
    for value in ["Ann", "12.5", "Mallory", "tea", "Bob"] {
        assert!(!ran.stdout.contains(value) && !ran.stderr.contains(value), "`{value}` is shown:\n{}", ran.stdout);
    }
    snapshot("verify_different", &ran);
}

#[test]
fn a_sample_is_not_said_to_be_verified() {
    let shop = Shop::changed("SELECT");
    let ran = shop.verify(&["--sample", "40%", "--table", "customer"]).exits(0);
    fits(&ran.stdout);
    snapshot("verify_sample", &ran);
    let ran = shop.verify(&["--sample", "40%", "--json", "--quiet"]).exits(5);
    snapshot("verify_sample_json", &ran);
    session(&shop.target).batch(BREAK).unwrap();
    let ran = shop.verify(&["--sample", "1"]).exits(5);
    fits(&ran.stdout);
    snapshot("verify_sample_different", &ran);
}

#[test]
fn a_hash_is_not_said_to_be_verified() {
    let shop = Shop::changed("SELECT");
    let ran = shop.verify(&["--level", "hash"]).exits(5);
    fits(&ran.stdout);
    snapshot("verify_hash_none", &ran);
    let ran = shop.verify(&["--record-hash"]).exits(0);
    fits(&ran.stdout);
    snapshot("verify_hash_recorded", &ran);
    let ran = shop.verify(&["--level", "hash"]).exits(0);
    fits(&ran.stdout);
    snapshot("verify_hash_unchanged", &ran);
    session(&shop.target).batch(BREAK).unwrap();
    let ran = shop.verify(&["--level", "hash"]).exits(5);
    fits(&ran.stdout);
    snapshot("verify_hash_changed", &ran);
    let ran = shop.verify(&["--level", "hash", "--json", "--quiet"]).exits(5);
    snapshot("verify_hash_json", &ran);
}

#[test]
fn values_are_shown_to_who_asks() {
    let shop = Shop::changed(BREAK);
    let ran = shop.verify(&["--show-values"]).exits(5);
    fits(&ran.stdout);
    snapshot("verify_values", &ran);
}

#[test]
fn the_comparison_as_json_is_all_that_stdout_holds() {
    let shop = Shop::changed(BREAK);
    let ran = shop.verify(&["--json", "--quiet"]).exits(5);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&found["tables"][0]["changed"], &found["tables"][0]["missing"]), (&1.into(), &1.into()));
    assert!(!ran.stdout.contains("Mallory"));
    snapshot("verify_json", &ran);
}

#[test]
fn a_list_holds_each_cell_that_differs_and_is_its_owners() {
    let shop = Shop::changed(BREAK);
    std::fs::create_dir(shop.lists()).unwrap();
    // A list of an earlier time, open to everybody.
    let list = shop.lists().join("customer.csv");
    std::fs::write(&list, "old").unwrap();
    std::fs::set_permissions(&list, Permissions::from_mode(0o666)).unwrap();
    shop.verify(&[]).exits(5);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&list), 0o600);
    let sorted = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.remove(0), "difference,key,column,source,target");
        lines.sort();
        lines
    };
    assert_eq!(
        sorted(&list),
        [
            "changed,id=1,balance,12.5,12.51",
            "changed,id=1,name,'Ann','Ann '",
            "extra,id=-5,balance,,0",
            "extra,id=-5,id,,-5",
            "extra,id=-5,name,,'Mallory'",
            "extra,id=-5,since,,NULL",
            "missing,id=2,balance,0,",
            "missing,id=2,id,2,",
            "missing,id=2,name,'Bob',",
            "missing,id=2,since,NULL,",
        ]
    );
    // A table's name is no path.
    let odd = shop.lists().join("tag%2Fof a customer.csv");
    assert_eq!(sorted(&odd), ["extra,,customer,,2", "extra,,word,,NULL", "missing,,customer,2,", "missing,,word,'',"]);
    assert_eq!(mode(&odd), 0o600);

    // A folder that is made is closed to others, and one that cannot be made is an error.
    std::fs::remove_dir_all(shop.lists()).unwrap();
    shop.verify(&[]).exits(5);
    assert_eq!(mode(&shop.lists()), 0o700);
    std::fs::remove_dir_all(shop.lists()).unwrap();
    std::fs::write(shop.lists(), "in the way").unwrap();
    shop.verify(&[]).exits(1).says(&["cannot be written", "--differences-dir DIR"]);
}

#[test]
fn what_was_not_compared_is_named() {
    let shop = Shop::changed("SELECT");
    let target = database();
    session(&target)
        .batch(
            "CREATE TABLE customer (id int8 PRIMARY KEY, name text, balance numeric);
             INSERT INTO customer VALUES (1, 'Ann', 12.5), (2, 'Bob', 0), (3, 'Cy', -1)",
        )
        .unwrap();
    let ran = verify([shop.path.to_str().unwrap(), &url(&target)]).exits(5);
    fits(&ran.stdout);
    snapshot("verify_unverified", &ran);
}

#[test]
fn a_table_at_a_time() {
    let shop = Shop::changed("UPDATE customer SET name = 'x' WHERE id = 1");
    shop.verify(&["--table", "tag/of a customer"]).exits(0);
    let ran = shop.verify(&["--table", "customer", "--key", "customer=since,id"]).exits(5);
    assert!(ran.stdout.contains("since=2024-01-31, id=1: name"), "{}", ran.stdout);
}

#[test]
fn wrong_flags_are_refused() {
    let shop = Shop::changed("SELECT");
    for (name, more) in [
        ("verify_bad_key", &["--key", "customer"][..]),
        ("verify_unknown_key", &["--key", "customer=nobody"]),
        ("verify_unknown_table", &["--table", "orders"]),
        ("verify_bad_level", &["--level", "deep"]),
    ] {
        // A key is looked at where it is needed: in a table that differs.
        let target = session(&shop.target);
        target.batch("DELETE FROM customer WHERE id = 3").unwrap();
        let ran = shop.verify(more);
        snapshot(name, &ran);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{name}");
    }
    verify([shop.path.to_str().unwrap(), "embedded"]).exits(2).says(&["there is nothing to compare with"]);
}

#[test]
fn a_migration_ends_with_the_comparison_or_says_that_it_has_none() {
    let (_dir, path) = source(SHOP);
    let arguments = |target: &str, more: &[&str]| {
        let first = [path.to_str().unwrap(), target].map(str::to_owned);
        first.into_iter().chain(more.iter().map(|m| (*m).to_owned())).collect::<Vec<_>>()
    };
    snapshot("migrate_verified", &migrate(arguments(&url(&database()), &[])).exits(0));
    snapshot("migrate_no_verify", &migrate(arguments(&url(&database()), &["--no-verify"])).exits(0));
}

#[test]
fn a_finished_run_is_compared_again_and_says_what_changed_since() {
    let shop = Shop::changed(BREAK);
    let lists = shop.lists();
    let ran = migrate([shop.path.to_str().unwrap(), &shop.url, "--differences-dir", lists.to_str().unwrap()]).exits(5);
    assert!(ran.stdout.contains("this run had finished before"), "{}", ran.stdout);
    snapshot("migrate_again_different", &ran);
    // Without the comparison its rows are counted, and the number is right.
    migrate([shop.path.to_str().unwrap(), &shop.url, "--no-verify"]).exits(0);
}

#[test]
fn a_search_ends_at_its_limit_and_says_so() {
    let shop = Shop::changed("UPDATE customer SET name = 'x' || id");
    let ran = shop.verify(&["--max-differences", "2"]).exits(5);
    assert!(ran.stdout.contains("at least 2 changed"), "{}", ran.stdout);
    let list = std::fs::read_to_string(shop.lists().join("customer.csv")).unwrap();
    assert_eq!(list.lines().count(), 3, "{list}");
    let ran = shop.verify(&["--max-differences", "3"]).exits(5);
    assert!(ran.stdout.contains(" 3 changed") && !ran.stdout.contains("at least"), "{}", ran.stdout);
}

// Beside others ------------------------------------------------------------------------------------------------------

const MANY: &str = "CREATE TABLE big (id INTEGER PRIMARY KEY, t TEXT, n INTEGER);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
    INSERT INTO big SELECT i, 'row number ' || i || ' with a few words more', i * 7 FROM n;";

/// Somebody waits for a lock.
const WAITS: &str =
    "EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())";

#[test]
fn writers_on_the_target_do_not_disturb_the_verdict() {
    let (_dir, path) = source(MANY);
    let target = database();
    let url = url(&target);
    migrate([path.to_str().unwrap(), &url, "--quiet"]).exits(0);
    let (writer, stop) = (session(&target), AtomicBool::new(false));
    let undone = session(&target);
    std::thread::scope(|scope| {
        // Each change is undone before it is committed, or moves rows only: every moment of the database is equal.
        scope.spawn(|| {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                writer
                    .batch(&format!(
                        "UPDATE big SET n = n WHERE id BETWEEN {n} * 500 % 199000 AND {n} * 500 % 199000 + 400"
                    ))
                    .unwrap();
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                undone
                    .batch("BEGIN; DELETE FROM big WHERE id % 1000 = 1; INSERT INTO big VALUES (0, 'x', 0); ROLLBACK")
                    .unwrap();
            }
        });
        for _ in 0..2 {
            let ran = verify([path.to_str().unwrap(), &url, "--quiet"]);
            if ran.code != 0 {
                stop.store(true, Ordering::Relaxed);
            }
            ran.exits(0);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_change_after_the_comparison_began_is_not_seen_by_half() {
    let (_dir, path) = source(MANY);
    let target = database();
    let url = url(&target);
    migrate([path.to_str().unwrap(), &url, "--quiet"]).exits(0);
    let (holder, seen) = (session(&target), session(&target));
    // The comparison has its moment, and waits for the table; then a row goes.
    holder.batch("BEGIN; LOCK TABLE big IN ACCESS EXCLUSIVE MODE").unwrap();
    let running = Running::start(program().args(["verify", path.to_str().unwrap(), &url, "--quiet"]));
    until(&seen, WAITS);
    holder.batch("DELETE FROM big WHERE id = 77; COMMIT").unwrap();
    running.end().exits(0);
    verify([path.to_str().unwrap(), &url, "--quiet", "--differences-dir", path.with_file_name("d").to_str().unwrap()])
        .exits(5);
}

#[test]
fn an_interrupt_ends_the_comparison_with_its_code() {
    let (_dir, path) = source(MANY);
    let target = database();
    let url = url(&target);
    migrate([path.to_str().unwrap(), &url, "--quiet"]).exits(0);
    let (holder, seen) = (session(&target), session(&target));
    holder.batch("BEGIN; LOCK TABLE big IN ACCESS EXCLUSIVE MODE").unwrap();
    let mut running = Running::start(program().args(["verify", path.to_str().unwrap(), &url]));
    until(&seen, WAITS);
    running.signal("INT");
    let ran = running.end().exits(8);
    assert_eq!(ran.stdout, "");
    let mine =
        "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()) = 1";
    eventually("its sessions are gone", || value(&seen, mine) == "true");
    holder.batch("ROLLBACK").unwrap();
}

// Memory -------------------------------------------------------------------------------------------------------------

/// The most memory that a program held, as its kernel says once it is over.
#[cfg(target_os = "linux")]
#[test]
fn a_table_in_which_everything_differs_needs_bounded_memory() {
    let rows = if std::env::var_os("LITE2PG_LONG").is_some() { 5_000_000 } else { 400_000 };
    let (_dir, path) = source(&MANY.replace("200000", &rows.to_string()));
    let target = database();
    let url = url(&target);
    migrate([path.to_str().unwrap(), &url, "--quiet", "--no-verify"]).exits(0);
    session(&target).batch("UPDATE big SET t = t || '.', n = n + 1").unwrap();
    let lists = path.with_file_name("differences");
    let mut command = program();
    command.args(["verify", path.to_str().unwrap(), &url, "--differences-dir", lists.to_str().unwrap()]);
    let mut running = Running::start(&mut command);
    let mut peak = 0;
    while !running.is_over() {
        peak = peak.max(running.memory_peak_bytes().unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    let ran = running.end().exits(5);
    assert!(ran.stdout.contains("at least 10 000 changed"), "{}", ran.stdout);
    assert!(peak > 0 && peak <= 64 * 1024 * 1024, "{peak} bytes");
    eprintln!("memory: {peak} bytes at most, {rows} rows of which all differ");
    let list = std::fs::read_to_string(lists.join("big.csv")).unwrap();
    assert_eq!(list.lines().count(), 20_001);
}
