//! SELECT: joins, grouping, compounds, CTEs, order and limit.

use super::expression::{Field, Frame, Mode, Source, Translator, refuse};
use super::kind::Kind;
use super::literal::Value;
use super::operator::{effective_collation, text_key};
use super::parse::unquoted;
use super::term::{Level, Term};
use super::{Untranslatable, join};
use crate::model::name::quoted;
use sqlite3_parser::ast::{
    As, CommonTableExpr, CompoundOperator, Distinctness, Expr, NullsOrder, OneSelect, ResultColumn, Select, SortOrder,
    SortedColumn,
};

/// A translated SELECT.
pub(super) struct Query {
    pub sql: String,
    /// Result columns, their terms as inside the SELECT.
    pub columns: Vec<Out>,
    /// It gives one row at most.
    single: bool,
}

/// A result column.
pub(super) struct Out {
    pub name: String,
    pub term: Term,
}

/// One SELECT without its ORDER BY, while its names are still in reach.
struct Core {
    sql: String,
    columns: Vec<Out>,
    distinct: bool,
    single: bool,
}

/// Translates a query. `names` are the result columns' names where they are given from outside.
pub(super) fn query(
    t: &mut Translator<'_>,
    select: &Select<'_>,
    names: Option<&[String]>,
) -> Result<Query, Untranslatable> {
    if t.mode == Mode::Strict {
        return refuse("a subquery");
    }
    let ctes_before = t.ctes.len();
    let with = match &select.with {
        None => String::new(),
        Some(with) => {
            let ctes = with.ctes.iter().map(|c| cte(t, c, with.recursive)).collect::<Result<Vec<_>, _>>()?;
            format!("WITH {}{} ", if with.recursive { "RECURSIVE " } else { "" }, ctes.join(", "))
        }
    };
    let frames_before = t.frames.len();
    let result = body(t, select, names);
    t.frames.truncate(frames_before);
    t.ctes.truncate(ctes_before);
    let mut query = result?;
    query.sql = with + &query.sql;
    Ok(query)
}

fn body(t: &mut Translator<'_>, select: &Select<'_>, names: Option<&[String]>) -> Result<Query, Untranslatable> {
    let first = core(t, &select.body.select, names)?;
    let compounds = select.body.compounds.as_deref().unwrap_or_default();
    let limit = limit(t, select)?;
    if compounds.is_empty() && !first.distinct {
        let order = select.order_by.map(|o| order_by(t, o, &first.columns)).transpose()?.unwrap_or_default();
        let single = first.single || limit.starts_with(" LIMIT 1");
        return Ok(Query { sql: first.sql + &order + &limit, columns: first.columns, single });
    }
    let Core { mut sql, mut columns, .. } = first;
    let intersects = compounds.iter().any(|c| c.operator == CompoundOperator::Intersect);
    for compound in compounds {
        t.frames.pop();
        let next = core(t, &compound.select, None)?;
        if next.columns.len() != columns.len() {
            return refuse("SELECTs of different widths in one compound");
        }
        // In PostgreSQL INTERSECT binds more tightly; SQLite goes from left to right.
        let left = if intersects { format!("({sql})") } else { sql };
        sql = format!("{left} {} {}", compound_word(compound.operator, &columns, &next.columns)?, next.sql);
        for (column, other) in columns.iter_mut().zip(&next.columns) {
            column.term = either(&column.term, &other.term)?;
        }
    }
    let Some(order) = select.order_by else { return Ok(Query { sql: sql + &limit, columns, single: false }) };
    // A compound and a DISTINCT can be ordered by their result columns only: it is wrapped to say how.
    let order = outer_order(t, order, &columns)?;
    let list: Vec<_> = columns.iter().map(|c| quoted(&c.name)).collect();
    let sql = format!("SELECT {} FROM ({sql}) AS \"q\"{order}{limit}", list.join(", "));
    Ok(Query { sql, columns, single: false })
}

fn compound_word(op: CompoundOperator, left: &[Out], right: &[Out]) -> Result<&'static str, Untranslatable> {
    if op != CompoundOperator::UnionAll {
        left.iter().chain(right).try_for_each(|c| plain_equality(&c.term, "a compound"))?;
    }
    Ok(match op {
        CompoundOperator::Union => "UNION",
        CompoundOperator::UnionAll => "UNION ALL",
        CompoundOperator::Except => "EXCEPT",
        CompoundOperator::Intersect => "INTERSECT",
    })
}

// What is known of a column that comes from two SELECTs.
fn either(a: &Term, b: &Term) -> Result<Term, Untranslatable> {
    let kind = match (a.kind, b.kind) {
        (x, Kind::Null) | (Kind::Null, x) => x,
        (x, y) if x == y => x,
        (x, y) if x.is_number() && y.is_number() => {
            if x == Kind::Float || y == Kind::Float {
                Kind::Float
            } else {
                Kind::Numeric
            }
        }
        (x, y) => return refuse(&format!("{} and {} in one column of a compound", x.word(), y.word())),
    };
    let doubt = a.doubt.clone().or_else(|| b.doubt.clone());
    let (never_null, wide, real) = (a.never_null && b.never_null, a.wide || b.wide, a.real && b.real);
    Ok(Term { kind, doubt, never_null, wide, real, literal: None, ..a.clone() })
}

/// Where PostgreSQL groups and tells apart by bytes, SQLite must do so too.
pub(super) fn plain_equality(term: &Term, place: &str) -> Result<(), Untranslatable> {
    if let Some(doubt) = &term.doubt {
        return refuse(&doubt.reason);
    }
    match &term.collation {
        Some(c) if term.kind == Kind::Text && !c.name.eq_ignore_ascii_case("BINARY") => {
            refuse(&format!("{place} under collation `{}`", c.name))
        }
        _ => Ok(()),
    }
}

fn cte(t: &mut Translator<'_>, cte: &CommonTableExpr<'_>, recursive: bool) -> Result<String, Untranslatable> {
    let name = unquoted(cte.tbl_name.0);
    let renamed: Option<Vec<String>> = cte.columns.map(|cs| cs.iter().map(|c| unquoted(c.col_name.0)).collect());
    let depth = t.ctes.len();
    let compound = cte.select.body.compounds.is_some();
    if recursive && compound {
        // The first arm tells the columns; the others may read them.
        let frames = t.frames.len();
        let first = core(t, &cte.select.body.select, None);
        t.frames.truncate(frames);
        let fields = fields(&first?.columns, renamed.as_deref(), &name)?;
        t.ctes.push((name.clone(), fields));
    }
    t.typed_outputs = recursive && compound;
    let query = query(t, cte.select, None);
    t.typed_outputs = false;
    t.ctes.truncate(depth);
    let query = query?;
    let fields = fields(&query.columns, renamed.as_deref(), &name)?;
    let list: Vec<_> = fields.iter().map(|f| quoted(&f.name)).collect();
    t.ctes.push((name.clone(), fields));
    let hint = match cte.materialized {
        sqlite3_parser::ast::Materialized::Any => "",
        sqlite3_parser::ast::Materialized::Yes => "MATERIALIZED ",
        sqlite3_parser::ast::Materialized::No => "NOT MATERIALIZED ",
    };
    Ok(format!("{} ({}) AS {hint}({})", quoted(&name), list.join(", "), query.sql))
}

/// The columns of a query as fields of a source of that name.
pub(super) fn fields(
    columns: &[Out],
    renamed: Option<&[String]>,
    qualifier: &str,
) -> Result<Vec<Field>, Untranslatable> {
    if renamed.is_some_and(|r| r.len() != columns.len()) {
        return refuse("a list of column names of another length than the columns");
    }
    let field = |(i, out): (usize, &Out)| {
        let name = renamed.map_or_else(|| out.name.clone(), |r| r[i].clone());
        let sql = format!("{}.{}", quoted(qualifier), quoted(&name));
        let term = Term { sql, level: Level::Atom, literal: None, ..out.term.clone() };
        Field { shown: name.clone(), name, term, merged: false }
    };
    Ok(columns.iter().enumerate().map(field).collect())
}

fn core(t: &mut Translator<'_>, select: &OneSelect<'_>, names: Option<&[String]>) -> Result<Core, Untranslatable> {
    let typed = std::mem::take(&mut t.typed_outputs);
    t.frames.push(Frame::default());
    let core = match select {
        OneSelect::Values(rows) => values(t, rows, names, typed),
        OneSelect::Select { distinctness, columns, from, where_clause, group_by, having, window_clause } => {
            let from = from.as_ref().map(|f| join::from_clause(t, f)).transpose()?.unwrap_or_default();
            let columns = results(t, columns, names, typed)?;
            let distinct = *distinctness == Some(Distinctness::Distinct);
            let list: Vec<_> = columns.iter().map(|c| format!("{} AS {}", c.term.sql, quoted(&c.name))).collect();
            let mut sql = format!("SELECT {}{}{from}", if distinct { "DISTINCT " } else { "" }, list.join(", "));
            if distinct {
                columns.iter().try_for_each(|c| plain_equality(&c.term, "DISTINCT"))?;
            }
            if let Some(expr) = where_clause {
                push!(sql, " WHERE {}", condition(t, expr)?);
            }
            if let Some(terms) = group_by {
                push!(sql, " GROUP BY {}", group(t, terms, &columns)?);
            }
            if let Some(expr) = having {
                push!(sql, " HAVING {}", condition(t, expr)?);
            }
            if let Some(windows) = window_clause {
                sql += &super::aggregate::named_windows(t, windows)?;
            }
            let single = group_by.is_none() && from.is_empty();
            Ok(Core { sql, columns, distinct, single })
        }
    };
    t.typed_outputs = typed;
    core
}

fn values(
    t: &mut Translator<'_>,
    rows: &[sqlite3_parser::Vec<'_, Expr<'_>>],
    names: Option<&[String]>,
    typed: bool,
) -> Result<Core, Untranslatable> {
    let mut columns: Vec<Out> = Vec::new();
    let mut sql = Vec::with_capacity(rows.len());
    for row in rows {
        let terms = row.iter().map(|e| t.expr(e).map(|term| output(&term, typed))).collect::<Result<Vec<_>, _>>()?;
        sql.push(format!("({})", terms.iter().map(|t| t.sql.as_str()).collect::<Vec<_>>().join(", ")));
        if columns.is_empty() {
            let name = |i: usize| names.and_then(|n| n.get(i)).cloned().unwrap_or_else(|| format!("column{}", i + 1));
            columns = terms.into_iter().enumerate().map(|(i, term)| Out { name: name(i), term }).collect();
        } else {
            for (column, term) in columns.iter_mut().zip(&terms) {
                column.term = either(&column.term, term)?;
            }
        }
    }
    let list: Vec<_> = columns.iter().map(|c| quoted(&c.name)).collect();
    let sql = format!("SELECT * FROM (VALUES {}) AS \"v\" ({})", sql.join(", "), list.join(", "));
    Ok(Core { sql, columns, distinct: false, single: rows.len() == 1 })
}

fn results(
    t: &mut Translator<'_>,
    columns: &[ResultColumn<'_>],
    names: Option<&[String]>,
    typed: bool,
) -> Result<Vec<Out>, Untranslatable> {
    let mut outs: Vec<Out> = Vec::new();
    let mut aliases = Vec::new();
    for column in columns {
        match column {
            ResultColumn::Star => star(t, None, &mut outs)?,
            ResultColumn::TableStar(table) => star(t, Some(&unquoted(table.0)), &mut outs)?,
            ResultColumn::Expr(expr, alias) => {
                let term = t.expr(expr)?;
                let alias = alias.as_ref().map(|(As::As(name) | As::Elided(name))| unquoted(name.0));
                if let Some(alias) = &alias {
                    aliases.push((alias.clone(), Term { literal: None, ..term.clone() }));
                }
                let name = alias.or_else(|| t.field_name(expr)).unwrap_or_else(|| expr.to_string());
                outs.push(Out { name, term: output(&term, typed) });
            }
        }
    }
    if let Some(names) = names {
        if names.len() != outs.len() {
            return refuse("a list of column names of another length than the columns");
        }
        for (out, name) in outs.iter_mut().zip(names) {
            out.name.clone_from(name);
        }
    }
    t.frames.last_mut().expect("the SELECT has its frame").aliases = aliases;
    Ok(outs)
}

fn star(t: &Translator<'_>, table: Option<&str>, outs: &mut Vec<Out>) -> Result<(), Untranslatable> {
    let frame = t.frames.last().expect("the SELECT has its frame");
    let before = outs.len();
    for source in frame.sources.iter().filter(|s| table.is_none_or(|t| s.name.eq_ignore_ascii_case(t))) {
        let fields = source.fields.iter().filter(|f| table.is_some() || !f.merged);
        outs.extend(fields.map(|f| Out { name: f.shown.clone(), term: f.term.clone() }));
    }
    if outs.len() == before { refuse("* without a table") } else { Ok(()) }
}

// As a result: conditions are 0 and 1 in SQLite, decimals are doubles.
fn output(term: &Term, typed: bool) -> Term {
    match term.kind {
        Kind::Bool if term.affinity.is_none() => Term { wide: false, ..term.cast("int", Kind::Integer) },
        Kind::Float if term.literal.is_some() => term.cast("float8", Kind::Float),
        Kind::Integer if typed => term.cast("bigint", Kind::Integer),
        Kind::Text if typed => term.cast("text", Kind::Text),
        _ => term.clone(),
    }
}

pub(super) fn condition(t: &mut Translator<'_>, expr: &Expr<'_>) -> Result<String, Untranslatable> {
    let term = t.expr(expr)?;
    Ok(t.condition(&term)?.sql)
}

fn group(t: &mut Translator<'_>, terms: &[Expr<'_>], columns: &[Out]) -> Result<String, Untranslatable> {
    let mut list = Vec::with_capacity(terms.len());
    for expr in terms {
        let term = match ordinal(expr) {
            Some(i) => columns
                .get(i)
                .map(|c| c.term.clone())
                .ok_or_else(|| Untranslatable::new("GROUP BY a missing column"))?,
            None => t.expr(expr)?,
        };
        plain_equality(&term, "GROUP BY")?;
        // A bare literal would be an ordinal, or an error.
        list.push(if term.literal.is_some() { format!("({}::text)", term.operand()) } else { term.sql });
    }
    Ok(list.join(", "))
}

fn ordinal(expr: &Expr<'_>) -> Option<usize> {
    match expr {
        Expr::Literal(literal) => match Value::of(literal)? {
            Value::Integer(i) => usize::try_from(i).ok()?.checked_sub(1),
            _ => None,
        },
        _ => None,
    }
}

/// ` ORDER BY …` with SQLite's order of NULLs and texts.
pub(super) fn order_by(
    t: &mut Translator<'_>,
    order: &[SortedColumn<'_>],
    columns: &[Out],
) -> Result<String, Untranslatable> {
    let mut list = Vec::with_capacity(order.len());
    for sorted in order {
        let named = match &sorted.expr {
            Expr::Id(id) => columns.iter().find(|c| c.name.eq_ignore_ascii_case(&unquoted(id.0))),
            expr => ordinal(expr).and_then(|i| columns.get(i)),
        };
        let term = match named {
            Some(out) => out.term.clone(),
            None => t.expr(&sorted.expr)?,
        };
        if term.literal.is_none() {
            list.push(sort_key(&term, sorted)?);
        }
    }
    Ok(if list.is_empty() { String::new() } else { format!(" ORDER BY {}", list.join(", ")) })
}

fn outer_order(t: &mut Translator<'_>, order: &[SortedColumn<'_>], columns: &[Out]) -> Result<String, Untranslatable> {
    let mut list = Vec::with_capacity(order.len());
    for sorted in order {
        let mut expr = &sorted.expr;
        let mut collation = None;
        while let Expr::Collate(inner, name) = expr {
            collation = collation.or_else(|| Some(super::term::Collated { name: unquoted(name), explicit: true }));
            expr = inner;
        }
        let index = match expr {
            Expr::Id(id) => columns.iter().position(|c| c.name.eq_ignore_ascii_case(&unquoted(id.0))),
            expr => ordinal(expr),
        };
        let index = match index {
            Some(index) => Some(index),
            None => t.expr(expr).ok().and_then(|term| columns.iter().position(|c| c.term.sql == term.sql)),
        };
        let Some(out) = index.and_then(|i| columns.get(i)) else {
            return refuse("ORDER BY something else than a result column of a compound or DISTINCT");
        };
        let sql = format!("\"q\".{}", quoted(&out.name));
        let collation = collation.or_else(|| out.term.collation.clone());
        list.push(sort_key(&Term { sql, level: Level::Atom, collation, ..out.term.clone() }, sorted)?);
    }
    Ok(format!(" ORDER BY {}", list.join(", ")))
}

fn sort_key(term: &Term, sorted: &SortedColumn<'_>) -> Result<String, Untranslatable> {
    if let Some(doubt) = &term.doubt {
        return refuse(&doubt.reason);
    }
    let mut key = term.side();
    if term.kind == Kind::Text {
        let collation = effective_collation(term, term);
        key = text_key(term, collation)?;
        if !collation.eq_ignore_ascii_case("NOCASE") {
            key += " COLLATE \"C\"";
        }
    }
    let descending = sorted.order == Some(SortOrder::Desc);
    let nulls = match (&sorted.nulls, descending) {
        (None, _) if term.never_null => "",
        (Some(NullsOrder::First), _) | (None, false) => " NULLS FIRST",
        (Some(NullsOrder::Last), _) | (None, true) => " NULLS LAST",
    };
    Ok(format!("{key}{}{nulls}", if descending { " DESC" } else { "" }))
}

// A negative limit is none.
fn limit(t: &mut Translator<'_>, select: &Select<'_>) -> Result<String, Untranslatable> {
    let Some(limit) = select.limit else { return Ok(String::new()) };
    let mut sql = String::new();
    let (count, offset) = match &limit.offset {
        Some(second) if t.limit_has_comma => (second, Some(&limit.expr)),
        offset => (&limit.expr, offset.as_ref()),
    };
    for (word, expr) in [("LIMIT", Some(count)), ("OFFSET", offset)] {
        let Some(expr) = expr else { continue };
        match t.expr(expr)?.integer() {
            Some(n) if n >= 0 => push!(sql, " {word} {n}"),
            Some(_) => {}
            None => return refuse("LIMIT or OFFSET that is no number"),
        }
    }
    Ok(sql)
}

/// A query as a value: its first row, or NULL.
pub(super) fn scalar(t: &mut Translator<'_>, select: &Select<'_>) -> Result<Term, Untranslatable> {
    let query = query(t, select, None)?;
    let [out] = query.columns.as_slice() else { return refuse("a subquery with several columns as a value") };
    let limit = if query.single || select.limit.is_some() { "" } else { " LIMIT 1" };
    let sql = format!("({}{limit})", query.sql);
    Ok(Term { sql, level: Level::Atom, literal: None, never_null: false, collation: None, ..out.term.clone() })
}

pub(super) fn exists(t: &mut Translator<'_>, select: &Select<'_>) -> Result<Term, Untranslatable> {
    let query = query(t, select, None)?;
    Ok(Term::atom(format!("EXISTS ({})", query.sql), Kind::Bool).never_null(true))
}

pub(super) fn in_query(
    t: &mut Translator<'_>,
    lhs: &Expr<'_>,
    not: bool,
    select: &Select<'_>,
) -> Result<Term, Untranslatable> {
    let x = t.expr(lhs)?;
    let query = query(t, select, None)?;
    let [out] = query.columns.as_slice() else { return refuse("IN with a query of several columns") };
    let other = Term { collation: None, ..out.term.clone() };
    let (left, right) = t.sides(false, &x, &other)?;
    if right != other.side() {
        return refuse("IN with a query whose values would be converted");
    }
    Ok(Term::comparison(format!("{left} {}IN ({})", if not { "NOT " } else { "" }, query.sql)))
}

/// The source behind a subquery in FROM.
pub(super) fn derived(
    t: &mut Translator<'_>,
    select: &Select<'_>,
    alias: &str,
) -> Result<(String, Source), Untranslatable> {
    let query = query(t, select, None)?;
    let source = Source { name: alias.to_owned(), fields: fields(&query.columns, None, alias)?, rowid: None };
    Ok((format!("({}) AS {}", query.sql, quoted(alias)), source))
}
