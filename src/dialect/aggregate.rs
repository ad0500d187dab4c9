//! Aggregate and window functions, which only views have.

use super::Untranslatable;
use super::expression::{Mode, Translator, refuse};
use super::function::Call;
use super::kind::Kind;
use super::select::{condition, order_by, plain_equality};
use super::term::Term;
use crate::model::name::{literal, quoted};
use sqlite3_parser::ast::{FrameBound, FrameClause, FunctionCallOrder, FunctionTail, Over, Window, WindowDef};

const AGGREGATES: [&str; 8] = ["count", "sum", "avg", "total", "group_concat", "string_agg", "min", "max"];
const RANKS: [&str; 6] = ["row_number", "rank", "dense_rank", "ntile", "percent_rank", "cume_dist"];
const NEIGHBOURS: [&str; 5] = ["lag", "lead", "first_value", "last_value", "nth_value"];

/// Whether a call of that name looks at more than one row. `min` and `max` do so with one argument only.
pub(super) fn is_one(name: &str) -> bool {
    AGGREGATES[..6].contains(&name) || RANKS.contains(&name) || NEIGHBOURS.contains(&name)
}

/// `count(*)`
pub(super) fn count_star(t: &mut Translator<'_>, tail: Option<&FunctionTail<'_>>) -> Result<Term, Untranslatable> {
    if t.mode == Mode::Strict {
        return refuse("an aggregate");
    }
    let tail = tail_sql(t, tail)?;
    Ok(Term::atom(format!("count(*){tail}"), Kind::Integer).never_null(true))
}

/// Any other aggregate or window function.
pub(super) fn call(t: &mut Translator<'_>, call: &Call<'_, '_>) -> Result<Term, Untranslatable> {
    let name = call.name.as_str();
    if t.mode == Mode::Strict {
        return refuse(&format!("{name}() over several rows"));
    }
    let args = call.args.iter().map(|a| t.expr(a)).collect::<Result<Vec<_>, _>>()?;
    let tail = tail_sql(t, call.tail)?;
    let order = match call.order_by {
        Some(FunctionCallOrder::SortList(order)) => order_by(t, order, &[])?,
        None => String::new(),
    };
    if RANKS.contains(&name) || NEIGHBOURS.contains(&name) {
        return window(name, &args, &tail);
    }
    let distinct = if call.distinct { "DISTINCT " } else { "" };
    if call.distinct {
        args.iter().try_for_each(|a| plain_equality(a, "DISTINCT"))?;
    }
    let inside = |sql: &str| format!("({distinct}{sql}{order}){tail}");
    match (name, args.as_slice()) {
        ("count", [x]) => Ok(Term::atom(format!("count{}", inside(&x.sql)), Kind::Integer).never_null(true)),
        ("count", []) => Ok(Term::atom(format!("count(*){tail}"), Kind::Integer).never_null(true)),
        ("sum" | "avg" | "total", [x]) => summed(t, name, x, &inside),
        ("min" | "max", [x]) => extreme(t, name, x, &inside),
        ("group_concat", [x]) => joined(t, x, "','", &inside),
        ("group_concat" | "string_agg", [x, separator]) => {
            let Some(separator) = separator.string() else { return refuse("a separator that is no string") };
            joined(t, x, &literal(separator), &inside)
        }
        _ => refuse(&format!("{name}() with {} arguments", args.len())),
    }
}

fn summed(t: &Translator<'_>, name: &str, x: &Term, inside: &dyn Fn(&str) -> String) -> Result<Term, Untranslatable> {
    let x = t.number(x)?;
    let double = |x: &Term| if x.kind == Kind::Float && x.wide { x.clone() } else { x.cast("float8", Kind::Float) };
    Ok(match (name, x.kind) {
        ("sum", Kind::Integer) => Term::atom(format!("sum{}::bigint", inside(&x.sql)), Kind::Integer),
        ("sum", _) => Term::atom(format!("sum{}", inside(&double(&x).sql)), Kind::Float),
        ("avg", _) => Term { real: true, ..Term::atom(format!("avg{}", inside(&double(&x).sql)), Kind::Float) },
        _ => {
            let sql = format!("COALESCE(sum{}, 0.0::float8)", inside(&double(&x).sql));
            Term { real: true, ..Term::atom(sql, Kind::Float) }.never_null(true)
        }
    })
}

fn extreme(t: &Translator<'_>, name: &str, x: &Term, inside: &dyn Fn(&str) -> String) -> Result<Term, Untranslatable> {
    plain_equality(x, &format!("{name}()"))?;
    let x = match x.kind {
        Kind::Bool => t.number(x)?,
        Kind::Text => Term { sql: format!("{} COLLATE \"C\"", x.operand()), ..x.clone() },
        _ => x.clone(),
    };
    let sql = format!("{name}{}", inside(&x.sql));
    Ok(Term { affinity: None, literal: None, ..Term { sql, level: super::term::Level::Atom, ..x } }.never_null(false))
}

// The order of the parts is that of the rows, which neither database promises.
fn joined(
    t: &Translator<'_>,
    x: &Term,
    separator: &str,
    inside: &dyn Fn(&str) -> String,
) -> Result<Term, Untranslatable> {
    let text = t.text(x)?;
    let sql = if text.literal.is_some() { text.cast("text", Kind::Text).sql } else { text.sql };
    Ok(Term::atom(format!("string_agg{}", inside(&format!("{sql}, {separator}"))), Kind::Text))
}

fn window(name: &str, args: &[Term], tail: &str) -> Result<Term, Untranslatable> {
    let list: Vec<_> = args.iter().map(|a| a.sql.as_str()).collect();
    let sql = format!("{name}({}){tail}", list.join(", "));
    Ok(match (name, args) {
        ("percent_rank" | "cume_dist", []) => Term { real: true, ..Term::atom(sql, Kind::Float) }.never_null(true),
        ("row_number" | "rank" | "dense_rank", []) => Term::atom(sql, Kind::Integer).never_null(true),
        ("ntile", [_]) => Term { wide: false, ..Term::atom(sql, Kind::Integer) }.never_null(true),
        (_, [x, rest @ ..]) if rest.len() <= 2 && NEIGHBOURS.contains(&name) => {
            Term { sql, level: super::term::Level::Atom, literal: None, never_null: false, ..x.clone() }
        }
        _ => return refuse(&format!("{name}() with {} arguments", args.len())),
    })
}

fn tail_sql(t: &mut Translator<'_>, tail: Option<&FunctionTail<'_>>) -> Result<String, Untranslatable> {
    let Some(tail) = tail else { return Ok(String::new()) };
    let mut sql = String::new();
    if let Some(filter) = tail.filter_clause {
        push!(sql, " FILTER (WHERE {})", condition(t, filter)?);
    }
    match tail.over_clause {
        Some(Over::Name(name)) => push!(sql, " OVER {}", quoted(&super::parse::unquoted(name.0))),
        Some(Over::Window(window)) => push!(sql, " OVER ({})", window_sql(t, window)?),
        None => {}
    }
    Ok(sql)
}

/// ` WINDOW …`
pub(super) fn named_windows(t: &mut Translator<'_>, windows: &[WindowDef<'_>]) -> Result<String, Untranslatable> {
    let mut list = Vec::with_capacity(windows.len());
    for def in windows {
        list.push(format!("{} AS ({})", quoted(&super::parse::unquoted(def.name.0)), window_sql(t, &def.window)?));
    }
    Ok(format!(" WINDOW {}", list.join(", ")))
}

fn window_sql(t: &mut Translator<'_>, window: &Window<'_>) -> Result<String, Untranslatable> {
    let mut parts = Vec::new();
    if let Some(base) = &window.base {
        parts.push(quoted(&super::parse::unquoted(base.0)));
    }
    if let Some(partition) = window.partition_by {
        let mut list = Vec::with_capacity(partition.len());
        for expr in partition {
            let term = t.expr(expr)?;
            plain_equality(&term, "PARTITION BY")?;
            list.push(term.sql);
        }
        parts.push(format!("PARTITION BY {}", list.join(", ")));
    }
    if let Some(order) = window.order_by {
        parts.push(order_by(t, order, &[])?.trim_start().to_owned());
    }
    if let Some(frame) = &window.frame_clause {
        parts.push(frame_sql(t, frame)?);
    }
    Ok(parts.join(" "))
}

fn frame_sql(t: &mut Translator<'_>, frame: &FrameClause<'_>) -> Result<String, Untranslatable> {
    use sqlite3_parser::ast::{FrameExclude, FrameMode};
    let mode = match frame.mode {
        FrameMode::Groups => "GROUPS",
        FrameMode::Range => "RANGE",
        FrameMode::Rows => "ROWS",
    };
    let start = bound(t, &frame.start)?;
    let extent = match &frame.end {
        Some(end) => format!("BETWEEN {start} AND {}", bound(t, end)?),
        None => start,
    };
    let exclude = match frame.exclude {
        None => "",
        Some(FrameExclude::NoOthers) => " EXCLUDE NO OTHERS",
        Some(FrameExclude::CurrentRow) => " EXCLUDE CURRENT ROW",
        Some(FrameExclude::Group) => " EXCLUDE GROUP",
        Some(FrameExclude::Ties) => " EXCLUDE TIES",
    };
    Ok(format!("{mode} {extent}{exclude}"))
}

fn bound(t: &mut Translator<'_>, bound: &FrameBound<'_>) -> Result<String, Untranslatable> {
    Ok(match bound {
        FrameBound::CurrentRow => "CURRENT ROW".to_owned(),
        FrameBound::UnboundedFollowing => "UNBOUNDED FOLLOWING".to_owned(),
        FrameBound::UnboundedPreceding => "UNBOUNDED PRECEDING".to_owned(),
        FrameBound::Following(expr) => format!("{} FOLLOWING", t.expr(expr)?.operand()),
        FrameBound::Preceding(expr) => format!("{} PRECEDING", t.expr(expr)?.operand()),
    })
}
