//! What becomes of a value that breaks a rule: the policies that a person states, and the rows that they set aside.
//!
//! An inferred type breaks no value: it is widened. A rule is a type that a person stated, or that a table had before.

use super::pg_type::{Element, PgType};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// What to do about a value that its column's rule does not take, and about a row that the server refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The run ends before anything is written, or, where the profile did not see it, at that value.
    #[default]
    Fail,
    /// The row is set aside, with its reason.
    Reject,
    /// NULL takes the value's place; the value is kept in the control schema.
    Null,
    /// The column's default takes its place; the value is kept in the control schema.
    Default,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 4] = [Self::Fail, Self::Reject, Self::Null, Self::Default];

    /// The word for people and arguments.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Reject => "reject",
            Self::Null => "null",
            Self::Default => "default",
        }
    }

    /// Whether something else than the value goes into its cell.
    #[must_use]
    pub const fn replaces(self) -> bool {
        matches!(self, Self::Null | Self::Default)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a person states of types and policies; names are the source's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Rules {
    /// Types of columns, each by `table.column`.
    pub types: Vec<(String, PgType)>,
    /// Policies: of a `table.column`, of a `table`, or of the run where there is no name.
    pub policies: Vec<(Option<String>, Policy)>,
    /// Readings of cells beyond what a column's type says, each by `table.column`.
    pub readings: Vec<(String, Reading)>,
    /// Enums that are on the target, or are created there: each with its values in their order.
    pub enums: Vec<(String, Vec<String>)>,
    /// Columns whose NULLs take their default, each by `table.column`.
    pub nulls: Vec<String>,
}

/// How cells of a column are read, where its type alone does not say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// Ids of a map: uuids stay, others become the uuid of version 5 within the map's namespace.
    Id {
        /// The map's name.
        map: String,
        /// Its namespace.
        namespace: Uuid,
    },
    /// Ids of a map: uuids stay, others become uuids that the run draws.
    Drawn {
        /// The map's name.
        map: String,
        /// Whether they begin with the time of the run: version 7, else 4.
        timed: bool,
    },
    /// Values between separators, as an array.
    Split {
        /// What the values are; none where PostgreSQL casts them.
        element: Option<Element>,
        /// The separator.
        by: String,
    },
}

/// Where a row stands in its table, for rows that are set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The key that ranges go by: the rowid, or the first column of a WITHOUT ROWID table's key; 0 without one.
    pub key: i64,
    /// The row's number among those of this key, from 0, in the table's own order. 0 wherever the key is a rowid.
    pub nth: i64,
}

impl Place {
    /// Before the first row.
    pub const BEFORE: Self = Self { key: 0, nth: -1 };

    /// The place of the row that comes next, by its key.
    #[inline]
    #[must_use]
    pub const fn next(self, key: i64) -> Self {
        let nth = if self.nth >= 0 && self.key == key { self.nth + 1 } else { 0 };
        Self { key, nth }
    }
}

/// Rows that were set aside, by their places.
pub type Places = std::collections::HashSet<Place>;

/// A row that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Which row.
    pub place: Place,
    /// The source column that is at fault, where one is.
    pub column: Option<String>,
    /// Why, in words that hold no value.
    pub reason: String,
    /// The server's code, where it was the server that refused.
    pub sqlstate: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_key_are_told_apart_by_their_number() {
        let mut place = Place::BEFORE;
        let mut seen = Vec::new();
        for key in [0, 0, 7, 8, 8, 8] {
            place = place.next(key);
            seen.push((place.key, place.nth));
        }
        assert_eq!(seen, [(0, 0), (0, 1), (7, 0), (8, 0), (8, 1), (8, 2)]);
    }
}
