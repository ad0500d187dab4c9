//! Arrays as PostgreSQL spells them: `{a,"b c",NULL}`, read as `array_in` does
//! (<https://www.postgresql.org/docs/15/arrays.html>, "Array Input and Output Syntax").
//!
//! One dimension only: what is nested, or names its bounds, is no list of values here.

use std::borrow::Cow;

/// Hands each element to `element`, NULL as `None`; none where the text is no such list, or `element` says so.
pub(super) fn elements(text: &str, mut element: impl FnMut(Option<&str>) -> Option<()>) -> Option<()> {
    let mut rest = skip(skip(text).strip_prefix('{')?);
    if let Some(behind) = rest.strip_prefix('}') {
        return skip(behind).is_empty().then_some(());
    }
    loop {
        if let Some(inside) = rest.strip_prefix('"') {
            let (value, behind) = quoted(inside)?;
            element(Some(&value))?;
            rest = skip(behind);
        } else {
            let (value, behind) = bare(rest)?;
            element(value.as_deref())?;
            rest = behind;
        }
        match rest.as_bytes().first()? {
            b',' => rest = skip(&rest[1..]),
            b'}' => return skip(&rest[1..]).is_empty().then_some(()),
            _ => return None,
        }
    }
}

// What `array_isspace` takes for a blank.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

fn skip(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

// A value up to its closing quote, and what is behind that.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = ends(text, |c| c == b'"')?;
    Some((unescaped(&text[..end]), &text[end + 1..]))
}

// A value without quotes, which ends before a comma or a brace, and what is behind it. Blanks at its end do not count, unless
// a backslash is in front of them.
fn bare(text: &str) -> Option<(Option<Cow<'_, str>>, &str)> {
    let end = ends(text, |c| matches!(c, b',' | b'}' | b'{' | b'"'))?;
    let (mut value, behind) = text.split_at(end);
    while let Some(shorter) = value.strip_suffix(is_space).filter(|shorter| !ends_in_escape(shorter)) {
        value = shorter;
    }
    if value.is_empty() {
        return None;
    }
    let is_null = value.eq_ignore_ascii_case("NULL");
    Some(((!is_null).then(|| unescaped(value)), behind))
}

// Where the first byte stands that `is_end` and that no backslash is in front of.
fn ends(text: &str, is_end: impl Fn(u8) -> bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&c) = bytes.get(at) {
        match c {
            b'\\' => at += 2,
            c if is_end(c) => return Some(at),
            _ => at += 1,
        }
    }
    None
}

fn ends_in_escape(text: &str) -> bool {
    text.bytes().rev().take_while(|c| *c == b'\\').count() % 2 == 1
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Cow::Owned(plain)
}
