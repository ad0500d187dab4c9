//! `lite2pg status` from a second terminal, and `--metrics-addr`: a run is held still at a known place, and both must say
//! where it stands.

use super::support::program::{Ran, Running, ended, migrate, program, source, until, url, value};
use super::support::{database, eventually, session};
use lite2pg::postgres::{Session, Target};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use unicode_width::UnicodeWidthStr as _;

/// Two tables, of which the large one takes three ranges.
const SOURCE: &str = "
    CREATE TABLE big (id INTEGER PRIMARY KEY, t TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450000) INSERT INTO big SELECT i, 'row ' || i FROM n;
    CREATE TABLE small (id INTEGER PRIMARY KEY, big INTEGER REFERENCES big, CHECK (id > 0));
    INSERT INTO small VALUES (1, 1), (2, 2);
    CREATE INDEX small_big ON small (big);";

/// The lock that a held run waits for.
const GATE: &str = "pg_advisory_lock(7777, 7777)";

fn status(target: &Target, more: &[&str]) -> Ran {
    ended(program().args(["status", &url(target)]).args(more).output().unwrap())
}

/// The status of the only run, as JSON.
fn look(target: &Target) -> Value {
    let ran = status(target, &["--json"]).exits(0);
    let all: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(all["format"], 1);
    all["runs"][0].clone()
}

/// A target on which the second range of `big` waits at its end, until the gate is opened.
fn gated() -> (Target, Session) {
    let target = database();
    let (_dir, path) = source("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    // Makes the control schema.
    migrate([path.to_str().unwrap(), &url(&target), "--schema", "other", "--quiet"]).exits(0);
    let holder = session(&target);
    holder
        .batch(&format!(
            "CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
               IF NEW.table_name = 'big' AND EXISTS (SELECT FROM lite2pg.range WHERE run = NEW.run AND table_name = 'big') \
               THEN PERFORM pg_advisory_xact_lock(7777, 7777); END IF; RETURN NEW; END $$; \
             CREATE TRIGGER wait_at_gate BEFORE INSERT ON lite2pg.range FOR EACH ROW EXECUTE FUNCTION wait_at_gate(); \
             DELETE FROM lite2pg.run; SELECT {GATE}"
        ))
        .unwrap();
    (target, holder)
}

fn waits(seen: &Session) {
    until(
        seen,
        "EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
         WHERE d.datname = current_database() AND locktype = 'advisory' AND classid = 7777 AND NOT granted)",
    );
}

fn open(holder: &Session) {
    holder.batch("SELECT pg_advisory_unlock(7777, 7777)").unwrap();
}

fn start(path: &Path, target: &Target, more: &[&str]) -> Running {
    let mut command = program();
    command.args(["migrate", path.to_str().unwrap(), &url(target), "--jobs", "1", "--quiet"]).args(more);
    Running::start(&mut command)
}

#[test]
fn a_run_is_watched_from_its_middle_over_its_death_to_its_end() {
    let (_dir, path) = source(SOURCE);
    let (target, holder) = gated();
    let seen = session(&target);
    assert!(status(&database(), &[]).exits(0).stdout.contains("no run of lite2pg is known here"));

    let running = start(&path, &target, &[]);
    waits(&seen);
    let run = look(&target);
    let there: u64 = value(&seen, "(SELECT count(*) FROM big)").parse().unwrap();
    assert!(there > 0 && there < 450_000, "{there}");
    assert_eq!((&run["word"], &run["at_work"]), (&"copying".into(), &true.into()));
    assert_eq!(run["tables"][0]["rows"], there);
    let expected = run["tables"][0]["rows_expected"].as_u64().unwrap();
    assert!(expected.abs_diff(450_000) < 1000, "{expected}");
    assert!(run["rows_per_second"].as_u64().unwrap() > 0 && run["copy_remaining_ms"].as_u64().unwrap() > 0, "{run}");
    assert_eq!(run["phases"][0]["phase"], "copy");
    assert_eq!(run["indexes"]["planned"], 3);
    assert_eq!((&run["constraints"]["planned"], &run["constraints"]["done"]), (&2.into(), &0.into()));
    let screen = status(&target, &[]).exits(0).stdout;
    for words in ["copying, for ", "of about", "the copy takes about", "0 of 2 constraints", "45 %", "big"] {
        let percent = format!("{} %", there * 100 / expected);
        let words = if words == "45 %" { percent.as_str() } else { words };
        assert!(
            screen.split_whitespace().collect::<Vec<_>>().join(" ").contains(words),
            "`{words}` is not in\n{screen}"
        );
    }
    for line in screen.lines() {
        assert!(line.width() <= 80, "{line}");
    }
    assert_eq!(status(&target, &["--schema", "nowhere", "--json"]).exits(0).stdout.matches("\"run\"").count(), 0);

    // Nobody waits for a dead one, and nothing of it is lost.
    running.kill();
    eventually("its lock is free", || look(&target)["word"] == "stopped");
    let run = look(&target);
    assert_eq!(
        (&run["tables"][0]["rows"], &run["at_work"], &run["rows_per_second"]),
        (&there.into(), &false.into(), &Value::Null)
    );
    assert!(status(&target, &[]).exits(0).stdout.contains("goes on with"));

    open(&holder);
    let watching = Running::start(program().args(["status", &url(&target), "--watch", "1"]));
    assert!(watching.end().exits(0).stdout.contains("stopped"));
    start(&path, &target, &[]).end().exits(0);
    let run = look(&target);
    assert_eq!((&run["word"], &run["verdict"], &run["rows"]), (&"done".into(), &"verified".into(), &450_002.into()));
    assert_eq!(run["indexes"], serde_json::json!({ "done": 3, "planned": 3 }));
    assert_eq!(run["constraints"], serde_json::json!({ "done": 2, "planned": 2 }));
    let phases: Vec<&str> = run["phases"].as_array().unwrap().iter().map(|p| p["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["copy", "copy", "index", "constrain", "analyze", "verify"]);
    assert!(run["copy_remaining_ms"].is_null() && run["ended_at"].is_string());
    assert!(status(&target, &[]).exits(0).stdout.contains(", verified"));
    // A comparison that finds something is the last word.
    seen.batch("UPDATE small SET big = 3 WHERE id = 2").unwrap();
    start(&path, &target, &["--differences-dir", path.with_extension("differences").to_str().unwrap()]).end().exits(5);
    assert_eq!(look(&target)["verdict"], "different");
}

#[test]
fn a_watch_ends_with_the_run_and_prints_an_object_a_line() {
    let (_dir, path) = source(SOURCE);
    let (target, holder) = gated();
    let seen = session(&target);
    let running = start(&path, &target, &[]);
    waits(&seen);
    let mut watching = program();
    watching.args(["status", &url(&target), "--watch", "1", "--json"]).stdout(Stdio::piped());
    let mut watching = watching.spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || -> Option<Value> { lines.next().map(|line| serde_json::from_str(&line.unwrap()).unwrap()) };
    assert_eq!(next().unwrap()["runs"][0]["word"], "copying");
    open(&holder);
    running.end().exits(0);
    let rest: Vec<Value> = std::iter::from_fn(next).collect();
    assert_eq!(rest.last().unwrap()["runs"][0]["word"], "done", "{rest:?}");
    assert!(watching.wait().unwrap().success());
}

#[test]
fn runs_of_a_version_that_kept_no_phases_are_told_and_gone_on_with() {
    let (_dir, path) = source(SOURCE);
    let (target, holder) = gated();
    let seen = session(&target);
    seen.batch("DROP TABLE lite2pg.phase").unwrap();
    let running = start(&path, &target, &[]);
    waits(&seen);
    running.kill();
    eventually("its lock is free", || look(&target)["word"] == "stopped");
    seen.batch("DROP TABLE IF EXISTS lite2pg.phase").unwrap();
    open(&holder);
    start(&path, &target, &[]).end().exits(0);
    let run = look(&target);
    assert_eq!((&run["word"], &run["phases"], &run["verdict"]), (&"done".into(), &serde_json::json!([]), &Value::Null));
    let screen = status(&target, &[]).exits(0).stdout;
    assert!(!screen.contains("not compared") && screen.contains("done in"), "{screen}");
}

#[test]
fn whoever_may_not_look_is_told_what_to_grant() {
    let (_dir, path) = source("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let target = database();
    migrate([path.to_str().unwrap(), &url(&target), "--quiet"]).exits(0);
    let admin = session(&target);
    let role = format!("onlooker_{}", std::process::id());
    admin.batch(&format!("CREATE ROLE {role} LOGIN")).unwrap();
    let as_role = url(&target).replacen("postgres@", &format!("{role}@"), 1);
    let look = || ended(program().args(["status", &as_role]).output().unwrap());
    let refused = look().exits(3).says(&["may not read the control schema", "GRANT USAGE ON SCHEMA lite2pg"]);
    let grant = refused.stderr.lines().find_map(|l| l.strip_prefix("hint: ")).unwrap().to_owned();
    admin.batch(&grant).unwrap();
    assert!(look().exits(0).stdout.contains("done"));
    admin.batch(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).unwrap();
    status(&target, &["--watch", "0"]).exits(2);
    ended(program().args(["status", "postgres://127.0.0.1:1/x"]).output().unwrap()).exits(7);
    ended(program().arg("status").output().unwrap()).exits(2).says(&["no TARGET is given"]);
    ended(program().args(["status", "embedded"]).output().unwrap()).exits(2);
}

/// A run with metrics, and where they are.
fn metered(path: &Path, target: &Target) -> (Child, String) {
    let mut command = program();
    command.args(["migrate", path.to_str().unwrap(), &url(target), "--jobs", "1", "--metrics-addr", "0"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.find_map(|line| line.unwrap().strip_prefix("metrics: http://").map(str::to_owned)).unwrap();
    // Somebody has to read the rest, so that the program does not wait.
    std::thread::spawn(move || lines.for_each(drop));
    (child, address.strip_suffix("/metrics").unwrap().to_owned())
}

fn scrape(address: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4"), "{head}");
    body.to_owned()
}

#[test]
fn a_scrape_tells_where_the_run_is() {
    let (_dir, path) = source(SOURCE);
    let (target, holder) = gated();
    let seen = session(&target);
    let (mut child, address) = metered(&path, &target);
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    waits(&seen);
    let told = scrape(&address);
    let figure = |name: &str| -> f64 {
        let line = told.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in\n{told}"));
        line.trim().parse().unwrap()
    };
    let there: f64 = value(&seen, "(SELECT count(*) FROM big)").parse().unwrap();
    // The range that waits has sent its rows.
    assert!(figure("lite2pg_copy_table_rows{table=\"big\"}") > there, "{told}");
    assert!(figure("lite2pg_copy_rows_expected") > 449_000.0 && figure("lite2pg_phase{phase=\"copy\"}") > 0.5);
    assert!(
        figure("lite2pg_phase_seconds{phase=\"profile\"}") >= 0.0
            && figure("lite2pg_objects_done{phase=\"profile\"}") > 1.5
    );
    // As any client asks.
    if let Ok(output) = Command::new("curl").args(["-sS", "--fail", &format!("http://{address}/metrics")]).output() {
        let ran = ended(output).exits(0);
        assert!(ran.stdout.contains("lite2pg_info{version=\""), "{}", ran.stdout);
        let missing =
            Command::new("curl").args(["-sS", "--fail", &format!("http://{address}/secrets")]).output().unwrap();
        assert_eq!(missing.status.code(), Some(22));
    }
    // A port that is taken is known at once.
    let ran = migrate([path.to_str().unwrap(), &url(&database()), "--metrics-addr", &address]);
    ran.exits(2).says(&["metrics cannot be served at", "nothing was written"]);
    open(&holder);
    assert!(child.wait().unwrap().success());
    assert!(TcpStream::connect(&address).is_err(), "somebody still listens");
    migrate([path.to_str().unwrap(), &url(&database()), "--metrics-addr", "everywhere"])
        .exits(2)
        .says(&["state a port"]);
}
