//! An array of the target as the text that lists its values: as JSON, as PostgreSQL itself does, or between separators.

use crate::error::Result;
use crate::model::cell::Owned;
use crate::model::pg_type::Element;
use crate::postgres::decode;
use uuid::Uuid;

/// Texts that may list it: in the manner of the cell that they replace first. None where no text does.
pub fn texts(field: &[u8], element: Element, split: Option<&str>, own: Option<&Owned>) -> Result<Vec<String>> {
    let mut values: Vec<Option<String>> = Vec::new();
    let is_flat = decode::array::elements(field, |value| {
        values.push(value.map(|value| word(value, element, split.is_none())).transpose()?);
        Ok(())
    })?;
    if !is_flat {
        return Ok(Vec::new());
    }
    if let Some(by) = split {
        // Between separators there is no word for NULL.
        let words: Option<Vec<String>> = values.into_iter().collect();
        return Ok(words.map(|words| words.join(by)).into_iter().collect());
    }
    if matches!(own, Some(Owned::Text(text)) if text.trim_ascii_start().starts_with(b"{")) {
        return literal(field, element).map(|text| vec![text]);
    }
    let words: Vec<String> = values.into_iter().map(|value| value.unwrap_or_else(|| "null".to_owned())).collect();
    let is_wide = matches!(own, Some(Owned::Text(text)) if text.windows(2).any(|pair| pair == b", "));
    Ok(vec![format!("[{}]", words.join(if is_wide { ", " } else { "," }))])
}

// As the server prints it: in quotes where the value would be read as something else without them.
fn literal(field: &[u8], element: Element) -> Result<String> {
    let mut words = Vec::new();
    decode::array::elements(field, |value| {
        let Some(value) = value else {
            words.push("NULL".to_owned());
            return Ok(());
        };
        let plain = match element {
            Element::Bool => if decode::bool(value)? { "t" } else { "f" }.to_owned(),
            _ => word(value, element, false)?,
        };
        let is_odd = |c: char| matches!(c, '"' | '\\' | '{' | '}' | ',') || c.is_ascii_whitespace() || c == '\u{b}';
        words.push(if plain.is_empty() || plain.eq_ignore_ascii_case("null") || plain.contains(is_odd) {
            format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
        } else {
            plain
        });
        Ok(())
    })?;
    Ok(format!("{{{}}}", words.join(",")))
}

// A value as JSON writes it, or as it stands between separators.
fn word(value: &[u8], element: Element, is_json: bool) -> Result<String> {
    let text = match element {
        Element::Bool => return Ok(decode::bool(value)?.to_string()),
        Element::Int4 | Element::Int8 => return Ok(decode::int(value)?.to_string()),
        Element::Uuid => Uuid::from_bytes(decode::fixed(value)?).hyphenated().to_string(),
        Element::Text => String::from_utf8_lossy(value).into_owned(),
    };
    Ok(if is_json { serde_json::Value::String(text).to_string() } else { text })
}
