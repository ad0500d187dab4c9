//! What a table of the target says of the migrations that an application has done.

use super::session::Session;
use crate::error::Result;
use crate::model::bookkeeping::Heads;
use crate::model::name::{qualified, quoted};

/// The migrations that this table says were done, at most `rows_max`. `column` knows the table's own name of a column.
pub fn done(
    session: &Session,
    (schema, table): (&str, &str),
    heads: Heads,
    column: &dyn Fn(&str) -> Option<String>,
    rows_max: usize,
) -> Result<Vec<String>> {
    let own = |name: &&str| column(name).map(|c| quoted(&c));
    let name: Vec<String> = heads.columns.iter().filter_map(own).map(|c| format!("coalesce({c}::text, '')")).collect();
    let done = heads.done.as_ref().and_then(own).map(|c| format!("{c} IS NOT NULL"));
    let undone = heads.undone.as_ref().and_then(own).map(|c| format!("{c} IS NULL"));
    let only: Vec<String> = done.into_iter().chain(undone).chain(["true".to_owned()]).collect();
    let sql = format!(
        "SELECT {} FROM {} WHERE {} LIMIT {rows_max}",
        name.join(" || ' ' || "),
        qualified(schema, table),
        only.join(" AND ")
    );
    Ok(session.query(&sql, &[])?.iter().map(|row| row.get(0)).collect())
}
