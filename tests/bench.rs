//! `lite2pg bench` as a person runs it: what it prints and writes, and that nothing of it stays on a server.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use rusqlite::Connection;
use std::path::Path;
use support::program::{Ran, Running, ended, program, source, url, value};
use support::{database, eventually, session};
use unicode_width::UnicodeWidthStr;

/// Every kind of column that a plan gives, values that need escapes, NULLs, stand-ins, and each kind of key.
const KINDS: &str = r#"
    CREATE TABLE kinds (id INTEGER PRIMARY KEY, b BOOLEAN, n INTEGER, x REAL, d DECIMAL(10,2), t TEXT, u TEXT, j JSON,
        day DATE, hour TIME, at TIMESTAMP, seconds DATETIME, bytes BLOB, mixed);
    WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 3000)
    INSERT INTO kinds SELECT n, n % 2, -n * 1000000007, n / 3.0, n * 1.25,
        CASE n % 7 WHEN 0 THEN NULL WHEN 1 THEN 'it''s' WHEN 2 THEN 'tab	and \ and \N' WHEN 3 THEN char(10, 13)
            WHEN 4 THEN '' WHEN 5 THEN 'nul' || char(0) || 'byte' ELSE 'größer 😀' END,
        printf('018f4e2a-9b7c-7def-8123-%012x', n), printf('{"a":"it''s \\n %d","b":[1,2.50,null]}', n),
        date('2024-01-01', n || ' days'), time(n * 7, 'unixepoch'), datetime(n * 86399, 'unixepoch') || '.25Z',
        1700000000 + n, CASE n % 3 WHEN 0 THEN zeroblob(n % 50) ELSE x'005c27ff0a' END,
        CASE n % 3 WHEN 0 THEN n WHEN 1 THEN n / 7.0 ELSE 'word' END FROM i;
    CREATE INDEX kinds_t ON kinds (t);
    CREATE TABLE child (k TEXT PRIMARY KEY, parent INTEGER NOT NULL REFERENCES kinds) WITHOUT ROWID;
    INSERT INTO child SELECT u, id FROM kinds;
    CREATE TABLE "Odd ""name""" ("a ""b""" TEXT);
    INSERT INTO "Odd ""name""" VALUES ('x'), (NULL);
    CREATE TABLE no_rows (x);"#;

fn bench(arguments: &[&str]) -> Ran {
    ended(program().arg("bench").args(arguments).output().unwrap())
}

/// What is in a database besides the server's own schemas.
fn schemas(target: &lite2pg::postgres::Target) -> String {
    let sql = "(SELECT string_agg(nspname, ',' ORDER BY nspname) FROM pg_namespace \
               WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')";
    value(&session(target), sql)
}

fn is_gone(target: &lite2pg::postgres::Target) {
    assert_eq!(schemas(target), "public");
}

fn snapshot(name: &str, ran: &Ran) {
    let mut settings = insta::Settings::clone_current();
    for (what, with) in [
        // Lines break where the figures let them.
        (r"\n {13}", " "),
        (r"; (text COPY|multi-row INSERT) was faster here, which `migrate` does not do", ""),
        (r"\b\d+(\.\d+)?s\b", "[t]"),
        (r"(?m)^( (binary|text|multi).*?KiB) .*$", "$1 [figures]"),
        (r"PostgreSQL [\d.]+", "PostgreSQL [version]"),
        (r"(?m)^( strategy .*?batch) .*$", "$1 [figures]"),
        (r"--jobs \d", "--jobs [n]"),
    ] {
        settings.add_filter(what, with);
    }
    settings.set_omit_expression(true);
    let shown = format!("exit {}\n--- stdout\n{}--- stderr\n{}", ran.code, ran.stdout, ran.stderr);
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

#[test]
fn every_strategy_brings_equal_tables_of_every_kind_of_column() {
    let (_dir, path) = source(KINDS);
    let target = database();
    // The bench itself compares what the server holds after each strategy, and fails where that differs.
    let ran = bench(&[path.to_str().unwrap(), &url(&target), "--jobs", "2", "--rounds", "1", "--json", "--full"]);
    let ran = ran.exits(0);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["sample"]["rows"], 6002);
    assert_eq!((&report["sample"]["whole"], &report["sample"]["tables"]), (&true.into(), &3.into()));
    let results = report["results"].as_array().unwrap();
    let strategies: Vec<&str> = results.iter().map(|r| r["strategy"].as_str().unwrap()).collect();
    assert_eq!(strategies[..3], ["binary_copy", "text_copy", "insert"]);
    assert!(results.iter().all(|r| r["ratio"].as_f64().unwrap() >= 1.0 && r["rounds_us"][0].as_u64().unwrap() > 0));
    assert!(report["prediction"]["whole_ms"].as_u64().unwrap() > 0);
    is_gone(&target);
}

#[test]
fn the_report_fits_a_small_terminal_and_the_files_hold_every_combination() {
    let (dir, path) = source(KINDS);
    let (csv, svg) = (dir.path().join("b.csv"), dir.path().join("b.svg"));
    let target = database();
    let files = ["--csv", csv.to_str().unwrap(), "--svg", svg.to_str().unwrap()];
    let url = url(&target);
    let arguments = [&[path.to_str().unwrap(), &url, "--jobs", "2", "--rounds", "2"][..], &files].concat();
    let ran = bench(&arguments).exits(0);
    for line in ran.stdout.lines().chain(ran.stderr.lines()) {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
    }
    snapshot("report", &ran);
    let csv = std::fs::read_to_string(csv).unwrap();
    assert_eq!(csv.lines().count(), 7, "{csv}");
    assert!(csv.lines().skip(1).all(|line| line.split(',').count() == 10 && line.contains(",2,")), "{csv}");
    let svg = std::fs::read_to_string(svg).unwrap();
    assert!(svg.starts_with("<svg") && svg.matches("<line").count() == 6, "{svg}");
    is_gone(&target);
}

#[test]
fn without_a_target_a_throw_away_server_is_used_whatever_the_environment_says() {
    let (_dir, path) = source("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2);");
    let mut command = program();
    command.args(["bench", path.to_str().unwrap(), "--rounds", "1", "--jobs", "1"]);
    let ran = ended(command.env("DATABASE_URL", "postgres://127.0.0.1:1/never").output().unwrap()).exits(0);
    assert!(ran.stdout.contains("throw-away server"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn queries_are_asked_of_both_databases_once_all_rows_are_there() {
    let (_dir, path) = source(KINDS);
    let count = "SELECT count(*),
 sum(n) FROM kinds";
    let arguments = [path.to_str().unwrap(), "--rounds", "1", "--query", count, "--query", "SELECT typeof(x'00')"];
    let ran = bench(&[&arguments[..], &["--json"]].concat()).exits(0);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let whole = &report["whole"];
    assert_eq!(whole["rows"], 6002, "all of them: {whole}");
    assert!(whole["ms"].as_u64().unwrap() > 0);
    let [asked, only_here] = whole["queries"].as_array().unwrap().as_slice() else { panic!("{whole}") };
    assert_eq!(asked["name"], "SELECT count(*), sum(n) FROM kinds");
    assert_eq!(asked["same"], true, "{asked}");
    let answer: String = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) || ',' || sum(n) FROM kinds", [], |r| r.get(0))
        .unwrap();
    for side in ["source", "target"] {
        assert_eq!(asked[side]["text"].as_str().unwrap().trim(), answer);
        assert!(asked[side]["us"].as_u64().unwrap() > 0);
    }
    assert_eq!((&only_here["same"], &only_here["target"]["answered"]), (&false.into(), &false.into()), "{only_here}");
    let ran = bench(&arguments).exits(0);
    assert!(ran.stdout.contains("query SELECT count(*), sum(n) FROM kinds: same answer · source "), "{}", ran.stdout);
    assert!(ran.stdout.contains("measured     "), "{}", ran.stdout);
}

#[test]
fn a_pipeline_runs_whole_and_its_queries_are_timed_whatever_target_it_names() {
    let (dir, path) = source(KINDS);
    let file = dir.path().join("kinds.toml");
    let text = "source = \"elsewhere.db\"\ntarget = \"postgres://127.0.0.1:1/never\"\ndata_only = true\n\
        backup = { dir = \"backups\" }\n\
        [[table]]\nquery = \"SELECT id, n FROM kinds WHERE n % 2 = 0\"\nkey = [\"id\"]\nto = \"kept\"\n\
        on_error = \"reject\"\n[[table]]\nfrom = \"kinds\"\nskip = true\n\
        [[table]]\nfrom = \"child\"\nskip = true\n[[table]]\nfrom = \"Odd \\\"name\\\"\"\nskip = true\n\
        [[table]]\nfrom = \"no_rows\"\nskip = true\n\
        [[parity]]\nname = \"largest\"\nsource = \"SELECT max(n) FROM kinds WHERE n % 2 = 0\"\n\
        target = \"SELECT max(n) FROM kept\"\n";
    std::fs::write(&file, text).unwrap();
    let ddl = dir.path().join("app.sql");
    std::fs::write(&ddl, "CREATE TABLE kept (id int8 PRIMARY KEY, n int8 CHECK (n <> -2000000014))").unwrap();
    let [file, path, ddl] = [&file, &path, &ddl].map(|p| p.to_str().unwrap());
    let arguments = ["-p", file, "--source", path, "--rounds", "1", "--query", "SELECT 1"];
    bench(&arguments).exits(2).says(&["a throw-away server has none", "`--ddl schema.sql`"]);
    let arguments = [&arguments[..], &["--ddl", ddl]].concat();
    let ran = bench(&[&arguments[..], &["--json"]].concat()).exits(0);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["sample"]["tables"], 3, "the source's tables as they are: {report}");
    let whole = &report["whole"];
    // Of 3000 rows every other is even; one of them breaks the check.
    assert_eq!((&whole["pipeline"], &whole["rows"], &whole["rejected"]), (&true.into(), &1499.into(), &1.into()));
    let names: Vec<_> = whole["queries"].as_array().unwrap().iter().map(|q| (&q["name"], &q["same"])).collect();
    assert_eq!(names, [(&"largest".into(), &false.into()), (&"SELECT 1".into(), &true.into())], "{whole}");
    let ran = bench(&arguments).exits(0);
    let words = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("for 1 499 rows, 1 set aside: by the whole pipeline, not compared"), "{words}");
    assert!(words.contains("query largest: DIFFERENT"), "{words}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name != "rejects" && name != "backups"), "{left:?}");
    bench(&[path, "--ddl", ddl]).exits(2).says(&["`--ddl` goes with `--pipeline`"]);
}

#[test]
fn a_large_source_is_sampled_over_its_whole_length_and_predicted_whole() {
    let (_dir, path) = source(
        "CREATE TABLE big (id INTEGER PRIMARY KEY, t TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500000)
         INSERT INTO big SELECT i, 'row ' || i FROM n;
         ",
    );
    let target = database();
    let ran = bench(&[path.to_str().unwrap(), &url(&target), "--rounds", "1", "--jobs", "1", "--json"]).exits(0);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let (rows, all) = (report["sample"]["rows"].as_u64().unwrap(), report["sample"]["rows_total"].as_u64().unwrap());
    assert!(report["sample"]["whole"] == false && rows < 1_000_000 && all > 1_400_000, "{rows} of {all}");
    is_gone(&target);
}

#[test]
fn rows_that_the_plan_did_not_expect_make_it_plan_again() {
    let (_dir, path) = source(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120000)
         INSERT INTO t SELECT i, CASE i WHEN 1501 THEN 'a word' ELSE i END FROM n;",
    );
    let target = database();
    bench(&[path.to_str().unwrap(), &url(&target), "--rounds", "1", "--jobs", "1", "--full"]).exits(0);
    is_gone(&target);
}

#[test]
fn a_scratch_schema_that_is_there_is_refused_and_left_alone() {
    let (_dir, path) = source(KINDS);
    let target = database();
    session(&target).batch("CREATE SCHEMA lite2pg_bench; CREATE TABLE lite2pg_bench.theirs (x int)").unwrap();
    let ran = bench(&[path.to_str().unwrap(), &url(&target)]).exits(3);
    assert!(ran.stderr.contains("DROP SCHEMA lite2pg_bench CASCADE"), "{}", ran.stderr);
    assert_eq!(value(&session(&target), "to_regclass('lite2pg_bench.theirs') IS NOT NULL"), "true");
}

#[test]
fn a_bench_that_fails_leaves_nothing() {
    let (_dir, path) = source(KINDS);
    let target = database();
    let watcher = session(&target);
    let mut running = start(&path, &target);
    // Its connections are cut while it loads.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ~ '^(COPY|INSERT)'";
    while !running.is_over() {
        watcher.query_one(cut, &[]).unwrap();
    }
    let ran = running.end();
    assert!([1, 7].contains(&ran.code), "{ran:?}");
    is_gone(&target);
}

#[test]
fn a_bench_that_is_interrupted_leaves_nothing() {
    for signal in ["INT", "TERM"] {
        let (_dir, path) = source(KINDS);
        let target = database();
        let mut running = start(&path, &target);
        eventually("it is at work", || schemas(&target) == "lite2pg_bench,public");
        running.signal(signal);
        let ran = running.end().exits(8).says(&["the bench was interrupted", "`lite2pg_bench` is dropped"]);
        assert_eq!(ran.stdout, "");
        is_gone(&target);
    }
}

fn start(path: &Path, target: &lite2pg::postgres::Target) -> Running {
    let mut command = program();
    command.args(["bench", path.to_str().unwrap(), &url(target), "--rounds", "1000", "--jobs", "2"]);
    Running::start(&mut command)
}

#[test]
fn what_cannot_be_done_is_known_before_anything_is_measured() {
    let (dir, path) = source(KINDS);
    let path = path.to_str().unwrap();
    let target = database();
    let into_nowhere = dir.path().join("no/such/folder/b.csv");
    let empty = dir.path().join("empty.db");
    Connection::open(&empty).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    for (code, words, arguments) in [
        (2, "cannot be written", &[path, &url(&target), "--csv", into_nowhere.to_str().unwrap()][..]),
        (2, "there are no rows to load", &[empty.to_str().unwrap(), &url(&target)]),
        (2, "outside 1 to", &[path, &url(&target), "--jobs", "0"]),
        (2, "a throw-away server only", &[path, &url(&target), "--query", "SELECT 1"]),
        (6, "not/there.db", &["/not/there.db", &url(&target)]),
        (7, "127.0.0.1", &[path, "postgres://me@127.0.0.1:1/db"]),
    ] {
        bench(arguments).exits(code).says(&[words]);
        is_gone(&target);
    }
}
