//! What a report says of a run beyond its summary: under which plan and settings, of what, into what.

use super::event::Phase;
use super::plan::Plan;
use serde::Serialize;

/// The circumstances of a run. Holds no password, and no SQL that a person wrote.
#[derive(Debug, Clone)]
pub struct Details {
    /// The source as it was given.
    pub source: String,
    /// The source's content, in twelve digits.
    pub fingerprint: String,
    /// The target as a URL, with `***` for a password.
    pub target: String,
    /// The server's version, as it writes it.
    pub server: String,
    /// When the run began, in UTC.
    pub started_at: String,
    /// The plan as it was carried out.
    pub plan: Plan,
    /// Phases in the order in which they ran.
    pub timeline: Vec<Span>,
    /// What was asked for, by name: as text.
    pub settings: Vec<(&'static str, String)>,
}

/// One phase, as it ran once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Which.
    pub phase: Phase,
    /// When it began, after the start of the run.
    pub start_ms: u64,
    /// How long it took.
    pub ms: u64,
}
