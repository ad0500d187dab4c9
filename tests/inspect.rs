//! What a person sees of a source, of a run that goes on, and of one that is over: `inspect`, `status`, reports.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

#[path = "inspect/source.rs"]
mod source;

#[path = "inspect/report.rs"]
mod report;
