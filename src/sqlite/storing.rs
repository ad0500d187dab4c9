//! What SQLite makes of a value when a column stores it: the column's affinity has the last word.

use super::refused;
use super::restore::{Bound, owned};
use crate::error::{Error, Result};
use crate::model::affinity::Affinity;
use crate::model::cell::{Class, Owned};
use rusqlite::Connection;

/// A table in memory with a column of each affinity.
pub struct Storing {
    conn: Connection,
}

impl Storing {
    /// An empty one.
    pub fn new() -> Result<Self> {
        let open = || {
            let conn = Connection::open_in_memory()?;
            conn.execute_batch(
                "CREATE TABLE cell (n INTEGER PRIMARY KEY, integer INTEGER, text TEXT, blob BLOB, real REAL, numeric NUMERIC); \
                 INSERT INTO cell (n) VALUES (1)",
            )?;
            Ok(conn)
        };
        open().map(|conn| Self { conn }).map_err(failed)
    }

    /// The cell that a column of this affinity has once it stored a value.
    pub fn stored(&self, affinity: Affinity, cell: Owned) -> Result<Owned> {
        if !is_converted(affinity, cell.cell().class()) {
            return Ok(cell);
        }
        let column = match affinity {
            Affinity::Integer => "integer",
            Affinity::Text => "text",
            Affinity::Blob => "blob",
            Affinity::Real => "real",
            Affinity::Numeric => "numeric",
        };
        let store = || {
            self.conn.prepare_cached(&format!("UPDATE cell SET {column} = ?1"))?.execute([Bound(&cell)])?;
            let mut read = self.conn.prepare_cached(&format!("SELECT {column} FROM cell"))?;
            read.query_row([], |row| row.get_ref(0).map(owned))
        };
        store().map_err(failed)
    }
}

// Whether an affinity may make something else of a class (<https://sqlite.org/datatype3.html>, section 3).
const fn is_converted(affinity: Affinity, class: Class) -> bool {
    match affinity {
        Affinity::Blob => false,
        Affinity::Text => matches!(class, Class::Integer | Class::Real),
        Affinity::Real => matches!(class, Class::Integer | Class::Text),
        Affinity::Integer | Affinity::Numeric => matches!(class, Class::Real | Class::Text),
    }
}

fn failed(cause: rusqlite::Error) -> Error {
    refused(cause, "what a column stores cannot be found out")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::params;

    #[test]
    fn a_stored_cell_is_what_sqlite_stores_in_a_column_so_declared() {
        let (storing, conn) = (Storing::new().expect("a table"), Connection::open_in_memory().expect("a database"));
        let cells = [
            Owned::Null,
            Owned::Integer(7),
            Owned::Real(3.0),
            Owned::Real(0.5),
            Owned::Text(b"1e3".to_vec()),
            Owned::Text(b" 12".to_vec()),
            Owned::Text(b"x".to_vec()),
            Owned::Blob(b"7".to_vec()),
        ];
        for (declared, affinity) in [
            ("INT", Affinity::Integer),
            ("VARCHAR(3)", Affinity::Text),
            ("", Affinity::Blob),
            ("DOUBLE", Affinity::Real),
            ("DECIMAL(9,2)", Affinity::Numeric),
        ] {
            assert_eq!(Affinity::of(declared), affinity);
            conn.execute_batch(&format!("DROP TABLE IF EXISTS t; CREATE TABLE t (c {declared})")).expect("a table");
            for cell in &cells {
                conn.execute("DELETE FROM t", params![]).expect("emptied");
                conn.execute("INSERT INTO t VALUES (?1)", [Bound(cell)]).expect("stored");
                let expect = conn.query_row("SELECT c FROM t", [], |row| row.get_ref(0).map(owned)).expect("read");
                assert_eq!(storing.stored(affinity, cell.clone()).expect("stored"), expect, "{declared} {cell:?}");
            }
        }
    }
}
