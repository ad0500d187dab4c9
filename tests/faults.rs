//! Faults: kills, lost connections, silent and full servers, damaged sources. After each, the same command ends with
//! every row once, or the error says what to do and the target is as it says.
//!
//! docs/faults.md is the list of them. `LITE2PG_LONG=1` tries more moments and larger data, `LITE2PG_SEED` repeats
//! random ones.
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails with the place")]
#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/keys.rs"]
mod keys;
#[path = "faults/kills.rs"]
mod kills;
#[path = "faults/lost.rs"]
mod lost;
#[path = "faults/own_server.rs"]
mod own_server;
#[path = "faults/silence.rs"]
mod silence;
#[path = "faults/sources.rs"]
mod sources;
#[path = "faults/writers.rs"]
mod writers;

#[path = "faults/stage.rs"]
mod stage;
