//! Private copies of a source: by SQLite's backup API where it can be read, file by file where it cannot.

use super::connection::{self, Access};
use super::fingerprint::{Fingerprint, fingerprint};
use super::hold::Hold;
use super::kept::KeptFile;
use super::open::{Source, side_file};
use super::refused;
use super::snapshot::{Reader, Snapshot, SnapshotKind, may_not_write, reader};
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::model::bounds::{BACKUP_PAGES_STEP, SOURCE_COPY_TRIES, SQLITE_BUSY};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

impl Source {
    /// Readers of a backup that is made from `live`, which ends with it.
    pub(super) fn backed_up(&self, live: Snapshot, readers: usize) -> Result<Snapshot> {
        let [from, ..] = live.readers.as_slice() else {
            return Err(Error::new(Kind::Bug, "a snapshot without a reader was to be backed up"));
        };
        let private = self.private()?;
        let copy = private.path().join(COPY_NAME);
        files::create(&copy).map_err(|e| self.no_copy(e))?;
        self.back_up(&from.conn, &copy)?;
        let fingerprint = live.fingerprint.clone();
        drop(live);
        self.read_private(private, SnapshotKind::Backup, fingerprint, readers)
    }

    fn back_up(&self, from: &Connection, copy: &Path) -> Result<()> {
        back_up(from, copy, self.busy, &self.path)
    }

    /// Readers of a copy of a source that cannot be read in its place.
    pub(super) fn copied(&self, because: &'static str, readers: usize) -> Result<Snapshot> {
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
                let mut to = files::replace(&dir.join(COPY_NAME))?;
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
                        io::copy(&mut from, &mut files::replace(&side_file(&dir.join(COPY_NAME), suffix))?)?;
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

impl Reader {
    /// Copies the moment that this reader sees into a file that is there and empty, by SQLite's backup API.
    pub fn back_up(&self, to: &Path) -> Result<()> {
        back_up_to(&self.conn, to)
    }
}

/// Copies the moment that `from` sees, page by page.
pub(super) fn back_up_to(from: &Connection, copy: &Path) -> Result<()> {
    back_up(from, copy, SQLITE_BUSY, Path::new(from.path().unwrap_or_default()))
}

fn back_up(from: &Connection, copy: &Path, busy: Duration, source: &Path) -> Result<()> {
    let refused = |e| refused(e, format!("cannot back up `{}` to `{}`", source.display(), copy.display()));
    let mut to = Connection::open(copy).map_err(refused)?;
    // A crash leaves nothing that anybody reads, so that there is nothing to make durable.
    to.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").map_err(refused)?;
    let backup = Backup::new(from, &mut to).map_err(refused)?;
    let mut patience = Instant::now() + busy;
    loop {
        match backup.step(i32::from(BACKUP_PAGES_STEP)).map_err(refused)? {
            StepResult::Done => return Ok(()),
            StepResult::More => patience = Instant::now() + busy,
            _ if Instant::now() < patience => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                let message = format!("cannot back up `{}`: it stays locked by another program", source.display());
                return Err(Error::new(Kind::Source, message).hint("stop the program that has it open"));
            }
        }
    }
}

// The name of the private copy within its directory.
const COPY_NAME: &str = "source.db";
