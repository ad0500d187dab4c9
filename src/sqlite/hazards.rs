//! Questions of an inspection that a scan of one table does not answer: parents that are not there, texts that differ in
//! case only.

use super::refused;
use super::scan::{Flow, TableScan, from};
use super::snapshot::Reader;
use crate::error::Result;
use crate::model::cell::Cell;
use crate::model::name::quoted;
use crate::model::source::Table;
use rusqlite::params_from_iter;
use rusqlite::types::{ToSqlOutput, ValueRef};

impl Reader {
    /// Rows of a spread sample whose key leads nowhere, and how many were looked at: of `columns` of `child` into `parent_columns` of `parent`, which
    /// an index finds. Compared as SQLite's own check does, by the parent's affinity and collation; a key with a NULL in
    /// it leads where it likes.
    pub fn orphans_in_sample(
        &self,
        (child, columns): (&Table, &[usize]),
        (parent, parent_columns): (&Table, &[usize]),
        (spots, rows_per_spot): (u64, u64),
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<(u64, u64)> {
        let what = || format!("the parents of `{}` cannot be looked up", child.name);
        let terms: Vec<String> = parent_columns
            .iter()
            .enumerate()
            .map(|(i, &c)| format!("p.{} = ?{}", quoted(&parent.columns[c].name), i + 1))
            .collect();
        let sql =
            format!("SELECT EXISTS (SELECT 1 FROM main.{} AS p WHERE {})", quoted(&parent.name), terms.join(" AND "));
        let mut statement = self.conn.prepare(&sql).map_err(|e| refused(e, what()))?;
        let (mut orphans, mut rows) = (0, 0_u64);
        self.sample(&TableScan::new(child, columns), spots, rows_per_spot, |_, row| {
            rows += 1;
            if rows.is_multiple_of(1024) {
                go_on()?;
            }
            let cells = (0..columns.len()).map(|i| row.cell(i));
            if cells.clone().any(|cell| cell == Cell::Null) {
                return Ok(Flow::Continue);
            }
            let bound = params_from_iter(cells.map(|cell| ToSqlOutput::Borrowed(value(cell))));
            let is_there: bool = statement.query_row(bound, |row| row.get(0)).map_err(|e| refused(e, what()))?;
            orphans += u64::from(!is_there);
            Ok(Flow::Continue)
        })?;
        Ok((orphans, rows))
    }

    /// Texts of a column that NOCASE takes for one, and of which there are several: how many such.
    pub fn case_twins(&self, table: &Table, column: usize) -> Result<u64> {
        let column = format!("s.{}", quoted(&table.columns[column].name));
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {} WHERE typeof({column}) = 'text' GROUP BY {column} COLLATE NOCASE \
             HAVING count(DISTINCT {column} COLLATE BINARY) > 1)",
            from(table)
        );
        let twins = self.conn.query_row(&sql, [], |row| row.get::<_, i64>(0));
        twins.map(|n| n as u64).map_err(|e| refused(e, format!("the texts of `{}` cannot be compared", table.name)))
    }
}

fn value(cell: Cell<'_>) -> ValueRef<'_> {
    match cell {
        Cell::Null => ValueRef::Null,
        Cell::Integer(n) => ValueRef::Integer(n),
        Cell::Real(x) => ValueRef::Real(x),
        Cell::Text(bytes) => ValueRef::Text(bytes),
        Cell::Blob(bytes) => ValueRef::Blob(bytes),
    }
}
