//! Values that only PostgreSQL can judge: before rows move it is asked about each of those that it will have to cast.

use crate::error::{Error, Kind, Result};
use crate::load::interrupted;
use crate::load::unfit::{self, Hashes, Unfit};
use crate::model::bounds::{CAST_BYTES, CAST_ROWS, CASTS_REFUSED_MAX};
use crate::model::conversion::{Fit, Misfit};
use crate::model::name::{exclude, reject};
use crate::model::pg_type::{CastHabit, CastType};
use crate::model::plan::{ColumnPlan, Plan, TablePlan};
use crate::model::policy::Policy;
use crate::model::range::Range;
use crate::model::source::Catalog;
use crate::postgres::cast::{self, Refusal};
use crate::postgres::{Session, Transaction};
use crate::sqlite::{Flow, Reader, TableScan};
use crate::transform::Compiled;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whose values are asked about.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The plan of the tables.
    pub plan: &'a Plan,
    /// The source's tables.
    pub catalog: &'a Catalog,
    /// Who reads them.
    pub reader: &'a Reader,
    /// Whether a value that no policy provides for is an error.
    pub must_fit: bool,
    /// Set when the run is to end.
    pub stop: &'a AtomicBool,
}

impl Asked<'_> {
    /// The same in a transaction of its own.
    pub fn apart(self, session: &mut Session) -> Result<Unfit> {
        if !self.plan.tables.iter().any(TablePlan::has_casts) {
            return Ok(Unfit::default());
        }
        let tx = session.transaction()?;
        let unfit = self.of_all(&tx, |_| true)?;
        tx.rollback()?;
        Ok(unfit)
    }

    /// The values of these tables that PostgreSQL does not cast, or not whole. Leaves nothing in the transaction.
    pub fn of_all(self, tx: &Transaction<'_>, is_asked: impl Fn(&TablePlan) -> bool) -> Result<Unfit> {
        let mut unfit = Unfit::default();
        for table in self.plan.tables.iter().filter(|t| t.has_casts() && is_asked(t)) {
            for (column, values) in self.of_table(tx, table)? {
                unfit.add(&table.target, column, values);
            }
        }
        Ok(unfit)
    }

    fn of_table<'p>(self, tx: &Transaction<'_>, table: &'p TablePlan) -> Result<Vec<(&'p str, Hashes)>> {
        let Some(source) = self.catalog.table(&table.source) else { return Ok(Vec::new()) };
        let (mut columns, mut positions) = (Vec::new(), Vec::new());
        for column in table.loaded() {
            if let (Some(to), Some(at)) = (column.cast(), source.column_index(&column.source)) {
                columns.push(Column::of(table, column, to)?);
                positions.push(at);
            }
        }
        let (mut field, mut rows) = (Vec::new(), 0_usize);
        self.reader.scan(&TableScan::new(source, &positions), Range::ALL, None, |key, row| {
            for (i, column) in columns.iter_mut().enumerate() {
                field.clear();
                // What the rule itself does not take was judged by the profile.
                if matches!(column.compiled.write(row.cell(i), &mut field), Ok(Fit::Exact | Fit::Rewritten(_)))
                    && let Some(text) = field.get(4..).filter(|_| row.cell(i) != crate::model::cell::Cell::Null)
                {
                    column.see(key, text);
                }
                if column.is_full() {
                    column.ask(tx, self.must_fit)?;
                }
            }
            rows += 1;
            if rows.is_multiple_of(CAST_ROWS) && self.stop.load(Ordering::Relaxed) {
                return Err(interrupted());
            }
            Ok(Flow::Continue)
        })?;
        for column in &mut columns {
            column.ask(tx, self.must_fit)?;
        }
        Ok(columns.into_iter().map(|c| (c.plan.target.as_str(), c.refused)).collect())
    }
}

// A column whose values wait to be asked about.
struct Column<'p> {
    table: &'p TablePlan,
    plan: &'p ColumnPlan,
    to: &'p CastType,
    compiled: Compiled,
    waiting: Vec<(i64, String)>,
    bytes: usize,
    // Values that were asked about lately: most columns of such types hold few.
    seen: Hashes,
    refused: Hashes,
}

impl<'p> Column<'p> {
    fn of(table: &'p TablePlan, plan: &'p ColumnPlan, to: &'p CastType) -> Result<Self> {
        let compiled = Compiled::new(&plan.conversion)?;
        let (waiting, seen, refused) = (Vec::new(), Hashes::new(), Hashes::new());
        Ok(Self { table, plan, to, compiled, waiting, bytes: 0, seen, refused })
    }

    fn see(&mut self, key: i64, text: &[u8]) {
        if self.seen.len() >= CASTS_REFUSED_MAX {
            self.seen.clear();
        }
        if self.seen.insert(unfit::hash(text)) {
            self.bytes += text.len();
            // The rule takes clean text only.
            self.waiting.push((key, String::from_utf8_lossy(text).into_owned()));
        }
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= CAST_ROWS || self.bytes >= CAST_BYTES
    }

    fn ask(&mut self, tx: &Transaction<'_>, must_fit: bool) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        let texts: Vec<&str> = waiting.iter().map(|(_, text)| text.as_str()).collect();
        let found = cast::texts(tx, (self.to, self.plan.cast_zone()), &texts)?;
        for ((key, text), found) in waiting.iter().zip(found) {
            let Err(refusal) = found else { continue };
            if must_fit && self.plan.on_error == Policy::Fail {
                return Err(self.without_way(*key, &refusal));
            }
            self.refused.insert(unfit::hash(text.as_bytes()));
        }
        if self.refused.len() > CASTS_REFUSED_MAX {
            return Err(self
                .no_type(format!("more than {CASTS_REFUSED_MAX} different values are refused"))
                .hint("is the column's type on the target the right one?"));
        }
        Ok(())
    }

    fn no_type(&self, fact: String) -> Error {
        let what = format!("`{}.{}` cannot be loaded into {}", self.table.source, self.plan.source, self.to.name);
        Error::new(Kind::Blocked, what).fact(fact).state("nothing was written")
    }

    fn without_way(&self, key: i64, refusal: &Refusal) -> Error {
        let (table, name) = (&self.table.source, format!("{}.{}", self.table.source, self.plan.source));
        let why = match refusal {
            Refusal::Code(code) => format!("PostgreSQL refuses to cast it ({code})"),
            Refusal::Loses => "a part of it would be lost".to_owned(),
        };
        let reads = match self.to.habit {
            CastHabit::List | CastHabit::Documents => "; it reads lists in JSON and `{a,b}`",
            _ => "",
        };
        let fact = format!("the rows hold {} at key {key} (value hidden): {why}{reads}", Misfit::NotCast.phrase());
        let hint = format!("`{}` sets such rows aside; `{}` leaves the table out", reject(&name), exclude(table));
        self.no_type(fact).hint(hint)
    }
}
