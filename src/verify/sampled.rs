//! A sample of the source's rows, each looked up on the target by its key and compared cell by cell.
//!
//! Owns which rows can be looked up, and what a look-up says. What a sample finds is there; what it does not find may be.

use super::form::{self, Form, Number, Value};
use super::locate::{EachRow, Key, Side, Sides, Wanted, locate};
use super::show;
use super::target;
use crate::error::Result;
use crate::model::bounds::{LOOKUP_BYTES_MAX, LOOKUP_ROWS};
use crate::model::digest::SetDigest;
use crate::model::pg_type::PgType;
use crate::model::plan::TablePlan;
use crate::model::verdict::{Difference, Differences, Kind};
use crate::postgres::Transaction;
use crate::postgres::lookup::{KeyCell, copy_out};
use std::collections::HashMap;

/// Rows in memory, as one side of a comparison.
#[derive(Debug, Default)]
struct Held(Vec<(Form, Vec<String>)>);

impl Held {
    fn digest(&self) -> SetDigest {
        let mut set = SetDigest::default();
        self.0.iter().for_each(|(form, _)| set.add(&form.digest()));
        set
    }
}

impl Side for Held {
    fn each(&mut self, row: &mut EachRow<'_>) -> Result<()> {
        self.0.iter().try_for_each(|(form, cells)| row(form, &|i| cells[i].clone()))
    }
}

/// Compares rows of one table, a batch at a time.
pub struct Lookup<'a, 't> {
    tx: &'a mut Transaction<'t>,
    schema: &'a str,
    table: &'a TablePlan,
    key: &'a Key,
    /// No two rows of the source share a key, so that a second one on the target is one too many.
    is_unique: bool,
    rows_max: u64,
    found: &'a mut dyn FnMut(&Difference) -> Result<()>,
    batch: Held,
    keys: Vec<Vec<KeyCell>>,
    bytes: usize,
    /// What came of it so far.
    pub so_far: SoFar,
}

/// What came of a sample.
#[derive(Debug, Default)]
pub struct SoFar {
    /// Rows that were compared.
    pub rows: u64,
    /// Rows that were passed over, because their key holds NULL or something too long to be looked up.
    pub passed: u64,
    /// What differs.
    pub differences: Differences,
    columns: HashMap<String, u64>,
}

impl<'a, 't> Lookup<'a, 't> {
    /// Compares the rows of this table, and hands those that differ to `found` until there are `rows_max`.
    pub fn new(
        tx: &'a mut Transaction<'t>,
        schema: &'a str,
        table: &'a TablePlan,
        (key, is_unique): (&'a Key, bool),
        rows_max: u64,
        found: &'a mut dyn FnMut(&Difference) -> Result<()>,
    ) -> Self {
        let so_far =
            SoFar { differences: Differences { complete: true, ..Differences::default() }, ..SoFar::default() };
        let (batch, keys) = (Held::default(), Vec::new());
        Self { tx, schema, table, key, is_unique, rows_max, found, batch, keys, bytes: 0, so_far }
    }

    /// Whether as many rows differ as are wanted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        rows_of(&self.so_far.differences) >= self.rows_max
    }

    /// Puts a row of the source in: its form, and what shows its cells.
    pub fn add(&mut self, form: &Form, show: impl Fn(usize) -> String) -> Result<()> {
        let cells: Vec<&[u8]> = form::cells(form.bytes()).collect();
        match key_of(&cells, self.key.columns()) {
            Place::Unusable => {
                self.so_far.passed += 1;
                return Ok(());
            }
            // No row of the target has such a key.
            Place::Nowhere => {}
            Place::Key(key) => self.keys.push(key),
        }
        let shown: Vec<String> = (0..cells.len()).map(show).collect();
        self.bytes += form.bytes().len() + shown.iter().map(String::len).sum::<usize>();
        self.batch.0.push((form.clone(), shown));
        self.so_far.rows += 1;
        if self.batch.0.len() >= LOOKUP_ROWS || self.bytes >= LOOKUP_BYTES_MAX { self.compare() } else { Ok(()) }
    }

    /// Compares what was put in since the last time.
    pub fn compare(&mut self) -> Result<()> {
        let (mut source, keys) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.keys));
        self.bytes = 0;
        if source.0.is_empty() || self.is_full() {
            self.so_far.differences.complete &= source.0.is_empty();
            return Ok(());
        }
        let mut target = Held::default();
        if !keys.is_empty() {
            let columns: Vec<_> = self.table.compared().map(|c| (&*c.target, &c.pg_type)).collect();
            let key: Vec<(&str, &PgType)> = self.key.columns().iter().map(|&i| columns[i]).collect();
            let sql = copy_out(self.schema, self.table, &key, &keys);
            let keep = |form: &mut Form| {
                let shown = form::cells(form.bytes()).map(show::cell).collect();
                target.0.push((form.clone(), shown));
                Ok(())
            };
            target::read_copy(self.tx, &sql, self.table, keep, |_, _| Ok(()))?;
        }
        if source.digest() == target.digest() {
            return Ok(());
        }
        let before = rows_of(&self.so_far.differences);
        let wanted = Wanted { rows_max: self.rows_max.saturating_sub(before).max(1), values: true };
        let (is_unique, found) = (self.is_unique, &mut *self.found);
        let mut sides = Sides { source: &mut source, target: &mut target };
        let differences = locate(self.key, &mut sides, wanted, &mut |difference| {
            // Where a key repeats, the others of its rows are not in the sample.
            if difference.kind == Kind::Extra && !is_unique { Ok(()) } else { found(difference) }
        })?;
        let all = &mut self.so_far.differences;
        all.missing += differences.missing;
        all.changed += differences.changed;
        all.extra += if is_unique { differences.extra } else { 0 };
        all.complete &= differences.complete;
        for (column, cells) in differences.columns {
            *self.so_far.columns.entry(column).or_default() += cells;
        }
        Ok(())
    }
}

impl SoFar {
    /// The differences with the changed cells of each column, in the table's order.
    #[must_use]
    pub fn differences(self, table: &TablePlan) -> Differences {
        let mut columns = self.columns;
        let columns = table.compared().filter_map(|c| columns.remove_entry(&c.target)).collect();
        Differences { columns, ..self.differences }
    }
}

fn rows_of(differences: &Differences) -> u64 {
    differences.missing + differences.extra + differences.changed
}

/// What finds a row of the target by what these columns of it hold, none for NULL. None where one of them holds what
/// cannot be asked for.
#[must_use]
pub fn address(form: &Form, columns: &[usize]) -> Option<Vec<Option<KeyCell>>> {
    let cells: Vec<&[u8]> = form::cells(form.bytes()).collect();
    let of = |&column: &usize| match (form::value(cells[column]), key_of(&cells, &[column])) {
        (Value::Null, _) => Some(None),
        (_, Place::Key(mut key)) => key.pop().map(Some),
        _ => None,
    };
    columns.iter().map(of).collect()
}

// Where a row is looked for.
enum Place {
    Key(Vec<KeyCell>),
    Nowhere,
    Unusable,
}

fn key_of(cells: &[&[u8]], columns: &[usize]) -> Place {
    let mut key = Vec::with_capacity(columns.len());
    for &column in columns {
        let owned = |text: &[u8]| String::from_utf8(text.to_vec());
        key.push(match form::value(cells[column]) {
            Value::NoValue => return Place::Nowhere,
            // SQLite has no NaN, and its infinities are none of numeric's: such a key is of no source row.
            Value::Null
            | Value::Hashed { .. }
            | Value::List(_)
            | Value::Numeric(Number::NaN | Number::Infinite { .. }) => return Place::Unusable,
            Value::Bool(value) => KeyCell::Bool(value),
            Value::Int(number) => KeyCell::Int(number),
            Value::Float(number) => KeyCell::Float(number),
            Value::Numeric(Number::Finite { negative, digits, exponent }) => {
                let (sign, digits) = (if negative { "-" } else { "" }, String::from_utf8_lossy(digits));
                KeyCell::Decimal(if digits.is_empty() {
                    "0".to_owned()
                } else {
                    format!("{sign}0.{digits}e{exponent}")
                })
            }
            Value::Text(text) => match owned(text) {
                Ok(text) if !text.contains('\0') => KeyCell::Text(text),
                _ => return Place::Nowhere,
            },
            Value::Bytes(bytes) => KeyCell::Bytes(bytes.to_vec()),
            Value::Uuid(bytes) => KeyCell::Uuid(uuid::Uuid::from_bytes(bytes).to_string()),
            Value::Date(days) => KeyCell::Date(days),
            Value::Time(micros) => KeyCell::Time(micros),
            Value::Timestamp(micros) => KeyCell::Timestamp(micros),
        });
    }
    Place::Key(key)
}
