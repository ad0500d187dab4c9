//! Phases: told to the observer, timed for the summary.

use crate::error::Result;
use crate::model::event::{Event, Observer, Phase};
use std::time::Instant;

/// Times the phases of one run.
pub struct Clock<'a> {
    observer: &'a dyn Observer,
    started: Instant,
    spent: Vec<(Phase, u64)>,
}

impl<'a> Clock<'a> {
    /// A clock that starts now.
    pub fn new(observer: &'a dyn Observer) -> Self {
        Self { observer, started: Instant::now(), spent: Vec::new() }
    }

    /// Runs one phase of `steps` objects. A phase that runs again adds to its time.
    pub fn phase<T>(&mut self, phase: Phase, steps: usize, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.observer.event(&Event::PhaseStarted { phase, steps: steps as u64 });
        let started = Instant::now();
        let result = work();
        let ms = millis(started);
        match self.spent.iter_mut().find(|(p, _)| *p == phase) {
            Some((_, sum)) => *sum += ms,
            None => self.spent.push((phase, ms)),
        }
        self.observer.event(&Event::PhaseFinished { phase, ms });
        result
    }

    /// Time since the start.
    pub fn ms(&self) -> u64 {
        millis(self.started)
    }

    /// The phases with their times, in the order in which they first ran.
    pub fn into_spent(self) -> Vec<(Phase, u64)> {
        self.spent
    }
}

/// Milliseconds since `started`.
pub fn millis(started: Instant) -> u64 {
    started.elapsed().as_millis() as u64
}
