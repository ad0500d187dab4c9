//! The verb `status`: where runs stand, from a second terminal.

use super::output;
use super::server::{Server, no_target};
use super::signals::stop_flag;
use crate::error::Result;
use crate::model::event::Silent;
use crate::report::status;
use crate::run::Watch;
use clap::Args;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How soon a signal ends a wait.
const LOOK_AT_SIGNALS_EVERY: Duration = Duration::from_millis(100);

/// The arguments of `lite2pg status`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  lite2pg status postgres:///app
  lite2pg status postgres:///app --watch
  lite2pg status postgres:///app --json")]
pub struct Arguments {
    /// The PostgreSQL database: postgres://…, key=value pairs, or \"\" for the PG* variables
    #[arg(env = "DATABASE_URL", hide_env_values = true)]
    target: Option<String>,
    /// Only runs into this schema
    #[arg(long)]
    schema: Option<String>,
    /// Every run, not only the last one into each schema
    #[arg(long)]
    all: bool,
    /// Look again every so many seconds until nobody is at work any more
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
        value_parser = clap::value_parser!(u16).range(1..=3600))]
    watch: Option<u16>,
    /// Print JSON; with --watch one object a line
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    let text = arguments.target.as_deref().ok_or_else(|| no_target("status"))?;
    let server = Server::that_holds(text, ("no run is known there", "the database that is migrated to"), &Silent)?;
    let stop = stop_flag()?;
    let watch = Watch::open(&server.target())?;
    // A screen that is redrawn is for a terminal; elsewhere each look follows the one before.
    let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    let redraws = std::io::stdout().is_terminal() && !dumb && !arguments.json;
    loop {
        let runs = watch.look(arguments.schema.as_deref(), arguments.all)?;
        let told = if arguments.json { status::json(&runs, arguments.watch.is_some()) } else { status::text(&runs) };
        let clear = if redraws && arguments.watch.is_some() { "\x1b[H\x1b[2J" } else { "" };
        output::result(&format!("{clear}{told}"))?;
        let Some(seconds) = arguments.watch.filter(|_| runs.iter().any(|run| run.at_work)) else { return Ok(()) };
        if !waited(Duration::from_secs(seconds.into()), &stop) {
            return Ok(());
        }
        if !arguments.json && !redraws {
            output::result("\n")?;
        }
    }
}

// False where a signal came meanwhile.
fn waited(time: Duration, stop: &AtomicBool) -> bool {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        std::thread::sleep(LOOK_AT_SIGNALS_EVERY);
    }
    !stop.load(Ordering::Relaxed)
}
