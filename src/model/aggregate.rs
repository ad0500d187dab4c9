//! What both databases are asked of a column in plain SQL, and how their answers are compared.

use super::conversion::EpochUnit;

/// A figure over all rows of a column. Both sides answer in the one form that is stated here, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Cells that are not NULL.
    Values,
    /// The sum of integers, exact.
    Sum,
    /// Cells that are true.
    True,
    /// JSON objects at the top.
    Objects,
    /// Bytes of all texts, or of all blobs.
    Bytes,
    /// Characters of all texts.
    Chars,
    /// Characters of all texts, blanks at their ends left out.
    CharsTrimmed,
    /// An integer.
    Integer(End),
    /// A number as a double; zero has no sign.
    Number(End),
    /// A uuid: 32 hex digits in lower case.
    Uuid(End),
    /// A date: `YYYY-MM-DD`.
    Date(End),
    /// A time of day: `HH:MM:SS.ffffff`.
    Time(End),
    /// A moment written as text: whole seconds since 1970, rounded down.
    Second {
        /// Which.
        end: End,
        /// Whether it is an instant; else a wall clock, taken as if it were UTC's, whatever offset is written behind.
        is_instant: bool,
    },
    /// A moment counted in this unit: microseconds since 1970.
    Micro(End, EpochUnit),
}

/// Which of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The smallest.
    Least,
    /// The largest.
    Most,
}

/// What one side says.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// There is no such value.
    Nothing,
    /// A whole number.
    Integer(i128),
    /// A number.
    Number(f64),
    /// Anything else, in the measure's spelling.
    Text(String),
    /// SQL cannot say it of these rows: a storage class or a form is among them that the statement does not read.
    Unstated,
}

impl End {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Least, Self::Most];

    /// The aggregate function of both databases.
    #[must_use]
    pub const fn function(self) -> &'static str {
        match self {
            Self::Least => "min",
            Self::Most => "max",
        }
    }
}

impl Measure {
    /// A phrase for people.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Values => "number of values",
            Self::Sum => "sum",
            Self::True => "number of true values",
            Self::Objects => "number of JSON objects",
            Self::Bytes => "bytes in all",
            Self::Chars | Self::CharsTrimmed => "characters in all",
            Self::Integer(end)
            | Self::Number(end)
            | Self::Uuid(end)
            | Self::Date(end)
            | Self::Time(end)
            | Self::Second { end, .. }
            | Self::Micro(end, _) => match end {
                End::Least => "smallest value",
                End::Most => "largest value",
            },
        }
    }

    /// Whether a stand-in for what PostgreSQL cannot hold changes the answer.
    #[must_use]
    pub const fn sees_stand_ins(self) -> bool {
        matches!(self, Self::Bytes | Self::Chars | Self::CharsTrimmed)
    }

    /// Reads what a database wrote; `None` where it wrote something else.
    #[must_use]
    pub fn read(self, written: Option<&str>) -> Option<Answer> {
        let Some(written) = written else { return Some(Answer::Nothing) };
        match self {
            Self::Uuid(_) | Self::Date(_) | Self::Time(_) => Some(Answer::Text(written.to_owned())),
            // −0 + 0 is 0.
            Self::Number(_) => written.parse::<f64>().ok().map(|x| Answer::Number(x + 0.0)),
            _ => written.parse().ok().map(Answer::Integer),
        }
    }
}

impl Answer {
    /// Whether both sides say the same; also where one of them can say nothing.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        [self, other].contains(&&Self::Unstated) || self == other
    }
}
