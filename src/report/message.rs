//! Errors and remarks as text for stderr.

use crate::error::{Error, Kind};
use crate::model::plan::{Level, Remark};
use std::error::Error as _;
use std::fmt::Write as _;

/// An error with its facts, causes, state and hint, as STYLE has it: what, the facts, the state, a way out.
#[must_use]
pub fn error(error: &Error) -> String {
    let mut out = format!("error: {}\n", error.message());
    let fact = |out: &mut String, text: &str| {
        for line in text.lines() {
            let _ = writeln!(out, "  {line}");
        }
    };
    error.facts().iter().for_each(|f| fact(&mut out, f));
    let mut cause = error.source();
    let mut last = error.message().to_owned();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if text != last {
            fact(&mut out, &text);
        }
        if let Some(ours) = inner.downcast_ref::<Error>() {
            ours.facts().iter().for_each(|f| fact(&mut out, f));
        }
        last = text;
        cause = inner.source();
    }
    if let Some(state) = error.data_state() {
        let _ = writeln!(out, "  state  {state}");
    }
    if error.kind() == Kind::Bug {
        out.push_str("  this is a fault of lite2pg, not of your data\n");
    }
    if let Some(hint) = error.way_out() {
        let _ = write!(out, "\nhint: {hint}\n");
    }
    out
}

/// A remark in one or more lines; its SQL indented below.
#[must_use]
pub fn remark(remark: &Remark) -> String {
    let level = match remark.level {
        Level::Note => "note",
        Level::Warning => "warning",
    };
    let mut out = format!("{level}: `{}`: {}", remark.object, remark.text);
    if let Some(sql) = &remark.sql {
        for line in sql.lines() {
            let _ = write!(out, "\n    {line}");
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
            error(&outer),
            "error: `t` cannot be copied\n  the server refused\n  SQLSTATE 22P02\n  state  nothing was written\n\nhint: try again\n"
        );
    }
}
