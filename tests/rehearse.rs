//! `lite2pg rehearse`: the drill as a person runs it, what it finds where something is wrong, and what it leaves: nothing.
#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

#[path = "../fixtures/generate.rs"]
mod generate;
#[path = "rehearse/shipped.rs"]
mod shipped;

use lite2pg::sqlite::alike::{Unlike, compare};
use rusqlite::Connection;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use support::program::{Ran, Running, bytes_of, ended, listing, migrate, program, source, url};
use support::{database, eventually, session};
use tempfile::TempDir;

/// Keys of every kind, rows without one, types that change on the way, foreign keys that act, what PostgreSQL has not.
const SHOP: &str = "
    CREATE TABLE customer (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(40) NOT NULL UNIQUE, since DATE,
        balance DECIMAL(10,2), is_member BOOLEAN, about JSON);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
        INSERT INTO customer SELECT i, 'name ' || i, date('2024-01-01', i || ' days'), i * 1.25, i % 2,
            '{ \"n\":  ' || i || ' }' FROM n;
    DELETE FROM customer WHERE id = 20;
    CREATE TABLE line (customer INTEGER NOT NULL REFERENCES customer ON DELETE CASCADE, what TEXT, n INTEGER,
        PRIMARY KEY (customer, what));
    INSERT INTO line SELECT id, 'thing ' || id, id FROM customer;
    CREATE TABLE tag (id TEXT PRIMARY KEY, of INTEGER REFERENCES customer ON DELETE SET NULL) WITHOUT ROWID;
    INSERT INTO tag SELECT printf('%08x-0000-4000-8000-000000000000', id), id FROM customer;
    CREATE TABLE log (at TEXT, level INTEGER, message TEXT);
    INSERT INTO log SELECT datetime('2024-01-01', id || ' hours'), id % 3, 'message ' || id FROM customer;
    INSERT INTO log SELECT * FROM log WHERE level = 1;
    CREATE TABLE empty (id INTEGER PRIMARY KEY, x BLOB);
    CREATE INDEX line_what ON line (what);
    CREATE VIEW members AS SELECT name FROM customer WHERE is_member;
    CREATE TRIGGER noted AFTER INSERT ON customer BEGIN INSERT INTO log VALUES ('now', 0, NEW.name); END;
    PRAGMA user_version = 7;";

/// A source, and a folder for temporary files of its own, so that what is left can be seen.
struct Stage {
    _dir: TempDir,
    path: PathBuf,
    scratch: TempDir,
}

impl Stage {
    fn new(sql: &str) -> Self {
        let (dir, path) = source(sql);
        Self { _dir: dir, path, scratch: scratch() }
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = program();
        command.arg("rehearse").arg(&self.path).args(more).env("TMPDIR", self.scratch.path());
        command
    }

    fn run(&self, more: &[&str]) -> Ran {
        ended(self.command(more).output().unwrap())
    }

    fn is_clean(&self) -> bool {
        fs::read_dir(self.scratch.path()).unwrap().next().is_none()
    }
}

// Everybody may come in, as into the system's own: a server of root's runs as somebody else.
fn scratch() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new_in("/tmp").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    dir
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap()
}

fn step<'v>(result: &'v Value, act: &str) -> &'v Value {
    result["steps"].as_array().unwrap().iter().find(|step| step["act"] == act).unwrap()
}

fn told(step: &Value) -> String {
    let lines = |name: &str| step[name].as_array().unwrap().iter().map(|l| l.as_str().unwrap().to_owned());
    lines("told").chain(lines("why")).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn all_passed(result: &Value, but: &[&str]) {
    for step in result["steps"].as_array().unwrap() {
        let expect = if but.contains(&step["act"].as_str().unwrap()) { "not_asked" } else { "passed" };
        assert_eq!(step["outcome"], expect, "{step:#}");
    }
    assert_eq!(result["passed"], true);
}

#[test]
fn a_rehearsal_goes_through_all_steps_and_leaves_the_source_and_nothing_else() {
    let stage = Stage::new(SHOP);
    let before = bytes_of(&stage.path);
    let long = std::env::var_os("LITE2PG_LONG").is_some();
    let report = stage.scratch.path().parent().unwrap().join(format!("{}.md", std::process::id()));
    let hook = "test -s \"$LITE2PG_RESTORED\"";
    let mut arguments = vec!["--json", "--report", report.to_str().unwrap(), "--hook", hook];
    // In the long run, all steps; otherwise some of them.
    arguments.extend((!long).then_some("--quick"));
    let ran = stage.run(&arguments).exits(0);
    let result = json(&ran);
    all_passed(&result, &[]);
    assert!(told(step(&result, "back_untouched")).contains("byte for byte"), "{result:#}");
    let changed = told(step(&result, "back_changed"));
    for kind in [" inserts", " updates", " upserts", " key changes", " deletes"] {
        let figure = changed.split(kind).next().and_then(|t| t.rsplit(' ').next()).unwrap();
        assert!(figure.parse::<u64>().unwrap() > 0, "{kind}: {changed}");
    }
    assert!(changed.contains("two transactions were open at once"), "{changed}");
    for act in ["killed_there", "killed_back"] {
        let killed = told(step(&result, act));
        let kills = killed.split("killed ").nth(1).and_then(|t| t.split(' ').next()).unwrap();
        assert!(
            kills.parse::<u64>().unwrap() >= if long { 20 } else { 6 } && killed.contains("COMMIT"),
            "{act}: {killed}"
        );
    }
    let back = told(step(&result, "killed_back"));
    assert!(!long || back.contains("rename to the restored file"), "{back}");
    assert!(result["downtime"]["back_ms"].as_u64().is_some() && result["downtime"]["measured"] == true);
    // Every text of JSON has blanks of its own, and no column of the log is its rowid.
    let of = |loss: &Value| format!("{}.{} {} {}", loss["table"], loss["column"], loss["form"], loss["count"]);
    let losses: Vec<String> = result["losses"].as_array().unwrap().iter().map(of).collect();
    for expect in ["\"customer\".\"about\" \"spelling\" 19", "\"log\".null \"rowid\" 26"] {
        assert!(losses.iter().any(|loss| loss == expect), "{expect}: {losses:#?}");
    }
    let document = fs::read_to_string(&report).unwrap();
    assert!(
        document.contains("## What only the source has") && document.contains("`customer.about`: 19 cells"),
        "{document}"
    );
    fs::remove_file(&report).unwrap();
    assert!(document.starts_with("# Rehearsal passed: `") && document.contains("## Downtime"), "{document}");
    assert!(bytes_of(&stage.path) == before, "the source is as it was");
    assert!(stage.is_clean());
}

#[test]
fn help_and_results_are_readable() {
    let help = ended(program().args(["rehearse", "--help"]).output().unwrap());
    let stage = Stage::new(SHOP);
    let failed = stage.run(&["--quick", "--hook", "echo no rows; exit 3"]).exits(1);
    let mut settings = insta::Settings::clone_current();
    for (what, with) in [
        (r"/tmp/\.tmp\w+", "[dir]"),
        (r"\b(\d+m )?\d+(\.\d+)?s\b", "[t]"),
        // Where its lines break depends on the times in them.
        (r"(?s)\ndowntime   .*?\n--- stderr", "\ndowntime [words]\n--- stderr"),
        (r"PostgreSQL \d+(\.\d+)?", "PostgreSQL [v]"),
        (r"killed \d+ times, before and after \d+ of \d+ steps", "killed [n] times, before and after [n] of [n] steps"),
        (r"kinds of steps: [^!]*?\n(\s*\d|\n)", "kinds of steps: [words]\n$1"),
    ] {
        settings.add_filter(what, with);
    }
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::assert_snapshot!("rehearse_help", help.stdout);
        insta::assert_snapshot!("rehearse_hook_failed", format!("{}--- stderr\n{}", failed.stdout, failed.stderr));
    });
}

#[test]
fn a_target_is_left_as_it_was() {
    let stage = Stage::new("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');");
    let target = database();
    let seen = session(&target);
    let named = ["--target", &url(&target), "--json", "--quick"];
    let before = listing(&seen);
    all_passed(&json(&stage.run(&named).exits(0)), &["hook"]);
    assert_eq!(listing(&seen), before);
    // With runs of its own, which stay.
    migrate([stage.path.as_os_str(), url(&target).as_ref(), "--quiet".as_ref()]).exits(0);
    let before = listing(&seen);
    all_passed(&json(&stage.run(&named).exits(0)), &["hook"]);
    assert_eq!(listing(&seen), before);
    // What a rehearsal that was killed left is known by its mark; what has none is somebody's.
    seen.batch("CREATE SCHEMA lite2pg_rehearsal_main; CREATE TABLE lite2pg_rehearsal_main.t (x int)").unwrap();
    stage.run(&named).says(&["schema `lite2pg_rehearsal_main` is there, and no rehearsal made it"]);
    seen.batch("COMMENT ON SCHEMA lite2pg_rehearsal_main IS 'Scratch of lite2pg rehearse; may be dropped'").unwrap();
    stage.run(&named).exits(0);
    assert_eq!(listing(&seen), before);
}

#[test]
fn what_is_wrong_on_the_way_fails_the_rehearsal() {
    let stage = Stage::new(SHOP);
    let target = database();
    // The hook runs once the writes are back, and before the file is migrated again.
    let psql = "/usr/lib/postgresql/15/bin/psql";
    if !Path::new(psql).exists() {
        println!("skipped: there is no {psql}");
        return;
    }
    let meddle = format!(
        "{psql} -q '{}' -c 'UPDATE lite2pg_rehearsal_main.line SET n = n + 1 WHERE customer = 5'",
        url(&target)
    );
    let ran = stage.run(&["--target", &url(&target), "--json", "--quick", "--hook", &meddle]).exits(1);
    let result = json(&ran);
    assert_eq!((&result["passed"], &step(&result, "there_again")["outcome"]), (&false.into(), &"failed".into()));
    assert!(told(step(&result, "there_again")).contains("`line` hashes to something else"), "{result:#}");
    ran.says(&["error: the rehearsal failed: there again"]);
}

#[test]
fn an_interrupted_or_killed_rehearsal_leaves_nothing() {
    for signal in ["INT", "KILL"] {
        let stage = Stage::new(SHOP);
        let target = database();
        let seen = session(&target);
        let before = listing(&seen);
        let mut running = Running::start(&mut stage.command(&["--hook", "sleep 60"]));
        let is_at_the_hook = || {
            let Ok(folders) = fs::read_dir(stage.scratch.path()) else { return false };
            folders.filter_map(Result::ok).any(|folder| folder.path().join("for-the-hook.db").exists())
        };
        // A few steps come before it.
        let deadline = Instant::now() + Duration::from_secs(240);
        while !is_at_the_hook() {
            assert!(Instant::now() < deadline && !running.is_over(), "the hook does not run");
            std::thread::sleep(Duration::from_millis(20));
        }
        running.signal(signal);
        if signal == "INT" {
            running.end().exits(8);
        } else {
            running.kill();
        }
        eventually("nothing is left", || stage.is_clean());
        assert_eq!(listing(&seen), before);
    }
}

#[test]
fn a_pipeline_is_rehearsed_with_all_that_it_does() {
    let stage = Stage::new(SHOP);
    let pipeline = stage.path.with_file_name("shop.toml");
    fs::write(
        &pipeline,
        r#"
source = "app.db"
target = "postgres://nobody@nowhere.invalid/none"
schema = "shop"
[[table]]
from = "customer"
to = "client"
where = "id <> 3"
[table.columns]
name = { to = "full_name" }
is_member = { map = { 1 = "yes", 0 = "no" } }
twice = { sql = "id * 2" }
[[table]]
from = "line"
where = "customer <> 3"
[[table]]
from = "tag"
where = "of <> 3"
[table.columns]
id = { v4 = "tags" }
[[table]]
from = "empty"
skip = true
[[table]]
query = "SELECT level, count(*) AS n FROM log GROUP BY level"
key = ["level"]
to = "levels"
"#,
    )
    .unwrap();
    let mut command = program();
    command.arg("rehearse").arg("-p").arg(&pipeline).args(["--quick", "--json"]).env("TMPDIR", stage.scratch.path());
    let ran = ended(command.output().unwrap()).exits(0);
    let result = json(&ran);
    all_passed(&result, &["hook"]);
    assert!(told(step(&result, "back_changed")).contains("nothing is written to `levels`"), "{result:#}");
    assert!(stage.is_clean());
}

#[test]
fn tables_of_which_rows_were_set_aside_are_emptied_and_those_rows_stay_in_sqlite() {
    // Every third row breaks the rule; those of the table without rowids are told by no number.
    let stage = Stage::new(
        "CREATE TABLE part (id INTEGER PRIMARY KEY, size TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)
             INSERT INTO part SELECT i, iif(i % 3, i, 'about ' || i) FROM n;
         CREATE TABLE code (code TEXT PRIMARY KEY, size TEXT) WITHOUT ROWID;
         INSERT INTO code SELECT 'c' || id, size FROM part;
         CREATE TABLE loose (size TEXT, note TEXT);
         INSERT INTO loose SELECT size, 'note ' || id FROM part;",
    );
    let types = ["part", "code", "loose"].map(|table| format!("{table}.size=int4"));
    let types: Vec<&str> = types.iter().flat_map(|of| ["--type", of.as_str()]).collect();
    let more = [&["--quick", "--json", "--on-error", "reject"], &types[..]].concat();
    let result = json(&stage.run(&more).exits(0));
    all_passed(&result, &["hook"]);
    let emptied = told(step(&result, "back_emptied"));
    for words in ["emptied: part, loose", "set aside, and still in SQLite: 20 rows", "0 updated, 0 inserted"] {
        assert!(emptied.contains(words), "{words}: {emptied}");
    }
}

#[test]
fn generated_sources_are_rehearsed_quickly() {
    for (kind, scale) in [(generate::Source::Shop, 0.02), (generate::Source::Bench, 0.0002)] {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("app.db");
        kind.write(&path, scale).unwrap();
        let stage = Stage { _dir: dir, path, scratch: scratch() };
        all_passed(&json(&stage.run(&["--quick", "--json"]).exits(0)), &["hook"]);
    }
}

#[test]
fn a_large_source_is_sampled_where_that_was_asked_for_and_it_is_said() {
    let stage = Stage::new(
        "CREATE TABLE boss (id INTEGER PRIMARY KEY, name TEXT);
         CREATE TABLE worker (id INTEGER PRIMARY KEY, boss INTEGER NOT NULL REFERENCES boss, note TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
             INSERT INTO worker SELECT i, 1 + i % 9000, hex(randomblob(100)) FROM n;
         INSERT INTO boss SELECT i, 'boss ' || i FROM (SELECT DISTINCT boss AS i FROM worker);",
    );
    let ran = stage.run(&["--quick", "--json"]).exits(0);
    let result = json(&ran);
    all_passed(&result, &["hook"]);
    let sample = &result["sample"];
    assert_eq!(sample["of"], 69_000);
    assert!((3000..8000).contains(&sample["rows"].as_u64().unwrap()), "{sample}");
    assert_eq!(result["downtime"]["measured"], false);
}

#[test]
fn files_of_the_corpus_are_rehearsed() {
    let Some(folder) = std::env::var_os("LITE2PG_CORPUS").map(PathBuf::from) else {
        println!("skipped: LITE2PG_CORPUS names no folder with databases");
        return;
    };
    let long = std::env::var_os("LITE2PG_LONG").is_some();
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_database = || fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0"));
            if path.is_dir() {
                folders.push(path);
            } else if is_database() {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut failed = Vec::new();
    // Some of them, unless there is time.
    for path in files.iter().step_by(if long { 1 } else { 6 }) {
        let scratch = scratch();
        let mut command = program();
        command.arg("rehearse").arg(path).arg("--json").args(if long { None } else { Some("--quick") });
        let ran = ended(command.env("TMPDIR", scratch.path()).output().unwrap());
        println!("{}: exit {}", path.display(), ran.code);
        if ran.code != 0 {
            failed.push(format!("{}\n{}\n{}", path.display(), ran.stdout, ran.stderr));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

/// Two files: of these statements, and of these after them.
fn pair(sql: &str, then: &str) -> (Stage, PathBuf) {
    let stage = Stage::new(sql);
    let other = stage.path.with_file_name("other.db");
    fs::copy(&stage.path, &other).unwrap();
    let db = Connection::open(&other).unwrap();
    db.execute_batch(then).unwrap_or_else(|e| panic!("{e}\n{then}"));
    (stage, other)
}

#[test]
fn whatever_is_unlike_in_two_files_is_found() {
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a, b);
        CREATE TABLE k (x TEXT, y, PRIMARY KEY (x)) WITHOUT ROWID; CREATE TABLE n (v);
        INSERT INTO t VALUES (1, 1, 'x'), (2, 0.0, NULL); INSERT INTO k VALUES ('a', 1), ('b', 2);
        INSERT INTO n VALUES ('v'), ('w');";
    for (then, expect) in [
        ("", 0),
        ("UPDATE t SET a = '1' WHERE id = 1", 1),
        ("UPDATE t SET a = 1.0 WHERE id = 1", 1),
        ("UPDATE t SET a = -0.0 WHERE id = 2", 1),
        ("UPDATE t SET b = '' WHERE id = 2", 1),
        ("UPDATE t SET b = CAST(b AS BLOB) WHERE id = 1", 1),
        ("UPDATE n SET rowid = 9 WHERE v = 'w'", 2),
        ("UPDATE k SET y = 3 WHERE x = 'a'", 1),
        ("UPDATE k SET x = 'A' WHERE x = 'a'", 2),
        ("UPDATE sqlite_sequence SET seq = 9", 1),
        ("INSERT INTO n VALUES ('v')", 2),
        ("DELETE FROM n WHERE v = 'v'", 2),
        ("PRAGMA user_version = 2", 1),
        ("PRAGMA application_id = 2", 1),
        ("CREATE INDEX i ON t (a)", 1),
        ("CREATE TABLE more (x)", 2),
    ] {
        let (stage, other) = pair(sql, then);
        let mut found: Vec<Unlike> = Vec::new();
        let compared = compare(&stage.path, &other, &|| Ok(()), &mut |unlike| {
            found.push(unlike);
            Ok(())
        });
        assert_eq!(found.len(), expect, "{then}: {found:?}");
        // The sequence's own row is one of them.
        assert_eq!(compared.unwrap().rows, 7, "{then}");
    }
}
