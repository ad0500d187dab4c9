//! Literals: what SQLite reads in them, and how PostgreSQL says the same.

use super::Untranslatable;
use super::kind::Kind;
use super::parse::unquoted;
use super::term::{Level, Term};
use crate::model::name;
use sqlite3_parser::ast::Literal;
use std::fmt::Write as _;

/// The value of a literal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Value {
    /// The value of a literal token; `None` for `CURRENT_…` and keywords.
    pub fn of(literal: &Literal<'_>) -> Option<Self> {
        match literal {
            Literal::Null => Some(Self::Null),
            Literal::Numeric(digits) => number(digits),
            Literal::String(token) => Some(Self::Text(unquoted(token))),
            Literal::Blob(token) => blob(token).map(Self::Blob),
            _ => None,
        }
    }

    /// The value with its sign turned; only numbers have one.
    pub fn negated(&self) -> Option<Self> {
        match self {
            // −9223372036854775808 is written as a literal that is one too large on its own, which is a REAL.
            Self::Integer(i) => Some(i.checked_neg().map_or(Self::Real(-(*i as f64)), Self::Integer)),
            Self::Real(r) if r.to_bits() == 9_223_372_036_854_775_808.0_f64.to_bits() => Some(Self::Integer(i64::MIN)),
            Self::Real(r) => Some(Self::Real(-r)),
            _ => None,
        }
    }

    /// As a term that PostgreSQL reads as the same value.
    pub fn term(self) -> Result<Term, Untranslatable> {
        let (sql, kind, negative) = match &self {
            Self::Null => return Ok(Term::null()),
            Self::Integer(i) => (i.to_string(), Kind::Integer, *i < 0),
            Self::Real(r) if r.is_infinite() => {
                (format!("'{}Infinity'::float8", if *r < 0.0 { "-" } else { "" }), Kind::Float, false)
            }
            Self::Real(r) => (format!("{r:?}"), Kind::Float, r.is_sign_negative()),
            Self::Text(text) if text.contains('\0') => {
                return Err(Untranslatable::new("a string with a NUL character"));
            }
            Self::Text(text) => (name::literal(text), Kind::Text, false),
            Self::Blob(bytes) => (bytea(bytes), Kind::Bytes, false),
        };
        let level = if negative { Level::Operator } else { Level::Atom };
        let wide = matches!(self, Self::Integer(i) if i32::try_from(i).is_err());
        let real = matches!(self, Self::Real(_));
        Ok(Term { literal: Some(self), never_null: true, wide, real, fits_float: real, ..Term::new(sql, kind, level) })
    }
}

/// A number as SQLite's tokenizer has it: decimal, hexadecimal, with underscores.
fn number(digits: &str) -> Option<Value> {
    let digits = digits.replace('_', "");
    if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        // Sixteen digits are a bit pattern: 0xffffffffffffffff is −1.
        return u64::from_str_radix(hex, 16).ok().map(|bits| Value::Integer(bits as i64));
    }
    if let Ok(integer) = digits.parse() {
        return Some(Value::Integer(integer));
    }
    digits.parse().ok().map(Value::Real)
}

fn blob(token: &str) -> Option<Vec<u8>> {
    let hex = token.strip_prefix(['x', 'X']).unwrap_or(token).trim_matches('\'');
    if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()).collect()
}

/// `bytes` as a bytea literal.
pub(super) fn bytea(bytes: &[u8]) -> String {
    let mut hex = String::from("\\x");
    for byte in bytes {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
    }
    format!("{}::bytea", name::literal(&hex))
}

/// Whether a numeric affinity might take the text as a number. Errs towards yes.
pub(super) fn looks_numeric(text: &str) -> bool {
    let text = text.trim();
    text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) || text.parse::<f64>().is_ok()
}

/// The number that a numeric affinity makes of the text; `None` where it stays text or that is not certain.
pub(super) fn as_number(text: &str) -> Option<Value> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    if let Some(integer) = plain.then(|| text.parse::<i64>().ok()).flatten() {
        return Some(Value::Integer(integer));
    }
    let real = plain.then(|| text.parse::<f64>().ok()).flatten().filter(|r| r.is_finite())?;
    // A whole number becomes an INTEGER under NUMERIC; as a value it compares the same.
    Some(Value::Real(real))
}

/// Whether the text is a word that no number, boolean or JSON value is written as.
pub(super) fn is_word(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let starts_well = text.is_empty() || text.starts_with(|c: char| c.is_ascii_alphabetic());
    starts_well
        && !["true", "false", "null"].contains(&lower.as_str())
        && !lower.starts_with("inf")
        && !lower.starts_with("nan")
}
