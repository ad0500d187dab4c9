//! Text and figures as HTML. Every text of a source, a server or a person goes through [`text`].

use crate::model::figures::{bytes, count, duration};
use crate::model::name::steers;
use std::fmt::Write as _;

/// A table of as many rows stays on one sheet of paper.
const SHORT: usize = 12;

/// A text as HTML: nothing in it is markup, or steers how its neighbours are read.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push('\n'),
            c if steers(c) => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// A sentence as HTML: a number in it, whose thousands stand apart, is not broken.
pub fn sentence(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    let mut chars = words.chars().peekable();
    let mut last = ' ';
    while let Some(c) = chars.next() {
        let is_inside = c == ' ' && last.is_ascii_digit() && chars.peek().is_some_and(char::is_ascii_digit);
        out.push(if is_inside { '\u{a0}' } else { c });
        last = c;
    }
    text(&out)
}

/// A name, set as code.
pub fn code(name: &str) -> String {
    format!("<code>{}</code>", text(name))
}

/// What a figure counts.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    Count,
    Bytes,
    Millis,
    BytesPerSecond,
}

/// A figure with the place in the JSON that it is taken from, so that one can be held against the other.
pub fn figure(at: &str, unit: Unit, value: u64) -> String {
    let (word, shown) = match unit {
        Unit::Count => ("count", count(value)),
        Unit::Bytes => ("bytes", bytes(value)),
        Unit::Millis => ("ms", duration(value)),
        Unit::BytesPerSecond => ("bytes/s", format!("{}/s", bytes(value))),
    };
    format!("<span data-at=\"{at}\" data-as=\"{word}\">{}</span>", text(&shown))
}

/// A table: heads, of which those with a leading `#` stand over figures and those with a `~` over sentences, and rows of
/// finished cells.
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let class = |i: usize| match heads.get(i).and_then(|head| head.chars().next()) {
        Some('#') => " class=\"n\"",
        Some('~') => " class=\"long\"",
        _ => "",
    };
    let short = if rows.len() <= SHORT { " class=\"short\"" } else { "" };
    let mut out = format!("<div class=\"wide\"><table{short}><thead><tr>");
    for (i, head) in heads.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(i), text(head.trim_start_matches(['#', '~'])));
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (i, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{cell}</td>", class(i));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        assert_eq!(
            text("<b a=\"x\" b='y'>&\u{1b}\u{202e}\u{0}"),
            "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;\u{FFFD}\u{FFFD}\u{FFFD}"
        );
        assert_eq!(sentence("1 204 331 rows, 2 <b>"), "1\u{a0}204\u{a0}331 rows, 2 &lt;b&gt;");
        assert_eq!(figure("/ms", Unit::Millis, 1500), "<span data-at=\"/ms\" data-as=\"ms\">1.5s</span>");
    }
}
