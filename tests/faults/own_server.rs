//! A server of a test's own, which can be stopped without warning and started again; and what that does to a run.

use super::stage::{BIG, same_rows};
use crate::support::program::{Running, ended, program, source, value};
use crate::support::proxy::{Act, From, Message, Proxy};
use crate::support::{eventually, session};
use lite2pg::postgres::{Embedded, EmbeddedOptions, Kept, Pool, PoolSettings, Target};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

/// Stopped and removed when the test is over.
pub struct OwnServer(Kept);

impl OwnServer {
    pub fn start() -> Self {
        let server = Embedded::start(&EmbeddedOptions::default()).unwrap();
        Self(server.keep().unwrap())
    }

    pub fn target(&self) -> Target {
        self.0.target.clone()
    }

    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Whom it runs as.
    pub fn owner(&self) -> (u32, u32) {
        let about = self.dir().join("data").metadata().unwrap();
        (about.uid(), about.gid())
    }

    /// `pg_ctl`, as the server's user.
    pub fn control(&self, what: &str) -> bool {
        let pg_ctl = self.0.stop.strip_suffix("stop -m fast").unwrap();
        let command = format!("{pg_ctl} -w -l '{}' {what}", self.log().display());
        Command::new("sh").arg("-c").arg(command).output().unwrap().status.success()
    }

    /// As after a power cut: nothing is written any more, nobody is told.
    pub fn stop_at_once(&self) {
        assert!(self.control("stop -m immediate"));
    }

    pub fn start_again(&self) {
        assert!(self.control("start"), "{}", std::fs::read_to_string(self.log()).unwrap_or_default());
    }

    /// Waits until it takes connections: after a crash it may come back by itself, or have to be started.
    pub fn comes_back(&self) {
        eventually("the server takes connections", || {
            let pool = Pool::connect(&self.target(), 1, &PoolSettings::default());
            let is_back = pool.and_then(|pool| pool.session().map(drop)).is_ok();
            if !is_back {
                // Refused where it is about to come back: then the next look finds it.
                self.control("start");
            }
            is_back
        });
    }

    /// That of the first start may belong to root.
    fn log(&self) -> PathBuf {
        self.dir().join("log_again")
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.control("stop -m immediate");
        drop(std::fs::remove_dir_all(self.dir()));
    }
}

fn command(path: &Path, host: &str) -> Command {
    let mut command = program();
    command.arg("migrate").arg(path).arg(format!("host={host} user=postgres dbname=postgres")).args(["--jobs", "1"]);
    command
}

/// Ends the server when a message meets the condition; the program notices, and goes on once the server is back.
#[track_caller]
fn stopped_when(
    server: &OwnServer,
    path: &Path,
    how: &str,
    words: &[&str],
    is_the_moment: impl Fn(&Message<'_>) -> bool + Send + Sync + 'static,
) {
    let rule = move |m: &Message<'_>| if is_the_moment(m) { Act::Hold } else { Act::Pass };
    let proxy = Proxy::before(&server.target(), rule);
    let running = Running::start(&mut command(path, &proxy.socket_dir()));
    eventually("the moment", || proxy.is_reached());
    assert!(server.control(how));
    proxy.go_on();
    running.end().exits(7).says(words).says(&["hint: the server's log says why"]);
    drop(proxy);
    let host = server.target().host();
    ended(command(path, &host).output().unwrap()).exits(7).says(&[
        "no server listens at the socket",
        "nothing was written by this start",
        "hint: is the server running",
    ]);

    server.start_again();
    let seen = session(&server.target());
    let told = "SELECT to_regclass('big') IS NULL OR (SELECT count(*) FROM big) = \
                (SELECT coalesce(sum(rows), 0) FROM lite2pg.range WHERE table_name = 'big')";
    assert_eq!(value(&seen, told), "true", "rows and checkpoints agree after the crash");
    let ran = ended(command(path, &host).output().unwrap()).exits(0);
    assert!(ran.stdout.contains("verified: every cell"), "{}", ran.stdout);
    same_rows(path, &seen, "public", "big", &["t"]);
    same_rows(path, &seen, "public", "owner", &["name"]);
    assert_eq!(value(&seen, "SELECT count(*) FROM pg_index WHERE NOT indisvalid"), "0");
    seen.batch("DROP SCHEMA public, lite2pg CASCADE; CREATE SCHEMA public").unwrap();
}

#[test]
fn a_server_that_crashes_in_mid_copy_in_an_index_build_or_in_the_comparison_is_7_and_the_same_command_goes_on() {
    let server = OwnServer::start();
    let (_dir, path) = source(BIG);
    let batches = AtomicU64::new(0);
    let third_range = move |m: &Message<'_>| {
        m.from == From::Program
            && m.kind == b'd'
            && m.sql.contains("\"big\"")
            && batches.fetch_add(1, Ordering::SeqCst) == 25
    };
    stopped_when(
        &server,
        &path,
        "stop -m immediate",
        &["`big` cannot be copied", "this one was rolled back"],
        third_range,
    );
    let index = |m: &Message<'_>| m.from == From::Server && m.step.is_some() && m.sql.contains("\"big_owner\"");
    stopped_when(&server, &path, "stop -m immediate", &["all rows are on the target"], index);
    let comparison = |m: &Message<'_>| {
        m.from == From::Server && m.kind == b'd' && m.sql.starts_with("COPY") && m.sql.contains("\"big\"")
    };
    // It may have begun while the keys are still being built.
    let words = &["the connection to the server was lost", "on the target"];
    stopped_when(&server, &path, "stop -m immediate", words, comparison);
}

#[test]
fn a_server_that_is_shut_down_by_its_operator_in_mid_copy_is_7_and_the_same_command_goes_on() {
    let server = OwnServer::start();
    let (_dir, path) = source(BIG);
    let batches = AtomicU64::new(0);
    let second_range = move |m: &Message<'_>| {
        m.from == From::Program
            && m.kind == b'd'
            && m.sql.contains("\"big\"")
            && batches.fetch_add(1, Ordering::SeqCst) == 15
    };
    stopped_when(&server, &path, "stop -m fast", &["`big` cannot be copied", "this one was rolled back"], second_range);
}
