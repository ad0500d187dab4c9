//! A source before it is read: the file behind what was typed, and why it cannot be one, said early.

use super::kept::KeptFile;
use super::snapshot::SnapshotChoice;
use crate::error::{Error, Kind, Result};
use crate::model::bounds::SQLITE_BUSY;
use percent_encoding::percent_decode_str;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A SQLite database file that was looked at and found readable; nothing of it is locked yet.
///
/// The process keeps one handle on the file until it ends, see [`fingerprint`](super::fingerprint()).
#[derive(Debug, Clone)]
pub struct Source {
    pub(super) path: PathBuf,
    pub(super) choice: SnapshotChoice,
    pub(super) busy: Duration,
    pub(super) scratch: PathBuf,
}

impl Source {
    /// Looks at the file that `typed` names: a plain path, `sqlite:rel`, `sqlite:///abs`, or a `file:` URI, of
    /// which only the path counts. A text that is an existing path is that path.
    ///
    /// Fails with [`Kind::Source`] where the file is missing, is no regular file, may not be read, is empty, cut off,
    /// encrypted, or something else than a SQLite database; with [`Kind::Usage`] where `typed` names no file.
    pub fn open(typed: impl AsRef<Path>, choice: SnapshotChoice) -> Result<Self> {
        let typed = typed.as_ref();
        let given = path_of(typed)?;
        let path = given.canonicalize().map_err(|e| unreachable_file(&given, e))?;
        let source = Self { path, choice, busy: SQLITE_BUSY, scratch: std::env::temp_dir() };
        source.look()?;
        Ok(source)
    }

    /// Waits this long for another program's lock, instead of [`SQLITE_BUSY`].
    #[must_use]
    pub fn busy_timeout(mut self, busy: Duration) -> Self {
        self.busy = busy;
        self
    }

    /// Makes private copies in this directory, instead of the system's for temporary files.
    #[must_use]
    pub fn scratch_in(mut self, dir: impl Into<PathBuf>) -> Self {
        self.scratch = dir.into();
        self
    }

    /// Refuses what names no file at all, such as a connection string; whether the file is there is not looked at.
    pub fn check_name(typed: &Path) -> Result<()> {
        path_of(typed).map(drop)
    }

    /// The file's absolute path, symbolic links followed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What lies there at this moment.
    pub(super) fn look(&self) -> Result<Look> {
        let path = &self.path;
        let unreachable = |e| unreachable_file(path, e);
        let about = fs::metadata(path).map_err(unreachable)?;
        if about.is_dir() {
            return Err(no_source(path, "is a directory").hint("name the database file inside it"));
        }
        if !about.is_file() {
            return Err(no_source(path, "is no regular file"));
        }
        let file = KeptFile::of(path).map_err(unreachable)?;
        let mut head = vec![0; 4096];
        let n = file.read_at(0, &mut head).map_err(unreachable)?;
        head.truncate(n);
        let header = Header::read(path, &head)?;
        let beside = |suffix| side_bytes(&side_file(path, suffix)).map_err(unreachable);
        let look = Look {
            wal: beside("-wal")?,
            shm: beside("-shm")?.is_some(),
            hot_journal: hot_journal(&side_file(path, "-journal")).map_err(unreachable)?,
            wal_header: header.wal,
            file_frozen: about.permissions().readonly(),
            dir_frozen: path
                .parent()
                .and_then(|dir| fs::metadata(dir).ok())
                .is_some_and(|m| m.permissions().readonly()),
        };
        // With a -wal or a hot journal the file alone may rightly be shorter than its header says.
        let bytes = file.len().map_err(unreachable)?;
        if !look.has_wal_frames() && !look.hot_journal && bytes < header.bytes {
            let (missing, whole) = (header.bytes - bytes, header.bytes);
            return Err(no_source(path, "is cut off")
                .fact(format!("{missing} of {whole} bytes are missing at its end"))
                .hint("copy the file again, or recover what is left: sqlite3 cut.db .recover | sqlite3 recovered.db"));
        }
        Ok(look)
    }
}

/// What lies at a source's path at one moment.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "facts about files, each independent of the others")]
pub(super) struct Look {
    /// The size of the -wal, where there is one.
    pub wal: Option<u64>,
    /// There is a -shm.
    pub shm: bool,
    /// There is a -journal that SQLite would roll back, unless a writer is at work right now.
    pub hot_journal: bool,
    /// The header says WAL.
    pub wal_header: bool,
    /// The file has no write bit.
    pub file_frozen: bool,
    /// The directory has no write bit.
    pub dir_frozen: bool,
}

impl Look {
    /// SQLite would use a WAL: it goes by the -wal file as well as by the header.
    pub fn is_wal(&self) -> bool {
        self.wal_header || self.wal.is_some()
    }

    /// The -wal holds something.
    pub fn has_wal_frames(&self) -> bool {
        self.wal.is_some_and(|bytes| bytes > 0)
    }
}

/// `path` with a suffix of SQLite's: `-wal`, `-shm`, `-journal`.
pub(super) fn side_file(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The size of a file, `None` where there is none.
pub(super) fn side_bytes(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(about) => Ok(Some(about.len())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

// SQLite's own rule: a journal whose first byte is zero was finished with (journal_mode PERSIST).
fn hot_journal(path: &Path) -> io::Result<bool> {
    use std::io::Read;
    let mut first = [0];
    match fs::File::open(path) {
        Ok(mut file) => Ok(file.read(&mut first)? == 1 && first[0] != 0),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

// What of the database header counts here (<https://sqlite.org/fileformat2.html>, section 1.3).
struct Header {
    wal: bool,
    bytes: u64,
}

impl Header {
    fn read(path: &Path, head: &[u8]) -> Result<Self> {
        if head.is_empty() {
            return Err(no_source(path, "is empty")
                .fact("an empty file is a valid SQLite database without tables; there is nothing to move")
                .hint("check the path: a program that opens a wrong one creates such a file"));
        }
        if !head.starts_with(b"SQLite format 3\0") {
            return Err(foreign(path, head));
        }
        if head.len() < 100 {
            return Err(no_source(path, "is cut off within its header").hint("copy the file again"));
        }
        let page_size = match u64::from(u16::from_be_bytes([head[16], head[17]])) {
            1 => 65536,
            n if n.is_power_of_two() && n >= 512 => n,
            n => {
                return Err(no_source(path, "has a damaged header").fact(format!("it states a page size of {n} bytes")));
            }
        };
        let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        // Older writers leave the page count unset; it holds where both change counters agree.
        let pages = if number(24) == number(92) { number(28) } else { 1 };
        Ok(Self { wal: head[18] == 2 || head[19] == 2, bytes: u64::from(pages) * page_size })
    }
}

// Files that people mistake for a database, by how they begin.
const FOREIGN: &[(usize, &[u8], &str, &str)] = &[
    (0, b"\x1f\x8b", "a gzip archive", "gunzip it first"),
    (0, b"PK\x03\x04", "a zip archive", "unzip it first"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive", "unzstd it first"),
    (0, b"\xfd7zXZ", "an xz archive", "unxz it first"),
    (0, b"BZh", "a bzip2 archive", "bunzip2 it first"),
    (0, b"** This file contains an SQLite 2", "a SQLite 2 database", "sqlite old.db .dump | sqlite3 new.db"),
    (0, b"PRAGMA foreign_keys", "a SQL dump", "sqlite3 new.db < dump.sql"),
    (0, b"BEGIN TRANSACTION", "a SQL dump", "sqlite3 new.db < dump.sql"),
    (0, b"PGDMP", "a PostgreSQL dump", "pg_restore reads it"),
    (8, b"DUCK", "a DuckDB database", "export it: COPY … TO, or its sqlite extension"),
    (0, b"\x37\x7f\x06\x82", "the -wal of a database", "name the database file, without -wal"),
    (0, b"\x37\x7f\x06\x83", "the -wal of a database", "name the database file, without -wal"),
    (0, b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", "the -journal of a database", "name the database file, without -journal"),
];

fn foreign(path: &Path, head: &[u8]) -> Error {
    let known = FOREIGN.iter().find(|(at, magic, ..)| head.get(*at..).is_some_and(|h| h.starts_with(magic)));
    if let Some((_, _, what, hint)) = known {
        return no_source(path, &format!("is not a SQLite database: it looks like {what}")).hint(*hint);
    }
    if looks_random(head) {
        return no_source(path, "is not a SQLite database that can be read: it is encrypted, or no database at all")
            .fact("its first bytes look random, as those of an encrypted database do")
            .hint("decrypt it with the application's key first (SQLCipher: `sqlcipher_export`)");
    }
    let error = no_source(path, "is not a SQLite database").fact("it does not begin with `SQLite format 3`");
    if looks_like_text(head) {
        return error.fact("it is text").hint(
            "statements become a database by `sqlite3 app.db < FILE`, CSV by `sqlite3 app.db \".import --csv FILE TABLE\"`",
        );
    }
    error.hint("check the path: `file FILE` says what it is")
}

fn looks_like_text(head: &[u8]) -> bool {
    // The head may end within a character.
    let whole = std::str::from_utf8(head).map_or_else(|e| e.valid_up_to() + 4 > head.len(), |_| true);
    whole && !head.iter().any(|byte| *byte < b' ' && !b"\t\r\n".contains(byte))
}

// Ciphertext of a page spreads evenly over the 256 byte values; text and most formats do not.
fn looks_random(head: &[u8]) -> bool {
    let mut counts = [0_u32; 256];
    for byte in head {
        counts[usize::from(*byte)] += 1;
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    head.len() >= 512 && head.len().is_multiple_of(512) && u64::from(most) * 32 < head.len() as u64
}

/// Names of a folder that are compared with one that is not there.
const NAMESAKES_MAX: usize = 1000;

fn no_source(path: &Path, what: &str) -> Error {
    Error::new(Kind::Source, format!("`{}` {what}", path.display()))
}

// The file beside it whose name is most like this one's.
fn namesake(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.to_lowercase();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = fs::read_dir(folder).ok()?.take(NAMESAKES_MAX);
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let scored = names.map(|other| (strsim::osa_distance(&name, &other.to_lowercase()), other));
    let near = scored.filter(|(steps, other)| *steps <= 2 && *steps < other.chars().count() / 2);
    near.min().map(|(_, other)| path.with_file_name(other).display().to_string())
}

fn unreachable_file(path: &Path, e: io::Error) -> Error {
    let what = match e.kind() {
        ErrorKind::NotFound => "does not exist",
        ErrorKind::PermissionDenied => "may not be read by this user",
        ErrorKind::NotADirectory => "does not exist: a part of its path is a file",
        _ => "cannot be read",
    };
    let hint = match e.kind() {
        ErrorKind::PermissionDenied => "ls -l shows the owner; run as that user, or give read permission".to_owned(),
        ErrorKind::NotFound => {
            namesake(path).map_or_else(|| "check the path".to_owned(), |near| format!("did you mean `{near}`?"))
        }
        _ => "check the path".to_owned(),
    };
    no_source(path, what).hint(hint).cause(e)
}

// The path that `typed` names. URIs as SQLite reads them (<https://sqlite.org/uri.html>).
fn path_of(typed: &Path) -> Result<PathBuf> {
    let plain = || Ok(typed.to_path_buf());
    let Some(text) = typed.to_str() else { return plain() };
    if text.is_empty() {
        return Err(Error::new(Kind::Usage, "no SQLite file was named"));
    }
    if typed.exists() {
        return plain();
    }
    // Whoever swapped the two arguments typed a password here.
    let is_url = text.split_once("://").is_some_and(|(scheme, _)| !matches!(scheme, "sqlite" | "sqlite3" | "file"));
    if is_url || text.contains("password=") || text.contains("host=") {
        return Err(Error::new(Kind::Usage, "SOURCE is a connection string, and no SQLite file")
            .fact("it is not repeated: it may hold a password")
            .hint("the file comes first: lite2pg migrate app.db postgres://user@host/database"));
    }
    let in_memory = || {
        Err(Error::new(Kind::Usage, format!("`{text}` names no file")).fact("a database in memory has nothing to move"))
    };
    if text == ":memory:" {
        return in_memory();
    }
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    let rest = match scheme {
        "sqlite" | "sqlite3" => match rest.strip_prefix("///") {
            // SQLAlchemy means a relative path by three slashes, and by four what others mean by three.
            Some(path) if Path::new(path).exists() => path.to_owned(),
            Some(path) => format!("/{}", path.trim_start_matches('/')),
            None => rest.trim_start_matches("//").to_owned(),
        },
        "file" => match rest.strip_prefix("//") {
            Some(authority) => {
                let (host, path) = authority.split_once('/').unwrap_or((authority, ""));
                if !matches!(host, "" | "localhost") {
                    return Err(Error::new(Kind::Usage, format!("`{text}` names a file on another host: `{host}`")));
                }
                format!("/{path}")
            }
            None => rest.to_owned(),
        },
        _ => return plain(),
    };
    let (path, query) = rest.split_once(['?', '#']).unwrap_or((rest.as_str(), ""));
    if path.is_empty() || path == ":memory:" || query.split('&').any(|q| q == "mode=memory") {
        return in_memory();
    }
    Ok(PathBuf::from(percent_decode_str(path).decode_utf8_lossy().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_source_leads_to_its_path() {
        for (typed, want) in [
            ("no/app.db", "no/app.db"),
            ("sqlite:no/app.db", "no/app.db"),
            ("sqlite:///no/app.db", "/no/app.db"),
            ("sqlite:////no/app.db", "/no/app.db"),
            ("sqlite://no/app.db", "no/app.db"),
            ("file:no/app.db?mode=ro", "no/app.db"),
            ("file:/no/a%20b.db", "/no/a b.db"),
            ("file:///no/app.db?cache=shared", "/no/app.db"),
            ("file://localhost/no/app.db#x", "/no/app.db"),
            ("C:\\no\\app.db", "C:\\no\\app.db"),
        ] {
            assert_eq!(path_of(Path::new(typed)).map_err(|e| e.to_string()), Ok(PathBuf::from(want)), "{typed}");
        }
        for typed in ["", ":memory:", "file::memory:", "file:x?mode=memory", "sqlite:", "file://far/app.db"] {
            assert_eq!(path_of(Path::new(typed)).map_err(|e| e.kind()), Err(Kind::Usage), "{typed}");
        }
    }
}
