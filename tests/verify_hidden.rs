//! Ways in which a target may look equal without being it: what the server shows is not what the table holds.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::model::verdict::{Level, Outcome, Sample, SampleSize};
use lite2pg::postgres::{Environment, Target};
use lite2pg::run::{self, Options};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use support::compared::{Compared, by_hand, compare, compare_with};
use support::program::{migrate, source, url, value, verify};
use support::scenario::Listener;
use support::{database, session, told};
use tempfile::TempDir;

const SIMPLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n REAL);
    INSERT INTO t VALUES (1, 'a', 0.5), (2, 'b', 1.5), (3, NULL, NULL)";

fn moved(sql: &str) -> (TempDir, PathBuf, Target) {
    let (dir, path) = source(sql);
    let target = database();
    run::migrate(&Options::new(&path), &target, &Listener::default(), &AtomicBool::new(false))
        .unwrap_or_else(|e| panic!("{}", told(&e)));
    (dir, path, target)
}

// The same person as another role, who may read everything that policies let through.
fn reader(target: &Target, name: &str, rights: &str) -> Target {
    let dbname = value(&session(target), "current_database()");
    session(target)
        .batch(&format!(
            "CREATE ROLE {name} LOGIN; GRANT CONNECT ON DATABASE {dbname} TO {name}; GRANT USAGE ON SCHEMA public TO {name};
             GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name};
             GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {name}; {rights}"
        ))
        .unwrap_or_else(|e| panic!("{}", told(&e)));
    let text = format!("host={} port={} user={name} dbname={dbname}", target.host(), target.port());
    Target::parse(&text, &Environment::of_process()).unwrap()
}

fn at(path: &Path, target: &Target, level: Level) -> lite2pg::Result<Compared> {
    let mut options = Options::new(path);
    options.wish.level = level;
    options.wish.sample = Sample { size: SampleSize::RowsPerTable(2), seed: 1 };
    compare_with(&options, target)
}

#[test]
fn rows_that_a_policy_hides_are_not_passed_over_in_silence() {
    for (i, control) in ["", "GRANT USAGE ON SCHEMA lite2pg TO"].into_iter().enumerate() {
        let (_dir, path, target) = moved(SIMPLE);
        let name = format!("sees_a_part_{i}");
        let rights = if control.is_empty() {
            "DROP SCHEMA lite2pg CASCADE".to_owned()
        } else {
            format!("{control} {name}; GRANT SELECT ON ALL TABLES IN SCHEMA lite2pg TO {name}")
        };
        let part = reader(&target, &name, &rights);
        compare(&path, &part).is_equal();
        // More than the source has, and a policy that hides just that.
        session(&target)
            .batch(
                "INSERT INTO t VALUES (4, 'hidden', 0); ALTER TABLE t ENABLE ROW LEVEL SECURITY;
                 CREATE POLICY a_part ON t FOR SELECT USING (id < 4)",
            )
            .unwrap();
        for level in [Level::Counts, Level::Aggregates, Level::Sample, Level::Rows] {
            let Err(error) = at(&path, &part, level) else { panic!("{level:?} looks at a part") };
            assert!(told(&error).contains("row security hides rows of `t`"), "{level:?}: {}", told(&error));
        }
        compare(&path, &target).finds("t", &["extra id=4"]);
    }
}

#[test]
fn rows_that_a_policy_hides_are_not_passed_over_where_only_the_run_knows_their_table() {
    let (_dir, path) =
        // Of two names that would meet, one gets a name that only the run knows.
        source("CREATE TABLE my_thing (id INTEGER PRIMARY KEY); INSERT INTO my_thing VALUES (1), (2);
                CREATE TABLE \"MyThing\" (id INTEGER PRIMARY KEY); INSERT INTO \"MyThing\" VALUES (1), (2)");
    let target = database();
    migrate([path.to_str().unwrap(), &url(&target), "--identifiers", "snake"]).exits(0);
    let sql = "SELECT relname::text FROM pg_class WHERE relname LIKE 'my_thing_%' AND relkind = 'r'";
    let renamed = value(&session(&target), sql);
    let rights =
        "GRANT USAGE ON SCHEMA lite2pg TO sees_less; GRANT SELECT ON ALL TABLES IN SCHEMA lite2pg TO sees_less";
    let part = reader(&target, "sees_less", rights);
    compare(&path, &part).is_equal();
    session(&target)
        .batch(&format!(
            "INSERT INTO {renamed} VALUES (3); ALTER TABLE {renamed} ENABLE ROW LEVEL SECURITY;
             CREATE POLICY a_part ON {renamed} FOR SELECT USING (id < 3)"
        ))
        .unwrap();
    for level in [Level::Counts, Level::Aggregates, Level::Sample, Level::Rows, Level::Hash] {
        let compared = at(&path, &part, level).unwrap_or_else(|e| panic!("{level:?}: {}", told(&e)));
        let Outcome::Unverified { why } = &compared.table("MyThing").outcome else { panic!("{level:?}") };
        assert!(why.contains("BYPASSRLS") && !compared.verification.agrees(), "{level:?}: {why}");
    }
}

#[test]
fn a_view_in_the_place_of_a_table_is_not_the_table() {
    for view in [
        "CREATE VIEW t AS SELECT id, v, n FROM t_old WHERE id < 4",
        "CREATE MATERIALIZED VIEW t AS SELECT id, v, n FROM t_old WHERE id < 4",
        // Other types, whose bytes read as the same values.
        "CREATE VIEW t AS SELECT id::int4, convert_to(v, 'UTF8') AS v, n FROM t_old WHERE id < 4",
        "CREATE VIEW t AS SELECT id, v::bytea AS v, n FROM t_old WHERE id < 4",
    ] {
        let (_dir, path, target) = moved(SIMPLE);
        session(&target)
            .batch(&format!("ALTER TABLE t RENAME TO t_old; INSERT INTO t_old VALUES (4, 'd', 4); {view}"))
            .unwrap();
        for level in [Level::Counts, Level::Aggregates, Level::Sample, Level::Rows] {
            let compared = at(&path, &target, level).unwrap_or_else(|e| panic!("{view}: {}", told(&e)));
            assert!(!compared.verification.agrees(), "{view}, {level:?}: {:?}", compared.verification);
        }
        session(&target).batch("DROP SCHEMA lite2pg CASCADE").unwrap();
        let compared = compare(&path, &target);
        assert!(!compared.verification.agrees(), "{view}: {:?}", compared.verification);
    }
}

#[test]
fn a_foreign_table_in_the_place_of_a_table_is_not_the_table() {
    let (_dir, path, target) = moved(SIMPLE);
    let made = session(&target).batch(
        "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; ALTER TABLE t RENAME TO t_old;
         CREATE FOREIGN TABLE t (id int8, v text, n float8) SERVER files OPTIONS (program 'printf \"1\\ta\\t0.5\\n2\\tb\\t1.5\\n3\\t\\\\N\\t\\\\N\\n\"')",
    );
    made.unwrap_or_else(|e| panic!("{}", told(&e)));
    let compared = compare(&path, &target);
    assert!(!compared.verification.agrees(), "{:?}", compared.verification);
}

#[test]
fn rows_of_partitions_and_of_children_are_rows_of_their_table() {
    let sqlite = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')";
    let parts = "CREATE TABLE t (id int8, v text) PARTITION BY RANGE (id);
         CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (3);
         CREATE TABLE t_rest PARTITION OF t DEFAULT; INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')";
    let children = "CREATE TABLE t (id int8, v text); CREATE TABLE child (own int8) INHERITS (t);
         INSERT INTO t VALUES (1, 'a'); INSERT INTO child VALUES (2, 'b'), (3, 'c')";
    for postgres in [parts, children] {
        by_hand(sqlite, postgres).is_equal();
        by_hand(sqlite, &format!("{postgres}; UPDATE t SET v = 'x' WHERE id = 3")).finds("t", &["missing ", "extra "]);
        by_hand(sqlite, &format!("{postgres}; DELETE FROM t WHERE id = 2")).finds("t", &["missing "]);
        by_hand(sqlite, &format!("{postgres}; INSERT INTO t VALUES (4, 'd')")).finds("t", &["extra "]);
    }
    // A partition that was taken out is not there any more, whatever it holds.
    by_hand(sqlite, &format!("{parts}; ALTER TABLE t DETACH PARTITION t_low")).finds("t", &["missing ", "missing "]);
}

#[test]
fn a_table_of_another_schema_or_session_is_not_the_table() {
    let sqlite = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')";
    let (_dir, path) = source(sqlite);
    let target = database();
    let admin = session(&target);
    let name = value(&admin, "quote_ident(current_database())");
    admin
        .batch(&format!(
            "CREATE TABLE public.t (id int8, v text); INSERT INTO public.t VALUES (1, 'a'), (2, 'x');
             CREATE SCHEMA other; CREATE TABLE other.t (id int8, v text); INSERT INTO other.t VALUES (1, 'a'), (2, 'b');
             ALTER DATABASE {name} SET search_path = other, public, pg_temp"
        ))
        .unwrap();
    compare(&path, &target).finds("t", &["missing ", "extra "]);
    let mut options = Options::new(&path);
    options.schema = "other".to_owned();
    compare_with(&options, &target).unwrap().is_equal();
    // Functions and a catalog that somebody put in front of the server's own.
    admin
        .batch(&format!(
            "CREATE FUNCTION other.pg_table_size(regclass) RETURNS int8 LANGUAGE sql AS 'SELECT 0::int8';
             CREATE FUNCTION other.pg_relation_size(regclass) RETURNS int8 LANGUAGE sql AS 'SELECT 0::int8';
             CREATE TABLE other.pg_class AS SELECT * FROM pg_catalog.pg_class;
             ALTER DATABASE {name} SET search_path = other, pg_catalog, public"
        ))
        .unwrap();
    compare(&path, &target).finds("t", &["missing ", "extra "]);
    compare_with(&options, &target).unwrap().is_equal();
}

#[test]
fn values_that_only_postgresql_has_are_no_source_s() {
    let (mut sqlite, mut postgres, mut same) = (String::new(), String::new(), Vec::new());
    let kinds = [
        ("numeric", "NUMERIC", "'NaN'"),
        ("numeric", "NUMERIC", "'Infinity'"),
        ("numeric", "NUMERIC", "'-Infinity'"),
        ("float8", "REAL", "'NaN'"),
        ("float8", "REAL", "'-Infinity'"),
        ("float8", "REAL", "'-0'"),
        ("float4", "REAL", "'Infinity'"),
        ("date", "DATE", "'infinity'"),
        ("timestamp", "DATETIME", "'-infinity'"),
        ("timestamptz", "DATETIME", "'infinity'"),
        ("timestamptz", "DATETIME", "'4713-01-01 00:00:00 BC'"),
        ("time", "TIME", "'24:00'"),
    ];
    let sources = ["NULL", "0", "0.0", "''", "'NaN'", "'Infinity'", "'infinity'", "9e999", "-9e999"];
    for (k, (column, declared, there)) in kinds.into_iter().enumerate() {
        for (s, here) in sources.into_iter().enumerate() {
            let name = format!("t_{k}_{s}");
            let _ = write!(
                sqlite,
                "CREATE TABLE {name} (id INTEGER PRIMARY KEY, v {declared}); INSERT INTO {name} VALUES (1, {here});"
            );
            let _ = write!(
                postgres,
                "CREATE TABLE {name} (id int8 PRIMARY KEY, v {column}); INSERT INTO {name} VALUES (1, {there});"
            );
            // A REAL may be infinite on both sides.
            if column.starts_with("float")
                && matches!((here, there), ("9e999", "'Infinity'") | ("-9e999", "'-Infinity'"))
            {
                same.push(name);
            }
        }
    }
    let compared = by_hand(&sqlite, &postgres);
    assert_eq!(compared.verification.tables.len(), kinds.len() * sources.len());
    for table in &compared.verification.tables {
        let is_equal = matches!(table.outcome, Outcome::Equal);
        assert_eq!(is_equal, same.contains(&table.source), "{table:?}");
    }
}

#[test]
fn blanks_count_but_for_those_that_char_fills_up_with() {
    let cells = |column: &str, source: &str, there: &str| {
        by_hand(
            &format!("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, {source})"),
            &format!(
                "CREATE DOMAIN padded AS char(5); CREATE DOMAIN short AS varchar(5);
                      CREATE TABLE t (id int8 PRIMARY KEY, v {column}); INSERT INTO t VALUES (1, {there})"
            ),
        )
    };
    for column in ["char(5)", "padded"] {
        cells(column, "'ab'", "'ab'").is_equal();
        cells(column, "'ab   '", "'ab'").is_equal();
        cells(column, "' ab'", "'ab'").finds("t", &["changed id=1 v"]);
        cells(column, "'ab' || char(9)", "'ab'").finds("t", &["changed id=1 v"]);
        cells(column, "NULL", "''").finds("t", &["changed id=1 v"]);
        cells(column, "'abcdef'", "'abcde'").finds("t", &["changed id=1 v"]);
        cells(column, "'ab    '", "'ab'").finds("t", &["changed id=1 v"]);
    }
    for column in ["varchar(5)", "short", "text", "bpchar"] {
        cells(column, "'ab'", "'ab'").is_equal();
        cells(column, "'ab '", "'ab'").finds("t", &["changed id=1 v"]);
        cells(column, "'ab'", "'ab '").finds("t", &["changed id=1 v"]);
    }
}

#[test]
fn a_column_that_came_and_went_moves_no_other() {
    let (_dir, path, target) = moved(SIMPLE);
    let there = session(&target);
    there
        .batch(
            "ALTER TABLE t ADD own text DEFAULT 'x'; ALTER TABLE t DROP own; ALTER TABLE t ADD own2 int8 DEFAULT 7;
             ALTER TABLE t RENAME v TO w; ALTER TABLE t ADD v text; UPDATE t SET v = w; ALTER TABLE t DROP w",
        )
        .unwrap();
    compare(&path, &target).is_equal();
    there.batch("UPDATE t SET v = 'c' WHERE id = 3").unwrap();
    compare(&path, &target).finds("t", &["changed id=3 v"]);
    // Two columns of one type that swapped their names.
    let (_dir, path, target) =
        moved("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT); INSERT INTO t VALUES (1, 'a', 'b')");
    session(&target)
        .batch("ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME x TO b")
        .unwrap();
    compare(&path, &target).finds("t", &["changed id=1 a", "changed id=1 b"]);
}

#[test]
fn large_values_are_compared_to_their_last_byte_however_they_are_stored() {
    let (_dir, path, target) = moved(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, b BLOB);
         INSERT INTO t VALUES (1, replace(hex(zeroblob(300000)), '0', 'x'), zeroblob(300000)), (2, 'y', x'00')",
    );
    let there = session(&target);
    for storage in ["EXTERNAL", "EXTENDED", "MAIN"] {
        there
            .batch(&format!(
                "ALTER TABLE t ALTER v SET STORAGE {storage}, ALTER b SET STORAGE {storage}; UPDATE t SET v = v || '', b = b || ''"
            ))
            .unwrap();
        compare(&path, &target).is_equal();
        there.batch("UPDATE t SET v = overlay(v placing 'y' from 600000 for 1) WHERE id = 1").unwrap();
        compare(&path, &target).finds("t", &["changed id=1 v"]);
        there
            .batch("UPDATE t SET v = overlay(v placing 'x' from 600000 for 1), b = set_byte(b, 299999, 1) WHERE id = 1")
            .unwrap();
        compare(&path, &target).finds("t", &["changed id=1 b"]);
        there.batch("UPDATE t SET b = set_byte(b, 299999, 0) WHERE id = 1").unwrap();
    }
    there.batch("ALTER TABLE t SET UNLOGGED").unwrap();
    compare(&path, &target).is_equal();
}

#[test]
fn a_row_that_was_set_aside_and_is_there_all_the_same_is_found() {
    let (dir, path) = source(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 1), (2, 'two'), (3, 3), (4, 4)",
    );
    let target = database();
    let there = session(&target);
    there.batch("CREATE TABLE t (id int8 PRIMARY KEY, n int8)").unwrap();
    let rejects = dir.path().join("rejects");
    let arguments = ["--data-only", "--on-error", "reject", "--rejects-dir", rejects.to_str().unwrap()];
    migrate([path.to_str().unwrap(), &url(&target)].iter().chain(&arguments)).exits(4);
    compare(&path, &target).is_equal();
    for level in [Level::Counts, Level::Aggregates, Level::Rows] {
        there.batch("INSERT INTO t VALUES (2, 2)").unwrap();
        assert!(!at(&path, &target, level).unwrap().verification.agrees(), "{level:?}: one row too many");
        there.batch("DELETE FROM t WHERE id = 3").unwrap();
        if level == Level::Rows {
            compare(&path, &target).finds("t", &["extra id=2", "missing id=3"]);
        }
        there.batch("DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (3, 3)").unwrap();
    }
    // A row that nobody set aside is not forgiven because a note says so of another.
    there.batch("DELETE FROM t WHERE id = 4").unwrap();
    compare(&path, &target).finds("t", &["missing id=4"]);
}

#[test]
fn a_value_that_was_replaced_is_what_its_policy_says_and_nothing_else() {
    let (_dir, path) = source(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, m INTEGER); INSERT INTO t VALUES (1, 1, 1), (2, 'two', 'two'), (3, 3, 3), (4, NULL, NULL)",
    );
    let target = database();
    let there = session(&target);
    there.batch("CREATE TABLE t (id int8 PRIMARY KEY, n int8, m int8 DEFAULT 7)").unwrap();
    let arguments = ["--data-only", "--on-error", "t.n=null", "--on-error", "t.m=default"];
    migrate([path.to_str().unwrap(), &url(&target)].iter().chain(&arguments)).exits(0);
    compare(&path, &target).is_equal();
    for (change, found) in [
        ("UPDATE t SET n = 2 WHERE id = 2", "changed id=2 n"),
        ("UPDATE t SET n = NULL WHERE id = 3", "changed id=3 n"),
        ("UPDATE t SET m = NULL WHERE id = 2", "changed id=2 m"),
        ("UPDATE t SET m = 7 WHERE id = 4", "changed id=4 m"),
        ("UPDATE t SET m = 7 WHERE id = 3", "changed id=3 m"),
    ] {
        there.batch(&format!("CREATE TABLE kept AS TABLE t; {change}")).unwrap();
        compare(&path, &target).finds("t", &[found]);
        there.batch("TRUNCATE t; INSERT INTO t TABLE kept; DROP TABLE kept").unwrap();
    }
    // Another default since does not make another value right.
    there.batch("ALTER TABLE t ALTER m SET DEFAULT 8; UPDATE t SET m = 8 WHERE id = 2").unwrap();
    compare(&path, &target).finds("t", &["changed id=2 m"]);
}

#[test]
fn a_generated_column_that_computes_something_else_is_found() {
    let (_dir, path) = source(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER AS (a * 2) STORED); INSERT INTO t (id, a) VALUES (1, 1), (2, 0)",
    );
    for (there, expect) in [
        ("b int8 GENERATED ALWAYS AS (a * 2) STORED", &[][..]),
        ("b int8 GENERATED ALWAYS AS (a * 3) STORED", &["changed id=1 b"]),
    ] {
        let target = database();
        session(&target)
            .batch(&format!(
                "CREATE TABLE t (id int8 PRIMARY KEY, a int8, {there}); INSERT INTO t (id, a) VALUES (1, 1), (2, 0)"
            ))
            .unwrap();
        compare(&path, &target).finds("t", expect);
    }
    verify([path.to_str().unwrap(), &url(&database())]).exits(5);
}
