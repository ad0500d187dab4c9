//! The values that rows refer to, held in memory while many rows that refer to them are read: to look into the parent's
//! table for each of them costs more than all the rest of reading a row.
//!
//! A shaped table's SELECT asks the function [`ASK`] first. Where it does not know, it says NULL, and the SELECT goes to the
//! parent's table: so every connection can read it, and what is held only makes it faster.

use super::derive;
use super::{Reader, refused};
use crate::error::Result;
use crate::model::affinity::Affinity;
use crate::model::bounds::PARENTS_HELD_MAX;
use crate::model::reshape::{Orphans, Reshape};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode};
use std::sync::Arc;

/// The function that a SELECT asks: 1 where a row has the value, 0 where none has, NULL where the table is to be asked.
pub(super) const ASK: &str = "lite2pg_arrives";

/// Hashes of texts, sorted: one is another text's only where BLAKE3 is broken.
#[derive(Debug, Default)]
struct Texts(Vec<u128>);

impl Texts {
    fn hash(text: &[u8]) -> u128 {
        let hash = blake3::hash(text);
        u128::from_le_bytes(*hash.as_bytes().first_chunk().expect("a hash has 32 bytes"))
    }

    fn holds(&self, text: &[u8]) -> bool {
        self.0.binary_search(&Self::hash(text)).is_ok()
    }
}

/// What is held, by the numbers of [`number`].
#[derive(Debug, Default)]
pub struct Parents(Vec<Option<Texts>>);

impl Parents {
    // Whether a row has this value; only texts are held.
    fn say(&self, number: i64, value: ValueRef<'_>) -> Option<bool> {
        let ValueRef::Text(text) = value else { return None };
        let texts = usize::try_from(number).ok().and_then(|number| self.0.get(number))?.as_ref()?;
        Some(texts.holds(text))
    }
}

// Each table and column that is referred to, once.
fn referred(reshape: &Reshape) -> Vec<&Orphans> {
    let mut all: Vec<&Orphans> = Vec::new();
    for orphans in reshape.tables.iter().flat_map(|shape| &shape.columns).filter_map(|shape| shape.orphans.as_ref()) {
        if !all.iter().any(|known| is_same(known, orphans)) {
            all.push(orphans);
        }
    }
    all
}

fn is_same(one: &Orphans, other: &Orphans) -> bool {
    one.parent.eq_ignore_ascii_case(&other.parent) && one.column.eq_ignore_ascii_case(&other.column)
}

/// The number under which the values of a table and column are held.
pub(super) fn number(reshape: &Reshape, orphans: &Orphans) -> usize {
    referred(reshape).iter().position(|known| is_same(known, orphans)).unwrap_or(usize::MAX >> 1)
}

/// Makes the function known to a connection, which then asks `parents`.
pub(super) fn register(conn: &Connection, parents: Arc<Parents>) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    conn.create_scalar_function(ASK, 2, flags, move |context| {
        Ok(parents.say(context.get_raw(0).as_i64().unwrap_or(-1), context.get_raw(1)))
    })
}

impl Reader {
    /// Reads the values that rows of `reshape` refer to, where `is_worth` says that for a parent's table: as many as
    /// [`PARENTS_HELD_MAX`], and no column that has more.
    ///
    /// Held are texts of columns that compare byte by byte, where equal means equal to SQLite as well: in a column of
    /// another affinity `'7'` may be equal to `7`, and in one of another collation `'a'` to `'A'`.
    pub fn parents(&self, reshape: &Reshape, is_worth: impl Fn(&str) -> bool) -> Result<Parents> {
        let encoding: String = self.conn.query_row("PRAGMA encoding", [], |row| row.get(0)).map_err(failed)?;
        let (mut held, mut left) = (Vec::new(), PARENTS_HELD_MAX);
        for orphans in referred(reshape) {
            let is_bytes = encoding == "UTF-8" && self.is_plain_text(orphans) && is_worth(&orphans.parent);
            let sql = derive::arriving(reshape, orphans).filter(|_| is_bytes);
            let texts = sql.map(|sql| self.texts(&sql, left)).transpose()?.flatten();
            left -= texts.as_ref().map_or(0, |texts| texts.0.len());
            held.push(texts);
        }
        Ok(Parents(held))
    }

    /// Asks what is held from now on.
    pub fn hold(&self, parents: &Arc<Parents>) -> Result<()> {
        register(&self.conn, Arc::clone(parents)).map_err(failed)
    }

    fn is_plain_text(&self, orphans: &Orphans) -> bool {
        let about = self.conn.column_metadata(Some("main"), orphans.parent.as_str(), orphans.column.as_str());
        let is_text = |declared: &std::ffi::CStr| Affinity::of(&declared.to_string_lossy()) == Affinity::Text;
        about.is_ok_and(|(declared, ..)| declared.is_some_and(is_text))
            && self.is_binary(&orphans.parent, &orphans.column)
    }

    // None where there are more, or where the SELECT means nothing by itself.
    fn texts(&self, sql: &str, most: usize) -> Result<Option<Texts>> {
        let Ok(mut statement) = self.conn.prepare(sql) else { return Ok(None) };
        let mut rows = statement.query([]).map_err(failed)?;
        let mut texts = Vec::new();
        loop {
            match rows.next() {
                Ok(Some(_)) if texts.len() >= most => return Ok(None),
                Ok(Some(row)) => {
                    if let ValueRef::Text(text) = row.get_ref(0).map_err(failed)? {
                        texts.push(Texts::hash(text));
                    }
                }
                Ok(None) => break,
                // A condition that SQLite cannot work out for a row, which none that is read may refer to.
                Err(Error::SqliteFailure(error, _)) if error.code == ErrorCode::Unknown => return Ok(None),
                Err(error) => return Err(failed(error)),
            }
        }
        texts.sort_unstable();
        texts.dedup();
        Ok(Some(Texts(texts)))
    }
}

fn failed(error: Error) -> crate::error::Error {
    refused(error, "cannot read the values that rows refer to")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reshape::{ColumnShape, Origin, Stray, TableShape, Value};
    use crate::sqlite::{SnapshotChoice, Source};

    // A reader of a database that this SQL makes.
    fn reader(sql: &str) -> (tempfile::TempDir, Reader) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("app.db");
        Connection::open(&path).and_then(|conn| conn.execute_batch(sql)).expect("a database");
        let source = Source::open(&path, SnapshotChoice::Auto).expect("a source");
        let reader = source.snapshot(1).expect("a snapshot").readers.remove(0);
        (dir, reader)
    }

    // A child whose columns refer to these columns of `parent`, of which only rows that stay arrive.
    fn reshape(columns: &[&str]) -> Reshape {
        let table = |name: &str, only: Option<&str>, columns| TableShape {
            name: name.to_owned(),
            origin: Origin::Table(name.to_owned()),
            to: None,
            skip: false,
            only: only.map(str::to_owned),
            columns,
            rejects: Vec::new(),
            inverse: Vec::new(),
        };
        let refers = |column: &&str| ColumnShape {
            name: (*column).to_owned(),
            to: None,
            skip: false,
            value: Value::Own,
            default: None,
            others: Stray::Keep,
            orphans: Some(Orphans { policy: Stray::Null, parent: "Parent".to_owned(), column: (*column).to_owned() }),
            inverse: None,
        };
        let child = table("child", None, columns.iter().map(refers).collect());
        Reshape { tables: vec![table("parent", Some("stays"), Vec::new()), child], define: Vec::new() }
    }

    const PARENT: &str = "CREATE TABLE parent (t TEXT, n TEXT COLLATE NOCASE, i INTEGER, b, stays INTEGER);";

    #[test]
    fn what_is_held_answers_in_the_place_of_the_table_and_only_for_texts_that_compare_by_their_bytes() {
        let reshape = reshape(&["t", "n", "i", "b"]);
        let rows = "INSERT INTO parent VALUES ('here', 'here', 1, 'here', 1), ('gone', 'gone', 2, 'gone', 0)";
        let (_dir, full) = reader(&format!("{PARENT} {rows}"));
        let held = Arc::new(full.parents(&reshape, |_| true).expect("parents"));
        assert_eq!(held.0.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false, false]);
        // Asked beside a table that has no row: whatever is found was held.
        let (_dir, empty) = reader(PARENT);
        let arrives = |reader: &Reader, column: usize, value: &str| {
            let orphans = referred(&reshape)[column];
            let sql = format!("SELECT {}", derive::exists(&reshape, "child", value, orphans));
            reader.conn.query_row(&sql, [], |row| row.get::<_, bool>(0)).expect("an answer")
        };
        assert!(!arrives(&empty, 0, "'here'"), "nothing is held yet");
        empty.hold(&held).expect("held");
        assert!(arrives(&empty, 0, "'here'"));
        for value in ["'gone'", "'Here'", "'here '", "'here' || char(0)", "NULL", "1", "x'68657265'"] {
            assert!(!arrives(&empty, 0, value), "{value}");
        }
        for column in 1..4 {
            assert!(arrives(&full, column, if column == 2 { "1" } else { "'here'" }));
            assert!(!arrives(&empty, column, "'here'"), "the table was asked");
        }
    }

    #[test]
    fn nothing_is_held_where_it_is_not_worth_it_or_there_is_too_much_or_a_condition_fails() {
        let (_dir, reader) =
            reader(&format!("{PARENT} INSERT INTO parent VALUES ('a', 'a', 1, 1, 1), ('b', 'b', 1, 1, 1)"));
        let mut reshape = reshape(&["t"]);
        assert!(reader.parents(&reshape, |_| false).expect("none").0[0].is_none());
        let sql = derive::arriving(&reshape, referred(&reshape)[0]).expect("a SELECT");
        assert!(reader.texts(&sql, 1).expect("too many").is_none());
        assert!(reader.texts(&sql, 2).expect("as many").is_some());
        for fails in ["json('no')", "child.t = 'a'"] {
            reshape.tables[0].only = Some(fails.to_owned());
            assert!(reader.parents(&reshape, |_| true).expect("none").0[0].is_none(), "{fails}");
        }
    }
}
