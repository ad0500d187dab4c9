//! A `CREATE VIEW` in PostgreSQL's dialect.

use super::scope::{Column, Relation, Scope};
use super::{Unparsed, Untranslatable};

/// A translated view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewSql {
    /// The SELECT, to stand behind `CREATE VIEW … AS`. It names its columns itself.
    pub select_sql: String,
    /// The result columns: the same names in both databases, with the types that they have in PostgreSQL.
    pub columns: Vec<Column>,
    /// The tables and views that it reads, by their SQLite names as the scope spells them, each once.
    pub depends_on: Vec<String>,
}

impl ViewSql {
    /// The view as something that further views may read.
    pub fn relation(
        &self,
        source: impl Into<String>,
        schema: impl Into<String>,
        target: impl Into<String>,
    ) -> Relation {
        Relation::new(source, schema, target, self.columns.clone())
    }
}

/// The tables and views that a view's text names, CTEs aside, as written and each once: what has to be
/// translated before it.
pub fn depends_on(create_sql: &str) -> Result<Vec<String>, Unparsed> {
    let _ = create_sql;
    Ok(Vec::new())
}

/// Translates a view over the tables, and the views translated so far, of `scope`.
pub fn translate(create_sql: &str, scope: &Scope) -> Result<ViewSql, Untranslatable> {
    let _ = (create_sql, scope);
    Err(Untranslatable::new("not yet"))
}
