//! The verb `rehearse`: its arguments, its server, the processes that are killed, and where its result goes.

use super::ddl::TargetDdl;
use super::output::{self, Output};
use super::reading::Reading;
use super::ruling::Ruling;
use super::server::Server;
use super::sides::Given;
use super::signals::stop_flag;
use super::telling::Telling;
use crate::durable::{self, Side};
use crate::error::{Error, Kind, Result};
use crate::model::event::Silent;
use crate::postgres::{Embedded, EmbeddedOptions};
use crate::report::rehearsal;
use crate::run::{self, Job, Options, RehearseOptions};
use clap::Args;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// The variable by which this program tells a process of its own what to do, and that it may be killed.
const JOB: &str = "LITE2PG_JOB";

/// The arguments of `lite2pg rehearse`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "The whole drill, with a private copy of the source: the migration; the way back with nothing \
    changed, to the byte; the way back with writes of every kind, which SQLite itself makes in a copy, and with tables \
    emptied; the restored file migrated again; kills at durable steps, there and back. Nothing of it stays. What only the \
    source has of its cells, and PostgreSQL alone would give otherwise, is listed. The exit code \
    is 0 only if every step passed.

    A throw-away server is used, whatever DATABASE_URL and a pipeline's `target` say. On a given --target everything \
    happens in schemas `lite2pg_rehearsal_…`, which are dropped at the end.

Examples:
  lite2pg rehearse app.db
  lite2pg rehearse app.db --report rehearsal.md --hook 'myapp check \"$LITE2PG_RESTORED\"'
  lite2pg rehearse -p pipelines/shop.toml --quick"
)]
pub struct Arguments {
    /// The SQLite file: a path, or a `sqlite:` or `file:` URI. It is only read
    #[arg(required_unless_present = "pipeline")]
    source: Option<PathBuf>,
    /// A pipeline file, with all that it says of the source; its target is left alone
    #[arg(long, short, value_name = "FILE", conflicts_with = "source")]
    pipeline: Option<PathBuf>,
    /// With --pipeline: another source than the file's
    #[arg(long = "source", id = "other_source", value_name = "SOURCE", requires = "pipeline")]
    other_source: Option<PathBuf>,
    /// Rehearse in scratch schemas of this database instead of a throw-away server
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Rehearse with some rows of each table only, and with fewer kills; nothing is then known of the other rows
    #[arg(long)]
    quick: bool,
    /// A command for `sh` that tests the restored file, whose path is in `$LITE2PG_RESTORED`; it may write to it, and fails
    /// the rehearsal by its exit code
    #[arg(long, value_name = "CMD")]
    hook: Option<String>,
    /// Write the result into this file as Markdown, for people who were not there
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    ddl: TargetDdl,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    ruling: Ruling,
    #[command(flatten)]
    telling: Telling,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    let given = arguments.given()?;
    let shaped = given.shape(arguments.ruling.apply(arguments.reading.options(&given.source)?)?)?;
    let migration = arguments.ddl.apply(shaped)?;
    let stop = stop_flag()?;
    if let Some(job) = job()? {
        return work(&job, &migration, arguments, &stop);
    }
    // What cannot be written is known now, not after the drill.
    let report = arguments.report.as_deref().map(Output::open).transpose()?;
    let teller = arguments.telling.teller();
    let embedded = EmbeddedOptions::durable();
    let server = Server::of(arguments.target.as_deref().unwrap_or(Embedded::WORD), &embedded, &teller)?;
    let options = RehearseOptions {
        migration,
        pipeline: arguments.pipeline.as_ref().map(|path| path.display().to_string()),
        embedded: matches!(server, Server::Embedded(_)),
        quick: arguments.quick,
        hook: arguments.hook.clone(),
        child: &child,
    };
    let result = run::rehearse(&options, &server.target(), &teller, &stop);
    teller.finish();
    drop(server);
    let done = result?;
    if let Some(report) = report {
        report.write(&rehearsal::markdown(&done))?;
    }
    match (arguments.telling.json, arguments.telling.quiet) {
        (true, _) => output::result(&(rehearsal::json(&done) + "\n"))?,
        (false, true) => {}
        (false, false) => output::result(&rehearsal::text(&done))?,
    }
    rehearsal::error(&done).map_or(Ok(()), Err)
}

impl Arguments {
    /// Whether stderr is read by a program.
    pub fn tells_events(&self) -> bool {
        self.telling.tells_events()
    }

    fn given(&self) -> Result<Given> {
        let source = self.other_source.as_ref().or(self.source.as_ref());
        // Its target is that of the migration itself, which is left alone.
        Ok(Given { target: None, ..Given::of(self.pipeline.as_deref(), source, (None, None))? })
    }
}

// This program once more, with the same arguments, for a job of its own.
fn child(job: &Job) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap_or_else(|_| PathBuf::from("lite2pg")));
    command.args(std::env::args_os().skip(1));
    command.env(JOB, serde_json::to_string(job).expect("a job has string keys only"));
    command
}

fn job() -> Result<Option<Job>> {
    let Some(text) = std::env::var_os(JOB) else { return Ok(None) };
    let text = text.to_string_lossy();
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| Error::new(Kind::Usage, format!("`{JOB}` in the environment is none of ours")).cause(e))
}

fn work(job: &Job, migration: &Options, arguments: &Arguments, stop: &std::sync::atomic::AtomicBool) -> Result<()> {
    if job.asks {
        let one_at_a_time = Mutex::new(());
        durable::watch(Box::new(move |side, what| {
            let _turn = one_at_a_time.lock();
            ask(side, what);
        }));
    }
    let named = job.target.as_deref().or(arguments.target.as_deref());
    let named = named.ok_or_else(|| Error::new(Kind::Usage, format!("`{JOB}` names no target")))?;
    let server = Server::of(named, &EmbeddedOptions::default(), &Silent)?;
    run::work(job, migration, &server.target(), &Silent, stop)
}

// Says where this process is, and goes on once it is told to. Whom nobody answers any more ends at once.
fn ask(side: Side, what: &str) {
    let side = match side {
        Side::Before => "before",
        Side::After => "after",
    };
    let mut answer = String::new();
    let mut stdout = std::io::stdout().lock();
    let told = writeln!(stdout, "{side} {what}").and_then(|()| stdout.flush());
    let is_answered = told.is_ok() && std::io::stdin().lock().read_line(&mut answer).is_ok_and(|bytes| bytes > 0);
    if !is_answered {
        std::process::exit(i32::from(Kind::Interrupted.exit_code()));
    }
}
