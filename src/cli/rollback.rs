//! The verb `rollback`: its arguments, and what it prints.

use super::output;
use super::server::{Server, no_target};
use super::sides::Given;
use super::signals::stop_flag;
use super::telling::Telling;
use crate::error::{Error, Kind, Result};
use crate::report::restored;
use crate::run::{self, Fence, RollbackOptions};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// The arguments of `lite2pg rollback`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  lite2pg rollback app.db postgres://app@db.example.com/app --to restored.db --dry-run
  lite2pg rollback app.db postgres:///app --to restored.db --fence
  lite2pg rollback app.db postgres:///app --to restored.db --export-unmappable unmappable
  lite2pg rollback -p pipelines/shop.toml --to restored.db --dry-run
  lite2pg rollback app.db postgres:///app --fence=lift")]
pub struct Arguments {
    /// The SQLite file that was migrated, as it was then, or a copy of it. It is only read
    #[arg(required_unless_present = "pipeline")]
    source: Option<PathBuf>,
    /// The database that it was migrated to: postgres://…, key=value pairs, or "" for the PG* variables
    #[arg(env = "DATABASE_URL", hide_env_values = true)]
    target: Option<String>,
    /// The pipeline file of the migration: its source, target and schema, and what it says by now of `inverse` and `[rollback]`
    #[arg(long, short, value_name = "FILE", conflicts_with = "source")]
    pipeline: Option<PathBuf>,
    /// With --pipeline: another source than the file's
    #[arg(long = "source", id = "other_source", value_name = "SOURCE", requires = "pipeline")]
    other_source: Option<PathBuf>,
    /// With --pipeline: another target than the file's
    #[arg(long = "target", id = "other_target", value_name = "TARGET", requires = "pipeline")]
    other_target: Option<String>,
    /// Where the restored file goes; a private copy is made beside it first
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Replace a file that is there, once the new one is whole
    #[arg(long)]
    force: bool,
    /// Do everything in the private copy, say what would be restored and what only the source has, and leave nothing behind
    #[arg(long)]
    dry_run: bool,
    /// TABLE or TABLE.COLUMN that stays as the source has it, or that only PostgreSQL has and that is left behind; may be
    /// repeated
    #[arg(long, value_name = "NAME")]
    leave: Vec<String>,
    /// Put what SQLite cannot hold into CSV files in this folder, and go on without it
    #[arg(long, value_name = "DIR")]
    export_unmappable: Option<PathBuf>,
    /// Refuse writers of the target's tables meanwhile: `--fence` until the end, `--fence=keep` for good once the file is
    /// there, `--fence=lift` only lifts a fence that is up
    #[arg(long, value_enum, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "during")]
    fence: Option<When>,
    /// Schema on the target
    #[arg(long, default_value = "public")]
    schema: String,
    /// Readers and connections at work at once
    #[arg(long, short, value_name = "N", default_value_t = run::default_jobs())]
    jobs: usize,
    #[command(flatten)]
    telling: Telling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    During,
    Keep,
    Lift,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    let stop = stop_flag()?;
    let teller = arguments.telling.teller();
    let given = arguments.given()?;
    let text = given.target.as_deref().ok_or_else(|| no_target("rollback"))?;
    let hint = "the database that the source was migrated to; `lite2pg rehearse app.db` tries there and back on a server \
                of its own";
    let server = Server::that_holds(text, ("there is nothing to bring back", hint), &teller)?;
    if arguments.fence == Some(When::Lift) {
        let lifted = run::lift_fence(&given.connecting(server.target()), &arguments.schema(&given))?;
        return output::result(&restored::lifted(&lifted, arguments.telling.json));
    }
    let options = arguments.options(&given)?;
    let result = run::rollback(&options, &given.connecting(server.target()), &teller, &stop);
    teller.finish();
    let done = result?;
    match (arguments.telling.json, arguments.telling.quiet) {
        (true, _) => output::result(&(restored::json(&done) + "\n"))?,
        (false, true) => {}
        (false, false) => output::result(&restored::text(&done))?,
    }
    restored::error(&done).map_or(Ok(()), Err)
}

impl Arguments {
    /// Whether stderr is read by a program.
    pub fn tells_events(&self) -> bool {
        self.telling.tells_events()
    }

    fn given(&self) -> Result<Given> {
        Given::of(
            self.pipeline.as_deref(),
            self.other_source.as_ref().or(self.source.as_ref()),
            (self.other_target.as_ref(), self.target.as_ref()),
        )
    }

    fn schema(&self, given: &Given) -> String {
        let file = given.pipeline.as_ref().and_then(|pipeline| pipeline.file.schema.clone());
        file.filter(|_| self.schema == "public").unwrap_or_else(|| self.schema.clone())
    }

    fn options(&self, given: &Given) -> Result<RollbackOptions> {
        run::check_jobs(self.jobs)?;
        let to = self.to.clone().ok_or_else(|| {
            Error::new(Kind::Usage, "`--to` says where the restored file goes, and is missing")
                .hint("lite2pg rollback app.db TARGET --to restored.db --dry-run says what would be in it")
        })?;
        // Its shapes are checked against the source's names.
        let options = match &given.pipeline {
            Some(pipeline) => RollbackOptions::of(pipeline, &given.source, to)?,
            None => RollbackOptions::new(&given.source, to),
        };
        Ok(RollbackOptions {
            leave: self.leave.iter().cloned().chain(options.leave).collect(),
            schema: self.schema(given),
            jobs: if self.jobs == run::default_jobs() { options.jobs } else { self.jobs },
            force: self.force,
            dry_run: self.dry_run,
            losses: self.dry_run,
            export: self.export_unmappable.clone(),
            fence: match self.fence {
                None => Fence::No,
                Some(When::Keep) => Fence::Keep,
                Some(_) => Fence::During,
            },
            ..options
        })
    }
}
