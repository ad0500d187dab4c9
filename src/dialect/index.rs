//! What a `CREATE INDEX` text says: its terms and its WHERE.

use super::parse::{statement, unquoted};
use super::{Unparsed, render};
use sqlite3_parser::Bump;
use sqlite3_parser::ast::{Expr, Literal, SortOrder, SortedColumn, Stmt};

/// The facts of one `CREATE INDEX`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSql {
    /// `UNIQUE`
    pub unique: bool,
    /// The key's terms in order.
    pub terms: Vec<IndexTerm>,
    /// The WHERE of a partial index, as SQLite SQL.
    pub where_clause: Option<String>,
}

/// One term of an index key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexTerm {
    /// The term as SQLite SQL, without its outer COLLATE.
    pub expression: String,
    /// The name, where the term is one. SQLite takes `"name"` as a string if the table has no such column.
    pub column: Option<String>,
    /// The name behind COLLATE; without one, the column's own collation counts.
    pub collation: Option<String>,
    /// `DESC`
    pub descending: bool,
}

/// The facts in `create_sql`, a `CREATE INDEX` as `sqlite_schema` keeps it.
pub fn parse(create_sql: &str) -> Result<IndexSql, Unparsed> {
    let bump = Bump::new();
    match statement(&bump, create_sql)? {
        Stmt::CreateIndex { unique, columns, where_clause, .. } => Ok(IndexSql {
            unique,
            terms: columns.iter().map(term).collect(),
            where_clause: where_clause.as_ref().map(render::expression),
        }),
        _ => Err(Unparsed { reason: "not a CREATE INDEX".to_owned() }),
    }
}

fn term(sorted: &SortedColumn<'_>) -> IndexTerm {
    let (mut expr, mut collation) = (&sorted.expr, None);
    while let Expr::Collate(inner, name) = expr {
        // The outermost COLLATE is the one that counts.
        collation = collation.or_else(|| Some(unquoted(name)));
        expr = inner;
    }
    IndexTerm {
        expression: render::expression(expr),
        column: plain_column(expr),
        collation,
        descending: sorted.order == Some(SortOrder::Desc),
    }
}

/// The column's name, where `expr` is nothing but one, COLLATE aside.
pub(super) fn plain_column(expr: &Expr<'_>) -> Option<String> {
    match expr {
        Expr::Id(id) => Some(unquoted(id.0)),
        Expr::Name(name) => Some(unquoted(name.0)),
        // In the place of a key column SQLite takes 'name' as a name.
        Expr::Literal(Literal::String(s)) => Some(unquoted(s)),
        Expr::Collate(inner, _) => plain_column(inner),
        Expr::Parenthesized(inner) if inner.len() == 1 => plain_column(&inner[0]),
        _ => None,
    }
}
