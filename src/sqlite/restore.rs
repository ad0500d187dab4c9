//! Writing to a private copy of a source, row by row: the counterpart of the scan.
//!
//! Owns the statements and what SQLite says against them. Triggers and foreign keys of the schema do not act: what
//! they did was done where the rows come from. Decides nothing about values.

use super::connection;
use super::derive;
use super::refused;
use super::snapshot::Reader;
use super::words::words;
use crate::durable;
use crate::error::{Error, Kind, Result};
use crate::model::bounds::{SQLITE_BUSY, SQLITE_STATEMENTS};
use crate::model::cell::{Cell, Owned};
use crate::model::name::quoted;
use crate::model::source::{RowKey, Table};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, ToSql, ffi, params_from_iter};
use std::path::Path;

/// A private copy that is written to, in one transaction.
pub struct Writer {
    conn: Connection,
}

/// What reaches one row.
#[derive(Debug, Clone, PartialEq)]
pub enum At {
    /// A row of a rowid table.
    Rowid(i64),
    /// The cells of its primary key, in a WITHOUT ROWID table.
    Key(Vec<Owned>),
}

/// What SQLite has against a row, in its own words, which hold no values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// Another row has the same value of something unique: when that row changes, this one may fit.
    pub is_unique: bool,
    /// `NOT NULL constraint failed: t.c`
    pub words: String,
}

/// One table of the copy.
pub struct RowsOf<'a> {
    conn: &'a Connection,
    table: &'a Table,
    // The same as it is read.
    shaped: &'a Table,
    // How one row is found, and the columns that can be written.
    condition: String,
    stored: Vec<usize>,
}

impl Writer {
    /// Opens the copy and begins.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || {
            let conn = connection::writer(path, SQLITE_BUSY)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
            // Who opens the file afterwards finds it in one piece.
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
            // A crash leaves nothing that anybody reads; what is published is made durable as a whole.
            conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA ignore_check_constraints = OFF; BEGIN IMMEDIATE")?;
            conn.set_prepared_statement_cache_capacity(SQLITE_STATEMENTS);
            Ok(conn)
        };
        open().map(|conn| Self { conn }).map_err(|e| failed(e, "the copy of the source cannot be written"))
    }

    /// The rows of a table, which is read in the shape of `shaped`.
    #[must_use]
    pub fn rows<'a>(&'a self, table: &'a Table, shaped: &'a Table) -> RowsOf<'a> {
        RowsOf::new(&self.conn, table, shaped)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.conn
    }

    /// Raises the last number that AUTOINCREMENT gave out; says whether it was lower, or none.
    pub fn raise_sequence(&self, table: &Table, last: i64) -> Result<bool> {
        let raise = || {
            let known: Option<Value> = self
                .conn
                .query_row("SELECT seq FROM main.sqlite_sequence WHERE name = ?1", [&table.name], |row| row.get(0))
                .optional()?;
            let sql = match known {
                Some(Value::Integer(n)) if n >= last => return Ok(false),
                Some(_) => "UPDATE main.sqlite_sequence SET seq = ?2 WHERE name = ?1",
                None => "INSERT INTO main.sqlite_sequence (name, seq) VALUES (?1, ?2)",
            };
            self.conn.execute(sql, rusqlite::params![table.name, last]).map(|_| true)
        };
        raise().map_err(|e| failed(e, format!("the last number of `{}` cannot be set", table.name)))
    }

    /// Ends the transaction and closes the file, its -wal taken over.
    pub fn finish(self) -> Result<()> {
        let end = || {
            durable::step("COMMIT of the copy", || self.conn.execute_batch("COMMIT"))?;
            let checkpoint = || self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
            durable::step("checkpoint of the copy", checkpoint)
        };
        let busy = end().map_err(|e| failed(e, "what was changed cannot be kept in the copy"))?;
        if busy != 0 {
            return Err(Error::new(Kind::Failed, "the copy's -wal could not be taken over").state(AS_IT_WAS));
        }
        self.conn.close().map_err(|(_, e)| failed(e, "the copy cannot be closed"))
    }
}

impl Reader {
    /// The rows of a table one by one, which is read in the shape of `shaped`; what writes is refused here.
    #[must_use]
    pub fn rows_of<'a>(&'a self, table: &'a Table, shaped: &'a Table) -> RowsOf<'a> {
        RowsOf::new(&self.conn, table, shaped)
    }
}

/// Whether SQLite never gives a rowid of this table twice.
#[must_use]
pub fn is_autoincrement(table: &Table) -> bool {
    words(&table.sql).iter().any(|word| word.is("AUTOINCREMENT"))
}

impl<'a> RowsOf<'a> {
    pub(super) fn new(conn: &'a Connection, table: &'a Table, shaped: &'a Table) -> Self {
        let condition = match &table.row_key {
            RowKey::Rowid { name, .. } => format!("{} = ?", quoted(name)),
            // IS uses the key's index, and its collation as the key itself does.
            RowKey::PrimaryKey { .. } | RowKey::None => {
                let part = |&i: &usize| format!("{} IS ?", quoted(&table.columns[i].name));
                table.primary_key.iter().map(part).collect::<Vec<_>>().join(" AND ")
            }
        };
        let stored = (0..table.columns.len()).filter(|&i| table.columns[i].generated.is_none()).collect();
        Self { conn, table, shaped, condition, stored }
    }
}

impl RowsOf<'_> {
    /// The positions of the columns that can be written: all but the generated ones.
    #[must_use]
    pub fn stored(&self) -> &[usize] {
        &self.stored
    }

    /// Reads columns of one row; none where it is not there.
    pub fn read(&self, at: &At, columns: &[usize]) -> Result<Option<Vec<Owned>>> {
        // Qualified by an alias: a bare "name" that is no column could be taken for something else.
        let cell = |&i: &usize| {
            let column = &self.table.columns[i];
            if column.broken { "NULL".to_owned() } else { format!("s.{}", quoted(&column.name)) }
        };
        let mut list: Vec<String> = columns.iter().map(cell).collect();
        list.push("1".to_owned());
        let sql =
            format!("SELECT {} FROM main.{} AS s WHERE {}", list.join(", "), quoted(&self.table.name), self.condition);
        let read = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|i| row.get_ref(i).map(owned)).collect();
        let mut statement = self.conn.prepare_cached(&sql).map_err(|e| self.failed(e, "read"))?;
        statement.query_row(params_from_iter(at.cells()), read).optional().map_err(|e| self.failed(e, "read"))
    }

    /// Reads columns of one row in its shape; none where it is not there, or not one that the shape takes.
    pub fn read_shaped(&self, at: &At, columns: &[usize]) -> Result<Option<Vec<Owned>>> {
        let name = |&i: &usize| self.shaped.columns[i].name.as_str();
        let Some(select) = &self.shaped.derived else {
            let of = |i| self.table.column_index(name(i)).ok_or_else(|| self.unknown(name(i)));
            let columns = columns.iter().map(of).collect::<Result<Vec<_>>>()?;
            return self.read(at, &columns);
        };
        let mut list: Vec<String> = columns.iter().map(|i| format!("s.{}", quoted(name(i)))).collect();
        list.push("1".to_owned());
        let condition = match &self.shaped.row_key {
            RowKey::Rowid { name, .. } => format!("s.{} = ?", quoted(name)),
            RowKey::PrimaryKey { .. } | RowKey::None => {
                let part = |&i: &usize| format!("s.{} IS ?", quoted(&self.table.columns[i].name));
                self.table.primary_key.iter().map(part).collect::<Vec<_>>().join(" AND ")
            }
        };
        // One that the shape would set aside is none of those that are on the target.
        let marks = self.shaped.marks.iter().enumerate().filter(|(_, mark)| mark.rejects);
        let marks: Vec<String> =
            marks.map(|(n, _)| format!(" AND coalesce(s.{}, 0) = 0", quoted(&derive::mark(n)))).collect();
        let marks = marks.concat();
        let sql = format!("SELECT {} FROM ({select}\n) AS s WHERE {condition}{marks}", list.join(", "));
        let read = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|i| row.get_ref(i).map(owned)).collect();
        let mut statement = self.conn.prepare_cached(&sql).map_err(|e| self.failed(e, "read"))?;
        statement.query_row(params_from_iter(at.cells()), read).optional().map_err(|e| self.failed(e, "read"))
    }

    /// What a person's expressions make of a row whose columns have these names. What SQLite has against them is about the
    /// expressions.
    pub fn evaluate(&self, expressions: &[&str], names: &[String], cells: &[Owned]) -> Result<Vec<Owned>> {
        let row: Vec<String> = names.iter().map(|name| format!("? AS {}", quoted(name))).collect();
        let list: Vec<String> = expressions.iter().map(|sql| format!("({sql}\n)")).collect();
        let sql = format!("SELECT {} FROM (SELECT {}) AS target", list.join(", "), row.join(", "));
        let read = |row: &rusqlite::Row<'_>| (0..expressions.len()).map(|i| row.get_ref(i).map(owned)).collect();
        let made = self.conn.prepare_cached(&sql).and_then(|mut statement| {
            if !statement.readonly() {
                return Err(rusqlite::Error::InvalidQuery);
            }
            statement.query_row(params_from_iter(cells.iter().map(Bound)), read)
        });
        made.map_err(|e| {
            let what = format!("an `inverse` of `{}` cannot be worked out", self.table.name);
            Error::new(Kind::Blocked, what).state(AS_IT_WAS).cause(e)
        })
    }

    fn unknown(&self, name: &str) -> Error {
        Error::new(Kind::Bug, format!("`{}` has no column `{name}` to be read", self.table.name)).state(AS_IT_WAS)
    }

    /// Writes columns of one row, or says what SQLite has against it; then nothing was written.
    pub fn update(&self, at: &At, columns: &[usize], cells: &[Owned]) -> Result<Option<Objection>> {
        let set: Vec<String> =
            columns.iter().map(|&i| format!("{} = ?", quoted(&self.table.columns[i].name))).collect();
        // OR ABORT: the schema may say REPLACE or IGNORE, which would take other rows away, or this one.
        let sql = format!(
            "UPDATE OR ABORT main.{} SET {} WHERE {}",
            quoted(&self.table.name),
            set.join(", "),
            self.condition
        );
        let values = cells.iter().map(Bound).chain(at.cells());
        match self.conn.prepare_cached(&sql).and_then(|mut s| s.execute(params_from_iter(values))) {
            Ok(1) => Ok(None),
            Ok(rows) => Err(self.not_one(rows)),
            Err(e) => objection(&e).map(Some).ok_or_else(|| self.failed(e, "written")),
        }
    }

    /// Deletes one row.
    pub fn delete(&self, at: &At) -> Result<()> {
        let sql = format!("DELETE FROM main.{} WHERE {}", quoted(&self.table.name), self.condition);
        match self.conn.prepare_cached(&sql).and_then(|mut s| s.execute(params_from_iter(at.cells()))) {
            Ok(1) => Ok(()),
            Ok(rows) => Err(self.not_one(rows)),
            Err(e) => Err(self.failed(e, "written")),
        }
    }

    /// Inserts a row, under this rowid where one is given; where it lies then, or what SQLite has against it.
    pub fn insert(&self, rowid: Option<i64>, columns: &[usize], cells: &[Owned]) -> Result<Result<At, Objection>> {
        let mut names: Vec<String> = columns.iter().map(|&i| quoted(&self.table.columns[i].name)).collect();
        let rowid = rowid.map(Owned::Integer);
        if let (Some(_), RowKey::Rowid { name, .. }) = (&rowid, &self.table.row_key) {
            names.push(quoted(name));
        }
        let (table, marks) = (quoted(&self.table.name), vec!["?"; names.len()].join(", "));
        let sql = if names.is_empty() {
            format!("INSERT OR ABORT INTO main.{table} DEFAULT VALUES")
        } else {
            format!("INSERT OR ABORT INTO main.{table} ({}) VALUES ({marks})", names.join(", "))
        };
        let values = cells.iter().chain(&rowid).map(Bound);
        match self.conn.prepare_cached(&sql).and_then(|mut s| s.execute(params_from_iter(values))) {
            Ok(_) if self.table.without_rowid => {
                let of = |i: &usize| columns.iter().position(|c| c == i).map_or(Owned::Null, |n| cells[n].clone());
                Ok(Ok(At::Key(self.table.primary_key.iter().map(of).collect())))
            }
            Ok(_) => Ok(Ok(At::Rowid(self.conn.last_insert_rowid()))),
            Err(e) => objection(&e).map(Err).ok_or_else(|| self.failed(e, "written")),
        }
    }

    /// Runs `work` so that nothing of it stays where it gives `false`.
    pub fn attempt(&self, work: impl FnOnce() -> Result<bool>) -> Result<bool> {
        let run = |sql: &str| {
            let ran = self.conn.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
            ran.map(drop).map_err(|e| self.failed(e, "written"))
        };
        run("SAVEPOINT attempt")?;
        let done = work()?;
        if !done {
            run("ROLLBACK TO attempt")?;
        }
        run("RELEASE attempt")?;
        Ok(done)
    }

    fn not_one(&self, rows: usize) -> Error {
        Error::new(Kind::Bug, format!("a statement on one row of `{}` reached {rows}", self.table.name))
            .state(AS_IT_WAS)
    }

    fn failed(&self, cause: rusqlite::Error, what: &str) -> Error {
        let message = format!("`{}` cannot be {what} by SQLite here", self.table.name);
        // A collation or a function of the application's own: `no such function: f`.
        let is_of_the_schema = cause.sqlite_error_code() == Some(ErrorCode::Unknown);
        let error = if is_of_the_schema {
            Error::new(Kind::Blocked, message).state(AS_IT_WAS).cause(cause)
        } else {
            failed(cause, message)
        };
        error.hint(format!("`--leave '{}'` leaves the table as the source has it", self.table.name))
    }
}

const AS_IT_WAS: &str = "nothing was restored; the source and earlier files are as they were";

impl At {
    pub(super) fn cells(&self) -> impl Iterator<Item = Bound<'_>> {
        let (rowid, key) = match self {
            Self::Rowid(rowid) => (Some(Bound::Rowid(*rowid)), &[][..]),
            Self::Key(cells) => (None, &cells[..]),
        };
        rowid.into_iter().chain(key.iter().map(Bound))
    }
}

// A value as SQLite takes it: text to the byte, whatever it holds.
pub(super) enum Bound<'a> {
    Rowid(i64),
    Cell(&'a Owned),
}

#[expect(non_snake_case, reason = "so that a cell is bound as an enum's variant would be")]
pub(super) fn Bound(cell: &Owned) -> Bound<'_> {
    Bound::Cell(cell)
}

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Rowid(n) => ValueRef::Integer(*n),
            Self::Cell(cell) => match cell.cell() {
                Cell::Null => ValueRef::Null,
                Cell::Integer(n) => ValueRef::Integer(n),
                Cell::Real(x) => ValueRef::Real(x),
                Cell::Text(bytes) => ValueRef::Text(bytes),
                Cell::Blob(bytes) => ValueRef::Blob(bytes),
            },
        }))
    }
}

pub(super) fn owned(value: ValueRef<'_>) -> Owned {
    match value {
        ValueRef::Null => Owned::Null,
        ValueRef::Integer(n) => Owned::Integer(n),
        ValueRef::Real(x) => Owned::Real(x),
        ValueRef::Text(bytes) => Owned::Text(bytes.to_vec()),
        ValueRef::Blob(bytes) => Owned::Blob(bytes.to_vec()),
    }
}

// What is said against one row; none where more than that row is wrong.
pub(super) fn objection(error: &rusqlite::Error) -> Option<Objection> {
    let rusqlite::Error::SqliteFailure(code, words) = error else { return None };
    let is_unique = matches!(
        code.extended_code,
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID
    );
    let is_about_the_row =
        matches!(code.code, ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig);
    let words = words.clone().unwrap_or_else(|| code.to_string());
    is_about_the_row.then_some(Objection { is_unique, words })
}

// The source is not to blame, whatever SQLite says of the copy.
fn failed(cause: rusqlite::Error, what: impl Into<String>) -> Error {
    let what = what.into();
    Error::new(Kind::Failed, what.clone()).state(AS_IT_WAS).cause(refused(cause, what))
}
