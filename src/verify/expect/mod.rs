//! What the target must hold for a source cell, read from the raw cell by the column's rule.
//!
//! Owns the second reading of every source value, written from `model::conversion`, docs/types.md and the manuals of
//! both databases. Does not know how the load reads the same cell, and must not: a mistake made once is found, a
//! mistake made twice is not.

mod boolean;
mod calendar;
mod count;
mod decimal;
mod iso;
mod json;
mod moment;
mod rule;
mod text;
mod uuid;
mod written;

use super::form::Form;
use crate::error::Result;
use crate::model::cell::Cell;
use crate::model::plan::ColumnPlan;
use rule::{Rule, Scratch};

/// What is expected of the rows of one table.
///
/// Holds the scratch memory of its cells, so that a row allocates nothing once the largest was seen. One thread uses
/// one of these.
#[derive(Debug)]
pub struct Expectation {
    rules: Vec<Rule>,
    scratch: Scratch,
}

impl Expectation {
    /// The columns in the order in which cells will come. A rule that names an unknown zone is an error.
    pub fn new<'a>(columns: impl Iterator<Item = &'a ColumnPlan>) -> Result<Self> {
        let rules = columns.map(Rule::of).collect::<Result<_>>()?;
        Ok(Self { rules, scratch: Scratch::default() })
    }

    /// Appends what the target must hold for the cell of this column. A cell that the column's rule does not take is
    /// [`Form::no_value`], which equals nothing: the load refused it, or should have.
    #[inline]
    pub fn cell(&mut self, column: usize, cell: Cell<'_>, form: &mut Form) {
        if matches!(cell, Cell::Null) {
            form.null();
        } else if self.rules[column].read(cell, &mut self.scratch, form).is_none() {
            form.no_value();
        }
    }
}

#[cfg(test)]
mod tests;
