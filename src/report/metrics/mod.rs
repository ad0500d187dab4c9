//! A run as Prometheus reads it (<https://prometheus.io/docs/instrumenting/exposition_formats/>): gauges in its text
//! format, and a listener that hands them out.

mod listener;

pub use listener::Listener;

use crate::model::bounds::METRICS_TABLES_MAX;
use crate::model::event::{CopyTable, Event, Observer, Phase, Progress};
use crate::model::plan::Level;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Hears a run, hands everything on to another observer, and keeps what a scrape asks for.
pub struct Metrics<'a> {
    told: &'a dyn Observer,
    state: Arc<Mutex<State>>,
}

/// What is known of the run. A scrape reads it in another thread.
#[derive(Default)]
struct State {
    phase: Option<(Phase, Instant)>,
    spent_ms: BTreeMap<&'static str, u64>,
    steps: BTreeMap<&'static str, u64>,
    planned: Vec<CopyTable>,
    copy: Option<(Vec<CopyTable>, Arc<Progress>)>,
    compare: Option<(Vec<CopyTable>, Arc<Progress>)>,
    compares: bool,
    warnings: u64,
    notes: u64,
    reloads: u64,
}

impl<'a> Metrics<'a> {
    /// Keeps what `told` is told too.
    #[must_use]
    pub fn new(told: &'a dyn Observer) -> Self {
        Self { told, state: Arc::default() }
    }

    /// What a scrape reads: may be called from any thread, at any time.
    pub fn text(&self) -> impl Fn() -> String + Send + 'static {
        let state = Arc::clone(&self.state);
        move || lock(&state).text()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Observer for Metrics<'_> {
    fn event(&self, event: &Event) {
        lock(&self.state).hear(event);
        self.told.event(event);
    }

    fn watch(&self, progress: Arc<Progress>) {
        {
            let mut state = lock(&self.state);
            let planned = std::mem::take(&mut state.planned);
            let watched = Some((planned, Arc::clone(&progress)));
            if state.compares { state.compare = watched } else { state.copy = watched }
        }
        self.told.watch(progress);
    }
}

impl State {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::PhaseStarted { phase, .. } => self.phase = Some((*phase, Instant::now())),
            Event::PhaseFinished { phase, ms } => {
                *self.spent_ms.entry(phase.word()).or_default() += ms;
                self.phase = None;
            }
            Event::Step { phase, .. } => *self.steps.entry(phase.word()).or_default() += 1,
            Event::CopyPlanned { tables } => (self.compares, self.planned) = (false, tables.clone()),
            Event::VerifyPlanned { tables } => (self.compares, self.planned) = (true, tables.clone()),
            Event::Widened { .. } => self.reloads += 1,
            Event::Remark(remark) if remark.level == Level::Warning => self.warnings += 1,
            Event::Remark(_) => self.notes += 1,
            Event::TableCopied { .. } | Event::Kept { .. } | Event::Info { .. } => {}
        }
    }

    fn text(&self) -> String {
        let mut out = Text(String::new());
        out.head("lite2pg_info", "The program that is at work.");
        out.line("lite2pg_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        out.head("lite2pg_phase", "1 for the phase that goes on.");
        let now = self.phase.map(|(phase, _)| phase.word());
        for phase in PHASES {
            out.line("lite2pg_phase", &[("phase", phase.word())], f64::from(u8::from(now == Some(phase.word()))));
        }
        out.head("lite2pg_phase_seconds", "Time in each phase so far.");
        let mut spent = self.spent_ms.clone();
        if let Some((phase, since)) = self.phase {
            *spent.entry(phase.word()).or_default() += since.elapsed().as_millis() as u64;
        }
        for (phase, ms) in &spent {
            out.line("lite2pg_phase_seconds", &[("phase", phase)], *ms as f64 / 1000.0);
        }
        out.head("lite2pg_objects_done", "Objects that a phase is done with: tables profiled, indexes built.");
        for (phase, steps) in &self.steps {
            out.line("lite2pg_objects_done", &[("phase", phase)], *steps as f64);
        }
        if let Some((tables, progress)) = &self.copy {
            out.progress(("lite2pg_copy", "on the target or on their way"), tables, progress);
        }
        if let Some((tables, progress)) = &self.compare {
            out.progress(("lite2pg_compare", "compared"), tables, progress);
        }
        out.head("lite2pg_remarks", "Warnings and notes so far.");
        out.line("lite2pg_remarks", &[("level", "warning")], self.warnings as f64);
        out.line("lite2pg_remarks", &[("level", "note")], self.notes as f64);
        out.head("lite2pg_reloads", "Tables that are loaded again because their rows disproved a type.");
        out.line("lite2pg_reloads", &[], self.reloads as f64);
        out.0
    }
}

const PHASES: [Phase; 9] = [
    Phase::Open,
    Phase::Profile,
    Phase::Plan,
    Phase::Create,
    Phase::Copy,
    Phase::Index,
    Phase::Constrain,
    Phase::Analyze,
    Phase::Verify,
];

struct Text(String);

impl Text {
    // Everything is a gauge: rows of a range that was rolled back are taken off again.
    fn head(&mut self, name: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        let all: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", label_value(value))).collect();
        if !all.is_empty() {
            let _ = write!(self.0, "{{{}}}", all.join(","));
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn progress(&mut self, (prefix, words): (&str, &str), tables: &[CopyTable], progress: &Progress) {
        let (rows, bytes) = progress.total();
        let expected = tables.iter().fold((0, 0), |(r, b), t| (r + t.rows, b + t.bytes));
        for (name, help, value) in [
            ("rows", format!("Rows {words}."), rows),
            ("rows_expected", "Rows that are expected, some estimated.".to_owned(), expected.0.max(rows)),
            ("bytes", format!("Bytes of cells {words}."), bytes),
            ("bytes_expected", "Bytes that are expected, estimated.".to_owned(), expected.1.max(bytes)),
        ] {
            let name = format!("{prefix}_{name}");
            self.head(&name, &help);
            self.line(&name, &[], value as f64);
        }
        // Each table is a series that a Prometheus keeps for weeks.
        if tables.len() > METRICS_TABLES_MAX {
            return;
        }
        let name = format!("{prefix}_table_rows");
        self.head(&name, &format!("Rows of each table {words}."));
        for (i, table) in tables.iter().enumerate() {
            self.line(&name, &[("table", &table.name)], progress.table(i).0 as f64);
        }
    }
}

fn label_value(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Silent;

    #[test]
    fn what_is_heard_is_what_is_scraped() {
        let metrics = Metrics::new(&Silent);
        let text = metrics.text();
        metrics.event(&Event::PhaseStarted { phase: Phase::Profile, steps: 2 });
        metrics.event(&Event::Step { phase: Phase::Profile, object: "t".to_owned(), ms: 1 });
        metrics.event(&Event::PhaseFinished { phase: Phase::Profile, ms: 1500 });
        metrics.event(&Event::PhaseStarted { phase: Phase::Copy, steps: 1 });
        let name = "a \"b\"\\\nc".to_owned();
        metrics.event(&Event::CopyPlanned { tables: vec![CopyTable { name, rows: 10, bytes: 80, rows_done: 0 }] });
        let progress = Arc::new(Progress::new(1));
        metrics.watch(Arc::clone(&progress));
        progress.add(0, 7, 56);
        let told = text();
        for line in [
            "lite2pg_phase{phase=\"copy\"} 1",
            "lite2pg_phase{phase=\"profile\"} 0",
            "lite2pg_phase_seconds{phase=\"profile\"} 1.5",
            "lite2pg_objects_done{phase=\"profile\"} 1",
            "lite2pg_copy_rows 7",
            "lite2pg_copy_rows_expected 10",
            "lite2pg_copy_bytes 56",
            "lite2pg_copy_table_rows{table=\"a \\\"b\\\"\\\\\\nc\"} 7",
        ] {
            assert!(told.lines().any(|l| l == line), "`{line}` is not in\n{told}");
        }
        assert!(told.lines().all(|l| l.starts_with("# ") || l.starts_with("lite2pg_")), "{told}");
    }
}
