//! Triggers that an application made on its tables, switched off while rows move.
//!
//! How each was switched on is kept in the control schema by the transaction that switches it off, so that a run that is
//! cut in between still knows how to put it back. Needs no more than to own the table: the triggers of foreign keys,
//! which only a superuser may switch off, are not touched.

use super::ddl;
use super::session::{Session, Transaction};
use crate::error::Result;
use crate::model::name::{qualified, quoted};
use uuid::Uuid;

/// A trigger that an application made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its table, or the partition of one.
    pub table: String,
    /// Its name.
    pub name: String,
    /// `pg_trigger.tgenabled`: O, A or R.
    pub enabled: String,
    /// The schema of a partition that stands in another than its table: such a trigger is let be.
    pub elsewhere: Option<String>,
}

/// What is done to rows, as bits of `pg_trigger.tgtype` (`src/include/catalog/pg_trigger.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events(i16);

impl Events {
    /// Rows come.
    pub const INSERT: Self = Self(4);
    /// Rows come, or replace others.
    pub const INSERT_OR_UPDATE: Self = Self(4 | 16);
    /// Rows come, replace others, and go.
    pub const ALL: Self = Self(4 | 8 | 16);
}

/// Triggers of these tables and of their partitions that would fire for these events. `as_replica` says that they are loaded
/// under `session_replication_role = replica`, where only those fire that were made for it.
///
/// Those that partitions have from their table are named with them: a partition's may be switched off by itself. PostgreSQL 12
/// counts them among its own.
pub fn firing(
    session: &Session,
    (schema, tables): (&str, &[String]),
    Events(events): Events,
    as_replica: bool,
) -> Result<Vec<Trigger>> {
    let sql = "SELECT c.relname::text, t.tgname::text, t.tgenabled::text, nullif(n.nspname, $1)::text \
               FROM pg_class r JOIN pg_namespace s ON s.oid = r.relnamespace \
               CROSS JOIN LATERAL (SELECT r.oid AS part UNION SELECT relid FROM pg_partition_tree(r.oid)) p \
               JOIN pg_class c ON c.oid = p.part JOIN pg_namespace n ON n.oid = c.relnamespace \
               JOIN pg_trigger t ON t.tgrelid = c.oid \
               WHERE s.nspname = $1 AND r.relname = ANY ($2) \
                 AND (NOT t.tgisinternal OR c.relispartition AND t.tgconstraint = 0) \
                 AND t.tgenabled = ANY (CASE WHEN $3 THEN '{A,R}' ELSE '{A,O}' END::\"char\"[]) \
                 AND (t.tgtype & $4) <> 0 ORDER BY 1, 2";
    let rows = session.query(sql, &[&schema, &tables, &as_replica, &events])?;
    Ok(rows
        .iter()
        .map(|row| Trigger { table: row.get(0), name: row.get(1), enabled: row.get(2), elsewhere: row.get(3) })
        .collect())
}

/// Triggers of these tables that fire for other sessions, and not under `session_replication_role = replica`.
pub fn silent(session: &Session, of: (&str, &[String]), events: Events) -> Result<Vec<Trigger>> {
    let all = firing(session, of, events, false)?;
    Ok(all.into_iter().filter(|trigger| trigger.enabled == "O").collect())
}

/// Switches triggers off, after writing them down.
pub fn set_aside(tx: &Transaction<'_>, run: Uuid, schema: &str, triggers: &[Trigger]) -> Result<()> {
    for trigger in triggers {
        tx.execute(
            "INSERT INTO lite2pg.trigger (run, table_name, name, enabled) VALUES ($1::text::uuid, $2, $3, $4) \
             ON CONFLICT DO NOTHING",
            &[&run.to_string(), &trigger.table, &trigger.name, &trigger.enabled],
        )?;
        tx.batch(&alter(schema, trigger, "DISABLE TRIGGER"))?;
    }
    Ok(())
}

/// Switches triggers off until [`wake`], which must come in the same transaction: a crash takes both back.
pub fn hush(tx: &Transaction<'_>, schema: &str, triggers: &[Trigger]) -> Result<()> {
    triggers.iter().try_for_each(|trigger| tx.batch(&alter(schema, trigger, "DISABLE TRIGGER")))
}

/// Switches triggers on again as they were.
pub fn wake(tx: &Transaction<'_>, schema: &str, triggers: &[Trigger]) -> Result<()> {
    if triggers.is_empty() {
        return Ok(());
    }
    // A table whose constraints still wait to be asked cannot be altered.
    tx.batch(ddl::CHECK_AT_ONCE)?;
    triggers.iter().try_for_each(|trigger| tx.batch(&alter(schema, trigger, enable(trigger))))
}

/// The triggers that runs into this schema have switched off and not on again, whether the run goes on or not.
pub fn kept(session: &Session, schema: &str) -> Result<Vec<Trigger>> {
    let sql = "SELECT DISTINCT t.table_name, t.name, t.enabled FROM lite2pg.trigger t JOIN lite2pg.run r ON r.id = t.run \
               WHERE r.target_schema = $1 ORDER BY 1, 2";
    let rows = session.query(sql, &[&schema])?;
    Ok(rows
        .iter()
        .map(|row| Trigger { table: row.get(0), name: row.get(1), enabled: row.get(2), elsewhere: None })
        .collect())
}

/// Switches a trigger on again as it was, where it is still there, and forgets it.
pub fn put_back(tx: &Transaction<'_>, schema: &str, trigger: &Trigger) -> Result<()> {
    let there = "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass($1) AND tgname = $2)";
    if tx.query_one(there, &[&qualified(schema, &trigger.table), &trigger.name])?.get(0) {
        tx.batch(&alter(schema, trigger, enable(trigger))).map_err(|e| {
            e.context(format!("trigger `{}` of `{}` cannot be switched on again", trigger.name, trigger.table))
                .state("how it was is kept in lite2pg.trigger")
        })?;
    }
    let sql = "DELETE FROM lite2pg.trigger t USING lite2pg.run r \
               WHERE r.id = t.run AND r.target_schema = $1 AND t.table_name = $2 AND t.name = $3";
    tx.execute(sql, &[&schema, &trigger.table, &trigger.name])?;
    Ok(())
}

fn enable(trigger: &Trigger) -> &'static str {
    match trigger.enabled.as_str() {
        "A" => "ENABLE ALWAYS TRIGGER",
        "R" => "ENABLE REPLICA TRIGGER",
        _ => "ENABLE TRIGGER",
    }
}

// Of this table alone: partitions are named themselves.
fn alter(schema: &str, trigger: &Trigger, how: &str) -> String {
    format!("ALTER TABLE ONLY {} {how} {}", qualified(schema, &trigger.table), quoted(&trigger.name))
}
