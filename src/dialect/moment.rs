//! Expressions that give the current moment, in the forms that defaults use.

use super::Untranslatable;
use super::datetime;
use super::literal::Value;
use super::parse::unquoted;
use super::term::Term;
use crate::model::conversion::EpochUnit;
use crate::model::pg_type::PgType;
use sqlite3_parser::ast::{Expr, Literal, Operator};

/// The current moment in one of SQLite's forms.
pub(super) enum Now {
    /// A text.
    Text {
        /// The SQL that gives the same text.
        sql: String,
        /// What the text states in full, if anything.
        whole: Option<Whole>,
    },
    /// An integer counted from 1970.
    Number {
        /// The SQL that gives it as bigint.
        sql: String,
        /// What it counts, where that is known.
        unit: Option<EpochUnit>,
    },
    /// Days since 4714 BC.
    Julian,
}

/// What a text states.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// Date and time.
    Moment,
    /// A date.
    Day,
    /// A time of day.
    Time,
    /// Seconds since 1970, in digits.
    Seconds,
}

/// The form, where the expression is about the current moment; an error where it is, but in a form unknown here.
pub(super) fn of(expr: &Expr<'_>) -> Option<Result<Now, Untranslatable>> {
    match expr {
        Expr::Parenthesized(inner) if inner.len() == 1 => of(&inner[0]),
        Expr::Literal(Literal::CurrentTimestamp) => Some(text("datetime", &[], Some(Whole::Moment))),
        Expr::Literal(Literal::CurrentDate) => Some(text("date", &[], Some(Whole::Day))),
        Expr::Literal(Literal::CurrentTime) => Some(text("time", &[], Some(Whole::Time))),
        Expr::FunctionCall { name, args, distinctness: None, order_by: None, filter_over: None } => {
            call(&unquoted(name.0).to_ascii_lowercase(), args.unwrap_or_default())
        }
        Expr::Cast { expr, type_name: Some(declared) } => {
            let integer = super::Affinity::of(declared.name) == super::Affinity::Integer;
            if integer && is_julian_millis(expr) {
                return Some(Ok(millis()));
            }
            match of(expr)? {
                Ok(now) if integer => as_number(now).map(Ok),
                _ => None,
            }
        }
        Expr::Binary(
            left,
            op @ (Operator::Multiply | Operator::Add | Operator::Subtract | Operator::Divide),
            right,
        ) => {
            let by = literal_integer(right)?;
            match of(left)? {
                Ok(now) => scaled(now, *op, by),
                Err(error) => Some(Err(error)),
            }
        }
        _ => None,
    }
}

/// An epoch number as a literal of that type.
pub(super) fn of_epoch(value: i64, unit: EpochUnit, pg_type: &PgType) -> Option<String> {
    let moment = match unit {
        EpochUnit::Seconds => jiff::Timestamp::from_second(value),
        EpochUnit::Millis => jiff::Timestamp::from_millisecond(value),
        EpochUnit::Micros => jiff::Timestamp::from_microsecond(value),
        EpochUnit::Nanos => return None,
    };
    let text = moment.ok()?.to_string();
    match pg_type {
        PgType::TimestampTz => Some(format!("'{text}'")),
        PgType::Timestamp => Some(format!("'{}'", text.trim_end_matches('Z'))),
        _ => None,
    }
}

fn call(name: &str, args: &[Expr<'_>]) -> Option<Result<Now, Untranslatable>> {
    let whole = match name {
        "date" => Some(Whole::Day),
        "time" => Some(Whole::Time),
        "datetime" => Some(Whole::Moment),
        "strftime" => whole_format(&literal_string(args.first()?)?),
        "unixepoch" | "julianday" => None,
        _ => return None,
    };
    let terms: Option<Vec<Term>> =
        args.iter().map(|a| literal_string(a).and_then(|s| Value::Text(s).term().ok())).collect();
    let Some(terms) = terms else {
        return Some(Err(Untranslatable::new(format!("{name}() of something else than strings"))));
    };
    let terms: Vec<&Term> = terms.iter().collect();
    Some(match name {
        "unixepoch" => {
            datetime::current(name, &terms).map(|term| Now::Number { sql: term.sql, unit: Some(EpochUnit::Seconds) })
        }
        "julianday" => datetime::current(name, &terms).map(|_| Now::Julian),
        _ => text(name, &terms, whole),
    })
}

fn text(name: &str, args: &[&Term], whole: Option<Whole>) -> Result<Now, Untranslatable> {
    datetime::current(name, args).map(|term| Now::Text { sql: term.sql, whole })
}

fn whole_format(format: &str) -> Option<Whole> {
    let long = format.replace("%F", "%Y-%m-%d").replace("%T", "%H:%M:%S").replace("%R", "%H:%M").replace("%f", "%S");
    let bare = long.trim_end_matches('Z').trim_end_matches("+00:00");
    match bare {
        "%Y-%m-%d %H:%M:%S" | "%Y-%m-%dT%H:%M:%S" | "%Y-%m-%d %H:%M" | "%Y-%m-%dT%H:%M" => Some(Whole::Moment),
        "%Y-%m-%d" if long == bare => Some(Whole::Day),
        "%H:%M:%S" | "%H:%M" if long == bare => Some(Whole::Time),
        "%s" if long == bare => Some(Whole::Seconds),
        _ => None,
    }
}

fn as_number(now: Now) -> Option<Now> {
    match now {
        Now::Text { sql, whole: Some(Whole::Seconds) } => {
            Some(Now::Number { sql: sql.trim_end_matches("::text").to_owned(), unit: Some(EpochUnit::Seconds) })
        }
        number @ Now::Number { .. } => Some(number),
        _ => None,
    }
}

fn scaled(now: Now, op: Operator, by: i64) -> Option<Result<Now, Untranslatable>> {
    let Now::Number { sql, unit } = as_number(now)? else { return None };
    let unit = match (op, by, unit) {
        (Operator::Multiply, 1_000, Some(EpochUnit::Seconds)) => Some(EpochUnit::Millis),
        (Operator::Multiply, 1_000_000, Some(EpochUnit::Seconds)) => Some(EpochUnit::Micros),
        _ => None,
    };
    let sign = match op {
        Operator::Multiply => "*",
        Operator::Add => "+",
        Operator::Subtract => "-",
        _ if by != 0 => "/",
        _ => return None,
    };
    Some(Ok(Now::Number { sql: format!("({sql} {sign} {by})"), unit }))
}

fn millis() -> Now {
    let sql = "floor(extract(epoch FROM now()) * 1000)::bigint".to_owned();
    Now::Number { sql, unit: Some(EpochUnit::Millis) }
}

// (julianday('now') - 2440587.5) * 86400000: the usual way to milliseconds before unixepoch('subsec').
fn is_julian_millis(expr: &Expr<'_>) -> bool {
    let squeezed: String = expr.to_string().to_ascii_lowercase().chars().filter(|c| !" ()".contains(*c)).collect();
    matches!(squeezed.as_str(), "julianday'now'-2440587.5*86400000" | "julianday'now'-2440587.5*86400000.0")
}

fn literal_integer(expr: &Expr<'_>) -> Option<i64> {
    match expr {
        Expr::Literal(literal) => match Value::of(literal)? {
            Value::Integer(i) => Some(i),
            _ => None,
        },
        Expr::Parenthesized(inner) if inner.len() == 1 => literal_integer(&inner[0]),
        _ => None,
    }
}

fn literal_string(expr: &Expr<'_>) -> Option<String> {
    match expr {
        Expr::Literal(literal) => match Value::of(literal)? {
            Value::Text(text) => Some(text),
            _ => None,
        },
        // Outside of a table no column takes the name: a string.
        Expr::Id(id) if id.0.starts_with('"') => Some(unquoted(id.0)),
        Expr::Parenthesized(inner) if inner.len() == 1 => literal_string(&inner[0]),
        _ => None,
    }
}
