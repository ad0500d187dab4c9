//! Parts of a statement as SQLite SQL text again, spaced as people space it.

use sqlite3_parser::ast::Expr;
use sqlite3_parser::ast::fmt::{ToTokens as _, TokenStream};
use sqlite3_parser::dialect::TokenType;
use std::convert::Infallible;

/// The expression as text that SQLite reads as the same expression.
pub(super) fn expression(expr: &Expr<'_>) -> String {
    let mut text = Text::default();
    match expr.to_tokens(&mut text) {
        Ok(()) => text.out,
        Err(never) => match never {},
    }
}

#[derive(Default)]
struct Text {
    out: String,
    last: Option<TokenType>,
    /// The last token was a name or CAST, so that a parenthesis behind it opens a call.
    name: bool,
}

impl TokenStream for Text {
    type Error = Infallible;

    fn append(&mut self, token: TokenType, value: Option<&str>) -> Result<(), Infallible> {
        let word = match (token, value) {
            (TokenType::TK_BLOB, Some(hex)) if !hex.starts_with(['x', 'X']) => format!("x'{hex}'"),
            (TokenType::TK_NOTNULL, _) => "IS NOT NULL".to_owned(),
            (TokenType::TK_ISNULL, _) => "IS NULL".to_owned(),
            (_, Some(value)) => value.to_owned(),
            (token, None) => token.as_str().unwrap_or_default().to_owned(),
        };
        let closes = matches!(token, TokenType::TK_RP | TokenType::TK_COMMA | TokenType::TK_DOT);
        let call = token == TokenType::TK_LP && self.name;
        let opened = matches!(self.last, None | Some(TokenType::TK_LP | TokenType::TK_DOT));
        if !opened && !closes && !call && !word.is_empty() {
            self.out.push(' ');
        }
        self.out += &word;
        if !word.is_empty() {
            self.last = Some(token);
            self.name = matches!(token, TokenType::TK_ID | TokenType::TK_ANY | TokenType::TK_CAST);
        }
        Ok(())
    }
}
