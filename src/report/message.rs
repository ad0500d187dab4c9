//! Errors and remarks as text for stderr.

use super::layout::{clean, json_line, wrapped};
use crate::error::{Error, Kind};
use crate::model::plan::{Level, Remark};
use std::error::Error as _;
use std::fmt::Write as _;

/// An error with its facts, causes, state and hint: what, the facts, the state, a way out. Lines that may hold values
/// of rows are among the facts where `values` asks for them. The way out is one line however long: it is there to be copied.
#[must_use]
pub fn error(error: &Error, values: bool) -> String {
    let mut out = wrapped("error: ", &error.message().replace('\n', " "), 4) + "\n";
    for fact in facts(error, values) {
        // What has lines of its own is laid out already: a piece of a file with its mark, a trace.
        if fact.contains('\n') {
            for line in fact.lines() {
                let _ = writeln!(out, "  {}", clean(line));
            }
        } else {
            let _ = writeln!(out, "{}", wrapped("  ", &fact, 4));
        }
    }
    if let Some(state) = error.data_state() {
        let _ = writeln!(out, "{}", wrapped("  state  ", state, 9));
    }
    if error.kind() == Kind::Bug {
        out.push_str("  this is a fault of lite2pg, not of your data\n");
    }
    if let Some(hint) = error.way_out() {
        let _ = write!(out, "\nhint: {}\n", clean(&hint.replace('\n', " ")));
    }
    out
}

/// The same as one JSON object, for those who read events.
#[must_use]
pub fn error_json(error: &Error, values: bool) -> String {
    json_line(&serde_json::json!({
        "event": "error",
        "exit_code": error.kind().exit_code(),
        "message": error.message(),
        "facts": facts(error, values),
        "state": error.data_state(),
        "hint": error.way_out(),
        "sqlstate": error.sqlstate(),
    }))
}

// The error's own facts, then each cause with its facts.
fn facts(error: &Error, values: bool) -> Vec<String> {
    let own = |e: &Error| {
        let withheld = if values { e.values() } else { &[] };
        e.facts().iter().chain(withheld).cloned().collect::<Vec<_>>()
    };
    let mut all = own(error);
    let mut cause = error.source();
    let mut last = error.message().to_owned();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if text != last {
            all.push(text.clone());
        }
        if let Some(ours) = inner.downcast_ref::<Error>() {
            all.extend(own(ours));
        }
        last = text;
        cause = inner.source();
    }
    all
}

/// A remark in one or more lines; its SQL indented below, as it is.
#[must_use]
pub fn remark(remark: &Remark) -> String {
    let level = match remark.level {
        Level::Note => "note",
        Level::Warning => "warning",
    };
    let mut out = wrapped(&format!("{level}: "), &format!("`{}`: {}", remark.object, remark.text), 2);
    if let Some(sql) = &remark.sql {
        for line in sql.lines() {
            let _ = write!(out, "\n    {}", clean(&line.replace('\t', "    ")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_what_the_facts_the_state_and_the_way_out() {
        let inner = Error::new(Kind::Failed, "the server refused").fact("SQLSTATE 22P02");
        let outer = inner.state("nothing was written").hint("try again").context("`t` cannot be copied");
        assert_eq!(
            error(&outer, false),
            "error: `t` cannot be copied\n  the server refused\n  SQLSTATE 22P02\n  state  nothing was written\n\nhint: try again\n"
        );
    }
}
