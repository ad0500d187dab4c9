//! Connections to a database file, with the settings under which lite2pg reads.

use super::parents;
use super::words::words;
use crate::model::bounds::{SQLITE_CACHE_BYTES, SQLITE_STATEMENTS};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How a database file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Reads under SQLite's locks.
    Read,
    /// Reads without any lock or side file: only for files that nobody writes.
    Immutable,
}

// What stays as it is in the path of a `file:` URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// Opens `path` for reading. The second value says what of the schema could not be understood, if anything.
pub(super) fn reader(path: &Path, access: Access, busy: Duration) -> Result<(Connection, Option<String>)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = match access {
        Access::Read => Connection::open_with_flags(path, flags)?,
        Access::Immutable => {
            let path = percent_encode(path.as_os_str().as_encoded_bytes(), PATH);
            let uri = format!("file:{path}?immutable=1");
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
        }
    };
    prepare(&conn, busy)?;
    let remark = load_schema(&conn)?;
    conn.execute_batch(&format!(
        "PRAGMA query_only = 1; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -{}",
        SQLITE_CACHE_BYTES / 1024
    ))?;
    conn.set_prepared_statement_cache_capacity(SQLITE_STATEMENTS);
    stand_in_collations(&conn)?;
    Ok((conn, remark))
}

/// Opens `path` with the right to take the write lock. It never checkpoints, unless told to.
pub(super) fn writer(path: &Path, busy: Duration) -> Result<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    prepare(&conn, busy)?;
    Ok(conn)
}

// Settings that need no look at the file.
fn prepare(conn: &Connection, busy: Duration) -> Result<()> {
    conn.busy_timeout(busy)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // SQLite cuts this down to what it was built for.
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::MAX)?;
    // Shaped tables' SELECTs ask it, whoever reads them.
    parents::register(conn, Arc::default())
}

// A schema with an entry that SQLite does not understand fails every statement. With `writable_schema` (which
// cannot write here) SQLite fails one statement more and then works with the entries it understood.
fn load_schema(conn: &Connection) -> Result<Option<String>> {
    let Err(error) = look(conn) else { return Ok(None) };
    let said = error.to_string();
    if !said.contains("malformed database schema") {
        return Err(error);
    }
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true)?;
    if look(conn).is_err() {
        look(conn)?;
    }
    Ok(Some(said))
}

/// Reads from the database: within a transaction, this is the moment that the connection sees from then on.
pub(super) fn look(conn: &Connection) -> Result<i64> {
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
}

// An application's own collation is unknown here. Rows are only read in key order, so that any order will do.
pub(super) fn stand_in_collations(conn: &Connection) -> Result<()> {
    conn.collation_needed(|conn, name| conn.create_collation(name, Ord::cmp))?;
    let encoding: String = conn.query_row("PRAGMA encoding", [], |row| row.get(0))?;
    if encoding == "UTF-8" {
        return Ok(());
    }
    // rusqlite's hook answers for UTF-8 databases only: in others, the names are taken from the schema's text.
    // `PRAGMA collation_list` would name those as well that the schema only mentions.
    let mut known = ["BINARY", "NOCASE", "RTRIM"].map(str::to_owned).to_vec();
    let mut schema = conn.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let mut rows = schema.query([])?;
    while let Some(row) = rows.next()? {
        let sql = String::from_utf8_lossy(row.get_ref(0)?.as_bytes().unwrap_or_default()).into_owned();
        let words = words(&sql);
        for (_, name) in words.iter().zip(words.iter().skip(1)).filter(|(word, _)| word.is("COLLATE")) {
            if !known.iter().any(|k| k.eq_ignore_ascii_case(&name.text)) {
                conn.create_collation(name.text.as_str(), Ord::cmp)?;
                known.push(name.text.clone());
            }
        }
    }
    Ok(())
}
