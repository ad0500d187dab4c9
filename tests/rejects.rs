//! Rows that the server refuses: found, set aside, listed, accounted for, and tried again.
//!
//! The oracle is SQL: which rows break a constraint is asked of SQLite, what arrived is asked of PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails with the place")]
#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::model::event::{Silent, Summary};
use lite2pg::model::policy::{Policy, Rules};
use lite2pg::postgres::{Session, Target};
use lite2pg::run::{self, Options, RejectLimits, Scope, Wanted};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use support::program::{Ran, migrate, program, source, url, value};
use support::{database, session, told};
use tempfile::TempDir;

/// A source, an existing target, and a folder for the lists.
struct Stage {
    target: Target,
    seen: Session,
    path: PathBuf,
    folder: TempDir,
    _dir: TempDir,
}

impl Stage {
    fn new(source_sql: &str, target_sql: &str) -> Self {
        let (dir, path) = source(source_sql);
        let target = database();
        let seen = session(&target);
        seen.batch(target_sql).unwrap_or_else(|e| panic!("{}", told(&e)));
        Self { target, seen, path, folder: TempDir::new().unwrap(), _dir: dir }
    }

    fn options(&self, policies: &[(Option<&str>, Policy)]) -> Options {
        let policies = policies.iter().map(|(name, policy)| (name.map(str::to_owned), *policy)).collect();
        let rejects = RejectLimits { folder: self.folder.path().to_path_buf(), ..RejectLimits::default() };
        let rules = Rules { policies, ..Rules::default() };
        Options { rules, rejects, scope: Scope::DataOnly, ..Options::new(&self.path) }
    }

    #[track_caller]
    fn load(&self, options: &Options) -> Summary {
        let result = run::migrate(options, &self.target, &Silent, &AtomicBool::new(false));
        let summary = result.unwrap_or_else(|e| panic!("{}", told(&e)));
        let verification = summary.verification.as_ref().unwrap();
        assert!(verification.is_equal(), "{verification:?}");
        summary
    }

    #[track_caller]
    fn retry(&self, policies: &[(Option<&str>, Policy)]) -> run::Retried {
        let options = self.options(policies);
        let result = run::set_aside(&options, &self.target, Wanted::Retry, &Silent, &AtomicBool::new(false));
        result.unwrap_or_else(|e| panic!("{}", told(&e)))
    }

    fn there(&self, sql: &str) -> String {
        value(&self.seen, sql)
    }

    fn here(&self, sql: &str) -> String {
        let sql = format!("SELECT CAST(({sql}) AS TEXT)");
        let found: Option<String> = Connection::open(&self.path).unwrap().query_row(&sql, [], |r| r.get(0)).unwrap();
        found.unwrap_or_else(|| "NULL".to_owned())
    }

    /// Rowids that are listed, in the list's order.
    fn listed(&self, table: &str) -> Vec<String> {
        let list = csv::Reader::from_path(self.folder.path().join(format!("{table}.csv"))).unwrap();
        list.into_records().map(|line| line.unwrap()[0].to_owned()).collect()
    }

    fn command(&self, verb: &[&str], more: &[&str]) -> Ran {
        let mut command = program();
        command.args(verb).arg(&self.path).arg(url(&self.target)).args(more);
        command.arg("--quiet");
        if verb != ["verify"] {
            command.arg("--rejects-dir").arg(self.folder.path());
        }
        command.arg("--differences-dir").arg(self.folder.path().join("differences"));
        support::program::ended(command.output().unwrap())
    }
}

fn long() -> bool {
    std::env::var_os("LITE2PG_LONG").is_some()
}

#[test]
fn every_kind_of_refusal_sets_its_row_aside_with_reason_and_code() {
    let stage = Stage::new(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1);
         CREATE TABLE t (id INTEGER PRIMARY KEY, qty INTEGER, code TEXT, p INTEGER, mood TEXT, pos INTEGER, raised INTEGER,
                         need TEXT, span INTEGER);
         INSERT INTO t VALUES
           (1, 1, 'a', 1, 'sad', 1, 0, 'n', 1), (2, -1, 'b', 1, 'sad', 1, 0, 'n', 2), (3, 1, 'a', 1, 'sad', 1, 0, 'n', 3),
           (4, 1, 'd', 9, 'sad', 1, 0, 'n', 4), (5, 1, 'e', 1, 'blue', 1, 0, 'n', 5), (6, 1, 'f', 1, 'sad', -1, 0, 'n', 6),
           (7, 1, 'g', 1, 'sad', 1, 1, 'n', 7), (8, 1, 'h', 1, 'sad', 1, 0, NULL, 8), (9, 1, 'i', 1, 'sad', 1, 0, 'n', 1),
           (10, 1, 'j', 1, 'sad', 1, 0, 'n', 10), (11, 1, 'k', NULL, NULL, NULL, 0, 'n', 11);",
        "CREATE TYPE mood AS ENUM ('happy', 'sad'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
         CREATE TABLE p (id int PRIMARY KEY);
         CREATE TABLE t (id int PRIMARY KEY, qty int CHECK (qty > 0), code text UNIQUE, p int REFERENCES p, mood mood,
                         pos positive, raised int, need text NOT NULL, span int,
                         EXCLUDE USING btree (span WITH =) DEFERRABLE INITIALLY DEFERRED);
         CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN IF NEW.raised = 1 THEN RAISE EXCEPTION ''not this one''; END IF; RETURN NEW; END';
         CREATE TRIGGER guard BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION guard();",
    );
    let mut options = stage.options(&[(None, Policy::Reject)]);
    options.fires_triggers = true;
    let summary = stage.load(&options);
    assert_eq!(stage.there("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t"), "1 10 11");
    let aside = &summary.rejects[0];
    assert_eq!((aside.table.as_str(), aside.rows), ("t", 8));
    let mut seen: Vec<(i64, Option<&str>, Option<&str>)> =
        aside.reasons.iter().map(|r| (r.keys[0], r.column.as_deref(), r.sqlstate.as_deref())).collect();
    seen.sort_unstable();
    let expect = [
        (2, None, Some("23514")),
        (3, None, Some("23505")),
        (4, None, Some("23503")),
        (5, Some("mood"), None),
        (6, Some("pos"), Some("23514")),
        (7, None, Some("P0001")),
        (8, Some("need"), None),
        (9, None, Some("23P01")),
    ];
    assert_eq!(seen, expect, "{aside:?}");
    assert_eq!(stage.listed("t"), ["2", "3", "4", "5", "6", "7", "8", "9"]);
    let verdict = &summary.verification.unwrap().tables[1];
    assert_eq!((verdict.source_rows, verdict.target_rows, verdict.rejected), (11, 3, 8), "equal + rejected = source");
}

#[test]
fn the_first_of_two_rows_that_exclude_each_other_stays_under_nocase_too() {
    let stage = Stage::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);
         INSERT INTO t VALUES (1, 'Ann'), (2, 'ann'), (3, 'Bob'), (4, 'BOB'), (5, 'bob'), (6, 'Cy');",
        "CREATE TABLE t (id int PRIMARY KEY, name text); CREATE UNIQUE INDEX ON t (lower(name));",
    );
    stage.load(&stage.options(&[(None, Policy::Reject)]));
    assert_eq!(stage.there("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t"), "1 3 6");
    assert_eq!(stage.listed("t"), ["2", "4", "5"]);
}

/// Rows of which some break a check, some a unique key and some a foreign key, spread over the table.
fn mixed(rows: u32, bad: u32) -> (String, &'static str) {
    let every = rows / bad;
    let source = format!(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (0), (1), (2), (3);
         CREATE TABLE t (id INTEGER PRIMARY KEY, code TEXT, qty INTEGER, p INTEGER);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
           INSERT INTO t SELECT i,
             CASE WHEN i % {every} = {every} - 1 AND i / {every} % 3 = 0 THEN 'c1' ELSE 'c' || i END,
             CASE WHEN i % {every} = {every} - 1 AND i / {every} % 3 = 1 THEN -1 ELSE 1 END,
             CASE WHEN i % {every} = {every} - 1 AND i / {every} % 3 = 2 THEN 99 ELSE i % 4 END FROM n;"
    );
    let target = "CREATE TABLE p (id int PRIMARY KEY);
                  CREATE TABLE t (id bigint PRIMARY KEY, code text UNIQUE, qty int CHECK (qty > 0), p int REFERENCES p);";
    (source, target)
}

/// Which rows of [`mixed`] the target must hold, said in SQL, but for the one of the code that is there many times:
/// which of these comes first is for the lanes to say.
const KEPT: &str = "FROM t WHERE qty > 0 AND p < 99 AND code <> 'c1'";

#[test]
fn one_a_hundred_and_ten_thousand_refused_rows_leave_all_others_where_they_belong() {
    let (rows, bads) = if long() { (1_000_000, [1, 100, 10_000]) } else { (30_000, [1, 20, 300]) };
    for bad in bads {
        let (source, target) = mixed(rows, bad);
        let stage = Stage::new(&source, target);
        let started = std::time::Instant::now();
        let summary = stage.load(&stage.options(&[(None, Policy::Reject)]));
        println!("{bad} of {rows} rows refused: {} ms", started.elapsed().as_millis());
        for (what, of) in [("count(*)", KEPT), ("sum(id)", KEPT), ("count(DISTINCT code)", "FROM t WHERE code = 'c1'")]
        {
            let question = format!("SELECT {what} {of}");
            assert_eq!(stage.there(&question), stage.here(&question), "{question}");
        }
        assert_eq!(stage.there("SELECT count(*) FROM t WHERE code = 'c1'"), "1");
        assert_eq!(summary.rejects[0].rows, u64::from(bad));
        assert_eq!(stage.listed("t").len(), bad as usize);
    }
}

#[test]
fn lanes_whose_rows_exclude_each_other_do_not_hold_each_other_up() {
    // Every code is there twice, half a table apart: two lanes insert the same values at the same time.
    let stage = Stage::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, code INTEGER);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000)
           INSERT INTO t SELECT i, CASE WHEN i % 100 = 0 THEN i % 250000 ELSE -i END FROM n;",
        "CREATE TABLE t (id bigint PRIMARY KEY, code bigint UNIQUE);",
    );
    let summary = stage.load(&Options { jobs: 4, ..stage.options(&[(None, Policy::Reject)]) });
    assert_eq!(stage.there("SELECT count(*) FROM t"), stage.here("SELECT count(DISTINCT code) FROM t"));
    assert_eq!(summary.tables[0].rows + summary.rejects[0].rows, 500_000);
}

#[test]
fn tables_without_a_rowid_tell_their_rows_by_place() {
    let stage = Stage::new(
        "CREATE TABLE w (k TEXT, n INTEGER, qty INTEGER, PRIMARY KEY (k, n)) WITHOUT ROWID;
         INSERT INTO w VALUES ('a', 1, 1), ('a', 2, -1), ('b', 1, 1), ('b', 2, 70000);
         CREATE TABLE s (k INTEGER, n TEXT, qty INTEGER, PRIMARY KEY (k, n)) WITHOUT ROWID;
         INSERT INTO s VALUES (1, 'x', 1), (1, 'y', -1), (1, 'z', 1), (2, 'x', -1), (2, 'y', 2);
         CREATE TABLE q (rowid TEXT, oid TEXT, _rowid_ TEXT, qty INTEGER);
         INSERT INTO q VALUES ('a', 'b', 'c', 1), ('d', 'e', 'f', -1), ('g', 'h', 'i', 3), ('g', 'h', 'i', 3);",
        "CREATE TABLE w (k text, n int, qty smallint CHECK (qty > 0), PRIMARY KEY (k, n));
         CREATE TABLE s (k int, n text, qty int CHECK (qty > 0), PRIMARY KEY (k, n));
         CREATE TABLE q (rowid text, oid text, _rowid_ text, qty int CHECK (qty > 0));",
    );
    let summary = stage.load(&stage.options(&[(None, Policy::Reject)]));
    assert_eq!(stage.there("SELECT string_agg(k || n, ' ' ORDER BY k, n) FROM w"), "a1 b1");
    assert_eq!(stage.there("SELECT string_agg(k || n, ' ' ORDER BY k, n) FROM s"), "1x 1z 2y");
    assert_eq!(stage.there("SELECT string_agg(rowid, ' ' ORDER BY rowid) FROM q"), "a g g");
    assert_eq!(stage.listed("w"), ["'a', 2", "'b', 2"]);
    assert_eq!(stage.listed("s"), ["1, 'y'", "2, 'x'"]);
    assert_eq!(summary.rejects.iter().map(|r| r.rows).sum::<u64>(), 5);
    stage.command(&["verify"], &[]).exits(0);
    // A row too much among those that stayed is told apart from those that were set aside.
    stage.seen.batch("UPDATE s SET qty = 7 WHERE k = 1 AND n = 'z'; DELETE FROM q WHERE rowid = 'a'").unwrap();
    let told = stage.command(&["verify"], &["--json"]).exits(5).stdout;
    assert!(told.contains("\"changed\": 1") && told.contains("\"missing\": 1"), "{told}");
    stage.seen.batch("ALTER TABLE s DROP CONSTRAINT s_qty_check; ALTER TABLE w ALTER qty TYPE int").unwrap();
    stage.seen.batch("UPDATE s SET qty = 1 WHERE k = 1 AND n = 'z'; INSERT INTO q VALUES ('a', 'b', 'c', 1)").unwrap();
    let retried = stage.retry(&[]);
    assert_eq!(retried.taken, [("s".to_owned(), 2), ("w".to_owned(), 1)]);
    assert!(retried.verification.unwrap().is_equal());
    assert_eq!(stage.there("SELECT string_agg(k || n || qty, ' ' ORDER BY k, n) FROM w"), "a11 b11 b270000");
}

#[test]
fn no_part_of_a_row_with_a_large_cell_arrives_when_another_cell_sets_it_aside() {
    let stage = Stage::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, big TEXT, n TEXT, blob BLOB);
         INSERT INTO t VALUES (1, hex(zeroblob(1500000)), '1', zeroblob(2000000)), (2, hex(zeroblob(1500000)), 'x', NULL),
           (3, 'small', '3', zeroblob(1200000)), (4, NULL, '4', 'text'), (5, CAST(zeroblob(1300000) AS TEXT), '5', NULL);",
        "CREATE TABLE t (id int PRIMARY KEY, big text, n numeric, blob bytea)",
    );
    stage.load(&stage.options(&[(None, Policy::Reject)]));
    assert_eq!(stage.there("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t"), "1 3 4");
    assert_eq!(stage.listed("t"), ["2", "5"]);
    assert_eq!(stage.there("SELECT sum(length(big)) + sum(length(blob)) FROM t"), "6200009");
}

#[test]
fn rows_in_the_way_are_kept_or_replaced_and_refused_ones_are_set_aside() {
    for (word, expect) in [("skip", "1:9 2:2 4:4"), ("update", "1:1 2:2 4:4")] {
        let stage = Stage::new(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, qty INTEGER);
             INSERT INTO t VALUES (1, 1), (2, 2), (3, -3), (4, 4);",
            "CREATE TABLE t (id int PRIMARY KEY, qty int CHECK (qty > 0)); INSERT INTO t VALUES (1, 9);",
        );
        let ran = stage.command(&["migrate"], &["--data-only", "--on-conflict", word, "--on-error", "reject"]);
        // Tables that held rows are not compared as a whole.
        ran.exits(5);
        assert_eq!(stage.there("SELECT string_agg(id || ':' || qty, ' ' ORDER BY id) FROM t"), expect, "{word}");
        assert_eq!(stage.listed("t"), ["3"]);
    }
}

#[test]
fn without_a_policy_a_refusal_ends_the_run_and_one_stated_then_goes_on() {
    let (source, target) = mixed(2000, 10);
    let stage = Stage::new(&source, target);
    let error = run::migrate(&stage.options(&[]), &stage.target, &Silent, &AtomicBool::new(false)).map(|_| ());
    let words = told(&error.expect_err("the server refuses a row"));
    for word in ["the server refused rows of `t`", "this range was rolled back", "--on-error 't=reject'"] {
        assert!(words.contains(word), "`{word}` is not in\n{words}");
    }
    assert!(!words.contains("c1"), "no value: {words}");
    let summary = stage.load(&stage.options(&[(Some("t"), Policy::Reject)]));
    assert!(summary.resumed);
    assert_eq!(summary.rejects[0].rows, 10);
}

#[test]
fn rows_are_tried_again_once_their_rule_was_changed() {
    let stage = Stage::new(
        "CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO p VALUES (1, 'one'), (2, 'too long');
         CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT, qty INTEGER, p INTEGER);
         INSERT INTO t VALUES (1, '1', 1, 1), (2, 'x', 2, 1), (3, '3', -3, 1), (4, '4', 4, 2), (5, NULL, 70000, 1);",
        "CREATE TABLE p (id int PRIMARY KEY, name varchar(5));
         CREATE TABLE t (id int PRIMARY KEY, n numeric, qty smallint CHECK (qty > 0), p int REFERENCES p);",
    );
    stage.load(&stage.options(&[(None, Policy::Reject)]));
    assert_eq!(
        (stage.listed("p"), stage.listed("t")),
        (vec!["2".to_owned()], ["2", "3", "4", "5"].map(str::to_owned).into())
    );
    // Nothing changed: nothing is taken, and the reasons stand.
    let same = stage.retry(&[]);
    assert!(same.taken.is_empty() && same.verification.is_none());
    assert_eq!(same.rejects.iter().map(|r| r.rows).sum::<u64>(), 5);
    // A wider column lets a parent in, and its child with it.
    stage.seen.batch("ALTER TABLE p ALTER name TYPE varchar(20); ALTER TABLE t ALTER qty TYPE bigint").unwrap();
    let wider = stage.retry(&[]);
    assert_eq!(wider.taken, [("p".to_owned(), 1), ("t".to_owned(), 2)]);
    assert!(wider.verification.unwrap().is_equal());
    assert_eq!(stage.listed("t"), ["2", "3"]);
    assert!(!stage.folder.path().join("p.csv").exists(), "an empty list is no list");
    // Another policy takes the text, and keeps it.
    let more = stage.retry(&[(Some("t.n"), Policy::Null)]);
    assert_eq!(more.taken, [("t".to_owned(), 1)]);
    assert_eq!(stage.there("SELECT class || convert_from(bytes, 'UTF8') FROM lite2pg.original WHERE key = 2"), "textx");
    stage.seen.batch("ALTER TABLE t DROP CONSTRAINT t_qty_check").unwrap();
    let last = stage.retry(&[]);
    assert_eq!((last.taken, last.rejects.len()), (vec![("t".to_owned(), 1)], 0));
    assert_eq!(
        stage.there("SELECT string_agg(id || ':' || coalesce(n::text, '-') || ':' || qty, ' ' ORDER BY id) FROM t"),
        "1:1:1 2:-:2 3:3:-3 4:4:4 5:-:70000"
    );
    // The run's own account holds them: the same command compares again, and is content.
    let summary = stage.load(&stage.options(&[(None, Policy::Reject)]));
    assert!(summary.finished_before && summary.rejects.is_empty());
}

#[test]
fn a_verification_still_finds_what_differs_beside_rows_that_were_set_aside() {
    let (source, target) = mixed(3000, 30);
    let stage = Stage::new(&source, target);
    stage.load(&stage.options(&[(None, Policy::Reject)]));
    for level in ["counts", "aggregates", "rows"] {
        stage.command(&["verify"], &["--level", level]).exits(0);
    }
    stage.seen.batch("UPDATE t SET qty = 5 WHERE id = 17; DELETE FROM t WHERE id = 18").unwrap();
    stage.command(&["verify"], &[]).exits(5);
    let list = std::fs::read_to_string(stage.folder.path().join("differences/t.csv")).unwrap();
    assert!(list.contains("id=17") && list.contains("id=18"), "{list}");
    assert_eq!(
        list.lines().filter(|l| l.starts_with("missing")).map(|l| l.contains("id=18")).collect::<Vec<_>>(),
        [true; 4]
    );
    stage.command(&["verify"], &["--repair"]).exits(0);
    assert_eq!(stage.there("SELECT count(*) FROM t"), "2970", "what was set aside stays aside");
}

#[test]
fn the_list_is_for_its_owner_only_and_values_are_nowhere_else() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, secret TEXT); INSERT INTO t VALUES (1, 'hunter2hunter2'), (2, 'ok');
         CREATE TABLE u (id INTEGER PRIMARY KEY, code TEXT); INSERT INTO u VALUES (1, 'tok_S3'), (2, 'tok_S3');",
        "CREATE TABLE t (id int PRIMARY KEY, secret varchar(5)); CREATE TABLE u (id int PRIMARY KEY, code text UNIQUE);",
    );
    let mut all = String::new();
    for more in [
        &["--data-only", "--on-error", "reject", "--json"][..],
        &["--data-only", "--on-error", "reject", "--log-format", "json"],
    ] {
        let mut command = program();
        command.arg("migrate").arg(&stage.path).arg(url(&stage.target)).args(more);
        command.arg("--rejects-dir").arg(stage.folder.path());
        let ran = support::program::ended(command.output().unwrap());
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        all.push_str(&ran.stdout);
        all.push_str(&ran.stderr);
    }
    all.push_str(&stage.there("SELECT string_agg(r::text, ' ') FROM lite2pg.reject r"));
    all.push_str(&stage.there("SELECT string_agg(r::text, ' ') FROM lite2pg.range r"));
    for secret in ["hunter2", "tok_S3"] {
        assert!(!all.contains(secret), "{secret} is in\n{all}");
        let lists = ["t", "u"].map(|t| std::fs::read_to_string(stage.folder.path().join(format!("{t}.csv"))).unwrap());
        assert!(lists.concat().contains(secret));
    }
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&stage.folder.path().join("t.csv")), 0o600);
}

#[test]
fn rejects_end_with_four_unless_as_many_are_allowed() {
    let stage = Stage::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, qty INTEGER); INSERT INTO t VALUES (1, 1), (2, -2), (3, -3);",
        "CREATE TABLE t (id int PRIMARY KEY, qty int CHECK (qty > 0));",
    );
    let load = &["--data-only", "--on-error", "reject"];
    stage.command(&["migrate"], load).exits(4).says(&["2 rows were set aside", "rejects retry"]);
    // The run is finished: the same command says the same again.
    stage.command(&["migrate"], load).exits(4);
    stage.command(&["migrate"], &[load.as_slice(), &["--allow-rejects", "2"]].concat()).exits(0);
    stage.command(&["migrate"], &[load.as_slice(), &["--allow-rejects", "1"]].concat()).exits(4);
    std::fs::remove_file(stage.folder.path().join("t.csv")).unwrap();
    stage.command(&["rejects", "list"], &[]).exits(0);
    assert_eq!(stage.listed("t"), ["2", "3"]);
    stage.command(&["rejects", "retry"], &[]).exits(4);
    stage.seen.batch("ALTER TABLE t DROP CONSTRAINT t_qty_check").unwrap();
    stage.command(&["rejects", "retry"], &[]).exits(0);
    stage.command(&["migrate"], load).exits(0);
}

#[test]
fn a_second_try_of_a_changed_source_or_another_kind_of_type_is_refused() {
    let stage = Stage::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, '1'), (2, 'x');",
        "CREATE TABLE t (id int PRIMARY KEY, v numeric);",
    );
    stage.load(&stage.options(&[(None, Policy::Reject)]));
    stage.seen.batch("ALTER TABLE t ALTER v TYPE text").unwrap();
    stage
        .command(&["rejects", "retry"], &[])
        .exits(3)
        .says(&["`t.v` is text now and was numeric", "nothing was written"]);
    stage.seen.batch("ALTER TABLE t ALTER v TYPE numeric USING v::numeric").unwrap();
    Connection::open(&stage.path).unwrap().execute_batch("UPDATE t SET v = '2' WHERE id = 2").unwrap();
    stage.command(&["rejects", "retry"], &[]).exits(3).says(&["the source was changed since run"]);
}

#[test]
fn a_retry_where_nothing_was_ever_set_aside_says_so() {
    let (_dir, path) = source("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);");
    let target = database();
    let retry = |code| {
        let mut command = program();
        command.args(["rejects", "retry"]).arg(&path).arg(url(&target));
        support::program::ended(command.output().unwrap()).exits(code)
    };
    retry(3).says(&["no run of lite2pg into schema `public` is known here"]);
    migrate([path.as_os_str(), url(&target).as_ref(), "--quiet".as_ref()]).exits(0);
    assert!(retry(0).stdout.contains("nothing is set aside"));
}

#[test]
fn an_identity_gives_out_no_number_of_a_row_that_was_set_aside() {
    let stage =
        Stage::new("CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT); INSERT INTO t VALUES (1, '1'), (7, 'seven');", "");
    let mut options = Options { scope: Scope::All, ..stage.options(&[(None, Policy::Reject)]) };
    options.rules.types = [("t.n".to_owned(), lite2pg::model::pg_type::PgType::Int4)].into();
    stage.load(&options);
    stage.seen.batch("INSERT INTO t (n) VALUES (2)").unwrap();
    // The row can still come to its place.
    assert_eq!(stage.there("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t"), "1 8");
}

#[test]
fn a_number_that_the_columns_type_does_not_hold_does_not_end_its_identity() {
    let stage = Stage::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT); INSERT INTO t VALUES (1, '1'), (5000000000, 'far');",
        "CREATE TABLE t (id int4 GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, n text)",
    );
    stage.load(&stage.options(&[(None, Policy::Reject)]));
    stage.seen.batch("INSERT INTO t (n) VALUES ('new')").unwrap();
    assert_eq!(stage.there("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t"), "1 2");
}
