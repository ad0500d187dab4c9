//! Rows that were set aside, in words.

use super::layout::wrapped;
use super::verification;
use crate::error::{Error, Kind};
use crate::model::event::RejectedTable;
use crate::model::figures::{count, plural};
use crate::run::Retried;
use std::fmt::Write as _;

/// Reasons of one table that the screen shows; its file has all of them.
const REASONS_MAX: usize = 5;

/// Adds a table's rows, reasons and file; nothing where no row was set aside.
pub fn text(rejects: &[RejectedTable], out: &mut String) {
    for table in rejects {
        let _ = writeln!(out, "set aside: {} of {}, listed in {}", plural(table.rows, "row"), table.table, table.file);
        for reason in table.reasons.iter().take(REASONS_MAX) {
            let column = reason.column.as_ref().map_or_else(String::new, |c| format!("{c}: "));
            let keys: Vec<String> = reason.keys.iter().map(ToString::to_string).collect();
            let code = reason.sqlstate.as_ref().map_or_else(String::new, |c| format!(" ({c})"));
            let at = if keys.is_empty() { String::new() } else { format!(", as at key {}", keys.join(", ")) };
            let text = format!("{} {column}{}{code}{at}", count(reason.rows), reason.reason);
            let _ = writeln!(out, "{}", wrapped("  ", &text, 4));
        }
        if table.reasons.len() > REASONS_MAX {
            let _ = writeln!(out, "  and {} more", plural((table.reasons.len() - REASONS_MAX) as u64, "reason"));
        }
    }
    if !rejects.is_empty() {
        out.push('\n');
    }
}

/// The error of a run that set rows aside, unless as many were allowed.
#[must_use]
pub fn error(rejects: &[RejectedTable], allowed: u64) -> Option<Error> {
    let rows: u64 = rejects.iter().map(|t| t.rows).sum();
    if rows <= allowed {
        return None;
    }
    let mut error = Error::new(
        Kind::Rejected,
        format!("{} set aside", if rows == 1 { "1 row was".to_owned() } else { format!("{} rows were", count(rows)) }),
    );
    for table in rejects {
        error = error.fact(format!("`{}`: {} in {}", table.table, count(table.rows), table.file));
    }
    Some(error.state("every other row is on the target").hint(
        "`lite2pg rejects retry` tries them again once a rule was changed; `--allow-rejects N` takes them as they are",
    ))
}

/// What a second try did, for people.
#[must_use]
pub fn retried(found: &Retried) -> String {
    let mut out = String::new();
    for (table, rows) in &found.taken {
        let _ = writeln!(out, "taken: {} into {table}", plural(*rows, "row"));
    }
    text(&found.rejects, &mut out);
    if found.taken.is_empty() && found.rejects.is_empty() {
        let _ = writeln!(out, "nothing is set aside");
    }
    if let Some(verification) = &found.verification {
        out.push_str(&verification::short(verification));
    }
    out
}

/// The same as one JSON object.
#[must_use]
pub fn json(found: &Retried) -> String {
    serde_json::to_string_pretty(found).expect("a result has string keys only") + "\n"
}
