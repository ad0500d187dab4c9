//! Values that PostgreSQL itself casts from text: what a column of such a type is given, and what it then holds.
//!
//! Owns the SQL. The text of a value is what its type prints in our sessions, whose settings are the same everywhere
//! (`connect`). Where the texts come from, and what becomes of those that are refused, is up to the caller.

use super::is_answer_of_a_type;
use super::session::Transaction;
use crate::error::Result;
use crate::model::name::{literal, quoted};
use crate::model::pg_type::{CastHabit, CastType, PgType};

/// What PostgreSQL makes of a text: the text of the value, or why there is none.
pub type Cast = std::result::Result<String, Refusal>;

/// Why a text has no value of the type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The server refuses it with this SQLSTATE.
    Code(String),
    /// It would take it and lose a part: decimals that are rounded away, letters that are cut off.
    Loses,
}

/// A column as it is compared: as text, where PostgreSQL casts its values.
#[must_use]
pub fn read_as(column: &str, pg_type: &PgType) -> String {
    let name = quoted(column);
    if matches!(pg_type, PgType::Cast(_)) { format!("{name}::text AS {name}") } else { name }
}

/// The value that the expression `text` means, without the column's limits: those are asked when it is assigned to the
/// column, which refuses what a cast to `varchar(3)[]` would cut
/// (<https://www.postgresql.org/docs/current/typeconv-query.html>).
#[must_use]
pub fn value(text: &str, cast: &CastType) -> String {
    let bare = &cast.bare;
    match cast.habit {
        // A list in JSON, unless these are the bounds of an array: `[0:1]={a,b}`. Numbers keep their digits.
        CastHabit::List | CastHabit::Documents => {
            let elements = if cast.habit == CastHabit::List { "_text" } else { "" };
            format!(
                "CASE WHEN {text} ~ '^\\s*\\[' AND {text} !~ '^\\s*(\\[[-+0-9:]+\\])+\\s*=' \
                 THEN (ARRAY(SELECT e FROM json_array_elements{elements}({text}::json) WITH ORDINALITY AS l(e, n) \
                 ORDER BY n))::{bare} ELSE {text}::{bare} END"
            )
        }
        // A time of day has no offset in a zone of summer and winter: without one it is UTC's, whatever the day.
        _ if bare == "time with time zone" => {
            format!(
                "CASE WHEN {text} ~* '^[0-9:. ]*([ap]m)? *$' THEN ({text} || '+00')::{bare} ELSE {text}::{bare} END"
            )
        }
        _ => format!("{text}::{bare}"),
    }
}

/// Until the end of the transaction, what texts mean that name no zone.
pub fn read_in(tx: &Transaction<'_>, zone: &str) -> Result<()> {
    tx.batch(&format!("SET LOCAL TimeZone = {}", literal(zone)))
}

/// The zone of our sessions, in which values are printed.
pub const HOME: &str = "UTC";

/// The text of the value `x` that `text` means, in the column's own type; NULL where a part of it would be lost.
fn printed(text: &str, x: &str, cast: &CastType) -> String {
    let name = &cast.name;
    let is_whole = match cast.habit {
        CastHabit::Cuts => format!("{x}::text COLLATE \"C\" = {text} COLLATE \"C\""),
        CastHabit::Rounds => format!(
            "CASE WHEN {text} ~ '^\\s*[-+]?[0-9]+(\\.[0-9]+)?\\s*$' THEN {x}::numeric = {text}::numeric ELSE true END"
        ),
        _ if cast.is_limited => format!("{x}::{name} = {x}"),
        _ => return format!("{x}::{name}::text"),
    };
    format!("CASE WHEN {is_whole} THEN {x}::{name}::text END")
}

/// The same for one text in a query of somebody else.
#[must_use]
pub fn printed_of(text: &str, cast: &CastType) -> String {
    printed(text, &format!("({})", value(text, cast)), cast)
}

/// Has the server cast these texts, in their order, and in this zone. Nothing of it stays in the transaction.
pub fn texts(tx: &Transaction<'_>, (cast, zone): (&CastType, Option<&str>), texts: &[&str]) -> Result<Vec<Cast>> {
    let (value, printed) = (value("v", cast), printed("v.v", "v.x", cast));
    // All are read in their zone before the first is printed: what is counted has been made.
    let sql = format!(
        "WITH v AS MATERIALIZED (SELECT n, v, {value} AS x FROM unnest($1::text[]) WITH ORDINALITY AS u(v, n)), \
              home AS MATERIALIZED (SELECT set_config('TimeZone', {}, true) FROM (SELECT count(x) FROM v) c) \
         SELECT {printed} FROM v, home ORDER BY n",
        literal(HOME)
    );
    let mut found = Vec::with_capacity(texts.len());
    ask(tx, &sql, zone, texts, &mut found)?;
    Ok(found)
}

// One text that is refused takes the statement with it: the others are asked again, half by half.
fn ask(tx: &Transaction<'_>, sql: &str, zone: Option<&str>, texts: &[&str], found: &mut Vec<Cast>) -> Result<()> {
    if texts.is_empty() {
        return Ok(());
    }
    let before = tx.savepoint("lite2pg_cast")?;
    zone.map_or(Ok(()), |zone| read_in(tx, zone))?;
    match tx.query(sql, &[&texts]) {
        Ok(rows) => {
            found.extend(rows.iter().map(|row| row.get::<_, Option<String>>(0).ok_or(Refusal::Loses)));
            before.keep()
        }
        Err(error) if is_answer_of_a_type(&error) => {
            before.back()?;
            if texts.len() == 1 {
                found.push(Err(Refusal::Code(error.sqlstate().unwrap_or("no SQLSTATE").to_owned())));
                return Ok(());
            }
            let (some, others) = texts.split_at(texts.len() / 2);
            ask(tx, sql, zone, some, found)?;
            ask(tx, sql, zone, others, found)
        }
        Err(error) => Err(error),
    }
}
