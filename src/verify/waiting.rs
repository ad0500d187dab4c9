//! Rows of the source that wait for what PostgreSQL makes of some of their cells: values of types that it casts itself.
//!
//! Owns the batches, so that the server is asked once for thousands of rows. The cast is the server's own and the only
//! one there is: what the verifier proves is that the column holds what PostgreSQL makes of the source's text.

use super::expect::Expectation;
use super::form::Form;
use super::side::raw;
use crate::error::Result;
use crate::model::bounds::{CAST_BYTES, CAST_ROWS};
use crate::model::pg_type::CastType;
use crate::model::plan::TablePlan;
use crate::postgres::read::BEGIN;
use crate::postgres::{Session, cast};
use crate::sqlite::RowRef;

/// Rows of one table.
#[derive(Debug)]
pub struct Waiting {
    expectation: Expectation,
    columns: usize,
    /// The positions of the columns that are cast, to what, and in which zone.
    casts: Vec<(usize, CastType, Option<String>)>,
    rows: Vec<Row>,
    bytes: usize,
    /// Who is asked.
    session: Session,
}

// The cells of a row up to each that is cast, and those after the last; the texts to cast, none where what must be there
// is known without.
#[derive(Debug)]
struct Row {
    parts: Vec<Form>,
    texts: Vec<Option<String>>,
    shown: Vec<String>,
}

impl Waiting {
    /// For a table of which PostgreSQL casts a compared column; none for others.
    pub fn of(table: &TablePlan, session: impl FnOnce() -> Result<Session>) -> Result<Option<Self>> {
        let of = |(i, c): (usize, &crate::model::plan::ColumnPlan)| {
            Some((i, c.cast()?.clone(), c.cast_zone().map(str::to_owned)))
        };
        let casts: Vec<_> = table.compared().enumerate().filter_map(of).collect();
        if casts.is_empty() {
            return Ok(None);
        }
        let (expectation, columns) = (Expectation::new(table.compared())?, table.compared().count());
        Ok(Some(Self { expectation, columns, casts, rows: Vec::new(), bytes: 0, session: session()? }))
    }

    /// Puts a row of the table's compared columns in; its cells in words too, where those are wanted. True once the server
    /// should be asked.
    pub fn add(&mut self, cells: &RowRef<'_>, in_words: bool) -> bool {
        let (mut parts, mut texts, mut part) = (Vec::new(), Vec::new(), Form::default());
        for i in 0..self.columns {
            if self.casts.iter().all(|(at, ..)| *at != i) {
                self.expectation.cell(i, cells.cell(i), &mut part);
                continue;
            }
            let mut known = Form::default();
            let text = self.expectation.text_to_cast(i, cells.cell(i), &mut known);
            // The rule takes clean text only.
            texts.push(text.map(|text| String::from_utf8_lossy(text).into_owned()));
            parts.push(std::mem::take(&mut part));
            part = known;
        }
        parts.push(part);
        let shown: Vec<String> = (0..self.columns).filter(|_| in_words).map(|i| raw(cells.cell(i))).collect();
        self.bytes += parts.iter().map(|p| p.bytes().len()).sum::<usize>()
            + texts.iter().flatten().chain(&shown).map(String::len).sum::<usize>();
        self.rows.push(Row { parts, texts, shown });
        self.rows.len() >= CAST_ROWS || self.bytes >= CAST_BYTES
    }

    /// Asks the server, and hands out the form of each row that waits, in order, with what shows its cells.
    pub fn settle(&mut self, mut each: impl FnMut(&mut Form, &dyn Fn(usize) -> String) -> Result<()>) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let tx = self.session.transaction_as(BEGIN)?;
        let mut answers = Vec::with_capacity(self.casts.len());
        for (n, (_, to, zone)) in self.casts.iter().enumerate() {
            let texts: Vec<&str> = rows.iter().filter_map(|row| row.texts[n].as_deref()).collect();
            answers.push(cast::texts(&tx, (to, zone.as_deref()), &texts)?.into_iter());
        }
        tx.rollback()?;
        let mut form = Form::default();
        for row in &rows {
            form.clear();
            for (n, part) in row.parts.iter().enumerate() {
                if let Some(before) = n.checked_sub(1).filter(|n| row.texts[*n].is_some()) {
                    let answer = answers[before].next().and_then(std::result::Result::ok);
                    self.expectation.cast(self.casts[before].0, answer.as_deref(), &mut form);
                }
                form.append(part.bytes());
            }
            each(&mut form, &|i| row.shown.get(i).cloned().unwrap_or_default())?;
        }
        Ok(())
    }

    /// Forgets the rows that wait, before the table is read once more.
    pub fn restart(&mut self) {
        self.rows.clear();
        self.bytes = 0;
    }
}
