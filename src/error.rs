//! One error type: what went wrong, on what, in which state the data is now, and the way out.
//!
//! An [`Error`] owns words for a person and a [`Kind`] for the program. It never holds a
//! password, and a row's value only among what is [withheld](Error::withheld). Causes are wrapped, not flattened: [`std::error::Error::source`] walks on.

use std::cell::Cell;
use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

thread_local! {
    static FORGIVEN: Cell<bool> = const { Cell::new(false) };
}

/// Runs the code of a library that panics on some input; `None` where it did. Whoever tells panics leaves these out.
pub fn forgiving<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = FORGIVEN.replace(true);
    let done = catch_unwind(AssertUnwindSafe(work));
    FORGIVEN.set(before);
    done.ok()
}

/// Whether a panic of this thread is an answer that somebody waits for.
#[must_use]
pub fn is_forgiven() -> bool {
    FORGIVEN.get()
}

/// What the program does about an error; each kind has one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The command line cannot be followed. Exit code 2.
    Usage,
    /// The plan would lose or overwrite data, or cannot be carried out. Exit code 3.
    Blocked,
    /// Everything is done, and rows were set aside. Exit code 4.
    Rejected,
    /// Both sides were compared, and differ or were not compared whole. Exit code 5.
    Different,
    /// The SQLite file cannot be reached, read or trusted. Exit code 6.
    Source,
    /// The PostgreSQL server cannot be reached or stopped answering. Exit code 7.
    Target,
    /// A person or the system stopped the run; the same command resumes. Exit code 8.
    Interrupted,
    /// Everything else that fails while the run goes on, a server's refusal included. Exit code 1.
    Failed,
    /// A broken invariant of ours. Exit code 1, and the message says whose fault it is.
    Bug,
}

impl Kind {
    /// The process exit code of this kind.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed | Self::Bug => 1,
            Self::Usage => 2,
            Self::Blocked => 3,
            Self::Rejected => 4,
            Self::Different => 5,
            Self::Source => 6,
            Self::Target => 7,
            Self::Interrupted => 8,
        }
    }
}

/// An error with its context. Built by chaining: `Error::new(kind, what).fact(…).state(…).hint(…)`.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    facts: Vec<String>,
    withheld: Vec<String>,
    state: Option<String>,
    hint: Option<String>,
    sqlstate: Option<String>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` is lowercase, with names in backticks.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            facts: Vec::new(),
            withheld: Vec::new(),
            state: None,
            hint: None,
            sqlstate: None,
            cause: None,
        }))
    }

    /// Adds a line of facts below the message.
    #[must_use]
    pub fn fact(mut self, fact: impl Into<String>) -> Self {
        self.0.facts.push(fact.into());
        self
    }

    /// Adds a line that may hold values of rows: shown only where a person asked for values.
    #[must_use]
    pub fn withheld(mut self, fact: impl Into<String>) -> Self {
        self.0.withheld.push(fact.into());
        self
    }

    /// States what the data looks like now. The last call wins.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.0.state = Some(state.into());
        self
    }

    /// States what the data looks like now, unless somebody nearer to it did.
    #[must_use]
    pub fn or_state(self, state: &str) -> Self {
        if self.0.state.is_none() { self.state(state) } else { self }
    }

    /// Names the way out. The last call wins.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Keeps the SQLSTATE of a server's refusal, so that callers can decide by it.
    #[must_use]
    pub fn with_sqlstate(mut self, code: impl Into<String>) -> Self {
        self.0.sqlstate = Some(code.into());
        self
    }

    /// Wraps the cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Puts `message` in front: the old error becomes the cause, kind, SQLSTATE, state and hint stay.
    #[must_use]
    pub fn context(mut self, message: impl Into<String>) -> Self {
        let (state, hint) = (self.0.state.take(), self.0.hint.take());
        let outer = Inner {
            kind: self.0.kind,
            message: message.into(),
            facts: Vec::new(),
            withheld: Vec::new(),
            state,
            hint,
            sqlstate: self.0.sqlstate.clone(),
            cause: Some(Box::new(self)),
        };
        Self(Box::new(outer))
    }

    /// What the program does about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The first line, without its causes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Lines of facts, in the order they were added.
    #[must_use]
    pub fn facts(&self) -> &[String] {
        &self.0.facts
    }

    /// Lines that may hold values of rows.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.0.withheld
    }

    /// What the data looks like now, if that was stated.
    #[must_use]
    pub fn data_state(&self) -> Option<&str> {
        self.0.state.as_deref()
    }

    /// The way out, if there is one.
    #[must_use]
    pub fn way_out(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The SQLSTATE of the server's refusal behind this error, if there was one.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)?;
        for fact in &self.0.facts {
            write!(f, "\n  {fact}")?;
        }
        let mut cause = self.source();
        while let Some(c) = cause {
            write!(f, "\n  because: {c}")?;
            cause = c.source();
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_ref().map(|c| c.as_ref() as &(dyn StdError + 'static))
    }
}
