//! Everything that a SQLite file holds, as lines of text: for two files that must hold the same.
//!
//! Asks SQLite for each cell's class and bytes, for the rowids, the schema's own table and the header's settings.

use super::oracle::Held;
use super::scenario::{Source, quoted};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// What a file holds, a line a row.
pub fn contents(path: &Path) -> Vec<String> {
    // Of a copy: SQLite leaves files beside a WAL database that is only read.
    let copy = Source::copy_of(path);
    let db = Connection::open_with_flags(&copy.path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the file opens");
    let mut lines = Vec::new();
    for pragma in ["encoding", "user_version", "application_id", "auto_vacuum", "page_size", "journal_mode"] {
        let value: rusqlite::types::Value =
            db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0)).expect("a setting");
        lines.push(format!("{pragma} {value:?}"));
    }
    lines.extend(rows(
        &db,
        "sqlite_schema",
        "SELECT rowid, type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid",
    ));
    // Shadow tables of virtual ones too: what they hold is nobody's to change.
    let sql = "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') \
               AND name <> 'sqlite_schema' ORDER BY name";
    let tables: Vec<(String, bool)> = {
        let mut statement = db.prepare(sql).expect("a list of tables");
        let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("a list of tables");
        found.collect::<Result<_, _>>().expect("names of tables")
    };
    for (table, without_rowid) in tables {
        let names: Vec<String> = {
            let mut statement = db.prepare("SELECT name FROM pragma_table_xinfo(?1)").expect("columns");
            let found = statement.query_map([&table], |row| row.get(0)).expect("columns");
            found.collect::<Result<_, _>>().expect("names of columns")
        };
        let free = ["rowid", "_rowid_", "oid"].into_iter().find(|n| !names.iter().any(|c| c.eq_ignore_ascii_case(n)));
        let free = free.filter(|_| !without_rowid);
        let list: Vec<String> = free
            .map(|f| format!("t.{f}"))
            .into_iter()
            .chain(names.iter().map(|n| format!("t.{}", quoted(n))))
            .collect();
        let order = match free {
            Some(rowid) => format!("t.{rowid}"),
            None => (1..=list.len()).map(|i| i.to_string()).collect::<Vec<_>>().join(", "),
        };
        lines.extend(rows(
            &db,
            &table,
            &format!("SELECT {} FROM {} t ORDER BY {order}", list.join(", "), quoted(&table)),
        ));
    }
    lines
}

fn rows(db: &Connection, table: &str, sql: &str) -> Vec<String> {
    let Ok(mut statement) = db.prepare(sql) else { return vec![format!("{table} cannot be read")] };
    let width = statement.column_count();
    let read = |row: &rusqlite::Row<'_>| {
        let cells: Vec<String> = (0..width)
            .map(|i| match Held::from(row.get_ref(i).expect("a cell")) {
                Held::Text(bytes) => format!("text {}", bytes.escape_ascii()),
                Held::Blob(bytes) => format!("blob {}", bytes.escape_ascii()),
                Held::Real(x) => format!("real {:016x} {x}", x.to_bits()),
                other => format!("{other:?}"),
            })
            .collect();
        Ok(format!("{table}: {}", cells.join(" | ")))
    };
    let found = statement.query_map([], read).expect("rows");
    found.map(|line| line.unwrap_or_else(|e| format!("{table}: {e}"))).collect()
}

/// Fails the test where two files do not hold the same; shows the lines that only one of them has.
#[track_caller]
pub fn same(here: &Path, there: &Path) {
    same_lines(&contents(here), &contents(there));
}

/// The same for lines that were kept.
#[track_caller]
pub fn same_lines(here: &[String], there: &[String]) {
    if here == there {
        return;
    }
    let only = |a: &[String], b: &[String]| {
        a.iter().filter(|line| !b.contains(line)).take(20).cloned().collect::<Vec<_>>().join("\n  ")
    };
    panic!("only in the first:\n  {}\nonly in the second:\n  {}", only(here, there), only(there, here));
}
