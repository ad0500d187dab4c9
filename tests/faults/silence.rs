//! A server, or something before it, that takes what is sent and says nothing: known as lost in bounded time, and told
//! from one that is at work.
//!
//! The bounds are those of a connection string, set low. Nothing here waits for a time of its own.

use super::own_server::OwnServer;
use super::stage::Stage;
use crate::support::program::{Running, until, value};
use crate::support::proxy::{Act, From, Message, Proxy};
use crate::support::{eventually, session};

/// A look after 0.2 s of silence; a second for a connection.
const IMPATIENT: &str = "tcp_user_timeout=200 connect_timeout=1";

/// Where the server is well, a busy machine must not make it look otherwise.
const PATIENT: &str = "tcp_user_timeout=200 connect_timeout=20";

fn started(stage: &Stage, rule: impl Fn(&Message<'_>) -> Act + Send + Sync + 'static) -> (Proxy, Running) {
    started_with(IMPATIENT, stage, rule)
}

fn started_with(
    bounds: &str,
    stage: &Stage,
    rule: impl Fn(&Message<'_>) -> Act + Send + Sync + 'static,
) -> (Proxy, Running) {
    let proxy = stage.proxy(rule);
    // By its socket: TCP's own timers are not in play.
    let running = Running::start(&mut stage.command(&format!("{} {bounds}", stage.through(&proxy))));
    (proxy, running)
}

/// Ends the run that is in the way of silence, and lets the same command finish.
#[track_caller]
fn lost_then_resumed(stage: &Stage, proxy: Proxy, running: Running, words: &[&str]) {
    running.end().exits(7).says(words).says(&["hint: the server's log says why"]);
    drop(proxy);
    stage.run().exits(0);
    stage.has_every_row_once("public", "big", &["t"]);
    stage.has_every_row_once("public", "owner", &["name"]);
    let invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    assert_eq!(value(&stage.seen, invalid), "0");
}

/// The server has built the index, outside of the transaction in which it was only asked about it.
fn answers_index(m: &Message<'_>) -> bool {
    m.from == From::Server && m.step.is_some() && m.sql.starts_with("CREATE") && m.sql.contains("\"big_owner\"")
}

fn big() -> Stage {
    Stage::big().with(&["--jobs", "2"])
}

#[test]
fn a_server_that_takes_connections_and_never_lets_anyone_in_is_7_in_bounded_time() {
    let stage = Stage::of(super::stage::SMALL);
    let (_proxy, running) = started(&stage, |_| Act::MuteAll);
    running.end().exits(7).says(&["no answer from", "nothing was written by this start", "hint: connect_timeout="]);
    assert_eq!(value(&stage.seen, "SELECT to_regnamespace('lite2pg') IS NULL"), "true");
}

#[test]
fn a_server_that_falls_silent_once_it_has_let_us_in_is_7_in_bounded_time() {
    let stage = Stage::of(super::stage::SMALL);
    // The first statement of a session is never answered.
    let (_proxy, running) = started(&stage, |m| if m.kind == b'Q' { Act::MuteAll } else { Act::Pass });
    running.end().exits(7).says(&["no answer from", "nothing was written by this start"]);
    assert_eq!(value(&stage.seen, "SELECT to_regnamespace('lite2pg') IS NULL"), "true");
}

#[test]
fn a_server_that_falls_silent_for_everyone_in_mid_copy_is_lost_in_bounded_time() {
    let stage = big();
    let (proxy, running) = started(&stage, |m| {
        let is_range = m.from == From::Program && m.sql.contains("INTO lite2pg.range") && m.sql.contains("digest");
        if is_range && m.kind == b'E' { Act::MuteAll } else { Act::Pass }
    });
    lost_then_resumed(
        &stage,
        proxy,
        running,
        &[
            "the server stopped answering",
            "a second connection was not answered either",
            "finished ranges are on the target",
        ],
    );
}

#[test]
fn a_connection_that_swallows_a_copy_is_lost_although_the_server_is_well() {
    let stage = big();
    let (proxy, running) = started(&stage, |m| {
        let is_copy = m.from == From::Program && m.kind == b'd' && m.sql.contains("\"big\"");
        if is_copy { Act::Mute } else { Act::Pass }
    });
    lost_then_resumed(
        &stage,
        proxy,
        running,
        &["the server stopped answering", "the server waits for us: what is sent does not arrive"],
    );
}

#[test]
fn an_answer_to_an_index_build_that_does_not_arrive_is_not_waited_for() {
    let stage = big();
    let (proxy, running) = started(&stage, |m| if answers_index(m) { Act::Mute } else { Act::Pass });
    lost_then_resumed(
        &stage,
        proxy,
        running,
        &["the server stopped answering", "all rows are on the target", "the server waits for us"],
    );
}

#[test]
fn rows_that_stop_coming_in_the_comparison_are_not_waited_for() {
    let stage = big();
    let (proxy, running) = started(&stage, |m| {
        let is_row = m.from == From::Server && m.kind == b'd' && m.sql.starts_with("COPY") && m.sql.contains("\"big\"");
        if is_row { Act::Mute } else { Act::Pass }
    });
    lost_then_resumed(
        &stage,
        proxy,
        running,
        &[
            "`big` cannot be read on the target",
            "the server stopped answering",
            "everything is on the target, and was not compared",
        ],
    );
}

#[test]
fn a_session_that_is_over_on_the_server_without_a_word_is_lost() {
    let stage = big();
    // The server's goodbye is swallowed along with everything else.
    let (proxy, running) = started(&stage, |m| if answers_index(m) { Act::Mute } else { Act::Pass });
    eventually("the answer is swallowed", || proxy.is_reached());
    let end = "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity \
               WHERE datname = current_database() AND query LIKE 'CREATE%big_owner%'";
    assert_eq!(value(&stage.seen, end), "true");
    lost_then_resumed(
        &stage,
        proxy,
        running,
        &["the server stopped answering", "the first one is over on the server", "all rows are on the target"],
    );
}

#[test]
fn an_index_build_that_takes_many_times_as_long_as_the_patience_is_waited_for() {
    let stage = big();
    let holder = session(&stage.target);
    let (proxy, running) = started_with(PATIENT, &stage, |_| Act::Pass);
    until(&stage.seen, "to_regclass('big') IS NOT NULL");
    holder.batch("BEGIN; LOCK TABLE big IN ROW EXCLUSIVE MODE").unwrap();
    until(&stage.seen, "EXISTS (SELECT FROM pg_locks WHERE relation = 'big'::regclass AND NOT granted)");
    // Each look is a connection more: ten looks saw the server at work.
    let before = proxy.connections();
    eventually("ten looks", || proxy.connections() >= before + 10);
    holder.batch("ROLLBACK").unwrap();
    let ran = running.end().exits(0);
    assert!(ran.stdout.contains("verified: every cell"), "{}", ran.stdout);
    stage.has_every_row_once("public", "big", &["t"]);
}

#[test]
fn a_look_that_meets_another_server_behind_the_same_address_proves_nothing() {
    // A comparison would make connections of its own meanwhile.
    let stage = big().with(&["--no-verify"]);
    let other = OwnServer::start();
    let elsewhere = session(&other.target());
    elsewhere.batch(&format!("CREATE DATABASE {}", stage.target.dbname())).unwrap();
    let holder = session(&stage.target);
    let (proxy, running) = started_with(PATIENT, &stage, |_| Act::Pass);
    until(&stage.seen, "to_regclass('big') IS NOT NULL");
    holder.batch("BEGIN; LOCK TABLE big IN ROW EXCLUSIVE MODE").unwrap();
    until(&stage.seen, "EXISTS (SELECT FROM pg_locks WHERE relation = 'big'::regclass AND NOT granted)");
    proxy.send_to(&other.target());
    let before = proxy.connections();
    eventually("ten looks", || proxy.connections() >= before + 10);
    proxy.send_to(&stage.target);
    // One that is under way may still meet the other.
    let before = proxy.connections();
    eventually("a look at the right one", || proxy.connections() > before);
    holder.batch("ROLLBACK").unwrap();
    running.end().exits(0);
    stage.has_every_row_once("public", "big", &["t"]);
}

#[test]
fn a_silence_that_ends_before_the_patience_does_is_no_fault() {
    let stage = big();
    let (proxy, running) = started_with("tcp_user_timeout=2000 connect_timeout=20", &stage, |m| {
        if answers_index(m) { Act::Hold } else { Act::Pass }
    });
    eventually("the answer is held", || proxy.is_reached());
    let before = proxy.connections();
    eventually("a look", || proxy.connections() > before);
    proxy.go_on();
    running.end().exits(0);
    stage.has_every_row_once("public", "big", &["t"]);
}

#[test]
fn ctrl_c_ends_a_run_whose_server_is_silent_in_bounded_time_and_a_second_one_at_once() {
    for at_once in [false, true] {
        let stage = big();
        let (proxy, mut running) = started(&stage, |m| if answers_index(m) { Act::MuteAll } else { Act::Pass });
        eventually("the answer is swallowed", || proxy.is_reached());
        running.signal("INT");
        while at_once && !running.is_over() {
            running.signal("INT");
        }
        let ran = running.end().exits(8);
        if !at_once {
            ran.says(&["error: the run was interrupted", "hint: the same command goes on"]);
        }
        drop(proxy);
        stage.run().exits(0);
        stage.has_every_row_once("public", "big", &["t"]);
    }
}
