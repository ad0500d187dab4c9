//! The verb `verify`: its arguments, and what it prints.

use super::output;
use super::proving::Proving;
use super::reading::Reading;
use super::server::{Server, no_target};
use super::sides::{Given, Sides};
use super::signals::stop_flag;
use super::telling::Telling;
use crate::error::{Error, Kind, Result};
use crate::model::name::as_glob;
use crate::model::verdict::{Level, Sample, SampleSize};
use crate::report::verification;
use crate::run::{self, Options, Wish};
use clap::{Args, ValueEnum};
use std::collections::HashMap;

/// The arguments of `lite2pg verify`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  lite2pg verify app.db postgres://app@db.example.com/app
  lite2pg verify app.db postgres:///app --table orders --show-values
  lite2pg verify app.db postgres:///app --sample 10000
  lite2pg verify app.db postgres:///app --level counts --json")]
pub struct Arguments {
    #[command(flatten)]
    sides: Sides,
    /// Compare only this table; may be repeated
    #[arg(long, value_name = "NAME")]
    table: Vec<String>,
    /// What tells the rows of a table apart where it has no primary key: TABLE=COLUMN[,COLUMN…]
    #[arg(long, value_name = "TABLE=COLUMNS", value_parser = key)]
    key: Vec<(String, Vec<String>)>,
    /// How deep: every cell, or less
    #[arg(long, value_enum, default_value_t = Depth::Rows)]
    level: Depth,
    /// Compare this many rows of each table, or this part of them, and the numbers of rows: quick, and no proof
    #[arg(long, value_name = "N|P%", value_parser = sample_size, conflicts_with_all = ["level", "repair", "record_hash"])]
    sample: Option<SampleSize>,
    /// Draw other rows for the sample; the same number draws the same ones
    #[arg(long, value_name = "N", default_value_t = 1, requires = "sample")]
    seed: u64,
    /// Keep the server's own hash of each table that is equal, for `--level hash` later
    #[arg(long)]
    record_hash: bool,
    /// Take rows that differ from the source again, delete those that it does not have, and compare once more
    #[arg(long)]
    repair: bool,
    /// Let the application's triggers fire for rows that are repaired
    #[arg(long, requires = "repair")]
    fire_triggers: bool,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    proving: Proving,
    #[command(flatten)]
    telling: Telling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Depth {
    /// Numbers of rows
    Counts,
    /// Numbers of values, extremes and sums as well, asked of both databases in SQL
    Aggregates,
    /// Whether the target hashes to what it did when `--record-hash` compared it: unchanged, and no proof
    Hash,
    /// Every cell of every row
    Rows,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    let given = arguments.sides.given()?;
    let options = arguments.options(&given)?;
    let stop = stop_flag()?;
    let teller = arguments.telling.teller();
    let text = given.target.as_deref().ok_or_else(|| no_target("verify"))?;
    let lacks = ("there is nothing to compare with", "lite2pg migrate app.db embedded compares at its end");
    let server = Server::that_holds(text, lacks, &teller)?;
    let result = run::verify(&options, &given.connecting(server.target()), arguments.repair, &teller, &stop);
    teller.finish();
    let found = result?;
    match (arguments.telling.json, arguments.telling.quiet) {
        (true, _) => output::result(&(verification::json(&found) + "\n"))?,
        (false, true) => {}
        (false, false) => output::result(&verification::text(&found))?,
    }
    verification::error(&found).map_or(Ok(()), Err)
}

impl Arguments {
    /// Whether stderr is read by a program.
    pub fn tells_events(&self) -> bool {
        self.telling.tells_events()
    }

    /// Whether values of rows may be told.
    pub fn shows_values(&self) -> bool {
        self.proving.shows_values()
    }

    fn options(&self, given: &Given) -> Result<Options> {
        if self.level != Depth::Rows && self.record_hash {
            return Err(Error::new(Kind::Usage, "`--record-hash` goes with `--level rows` only")
                .fact("a hash is worth something only where every cell was compared at the same moment"));
        }
        if self.level == Depth::Hash && self.repair {
            return Err(Error::new(
                Kind::Usage,
                "`--level hash` does not find rows, and nothing can be repaired by it",
            ));
        }
        let mut options = self.reading.options(&given.source)?;
        options.fires_triggers = self.fire_triggers;
        options.include.extend(self.table.iter().map(|name| as_glob(name)));
        let wish = self.proving.wish();
        options.wish = Wish {
            level: match self.level {
                Depth::Counts => Level::Counts,
                Depth::Aggregates => Level::Aggregates,
                Depth::Hash => Level::Hash,
                Depth::Rows if self.sample.is_some() => Level::Sample,
                Depth::Rows => Level::Rows,
            },
            sample: Sample { size: self.sample.unwrap_or(wish.sample.size), seed: self.seed },
            records_hash: self.record_hash,
            keys: self.key.iter().cloned().collect::<HashMap<_, _>>(),
            ..wish
        };
        given.shape(options)
    }
}

fn sample_size(text: &str) -> Result<SampleSize, String> {
    let wrong = || "state a number of rows above 0, or a part up to 100%: 10000, 0.5%".to_owned();
    if let Some(part) = text.strip_suffix('%') {
        let percent: f64 = part.parse().map_err(|_| wrong())?;
        return if percent > 0.0 && percent <= 100.0 { Ok(SampleSize::Percent(percent)) } else { Err(wrong()) };
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(wrong()),
        Ok(rows) => Ok(SampleSize::RowsPerTable(rows)),
    }
}

fn key(text: &str) -> Result<(String, Vec<String>), String> {
    let (table, columns) = text.split_once('=').ok_or("state it as TABLE=COLUMN[,COLUMN…]")?;
    let columns: Vec<String> = columns.split(',').map(str::to_owned).collect();
    if table.is_empty() || columns.iter().any(String::is_empty) {
        return Err("state it as TABLE=COLUMN[,COLUMN…]".to_owned());
    }
    Ok((table.to_owned(), columns))
}
