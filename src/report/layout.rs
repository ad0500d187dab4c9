//! Text that fits a screen: cut, wrapped, and free of what would steer the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns of the narrowest screen that everything is readable on.
pub const SCREEN_COLUMNS: usize = 80;

/// Names from a database may hold anything; a line break or an escape sequence must not reach the terminal.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
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
    }

    #[test]
    fn words_are_broken_at_blanks_and_long_ones_stand() {
        let text = wrapped("  check (", &"x > 1 AND ".repeat(12), 4);
        assert!(text.lines().count() > 1 && text.lines().all(|l| l.width() <= SCREEN_COLUMNS), "{text}");
        assert!(text.lines().nth(1).is_some_and(|l| l.starts_with("    ")), "{text}");
        assert_eq!(wrapped("", &"x".repeat(100), 2), "x".repeat(100));
    }
}
