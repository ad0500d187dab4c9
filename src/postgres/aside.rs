//! Foreign keys of tables that were there, set aside while rows move in an order that the keys would refuse.
//!
//! Their definitions are kept in the control schema by the transaction that drops them, so that a run that is cut
//! in between still knows how to put them back.

use super::session::{Session, Transaction};
use crate::error::{Error, Kind, Result};
use crate::model::name::{qualified, quoted};
use uuid::Uuid;

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

/// Drops the foreign keys among these tables, after writing them down.
pub fn set_aside(tx: &Transaction<'_>, run: Uuid, schema: &str, tables: &[String]) -> Result<()> {
    // Names that the search path finds are printed without their schema; nothing is found on this one.
    tx.batch("SET LOCAL search_path = pg_catalog")?;
    let sql = "INSERT INTO lite2pg.foreign_key (run, table_name, name, definition) \
               SELECT $1::text::uuid, t.relname, c.conname, pg_get_constraintdef(c.oid) \
               FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class p ON p.oid = c.confrelid \
               JOIN pg_namespace n ON n.oid = t.relnamespace AND n.oid = p.relnamespace \
               WHERE c.contype = 'f' AND c.conparentid = 0 AND n.nspname = $2 \
                 AND t.relname = ANY ($3) AND p.relname = ANY ($3) RETURNING table_name, name";
    for row in tx.query(sql, &[&run.to_string(), &schema, &tables])? {
        let (table, name): (String, String) = (row.get(0), row.get(1));
        tx.batch(&format!("ALTER TABLE {} DROP CONSTRAINT {}", qualified(schema, &table), quoted(&name)))?;
    }
    Ok(())
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
pub fn put_back(tx: &Transaction<'_>, schema: &str, key: &Aside) -> Result<()> {
    let there = "SELECT to_regclass($1) IS NOT NULL AND NOT EXISTS \
                 (SELECT FROM pg_constraint WHERE conrelid = to_regclass($1) AND conname = $2)";
    let relation = qualified(schema, &key.table);
    if tx.query_one(there, &[&relation, &key.name])?.get(0) {
        let definition = key.definition.trim_end_matches(" NOT VALID");
        let sql = format!("ALTER TABLE {relation} ADD CONSTRAINT {} {definition} NOT VALID", quoted(&key.name));
        tx.batch(&sql).map_err(|e| put_back_refused(e, key))?;
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
    !key.definition.ends_with(" NOT VALID")
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
