//! Phases: told to the observer, timed for the summary.

use crate::error::Result;
use crate::model::details::Span;
use crate::model::event::{Event, Observer, Phase};
use std::time::Instant;

/// Times the phases of one run.
pub struct Clock<'a> {
    observer: &'a dyn Observer,
    started: Instant,
    started_at: jiff::Timestamp,
    spans: Vec<Span>,
}

impl<'a> Clock<'a> {
    /// A clock that starts now.
    pub fn new(observer: &'a dyn Observer) -> Self {
        Self { observer, started: Instant::now(), started_at: jiff::Timestamp::now(), spans: Vec::new() }
    }

    /// Runs one phase of `steps` objects. One that runs again is a span of its own.
    pub fn phase<T>(&mut self, phase: Phase, steps: usize, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.observer.event(&Event::PhaseStarted { phase, steps: steps as u64 });
        let start_ms = self.ms();
        let started = Instant::now();
        let result = work();
        let ms = millis(started);
        self.spans.push(Span { phase, start_ms, ms });
        self.observer.event(&Event::PhaseFinished { phase, ms });
        result
    }

    /// Time since the start.
    pub fn ms(&self) -> u64 {
        millis(self.started)
    }

    /// The phases with their times added up, in the order in which they first ran.
    pub fn spent(&self) -> Vec<(Phase, u64)> {
        let mut spent: Vec<(Phase, u64)> = Vec::new();
        for span in &self.spans {
            match spent.iter_mut().find(|(phase, _)| *phase == span.phase) {
                Some((_, sum)) => *sum += span.ms,
                None => spent.push((span.phase, span.ms)),
            }
        }
        spent
    }

    /// When it was started, in UTC, to the second.
    pub fn started_at(&self) -> String {
        self.started_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Each phase as it ran, in order.
    pub fn into_spans(self) -> Vec<Span> {
        self.spans
    }
}

/// Milliseconds since `started`.
pub fn millis(started: Instant) -> u64 {
    started.elapsed().as_millis() as u64
}
