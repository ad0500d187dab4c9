//! What a table of the source says of the migrations that an application has done.

use super::snapshot::Reader;
use crate::error::{Error, Kind, Result};
use crate::model::bookkeeping::Heads;
use crate::model::name::quoted;

impl Reader {
    /// The migrations that this table says were done, at most `rows_max`.
    pub fn heads(&self, table: &str, heads: Heads, has: &dyn Fn(&str) -> bool, rows_max: usize) -> Result<Vec<String>> {
        let name: Vec<String> = heads.columns.iter().map(|c| format!("coalesce({}, '')", quoted(c))).collect();
        let done = heads.done.filter(|c| has(c)).map(|c| format!("{} IS NOT NULL", quoted(c)));
        let undone = heads.undone.filter(|c| has(c)).map(|c| format!("{} IS NULL", quoted(c)));
        let only: Vec<String> = done.into_iter().chain(undone).chain(["TRUE".to_owned()]).collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {} LIMIT {rows_max}",
            name.join(" || ' ' || "),
            quoted(table),
            only.join(" AND ")
        );
        let failed = |e| Error::new(Kind::Source, format!("`{table}` cannot be read")).cause(e);
        let mut statement = self.conn.prepare(&sql).map_err(failed)?;
        let rows = statement.query_map([], |row| row.get_ref(0).map(super::answer::cell)).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }
}
