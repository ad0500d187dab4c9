//! How the columns of a table that a pipeline shapes go back: as they are, through a map, by a person's SQL, or not.
//!
//! Decides nothing about single values: whether one that went back means the same is found out by reading it again
//! through the shape.

use crate::model::cell::Owned;
use crate::model::plan::{ColumnPlan, TablePlan};
use crate::model::reshape::{ColumnShape, Literal, Origin, Stray, TableShape, Value};
use crate::model::restored::{Extent, WayBack};
use crate::model::source::{RowKey, Table};

/// How one column of the target goes back.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    /// The column of SQLite's table that its values are written to; none where they are computed.
    pub to: Option<usize>,
    /// What old texts became, in the file's order.
    pub map: Vec<(String, Owned)>,
    /// Whether a value that the map does not name is nothing on the way there.
    pub only_named: bool,
    /// Whether something takes the place of NULL on the way there.
    pub has_default: bool,
}

impl Carried {
    /// How a column of the plan goes back into this table.
    #[must_use]
    pub fn of(shape: Option<&TableShape>, base: &Table, column: &ColumnPlan) -> Self {
        let found = shape.and_then(|shape| column_of(shape, &column.source));
        let own = base.column_index(&column.source);
        let mut carried = Self { to: own, map: Vec::new(), only_named: false, has_default: false };
        if let Some(found) = found {
            carried.has_default = found.default.is_some();
            match &found.value {
                Value::Own => {}
                Value::Map(map) => {
                    carried.map = map.iter().map(|(from, to)| (from.clone(), cell(to))).collect();
                    // What a map gives stays what it is, and so does what it does not name, unless that is unwanted.
                    let stays = |(_, to): &&(String, Literal)| map.iter().all(|(from, _)| *from != text(to));
                    carried.map.extend(map.iter().filter(stays).map(|(_, to)| (text(to), cell(to))));
                    carried.only_named = found.others != Stray::Keep;
                }
                Value::Sql(_) | Value::Constant(_) | Value::Json(_) => carried.to = None,
            }
        }
        carried
    }
}

/// The columns of SQLite's table whose cells a person's SQL makes of the target's row.
#[must_use]
pub fn inverses(shape: Option<&TableShape>, base: &Table) -> Vec<(usize, String)> {
    let columns = shape.into_iter().flat_map(|shape| &shape.columns);
    columns.filter_map(|c| base.column_index(&c.name).zip(c.inverse.clone())).collect()
}

/// How much of a table goes back. `base` is SQLite's table; a query has none.
#[must_use]
pub fn way_back(target: &str, shape: Option<&TableShape>, base: Option<&Table>) -> WayBack {
    let not = |why: &str| WayBack {
        table: target.to_owned(),
        extent: Extent::OneWay,
        notes: vec![why.to_owned()],
        is_left: false,
    };
    let Some(shape) = shape else {
        return WayBack { table: target.to_owned(), extent: Extent::Whole, notes: Vec::new(), is_left: false };
    };
    if !shape.inverse.is_empty() {
        let into: Vec<String> = shape.inverse.iter().map(|inverse| format!("`{}`", inverse.table)).collect();
        let notes = vec![format!("goes back into {} by its `inverse`", into.join(", "))];
        return WayBack { table: target.to_owned(), extent: Extent::Partly, notes, is_left: false };
    }
    let (Origin::Table(_), Some(base)) = (&shape.origin, base) else {
        return not("made by a query: what PostgreSQL changes in it is exported, and not restored");
    };
    let is_own = |&i: &usize| {
        let found = column_of(shape, &base.columns[i].name);
        found.is_none_or(|c| !c.skip && c.value == Value::Own && c.default.is_none())
    };
    if matches!(base.row_key, RowKey::PrimaryKey { .. }) && !base.primary_key.iter().all(is_own) {
        return not("its rows are told apart by a key that is computed or left out: what PostgreSQL changes in it is \
                    exported, and not restored");
    }
    let mut notes = Vec::new();
    if shape.only.is_some() {
        notes.push("rows that `where` leaves out stay as the source has them".to_owned());
    }
    let has_inverse = shape.columns.iter().any(|c| c.inverse.is_some());
    for column in &shape.columns {
        notes.extend(column_notes(column, base, has_inverse));
    }
    let extent = if notes.is_empty() { Extent::Whole } else { Extent::Partly };
    WayBack { table: target.to_owned(), extent, notes, is_left: false }
}

/// The same where tables and columns are left: `TABLE` or `TABLE.COLUMN`, by the names of either side.
#[must_use]
pub fn leaving(way: WayBack, plan: &TablePlan, leave: &[String]) -> WayBack {
    let tables = [plan.source.as_str(), plan.target.as_str()];
    if leave.iter().any(|name| tables.contains(&name.as_str())) {
        let notes = vec!["stays as the source has it, as `leave` says".to_owned()];
        return WayBack { extent: Extent::OneWay, notes, is_left: true, ..way };
    }
    let of =
        |name: &String| tables.iter().find_map(|table| name.strip_prefix(table)?.strip_prefix('.').map(str::to_owned));
    let notes = leave.iter().filter_map(of).map(|column| {
        match plan.columns.iter().find(|c| [c.source.as_str(), c.target.as_str()].contains(&column.as_str())) {
            Some(_) => format!("`{column}`: stays as the source has it, as `leave` says"),
            None => format!("`{column}`: what only PostgreSQL has of it is left behind, as `leave` says"),
        }
    });
    let left: Vec<String> = leave.iter().filter_map(of).collect();
    let is_left = |c: &ColumnPlan| left.iter().any(|name| [&c.source, &c.target].contains(&name));
    let cast = plan.columns.iter().filter(|c| c.cast().is_some() && !is_left(c)).map(|column| {
        let (name, pg_type) = (&column.source, &column.pg_type);
        format!("`{name}`: {pg_type} is cast by PostgreSQL, which has no way back: `rollback` asks to `leave` it")
    });
    let notes: Vec<String> = way.notes.into_iter().chain(cast).chain(notes).collect();
    let extent = if notes.is_empty() || way.extent == Extent::OneWay { way.extent } else { Extent::Partly };
    WayBack { extent, notes, ..way }
}

fn column_notes(column: &ColumnShape, base: &Table, has_inverse: bool) -> Vec<String> {
    let own = base.column_index(&column.name).map(|i| &base.columns[i]);
    let name = &column.name;
    let mut notes = Vec::new();
    match (&column.inverse, own) {
        (Some(inverse), _) => {
            notes.push(format!("`{name}`: goes back as {}", inverse.trim()));
            return notes;
        }
        (None, Some(own)) if column.skip => {
            let new = if own.not_null && own.default.is_none() {
                "new rows have no value for it, and are refused"
            } else {
                "its default, or NULL, in new rows"
            };
            notes.push(format!("`{name}`: stays as the source has it; {new}"));
            return notes;
        }
        _ => {}
    }
    match &column.value {
        Value::Own => {}
        Value::Map(map) => notes.extend(ambiguous(name, map)),
        Value::Sql(_) | Value::Json(_) if has_inverse && own.is_none() => {
            notes.push(format!("`{name}`: is computed again of what goes back"));
        }
        Value::Sql(_) | Value::Json(_) | Value::Constant(_) => {
            let stays = if own.is_some() { "the source's cells stay, and " } else { "" };
            notes.push(format!("`{name}`: is computed; {stays}another value in PostgreSQL has no way back"));
        }
    }
    if column.others != Stray::Keep {
        notes.push(format!("`{name}`: a value that the map neither names nor gives has no way back"));
    }
    if column.default.is_some() {
        notes.push(format!("`{name}`: NULL in PostgreSQL has no way back: the default takes its place"));
    }
    notes
}

// Values that several old ones became: an unchanged cell stays, a new one is the first of them.
fn ambiguous(name: &str, map: &[(String, Literal)]) -> Vec<String> {
    let mut notes = Vec::new();
    for (n, (from, to)) in map.iter().enumerate() {
        let is_first = map[..n].iter().all(|(_, other)| other != to);
        let others = map[n + 1..].iter().filter(|(_, other)| other == to).count();
        if is_first && others > 0 {
            notes.push(format!(
                "`{name}`: {} stands for {} old values; where PostgreSQL changes a cell to it, `{from}` goes back",
                words(to),
                others + 1
            ));
        }
    }
    notes
}

fn words(literal: &Literal) -> String {
    match literal {
        Literal::Integer(n) => n.to_string(),
        Literal::Real(x) => x.to_string(),
        Literal::Text(text) => format!("`{text}`"),
    }
}

fn text(literal: &Literal) -> String {
    match literal {
        Literal::Integer(n) => n.to_string(),
        Literal::Real(x) => format!("{x:?}"),
        Literal::Text(text) => text.clone(),
    }
}

fn cell(literal: &Literal) -> Owned {
    match literal {
        Literal::Integer(n) => Owned::Integer(*n),
        Literal::Real(x) => Owned::Real(*x),
        Literal::Text(text) => Owned::Text(text.clone().into_bytes()),
    }
}

fn column_of<'a>(shape: &'a TableShape, name: &str) -> Option<&'a ColumnShape> {
    shape.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name))
}
