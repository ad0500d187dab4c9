//! The verifier put to the test in every run: changes that are planted in a scratch copy of a table must change its
//! digest, and must be located. A verifier that finds no difference anywhere may just be blind.
//!
//! Owns which changes are planted, and what must come of each. The copy is a temporary table on the target, read by
//! the very path that all rows take; where the server allows none, it is a copy in memory.

use super::adder::Adder;
use super::form::{self, Form};
use super::found::Finder;
use super::locate::{EachRow, Key, Side, Sides, Wanted, locate};
use super::target;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::model::conversion::Conversion;
use crate::model::digest::SetDigest;
use crate::model::pg_type::PgType;
use crate::model::plan::{ColumnPlan, KeyPlan, TablePlan};
use crate::model::policy::Policy;
use crate::model::verdict::{Difference, Differences, Kind};
use crate::postgres::decode::Rows;
use crate::postgres::read::Chunk;
use crate::postgres::{Transaction, scratch};

/// A change. Rows are told by their number in the copy, columns by their position in it; the first is the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// One cell, a little.
    Cell {
        /// The row.
        row: i64,
        /// The column.
        column: usize,
    },
    /// One cell loses its value.
    Clear {
        /// The row.
        row: i64,
        /// The column.
        column: usize,
    },
    /// An empty cell gets the value of another row.
    Fill {
        /// The row.
        row: i64,
        /// The row with the value.
        from: i64,
        /// The column.
        column: usize,
    },
    /// Two rows swap their cells.
    Swap {
        /// The rows.
        rows: (i64, i64),
        /// The column.
        column: usize,
    },
    /// A row is lost.
    Delete {
        /// The row.
        row: i64,
    },
    /// A row is there twice.
    Double {
        /// The row.
        row: i64,
    },
}

/// Rows in which changes can be planted.
pub trait Scratch {
    /// Hands out the form of each row as it is now.
    fn each(&mut self, row: &mut dyn FnMut(&Form) -> Result<()>) -> Result<()>;
    /// Makes a change. False where it cannot be made; then nothing was done.
    fn plant(&mut self, change: Change) -> Result<bool>;
    /// Takes the last change back.
    fn undo(&mut self) -> Result<()>;
}

/// The plan of a scratch copy: the compared columns of a table, and each row's number in front of them.
#[must_use]
pub fn plan(table: &TablePlan) -> TablePlan {
    let mut number = "lite2pg_row".to_owned();
    while table.columns.iter().any(|c| c.target == number) {
        number.push('_');
    }
    let column = ColumnPlan {
        source: number.clone(),
        declared: String::new(),
        target: number.clone(),
        pg_type: PgType::Int8,
        conversion: Conversion::Int { bytes: 8 },
        stand_ins: false,
        is_rule: false,
        on_error: Policy::Fail,
        fallback: None,
        null_is_default: false,
        not_null: true,
        default: None,
        generated: None,
        identity: None,
        evidence: String::new(),
    };
    // What the server computes is an ordinary column of a copy.
    let ordinary = |c: &ColumnPlan| ColumnPlan { generated: None, on_error: Policy::Fail, ..c.clone() };
    TablePlan {
        target: scratch::TABLE.to_owned(),
        columns: std::iter::once(column).chain(table.compared().map(ordinary)).collect(),
        primary_key: Some(KeyPlan { name: String::new(), columns: vec![number] }),
        ..table.clone()
    }
}

/// Plants one change after the other, and gives the number of those that were made: all of them were found. One that
/// was not is an error of [`ErrorKind::Bug`].
pub fn test(scratch: &mut dyn Scratch, table: &TablePlan) -> Result<u32> {
    let mut before = Recorded::of(scratch)?;
    let key = Key::of(table);
    let mut found = 0;
    for change in changes(table, &before.rows) {
        if !scratch.plant(change)? {
            continue;
        }
        let mut after = Recorded::of(scratch)?;
        scratch.undo()?;
        if before.digest == after.digest {
            return Err(blind(table, change, "the digest of the copy is as it was"));
        }
        let (differences, located) = search(&key, &mut before, &mut after)?;
        if !is_right(table, change, &differences, &located) {
            return Err(blind(table, change, "the digest changed, and the search for it found something else"));
        }
        found += 1;
    }
    if Recorded::of(scratch)?.digest != before.digest {
        return Err(broken(table).fact("the copy differs from itself after all changes were taken back"));
    }
    Ok(found)
}

fn search(key: &Key, before: &mut Recorded, after: &mut Recorded) -> Result<(Differences, Vec<Difference>)> {
    let mut located = Vec::new();
    let wanted = Wanted { rows_max: 10, values: false };
    let mut sides = Sides { source: before, target: after };
    let differences = locate(key, &mut sides, wanted, &mut |difference| {
        located.push(difference.clone());
        Ok(())
    })?;
    Ok((differences, located))
}

fn is_right(table: &TablePlan, change: Change, differences: &Differences, located: &[Difference]) -> bool {
    let Differences { missing, extra, changed, columns, .. } = differences;
    let (kind, rows, column) = match change {
        Change::Cell { row, column } | Change::Clear { row, column } | Change::Fill { row, column, .. } => {
            (Kind::Changed, vec![row], Some(column))
        }
        Change::Swap { rows: (a, b), column } => (Kind::Changed, vec![a, b], Some(column)),
        Change::Delete { row } => (Kind::Missing, vec![row], None),
        Change::Double { row } => (Kind::Extra, vec![row], None),
    };
    let number = &table.columns[0].target;
    let count = |of: Kind| if kind == of { rows.len() as u64 } else { 0 };
    let named = column.map(|i| (table.columns[i].target.clone(), rows.len() as u64));
    (*missing, *extra, *changed) == (count(Kind::Missing), count(Kind::Extra), count(Kind::Changed))
        && columns.iter().eq(named.iter())
        && located.len() == rows.len()
        && rows.iter().all(|row| located.iter().any(|l| l.kind == kind && l.key == format!("{number}={row}")))
}

/// The changes that these rows have room for: each type once, then what can happen to cells and rows of any type.
fn changes(table: &TablePlan, rows: &[Form]) -> Vec<Change> {
    let cells: Vec<Vec<&[u8]>> = rows.iter().map(|row| form::cells(row.bytes()).collect()).collect();
    let number = |row: &Vec<&[u8]>| if let form::Value::Int(n) = form::value(row[0]) { n } else { 0 };
    let is_null = |cell: &[u8]| form::value(cell) == form::Value::Null;
    let filled = |column: usize| cells.iter().find(|row| !is_null(row[column])).map(number);
    let columns = 1..table.columns.len();
    let mut types: Vec<&PgType> = Vec::new();
    let mut changes = Vec::new();
    for column in columns.clone() {
        let pg_type = &table.columns[column].pg_type;
        if let Some(row) = filled(column).filter(|_| !types.contains(&pg_type)) {
            types.push(pg_type);
            changes.push(Change::Cell { row, column });
        }
    }
    changes.extend(columns.clone().find_map(|column| Some(Change::Clear { row: filled(column)?, column })));
    changes.extend(columns.clone().find_map(|column| {
        let row = cells.iter().find(|row| is_null(row[column])).map(number)?;
        Some(Change::Fill { row, from: filled(column)?, column })
    }));
    changes.extend(columns.clone().find_map(|column| {
        let other = cells.iter().find(|row| row[column] != cells[0][column]).map(number)?;
        Some(Change::Swap { rows: (number(&cells[0]), other), column })
    }));
    if let (Some(first), Some(last)) = (cells.first(), cells.last()) {
        changes.extend([Change::Delete { row: number(last) }, Change::Double { row: number(first) }]);
    }
    changes
}

fn broken(table: &TablePlan) -> Error {
    Error::new(ErrorKind::Bug, format!("the verifier is broken: it failed its own test on rows of `{}`", table.source))
        .state("the target is as it was; nothing of it counts as verified")
        .hint("this is a fault of lite2pg; please report it")
}

fn blind(table: &TablePlan, change: Change, what: &str) -> Error {
    let column = |i: usize| format!("`{}` ({})", table.columns[i].target, table.columns[i].pg_type);
    let planted = match change {
        Change::Cell { column: c, .. } => format!("a changed cell of {}", column(c)),
        Change::Clear { column: c, .. } => format!("NULL for a value of {}", column(c)),
        Change::Fill { column: c, .. } => format!("a value for a NULL of {}", column(c)),
        Change::Swap { column: c, .. } => format!("two swapped cells of {}", column(c)),
        Change::Delete { .. } => "a deleted row".to_owned(),
        Change::Double { .. } => "a row that is there twice".to_owned(),
    };
    broken(table).fact(format!("planted in a scratch copy, and not found: {planted}")).fact(what)
}

// The rows of a copy at one time.
struct Recorded {
    rows: Vec<Form>,
    digest: SetDigest,
}

impl Recorded {
    fn of(scratch: &mut dyn Scratch) -> Result<Self> {
        let (mut rows, mut adder) = (Vec::new(), Adder::default());
        scratch.each(&mut |form| {
            adder.add(&mut form.clone());
            rows.push(form.clone());
            Ok(())
        })?;
        Ok(Self { rows, digest: adder.set() })
    }
}

impl Side for Recorded {
    fn each(&mut self, row: &mut EachRow<'_>) -> Result<()> {
        self.rows.iter().try_for_each(|form| row(form, &|_| String::new()))
    }
}

/// A temporary table on the target, in a transaction that must not be committed.
pub struct OnServer<'a, 'b> {
    /// The transaction in which [`scratch::create`] made it.
    pub tx: &'a mut Transaction<'b>,
    /// Its plan.
    pub table: &'a TablePlan,
}

impl Scratch for OnServer<'_, '_> {
    fn each(&mut self, row: &mut dyn FnMut(&Form) -> Result<()>) -> Result<()> {
        target::read(self.tx, scratch::SCHEMA, self.table, Chunk::WHOLE, |form| row(form), |_, _| Ok(()))
    }

    fn plant(&mut self, change: Change) -> Result<bool> {
        let (tx, number) = (&*self.tx, &*self.table.columns[0].target);
        let of = |i: usize| (&*self.table.columns[i].target, &self.table.columns[i].pg_type);
        match change {
            Change::Cell { row, column } => scratch::change(tx, number, row, of(column).0, of(column).1),
            Change::Clear { row, column } => scratch::clear(tx, number, row, of(column).0, of(column).1),
            Change::Fill { row, from, column } => {
                scratch::take_from(tx, number, (row, from), of(column).0, of(column).1)
            }
            Change::Swap { rows, column } => scratch::swap(tx, number, rows, of(column).0),
            Change::Delete { row } => scratch::delete(tx, number, row),
            Change::Double { row } => scratch::double(tx, number, row),
        }
    }

    fn undo(&mut self) -> Result<()> {
        scratch::undo(self.tx)
    }
}

/// A copy in memory: fields as the server sent them, read again by the path that all rows take.
pub struct InMemory<'a> {
    table: &'a TablePlan,
    rows: Vec<Vec<Option<Vec<u8>>>>,
    before: Vec<Vec<Option<Vec<u8>>>>,
}

impl<'a> InMemory<'a> {
    /// Keeps the rows that this statement sends: the copy's columns, in its order.
    pub fn of(tx: &mut Transaction<'_>, sql: &str, table: &'a TablePlan) -> Result<Self> {
        let (mut rows, mut stream) = (Vec::new(), Rows::default());
        let mut copy = tx.copy_out(sql)?;
        while let Some(piece) = copy.next()? {
            stream.feed(&piece, |mut fields| {
                let mut row = Vec::with_capacity(table.columns.len());
                while let Some(field) = fields.next() {
                    row.push(field.map(<[u8]>::to_vec));
                }
                rows.push(row);
                Ok(())
            })?;
        }
        stream.finish()?;
        Ok(Self { table, before: Vec::new(), rows })
    }

    /// Whether there is no row to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    // Rows are numbered from 1 in the order in which they came.
    fn cell(&mut self, row: i64, column: usize) -> &mut Option<Vec<u8>> {
        &mut self.rows[row as usize - 1][column]
    }
}

impl Scratch for InMemory<'_> {
    fn each(&mut self, row: &mut dyn FnMut(&Form) -> Result<()>) -> Result<()> {
        let (mut stream, mut finder) = (Rows::default(), Finder::new(self.table.compared()));
        let mut form = Form::default();
        stream.feed(&scratch::stream(&self.rows), |fields| {
            form.clear();
            finder.row(fields, &mut form)?;
            row(&form)
        })?;
        stream.finish()
    }

    fn plant(&mut self, change: Change) -> Result<bool> {
        self.before = self.rows.clone();
        match change {
            Change::Cell { row, column } => {
                let pg_type = &self.table.columns[column].pg_type;
                if let Some(field) = self.cell(row, column) {
                    nudge(field, pg_type);
                }
            }
            Change::Clear { row, column } => *self.cell(row, column) = None,
            Change::Fill { row, from, column } => *self.cell(row, column) = self.cell(from, column).clone(),
            Change::Swap { rows: (a, b), column } => {
                let (of_a, of_b) = (self.cell(a, column).take(), self.cell(b, column).take());
                *self.cell(a, column) = of_b;
                *self.cell(b, column) = of_a;
            }
            Change::Delete { row } => {
                self.rows.remove(row as usize - 1);
            }
            Change::Double { row } => self.rows.push(self.rows[row as usize - 1].clone()),
        }
        Ok(self.rows != self.before)
    }

    fn undo(&mut self) -> Result<()> {
        self.rows = std::mem::take(&mut self.before);
        Ok(())
    }
}

// A field's neighbour, as the type's binary form has it.
fn nudge(field: &mut Vec<u8>, pg_type: &PgType) {
    match pg_type {
        PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::TextLike(_) | PgType::Cast(_) => field.push(b'x'),
        PgType::Json => field.push(b' '),
        PgType::Bytea => field.push(0),
        PgType::Jsonb => {
            field.insert(1, b'[');
            field.push(b']');
        }
        // Digits of base 10 000 after a head of eight bytes; what has none is zero or no number, and becomes 1.
        PgType::Numeric(_) if field.len() <= 8 => *field = vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 1],
        // 2 for 1, 1 for 0, and so on: never 0 for the last digit, which would be none, nor beyond 9999.
        PgType::Numeric(_) => {
            if let Some(last) = field.last_mut() {
                *last ^= if *last < 4 { 4 } else { 1 };
            }
        }
        // NaN is NaN whatever its last bit is.
        PgType::Float4 | PgType::Float8 => {
            let is_special = field[0] & 0x7f == 0x7f;
            if let Some(byte) = if is_special { field.first_mut() } else { field.last_mut() } {
                *byte ^= 1;
            }
        }
        _ => {
            if let Some(last) = field.last_mut() {
                *last ^= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests;
