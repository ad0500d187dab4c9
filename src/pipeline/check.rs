//! A pipeline against the source that it is for: every name it uses, every type it states.

use super::Pipeline;
use super::file::{Column, Constant, Nulls, Table};
use super::mistakes::{Mistake, Mistakes, Step};
use crate::error::Result;
use crate::model::bounds::{LANES_MAX, PARITY_TIMES_MAX};
use crate::model::name::nearest;
use crate::model::policy::Rules;
use crate::model::reshape::{ColumnShape, Inverse, Literal, Origin, Refusal, Reshape, TableShape, Value};
use crate::model::source::{Catalog, Table as SourceTable};
use std::collections::{HashMap, HashSet};
use toml::de::DeTable;
use uuid::Uuid;

/// What a pipeline asks of a run, matched with a catalog.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// How tables and columns are shaped before anything else looks at them.
    pub reshape: Reshape,
    /// Types and policies.
    pub rules: Rules,
}

/// Matches a pipeline with the source's catalog. All mistakes are told at once.
pub fn check(pipeline: &Pipeline, catalog: &Catalog) -> Result<Checked> {
    let root = DeTable::parse(&pipeline.text).map(toml::Spanned::into_inner).unwrap_or_default();
    let mistakes = Mistakes::new(&pipeline.path, &pipeline.text);
    let namespace = super::namespace(&pipeline.name());
    let (found, names) = (Checked::default(), HashSet::new());
    let mut checker = Checker { root: &root, catalog, mistakes, found, names, namespace, maps: HashMap::new() };
    checker.found.reshape.define = pipeline.file.define.clone().into_iter().collect();
    if let Some(stated) = &pipeline.file.namespace {
        match Uuid::try_parse(stated) {
            Ok(stated) => checker.namespace = stated,
            Err(_) => checker.mistake(&[Step::Key("namespace")], "a namespace is a uuid"),
        }
    }
    checker.found.rules.policies.extend(pipeline.file.on_error.map(|policy| (None, policy)));
    checker.enums(&pipeline.file.enums);
    for (n, table) in pipeline.file.table.iter().enumerate() {
        checker.table(n, table);
    }
    for (n, check) in pipeline.file.check.iter().enumerate() {
        if check.source.is_none() && check.target.is_none() {
            checker.mistake(&[Step::Key("check"), Step::Index(n)], "a check asks `source`, `target`, or both");
        } else if check.source.is_some() == check.target.is_some() && check.expect.is_some() {
            let way = [Step::Key("check"), Step::Index(n), Step::Name("expect")];
            checker.mistake(&way, "where both sides are asked, each is the other's answer");
        } else if check.source.is_some() != check.target.is_some() && check.expect.is_none() {
            checker.mistake(&[Step::Key("check"), Step::Index(n)], "a question to one side needs its answer: `expect`");
        }
    }
    for (n, _) in pipeline.file.show.iter().enumerate().filter(|(_, s)| s.source.is_none() && s.target.is_none()) {
        checker.mistake(&[Step::Key("show"), Step::Index(n)], "a question asks `source`, `target`, or both");
    }
    for (n, parity) in pipeline.file.parity.iter().enumerate() {
        let way = [Step::Key("parity"), Step::Index(n)];
        let sides = (parity.source.is_some(), parity.target.is_some());
        if sides != (parity.sql.is_none(), parity.sql.is_none()) {
            checker.mistake(&way, "a parity query is one `sql` for both sides, or `source` and `target`");
        }
        if parity.times.is_some_and(|times| !(1..=PARITY_TIMES_MAX).contains(&times)) {
            let message = format!("`times` lies between 1 and {PARITY_TIMES_MAX}");
            checker.mistake(&[way[0], way[1], Step::Key("times")], message);
        }
    }
    if pipeline.file.jobs.is_some_and(|jobs| !(1..=LANES_MAX).contains(&jobs)) {
        checker.mistake(&[Step::Key("jobs")], format!("`jobs` lies between 1 and {LANES_MAX}"));
    }
    // What only the target has is not known here: the way back itself refuses names that nothing has.
    let leave = &pipeline.file.rollback.leave;
    for (n, name) in leave.iter().enumerate() {
        let way = [Step::Key("rollback"), Step::Key("leave"), Step::Index(n)];
        if name.split('.').any(str::is_empty) {
            checker.mistake(&way, "what is left is a `TABLE` or a `TABLE.COLUMN`");
        } else if leave[..n].contains(name) {
            checker.mistake(&way, format!("`{name}` is left already"));
        }
    }
    let settings = &pipeline.file.settings;
    if settings.connections.is_some_and(|most| most < 3) {
        let message = "3 are the least: one holds the lock, one asks, one copies";
        checker.mistake(&[Step::Key("settings"), Step::Key("connections")], message);
    }
    for (key, rows) in [("range_rows", settings.range_rows), ("batch_rows", settings.batch_rows)] {
        if rows == Some(0) {
            checker.mistake(&[Step::Key("settings"), Step::Key(key)], "one row is the least");
        }
    }
    for (key, scripts) in [("before", &pipeline.file.before), ("after", &pipeline.file.after)] {
        for (n, _) in scripts.iter().enumerate().filter(|(_, s)| s.sql.is_some() == s.file.is_some()) {
            checker.mistake(&[Step::Key(key), Step::Index(n)], "a script is either `sql` or a `file`");
        }
    }
    checker.mistakes.end()?;
    Ok(checker.found)
}

/// A check under way.
pub(super) struct Checker<'a> {
    pub(super) root: &'a DeTable<'a>,
    pub(super) catalog: &'a Catalog,
    pub(super) mistakes: Mistakes<'a>,
    pub(super) found: Checked,
    names: HashSet<String>,
    pub(super) namespace: Uuid,
    /// The maps of ids, each with the key that makes them.
    pub(super) maps: HashMap<String, &'static str>,
}

impl Checker<'_> {
    pub(super) fn mistake(&mut self, way: &[Step<'_>], message: impl Into<String>) {
        self.mistakes.add(Mistake::of(self.root, way, message));
    }

    fn table(&mut self, n: usize, table: &Table) {
        let head = [Step::Key("table"), Step::Index(n)];
        let (origin, source, name) = match (&table.from, &table.query, table.merge.is_empty()) {
            (Some(from), None, true) => {
                let Some(source) = self.source(&[head[0], head[1], Step::Key("from")], from) else { return };
                (Origin::Table(source.name.clone()), Some(source), source.name.clone())
            }
            (None, None, false) => {
                let Some(to) = &table.to else {
                    return self.mistake(&head, "a table that others are merged into needs its name: `to`");
                };
                let Some(origin) = self.merge(&head, table) else { return };
                (origin, None, to.clone())
            }
            (None, Some(query), true) => {
                let Some(to) = &table.to else {
                    return self.mistake(&head, "a table made by a query needs its name: `to`");
                };
                if table.key.is_empty() {
                    self.mistake(&[head[0], head[1], Step::Key("query")], "a query needs the columns of its `key`");
                }
                (Origin::Query { sql: query.clone(), key: table.key.clone() }, None, to.clone())
            }
            _ => {
                return self
                    .mistake(&head, "a table comes `from` a table, from a `query`, or from a `merge` of tables");
            }
        };
        // SQLite tells names apart that differ in the case of other letters than ASCII's.
        if !self.names.insert(name.to_ascii_lowercase()) {
            let message = format!("`{name}` is described twice");
            return self.mistake(&[head[0], head[1], Step::Key("from")], message);
        }
        if source.is_some() && !table.key.is_empty() {
            self.mistake(&[head[0], head[1], Step::Name("key")], "`key` is for a `query`: a table has its own");
        }
        let mut shape = TableShape {
            name: name.clone(),
            origin,
            to: table.to.clone().filter(|_| source.is_some()),
            skip: table.skip,
            only: table.only.clone(),
            columns: Vec::new(),
            rejects: table.reject.iter().map(|r| Refusal { when: r.when.clone(), reason: r.reason.clone() }).collect(),
            inverse: self.inverses(&head, source.is_some(), table),
        };
        self.found.rules.policies.extend(table.on_error.map(|policy| (Some(name.clone()), policy)));
        for (column, described) in &table.columns {
            let way = [head[0], head[1], Step::Key("columns"), Step::Key(column)];
            if let Some(column) = self.column(&way, (&name, source), column, described) {
                shape.columns.push(column);
            }
        }
        self.found.reshape.tables.push(shape);
    }

    fn inverses(&mut self, head: &[Step<'_>; 2], has_table: bool, table: &Table) -> Vec<Inverse> {
        if has_table && !table.inverse.is_empty() {
            let message = "rows of a table go back by themselves; its columns have an `inverse` each";
            self.mistake(&[head[0], head[1], Step::Name("inverse")], message);
        }
        let mut all = Vec::new();
        for (name, sql) in &table.inverse {
            let way = [head[0], head[1], Step::Key("inverse"), Step::Name(name)];
            let Some(source) = self.source(&way, name) else { continue };
            if source.key_columns().is_empty() {
                self.mistake(&way, format!("`{name}` has no primary key by which its rows are found"));
            }
            all.push(Inverse { table: source.name.clone(), sql: sql.clone() });
        }
        all
    }

    fn column(
        &mut self,
        way: &[Step<'_>; 4],
        (table, source): (&str, Option<&SourceTable>),
        name: &str,
        column: &Column,
    ) -> Option<ColumnShape> {
        let key = |name: &'static str| [way[0], way[1], way[2], way[3], Step::Key(name)];
        let known = source.and_then(|s| s.column_index(name).map(|i| s.columns[i].name.clone()));
        let named = known.clone().unwrap_or_else(|| name.to_owned());
        let computed: Vec<&'static str> = [
            ("sql", column.sql.is_some()),
            ("value", column.value.is_some()),
            ("json", column.json.is_some()),
            ("map", !column.map.is_empty()),
        ]
        .into_iter()
        .filter_map(|(name, is_there)| is_there.then_some(name))
        .collect();
        if computed.len() > 1 {
            let message = format!("a column has one of {}", computed.join(", "));
            self.mistake(&way[..], message);
        }
        let is_new = source.is_some() && known.is_none();
        if is_new && column.sql.is_none() && column.value.is_none() {
            let all = source.into_iter().flat_map(|s| s.columns.iter().map(|c| c.name.as_str()));
            let near = nearest(name, all).map(str::to_owned);
            let at = [way[0], way[1], way[2], Step::Name(name)];
            let mistake = Mistake::of(self.root, &at, format!("`{table}` has no column `{name}`"));
            self.mistakes.add(match near {
                Some(near) => mistake.help(format!("did you mean `{near}`?")),
                None => mistake.help("a new column needs its `sql` or `value`"),
            });
            return None;
        }
        self.types(way, &format!("{table}.{named}"), column);
        if column.nulls == Some(Nulls::Default) {
            self.found.rules.nulls.push(format!("{table}.{named}"));
        }
        if let Some(policy) = column.on_error {
            self.found.rules.policies.push((Some(format!("{table}.{named}")), policy));
        }
        if column.inverse.is_some() && known.is_none() {
            self.mistake(&key("inverse"), "an `inverse` makes a column of the source, and this is none");
        }
        let value = if let Some(sql) = &column.sql {
            Value::Sql(sql.clone())
        } else if let Some(value) = &column.value {
            Value::Constant(literal(value))
        } else if let Some(path) = &column.json {
            Value::Json(path.clone())
        } else if column.map.is_empty() {
            Value::Own
        } else {
            Value::Map(column.map.iter().map(|(from, to)| (from.clone(), literal(to))).collect())
        };
        if column.others.is_some() && column.map.is_empty() {
            self.mistake(&key("others"), "values are `others` than those of a `map`");
        }
        let orphans = self.orphans(way, source, &named, column);
        Some(ColumnShape {
            others: column.others.unwrap_or_default(),
            orphans,
            name: named,
            to: column.to.clone(),
            skip: column.skip,
            value,
            default: column.default.as_ref().map(literal),
            inverse: column.inverse.clone(),
        })
    }
}

fn literal(constant: &Constant) -> Literal {
    match constant {
        Constant::Bool(value) => Literal::Integer(i64::from(*value)),
        Constant::Integer(value) => Literal::Integer(*value),
        Constant::Real(value) => Literal::Real(*value),
        Constant::Text(value) => Literal::Text(value.clone()),
    }
}
