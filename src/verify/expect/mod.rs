//! What the target must hold for a source cell, read from the raw cell by the column's rule.
//!
//! Owns the second reading of every source value, written from `model::conversion`, docs/types.md and the manuals of
//! both databases. Does not know how the load reads the same cell, and must not: a mistake made once is found, a
//! mistake made twice is not.

mod boolean;
mod calendar;
mod count;
mod decimal;
mod id;
mod iso;
mod json;
mod list;
mod moment;
mod rule;
mod text;
mod uuid;
mod written;

use super::form::Form;
use super::found::Finder;
use crate::error::Result;
use crate::model::cell::Cell;
use crate::model::plan::ColumnPlan;
use crate::model::policy::Policy;
use rule::{Rule, Scratch};

/// What is expected of the rows of one table.
///
/// Holds the scratch memory of its cells, so that a row allocates nothing once the largest was seen. One thread uses
/// one of these.
#[derive(Debug)]
pub struct Expectation {
    rules: Vec<Rule>,
    replaced: Vec<Replacement>,
    scratch: Scratch,
}

// What stands in the place of a cell that the column's rule does not take.
#[derive(Debug)]
struct Replacement {
    // Its form; none where no policy replaces it.
    form: Option<Form>,
    // What NULL is.
    of_null: OfNull,
}

#[derive(Debug)]
enum OfNull {
    // Itself.
    Null,
    // A cell like any other that the rule does not take.
    Misfit,
    // The column's default.
    Default(Form),
}

impl Replacement {
    fn of(column: &ColumnPlan) -> Result<Self> {
        // The server made the field, so that it is read as what the target holds.
        let default = || -> Result<Form> {
            let mut form = Form::default();
            Finder::new(std::iter::once(column)).field(0, column.fallback.as_deref(), &mut form)?;
            Ok(form)
        };
        let form = match column.on_error {
            Policy::Fail | Policy::Reject => None,
            Policy::Null => {
                let mut form = Form::default();
                form.null();
                Some(form)
            }
            Policy::Default => Some(default()?),
        };
        let of_null = match (column.null_is_default, column.on_error) {
            (true, _) => OfNull::Default(default()?),
            (false, Policy::Null | Policy::Default) if column.not_null => OfNull::Misfit,
            _ => OfNull::Null,
        };
        Ok(Self { form, of_null })
    }
}

impl Expectation {
    /// The columns in the order in which cells will come. A rule that names an unknown zone is an error.
    pub fn new<'a>(columns: impl Iterator<Item = &'a ColumnPlan>) -> Result<Self> {
        let of = |c: &ColumnPlan| Ok((Rule::of(c)?, Replacement::of(c)?));
        let (rules, replaced) = columns.map(of).collect::<Result<Vec<_>>>()?.into_iter().unzip();
        Ok(Self { rules, replaced, scratch: Scratch::default() })
    }

    /// Appends what the target must hold for the cell of this column. For a cell that the column's rule does not take, that
    /// is what its policy puts in the place; without such a policy it is [`Form::no_value`], which equals nothing: the load
    /// refused it, or should have.
    ///
    /// Not for columns whose values PostgreSQL casts: what it makes of [`Expectation::text_to_cast`] is the value.
    #[inline]
    pub fn cell(&mut self, column: usize, cell: Cell<'_>, form: &mut Form) {
        if matches!(cell, Cell::Null) {
            match &self.replaced[column].of_null {
                OfNull::Null => form.null(),
                OfNull::Misfit => put(self.replaced[column].form.as_ref(), form),
                OfNull::Default(default) => form.append(default.bytes()),
            }
        } else if self.rules[column].read(cell, &mut self.scratch, form).is_none() {
            put(self.replaced[column].form.as_ref(), form);
        }
    }
}

impl Expectation {
    /// The text that PostgreSQL is to cast for the cell of this column. None where that is not asked: then what must be
    /// there was appended.
    pub fn text_to_cast<'a>(&'a mut self, column: usize, cell: Cell<'a>, form: &mut Form) -> Option<&'a [u8]> {
        if matches!(cell, Cell::Null) {
            self.cell(column, cell, form);
            return None;
        }
        let found = self.rules[column].text_to_cast(cell, &mut self.scratch);
        if found.is_none() {
            put(self.replaced[column].form.as_ref(), form);
        }
        found
    }

    /// Appends what PostgreSQL made of the text of this column's cell: none where it refuses it.
    pub fn cast(&self, column: usize, text: Option<&str>, form: &mut Form) {
        match text {
            Some(text) => form.text(text.as_bytes()),
            None => put(self.replaced[column].form.as_ref(), form),
        }
    }
}

#[cold]
fn put(replacement: Option<&Form>, form: &mut Form) {
    match replacement {
        Some(replacement) => form.append(replacement.bytes()),
        None => form.no_value(),
    }
}

#[cfg(test)]
mod tests;
