//! Handles on database files that are never closed while the process lives.
//!
//! POSIX drops all locks that a process holds on a file when it closes any handle on that file
//! (<https://sqlite.org/howtocorrupt.html>, section 2.2). A plain `fs::read` of the source while a
//! snapshot is open would silently let writers in. So a database file is opened once, through here,
//! and its handle is shared from then on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A shared handle on a database file.
#[derive(Debug, Clone)]
pub(super) struct KeptFile(Arc<File>);

impl KeptFile {
    /// The handle on the file at `path`; the same one for the same file.
    pub fn of(path: &Path) -> io::Result<Self> {
        shared(path).map(Self)
    }

    /// Fails as the system does where this user may not write the file. Nothing is written, and this handle
    /// is kept as well.
    pub fn probe_writing(path: &Path) -> io::Result<()> {
        // At most one handle for each source in a WAL that is read.
        static PROBED: Mutex<BTreeMap<PathBuf, File>> = Mutex::new(BTreeMap::new());
        let mut probed = PROBED.lock().unwrap_or_else(PoisonError::into_inner);
        if !probed.contains_key(path) {
            probed.insert(path.to_path_buf(), File::options().write(true).open(path)?);
        }
        Ok(())
    }

    /// The file's size in bytes.
    pub fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|m| m.len())
    }

    /// Reads from `at` until `buf` is full or the file ends; gives the number of bytes.
    pub fn read_at(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        read_at(&self.0, at, buf)
    }
}

/// Closes the handle on a file that nobody in this process has open any more, and that is about to be deleted: until
/// then the disk keeps its room.
pub fn release(path: &Path) {
    #[cfg(unix)]
    if let Ok(found) = std::fs::metadata(path) {
        use std::os::unix::fs::MetadataExt;
        kept().lock().unwrap_or_else(PoisonError::into_inner).remove(&(found.dev(), found.ino()));
    }
    #[cfg(not(unix))]
    let _ = path;
}

// Bounded by the number of different sources that one process ever has open. An open handle keeps its inode from being
// given to another file, so that the key stays true.
#[cfg(unix)]
fn kept() -> &'static Mutex<BTreeMap<(u64, u64), Arc<File>>> {
    static KEPT: Mutex<BTreeMap<(u64, u64), Arc<File>>> = Mutex::new(BTreeMap::new());
    &KEPT
}

#[cfg(unix)]
fn shared(path: &Path) -> io::Result<Arc<File>> {
    use std::os::unix::fs::MetadataExt;

    let mut kept = kept().lock().unwrap_or_else(PoisonError::into_inner);
    let found = std::fs::metadata(path)?;
    if let Some(file) = kept.get(&(found.dev(), found.ino())) {
        return Ok(Arc::clone(file));
    }
    let file = Arc::new(File::open(path)?);
    let opened = file.metadata()?;
    // Where the path was pointed at another file in between, that file's handle must stay open as well.
    Ok(Arc::clone(kept.entry((opened.dev(), opened.ino())).or_insert(file)))
}

#[cfg(not(unix))]
fn shared(path: &Path) -> io::Result<Arc<File>> {
    File::open(path).map(Arc::new)
}

/// Reads from `at` until `buf` is full or the file ends; gives the number of bytes.
pub(super) fn read_at(file: &File, at: u64, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match read_once(file, at + filled as u64, &mut buf[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(unix)]
fn read_once(file: &File, at: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, at)
}

#[cfg(windows)]
fn read_once(file: &File, at: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, at)
}
