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
//! even when a writer of another process is waiting (`unixLock` in SQLite 3.54's os_unix.c).

use super::connection::{self, Access, look};
use super::fingerprint::{Fingerprint, fingerprint};
use super::kept::KeptFile;
use super::open::{Look, Source, side_bytes, side_file};
use super::refused;
use crate::error::{Error, Kind, Result};
use crate::model::bounds::{BACKUP_PAGES_STEP, SOURCE_COPY_TRIES};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, ffi};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

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
        let snapshot = if look.file_frozen && look.dir_frozen {
            self.unguarded(Access::Immutable, SnapshotKind::Frozen, readers)
        } else {
            self.unguarded(Access::Read, SnapshotKind::ReadLock, readers)
        };
        snapshot.map(Ok)
    }

    fn in_wal(&self, look: &Look, readers: usize) -> Result<Result<Snapshot, &'static str>> {
        // Without a write bit on the file or its directory nobody starts a WAL beside it.
        if look.file_frozen || look.dir_frozen {
            return self.frozen_wal(look, readers);
        }
        let hold = Arc::new(Hold::new(Some(Sweep { path: self.path.clone(), before: *look }), None));
        let Some(guard) = self.guard().map_err(|e| self.refused(e))? else {
            if KeptFile::on_read_only_disk(&self.path) {
                return self.frozen_wal(look, readers);
            }
            return Ok(Err("this user may not lock its WAL"));
        };
        // Until the rollback below nobody else commits: every reader sees the same last commit.
        let begun = self.readers(Access::Read, &hold, readers);
        let print = fingerprint(&self.path);
        let freed = guard.execute_batch("ROLLBACK; PRAGMA query_only = 1");
        *hold.guard.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
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
            guard.execute_batch("BEGIN IMMEDIATE")?;
            // On a file that may only be read, SQLite opens it so and then quietly begins without the lock.
            Ok(Some(guard).filter(|guard| guard.is_readonly("main") == Ok(false)))
        };
        match begin() {
            Ok(guard) => Ok(guard),
            Err(e) if may_not_write(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn readers(&self, access: Access, hold: &Arc<Hold>, readers: usize) -> rusqlite::Result<Vec<Reader>> {
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

    fn refused(&self, cause: rusqlite::Error) -> Error {
        refused(cause, format!("cannot read `{}`", self.path.display()))
    }
}

fn reader(path: &Path, access: Access, busy: Duration, hold: &Arc<Hold>) -> rusqlite::Result<Reader> {
    let (conn, remark) = connection::reader(path, access, busy)?;
    conn.execute_batch("BEGIN")?;
    look(&conn)?;
    Ok(Reader { conn, remark, _hold: Arc::clone(hold) })
}

fn may_not_write(e: &rusqlite::Error) -> bool {
    matches!(e.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied))
}

// The private copies.
impl Source {
    fn backed_up(&self, live: Snapshot, readers: usize) -> Result<Snapshot> {
        let [from, ..] = live.readers.as_slice() else {
            return Err(Error::new(Kind::Bug, "a snapshot without a reader was to be backed up"));
        };
        let private = self.private()?;
        let copy = private.path().join(COPY_NAME);
        create(&copy).map_err(|e| self.no_copy(e))?;
        self.back_up(&from.conn, &copy)?;
        let fingerprint = live.fingerprint.clone();
        drop(live);
        self.read_private(private, SnapshotKind::Backup, fingerprint, readers)
    }

    fn back_up(&self, from: &Connection, copy: &Path) -> Result<()> {
        let refused = |e| refused(e, format!("cannot back up `{}` to `{}`", self.path.display(), copy.display()));
        let mut to = Connection::open(copy).map_err(refused)?;
        // A crash leaves nothing that anybody reads, so that there is nothing to make durable.
        to.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").map_err(refused)?;
        let backup = Backup::new(from, &mut to).map_err(refused)?;
        let mut patience = Instant::now() + self.busy;
        loop {
            match backup.step(i32::from(BACKUP_PAGES_STEP)).map_err(refused)? {
                StepResult::Done => return Ok(()),
                StepResult::More => patience = Instant::now() + self.busy,
                _ if Instant::now() < patience => std::thread::sleep(Duration::from_millis(20)),
                _ => {
                    let message =
                        format!("cannot back up `{}`: it stays locked by another program", self.path.display());
                    return Err(Error::new(Kind::Source, message).hint("stop the program that has it open"));
                }
            }
        }
    }

    fn copied(&self, because: &'static str, readers: usize) -> Result<Snapshot> {
        let look = self.look()?;
        // Where others have the WAL open, SQLite may still read it under its own locks: better than files.
        let others = look.is_wal() && look.wal.is_some() && look.shm && !look.hot_journal;
        if let Some(live) = if others { self.unlocked_wal()? } else { None } {
            return self.backed_up(live, readers);
        }
        let private = self.private()?;
        let fingerprint = self.copy_files(private.path())?;
        let copy = private.path().join(COPY_NAME);
        let in_order = || {
            let conn = connection::writer(&copy, self.busy)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
            conn.execute_batch("PRAGMA synchronous = OFF; BEGIN IMMEDIATE; ROLLBACK")?;
            // Closing takes the copy's -wal over into the copy.
            conn.close().map_err(|(_, e)| e)
        };
        in_order().map_err(|e| refused(e, format!("cannot recover the private copy of `{}`", self.path.display())))?;
        self.read_private(private, SnapshotKind::Copy { because: because.to_owned() }, fingerprint, readers)
    }

    // One reader on a WAL that may be read, not locked. The fingerprint belongs to the reader's moment only if it is
    // the same before and after.
    fn unlocked_wal(&self) -> Result<Option<Snapshot>> {
        for _ in 0..SOURCE_COPY_TRIES {
            let before = fingerprint(&self.path)?;
            let readers = match self.readers(Access::Read, &Arc::default(), 1) {
                Ok(readers) => readers,
                Err(e) if may_not_write(&e) => return Ok(None),
                Err(e) => return Err(self.refused(e)),
            };
            if fingerprint(&self.path)? == before {
                return Ok(Some(Snapshot { readers, kind: SnapshotKind::WalMark, fingerprint: before }));
            }
        }
        Err(self.restless())
    }

    // Copies the file with its -wal and -journal; again, if any of them changed meanwhile.
    fn copy_files(&self, dir: &Path) -> Result<Fingerprint> {
        for _ in 0..SOURCE_COPY_TRIES {
            let before = (fingerprint(&self.path)?, self.times());
            let copied = || -> io::Result<()> {
                let main = KeptFile::of(&self.path)?;
                let mut to = create(&dir.join(COPY_NAME))?;
                let (mut at, mut buf) = (0, vec![0; 1 << 20]);
                loop {
                    let n = main.read_at(at, &mut buf)?;
                    if n == 0 {
                        break;
                    }
                    to.write_all(&buf[..n])?;
                    at += n as u64;
                }
                for suffix in ["-wal", "-journal"] {
                    if let Ok(mut from) = File::open(side_file(&self.path, suffix)) {
                        io::copy(&mut from, &mut create(&side_file(&dir.join(COPY_NAME), suffix))?)?;
                    }
                }
                Ok(())
            };
            copied().map_err(|e| self.no_copy(e))?;
            if (fingerprint(&self.path)?, self.times()) == before {
                return Ok(before.0);
            }
        }
        Err(self.restless())
    }

    fn times(&self) -> [Option<SystemTime>; 3] {
        ["", "-wal", "-journal"].map(|suffix| fs::metadata(side_file(&self.path, suffix)).ok()?.modified().ok())
    }

    fn read_private(&self, dir: TempDir, kind: SnapshotKind, print: Fingerprint, readers: usize) -> Result<Snapshot> {
        let copy = dir.path().join(COPY_NAME);
        let hold = Arc::new(Hold::new(None, Some(dir)));
        let readers: rusqlite::Result<Vec<Reader>> =
            (0..readers).map(|_| reader(&copy, Access::Immutable, self.busy, &hold)).collect();
        let readers =
            readers.map_err(|e| refused(e, format!("cannot read the private copy of `{}`", self.path.display())))?;
        Ok(Snapshot { readers, kind, fingerprint: print })
    }

    fn private(&self) -> Result<TempDir> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("lite2pg-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        builder.tempdir_in(&self.scratch).map_err(|e| self.no_copy(e))
    }

    fn no_copy(&self, e: io::Error) -> Error {
        let (source, dir) = (self.path.display(), self.scratch.display());
        let full = matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let what = if full { format!(": no room left in `{dir}`") } else { format!(" in `{dir}`") };
        Error::new(Kind::Source, format!("cannot make a private copy of `{source}`{what}"))
            .hint("TMPDIR=/a/larger/disk lite2pg …")
            .cause(e)
    }

    fn restless(&self) -> Error {
        Error::new(Kind::Source, format!("`{}` changes all the time, and may not be locked", self.path.display()))
            .hint("run as the user that owns it, or stop the program that writes it")
    }
}

// The name of the private copy within its directory.
const COPY_NAME: &str = "source.db";

// A new, empty file that only this user may read.
fn create(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// What must outlive the readers, and what is put in order after them.
#[derive(Debug, Default)]
struct Hold {
    guard: Mutex<Option<Connection>>,
    sweep: Option<Sweep>,
    _private: Option<TempDir>,
}

/// The side files of a WAL source as they were before we came.
#[derive(Debug)]
struct Sweep {
    path: PathBuf,
    before: Look,
}

impl Hold {
    fn new(sweep: Option<Sweep>, private: Option<TempDir>) -> Self {
        Self { guard: Mutex::default(), sweep, _private: private }
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
    fn close(&self, guard: Connection) -> rusqlite::Result<()> {
        let both_ours = self.before.wal.is_none() && !self.before.shm;
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
        let our_wal = self.before.wal.is_none() && side_bytes(&wal)? == Some(0);
        let our_shm = !self.before.shm && side_bytes(&shm)?.is_some();
        if !our_wal && !our_shm {
            return Ok(());
        }
        // In this mode SQLite keeps the WAL's index in memory, so that the -shm is not in use.
        let alone = connection::writer(&self.path, Duration::ZERO).and_then(|conn| {
            conn.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK")?;
            Ok(conn)
        });
        let alone = alone.map_err(io::Error::other)?;
        if our_shm {
            fs::remove_file(&shm)?;
        }
        if our_wal && side_bytes(&wal)? == Some(0) {
            fs::remove_file(&wal)?;
        }
        drop(alone);
        Ok(())
    }
}
