//! FROM: tables, views, CTEs and subqueries, and how they are joined.

use super::Untranslatable;
use super::expression::{Field, Source, Translator, refuse};
use super::parse::unquoted;
use super::term::{Level, Term};
use super::{result_names, select};
use crate::model::name::{qualified, quoted};
use sqlite3_parser::ast::{
    As, FromClause, JoinConstraint, JoinOperator, JoinType, JoinedSelectTable, Operator, QualifiedName, SelectTable,
};

/// ` FROM …`, its sources put into the innermost frame.
pub(super) fn from_clause(t: &mut Translator<'_>, from: &FromClause<'_>) -> Result<String, Untranslatable> {
    Ok(format!(" FROM {}", tables(t, from)?))
}

fn tables(t: &mut Translator<'_>, from: &FromClause<'_>) -> Result<String, Untranslatable> {
    let Some(first) = from.select else { return refuse("an empty FROM") };
    let mut sql = table(t, first)?;
    for joined in from.joins.as_deref().unwrap_or_default() {
        sql = join(t, &sql, joined)?;
    }
    Ok(sql)
}

fn join(t: &mut Translator<'_>, left: &str, joined: &JoinedSelectTable<'_>) -> Result<String, Untranslatable> {
    let kind = match joined.operator {
        JoinOperator::TypedJoin(Some(kind)) => kind,
        // A comma binds as loosely as JOIN in SQLite, and more loosely in PostgreSQL: both are joins here.
        JoinOperator::Comma | JoinOperator::TypedJoin(None) => JoinType::INNER,
    };
    let boundary = frame(t).sources.len();
    let right = table(t, &joined.table)?;
    let (outer_left, outer_right) = (kind.contains(JoinType::LEFT), kind.contains(JoinType::RIGHT));
    let condition = match &joined.constraint {
        Some(JoinConstraint::On(expr)) => Some(select::condition(t, expr)?),
        Some(JoinConstraint::Using(names)) => {
            let names: Vec<String> = names.iter().map(|n| unquoted(n.0)).collect();
            Some(using(t, &names, boundary, outer_right)?)
        }
        None if kind.contains(JoinType::NATURAL) => {
            let names = common(t, boundary);
            if names.is_empty() { None } else { Some(using(t, &names, boundary, outer_right)?) }
        }
        None => None,
    };
    let frame = t.frames.last_mut().expect("the SELECT has its frame");
    for (i, source) in frame.sources.iter_mut().enumerate() {
        if (outer_left && i >= boundary) || (outer_right && i < boundary) {
            source.fields.iter_mut().for_each(|f| f.term.never_null = false);
        }
    }
    let word = match (outer_left, outer_right) {
        (true, true) => "FULL JOIN",
        (true, false) => "LEFT JOIN",
        (false, true) => "RIGHT JOIN",
        (false, false) if condition.is_none() => return Ok(format!("{left} CROSS JOIN {right}")),
        (false, false) => "JOIN",
    };
    Ok(format!("{left} {word} {right} ON {}", condition.unwrap_or_else(|| "true".to_owned())))
}

fn frame<'t>(t: &'t Translator<'_>) -> &'t super::expression::Frame {
    t.frames.last().expect("the SELECT has its frame")
}

// The names that both sides of a NATURAL join have.
fn common(t: &Translator<'_>, boundary: usize) -> Vec<String> {
    let (left, right) = frame(t).sources.split_at(boundary);
    let has = |name: &str| left.iter().flat_map(|s| &s.fields).any(|f| f.name.eq_ignore_ascii_case(name));
    right.iter().flat_map(|s| &s.fields).filter(|f| has(&f.name)).map(|f| f.name.clone()).collect()
}

// USING as a condition: the target's names may differ, and the comparison has SQLite's collation. The right
// column steps back behind the left one.
fn using(
    t: &mut Translator<'_>,
    names: &[String],
    boundary: usize,
    keeps_right: bool,
) -> Result<String, Untranslatable> {
    if keeps_right {
        return refuse("USING or NATURAL in a RIGHT or FULL join");
    }
    let mut conditions = Vec::with_capacity(names.len());
    for name in names {
        let same = |f: &&Field| f.name.eq_ignore_ascii_case(name) && !f.merged;
        let (left, right) = frame(t).sources.split_at(boundary);
        let left = left.iter().flat_map(|s| &s.fields).find(same).map(|f| f.term.clone());
        let right = right.iter().flat_map(|s| &s.fields).find(same).map(|f| f.term.clone());
        let (Some(left), Some(right)) = (left, right) else {
            return refuse(&format!("USING without a column `{name}`"));
        };
        conditions.push(t.operate(Operator::Equals, &left, &right)?.clause());
        let frame = t.frames.last_mut().expect("the SELECT has its frame");
        let fields = frame.sources[boundary..].iter_mut().flat_map(|s| &mut s.fields);
        fields.filter(|f| f.name.eq_ignore_ascii_case(name)).for_each(|f| f.merged = true);
    }
    Ok(conditions.join(" AND "))
}

fn table(t: &mut Translator<'_>, table: &SelectTable<'_>) -> Result<String, Untranslatable> {
    let alias_of = |alias: &Option<As<'_>>| alias.as_ref().map(|(As::As(name) | As::Elided(name))| unquoted(name.0));
    let (sql, source) = match table {
        SelectTable::Table(name, alias, _) => named(t, name, alias_of(alias))?,
        SelectTable::Select(query, alias) => {
            let alias = alias_of(alias).unwrap_or_else(|| format!("q{}", frame(t).sources.len() + 1));
            select::derived(t, query, &alias)?
        }
        SelectTable::Sub(from, None) => return parenthesized(t, from),
        SelectTable::Sub(_, Some(_)) => return refuse("a join in parentheses with an alias"),
        SelectTable::TableCall(name, ..) => return refuse(&format!("the table function {}()", unquoted(name.name.0))),
    };
    let frame = t.frames.last_mut().expect("the SELECT has its frame");
    if frame.sources.iter().any(|s| s.name.eq_ignore_ascii_case(&source.name)) {
        return refuse(&format!("`{}` twice in one FROM", source.name));
    }
    frame.sources.push(source);
    Ok(sql)
}

// SQLite makes a subquery of it, in which no two columns have one name; it shows in the results.
fn parenthesized(t: &mut Translator<'_>, from: &FromClause<'_>) -> Result<String, Untranslatable> {
    let boundary = frame(t).sources.len();
    let sql = tables(t, from)?;
    let fields = || frame(t).sources[boundary..].iter().flat_map(|s| &s.fields).filter(|f| !f.merged);
    let shown = result_names::distinct(fields().map(|f| f.shown.clone()).collect())?;
    let frame = t.frames.last_mut().expect("the SELECT has its frame");
    let fields = frame.sources[boundary..].iter_mut().flat_map(|s| &mut s.fields).filter(|f| !f.merged);
    fields.zip(shown).for_each(|(field, shown)| field.shown = shown);
    Ok(if from.joins.is_some() { format!("({sql})") } else { sql })
}

fn named(
    t: &mut Translator<'_>,
    name: &QualifiedName<'_>,
    alias: Option<String>,
) -> Result<(String, Source), Untranslatable> {
    let table = unquoted(name.name.0);
    let schema = name.db_name.as_ref().map(|s| unquoted(s.0));
    if schema.as_ref().is_some_and(|s| !s.eq_ignore_ascii_case("main")) {
        return refuse("a table of another database file");
    }
    let alias = alias.or_else(|| name.alias.as_ref().map(|a| unquoted(a.0))).unwrap_or_else(|| table.clone());
    let cte = t.ctes.iter().rev().find(|(n, _)| schema.is_none() && n.eq_ignore_ascii_case(&table));
    if let Some((cte, fields)) = cte {
        let requalified = |f: &Field| {
            let sql = format!("{}.{}", quoted(&alias), quoted(&f.name));
            Field { term: Term { sql, level: Level::Atom, ..f.term.clone() }, ..f.clone() }
        };
        let fields = fields.iter().map(requalified).collect();
        return Ok((format!("{} AS {}", quoted(cte), quoted(&alias)), Source { name: alias, fields, rowid: None }));
    }
    let Some(relation) = t.scope.relation(&table) else {
        return refuse(&format!("reads `{table}`, which is not in the target"));
    };
    if !t.depends_on.contains(&relation.source) {
        t.depends_on.push(relation.source.clone());
    }
    let sql = format!("{} AS {}", qualified(&relation.schema, &relation.target), quoted(&alias));
    Ok((sql, Source::of(relation, &alias, Some(&quoted(&alias)))))
}
