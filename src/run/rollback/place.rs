//! Where the restored file goes: looked at before anything is read, and a private place beside it until it is whole.

use crate::durable;
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::model::event::{Event, Observer};
use crate::model::plan::Remark;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A destination that was looked at.
pub struct Place {
    to: PathBuf,
    folder: PathBuf,
    replaces: bool,
}

/// A private folder beside the destination, locked by this process. Dropped, it is gone with all that is in it.
pub struct Workshop {
    folder: PathBuf,
    lock: Option<File>,
}

const COPY: &str = "copy.db";
const STAGE: &str = "stage.db";
const LOSSES: &str = "losses.db";
const LOCK: &str = "lock";

/// What is said of a way back that changed nothing.
pub const AS_IT_WAS: &str = "nothing was restored; the source and earlier files are as they were";

impl Place {
    /// Looks at `to`: there must be room for a file of this name, or one that may be replaced.
    pub fn look(to: &Path, source: &Path, force: bool) -> Result<Self> {
        let blocked = |what: String| Error::new(Kind::Blocked, what).state(AS_IT_WAS);
        let Some(name) = to.file_name() else {
            return Err(Error::new(Kind::Usage, format!("`--to {}` names no file", to.display())));
        };
        let parent = match to.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = parent.canonicalize().map_err(|e| {
            Error::new(Kind::Usage, format!("there is no folder `{}` for the restored file", parent.display())).cause(e)
        })?;
        let to = folder.join(name);
        if source.canonicalize().is_ok_and(|source| to.canonicalize().is_ok_and(|to| to == source)) {
            return Err(Error::new(Kind::Usage, "`--to` names the source itself, which is never written to")
                .hint("name another file; put it in the source's place once you have looked at it"));
        }
        if to.is_dir() {
            return Err(Error::new(Kind::Usage, format!("`{}` is a folder", to.display())));
        }
        for suffix in ["-wal", "-journal", "-shm"] {
            let beside = beside(&to, suffix);
            if fs::symlink_metadata(&beside).is_ok() {
                return Err(blocked(format!("`{}` is there: a program has that database open", beside.display()))
                    .fact("or it died with it open; SQLite would take this file for one of the restored file's")
                    .hint("stop the program, or name another file"));
            }
        }
        let replaces = fs::symlink_metadata(&to).is_ok();
        if replaces && !force {
            return Err(blocked(format!("`{}` is there already", to.display()))
                .hint("`--force` replaces it once the new one is whole, or name another file"));
        }
        // Found out now rather than at the end: a folder that may not be written to, a link, somebody else's file.
        drop(files::Pending::new(&to).map_err(|e| {
            blocked(format!("`{}` cannot be written", to.display())).cause(e).hint("name another file")
        })?);
        Ok(Self { to, folder, replaces })
    }

    /// Makes the private folder, and takes away what a command that was killed left in it.
    pub fn open(&self, observer: &dyn Observer) -> Result<Workshop> {
        let name = self.to.file_name().unwrap_or_default();
        let folder = self.folder.join([&OsString::from("."), name, &OsString::from(".lite2pg")].into_iter().fold(
            OsString::new(),
            |mut all, part| {
                all.push(part);
                all
            },
        ));
        let failed = |e: io::Error| {
            Error::new(Kind::Failed, format!("nothing can be written beside `{}`", self.to.display()))
                .state(AS_IT_WAS)
                .cause(e)
        };
        files::own_folder(&folder).map_err(failed)?;
        // In a folder that nobody else may look into.
        let lock =
            OpenOptions::new().write(true).create(true).truncate(false).open(folder.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(Kind::Blocked, format!("another lite2pg is restoring `{}`", self.to.display()))
                    .state(AS_IT_WAS)
                    .hint("wait for it to end"));
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        let workshop = Workshop { folder, lock: Some(lock) };
        if workshop.sweep().map_err(failed)? > 0 {
            let text = "what a rollback that was killed had left beside it is gone".to_owned();
            observer.event(&Event::Remark(Remark::note(self.to.display().to_string(), text)));
        }
        Ok(workshop)
    }

    /// Puts the copy in its place: durable first, then by one rename.
    pub fn publish(&self, workshop: &Workshop) -> Result<()> {
        let failed = |e: io::Error| {
            Error::new(Kind::Failed, format!("the restored file cannot be put in its place, `{}`", self.to.display()))
                .state(AS_IT_WAS)
                .cause(e)
        };
        let copy = workshop.copy();
        durable::step("sync of the copy", || File::open(&copy).and_then(|file| file.sync_all())).map_err(failed)?;
        // Somebody may have made one meanwhile.
        if !self.replaces && fs::symlink_metadata(&self.to).is_ok() {
            return Err(failed(ErrorKind::AlreadyExists.into()));
        }
        durable::step("rename to the restored file", || fs::rename(&copy, &self.to)).map_err(failed)?;
        // The file is there from here on; whether its name outlives a power cut is the folder's matter.
        File::open(&self.folder).and_then(|folder| folder.sync_all()).ok();
        Ok(())
    }
}

impl Workshop {
    /// The copy of the source.
    pub fn copy(&self) -> PathBuf {
        self.folder.join(COPY)
    }

    /// The scratch file of rows that differ.
    pub fn stage(&self) -> PathBuf {
        self.folder.join(STAGE)
    }

    /// The scratch file of rows that are alike.
    pub fn losses(&self) -> PathBuf {
        self.folder.join(LOSSES)
    }

    // Deletes our files, and no others.
    fn sweep(&self) -> io::Result<usize> {
        let mut gone = 0;
        for name in [COPY, STAGE, LOSSES] {
            for suffix in ["", "-wal", "-shm", "-journal"] {
                match fs::remove_file(beside(&self.folder.join(name), suffix)) {
                    Ok(()) => gone += 1,
                    Err(e) if e.kind() == ErrorKind::NotFound => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(gone)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What cannot be taken away now is by the next command.
        self.sweep().ok();
        fs::remove_file(self.folder.join(LOCK)).ok();
        drop(self.lock.take());
        fs::remove_dir(&self.folder).ok();
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
