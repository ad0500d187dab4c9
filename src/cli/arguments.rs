//! What is said of a command line that cannot be followed: never a part of it that may be a password.
//!
//! The parser's own messages repeat what they stumbled over. A connection string that was not quoted falls into pieces,
//! and any of them may be a piece of its password.

use crate::error::{Error, Kind};
use crate::report::layout::clean;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The words for a person: the parser's own where they are safe, else ours.
pub fn told(error: &clap::Error) -> Result<String, Error> {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let word = named(ContextKind::InvalidArg).filter(|_| error.kind() == ErrorKind::UnknownArgument);
    if word.is_some_and(|word| !word.starts_with('-')) {
        return Err(Error::new(Kind::Usage, "there is a word too many on the command line")
            .fact("it is not repeated: it may be a piece of a password")
            .hint("a connection string is one word: 'host=… password=…' in quotes"));
    }
    let word = word.or(named(ContextKind::InvalidSubcommand)).or(named(ContextKind::InvalidValue));
    if word.is_some_and(may_hold_a_password) {
        return Err(Error::new(Kind::Usage, "a connection string stands where something else is expected")
            .fact("it is not repeated: it may hold a password")
            .hint("lite2pg migrate app.db postgres://user@host/database"));
    }
    let text = error.render().to_string();
    Ok(text.lines().map(clean).collect::<Vec<_>>().join("\n") + "\n")
}

fn may_hold_a_password(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    word.contains("://") || word.contains("pass") || word.contains('=') || word.contains('@')
}
