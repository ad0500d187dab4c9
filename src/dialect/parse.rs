//! From text to the parser's tree: one statement, or one expression, and nothing beside it.

use super::Unparsed;
use crate::error::forgiving;
use sqlite3_parser::ast::{Cmd, Expr, OneSelect, ResultColumn, Select, Stmt};
use sqlite3_parser::lexer::sql::Parser;
use sqlite3_parser::{Bump, FallibleIterator as _};

/// The only statement in `sql`.
pub(super) fn statement<'b>(bump: &'b Bump, sql: &'b str) -> Result<Stmt<'b>, Unparsed> {
    // The parser asserts in places where a malformed token could reach it. Its panic is an answer, not an end.
    let parsed = forgiving(|| {
        let mut parser = Parser::new(bump, sql.as_bytes());
        let first = parser.next();
        let more = match &first {
            Ok(Some(_)) => !matches!(parser.next(), Ok(None)),
            _ => false,
        };
        (first, more)
    });
    match parsed {
        Some((Ok(Some(Cmd::Stmt(stmt))), false)) => Ok(stmt),
        Some((Ok(Some(_)), true)) => Err(unparsed("more than one statement")),
        Some((Ok(_), _)) => Err(unparsed("no statement")),
        Some((Err(error), _)) => Err(unparsed(&format!("not understood: {error}"))),
        None => Err(unparsed("not understood: the SQL parser gave up")),
    }
}

/// `sql` around an expression, for [`expression`]. The line breaks end a comment that the text may close with.
pub(super) fn wrapped(sql: &str) -> String {
    format!("SELECT (\n{sql}\n)")
}

/// The expression in a text made by [`wrapped`].
pub(super) fn expression<'b>(bump: &'b Bump, wrapped: &'b str) -> Result<&'b Expr<'b>, Unparsed> {
    let Stmt::Select(Select { with: None, body, order_by: None, limit: None }) = statement(bump, wrapped)? else {
        return Err(unparsed("not an expression"));
    };
    match (&body.select, &body.compounds) {
        (
            OneSelect::Select {
                columns: [ResultColumn::Expr(Expr::Parenthesized(inner), None)],
                from: None,
                where_clause: None,
                group_by: None,
                having: None,
                ..
            },
            None,
        ) if inner.len() == 1 => Ok(&inner[0]),
        (
            OneSelect::Select { columns: [ResultColumn::Expr(query @ Expr::Subquery(_), None)], from: None, .. },
            None,
        ) => Ok(query),
        _ => Err(unparsed("not an expression")),
    }
}

fn unparsed(reason: &str) -> Unparsed {
    Unparsed { reason: reason.to_owned() }
}

/// The name behind a token, without its quotes.
pub(super) fn unquoted(token: &str) -> String {
    let inner = |quote: char| {
        let doubled = format!("{quote}{quote}");
        token.get(1..token.len() - 1).unwrap_or_default().replace(&doubled, &quote.to_string())
    };
    match token.as_bytes() {
        [b'"', .., b'"'] => inner('"'),
        [b'`', .., b'`'] => inner('`'),
        [b'\'', .., b'\''] => inner('\''),
        [b'[', .., b']'] => token[1..token.len() - 1].to_owned(),
        _ => token.to_owned(),
    }
}
