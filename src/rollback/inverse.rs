//! Tables that a pipeline makes of others, on their way back: by the SELECTs that a person states over their rows.
//!
//! A SELECT is worked out twice: over the rows that SQLite's tables made, before anything is written, and over those of the
//! target. What it gives otherwise the second time is written. Whether that was right is not decided by it: the table,
//! made again of what is written then, must be what the target holds.

use super::carry::Carried;
use super::differ::{each_target_row, hash_of};
use super::down::{Down, Ids};
use super::export::Unfits;
use super::habit::Habit;
use crate::error::{Error, Kind, Result};
use crate::model::cell::Owned;
use crate::model::digest::SetDigest;
use crate::model::plan::TablePlan;
use crate::model::reshape::{Inverse, TableShape};
use crate::model::source::Table;
use crate::postgres::Transaction;
use crate::postgres::decode::Fields;
use crate::postgres::read::Chunk;
use crate::sqlite::inverse::{self, Beside};
use crate::verify::expect::Expectation;
use crate::verify::form::Form;

/// A table that is made of others.
#[derive(Clone, Copy)]
pub struct Made<'a> {
    /// What was planned for it.
    pub plan: &'a TablePlan,
    /// The same as SQLite makes it.
    pub table: &'a Table,
    /// What a person says of it.
    pub shape: &'a TableShape,
}

/// A SELECT that gives rows of a table of the source.
pub struct Stated<'a> {
    /// Whose rows go back by it.
    pub of: &'a TableShape,
    /// The SELECT.
    pub inverse: &'a Inverse,
    /// The table.
    pub base: &'a Table,
    /// Whether the table has no rows of its own on the target.
    pub comes_and_goes: bool,
}

/// What was done by the SELECTs.
pub type Turned = Vec<(String, String, inverse::Carried)>;

/// The tables whose rows are kept beside the copy, and the SELECTs over them.
pub struct Inverses<'a> {
    beside: Beside<'a>,
    tables: Vec<Kept<'a>>,
    stated: Vec<Stated<'a>>,
}

struct Kept<'a> {
    made: Made<'a>,
    names: Vec<String>,
    carried: Vec<Carried>,
    down: Down<'a>,
}

const WAS: &str = "was";
const IS: &str = "is";

fn place(what: &str, number: usize, time: &str) -> String {
    format!("lite2pg {what} {number} {time}")
}

impl<'a> Inverses<'a> {
    /// Keeps the rows that the tables have, and what the SELECTs give of them. Nothing may have been written yet.
    pub fn begin(
        beside: Beside<'a>,
        made: &[Made<'a>],
        stated: Vec<Stated<'a>>,
        ids: &'a Ids<'a>,
        look: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let mut tables = Vec::new();
        for (n, made) in made.iter().enumerate() {
            let names: Vec<String> = made.plan.compared().map(|c| c.source.clone()).collect();
            for time in [WAS, IS] {
                beside.place(&place("rows", n, time), &names)?;
            }
            let mut habits: Vec<Habit> = made.plan.compared().map(Habit::of).collect();
            let (mut expectation, mut form) = (Expectation::new(made.plan.compared())?, Form::default());
            let to = place("rows", n, WAS);
            beside.each(made.table, &places(made)?, false, &mut |cells| {
                look()?;
                form.clear();
                for (i, (cell, habit)) in cells.iter().zip(&mut habits).enumerate() {
                    expectation.cell(i, cell.cell(), &mut form);
                    habit.see(cell.cell());
                }
                beside.put(&to, cells, &hash_of(&form.digest()))
            })?;
            let carried =
                made.plan.compared().map(|column| Carried::of(Some(made.shape), made.table, column)).collect();
            let down = Down::new(made.plan, made.table, &habits, ids)?;
            tables.push(Kept { made: *made, names, carried, down });
        }
        let inverses = Self { beside, tables, stated };
        for k in 0..inverses.stated.len() {
            inverses.work_out(k, WAS)?;
        }
        Ok(inverses)
    }

    fn work_out(&self, k: usize, time: &str) -> Result<Vec<String>> {
        let Stated { of, inverse, .. } = &self.stated[k];
        let mut tables: Vec<(&str, &[String], String)> = Vec::new();
        for (n, kept) in self.tables.iter().enumerate() {
            tables.push((&kept.made.table.name, &kept.names, place("rows", n, time)));
        }
        let given = self.beside.work_out(&place("gives", k, time), &tables, &inverse.sql);
        given.map_err(|e| e.context(format!("`{}` cannot go back into `{}`", of.name, inverse.table)))
    }

    /// Takes the target's rows in, and carries what the SELECTs give of them into the source's tables. None where a value,
    /// or SQLite, has something against it, which is told then; what was written must be undone.
    pub fn turn(
        &mut self,
        tx: &mut Transaction<'_>,
        schema: &str,
        unfits: &mut Unfits,
        look: &dyn Fn() -> Result<()>,
    ) -> Result<std::result::Result<Turned, String>> {
        let Self { beside, tables, .. } = self;
        for (n, kept) in tables.iter_mut().enumerate() {
            let (was, is) = (place("rows", n, WAS), place("rows", n, IS));
            let Kept { made, carried, down, .. } = kept;
            let width = u16::try_from(carried.len()).unwrap_or(u16::MAX);
            let mut is_whole = true;
            each_target_row(made.plan, tx, schema, Chunk::WHOLE, look, |form, bytes| {
                let hash = hash_of(&form.digest());
                // A row that nobody changed keeps its spelling.
                if beside.put_alike(&was, &is, &hash)? {
                    return Ok(());
                }
                let wrong = || Error::new(Kind::Bug, "a row does not have the fields that were asked for");
                let mut fields = Fields::of(bytes, width).ok_or_else(wrong)?;
                let mut cells: Vec<Owned> = Vec::with_capacity(carried.len());
                for (i, carried) in carried.iter().enumerate() {
                    let field = fields.next().ok_or_else(wrong)?;
                    match down.cell(i, field, None, carried)? {
                        Ok((cell, _)) => cells.push(cell),
                        Err(reason) => {
                            let column = made.plan.compared().nth(i).map(|c| c.target.as_str());
                            unfits.count(&made.plan.target, column, &reason, "");
                            is_whole = false;
                            return Ok(());
                        }
                    }
                }
                beside.put(&is, &cells, &hash)
            })?;
            if !is_whole {
                return Ok(Err(format!("a value of `{}` has no cell", made.plan.target)));
            }
        }
        let mut turned = Turned::new();
        for (k, stated) in self.stated.iter().enumerate() {
            let columns = self.work_out(k, IS)?;
            let both = (place("gives", k, WAS), place("gives", k, IS));
            let done = self.beside.carry((&both.0, &both.1), stated.base, &columns, stated.comes_and_goes)?;
            match done {
                Ok(carried) => turned.push((stated.of.name.clone(), stated.base.name.clone(), carried)),
                Err(words) => return Ok(Err(words)),
            }
        }
        Ok(Ok(turned))
    }
}

/// What a table that is made of others holds as SQLite makes it now, the rows included that are set aside.
pub fn digest(beside: &Beside<'_>, made: &Made<'_>, look: &dyn Fn() -> Result<()>) -> Result<SetDigest> {
    let (mut expectation, mut form) = (Expectation::new(made.plan.compared())?, Form::default());
    let mut digest = SetDigest::default();
    beside.each(made.table, &places(made)?, true, &mut |cells| {
        look()?;
        form.clear();
        for (i, cell) in cells.iter().enumerate() {
            expectation.cell(i, cell.cell(), &mut form);
        }
        digest.add(&form.digest());
        Ok(())
    })?;
    Ok(digest)
}

// Where the compared columns are in the table as SQLite makes it.
fn places(made: &Made<'_>) -> Result<Vec<usize>> {
    let place = |name: &str| {
        made.table.column_index(name).ok_or_else(|| {
            Error::new(Kind::Blocked, format!("the source gives no column `{}.{name}` any more", made.table.name))
                .state("nothing was restored")
        })
    };
    made.plan.compared().map(|c| place(&c.source)).collect()
}
