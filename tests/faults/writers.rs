//! Others at work on the source or on the target: writers that hammer, a second lite2pg, signals at random moments.

use super::kills::{Chance, counting, seed};
use super::stage::{SMALL, Stage, is_long, killed_when_reached};
use crate::support::program::{Running, value};
use crate::support::proxy::Act;
use rusqlite::{Connection, ErrorCode};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Moves one unit a commit from left to right, with four others in the way, and never waits for a lock but asks again.
fn hammer(path: &Path, stop: &AtomicBool, commits: &AtomicU64) {
    let conn = Connection::open(path).unwrap();
    conn.busy_timeout(Duration::from_secs(20)).unwrap();
    conn.execute_batch("PRAGMA synchronous = OFF").unwrap();
    conn.busy_timeout(Duration::ZERO).unwrap();
    while !stop.load(Ordering::Relaxed) {
        let moved = conn.execute_batch(
            "BEGIN IMMEDIATE; UPDATE account SET amount = amount - 1 WHERE side = 'left';
             UPDATE account SET amount = amount + 1 WHERE side = 'right'; UPDATE moved SET n = n + 1; COMMIT",
        );
        match moved {
            Ok(()) => drop(commits.fetch_add(1, Ordering::Relaxed)),
            Err(e) => {
                assert!(
                    matches!(e.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)),
                    "{e}"
                );
                // Open after a COMMIT that found a reader in its way.
                if !conn.is_autocommit() {
                    conn.execute_batch("ROLLBACK").unwrap();
                }
                std::thread::yield_now();
            }
        }
    }
}

#[test]
fn a_source_that_writers_hammer_is_read_at_one_moment_in_every_mode() {
    for (journal, snapshot) in [("WAL", "auto"), ("WAL", "backup"), ("DELETE", "auto"), ("DELETE", "backup")] {
        let sql = format!(
            "PRAGMA journal_mode = {journal}; {SMALL}
             CREATE TABLE account (side TEXT PRIMARY KEY, amount INTEGER NOT NULL) WITHOUT ROWID;
             INSERT INTO account VALUES ('left', 1000000), ('right', 0);
             CREATE TABLE moved (n INTEGER NOT NULL); INSERT INTO moved VALUES (0);"
        );
        let stage = Stage::of(&sql).with(&["--snapshot", snapshot]);
        let (stop, commits) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| hammer(&stage.path, &stop, &commits));
            }
            while commits.load(Ordering::Relaxed) == 0 {
                std::thread::yield_now();
            }
            let ran = stage.run();
            stop.store(true, Ordering::Relaxed);
            ran.exits(0);
        });
        // The sum is constant, and the counter fits the amounts: a state that a writer committed.
        let moment = "SELECT (SELECT sum(amount) FROM account) || ' ' || \
                      (SELECT amount FROM account WHERE side = 'right') - (SELECT n FROM moved)";
        assert_eq!(value(&stage.seen, moment), "1000000 0", "{journal} {snapshot}");
        let total: u64 = value(&stage.seen, "SELECT n FROM moved").parse().unwrap();
        assert!(total <= commits.load(Ordering::Relaxed), "{journal} {snapshot}");
        stage.has_every_row_once("public", "owner", &["name"]);
    }
}

#[test]
fn of_starts_at_one_time_one_does_the_work_and_the_others_are_refused_or_find_it_done() {
    let stage = Stage::of(SMALL);
    stage.run().exits(0);
    let expected = stage.state("public");
    for _ in 0..if is_long() { 50 } else { 5 } {
        stage.renew();
        let running: Vec<_> = (0..3).map(|_| Running::start(&mut stage.command(&stage.direct()))).collect();
        let ended: Vec<_> = running.into_iter().map(Running::end).collect();
        for ran in &ended {
            let refused = ran.code == 3 && ran.stderr.contains("another lite2pg is at work on schema `public`");
            assert!(refused || ran.code == 0, "{ended:?}");
        }
        assert!(ended.iter().any(|ran| ran.code == 0), "{ended:?}");
        assert_eq!(stage.state("public"), expected);
    }
}

#[test]
fn a_program_whose_machine_vanished_keeps_its_lock_until_the_server_notices_and_the_same_command_says_so() {
    let stage = Stage::of(SMALL);
    stage.run().exits(0);
    let expected = stage.state("public");
    stage.renew();
    let proxy = stage.proxy(|m| if m.asks_for(2) { Act::Hold } else { Act::Pass });
    let running = Running::start(&mut stage.command(&stage.through(&proxy)));
    while !proxy.is_reached() {}
    // Its end does not come through: the server believes that somebody is there.
    proxy.hide_ends();
    running.kill();
    stage.run().exits(3).says(&[
        "another lite2pg is at work on schema `public`",
        "this one has written nothing",
        "hint: wait for it to end; if its machine is gone",
    ]);
    drop(proxy);
    stage.run().exits(0).says(&["going on with run"]);
    assert_eq!(stage.state("public"), expected);
}

#[test]
fn a_source_that_was_replaced_is_refused_and_its_faithful_copy_is_gone_on_with() {
    let stage = Stage::of(SMALL);
    stage.run().exits(0);
    let expected = stage.state("public");
    stage.renew();
    // Killed before the second COMMIT: the run is begun, and a table is not there yet.
    let proxy = stage.proxy(|m| if m.asks_for(2) { Act::Hold } else { Act::Pass });
    let running = Running::start(&mut stage.command(&stage.through(&proxy)));
    assert!(killed_when_reached(running, &proxy).is_none());
    drop(proxy);

    let (own, aside) = (std::fs::read(&stage.path).unwrap(), stage.path.with_extension("aside"));
    std::fs::rename(&stage.path, &aside).unwrap();
    let other = Connection::open(&stage.path).unwrap();
    other.execute_batch(&SMALL.replace("'three'", "'four'")).unwrap();
    drop(other);
    let before = stage.ranges();
    stage.run().exits(3).says(&[
        "an earlier run into schema `public` did not end",
        "the source has changed since",
        "nothing was written by this start; the earlier run's rows are on the target",
        "`--restart`",
    ]);
    assert_eq!(stage.ranges(), before);

    std::fs::write(&stage.path, own).unwrap();
    stage.run().exits(0).says(&["going on with run"]);
    assert_eq!(stage.state("public"), expected);
}

#[test]
fn signals_at_random_moments_end_with_8_and_the_same_command_ends_as_if_there_had_been_none() {
    let seed = seed();
    println!("LITE2PG_SEED={seed}");
    let mut chance = Chance(seed);
    let stage = Stage::of(SMALL).with(&["--jobs", "2"]);
    let (proxy, moments) = counting(&stage, u64::MAX);
    Running::start(&mut stage.command(&stage.through(&proxy))).end().exits(0);
    let (expected, moments) = (stage.state("public"), moments.load(Ordering::SeqCst));
    let mut stopped = 0;
    for i in 0..if is_long() { 100 } else { 10 } {
        stage.renew();
        let number = chance.below(moments);
        let (proxy, _) = counting(&stage, number);
        let mut running = Running::start(&mut stage.command(&stage.through(&proxy)));
        while !proxy.is_reached() && !running.is_over() {}
        if !running.is_over() {
            running.signal(if i % 2 == 0 { "INT" } else { "TERM" });
        }
        proxy.go_on();
        let ran = running.end();
        // A signal that comes when nothing is left to stop changes nothing.
        assert!(ran.code == 8 || ran.code == 0, "LITE2PG_SEED={seed}, moment {number}: {}", ran.stderr);
        if ran.code == 8 {
            stopped += 1;
            ran.says(&["error: the run was interrupted", "state", "hint: the same command goes on"]);
        }
        let again = stage.run();
        assert_eq!(again.code, 0, "LITE2PG_SEED={seed}, moment {number}: {}", again.stderr);
        assert_eq!(stage.state("public"), expected, "LITE2PG_SEED={seed}, moment {number}");
    }
    assert!(stopped > 0, "LITE2PG_SEED={seed}: no signal stopped a run");
}
