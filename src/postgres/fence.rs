//! A fence: writers of a schema's tables are refused until it is lifted.
//!
//! Triggers that raise, so that it outlives the session that put it up. They fire for every role and under every
//! `session_replication_role`. The fence of a command that was killed is told from one that was left on purpose by
//! its name.

use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::bounds::FENCE_SWEEP_PATIENCE;
use crate::model::name::qualified;
use std::time::Duration;

/// The triggers of a command that is at work, or was killed.
const RAISED: &str = "lite2pg_fence";

/// The triggers of a fence that was left on purpose.
const KEPT: &str = "lite2pg_fence_kept";

const FUNCTION: &str = "CREATE OR REPLACE FUNCTION lite2pg.fence() RETURNS trigger LANGUAGE plpgsql AS $$ \
    BEGIN \
        RAISE EXCEPTION 'lite2pg: %.% is fenced: its rows are on their way back into SQLite', \
            quote_ident(TG_TABLE_SCHEMA), quote_ident(TG_TABLE_NAME) \
            USING ERRCODE = 'object_not_in_prerequisite_state', \
                  HINT = 'lite2pg rollback --fence=lift SOURCE TARGET lifts the fence'; \
    END $$";

/// Whether the function of fences is there.
pub fn has_function(session: &Session) -> Result<bool> {
    Ok(session.query_one("SELECT to_regprocedure('lite2pg.fence()') IS NOT NULL", &[])?.get(0))
}

/// Drops the function of fences; an error where a fence is up somewhere.
pub fn drop_function(session: &Session) -> Result<()> {
    session.batch("DROP FUNCTION IF EXISTS lite2pg.fence()")
}

/// The tables of a schema that have a fence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fenced {
    /// Of a command that is at work, or was killed.
    pub raised: Vec<String>,
    /// Left on purpose.
    pub kept: Vec<String>,
}

impl Fenced {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raised.is_empty() && self.kept.is_empty()
    }
}

/// What is fenced in a schema.
pub fn look(session: &Session, schema: &str) -> Result<Fenced> {
    let mut fenced = Fenced::default();
    for Trigger { table, name, is_up } in triggers(session, schema)? {
        match (is_up, name == KEPT) {
            (false, _) => {}
            (true, true) => fenced.kept.push(table),
            (true, false) => fenced.raised.push(table),
        }
    }
    Ok(fenced)
}

/// Waits for writers of these tables to end, at most this long, and refuses all that come after.
pub fn raise(session: &mut Session, schema: &str, tables: &[String], patience: Duration) -> Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    let there = triggers(session, schema)?;
    let tx = session.transaction()?;
    tx.batch(&format!("SET LOCAL lock_timeout = {}; {FUNCTION}", patience.as_millis()))?;
    let all: Vec<String> = tables.iter().map(|t| qualified(schema, t)).collect();
    // The lock that a trigger needs, at once: a weaker one first would let two of us wait for each other. Readers
    // are not in its way.
    let locked = tx.batch(&format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", all.join(", ")));
    locked.map_err(|e| {
        let e = e.context("writers cannot be stopped").state("no fence is up; nothing was restored");
        e.hint("a transaction that wrote to these tables is still open: pg_stat_activity shows it")
    })?;
    for table in tables {
        put(&tx, schema, table, RAISED, &there)?;
    }
    tx.commit()
}

/// Leaves a fence up for good.
pub fn keep(session: &mut Session, schema: &str) -> Result<()> {
    let (fenced, there) = (look(session, schema)?, triggers(session, schema)?);
    let tx = session.transaction()?;
    for table in &fenced.raised {
        put(&tx, schema, table, KEPT, &there)?;
        tx.batch(&switched_off(schema, table, RAISED))?;
    }
    tx.commit()?;
    sweep(session, schema)
}

/// Lifts a fence: that of a command that is at work or was killed, and also one that was left on purpose where
/// `also_kept`. Gives the tables that writers may write to again.
pub fn lift(session: &mut Session, schema: &str, also_kept: bool) -> Result<Vec<String>> {
    let fenced = look(session, schema)?;
    let kept = if also_kept { &fenced.kept[..] } else { &[] };
    let all = || fenced.raised.iter().map(|t| (t, RAISED)).chain(kept.iter().map(|t| (t, KEPT)));
    let off: Vec<String> = all().map(|(table, name)| switched_off(schema, table, name)).collect();
    session.batch(&off.join("; ")).map_err(|e| {
        Error::new(Kind::Failed, "the fence cannot be lifted")
            .fact(format!("in schema `{schema}`"))
            .hint("lite2pg rollback --fence=lift SOURCE TARGET tries again")
            .cause(e)
    })?;
    sweep(session, schema)?;
    let mut lifted: Vec<String> = all().map(|(table, _)| table.clone()).collect();
    lifted.sort();
    lifted.dedup();
    Ok(lifted)
}

// A trigger of ours.
struct Trigger {
    table: String,
    name: String,
    is_up: bool,
}

fn triggers(session: &Session, schema: &str) -> Result<Vec<Trigger>> {
    let sql = "SELECT c.relname::text, t.tgname::text, t.tgenabled <> 'D' \
               FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND t.tgname = ANY ($2) AND NOT t.tgisinternal ORDER BY 1";
    let rows = session.query(sql, &[&schema, &vec![RAISED, KEPT]])?;
    Ok(rows.iter().map(|row| Trigger { table: row.get(0), name: row.get(1), is_up: row.get(2) }).collect())
}

fn put(session: &Session, schema: &str, table: &str, name: &str, there: &[Trigger]) -> Result<()> {
    let relation = qualified(schema, table);
    if !there.iter().any(|t| t.table == table && t.name == name) {
        session.batch(&format!(
            "CREATE TRIGGER {name} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {relation} \
             FOR EACH STATEMENT EXECUTE FUNCTION lite2pg.fence()"
        ))?;
    }
    session.batch(&format!("ALTER TABLE {relation} ENABLE ALWAYS TRIGGER {name}"))
}

// Unlike DROP TRIGGER, this does not wait for readers, nor make new ones wait.
fn switched_off(schema: &str, table: &str, name: &str) -> String {
    format!("ALTER TABLE {} DISABLE TRIGGER {name}", qualified(schema, table))
}

// Drops what is switched off. A table that somebody reads for long keeps a trigger that does nothing.
fn sweep(session: &mut Session, schema: &str) -> Result<()> {
    for Trigger { table, name, .. } in triggers(session, schema)?.into_iter().filter(|t| !t.is_up) {
        let tx = session.transaction()?;
        let drop = format!("DROP TRIGGER IF EXISTS {name} ON {}", qualified(schema, &table));
        match tx.batch(&format!("SET LOCAL lock_timeout = {}; {drop}", FENCE_SWEEP_PATIENCE.as_millis())) {
            // lock_not_available
            Err(e) if e.sqlstate() == Some("55P03") => {}
            dropped => dropped.and_then(|()| tx.commit())?,
        }
    }
    Ok(())
}
