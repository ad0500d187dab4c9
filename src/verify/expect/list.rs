//! Arrays: which elements a text lists, read once more, by hand.

use super::uuid;
use crate::model::conversion::UuidSpelling;
use crate::model::pg_type::Element;
use crate::verify::form::Form;

pub(super) fn read(text: &[u8], element: Element, split: Option<&str>, list: &mut Form) -> Option<()> {
    list.clear();
    let text = std::str::from_utf8(text).ok()?;
    match split {
        Some(_) if text.is_empty() => {}
        Some(by) => {
            let mut rest = Some(text);
            while let Some(left) = rest {
                let (part, more) = left.split_once(by).map_or((left, None), |(part, more)| (part, Some(more)));
                plain(part, element, list)?;
                rest = more;
            }
        }
        None if text.trim_start().starts_with('{') => literal(text, element, list)?,
        None => json(text, element, list)?,
    }
    Some(())
}

// A value as people write it between separators.
fn plain(text: &str, element: Element, list: &mut Form) -> Option<()> {
    match element {
        Element::Text | Element::Uuid => string(text, element, list),
        _ => word(text, element, list),
    }
}

fn string(text: &str, element: Element, list: &mut Form) -> Option<()> {
    match element {
        Element::Text if !text.contains('\0') => list.text(text.as_bytes()),
        Element::Uuid => list.uuid(uuid::read(text.as_bytes(), UuidSpelling::Any)?),
        _ => return None,
    }
    Some(())
}

fn word(text: &str, element: Element, list: &mut Form) -> Option<()> {
    match (element, text) {
        (Element::Bool, "true") => list.bool(true),
        (Element::Bool, "false") => list.bool(false),
        (Element::Int4, text) if !text.starts_with('+') => list.int(text.parse::<i32>().ok()?.into()),
        (Element::Int8, text) if !text.starts_with('+') => list.int(text.parse().ok()?),
        _ => return None,
    }
    Some(())
}

const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

// A list of scalars (RFC 8259).
fn json(text: &str, element: Element, list: &mut Form) -> Option<()> {
    let mut rest = text.trim_matches(SPACE).strip_prefix('[')?.strip_suffix(']')?.trim_matches(SPACE);
    if rest.is_empty() {
        return Some(());
    }
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (value, behind) = unquoted(quoted)?;
            string(&value, element, list)?;
            rest = behind;
        } else {
            let end = rest.find([',', ' ', '\t', '\n', '\r']).unwrap_or(rest.len());
            let (value, behind) = rest.split_at(end);
            scalar(value, element, list)?;
            rest = behind;
        }
        rest = rest.trim_start_matches(SPACE);
        if rest.is_empty() {
            return Some(());
        }
        rest = rest.strip_prefix(',')?.trim_start_matches(SPACE);
    }
}

// What stands without quotes. JSON writes no zero in front of a number, and -0 is a number that is no integer.
fn scalar(value: &str, element: Element, list: &mut Form) -> Option<()> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if value == "null" {
        list.null();
        return Some(());
    }
    let is_number = value != "-0" && (digits.len() == 1 || !digits.starts_with('0'));
    if is_number { word(value, element, list) } else { None }
}

// The text up to its closing quote, and what is behind it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    let hex = |at: usize| {
        let digits = text.get(at..at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u32::from_str_radix(digits, 16).ok()
    };
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\u{0}'..='\u{1f}' => return None,
            '\\' => match chars.next()?.1 {
                c @ ('"' | '\\' | '/') => value.push(c),
                'b' => value.push('\u{8}'),
                'f' => value.push('\u{c}'),
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                'u' => {
                    let first = hex(at + 2)?;
                    let (code, digits) = if (0xd800..0xdc00).contains(&first) {
                        let second = text.get(at + 6..at + 8).filter(|u| *u == "\\u").and_then(|_| hex(at + 8))?;
                        (0xdc00..0xe000).contains(&second).then_some(())?;
                        (0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), 10)
                    } else {
                        (first, 4)
                    };
                    value.push(char::from_u32(code)?);
                    for _ in 0..digits {
                        chars.next();
                    }
                }
                _ => return None,
            },
            c => value.push(c),
        }
    }
    None
}

// Where a reader of `{a,b}` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    // Before a value; an empty list may end here where nothing was read yet.
    Value { is_first: bool },
    // In a value without quotes.
    Bare,
    // Between quotes.
    Quoted,
    // Behind a closing quote.
    Behind,
    // Behind the closing brace.
    End,
}

// A blank to PostgreSQL's reader of arrays.
const fn is_blank(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}

// A list as PostgreSQL writes it, letter by letter, of one dimension.
fn literal(text: &str, element: Element, list: &mut Form) -> Option<()> {
    let mut at = At::Value { is_first: true };
    let mut value = String::new();
    // How much of a value without quotes is no blank at its end, and whether a backslash makes it no NULL.
    let (mut solid, mut is_escaped) = (0, false);
    let mut chars = text.trim_start_matches(is_blank).strip_prefix('{')?.chars();
    while let Some(c) = chars.next() {
        at = match (at, c) {
            (At::Quoted, '"') => {
                own(&value, element, list)?;
                At::Behind
            }
            (At::Quoted, '\\') => {
                value.push(chars.next()?);
                At::Quoted
            }
            (At::Quoted, c) => {
                value.push(c);
                At::Quoted
            }
            (At::Value { is_first: true }, '}') => At::End,
            (At::Value { .. }, '"') => {
                value.clear();
                At::Quoted
            }
            (At::Value { .. } | At::Behind | At::End, c) if is_blank(c) => at,
            (At::Bare | At::Behind, ',' | '}') => {
                if at == At::Bare {
                    value.truncate(solid);
                    if !is_escaped && value.eq_ignore_ascii_case("null") {
                        list.null();
                    } else {
                        own(&value, element, list)?;
                    }
                }
                if c == '}' { At::End } else { At::Value { is_first: false } }
            }
            (At::Behind | At::End, _) | (At::Value { .. } | At::Bare, '{' | '"') | (At::Value { .. }, ',' | '}') => {
                return None;
            }
            (At::Value { .. } | At::Bare, c) => {
                if at != At::Bare {
                    (solid, is_escaped) = (0, false);
                    value.clear();
                }
                is_escaped |= c == '\\';
                value.push(if c == '\\' { chars.next()? } else { c });
                if c == '\\' || !is_blank(c) {
                    solid = value.len();
                }
                At::Bare
            }
        };
    }
    (at == At::End).then_some(())
}

/// The array of these values as PostgreSQL spells it, each in quotes.
pub(super) fn spelled<'a>(text: &[u8], by: &str, out: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let mut rest = std::str::from_utf8(text).ok().filter(|text| !text.contains('\0'))?;
    out.clear();
    out.push(b'{');
    let mut is_over = rest.is_empty();
    while !is_over {
        let end = rest.find(by).unwrap_or(rest.len());
        out.push(b'"');
        for c in rest[..end].bytes() {
            if matches!(c, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(c);
        }
        out.push(b'"');
        is_over = end == rest.len();
        if !is_over {
            out.push(b',');
            rest = &rest[end + by.len()..];
        }
    }
    out.push(b'}');
    Some(out)
}

// A value as the type itself reads it.
fn own(text: &str, element: Element, list: &mut Form) -> Option<()> {
    let word = text.trim_matches(is_blank);
    match element {
        Element::Bool => list.bool(match word.to_ascii_lowercase().as_str() {
            "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => true,
            "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => false,
            _ => return None,
        }),
        Element::Int4 => list.int(word.parse::<i32>().ok()?.into()),
        Element::Int8 => list.int(word.parse().ok()?),
        Element::Text | Element::Uuid => string(text, element, list)?,
    }
    Some(())
}
