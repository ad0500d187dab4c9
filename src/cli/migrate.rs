//! The verb `migrate`: its arguments, the server it goes to, and what it prints.

use super::metering::Metering;
use super::output;
use super::proving::Proving;
use super::reading::Reading;
use super::reporting::Reporting;
use super::ruling::Ruling;
use super::server::{Server, no_target};
use super::sides::{Given, Sides};
use super::signals::stop_flag;
use super::telling::Telling;
use crate::error::Result;
use crate::load::Conflict;
use crate::model::event::Summary;
use crate::postgres::EmbeddedOptions;
use crate::report::metrics::Metrics;
use crate::report::{checks, plan, rejected, summary, verification};
use crate::run::{self, Backup, Migrations, Options, Scope, Settings};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// The arguments of `lite2pg migrate`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is one flag of the command line")]
#[command(after_long_help = "Examples:
  lite2pg migrate app.db postgres://app@db.example.com/app
  lite2pg migrate app.db embedded --keep
  lite2pg migrate app.db postgres:///app --dry-run --sql
  lite2pg migrate -p pipelines/shop.toml --target embedded")]
pub struct Arguments {
    #[command(flatten)]
    sides: Sides,
    #[command(flatten)]
    reading: Reading,
    /// Tables, keys, indexes and views without rows
    #[arg(long, conflicts_with = "data_only")]
    schema_only: bool,
    /// Rows only, into tables that are there, matched by name
    #[arg(long)]
    data_only: bool,
    /// Print the plan and change nothing; without a TARGET the server is not asked
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: print the DDL too
    #[arg(long, requires = "dry_run")]
    sql: bool,
    /// Empty the target's tables first, in one statement
    #[arg(long)]
    truncate: bool,
    /// Load into tables that hold rows; what happens to a row whose key is there already
    #[arg(long, value_enum, value_name = "WHAT", num_args = 1)]
    on_conflict: Option<OnConflict>,
    /// Drop what an earlier run of lite2pg created in the schema, and begin again; with --data-only, only begin again
    #[arg(long, conflicts_with_all = ["truncate", "on_conflict"])]
    restart: bool,
    /// Load although the tables in which the application keeps its migrations, such as `django_migrations`, differ
    #[arg(long)]
    ignore_migrations: bool,
    /// Let triggers of tables that are there fire for the rows that are loaded
    #[arg(long)]
    fire_triggers: bool,
    /// Keep the indexes of tables that are there while many rows are loaded, where they would be dropped and built again
    #[arg(long)]
    keep_indexes: bool,
    /// Back up the source first, and a target that holds rows by `pg_dump`, into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
    backup: Option<PathBuf>,
    /// Skip the comparison of both sides at the end: the rows are counted, not proven
    #[arg(long)]
    no_verify: bool,
    /// With `embedded`: leave the server running and print how to connect
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    ruling: Ruling,
    #[command(flatten)]
    proving: Proving,
    #[command(flatten)]
    reporting: Reporting,
    #[command(flatten)]
    metering: Metering,
    #[command(flatten)]
    telling: Telling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnConflict {
    /// The target's row stays
    Skip,
    /// The source's row replaces it
    Update,
    /// The run ends; rows without such a key are added
    Fail,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    let given = arguments.sides.given()?;
    let options = arguments.options(&given)?;
    let report = arguments.reporting.prepare()?;
    let stop = stop_flag()?;
    let teller = arguments.telling.teller();
    let metrics = Metrics::new(&teller);
    let listener = arguments.metering.start(&metrics)?;
    let embedded = EmbeddedOptions { keep: arguments.keep, ..EmbeddedOptions::default() };
    let server = given.target.as_deref().map(|text| Server::of(text, &embedded, &teller)).transpose()?;
    if arguments.dry_run {
        let target = server.as_ref().map(|server| given.connecting(server.target()));
        let dry = run::dry_run(&options, target.as_ref(), &teller, &stop)?;
        teller.finish();
        return output::result(&plan::text(&dry, arguments.sql));
    }
    let server = server.ok_or_else(|| no_target("migrate"))?;
    let result = run::migrate(&options, &given.connecting(server.target()), &metrics, &stop);
    drop(listener);
    teller.finish();
    let summary = match result {
        Ok(summary) => summary,
        Err(error) => {
            server.discard();
            return Err(error);
        }
    };
    // The server first: it stays even where nobody reads the result.
    if arguments.keep {
        server.keep(&teller)?;
    }
    if let Some(report) = report {
        report.write(&summary)?;
    }
    match (arguments.telling.json, arguments.telling.quiet) {
        (true, _) => output::result(&(summary::json(&summary) + "\n"))?,
        (false, true) => {}
        (false, false) => output::result(&summary::text(&summary))?,
    }
    match summary.verification.as_ref().and_then(verification::error) {
        Some(error) if summary.finished_before => Err(error.fact(
            "this run had finished before: the target was changed since, or is in use by now; `--restart` begins again",
        )),
        Some(error) => Err(error),
        None => unfinished_business(&summary, &options),
    }
}

// Rows that were set aside, and what a strict run does not take.
fn unfinished_business(summary: &Summary, options: &Options) -> Result<()> {
    if options.strict {
        return run::strictly(summary).map_or(Ok(()), Err);
    }
    if let Some(error) = checks::error(&summary.checks, &summary.parity) {
        return Err(error);
    }
    rejected::error(&summary.rejects, options.rejects.allowed).map_or(Ok(()), Err)
}

fn backup(folder: &Path) -> Backup {
    Backup { folder: folder.to_owned(), source: true, target: true, keep_days: None }
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
        given.shape(self.ruling.apply(Options {
            scope: match (self.schema_only, self.data_only) {
                (true, _) => Scope::SchemaOnly,
                (_, true) => Scope::DataOnly,
                _ => Scope::All,
            },
            truncate: self.truncate,
            conflict: self.on_conflict.map(|what| match what {
                OnConflict::Fail => Conflict::Fail,
                OnConflict::Skip => Conflict::Skip,
                OnConflict::Update => Conflict::Update,
            }),
            restart: self.restart,
            migrations: Migrations { ignored: self.ignore_migrations, ..Migrations::default() },
            fires_triggers: self.fire_triggers,
            keeps_indexes: self.keep_indexes,
            settings: Settings { backup: self.backup.as_deref().map(backup), ..Settings::default() },
            verify: !self.no_verify,
            wish: self.proving.wish(),
            ..self.reading.options(&given.source)?
        })?)
    }
}
