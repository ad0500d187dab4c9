//! Two files that should hold the same: settings, schema text, rowids, and each cell's class and bytes.
//!
//! Reads both, walks one and looks each row up in the other; holds two rows at a time. Knows no plan and no types: what
//! SQLite stores is all that counts. Only for files that nobody writes.

use super::connection::{self, Access};
use super::refused;
use super::restore::{At, owned};
use crate::error::Result;
use crate::model::cell::Owned;
use crate::model::name::quoted;
use rusqlite::{Connection, OptionalExtension, Row, Statement, params_from_iter};
use std::path::Path;
use std::time::Duration;

/// Something that only one of two files has, or that both have otherwise.
#[derive(Debug, Clone, PartialEq)]
pub enum Unlike {
    /// A setting, a part of the schema or a whole table, in words.
    File(String),
    /// A row that only one of them has.
    Row {
        /// The table.
        table: String,
        /// Where it is.
        at: At,
        /// Whether the first file has it.
        is_first: bool,
    },
    /// A cell of a row that both have.
    Cell {
        /// The table.
        table: String,
        /// Where the row is.
        at: At,
        /// The column.
        column: String,
    },
}

/// What was compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compared {
    /// Rows of the first file.
    pub rows: u64,
    /// Their cells.
    pub cells: u64,
}

/// Settings of the file itself. Counters of writes differ between files that hold the same.
const SETTINGS: [&str; 6] = ["encoding", "user_version", "application_id", "auto_vacuum", "page_size", "journal_mode"];

/// Rows between two calls of the watcher.
const ROWS_PER_LOOK: u64 = 4096;

/// Hands out whatever is unlike.
pub fn compare(
    first: &Path,
    second: &Path,
    look: &dyn Fn() -> Result<()>,
    unlike: &mut dyn FnMut(Unlike) -> Result<()>,
) -> Result<Compared> {
    let (a, b) = (File::open(first)?, File::open(second)?);
    for setting in SETTINGS {
        if a.setting(setting)? != b.setting(setting)? {
            unlike(Unlike::File(format!("`PRAGMA {setting}`")))?;
        }
    }
    for what in schema_unlike(&a.schema()?, &b.schema()?) {
        unlike(Unlike::File(what))?;
    }
    let (tables, others) = (a.tables()?, b.tables()?);
    let mut compared = Compared::default();
    for table in &tables {
        match others.iter().find(|other| other.name == table.name) {
            Some(other) if other == table => {
                let here = both(&a, &b, table, true, look, unlike)?;
                let there = both(&b, &a, table, false, look, unlike)?;
                // Each row of one may have been found twice in the other, where no key tells them apart.
                if here.rows != there.rows {
                    unlike(Unlike::File(format!("the number of rows of `{}`", table.name)))?;
                }
                compared.rows += here.rows;
                compared.cells += here.cells;
            }
            _ => unlike(Unlike::File(format!("table `{}`", table.name)))?,
        }
    }
    for other in others.iter().filter(|other| tables.iter().all(|table| table.name != other.name)) {
        unlike(Unlike::File(format!("table `{}`", other.name)))?;
    }
    Ok(compared)
}

// Walks the table in one file; looks each row up in the other, whose cells are compared on the first walk.
fn both(
    here: &File,
    there: &File,
    table: &Layout,
    is_first: bool,
    look: &dyn Fn() -> Result<()>,
    unlike: &mut dyn FnMut(Unlike) -> Result<()>,
) -> Result<Compared> {
    let mut compared = Compared::default();
    let (Some(mut walk), Some(mut find)) = (here.prepare(&table.walk)?, there.prepare(&table.find)?) else {
        // A table that needs what is not here, such as a module: neither file can be asked.
        return Ok(compared);
    };
    let failed = |e| refused(e, format!("cannot read `{}`", table.name));
    let mut rows = walk.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        compared.rows += 1;
        if compared.rows.is_multiple_of(ROWS_PER_LOOK) {
            look()?;
        }
        let at = table.at(row).map_err(failed)?;
        let found = find
            .query_row(params_from_iter(at.cells()), |other| {
                let mut differ = Vec::new();
                if is_first {
                    for i in table.key_width..table.key_width + table.columns.len() {
                        if !is_same(&owned(row.get_ref(i)?), &owned(other.get_ref(i)?)) {
                            differ.push(i - table.key_width);
                        }
                    }
                }
                Ok(differ)
            })
            .optional()
            .map_err(failed)?;
        compared.cells += table.columns.len() as u64;
        match found {
            None => unlike(Unlike::Row { table: table.name.clone(), at, is_first })?,
            Some(differ) => {
                for i in differ {
                    let (table, column) = (table.name.clone(), table.columns[i].clone());
                    unlike(Unlike::Cell { table, at: at.clone(), column })?;
                }
            }
        }
    }
    Ok(compared)
}

/// The same class and bytes: -0.0 is another cell than 0.0.
#[must_use]
pub fn is_same(a: &Owned, b: &Owned) -> bool {
    match (a, b) {
        (Owned::Real(a), Owned::Real(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

// How a table is walked, and how one row of it is found.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    name: String,
    columns: Vec<String>,
    key_width: usize,
    has_rowid: bool,
    walk: String,
    find: String,
}

impl Layout {
    fn at(&self, row: &Row<'_>) -> rusqlite::Result<At> {
        if self.has_rowid {
            return row.get(0).map(At::Rowid);
        }
        (0..self.key_width).map(|i| row.get_ref(i).map(owned)).collect::<rusqlite::Result<_>>().map(At::Key)
    }
}

struct File {
    conn: Connection,
}

impl File {
    fn open(path: &Path) -> Result<Self> {
        let (conn, _) = connection::reader(path, Access::Immutable, Duration::ZERO)
            .map_err(|e| refused(e, format!("cannot read `{}`", path.display())))?;
        Ok(Self { conn })
    }

    fn setting(&self, name: &str) -> Result<Owned> {
        let read = |row: &Row<'_>| row.get_ref(0).map(owned);
        self.conn.query_row(&format!("PRAGMA {name}"), [], read).map_err(|e| refused(e, format!("cannot read {name}")))
    }

    // Pages are where SQLite put them; all else of the schema's own table counts.
    fn schema(&self) -> Result<Vec<Vec<Owned>>> {
        let failed = |e| refused(e, "cannot read the schema");
        let sql = "SELECT rowid, type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid";
        let mut statement = self.conn.prepare(sql).map_err(failed)?;
        let read = |row: &Row<'_>| (0..5).map(|i| row.get_ref(i).map(owned)).collect();
        let rows = statement.query_map([], read).map_err(failed)?;
        rows.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    // Shadow tables too, and SQLite's own: what they hold is nobody's to change.
    fn tables(&self) -> Result<Vec<Layout>> {
        let failed = |e| refused(e, "cannot read the list of tables");
        let sql = "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') \
                   AND name NOT IN ('sqlite_schema', 'sqlite_master') ORDER BY name";
        let mut statement = self.conn.prepare(sql).map_err(failed)?;
        let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
        let found: Vec<(String, bool)> = found.collect::<rusqlite::Result<_>>().map_err(failed)?;
        found.into_iter().map(|(name, without_rowid)| self.layout(name, without_rowid)).collect()
    }

    fn layout(&self, name: String, without_rowid: bool) -> Result<Layout> {
        let failed = |e| refused(e, format!("cannot read the columns of `{name}`"));
        let sql = "SELECT name, pk FROM pragma_table_xinfo(?1) ORDER BY cid";
        let mut statement = self.conn.prepare(sql).map_err(failed)?;
        let found = statement.query_map([&name], |row| Ok((row.get(0)?, row.get(1)?))).map_err(failed)?;
        let found: Vec<(String, i64)> = found.collect::<rusqlite::Result<_>>().map_err(failed)?;
        let columns: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
        let is_free = |n: &&str| !columns.iter().any(|c| c.eq_ignore_ascii_case(n));
        let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(is_free).filter(|_| !without_rowid);
        let mut key: Vec<(i64, &String)> = found.iter().filter(|(_, pk)| *pk > 0).map(|(n, pk)| (*pk, n)).collect();
        key.sort_unstable();
        let key: Vec<String> = match rowid {
            Some(rowid) => vec![format!("t.{rowid}")],
            // All three names are taken: the whole row is its key, as far as it can be found by it.
            None if key.is_empty() => columns.iter().map(|c| format!("t.{}", quoted(c))).collect(),
            None => key.iter().map(|(_, name)| format!("t.{}", quoted(name))).collect(),
        };
        let list: Vec<String> = key.iter().cloned().chain(columns.iter().map(|c| format!("t.{}", quoted(c)))).collect();
        let (list, from) = (list.join(", "), quoted(&name));
        let one: Vec<String> = key.iter().map(|k| format!("{k} IS ?")).collect();
        Ok(Layout {
            // The table's own b-tree, whatever its indexes say.
            walk: format!("SELECT {list} FROM main.{from} AS t{}", if without_rowid { "" } else { " NOT INDEXED" }),
            find: format!("SELECT {list} FROM main.{from} AS t WHERE {} LIMIT 1", one.join(" AND ")),
            key_width: key.len(),
            has_rowid: rowid.is_some(),
            columns,
            name,
        })
    }

    fn prepare(&self, sql: &str) -> Result<Option<Statement<'_>>> {
        match self.conn.prepare(sql) {
            Ok(statement) => Ok(Some(statement)),
            Err(rusqlite::Error::SqlInputError { .. }) => Ok(None),
            // `no such function: f`, of a computed column.
            Err(rusqlite::Error::SqliteFailure(code, _)) if code.extended_code == 1 => Ok(None),
            Err(e) => Err(refused(e, "cannot read a table")),
        }
    }
}

// Lines that only one of two schemas has, in words.
fn schema_unlike(a: &[Vec<Owned>], b: &[Vec<Owned>]) -> Vec<String> {
    let words = |line: &Vec<Owned>| match &line[2] {
        Owned::Text(name) => format!("the definition of `{}`", String::from_utf8_lossy(name)),
        _ => "a part of the schema".to_owned(),
    };
    let only = |these: &[Vec<Owned>], those: &[Vec<Owned>]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).map(words).collect()
    };
    let mut all = only(a, b);
    all.extend(only(b, a));
    all.sort();
    all.dedup();
    all
}

impl Unlike {
    /// The table that it is about, where it is about one.
    #[must_use]
    pub fn table(&self) -> Option<&str> {
        match self {
            Self::File(_) => None,
            Self::Row { table, .. } | Self::Cell { table, .. } => Some(table),
        }
    }

    /// What and where.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::File(what) => format!("{what} is another"),
            Self::Row { table, at, is_first } => {
                let side = if *is_first { "first" } else { "second" };
                format!("a row of `{table}`{} is in the {side} file only", place(at))
            }
            Self::Cell { table, at, column } => format!("`{table}.{column}`{} is another cell", place(at)),
        }
    }
}

// A key may hold values.
fn place(at: &At) -> String {
    match at {
        At::Rowid(rowid) => format!(", rowid {rowid},"),
        At::Key(_) => String::new(),
    }
}
