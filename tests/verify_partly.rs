//! Comparisons that are less than a proof: a sample, and the server's own hash. What they find is there; what they
//! do not find is never called verified.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::model::event::{Event, Observer, Progress};
use lite2pg::model::verdict::{Level, Outcome, Sample, SampleSize, Verification};
use lite2pg::postgres::Target;
use lite2pg::run::{self, Options};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::compared::{Compared, compare_with};
use support::program::{Ran, source, url, value, verify};
use support::scenario::Listener;
use support::{database, session, told};
use tempfile::TempDir;

/// A migrated source.
struct Moved {
    _dir: TempDir,
    path: PathBuf,
    target: Target,
}

impl Moved {
    fn of(sql: &str) -> Self {
        let (dir, path) = source(sql);
        let target = database();
        run::migrate(&Options::new(&path), &target, &Listener::default(), &AtomicBool::new(false))
            .unwrap_or_else(|e| panic!("{}", told(&e)));
        Self { _dir: dir, path, target }
    }

    #[track_caller]
    fn target(&self, sql: &str) {
        session(&self.target).batch(sql).unwrap_or_else(|e| panic!("{sql}\n{}", told(&e)));
    }

    #[track_caller]
    fn at(&self, options: &Options) -> Compared {
        compare_with(options, &self.target).unwrap_or_else(|e| panic!("{}", told(&e)))
    }

    fn sampled(&self, size: SampleSize, seed: u64) -> Compared {
        self.at(&sampling(&self.path, size, seed))
    }

    fn hashed(&self) -> Verification {
        self.at(&at_level(&self.path, Level::Hash)).verification
    }

    fn record(&self) -> Verification {
        let mut options = Options::new(&self.path);
        options.wish.records_hash = true;
        self.at(&options).verification
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let first = [self.path.to_str().unwrap().to_owned(), url(&self.target)];
        verify(first.into_iter().chain(arguments.iter().map(|a| (*a).to_owned())))
    }
}

fn at_level(path: &Path, level: Level) -> Options {
    let mut options = Options::new(path);
    options.wish.level = level;
    options
}

fn sampling(path: &Path, size: SampleSize, seed: u64) -> Options {
    let mut options = at_level(path, Level::Sample);
    options.wish.sample = Sample { size, seed };
    options
}

#[track_caller]
fn outcome<'a>(verification: &'a Verification, table: &str) -> &'a Outcome {
    &verification.tables.iter().find(|t| t.source == table).unwrap().outcome
}

#[track_caller]
fn unchanged(verification: &Verification) {
    let is = |t: &lite2pg::model::verdict::TableVerdict| matches!(t.outcome, Outcome::Unchanged { .. });
    assert!(verification.tables.iter().all(is) && verification.agrees(), "{verification:#?}");
    assert!(!verification.is_equal(), "a hash is no proof");
}

#[track_caller]
fn unverified(verification: &Verification, table: &str, word: &str) {
    let Outcome::Unverified { why } = outcome(verification, table) else { panic!("{verification:#?}") };
    assert!(why.contains(word), "{why}");
    assert!(!verification.agrees() && !verification.is_different());
}

// A sample ------------------------------------------------------------------------------------------------------------

const MANY: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, n REAL);
    INSERT INTO t WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        SELECT i, 'word ' || i, i / 7.0 FROM n;
    CREATE TABLE small (a TEXT, b TEXT); INSERT INTO small VALUES ('x', 'y'), ('x', 'y'), ('z', NULL);";

const THOUSAND: SampleSize = SampleSize::RowsPerTable(1000);

#[test]
fn a_sample_of_equal_sides_is_alike_and_not_verified() {
    let moved = Moved::of(MANY);
    for (size, least) in [(THOUSAND, 900), (SampleSize::Percent(99.0), 19_000), (SampleSize::RowsPerTable(1), 1)] {
        let compared = moved.sampled(size, 1);
        let Outcome::Alike { rows } = compared.table("t").outcome else { panic!("{:?}", compared.verification) };
        assert!((least..=19_900).contains(&rows), "{size:?}: {rows} rows");
        assert!(!compared.verification.is_equal() && !compared.verification.is_different());
        // One row is less than the table without a key has, so that it cannot be compared.
        assert_eq!(compared.verification.agrees(), size != SampleSize::RowsPerTable(1));
        assert!(compared.verification.planted > 0);
    }
    // A table that is no larger than its sample is read whole, whether it has a key or none.
    assert!(matches!(moved.sampled(THOUSAND, 1).table("small").outcome, Outcome::Equal));
    let ran = moved.run(&["--sample", "1000"]).exits(0);
    let last = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(last.contains("sampled, not verified: every cell of"), "{last}");
    assert!(last.contains("seed 1") && !last.replace("not verified", "").contains("verified"), "{last}");
    let ran = moved.run(&["--sample", "100%", "--json"]).exits(0);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&json["equal"], &json["verdict"]), (&false.into(), &"sampled, not verified".into()));
}

#[test]
fn the_same_seed_draws_the_same_rows_and_another_one_others() {
    let moved = Moved::of(MANY);
    moved.target("UPDATE t SET word = word || '!'");
    let drawn = |seed| moved.sampled(SampleSize::RowsPerTable(50), seed).found("t");
    assert_eq!(drawn(7), drawn(7));
    assert_ne!(drawn(7), drawn(8));
    // Spread over the table, its ends included.
    let ids: Vec<i64> =
        drawn(7).keys().map(|word| word.split(['=', ' ']).nth(2).unwrap().parse::<i64>().unwrap()).collect();
    for tenth in 0..10 {
        let place = tenth * 2000 + 1..=(tenth + 1) * 2000;
        assert!(ids.iter().any(|id| place.contains(id)), "none of {place:?} in {ids:?}");
    }
    assert!(ids.contains(&1) && ids.contains(&20_000));
}

#[test]
fn what_a_sample_finds_is_told_by_row_and_column() {
    let moved = Moved::of(MANY);
    moved.target(
        "UPDATE t SET word = upper(word) WHERE id = 1; UPDATE t SET n = -n WHERE id = 20000; DELETE FROM t WHERE id = 19999",
    );
    let mut options = sampling(&moved.path, SampleSize::Percent(50.0), 3);
    options.wish.show_values = true;
    let compared = moved.at(&options);
    let found = compared.found("t");
    assert!(found.contains_key("changed id=1 word") && found.contains_key("changed id=20000 n"), "{found:?}");
    let differences = compared.differences("t").unwrap();
    assert!(!differences.complete && differences.missing == 1, "{differences:?}");
    assert!(differences.disputed.iter().any(|word| word.contains("number of rows")), "{differences:?}");
    moved.run(&["--sample", "50%", "--differences-dir", moved.path.with_extension("d").to_str().unwrap()]).exits(5);
}

#[test]
fn numbers_of_rows_are_compared_whatever_is_sampled() {
    let moved = Moved::of(MANY);
    moved.target("DELETE FROM t WHERE id = 12345; INSERT INTO small VALUES (NULL, NULL)");
    let compared = moved.sampled(SampleSize::RowsPerTable(2), 1);
    assert_eq!(compared.differences("t").map(|d| (d.missing, d.extra)), Some((1, 0)));
    assert_eq!(compared.differences("small").map(|d| (d.missing, d.extra)), Some((0, 1)));
}

#[test]
fn a_row_too_many_under_a_sampled_key_is_found() {
    let moved = Moved::of(MANY);
    moved.target("ALTER TABLE t DROP CONSTRAINT t_pkey; DELETE FROM t WHERE id = 500; INSERT INTO t SELECT * FROM t WHERE id = 1");
    let compared = moved.sampled(SampleSize::RowsPerTable(20), 1);
    assert_eq!(compared.found("t").keys().collect::<Vec<_>>(), ["extra id=1"]);
}

#[test]
fn a_large_table_without_a_key_is_named_as_unverified_until_a_key_is_stated() {
    let moved = Moved::of(
        "CREATE TABLE log (at TEXT, line TEXT); INSERT INTO log WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
            SELECT 'at ' || i / 2, 'line ' || i FROM n",
    );
    let size = SampleSize::RowsPerTable(100);
    let compared = moved.sampled(size, 1);
    unverified(&compared.verification, "log", "no key tells its rows apart");
    moved.run(&["--sample", "100"]).exits(5);
    // A key that repeats is no reason to take the other row for one too many.
    let mut options = sampling(&moved.path, size, 1);
    options.wish.keys.insert("log".to_owned(), vec!["at".to_owned()]);
    assert!(matches!(moved.at(&options).table("log").outcome, Outcome::Alike { rows: 90..=110 }));
    moved.target("UPDATE log SET line = line || ' ' WHERE line = 'line 5000'");
    assert_eq!(moved.at(&options).differences("log").map(|d| (d.changed, d.extra)), Some((1, 0)));
}

// One table for each type that a key can have; its rows are looked up by that key alone.
#[test]
fn rows_are_looked_up_by_keys_of_every_type() {
    let rows = "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 400)";
    for (declared, on_target, value) in [
        ("INTEGER", "int8", "i * 1000000007 - 9000000000"),
        ("INTEGER", "int2", "i - 200"),
        ("REAL", "float8", "i / 3.0 - 50"),
        ("REAL", "float4", "i / 4.0 - 50"),
        ("NUMERIC", "numeric(12,3)", "(i - 100) / 8.0"),
        ("TEXT", "text", "'it''s \\' || i"),
        ("TEXT", "varchar(20)", "'é' || i || ' '"),
        ("TEXT", "char(9)", "'c' || i"),
        ("BLOB", "bytea", "CAST(i AS BLOB) || x'00'"),
        ("TEXT", "uuid", "printf('018f4e2a-9b7c-7def-8123-%012d', i)"),
        ("DATE", "date", "date('1999-01-01', i || ' days')"),
        ("TIME", "time", "time(i * 200, 'unixepoch') || '.25'"),
        ("DATETIME", "timestamp", "datetime(i * 123456789, 'unixepoch') || '.000001'"),
        ("DATETIME", "timestamptz", "1500000000 + i * 123457"),
        ("BOOLEAN", "boolean", "i % 2"),
        ("JSON", "jsonb", "json_object('a', i)"),
    ] {
        let (_dir, path) = source(&format!(
            "CREATE TABLE t (k {declared}, g INTEGER, v TEXT, PRIMARY KEY (k, g)) WITHOUT ROWID;
             INSERT INTO t {rows} SELECT {value}, i, 'v' || i FROM n"
        ));
        let target = database();
        let admin = session(&target);
        admin.batch(&format!("CREATE TABLE t (k {on_target}, g int8, v text, PRIMARY KEY (k, g))")).unwrap();
        run::migrate(&Options::new(&path), &target, &Listener::default(), &AtomicBool::new(false))
            .unwrap_or_else(|e| panic!("{on_target}: {}", told(&e)));
        let options = sampling(&path, SampleSize::RowsPerTable(300), 1);
        let compared = compare_with(&options, &target).unwrap_or_else(|e| panic!("{on_target}: {}", told(&e)));
        assert!(
            matches!(compared.table("t").outcome, Outcome::Alike { rows: 300 }),
            "{on_target}: {:?}",
            compared.table("t")
        );
        admin.batch("UPDATE t SET v = 'x'").unwrap();
        let compared = compare_with(&options, &target).unwrap();
        assert_eq!(compared.differences("t").map(|d| (d.changed, d.missing)), Some((300, 0)), "{on_target}");
    }
}

#[test]
fn keys_that_are_null_or_too_long_are_passed_over_and_said() {
    let moved = Moved::of(
        "CREATE TABLE t (k TEXT, v INTEGER); INSERT INTO t WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 50)
            SELECT CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN replace(hex(zeroblob(2000)), '0', 'k') || i ELSE 'k' || i END, i FROM n",
    );
    let mut options = sampling(&moved.path, SampleSize::RowsPerTable(49), 1);
    options.wish.keys.insert("t".to_owned(), vec!["k".to_owned()]);
    let compared = moved.at(&options);
    assert!(matches!(compared.table("t").outcome, Outcome::Alike { rows: 1..=17 }), "{:?}", compared.table("t"));
    assert!(compared.verification.remarks.iter().any(|r| r.contains("NULL or a long value in their key")));
}

#[test]
fn rows_that_were_set_aside_are_not_missed_by_a_sample() {
    let (_dir, path) = source(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
            SELECT i, CASE i % 100 WHEN 0 THEN 'no number' ELSE i END FROM n",
    );
    let target = database();
    session(&target).batch("CREATE TABLE t (id int8 PRIMARY KEY, n int8)").unwrap();
    let ran = support::program::migrate([
        path.to_str().unwrap(),
        &url(&target),
        "--data-only",
        "--on-error",
        "reject",
        "--rejects-dir",
        path.with_extension("rejects").to_str().unwrap(),
    ]);
    ran.exits(4);
    let options = sampling(&path, SampleSize::Percent(50.0), 1);
    let compared = compare_with(&options, &target).unwrap();
    assert!(matches!(compared.table("t").outcome, Outcome::Alike { .. }), "{:?}", compared.table("t"));
    // One of them is there all the same: a row more than were loaded.
    session(&target).batch("INSERT INTO t VALUES (100, NULL)").unwrap();
    let compared = compare_with(&options, &target).unwrap();
    assert_eq!(compared.differences("t").map(|d| (d.missing, d.extra)), Some((0, 1)));
}

// The server's hash ---------------------------------------------------------------------------------------------------

// A column for each type that a comparison knows, and one that it does not.
const TYPES: (&str, &str) = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, b BOOLEAN, i INTEGER, r REAL, f REAL, n NUMERIC, t TEXT, v TEXT, c TEXT, y BLOB,
         u TEXT, j TEXT, jb TEXT, d DATE, h TIME, ts DATETIME, tz DATETIME, e TEXT, x TEXT);
     INSERT INTO t VALUES
        (1, 1, 5, 0.0, 0.5, '1.10', 'a', 'b', 'c', x'00', '018f4e2a-9b7c-7def-8123-456789abcdef', '{}', '{\"a\":1.10}',
            '2024-01-01', '10:00:00', '2024-01-01 10:00:00', '2024-01-01 10:00:00', 'one', 'X'),
        (2, 0, 6, 1.0, 1.5, '2.20', 'A', 'B', 'C', x'01', '018f4e2a-9b7c-7def-8123-456789abcdee', '[]', '{\"a\":2.20}',
            '2024-01-02', '11:00:00', '2024-01-02 10:00:00', '2024-01-02 10:00:00', 'two', 'Y');",
    "CREATE TYPE word AS ENUM ('one', 'two', 'three');
     CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
     CREATE DOMAIN short AS varchar(5);
     CREATE TABLE t (id int8 PRIMARY KEY, b boolean, i int4, r float8, f float4, n numeric, t text COLLATE folded, v short,
         c char(3), y bytea, u uuid, j json, jb jsonb, d date, h time, ts timestamp, tz timestamptz, e word, x text,
         own point DEFAULT '(1,2)');",
);

fn of_types() -> Moved {
    let (dir, path) = source(TYPES.0);
    let target = database();
    session(&target).batch(TYPES.1).unwrap_or_else(|e| panic!("{}", told(&e)));
    run::migrate(&Options::new(&path), &target, &Listener::default(), &AtomicBool::new(false))
        .unwrap_or_else(|e| panic!("{}", told(&e)));
    Moved { _dir: dir, path, target }
}

#[test]
fn a_target_that_nobody_changed_is_unchanged_and_not_verified() {
    let moved = Moved::of(MANY);
    unverified(&moved.hashed(), "t", "no hash of it was recorded");
    let ran = moved.run(&["--level", "hash"]).exits(5).says(&["not everything could be compared", "--record-hash"]);
    assert!(!ran.stdout.replace("not verified", "").contains(" verified"), "{}", ran.stdout);
    let recorded = moved.record();
    assert!(recorded.is_equal() && recorded.recorded == Some(2), "{recorded:?}");
    unchanged(&moved.hashed());
    let ran = moved.run(&["--level", "hash"]).exits(0);
    let last = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(last.contains("unchanged since the comparison of 20") && last.contains("Z, not verified: "), "{last}");
    // The storage of rows is no part of their hash.
    for statement in ["UPDATE t SET word = word", "VACUUM FULL t", "CLUSTER t USING t_pkey"] {
        moved.target(statement);
        unchanged(&moved.hashed());
    }
}

#[test]
fn every_change_of_a_value_changes_the_hash() {
    let moved = of_types();
    assert_eq!(moved.record().recorded, Some(1));
    unchanged(&moved.hashed());
    let admin = session(&moved.target);
    for change in [
        "b = NOT b",
        "i = i + 1",
        "r = '-0'",
        "f = 0.25",
        "n = 1.11",
        "t = 'A'",
        "t = 'á'",
        "t = 'a '",
        "t = NULL",
        "v = 'b '",
        "c = 'd'",
        "y = '\\x0000'",
        "u = '018f4e2a-9b7c-7def-8123-456789abcdee'",
        "j = '{ }'",
        "jb = '{\"a\": 1.1}'",
        "d = d + 1",
        "h = h + interval '1 microsecond'",
        "ts = ts + interval '1 microsecond'",
        "tz = tz - interval '1 microsecond'",
        "e = 'three'",
        "id = 3",
        "t = v, v = t",
    ] {
        admin.batch("CREATE TABLE kept AS SELECT * FROM t").unwrap();
        admin.batch(&format!("UPDATE t SET {change} WHERE id = 1")).unwrap();
        let found = moved.hashed();
        assert!(matches!(outcome(&found, "t"), Outcome::Changed { .. }), "{change}: {found:?}");
        assert!(found.is_different() && !found.agrees());
        admin.batch("TRUNCATE t; INSERT INTO t SELECT * FROM kept; DROP TABLE kept").unwrap();
        unchanged(&moved.hashed());
    }
    // A hash of cells alone, added up, would be blind for this.
    admin.batch("UPDATE t SET t = CASE id WHEN 1 THEN 'A' ELSE 'a' END").unwrap();
    assert!(matches!(outcome(&moved.hashed(), "t"), Outcome::Changed { .. }));
    admin.batch("UPDATE t SET t = CASE id WHEN 1 THEN 'a' ELSE 'A' END").unwrap();
    unchanged(&moved.hashed());
    admin.batch("ALTER TYPE word RENAME VALUE 'two' TO 'zwei'").unwrap();
    assert!(matches!(outcome(&moved.hashed(), "t"), Outcome::Changed { .. }));
    admin.batch("ALTER TYPE word RENAME VALUE 'zwei' TO 'two'").unwrap();
    // What no comparison looked at is no part of it.
    admin.batch("UPDATE t SET own = '(3,4)'").unwrap();
    unchanged(&moved.hashed());
    moved.run(&["--level", "hash"]).exits(0);
    admin.batch("DELETE FROM t WHERE id = 2; INSERT INTO t SELECT * FROM t WHERE false").unwrap();
    moved.run(&["--level", "hash"]).exits(5).says(&["1 table changed since the comparison", "--level rows"]);
}

#[test]
fn rows_that_swap_cells_change_the_hash_of_a_large_table() {
    let moved = Moved::of(MANY);
    moved.record();
    for column in ["word", "n"] {
        let swap =
            format!("UPDATE t a SET {column} = b.{column} FROM t b WHERE (a.id, b.id) IN ((17, 9999), (9999, 17))");
        moved.target(&swap);
        assert!(matches!(outcome(&moved.hashed(), "t"), Outcome::Changed { .. }), "{column}");
        moved.target(&swap);
        unchanged(&moved.hashed());
    }
    // Two rows that become each other's doubles, and one that is there twice instead of another.
    moved.target("UPDATE small SET b = 'w' WHERE a = 'z'");
    assert!(matches!(outcome(&moved.hashed(), "small"), Outcome::Changed { .. }));
}

#[test]
fn a_hash_is_worth_nothing_under_another_server_source_or_column() {
    let moved = Moved::of(MANY);
    moved.record();
    unchanged(&moved.hashed());
    let kept = "CREATE TABLE kept AS SELECT * FROM lite2pg.baseline";
    let back = "TRUNCATE lite2pg.baseline; INSERT INTO lite2pg.baseline SELECT * FROM kept";
    moved.target(kept);
    moved.target("UPDATE lite2pg.baseline SET server_major = 13");
    unverified(&moved.hashed(), "t", "is PostgreSQL 13's");
    moved.target(back);
    moved.target("UPDATE lite2pg.baseline SET server_probe = '1'");
    unverified(&moved.hashed(), "t", "this server hashes otherwise");
    moved.target(back);
    moved.target("ALTER TABLE t RENAME word TO words");
    let found = moved.hashed();
    let Outcome::Unverified { why } = outcome(&found, "t") else { panic!("{found:#?}") };
    assert!(why.contains("its columns or their types are not those"), "{why}");
    assert!(matches!(outcome(&found, "small"), Outcome::Unchanged { .. }));
}

#[test]
fn a_source_that_was_written_to_is_not_said_to_be_unchanged() {
    let moved = Moved::of(MANY);
    moved.record();
    unchanged(&moved.hashed());
    Connection::open(&moved.path).unwrap().execute_batch("UPDATE t SET word = 'other' WHERE id = 3").unwrap();
    unverified(&moved.hashed(), "t", "the source's file was written to since the comparison of");
    // The comparison of every cell has another word for it, and its hash is not kept.
    let found = moved.record();
    assert!(matches!(outcome(&found, "t"), Outcome::Different(_)), "{found:?}");
    assert_eq!(found.recorded, Some(1));
    unverified(&moved.hashed(), "t", "the source's file was written to");
    assert!(matches!(outcome(&moved.hashed(), "small"), Outcome::Unchanged { .. }));
}

// Somebody else, at work on the target between the moment of a comparison and its first row.
struct Meanwhile<'a> {
    target: &'a Target,
    sql: &'a str,
    is_done: AtomicBool,
}

impl Observer for Meanwhile<'_> {
    fn event(&self, event: &Event) {
        if matches!(event, Event::VerifyPlanned { .. }) && !self.is_done.swap(true, Ordering::Relaxed) {
            session(self.target).batch(self.sql).unwrap_or_else(|e| panic!("{}", told(&e)));
        }
    }

    fn watch(&self, _: Arc<Progress>) {}
}

fn record_while(moved: &Moved, sql: &str) -> lite2pg::Result<Verification> {
    let mut options = Options::new(&moved.path);
    options.wish.records_hash = true;
    options.wish.folder = moved.path.with_extension("differences");
    let meanwhile = Meanwhile { target: &moved.target, sql, is_done: AtomicBool::new(false) };
    let result = run::verify(&options, &moved.target, false, &meanwhile, &AtomicBool::new(false));
    assert!(meanwhile.is_done.load(Ordering::Relaxed));
    result
}

#[test]
fn what_is_written_after_the_moment_of_a_comparison_is_a_change() {
    let moved = Moved::of(MANY);
    let found = record_while(&moved, "UPDATE t SET word = 'written meanwhile' WHERE id = 77").unwrap();
    assert!(found.is_equal() && found.recorded == Some(2), "the comparison looks at its own moment: {found:?}");
    assert_eq!(value(&session(&moved.target), "SELECT word FROM t WHERE id = 77"), "written meanwhile");
    assert!(matches!(outcome(&moved.hashed(), "t"), Outcome::Changed { .. }), "and so does the hash");
    assert!(matches!(outcome(&moved.hashed(), "small"), Outcome::Unchanged { .. }));
}

#[test]
fn a_table_that_takes_the_place_of_another_meanwhile_leaves_no_hash() {
    let moved = Moved::of(MANY);
    moved.target("CREATE TABLE stage AS SELECT * FROM t");
    let error = record_while(&moved, "ALTER TABLE t RENAME TO gone; ALTER TABLE stage RENAME TO t").unwrap_err();
    assert!(told(&error).contains("no hash was recorded"), "{}", told(&error));
    unverified(&moved.hashed(), "t", "no hash of it was recorded");
    // A snapshot does not see that rows are gone: to it, they never were.
    let found = record_while(&moved, "TRUNCATE t").unwrap();
    assert!(matches!(outcome(&found, "t"), Outcome::Different(_)) && found.recorded == Some(1), "{found:?}");
}

#[test]
fn a_database_that_others_loaded_has_hashes_of_its_own() {
    let (dir, path) =
        source("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
    let target = database();
    session(&target).batch("CREATE TABLE t (id int8, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')").unwrap();
    let moved = Moved { _dir: dir, path, target };
    assert_eq!(moved.record().recorded, Some(1));
    unchanged(&moved.hashed());
    moved.target("UPDATE t SET v = 'c' WHERE id = 2");
    assert!(matches!(outcome(&moved.hashed(), "t"), Outcome::Changed { .. }));
    moved.run(&["--level", "hash", "--repair"]).exits(2);
    moved.run(&["--level", "counts", "--record-hash"]).exits(2);
    moved.run(&["--sample", "10", "--repair"]).exits(2);
    for wrong in ["0", "-1", "0%", "101%", "x", "%", "nan%"] {
        moved.run(&[&format!("--sample={wrong}")]).exits(2);
    }
}

#[test]
fn tables_that_a_pipeline_shapes_are_sampled_and_hashed_by_what_it_makes_of_them() {
    let (dir, path) = source(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT, deleted INTEGER);
         INSERT INTO orders WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
            SELECT i, CASE i % 2 WHEN 0 THEN 'A' ELSE 'I' END, i % 10 = 0 FROM n",
    );
    let file = dir.path().join("shop.toml");
    let pipeline = "[[table]]\nfrom = \"orders\"\nwhere = \"deleted = 0\"\n[table.columns]\n\
        status = { map = { A = \"active\", I = \"idle\" } }\n\
        [[table]]\nto = \"halves\"\nkey = [\"id\"]\nquery = \"SELECT id * 2 AS id, status AS half FROM orders\"\n";
    std::fs::write(&file, pipeline).unwrap();
    let target = database();
    let url = url(&target);
    let sides = ["-p", file.to_str().unwrap(), "--source", path.to_str().unwrap(), "--target", &url];
    support::program::migrate(sides).exits(0);
    let run = |more: &[&str]| verify(sides.iter().chain(more));
    run(&["--sample", "500", "--differences-dir", dir.path().join("d").to_str().unwrap()]).exits(0);
    run(&["--record-hash"]).exits(0);
    run(&["--level", "hash"]).exits(0);
    session(&target).batch("UPDATE halves SET half = 'x'; UPDATE orders SET status = 'A'").unwrap();
    let ran = run(&["--sample", "500", "--differences-dir", dir.path().join("d").to_str().unwrap()]).exits(5);
    assert!(ran.stdout.contains("`halves` differs") && ran.stdout.contains("`orders` differs"), "{}", ran.stdout);
    run(&["--level", "hash"]).exits(5).says(&["2 tables changed since the comparison"]);
}
