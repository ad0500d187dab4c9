//! Rows of a table that a rehearsal writes to, and how each is found on both sides.

use crate::error::Result;
use crate::model::cell::Owned;
use crate::model::conversion::{Conversion, UuidSpelling};
use crate::model::pg_type::PgType;
use crate::model::plan::{ColumnPlan, TablePlan};
use crate::model::policy::{Place, Places};
use crate::model::rehearsal::Made;
use crate::model::reshape::{ColumnShape, TableShape, Value};
use crate::model::source::{RowKey, Table};
use crate::postgres::drill::Address;
use crate::sqlite::restore::At;
use crate::sqlite::{Flow, Reader, TableScan};
use crate::verify::sampled::address;
use crate::verify::source::SourceDigest;
use uuid::Uuid;

/// Places in a table that its rows are taken from.
const SPOTS: u64 = 12;

/// Keys of rows that were set aside are passed over; so are those that no statement can ask for.
const BYTES_MAX: usize = 64 * 1024;

/// A table on both sides.
pub struct Pair<'a> {
    /// What was planned for it.
    pub plan: &'a TablePlan,
    /// The same as it is read.
    pub shaped: &'a Table,
    /// The table that SQLite writes to.
    pub base: &'a Table,
    /// What a person makes of it on the way.
    shape: Option<&'a TableShape>,
    /// Columns that are in the key, by their places in the plan.
    pub key: Vec<usize>,
}

/// A row.
#[derive(Clone)]
pub struct Row {
    /// Where it is in SQLite.
    pub at: At,
    /// Its cells, in the order of the plan's columns.
    pub cells: Vec<Owned>,
    /// What finds it in PostgreSQL.
    pub address: Address,
}

impl<'a> Pair<'a> {
    /// A table of the plan. None where no table of SQLite has its rows, or where they cannot be reached one by one.
    pub fn new(plan: &'a TablePlan, shaped: &'a Table, base: &'a Table, shape: Option<&'a TableShape>) -> Option<Self> {
        let place = |name: &String| plan.columns.iter().position(|c| c.target == *name);
        let key = plan.primary_key.as_ref().map_or(&[][..], |k| &k.columns);
        let key = key.iter().map(place).collect::<Option<Vec<_>>>()?;
        if shape.is_some_and(TableShape::is_made_of_others) {
            return None;
        }
        let is_reached = match &base.row_key {
            RowKey::Rowid { .. } => !matches!(shaped.row_key, RowKey::None),
            RowKey::PrimaryKey { .. } => base.primary_key.iter().all(|&i| {
                let is_key = |c: &ColumnPlan| c.source.eq_ignore_ascii_case(&base.columns[i].name);
                plan.columns.iter().any(is_key) && Self::is_own(shape, &base.columns[i].name)
            }),
            RowKey::None => false,
        };
        is_reached.then_some(Self { plan, shaped, base, shape, key })
    }

    // Whether a column is what SQLite has, value for value.
    fn is_own(shape: Option<&TableShape>, name: &str) -> bool {
        let of = shape.and_then(|s| s.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name)));
        of.is_none_or(|c| c.value == Value::Own && c.default.is_none())
    }

    /// Some rows, spread over the table, without those that were set aside: they are on one side only.
    pub fn rows(&self, reader: &Reader, aside: Option<&Places>) -> Result<Vec<Row>> {
        let compared: Vec<&ColumnPlan> = self.plan.compared().collect();
        // What PostgreSQL makes of values that it casts is not known here.
        if compared.iter().any(|c| c.cast().is_some()) {
            return Ok(Vec::new());
        }
        let Some(mut columns) =
            compared.iter().map(|c| self.shaped.column_index(&c.source)).collect::<Option<Vec<_>>>()
        else {
            return Ok(Vec::new());
        };
        let width = columns.len();
        if self.base.without_rowid {
            let own = |&i: &usize| self.shaped.column_index(&self.base.columns[i].name);
            columns.extend(self.base.primary_key.iter().filter_map(own));
        }
        // Where a key is, only that is asked for.
        let asked: Vec<usize> = match &self.plan.primary_key {
            Some(key) => key.columns.iter().filter_map(|n| compared.iter().position(|c| c.target == *n)).collect(),
            None => (0..width).collect(),
        };
        let mut digest = SourceDigest::new(self.plan)?;
        let mut rows: Vec<Row> = Vec::new();
        reader.sample(&TableScan::new(self.shaped, &columns), SPOTS, 1, |key, row| {
            let at = if self.base.without_rowid {
                At::Key((width..row.len()).map(|i| Owned::from(row.cell(i))).collect())
            } else {
                At::Rowid(key)
            };
            if aside.is_some_and(|places| places.contains(&Place { key, nth: 0 })) {
                return Ok(Flow::Continue);
            }
            let found = address(digest.form(row), &asked);
            if let Some(found) = found
                && row.bytes() <= BYTES_MAX
            {
                let name = |(&i, cell): (&usize, _)| (compared[i].target.clone(), compared[i].pg_type.clone(), cell);
                let address = Address(asked.iter().zip(found).map(name).collect());
                let cell = |c: &ColumnPlan| {
                    let place = compared.iter().position(|other| other.target == c.target).unwrap_or_default();
                    Owned::from(row.cell(place))
                };
                rows.push(Row { at, cells: self.plan.columns.iter().map(cell).collect(), address });
            }
            Ok(Flow::Continue)
        })?;
        Ok(rows)
    }

    /// Where a column of the plan is in the table that SQLite writes to. None where its values are not written one by
    /// one there.
    pub fn written(&self, column: usize) -> Option<usize> {
        let plan = &self.plan.columns[column];
        let at = self.base.column_index(&plan.source)?;
        let is_carried = self.of(column).is_none_or(|c| matches!(c.value, Value::Own | Value::Map(_)));
        // A row must stay one for which the condition holds.
        let is_free = self.shape.and_then(|s| s.only.as_ref()).is_none_or(|only| !only.contains(&plan.source));
        (plan.generated.is_none() && self.base.columns[at].generated.is_none() && is_carried && is_free).then_some(at)
    }

    /// Columns that SQLite computes and PostgreSQL does not: who writes another column there must write them as well.
    pub fn computed_here_only(&self) -> Option<&str> {
        let is_one = |c: &&ColumnPlan| {
            let own = self.base.column_index(&c.source).map(|i| &self.base.columns[i]);
            c.generated.is_none() && own.is_some_and(|own| own.generated.is_some())
        };
        self.plan.columns.iter().find(is_one).map(|c| c.source.as_str())
    }

    /// Columns that the pipeline computes, by their places in the plan.
    pub fn computed(&self) -> Vec<usize> {
        let is_one = |&c: &usize| self.of(c).is_some_and(|c| !matches!(c.value, Value::Own | Value::Map(_)));
        (0..self.plan.columns.len()).filter(is_one).collect()
    }

    /// A column of SQLite's that the pipeline computes, and into which nothing says how a new row's value goes.
    pub fn without_inverse(&self) -> Option<&str> {
        let is_one = |c: &&ColumnPlan| {
            let shape = self.shape.and_then(|s| s.columns.iter().find(|s| s.name.eq_ignore_ascii_case(&c.source)));
            let is_open = |s: &ColumnShape| matches!(s.value, Value::Sql(_) | Value::Json(_)) && s.inverse.is_none();
            self.base.column_index(&c.source).is_some() && shape.is_some_and(is_open)
        };
        self.plan.columns.iter().find(is_one).map(|c| c.source.as_str())
    }

    // What a person makes of a column.
    fn of(&self, column: usize) -> Option<&'a ColumnShape> {
        let name = &self.plan.columns[column].source;
        self.shape.and_then(|s| s.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name)))
    }

    /// Whether both sides take NULL in a column, as NULL.
    pub fn may_be_null(&self, column: usize) -> bool {
        let plan = &self.plan.columns[column];
        let has_default = plan.null_is_default || self.of(column).is_some_and(|c| c.default.is_some());
        let at = self.base.column_index(&plan.source);
        !plan.not_null && !has_default && at.is_some_and(|i| !self.base.columns[i].not_null)
    }

    /// Another value of the column that both sides come to in the same way. None where this is not known of its kind.
    pub fn another(&self, column: usize, cell: &Owned, by: i64) -> Option<Made> {
        let plan = &self.plan.columns[column];
        if !Self::is_own(self.shape, &plan.source) {
            return None;
        }
        match (&plan.conversion, &plan.pg_type, cell) {
            (Conversion::Int { .. }, _, Owned::Integer(n)) => n.checked_add(by).map(|_| Made::Plus(by)),
            (Conversion::Text { .. }, PgType::Text | PgType::Varchar(_), Owned::Text(text)) => {
                let text = std::str::from_utf8(text).ok()?;
                // What reads as a number might become one, where the column leans to numbers.
                let is_plain = !text.contains('\0') && !text.is_empty();
                is_plain.then(|| Made::Behind(format!("-l2p{by}")))
            }
            // A uuid is one on both sides, whatever became of ids that are none.
            (Conversion::Uuid(UuidSpelling::Hyphens) | Conversion::Id { .. }, _, Owned::Text(_)) => {
                let id = Uuid::from_u128((u128::from(by.unsigned_abs()) << 64) | column as u128);
                Some(Made::New(Owned::Text(id.hyphenated().to_string().into_bytes())))
            }
            _ => None,
        }
    }

    /// Columns that are children of a foreign key, or that the pipeline takes for such.
    pub fn is_child(&self, column: usize) -> bool {
        let is_told = self.of(column).is_some_and(|c| c.orphans.is_some());
        is_told || self.plan.foreign_keys.iter().any(|key| key.columns.contains(&self.plan.columns[column].target))
    }

    /// The condition that a row must keep to be on the target.
    pub fn only(&self) -> Option<&str> {
        self.shape.and_then(|s| s.only.as_deref())
    }
}

/// The cell that comes of it.
pub fn cell(made: &Made, of: &Owned) -> Owned {
    match (made, of) {
        (Made::Plus(n), Owned::Integer(of)) => Owned::Integer(of.wrapping_add(*n)),
        (Made::Behind(text), Owned::Text(of)) => Owned::Text([of, text.as_bytes()].concat()),
        (Made::New(cell), _) => cell.clone(),
        (Made::LeftOut, _) => Owned::Null,
        _ => of.clone(),
    }
}
