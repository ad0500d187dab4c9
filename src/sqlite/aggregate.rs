//! Figures over all rows of a table, as SQLite's own functions state them.
//!
//! Owns the SQL. Each measure has a condition under which SQL cannot state it; then it is not stated. PostgreSQL's half
//! is in `postgres::aggregate`, written apart.

use super::refused;
use super::scan::from;
use super::snapshot::Reader;
use crate::error::Result;
use crate::model::aggregate::{Answer, Measure};
use crate::model::bounds::AGGREGATES_PER_STATEMENT;
use crate::model::conversion::EpochUnit;
use crate::model::name::quoted;
use crate::model::source::Table;
use rusqlite::Row;
use rusqlite::types::ValueRef;

/// The number of rows, and an answer to each question: a column's position in the table, and what is asked of it.
pub fn ask(reader: &Reader, table: &Table, questions: &[(usize, Measure)]) -> Result<(u64, Vec<Answer>)> {
    let mut answers = Vec::with_capacity(questions.len());
    let mut rows = 0;
    // Without any question there is still the number of rows.
    let parts = questions.chunks(AGGREGATES_PER_STATEMENT).chain(questions.is_empty().then_some(questions));
    for part in parts {
        let mut list = vec!["count(*)".to_owned()];
        for (column, measure) in part {
            let broken = table.columns[*column].broken;
            let cell = if broken { "NULL".to_owned() } else { format!("s.{}", quoted(&table.columns[*column].name)) };
            let sql = sql(&cell, *measure);
            list.push(sql.unreadable.map_or_else(|| "0".to_owned(), |c| format!("count(*) FILTER (WHERE {c})")));
            list.push(sql.value);
            list.push(sql.low.unwrap_or_else(|| "NULL".to_owned()));
        }
        let statement = format!("SELECT {} FROM {}", list.join(", "), from(table));
        let read = |row: &Row<'_>| -> rusqlite::Result<(i64, Vec<Answer>)> {
            let answers = part.iter().enumerate().map(|(i, (_, measure))| answer(row, 1 + i * 3, *measure));
            Ok((row.get(0)?, answers.collect::<rusqlite::Result<_>>()?))
        };
        let (count, found) = reader
            .conn
            .query_row(&statement, [], read)
            .map_err(|e| refused(e, format!("cannot sum up table `{}`", table.name)))?;
        rows = count as u64;
        answers.extend(found);
    }
    Ok((rows, answers))
}

struct Sql {
    // A cell of which this is true keeps SQL from stating the measure.
    unreadable: Option<String>,
    value: String,
    // The lower 32 bits of a sum whose upper ones are `value`.
    low: Option<String>,
}

fn sql(c: &str, measure: Measure) -> Sql {
    let of = |value: String, unreadable: &str| Sql {
        unreadable: (!unreadable.is_empty()).then(|| unreadable.replace("{c}", c)),
        value,
        low: None,
    };
    let no_integer = "typeof({c}) NOT IN ('integer', 'null')";
    let no_text = "typeof({c}) NOT IN ('text', 'null')";
    // A REAL's text has other digits in SQLite than elsewhere.
    let real = "typeof({c}) = 'real'";
    match measure {
        Measure::Values => of(format!("count({c})"), ""),
        // 64 bits would overflow, which is an error.
        Measure::Sum => {
            Sql { low: Some(format!("sum({c} & 4294967295)")), ..of(format!("sum({c} >> 32)"), no_integer) }
        }
        Measure::True => of(format!("count(*) FILTER (WHERE lower({c}) IN ('1', 't', 'true', 'y', 'yes', 'on'))"), ""),
        Measure::Objects => {
            of(format!("count(*) FILTER (WHERE substr(ltrim({c}, char(9, 10, 13, 32)), 1, 1) = '{{')"), no_text)
        }
        Measure::Bytes => of(format!("sum(octet_length({c}))"), real),
        Measure::Chars => of(format!("sum(length({c}))"), real),
        Measure::CharsTrimmed => of(format!("sum(length(rtrim({c})))"), real),
        Measure::Integer(end) | Measure::Micro(end, _) => of(format!("{}({c})", end.function()), no_integer),
        Measure::Number(end) => {
            of(format!("{}(CAST({c} AS REAL))", end.function()), "typeof({c}) NOT IN ('integer', 'real', 'null')")
        }
        // A column has one spelling, so that the order of texts is that of uuids.
        Measure::Uuid(end) => {
            let text = format!("{}({c})", end.function());
            of(format!("lower(replace(replace(replace({text}, '-', ''), '{{', ''), '}}', ''))"), no_text)
        }
        Measure::Date(end) => of(format!("{}({c})", end.function()), no_text),
        Measure::Time(end) => {
            let rest = format!("CASE length({c}) WHEN 5 THEN ':00.000000' WHEN 8 THEN '.000000' ELSE '000000' END");
            of(format!("{}(substr({c} || {rest}, 1, 15))", end.function()), no_text)
        }
        Measure::Second { end, is_instant } => {
            let second = second(c, is_instant);
            of(format!("{}({second})", end.function()), &format!("{c} IS NOT NULL AND {second} IS NULL"))
        }
    }
}

// Decimals are cut off first: SQLite rounds them to milliseconds. Of offsets it reads `Z` and `±HH:MM`.
fn second(c: &str, is_instant: bool) -> String {
    let clock = format!("substr({c}, 1, CASE WHEN substr({c}, 17, 1) = ':' THEN 19 ELSE 16 END)");
    if !is_instant {
        return format!("unixepoch({clock})");
    }
    let sign = |at: u8| format!("substr({c}, -{at}, 1) IN ('+', '-')");
    format!(
        "CASE WHEN length({c}) > 16 AND {} THEN unixepoch({clock} || substr({c}, -6)) \
              WHEN length({c}) <= 16 OR NOT ({} OR {}) THEN unixepoch({clock}) END",
        sign(6),
        sign(5),
        sign(3)
    )
}

fn answer(row: &Row<'_>, at: usize, measure: Measure) -> rusqlite::Result<Answer> {
    if row.get::<_, i64>(at)? > 0 {
        return Ok(Answer::Unstated);
    }
    Ok(match (row.get_ref(at + 1)?, measure) {
        (ValueRef::Null, _) => Answer::Nothing,
        (ValueRef::Integer(high), Measure::Sum) => {
            Answer::Integer((i128::from(high) << 32) + i128::from(row.get::<_, i64>(at + 2)?))
        }
        (ValueRef::Integer(n), Measure::Micro(_, unit)) => {
            let n = i128::from(n);
            Answer::Integer(match unit {
                EpochUnit::Seconds => n * 1_000_000,
                EpochUnit::Millis => n * 1_000,
                EpochUnit::Micros => n,
                EpochUnit::Nanos => n.div_euclid(1_000),
            })
        }
        (ValueRef::Integer(n), _) => Answer::Integer(n.into()),
        (ValueRef::Real(x), _) => Answer::Number(x + 0.0),
        (ValueRef::Text(text), _) => Answer::Text(String::from_utf8_lossy(text).into_owned()),
        (ValueRef::Blob(_), _) => Answer::Unstated,
    })
}
