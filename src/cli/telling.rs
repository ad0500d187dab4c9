//! Arguments of every verb that takes its time: how its progress is told on stderr, and its result on stdout.

use crate::model::bounds::PROGRESS_LINE_EVERY;
use crate::report::progress::{Style, Teller};
use clap::{Args, ValueEnum};
use std::io::IsTerminal;
use std::time::Duration;

/// How a verb tells what it does.
#[derive(Debug, Args)]
pub struct Telling {
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// How progress is told on stderr
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Seconds between two lines of progress where stderr is no terminal
    #[arg(long, value_name = "SECONDS", default_value_t = PROGRESS_LINE_EVERY.as_secs())]
    progress_every: u64,
    /// Only warnings and errors, and no result unless it is asked for as JSON
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Telling {
    /// Whether stderr is read by a program.
    pub fn tells_events(&self) -> bool {
        self.log_format == LogFormat::Json
    }

    /// Who tells.
    pub fn teller(&self) -> Teller {
        Teller::new(self.style(), Duration::from_secs(self.progress_every.max(1)))
    }

    fn style(&self) -> Style {
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        match self.log_format {
            LogFormat::Json => Style::Json,
            LogFormat::Text if self.quiet => Style::Quiet,
            LogFormat::Text if std::io::stderr().is_terminal() && !dumb => Style::Bars,
            LogFormat::Text => Style::Lines,
        }
    }
}
