//! The affinity that SQLite derives from a declared type (<https://sqlite.org/datatype3.html>, section 3.1).

/// How SQLite prefers to store and compare a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Affinity {
    /// Text; numbers are written out.
    Text,
    /// Numbers where the text looks like one.
    Numeric,
    /// The same, and whole numbers in CAST.
    Integer,
    /// The same, and always floating point.
    Real,
    /// Values as they are: declared BLOB, or no type at all.
    Blob,
}

impl Affinity {
    /// The affinity of a declared type. The order of the rules is SQLite's: `CHARINT` is an integer.
    #[must_use]
    pub fn of(declared: &str) -> Self {
        let upper = declared.to_ascii_uppercase();
        let has = |part: &str| upper.contains(part);
        if has("INT") {
            Self::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if has("BLOB") || upper.trim().is_empty() {
            Self::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Numeric
        }
    }

    /// Whether the other side of a comparison is taken as a number where it looks like one.
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Numeric | Self::Integer | Self::Real)
    }
}
