//! `date()`, `time()`, `datetime()`, `strftime()`, `unixepoch()` and `julianday()` of the current moment.

use super::Untranslatable;
use super::expression::{Translator, refuse};
use super::kind::Kind;
use super::term::Term;
use crate::model::name;

pub(super) const UTC: &str = "now() AT TIME ZONE 'UTC'";

/// A date function's call; `None` where the name is not one of them.
pub(super) fn call(translator: &Translator<'_>, name: &str, args: &[&Term]) -> Result<Option<Term>, Untranslatable> {
    if !["date", "time", "datetime", "strftime", "unixepoch", "julianday"].contains(&name) {
        return Ok(None);
    }
    if !translator.is_view() {
        return refuse(&format!("{name}() is not the same at every time"));
    }
    current(name, args).map(Some)
}

/// A date function of `'now'`, in SQLite's zone and form: UTC, whole seconds.
pub(super) fn current(name: &str, args: &[&Term]) -> Result<Term, Untranslatable> {
    let (format, moment) = match (name, args) {
        ("strftime", [format, rest @ ..]) => (format.string(), rest),
        (_, rest) => (None, rest),
    };
    match moment {
        [] => {}
        [now] if now.string().is_some_and(|s| s.eq_ignore_ascii_case("now")) => {}
        [now, ..] if now.string().is_some_and(|s| s.eq_ignore_ascii_case("now")) => {
            return refuse(&format!("{name}() with modifiers"));
        }
        _ => return refuse(&format!("{name}() of something else than 'now'")),
    }
    let text = |sql: String| Term::atom(sql, Kind::Text).never_null(true);
    match name {
        "date" => Ok(text(format!("to_char({UTC}, 'YYYY-MM-DD')"))),
        "time" => Ok(text(format!("to_char({UTC}, 'HH24:MI:SS')"))),
        "datetime" => Ok(text(format!("to_char({UTC}, 'YYYY-MM-DD HH24:MI:SS')"))),
        "unixepoch" => Ok(Term::atom("floor(extract(epoch FROM now()))::bigint", Kind::Integer).never_null(true)),
        "julianday" => {
            let sql = "(extract(epoch FROM now())::float8 / 86400.0 + 2440587.5)";
            Ok(Term { real: true, ..Term::atom(sql, Kind::Float) }.never_null(true))
        }
        _ => match format {
            Some("%s") => Ok(text("floor(extract(epoch FROM now()))::bigint::text".to_owned())),
            Some(format) => Ok(text(format!("to_char({UTC}, {})", name::literal(&to_char_format(format)?)))),
            None => refuse("strftime() with a format that is no string"),
        },
    }
}

/// SQLite's format as PostgreSQL's.
fn to_char_format(format: &str) -> Result<String, Untranslatable> {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            match c {
                // Letters are patterns to to_char(), unless in double quotes.
                c if c.is_alphanumeric() => push!(out, "\"{c}\""),
                '"' | '\\' => return refuse("strftime() with a quote or a backslash in its format"),
                c => out.push(c),
            }
            continue;
        }
        out.push_str(match chars.next() {
            Some('Y') => "YYYY",
            Some('m') => "MM",
            Some('d') => "DD",
            Some('H') => "HH24",
            Some('M') => "MI",
            Some('S') => "SS",
            // SS.SSS in SQLite.
            Some('f') => "SS.MS",
            Some('F') => "YYYY-MM-DD",
            Some('T') => "HH24:MI:SS",
            Some('R') => "HH24:MI",
            Some('j') => "DDD",
            Some('%') => "%",
            other => {
                let other = other.map(String::from).unwrap_or_default();
                return refuse(&format!("strftime() with %{other}"));
            }
        });
    }
    Ok(out)
}
