//! A moment of a source as a file of its own, for someone to write to: byte for byte where that is possible.

use super::copy::back_up_to;
use super::kept::KeptFile;
use super::open::{side_bytes, side_file};
use super::snapshot::Reader;
use crate::durable;
use crate::error::{Error, Kind, Result};
use crate::files;
use std::io::{self, Write};
use std::path::Path;

/// How a copy was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// The file, byte for byte: free pages, header and all.
    Bytes,
    /// Page by page by SQLite, because the moment lies in the file and its -wal together. Every page but the
    /// counters in the first one is the source's.
    Pages,
}

impl Reader {
    /// Writes the moment that this reader sees to a new file that only this user may read.
    ///
    /// While a reader is there nobody writes the file itself: in rollback mode a writer waits for its lock, and in
    /// WAL mode a reader of a moment without frames keeps checkpoints away (walRestartLog, `WAL_READ_LOCK(0)`).
    pub fn copy_to(&self, to: &Path) -> Result<Copied> {
        durable::step("copy of the source", || self.copied_to(to))
    }

    fn copied_to(&self, to: &Path) -> Result<Copied> {
        let from = self.conn.path().map(Path::new).ok_or_else(|| Error::new(Kind::Bug, "a source without a path"))?;
        let failed = |e: io::Error| cannot_copy(to, e);
        let has_frames = side_bytes(&side_file(from, "-wal")).map_err(failed)?.is_some_and(|bytes| bytes > 0);
        let mut file = files::create(to).map_err(failed)?;
        if has_frames {
            drop(file);
            back_up_to(&self.conn, to)?;
            return Ok(Copied::Pages);
        }
        // Not `fs::copy`: closing the handle that it opens would drop SQLite's locks on the source.
        let source = KeptFile::of(from).map_err(failed)?;
        let (mut at, mut buffer) = (0, vec![0; 1 << 20]);
        loop {
            let n = source.read_at(at, &mut buffer).map_err(failed)?;
            if n == 0 {
                break;
            }
            file.write_all(&buffer[..n]).map_err(failed)?;
            at += n as u64;
        }
        Ok(Copied::Bytes)
    }
}

fn cannot_copy(to: &Path, cause: io::Error) -> Error {
    let full = matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let what = if full { "no room is left" } else { "it cannot be written" };
    let place = to.parent().unwrap_or(to).display().to_string();
    Error::new(Kind::Failed, format!("no copy of the source can be made in `{place}`: {what}"))
        .state("nothing was restored; the source and earlier files are as they were")
        .hint("`--to` on a disk with room for the source and for what was changed")
        .cause(cause)
}
