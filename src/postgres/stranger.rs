//! What a schema holds that a plan does not name: tables and columns that the application added since.

use super::read::copy_query_out_csv;
use super::session::{Session, Transaction};
use crate::error::Result;
use crate::model::name::{qualified, quoted};

/// A table or a column that a plan does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// The table.
    pub table: String,
    /// The column, where the table itself is known.
    pub column: Option<String>,
}

/// Ordinary and partitioned tables of a schema, without those that belong to an extension.
pub fn tables(session: &Session, schema: &str) -> Result<Vec<String>> {
    let sql = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
                 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass \
                                 AND d.objid = c.oid AND d.deptype = 'e') \
               ORDER BY 1";
    Ok(session.query(sql, &[&schema])?.iter().map(|row| row.get(0)).collect())
}

/// How many values or rows it holds.
pub fn count(session: &Session, schema: &str, stranger: &Stranger) -> Result<u64> {
    let what = stranger.column.as_deref().map_or_else(|| "*".to_owned(), quoted);
    let sql = format!("SELECT count({what}) FROM {}", qualified(schema, &stranger.table));
    Ok(session.query_one(&sql, &[])?.get::<_, i64>(0) as u64)
}

/// Hands out its values as CSV with a line of names: a column with the key of its rows.
pub fn export(
    tx: &mut Transaction<'_>,
    schema: &str,
    stranger: &Stranger,
    key: &[String],
    mut piece: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let from = qualified(schema, &stranger.table);
    let query = match &stranger.column {
        None => format!("SELECT * FROM {from}"),
        Some(column) => {
            let list: Vec<String> = key.iter().chain([column]).map(|c| quoted(c)).collect();
            format!("SELECT {} FROM {from} WHERE {} IS NOT NULL", list.join(", "), quoted(column))
        }
    };
    let mut copy = tx.copy_out(&copy_query_out_csv(&query))?;
    while let Some(bytes) = copy.next()? {
        piece(&bytes)?;
    }
    Ok(())
}
