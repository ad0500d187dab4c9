//! The SQLite side: opens a source without touching it, holds one moment of it, reads its catalog and rows; copies
//! it, and writes to the copy.
//!
//! The only place that names `rusqlite`. Knows nothing of PostgreSQL, of plans or of conversions: it hands
//! out [`Catalog`](crate::model::source::Catalog)s and borrowed [`Cell`](crate::model::cell::Cell)s.

pub mod aggregate;
pub mod alike;
mod answer;
mod baseline;
mod catalog;
mod check;
mod connection;
mod copy;
pub mod derive;
mod excerpt;
mod fingerprint;
mod hazards;
mod heads;
mod hold;
mod ids;
pub mod inverse;
mod kept;
pub mod merge;
pub mod mirror;
mod open;
mod parents;
pub mod restore;
mod scan;
mod snapshot;
pub mod stage;
pub mod storing;
mod words;

pub use baseline::Copied;
pub use check::Orphans;
pub use fingerprint::{Fingerprint, fingerprint};
pub use kept::release;
pub use open::Source;
pub use scan::{Flow, RowRef, SampleEnd, ScanEnd, TableScan, describe_key};
pub use snapshot::{Reader, Snapshot, SnapshotChoice, SnapshotKind};

use crate::error::{Error, Kind};
use rusqlite::ErrorCode;

/// SQLite's refusal in our words. `what` says what was tried, on what.
fn refused(cause: rusqlite::Error, what: impl Into<String>) -> Error {
    let what = what.into();
    let code = cause.sqlite_error_code();
    let error = match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Error::new(Kind::Source, format!("{what}: another program holds a lock on the database")).hint(
                "let its write finish, or stop the program that has the database open, and run the same command again",
            )
        }
        Some(ErrorCode::NotADatabase) => {
            Error::new(Kind::Source, format!("{what}: the file is no SQLite database, or it is encrypted"))
                .hint("decrypt it with the application's key first (SQLCipher: `sqlcipher_export`)")
        }
        Some(ErrorCode::DatabaseCorrupt) => Error::new(Kind::Source, format!("{what}: the database is damaged"))
            .hint("sqlite3 damaged.db .recover | sqlite3 recovered.db"),
        Some(ErrorCode::TooBig) => Error::new(
            Kind::Source,
            format!("{what}: a value or row is larger than SQLite's limit of 1000000000 bytes"),
        ),
        Some(ErrorCode::DiskFull) => Error::new(Kind::Source, format!("{what}: no room left on the disk"))
            .hint("TMPDIR=/a/larger/disk lite2pg …"),
        Some(ErrorCode::OutOfMemory) => Error::new(Kind::Source, format!("{what}: not enough memory")),
        Some(ErrorCode::SystemIoFailure) => Error::new(Kind::Source, format!("{what}: the disk reports an error")),
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            Error::new(Kind::Source, format!("{what}: the file cannot be opened"))
        }
        _ => Error::new(Kind::Source, what),
    };
    error.cause(cause)
}
