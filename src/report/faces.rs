//! How counters look: bars on a terminal, lines elsewhere, for rows and for objects.

use super::layout::cut;
use super::stderr;
use crate::model::event::{CopyTable, Phase, Progress};
use crate::model::figures::{bytes, count, duration, per_second};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Bars are shown for this many tables at once, so that they fit a small terminal.
const BARS_MAX: usize = 8;

/// One way to show counters again and again.
pub trait Face: Send {
    /// Shows them as they are now.
    fn show(&mut self);
    /// Leaves the terminal clean.
    fn close(&mut self) {}
}

/// Objects of a phase: how many, and which was done last.
pub struct Steps {
    phase: Phase,
    all: u64,
    done: AtomicU64,
    last: Mutex<String>,
}

impl Steps {
    /// A phase of `all` objects, none done.
    #[must_use]
    pub fn new(phase: Phase, all: u64) -> Self {
        Self { phase, all, done: AtomicU64::new(0), last: Mutex::default() }
    }

    /// One more is done.
    pub fn did(&self, object: &str) {
        self.done.fetch_add(1, Ordering::Relaxed);
        object.clone_into(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed).min(self.all)
    }
}

/// A line for a phase that goes object by object.
pub struct StepLines(pub Arc<Steps>);

impl Face for StepLines {
    fn show(&mut self) {
        let (done, all) = (count(self.0.done()), count(self.0.all));
        stderr::line(&format!("{}: {done} of {all} objects", self.0.phase.word()));
    }
}

/// A bar for a phase that goes object by object.
pub struct StepBar {
    steps: Arc<Steps>,
    bar: ProgressBar,
}

impl StepBar {
    /// A bar below whatever `all` shows.
    #[must_use]
    pub fn new(all: &MultiProgress, steps: Arc<Steps>) -> Self {
        let bar = all.add(ProgressBar::new(steps.all));
        bar.set_style(style("{prefix:<16!} {bar:12} {msg}"));
        bar.set_prefix(steps.phase.word());
        Self { steps, bar }
    }
}

impl Face for StepBar {
    fn show(&mut self) {
        let done = self.steps.done();
        let last = self.steps.last.lock().unwrap_or_else(PoisonError::into_inner);
        self.bar.set_position(done);
        self.bar.set_message(format!("{} of {}  {}", count(done), count(self.steps.all), cut(&last, 24)));
    }

    fn close(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A line for the copy as a whole.
pub struct CopyLines {
    rate: Rate,
    json: bool,
}

impl CopyLines {
    /// Lines for these tables, as JSON or as text.
    #[must_use]
    pub fn new(tables: Vec<CopyTable>, progress: Arc<Progress>, json: bool) -> Self {
        Self { rate: Rate::new(tables, progress), json }
    }
}

impl Face for CopyLines {
    fn show(&mut self) {
        let now = self.rate.now();
        if self.json {
            let line = serde_json::json!({ "event": "progress", "phase": "copy", "rows": now.rows,
                "rows_estimated": now.rows_all, "bytes": now.bytes, "bytes_estimated": now.bytes_all,
                "eta_ms": now.eta_ms });
            stderr::line(&line.to_string());
        } else {
            stderr::line(&now.line());
        }
    }
}

/// A bar for each table at work, and one for all.
pub struct CopyBars {
    rate: Rate,
    all: MultiProgress,
    total: ProgressBar,
    shown: Vec<(usize, ProgressBar)>,
}

impl CopyBars {
    /// Bars for these tables.
    #[must_use]
    pub fn new(all: &MultiProgress, tables: Vec<CopyTable>, progress: Arc<Progress>) -> Self {
        let total = all.add(ProgressBar::new(1));
        total.set_style(style("{prefix:<16!} {bar:12} {msg}"));
        total.set_prefix(Phase::Copy.word());
        Self { rate: Rate::new(tables, progress), all: all.clone(), total, shown: Vec::new() }
    }

    fn show_table(&mut self, i: usize) {
        let table = &self.rate.tables[i];
        let (rows, done) = self.rate.progress.table(i);
        let whole = rows >= table.rows;
        match self.shown.iter().position(|(t, _)| *t == i) {
            Some(at) if whole => {
                let (_, bar) = self.shown.remove(at);
                bar.finish_and_clear();
                self.all.remove(&bar);
            }
            None if rows > 0 && !whole && self.shown.len() < BARS_MAX => {
                let bar = self.all.insert_before(&self.total, ProgressBar::new(table.bytes.max(1)));
                bar.set_style(style("  {prefix:<14!} {bar:12} {msg}"));
                bar.set_prefix(cut(&table.name, 14));
                self.shown.push((i, bar));
            }
            _ => {}
        }
        if let Some((_, bar)) = self.shown.iter().find(|(t, _)| *t == i) {
            bar.set_position(done.min(table.bytes));
            bar.set_message(format!("{} rows  {}", count(rows), bytes(done)));
        }
    }
}

impl Face for CopyBars {
    fn show(&mut self) {
        for i in 0..self.rate.tables.len() {
            self.show_table(i);
        }
        let now = self.rate.now();
        self.total.set_length(now.bytes_all.max(1));
        self.total.set_position(now.bytes.min(now.bytes_all));
        self.total.set_message(now.words());
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

/// Counters against the clock. What an earlier start had copied is no speed of this one.
struct Rate {
    tables: Vec<CopyTable>,
    progress: Arc<Progress>,
    started: Instant,
    bytes_before: u64,
}

struct Now {
    rows: u64,
    rows_all: u64,
    bytes: u64,
    bytes_all: u64,
    bytes_per_second: u64,
    eta_ms: Option<u64>,
}

impl Rate {
    fn new(tables: Vec<CopyTable>, progress: Arc<Progress>) -> Self {
        let (_, bytes_before) = progress.total();
        Self { tables, progress, started: Instant::now(), bytes_before }
    }

    fn now(&self) -> Now {
        let (rows, bytes) = self.progress.total();
        let rows_all = self.tables.iter().map(|t| t.rows).sum::<u64>().max(rows);
        let bytes_all = self.tables.iter().map(|t| t.bytes).sum::<u64>().max(bytes);
        let ms = self.started.elapsed().as_millis() as u64;
        let moved = bytes.saturating_sub(self.bytes_before);
        let left = u128::from(ms) * u128::from(bytes_all - bytes);
        let eta_ms = (moved > 0).then(|| (left / u128::from(moved)) as u64);
        Now { rows, rows_all, bytes, bytes_all, bytes_per_second: per_second(moved, ms), eta_ms }
    }
}

impl Now {
    fn eta(&self) -> String {
        self.eta_ms.map_or_else(|| "?".to_owned(), duration)
    }

    // Fits 80 columns behind a prefix and a bar, for a billion rows and a terabyte too.
    fn words(&self) -> String {
        let (size, rate) = (bytes(self.bytes), bytes(self.bytes_per_second));
        format!("{} rows {size} {rate}/s ETA {}", count(self.rows), self.eta())
    }

    fn line(&self) -> String {
        format!(
            "copy: {} of ~{} rows, {} of ~{}, {}/s, ETA {}",
            count(self.rows),
            count(self.rows_all),
            bytes(self.bytes),
            bytes(self.bytes_all),
            bytes(self.bytes_per_second),
            self.eta()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fits_eighty_columns() {
        let now = Now {
            rows: 9_999_999_999,
            rows_all: 0,
            bytes: 999_400_000_000,
            bytes_all: 0,
            bytes_per_second: 999_400_000,
            eta_ms: Some(3_599_000),
        };
        assert!(16 + 1 + 12 + 1 + now.words().chars().count() <= 80, "{}", now.words());
    }

    #[test]
    fn rows_of_an_earlier_start_do_not_count_as_speed() {
        let progress = Arc::new(Progress::new(1));
        progress.add(0, 100, 1000);
        let table = CopyTable { name: "t".into(), rows: 200, bytes: 2000, rows_done: 100 };
        let now = Rate::new(vec![table], progress).now();
        assert_eq!((now.rows, now.bytes_per_second, now.eta_ms), (100, 0, None));
    }
}
