//! The second opinion on cells: what SQLite holds against what PostgreSQL writes as text, by one small rule a
//! target type. Shares no code with the conversions of the load, and knows nothing of how a type was chosen.

use super::scenario::{Moved, quoted};
use jiff::civil;
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::collections::HashMap;
use std::fmt;

/// Compares every cell of every ordinary table. Rows are matched in SQLite's own order, so that one lane must have
/// written each table. Gives the number of cells.
#[track_caller]
pub fn compare_all(db: &Connection, moved: &Moved) -> usize {
    let tables = ordinary_tables(db);
    assert_eq!(tables.len(), moved.plan["tables"].as_array().expect("a list").len(), "tables in SQLite, in the plan");
    tables.iter().map(|table| compare(db, moved, table)).sum()
}

/// Tables with rows of their own, by SQLite's word.
pub fn ordinary_tables(db: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' \
               AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    let mut statement = db.prepare(sql).expect("a list of tables");
    let rows = statement.query_map([], |row| row.get(0)).expect("a list of tables");
    rows.collect::<Result<_, _>>().expect("names of tables")
}

/// Compares every cell of one table; panics with all that differ. Gives the number of cells.
#[track_caller]
pub fn compare(db: &Connection, moved: &Moved, table: &str) -> usize {
    let kinds: Vec<(String, String)> = moved.columns(&moved.name(table));
    let here = rows(db, table);
    let there = moved.rows(table);
    assert_eq!(here.len(), there.len(), "rows of `{table}`");
    let mut originals = originals(moved, table);
    let mut differences = Vec::new();
    for (n, ((key, cells), texts)) in here.iter().zip(&there).enumerate() {
        assert_eq!(cells.len(), texts.len(), "columns of `{table}`");
        for ((cell, text), (column, kind)) in cells.iter().zip(texts).zip(&kinds) {
            let kept = originals.remove(&(*key, column.clone()));
            let equal = match (&kept, cell) {
                // A stand-in: the bytes are kept beside, and it shows.
                (Some((class, bytes)), Held::Text(held)) => {
                    bytes == held && class == "text" && text.as_ref().is_some_and(|t| t.contains('\u{fffd}'))
                }
                (Some(_), _) => false,
                (None, Held::Text(held)) if kind == "jsonb" => same_document(moved, held, text.as_deref()),
                (None, _) => same(cell, kind, text.as_deref()),
            };
            if !equal {
                differences
                    .push(format!("row {n} (key {key:?}) {column} {kind}: {cell:?} became {text:?}, kept {kept:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "`{table}`:\n{}", differences.join("\n"));
    assert!(originals.is_empty(), "`{table}`: originals of cells that are not there: {:?}", originals.keys());
    here.len() * kinds.len()
}

// Each row with its rowid, or its number where it has none to be had.
fn rows(db: &Connection, table: &str) -> Vec<(i64, Vec<Held>)> {
    let columns: Vec<String> = {
        let mut statement = db.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden <> 1").expect("columns");
        let names = statement.query_map([table], |row| row.get::<_, String>(0)).expect("columns");
        names.collect::<Result<_, _>>().expect("names of columns")
    };
    let list = columns.iter().map(|c| format!("s.{}", quoted(c))).collect::<Vec<_>>().join(", ");
    let free = ["rowid", "_rowid_", "oid"].into_iter().find(|n| !columns.iter().any(|c| c.eq_ignore_ascii_case(n)));
    let with_key = |key: &str| db.prepare(&format!("SELECT {key}, {list} FROM {}", in_its_order(db, table)));
    let mut statement = free
        .and_then(|key| with_key(&format!("s.{key}")).ok())
        .or_else(|| with_key("0").ok())
        .unwrap_or_else(|| panic!("`{table}` can be read"));
    let read = |row: &rusqlite::Row<'_>| {
        let cells = (1..=columns.len()).map(|i| row.get_ref(i).map(Held::from)).collect::<Result<_, _>>()?;
        Ok((row.get(0)?, cells))
    };
    let found = statement.query_map([], read).expect("rows");
    found.collect::<Result<_, _>>().unwrap_or_else(|e| panic!("`{table}`: {e}"))
}

// The table by its own b-tree: a WITHOUT ROWID table is the index of its key, and has others that cover it.
fn in_its_order(db: &Connection, table: &str) -> String {
    let sql = "SELECT i.name FROM pragma_index_list(?1) i JOIN pragma_table_list(?1) t WHERE t.wr AND i.origin = 'pk'";
    let own = db.query_row(sql, [table], |row| row.get::<_, String>(0));
    let by = own.map_or_else(|_| "NOT INDEXED".to_owned(), |name| format!("INDEXED BY {}", quoted(&name)));
    format!("{} AS s {by}", quoted(table))
}

/// A cell as SQLite holds it. Text is bytes: nothing promises that it is UTF-8.
#[derive(Clone, PartialEq)]
pub enum Held {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

// As SQLite's quote() writes it, cut where it is long.
impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Real(x) => write!(f, "{x:?}"),
            Self::Text(bytes) => write!(f, "'{:.100}'", bytes.escape_ascii().to_string()),
            Self::Blob(bytes) => {
                f.write_str("x'")?;
                bytes.iter().take(50).try_for_each(|b| write!(f, "{b:02x}"))?;
                f.write_str("'")
            }
        }
    }
}

impl From<ValueRef<'_>> for Held {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(n) => Self::Integer(n),
            ValueRef::Real(x) => Self::Real(x),
            ValueRef::Text(bytes) => Self::Text(bytes.to_vec()),
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }
}

impl rusqlite::ToSql for Held {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(n) => ValueRef::Integer(*n),
            Self::Real(x) => ValueRef::Real(*x),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

type Originals = HashMap<(i64, String), (String, Vec<u8>)>;

fn originals(moved: &Moved, table: &str) -> Originals {
    let target = moved.plan["tables"].as_array().expect("a list").iter().find(|t| t["source"] == table);
    let target = target.and_then(|t| t["target"].as_str()).expect("the table is in the plan").to_owned();
    let sql =
        "SELECT key, column_name, class, bytes FROM lite2pg.original WHERE table_name = $1 AND run = $2::text::uuid";
    let rows = moved.session.query(sql, &[&target, &moved.summary.run]).expect("the originals");
    let found: Originals = rows.iter().map(|r| ((r.get(0), r.get(1)), (r.get(2), r.get(3)))).collect();
    assert_eq!(found.len(), rows.len(), "`{table}`: no cell has two originals");
    found
}

/// Whether a cell arrived in a column of this type.
pub fn same(cell: &Held, kind: &str, there: Option<&str>) -> bool {
    let Some(text) = there else { return *cell == Held::Null };
    let word = kind.split(['(', ' ']).next().expect("a word");
    match cell {
        Held::Null => false,
        Held::Integer(n) => same_integer(*n, word, text),
        Held::Real(x) => same_real(*x, word, text),
        Held::Text(bytes) if word == "bytea" => unhex(text) == *bytes,
        // Text that is no UTF-8 equals no text.
        Held::Text(bytes) => std::str::from_utf8(bytes).is_ok_and(|t| same_text(t, word, text)),
        Held::Blob(bytes) => word == "bytea" && unhex(text) == *bytes,
    }
}

fn same_integer(n: i64, word: &str, text: &str) -> bool {
    match word {
        "bigint" | "integer" | "smallint" | "text" => text == n.to_string(),
        "double" => text.parse::<f64>().is_ok_and(|y| y as i128 == i128::from(n)),
        "numeric" => plain(text) == n.to_string(),
        "bytea" => unhex(text) == n.to_string().into_bytes(),
        "boolean" => (n == 0 && text == "false") || (n == 1 && text == "true"),
        "timestamp" => is_moment(n as f64, text),
        _ => false,
    }
}

fn same_real(x: f64, word: &str, text: &str) -> bool {
    let reads_back = |t: &str| t.parse::<f64>().is_ok_and(|y| y.to_bits() == x.to_bits());
    match word {
        "double" | "text" => reads_back(text),
        "numeric" => text.parse::<f64>().is_ok_and(|y| (y - x).abs() <= 0.0) && digits(text) <= 17,
        "bytea" => String::from_utf8(unhex(text)).is_ok_and(|t| reads_back(&t)),
        "timestamp" => is_moment(x, text),
        _ => false,
    }
}

fn same_text(t: &str, word: &str, text: &str) -> bool {
    match word {
        // Documents as simple as a default is; others are for the server to compare.
        "text" | "date" | "jsonb" => text == t,
        "numeric" => plain(text) == plain(t),
        "boolean" => match t.to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => text == "true",
            "f" | "false" | "n" | "no" | "off" | "0" => text == "false",
            _ => false,
        },
        "uuid" => t.replace(['-', '{', '}'], "").to_lowercase() == text.replace('-', ""),
        "time" => time(t).is_some_and(|a| Some(a) == time(text)),
        "timestamp" => moment(t).is_some_and(|a| Some(a) == moment(text)),
        _ => false,
    }
}

// A decimal without the zeros and signs that say nothing.
fn plain(text: &str) -> String {
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'-') => ("-", &text[1..]),
        Some(b'+') => ("", &text[1..]),
        _ => ("", text),
    };
    let rest = if rest.contains('.') { rest.trim_end_matches('0').trim_end_matches('.') } else { rest };
    let rest = rest.trim_start_matches('0');
    let rest = if rest.is_empty() || rest.starts_with('.') { format!("0{rest}") } else { rest.to_owned() };
    if rest == "0" { rest } else { format!("{sign}{rest}") }
}

fn digits(text: &str) -> usize {
    let all: String = text.chars().filter(char::is_ascii_digit).collect();
    all.trim_matches('0').len()
}

fn unhex(text: &str) -> Vec<u8> {
    let hex = text.strip_prefix("\\x").expect("bytea is written in hex");
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex digits")).collect()
}

// The server reads the source's text by itself.
fn same_document(moved: &Moved, held: &[u8], there: Option<&str>) -> bool {
    let text = std::str::from_utf8(held).unwrap_or_default();
    let row = moved.session.query_one("SELECT $1::text::jsonb::text", &[&text]);
    row.is_ok_and(|row| row.get::<_, Option<&str>>(0) == there)
}

fn time(text: &str) -> Option<civil::Time> {
    let text = if text.len() == 5 { format!("{text}:00") } else { text.to_owned() };
    text.parse().ok()
}

// Microseconds since 1970, whatever the spelling; a time without a zone is UTC. Instants at the ends of the calendar
// are beyond jiff's, so that only its wall clock is asked.
fn moment(text: &str) -> Option<i128> {
    let (clock, zone) = match text.char_indices().skip(11).find(|(_, c)| "Zz+-".contains(*c)) {
        Some((at, _)) => (&text[..at], &text[at..]),
        None => (text, ""),
    };
    let wall: civil::DateTime = match clock.len() {
        10 => clock.parse::<civil::Date>().ok()?.to_datetime(civil::Time::midnight()),
        16 => format!("{clock}:00").parse().ok()?,
        _ => clock.parse().ok()?,
    };
    let hand: String = zone.chars().filter(char::is_ascii_digit).collect();
    let minutes = match hand.len() {
        0 => 0,
        2 => hand.parse::<i128>().ok()? * 60,
        _ => hand[..2].parse::<i128>().ok()? * 60 + hand[2..].parse::<i128>().ok()?,
    };
    let east = if zone.starts_with('-') { -minutes } else { minutes };
    let since = wall.duration_since(civil::date(1970, 1, 1).at(0, 0, 0, 0));
    Some(since.as_micros() - east * 60_000_000)
}

// A number that some unit makes this moment. Which unit it was is asserted where types are.
fn is_moment(n: f64, text: &str) -> bool {
    let Some(found) = moment(text) else { return false };
    let seconds = found as f64 / 1e6;
    let candidates = [n, n / 1e3, n / 1e6, n / 1e9, (n - 2_440_587.5) * 86_400.0];
    candidates.iter().any(|c| (c - seconds).abs() < 1e-3)
}
