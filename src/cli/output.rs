//! What goes to stdout: results, and nothing else.

use crate::error::{Error, Kind, Result};
use std::io::{ErrorKind, Write};

/// Writes a result. A reader that went away early, as `head` does, has what it wanted.
pub fn result(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(Error::new(Kind::Failed, "the result cannot be written to stdout").cause(e)),
        Ok(()) => Ok(()),
    }
}
