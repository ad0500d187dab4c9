//! A dump of a database by PostgreSQL's own `pg_dump`.

use super::environment::Environment;
use super::programs;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::bounds::DUMP_LOOK_EVERY;
use crate::model::name::qualified;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody's table in this database holds a row. One that may not be read counts as one that does.
pub fn holds_rows(session: &Session) -> Result<bool> {
    let sql = "SELECT n.nspname::text, c.relname::text, has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'lite2pg')";
    for row in session.query(sql, &[])? {
        let (schema, table, may_read): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        let asks = format!("SELECT EXISTS (SELECT FROM {})", qualified(&schema, &table));
        if !may_read || session.query_one(&asks, &[])?.get(0) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The size of the session's database on its disk: a dump without indexes is smaller as a rule.
pub fn database_bytes(session: &Session) -> Result<u64> {
    Ok(session.query_one("SELECT pg_database_size(current_database())", &[])?.get::<_, i64>(0) as u64)
}

/// Writes the whole database to a file in `pg_dump`'s custom format, which `pg_restore` reads. Passwords go by the child's
/// environment, where no list of processes shows them.
/// False where `stop` was set meanwhile.
pub fn dump(session: &Session, file: File, stop: &AtomicBool) -> Result<bool> {
    let server = session.server_info()?;
    let program = program(u32::try_from(server.version_num).unwrap_or_default() / 10_000, &server.version)?;
    let failed =
        |e: std::io::Error| Error::new(Kind::Failed, format!("`{}` cannot be run", program.display())).cause(e);
    // What it says may be longer than a pipe takes while nobody reads.
    let mut told = tempfile::tempfile().map_err(failed)?;
    let mut command = Command::new(&program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    let mut child = command
        .args(["--format=custom", "--no-password"])
        .envs(session.target().environment())
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(told.try_clone().map_err(failed)?)
        .spawn()
        .map_err(failed)?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if stop.load(Ordering::Relaxed) {
            child.kill().and_then(|()| child.wait()).map_err(failed)?;
            return Ok(false);
        }
        std::thread::sleep(DUMP_LOOK_EVERY);
    };
    if status.success() {
        return Ok(true);
    }
    let mut text = String::new();
    told.rewind().and_then(|()| told.read_to_string(&mut text)).map_err(failed)?;
    let error = Error::new(Kind::Blocked, format!("`{}` could not dump the target", program.display()));
    Err(text
        .lines()
        .take(5)
        .fold(error, |e, line| e.fact(line.trim()))
        .hint("`target = false` in [backup] leaves it out"))
}

// One that is not older than the server: an older one refuses to dump it.
fn program(server: u32, version: &str) -> Result<PathBuf> {
    let all = programs::named("pg_dump", &Environment::of_process());
    let known: Vec<(PathBuf, u32)> =
        all.into_iter().filter_map(|path| Some((path.clone(), version_of(&path)?))).collect();
    if let Some((path, _)) = known.iter().find(|(_, own)| *own >= server) {
        return Ok(path.clone());
    }
    let what =
        if known.is_empty() { "no `pg_dump` is installed" } else { "each `pg_dump` here is older than the server" };
    let error = Error::new(Kind::Blocked, format!("{what}, so that the target cannot be backed up"));
    let error = known.iter().fold(error, |e, (path, own)| e.fact(format!("{} is of version {own}", path.display())));
    Err(error.fact(format!("the server is of version {version}")).hint(format!(
        "Debian, Ubuntu: apt install postgresql-client-{server}; PG_BIN names its folder; `target = false` in [backup] \
         leaves the dump out"
    )))
}

// The first number of "pg_dump (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)".
fn version_of(path: &std::path::Path) -> Option<u32> {
    let output = Command::new(path).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
