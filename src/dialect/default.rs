//! DEFAULT texts, as `PRAGMA table_info` gives them, in PostgreSQL's dialect.

use super::Untranslatable;
use super::datetime;
use super::expression::{Mode, Translator, refuse, value_for};
use super::literal::{Value, as_number, bytea};
use super::moment::{self, Now};
use super::parse::{self, unquoted};
use super::scope::Scope;
use super::term::Level;
use crate::model::conversion::{Conversion, MomentForm, Naive};
use crate::model::name;
use crate::model::pg_type::PgType;
use sqlite3_parser::Bump;
use sqlite3_parser::ast::{Expr, UnaryOperator};

/// Translates a DEFAULT for a column of that type: the SQL behind DEFAULT, or `None` where it is NULL.
///
/// `conversion` is how the column's cells are converted, where the caller knows: it says what an epoch number
/// counts and which zone a bare time is in. Without it, a bare time is UTC and a number is no time.
pub fn translate(
    sql_text: &str,
    pg_type: &PgType,
    conversion: Option<&Conversion>,
) -> Result<Option<String>, Untranslatable> {
    let bump = Bump::new();
    let wrapped = parse::wrapped(sql_text);
    let mut expr = parse::expression(&bump, &wrapped)?;
    while let Expr::Parenthesized(inner) = expr {
        match inner.as_slice() {
            [one] => expr = one,
            _ => return refuse("row values"),
        }
    }
    if let Some(value) = constant(expr) {
        return of_value(&value, pg_type, conversion);
    }
    if let Some(now) = moment::of(expr) {
        return of_now(&now?, pg_type, conversion).map(Some);
    }
    if let Some(sql) = random_uuid(sql_text, pg_type) {
        return sql.map(Some);
    }
    let scope = Scope::default();
    let term = Translator::new(&scope, Mode::View).expr(expr)?;
    let term = value_for(&term, pg_type)?;
    Ok(Some(if term.level == Level::Atom { term.sql } else { format!("({})", term.sql) }))
}

/// The value, where the expression is a literal, a signed one, or a bare word, which SQLite takes as a string.
fn constant(expr: &Expr<'_>) -> Option<Value> {
    match expr {
        Expr::Literal(literal) => Value::of(literal),
        Expr::Parenthesized(inner) if inner.len() == 1 => constant(&inner[0]),
        Expr::Unary(UnaryOperator::Positive, inner) => constant(inner),
        Expr::Unary(UnaryOperator::Negative, inner) => constant(inner)?.negated(),
        Expr::Id(id) if id.0.eq_ignore_ascii_case("true") => Some(Value::Integer(1)),
        Expr::Id(id) if id.0.eq_ignore_ascii_case("false") => Some(Value::Integer(0)),
        Expr::Id(id) => Some(Value::Text(unquoted(id.0))),
        _ => None,
    }
}

fn of_value(
    value: &Value,
    pg_type: &PgType,
    conversion: Option<&Conversion>,
) -> Result<Option<String>, Untranslatable> {
    // The word null in quotes is what some tools write for no default.
    let is_null = match value {
        Value::Null => true,
        Value::Text(text) => !pg_type.is_text() && text.eq_ignore_ascii_case("null"),
        _ => false,
    };
    if is_null {
        return Ok(None);
    }
    let sql = match pg_type {
        PgType::Bool => boolean(value),
        PgType::Int2 => integer(value, i64::from(i16::MIN), i64::from(i16::MAX)),
        PgType::Int4 => integer(value, i64::from(i32::MIN), i64::from(i32::MAX)),
        PgType::Int8 => integer(value, i64::MIN, i64::MAX),
        PgType::Float4 | PgType::Float8 => float(value),
        PgType::Numeric(limit) => numeric(value, *limit),
        PgType::Text | PgType::TextLike(_) => text(value, None),
        PgType::Varchar(n) | PgType::Char(n) => text(value, Some(*n)),
        PgType::Bytea => bytes(value),
        PgType::Uuid => match value {
            Value::Text(t) if uuid::Uuid::try_parse(t).is_ok() => Some(name::literal(t)),
            _ => None,
        },
        PgType::Json | PgType::Jsonb => json(value, pg_type),
        PgType::Array(_) | PgType::Cast(_) => match value {
            Value::Text(t) if matches!(t.trim(), "[]" | "{}") && pg_type.is_array() => Some("'{}'".to_owned()),
            _ => None,
        },
        PgType::Date | PgType::Time | PgType::Timestamp | PgType::TimestampTz => time(value, pg_type, conversion),
    };
    match (sql, value) {
        (Some(sql), _) => Ok(Some(sql)),
        (None, Value::Text(text)) => refuse(&format!("the string {} is no {pg_type}", name::literal(text))),
        (None, Value::Blob(_)) => refuse(&format!("a blob is no {pg_type}")),
        (None, Value::Integer(i)) => refuse(&format!("the number {i} is no {pg_type}")),
        (None, Value::Real(r)) => refuse(&format!("the number {r:?} is no {pg_type}")),
        (None, Value::Null) => Ok(None),
    }
}

fn boolean(value: &Value) -> Option<String> {
    let truth = match value {
        Value::Integer(0) => false,
        Value::Integer(1) => true,
        Value::Text(word) => match word.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => true,
            "f" | "false" | "n" | "no" | "off" | "0" => false,
            _ => return None,
        },
        _ => return None,
    };
    Some(truth.to_string())
}

// A number in quotes becomes a number under the column's affinity.
fn as_numeric(value: &Value) -> Option<Value> {
    match value {
        Value::Text(text) => as_number(text),
        Value::Integer(_) | Value::Real(_) => Some(value.clone()),
        _ => None,
    }
}

fn integer(value: &Value, min: i64, max: i64) -> Option<String> {
    let integer = match as_numeric(value)? {
        Value::Integer(i) => i,
        Value::Real(r) if r.fract().abs() < f64::MIN_POSITIVE && r.abs() < 9e15 => r as i64,
        _ => return None,
    };
    (min..=max).contains(&integer).then(|| integer.to_string())
}

fn float(value: &Value) -> Option<String> {
    match as_numeric(value)? {
        Value::Integer(i) => Some(i.to_string()),
        Value::Real(r) if r.is_infinite() => Some(format!("'{}Infinity'", if r < 0.0 { "-" } else { "" })),
        Value::Real(r) => Some(format!("{r:?}")),
        _ => None,
    }
}

// numeric(p,s) rounds what has more digits: such a default would be another value.
fn numeric(value: &Value, limit: Option<(u16, u16)>) -> Option<String> {
    let digits = match as_numeric(value)? {
        Value::Integer(i) => i.to_string(),
        Value::Real(r) if r.is_finite() => format!("{r}"),
        _ => return None,
    };
    let (whole, fraction) =
        digits.trim_start_matches('-').split_once('.').unwrap_or((digits.trim_start_matches('-'), ""));
    let fits = limit.is_none_or(|(p, s)| {
        let places = usize::from(p.saturating_sub(s));
        fraction.len() <= usize::from(s) && whole.trim_start_matches('0').len() <= places
    });
    fits.then_some(digits)
}

fn text(value: &Value, chars_max: Option<u32>) -> Option<String> {
    let text = match value {
        Value::Text(text) => text.clone(),
        Value::Integer(i) => i.to_string(),
        // Short decimals are written the same by everyone.
        Value::Real(r) if format!("{r:?}").len() <= 15 && !format!("{r:?}").contains(['e', 'i']) => format!("{r:?}"),
        _ => return None,
    };
    let fits = chars_max.is_none_or(|n| text.chars().count() <= n as usize);
    (fits && !text.contains('\0')).then(|| name::literal(&text))
}

fn bytes(value: &Value) -> Option<String> {
    match value {
        Value::Blob(bytes) => Some(bytea(bytes)),
        Value::Text(text) => Some(bytea(text.as_bytes())),
        _ => None,
    }
}

fn json(value: &Value, pg_type: &PgType) -> Option<String> {
    match value {
        Value::Text(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => {
            (!text.contains("\\u0000")).then(|| format!("{}::{pg_type}", name::literal(text)))
        }
        _ => None,
    }
}

fn time(value: &Value, pg_type: &PgType, conversion: Option<&Conversion>) -> Option<String> {
    let text = match (value, conversion) {
        (Value::Text(text), _) => text,
        (Value::Integer(i), Some(Conversion::Moment { form: MomentForm::Epoch(unit), .. })) => {
            return moment::of_epoch(*i, *unit, pg_type);
        }
        _ => return None,
    };
    let civil = text.parse::<jiff::civil::DateTime>().is_ok() && text.len() >= 10;
    match pg_type {
        PgType::Date => (civil && text.len() == 10).then(|| name::literal(text)),
        PgType::Time => text.parse::<jiff::civil::Time>().is_ok().then(|| name::literal(text)),
        PgType::Timestamp => (civil && !has_zone(text)).then(|| name::literal(text)),
        _ if has_zone(text) => text.parse::<jiff::Timestamp>().is_ok().then(|| name::literal(text)),
        _ => match conversion {
            _ if !civil => None,
            Some(Conversion::Moment { naive: Naive::Refuse, .. }) => None,
            Some(Conversion::Moment { naive: Naive::Zone(zone), .. }) => {
                Some(format!("({}::timestamp AT TIME ZONE {})", name::literal(text), name::literal(zone)))
            }
            _ => Some(name::literal(&format!("{text}+00"))),
        },
    }
}

fn has_zone(text: &str) -> bool {
    text.get(10..).is_some_and(|time| time.contains(['Z', 'z', '+', '-']))
}

fn of_now(now: &Now, pg_type: &PgType, conversion: Option<&Conversion>) -> Result<String, Untranslatable> {
    let utc = datetime::UTC;
    let epoch = match conversion {
        Some(Conversion::Moment { form, .. }) => Some(form),
        _ => None,
    };
    let text_form = epoch.is_none_or(|form| matches!(form, MomentForm::Text { .. }));
    match (now, pg_type) {
        (Now::Number { sql, .. }, kind) if kind.is_number() => Ok(sql.clone()),
        (Now::Number { unit, .. }, PgType::TimestampTz | PgType::Timestamp) if matches!((epoch, unit), (Some(MomentForm::Epoch(form)), Some(unit)) if form == unit) => {
            Ok(current(pg_type))
        }
        (Now::Julian, PgType::Float8) => Ok("(extract(epoch FROM now())::float8 / 86400.0 + 2440587.5)".to_owned()),
        (Now::Julian, PgType::TimestampTz | PgType::Timestamp) if epoch == Some(&MomentForm::JulianDay) => {
            Ok(current(pg_type))
        }
        (Now::Text { sql, .. }, kind) if kind.is_text() => Ok(format!("({sql})")),
        (Now::Text { whole: Some(moment::Whole::Moment), .. }, PgType::TimestampTz | PgType::Timestamp)
            if text_form =>
        {
            Ok(current(pg_type))
        }
        (Now::Text { whole: Some(moment::Whole::Day), .. }, PgType::Date) => Ok(format!("(({utc})::date)")),
        (Now::Text { whole: Some(moment::Whole::Day), .. }, PgType::Timestamp) if text_form => {
            Ok(format!("date_trunc('day', {utc})"))
        }
        (Now::Text { whole: Some(moment::Whole::Day), .. }, PgType::TimestampTz) if text_form => {
            Ok(format!("(date_trunc('day', {utc}) AT TIME ZONE 'UTC')"))
        }
        (Now::Text { whole: Some(moment::Whole::Time), .. }, PgType::Time) => {
            Ok(format!("(date_trunc('second', {utc})::time)"))
        }
        (Now::Text { whole: Some(moment::Whole::Seconds), sql }, PgType::Int4 | PgType::Int8) => {
            Ok(sql.trim_end_matches("::text").to_owned())
        }
        _ => refuse(&format!("the current time in this form is no {pg_type}")),
    }
}

fn current(pg_type: &PgType) -> String {
    match pg_type {
        PgType::TimestampTz => "CURRENT_TIMESTAMP".to_owned(),
        _ => format!("({})", datetime::UTC),
    }
}

// The usual ways to write a random id in SQLite: 16 random bytes in hex, and a version 4 uuid by its parts.
fn random_uuid(sql_text: &str, pg_type: &PgType) -> Option<Result<String, Untranslatable>> {
    let squeezed: String =
        sql_text.to_ascii_lowercase().chars().filter(|c| !c.is_whitespace() && *c != '(' && *c != ')').collect();
    let lower = squeezed.starts_with("lower");
    let plain = ["lowerhexrandomblob16", "hexrandomblob16"].contains(&squeezed.as_str());
    let parts = ["randomblob4||'-'||", "randomblob2", "'-4'||", "absrandom%4", "randomblob6"];
    let version_4 = parts.iter().all(|part| squeezed.contains(part));
    match pg_type {
        PgType::Uuid if plain || version_4 => Some(Ok("gen_random_uuid()".to_owned())),
        PgType::Text | PgType::Varchar(_) if version_4 && lower => Some(Ok("(gen_random_uuid()::text)".to_owned())),
        _ if plain => Some(refuse("16 random bytes; PostgreSQL has them in the extension pgcrypto")),
        _ => None,
    }
}
