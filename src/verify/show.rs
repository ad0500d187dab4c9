//! A cell of a form in words, for who asked to see values: as SQL would write it, so that NULL, `''` and `'NULL'` are
//! three things and a blank at the end can be seen.

use super::form::{self, Number};
use jiff::civil::DateTime;
use jiff::{Span, ToSpan};
use std::fmt::Write as _;

/// Characters of a text, and twice the bytes of a blob, that are shown.
const CHARS_MAX: usize = 200;

/// The value of a cell, as PostgreSQL would print it where that is short; text stands in quotes.
#[must_use]
pub fn cell(cell: &[u8]) -> String {
    match form::value(cell) {
        form::Value::Null => "NULL".to_owned(),
        form::Value::NoValue => "no value of this type".to_owned(),
        form::Value::Bool(value) => value.to_string(),
        form::Value::Int(value) => value.to_string(),
        form::Value::Float(value) => format!("{value:?}"),
        form::Value::Numeric(number) => numeric(number),
        form::Value::Text(text) => quoted(&String::from_utf8_lossy(text)),
        form::Value::Bytes(bytes) => hex(bytes),
        form::Value::List(cells) => {
            let shown: Vec<String> = form::cells(cells).take(CHARS_MAX / 2).map(self::cell).collect();
            format!("{{{}}}", shown.join(", "))
        }
        form::Value::Uuid(bytes) => uuid::Uuid::from_bytes(bytes).to_string(),
        form::Value::Date(i32::MAX) | form::Value::Timestamp(i64::MAX) => "infinity".to_owned(),
        form::Value::Date(i32::MIN) | form::Value::Timestamp(i64::MIN) => "-infinity".to_owned(),
        form::Value::Date(days) => {
            moment(i64::from(days).days()).map_or_else(|| days.to_string(), |d| d.date().to_string())
        }
        // PostgreSQL knows the end of a day.
        form::Value::Time(86_400_000_000) => "24:00:00".to_owned(),
        form::Value::Time(micros) => {
            moment(micros.microseconds()).map_or_else(|| micros.to_string(), |d| d.time().to_string())
        }
        form::Value::Timestamp(micros) => {
            moment(micros.microseconds()).map_or_else(|| micros.to_string(), |d| format!("{} {}", d.date(), d.time()))
        }
        form::Value::Hashed { bytes, hash } => {
            format!(
                "{bytes} bytes, BLAKE3 {}…",
                blake3::Hash::from_bytes(hash).to_hex().chars().take(16).collect::<String>()
            )
        }
    }
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::from("\\x");
    for byte in bytes.iter().take(CHARS_MAX / 2) {
        let _ = write!(out, "{byte:02x}");
    }
    if bytes.len() > CHARS_MAX / 2 {
        let _ = write!(out, "… ({} bytes)", bytes.len());
    }
    out
}

/// A text in quotes, cut where it is long.
#[must_use]
pub fn quoted(text: &str) -> String {
    let literal = |part: &str| format!("'{}'", part.replace('\'', "''"));
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", literal(&text[..end]), text.len()),
        None => literal(text),
    }
}

fn moment(since: Span) -> Option<DateTime> {
    jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0).checked_add(since).ok()
}

fn numeric(number: Number<'_>) -> String {
    let (negative, digits, exponent) = match number {
        Number::NaN => return "NaN".to_owned(),
        Number::Infinite { negative } => return if negative { "-Infinity" } else { "Infinity" }.to_owned(),
        Number::Finite { negative, digits, exponent } => (negative, String::from_utf8_lossy(digits), exponent),
    };
    let sign = if negative { "-" } else { "" };
    let shown = |text: String| format!("{sign}{text}");
    let length = digits.len() as i32;
    match exponent {
        _ if digits.is_empty() => "0".to_owned(),
        e if !(-40..=40).contains(&e) => shown(format!("0.{digits}e{e}")),
        e if e <= 0 => shown(format!("0.{}{digits}", "0".repeat(-e as usize))),
        e if e >= length => shown(format!("{digits}{}", "0".repeat((e - length) as usize))),
        e => shown(format!("{}.{}", &digits[..e as usize], &digits[e as usize..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::form::Form;

    #[track_caller]
    fn check(write: impl FnOnce(&mut Form), expect: &str) {
        let mut form = Form::default();
        write(&mut form);
        form.int(7);
        let cells: Vec<&[u8]> = form::cells(form.bytes()).collect();
        assert_eq!(cells.len(), 2, "{expect}");
        assert_eq!(cell(cells[0]), expect);
        assert_eq!(cell(cells[1]), "7");
    }

    #[test]
    fn every_kind_of_cell_is_cut_and_shown() {
        let finite = |negative, digits, exponent| Number::Finite { negative, digits, exponent };
        check(Form::null, "NULL");
        check(Form::no_value, "no value of this type");
        check(|f| f.bool(true), "true");
        check(|f| f.int(-5), "-5");
        check(|f| f.float(-0.0), "-0.0");
        check(|f| f.numeric(finite(true, b"125", 1)), "-1.25");
        check(|f| f.numeric(finite(false, b"5", -2)), "0.005");
        check(|f| f.numeric(finite(false, b"12", 4)), "1200");
        check(|f| f.numeric(finite(false, b"", 0)), "0");
        check(|f| f.numeric(finite(false, b"1", 400)), "0.1e400");
        check(|f| f.numeric(finite(false, &[b'7'; 2000], 2000)), &numeric_hashed());
        check(|f| f.numeric(Number::NaN), "NaN");
        check(|f| f.text("é".as_bytes()), "'é'");
        check(|f| f.text(b"it's "), "'it''s '");
        check(|f| f.text(b"NULL"), "'NULL'");
        check(|f| f.time(86_400_000_000), "24:00:00");
        check(|f| f.blob(b"\0\xff"), "\\x00ff");
        check(|f| f.uuid([0x11; 16]), "11111111-1111-1111-1111-111111111111");
        check(|f| f.date(-1), "1999-12-31");
        check(|f| f.date(i32::MAX), "infinity");
        check(|f| f.time(61_000_001), "00:01:01.000001");
        check(|f| f.timestamp(0), "2000-01-01 00:00:00");
        check(|f| f.timestamp_tz(i64::MIN), "-infinity");
        check(|f| f.json(b"[1]"), "'[1]'");
        check(|f| f.jsonb(b"{}"), "'{}'");
        let mut list = Form::default();
        list.text(b"a");
        list.null();
        check(|f| f.list(&list), "{'a', NULL}");
        check(|f| f.text(&[b'x'; 1024]), &format!("'{}'… (1024 bytes)", "x".repeat(200)));
    }

    fn numeric_hashed() -> String {
        let hash = blake3::hash(&[b'7'; 2000]).to_hex();
        format!("2000 bytes, BLAKE3 {}…", &hash[..16])
    }

    #[test]
    fn a_long_payload_is_its_length_and_hash() {
        let text = vec![b'x'; 1025];
        let mut form = Form::default();
        form.text(&text);
        assert!(form.bytes().len() < 50);
        let shown = cell(form.bytes());
        assert!(shown.starts_with("1025 bytes, BLAKE3 "), "{shown}");
        let mut other = Form::default();
        other.text(&vec![b'y'; 1025]);
        assert_ne!(form.bytes(), other.bytes());
    }
}
