//! What cannot go back: counted for the summary, and, where somebody wants it, listed with its values.

use crate::error::{Error, Kind, Result};
use crate::model::bounds::UNFIT_KEYS_MAX;
use crate::model::restored::{Reason, Unfit};
use crate::postgres::stranger::Stranger;
use crate::verify::listing::ListFile;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The argument that says where the files go.
const ARGUMENT: &str = "--export-unmappable";

/// The list of one way back.
#[derive(Default)]
pub struct Unfits {
    folder: Option<PathBuf>,
    // In the order of tables, columns and reasons.
    found: BTreeMap<(String, Option<String>, String), Unfit>,
    open: Option<(String, ListFile)>,
}

impl Unfits {
    /// A list that goes to files in this folder too, where there is one.
    #[must_use]
    pub fn new(folder: Option<&Path>) -> Self {
        Self { folder: folder.map(Path::to_owned), ..Self::default() }
    }

    /// Whether everything can go back so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Whether what cannot go back is kept in files.
    #[must_use]
    pub fn is_exported(&self) -> bool {
        self.folder.is_some()
    }

    /// Counts a value, or a row where no column is named.
    pub fn count(&mut self, table: &str, column: Option<&str>, reason: &Reason, key: &str) {
        let at = (table.to_owned(), column.map(str::to_owned), reason.phrase());
        let file = self.folder.as_deref().map(|folder| ListFile::path(folder, table).display().to_string());
        let unfit = self.found.entry(at).or_insert_with(|| Unfit {
            table: table.to_owned(),
            column: column.map(str::to_owned),
            reason: reason.phrase(),
            count: 0,
            keys: Vec::new(),
            file,
        });
        unfit.count += 1;
        if unfit.keys.len() < UNFIT_KEYS_MAX && !key.is_empty() {
            unfit.keys.push(key.to_owned());
        }
    }

    /// Lists a value.
    pub fn list(&mut self, table: &str, key: &str, column: &str, value: Option<&str>, reason: &Reason) -> Result<()> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        if self.open.as_ref().is_none_or(|(of, _)| of != table) {
            self.close()?;
            let mut file = ListFile::create(&folder, table, ARGUMENT)?;
            file.record(["key", "column", "is_null", "value", "reason"])?;
            self.open = Some((table.to_owned(), file));
        }
        let (_, file) = self.open.as_mut().expect("it was just opened");
        let null = if value.is_none() { "true" } else { "false" };
        file.record([key, column, null, value.unwrap_or_default(), &reason.phrase()])
    }

    /// Adds a table or column that only the target has, or has of a type without a way back, and the file that holds it.
    pub fn stranger(&mut self, stranger: &Stranger, count: u64, file: Option<&Path>) {
        let Stranger { table, column, was_filled } = stranger.clone();
        let reason = match (&column, was_filled) {
            (Some(_), true) => "its type there has no way back, and PostgreSQL has values in it",
            (Some(_), false) => "SQLite never had the column, and PostgreSQL has values in it",
            (None, _) => "SQLite never had the table, and PostgreSQL has rows in it",
        };
        let at = (table.clone(), column.clone(), reason.to_owned());
        let file = file.map(|path| path.display().to_string());
        let unfit = Unfit { table, column, reason: reason.to_owned(), count, keys: Vec::new(), file };
        self.found.insert(at, unfit);
    }

    /// Adds a table that differs and has no way back, and the file that holds its rows.
    pub fn one_way(&mut self, table: &str, why: &str, rows: u64, file: Option<&Path>) {
        let reason = format!("PostgreSQL changed the table, which has no way back: {why}");
        let file = file.map(|path| path.display().to_string());
        let unfit = Unfit { table: table.to_owned(), column: None, reason, count: rows, keys: Vec::new(), file };
        self.found.insert((table.to_owned(), None, why.to_owned()), unfit);
    }

    /// The folder, where values are to be listed.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Ends the files; everything that was counted.
    pub fn finish(mut self) -> Result<Vec<Unfit>> {
        self.close()?;
        Ok(self.found.into_values().collect())
    }

    fn close(&mut self) -> Result<()> {
        self.open.take().map_or(Ok(()), |(_, mut file)| file.finish())
    }
}

/// The error where a list cannot be written.
#[must_use]
pub fn cannot_write(path: &Path, cause: io::Error) -> Error {
    Error::new(Kind::Failed, format!("what cannot go back cannot be written to `{}`", path.display()))
        .state("nothing was restored; the source and earlier files are as they were")
        .cause(cause)
}
