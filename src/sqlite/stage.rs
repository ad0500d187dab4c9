//! A scratch file of rows that differ, so that memory does not grow with what was changed.
//!
//! Holds what tells a SQLite row apart, and the bytes of target rows, by the hashes of their key and of all of them.
//! Knows neither what the hashes are made of nor what the bytes mean.

use super::connection;
use super::refused;
use super::restore::At;
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::model::bounds::{STAGE_CACHE_BYTES, STAGE_STATEMENTS};
use crate::model::cell::Owned;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use std::path::Path;
use std::time::Duration;

const LATER: &str = "CREATE TABLE later (n INTEGER PRIMARY KEY, at BLOB, row BLOB, cells BLOB);";

/// What a hash of a key or a row is kept as.
pub type Hash = [u8; 16];

/// The scratch file; it is nobody's after a crash.
pub struct Stage {
    conn: Connection,
}

/// A row that waits for others to make room: where it was, what it shall be, and what it was.
#[derive(Debug)]
pub struct Later {
    /// Which one.
    pub n: i64,
    /// Where it was.
    pub at: At,
    /// The target's row.
    pub row: Vec<u8>,
    /// All its cells, once they were taken out of the table.
    pub cells: Vec<Owned>,
}

impl Stage {
    /// A new, empty file.
    pub fn create(path: &Path) -> Result<Self> {
        files::create(path).map_err(|e| {
            Error::new(Kind::Failed, format!("`{}` cannot be made", path.display()))
                .state("nothing was restored")
                .cause(e)
        })?;
        let open = || {
            let conn = connection::writer(path, Duration::ZERO)?;
            conn.execute_batch(&format!(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; \
                 PRAGMA cache_size = -{}; BEGIN; {LATER}",
                STAGE_CACHE_BYTES / 1024
            ))?;
            conn.set_prepared_statement_cache_capacity(STAGE_STATEMENTS);
            Ok(conn)
        };
        open().map(|conn| Self { conn }).map_err(failed)
    }

    /// Begins with a table.
    pub fn begin(&self, t: usize) -> Result<()> {
        self.batch(&format!(
            "CREATE TABLE source_{t} (n INTEGER PRIMARY KEY, k BLOB, r BLOB, at BLOB); \
             CREATE TABLE target_{t} (n INTEGER PRIMARY KEY, k BLOB, row BLOB);"
        ))
    }

    /// Keeps a row of the source.
    pub fn put_source(&self, t: usize, key: &Hash, row: &Hash, at: &At) -> Result<()> {
        let sql = format!("INSERT INTO source_{t} (k, r, at) VALUES (?1, ?2, ?3)");
        self.execute(&sql, params![key, row, place(at)]).map(drop)
    }

    /// All rows of the source are kept. They are sorted now, all at once: one by one, each would be a page to write.
    pub fn sort(&self, t: usize) -> Result<()> {
        self.batch(&format!("CREATE INDEX source_alike_{t} ON source_{t} (k, r)"))
    }

    /// Takes a row of the source out that is like this one of the target; false where there is none (any more).
    pub fn take_alike(&self, t: usize, key: &Hash, row: &Hash) -> Result<bool> {
        let sql = format!(
            "DELETE FROM source_{t} WHERE n = (SELECT n FROM source_{t} WHERE k = ?1 AND r = ?2 ORDER BY n LIMIT 1)"
        );
        Ok(self.execute(&sql, params![key, row])? > 0)
    }

    /// Keeps a row of the target that the source has nothing like.
    pub fn put_target(&self, t: usize, key: &Hash, bytes: &[u8]) -> Result<()> {
        self.execute(&format!("INSERT INTO target_{t} (k, row) VALUES (?1, ?2)"), params![key, bytes]).map(drop)
    }

    /// All rows of the target are kept, each by a hash of its own; they are sorted now, all at once.
    pub fn sort_target(&self, t: usize) -> Result<()> {
        self.batch(&format!("CREATE INDEX target_alike_{t} ON target_{t} (k)"))
    }

    /// Takes the bytes of a row of the target with this hash out; none where there is none (any more).
    pub fn take_target(&self, t: usize, hash: &Hash) -> Result<Option<Vec<u8>>> {
        let sql = format!(
            "DELETE FROM target_{t} WHERE n = (SELECT n FROM target_{t} WHERE k = ?1 ORDER BY n LIMIT 1) RETURNING row"
        );
        let take = || self.conn.prepare_cached(&sql)?.query_row([&hash[..]], |row| row.get(0)).optional();
        take().map_err(failed)
    }

    /// Forgets a table.
    pub fn forget(&self, t: usize) -> Result<()> {
        self.batch(&format!("DROP TABLE source_{t}; DROP TABLE target_{t}"))
    }

    /// Finds out which rows are one row on both sides, once all of a table are kept: the first row of a key on one
    /// side belongs to the first of that key on the other, and so on.
    pub fn pair(&self, t: usize) -> Result<()> {
        let number = |side: &str| {
            format!(
                "CREATE TABLE {side}_by_key_{t} (k BLOB, i INTEGER, n INTEGER, PRIMARY KEY (k, i)) WITHOUT ROWID; \
                 INSERT INTO {side}_by_key_{t} \
                     SELECT k, row_number() OVER (PARTITION BY k ORDER BY n) AS i, n FROM {side}_{t} ORDER BY k, i;"
            )
        };
        self.batch(&format!(
            "{}{} CREATE TABLE pair_{t} (s INTEGER, g INTEGER); \
             INSERT INTO pair_{t} SELECT s.n, g.n FROM source_by_key_{t} s LEFT JOIN target_by_key_{t} g USING (k, i) \
                 ORDER BY s.n; \
             INSERT INTO pair_{t} SELECT NULL, g.n FROM target_by_key_{t} g LEFT JOIN source_by_key_{t} s USING (k, i) \
                 WHERE s.n IS NULL ORDER BY g.n; \
             DROP TABLE source_by_key_{t}; DROP TABLE target_by_key_{t}",
            number("source"),
            number("target")
        ))
    }

    /// Rows that only the source has, rows that both have, and rows that only the target has.
    pub fn counts(&self, t: usize) -> Result<(u64, u64, u64)> {
        let sql = format!(
            "SELECT count(*) FILTER (WHERE g IS NULL), count(*) FILTER (WHERE g IS NOT NULL AND s IS NOT NULL), \
             count(*) FILTER (WHERE s IS NULL) FROM pair_{t}"
        );
        let count = |row: &Row<'_>, i: usize| row.get::<_, i64>(i).map(|n| n as u64);
        self.conn.query_row(&sql, [], |row| Ok((count(row, 0)?, count(row, 1)?, count(row, 2)?))).map_err(failed)
    }

    // The pairs lie in the order of the rows: CROSS JOIN makes SQLite walk them as they lie, and sort nothing.

    /// Hands out each row that only the source has.
    pub fn only_source(&self, t: usize, mut each: impl FnMut(At) -> Result<()>) -> Result<()> {
        let sql = format!(
            "SELECT s.at FROM pair_{t} p CROSS JOIN source_{t} s ON s.n = p.s WHERE p.g IS NULL ORDER BY p.rowid"
        );
        self.each(&sql, |row| each(read_place(row, 0)?))
    }

    /// Hands out each row that both have and that differs: where it is in SQLite, and the target's.
    pub fn both(&self, t: usize, mut each: impl FnMut(At, &[u8]) -> Result<()>) -> Result<()> {
        let sql = format!(
            "SELECT s.at, g.row FROM pair_{t} p CROSS JOIN source_{t} s ON s.n = p.s CROSS JOIN target_{t} g ON g.n = p.g \
             ORDER BY p.rowid"
        );
        self.each(&sql, |row| each(read_place(row, 0)?, bytes(row, 1)?))
    }

    /// Hands out each row that only the target has.
    pub fn only_target(&self, t: usize, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let sql = format!(
            "SELECT g.row FROM pair_{t} p CROSS JOIN target_{t} g ON g.n = p.g WHERE p.s IS NULL ORDER BY p.rowid"
        );
        self.each(&sql, |row| each(bytes(row, 0)?))
    }

    /// Sets a row aside that has to wait for others.
    pub fn put_later(&self, at: &At, row: &[u8]) -> Result<()> {
        self.execute("INSERT INTO later (at, row) VALUES (?1, ?2)", params![place(at), row]).map(drop)
    }

    /// Keeps the cells of a row that waits.
    pub fn keep_cells(&self, n: i64, cells: &[Owned]) -> Result<()> {
        self.execute("UPDATE later SET cells = ?2 WHERE n = ?1", params![n, write_cells(cells)]).map(drop)
    }

    /// The next row that waits, after this one.
    pub fn next_later(&self, after: i64) -> Result<Option<Later>> {
        let sql = "SELECT n, at, row, cells FROM later WHERE n > ?1 ORDER BY n LIMIT 1";
        let mut statement = self.conn.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query([after]).map_err(failed)?;
        let Some(found) = rows.next().map_err(failed)? else { return Ok(None) };
        let kept = found.get_ref(3).map_err(failed)?.as_blob_or_null().map_err(|_| unreadable())?;
        Ok(Some(Later {
            n: found.get(0).map_err(failed)?,
            at: read_place(found, 1)?,
            row: bytes(found, 2)?.to_vec(),
            cells: read_cells(kept.unwrap_or_default()).ok_or_else(unreadable)?,
        }))
    }

    /// Forgets the rows that waited.
    pub fn forget_later(&self) -> Result<()> {
        self.execute("DELETE FROM later", []).map(drop)
    }

    fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        self.conn.prepare_cached(sql).and_then(|mut statement| statement.execute(params)).map_err(failed)
    }

    fn batch(&self, sql: &str) -> Result<()> {
        self.conn.execute_batch(sql).map_err(failed)
    }

    fn each(&self, sql: &str, mut row: impl FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let mut statement = self.conn.prepare(sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(found) = rows.next().map_err(failed)? {
            row(found)?;
        }
        Ok(())
    }
}

fn bytes<'a>(row: &'a Row<'_>, i: usize) -> Result<&'a [u8]> {
    row.get_ref(i).map_err(failed)?.as_blob().map_err(|_| unreadable())
}

fn read_place(row: &Row<'_>, i: usize) -> Result<At> {
    read_at(bytes(row, i)?)
}

fn place(at: &At) -> Vec<u8> {
    match at {
        At::Rowid(rowid) => write_cells(&[Owned::Integer(*rowid)]),
        // A key has one more cell in front, so that it is never taken for a rowid.
        At::Key(cells) => {
            let mut bytes = write_cells(&[Owned::Null]);
            bytes.extend(write_cells(cells));
            bytes
        }
    }
}

fn read_at(bytes: &[u8]) -> Result<At> {
    let mut cells = read_cells(bytes).ok_or_else(unreadable)?;
    match cells.first() {
        Some(Owned::Integer(rowid)) => Ok(At::Rowid(*rowid)),
        Some(Owned::Null) => Ok(At::Key(cells.split_off(1))),
        _ => Err(unreadable()),
    }
}

fn write_cells(cells: &[Owned]) -> Vec<u8> {
    let mut out = Vec::new();
    for cell in cells {
        let (tag, number, bytes) = match cell {
            Owned::Null => (0, 0, &[][..]),
            Owned::Integer(n) => (1, *n as u64, &[][..]),
            Owned::Real(x) => (2, x.to_bits(), &[][..]),
            Owned::Text(bytes) => (3, bytes.len() as u64, &bytes[..]),
            Owned::Blob(bytes) => (4, bytes.len() as u64, &bytes[..]),
        };
        out.push(tag);
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(bytes);
    }
    out
}

// None where the bytes are not what was written.
fn read_cells(mut rest: &[u8]) -> Option<Vec<Owned>> {
    let mut cells = Vec::new();
    while let Some((tag, tail)) = rest.split_first() {
        let (number, tail) = tail.split_first_chunk::<8>()?;
        let number = u64::from_be_bytes(*number);
        let length = if *tag > 2 { usize::try_from(number).ok()? } else { 0 };
        let (bytes, tail) = tail.split_at_checked(length)?;
        cells.push(match tag {
            0 => Owned::Null,
            1 => Owned::Integer(number as i64),
            2 => Owned::Real(f64::from_bits(number)),
            3 => Owned::Text(bytes.to_vec()),
            4 => Owned::Blob(bytes.to_vec()),
            _ => return None,
        });
        rest = tail;
    }
    Some(cells)
}

fn failed(cause: rusqlite::Error) -> Error {
    let error = refused(cause, "the scratch file of rows that differ cannot be used");
    // The source is not to blame.
    let kind = if error.kind() == Kind::Source { Kind::Failed } else { error.kind() };
    Error::new(kind, "rows that differ cannot be kept beside the restored file")
        .state("nothing was restored")
        .hint("`--to` on a disk with more room")
        .cause(error)
}

fn unreadable() -> Error {
    Error::new(Kind::Bug, "a scratch file of ours does not hold what was written to it").state("nothing was restored")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage() -> (tempfile::TempDir, Stage) {
        let dir = tempfile::TempDir::new().expect("a folder");
        let stage = Stage::create(&dir.path().join("stage")).expect("a stage");
        (dir, stage)
    }

    const fn hash(n: u8) -> Hash {
        [n; 16]
    }

    #[test]
    fn rows_that_are_alike_on_both_sides_cancel_as_often_as_they_are_there() {
        let (_dir, stage) = stage();
        stage.begin(0).expect("begun");
        stage.begin(1).expect("begun");
        for rowid in 1..=3 {
            stage.put_source(0, &hash(1), &hash(9), &At::Rowid(rowid)).expect("put");
        }
        stage.sort(0).expect("sorted");
        assert!(stage.take_alike(0, &hash(1), &hash(9)).expect("asked"));
        assert!(!stage.take_alike(1, &hash(1), &hash(9)).expect("asked"), "another table's");
        assert!(stage.take_alike(0, &hash(1), &hash(9)).expect("asked"));
        stage.pair(0).expect("paired");
        assert_eq!(stage.counts(0).expect("counted"), (1, 0, 0));
        let mut left = Vec::new();
        stage
            .only_source(0, |at| {
                left.push(at);
                Ok(())
            })
            .expect("read");
        assert_eq!(left, [At::Rowid(3)], "the first of equal rows stay");
    }

    #[test]
    fn rows_of_one_key_belong_together_and_the_rest_is_alone() {
        let (_dir, stage) = stage();
        let key = At::Key(vec![Owned::Text(b"a".to_vec()), Owned::Null, Owned::Real(-0.0), Owned::Blob(vec![0])]);
        stage.begin(0).expect("begun");
        stage.put_source(0, &hash(1), &hash(9), &key).expect("put");
        stage.put_source(0, &hash(2), &hash(9), &At::Rowid(2)).expect("put");
        stage.put_target(0, &hash(1), b"row 1").expect("put");
        stage.put_target(0, &hash(1), b"row 1 again").expect("put");
        stage.put_target(0, &hash(3), b"row 3").expect("put");
        stage.pair(0).expect("paired");
        assert_eq!(stage.counts(0).expect("counted"), (1, 1, 2));
        stage
            .both(0, |at, row| {
                assert_eq!((at, row), (key.clone(), &b"row 1"[..]));
                Ok(())
            })
            .expect("read");
    }

    #[test]
    fn cells_come_back_as_they_went() {
        let cells = [
            Owned::Null,
            Owned::Integer(i64::MIN),
            Owned::Real(-0.0),
            Owned::Text(b"a\0\xff".to_vec()),
            Owned::Blob(Vec::new()),
        ];
        let bytes = write_cells(&cells);
        assert_eq!(read_cells(&bytes).as_deref(), Some(&cells[..]));
        assert_eq!(read_cells(&bytes[..bytes.len() - 1]), None);
    }
}
