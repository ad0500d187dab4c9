//! A migration from a program of your own: `cargo run --example library -- app.db postgres:///app`, or a pipeline file in the
//! place of the database.
//!
//! Watches the run, stops it cleanly at Ctrl-C, and tells errors from findings. Copy it.

use lite2pg::{Event, Kind, Observer, Options, Pipeline, Result, Summary, Target, run};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

/// Says each table that has arrived. Called from several threads.
#[derive(Default)]
struct Tables(Mutex<Vec<String>>);

impl Observer for Tables {
    fn event(&self, event: &Event) {
        let mut names = self.0.lock().expect("no thread panics with the names in its hand");
        match event {
            Event::CopyPlanned { tables } => *names = tables.iter().map(|table| table.name.clone()).collect(),
            Event::TableCopied { table, rows, .. } => eprintln!("{}: {rows} rows", names[*table]),
            Event::Remark(remark) => eprintln!("{}: {}", remark.object, remark.text),
            _ => {}
        }
    }

    // The counters of a progress bar; this program draws none.
    fn watch(&self, _: Arc<lite2pg::model::event::Progress>) {}
}

/// Moves what `source` names: a SQLite file, or a pipeline of which the name ends in `.toml`. `stop` may be set meanwhile.
pub fn moved(source: &Path, target: &Target, stop: &AtomicBool) -> Result<Summary> {
    let (options, target) = if source.extension().is_some_and(|end| end == "toml") {
        let pipeline = Pipeline::load(source)?;
        (pipeline.options()?, pipeline.connecting(target.clone()))
    } else {
        (Options { jobs: 2, ..Options::new(source) }, target.clone())
    };
    run::migrate(&options, &target, &Tables::default(), stop)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, target] = arguments.as_slice() else {
        eprintln!("usage: library SOURCE TARGET");
        return ExitCode::from(Kind::Usage.exit_code());
    };
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).expect("these signals may be handled");
    }
    match target.parse().and_then(|target| moved(Path::new(source), &target, &stop)) {
        Ok(summary) if summary.is_verified() => {
            println!("{} tables arrived, every cell compared", summary.tables.len());
            ExitCode::SUCCESS
        }
        Ok(_) => {
            println!("the run came to its end, and not everything agrees: `lite2pg verify` lists what differs");
            ExitCode::from(Kind::Different.exit_code())
        }
        Err(error) => {
            // Debug has the facts, the causes and the way out; Display the first line of them.
            eprintln!("{error:?}\n  state: {}", error.data_state().unwrap_or("nothing was written"));
            ExitCode::from(error.kind().exit_code())
        }
    }
}
