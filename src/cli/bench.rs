//! The verb `bench`: its arguments, its server, and where its result goes.

use super::ddl::TargetDdl;
use super::output::{self, Output};
use super::server::Server;
use super::sides::Given;
use super::signals::stop_flag;
use super::telling::Telling;
use crate::error::{Error, Kind, Result};
use crate::postgres::{Embedded, EmbeddedOptions};
use crate::report::{bench, plot};
use crate::run::{self, BenchOptions, Options};
use clap::Args;
use std::path::PathBuf;

/// The arguments of `lite2pg bench`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "A sample of the rows is loaded again and again: by binary COPY (what `migrate` does), by \
    text COPY and by multi-row INSERT, through one lane and more, in smaller and larger batches. It takes a minute or \
    less, unless `--full`, `--query` or a pipeline is given: the pipeline then runs as a whole on the throw-away server, \
    and its `[[parity]]` queries are timed. On a given TARGET everything happens in a schema of its own, `lite2pg_bench`, which \
    is dropped at the end. DATABASE_URL is not looked at.

Examples:
  lite2pg bench app.db
  lite2pg bench app.db postgres://app@db.example.com/app --jobs 8
  lite2pg bench app.db --full --csv bench.csv --svg bench.svg
  lite2pg bench app.db --query 'SELECT status, count(*) FROM orders GROUP BY status ORDER BY status'
  lite2pg bench -p shop.toml"
)]
pub struct Arguments {
    /// The SQLite file: a path, or a `sqlite:` or `file:` URI
    #[arg(required_unless_present = "pipeline")]
    source: Option<PathBuf>,
    /// Where to: `embedded` for a throw-away server, or as for `migrate`
    #[arg(default_value = Embedded::WORD)]
    target: String,
    /// A pipeline file: its source is measured, then all of it is run and its queries are timed; its target is left alone
    #[arg(long, short, value_name = "FILE", conflicts_with = "source")]
    pipeline: Option<PathBuf>,
    /// With --pipeline: another source than the file's
    #[arg(long = "source", id = "other_source", value_name = "SOURCE", requires = "pipeline")]
    other_source: Option<PathBuf>,
    #[command(flatten)]
    ddl: TargetDdl,
    /// Take only tables whose names match; may be repeated
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Leave tables out whose names match; may be repeated
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Lanes at most: readers and connections at work at once
    #[arg(long, short, value_name = "N", default_value_t = run::default_jobs())]
    jobs: usize,
    /// Times that each combination is measured; the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Load all rows instead of a sample
    #[arg(long)]
    full: bool,
    /// Ask both databases this, once all rows were migrated to the throw-away server, and time the answers; may be repeated
    #[arg(long, value_name = "SQL")]
    query: Vec<String>,
    /// Write the measurements into this file as CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Draw them into this file as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    telling: Telling,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    let options = arguments.options()?;
    // What cannot be written is known now, not after the measuring.
    let csv = arguments.csv.as_deref().map(Output::open).transpose()?;
    let svg = arguments.svg.as_deref().map(Output::open).transpose()?;
    let stop = stop_flag()?;
    let teller = arguments.telling.teller();
    let server = Server::of(&arguments.target, &EmbeddedOptions::durable(), &teller)?;
    let result = run::bench(&options, &server.target(), &teller, &stop);
    teller.finish();
    drop(server);
    let report = result?;
    if let Some(csv) = csv {
        csv.write(&bench::csv(&report))?;
    }
    if let Some(svg) = svg {
        svg.write(&plot::svg(&report))?;
    }
    match (arguments.telling.json, arguments.telling.quiet) {
        (true, _) => output::result(&(bench::json(&report) + "\n")),
        (false, true) => Ok(()),
        (false, false) => output::result(&bench::text(&report)),
    }
}

impl Arguments {
    /// Whether stderr is read by a program.
    pub fn tells_events(&self) -> bool {
        self.telling.tells_events()
    }

    fn options(&self) -> Result<BenchOptions> {
        run::check_jobs(self.jobs)?;
        if !self.query.is_empty() && !self.is_embedded() {
            return Err(Error::new(
                Kind::Usage,
                "`--query` moves all rows, which a bench does on a throw-away server only",
            )
            .hint("without TARGET; or `[[parity]]` of a pipeline, which `migrate` asks on any server"));
        }
        if self.pipeline.is_none() && self.ddl.is_given() {
            return Err(Error::new(Kind::Usage, "`--ddl` goes with `--pipeline`")
                .fact("the tables of a bench are those that the rows ask for"));
        }
        let source = self.other_source.as_ref().or(self.source.as_ref());
        let given = Given::of(self.pipeline.as_deref(), source, (None, None))?;
        let mut migration = Options::new(&given.source);
        migration.include.clone_from(&self.include);
        migration.exclude.clone_from(&self.exclude);
        let migration = self.ddl.apply(given.shape(migration)?)?;
        Ok(BenchOptions {
            source: given.source,
            include: migration.include.clone(),
            exclude: migration.exclude.clone(),
            lanes: self.jobs,
            rounds: usize::from(self.rounds),
            full: self.full,
            embedded: self.is_embedded(),
            queries: self.query.clone(),
            pipeline: given.pipeline.is_some().then_some(migration),
        })
    }

    fn is_embedded(&self) -> bool {
        self.target == Embedded::WORD
    }
}
