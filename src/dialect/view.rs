//! A `CREATE VIEW` in PostgreSQL's dialect.

use super::Untranslatable;
use super::expression::{Mode, Translator, refuse};
use super::function::pg_type;
use super::kind::Kind;
use super::parse::{self, unquoted};
use super::result_names;
use super::scope::{Column, Relation, Scope};
use super::select;
use crate::model::pg_type::PgType;
use sqlite3_parser::Bump;
use sqlite3_parser::ast::Stmt;

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

/// A view to be translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewSource {
    /// The name in SQLite.
    pub source: String,
    /// The schema in PostgreSQL, unquoted.
    pub schema: String,
    /// The name in PostgreSQL, unquoted.
    pub target: String,
    /// The `CREATE VIEW` text.
    pub create_sql: String,
}

/// Translates views that may read each other. The answer has an entry for every view, in an order in which they
/// can be created, each with its index in `views`; the refused ones are last.
#[must_use]
pub fn translate_all(views: &[ViewSource], scope: &Scope) -> Vec<(usize, Result<ViewSql, Untranslatable>)> {
    let mut scope = scope.clone();
    let mut waiting: Vec<usize> = (0..views.len()).collect();
    let mut done = Vec::with_capacity(views.len());
    loop {
        let before = waiting.len();
        let mut refused = Vec::new();
        for i in waiting {
            let view = &views[i];
            match translate(&view.create_sql, &scope) {
                Ok(sql) => {
                    let (source, schema, target) = (&view.source, &view.schema, &view.target);
                    scope.relations.push(Relation::new(source, schema, target, sql.columns.clone()));
                    done.push((i, Ok(sql)));
                }
                Err(refusal) => refused.push((i, refusal)),
            }
        }
        // A refusal may be for a view that came later: again, as long as there are new ones.
        if refused.len() == before || refused.is_empty() {
            done.extend(refused.into_iter().map(|(i, refusal)| (i, Err(refusal))));
            return done;
        }
        waiting = refused.into_iter().map(|(i, _)| i).collect();
    }
}

/// Translates a view over the tables, and the views translated so far, of `scope`.
pub fn translate(create_sql: &str, scope: &Scope) -> Result<ViewSql, Untranslatable> {
    let bump = Bump::new();
    let Stmt::CreateView { columns: names, select, .. } = parse::statement(&bump, create_sql)? else {
        return refuse("not a CREATE VIEW");
    };
    let mut t = Translator::new(scope, Mode::View);
    t.limit_has_comma = result_names::limit_has_comma(create_sql)?;
    // Once to see the columns, which stars hide, and again with their final names.
    let seen = select::query(&mut t, select, None)?;
    let names = if let Some(names) = names {
        names.iter().map(|n| unquoted(n.col_name.0)).collect()
    } else {
        let shown = seen.columns.iter().map(|c| c.name.clone()).collect();
        result_names::of(create_sql, select, shown)?
    };
    let query = select::query(&mut t, select, Some(&names))?;
    let columns = query.columns.iter().map(|out| {
        let term = &out.term;
        let pg_type = if term.kind == Kind::Integer && !term.wide { PgType::Int4 } else { pg_type(term.kind) };
        let mut column = Column::new(&out.name, &out.name, pg_type).not_null(term.never_null);
        column.affinity = term.affinity.unwrap_or(super::Affinity::Blob);
        column.uniform = term.doubt.is_none();
        column.collation(term.collation.as_ref().map(|c| c.name.clone()))
    });
    Ok(ViewSql { select_sql: query.sql, columns: columns.collect(), depends_on: t.depends_on })
}
