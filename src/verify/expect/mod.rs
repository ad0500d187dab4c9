//! What the target must hold for a source cell, read from the raw cell by the column's rule.

use super::form::Form;
use crate::error::Result;
use crate::model::cell::Cell;
use crate::model::plan::ColumnPlan;

/// What is expected of the rows of one table.
#[derive(Debug)]
pub struct Expectation {}

impl Expectation {
    /// The columns in the order in which cells will come.
    pub fn new<'a>(_columns: impl Iterator<Item = &'a ColumnPlan>) -> Result<Self> {
        todo!("being written")
    }

    /// Appends what the target must hold for the cell of this column.
    pub fn cell(&mut self, _column: usize, _cell: Cell<'_>, _form: &mut Form) {
        todo!("being written")
    }
}
