//! The verb `inspect`: what is in a source, and what a migration of it would take. No server is asked.

use super::output;
use super::reading::Reading;
use super::signals::stop_flag;
use super::telling::Telling;
use crate::error::Result;
use crate::postgres::{Embedded, EmbeddedOptions};
use crate::report::inspection;
use crate::run;
use clap::Args;
use std::path::PathBuf;

/// The arguments of `lite2pg inspect`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  lite2pg inspect app.db
  lite2pg inspect app.db --brief
  lite2pg inspect app.db --full --json > app.json")]
pub struct Arguments {
    /// The SQLite file: a path, or a `sqlite:` or `file:` URI
    source: PathBuf,
    /// Read every row, and let SQLite check the file; otherwise 50 000 rows of each large table, spread over it
    #[arg(long)]
    full: bool,
    /// Leave the tables out: hazards, what needs a hand, grade and forecast only
    #[arg(long)]
    brief: bool,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    telling: Telling,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    let options = arguments.reading.options(&arguments.source)?;
    let stop = stop_flag()?;
    let teller = arguments.telling.teller();
    let can_try = Embedded::can_start(&EmbeddedOptions::default());
    let result = run::inspect(&options, arguments.full, can_try, &teller, &stop);
    teller.finish();
    let found = result?;
    match (arguments.telling.json, arguments.telling.quiet) {
        (true, _) => output::result(&inspection::json(&found)),
        (false, true) => Ok(()),
        (false, false) => output::result(&inspection::text(&found, arguments.brief)),
    }
}

impl Arguments {
    /// Whether stderr is read by a program.
    pub fn tells_events(&self) -> bool {
        self.telling.tells_events()
    }
}
