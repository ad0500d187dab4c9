//! What the tests share: a server per test binary, a database per test, and patience with a limit.
#![allow(dead_code, unused_imports, reason = "each test binary uses a part")]

pub mod budget;
pub mod cells;
pub mod compared;
pub mod contents;
pub mod oracle;
pub mod piped;
pub mod program;
pub mod proxy;
pub mod scenario;
pub mod server;

use std::thread;
use std::time::{Duration, Instant};

pub use server::{database, session};

/// Waits until `condition` holds; fails the test after half a minute.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "still not true after 30 s: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// All that an error says, causes included, as a person would read it.
pub fn told(error: &lite2pg::Error) -> String {
    let mut text = format!("{error:?}\n{error}");
    for part in [error.data_state(), error.way_out()].into_iter().flatten() {
        text.push('\n');
        text.push_str(part);
    }
    text
}
