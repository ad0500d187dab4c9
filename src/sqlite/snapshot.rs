//! One moment of a source for any number of readers, and nothing left behind.
//!
//! | the source | how all readers see one moment |
//! |---|---|
//! | WAL | a guard holds the write lock while each reader sets its mark in the WAL; then writers go on |
//! | rollback journal | readers share a read lock; writers wait |
//! | nobody can write it | read without locks (`immutable`) |
//! | a hot journal, or a WAL that may not be locked | a private copy |
//!
//! Rules relied on: <https://sqlite.org/wal.html>, <https://sqlite.org/lockingv3.html>. In rollback mode no guard is
//! needed: while one reader holds SHARED nobody can commit, and further readers of the same process join its lock
//! even when a writer of another process is waiting (`unixLock` in SQLite 3.54's `os_unix.c`).

use super::connection::{self, Access, look};
use super::fingerprint::{Fingerprint, fingerprint};
use super::hold::{Hold, Sweep};
use super::kept::KeptFile;
use super::open::{Look, Source};
use super::refused;
use crate::error::{Error, Kind, Result};
use rusqlite::{Connection, ErrorCode, ffi};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What the user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotChoice {
    /// Read the file in its place; copy it only where that cannot be done.
    #[default]
    Auto,
    /// Read the file in its place, or fail with [`Kind::Blocked`].
    Lock,
    /// Make a hot backup first and read that: writers of a rollback-journal source wait only meanwhile.
    Backup,
}

/// How one moment is held. `Display` says what it means for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotKind {
    /// Every reader holds the same mark in the WAL.
    WalMark,
    /// Every reader shares a read lock.
    ReadLock,
    /// Nobody can write the file.
    Frozen,
    /// A copy made by SQLite's backup API.
    Backup,
    /// A copy of the file with its -wal or -journal, brought in order by SQLite in its private place.
    Copy {
        /// Why the file could not be read in its place.
        because: String,
    },
}

impl fmt::Display for SnapshotKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WalMark => f.write_str("one mark in the WAL: writers of the source go on, its WAL grows meanwhile"),
            Self::ReadLock => f.write_str("held read lock: writers of the source wait until the copy is done"),
            Self::Frozen => f.write_str("read in its place without a lock: nobody can write the file"),
            Self::Backup => f.write_str("hot backup in a private directory: writers of the source go on after it"),
            Self::Copy { because } => write!(f, "private copy of the source, because {because}"),
        }
    }
}

/// One moment of a source, and the readers that see it.
#[derive(Debug)]
pub struct Snapshot {
    /// The readers, all made at the start: in WAL mode no other could join later. Each may go to its own thread.
    pub readers: Vec<Reader>,
    /// How the moment is held.
    pub kind: SnapshotKind,
    /// The identity of the source at this moment.
    pub fingerprint: Fingerprint,
}

/// A connection inside the snapshot's read transaction. The snapshot ends with its last reader; then what
/// SQLite had to create beside the source is taken away again.
#[derive(Debug)]
pub struct Reader {
    // Before `hold`: a reader must be closed before the guard is.
    pub(super) conn: Connection,
    /// What of the schema could not be understood, in SQLite's words.
    pub(super) remark: Option<String>,
    _hold: Arc<Hold>,
}

const MAY_NOT_LOCK: &str = "this user may not lock its WAL";

impl Source {
    /// Starts a snapshot with this many readers, at least one.
    ///
    /// Each call is a new moment. Fails with [`Kind::Source`] where another program's lock does not go away in
    /// time, and where the disk has no room for a copy that is needed.
    pub fn snapshot(&self, readers: usize) -> Result<Snapshot> {
        let readers = readers.max(1);
        if self.choice == SnapshotChoice::Backup {
            return match self.in_place(1)? {
                Ok(live) => self.backed_up(live, readers),
                Err(because) => self.copied(because, readers),
            };
        }
        match self.in_place(readers)? {
            Ok(snapshot) => Ok(snapshot),
            Err(because) if self.choice == SnapshotChoice::Lock => {
                Err(Error::new(Kind::Blocked, format!("`{}` cannot be read in its place", self.path.display()))
                    .fact(because)
                    .hint("allow a private copy: leave the snapshot to lite2pg, or ask for a backup"))
            }
            Err(because) => self.copied(because, readers),
        }
    }

    // The inner error says why only a copy will do.
    fn in_place(&self, readers: usize) -> Result<Result<Snapshot, &'static str>> {
        let look = self.look()?;
        if look.hot_journal && (look.is_wal() || self.needs_rollback()?) {
            return Ok(Err("a writer crashed and left a -journal, which SQLite would roll back in the file itself"));
        }
        if look.is_wal() {
            return self.in_wal(&look, readers);
        }
        if look.file_frozen && look.dir_frozen {
            return self.unguarded(Access::Immutable, SnapshotKind::Frozen, readers).map(Ok);
        }
        let snapshot = self.unguarded(Access::Read, SnapshotKind::ReadLock, readers)?;
        // Under the lock the journal mode stays; before it, somebody may have changed it to WAL.
        let look = self.look()?;
        if !look.is_wal() {
            return Ok(Ok(snapshot));
        }
        drop(snapshot);
        self.in_wal(&look, readers)
    }

    fn in_wal(&self, look: &Look, readers: usize) -> Result<Result<Snapshot, &'static str>> {
        // Without a write bit on the file or its directory nobody starts a WAL beside it.
        if look.file_frozen || look.dir_frozen {
            return self.frozen_wal(look, readers);
        }
        // Asked before SQLite is: it would make a -wal and a -shm that belong to us and hinder their owner.
        match KeptFile::probe_writing(&self.path) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => return self.frozen_wal(look, readers),
            Err(_) => return Ok(Err(MAY_NOT_LOCK)),
        }
        let hold = Arc::new(Hold::new(Some(Sweep::after(&self.path, *look)), None));
        let Some(guard) = self.guard().map_err(|e| self.refused(e))? else {
            return Ok(Err(MAY_NOT_LOCK));
        };
        // Until the rollback below nobody else commits: every reader sees the same last commit.
        let begun = self.readers(Access::Read, &hold, readers);
        let print = fingerprint(&self.path);
        let freed = guard.execute_batch("ROLLBACK; PRAGMA query_only = 1");
        hold.keep(guard);
        let readers = begun.and_then(|readers| freed.map(|()| readers)).map_err(|e| self.refused(e))?;
        Ok(Ok(Snapshot { readers, kind: SnapshotKind::WalMark, fingerprint: print? }))
    }

    fn frozen_wal(&self, look: &Look, readers: usize) -> Result<Result<Snapshot, &'static str>> {
        if look.has_wal_frames() {
            return Ok(Err("its -wal has to be read, for which SQLite would write beside it"));
        }
        self.unguarded(Access::Immutable, SnapshotKind::Frozen, readers).map(Ok)
    }

    fn unguarded(&self, access: Access, kind: SnapshotKind, readers: usize) -> Result<Snapshot> {
        let readers = self.readers(access, &Arc::default(), readers).map_err(|e| self.refused(e))?;
        Ok(Snapshot { readers, kind, fingerprint: fingerprint(&self.path)? })
    }

    // A connection that holds the write lock and has written nothing; `None` where this user may not.
    fn guard(&self) -> rusqlite::Result<Option<Connection>> {
        let begin = || {
            let guard = connection::writer(&self.path, self.busy)?;
            // A file that may only be read is opened so, and then BEGIN IMMEDIATE quietly takes no lock.
            if guard.is_readonly("main")? {
                return Ok(None);
            }
            guard.execute_batch("BEGIN IMMEDIATE")?;
            Ok(Some(guard))
        };
        match begin() {
            Ok(guard) => Ok(guard),
            Err(e) if may_not_write(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub(super) fn readers(&self, access: Access, hold: &Arc<Hold>, readers: usize) -> rusqlite::Result<Vec<Reader>> {
        (0..readers).map(|_| reader(&self.path, access, self.busy, hold)).collect()
    }

    // Asks SQLite itself: a connection that may not write refuses to roll back.
    fn needs_rollback(&self) -> Result<bool> {
        match connection::reader(&self.path, Access::Read, self.busy) {
            Ok(_) => Ok(false),
            Err(e) if e.sqlite_error().is_some_and(|e| e.extended_code == ffi::SQLITE_READONLY_ROLLBACK) => Ok(true),
            Err(e) => Err(self.refused(e)),
        }
    }

    pub(super) fn refused(&self, cause: rusqlite::Error) -> Error {
        refused(cause, format!("cannot read `{}`", self.path.display()))
    }
}

/// A connection inside its read transaction.
pub(super) fn reader(path: &Path, access: Access, busy: Duration, hold: &Arc<Hold>) -> rusqlite::Result<Reader> {
    let (conn, remark) = connection::reader(path, access, busy)?;
    conn.execute_batch("BEGIN")?;
    look(&conn)?;
    Ok(Reader { conn, remark, _hold: Arc::clone(hold) })
}

/// SQLite refused for want of a permission.
pub(super) fn may_not_write(e: &rusqlite::Error) -> bool {
    matches!(e.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied))
}
