//! The control schema `lite2pg` in the target: runs, their plans, and the checkpoints of their ranges.
//!
//! Owns that schema's SQL. Decides nothing: whether to resume is the run's business.

use super::session::{Session, Transaction};
use super::{aside, catalog, encode, indexes, triggers};
use crate::error::{Error, Kind, Result};
use crate::model::bounds::BATCH_BYTES;
use crate::model::event::LedgerLine;
use crate::model::name::qualified;
use crate::model::plan::Plan;
use crate::model::policy::{Place, Reject};
use crate::model::profile::TableProfile;
use crate::model::range::Range;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// The layout of a stored plan. A run of another format is not resumed.
pub const FORMAT: i32 = 2;

const DDL: &str = include_str!("control.sql");

/// The schema in which lite2pg keeps its own records.
pub const NAME: &str = "lite2pg";

const SCHEMA: &str = "CREATE SCHEMA lite2pg; COMMENT ON SCHEMA lite2pg IS \
    'Runs of lite2pg: plans, checkpoints, originals. May be dropped when no way back is wanted.'";

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Rows are moving.
    Copying,
    /// All rows are there; keys, indexes and the rest are being built.
    Finishing,
    /// Everything is done.
    Done,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Finishing => "finishing",
            Self::Done => "done",
        }
    }
}

/// What a run is, as the control schema keeps it.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// Its id, a version 7 uuid.
    pub id: Uuid,
    /// The source as it was given.
    pub source: String,
    /// The source's content.
    pub fingerprint: String,
    /// The target schema.
    pub schema: String,
    /// The options that shape the result, as canonical text.
    pub options: String,
    /// The plan.
    pub plan: Plan,
    /// The evidence behind the plan.
    pub profiles: Vec<TableProfile>,
    /// Where it stands.
    pub state: State,
    /// Whether this version of the program can go on with it.
    pub format: i32,
}

/// A range that is on the target.
#[derive(Debug, Clone)]
pub struct DoneRange {
    /// Its keys.
    pub range: Range,
    /// Its rows.
    pub rows: u64,
    /// Bytes of their cells.
    pub bytes: u64,
    /// Time the lane spent.
    pub ms: u64,
    /// What the rows must look like on the target, as the verifier stores it.
    pub digest: Option<Vec<u8>>,
}

/// A cell that the target's type could not hold.
#[derive(Debug, Clone)]
pub struct Original {
    /// The row's integer key.
    pub key: i64,
    /// The column on the target.
    pub column: String,
    /// Its storage class.
    pub class: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Creates the control schema where it is missing.
pub fn create(tx: &Transaction<'_>) -> Result<()> {
    // IF NOT EXISTS does not save two that create it at once from each other. The number is ours: see `try_lock`.
    tx.execute("SELECT pg_advisory_xact_lock(1815244904, 0)", &[])?;
    // It asks for the right to create even where nothing is missing, so it is not run there.
    if exists(tx)? {
        return upgrade(tx);
    }
    let there = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'lite2pg')";
    let schema = if tx.query_one(there, &[])?.get(0) { Ok(()) } else { tx.batch(SCHEMA) };
    schema.and_then(|()| tx.batch(DDL)).map_err(|e| {
        e.context("the control schema `lite2pg` cannot be created on the target")
            .state("nothing was written")
            .hint("the role needs CREATE on the database: GRANT CREATE ON DATABASE … TO …")
    })
}

// What earlier versions left behind gets what came later. Asked first: the statements need the schema's owner.
fn upgrade(tx: &Transaction<'_>) -> Result<()> {
    let sql = "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'lite2pg.range'::regclass \
               AND attname = 'digest' AND NOT attisdropped), \
               to_regclass('lite2pg.trigger') IS NOT NULL AND to_regclass('lite2pg.id_map') IS NOT NULL \
               AND to_regclass('lite2pg.phase') IS NOT NULL AND to_regclass('lite2pg.index') IS NOT NULL, \
               EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'lite2pg.object'::regclass AND conname = 'object_kind_check' \
                       AND pg_get_constraintdef(oid) LIKE '%routine%')";
    let row = tx.query_one(sql, &[])?;
    if !row.get::<_, bool>(0) {
        tx.batch("ALTER TABLE lite2pg.range ADD COLUMN digest bytea")?;
    }
    if !row.get::<_, bool>(2) {
        tx.batch(
            "ALTER TABLE lite2pg.object DROP CONSTRAINT IF EXISTS object_kind_check, ADD CONSTRAINT object_kind_check \
             CHECK (kind IN ('table', 'view', 'materialized view', 'sequence', 'routine', 'type'))",
        )?;
    }
    if row.get(1) { Ok(()) } else { tx.batch(DDL) }
}

/// Whether the control schema is there.
pub fn exists(session: &Session) -> Result<bool> {
    // The catalogs answer without a right on the schema itself.
    let sql = "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = 'lite2pg' AND c.relname = 'run')";
    Ok(session.query_one(sql, &[])?.get(0))
}

/// Takes the lock of a target schema for as long as the session lives; false if another lite2pg holds it.
pub fn try_lock(session: &Session, schema: &str) -> Result<bool> {
    // The first number is "l2pg" in ASCII, so that our locks meet nobody else's; the two after it are ours too.
    Ok(session.query_one("SELECT pg_try_advisory_lock(1815244903, $1)", &[&lock_key(schema)])?.get(0))
}

/// Takes that lock once nobody else has it.
pub fn wait_for_lock(session: &Session, schema: &str) -> Result<()> {
    session.query_one("SELECT pg_advisory_lock(1815244903, $1)", &[&lock_key(schema)])?;
    Ok(())
}

/// Gives that lock back.
pub fn unlock(session: &Session, schema: &str) -> Result<()> {
    session.query_one("SELECT pg_advisory_unlock(1815244903, $1)", &[&lock_key(schema)])?;
    Ok(())
}

/// Forgets all runs into a schema that is no more, and everything about them.
pub fn forget_schema(session: &Session, schema: &str) -> Result<()> {
    session.execute("DELETE FROM lite2pg.run WHERE target_schema = $1", &[&schema])?;
    Ok(())
}

/// The number of runs into a schema, those included that were set aside.
pub fn runs(session: &Session, schema: &str) -> Result<i64> {
    Ok(session.query_one("SELECT count(*) FROM lite2pg.run WHERE target_schema = $1", &[&schema])?.get(0))
}

/// Drops the control schema where it knows of no run.
pub fn drop_empty(session: &Session) -> Result<()> {
    if exists(session)? && !session.query_one("SELECT EXISTS (SELECT FROM lite2pg.run)", &[])?.get::<_, bool>(0) {
        session.batch("DROP SCHEMA lite2pg CASCADE")?;
    }
    Ok(())
}

pub(super) fn lock_key(schema: &str) -> i32 {
    let hash = blake3::hash(schema.as_bytes());
    i32::from_be_bytes([hash.as_bytes()[0], hash.as_bytes()[1], hash.as_bytes()[2], hash.as_bytes()[3]])
}

/// Marks a session as one that works for a run into this schema, until it ends or goes back to its pool.
pub fn mark_worker(session: &Session, schema: &str) -> Result<()> {
    session.query_one("SELECT pg_advisory_lock_shared(1815244905, $1)", &[&lock_key(schema)])?;
    Ok(())
}

/// Ends the work of an earlier start that was killed, and waits until it is over: the server notices a dead
/// client only between statements, and may still commit a range or build an index. Needs the schema's lock.
pub fn end_workers(session: &Session, schema: &str) -> Result<()> {
    let key = lock_key(schema);
    // Sessions of another role cannot be ended by us; they are only waited for.
    session.query(
        "SELECT pg_cancel_backend(l.pid) FROM pg_locks l \
         JOIN pg_stat_activity a ON a.pid = l.pid AND a.usename = current_user \
         WHERE l.locktype = 'advisory' AND l.classid = 1815244905 AND l.objid::int8 = $1::int8 & 4294967295 \
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.granted",
        &[&i64::from(key)],
    )?;
    session.query_one("SELECT pg_advisory_lock(1815244905, $1)", &[&key])?;
    session.query_one("SELECT pg_advisory_unlock(1815244905, $1)", &[&key])?;
    Ok(())
}

/// The latest run into a schema that was not abandoned.
pub fn latest(session: &Session, schema: &str) -> Result<Option<RunRecord>> {
    let sql = "SELECT id::text, source, fingerprint, options, plan::text, profiles::text, state, format \
               FROM lite2pg.run WHERE target_schema = $1 AND state <> 'abandoned' ORDER BY id DESC LIMIT 1";
    let Some(row) = session.query_opt(sql, &[&schema])? else { return Ok(None) };
    let format: i32 = row.get(7);
    let unreadable = |what: &str, cause: serde_json::Error| {
        Error::new(Kind::Blocked, format!("the {what} of an earlier run cannot be read"))
            .cause(cause)
            .fact(format!("it was written in format {format}; this version reads format {FORMAT}"))
            .hint("`--restart` drops what that run created and begins again")
    };
    let id: String = row.get(0);
    Ok(Some(RunRecord {
        id: id.parse().map_err(|e| Error::new(Kind::Bug, "a run's id is no uuid").cause(e))?,
        source: row.get(1),
        fingerprint: row.get(2),
        schema: schema.to_owned(),
        options: row.get(3),
        plan: serde_json::from_str(row.get(4)).map_err(|e| unreadable("plan", e))?,
        profiles: serde_json::from_str(row.get(5)).map_err(|e| unreadable("profile", e))?,
        state: match row.get(6) {
            "copying" => State::Copying,
            "finishing" => State::Finishing,
            _ => State::Done,
        },
        format,
    }))
}

/// The options of the latest run into a schema that was not abandoned.
pub fn latest_options(session: &Session, schema: &str) -> Result<Option<String>> {
    let sql =
        "SELECT options FROM lite2pg.run WHERE target_schema = $1 AND state <> 'abandoned' ORDER BY id DESC LIMIT 1";
    Ok(session.query_opt(sql, &[&schema])?.map(|row| row.get(0)))
}

/// Writes a new run.
pub fn insert(session: &Session, run: &RunRecord) -> Result<()> {
    let (plan, profiles) = (json(&run.plan), json(&run.profiles));
    session.execute(
        "INSERT INTO lite2pg.run (id, format, tool_version, source, fingerprint, target_schema, options, plan, profiles, state) \
         VALUES ($1::text::uuid, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9::text::jsonb, $10)",
        &[
            &run.id.to_string(),
            &run.format,
            &env!("CARGO_PKG_VERSION"),
            &run.source,
            &run.fingerprint,
            &run.schema,
            &run.options,
            &plan,
            &profiles,
            &run.state.word(),
        ],
    )?;
    Ok(())
}

/// Replaces the plan and its evidence, and forgets the ranges of the tables that are loaded again.
pub fn replan(
    tx: &Transaction<'_>,
    run: Uuid,
    plan: &Plan,
    profiles: &[TableProfile],
    tables: &[String],
) -> Result<()> {
    let id = run.to_string();
    tx.execute(
        "UPDATE lite2pg.run SET plan = $2::text::jsonb, profiles = $3::text::jsonb WHERE id = $1::text::uuid",
        &[&id, &json(plan), &json(&profiles)],
    )?;
    forget_rows(tx, run, tables)
}

/// Forgets the ranges of tables that are loaded again, in the transaction that empties them.
pub fn forget_rows(tx: &Transaction<'_>, run: Uuid, tables: &[String]) -> Result<()> {
    for sql in [
        "DELETE FROM lite2pg.range WHERE run = $1::text::uuid AND table_name = ANY ($2)",
        "DELETE FROM lite2pg.original WHERE run = $1::text::uuid AND table_name = ANY ($2)",
        "DELETE FROM lite2pg.reject WHERE run = $1::text::uuid AND table_name = ANY ($2)",
    ] {
        tx.execute(sql, &[&run.to_string(), &tables])?;
    }
    Ok(())
}

/// Replaces the plan and the options of a run, for a start that goes on with it under other policies.
pub fn change_plan(session: &Session, run: Uuid, plan: &Plan, options: &str) -> Result<()> {
    let sql = "UPDATE lite2pg.run SET plan = $2::text::jsonb, options = $3 WHERE id = $1::text::uuid";
    session.execute(sql, &[&run.to_string(), &json(plan), &options])?;
    Ok(())
}

/// Moves a run to its next state.
pub fn set_state(session: &Session, run: Uuid, state: State) -> Result<()> {
    session.execute(
        "UPDATE lite2pg.run SET state = $2, ended_at = CASE WHEN $2 = 'done' THEN now() END WHERE id = $1::text::uuid",
        &[&run.to_string(), &state.word()],
    )?;
    Ok(())
}

/// Writes down that a run enters a phase, with a note. Left out where the control schema is of a version that knows none:
/// only those who watch would miss it.
pub fn record_phase(session: &Session, run: Uuid, phase: &str, note: Option<&str>) -> Result<()> {
    if session.query_one("SELECT to_regclass('lite2pg.phase') IS NOT NULL", &[])?.get(0) {
        let sql = "INSERT INTO lite2pg.phase (run, phase, note) VALUES ($1::text::uuid, $2, $3)";
        session.execute(sql, &[&run.to_string(), &phase, &note])?;
    }
    Ok(())
}

/// Writes down that the run made a table or a view, in the transaction that made it.
pub fn record_object(tx: &Transaction<'_>, run: Uuid, kind: &str, schema: &str, name: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO lite2pg.object (run, kind, name, oid) \
         VALUES ($1::text::uuid, $2, $3, $4::text::regclass) ON CONFLICT DO NOTHING",
        &[&run.to_string(), &kind, &name, &qualified(schema, name)],
    )?;
    Ok(())
}

/// Forgets that the run made a table, in the transaction that drops it.
pub fn forget_object(tx: &Transaction<'_>, run: Uuid, name: &str) -> Result<()> {
    tx.execute("DELETE FROM lite2pg.object WHERE run = $1::text::uuid AND name = $2", &[&run.to_string(), &name])?;
    Ok(())
}

/// Writes down what a person's DDL made, in the transaction that made it.
pub fn record_objects(tx: &Transaction<'_>, run: Uuid, objects: &[catalog::Object]) -> Result<()> {
    for object in objects {
        let sql = "INSERT INTO lite2pg.object (run, kind, name, oid) VALUES ($1::text::uuid, $2, $3, $4) ON CONFLICT DO NOTHING";
        tx.execute(sql, &[&run.to_string(), &object.kind, &object.name, &object.oid])?;
    }
    Ok(())
}

// Kinds and names of what runs into this schema created and nobody dropped or replaced since.
fn objects(session: &Session, schema: &str) -> Result<Vec<(String, String)>> {
    let sql = "SELECT DISTINCT o.kind, o.name, o.oid FROM lite2pg.object o JOIN lite2pg.run r ON r.id = o.run \
               WHERE r.target_schema = $1 AND r.state <> 'abandoned' ORDER BY o.kind DESC, o.name";
    let there = catalog::objects(session, schema)?;
    let is_there =
        |kind: &str, name: &str, oid: u32| there.iter().any(|o| o.kind == kind && o.name == name && o.oid == oid);
    let rows = session.query(sql, &[&schema])?;
    let made = rows.iter().map(|row| (row.get::<_, String>(0), row.get::<_, String>(1), row.get::<_, u32>(2)));
    Ok(made.filter(|(kind, name, oid)| is_there(kind, name, *oid)).map(|(kind, name, _)| (kind, name)).collect())
}

/// Names of the tables that this run created.
pub fn tables_of(session: &Session, run: Uuid) -> Result<HashSet<String>> {
    let sql = "SELECT name FROM lite2pg.object WHERE run = $1::text::uuid AND kind = 'table'";
    Ok(session.query(sql, &[&run.to_string()])?.iter().map(|row| row.get(0)).collect())
}

/// Sets an unfinished run into this schema aside and drops nothing but its claim: for loads into tables that stay.
pub fn forget_unfinished(session: &mut Session, schema: &str) -> Result<()> {
    let tx = session.transaction()?;
    put_back(&tx, schema)?;
    let sql =
        "UPDATE lite2pg.run SET state = 'abandoned', ended_at = now() WHERE target_schema = $1 AND state <> 'done'";
    tx.execute(sql, &[&schema])?;
    tx.commit()
}

// What runs into this schema have set aside of tables that were there.
fn put_back(tx: &Transaction<'_>, schema: &str) -> Result<()> {
    for key in aside::kept(tx, schema)? {
        aside::put_back(tx, schema, &key)?;
        aside::forget(tx, schema, &key)?;
    }
    for index in indexes::kept(tx, schema)? {
        indexes::put_back(tx, schema, &index)?;
    }
    for trigger in triggers::kept(tx, schema)? {
        triggers::put_back(tx, schema, &trigger)?;
    }
    Ok(())
}

/// Drops what the runs into this schema created, and sets those runs aside.
pub fn abandon(session: &mut Session, schema: &str) -> Result<Vec<String>> {
    let objects = objects(session, schema)?;
    let tx = session.transaction()?;
    for kind in ["view", "materialized view", "table", "sequence", "routine", "type"] {
        let name = |name: &String| if kind == "routine" { name.clone() } else { qualified(schema, name) };
        let names: Vec<String> = objects.iter().filter(|(k, _)| k == kind).map(|(_, n)| name(n)).collect();
        if !names.is_empty() {
            // Without CASCADE: what somebody else built on top is theirs.
            tx.batch(&format!("DROP {kind} IF EXISTS {}", names.join(", "))).map_err(|e| {
                e.context("what the earlier run created cannot be dropped")
                    .state("nothing was dropped")
                    .hint("drop the objects that depend on it first, then run the same command again")
            })?;
        }
    }
    put_back(&tx, schema)?;
    tx.execute("UPDATE lite2pg.run SET state = 'abandoned', ended_at = now() WHERE target_schema = $1", &[&schema])?;
    tx.commit()?;
    Ok(objects.into_iter().map(|(_, name)| name).collect())
}

/// Writes the checkpoint of a range, in the transaction of its rows.
pub fn record_range(
    tx: &Transaction<'_>,
    run: Uuid,
    table: &str,
    done: &DoneRange,
    ledger: &[LedgerLine],
) -> Result<()> {
    tx.execute(
        "INSERT INTO lite2pg.range (run, table_name, lo, hi, rows, bytes, ms, ledger, digest) \
         VALUES ($1::text::uuid, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9)",
        &[
            &run.to_string(),
            &table,
            &done.range.lo,
            &done.range.hi,
            &(done.rows as i64),
            &(done.bytes as i64),
            &(done.ms as i64),
            &json(&ledger),
            &done.digest,
        ],
    )?;
    Ok(())
}

/// Forgets the originals of these rows, which are written anew.
pub fn forget_originals(tx: &Transaction<'_>, run: Uuid, table: &str, keys: &[i64]) -> Result<()> {
    let sql = "DELETE FROM lite2pg.original WHERE run = $1::text::uuid AND table_name = $2 AND key = ANY ($3)";
    tx.execute(sql, &[&run.to_string(), &table, &keys])?;
    Ok(())
}

/// Writes originals, in the transaction of their rows. Large ones are handed on, not copied.
pub fn record_originals(tx: &Transaction<'_>, run: Uuid, table: &str, originals: Vec<Original>) -> Result<()> {
    let mut copy = tx.copy_in(
        "COPY lite2pg.original (run, table_name, key, column_name, class, bytes) FROM STDIN (FORMAT binary)",
    )?;
    let mut batch = Vec::new();
    encode::header(&mut batch);
    for original in originals {
        encode::row(6, &mut batch);
        encode::uuid(*run.as_bytes(), &mut batch);
        encode::text(table.as_bytes(), &mut batch);
        encode::int8(original.key, &mut batch);
        encode::text(original.column.as_bytes(), &mut batch);
        encode::text(original.class.as_bytes(), &mut batch);
        encode::length(original.bytes.len(), &mut batch);
        if original.bytes.len() < BATCH_BYTES {
            batch.extend_from_slice(&original.bytes);
        } else {
            copy.send(std::mem::take(&mut batch).into())?;
            copy.send(original.bytes.into())?;
        }
        if batch.len() >= BATCH_BYTES {
            copy.send(std::mem::take(&mut batch).into())?;
        }
    }
    encode::trailer(&mut batch);
    copy.send(batch.into())?;
    copy.finish()?;
    Ok(())
}

/// Writes down rows that were set aside, in the transaction of those of their range that were not.
pub fn record_rejects(tx: &Transaction<'_>, run: Uuid, table: &str, rejects: &[Reject]) -> Result<()> {
    // A few thousand at a time: a statement's text and arrays stay small.
    for part in rejects.chunks(4096) {
        let keys: Vec<i64> = part.iter().map(|r| r.place.key).collect();
        let nths: Vec<i64> = part.iter().map(|r| r.place.nth).collect();
        let columns: Vec<Option<&str>> = part.iter().map(|r| r.column.as_deref()).collect();
        let reasons: Vec<&str> = part.iter().map(|r| r.reason.as_str()).collect();
        let codes: Vec<Option<&str>> = part.iter().map(|r| r.sqlstate.as_deref()).collect();
        tx.execute(
            "INSERT INTO lite2pg.reject (run, table_name, key, nth, column_name, reason, sqlstate) \
             SELECT $1::text::uuid, $2, r.* FROM unnest($3::int8[], $4::int8[], $5::text[], $6::text[], $7::text[]) r",
            &[&run.to_string(), &table, &keys, &nths, &columns, &reasons, &codes],
        )?;
    }
    Ok(())
}

/// Forgets the rows of a table that were set aside, in the transaction that says anew which they are.
pub fn forget_rejects(tx: &Transaction<'_>, run: Uuid, table: &str) -> Result<()> {
    let sql = "DELETE FROM lite2pg.reject WHERE run = $1::text::uuid AND table_name = $2";
    tx.execute(sql, &[&run.to_string(), &table])?;
    Ok(())
}

/// Adds rows that came later to a range of their table: its number of rows and bytes, its ledger and its digest, which
/// `merged` makes of the one that is there. A table has at least one range once its run is done.
pub fn add_to_range(
    tx: &Transaction<'_>,
    run: Uuid,
    table: &str,
    (rows, bytes): (u64, u64),
    ledger: &[LedgerLine],
    merged: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<()> {
    let sql = "SELECT ctid::text, digest FROM lite2pg.range WHERE run = $1::text::uuid AND table_name = $2 \
               ORDER BY lo NULLS FIRST LIMIT 1 FOR UPDATE";
    let row = tx.query_one(sql, &[&run.to_string(), &table])?;
    let digest = row.get::<_, Option<Vec<u8>>>(1).and_then(|stored| merged(&stored));
    tx.execute(
        "UPDATE lite2pg.range SET rows = rows + $2, bytes = bytes + $3, digest = $4, ledger = ledger || $5::text::jsonb \
         WHERE ctid = $1::text::tid",
        &[&row.get::<_, String>(0), &(rows as i64), &(bytes as i64), &digest, &json(&ledger)],
    )?;
    Ok(())
}

/// The rows of a run that were set aside, by table and in the tables' own order. Where the control schema is of a
/// version that set no row aside, there are none.
pub fn rejects(session: &Session, run: Uuid) -> Result<HashMap<String, Vec<Reject>>> {
    let mut all: HashMap<String, Vec<Reject>> = HashMap::new();
    if !session.query_one("SELECT to_regclass('lite2pg.reject') IS NOT NULL", &[])?.get::<_, bool>(0) {
        return Ok(all);
    }
    let sql = "SELECT table_name, key, nth, column_name, reason, sqlstate FROM lite2pg.reject \
               WHERE run = $1::text::uuid ORDER BY table_name, key, nth";
    for row in session.query(sql, &[&run.to_string()])? {
        let place = Place { key: row.get(1), nth: row.get(2) };
        let reject = Reject { place, column: row.get(3), reason: row.get(4), sqlstate: row.get(5) };
        all.entry(row.get(0)).or_default().push(reject);
    }
    Ok(all)
}

/// The ranges of a run that are on the target, by table.
pub fn ranges(session: &Session, run: Uuid) -> Result<HashMap<String, Vec<DoneRange>>> {
    let sql = "SELECT table_name, lo, hi, rows, bytes, ms, digest FROM lite2pg.range WHERE run = $1::text::uuid";
    let mut all: HashMap<String, Vec<DoneRange>> = HashMap::new();
    for row in session.query(sql, &[&run.to_string()])? {
        let count = |i: usize| row.get::<_, i64>(i) as u64;
        let done = DoneRange {
            range: Range { lo: row.get(1), hi: row.get(2) },
            rows: count(3),
            bytes: count(4),
            ms: count(5),
            digest: row.get(6),
        };
        all.entry(row.get(0)).or_default().push(done);
    }
    Ok(all)
}

/// The ledger of a run, added up over its ranges.
pub fn ledger(session: &Session, run: Uuid) -> Result<Vec<LedgerLine>> {
    // The keys are few and unnested apart, so that they do not multiply the cells.
    let sql = "WITH line AS ( \
                 SELECT r.table_name, l.* FROM lite2pg.range r, \
                        jsonb_to_recordset(r.ledger) AS l(\"column\" text, rule text, cells bigint, keys jsonb) \
                 WHERE r.run = $1::text::uuid), \
               sample AS ( \
                 SELECT table_name, \"column\", rule, (array_agg(key::bigint ORDER BY key::bigint))[1:3] AS keys \
                 FROM line, jsonb_array_elements_text(keys) AS key GROUP BY 1, 2, 3) \
               SELECT table_name, \"column\", rule, sum(cells)::bigint, sample.keys \
               FROM line LEFT JOIN sample USING (table_name, \"column\", rule) \
               GROUP BY 1, 2, 3, 5 ORDER BY 1, 2, 3";
    let rows = session.query(sql, &[&run.to_string()])?;
    Ok(rows
        .iter()
        .map(|row| LedgerLine {
            table: row.get(0),
            column: row.get(1),
            rule: row.get(2),
            cells: row.get::<_, i64>(3) as u64,
            keys: row.get::<_, Option<Vec<i64>>>(4).unwrap_or_default(),
        })
        .collect())
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("plans, profiles and ledgers have string keys only")
}
