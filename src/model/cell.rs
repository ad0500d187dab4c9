//! One SQLite value as the statement lends it: a storage class and borrowed bytes.

use serde::{Deserialize, Serialize};

/// A value borrowed from SQLite until its statement steps on.
///
/// Text is bytes: SQLite promises UTF-8 but does not check it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// A 64-bit signed integer.
    Integer(i64),
    /// An IEEE double. Never NaN: SQLite stores that as NULL.
    Real(f64),
    /// Text, as UTF-8 whatever the database's encoding; possibly invalid, possibly with NULs.
    Text(&'a [u8]),
    /// Bytes.
    Blob(&'a [u8]),
}

impl Cell<'_> {
    /// The storage class.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Null => Class::Null,
            Self::Integer(_) => Class::Integer,
            Self::Real(_) => Class::Real,
            Self::Text(_) => Class::Text,
            Self::Blob(_) => Class::Blob,
        }
    }

    /// The size of the value in bytes: 0 for NULL, 8 for numbers, the length for text and blobs.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Integer(_) | Self::Real(_) => 8,
            Self::Text(b) | Self::Blob(b) => b.len(),
        }
    }
}

/// A value that outlives its statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Owned {
    /// No value.
    Null,
    /// A 64-bit signed integer.
    Integer(i64),
    /// An IEEE double.
    Real(f64),
    /// Text, as bytes.
    Text(Vec<u8>),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Owned {
    /// The value, lent.
    #[must_use]
    pub fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Integer(n) => Cell::Integer(*n),
            Self::Real(x) => Cell::Real(*x),
            Self::Text(bytes) => Cell::Text(bytes),
            Self::Blob(bytes) => Cell::Blob(bytes),
        }
    }
}

impl From<Cell<'_>> for Owned {
    fn from(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Integer(n) => Self::Integer(n),
            Cell::Real(x) => Self::Real(x),
            Cell::Text(bytes) => Self::Text(bytes.to_vec()),
            Cell::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }
}

/// The five storage classes of <https://sqlite.org/datatype3.html>, in that page's sort order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// NULL
    Null,
    /// INTEGER
    Integer,
    /// REAL
    Real,
    /// TEXT
    Text,
    /// BLOB
    Blob,
}

impl Class {
    /// The word that SQLite's `typeof()` uses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Text => "text",
            Self::Blob => "blob",
        }
    }
}
