//! A small file with the schema of a large one and some rows of each table, with the rows that those refer to.
//!
//! Owns the SQL. What the file is for is not known here.

use super::connection;
use super::refused;
use super::snapshot::Reader;
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::model::name::quoted;
use crate::model::source::{Catalog, RowKey, Table};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};
use std::path::Path;
use std::time::Duration;

/// Places in a table that its rows are taken from.
const SPOTS: u64 = 16;

/// Rounds in which rows that others refer to are fetched: a chain of references longer than this is cut.
const ROUNDS_MAX: usize = 8;

impl Reader {
    /// Writes a new file with at most so many rows of each table, spread over it, and those that they refer to. `catalog`
    /// is this reader's. Virtual tables are left out.
    pub fn excerpt(&self, catalog: &Catalog, to: &Path, rows: u64) -> Result<()> {
        let from = self.conn.path().ok_or_else(|| Error::new(Kind::Bug, "a source without a path"))?.to_owned();
        files::create(to).map_err(|e| {
            Error::new(Kind::Failed, format!("no excerpt can be written to `{}`", to.display())).cause(e)
        })?;
        let write = || {
            let conn = connection::writer(to, Duration::ZERO)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
            // Text as the schema has it may say what this version would not take from a person.
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, true)?;
            connection::stand_in_collations(&conn)?;
            let excerpt = Excerpt { conn, catalog, rows };
            excerpt.settings(&self.conn)?;
            excerpt.conn.execute("ATTACH ?1 AS src", [&from])?;
            excerpt.conn.execute_batch("BEGIN")?;
            excerpt.tables()?;
            excerpt.parents()?;
            excerpt.rest()?;
            excerpt.conn.execute_batch("COMMIT; DETACH src")?;
            excerpt.conn.close().map_err(|(_, e)| e)
        };
        write().map_err(|e| {
            let what = "no excerpt of the source can be made";
            Error::new(Kind::Failed, what).cause(refused(e, what))
        })
    }
}

struct Excerpt<'a> {
    conn: Connection,
    catalog: &'a Catalog,
    rows: u64,
}

impl Excerpt<'_> {
    // Before anything is written: afterwards some of them have no effect.
    fn settings(&self, of: &Connection) -> rusqlite::Result<()> {
        for name in ["encoding", "page_size", "auto_vacuum", "user_version", "application_id"] {
            let value: rusqlite::types::Value = of.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?;
            let value = match value {
                rusqlite::types::Value::Text(text) => format!("'{text}'"),
                rusqlite::types::Value::Integer(number) => number.to_string(),
                _ => continue,
            };
            self.conn.execute_batch(&format!("PRAGMA {name} = {value}"))?;
        }
        self.conn.execute_batch(
            "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; PRAGMA ignore_check_constraints = ON",
        )
    }

    fn tables(&self) -> rusqlite::Result<()> {
        for table in &self.catalog.tables {
            self.conn.execute_batch(&table.sql)?;
        }
        for table in &self.catalog.tables {
            self.fill(table)?;
        }
        Ok(())
    }

    fn fill(&self, table: &Table) -> rusqlite::Result<()> {
        let (into, from) = copied(table);
        let RowKey::Rowid { name, .. } = &table.row_key else {
            self.conn.execute(&format!("{into} {from} LIMIT ?1"), [self.rows as i64])?;
            return Ok(());
        };
        let rowid = quoted(name);
        let bounds = format!("SELECT min({rowid}), max({rowid}) FROM src.{}", quoted(&table.name));
        let (min, max): (Option<i64>, Option<i64>) =
            self.conn.query_row(&bounds, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (Some(min), Some(max)) = (min, max) else { return Ok(()) };
        let each = self.rows.div_ceil(SPOTS) as i64;
        let sql = format!("{into} {from} WHERE f.{rowid} >= ?1 ORDER BY f.{rowid} LIMIT ?2");
        for spot in 0..SPOTS {
            let at = i128::from(min) + (i128::from(max) - i128::from(min)) * i128::from(spot) / i128::from(SPOTS);
            self.conn.prepare_cached(&sql)?.execute(params![at as i64, each])?;
        }
        // The last row has the largest number, behind which new ones are counted.
        self.conn.prepare_cached(&sql)?.execute(params![max, 1])?;
        Ok(())
    }

    // Rows that those refer to which are here, until all are.
    fn parents(&self) -> rusqlite::Result<()> {
        for _ in 0..ROUNDS_MAX {
            let mut fetched = 0;
            for child in &self.catalog.tables {
                for key in &child.foreign_keys {
                    let Some(parent) = self.catalog.table(&key.parent) else { continue };
                    let own: Vec<String> = parent.primary_key.iter().map(|&i| parent.columns[i].name.clone()).collect();
                    let named = if key.parent_columns.is_empty() { own } else { key.parent_columns.clone() };
                    if named.len() != key.columns.len() || named.iter().any(|n| parent.column_index(n).is_none()) {
                        continue;
                    }
                    let (into, from) = copied(parent);
                    let theirs: Vec<String> = named.iter().map(|n| format!("f.{}", quoted(n))).collect();
                    let ours: Vec<String> = key.columns.iter().map(|&i| quoted(&child.columns[i].name)).collect();
                    let sql = format!(
                        "{into} {from} WHERE ({}) IN (SELECT {} FROM main.{})",
                        theirs.join(", "),
                        ours.join(", "),
                        quoted(&child.name)
                    );
                    fetched += self.conn.execute(&sql, [])?;
                }
            }
            if fetched == 0 {
                break;
            }
        }
        Ok(())
    }

    // What stands on the tables. An object that needs the application's own functions is left out.
    fn rest(&self) -> rusqlite::Result<()> {
        for table in self.catalog.tables.iter().filter(|t| t.sequence.is_some()) {
            let seq = params![table.name, table.sequence];
            if self.conn.execute("UPDATE main.sqlite_sequence SET seq = ?2 WHERE name = ?1", seq)? == 0 {
                self.conn.execute("INSERT INTO main.sqlite_sequence (name, seq) VALUES (?1, ?2)", seq)?;
            }
        }
        let indexes = self.catalog.tables.iter().flat_map(|t| &t.indexes).filter_map(|i| i.sql.as_ref());
        let others = self.catalog.views.iter().chain(&self.catalog.triggers).map(|o| &o.sql);
        for sql in indexes.chain(others) {
            self.conn.execute_batch(sql).ok();
        }
        Ok(())
    }
}

// INSERT and SELECT of all stored columns, under the same rowids. A row that is here already stays.
fn copied(table: &Table) -> (String, String) {
    let mut names: Vec<String> =
        table.columns.iter().filter(|c| c.generated.is_none()).map(|c| quoted(&c.name)).collect();
    if let RowKey::Rowid { name, column: None } = &table.row_key {
        names.push(quoted(name));
    }
    let theirs: Vec<String> = names.iter().map(|n| format!("f.{n}")).collect();
    let name = quoted(&table.name);
    (
        format!("INSERT OR IGNORE INTO main.{name} ({})", names.join(", ")),
        format!("SELECT {} FROM src.{name} AS f", theirs.join(", ")),
    )
}
