//! What outlives the readers of a snapshot, and what is put in order beside the source after them.

use super::connection;
use super::open::{Look, side_bytes, side_file};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// What must outlive the readers, and what is put in order after them.
#[derive(Debug, Default)]
pub(super) struct Hold {
    guard: Mutex<Option<Connection>>,
    sweep: Option<Sweep>,
    _private: Option<TempDir>,
}

/// The side files of a WAL source as they were before we came.
#[derive(Debug)]
pub(super) struct Sweep {
    path: PathBuf,
    wal_was_there: bool,
    shm_was_there: bool,
}

// Sources whose -wal and -shm this process made: a snapshot that starts during another finds files that are ours.
static OURS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

impl Hold {
    /// Sweeps beside a WAL source in the end, or deletes the directory of a private copy.
    pub fn new(sweep: Option<Sweep>, private: Option<TempDir>) -> Self {
        Self { guard: Mutex::default(), sweep, _private: private }
    }

    /// Keeps the guard open until the last reader is closed.
    pub fn keep(&self, guard: Connection) {
        *self.guard.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let guard = self.guard.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let Some(sweep) = &self.sweep else { return };
        // Failing to tidy up must not fail a run that is done: the files are harmless to SQLite.
        if let Some(guard) = guard {
            sweep.close(guard).ok();
        }
        sweep.sweep().ok();
    }
}

impl Sweep {
    /// Remembers what lies beside `path` before SQLite adds to it.
    pub fn after(path: &Path, before: Look) -> Self {
        let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
        if before.wal.is_none() && !before.shm {
            ours.insert(path.to_path_buf());
        }
        let theirs = !ours.contains(path);
        Self {
            path: path.to_path_buf(),
            wal_was_there: before.wal.is_some() && theirs,
            shm_was_there: before.shm && theirs,
        }
    }

    fn close(&self, guard: Connection) -> rusqlite::Result<()> {
        let both_ours = !self.wal_was_there && !self.shm_was_there;
        if both_ours && side_bytes(&side_file(&self.path, "-wal")).is_ok_and(|bytes| bytes == Some(0)) {
            // Nothing to checkpoint: SQLite only deletes both files, if nobody else has them open.
            guard.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        }
        guard.close().map_err(|(_, e)| e)
    }

    // Deletes what SQLite would have left: the -shm that it made for a -wal without one, the -wal that it made
    // for a -shm. Only under the exclusive lock, which says that nobody else has the database open.
    fn sweep(&self) -> io::Result<()> {
        let (wal, shm) = (side_file(&self.path, "-wal"), side_file(&self.path, "-shm"));
        let our_wal = !self.wal_was_there && side_bytes(&wal)? == Some(0);
        let our_shm = !self.shm_was_there && side_bytes(&shm)?.is_some();
        if !our_wal && !our_shm {
            OURS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
            return Ok(());
        }
        // In this mode SQLite keeps the WAL's index in memory, so that the -shm is not in use.
        let alone = connection::writer(&self.path, Duration::ZERO).and_then(|conn| {
            if conn.is_readonly("main")? {
                return Ok(None);
            }
            conn.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK")?;
            Ok(Some(conn))
        });
        let Ok(Some(alone)) = alone else { return Ok(()) };
        if our_shm {
            fs::remove_file(&shm)?;
        }
        if our_wal && side_bytes(&wal)? == Some(0) {
            fs::remove_file(&wal)?;
        }
        drop(alone);
        OURS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
        Ok(())
    }
}
