//! Tables that are made of others: a SELECT over a table, or one that a person wrote.
//!
//! Owns the SQL, and what SQLite says of its columns. What the columns mean on the target is decided elsewhere.

use super::merge;
use super::parents;
use super::snapshot::Reader;
use crate::error::{Error, Kind, Result};
use crate::model::name::quoted;
use crate::model::reshape::{
    ColumnShape, Literal, Mark, MergeSource, Origin, Orphans, Reshape, Stray, TableShape, Value,
};
use crate::model::source::{RowKey, Table};

/// The column by which a SELECT over a rowid table keeps its rowids.
pub const ROWID: &str = "lite2pg rowid";

/// A column of a SELECT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectColumn {
    /// Its name.
    pub name: String,
    /// The declared type of the table's column that it is; empty where it is computed.
    pub declared: String,
}

/// The name of a SELECT's mark of this number.
#[must_use]
pub fn mark(number: usize) -> String {
    format!("lite2pg mark {number}")
}

/// A SELECT that shapes a table, and what it says of rows behind its columns.
#[derive(Debug, Clone, Default)]
pub struct Shaped {
    /// The SELECT.
    pub sql: String,
    /// What its last columns say.
    pub marks: Vec<Mark>,
}

// The columns of a SELECT in the making.
struct List<'a> {
    reshape: &'a Reshape,
    // The table whose rows are read.
    table: &'a str,
    items: Vec<String>,
    marks: Vec<(Mark, String)>,
}

impl List<'_> {
    fn shaped(&mut self, own: &str, shape: &ColumnShape) {
        let mut value = expression(own, shape);
        let is_own = shape.is_own();
        let mut stray = |policy: Stray, is_stray: &str, words: &str| {
            if policy == Stray::Null {
                value = format!("CASE WHEN {is_stray} THEN NULL ELSE {value} END");
            }
            let (rejects, done) = match policy {
                Stray::Keep => (false, ", kept"),
                Stray::Null => (false, ": NULL"),
                Stray::Reject => (true, ""),
            };
            // A column of its own values that is NULL where the table's is not was an orphan: its parent is looked for once.
            let if_null = policy == Stray::Null && is_own;
            let sql = if if_null { format!("({own} IS NOT NULL)") } else { is_stray.to_owned() };
            let mark = Mark { column: Some(shape.name.clone()), words: format!("{words}{done}"), rejects, if_null };
            self.marks.push((mark, sql));
        };
        if let (Value::Map(map), Stray::Null | Stray::Reject) = (&shape.value, shape.others) {
            stray(shape.others, &unnamed(own, map), "a value that the map does not name");
        }
        if let Some(orphans) = &shape.orphans {
            let is_stray = format!("({own} IS NOT NULL AND NOT {})", exists(self.reshape, self.table, own, orphans));
            stray(orphans.policy, &is_stray, &format!("an orphan: no such row of `{}`", orphans.parent));
        }
        self.items.push(format!("{value} AS {}", quoted(&shape.name)));
    }

    fn end(mut self, shape: &TableShape, from: &str) -> Shaped {
        for refusal in &shape.rejects {
            let words = refusal.reason.clone();
            let number = format!("CAST(({}\n) AS INTEGER)", refusal.when);
            self.marks.push((Mark { column: None, words, rejects: true, if_null: false }, number));
        }
        let marks = self.marks.iter().enumerate().map(|(n, (_, sql))| format!("{sql} AS {}", quoted(&mark(n))));
        self.items.extend(marks);
        let only = shape.only.as_ref().map_or_else(String::new, |only| format!(" WHERE ({only}\n)"));
        let sql = format!("SELECT {} FROM {from}{only}", self.items.join(", "));
        Shaped { sql, marks: self.marks.into_iter().map(|(mark, _)| mark).collect() }
    }
}

// Whether a map neither names a value nor gives it.
fn unnamed(own: &str, map: &[(String, Literal)]) -> String {
    let known = map.iter().flat_map(|(from, to)| [text(from), format!("CAST({} AS TEXT)", literal(to))]);
    let known: Vec<String> = known.collect();
    format!("({own} IS NOT NULL AND CAST({own} AS TEXT) NOT IN ({}))", known.join(", "))
}

// Whether there is such a row among those of the parent that arrive, as far as its own shape tells.
pub(super) fn exists(reshape: &Reshape, child: &str, own: &str, orphans: &Orphans) -> String {
    if let Some(sources) = merged_into(reshape, &orphans.parent) {
        return merge::exists(sources, own, orphans);
    }
    // The parent's own name, which its conditions may use, unless it would hide the child.
    let alias = if child.eq_ignore_ascii_case(&orphans.parent) { "lite2pg parent" } else { &orphans.parent };
    let (from, conditions) = parent(reshape, orphans, alias);
    let (alias, column) = (quoted(alias), quoted(&orphans.column));
    let (ask, number) = (parents::ASK, parents::number(reshape, orphans));
    format!(
        "coalesce({ask}({number}, {own}), EXISTS (SELECT 1 FROM {from} WHERE {alias}.{column} = {own}{conditions}))"
    )
}

/// The SELECT of the texts that values may refer to; none where several tables are merged into the parent.
pub(super) fn arriving(reshape: &Reshape, orphans: &Orphans) -> Option<String> {
    if merged_into(reshape, &orphans.parent).is_some() {
        return None;
    }
    let (from, conditions) = parent(reshape, orphans, &orphans.parent);
    let column = format!("{}.{}", quoted(&orphans.parent), quoted(&orphans.column));
    Some(format!("SELECT {column} FROM {from} WHERE typeof({column}) = 'text'{conditions}"))
}

fn merged_into<'a>(reshape: &'a Reshape, parent: &str) -> Option<&'a [MergeSource]> {
    reshape.tables.iter().find_map(|shape| match &shape.origin {
        Origin::Merge { sources, .. } if sources.iter().any(|s| s.table.eq_ignore_ascii_case(parent)) => {
            Some(&sources[..])
        }
        _ => None,
    })
}

// The parent's table as FROM wants it, and what is asked of its rows that arrive.
fn parent(reshape: &Reshape, orphans: &Orphans, alias: &str) -> (String, String) {
    let is_parent = |shape: &&TableShape| matches!(&shape.origin, Origin::Table(name) if name.eq_ignore_ascii_case(&orphans.parent));
    let mut conditions = Vec::new();
    let (table, alias) = (quoted(&orphans.parent), quoted(alias));
    if let Some(parent) = reshape.tables.iter().find(is_parent) {
        conditions.extend(parent.only.as_ref().map(|only| format!(" AND ({only}\n)")));
        conditions.extend(parent.rejects.iter().map(|r| format!(" AND NOT coalesce(({}\n), 0)", r.when)));
        for shape in parent.columns.iter().filter(|shape| shape.others == Stray::Reject) {
            if let Value::Map(map) = &shape.value {
                conditions.push(format!(" AND NOT {}", unnamed(&format!("{alias}.{}", quoted(&shape.name)), map)));
            }
        }
    }
    (format!("main.{table} AS {alias}"), conditions.concat())
}

/// The SELECT that gives a table its shape. The columns that stay come first, in the table's order, then new ones, then
/// what it says of rows.
#[must_use]
pub fn select(table: &Table, shape: &TableShape, reshape: &Reshape) -> Shaped {
    let alias = quoted(&table.name);
    let shape_of = |name: &str| shape.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name));
    let mut list = List { reshape, table: &table.name, items: Vec::new(), marks: Vec::new() };
    if let RowKey::Rowid { name, .. } = &table.row_key {
        list.items.push(format!("{alias}.{} AS {}", quoted(name), quoted(ROWID)));
    }
    for column in &table.columns {
        let own = if column.broken { "NULL".to_owned() } else { format!("{alias}.{}", quoted(&column.name)) };
        match shape_of(&column.name) {
            Some(shape) if shape.skip => {}
            Some(shape) => list.shaped(&own, shape),
            None => list.items.push(format!("{own} AS {}", quoted(&column.name))),
        }
    }
    let new = shape.columns.iter().filter(|c| !c.skip && table.column_index(&c.name).is_none());
    new.for_each(|shape| list.shaped("NULL", shape));
    // As when the table itself is read: its own b-tree, whatever its indexes say.
    let by = if table.without_rowid { "" } else { " NOT INDEXED" };
    list.end(shape, &format!("main.{alias} AS {alias}{by}"))
}

/// A person's SELECT with those that it may name.
#[must_use]
pub fn with_defined(query: &str, define: &[(String, String)]) -> String {
    if define.is_empty() {
        return query.to_owned();
    }
    let defined: Vec<String> = define.iter().map(|(name, sql)| format!("{} AS ({sql}\n)", quoted(name))).collect();
    // The query may begin with a WITH of its own.
    format!("WITH {} SELECT * FROM ({query}\n)", defined.join(", "))
}

/// A person's SELECT with the shapes of its columns.
#[must_use]
pub fn select_from_query(query: &str, columns: &[SelectColumn], shape: &TableShape, reshape: &Reshape) -> Shaped {
    let mut list = List { reshape, table: "q", items: Vec::new(), marks: Vec::new() };
    if let Origin::Merge { sources, key } = &shape.origin {
        let mark = Mark { column: key.first().cloned(), words: merge::twins(sources), rejects: false, if_null: false };
        list.marks.push((mark, format!("q.{}", quoted(merge::TWINS))));
    }
    for column in columns.iter().filter(|column| column.name != merge::TWINS) {
        let own = format!("q.{}", quoted(&column.name));
        match shape.columns.iter().find(|c| c.name == column.name) {
            Some(shape) if shape.skip => {}
            Some(shape) => list.shaped(&own, shape),
            None => list.items.push(own),
        }
    }
    let new = shape.columns.iter().filter(|c| !c.skip && columns.iter().all(|known| known.name != c.name));
    new.for_each(|shape| list.shaped("NULL", shape));
    list.end(shape, &format!("({query}\n) AS q"))
}

fn expression(own: &str, shape: &ColumnShape) -> String {
    let value = match &shape.value {
        Value::Own => own.to_owned(),
        Value::Sql(sql) => format!("({sql}\n)"),
        Value::Constant(constant) => literal(constant),
        Value::Json(path) => format!("json_extract({own}, {})", text(path)),
        Value::Map(map) => {
            let arms: Vec<String> =
                map.iter().map(|(from, to)| format!("WHEN {} THEN {}", text(from), literal(to))).collect();
            format!("CASE CAST({own} AS TEXT) {} ELSE {own} END", arms.join(" "))
        }
    };
    match &shape.default {
        Some(default) => format!("coalesce({value}, {})", literal(default)),
        None => value,
    }
}

fn literal(value: &Literal) -> String {
    match value {
        Literal::Integer(number) => number.to_string(),
        Literal::Real(number) if number.is_infinite() => if *number > 0.0 { "9e999" } else { "-9e999" }.to_owned(),
        Literal::Real(number) => format!("{number:?}"),
        Literal::Text(value) => text(value),
    }
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

impl Reader {
    /// The columns that a SELECT gives. One that SQLite does not understand, that is more than one statement, or that
    /// would write, is a [`Kind::Usage`] error with SQLite's words.
    pub fn columns_of_select(&self, sql: &str, what: &str) -> Result<Vec<SelectColumn>> {
        let refused = |why: String| {
            Err(Error::new(Kind::Usage, format!("SQLite refuses the SQL of {what}"))
                .fact(why)
                .state("nothing was written"))
        };
        // A parenthesis or a semicolon too many must not make another statement of what it stands in.
        let statement = match self.conn.prepare(&format!("SELECT * FROM ({sql}\n) AS s LIMIT 0")) {
            Ok(statement) if statement.readonly() => statement,
            Ok(_) => return refused("it would write".to_owned()),
            // The statement around it is ours, and of no help.
            Err(rusqlite::Error::SqlInputError { msg, .. }) => return refused(msg),
            Err(error) => return refused(error.to_string()),
        };
        let columns = statement.columns();
        let of = |c: &rusqlite::Column<'_>| SelectColumn {
            name: c.name().to_owned(),
            declared: c.decl_type().unwrap_or_default().to_owned(),
        };
        Ok(columns.map(|column| of(&column)).collect())
    }

    /// Whether ranges of this column of a SELECT are found without working out the whole of it each time.
    pub fn is_split_cheaply(&self, sql: &str, column: &str) -> bool {
        let column = quoted(column);
        let question = format!(
            "EXPLAIN QUERY PLAN SELECT * FROM ({sql}\n) AS s WHERE s.{column} >= 1 AND s.{column} < 9 ORDER BY s.{column}"
        );
        let told = |plan: &str| ["TEMP B-TREE", "MATERIALIZE", "CO-ROUTINE", "SCAN"].iter().any(|w| plan.contains(w));
        let Ok(mut statement) = self.conn.prepare(&question) else { return false };
        let plan =
            statement.query_map([], |row| row.get::<_, String>(3)).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        plan.is_ok_and(|plan| !plan.iter().any(|line| told(line)))
    }
}
