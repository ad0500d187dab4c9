//! Where results go: to stdout, and nothing else there; to files that a person names.

use crate::error::{Error, Kind, Result};
use crate::files::Pending;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Writes a result. A reader that went away early, as `head` does, has what it wanted.
pub fn result(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(Error::new(Kind::Failed, "the result cannot be written to stdout").cause(e)),
        Ok(()) => Ok(()),
    }
}

/// A file for a result, prepared before the long work begins.
pub struct Output<'a> {
    path: &'a Path,
    file: Pending,
}

impl<'a> Output<'a> {
    /// Finds out now whether it can be written.
    pub fn open(path: &'a Path) -> Result<Self> {
        let refused = |e| Error::new(Kind::Usage, format!("`{}` cannot be written", path.display())).cause(e);
        Ok(Self { path, file: Pending::new(path).map_err(refused)? })
    }

    /// Writes all of it.
    pub fn write(self, text: &str) -> Result<()> {
        let refused = |e| Error::new(Kind::Failed, format!("`{}` cannot be written", self.path.display())).cause(e);
        self.file.write(text.as_bytes()).map_err(refused)
    }
}
