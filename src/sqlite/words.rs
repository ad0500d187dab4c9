//! Words of SQL text: just enough of SQLite's tokens to find a keyword outside of strings and comments.

/// One word: bare or quoted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The word without its quotes.
    pub text: String,
    /// It stood in `"…"`, `` `…` ``, `[…]` or `'…'`, and so is no keyword.
    pub quoted: bool,
}

impl Word {
    /// Whether this is the bare keyword, ASCII case ignored.
    pub fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(keyword)
    }
}

/// The words of `sql` in order; punctuation, numbers' dots and comments are left out.
pub(super) fn words(sql: &str) -> Vec<Word> {
    let mut found = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '\'' | '"' | '`' => quoted(rest, first, &mut found),
            '[' => quoted(rest, ']', &mut found),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.get(2..).and_then(|r| r.find("*/")).map_or(rest.len(), |at| at + 4),
            c if in_word(c) => {
                let len = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
                found.push(Word { text: rest[..len].to_owned(), quoted: false });
                len
            }
            c => c.len_utf8(),
        };
        rest = &rest[len..];
    }
    found
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

// Pushes the quoted word at the start of `rest` and gives its length, quotes included. A doubled closing
// quote stands for itself, except in brackets.
fn quoted(rest: &str, close: char, found: &mut Vec<Word>) -> usize {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != close {
            text.push(c);
        } else if close != ']' && chars.peek().is_some_and(|&(_, next)| next == close) {
            text.push(close);
            chars.next();
        } else {
            found.push(Word { text, quoted: true });
            return at + 1;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn keywords_are_found_outside_of_quotes_and_comments_only() {
        let sql = "CREATE VIRTUAL TABLE \"a \"\"using\"\" b\" /* using x */ -- using y\n USING Fts5(c, [d]])";
        let found = words(sql);
        let texts: Vec<&str> = found.iter().map(|w| w.text.as_str()).collect();
        assert_eq!(texts, ["CREATE", "VIRTUAL", "TABLE", "a \"using\" b", "USING", "Fts5", "c", "d"]);
        assert!(found[4].is("using") && !found[3].is("using"));
    }

    #[test]
    fn text_that_ends_inside_a_quote_or_comment_is_no_trouble() {
        assert!(words("'open").is_empty());
        assert!(words("/*").is_empty());
        assert!(words("/* ü").is_empty());
        assert_eq!(words("-- only\nü1 x").len(), 2);
    }
}
