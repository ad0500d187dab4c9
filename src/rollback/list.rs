//! An array of the target as the text that lists its values, as JSON or between separators.

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
    let words: Vec<String> = values.into_iter().map(|value| value.unwrap_or_else(|| "null".to_owned())).collect();
    let is_wide = matches!(own, Some(Owned::Text(text)) if text.windows(2).any(|pair| pair == b", "));
    Ok(vec![format!("[{}]", words.join(if is_wide { ", " } else { "," }))])
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
