//! A copy of a source that SQLite itself writes to, as the application would: what a way back must come to.
//!
//! Owns the statements, each the counterpart of one that PostgreSQL is given. Foreign keys act where that is wanted;
//! triggers do not, because PostgreSQL has none of them.

use super::connection;
use super::refused;
use super::restore::{At, Bound, RowsOf, objection};
use crate::error::{Error, Kind, Result};
use crate::model::bounds::{SQLITE_BUSY, SQLITE_STATEMENTS};
use crate::model::cell::Owned;
use crate::model::name::quoted;
use crate::model::rehearsal::{Made, Over};
use crate::model::source::{RowKey, Table};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, params_from_iter};
use std::path::Path;

/// The copy, in one transaction.
pub struct Mirror {
    conn: Connection,
}

impl Mirror {
    /// Opens the copy and begins.
    pub fn open(path: &Path, foreign_keys: bool) -> Result<Self> {
        let open = || {
            let conn = connection::writer(path, SQLITE_BUSY)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, foreign_keys)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
            conn.execute_batch("PRAGMA synchronous = OFF; BEGIN IMMEDIATE")?;
            conn.set_prepared_statement_cache_capacity(SQLITE_STATEMENTS);
            Ok(conn)
        };
        open().map(|conn| Self { conn }).map_err(|e| failed(e, "the copy of the source cannot be written"))
    }

    /// Ends the transaction and closes the file, its -wal taken over.
    pub fn finish(self) -> Result<()> {
        let end = || {
            self.conn.execute_batch("COMMIT")?;
            self.conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        };
        end().map_err(|e| failed(e, "what was written cannot be kept"))?;
        self.conn.close().map_err(|(_, e)| failed(e, "the copy cannot be closed"))
    }

    /// Begins what may be undone.
    pub fn mark(&self) -> Result<()> {
        self.run("SAVEPOINT tried")
    }

    /// Keeps what was done since [`Mirror::mark`], or undoes it.
    pub fn settle(&self, keep: bool) -> Result<()> {
        if !keep {
            self.run("ROLLBACK TO tried")?;
        }
        self.run("RELEASE tried")
    }

    /// Gives cells of a row to it anew, each made of the row `from`'s. The number of rows that were written, or none
    /// where SQLite refuses.
    pub fn update(&self, table: &Table, at: &At, from: &At, set: &[(usize, Made)]) -> Result<Option<usize>> {
        let mut values = Vec::new();
        let name = quoted(&table.name);
        let mut parts = Vec::new();
        for (column, made) in set {
            let column = quoted(&table.columns[*column].name);
            let Some(made) = expression(&format!("f.{column}"), made, &mut values) else { continue };
            let condition = found_by(table, "f");
            values.extend(cells(from));
            parts.push(format!("{column} = (SELECT {made} FROM main.{name} AS f WHERE {condition})"));
        }
        values.extend(cells(at));
        let sql = format!("UPDATE OR ABORT main.{name} AS t SET {} WHERE {}", parts.join(", "), found_by(table, "t"));
        self.attempt(&sql, &values)
    }

    /// Inserts a row that is made of the row `from`, and, where one with its key is there, changes that one's columns in
    /// `over` to the new one's.
    pub fn insert(
        &self,
        table: &Table,
        from: &At,
        row: &[(usize, Made)],
        over: Option<Over<'_>>,
    ) -> Result<Option<usize>> {
        let (mut names, mut list, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (column, made) in row {
            let name = quoted(&table.columns[*column].name);
            if let Some(made) = expression(&format!("f.{name}"), made, &mut values) {
                names.push(name);
                list.push(made);
            }
        }
        values.extend(cells(from));
        let name = quoted(&table.name);
        let over = over.map_or_else(String::new, |over| on_conflict(table, &over));
        let sql = format!(
            "INSERT OR ABORT INTO main.{name} ({}) SELECT {} FROM main.{name} AS f WHERE {}{over}",
            names.join(", "),
            list.join(", "),
            found_by(table, "f")
        );
        self.attempt(&sql, &values)
    }

    /// Reads columns of one row in its shape; none where it is not there, or not one that the shape takes.
    pub fn read(&self, (table, shaped): (&Table, &Table), at: &At, columns: &[usize]) -> Result<Option<Vec<Owned>>> {
        RowsOf::new(&self.conn, table, shaped).read_shaped(at, columns)
    }

    /// Where the row lies that was inserted last, in a table with rowids.
    #[must_use]
    pub fn last(&self) -> At {
        At::Rowid(self.conn.last_insert_rowid())
    }

    /// Deletes a row.
    pub fn delete(&self, table: &Table, at: &At) -> Result<Option<usize>> {
        let sql = format!("DELETE FROM main.{} AS t WHERE {}", quoted(&table.name), found_by(table, "t"));
        self.attempt(&sql, &cells(at).collect::<Vec<_>>())
    }

    /// Deletes all rows of a table, or those for which a condition holds, but for those of these rowids.
    pub fn empty(&self, table: &Table, only: Option<&str>, kept: &[i64]) -> Result<()> {
        let name = quoted(&table.name);
        let only = only.map_or_else(String::new, |only| format!(" AND ({only}\n)"));
        let but = match &table.row_key {
            RowKey::Rowid { name: rowid, .. } if !kept.is_empty() => {
                self.run("CREATE TEMP TABLE \"lite2pg kept\" (n INTEGER PRIMARY KEY)")?;
                for n in kept {
                    let put = |conn: &Connection| {
                        conn.prepare_cached("INSERT INTO temp.\"lite2pg kept\" VALUES (?1)")?.execute([n])
                    };
                    put(&self.conn).map_err(|e| failed(e, "the copy of the source cannot be written"))?;
                }
                format!(" AND {name}.{} NOT IN (SELECT n FROM temp.\"lite2pg kept\")", quoted(rowid))
            }
            _ => String::new(),
        };
        self.run(&format!("DELETE FROM main.{name} AS {name} WHERE 1{only}{but}"))?;
        self.run("DROP TABLE IF EXISTS temp.\"lite2pg kept\"")
    }

    /// Rows that were written since the file was opened, those included that foreign keys wrote.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.conn.total_changes()
    }

    fn attempt(&self, sql: &str, values: &[Owned]) -> Result<Option<usize>> {
        let run = self.conn.prepare_cached(sql).and_then(|mut s| s.execute(params_from_iter(values.iter().map(Bound))));
        match run {
            Ok(rows) => Ok(Some(rows)),
            Err(e) if objection(&e).is_some() => Ok(None),
            // A function or a collation of the application's own, and what else this SQLite cannot do with the table.
            Err(rusqlite::Error::SqliteFailure(code, _)) if code.extended_code == 1 => Ok(None),
            Err(rusqlite::Error::SqlInputError { .. }) => Ok(None),
            Err(e) => Err(failed(e, "the copy of the source cannot be written")),
        }
    }

    fn run(&self, sql: &str) -> Result<()> {
        let ran = self.conn.prepare_cached(sql).and_then(|mut statement| statement.execute([]));
        ran.map(drop).map_err(|e| failed(e, "the copy of the source cannot be written"))
    }
}

fn on_conflict(table: &Table, over: &Over<'_>) -> String {
    let name = |&column: &usize| quoted(&table.columns[column].name);
    let key: Vec<String> = over.key.iter().map(name).collect();
    let set: Vec<String> = over.set.iter().map(name).map(|c| format!("{c} = excluded.{c}")).collect();
    format!(" ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), set.join(", "))
}

// None where the column is not named at all.
fn expression(own: &str, made: &Made, values: &mut Vec<Owned>) -> Option<String> {
    Some(match made {
        Made::Copied => own.to_owned(),
        Made::Plus(n) => {
            values.push(Owned::Integer(*n));
            format!("{own} + ?")
        }
        Made::Behind(text) => {
            values.push(Owned::Text(text.clone().into_bytes()));
            format!("{own} || ?")
        }
        Made::New(cell) => {
            values.push(cell.clone());
            "?".to_owned()
        }
        Made::LeftOut => return None,
    })
}

fn found_by(table: &Table, alias: &str) -> String {
    match &table.row_key {
        RowKey::Rowid { name, .. } => format!("{alias}.{} = ?", quoted(name)),
        RowKey::PrimaryKey { .. } | RowKey::None => {
            let part = |&i: &usize| format!("{alias}.{} IS ?", quoted(&table.columns[i].name));
            table.primary_key.iter().map(part).collect::<Vec<_>>().join(" AND ")
        }
    }
}

fn cells(at: &At) -> impl Iterator<Item = Owned> {
    let (rowid, key) = match at {
        At::Rowid(rowid) => (Some(Owned::Integer(*rowid)), &[][..]),
        At::Key(cells) => (None, &cells[..]),
    };
    rowid.into_iter().chain(key.iter().cloned())
}

fn failed(cause: rusqlite::Error, what: &str) -> Error {
    Error::new(Kind::Failed, what).cause(refused(cause, what))
}
