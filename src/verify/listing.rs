//! Files that list rows of one table with their values, what differs or what was set aside: only their owner may read
//! them.

use crate::error::{Error, Kind, Result};
use crate::files;
use crate::model::cell::Cell;
use crate::model::verdict::Difference;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A CSV file with a line for each cell that differs; made when the first one comes.
pub struct Listing {
    folder: PathBuf,
    table: String,
    file: Option<ListFile>,
}

impl Listing {
    /// The file of a table in this folder.
    #[must_use]
    pub fn new(folder: &Path, table: &str) -> Self {
        Self { folder: folder.to_path_buf(), table: table.to_owned(), file: None }
    }

    /// Adds the cells of one row.
    pub fn add(&mut self, difference: &Difference) -> Result<()> {
        let file = if let Some(file) = &mut self.file {
            file
        } else {
            let mut file = ListFile::create(&self.folder, &self.table, "--differences-dir")?;
            file.record(["difference", "key", "column", "source", "target"])?;
            self.file.insert(file)
        };
        for cell in &difference.cells {
            let value = |v: &Option<String>| v.clone().unwrap_or_default();
            let (source, target) = (value(&cell.source), value(&cell.target));
            file.record([difference.kind.word(), &difference.key, &cell.column, &source, &target])?;
        }
        Ok(())
    }

    /// Ends the file; its path, where there is one.
    pub fn finish(self) -> Result<Option<PathBuf>> {
        let Some(mut file) = self.file else { return Ok(None) };
        file.finish()?;
        Ok(Some(file.path))
    }
}

/// A CSV file about one table, with values: only its owner may read it.
pub struct ListFile {
    path: PathBuf,
    argument: &'static str,
    file: csv::Writer<File>,
}

impl ListFile {
    /// Where the file of a table is, or would be.
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

    /// Makes the file, in the place of one that was there. `argument` is the one that puts it elsewhere.
    pub fn create(folder: &Path, table: &str, argument: &'static str) -> Result<Self> {
        let path = Self::path(folder, table);
        let file = open(&path).map_err(|e| cannot_write(&path, argument, e))?;
        Ok(Self { path, argument, file: csv::Writer::from_writer(file) })
    }

    /// Removes the file of a table, where there is one.
    pub fn remove(folder: &Path, table: &str, argument: &'static str) -> Result<()> {
        let path = Self::path(folder, table);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(cannot_write(&path, argument, e)),
            _ => Ok(()),
        }
    }

    /// Adds a line.
    pub fn record<'a>(&mut self, fields: impl IntoIterator<Item = &'a str>) -> Result<()> {
        self.file.write_record(fields).map_err(|e| cannot_write(&self.path, self.argument, e.into()))
    }

    /// Ends the file: all of it is on the disk.
    pub fn finish(&mut self) -> Result<()> {
        let ended = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        ended.map_err(|e| cannot_write(&self.path, self.argument, e))
    }
}

/// A cell as SQLite writes it in SQL, whole: NULL, `''` and `'NULL'` are three things, and it can be loaded again.
#[must_use]
pub fn literal(cell: Cell<'_>) -> String {
    match cell {
        Cell::Null => "NULL".to_owned(),
        Cell::Integer(number) => number.to_string(),
        // SQLite reads 9e999 as Infinity, and has no word for it.
        Cell::Real(number) if number.is_infinite() => if number > 0.0 { "9e999" } else { "-9e999" }.to_owned(),
        Cell::Real(number) => format!("{number:?}"),
        Cell::Text(text) => match std::str::from_utf8(text) {
            Ok(clean) if !clean.contains('\0') => format!("'{}'", clean.replace('\'', "''")),
            _ => format!("CAST(X'{}' AS TEXT)", digits(text)),
        },
        Cell::Blob(bytes) => format!("X'{}'", digits(bytes)),
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Makes a file of the list kind, in the place of one that was there; its folder is made where it is missing.
pub fn open(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        files::folder(parent)?;
    }
    // A file of an earlier run may be open to others; a new one is not.
    files::replace(path)
}

fn cannot_write(path: &Path, argument: &str, cause: io::Error) -> Error {
    Error::new(Kind::Failed, format!("`{}` cannot be written", path.display()))
        .cause(cause)
        .hint(format!("`{argument} DIR` puts it elsewhere"))
}
