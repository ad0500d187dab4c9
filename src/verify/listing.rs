//! The file that lists what differs in one table, with values: only its owner may read it.

use crate::error::{Error, Kind, Result};
use crate::model::verdict::Difference;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A CSV file with a line for each cell that differs; made when the first one comes.
pub struct Listing {
    path: PathBuf,
    file: Option<csv::Writer<File>>,
}

impl Listing {
    /// The file of a table in this folder.
    #[must_use]
    pub fn new(folder: &Path, table: &str) -> Self {
        Self { path: path(folder, table), file: None }
    }

    /// Adds the cells of one row.
    pub fn add(&mut self, difference: &Difference) -> Result<()> {
        let failed = |e: io::Error| cannot_write(&self.path, e);
        let file = if let Some(file) = &mut self.file {
            file
        } else {
            let mut file = csv::Writer::from_writer(open(&self.path).map_err(failed)?);
            file.write_record(["difference", "key", "column", "source", "target"]).map_err(|e| failed(e.into()))?;
            self.file.insert(file)
        };
        for cell in &difference.cells {
            let value = |v: &Option<String>| v.clone().unwrap_or_default();
            let (source, target) = (value(&cell.source), value(&cell.target));
            file.write_record([difference.kind.word(), &difference.key, &cell.column, &source, &target])
                .map_err(|e| failed(e.into()))?;
        }
        Ok(())
    }

    /// Ends the file; its path, where there is one.
    pub fn finish(self) -> Result<Option<PathBuf>> {
        let Some(mut file) = self.file else { return Ok(None) };
        file.flush().map_err(|e| cannot_write(&self.path, e))?;
        Ok(Some(self.path))
    }
}

/// The file of a table in a folder.
#[must_use]
pub fn path(folder: &Path, table: &str) -> PathBuf {
    // A table may be named after a path, and no two tables share a file.
    let escaped = |c: char| match c {
        '/' | '\\' | '%' | '\0'..='\x1f' => format!("%{:02X}", u32::from(c)),
        c => c.to_string(),
    };
    let name: String = table.chars().map(escaped).collect();
    folder.join(format!("{name}.csv"))
}

/// A new file that only its owner may read, in place of an earlier one; its folder is made where it is missing.
pub fn open(path: &Path) -> io::Result<File> {
    let mut folder = DirBuilder::new();
    let mut file = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        folder.mode(0o700);
        file.mode(0o600);
    }
    if let Some(parent) = path.parent() {
        folder.recursive(true).create(parent)?;
    }
    // A file of an earlier run may be open to others; a new one is not.
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    file.write(true).create_new(true).open(path)
}

fn cannot_write(path: &Path, cause: io::Error) -> Error {
    Error::new(Kind::Failed, format!("the differences cannot be written to `{}`", path.display()))
        .cause(cause)
        .hint("`--differences-dir DIR` puts them elsewhere")
}
