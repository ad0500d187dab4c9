//! SQLite's SQL text: the facts in it that no PRAGMA tells, and what it says in PostgreSQL's dialect.
//!
//! The one place that knows a SQL parser. Whatever is not known to mean the same in PostgreSQL gives an
//! [`Untranslatable`] with its reason: a CHECK, a unique index or a default that means something else is
//! worse than none. Semantics are guaranteed here; whether the server accepts the text, the caller asks it.

/// Writes behind a `String`.
macro_rules! push {
    ($to:ident, $($text:tt)+) => {{
        use std::fmt::Write as _;
        write!($to, $($text)+).expect("writing to a string cannot fail");
    }};
}

pub mod collation;
pub mod default;
pub mod expression;
pub mod index;
pub mod kind;
pub mod scope;
pub mod table;
pub mod view;

mod aggregate;
mod datetime;
mod function;
mod join;
mod json_path;
mod literal;
mod moment;
mod operator;
mod parse;
mod pattern;
pub mod question;
mod render;
mod result_names;
mod select;
mod term;

use std::error::Error;
use std::fmt;

pub use crate::model::affinity::Affinity;
pub use expression::{Translated, Want, expression};
pub use kind::Kind;
pub use scope::{Column, Relation, Scope};

/// SQL text that is not the statement it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unparsed {
    /// What the parser stumbled over, in words.
    pub reason: String,
}

/// SQL that has no faithful counterpart in PostgreSQL, or none that is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untranslatable {
    /// Why, in words that fit behind "not translated: ".
    pub reason: String,
}

impl Untranslatable {
    /// A refusal with its reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl From<Unparsed> for Untranslatable {
    fn from(unparsed: Unparsed) -> Self {
        Self { reason: unparsed.reason }
    }
}

impl fmt::Display for Unparsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl fmt::Display for Untranslatable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Error for Unparsed {}
impl Error for Untranslatable {}
