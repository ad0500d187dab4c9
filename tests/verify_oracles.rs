//! The verifier's other opinions: changes planted in every run, sums asked of both databases in SQL, and a sample that
//! PostgreSQL casts itself. Each finds a wrong load, and none cries over a right one.

mod support;

use lite2pg::model::conversion::Naive;
use lite2pg::model::event::Silent;
use lite2pg::model::verdict::{Level, Outcome, Verification};
use lite2pg::postgres::{Environment, Target};
use lite2pg::run::{self, Options, Scope};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use support::scenario::{Source, attempt};
use support::{database, session, told};

// Both sides compared, at this level.
#[track_caller]
fn verify(source: &Path, target: &Target, level: Level) -> Verification {
    let mut options = Options::new(source);
    options.wish.level = level;
    options.wish.folder = source.with_file_name("differences");
    run::verify(&options, target, false, &Silent, &AtomicBool::new(false)).unwrap_or_else(|e| panic!("{}", told(&e)))
}

// The defaults, with lists of differences beside the source.
fn options(source: &Source) -> Options {
    let mut options = Options::new(&source.path);
    options.wish.folder = source.path.with_file_name("differences");
    options
}

// A migration, and what its last phase found.
#[track_caller]
fn moved(source: &Source) -> (Target, Verification) {
    let tried = attempt(&options(source));
    let summary = tried.result.unwrap_or_else(|e| panic!("{}", told(&e)));
    (tried.target, summary.verification.expect("it was compared"))
}

#[track_caller]
fn check_equal(verification: &Verification) {
    let wrong: Vec<_> = verification.tables.iter().filter(|t| !matches!(t.outcome, Outcome::Equal)).collect();
    assert!(verification.is_equal(), "{wrong:#?} {:?}", verification.sequences);
}

// ---------------------------------------------------------------------------------------------------------
// Planted changes
// ---------------------------------------------------------------------------------------------------------

/// A table of every type that a target can have, with rows that another tool loaded.
const EVERY_TYPE: &str = "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TYPE one AS ENUM ('only');
    CREATE DOMAIN even AS int4 CHECK (VALUE % 2 = 0); CREATE DOMAIN full_word AS varchar(3) CHECK (VALUE = 'abc');
    CREATE TABLE t (id bigint PRIMARY KEY, a bool, b int2, c int4, d float4, e float8, f numeric(5,2), g numeric,
        h text, i varchar(3), j char(3), k bytea, l uuid, m json, n jsonb, o date, p time, q timestamp, r timestamptz,
        s mood, t one, u even, v full_word)";

const EVERY_TYPE_IN_SQLITE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b, c, d, e, f, g, h, i, j, k, l, m, n,
    o, p, q, r, s, t, u, v);
    INSERT INTO t VALUES (1, 1, 32767, 2147483647, 0.5, 0.1, 999.99, 1.5, 'x', 'abc', 'abc', x'00',
        '018f3c5e-7a1b-7c2d-8e3f-a0b1c2d3e4f5', '{}', '{\"a\": 1}', '9999-12-31', '23:59:59.999999',
        '2024-01-01T00:00', '2024-01-01T00:00Z', 'sad', 'only', 4, 'abc'),
        (2, 0, -32768, -2147483648, 0.0, 0.0, -999.99, 0, '', '', '   ', x'', '018f3c5e-7a1b-7c2d-8e3f-a0b1c2d3e4f0',
        '[]', '[]', '0001-01-01', '00:00', '0001-01-01T00:00', '9999-12-31T23:59:59.999999Z', 'glad', 'only', 2, 'abc'),
        (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL)";

// The source's rows in a table that was made before, by lite2pg itself.
fn every_type() -> (Source, Target) {
    let (source, target) = (Source::sql(EVERY_TYPE_IN_SQLITE), database());
    session(&target).batch(EVERY_TYPE).expect("a table of every type");
    let options = Options { scope: Scope::DataOnly, ..options(&source) };
    let moved = run::migrate(&options, &target, &Silent, &AtomicBool::new(false));
    check_equal(&moved.unwrap_or_else(|e| panic!("{}", told(&e))).verification.expect("it was compared"));
    (source, target)
}

#[test]
fn a_change_of_every_type_is_planted_and_found() {
    let (source, target) = every_type();
    let found = verify(&source.path, &target, Level::Rows);
    check_equal(&found);
    // 20 types, the domains being their base types; and: cleared, filled, swapped, deleted, doubled. The enum with one
    // label has no other value.
    assert_eq!(found.planted, 25);
    let there =
        session(&target).query_one("SELECT count(*), to_regclass('pg_temp.lite2pg_scratch') IS NULL FROM t", &[]);
    let there = there.expect("the table is as it was");
    assert_eq!((there.get::<_, i64>(0), there.get::<_, bool>(1)), (3, true));
}

#[test]
fn every_migration_ends_with_planted_changes() {
    let (_, found) = moved(&Source::fixture("types.sql"));
    assert!(found.planted > 20, "{}", found.planted);
    let (_, found) = moved(&Source::sql("CREATE TABLE t (a)"));
    assert_eq!(found.planted, 0);
    check_equal(&found);
}

#[test]
fn a_table_of_large_cells_only_is_tested_with_a_few_of_them() {
    let (_, found) = moved(&Source::sql(
        "CREATE TABLE t (a BLOB); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
         INSERT INTO t SELECT randomblob(50000) FROM n",
    ));
    check_equal(&found);
    // Changed, cleared, swapped, deleted, doubled.
    assert_eq!(found.planted, 5);
}

// The target as a role that may read and no more, with these settings.
fn reader(target: &Target, name: &str, settings: &str) -> Target {
    let database = target.dbname();
    let sql = format!(
        "CREATE ROLE {name} LOGIN; REVOKE TEMP ON DATABASE {database} FROM public; \
         GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}; GRANT USAGE ON SCHEMA lite2pg TO {name}; \
         GRANT SELECT ON ALL TABLES IN SCHEMA lite2pg TO {name}; {settings}"
    );
    session(target).batch(&sql).expect("a role");
    let text = format!("host={} port={} user={name} dbname={database}", target.host(), target.port());
    Target::parse(&text, &Environment::of_process()).expect("a target")
}

#[test]
fn without_the_right_to_a_temporary_table_changes_are_planted_in_memory() {
    let (source, target) = every_type();
    let settings = "ALTER ROLE reads_only SET default_transaction_read_only = on";
    for reader in [reader(&target, "reads", ""), reader(&target, "reads_only", settings)] {
        let found = verify(&source.path, &reader, Level::Rows);
        check_equal(&found);
        // As on the server, and the enum with one label has another value here.
        assert_eq!(found.planted, 26);
        assert_eq!(found.cast, 0);
        let [remark] = &*found.remarks else { panic!("{:?}", found.remarks) };
        assert!(remark.starts_with("`t`: no sample for PostgreSQL to read itself: "), "{remark}");
    }
}

// ---------------------------------------------------------------------------------------------------------
// Figures of both databases
// ---------------------------------------------------------------------------------------------------------

const FIXTURES: [&str; 4] = ["types.sql", "schema.sql", "names.sql", "utf16.sql"];

#[test]
fn every_fixture_is_equal_at_every_level() {
    for name in FIXTURES {
        let source = Source::fixture(name);
        let (target, found) = moved(&source);
        check_equal(&found);
        assert!(found.figures > 0 && found.remarks.is_empty(), "{name}: {found:#?}");
        for level in [Level::Counts, Level::Aggregates, Level::Rows] {
            let found = verify(&source.path, &target, level);
            println!(
                "{name} {level:?}: {} figures, {} cells cast, {} planted",
                found.figures, found.cast, found.planted
            );
            check_equal(&found);
        }
    }
}

#[test]
fn every_database_of_the_corpus_is_equal_at_every_level() {
    let Some(folder) = std::env::var_os("LITE2PG_CORPUS") else {
        println!("skipped: LITE2PG_CORPUS names no folder with databases");
        return;
    };
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    files.sort();
    for file in files {
        let is_database = std::fs::read(&file).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"));
        if !is_database {
            continue;
        }
        let source = Source::copy_of(&file);
        let tried = attempt(&options(&source));
        let Ok(summary) = tried.result else { continue };
        check_equal(&summary.verification.expect("it was compared"));
        for level in [Level::Counts, Level::Aggregates, Level::Rows] {
            let found = verify(&source.path, &tried.target, level);
            println!(
                "{} {level:?}: {} figures, {} cells cast, {} ms",
                file.display(),
                found.figures,
                found.cast,
                found.ms
            );
            check_equal(&found);
        }
    }
}

// The words on table `t` after these statements were run on the target, at this level.
#[track_caller]
fn disputed(source: &Source, target: &Target, wrong: &str, level: Level) -> Vec<String> {
    let there = session(target);
    there.batch("CREATE TABLE t_as_it_was AS SELECT * FROM t").expect("a copy");
    there.batch(wrong).unwrap_or_else(|e| panic!("{wrong}: {}", told(&e)));
    let found = verify(&source.path, target, level);
    there
        .batch("TRUNCATE t; INSERT INTO t OVERRIDING SYSTEM VALUE SELECT * FROM t_as_it_was; DROP TABLE t_as_it_was")
        .expect("as it was");
    match &found.tables[0].outcome {
        Outcome::Different(d) => d.disputed.clone(),
        other => panic!("{wrong}: {other:?}"),
    }
}

#[test]
fn figures_find_what_is_wrong_with_a_column() {
    let (source, target) = every_type();
    for (wrong, expect) in [
        ("UPDATE t SET a = true WHERE id = 2", &["a: number of true values"][..]),
        ("UPDATE t SET a = NULL WHERE id = 2", &["a: number of values"]),
        ("UPDATE t SET b = 5 WHERE id = 1", &["b: sum", "b: largest value"]),
        ("UPDATE t SET c = c - 1, h = 'xy' WHERE id = 1", &["c: sum", "c: largest value", "h: bytes in all"]),
        ("UPDATE t SET e = e * 1.0000000000000002 WHERE id = 1", &["e: largest value"]),
        ("UPDATE t SET f = 999.98 WHERE id = 1", &["f: largest value"]),
        ("UPDATE t SET j = 'ab' WHERE id = 1", &["j: characters in all"]),
        ("UPDATE t SET k = '\\x' WHERE id = 1", &["k: bytes in all"]),
        (
            "UPDATE t SET l = '118f3c5e-7a1b-7c2d-8e3f-a0b1c2d3e4f0' WHERE id = 2",
            &["l: smallest value", "l: largest value"],
        ),
        ("UPDATE t SET m = '[ ]' WHERE id = 2", &["m: bytes in all"]),
        ("UPDATE t SET n = '{}' WHERE id = 2", &["n: number of JSON objects"]),
        ("UPDATE t SET o = 'infinity' WHERE id = 1", &["o: largest value"]),
        ("UPDATE t SET p = '00:00:00.000001' WHERE id = 2", &["p: smallest value"]),
        ("UPDATE t SET q = q + interval '1 second' WHERE id = 1", &["q: largest value"]),
        ("UPDATE t SET r = r - interval '1 hour' WHERE id = 1", &["r: smallest value"]),
        ("UPDATE t SET s = 'glad' WHERE id = 1", &["s: bytes in all"]),
        ("DELETE FROM t WHERE id = 3", &["number of rows", "id: number of values", "id: sum", "id: largest value"]),
    ] {
        assert_eq!(disputed(&source, &target, wrong, Level::Aggregates), expect, "{wrong}");
    }
    check_equal(&verify(&source.path, &target, Level::Aggregates));
}

#[test]
fn level_counts_counts_rows_and_says_how_many_are_too_few() {
    let source = Source::sql("CREATE TABLE t (a INTEGER PRIMARY KEY, b); INSERT INTO t (b) VALUES (1), (2), (3)");
    let (target, _) = moved(&source);
    let there = session(&target);
    there.batch("UPDATE t SET b = 0").expect("other values, as many rows");
    let found = verify(&source.path, &target, Level::Counts);
    check_equal(&found);
    assert_eq!((found.planted, found.figures, found.cast), (0, 1, 0));
    there.batch("DELETE FROM t WHERE a > 1").expect("fewer rows");
    let found = verify(&source.path, &target, Level::Counts);
    let Outcome::Different(differences) = &found.tables[0].outcome else { panic!("{found:#?}") };
    assert_eq!(
        (differences.missing, differences.extra, &*differences.disputed),
        (2, 0, &["number of rows".to_owned()][..])
    );
}

#[test]
fn stand_ins_are_no_quarrel_about_lengths() {
    let source = Source::sql("CREATE TABLE t (a TEXT, b TEXT); INSERT INTO t VALUES (CAST(x'61ff62' AS TEXT), 'x')");
    let (target, found) = moved(&source);
    check_equal(&found);
    check_equal(&verify(&source.path, &target, Level::Aggregates));
    session(&target).batch("UPDATE t SET b = 'xy'").expect("another length");
    assert_eq!(disputed(&source, &target, "UPDATE t SET b = 'xy'", Level::Aggregates), ["b: bytes in all"]);
}

#[test]
fn moments_are_compared_in_every_form_that_sqlite_reads() {
    for (first, last) in [
        ("2024-01-01T00:00:00.9999999Z", "2024-06-01T00:00:59.999999Z"),
        ("2024-01-01T00:00+02:00", "2024-06-01T00:00:01.5-11:30"),
        ("2024-01-01", "2024-06-01 12:00"),
        ("2024-01-01T00:00+0200", "2024-06-01T00:00+02"),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"),
    ] {
        let rows = format!("('{first}'), ('{last}'), (NULL), ('2024-02-02T02:02:02Z')");
        let source = Source::sql(&format!("CREATE TABLE t (a TIMESTAMP); INSERT INTO t VALUES {rows}"));
        let (target, found) = moved(&source);
        check_equal(&found);
        check_equal(&verify(&source.path, &target, Level::Aggregates));
    }
    for unit in ["1", "1000", "1000000", "1000000000"] {
        let sql = format!(
            "CREATE TABLE t (created_at TIMESTAMP); INSERT INTO t VALUES (1700000000 * {unit}), (1600000001 * {unit})"
        );
        let source = Source::sql(&sql);
        let (target, found) = moved(&source);
        check_equal(&found);
        check_equal(&verify(&source.path, &target, Level::Aggregates));
        assert_eq!(
            session(&target)
                .query_one("SELECT pg_typeof(created_at)::text FROM t LIMIT 1", &[])
                .expect("a type")
                .get::<_, String>(0),
            "timestamp with time zone"
        );
        let wrong = "UPDATE t SET created_at = created_at + interval '1 microsecond'";
        assert_eq!(disputed(&source, &target, wrong, Level::Aggregates).len(), 2, "{unit}");
    }
}

// ---------------------------------------------------------------------------------------------------------
// A sample that PostgreSQL reads itself
// ---------------------------------------------------------------------------------------------------------

#[test]
fn postgresql_reads_every_type_and_finds_what_is_wrong() {
    let (source, target) = every_type();
    // Three rows of 23 columns, all of them.
    assert_eq!(verify(&source.path, &target, Level::Rows).cast, 69);
    let sampled = |column: &str| format!("{column}: sampled cells as PostgreSQL reads them");
    for (column, wrong) in [
        ("a", "UPDATE t SET a = NOT a"),
        ("b", "UPDATE t SET b = b / 2"),
        ("c", "UPDATE t SET c = c / 2 WHERE id = 1"),
        ("d", "UPDATE t SET d = '-0' WHERE id = 2"),
        ("e", "UPDATE t SET e = '-0' WHERE id = 2"),
        ("f", "UPDATE t SET f = f - 0.01 WHERE id = 1"),
        ("g", "UPDATE t SET g = 1.50000000001 WHERE id = 1"),
        ("h", "UPDATE t SET h = 'X' WHERE id = 1"),
        ("i", "UPDATE t SET i = 'aBc' WHERE id = 1"),
        ("j", "UPDATE t SET j = 'aBc' WHERE id = 1"),
        ("k", "UPDATE t SET k = '\\x01' WHERE id = 1"),
        ("l", "UPDATE t SET l = NULL WHERE id = 1"),
        ("m", "UPDATE t SET m = '[]' WHERE id = 1"),
        ("n", "UPDATE t SET n = '{\"a\": 1.0}' WHERE id = 1"),
        ("o", "UPDATE t SET o = o - 1 WHERE id = 1"),
        ("p", "UPDATE t SET p = p - interval '1 microsecond' WHERE id = 1"),
        ("q", "UPDATE t SET q = q + interval '1 microsecond' WHERE id = 1"),
        ("r", "UPDATE t SET r = r - interval '1 microsecond' WHERE id = 2"),
        ("s", "UPDATE t SET s = 'glad' WHERE id = 1"),
        ("h", "UPDATE t SET h = '' WHERE id = 3"),
    ] {
        let words = disputed(&source, &target, wrong, Level::Rows);
        assert!(words.contains(&sampled(column)), "{wrong}: {words:?}");
    }
    let words = disputed(&source, &target, "DELETE FROM t WHERE id = 2", Level::Rows);
    assert!(words.contains(&"sampled rows that are not there".to_owned()), "{words:?}");
}

#[test]
fn postgresql_knows_the_zone_of_a_wall_clock() {
    let rows = "('2024-07-01 12:00'), ('2024-01-01T12:00:00.25'), ('2024-01-01T12:00Z'), ('1900-01-01 00:00'), (NULL)";
    let source = Source::sql(&format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at TIMESTAMP); INSERT INTO t (at) VALUES {rows}"
    ));
    let mut options = options(&source);
    options.types.assume_tz = Some(Naive::Zone("Europe/Berlin".to_owned()));
    let tried = attempt(&options);
    let found = tried.result.unwrap_or_else(|e| panic!("{}", told(&e))).verification.expect("it was compared");
    check_equal(&found);
    // Both columns, but for the one time of long ago.
    assert_eq!(found.cast, 9);
    let wrong = "UPDATE t SET at = at + interval '1 hour' WHERE id = 1";
    assert_eq!(disputed(&source, &tried.target, wrong, Level::Rows), ["at: sampled cells as PostgreSQL reads them"]);
}

#[test]
fn large_tables_are_sampled_from_end_to_end_by_any_key() {
    let source = Source::sql(
        "CREATE TABLE t (a TEXT, b INTEGER, c REAL, PRIMARY KEY (a, b));
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO t SELECT 'Key ' || (i % 7), i, i / 8.0 FROM n;
         CREATE TABLE keyless (a); INSERT INTO keyless VALUES (1)",
    );
    let (target, found) = moved(&source);
    check_equal(&found);
    let few = found.cast;
    let found = verify(&source.path, &target, Level::Rows);
    check_equal(&found);
    assert!(few >= 3 * 256 && found.cast >= 3 * 1024, "{few} {}", found.cast);
    let words = disputed(&source, &target, "UPDATE t SET c = -c", Level::Rows);
    assert!(words.contains(&"c: sampled cells as PostgreSQL reads them".to_owned()), "{words:?}");
}
