//! Keys of tables that a run's own scripts have made: away while rows come, and back whatever happens.

use super::stage::{Stage, killed_when_reached};
use crate::support::program::{Ran, Running, ended, program, value};
use crate::support::proxy::{Act, From};

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// A table that is large enough, `twins` of whose codes are there twice, and a small one that refers to another.
fn source_with(twins: u32) -> Stage {
    Stage::of(&format!(
        "CREATE TABLE big (id INTEGER PRIMARY KEY, code TEXT, n INT, note TEXT);
         WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 110000)
         INSERT INTO big SELECT i, 'c' || (i % {}), i % 100, 'note ' || i FROM c;
         CREATE TABLE small (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO small VALUES (1, 'a'), (2, 'b');",
        110_000 - twins
    ))
}

const DDL: &str = "
    CREATE TABLE small (id int CONSTRAINT few PRIMARY KEY, v text);
    CREATE TABLE big (id int CONSTRAINT \"Odd Name\" PRIMARY KEY DEFERRABLE, code text, n int NOT NULL CHECK (n >= 0), note text,
                      CONSTRAINT by_code UNIQUE (code) INCLUDE (n), CONSTRAINT tight UNIQUE (note, n) WITH (fillfactor = 70),
                      small int REFERENCES small);
    CREATE UNIQUE INDEX by_note ON big (lower(note) DESC, (n + 1)) WHERE n > 5;
    CREATE UNIQUE INDEX told ON big (id, code); COMMENT ON INDEX told IS 'stays';
    CREATE INDEX plain ON big (n);
    CREATE TABLE referred (id int PRIMARY KEY, big int);";

fn command(stage: &Stage, target: &str, more: &str) -> Command {
    let folder = stage.path.parent().unwrap();
    std::fs::write(folder.join("tables.sql"), DDL).unwrap();
    let text = format!("source = \"app.db\"\njobs = 1\n{more}\n[[before]]\nfile = \"tables.sql\"\n");
    std::fs::write(folder.join("app.toml"), text).unwrap();
    let mut command = program();
    command.args(["migrate", "-p", "app.toml", "--target", target]).args(&stage.more).current_dir(folder);
    command
}

fn run(stage: &Stage, more: &str) -> Ran {
    ended(command(stage, &stage.direct(), more).output().unwrap())
}

const IN_FORCE: &str = "keep_indexes = true";
const AWAY: &str = "SELECT coalesce(string_agg(name, ' ' ORDER BY name COLLATE \"C\"), '') FROM lite2pg.index";

/// What an error says from its first word on.
fn error(ran: &Ran) -> &str {
    &ran.stderr[ran.stderr.find("error: ").unwrap()..]
}

#[test]
fn killed_at_each_step_while_keys_are_away_the_same_command_builds_them_as_they_were() {
    let stage = source_with(0);
    run(&stage, IN_FORCE).exits(0);
    let expected = stage.state("public");
    assert!(expected.contains("DEFERRABLE") && expected.contains("fillfactor"), "{expected}");
    let mut away = String::new();
    for step in 1.. {
        stage.renew();
        let is_before = step % 2 == 0;
        let proxy = stage.proxy(move |m| {
            let is_it = if is_before { m.asks_for(step) } else { m.confirms(step) };
            if is_it { Act::Hold } else { Act::Pass }
        });
        let running = Running::start(&mut command(&stage, &stage.through(&proxy), ""));
        if let Some(ran) = killed_when_reached(running, &proxy) {
            // Told before it is done, and what a definition does not say, or something refers to, is left as it is.
            ran.exits(0)
                .says(&["keys `Odd Name`, `by_code`, `by_note` dropped before the load and built again after it"]);
            assert!(step > 12, "only {} steps were met", step - 1);
            break;
        }
        drop(proxy);
        if value(&stage.seen, "SELECT to_regclass('lite2pg.index') IS NOT NULL") == "true" {
            let now = value(&stage.seen, AWAY);
            away = if now.len() > away.len() { now } else { away };
        }
        let ran = run(&stage, "").exits(0);
        assert!(ran.stdout.contains("verified: every cell of 110 002 rows"), "step {step}: {}", ran.stdout);
        assert_eq!(stage.state("public"), expected, "step {step}");
        assert_eq!(value(&stage.seen, AWAY), "", "step {step}");
    }
    assert_eq!(away, "Odd Name by_code by_note plain", "what was away at most");
    assert_eq!(stage.state("public"), expected);
    // Begun again in mid-load, nothing of it is left.
    stage.renew();
    let proxy = stage.proxy(|m| {
        let is_row = m.from == From::Program && m.kind == b'd' && m.sql.contains("\"big\"");
        if is_row { Act::Hold } else { Act::Pass }
    });
    assert!(killed_when_reached(Running::start(&mut command(&stage, &stage.through(&proxy), "")), &proxy).is_none());
    drop(proxy);
    assert_eq!(value(&stage.seen, AWAY), "Odd Name by_code by_note plain");
    ended(command(&stage, &stage.direct(), IN_FORCE).arg("--restart").output().unwrap()).exits(0);
    assert_eq!(value(&stage.seen, AWAY), "");
}

#[test]
fn rows_that_keys_refuse_are_told_and_set_aside_as_if_the_keys_had_never_been_away() {
    let stage = source_with(1);
    let reject = "on_error = \"reject\"";
    let in_force = run(&stage, IN_FORCE).exits(1).says(&["duplicate key", "`by_code`", "sets such rows aside"]);
    let rejecting = format!("{IN_FORCE}\n{reject}");
    run(&stage, &rejecting).exits(4).says(&["1 row was set aside"]);
    let (expected, lists) = (stage.state("public"), stage.lists());
    assert_eq!((lists.len(), lists[0].1.lines().count()), (1, 2), "{lists:?}");
    // Killed before the table is emptied, and after; and not killed.
    for killed in ["never", "before", "after"] {
        stage.renew();
        let commit = AtomicU64::new(0);
        let proxy = stage.proxy(move |m| {
            if m.from == From::Program && m.sql.starts_with("TRUNCATE") {
                commit.store(u64::MAX, Ordering::SeqCst);
                return if killed == "before" { Act::Hold } else { Act::Pass };
            }
            // The next step on the way is its commit.
            if let (From::Program, Some(step), u64::MAX) = (m.from, m.step, commit.load(Ordering::SeqCst)) {
                commit.store(step, Ordering::SeqCst);
            }
            let is_done = killed == "after" && m.confirms(commit.load(Ordering::SeqCst));
            if is_done { Act::Hold } else { Act::Pass }
        });
        let running = Running::start(&mut command(&stage, &stage.through(&proxy), ""));
        let ended = killed_when_reached(running, &proxy);
        assert_eq!(ended.is_some(), killed == "never", "killed {killed}");
        drop(proxy);
        let away = value(&stage.seen, AWAY);
        assert_eq!(away, if killed == "before" { "by_code plain" } else { "plain" }, "killed {killed}");
        let rows = value(&stage.seen, "SELECT count(*) FROM big");
        assert_eq!(rows, if killed == "before" { "110000" } else { "0" }, "killed {killed}");
        let ran = ended.unwrap_or_else(|| run(&stage, "")).exits(1);
        for line in error(&in_force).lines() {
            assert!(error(&ran).contains(line), "killed {killed}: `{line}` is not in\n{}", ran.stderr);
        }
        run(&stage, reject).exits(4).says(&["1 row was set aside"]);
        assert_eq!(stage.state("public"), expected, "killed {killed}");
        assert_eq!(stage.lists(), lists, "killed {killed}");
    }
}
