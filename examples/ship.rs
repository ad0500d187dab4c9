//! Runs a pipeline that ships on a throw-away server: `scripts/pipeline relationhub-email`.
//!
//! Makes its source, starts a server, prepares the target as its application would, and hands both to `lite2pg`, which
//! stands beside this program's folder. What it prints is lite2pg's own.

#[path = "../fixtures/generate.rs"]
mod generate;

use clap::Parser;
use generate::{Result, Source};
use lite2pg::postgres::{Embedded, EmbeddedOptions, Pool, PoolSettings};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Run a pipeline that ships: its source, a server, its target, and lite2pg.
#[derive(Parser)]
struct Args {
    /// The pipeline, by the name of its file
    name: String,
    /// Multiplies the number of rows
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// More arguments for `lite2pg migrate`
    #[arg(last = true)]
    more: Vec<String>,
}

/// What a pipeline needs: its name, its source, and what is on its target beforehand.
const SHIPPED: [(&str, Source, Option<&str>); 5] = [
    ("agent-platform", Source::AgentPlatform, None),
    ("enhanced-schema", Source::Enhanced, None),
    ("relationhub-email", Source::RelationHub, Some("fixtures/postgres/relationhub.sql")),
    ("tenant-consolidation", Source::TenantConsolidation, None),
    ("conversation-state", Source::ConversationState, None),
];

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    let Some((name, source, there)) = SHIPPED.iter().find(|(name, ..)| *name == args.name) else {
        let known: Vec<&str> = SHIPPED.iter().map(|(name, ..)| *name).collect();
        return Err(format!("no pipeline `{}`\n\nhint: {}", args.name, known.join(", ")).into());
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("source.db");
    source.write(&file, args.scale)?;
    let server = Embedded::start(&EmbeddedOptions::default()).map_err(|e| format!("{e:?}"))?;
    if let Some(there) = there {
        let sql = std::fs::read_to_string(there)?;
        let pool = Pool::connect(&server.target(), 1, &PoolSettings::default()).map_err(|e| format!("{e:?}"))?;
        pool.session().and_then(|session| session.batch(&sql)).map_err(|e| format!("{there}: {e:?}"))?;
    }
    let mut command = Command::new(lite2pg()?);
    command.args(["migrate", "-p", &format!("pipelines/{name}.toml"), "--source"]).arg(&file);
    command.args(["--target", &server.target().redacted()]).args(&args.more);
    let status = command.status()?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

// Cargo puts examples into a folder beside the programs.
fn lite2pg() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.parent().and_then(Path::parent).map(|built| built.join("lite2pg")).filter(|path| path.is_file());
    path.ok_or_else(|| "lite2pg itself is not built\n\nhint: scripts/pipeline builds both".into())
}
