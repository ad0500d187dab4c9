//! The verb `migrate`: its arguments, the server it goes to, and what it prints.

use super::output;
use super::signals::stop_flag;
use crate::error::{Error, Kind, Result};
use crate::load::Conflict;
use crate::model::bounds::{LANES_MAX, PROGRESS_LINE_EVERY};
use crate::model::candidates::TypeOptions;
use crate::model::conversion::{Conversion, MomentForm, Naive};
use crate::model::event::{Event, Observer};
use crate::model::name::Spelling;
use crate::model::plan::Remark;
use crate::postgres::{Embedded, EmbeddedOptions, Environment, Kept, Target};
use crate::report::progress::{Style, Teller};
use crate::report::{plan, summary};
use crate::run::{self, Options, Scope, Wish};
use crate::sqlite::SnapshotChoice;
use crate::transform::Compiled;
use clap::{Args, ValueEnum};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// The arguments of `lite2pg migrate`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is one flag of the command line")]
#[command(after_long_help = "Examples:
  lite2pg migrate app.db postgres://app@db.example.com/app
  lite2pg migrate app.db embedded --keep
  lite2pg migrate app.db postgres:///app --dry-run --sql")]
pub struct Arguments {
    /// The SQLite file: a path, or a `sqlite:` or `file:` URI
    source: PathBuf,
    /// Where to: postgres://…, key=value pairs, `embedded` for a throw-away server, or "" for the PG* variables
    #[arg(env = "DATABASE_URL", hide_env_values = true)]
    target: Option<String>,
    /// Schema on the target; created if absent
    #[arg(long, default_value = "public")]
    schema: String,
    /// How names change
    #[arg(long, value_enum, default_value_t = Identifiers::Preserve)]
    identifiers: Identifiers,
    /// Take only tables whose names match; may be repeated
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Leave tables out whose names match; may be repeated
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Readers and connections at work at once
    #[arg(long, short, value_name = "N", default_value_t = run::default_jobs())]
    jobs: usize,
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
    /// What times without a zone mean: UTC, an IANA zone, or `none` to keep them `timestamp`
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    assume_tz: String,
    /// `fit`: integer instead of bigint where every value fits
    #[arg(long, value_enum, default_value_t = Integers::Bigint)]
    integers: Integers,
    /// How the source is held still: `lock` reads it in its place, `backup` copies it first
    #[arg(long, value_enum, default_value_t = Snapshot::Auto)]
    snapshot: Snapshot,
    /// Empty the target's tables first, in one statement
    #[arg(long)]
    truncate: bool,
    /// Load into tables that hold rows; what happens to a row whose key is there already
    #[arg(long, value_enum, value_name = "WHAT", num_args = 1)]
    on_conflict: Option<OnConflict>,
    /// Drop what an earlier run of lite2pg created in the schema, and begin again; with --data-only, only begin again
    #[arg(long, conflicts_with_all = ["truncate", "on_conflict"])]
    restart: bool,
    /// Skip the comparison of both sides at the end: the rows are counted, not proven
    #[arg(long)]
    no_verify: bool,
    /// With `embedded`: leave the server running and print how to connect
    #[arg(long)]
    keep: bool,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    /// How progress is told on stderr
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Seconds between two lines of progress where stderr is no terminal
    #[arg(long, value_name = "SECONDS", default_value_t = PROGRESS_LINE_EVERY.as_secs())]
    progress_every: u64,
    /// Only warnings and errors, and no summary unless it is asked for as JSON
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Identifiers {
    /// As they are
    Preserve,
    /// In lower case
    Lower,
    /// camelCase and blanks become `snake_case`
    Snake,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Integers {
    Bigint,
    Fit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Snapshot {
    Auto,
    Lock,
    Backup,
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    let options = arguments.options()?;
    let stop = stop_flag()?;
    let teller = Teller::new(arguments.style(), Duration::from_secs(arguments.progress_every.max(1)));
    let server = arguments.server(&teller)?;
    if arguments.dry_run {
        let target = server.as_ref().map(Server::target);
        let dry = run::dry_run(&options, target.as_ref(), &teller, &stop)?;
        teller.finish();
        return output::result(&plan::text(&dry.plan, &dry.snapshot, arguments.sql.then_some(dry.script.as_str())));
    }
    let server = server.ok_or_else(|| {
        Error::new(Kind::Usage, "no TARGET is given, and DATABASE_URL is not set")
            .hint("lite2pg migrate app.db postgres://user@host/database, or `embedded` for a throw-away server")
    })?;
    let result = run::migrate(&options, &server.target(), &teller, &stop);
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
    match (arguments.json, arguments.quiet) {
        (true, _) => output::result(&(summary::json(&summary) + "\n")),
        (false, true) => Ok(()),
        (false, false) => output::result(&summary::text(&summary)),
    }
}

/// Where the rows go.
enum Server {
    Given(Box<Target>),
    Embedded(Box<Embedded>),
}

impl Server {
    fn target(&self) -> Target {
        match self {
            Self::Given(target) => (**target).clone(),
            Self::Embedded(server) => server.target(),
        }
    }

    fn keep(self, observer: &dyn Observer) -> Result<()> {
        let Self::Embedded(server) = self else { return Ok(()) };
        let Kept { dir, psql, stop, .. } = server.keep()?;
        observer.event(&Event::Kept { dir: dir.display().to_string(), psql, stop });
        Ok(())
    }

    // Half a migration in a server that nobody was told of is of no use to anybody.
    fn discard(self) {
        if let Self::Embedded(server) = self {
            server.discard();
        }
    }
}

impl Arguments {
    /// Whether stderr is read by a program.
    pub fn tells_events(&self) -> bool {
        self.log_format == LogFormat::Json
    }

    fn server(&self, observer: &dyn Observer) -> Result<Option<Server>> {
        let Some(text) = &self.target else { return Ok(None) };
        if text == "embedded" {
            let options = EmbeddedOptions { keep: self.keep, ..EmbeddedOptions::default() };
            return Ok(Some(Server::Embedded(Box::new(Embedded::start(&options)?))));
        }
        if self.keep {
            return Err(Error::new(Kind::Usage, "`--keep` is for the target `embedded`: every other server stays"));
        }
        let target = Target::parse(text, &Environment::of_process())?;
        for remark in target.remarks() {
            observer.event(&Event::Remark(Remark::warning("TARGET", remark)));
        }
        Ok(Some(Server::Given(Box::new(target))))
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

    fn options(&self) -> Result<Options> {
        if !(1..=LANES_MAX).contains(&self.jobs) {
            return Err(Error::new(Kind::Usage, format!("`--jobs {}` is outside 1 to {LANES_MAX}", self.jobs)));
        }
        if self.schema == "lite2pg" || self.schema.is_empty() {
            return Err(Error::new(Kind::Usage, format!("`--schema {}` cannot be used", self.schema))
                .fact("`lite2pg` is where lite2pg keeps its own records"));
        }
        Ok(Options {
            source: self.source.clone(),
            schema: self.schema.clone(),
            spelling: match self.identifiers {
                Identifiers::Preserve => Spelling::Preserve,
                Identifiers::Lower => Spelling::Lower,
                Identifiers::Snake => Spelling::Snake,
            },
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            jobs: self.jobs,
            scope: match (self.schema_only, self.data_only) {
                (true, _) => Scope::SchemaOnly,
                (_, true) => Scope::DataOnly,
                _ => Scope::All,
            },
            types: TypeOptions { assume_tz: self.assumed()?, narrow_integers: self.integers == Integers::Fit },
            snapshot: match self.snapshot {
                Snapshot::Auto => SnapshotChoice::Auto,
                Snapshot::Lock => SnapshotChoice::Lock,
                Snapshot::Backup => SnapshotChoice::Backup,
            },
            truncate: self.truncate,
            conflict: self.on_conflict.map(|what| match what {
                OnConflict::Fail => Conflict::Fail,
                OnConflict::Skip => Conflict::Skip,
                OnConflict::Update => Conflict::Update,
            }),
            restart: self.restart,
            verify: !self.no_verify,
            wish: Wish::default(),
        })
    }

    fn assumed(&self) -> Result<Option<Naive>> {
        let naive = match self.assume_tz.as_str() {
            "none" => return Ok(None),
            "UTC" | "utc" | "Z" => Naive::Utc,
            zone => Naive::Zone(zone.to_owned()),
        };
        // Compiling it finds out now whether this machine knows the zone.
        let form = MomentForm::Text { dates: false };
        Compiled::new(&Conversion::Moment { form, naive: naive.clone(), target_has_zone: true, spelled: None })?;
        Ok(Some(naive))
    }
}
