//! `json_extract`, `->` and `->>` on jsonb columns.

use super::Untranslatable;
use super::expression::{Translator, refuse};
use super::kind::Kind;
use super::term::{Doubt, Level, Term};
use crate::model::name;
use sqlite3_parser::ast::{Expr, Operator};

/// One step into a document.
enum Step {
    Key(String),
    Index(String),
}

impl Translator<'_> {
    pub fn json_arrow(&mut self, doc: &Expr<'_>, op: Operator, path: &Expr<'_>) -> Result<Term, Untranslatable> {
        let (doc, path) = (self.expr(doc)?, self.expr(path)?);
        let steps = match (path.integer(), path.string()) {
            (Some(index), _) if index >= 0 => vec![Step::Index(index.to_string())],
            (_, Some(text)) if text.starts_with('$') => steps(text)?,
            (_, Some(label)) => vec![Step::Key(label.to_owned())],
            _ => return refuse("a JSON path that is no constant"),
        };
        extract(&doc, &steps, op == Operator::ArrowRightShift)
    }

    pub fn json_extract(doc: &Term, path: &Term) -> Result<Term, Untranslatable> {
        match path.string() {
            Some(text) => extract(doc, &steps(text)?, true),
            None => refuse("a JSON path that is no constant"),
        }
    }
}

// One arrow per step: `#>>` would take an index for an object's key of that name, which SQLite does not.
fn extract(doc: &Term, steps: &[Step], as_text: bool) -> Result<Term, Untranslatable> {
    if doc.kind != Kind::Json {
        return refuse(&format!("a JSON path into {}", doc.kind.word()));
    }
    let mut sql = doc.operand();
    for (i, step) in steps.iter().enumerate() {
        sql += if as_text && i + 1 == steps.len() { " ->> " } else { " -> " };
        sql += &match step {
            Step::Key(key) => name::literal(key),
            Step::Index(index) => index.clone(),
        };
    }
    let kind = if as_text { Kind::Text } else { Kind::Json };
    let reason = "reads JSON as text, where SQLite gives numbers and booleans as such".to_owned();
    Ok(Term { doubt: Some(Doubt { reason, soft: as_text }), ..Term::new(sql, kind, Level::Operator) })
}

/// The steps of `$.a."b c"[0]`.
fn steps(path: &str) -> Result<Vec<Step>, Untranslatable> {
    let Some(mut rest) = path.strip_prefix('$') else { return refuse("a JSON path that does not begin with $") };
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']').unwrap_or(("", ""));
            let small = index.parse::<i32>().is_ok() && index.bytes().all(|b| b.is_ascii_digit());
            if !small {
                return refuse("a JSON path with an index that is no number");
            }
            steps.push(Step::Index(index.to_owned()));
            rest = after;
            continue;
        }
        let (key, after) = if let Some(inner) = rest.strip_prefix(".\"") {
            inner.split_once('"').ok_or_else(|| Untranslatable::new("a JSON path with an open quote"))?
        } else if let Some(inner) = rest.strip_prefix('.') {
            inner.split_at(inner.find(['.', '[']).unwrap_or(inner.len()))
        } else {
            return refuse("a JSON path of unknown form");
        };
        if key.is_empty() || key.contains('\\') {
            return refuse("a JSON path with an empty or escaped key");
        }
        steps.push(Step::Key(key.to_owned()));
        rest = after;
    }
    if steps.is_empty() { refuse("a JSON path to the whole document") } else { Ok(steps) }
}
