//! The distinct ids of some columns that are no uuids.

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

    /// Hands each text that these columns hold, and that is no canonical uuid, to `id`, once; integers as their decimals.
    /// SQLite keeps what it has seen on disk once it is much.
    pub fn ids(&self, columns: &[(&Table, usize)], mut id: impl FnMut(Cell<'_>) -> Result<()>) -> Result<()> {
        let parts: Vec<String> = columns
            .iter()
            .map(|(table, column)| {
                format!("SELECT s.{} AS v FROM {}", quoted(&table.columns[*column].name), from(table))
            })
            .collect();
        // Without a collation of its own, the result has that of the columns, and NOCASE would take two ids for one.
        // A SELECT with a LIMIT is not merged into the one around it (https://sqlite.org/optoverview.html, 11): what gives a
        // column its value is worked out once a row, and not once for each time that it is named here.
        let sql = format!(
            "SELECT DISTINCT CAST(v AS TEXT) COLLATE BINARY FROM ({} LIMIT -1 OFFSET 0) WHERE typeof(v) IN ('text', 'integer') \
             AND NOT (length(v) = 36 AND v NOT GLOB '*[^0-9a-f-]*' AND length(replace(v, '-', '')) = 32 \
             AND substr(v, 9, 1) = '-' AND substr(v, 14, 1) = '-' AND substr(v, 19, 1) = '-' AND substr(v, 24, 1) = '-')",
            parts.join(" UNION ALL ")
        );
        let failed = |e| refused(e, "cannot read the ids of a map".to_owned());
        let mut statement = self.conn.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if let ValueRef::Text(text) = row.get_ref(0).map_err(failed)? {
                id(Cell::Text(text))?;
            }
        }
        Ok(())
    }
}
