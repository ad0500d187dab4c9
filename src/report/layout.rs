//! Text that fits a screen: cut, wrapped, and free of what would steer the terminal.

use crate::model::name::steers;
use std::fmt::Write as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns of the narrowest screen that everything is readable on.
pub const SCREEN_COLUMNS: usize = 80;

/// Names from a database may hold anything; a line break or an escape sequence must not reach the terminal, nor what
/// makes a text read from right to left, or hides a part of it.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if steers(c) { '\u{FFFD}' } else { c }).collect()
}

/// A value as JSON in one line, which no name in it can steer the terminal with: JSON itself escapes only the first of
/// the two sets of control characters.
#[must_use]
pub fn json_line(value: &serde_json::Value) -> String {
    escaped(&value.to_string())
}

/// JSON with every character escaped that steers a terminal. They stand in strings only.
#[must_use]
pub fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if steers(c) && c != '\n' {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// The text in at most `columns`, its end replaced by an ellipsis where it is longer.
#[must_use]
pub fn cut(text: &str, columns: usize) -> String {
    let text = clean(text);
    if text.width() <= columns {
        return text;
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used >= columns {
            break;
        }
        out.push(c);
    }
    out + "…"
}

/// `cut`, filled up with blanks.
#[must_use]
pub fn cell(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let blanks = columns.saturating_sub(text.width());
    text + &" ".repeat(blanks)
}

/// How many columns the text takes.
#[must_use]
pub fn columns(text: &str) -> usize {
    clean(text).width()
}

/// The words of `text` after `lead`, broken at blanks to fit the screen; later lines begin with `indent` blanks.
/// A word that is longer than a line stands as it is: names and SQL are there to be copied.
#[must_use]
pub fn wrapped(lead: &str, text: &str, indent: usize) -> String {
    let mut out = lead.to_owned();
    let mut used = lead.width();
    let mut fresh = true;
    for word in text.split(' ') {
        let word = clean(word);
        let wide = word.width() + usize::from(!fresh);
        if used + wide > SCREEN_COLUMNS && !fresh {
            out.truncate(out.trim_end().len());
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            out.push_str(&word);
            used = indent + word.width();
            continue;
        }
        if !fresh {
            out.push(' ');
        }
        out.push_str(&word);
        used += wide;
        fresh = false;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_ends_in_an_ellipsis_and_nothing_steers_the_terminal() {
        assert_eq!([cut("short", 5), cut("longer", 5), cell("ab", 4)], ["short", "long…", "ab  "]);
        assert_eq!(cut("表表表表", 5), "表表…");
        assert_eq!(clean("a\u{1b}[31m\nb"), "a\u{FFFD}[31m\u{FFFD}b");
        assert_eq!(clean("a\u{9b}31m\u{202e}b"), "a\u{FFFD}31m\u{FFFD}b");
    }

    #[test]
    fn json_is_the_same_json_without_a_character_that_steers() {
        let value = serde_json::json!({ "a\u{9b}": "\u{1b}[31m \u{202e}x\u{7f}\n", "é": [1, null] });
        let line = json_line(&value);
        assert!(line.chars().all(|c| !steers(c)), "{line:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }

    #[test]
    fn words_are_broken_at_blanks_and_long_ones_stand() {
        let text = wrapped("  check (", &"x > 1 AND ".repeat(12), 4);
        assert!(text.lines().count() > 1 && text.lines().all(|l| l.width() <= SCREEN_COLUMNS), "{text}");
        assert!(text.lines().nth(1).is_some_and(|l| l.starts_with("    ")), "{text}");
        assert_eq!(wrapped("", &"x".repeat(100), 2), "x".repeat(100));
    }
}
