//! Repeats a page of the documents: `scripts/session`, or `scripts/session docs/guide.md`.
//!
//! Makes the page's sources and files in a folder of its own, starts a throw-away server, and carries the page's commands out,
//! each with what it prints. `tests/docs.rs` does the same and compares.

#[path = "../fixtures/generate.rs"]
mod generate;
#[path = "../fixtures/page.rs"]
mod page;

use generate::Result;
use lite2pg::postgres::{Embedded, EmbeddedOptions, Pool, PoolSettings};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_else(|| "docs/session.md".to_owned());
    match repeat(Path::new(&name)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn repeat(path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("`{}`: {e}", path.display()))?;
    let folder = tempfile::tempdir()?;
    let server = Embedded::start(&EmbeddedOptions::default()).map_err(|e| format!("{e:?}"))?;
    let target = server.target();
    let on_target = |sql: &str| {
        let pool = Pool::connect(&target, 1, &PoolSettings::default());
        pool.and_then(|pool| pool.session()?.batch(sql)).map_err(|e| format!("{e:?}").into())
    };
    page::prepare(&text, folder.path(), &on_target)?;
    let programs = [lite2pg()?, server.programs().to_owned()];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&path)))?;
    let mut heading = "";
    for block in page::blocks(&text) {
        block.write(folder.path())?;
        if !block.is_session() {
            continue;
        }
        if heading != block.heading {
            heading = block.heading;
            println!("# {heading}\n");
        }
        for step in block.steps() {
            println!("$ {}", step.command);
            // Both streams where the person looks, in the order in which they come.
            let script = format!("{{ {}\n}} 2>&1", step.command);
            let mut shell = Command::new("sh");
            shell.args(["-c", &script]).current_dir(folder.path()).env("PATH", &path).env("COLUMNS", "80");
            let status = shell.env("DATABASE_URL", target.redacted()).status()?;
            if !status.success() {
                return Err(format!("`{}` ended with {status}", step.command).into());
            }
            println!();
        }
    }
    Ok(())
}

// Cargo puts examples into a folder beside the programs.
fn lite2pg() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().and_then(Path::parent).filter(|folder| folder.join("lite2pg").is_file());
    folder.map(Path::to_owned).ok_or_else(|| "lite2pg itself is not built\n\nhint: scripts/session builds both".into())
}
