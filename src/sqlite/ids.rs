//! The ids that a column holds.

use super::scan::from;
use super::{Reader, refused};
use crate::error::Result;
use crate::model::cell::Cell;
use crate::model::name::quoted;
use crate::model::source::Table;
use rusqlite::types::ValueRef;

impl Reader {
    /// Whether texts of a table's column are the same only where their bytes are. False where SQLite does not say it.
    #[must_use]
    pub fn is_binary(&self, table: &str, column: &str) -> bool {
        let about = self.conn.column_metadata(Some("main"), table, column);
        about.is_ok_and(|(_, collation, ..)| collation.is_some_and(|name| name.to_bytes() == b"BINARY"))
    }

    /// Hands each text and each integer of a column of `table` to `id`, in the order of its rows.
    pub fn ids(&self, table: &Table, column: usize, mut id: impl FnMut(Cell<'_>) -> Result<()>) -> Result<()> {
        let sql = format!("SELECT s.{} FROM {}", quoted(&table.columns[column].name), from(table));
        let failed = |e| refused(e, "cannot read the ids of a map".to_owned());
        let mut statement = self.conn.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            match row.get_ref(0).map_err(failed)? {
                ValueRef::Text(text) => id(Cell::Text(text))?,
                ValueRef::Integer(number) => id(Cell::Integer(number))?,
                _ => {}
            }
        }
        Ok(())
    }
}
