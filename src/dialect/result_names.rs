//! The names that SQLite gives to result columns without an alias: their text, and `:1` behind a double.

use super::Untranslatable;
use super::expression::refuse;
use sqlite3_parser::ast::{Expr, OneSelect, ResultColumn, Select};
use sqlite3_parser::dialect::TokenType;
use sqlite3_parser::lexer::Scanner;
use sqlite3_parser::lexer::sql::Tokenizer;

/// The names of the columns of the SELECT behind `create_sql`. `shown` are the names so far, stars expanded: right
/// for columns and aliases, and the parser's rendering for every other expression.
pub(super) fn of(create_sql: &str, select: &Select<'_>, shown: Vec<String>) -> Result<Vec<String>, Untranslatable> {
    let mut names = shown;
    if let OneSelect::Select { columns, .. } = &select.body.select {
        let is_text = |c: &&ResultColumn<'_>| matches!(c, ResultColumn::Expr(expr, None) if !matches!(bare(expr), Expr::Id(_) | Expr::Name(_) | Expr::Qualified(..)));
        if columns.iter().any(|c| is_text(&c)) {
            let texts = texts(create_sql)?;
            if texts.len() != columns.len() {
                return refuse("result columns whose names could not be told");
            }
            for (column, text) in columns.iter().zip(texts).filter(|(c, _)| is_text(c)) {
                let ResultColumn::Expr(expr, _) = column else { continue };
                let rendered = expr.to_string();
                for name in names.iter_mut().filter(|n| **n == rendered) {
                    name.clone_from(&text);
                }
            }
        }
    }
    distinct(names)
}

fn bare<'e, 'b>(expr: &'e Expr<'b>) -> &'e Expr<'b> {
    match expr {
        Expr::Parenthesized(inner) if inner.len() == 1 => bare(&inner[0]),
        Expr::Collate(inner, _) => bare(inner),
        other => other,
    }
}

/// Whether LIMITs in the text are written `offset, count`; refused where some are and some are not.
pub(super) fn limit_has_comma(create_sql: &str) -> Result<bool, Untranslatable> {
    let mut scanner = Scanner::new(Tokenizer::new());
    let (mut depth, mut open) = (0_i32, Vec::new());
    let (mut commas, mut offsets) = (0, 0);
    while let Ok((_, Some((_, token)), _)) = scanner.scan(create_sql.as_bytes()) {
        match token {
            TokenType::TK_LP => depth += 1,
            TokenType::TK_RP => {
                depth -= 1;
                open.retain(|d| *d <= depth);
            }
            TokenType::TK_LIMIT => open.push(depth),
            TokenType::TK_COMMA if open.contains(&depth) => commas += 1,
            TokenType::TK_OFFSET if open.contains(&depth) => offsets += 1,
            _ => {}
        }
    }
    if commas > 0 && offsets > 0 { refuse("LIMIT with a comma beside LIMIT with OFFSET") } else { Ok(commas > 0) }
}

/// The texts of the outermost SELECT's result list: each from its first token to the token behind it, trimmed,
/// so that a comment at the end belongs to it.
fn texts(create_sql: &str) -> Result<Vec<String>, Untranslatable> {
    let unknown = || Untranslatable::new("result columns whose names could not be told");
    let mut scanner = Scanner::new(Tokenizer::new());
    let (mut depth, mut inside) = (0_i32, false);
    let mut texts: Vec<String> = Vec::new();
    let mut begun: Option<usize> = None;
    loop {
        let (start, token) = match scanner.scan(create_sql.as_bytes()).map_err(|_| unknown())? {
            (start, Some((_, token)), _) => (start, Some(token)),
            (_, None, _) => (create_sql.len(), None),
        };
        let top = depth == 0;
        match token {
            Some(TokenType::TK_LP) => depth += 1,
            Some(TokenType::TK_RP) => depth -= 1,
            _ => {}
        }
        if !inside {
            inside = top && token == Some(TokenType::TK_SELECT);
            if token.is_none() {
                return Err(unknown());
            }
            continue;
        }
        let ends = token.is_none_or(|t| top && ends_list(t));
        if ends || (top && token == Some(TokenType::TK_COMMA)) {
            let text = begun.take().and_then(|from| create_sql.get(from..start)).ok_or_else(unknown)?;
            texts.push(text.trim_end().to_owned());
            if ends {
                return Ok(texts);
            }
        } else if begun.is_none()
            && !(texts.is_empty() && matches!(token, Some(TokenType::TK_DISTINCT | TokenType::TK_ALL)))
        {
            begun = Some(start);
        }
    }
}

const fn ends_list(token: TokenType) -> bool {
    use TokenType as T;
    matches!(
        token,
        T::TK_FROM
            | T::TK_WHERE
            | T::TK_GROUP
            | T::TK_HAVING
            | T::TK_ORDER
            | T::TK_LIMIT
            | T::TK_UNION
            | T::TK_EXCEPT
            | T::TK_INTERSECT
            | T::TK_SEMI
    )
}

// As sqlite3ColumnsFromExprList() does: `name`, `name:1`, `name:2`; from the fourth double on it is random.
pub(super) fn distinct(names: Vec<String>) -> Result<Vec<String>, Untranslatable> {
    let mut taken: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let is_taken = |n: &str| taken.iter().any(|t| t.eq_ignore_ascii_case(n));
        let mut free = name.clone();
        let mut count = 0;
        while is_taken(&free) {
            count += 1;
            if count > 3 {
                return refuse("more than four result columns of one name");
            }
            let stem = match free.rsplit_once(':') {
                Some((stem, digits)) if !stem.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => stem,
                _ => free.as_str(),
            };
            free = format!("{stem}:{count}");
        }
        taken.push(free);
    }
    Ok(taken)
}
