//! A field of the target as text, whole: for lists of what cannot go back.

use super::number::plain;
use crate::error::Result;
use crate::model::pg_type::PgType;
use crate::postgres::decode::{self, Numeric};
use jiff::civil::date;
use jiff::{SignedDuration, Span, ToSpan};
use std::fmt::Write as _;

/// The value as PostgreSQL would print it: bytes in hexadecimal, instants in UTC. None for NULL.
pub fn value(pg_type: &PgType, field: Option<&[u8]>) -> Result<Option<String>> {
    let Some(field) = field else { return Ok(None) };
    Ok(Some(match pg_type {
        PgType::Bool => decode::bool(field)?.to_string(),
        PgType::Int2 | PgType::Int4 | PgType::Int8 => decode::int(field)?.to_string(),
        PgType::Float4 | PgType::Float8 => float(decode::float(field)?),
        PgType::Numeric(_) => match Numeric::read(field, &mut Vec::new())? {
            Numeric::Finite(value) => plain(value, decode::scale(field)),
            Numeric::NaN => "NaN".to_owned(),
            Numeric::Infinite { negative } => if negative { "-Infinity" } else { "Infinity" }.to_owned(),
        },
        PgType::Bytea | PgType::Array(_) => hex(field),
        PgType::Uuid => uuid::Uuid::from_bytes(decode::fixed(field)?).to_string(),
        PgType::Jsonb => String::from_utf8_lossy(decode::jsonb(field)?).into_owned(),
        PgType::Date => match i32::from_be_bytes(decode::fixed(field)?) {
            i32::MAX => "infinity".to_owned(),
            i32::MIN => "-infinity".to_owned(),
            days => moment(i64::from(days).days(), false).unwrap_or_else(|| format!("2000-01-01 + {days} days")),
        },
        PgType::Time => {
            let micros = i64::from_be_bytes(decode::fixed(field)?);
            // PostgreSQL knows the end of a day.
            if micros == 86_400_000_000 { "24:00:00".to_owned() } else { clock(micros) }
        }
        PgType::Timestamp | PgType::TimestampTz => match i64::from_be_bytes(decode::fixed(field)?) {
            i64::MAX => "infinity".to_owned(),
            i64::MIN => "-infinity".to_owned(),
            micros => {
                let zone = if *pg_type == PgType::TimestampTz { "+00" } else { "" };
                moment(micros.microseconds(), true)
                    .map_or_else(|| format!("2000-01-01 00:00:00{zone} + {micros} microseconds"), |m| m + zone)
            }
        },
        PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::TextLike(_) | PgType::Cast(_) | PgType::Json => {
            String::from_utf8_lossy(field).into_owned()
        }
    }))
}

fn float(x: f64) -> String {
    match x {
        x if x.is_nan() => "NaN".to_owned(),
        x if x.is_infinite() => if x > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        x => ryu::Buffer::new().format_finite(x).to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 + bytes.len() * 2);
    out.push_str("\\x");
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn clock(micros: i64) -> String {
    let midnight = date(2000, 1, 1).at(0, 0, 0, 0);
    midnight
        .checked_add(SignedDuration::from_micros(micros))
        .map_or_else(|_| micros.to_string(), |moment| moment.time().to_string())
}

fn moment(since: Span, with_time: bool) -> Option<String> {
    let moment = date(2000, 1, 1).at(0, 0, 0, 0).checked_add(since).ok()?;
    Some(if with_time { format!("{} {}", moment.date(), moment.time()) } else { moment.date().to_string() })
}
