//! A run while it goes on: bars on a terminal, a line every ten seconds elsewhere, JSON events on request.

use super::figures::{bytes, count, duration, per_second, plural};
use super::layout::{cut, wrapped};
use super::message;
use crate::model::event::{CopyTable, Event, Observer, Phase, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
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

/// Bars are shown for this many tables at once, so that they fit a small terminal.
const BARS_MAX: usize = 8;
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
    phase: Option<Phase>,
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
            Style::Bars => self.bars.suspend(|| eprintln!("{line}")),
            Style::Lines | Style::Quiet => eprintln!("{line}"),
            Style::Json => {}
        }
    }

    fn say_event(&self, event: &Event) {
        match event {
            Event::PhaseStarted { phase, steps } => {
                self.state().phase = Some(*phase);
                if matches!(phase, Phase::Profile | Phase::Index | Phase::Constrain) && *steps > 0 {
                    self.talk(&format!("{}: {}", phase.word(), plural(*steps, "object")));
                }
            }
            Event::PhaseFinished { phase: Phase::Copy, .. } => self.finish(),
            Event::PhaseFinished { .. } | Event::Step { .. } | Event::TableCopied { .. } => {}
            Event::CopyPlanned { tables } => self.state().tables.clone_from(tables),
            Event::Widened { table, why } => {
                self.talk(&wrapped("note: ", &format!("`{table}` is loaded again: {why}"), 2))
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
            eprintln!("{line}");
            if !matches!(event, Event::CopyPlanned { .. } | Event::PhaseFinished { phase: Phase::Copy, .. }) {
                return;
            }
        }
        self.say_event(event);
    }

    fn watch(&self, progress: Arc<Progress>) {
        if self.style == Style::Quiet {
            return;
        }
        let mut state = self.state();
        let (stop, stopped) = channel::<()>();
        let tables = state.tables.clone();
        let mut face: Box<dyn Face> = match self.style {
            Style::Bars => Box::new(Bars::new(&self.bars, tables)),
            Style::Json | Style::Lines | Style::Quiet => {
                let json = self.style == Style::Json;
                Box::new(Lines { tables, json, every: self.line_every, started: Instant::now() })
            }
        };
        let every = face.every();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                face.show(&progress);
            }
            face.close();
        });
        state.ticker = Some((stop, thread));
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.finish();
    }
}

/// One way to show counters again and again.
trait Face: Send {
    fn every(&self) -> Duration;
    fn show(&mut self, progress: &Progress);
    fn close(&mut self);
}

struct Lines {
    tables: Vec<CopyTable>,
    json: bool,
    every: Duration,
    started: Instant,
}

impl Face for Lines {
    fn every(&self) -> Duration {
        self.every
    }

    fn show(&mut self, progress: &Progress) {
        let sum = Sum::of(&self.tables, progress, self.started);
        if self.json {
            eprintln!(
                "{}",
                serde_json::json!({ "event": "progress", "phase": "copy", "rows": sum.rows, "rows_estimated": sum.rows_all,
                    "bytes": sum.bytes, "bytes_estimated": sum.bytes_all, "eta_ms": sum.eta_ms })
            );
        } else {
            eprintln!("{}", sum.line());
        }
    }

    fn close(&mut self) {}
}

struct Bars {
    tables: Vec<CopyTable>,
    all: MultiProgress,
    total: ProgressBar,
    shown: Vec<(usize, ProgressBar)>,
    started: Instant,
}

impl Bars {
    fn new(all: &MultiProgress, tables: Vec<CopyTable>) -> Self {
        let total = all.add(ProgressBar::new(tables.iter().map(|t| t.bytes).sum::<u64>().max(1)));
        total.set_style(style("{prefix:<22!} {bar:24} {msg}"));
        total.set_prefix("copy");
        Self { tables, all: all.clone(), total, shown: Vec::new(), started: Instant::now() }
    }
}

impl Face for Bars {
    fn every(&self) -> Duration {
        REDRAW_EVERY
    }

    fn show(&mut self, progress: &Progress) {
        for (i, table) in self.tables.iter().enumerate() {
            let (rows, done) = progress.table(i);
            let at = self.shown.iter().position(|(t, _)| *t == i);
            let whole = rows >= table.rows;
            match at {
                Some(at) if whole => {
                    let (_, bar) = self.shown.remove(at);
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
                None if rows > 0 && !whole && self.shown.len() < BARS_MAX => {
                    let bar = self.all.insert_before(&self.total, ProgressBar::new(table.bytes.max(1)));
                    bar.set_style(style("  {prefix:<20!} {bar:24} {msg}"));
                    bar.set_prefix(cut(&table.name, 20));
                    self.shown.push((i, bar));
                }
                _ => {}
            }
            if let Some((_, bar)) = self.shown.iter().find(|(t, _)| *t == i) {
                bar.set_position(done.min(table.bytes));
                bar.set_message(format!("{} rows  {}", count(rows), bytes(done)));
            }
        }
        let sum = Sum::of(&self.tables, progress, self.started);
        self.total.set_length(sum.bytes_all.max(1));
        self.total.set_position(sum.bytes.min(sum.bytes_all));
        self.total.set_message(sum.words());
    }

    fn close(&mut self) {
        for (_, bar) in self.shown.drain(..) {
            bar.finish_and_clear();
        }
        self.total.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ ")
}

struct Sum {
    rows: u64,
    rows_all: u64,
    bytes: u64,
    bytes_all: u64,
    eta_ms: Option<u64>,
    ms: u64,
}

impl Sum {
    fn of(tables: &[CopyTable], progress: &Progress, started: Instant) -> Self {
        let (rows, bytes) = progress.total();
        let rows_all = tables.iter().map(|t| t.rows).sum::<u64>().max(rows);
        let bytes_all = tables.iter().map(|t| t.bytes).sum::<u64>().max(bytes);
        let ms = started.elapsed().as_millis() as u64;
        let eta_ms = (bytes > 0).then(|| (u128::from(ms) * u128::from(bytes_all - bytes) / u128::from(bytes)) as u64);
        Self { rows, rows_all, bytes, bytes_all, eta_ms, ms }
    }

    fn words(&self) -> String {
        let eta = self.eta_ms.map_or_else(|| "?".to_owned(), duration);
        format!("{} rows  {}/s  ETA {eta}", count(self.rows), bytes(per_second(self.bytes, self.ms)))
    }

    fn line(&self) -> String {
        format!(
            "copy: {} of ~{} rows, {} of ~{}, {}/s, ETA {}",
            count(self.rows),
            count(self.rows_all),
            bytes(self.bytes),
            bytes(self.bytes_all),
            bytes(per_second(self.bytes, self.ms)),
            self.eta_ms.map_or_else(|| "?".to_owned(), duration)
        )
    }
}
