//! Figures over all rows of a table, as PostgreSQL's own functions state them.
//!
//! Owns the SQL. SQLite's half is in `sqlite::aggregate`, written apart.

use super::session::Transaction;
use crate::error::{Error, Kind, Result};
use crate::model::aggregate::{Answer, Measure};
use crate::model::bounds::AGGREGATES_PER_STATEMENT;
use crate::model::name::{qualified, quoted};
use crate::model::pg_type::PgType;

/// What is asked of a column: its name, its type, the measure.
pub type Question<'a> = (&'a str, &'a PgType, Measure);

/// The number of rows, and an answer to each question.
pub fn ask(tx: &Transaction<'_>, schema: &str, table: &str, questions: &[Question<'_>]) -> Result<(u64, Vec<Answer>)> {
    // Doubles come as text that reads back the same, whatever the role's settings are.
    tx.batch("SET LOCAL extra_float_digits = 3")?;
    let mut answers = Vec::with_capacity(questions.len());
    let mut rows = 0;
    let parts = questions.chunks(AGGREGATES_PER_STATEMENT).chain(questions.is_empty().then_some(questions));
    for part in parts {
        let mut list = vec!["count(*)".to_owned()];
        for (column, pg_type, measure) in part {
            let sql = sql(&quoted(column), pg_type, *measure);
            list.push(sql.unreadable.unwrap_or_else(|| "false".to_owned()));
            list.push(format!("({})::text", sql.value));
        }
        let row = tx.query_one(&format!("SELECT {} FROM {}", list.join(", "), qualified(schema, table)), &[])?;
        rows = row.get::<_, i64>(0) as u64;
        for (i, (_, _, measure)) in part.iter().enumerate() {
            let (unreadable, written): (Option<bool>, Option<&str>) = (row.get(1 + i * 2), row.get(2 + i * 2));
            answers.push(if unreadable == Some(true) {
                Answer::Unstated
            } else {
                measure.read(written).ok_or_else(|| unreadable_answer(*measure))?
            });
        }
    }
    Ok((rows, answers))
}

/// Whether a text of the column holds U+FFFD, which stands for what PostgreSQL cannot hold.
pub fn has_stand_ins(tx: &Transaction<'_>, schema: &str, table: &str, column: &str) -> Result<bool> {
    let sql = format!(
        "SELECT EXISTS (SELECT FROM {} WHERE strpos({}::text, U&'\\FFFD') > 0)",
        qualified(schema, table),
        quoted(column)
    );
    Ok(tx.query_one(&sql, &[])?.get(0))
}

struct Sql {
    // True where the server cannot state the measure.
    unreadable: Option<String>,
    value: String,
}

fn sql(c: &str, pg_type: &PgType, measure: Measure) -> Sql {
    let of = |value: String| Sql { unreadable: None, value };
    match measure {
        Measure::Values => of(format!("count({c})")),
        Measure::Sum => of(format!("sum({c}::int8)")),
        Measure::True => of(format!("count(*) FILTER (WHERE {c})")),
        Measure::Objects => of(format!("count(*) FILTER (WHERE jsonb_typeof({c}) = 'object')")),
        Measure::Bytes if *pg_type == PgType::Bytea => of(format!("sum(octet_length({c}))")),
        Measure::Bytes => of(format!("sum(octet_length({c}::text))")),
        Measure::Chars => of(format!("sum(char_length({c}::text))")),
        Measure::CharsTrimmed => of(format!("sum(char_length(rtrim({c}::text)))")),
        Measure::Integer(end) => of(format!("{}({c})", end.function())),
        Measure::Number(end) => {
            let number = format!("{}({c})", end.function());
            // A double has no room for every numeric: the cast would be an error.
            let unreadable = matches!(pg_type, PgType::Numeric(_))
                .then(|| format!("NOT ({number} = 0 OR abs({number}) BETWEEN 1e-300 AND 1e300)"));
            let value = unreadable.as_ref().map_or_else(
                || format!("{number}::float8"),
                |unreadable| format!("CASE WHEN NOT ({unreadable}) THEN {number}::float8 END"),
            );
            Sql { unreadable, value }
        }
        Measure::Uuid(end) => of(format!("replace({}({c}::text COLLATE \"C\"), '-', '')", end.function())),
        Measure::Date(end) => of(format!("to_char({}({c})::timestamp, 'YYYY-MM-DD')", end.function())),
        Measure::Time(end) => of(format!("to_char({}({c})::interval, 'HH24:MI:SS.US')", end.function())),
        Measure::Second { end, .. } => {
            let moment = format!("{}({c})", end.function());
            of(format!("CASE WHEN isfinite({moment}) THEN floor(extract(epoch FROM {moment}))::int8 END"))
        }
        Measure::Micro(end, _) => {
            let moment = format!("{}({c})", end.function());
            let micros = format!("round((extract(epoch FROM {moment}) * 1000000)::numeric)");
            of(format!("CASE WHEN isfinite({moment}) THEN {micros} END"))
        }
    }
}

#[cold]
fn unreadable_answer(measure: Measure) -> Error {
    Error::new(Kind::Bug, format!("the server's answer about the {} of a column is in no known form", measure.phrase()))
        .hint("this is a fault of lite2pg; please report it")
}
