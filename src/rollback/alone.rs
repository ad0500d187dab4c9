//! What PostgreSQL alone would make of the rows that nobody changed: the cells that a way back has right only because the
//! source is there to keep them.
//!
//! Each row of the target is brought down as if there were neither its cell nor any other of its column, and the cell that
//! SQLite would store of it is held against the source's. The run's plan and the ids of its maps, which are PostgreSQL's
//! own, may help.

use super::differ::{Subject, each_target_row, fields_of, hash_of};
use super::down::{Down, affinity};
use super::habit::Habit;
use crate::error::Result;
use crate::model::affinity::Affinity;
use crate::model::cell::{Cell, Owned};
use crate::model::conversion::Conversion;
use crate::model::loss::{Form, Loss};
use crate::model::range::Range;
use crate::model::source::RowKey;
use crate::postgres::Transaction;
use crate::postgres::read::Chunk;
use crate::sqlite::alike::is_same;
use crate::sqlite::restore::RowsOf;
use crate::sqlite::stage::Stage;
use crate::sqlite::storing::Storing;
use crate::sqlite::{Flow, Reader, RowRef, TableScan};
use crate::verify::source::SourceDigest;
use std::collections::BTreeMap;

/// What of one table only the source has; rows that PostgreSQL holds otherwise by now are not looked at.
pub fn losses(
    subject: &Subject<'_>,
    reader: &Reader,
    (tx, schema): (&mut Transaction<'_>, &str),
    (stage, number): (&Stage, usize),
    look: &dyn Fn() -> Result<()>,
) -> Result<Vec<Loss>> {
    stage.begin(number)?;
    each_target_row(subject.plan, tx, schema, Chunk::WHOLE, look, |form, bytes| {
        stage.put_target(number, &hash_of(&form.digest()), bytes)
    })?;
    stage.sort_target(number)?;
    let mut alone = Alone::new(subject, reader)?;
    let mut digest = SourceDigest::new(subject.plan)?.without(subject.aside);
    reader.scan(&subject.scan, Range::ALL, None, |key, row| {
        look()?;
        if !digest.takes(key) {
            return Ok(Flow::Continue);
        }
        alone.taken += 1;
        let hash = hash_of(&digest.form(row).digest());
        if let Some(bytes) = stage.take_target(number, &hash)? {
            alone.see(key, row, &bytes)?;
        }
        Ok(Flow::Continue)
    })?;
    stage.forget(number)?;
    alone.end(reader)
}

// The ids of a map are not asked for one by one: the map has each of them.
#[expect(clippy::unnecessary_wraps, reason = "who asks for ids may be refused by the server")]
fn no_ids(_: &str, _: [u8; 16]) -> Result<Option<String>> {
    Ok(None)
}

struct Alone<'a> {
    subject: &'a Subject<'a>,
    down: Down<'a>,
    storing: Storing,
    rows: RowsOf<'a>,
    /// By the columns of SQLite's table.
    affinities: Vec<Affinity>,
    /// The columns that are read of a row of its table: those that the shape makes something else of, and those that a
    /// person's SQL makes.
    read: Vec<usize>,
    names: Vec<String>,
    counts: BTreeMap<(usize, Form), u64>,
    /// Rows that the migration took.
    taken: u64,
    /// Rows that the target has as they are here.
    alike: u64,
}

impl<'a> Alone<'a> {
    fn new(subject: &'a Subject<'a>, reader: &'a Reader) -> Result<Self> {
        let base = subject.base;
        let habits: Vec<Habit> = subject.plan.compared().map(Habit::of).collect();
        let is_reached = subject.table.derived.is_some() && !matches!(base.row_key, RowKey::None);
        let carried = subject.carried.iter().filter_map(|c| c.to);
        let inverses = subject.inverses.iter().map(|(to, _)| *to);
        Ok(Self {
            subject,
            down: Down::new(subject.plan, subject.table, &habits, &no_ids)?,
            storing: Storing::new()?,
            rows: reader.rows_of(base, subject.table),
            affinities: base.columns.iter().map(|c| affinity(base, &c.declared)).collect(),
            read: if is_reached { carried.chain(inverses).collect() } else { Vec::new() },
            names: subject.plan.compared().map(|c| c.source.clone()).collect(),
            counts: BTreeMap::new(),
            taken: 0,
            alike: 0,
        })
    }

    // A row that both sides have: its cells as its shape gives them, and the target's fields.
    fn see(&mut self, key: i64, row: &RowRef<'_>, bytes: &[u8]) -> Result<()> {
        self.alike += 1;
        let fields = fields_of(self.subject, bytes)?;
        let raw =
            if self.read.is_empty() { None } else { self.rows.read(&self.subject.place(key, row), &self.read)? };
        let raw_of = |to: usize| {
            let place = self.read.iter().position(|column| *column == to)?;
            raw.as_ref().map(|raw| raw[place].clone())
        };
        let mut shaped = Vec::with_capacity(fields.len());
        let mut found: Vec<(usize, Form)> = Vec::new();
        for (i, field) in fields.iter().enumerate() {
            let own = Owned::from(row.cell(i));
            let told = told(&mut self.down, self.subject, i, *field, &own)?;
            shaped.push(told.as_ref().map_or(Owned::Null, |(shaped, _)| shaped.clone()));
            let Some(to) = self.subject.carried[i].to.filter(|to| is_stored(self.subject, *to)) else { continue };
            let is = raw_of(to).unwrap_or_else(|| own.clone());
            let Some((_, cell)) = told else {
                found.push((to, Form::Unsaid));
                continue;
            };
            let would_be = self.storing.stored(self.affinities[to], cell)?;
            if !is_same(&is, &would_be) {
                let is_own = self.down.says(i, &own, *field)? && !holds_what_postgresql_cannot(&own, &would_be);
                found.push((to, if is_own { form(&is, &would_be) } else { Form::Original }));
            }
        }
        if !self.subject.inverses.is_empty() && raw.is_some() {
            let expressions: Vec<&str> = self.subject.inverses.iter().map(|(_, sql)| sql.as_str()).collect();
            let made = self.rows.evaluate(&expressions, &self.names, &shaped)?;
            for ((to, _), cell) in self.subject.inverses.iter().zip(made) {
                let (is, would_be) = (raw_of(*to), self.storing.stored(self.affinities[*to], cell)?);
                found.extend(is.filter(|is| !is_same(is, &would_be)).map(|is| (*to, form(&is, &would_be))));
            }
        }
        for place in found {
            *self.counts.entry(place).or_default() += 1;
        }
        Ok(())
    }

    fn end(mut self, reader: &Reader) -> Result<Vec<Loss>> {
        let base = self.subject.base;
        let is_carried = |column: &usize| {
            self.subject.carried.iter().any(|c| c.to == Some(*column))
                || self.subject.inverses.iter().any(|(to, _)| to == column)
        };
        let lone: Vec<usize> =
            (0..base.columns.len()).filter(|c| is_stored(self.subject, *c) && !is_carried(c)).collect();
        let mut rows = 0;
        if !lone.is_empty() || self.subject.table.derived.is_some() {
            reader.scan(&TableScan::new(base, &lone), Range::ALL, None, |_, row| {
                rows += 1;
                for (_, column) in lone.iter().enumerate().filter(|(n, _)| row.cell(*n) != Cell::Null) {
                    *self.counts.entry((*column, Form::Column)).or_default() += 1;
                }
                Ok(Flow::Continue)
            })?;
        } else {
            rows = reader.count(base)?;
        }
        let column = |((column, form), count): (&(usize, Form), &u64)| {
            Loss::new(&base.name, Some(&base.columns[*column].name), *form, *count)
        };
        let mut all: Vec<Loss> = self.counts.iter().map(column).collect();
        let is_told = base.without_rowid || base.rowid_column().is_some();
        let of_rows =
            [(Form::Rowid, if is_told { 0 } else { self.alike }), (Form::Row, rows.saturating_sub(self.taken))];
        let of_rows = of_rows.into_iter().filter(|(_, count)| *count > 0);
        all.extend(of_rows.map(|(form, count)| Loss::new(&base.name, None, form, count)));
        Ok(all)
    }
}

fn is_stored(subject: &Subject<'_>, column: usize) -> bool {
    subject.base.columns[column].generated.is_none()
}

// What a field gives without a cell of the source, as the table's shape has it and as its table does.
fn told(
    down: &mut Down<'_>,
    subject: &Subject<'_>,
    column: usize,
    field: Option<&[u8]>,
    own: &Owned,
) -> Result<Option<(Owned, Owned)>> {
    let plan = subject.plan.compared().nth(column).expect("a row has the columns of its plan");
    if let (Conversion::Id { .. }, Some(_)) = (&plan.conversion, field) {
        let text = match own {
            Owned::Integer(n) => Owned::Text(n.to_string().into_bytes()),
            other => other.clone(),
        };
        return Ok(Some((text.clone(), text)));
    }
    Ok(down.cell(column, field, None, &subject.carried[column])?.ok())
}

fn form(is: &Owned, would_be: &Owned) -> Form {
    let (is, would_be) = (is.cell().class(), would_be.cell().class());
    if is == would_be { Form::Spelling } else { Form::Class { is, would_be } }
}

// The target has a stand-in for a text with a NUL, or that is none.
fn holds_what_postgresql_cannot(own: &Owned, would_be: &Owned) -> bool {
    let (Owned::Text(own), Owned::Text(_)) = (own, would_be) else { return false };
    own.contains(&0) || std::str::from_utf8(own).is_err()
}
