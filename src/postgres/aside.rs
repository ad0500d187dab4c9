//! Foreign keys of tables that were there, set aside while rows move in an order that the keys would refuse.
//!
//! Their definitions are kept in the control schema by the transaction that drops them, so that a run that is cut
//! in between still knows how to put them back.

use super::is_answer;
use super::session::{Session, Transaction};
use crate::error::{Error, Kind, Result};
use crate::model::name::{qualified, quoted};
use uuid::Uuid;

const NOT_VALID: &str = " NOT VALID";

/// A foreign key that was set aside.
#[derive(Debug, Clone)]
pub struct Aside {
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// `FOREIGN KEY … REFERENCES …`, every name with its schema.
    pub definition: String,
}

/// Drops the foreign keys among these tables, after writing them down. A key that could not be put back, for want of
/// REFERENCES on its parent say, is an error here, while it is still there.
pub fn set_aside(tx: &Transaction<'_>, run: Uuid, schema: &str, tables: &[String]) -> Result<()> {
    // Names that the search path finds are printed without their schema; nothing is found on this one.
    tx.batch("SET LOCAL search_path = pg_catalog")?;
    let sql = "INSERT INTO lite2pg.foreign_key (run, table_name, name, definition) \
               SELECT $1::text::uuid, t.relname, c.conname, pg_get_constraintdef(c.oid) \
               FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class p ON p.oid = c.confrelid \
               JOIN pg_namespace n ON n.oid = t.relnamespace AND n.oid = p.relnamespace \
               WHERE c.contype = 'f' AND c.conparentid = 0 AND n.nspname = $2 \
                 AND t.relname = ANY ($3) AND p.relname = ANY ($3) RETURNING table_name, name, definition";
    for row in tx.query(sql, &[&run.to_string(), &schema, &tables])? {
        let key = Aside { table: row.get(0), name: row.get(1), definition: row.get(2) };
        tx.batch(&drop(schema, &key))?;
        let before = tx.savepoint("lite2pg_back")?;
        put_back(tx, schema, &key)?;
        before.back()?;
    }
    Ok(())
}

fn add(schema: &str, key: &Aside, later: &str) -> String {
    let definition = key.definition.trim_end_matches(NOT_VALID);
    format!("ALTER TABLE {} ADD CONSTRAINT {} {definition}{later}", qualified(schema, &key.table), quoted(&key.name))
}

fn drop(schema: &str, key: &Aside) -> String {
    format!("ALTER TABLE {} DROP CONSTRAINT {}", qualified(schema, &key.table), quoted(&key.name))
}

/// Makes a key one that holds for new rows only, where rows that came past it break it.
pub fn invalidate(tx: &Transaction<'_>, schema: &str, table: &str, name: &str) -> Result<()> {
    tx.batch("SET LOCAL search_path = pg_catalog")?;
    let sql =
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::text::regclass AND conname = $2";
    let definition = tx.query_one(sql, &[&qualified(schema, table), &name])?.get(0);
    let key = Aside { table: table.to_owned(), name: name.to_owned(), definition };
    tx.batch(&drop(schema, &key))?;
    put_back(tx, schema, &key)
}

/// The keys that runs into this schema have set aside and not put back, whether the run goes on or not.
pub fn kept(session: &Session, schema: &str) -> Result<Vec<Aside>> {
    let sql = "SELECT f.table_name, f.name, f.definition FROM lite2pg.foreign_key f JOIN lite2pg.run r ON r.id = f.run \
               WHERE r.target_schema = $1 ORDER BY 1, 2";
    let rows = session.query(sql, &[&schema])?;
    Ok(rows.iter().map(|row| Aside { table: row.get(0), name: row.get(1), definition: row.get(2) }).collect())
}

/// Puts a key back for new rows, where its table is still there and it is not back already. Takes a lock on both
/// its tables: two sessions that do this for keys which point both ways would wait for each other.
///
/// A partitioned table has no keys for new rows only before PostgreSQL 18
/// (<https://www.postgresql.org/docs/17/sql-altertable.html>): there the server looks at all rows at once.
pub fn put_back(tx: &Transaction<'_>, schema: &str, key: &Aside) -> Result<()> {
    let there = "SELECT relkind = 'p' AND current_setting('server_version_num')::int4 < 180000 FROM pg_class \
                 WHERE oid = to_regclass($1) AND NOT EXISTS \
                 (SELECT FROM pg_constraint WHERE conrelid = to_regclass($1) AND conname = $2)";
    let relation = qualified(schema, &key.table);
    if let Some(row) = tx.query_opt(there, &[&relation, &key.name])? {
        if row.get(0) {
            return tx.batch(&add(schema, key, "")).map_err(|e| put_back_refused(e, key));
        }
        tx.batch(&add(schema, key, NOT_VALID)).map_err(|e| put_back_refused(e, key))?;
        let parts = "SELECT EXISTS (SELECT FROM pg_constraint c JOIN pg_constraint k ON k.oid = c.conparentid \
                     WHERE k.conrelid = to_regclass($1) AND k.conname = $2)";
        if was_valid(key) && tx.query_one(parts, &[&relation, &key.name])?.get(0) {
            // Its parent is partitioned: what would be validated later is the key, and not what it is to each partition.
            let before = tx.savepoint("lite2pg_whole")?;
            match tx.batch(&drop(schema, key)).and_then(|()| tx.batch(&add(schema, key, ""))) {
                Ok(()) => before.keep()?,
                Err(error) if is_answer(&error) => before.back()?,
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Forgets that a key was set aside, once nothing is left to do about it.
pub fn forget(session: &Session, schema: &str, key: &Aside) -> Result<()> {
    let sql = "DELETE FROM lite2pg.foreign_key f USING lite2pg.run r \
               WHERE r.id = f.run AND r.target_schema = $1 AND f.table_name = $2 AND f.name = $3";
    session.execute(sql, &[&schema, &key.table, &key.name])?;
    Ok(())
}

/// Whether the key was checked for all rows before it was set aside.
#[must_use]
pub fn was_valid(key: &Aside) -> bool {
    !key.definition.ends_with(NOT_VALID)
}

fn put_back_refused(error: Error, key: &Aside) -> Error {
    if error.kind() != Kind::Failed {
        return error;
    }
    error
        .context(format!("foreign key `{}` of `{}` cannot be put back", key.name, key.table))
        .state("its definition is kept in lite2pg.foreign_key")
        .hint("mend what the server names, then run the same command again")
}
