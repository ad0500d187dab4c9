//! What a person's scripts made in the target schema, so that `--restart` takes it away again.

use super::session::{Session, Transaction};
use crate::error::Result;
use uuid::Uuid;

/// The tables, views and types that are there.
pub fn there(session: &Session, schema: &str) -> Result<Vec<i64>> {
    let sql = "SELECT o.oid::int8 FROM (SELECT oid, relnamespace AS home FROM pg_class \
               UNION ALL SELECT oid, typnamespace FROM pg_type) o JOIN pg_namespace n ON n.oid = o.home WHERE n.nspname = $1";
    Ok(session.query(sql, &[&schema])?.iter().map(|row| row.get(0)).collect())
}

/// Writes down what came since, as made by this run: tables, views, enums and domains.
pub fn record(tx: &Transaction<'_>, run: Uuid, schema: &str, there: &[i64]) -> Result<()> {
    tx.execute(
        "INSERT INTO lite2pg.object (run, kind, name, oid) \
         SELECT $1::text::uuid, o.kind, o.name, o.oid FROM ( \
             SELECT oid, relname::text AS name, relnamespace AS home, CASE relkind WHEN 'v' THEN 'view' ELSE 'table' END AS kind \
             FROM pg_class WHERE relkind IN ('r', 'p', 'v') \
             UNION ALL SELECT oid, typname::text, typnamespace, 'type' FROM pg_type WHERE typtype IN ('e', 'd')) o \
         JOIN pg_namespace n ON n.oid = o.home \
         WHERE n.nspname = $2 AND o.oid::int8 <> ALL ($3) ON CONFLICT DO NOTHING",
        &[&run.to_string(), &schema, &there],
    )?;
    Ok(())
}
