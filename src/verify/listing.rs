//! The file that lists what differs in one table, with values: only its owner may read it.

use crate::error::{Error, Kind, Result};
use crate::files;
use crate::model::verdict::Difference;
use std::fs::File;
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
        // A table may be named after a path, and no two tables share a file.
        let escaped = |c: char| match c {
            '/' | '\\' | '%' | '\0'..='\x1f' => format!("%{:02X}", u32::from(c)),
            c => c.to_string(),
        };
        let name: String = table.chars().map(escaped).collect();
        Self { path: folder.join(format!("{name}.csv")), file: None }
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

fn open(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        files::folder(parent)?;
    }
    // A file of an earlier run may be open to others; a new one is not.
    files::replace(path)
}

fn cannot_write(path: &Path, cause: io::Error) -> Error {
    Error::new(Kind::Failed, format!("the differences cannot be written to `{}`", path.display()))
        .cause(cause)
        .hint("`--differences-dir DIR` puts them elsewhere")
}
