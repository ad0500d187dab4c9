//! A run while it goes on: bars on a terminal, a line every ten seconds elsewhere, JSON events on request.

use super::faces::{CopyBars, CopyLines, Face, StepBar, StepLines, Steps};
use super::layout::{json_line, wrapped};
use super::{message, stderr};
use crate::model::event::{CopyTable, Event, Observer, Phase, Progress};
use crate::model::figures::plural;
use indicatif::MultiProgress;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How a run is told on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Bars, redrawn.
    Bars,
    /// Lines, never redrawn.
    Lines,
    /// One JSON object a line.
    Json,
    /// Warnings and errors only.
    Quiet,
}

/// How often bars are redrawn.
const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// Tells a run on stderr. Finish it before printing anything else.
pub struct Teller {
    style: Style,
    line_every: Duration,
    started: Instant,
    state: Mutex<State>,
    bars: MultiProgress,
}

#[derive(Default)]
struct State {
    steps: Option<Arc<Steps>>,
    tables: Vec<CopyTable>,
    ticker: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Teller {
    /// A teller of this style; lines of progress come every `line_every`.
    #[must_use]
    pub fn new(style: Style, line_every: Duration) -> Self {
        Self { style, line_every, started: Instant::now(), state: Mutex::default(), bars: MultiProgress::new() }
    }

    /// Stops redrawing and leaves the terminal clean.
    pub fn finish(&self) {
        let ticker = self.state().ticker.take();
        if let Some((stop, thread)) = ticker {
            drop(stop);
            // A ticker that panicked has nothing left to say.
            let _ = thread.join();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, line: &str) {
        match self.style {
            // Above the bars, which are redrawn below it.
            Style::Bars => self.bars.suspend(|| stderr::line(line)),
            Style::Lines | Style::Quiet => stderr::line(line),
            Style::Json => {}
        }
    }

    fn say_event(&self, event: &Event) {
        match event {
            Event::PhaseStarted { phase, steps } => self.phase_started(*phase, *steps),
            Event::Step { object, .. } => {
                if let Some(steps) = &self.state().steps {
                    steps.did(object);
                }
            }
            Event::PhaseFinished { .. } => self.finish(),
            Event::TableCopied { .. } => {}
            Event::CopyPlanned { tables } | Event::VerifyPlanned { tables } => self.state().tables.clone_from(tables),
            Event::Widened { table, why } => {
                self.talk(&wrapped("note: ", &format!("`{table}` is loaded again: {why}"), 2));
            }
            Event::Remark(remark) => {
                if remark.level == crate::model::plan::Level::Warning {
                    self.say(&message::remark(remark));
                } else {
                    self.talk(&message::remark(remark));
                }
            }
            Event::Kept { dir, psql, stop } => self
                .say(&format!("the server is left running in {dir}\n  look inside  {psql}\n  stop it      {stop}\n")),
            Event::Info { text } => self.talk(&wrapped("", text, 2)),
        }
    }

    // The copy has counters of its own; the other long phases go object by object.
    fn phase_started(&self, phase: Phase, objects: u64) {
        let goes_by_objects = matches!(
            phase,
            Phase::Profile | Phase::Inspect | Phase::Index | Phase::Constrain | Phase::Analyze | Phase::Restore
        );
        if !goes_by_objects || objects == 0 {
            return;
        }
        if phase != Phase::Analyze {
            self.talk(&format!("{}: {}", phase.word(), plural(objects, "object")));
        }
        let steps = Arc::new(Steps::new(phase, objects));
        self.state().steps = Some(Arc::clone(&steps));
        match self.style {
            Style::Bars => self.keep_showing(StepBar::new(&self.bars, steps), REDRAW_EVERY),
            Style::Lines => self.keep_showing(StepLines(steps), self.line_every),
            Style::Json | Style::Quiet => {}
        }
    }

    fn keep_showing(&self, mut face: impl Face + 'static, every: Duration) {
        self.finish();
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                face.show();
            }
            face.close();
        });
        self.state().ticker = Some((stop, thread));
    }

    // What --quiet leaves out.
    fn talk(&self, line: &str) {
        if self.style != Style::Quiet {
            self.say(line);
        }
    }
}

impl Observer for Teller {
    fn event(&self, event: &Event) {
        if self.style == Style::Json {
            let mut line = serde_json::json!({ "ms": self.started.elapsed().as_millis() as u64 });
            if let (Some(line), Ok(serde_json::Value::Object(fields))) =
                (line.as_object_mut(), serde_json::to_value(event))
            {
                line.extend(fields);
            }
            stderr::line(&json_line(&line));
            if !matches!(
                event,
                Event::CopyPlanned { .. }
                    | Event::VerifyPlanned { .. }
                    | Event::PhaseFinished { phase: Phase::Copy, .. }
            ) {
                return;
            }
        }
        self.say_event(event);
    }

    fn watch(&self, progress: Arc<Progress>) {
        let tables = self.state().tables.clone();
        match self.style {
            Style::Quiet => {}
            Style::Bars => self.keep_showing(CopyBars::new(&self.bars, tables, progress), REDRAW_EVERY),
            Style::Lines | Style::Json => {
                let json = self.style == Style::Json;
                self.keep_showing(CopyLines::new(tables, progress, json), self.line_every);
            }
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.finish();
    }
}
