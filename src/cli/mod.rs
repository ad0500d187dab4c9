//! The command line: arguments become options, results become text and exit codes.

mod allocator;
mod bench;
mod migrate;
mod output;
mod proving;
mod reading;
mod rollback;
mod server;
mod signals;
mod telling;
mod verify;

use crate::error::{Error, Kind, Result};
use crate::report::message;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Moves a SQLite database into PostgreSQL and proves that it arrived: types decided by the rows, parallel
/// binary COPY, resumable, compared cell by cell.
#[derive(Debug, Parser)]
#[command(name = "lite2pg", version, about, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done · 1 failed · 2 usage · 3 blocked, nothing written · 5 both sides differ · 6 source · 7 target · 8 interrupted, \
    the same command resumes"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Move a SQLite database into PostgreSQL
    Migrate(Box<migrate::Arguments>),
    /// Compare a SQLite database with what is in PostgreSQL, cell by cell
    Verify(Box<verify::Arguments>),
    /// Bring PostgreSQL's state back into a SQLite file
    Rollback(Box<rollback::Arguments>),
    /// Load a sample by several strategies and settings, and predict a migration
    Bench(Box<bench::Arguments>),
}

impl Verb {
    fn run(&self) -> Result<()> {
        match self {
            Self::Migrate(arguments) => migrate::run(arguments),
            Self::Verify(arguments) => verify::run(arguments),
            Self::Rollback(arguments) => rollback::run(arguments),
            Self::Bench(arguments) => bench::run(arguments),
        }
    }

    fn tells_events(&self) -> bool {
        match self {
            Self::Migrate(arguments) => arguments.tells_events(),
            Self::Verify(arguments) => arguments.tells_events(),
            Self::Rollback(arguments) => arguments.tells_events(),
            Self::Bench(arguments) => arguments.tells_events(),
        }
    }
}

/// Runs the program: parses the process's arguments, prints, and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    allocator::return_large_buffers();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
        eprintln!("error: lite2pg broke one of its own rules{place}");
        eprintln!(
            "  this is a fault of lite2pg, not of your data; finished ranges are on the target, others rolled back"
        );
        eprintln!("\nhint: please report it with the command that you ran; the same command resumes");
    }));
    let verb = Arguments::parse().verb;
    // The payload of a panic may quote a row's value; the hook has said what can be said.
    match std::panic::catch_unwind(|| verb.run()) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(&error, verb.tells_events()),
        Err(_) => ExitCode::from(Kind::Bug.exit_code()),
    }
}

fn fail(error: &Error, as_event: bool) -> ExitCode {
    if as_event {
        eprintln!("{}", message::error_json(error));
    } else {
        eprint!("{}", message::error(error));
    }
    ExitCode::from(error.kind().exit_code())
}
