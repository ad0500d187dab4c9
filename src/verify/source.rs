//! The digest of source rows: in the load's own pass, or in a reading of its own.

use super::adder::Adder;
use super::expect::Expectation;
use super::form::{Form, VERSION};
use crate::error::Result;
use crate::model::digest::SetDigest;
use crate::model::plan::TablePlan;
use crate::model::policy::Place;
use crate::sqlite::RowRef;
use std::collections::HashSet;

/// Adds up what the target must hold for the rows of one table. The rows' cells are those of
/// [`TablePlan::compared`], in that order.
#[derive(Debug)]
pub struct SourceDigest {
    expectation: Expectation,
    columns: usize,
    form: Form,
    rows: Adder,
    rejected: HashSet<Place>,
    place: Place,
}

impl SourceDigest {
    /// A digest without rows.
    pub fn new(table: &TablePlan) -> Result<Self> {
        Ok(Self {
            expectation: Expectation::new(table.compared())?,
            columns: table.compared().count(),
            form: Form::default(),
            rows: Adder::default(),
            rejected: HashSet::new(),
            place: Place::BEFORE,
        })
    }

    /// The same for a table of which rows were set aside: [`SourceDigest::takes`] tells them.
    #[must_use]
    pub fn without(self, rejected: Option<&HashSet<Place>>) -> Self {
        Self { rejected: rejected.cloned().unwrap_or_default(), ..self }
    }

    /// Whether the row that comes next, by its key, is one that must be on the target. To be asked of each row once, in
    /// the table's own order.
    #[inline]
    pub fn takes(&mut self, key: i64) -> bool {
        if self.rejected.is_empty() {
            return true;
        }
        self.place = self.place.next(key);
        !self.rejected.contains(&self.place)
    }

    /// Before the table is read once more.
    pub fn restart(&mut self) {
        self.place = Place::BEFORE;
    }

    /// Puts a row in.
    #[inline]
    pub fn add(&mut self, row: &RowRef<'_>) {
        self.form(row);
        self.rows.add(&mut self.form);
    }

    /// Puts a row in by its form.
    pub fn add_form(&mut self, form: &mut Form) {
        self.rows.add(form);
    }

    /// The form of a row, unless PostgreSQL casts some of its cells: [`Waiting`](super::waiting::Waiting) tells that one.
    #[inline]
    pub fn form(&mut self, row: &RowRef<'_>) -> &Form {
        self.form.clear();
        for i in 0..self.columns {
            self.expectation.cell(i, row.cell(i), &mut self.form);
        }
        &self.form
    }

    /// The rows so far.
    pub fn set(&mut self) -> SetDigest {
        self.rows.set()
    }
}

/// The bytes of a digest as a checkpoint keeps them: the version of the form, then the digest.
#[must_use]
pub fn to_stored(digest: SetDigest) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&digest.to_bytes());
    bytes
}

/// Reads a stored digest; `None` where it was made under another version of the form.
#[must_use]
pub fn from_stored(bytes: &[u8]) -> Option<SetDigest> {
    let (version, digest) = bytes.split_first()?;
    if *version == VERSION { SetDigest::from_bytes(digest) } else { None }
}
