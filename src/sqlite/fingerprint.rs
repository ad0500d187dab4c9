//! A cheap identity of a source, so that a resumed run notices that the file is another one now.

use super::kept::{self, KeptFile};
use super::open::side_file;
use crate::error::{Error, Kind, Result};
use crate::model::bounds::{FINGERPRINT_SPOT_BYTES, FINGERPRINT_SPOTS, FINGERPRINT_WHOLE_BYTES_MAX};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

/// The identity of a database file with what lies beside it.
///
/// Two equal fingerprints are the same content for every file of up to 16 MiB, and for larger ones unless only
/// pages changed that the fingerprint does not read: commits in WAL mode need not touch the header. The verifier
/// reads every row and is the judge; this is the early warning. File times do not count, so that a faithful copy
/// is the same source. A checkpoint changes it, although no row changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    main: Print,
    // A -wal of zero bytes is the same as none.
    wal: Option<Print>,
    // Only a hot journal: one that would be rolled back.
    journal: Option<Print>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Print {
    bytes: u64,
    blake3: String,
}

impl fmt::Display for Fingerprint {
    /// Twelve hex digits over all of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hash = blake3::Hasher::new();
        for print in [Some(&self.main), self.wal.as_ref(), self.journal.as_ref()] {
            match print {
                Some(print) => hash.update(&print.bytes.to_le_bytes()).update(print.blake3.as_bytes()),
                None => hash.update(b"none"),
            };
        }
        f.write_str(&hash.finalize().to_hex()[..12])
    }
}

/// The fingerprint of the database at `path` as it is at this moment.
///
/// May be called while the same process has the database open: the file handle is kept, see
/// [`Source::open`](super::Source::open).
pub fn fingerprint(path: &Path) -> Result<Fingerprint> {
    let broken = |e: io::Error| Error::new(Kind::Source, format!("cannot read `{}`", path.display())).cause(e);
    let path = path.canonicalize().map_err(broken)?;
    let main = KeptFile::of(&path).map_err(broken)?;
    let bytes = main.len().map_err(broken)?;
    Ok(Fingerprint {
        main: print(bytes, |at, buf| main.read_at(at, buf)).map_err(broken)?,
        wal: beside(&side_file(&path, "-wal"), |_| true).map_err(broken)?,
        journal: beside(&side_file(&path, "-journal"), |first| first != 0).map_err(broken)?,
    })
}

// SQLite takes no locks on these files, so that a handle may come and go.
fn beside(path: &Path, counts: impl Fn(u8) -> bool) -> io::Result<Option<Print>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let bytes = file.metadata()?.len();
    let mut first = [0];
    if bytes == 0 || kept::read_at(&file, 0, &mut first)? == 0 || !counts(first[0]) {
        return Ok(None);
    }
    print(bytes, |at, buf| kept::read_at(&file, at, buf)).map(Some)
}

fn print(bytes: u64, read: impl Fn(u64, &mut [u8]) -> io::Result<usize>) -> io::Result<Print> {
    let mut hash = blake3::Hasher::new();
    let mut buf = vec![0; FINGERPRINT_SPOT_BYTES as usize];
    for at in spots(bytes) {
        let n = read(at, &mut buf)?;
        hash.update(&buf[..n]);
    }
    Ok(Print { bytes, blake3: hash.finalize().to_hex().to_string() })
}

// Where blocks are read: everywhere in a small file; else spread evenly, the first and the last block included.
fn spots(bytes: u64) -> Vec<u64> {
    if bytes <= FINGERPRINT_WHOLE_BYTES_MAX {
        return (0..bytes.div_ceil(FINGERPRINT_SPOT_BYTES)).map(|i| i * FINGERPRINT_SPOT_BYTES).collect();
    }
    let last = bytes - FINGERPRINT_SPOT_BYTES;
    (0..FINGERPRINT_SPOTS)
        .map(|i| (u128::from(last) * u128::from(i) / u128::from(FINGERPRINT_SPOTS - 1)) as u64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_are_read_whole_and_large_ones_from_end_to_end() {
        assert_eq!(spots(0), Vec::<u64>::new());
        assert_eq!(spots(1), [0]);
        assert_eq!(spots(FINGERPRINT_SPOT_BYTES + 1), [0, FINGERPRINT_SPOT_BYTES]);
        let large = 1 << 40;
        let found = spots(large);
        assert_eq!((found.len() as u64, found[0]), (FINGERPRINT_SPOTS, 0));
        assert_eq!(found.last(), Some(&(large - FINGERPRINT_SPOT_BYTES)));
    }
}
