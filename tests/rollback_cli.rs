//! `lite2pg rollback` as a person runs it: what it prints, what a kill leaves, and who may write meanwhile.
//!
//! Nothing here waits for luck: a lock that the program needs holds it in the state that the test is about.
#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::postgres::{Session, Target};
use rusqlite::Connection;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use support::contents::{contents, same_lines};
use support::program::{Ran, Running, ended, migrate, program, source, until, url, value};
use support::{database, eventually, session};
use tempfile::TempDir;

const SHOP: &str = "
    CREATE TABLE customer (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(40) NOT NULL, since DATE, balance DECIMAL(10,2));
    INSERT INTO customer VALUES (1, 'Ann', '2024-01-31', 12.5), (2, 'Bob', NULL, 0), (3, 'Cem', '2024-02-29', 7);
    CREATE TABLE line (customer INTEGER NOT NULL REFERENCES customer ON DELETE CASCADE, what TEXT, PRIMARY KEY (customer, what));
    INSERT INTO line VALUES (1, 'tea'), (1, 'salt'), (3, 'rice');";

/// A source that was migrated.
struct Stage {
    _dir: TempDir,
    path: PathBuf,
    target: Target,
    seen: Session,
}

impl Stage {
    fn new(sql: &str) -> Self {
        let (dir, path) = source(sql);
        let target = database();
        migrate([path.as_os_str(), url(&target).as_ref(), "--quiet".as_ref()]).exits(0);
        Self { _dir: dir, path, seen: session(&target), target }
    }

    fn to(&self) -> PathBuf {
        self.path.with_file_name("restored.db")
    }

    fn workshop(&self) -> PathBuf {
        self.path.with_file_name(".restored.db.lite2pg")
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = program();
        command.arg("rollback").arg(&self.path).arg(url(&self.target)).arg("--to").arg(self.to()).args(more);
        command
    }

    fn run(&self, more: &[&str]) -> Ran {
        ended(self.command(more).output().unwrap())
    }

    fn pg(&self, sql: &str) -> &Self {
        self.seen.batch(sql).unwrap();
        self
    }

    /// A session in whose way a command comes once its fence is up.
    fn held_behind_the_fence(&self) -> Session {
        let holder = session(&self.target);
        holder.batch("BEGIN; ALTER SEQUENCE customer_id_seq RENAME TO other").unwrap();
        holder
    }

    /// Starts, and returns when the copy is made and a table cannot be read.
    fn held(&self, holder: &Session, more: &[&str]) -> Running {
        holder.batch("BEGIN; LOCK TABLE line IN ACCESS EXCLUSIVE MODE").unwrap();
        let running = Running::start(&mut self.command(more));
        until(&self.seen, "EXISTS (SELECT FROM pg_locks WHERE relation = 'line'::regclass AND NOT granted)");
        assert!(self.workshop().join("copy.db").exists());
        running
    }
}

fn snapshot(name: &str, ran: &Ran) {
    let mut settings = insta::Settings::clone_current();
    for (what, with) in [(r"/tmp/\.tmp\w+", "[dir]"), (r"\b\d+(\.\d+)?s\b", "[t]"), (r"\btest_\d+\b", "[database]")] {
        settings.add_filter(what, with);
    }
    settings.set_omit_expression(true);
    let shown = format!("exit {}\n--- stdout\n{}--- stderr\n{}", ran.code, ran.stdout, ran.stderr);
    settings.bind(|| insta::assert_snapshot!(name, shown));
}

#[test]
fn help_and_results_are_readable() {
    snapshot("rollback_help", &ended(program().args(["rollback", "--help"]).output().unwrap()));
    let stage = Stage::new(SHOP);
    stage.pg("UPDATE customer SET balance = 99.99 WHERE id = 2; DELETE FROM customer WHERE id = 3;
         INSERT INTO customer (name, since) VALUES ('Dee', '2025-01-01'); INSERT INTO line VALUES (2, 'oil')");
    snapshot("rollback_dry_run", &stage.run(&["--dry-run"]).exits(0));
    snapshot("rollback_restored", &stage.run(&[]).exits(0));
    snapshot("rollback_is_there", &stage.run(&[]).exits(3));
    stage.pg("UPDATE customer SET since = 'infinity' WHERE id < 3; CREATE TABLE note (id int, text text); INSERT INTO note VALUES (1, 'x')");
    snapshot("rollback_refused", &stage.run(&["--force"]).exits(3));
    let folder = stage.path.with_file_name("unmappable");
    let ran = stage.run(&["--force", "--export-unmappable", folder.to_str().unwrap()]).exits(4);
    snapshot("rollback_exported", &ran);
    let json: serde_json::Value =
        serde_json::from_str(&stage.run(&["--force", "--json", "--quiet"]).exits(3).stdout).unwrap();
    assert_eq!((&json["ending"], &json["tables"][0]["unfit"]), (&"refused".into(), &2.into()), "{json:#}");
    let no_to = ended(program().arg("rollback").arg(&stage.path).arg(url(&stage.target)).output().unwrap());
    no_to.exits(2).says(&["`--to` says where the restored file goes"]);
}

#[test]
fn a_command_killed_while_it_reads_leaves_the_files_and_the_next_cleans_up() {
    let stage = Stage::new(SHOP);
    let holder = session(&stage.target);
    std::fs::write(stage.to(), "an earlier one").unwrap();
    let bytes = std::fs::read(&stage.path).unwrap();
    let running = stage.held(&holder, &["--force"]);
    // Nobody else restores to the same file meanwhile.
    let second = database();
    migrate([stage.path.as_os_str(), url(&second).as_ref(), "--quiet".as_ref()]).exits(0);
    let mut other = program();
    other.arg("rollback").arg(&stage.path).arg(url(&second)).arg("--to").arg(stage.to()).arg("--force");
    ended(other.output().unwrap()).exits(3).says(&["another lite2pg is restoring"]);
    running.kill();
    holder.batch("ROLLBACK").unwrap();
    assert_eq!(std::fs::read_to_string(stage.to()).unwrap(), "an earlier one");
    assert!(std::fs::read(&stage.path).unwrap() == bytes && stage.workshop().join("copy.db").exists());
    stage.run(&["--force"]).exits(0).says(&["what a rollback that was killed had left beside it is gone"]);
    same_lines(&contents(&stage.to()), &contents(&stage.path));
    assert!(!stage.workshop().exists());
}

#[test]
fn a_command_killed_while_it_writes_leaves_the_files_and_the_next_cleans_up() {
    let stage = Stage::new(SHOP);
    let holder = session(&stage.target);
    std::fs::write(stage.to(), "an earlier one").unwrap();
    stage.pg("UPDATE customer SET name = 'x'");
    let running = stage.held(&holder, &["--force"]);
    // Who reads the copy keeps its writer from ending.
    let reader = Connection::open(stage.workshop().join("copy.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM customer").unwrap();
    holder.batch("ROLLBACK").unwrap();
    eventually("the copy is written to", || stage.workshop().join("copy.db-journal").exists());
    running.kill();
    drop(reader);
    assert_eq!(std::fs::read_to_string(stage.to()).unwrap(), "an earlier one");
    stage.run(&["--force"]).exits(0).says(&["what a rollback that was killed had left beside it is gone"]);
    assert!(contents(&stage.to()).iter().any(|line| line.starts_with("customer: 1 | 1 | text x")));
}

#[test]
fn a_kill_at_any_time_leaves_whole_files() {
    let stage = Stage::new(SHOP);
    stage.pg("UPDATE customer SET name = 'x'");
    let started = Instant::now();
    stage.run(&[]).exits(0);
    let whole = started.elapsed();
    let good = contents(&stage.to());
    let bytes = std::fs::read(&stage.path).unwrap();
    for n in 0..12_u32 {
        let running = Running::start(&mut stage.command(&["--force"]));
        std::thread::sleep(whole * n / 12);
        running.kill();
        same_lines(&contents(&stage.to()), &good);
        assert!(std::fs::read(&stage.path).unwrap() == bytes);
    }
    stage.run(&["--force"]).exits(0);
    same_lines(&contents(&stage.to()), &good);
}

#[test]
fn a_signal_ends_it_with_nothing_published() {
    let stage = Stage::new(SHOP);
    let holder = session(&stage.target);
    let mut running = stage.held(&holder, &[]);
    running.signal("INT");
    running.end().exits(8);
    holder.batch("ROLLBACK").unwrap();
    assert!(!stage.to().exists() && !stage.workshop().exists());
}

const WAITS_BEHIND_THE_FENCE: &str =
    "EXISTS (SELECT FROM pg_locks WHERE relation = 'customer_id_seq'::regclass AND NOT granted)";

const REFUSED: &str = "55000";

/// The SQLSTATE of a write; `ok` where it is taken.
fn write(target: &Target, sql: &str) -> String {
    match session(target).batch(sql) {
        Ok(()) => "ok".to_owned(),
        Err(e) => e.sqlstate().unwrap_or("no SQLSTATE").to_owned(),
    }
}

#[test]
fn a_fence_waits_for_writers_and_refuses_those_that_come_after() {
    let stage = Stage::new(SHOP);
    let writer = session(&stage.target);
    writer.batch("BEGIN; INSERT INTO customer (id, name) VALUES (50, 'late')").unwrap();
    let holder = stage.held_behind_the_fence();
    let running = Running::start(&mut stage.command(&["--fence"]));
    until(&stage.seen, "EXISTS (SELECT FROM pg_locks WHERE relation = 'customer'::regclass AND NOT granted)");
    writer.batch("COMMIT").unwrap();
    until(&stage.seen, WAITS_BEHIND_THE_FENCE);
    for sql in [
        "INSERT INTO customer (name) VALUES ('x')",
        "UPDATE customer SET name = 'x' WHERE false",
        "DELETE FROM customer",
        "TRUNCATE customer CASCADE",
        "SET session_replication_role = replica; INSERT INTO customer (name) VALUES ('x')",
        "COPY customer FROM '/dev/null'",
    ] {
        assert_eq!(write(&stage.target, sql), REFUSED, "{sql}");
    }
    holder.batch("ROLLBACK").unwrap();
    running.end().exits(0);
    assert!(contents(&stage.to()).iter().any(|line| line.contains("text late")), "the one that was waited for");
    assert_eq!(write(&stage.target, "INSERT INTO customer (name) VALUES ('x')"), "ok");
    assert_eq!(value(&stage.seen, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'lite2pg%'"), "0");
}

#[test]
fn the_fence_of_a_killed_command_is_lifted_by_the_next() {
    let stage = Stage::new(SHOP);
    let holder = stage.held_behind_the_fence();
    let running = Running::start(&mut stage.command(&["--fence"]));
    until(&stage.seen, WAITS_BEHIND_THE_FENCE);
    running.kill();
    holder.batch("ROLLBACK").unwrap();
    assert_eq!(write(&stage.target, "DELETE FROM line"), REFUSED);
    stage.run(&[]).exits(0).says(&["the fence of a rollback that was killed is lifted"]);
    assert_eq!(write(&stage.target, "DELETE FROM line"), "ok");
}

#[test]
fn a_fence_that_is_kept_stays_until_it_is_lifted() {
    let stage = Stage::new(SHOP);
    let ran = stage.run(&["--fence=keep"]).exits(0);
    assert!(ran.stdout.contains("writers of 2 tables stay refused"), "{}", ran.stdout);
    assert_eq!(write(&stage.target, "DELETE FROM line"), REFUSED);
    stage.run(&["--force"]).exits(0).says(&["left up on purpose"]);
    assert_eq!(write(&stage.target, "DELETE FROM line"), REFUSED);
    // Refused, it is not kept.
    stage.pg("CREATE TABLE note (id int)");
    let lift = || {
        ended(program().arg("rollback").arg(&stage.path).arg(url(&stage.target)).arg("--fence=lift").output().unwrap())
    };
    assert_eq!(lift().exits(0).stdout, "the fence is lifted: 2 tables can be written to again\n");
    assert_eq!(lift().exits(0).stdout, "no fence was up\n");
    stage.pg("INSERT INTO note VALUES (1)");
    stage.run(&["--force", "--fence=keep"]).exits(3);
    assert_eq!(write(&stage.target, "DELETE FROM line"), "ok");
}

#[test]
fn a_fence_is_lifted_while_somebody_reads() {
    let stage = Stage::new(SHOP);
    let reader = session(&stage.target);
    reader.batch("BEGIN; SELECT count(*) FROM line").unwrap();
    stage.run(&["--fence"]).exits(0);
    assert_eq!(write(&stage.target, "INSERT INTO line VALUES (2, 'oil')"), "ok");
    // What could not be dropped is no fence, and becomes one again.
    assert_eq!(value(&stage.seen, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'lite2pg%'"), "1");
    stage.run(&["--force", "--fence=keep"]).exits(0);
    assert_eq!(write(&stage.target, "DELETE FROM line"), REFUSED);
    reader.batch("COMMIT").unwrap();
    let lift = program().arg("rollback").arg(&stage.path).arg(url(&stage.target)).arg("--fence=lift").output().unwrap();
    ended(lift).exits(0);
    assert_eq!(value(&stage.seen, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'lite2pg%'"), "0");
}
