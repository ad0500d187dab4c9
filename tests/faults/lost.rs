//! Connections that end: reset in mid-copy, and around a COMMIT, which may or may not have been carried out.

use super::stage::{Stage, is_long, killed_when_reached};
use crate::support::program::{Running, value};
use crate::support::proxy::{Act, From, Message, Proxy};
use std::sync::atomic::{AtomicU64, Ordering};

fn by_tcp(stage: &Stage, rule: impl Fn(&Message<'_>) -> Act + Send + Sync + 'static) -> (Proxy, Running) {
    let proxy = stage.proxy(rule);
    let running = Running::start(&mut stage.command(&proxy.by_tcp(&stage.target)));
    (proxy, running)
}

fn is_copy_of(m: &Message<'_>, table: &str) -> bool {
    m.from == From::Program && m.kind == b'd' && m.sql.starts_with("COPY") && m.sql.contains(table)
}

#[test]
fn a_connection_reset_in_mid_copy_is_7_and_the_same_command_goes_on() {
    let stage = Stage::big().with(&["--jobs", "1"]);
    let batches = AtomicU64::new(0);
    // Two ranges are there by then, and the third is half done.
    let (proxy, running) = by_tcp(&stage, move |m| {
        let is_late = is_copy_of(m, "big") && batches.fetch_add(1, Ordering::SeqCst) == 25;
        if is_late { Act::Cut } else { Act::Pass }
    });
    running.end().exits(7).says(&[
        "error: `big` cannot be copied",
        "the connection to the server was lost",
        "state finished ranges are on the target; this one was rolled back",
        "hint: the server's log says why; when it takes connections again, run the same command again",
    ]);
    drop(proxy);
    // The state as it was told: what the ranges say is there, and nothing else of the table.
    let before = stage.ranges();
    assert!(before.iter().any(|range| range.starts_with("big")), "{before:?}");
    let told = "SELECT (SELECT count(*) FROM big) = (SELECT sum(rows) FROM lite2pg.range WHERE table_name = 'big')";
    assert_eq!(value(&stage.seen, told), "true");

    stage.run().exits(0).says(&["going on with run"]);
    stage.has_every_row_once("public", "big", &["t"]);
    let after = stage.ranges();
    assert!(after.len() > before.len() && before.iter().all(|range| after.contains(range)), "{before:?}\n{after:?}");
}

/// Cuts the connection of the second COMMIT of a range of `big`, before or after the server did it.
fn commit_cut(is_done: bool) {
    let stage = Stage::big().with(&["--jobs", "1"]);
    let (ranges, copied) = (AtomicU64::new(0), AtomicU64::new(0));
    let (proxy, running) = by_tcp(&stage, move |m| {
        if m.from == From::Program && m.sql.contains("INTO lite2pg.range") && m.kind == b'E' {
            ranges.fetch_add(1, Ordering::SeqCst);
        }
        if is_copy_of(m, "big") {
            // Only COMMITs after this count: those of the small table do not.
            copied.store(ranges.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
        }
        let is_commit = m.step.is_some()
            && m.sql.contains("COMMIT")
            && m.from == if is_done { From::Server } else { From::Program };
        let is_second = copied.load(Ordering::SeqCst) >= 2 && ranges.load(Ordering::SeqCst) >= 2;
        if is_commit && is_second && ranges.load(Ordering::SeqCst) == copied.load(Ordering::SeqCst) {
            Act::Cut
        } else {
            Act::Pass
        }
    });
    running.end().exits(7).says(&[
        "error: `big` cannot be copied",
        "state the server may or may not have kept the transaction",
        "hint: the server's log says why; when it takes connections again, run the same command again",
    ]);
    drop(proxy);
    let counted = "SELECT (SELECT count(*) FROM big) - (SELECT coalesce(sum(rows), 0) FROM lite2pg.range WHERE table_name = 'big')";
    assert_eq!(value(&stage.seen, counted), "0", "rows and their checkpoint are there or not, together");
    let before = stage.ranges();
    let of_big = before.iter().filter(|range| range.starts_with("big")).count();
    assert_eq!(of_big, if is_done { 2 } else { 1 }, "{before:?}");

    stage.run().exits(0).says(&["going on with run"]);
    stage.has_every_row_once("public", "big", &["t"]);
    let after = stage.ranges();
    assert!(before.iter().all(|range| after.contains(range)), "{before:?}\n{after:?}");
}

#[test]
fn a_commit_that_was_done_and_not_answered_is_known_to_the_same_command() {
    commit_cut(true);
}

#[test]
fn a_commit_that_never_arrived_is_done_again_by_the_same_command() {
    commit_cut(false);
}

#[test]
fn a_connection_reset_around_durable_steps_leaves_nothing_that_the_same_command_does_not_mend() {
    let stage = Stage::of(super::stage::SMALL);
    stage.run().exits(0);
    let expected = stage.state("public");
    // What goes on is the same as after a kill, so that a few of the steps do.
    let (first, every) = if is_long() { (1, 1) } else { (2, 4) };
    for is_done in [false, true] {
        for step in (first..).step_by(every) {
            stage.renew();
            let (proxy, running) = by_tcp(&stage, move |m| {
                let is_it = if is_done { m.confirms(step) } else { m.asks_for(step) };
                if is_it { Act::Cut } else { Act::Pass }
            });
            let ran = running.end();
            if !proxy.is_reached() {
                ran.exits(0);
                assert!(step > 15, "only {} steps were met", step - 1);
                break;
            }
            drop(proxy);
            assert_eq!(ran.code, 7, "step {step}: {}", ran.stderr);
            let ran = ran.says(&["state", "hint:"]);
            let again = stage.run();
            assert_eq!(again.code, 0, "step {step}: first {}\nthen {}", ran.stderr, again.stderr);
            assert_eq!(stage.state("public"), expected, "step {step}");
        }
    }
}

#[test]
fn a_server_that_hangs_up_on_everyone_is_7_and_says_that_nothing_was_written() {
    let stage = Stage::of(super::stage::SMALL);
    let (proxy, running) = by_tcp(&stage, |_| Act::Cut);
    assert!(killed_when_reached(running, &proxy).is_none_or(|ran| ran.code == 7));
    drop(proxy);
    let (_proxy, running) = by_tcp(&stage, |m| if m.from == From::Server { Act::Cut } else { Act::Pass });
    running
        .end()
        .exits(7)
        .says(&["the connection was closed while it was being made", "nothing was written by this start"]);
    assert_eq!(
        value(&stage.seen, "SELECT to_regnamespace('lite2pg') IS NULL AND to_regclass('owner') IS NULL"),
        "true"
    );
}
