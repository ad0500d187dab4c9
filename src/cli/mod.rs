//! The command line: arguments become options, results become text and exit codes.

mod allocator;
mod arguments;
mod bench;
mod completions;
mod ddl;
mod fault;
mod init;
mod inspect;
mod man;
mod metering;
mod migrate;
mod output;
mod plan;
mod proving;
mod reading;
mod rehearse;
mod rejects;
mod reporting;
mod rollback;
mod ruling;
mod server;
mod sides;
mod signals;
mod status;
mod telling;
mod verify;

use crate::error::{Kind, Result};
use crate::report::{message, stderr};
use clap::{CommandFactory as _, Parser, Subcommand};
use fault::Manner;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

/// Moves a SQLite database into PostgreSQL and proves that it arrived: types decided by the rows, parallel
/// binary COPY, resumable, compared cell by cell.
#[derive(Debug, Parser)]
#[command(name = "lite2pg", version, about, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done · 1 failed · 2 usage · 3 blocked, nothing written · 4 rows were set aside · 5 both sides differ · 6 source · 7 target · 8 interrupted, \
    the same command resumes"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what is in a SQLite database, what may surprise, and what a migration would take
    Inspect(Box<inspect::Arguments>),
    /// Move a SQLite database into PostgreSQL
    Migrate(Box<migrate::Arguments>),
    /// Write a pipeline file of what a source holds, to review and to edit
    Init(init::Arguments),
    /// Say what a migration would do, and change nothing
    Plan(Box<plan::Arguments>),
    /// Compare a SQLite database with what is in PostgreSQL, cell by cell
    Verify(Box<verify::Arguments>),
    /// Say where runs stand, from a second terminal too
    Status(status::Arguments),
    /// Bring PostgreSQL's state back into a SQLite file
    Rollback(Box<rollback::Arguments>),
    /// Rehearse it all on a throw-away server: there, writes, back, kills
    Rehearse(Box<rehearse::Arguments>),
    /// List rows that a migration has set aside, or try them again
    Rejects(rejects::Arguments),
    /// Load a sample by several strategies and settings, and predict a migration
    Bench(Box<bench::Arguments>),
    /// Print a script by which a shell completes what is typed
    Completions(completions::Arguments),
    /// Print a manual page
    Man(man::Arguments),
}

impl Verb {
    fn run(&self) -> Result<()> {
        match self {
            Self::Inspect(arguments) => inspect::run(arguments),
            Self::Migrate(arguments) => migrate::run(arguments),
            Self::Init(arguments) => init::run(arguments),
            Self::Plan(arguments) => plan::run(arguments),
            Self::Verify(arguments) => verify::run(arguments),
            Self::Status(arguments) => status::run(arguments),
            Self::Rollback(arguments) => rollback::run(arguments),
            Self::Rehearse(arguments) => rehearse::run(arguments),
            Self::Rejects(arguments) => rejects::run(arguments),
            Self::Bench(arguments) => bench::run(arguments),
            Self::Completions(arguments) => completions::run(arguments, Arguments::command()),
            Self::Man(arguments) => man::run(arguments, Arguments::command()),
        }
    }

    fn tells_events(&self) -> bool {
        match self {
            Self::Inspect(arguments) => arguments.tells_events(),
            Self::Migrate(arguments) => arguments.tells_events(),
            Self::Plan(arguments) => arguments.tells_events(),
            Self::Verify(arguments) => arguments.tells_events(),
            Self::Init(_) | Self::Status(_) | Self::Completions(_) | Self::Man(_) => false,
            Self::Rollback(arguments) => arguments.tells_events(),
            Self::Rehearse(arguments) => arguments.tells_events(),
            Self::Rejects(arguments) => arguments.tells_events(),
            Self::Bench(arguments) => arguments.tells_events(),
        }
    }

    fn shows_values(&self) -> bool {
        match self {
            Self::Migrate(arguments) => arguments.shows_values(),
            Self::Verify(arguments) => arguments.shows_values(),
            Self::Rejects(arguments) => arguments.shows_values(),
            Self::Inspect(_)
            | Self::Init(_)
            | Self::Status(_)
            | Self::Plan(_)
            | Self::Rollback(_)
            | Self::Rehearse(_)
            | Self::Bench(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        }
    }
}

/// Runs the program: parses the process's arguments, prints, and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    allocator::return_large_buffers();
    fault::guarded(Manner::default(), || match Arguments::try_parse() {
        Ok(Arguments { verb }) => {
            let manner = Manner { as_event: verb.tells_events(), values: verb.shows_values() };
            fault::guarded(manner, AssertUnwindSafe(|| finish(verb.run(), manner)))
        }
        Err(e) if !e.use_stderr() => e.exit(),
        Err(e) => match arguments::told(&e) {
            Ok(text) => {
                stderr::text(&text);
                ExitCode::from(Kind::Usage.exit_code())
            }
            Err(error) => finish(Err(error), Manner::default()),
        },
    })
}

fn finish(result: Result<()>, manner: Manner) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if manner.as_event {
        stderr::line(&message::error_json(&error, manner.values));
    } else {
        stderr::text(&message::error(&error, manner.values));
    }
    ExitCode::from(error.kind().exit_code())
}
