//! What a `CREATE TABLE` text says that no PRAGMA tells: checks, generation, collations, names, deferral.

use super::parse::{statement, unquoted};
use super::{Unparsed, render};
use sqlite3_parser::Bump;
use sqlite3_parser::ast::{
    ColumnConstraint, ColumnDefinition, CreateTableBody, DeferSubclause, Expr, ForeignKeyClause, IndexedColumn,
    InitDeferredPred, Name, NamedTableConstraint, ResolveType, SortedColumn, Stmt, TableConstraint,
};

/// The facts of one `CREATE TABLE`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableSql {
    /// One per column, in their order.
    pub columns: Vec<ColumnSql>,
    /// CHECK constraints of columns and of the table, in the order of the text.
    pub checks: Vec<Check>,
    /// The PRIMARY KEY, if there is one.
    pub primary_key: Option<Key>,
    /// UNIQUE constraints of columns and of the table, in the order of the text.
    pub uniques: Vec<Key>,
    /// Foreign keys in the order of the text; `PRAGMA foreign_key_list` counts them from the last.
    pub foreign_keys: Vec<ForeignKeySql>,
    /// `AUTOINCREMENT`
    pub autoincrement: bool,
}

/// The facts of one column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnSql {
    /// The name, unquoted.
    pub name: String,
    /// The name behind COLLATE; the last one counts, as in SQLite.
    pub collation: Option<String>,
    /// The expression of a generated column, as SQLite SQL without its outer parentheses.
    pub generated: Option<String>,
    /// `ON CONFLICT` of NOT NULL.
    pub not_null_conflict: Option<Conflict>,
}

/// A CHECK constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The name behind CONSTRAINT.
    pub name: Option<String>,
    /// The expression, as SQLite SQL without its outer parentheses.
    pub expression: String,
    /// The column it was written at; `None` for a constraint of the table.
    pub column: Option<String>,
}

/// A PRIMARY KEY or UNIQUE constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The name behind CONSTRAINT.
    pub name: Option<String>,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// What happens on a conflict, where that was said.
    pub conflict: Option<Conflict>,
}

/// A REFERENCES clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKeySql {
    /// The name behind CONSTRAINT.
    pub name: Option<String>,
    /// The child columns' names.
    pub columns: Vec<String>,
    /// The parent table's name.
    pub parent: String,
    /// The parent columns' names; empty where the clause leaves them out.
    pub parent_columns: Vec<String>,
    /// `DEFERRABLE` was said, and no NOT before it.
    pub deferrable: bool,
    /// `INITIALLY DEFERRED`. SQLite defers only keys that say both.
    pub initially_deferred: bool,
}

/// An `ON CONFLICT` clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conflict {
    /// `ROLLBACK`
    Rollback,
    /// `ABORT`, which is what happens without the clause, and in PostgreSQL.
    Abort,
    /// `FAIL`
    Fail,
    /// `IGNORE`
    Ignore,
    /// `REPLACE`
    Replace,
}

/// The facts in `create_sql`, a `CREATE TABLE` with columns as `sqlite_schema` keeps it.
pub fn parse(create_sql: &str) -> Result<TableSql, Unparsed> {
    let bump = Bump::new();
    let Stmt::CreateTable { body: CreateTableBody::ColumnsAndConstraints { columns, constraints, .. }, .. } =
        statement(&bump, create_sql)?
    else {
        return Err(Unparsed { reason: "not a CREATE TABLE with columns".to_owned() });
    };
    let mut table = TableSql::default();
    for column in &columns {
        table.add_column(column);
    }
    for constraint in constraints.unwrap_or_default() {
        table.add_constraint(constraint);
    }
    Ok(table)
}

impl TableSql {
    /// The facts of the column of that name, ASCII case ignored.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnSql> {
        self.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name))
    }

    fn add_column(&mut self, column: &ColumnDefinition<'_>) {
        let mut facts = ColumnSql { name: text(&column.col_name), ..ColumnSql::default() };
        for named in column.constraints {
            let name = named.name.as_ref().map(text);
            match &named.constraint {
                ColumnConstraint::PrimaryKey { conflict_clause, auto_increment, .. } => {
                    self.autoincrement |= auto_increment;
                    self.primary_key = Some(key(name, vec![facts.name.clone()], *conflict_clause));
                }
                ColumnConstraint::Unique(conflict) => {
                    self.uniques.push(key(name, vec![facts.name.clone()], *conflict));
                }
                ColumnConstraint::NotNull { nullable: false, conflict_clause: Some(conflict) } => {
                    facts.not_null_conflict = Some((*conflict).into());
                }
                ColumnConstraint::Check(expr) => self.checks.push(check(name, expr, Some(facts.name.clone()))),
                ColumnConstraint::Collate { collation_name } => facts.collation = Some(text(collation_name)),
                ColumnConstraint::Generated { expr, .. } => facts.generated = Some(render::expression(expr)),
                ColumnConstraint::ForeignKey { clause, defer_clause } => {
                    let columns = vec![facts.name.clone()];
                    self.foreign_keys.push(foreign_key(name, columns, clause, defer_clause.as_ref()));
                }
                // The parser gives the deferral of a column's key as a constraint of its own behind it.
                ColumnConstraint::Defer(defer) => {
                    if let Some(last) = self.foreign_keys.last_mut().filter(|k| k.columns == [facts.name.as_str()]) {
                        (last.deferrable, last.initially_deferred) = deferral(Some(defer));
                    }
                }
                ColumnConstraint::NotNull { .. } | ColumnConstraint::Default(_) => {}
            }
        }
        self.columns.push(facts);
    }

    fn add_constraint(&mut self, named: &NamedTableConstraint<'_>) {
        let name = named.name.as_ref().map(text);
        match &named.constraint {
            TableConstraint::PrimaryKey { columns, auto_increment, conflict_clause } => {
                self.autoincrement |= auto_increment;
                self.primary_key = Some(key(name, sorted_names(columns), *conflict_clause));
            }
            TableConstraint::Unique { columns, conflict_clause } => {
                self.uniques.push(key(name, sorted_names(columns), *conflict_clause));
            }
            TableConstraint::Check(expr, _) => self.checks.push(check(name, expr, None)),
            TableConstraint::ForeignKey { columns, clause, defer_clause } => {
                self.foreign_keys.push(foreign_key(name, names(columns), clause, defer_clause.as_ref()));
            }
        }
    }
}

fn text(name: &Name<'_>) -> String {
    unquoted(name.0)
}

fn key(name: Option<String>, columns: Vec<String>, conflict: Option<ResolveType>) -> Key {
    Key { name, columns, conflict: conflict.map(Into::into) }
}

fn check(name: Option<String>, expr: &Expr<'_>, column: Option<String>) -> Check {
    Check { name, expression: render::expression(expr), column }
}

fn foreign_key(
    name: Option<String>,
    columns: Vec<String>,
    clause: &ForeignKeyClause<'_>,
    defer: Option<&DeferSubclause>,
) -> ForeignKeySql {
    let (deferrable, initially_deferred) = deferral(defer);
    let parent_columns = clause.columns.map(names).unwrap_or_default();
    ForeignKeySql { name, columns, parent: text(&clause.tbl_name), parent_columns, deferrable, initially_deferred }
}

fn deferral(defer: Option<&DeferSubclause>) -> (bool, bool) {
    let Some(defer) = defer.filter(|d| d.deferrable) else { return (false, false) };
    (true, defer.init_deferred == Some(InitDeferredPred::InitiallyDeferred))
}

fn names(columns: &[IndexedColumn<'_>]) -> Vec<String> {
    columns.iter().map(|c| text(&c.col_name)).collect()
}

// A key column may carry COLLATE; its name is below.
fn sorted_names(columns: &[SortedColumn<'_>]) -> Vec<String> {
    columns.iter().map(|c| super::index::plain_column(&c.expr).unwrap_or_else(|| render::expression(&c.expr))).collect()
}

impl From<ResolveType> for Conflict {
    fn from(conflict: ResolveType) -> Self {
        match conflict {
            ResolveType::Rollback => Self::Rollback,
            ResolveType::Abort => Self::Abort,
            ResolveType::Fail => Self::Fail,
            ResolveType::Ignore => Self::Ignore,
            ResolveType::Replace => Self::Replace,
        }
    }
}
