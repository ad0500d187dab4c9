//! The command line as a person sees it: exit code, stdout and stderr, with times, sizes and places filtered.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use rusqlite::Connection;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::program::{Ran, Running, ended, migrate, program, source, url, value};
use support::{database, eventually, session};
use unicode_width::UnicodeWidthStr;

const SHOP: &str = "
    CREATE TABLE customer (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(40) NOT NULL, since DATE, balance DECIMAL(10,2),
        CHECK (length(name) > 0));
    INSERT INTO customer VALUES (1, 'Ann', '2024-01-31', 12.5), (2, 'Bob', NULL, 0);
    CREATE TABLE \"order line with a name that is longer than its column\" (
        customer INTEGER NOT NULL REFERENCES customer ON DELETE CASCADE, \"what was ordered, in the customer's words\" TEXT,
        PRIMARY KEY (customer, \"what was ordered, in the customer's words\"));
    INSERT INTO \"order line with a name that is longer than its column\" VALUES (1, 'tea'), (1, 'salt'), (7, 'nobody''s');
    CREATE INDEX customer_since ON customer (since);
    CREATE VIRTUAL TABLE search USING fts5(body);
    CREATE TRIGGER touched AFTER UPDATE ON customer BEGIN UPDATE customer SET since = date('now') WHERE id = new.id; END;";

/// Exit code and both streams, as a snapshot shows them.
fn shown(ran: &Ran) -> String {
    format!("exit {}\n--- stdout\n{}--- stderr\n{}", ran.code, ran.stdout, ran.stderr)
}

/// Runs the assertion with everything filtered that differs from run to run.
fn snapshot(name: &str, ran: &Ran) {
    let mut settings = insta::Settings::clone_current();
    for (what, with) in [
        (r"/tmp/\.tmp\w+", "[dir]"),
        (r"/tmp/lite2pg-\w+", "[server]"),
        (r"\b\d+(\.\d+)?s\b", "[t]"),
        (r"copied at [^·\n]+ · peak memory .+", "[speed]"),
        (r"(?m)^\[speed\]\n|^peak memory .+\n|^copied at .+\n", ""),
        (r"(?m)^((open|profile|plan|create|copy|index|constrain|analyze|verify) \[t\]( · | ·$)?)+\n", ""),
        (r#"("(open|profile|plan|create|copy|index|constrain|analyze|verify)",\s+)\d+"#, "${1}[ms]"),
        (r#""(ms|copy_ms|index_ms)": \d+"#, r#""$1": "[ms]""#),
        (r#""peak_memory_bytes": \d+"#, r#""peak_memory_bytes": "[bytes]""#),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[run]"),
        (r"\btest_\d+\b", "[database]"),
    ] {
        settings.add_filter(what, with);
    }
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, shown(ran)));
}

/// Fails the test where a line is wider than a small terminal. SQL is there to be copied and stands as it is.
#[track_caller]
fn fits(text: &str) {
    let is_sql = |line: &&str| ["    CREATE ", "    ALTER ", "    -- "].iter().any(|sql| line.starts_with(sql));
    for line in text.lines().filter(|line| !is_sql(line)) {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
    }
}

#[track_caller]
fn has_no_control_codes(text: &str) {
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

#[test]
fn help_is_readable() {
    for (name, arguments) in
        [("help", &["--help"][..]), ("migrate_help", &["migrate", "--help"]), ("bench_help", &["bench", "--help"])]
    {
        let ran = ended(program().args(arguments).env("COLUMNS", "80").output().unwrap());
        has_no_control_codes(&ran.stdout);
        let jobs = regex_free_jobs(&ran.stdout);
        snapshot(name, &Ran { stdout: jobs, ..ran });
    }
}

// The default of --jobs is what this machine has.
fn regex_free_jobs(help: &str) -> String {
    (2..=4).fold(help.to_owned(), |text, n| text.replace(&format!("[default: {n}]"), "[default: N]"))
}

#[test]
fn a_small_migration_tells_what_it_did() {
    let (_dir, path) = source(SHOP);
    let ran = migrate([path.to_str().unwrap(), &url(&database())]).exits(0);
    fits(&ran.stdout);
    has_no_control_codes(&ran.stdout);
    has_no_control_codes(&ran.stderr);
    snapshot("summary", &ran);
}

#[test]
fn the_summary_as_json_is_all_that_stdout_holds() {
    let (_dir, path) = source(SHOP);
    let ran = migrate([path.to_str().unwrap(), &url(&database()), "--json", "--quiet"]).exits(0);
    let summary: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(summary["tables"][0]["rows"], 2);
    snapshot("summary_json", &ran);
}

#[test]
fn the_plan_of_a_dry_run_fits_a_small_terminal() {
    let (_dir, path) = source(SHOP);
    let ran = migrate([path.to_str().unwrap(), "--dry-run"]).exits(0);
    fits(&ran.stdout);
    has_no_control_codes(&ran.stdout);
    snapshot("plan", &ran);
}

#[test]
fn names_cannot_steer_the_terminal() {
    let (_dir, path) = source(
        "CREATE TABLE \"a\x1b[31mred\r\nline\" (\"\x07bell\" TEXT); INSERT INTO \"a\x1b[31mred\r\nline\" VALUES ('x');",
    );
    for more in [&["--dry-run"][..], &[]] {
        let ran = migrate([path.to_str().unwrap(), &url(&database())].iter().chain(more)).exits(0);
        has_no_control_codes(&ran.stdout);
        has_no_control_codes(&ran.stderr);
    }
}

#[test]
fn events_are_one_json_object_a_line_and_hold_no_value() {
    let (_dir, path) = source(SHOP);
    let target = database();
    let arguments = [path.to_str().unwrap(), &url(&target), "--log-format", "json"];
    let ran = migrate(arguments).exits(0);
    let events: Vec<serde_json::Value> =
        ran.stderr.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let named = |name: &str| events.iter().filter(|e| e["event"] == name).count();
    assert_eq!(named("table_copied"), 2);
    assert_eq!(named("phase_started"), named("phase_finished"));
    assert!(named("remark") >= 2 && events.iter().all(|e| e["event"].is_string()), "{}", ran.stderr);
    for value in ["Ann", "Bob", "tea", "salt", "nobody's"] {
        assert!(!ran.stderr.contains(value), "`{value}` is shown");
    }

    // An error is an event too.
    Connection::open(&path).unwrap().execute_batch("INSERT INTO customer (name) VALUES ('Zoe')").unwrap();
    let ran = migrate(arguments).exits(3);
    let last: serde_json::Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"error".into(), &3.into()));
    assert!(last["hint"].as_str().unwrap().contains("--truncate") && last["message"].is_string());
    assert!(ran.stderr.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert_eq!(ran.stdout, "");
}

#[test]
fn quiet_is_silent() {
    let (_dir, path) = source("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);");
    let ran = migrate([path.to_str().unwrap(), &url(&database()), "--quiet"]).exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let (_dir, path) = source(SHOP);
    let program = env!("CARGO_BIN_EXE_lite2pg");
    let script = format!("{{ {program} migrate {} --dry-run --sql; echo exit $? >&2; }} | true", path.display());
    for _ in 0..3 {
        let ran = ended(Command::new("sh").args(["-c", &script]).env_remove("DATABASE_URL").output().unwrap());
        assert!(ran.stderr.ends_with("exit 0\n"), "{}", ran.stderr);
    }
    if Path::new("/dev/full").exists() {
        let script = format!("{program} migrate {} --dry-run >/dev/full", path.display());
        ended(Command::new("sh").args(["-c", &script]).env_remove("DATABASE_URL").output().unwrap())
            .exits(1)
            .says(&["the result cannot be written to stdout"]);
    }
}

#[test]
fn a_line_tells_the_progress_where_nobody_watches() {
    let (_dir, path) = source(
        "CREATE TABLE big (id INTEGER PRIMARY KEY, t TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450000) INSERT INTO big SELECT i, 'row ' || i FROM n;",
    );
    let (every, shortest) = if std::env::var_os("LITE2PG_LONG").is_some() { (10, 10) } else { (1, 1) };
    for format in ["text", "json"] {
        let target = database();
        let (seen, holder) = (session(&target), session(&target));
        let mut command = program();
        command.args(["migrate", path.to_str().unwrap(), &url(&target), "--log-format", format]);
        if every != 10 {
            command.args(["--progress-every", "1"]);
        }
        let running = Running::start(&mut command);
        // The copy stands still for long enough that a line is due.
        eventually("the control schema is there", || {
            value(&seen, "to_regclass('lite2pg.range') IS NOT NULL") == "true"
        });
        holder.batch("BEGIN; LOCK TABLE lite2pg.range IN SHARE MODE").unwrap();
        std::thread::sleep(Duration::from_millis(shortest * 1000 + 500));
        holder.batch("ROLLBACK").unwrap();
        let ran = running.end().exits(0);
        let line = if format == "text" { "copy: " } else { r#""event":"progress""# };
        assert!(ran.stderr.lines().any(|l| l.contains(line)), "{}", ran.stderr);
        has_no_control_codes(&ran.stderr);
        if format == "text" {
            fits(&ran.stderr);
        }
    }
}

#[test]
fn a_kept_server_is_told_with_commands_that_work() {
    let (_dir, path) = source(SHOP);
    let ran = migrate([path.to_str().unwrap(), "embedded", "--keep", "--quiet"]).exits(0);
    let told = |what: &str| {
        ran.stderr
            .lines()
            .find_map(|l| l.trim_start().strip_prefix(what))
            .unwrap_or_else(|| panic!("{}", ran.stderr))
            .trim()
            .to_owned()
    };
    let (dir, psql, stop) = (told("the server is left running in"), told("look inside"), told("stop it"));
    let sh = |script: &str| ended(Command::new("sh").args(["-c", script]).output().unwrap());
    let asked = sh(&format!("{psql} -X -At -c 'SELECT name FROM customer ORDER BY id'"));
    let stopped = sh(&stop);
    let left = Path::new(&dir).join("data/PG_VERSION").exists();
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(asked.stdout, "Ann\nBob\n", "{}", asked.stderr);
    stopped.exits(0);
    assert!(left, "a kept server's data is there after it was stopped");
}

/// Directories and processes of servers that hang on this process.
fn servers_of(dir: &Path) -> usize {
    let dirs = std::fs::read_dir(dir).unwrap().filter_map(Result::ok);
    dirs.filter(|e| e.file_name().to_string_lossy().starts_with("lite2pg-")).count()
}

#[test]
fn nothing_is_left_of_an_embedded_server_that_is_not_kept() {
    // A temporary directory of its own, so that other tests' servers are not counted; in /tmp, for its short name.
    let temp = tempfile::Builder::new().prefix("own").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(temp.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (_dir, path) = source(SHOP);
    let (_bad_dir, bad) = source("CREATE TABLE t (x);");
    std::fs::write(&bad, "this was a database once, and is one no more; so it goes. ".repeat(40)).unwrap();
    for (source, more, code) in [(&path, &[][..], 0), (&bad, &[], 6), (&bad, &["--keep"], 6)] {
        let mut command = program();
        command.arg("migrate").arg(source).arg("embedded").args(more).env("TMPDIR", temp.path());
        let ran = ended(command.output().unwrap()).exits(code);
        assert!(!ran.stderr.contains("left running"), "{}", ran.stderr);
        eventually("its directory is gone", || servers_of(temp.path()) == 0);
        eventually("its processes are gone", || {
            Command::new("pgrep").args(["-f", temp.path().to_str().unwrap()]).output().unwrap().stdout.is_empty()
        });
    }
}

#[test]
fn errors_say_what_the_facts_the_state_and_the_way_out() {
    let (dir, path) = source(SHOP);
    let path = path.to_str().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let noise: Vec<u8> = (0..8192u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (empty, text, encrypted) =
        (file("empty.db", b""), file("text.db", &b"not a database at all\n".repeat(300)), file("noise.db", &noise));
    let columns: Vec<String> = (0..1601).map(|i| format!("c{i}")).collect();
    let (_wide_dir, wide) = source(&format!("CREATE TABLE wide ({})", columns.join(", ")));
    let full = database();
    session(&full).batch("CREATE TABLE customer (id int8); INSERT INTO customer VALUES (1)").unwrap();
    let (full, free) = (url(&full), url(&database()));
    for (name, code, arguments) in [
        ("missing_file", 6, &["/not/there.db", &free][..]),
        ("a_directory", 6, &[dir.path().to_str().unwrap(), &free]),
        ("empty_file", 6, &[&empty, &free]),
        ("not_a_database", 6, &[&text, &free]),
        ("looks_encrypted", 6, &[&encrypted, &free]),
        ("target_holds_rows", 3, &[path, &full]),
        ("bad_glob", 2, &[path, &free, "--include", "a["]),
        ("nothing_chosen", 2, &[path, &free, "--include", "unknown*"]),
        ("no_jobs", 2, &[path, &free, "--jobs", "0"]),
        ("bad_url", 2, &[path, "postgres://me:hunter2secret@host:port/db"]),
        ("too_wide", 3, &[wide.to_str().unwrap(), &free]),
        ("unknown_zone", 2, &[path, &free, "--assume-tz", "Mars/Olympus"]),
        ("unreachable", 7, &[path, "postgres://me:hunter2secret@127.0.0.1:1/db"]),
        ("no_target", 2, &[path]),
        ("keep_elsewhere", 2, &[path, &free, "--keep"]),
        ("control_schema", 2, &[path, &free, "--schema", "lite2pg"]),
    ] {
        let ran = migrate(arguments);
        assert!(!ran.stderr.contains("hunter2secret"), "a password is shown: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{name}");
        has_no_control_codes(&ran.stderr);
        snapshot(&format!("error_{name}"), &ran);
        ran.exits(code);
    }
}

#[test]
fn slips_of_a_newcomer_are_told_with_what_was_meant() {
    let (dir, path) = source(SHOP);
    let path = path.to_str().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let near = path.replace(".db", ".bd");
    let (dump, gone) =
        (file("dump.sql", "BEGIN TRANSACTION;\nCREATE TABLE t (x);\n"), file("no", "").replace("/no", "/no.toml"));
    let url = url(&database());
    for (name, code, arguments) in [
        ("near_file", 6, &["migrate", &near, "embedded"][..]),
        ("near_verb", 2, &["migrte", path, "embedded"]),
        ("near_option", 2, &["migrate", path, "embedded", "--shema", "x"]),
        ("near_target", 2, &["migrate", path, "embeded"]),
        ("near_column", 2, &["plan", path, "--type", "customer.nme=text"]),
        ("swapped", 2, &["migrate", "postgres://me:hunter2secret@db/app", path]),
        ("a_dump", 6, &["inspect", &dump]),
        ("no_pipeline", 2, &["migrate", "-p", &gone]),
        ("a_database_as_pipeline", 2, &["migrate", "-p", path]),
        ("no_type", 2, &["plan", path, "--type", "customer.name=txt"]),
        ("verify_embedded", 2, &["verify", path, "embedded"]),
        ("rollback_embedded", 2, &["rollback", path, "embedded", "--to", "x.db"]),
        ("rollback_to_nowhere", 2, &["rollback", path, &url]),
        ("rollback_of_nothing", 3, &["rollback", path, &url, "--to", dir.path().join("x.db").to_str().unwrap()]),
        ("rejects_no_target", 2, &["rejects", "list", path]),
    ] {
        let ran = ended(program().args(arguments).output().unwrap());
        assert!(!ran.stderr.contains("hunter2secret"), "a password is shown: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{name}");
        snapshot(&format!("slip_{name}"), &ran);
        ran.exits(code);
    }
    let ran = ended(program().args(["migrate", path, "embedded"]).env("PG_BIN", "/not/there").output().unwrap());
    snapshot("slip_no_postgres", &ran);
    ran.exits(2);
}
