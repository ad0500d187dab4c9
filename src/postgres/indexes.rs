//! Indexes of tables that were there, dropped before a large load and built again after it: one pass over all rows is
//! cheaper than a search for each of them.
//!
//! Their definitions are kept in the control schema by the transaction that drops them, so that a run that is cut in
//! between still knows how to put them back.

use super::session::{Session, Transaction};
use crate::error::{Error, Kind, Result};
use crate::model::name::qualified;
use uuid::Uuid;

/// An index that an application made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// `CREATE INDEX …`, every name with its schema.
    pub definition: String,
}

/// The indexes of these tables that a load can do without, and that their definition alone brings back.
///
/// Those that are unique stay, because what must not be there twice is told by them, and so do those of constraints. What
/// a definition does not say (a comment, a tablespace, a target of statistics, CLUSTER, the identity of replicas) would be
/// lost. An index of a partitioned table, or of a partition's parent, stays too, and one that is not valid; and all of
/// them where the role may not create anything in the schema, be the table its own: it could not build them again.
pub fn droppable(tx: &Transaction<'_>, schema: &str, tables: &[String]) -> Result<Vec<Index>> {
    // Names that the search path finds are printed without their schema; nothing is found on this one.
    let before = tx.savepoint("lite2pg_indexes")?;
    tx.batch("SET LOCAL search_path = pg_catalog")?;
    let sql = "SELECT t.relname::text, c.relname::text, pg_get_indexdef(c.oid) \
               FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid \
               JOIN pg_namespace n ON n.oid = t.relnamespace \
               WHERE n.nspname = $1 AND has_schema_privilege(n.oid, 'CREATE') AND t.relname = ANY ($2) AND t.relkind = 'r' AND NOT i.indisunique \
                 AND NOT i.indisexclusion AND i.indisvalid AND NOT i.indisclustered AND NOT i.indisreplident \
                 AND c.reltablespace = 0 \
                 AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid) \
                 AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid) \
                 AND NOT EXISTS (SELECT FROM pg_description d WHERE d.classoid = 'pg_class'::regclass AND d.objoid = c.oid) \
                 AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0 \
                                 AND current_setting('server_version_num')::int4 < 170000 \
                                 OR a.attrelid = c.oid AND a.attstattarget > 0) \
                 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid \
                                 AND d.deptype IN ('e', 'x')) \
               ORDER BY 1, 2";
    let rows = tx.query(sql, &[&schema, &tables])?;
    before.back()?;
    Ok(rows.iter().map(|row| Index { table: row.get(0), name: row.get(1), definition: row.get(2) }).collect())
}

/// Drops indexes, after writing them down. One that could not be built again, on a function that the role may not call
/// say, is an error here, while it is still there.
pub fn set_aside(tx: &Transaction<'_>, run: Uuid, schema: &str, indexes: &[Index]) -> Result<()> {
    for index in indexes {
        tx.execute(
            "INSERT INTO lite2pg.index (run, table_name, name, definition) VALUES ($1::text::uuid, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
            &[&run.to_string(), &index.table, &index.name, &index.definition],
        )?;
        tx.batch(&format!("DROP INDEX {}", qualified(schema, &index.name)))?;
        // Its table holds no rows yet.
        let before = tx.savepoint("lite2pg_back")?;
        tx.batch(&index.definition)?;
        before.back()?;
    }
    Ok(())
}

/// The indexes that runs into this schema have dropped and not built again, whether the run goes on or not.
pub fn kept(session: &Session, schema: &str) -> Result<Vec<Index>> {
    // A control schema of an earlier version has no such table until a run begins.
    if !session.query_one("SELECT to_regclass('lite2pg.index') IS NOT NULL", &[])?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let sql = "SELECT DISTINCT i.table_name, i.name, i.definition FROM lite2pg.index i JOIN lite2pg.run r ON r.id = i.run \
               WHERE r.target_schema = $1 ORDER BY 1, 2";
    let rows = session.query(sql, &[&schema])?;
    Ok(rows.iter().map(|row| Index { table: row.get(0), name: row.get(1), definition: row.get(2) }).collect())
}

/// Builds an index again, where its table is still there and nothing has its name, and forgets it.
pub fn put_back(tx: &Transaction<'_>, schema: &str, index: &Index) -> Result<()> {
    let missing = "SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NULL";
    let names = [qualified(schema, &index.table), qualified(schema, &index.name)];
    if tx.query_one(missing, &[&names[0], &names[1]])?.get(0) {
        tx.batch(&index.definition).map_err(|e| refused(e, index))?;
    }
    let sql = "DELETE FROM lite2pg.index i USING lite2pg.run r \
               WHERE r.id = i.run AND r.target_schema = $1 AND i.table_name = $2 AND i.name = $3";
    tx.execute(sql, &[&schema, &index.table, &index.name])?;
    Ok(())
}

fn refused(error: Error, index: &Index) -> Error {
    if error.kind() != Kind::Failed {
        return error;
    }
    error
        .context(format!("index `{}` of `{}` cannot be built again", index.name, index.table))
        .state("its definition is kept in lite2pg.index")
        .hint("mend what the server names, then run the same command again")
}
