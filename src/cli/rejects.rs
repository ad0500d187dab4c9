//! The verb `rejects`: rows that a migration has set aside, listed anew or tried again.

use super::output;
use super::proving::Proving;
use super::reading::Reading;
use super::ruling::Ruling;
use super::server::{Server, no_target};
use super::sides::{Given, Sides};
use super::signals::stop_flag;
use super::telling::Telling;
use crate::error::{Error, Kind, Result};
use crate::report::{rejected, verification};
use crate::run::{self, Options, Wanted};
use clap::{Args, Subcommand};

/// The arguments of `lite2pg rejects`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Try them again: after a column of the target was changed, under another --on-error, or once parents are there
    Retry(Box<Of>),
    /// Write the files that list them anew, and say how many there are
    List(Box<Of>),
}

/// Whose rows.
#[derive(Debug, Args)]
struct Of {
    #[command(flatten)]
    sides: Sides,
    /// Do not compare both sides afterwards
    #[arg(long)]
    no_verify: bool,
    /// Let the application's triggers fire for rows that are taken
    #[arg(long)]
    fire_triggers: bool,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    ruling: Ruling,
    #[command(flatten)]
    proving: Proving,
    #[command(flatten)]
    telling: Telling,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (of, wanted) = match &arguments.what {
        What::Retry(of) => (of, Wanted::Retry),
        What::List(of) => (of, Wanted::List),
    };
    let given = of.sides.given()?;
    let options = of.options(&given)?;
    let stop = stop_flag()?;
    let teller = of.telling.teller();
    let text = given.target.as_deref().ok_or_else(|| no_target("rejects"))?;
    let lacks = ("nothing was set aside there", "the database of the migration that set them aside");
    let server = Server::that_holds(text, lacks, &teller)?;
    let result = run::set_aside(&options, &given.connecting(server.target()), wanted, &teller, &stop);
    teller.finish();
    let found = result?;
    match (of.telling.json, of.telling.quiet) {
        (true, _) => output::result(&rejected::json(&found))?,
        (false, true) => {}
        (false, false) => output::result(&rejected::retried(&found))?,
    }
    if let Some(error) = found.verification.as_ref().and_then(verification::error) {
        return Err(error);
    }
    rejected::error(&found.rejects, options.rejects.allowed).filter(|_| wanted == Wanted::Retry).map_or(Ok(()), Err)
}

impl Arguments {
    /// Whether values of rows may be told.
    pub fn shows_values(&self) -> bool {
        match &self.what {
            What::Retry(of) | What::List(of) => of.proving.shows_values(),
        }
    }

    /// Whether stderr is read by a program.
    pub fn tells_events(&self) -> bool {
        match &self.what {
            What::Retry(of) | What::List(of) => of.telling.tells_events(),
        }
    }
}

impl Of {
    fn options(&self, given: &Given) -> Result<Options> {
        let options = self.ruling.apply(self.reading.options(&given.source)?)?;
        if !options.rules.types.is_empty() {
            return Err(Error::new(Kind::Usage, "`--type` is for `migrate`: here the target's columns are the rule")
                .hint("ALTER TABLE … ALTER COLUMN … TYPE … changes them"));
        }
        let (verify, fires_triggers) = (!self.no_verify, self.fire_triggers);
        given.shape(Options { verify, fires_triggers, wish: self.proving.wish(), ..options })
    }
}
