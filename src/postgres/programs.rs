//! Where PostgreSQL's own programs are installed.
//!
//! Owns the search. Does not know what the programs are used for.

use super::environment::Environment;
use crate::error::{Error, Kind, Result};
use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directories that hold one directory per version, with the part below it.
const VERSIONED: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ("/Library/PostgreSQL", "", "bin"),
];

/// The directory with `initdb`, `postgres` and `pg_ctl`: the stated one, `PG_BIN`, the one of `pg_config`,
/// the newest of the places where packages put them, or one of `PATH`.
pub(super) fn find(stated: Option<&Path>, env: &Environment) -> Result<PathBuf> {
    if let Some(dir) = stated.map(Path::to_owned).or_else(|| env.var("PG_BIN").map(PathBuf::from)) {
        return if is_complete(&dir) {
            Ok(dir)
        } else {
            Err(Error::new(Kind::Usage, format!("`{}` holds no PostgreSQL server", dir.display()))
                .fact("looked for initdb and postgres")
                .hint("PG_BIN is the folder that holds both, such as /usr/lib/postgresql/17/bin"))
        };
    }
    let path = env.var("PATH").map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
    let candidates = of_pg_config().into_iter().chain(packaged()).chain(path);
    candidates.into_iter().find(|dir| is_complete(dir)).ok_or_else(|| {
        Error::new(Kind::Target, "no PostgreSQL server is installed on this machine")
            .fact("looked in PG_BIN, pg_config --bindir, /usr/lib/postgresql, /usr/pgsql-*, Homebrew and PATH")
            .hint("Debian, Ubuntu: apt install postgresql · Fedora: dnf install postgresql-server · macOS: brew install postgresql@17")
    })
}

/// All programs of this name in the same places; a stated folder's is the only one.
pub(super) fn named(program: &str, env: &Environment) -> Vec<PathBuf> {
    let path = || env.var("PATH").map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
    let dirs: Vec<PathBuf> = if let Some(dir) = env.var("PG_BIN") {
        vec![PathBuf::from(dir)]
    } else {
        of_pg_config().into_iter().chain(packaged()).chain(path()).collect()
    };
    dirs.into_iter().map(|dir| dir.join(program)).filter(|path| path.is_file()).collect()
}

fn is_complete(dir: &Path) -> bool {
    dir.join("initdb").is_file() && dir.join("postgres").is_file()
}

fn of_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok().filter(|o| o.status.success())?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// What packages installed, the newest version first.
fn packaged() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (parent, prefix, below) in VERSIONED {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(version) = name.strip_prefix(prefix).and_then(|v| v.split('.').next()?.parse::<u32>().ok()) else {
                continue;
            };
            found.push((version, entry.path().join(below)));
        }
    }
    found.sort_by_key(|(version, _)| Reverse(*version));
    found.into_iter().map(|(_, dir)| dir).collect()
}
