//! Fields of a binary COPY as PostgreSQL writes them in text: for COPY's text format and for literals.
//!
//! The value is the one that the binary field holds, so that every way of loading brings the same. Knows the types
//! of created columns only; what a server spells in a way of its own is read back by its input functions
//! (<https://www.postgresql.org/docs/15/sql-copy.html>, "Text Format"; 4.1.2.1 "String Constants").

use crate::model::pg_type::PgType;
use memchr::memchr;
use std::io::Write as _;

/// How a column's fields are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One byte.
    Bool,
    /// Big-endian, of any width.
    Integer,
    /// A float of either width.
    Float,
    /// Groups of four decimal digits.
    Numeric,
    /// Text as it is.
    Text,
    /// Text behind a version byte.
    Jsonb,
    /// Bytes.
    Bytea,
    /// Sixteen bytes.
    Uuid,
    /// Days since 2000-01-01.
    Date,
    /// Microseconds since midnight.
    Time,
    /// Microseconds since 2000-01-01T00:00, of the wall clock.
    Timestamp,
    /// The same, of UTC.
    TimestampTz,
}

/// Where the text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// A line of COPY's text format.
    Copy,
    /// A literal of an SQL statement.
    Literal,
}

impl Form {
    /// The form of a type's fields.
    #[must_use]
    pub const fn of(pg_type: &PgType) -> Self {
        match pg_type {
            PgType::Bool => Self::Bool,
            PgType::Int2 | PgType::Int4 | PgType::Int8 => Self::Integer,
            PgType::Float4 | PgType::Float8 => Self::Float,
            PgType::Numeric(_) => Self::Numeric,
            // Rows decide for no array, and a bench states no type.
            PgType::Text
            | PgType::Varchar(_)
            | PgType::Char(_)
            | PgType::Json
            | PgType::TextLike(_)
            | PgType::Array(_)
            | PgType::Cast(_) => Self::Text,
            PgType::Jsonb => Self::Jsonb,
            PgType::Bytea => Self::Bytea,
            PgType::Uuid => Self::Uuid,
            PgType::Date => Self::Date,
            PgType::Time => Self::Time,
            PgType::Timestamp => Self::Timestamp,
            PgType::TimestampTz => Self::TimestampTz,
        }
    }

    /// Appends a field, its length included, as text.
    pub fn write(self, field: &[u8], syntax: Syntax, out: &mut Vec<u8>) {
        let Some((length, payload)) = field.split_first_chunk::<4>() else { return };
        if i32::from_be_bytes(*length) < 0 {
            out.extend_from_slice(if syntax == Syntax::Copy { b"\\N" } else { b"NULL" });
            return;
        }
        let quotes = syntax == Syntax::Literal && !matches!(self, Self::Integer);
        if quotes {
            out.push(b'\'');
        }
        match self {
            Self::Text => escape(payload, syntax, out),
            Self::Jsonb => escape(payload.get(1..).unwrap_or_default(), syntax, out),
            Self::Bool => out.push(if payload == [1] { b't' } else { b'f' }),
            Self::Integer => drop(write!(out, "{}", integer(payload))),
            Self::Float => float(payload, out),
            Self::Numeric => numeric(payload, out),
            Self::Bytea => {
                // COPY takes a backslash for the beginning of an escape.
                out.extend_from_slice(if syntax == Syntax::Copy { b"\\\\x" } else { b"\\x" });
                hex(payload, out);
            }
            Self::Uuid => {
                for (from, to) in [(0, 4), (4, 6), (6, 8), (8, 10), (10, 16)] {
                    if from > 0 {
                        out.push(b'-');
                    }
                    hex(payload.get(from..to).unwrap_or_default(), out);
                }
            }
            Self::Date => date(integer(payload), out),
            Self::Time => time(integer(payload), out),
            Self::Timestamp | Self::TimestampTz => {
                let micros = integer(payload);
                date(micros.div_euclid(MICROS_PER_DAY), out);
                out.push(b' ');
                time(micros.rem_euclid(MICROS_PER_DAY), out);
                if self == Self::TimestampTz {
                    out.extend_from_slice(b"+00");
                }
            }
        }
        if quotes {
            out.push(b'\'');
        }
    }
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

fn escape(mut text: &[u8], syntax: Syntax, out: &mut Vec<u8>) {
    match syntax {
        Syntax::Literal => {
            while let Some(at) = memchr(b'\'', text) {
                out.extend_from_slice(&text[..at]);
                out.extend_from_slice(b"''");
                text = &text[at + 1..];
            }
        }
        Syntax::Copy => {
            while let Some(at) = text.iter().position(|b| matches!(b, b'\\' | b'\n' | b'\r' | b'\t')) {
                out.extend_from_slice(&text[..at]);
                out.push(b'\\');
                out.push(match text[at] {
                    b'\n' => b'n',
                    b'\r' => b'r',
                    b'\t' => b't',
                    other => other,
                });
                text = &text[at + 1..];
            }
        }
    }
    out.extend_from_slice(text);
}

fn integer(payload: &[u8]) -> i64 {
    let negative = payload.first().is_some_and(|b| b & 0x80 != 0);
    payload.iter().fold(if negative { -1 } else { 0 }, |value, b| value << 8 | i64::from(*b))
}

// The shortest digits that read back the same, as PostgreSQL's own.
fn float(payload: &[u8], out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    let text = match (payload.first_chunk::<8>(), payload.first_chunk::<4>()) {
        (Some(double), _) => buffer.format(f64::from_be_bytes(*double)),
        (None, Some(single)) => buffer.format(f32::from_be_bytes(*single)),
        (None, None) => "",
    };
    out.extend_from_slice(match text {
        "inf" => b"Infinity",
        "-inf" => b"-Infinity",
        text => text.as_bytes(),
    });
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 0xf)]]));
}

fn numeric(payload: &[u8], out: &mut Vec<u8>) {
    let word = |i: usize| payload.get(2 * i..2 * i + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
    let (groups, weight, sign, shown) = (i32::from(word(0)), i32::from(word(1) as i16), word(2), usize::from(word(3)));
    let group = |i: i32| if (0..groups).contains(&i) { word(4 + i as usize) } else { 0 };
    if sign != 0 {
        out.push(b'-');
    }
    if weight < 0 {
        out.push(b'0');
    }
    for i in 0..=weight {
        let _ = if i == 0 { write!(out, "{}", group(i)) } else { write!(out, "{:04}", group(i)) };
    }
    if shown == 0 {
        return;
    }
    out.push(b'.');
    let end = out.len() + shown;
    let mut next = weight + 1;
    while out.len() < end {
        let _ = write!(out, "{:04}", group(next));
        next += 1;
    }
    out.truncate(end);
}

// Howard Hinnant's `civil_from_days` (<https://howardhinnant.github.io/date_algorithms.html>).
fn date(days_since_2000: i64, out: &mut Vec<u8>) {
    let days = days_since_2000 + 10_957 + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    padded(year, 4, out);
    out.push(b'-');
    padded(month, 2, out);
    out.push(b'-');
    padded(day, 2, out);
}

fn time(micros: i64, out: &mut Vec<u8>) {
    let seconds = micros / 1_000_000;
    padded(seconds / 3600, 2, out);
    out.push(b':');
    padded(seconds / 60 % 60, 2, out);
    out.push(b':');
    padded(seconds % 60, 2, out);
    if micros % 1_000_000 != 0 {
        out.push(b'.');
        padded(micros % 1_000_000, 6, out);
    }
}

fn padded(mut value: i64, digits: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + digits, b'0');
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::encode;

    #[track_caller]
    fn check(pg_type: &PgType, write: impl Fn(&mut Vec<u8>), copy: &str, literal: &str) {
        let mut field = Vec::new();
        write(&mut field);
        for (syntax, want) in [(Syntax::Copy, copy), (Syntax::Literal, literal)] {
            let mut out = Vec::new();
            Form::of(pg_type).write(&field, syntax, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), want);
        }
    }

    #[test]
    fn values_are_written_as_the_server_reads_them() {
        check(&PgType::Bool, |out| encode::boolean(true, out), "t", "'t'");
        check(&PgType::Int2, |out| encode::int2(-2, out), "-2", "-2");
        check(&PgType::Int8, |out| encode::int8(i64::MIN, out), "-9223372036854775808", "-9223372036854775808");
        check(&PgType::Float8, |out| encode::float8(f64::NEG_INFINITY, out), "-Infinity", "'-Infinity'");
        check(&PgType::Float4, |out| encode::float4(0.5, out), "0.5", "'0.5'");
        check(&PgType::Text, |out| encode::text(b"a\\\t\r\n'b", out), "a\\\\\\t\\r\\n'b", "'a\\\t\r\n''b'");
        check(&PgType::Jsonb, |out| encode::jsonb(b"[\"'\"]", out), "[\"'\"]", "'[\"''\"]'");
        check(&PgType::Bytea, |out| encode::bytea(b"\0\xff", out), "\\\\x00ff", "'\\x00ff'");
        check(&PgType::Text, encode::null, "\\N", "NULL");
        let uuid = "018f4e2a-9b7c-7def-8123-456789abcdef";
        let bytes = 0x018f_4e2a_9b7c_7def_8123_4567_89ab_cdef_u128.to_be_bytes();
        check(&PgType::Uuid, |out| encode::uuid(bytes, out), uuid, &format!("'{uuid}'"));
    }

    #[test]
    fn days_and_moments_are_written_in_iso_form() {
        for (days, text) in [(0, "2000-01-01"), (-1, "1999-12-31"), (8825, "2024-02-29"), (-730_119, "0001-01-01")] {
            check(&PgType::Date, |out| encode::date(days, out), text, &format!("'{text}'"));
        }
        check(&PgType::Time, |out| encode::time(45_296_500_000, out), "12:34:56.500000", "'12:34:56.500000'");
        let text = "1999-12-31 23:59:59.999999";
        check(&PgType::Timestamp, |out| encode::timestamp(-1, out), text, &format!("'{text}'"));
        check(
            &PgType::TimestampTz,
            |out| encode::timestamp(0, out),
            "2000-01-01 00:00:00+00",
            "'2000-01-01 00:00:00+00'",
        );
    }

    #[test]
    fn decimals_keep_their_digits() {
        for text in ["0", "0.00", "1.10", "-12345.678", "100000000", "0.0001", "0.00001000", "10000.0001"] {
            let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
            let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
            let write = |out: &mut Vec<u8>| encode::numeric(negative, integer.as_bytes(), fraction.as_bytes(), out);
            check(&PgType::Numeric(None), write, text, &format!("'{text}'"));
        }
    }
}
