//! Questions that a person wants answered at the end of a run, and their answers.

use serde::{Deserialize, Serialize};

/// A question to one side with its answer, or the same question to both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// What is asked, for people.
    pub name: String,
    /// In SQLite's own SQL.
    pub source: Option<String>,
    /// In PostgreSQL's.
    pub target: Option<String>,
    /// The answer, where only one side is asked.
    pub expect: Option<String>,
    /// The answer is shown, and none is wrong but a refusal.
    #[serde(default)]
    pub is_shown: bool,
}

/// What came of a question.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    /// What was asked.
    pub name: String,
    /// Whether the answer is the expected one, or that of the other side.
    pub right: bool,
    /// What the source says: rows as CSV, or why it said nothing.
    pub source: Option<Said>,
    /// What the target says.
    pub target: Option<Said>,
    /// What was expected.
    pub expect: Option<String>,
    /// It is shown and not judged.
    pub is_shown: bool,
}

/// The same question to both sides, asked again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parity {
    /// What is asked, for people.
    pub name: String,
    /// In SQLite's own SQL.
    pub source: String,
    /// In PostgreSQL's.
    pub target: String,
    /// How often each side is asked and timed.
    pub times: u32,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Race {
    /// What was asked.
    pub name: String,
    /// Whether both sides said the same each time.
    pub same: bool,
    /// What the source says; its time is the median.
    pub source: Said,
    /// What the target says; its time is the median.
    pub target: Said,
    /// How often each side was timed.
    pub times: u32,
}

/// What one side says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Rows as CSV, or why it said nothing.
    pub text: String,
    /// Whether it answered at all.
    pub answered: bool,
    /// The time it took.
    pub us: u64,
}
