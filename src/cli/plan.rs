//! The verb `plan`: what a migration would do, and nothing of it.

use super::output;
use super::reading::Reading;
use super::ruling::Ruling;
use super::server::Server;
use super::sides::Sides;
use super::signals::stop_flag;
use super::telling::Telling;
use crate::error::{Error, Kind, Result};
use crate::postgres::{Embedded, EmbeddedOptions};
use crate::report::plan;
use crate::run;
use clap::Args;

/// The arguments of `lite2pg plan`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  lite2pg plan app.db
  lite2pg plan app.db postgres:///app --sql
  lite2pg plan -p pipelines/shop.toml --json")]
pub struct Arguments {
    #[command(flatten)]
    sides: Sides,
    /// Print the DDL too
    #[arg(long)]
    sql: bool,
    /// Do not ask the target what it thinks of the plan
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    ruling: Ruling,
    #[command(flatten)]
    telling: Telling,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    let given = arguments.sides.given()?;
    let options = given.shape(arguments.ruling.apply(arguments.reading.options(&given.source)?)?)?;
    let stop = stop_flag()?;
    let teller = arguments.telling.teller();
    let target = given.target.as_deref().filter(|text| !arguments.offline && *text != Embedded::WORD);
    let server = target.map(|text| Server::of(text, &EmbeddedOptions::default(), &teller)).transpose()?;
    let target = server.as_ref().map(|server| given.connecting(server.target()));
    let dry = run::dry_run(&options, target.as_ref(), &teller, &stop)?;
    teller.finish();
    if arguments.telling.json {
        let mut object = serde_json::to_value(&dry.plan)
            .map_err(|e| Error::new(Kind::Bug, "a plan cannot be written as JSON").cause(e))?;
        object["snapshot"] = dry.snapshot.into();
        object["ways_back"] = serde_json::to_value(&dry.ways_back)
            .map_err(|e| Error::new(Kind::Bug, "a way back cannot be written as JSON").cause(e))?;
        object["unreturned"] = serde_json::to_value(&dry.unreturned)
            .map_err(|e| Error::new(Kind::Bug, "what does not go back cannot be written as JSON").cause(e))?;
        if arguments.sql {
            object["sql"] = dry.script.into();
        }
        return output::result(&format!("{object:#}\n"));
    }
    output::result(&plan::text(&dry, arguments.sql))
}

impl Arguments {
    /// Whether stderr is read by a program.
    pub fn tells_events(&self) -> bool {
        self.telling.tells_events()
    }
}
