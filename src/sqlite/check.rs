//! SQLite's own checks of a file: its structure, and rows whose foreign keys lead nowhere.

use super::refused;
use super::snapshot::Reader;
use crate::error::Result;
use crate::model::bounds::INTEGRITY_LINES_MAX;
use crate::model::name::quoted;
use crate::model::source::Table;
use rusqlite::types::ValueRef;
use std::collections::BTreeMap;

/// Rows of a table that refer to nothing, by the table that they refer to and the number of the foreign key.
pub type Orphans = BTreeMap<(String, String, i64), u64>;

impl Reader {
    /// What `PRAGMA integrity_check` has to say; nothing where all is well.
    pub fn integrity(&self) -> Result<Vec<String>> {
        let ask = || -> rusqlite::Result<Vec<String>> {
            let mut statement = self.conn.prepare(&format!("PRAGMA main.integrity_check({INTEGRITY_LINES_MAX})"))?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            rows.filter(|line| !matches!(line, Ok(line) if line == "ok")).collect()
        };
        ask().map_err(|e| refused(e, "the structure of the file cannot be checked"))
    }

    /// Rows of these tables whose foreign keys lead nowhere. A key that SQLite itself cannot follow is left out.
    pub fn orphans<'a>(&self, tables: impl IntoIterator<Item = &'a Table>) -> Result<Orphans> {
        let mut found = Orphans::new();
        for table in tables.into_iter().filter(|t| !t.foreign_keys.is_empty()) {
            let mut ask = || -> rusqlite::Result<()> {
                let sql = format!("PRAGMA main.foreign_key_check({})", quoted(&table.name));
                let mut statement = self.conn.prepare(&sql)?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    let parent = match row.get_ref(2)? {
                        ValueRef::Text(name) => String::from_utf8_lossy(name).into_owned(),
                        _ => String::new(),
                    };
                    *found.entry((table.name.clone(), parent, row.get(3)?)).or_default() += 1;
                }
                Ok(())
            };
            match ask() {
                // "foreign key mismatch": the schema's fault, which the application lives with.
                Err(rusqlite::Error::SqliteFailure(_, Some(words))) if words.contains("foreign key mismatch") => {}
                Err(e) => return Err(refused(e, format!("the foreign keys of `{}` cannot be checked", table.name))),
                Ok(()) => {}
            }
        }
        Ok(found)
    }
}
