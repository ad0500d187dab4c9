//! LIKE and GLOB.

use super::Untranslatable;
use super::expression::{Mode, Translator, refuse};
use super::kind::Kind;
use super::term::Term;
use crate::model::name;
use sqlite3_parser::ast::{Expr, LikeOperator};

impl Translator<'_> {
    pub fn like(
        &mut self,
        text: &Expr<'_>,
        not: bool,
        op: LikeOperator,
        pattern: &Expr<'_>,
        escape: Option<&Expr<'_>>,
    ) -> Result<Term, Untranslatable> {
        let (text, pattern) = (self.expr(text)?, self.expr(pattern)?);
        let escape = escape.map(|e| self.expr(e)).transpose()?;
        match op {
            LikeOperator::Like => self.like_terms(&text, not, &pattern, escape.as_ref()),
            LikeOperator::Glob if escape.is_none() => self.glob_terms(&text, not, &pattern),
            LikeOperator::Glob => refuse("GLOB with ESCAPE"),
            LikeOperator::Match => refuse("MATCH"),
            LikeOperator::Regexp => refuse("REGEXP is the application's own function"),
        }
    }

    /// SQLite's LIKE ignores the case of ASCII letters and knows no escape unless one is named.
    pub fn like_terms(
        &self,
        text: &Term,
        not: bool,
        pattern: &Term,
        escape: Option<&Term>,
    ) -> Result<Term, Untranslatable> {
        if text.kind == Kind::Null || pattern.kind == Kind::Null {
            return Ok(Term::atom("NULL::boolean", Kind::Bool));
        }
        let (subject, wanted) = (self.text(text)?, self.text(pattern)?);
        let escape = escape.map(escape_char).transpose()?;
        let letters = wanted.string().is_none_or(|p| p.bytes().any(|b| b.is_ascii_alphabetic()));
        let left = if letters { folded(&subject) } else { bytewise(text, &subject) };
        let right = match wanted.string() {
            Some(p) if escape.is_some_and(|e| ends_in_escape(p, e)) => {
                return refuse("a LIKE pattern that ends in its escape");
            }
            Some(p) => name::literal(&p.to_ascii_lowercase()),
            None => folded(&wanted),
        };
        let clause = match escape {
            Some(c) => format!(" ESCAPE {}", name::literal(&c.to_string())),
            // Without one, a backslash is just itself; PostgreSQL would take it as the escape.
            None if wanted.string().is_some_and(|p| !p.contains('\\')) => String::new(),
            None => " ESCAPE ''".to_owned(),
        };
        let not = if not { "NOT " } else { "" };
        let never_null = subject.never_null && wanted.never_null;
        Ok(Term::comparison(format!("{left} {not}LIKE {right}{clause}")).never_null(never_null))
    }

    pub fn glob_terms(&self, text: &Term, not: bool, pattern: &Term) -> Result<Term, Untranslatable> {
        let subject = self.text(text)?;
        let Some(glob) = pattern.string() else { return refuse("GLOB with a pattern that is no string") };
        let regex = regex(glob)?;
        let op = if not { "!~" } else { "~" };
        let sql = format!("{} COLLATE \"C\" {op} {}", subject.operand(), name::literal(&regex));
        Ok(Term::comparison(sql).never_null(subject.never_null))
    }

    /// Whether the translation is for a view.
    pub fn is_view(&self) -> bool {
        self.mode == Mode::View
    }
}

fn folded(term: &Term) -> String {
    format!("lower({} COLLATE \"C\")", term.operand())
}

// A column of a nondeterministic collation takes no LIKE before PostgreSQL 18.
fn bytewise(original: &Term, term: &Term) -> String {
    let plain = original.collation.as_ref().is_none_or(|c| c.name.eq_ignore_ascii_case("BINARY"));
    if plain { term.side() } else { format!("{} COLLATE \"C\"", term.operand()) }
}

fn escape_char(term: &Term) -> Result<char, Untranslatable> {
    let mut chars = term.string().unwrap_or_default().chars();
    match (chars.next(), chars.next()) {
        // A letter would be folded together with the pattern, a wildcard loses its meaning in one of the two.
        (Some(c), None) if !c.is_alphabetic() && c != '%' && c != '_' => Ok(c),
        _ => refuse("an ESCAPE that is not one plain character"),
    }
}

fn ends_in_escape(pattern: &str, escape: char) -> bool {
    let trailing = pattern.chars().rev().take_while(|c| *c == escape).count();
    trailing % 2 == 1
}

/// The glob as an anchored regular expression.
fn regex(glob: &str) -> Result<String, Untranslatable> {
    let mut out = String::from("^");
    let mut chars = glob.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                let mut members = String::new();
                // A closing bracket in the first place is a member.
                if chars.next_if_eq(&']').is_some() {
                    members.push_str("\\]");
                }
                loop {
                    match chars.next() {
                        None => return refuse("a GLOB pattern whose [ is not closed"),
                        Some(']') => break,
                        Some(c) if "\\[^".contains(c) => members.extend(['\\', c]),
                        Some(c) => members.push(c),
                    }
                }
                if members.is_empty() || members.starts_with('-') || members.ends_with('-') || members.contains("--") {
                    return refuse("a GLOB pattern with a [set] of doubtful meaning");
                }
                if backward_range(&members) {
                    return refuse("a GLOB pattern with a backward range");
                }
                out.push_str(&members);
                out.push(']');
            }
            c if c.is_alphanumeric() || c == '_' || c == ' ' || !c.is_ascii() => out.push(c),
            c => out.extend(['\\', c]),
        }
    }
    out.push('$');
    Ok(out)
}

// `[z-a]` matches nothing in SQLite and is an error in PostgreSQL; a range beside an escape is refused too.
fn backward_range(members: &str) -> bool {
    let chars: Vec<char> = members.chars().collect();
    chars.windows(3).any(|w| w[1] == '-' && (w[0] > w[2] || w[0] == '\\' || w[2] == '\\'))
}
