//! Values that break a stated type: each line of the table in docs/values.md under every policy, and what the table's prose
//! promises about strictness, ledger and resuming.
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails with the place")]
#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::Kind;
use lite2pg::model::event::Summary;
use lite2pg::model::pg_type::PgType;
use lite2pg::model::policy::{Policy, Rules};
use lite2pg::model::verdict::Verification;
use lite2pg::run::{self, Options, RejectLimits};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use support::scenario::{Moved, Source, attempt, migrate_with};
use support::told;
use tempfile::TempDir;

/// A line of docs/values.md.
#[derive(Debug, Clone)]
struct Case {
    value: String,
    sql: String,
    declared: String,
    inferred: String,
    stated: PgType,
    reason: String,
}

impl Case {
    /// A value that the stated type takes, and its look on the target.
    fn good(&self) -> (&'static str, &'static str) {
        match self.stated {
            PgType::Int2 | PgType::Int4 | PgType::Int8 => ("7", "7"),
            PgType::Float4 => ("0.5", "0.5"),
            PgType::Bool => ("1", "true"),
            PgType::Uuid => ("'018f4e2a-9b7c-7def-8123-456789abcdef'", "018f4e2a-9b7c-7def-8123-456789abcdef"),
            PgType::Jsonb => ("'{\"a\": 1}'", "{\"a\": 1}"),
            PgType::Date => ("'2024-05-06'", "2024-05-06"),
            PgType::Timestamp => ("'2024-05-06 07:08:09'", "2024-05-06 07:08:09"),
            PgType::TimestampTz => ("'2024-05-06 07:08:09Z'", "2024-05-06 07:08:09+00"),
            PgType::Numeric(_) => ("1.25", "1.25"),
            _ => ("'ok'", "ok"),
        }
    }
}

fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/values.md");
        let text = std::fs::read_to_string(path).unwrap();
        let table = text.split_once("| value | as SQL |").expect("the table is there").1;
        let lines = table.lines().skip(2).take_while(|l| l.starts_with('|'));
        let cases: Vec<Case> = lines
            .map(|line| {
                let line = line.replace("\\|", "\u{1}");
                let cells: Vec<String> = line
                    .trim_matches('|')
                    .split('|')
                    .map(|c| c.trim().trim_matches('`').replace('\u{1}', "|"))
                    .collect();
                let [value, sql, declared, inferred, stated, reason] = cells.try_into().expect("six cells a line");
                let stated = PgType::parse(&stated).expect("a type");
                Case { value, sql, declared, inferred, stated, reason }
            })
            .collect();
        assert!(cases.len() >= 30, "{} lines", cases.len());
        cases
    })
}

/// A table a case: an ordinary value before and behind the hostile one. Every column has a default.
fn source() -> Source {
    let mut sql = String::new();
    for (n, case) in cases().iter().enumerate() {
        let (good, _) = case.good();
        let Case { sql: bad, declared, .. } = case;
        let _ = writeln!(
            sql,
            "CREATE TABLE c{n} (id INTEGER PRIMARY KEY, v {declared} DEFAULT {good}, after TEXT);
             INSERT INTO c{n} VALUES (1, {good}, 'a'), (2, {bad}, 'b'), (3, {good}, 'c');"
        );
    }
    Source::sql(&sql)
}

fn rules(policy: Policy) -> Rules {
    let types = cases().iter().enumerate().map(|(n, case)| (format!("c{n}.v"), case.stated.clone())).collect();
    Rules { types, policies: vec![(None, policy)], ..Rules::default() }
}

struct Ran {
    moved: Moved,
    folder: TempDir,
}

fn ran(policy: Policy) -> Ran {
    let source = source();
    let folder = TempDir::new().unwrap();
    let rejects = RejectLimits { folder: folder.path().to_path_buf(), ..RejectLimits::default() };
    let moved = migrate_with(&Options { rules: rules(policy), rejects, ..Options::new(&source.path) });
    assert!(
        moved.summary.verification.as_ref().is_some_and(Verification::is_equal),
        "{:?}",
        moved.summary.verification
    );
    Ran { moved, folder }
}

fn rows(moved: &Moved, n: usize) -> Vec<(String, Option<String>)> {
    let rows = moved.query(&format!("SELECT id, v, after FROM c{n} ORDER BY id"));
    rows.into_iter().map(|row| (row[0].clone().unwrap(), row[1].clone())).collect()
}

/// What SQLite says of the hostile cell: its class, and its bytes in hexadecimal.
fn original(source: &Source, n: usize) -> (String, String) {
    let sql = format!("SELECT typeof(v), hex(CAST(v AS BLOB)) FROM c{n} WHERE id = 2");
    source.open().query_row(&sql, [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap()
}

#[test]
fn left_to_the_rows_every_hostile_value_arrives_whole() {
    let source = source();
    let moved = migrate_with(&Options::new(&source.path));
    assert!(moved.summary.verification.as_ref().is_some_and(Verification::is_equal));
    assert!(moved.summary.rejects.is_empty());
    for (n, case) in cases().iter().enumerate() {
        assert_eq!(moved.type_of(&format!("c{n}"), "v"), case.inferred, "{}", case.value);
        assert_eq!(rows(&moved, n).len(), 3, "{}", case.value);
    }
}

#[test]
fn under_fail_each_ends_the_run_before_anything_is_written() {
    let source = source();
    for (n, case) in cases().iter().enumerate() {
        let include = vec![format!("c{n}")];
        let types = vec![(format!("c{n}.v"), case.stated.clone())];
        let rules = Rules { types, ..Rules::default() };
        let tried = attempt(&Options { rules, include, ..Options::new(&source.path) });
        let error = tried.result.map(|_| ()).expect_err(&case.value);
        assert_eq!(error.kind(), Kind::Blocked, "{}: {}", case.value, told(&error));
        let told = told(&error);
        let reason =
            if case.reason.starts_with("text that holds NUL") { "a value that it refuses" } else { &case.reason };
        for word in [reason, "at key 2", "nothing was written", "reject"] {
            assert!(told.contains(word), "{}: `{word}` is not in\n{told}", case.value);
        }
        let session = support::session(&tried.target);
        assert_eq!(
            support::program::value(&session, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
            "0"
        );
    }
}

#[test]
fn under_reject_each_row_is_set_aside_with_its_reason_and_the_others_arrive() {
    let Ran { moved, folder } = ran(Policy::Reject);
    let source = source();
    for (n, case) in cases().iter().enumerate() {
        let (_, good) = case.good();
        let expect = [("1".to_owned(), Some(good.to_owned())), ("3".to_owned(), Some(good.to_owned()))];
        assert_eq!(rows(&moved, n), expect, "{}", case.value);
        let found = moved.summary.rejects.iter().find(|r| r.table == format!("c{n}")).expect("rows set aside");
        assert_eq!(found.rows, 1, "{}", case.value);
        let reason = &found.reasons[0];
        assert_eq!(
            (reason.column.as_deref(), reason.reason.as_str()),
            (Some("v"), case.reason.as_str()),
            "{}",
            case.value
        );
        assert_eq!(reason.keys, [2]);
        // The list holds the row as SQL, which makes the same cell again.
        let mut list = csv::Reader::from_path(folder.path().join(format!("c{n}.csv"))).unwrap();
        assert_eq!(list.headers().unwrap(), vec!["rowid", "column", "reason", "sqlstate", "value", "id", "v", "after"]);
        let lines: Vec<csv::StringRecord> = list.records().collect::<Result<_, _>>().unwrap();
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0][0], &lines[0][1], &lines[0][5], &lines[0][7]), ("2", "v", "2", "'b'"));
        assert_eq!(lines[0][4], lines[0][6]);
        let again = format!("SELECT v IS ({0}) AND typeof(v) = typeof({0}) FROM c{n} WHERE id = 2", &lines[0][6]);
        let same: bool = source.open().query_row(&again, [], |r| r.get(0)).unwrap();
        assert!(same, "{}: {}", case.value, &lines[0][6]);
    }
    let told = format!("{:?}", moved.query("SELECT * FROM lite2pg.reject"));
    for value in ["toto", "agent-7", "maybe", "abcdef"] {
        assert!(!told.contains(value), "the control schema holds no value");
    }
}

#[test]
fn under_null_each_becomes_null_and_is_kept() {
    let Ran { moved, .. } = ran(Policy::Null);
    assert_replaced(&moved, |_| None);
}

#[test]
fn under_default_each_becomes_the_default_and_is_kept() {
    let Ran { moved, .. } = ran(Policy::Default);
    assert_replaced(&moved, |case| Some(case.good().1.to_owned()));
}

fn assert_replaced(moved: &Moved, expect: impl Fn(&Case) -> Option<String>) {
    let source = source();
    assert!(moved.summary.rejects.is_empty());
    for (n, case) in cases().iter().enumerate() {
        let rows = rows(moved, n);
        let good = Some(case.good().1.to_owned());
        assert_eq!(rows.iter().map(|r| r.0.as_str()).collect::<Vec<_>>(), ["1", "2", "3"], "{}", case.value);
        // A default that the plan could not translate is NULL.
        let default = moved.one(&format!(
            "SELECT column_default FROM information_schema.columns \
                                          WHERE table_name = 'c{n}' AND column_name = 'v'"
        ));
        let there = expect(case).filter(|_| default.is_some());
        assert_eq!((&rows[0].1, &rows[1].1, &rows[2].1), (&good, &there, &good), "{}", case.value);
        let kept = moved.query(&format!(
            "SELECT key, column_name, class, upper(encode(bytes, 'hex')) FROM lite2pg.original WHERE table_name = 'c{n}'"
        ));
        let (class, bytes) = original(&source, n);
        assert_eq!(kept.len(), 1, "{}", case.value);
        let cells: Vec<&str> = kept[0].iter().map(|c| c.as_deref().unwrap()).collect();
        assert_eq!(cells[..3], ["2", "v", class.as_str()], "{}", case.value);
        if class == "text" || class == "blob" || class == "integer" {
            assert_eq!(cells[3], bytes, "{}", case.value);
        }
        let line =
            moved.summary.ledger.iter().find(|l| l.table == format!("c{n}") && l.rule.contains("in the place of"));
        let line = line.unwrap_or_else(|| panic!("{}: a line in the ledger", case.value));
        assert_eq!((line.column.as_str(), line.cells, line.keys.as_slice()), ("v", 1, &[2_i64][..]));
    }
}

#[test]
fn the_closest_policy_counts() {
    let source = Source::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT, c TEXT);
         INSERT INTO t VALUES (1, 'x', '1', '1'), (2, '1', 'x', '1'), (3, '1', '1', 'x'), (4, '1', '1', '1');
         CREATE TABLE u (id INTEGER PRIMARY KEY, a TEXT);
         INSERT INTO u VALUES (1, 'x'), (2, '2');",
    );
    let numeric = |name: &str| (name.to_owned(), PgType::Numeric(None));
    let on = |name: &str, policy| (Some(name.to_owned()), policy);
    let rules = Rules {
        types: ["t.a", "T.B", "t.c", "u.a"].map(numeric).into(),
        policies: vec![on("t.a", Policy::Null), (None, Policy::Default), on("t", Policy::Reject)],
        ..Rules::default()
    };
    let folder = TempDir::new().unwrap();
    let rejects = RejectLimits { folder: folder.path().to_path_buf(), ..RejectLimits::default() };
    let moved = migrate_with(&Options { rules, rejects, ..Options::new(&source.path) });
    let rows = |sql: &str| format!("{:?}", moved.query(sql)).replace("Some(", "").replace(')', "");
    assert_eq!(rows("SELECT id, a FROM t ORDER BY id"), r#"[["1", None], ["4", "1"]]"#);
    assert_eq!(rows("SELECT id, a FROM u ORDER BY id"), r#"[["1", None], ["2", "2"]]"#);
    assert_eq!(moved.summary.rejects[0].rows, 2);
}

#[test]
fn null_for_a_whole_run_means_fail_where_a_column_takes_none_and_says_so_beforehand() {
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL, w TEXT); INSERT INTO t VALUES (1, 'x', 'x');";
    let source = Source::sql(sql);
    let of = |column: &str| Rules {
        types: vec![(format!("t.{column}"), PgType::Int8)],
        policies: vec![(None, Policy::Null)],
        ..Rules::default()
    };
    let tried = attempt(&Options { rules: of("v"), ..Options::new(&source.path) });
    let error = tried.result.map(|_| ()).expect_err("v takes no NULL");
    assert_eq!(error.kind(), Kind::Blocked);
    assert!(told(&error).contains("nothing was written") && told(&error).contains("t.v=reject"), "{}", told(&error));
    let moved = migrate_with(&Options { rules: of("w"), ..Options::new(&source.path) });
    assert_eq!(moved.one("SELECT w IS NULL FROM t").as_deref(), Some("true"));
}

#[test]
fn a_stated_type_holds_for_the_columns_that_foreign_keys_compare_it_with() {
    let source = Source::sql(
        "CREATE TABLE p (id TEXT PRIMARY KEY);
         CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p);
         INSERT INTO p VALUES ('10'), ('11'); INSERT INTO c VALUES (1, '10'), (2, NULL);",
    );
    let rules = Rules { types: vec![("p.id".to_owned(), PgType::Numeric(None))], ..Rules::default() };
    let moved = migrate_with(&Options { rules, ..Options::new(&source.path) });
    assert_eq!((moved.type_of("p", "id"), moved.type_of("c", "p")), ("numeric".to_owned(), "numeric".to_owned()));
    assert_eq!(moved.refusal("INSERT INTO c VALUES (3, 99)").as_deref(), Some("23503"), "the key is in force");
}

#[test]
fn a_mixture_of_uuid_spellings_fits_a_stated_uuid() {
    let upper = "018F4E2A-9B7C-7DEF-8123-456789ABCDE1";
    let source = Source::sql(&format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT);
         INSERT INTO t VALUES (1, '018f4e2a-9b7c-7def-8123-456789abcde0'), (2, '{upper}'), (3, '{{{upper}}}'), (4, 'no');"
    ));
    let rules = Rules {
        types: vec![("t.u".to_owned(), PgType::Uuid)],
        policies: vec![(None, Policy::Null)],
        ..Rules::default()
    };
    let moved = migrate_with(&Options { rules, ..Options::new(&source.path) });
    assert_eq!(moved.one("SELECT count(u) FROM t").as_deref(), Some("3"));
    assert_eq!(moved.one("SELECT count(DISTINCT u) FROM t").as_deref(), Some("2"));
    assert!(moved.summary.verification.as_ref().is_some_and(Verification::is_equal));
}

#[test]
fn more_rejects_than_allowed_end_the_run_and_the_same_command_goes_on_under_another_bound() {
    let source = Source::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
             INSERT INTO t SELECT i, CASE WHEN i % 10 = 0 THEN 'x' ELSE '1' END FROM n;",
    );
    let folder = TempDir::new().unwrap();
    let limits = |most| RejectLimits { folder: folder.path().to_path_buf(), most, ..RejectLimits::default() };
    let rules = Rules {
        types: vec![("t.v".to_owned(), PgType::Numeric(None))],
        policies: vec![(None, Policy::Reject)],
        ..Rules::default()
    };
    let options = |most| Options { rules: rules.clone(), rejects: limits(most), ..Options::new(&source.path) };
    let tried = attempt(&options(9));
    let error = tried.result.map(|_| ()).expect_err("ten rows are more than nine");
    let told = told(&error);
    assert_eq!(error.kind(), Kind::Failed);
    for word in
        ["more than 9 rows", "`t.v`: text that is no number: 10 of them, as at key 10", "rolled back", "--max-rejects"]
    {
        assert!(told.contains(word), "`{word}` is not in\n{told}");
    }
    let summary = again(&options(10), &tried.target).unwrap();
    assert!(summary.resumed);
    assert_eq!((summary.tables[0].rows, summary.rejects[0].rows), (90, 10));
}

fn again(options: &Options, target: &lite2pg::postgres::Target) -> lite2pg::Result<Summary> {
    run::migrate(options, target, &lite2pg::model::event::Silent, &AtomicBool::new(false))
}

/// The profile reads places of a large table; what lies between them is met by the load.
#[test]
fn a_value_that_the_profile_missed_ends_the_run_and_a_policy_stated_then_goes_on() {
    let source = Source::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450000)
             INSERT INTO t SELECT i, '1' FROM n;
         UPDATE t SET v = 'late' WHERE id = 449990 - 3000;",
    );
    let types = vec![("t.v".to_owned(), PgType::Numeric(None))];
    let strict =
        Options { rules: Rules { types: types.clone(), ..Rules::default() }, jobs: 1, ..Options::new(&source.path) };
    let tried = attempt(&strict);
    let error = tried.result.map(|_| ()).expect_err("a text is no number");
    let words = told(&error);
    for word in ["`t.v` cannot be loaded into numeric", "at key 446990", "finished ranges are on the target", "=reject"]
    {
        assert!(words.contains(word), "`{word}` is not in\n{words}");
    }
    let folder = TempDir::new().unwrap();
    let rejects = RejectLimits { folder: folder.path().to_path_buf(), ..RejectLimits::default() };
    let rules = Rules { types, policies: vec![(Some("t.v".to_owned()), Policy::Reject)], ..Rules::default() };
    let summary = again(&Options { rules, rejects, ..strict }, &tried.target).unwrap();
    assert!(summary.resumed, "finished ranges are not copied again");
    assert_eq!((summary.tables[0].rows, summary.rejects[0].rows), (449_999, 1));
    assert!(summary.verification.as_ref().is_some_and(Verification::is_equal));
}

#[test]
fn a_replacing_policy_stays_for_the_rows_that_are_there() {
    let source = Source::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'x'), (2, '2');
         CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO u VALUES (1, 'x'), (2, 'y');",
    );
    let numeric = |name: &str| (name.to_owned(), PgType::Numeric(None));
    let of = |policy| Rules {
        types: vec![numeric("t.v"), numeric("u.v")],
        policies: vec![(Some("t".to_owned()), policy), (Some("u".to_owned()), Policy::Reject)],
        ..Rules::default()
    };
    let folder = TempDir::new().unwrap();
    let limits = |most| RejectLimits { folder: folder.path().to_path_buf(), most, ..RejectLimits::default() };
    let options = |policy, most| Options { rules: of(policy), rejects: limits(most), ..Options::new(&source.path) };
    let tried = attempt(&options(Policy::Null, 1));
    tried.result.map(|_| ()).expect_err("two rows are more than one");
    let error = again(&options(Policy::Reject, 5), &tried.target).map(|_| ()).expect_err("t was loaded with NULLs");
    assert_eq!(error.kind(), Kind::Blocked);
    assert!(told(&error).contains("`t.v` was loaded under the policy `null`"), "{}", told(&error));
    let summary = again(&options(Policy::Null, 5), &tried.target).unwrap();
    assert_eq!(summary.rejects.len(), 1);
}

#[test]
fn strict_refuses_before_what_the_plan_shows_and_after_what_only_the_rows_show() {
    let rewrites =
        Source::sql("CREATE TABLE t (id INTEGER PRIMARY KEY, j TEXT); INSERT INTO t VALUES (1, '{\"b\":1,\"a\":2}');");
    let error =
        attempt(&Options { strict: true, ..Options::new(&rewrites.path) }).result.map(|_| ()).expect_err("jsonb");
    assert_eq!(error.kind(), Kind::Blocked);
    let words = told(&error);
    assert!(words.contains("`t.j` as jsonb: JSON text normalised") && words.contains("nothing was written"), "{words}");

    let warns = Source::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x');
         CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END;",
    );
    let error =
        attempt(&Options { strict: true, ..Options::new(&warns.path) }).result.map(|_| ()).expect_err("a trigger");
    assert!(told(&error).contains("`g`: trigger on `t` not translated"), "{}", told(&error));

    let clean = Source::sql("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x');");
    let summary = attempt(&Options { strict: true, ..Options::new(&clean.path) }).result.unwrap();
    assert!(run::strictly(&summary).is_none());

    // Only the server finds the orphan, once all rows are there.
    let orphan = Source::sql(
        "PRAGMA foreign_keys = OFF; CREATE TABLE p (id INTEGER PRIMARY KEY);
         CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p); INSERT INTO c VALUES (1, 9);",
    );
    let summary = attempt(&Options { strict: true, ..Options::new(&orphan.path) }).result.unwrap();
    let error = run::strictly(&summary).expect("a key that is not valid");
    assert_eq!(error.kind(), Kind::Different);
    assert!(told(&error).contains("the rows are on the target"), "{}", told(&error));
}

#[test]
fn rules_that_cannot_be_kept_are_refused_by_name() {
    let source = Source::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL, d TEXT DEFAULT (lower(hex(randomblob(4)))));
         INSERT INTO t VALUES (1, 'x', 'y');",
    );
    let check = |types: Vec<(&str, PgType)>, policies: Vec<(&str, Policy)>, words: &[&str]| {
        let rules = Rules {
            types: types.into_iter().map(|(n, t)| (n.to_owned(), t)).collect(),
            policies: policies.into_iter().map(|(n, p)| (Some(n.to_owned()), p)).collect(),
            ..Rules::default()
        };
        let result = attempt(&Options { rules, ..Options::new(&source.path) }).result;
        let told = told(&result.map(|_| ()).expect_err("refused"));
        for word in words {
            assert!(told.contains(word), "`{word}` is not in\n{told}");
        }
    };
    check(vec![("t.vx", PgType::Text)], vec![], &["`--type` names `t.vx`", "did you mean `t.v`?"]);
    check(vec![("t", PgType::Text)], vec![], &["names a table, not a column"]);
    check(vec![], vec![("x", Policy::Reject)], &["`--on-error` names `x`"]);
    check(vec![], vec![("t.v", Policy::Reject)], &["which has no rule to keep", "--type 't.v=TYPE'"]);
    check(vec![("t.v", PgType::Int8)], vec![("t.v", Policy::Null)], &["the column is NOT NULL", "=reject"]);
    check(vec![("t.v", PgType::Int8)], vec![("t.v", Policy::Default)], &["`t.v` is NOT NULL and has no default"]);
}
