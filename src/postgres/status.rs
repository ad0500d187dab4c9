//! Questions about runs that others carry out: what the control schema and the catalogs know, with nothing written.

use super::control::lock_key;
use super::session::Session;
use crate::error::Result;
use std::collections::{HashMap, HashSet};

/// A run as it stands in the control schema.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// The target schema.
    pub schema: String,
    /// The source as it was given.
    pub source: String,
    /// The version that began it.
    pub tool_version: String,
    /// `copying`, `finishing`, `done` or `abandoned`.
    pub state: String,
    /// The plan as JSON.
    pub plan: String,
    /// When it began and ended, in UTC.
    pub started_at: String,
    /// The same for its end.
    pub ended_at: Option<String>,
    /// Milliseconds from its beginning to its end, or to now.
    pub ms: u64,
}

/// A phase that a run has entered.
#[derive(Debug, Clone)]
pub struct Entered {
    /// Its word.
    pub phase: String,
    /// When, in UTC.
    pub at: String,
    /// How many milliseconds ago.
    pub ago_ms: u64,
    /// What was noted with it.
    pub note: Option<String>,
}

/// What of a table's rows is on the target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moved {
    /// Rows of finished ranges.
    pub rows: u64,
    /// Bytes of their cells.
    pub bytes: u64,
    /// Rows of ranges that ended within the last minute.
    pub rows_lately: u64,
    /// Bytes of those.
    pub bytes_lately: u64,
}

/// The last runs, the latest one first: of each schema one, or all. Times are the server's.
pub fn runs(session: &Session, schema: Option<&str>, all: bool) -> Result<Vec<Kept>> {
    let sql = "SELECT id::text, target_schema, source, tool_version, state, plan::text, \
                 to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
                 to_char(ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
                 (extract(epoch FROM coalesce(ended_at, clock_timestamp()) - started_at) * 1000)::bigint \
               FROM lite2pg.run r WHERE ($1::text IS NULL OR target_schema = $1) AND ($2 OR state <> 'abandoned' AND NOT EXISTS ( \
                 SELECT FROM lite2pg.run later WHERE later.target_schema = r.target_schema AND later.id > r.id \
                   AND later.state <> 'abandoned')) \
               ORDER BY id DESC";
    let rows = session.query(sql, &[&schema, &all])?;
    Ok(rows
        .iter()
        .map(|row| Kept {
            id: row.get(0),
            schema: row.get(1),
            source: row.get(2),
            tool_version: row.get(3),
            state: row.get(4),
            plan: row.get(5),
            started_at: row.get(6),
            ended_at: row.get(7),
            ms: row.get::<_, i64>(8).max(0) as u64,
        })
        .collect())
}

/// Whether a process holds the lock of a schema.
pub fn is_locked(session: &Session, schema: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 1815244903 AND objsubid = 2 \
               AND objid::int8 = $1::int8 & 4294967295 AND granted \
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
    Ok(session.query_one(sql, &[&i64::from(lock_key(schema))])?.get(0))
}

/// The phases that a run has entered, in their order. None where the control schema is of a version that kept none.
pub fn phases(session: &Session, run: &str) -> Result<Vec<Entered>> {
    if !session.query_one("SELECT to_regclass('lite2pg.phase') IS NOT NULL", &[])?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let sql = "SELECT phase, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
                 (extract(epoch FROM clock_timestamp() - at) * 1000)::bigint, note \
               FROM lite2pg.phase WHERE run = $1::text::uuid ORDER BY at";
    let rows = session.query(sql, &[&run])?;
    Ok(rows
        .iter()
        .map(|row| Entered {
            phase: row.get(0),
            at: row.get(1),
            ago_ms: row.get::<_, i64>(2).max(0) as u64,
            note: row.get(3),
        })
        .collect())
}

/// What is on the target, by table.
pub fn moved(session: &Session, run: &str, lately_ms: u64) -> Result<HashMap<String, Moved>> {
    let sql = "SELECT table_name, sum(rows)::bigint, sum(bytes)::bigint, \
                 coalesce(sum(rows) FILTER (WHERE is_late), 0)::bigint, coalesce(sum(bytes) FILTER (WHERE is_late), 0)::bigint \
               FROM (SELECT *, committed_at > clock_timestamp() - $2 * interval '1 ms' AS is_late \
                     FROM lite2pg.range WHERE run = $1::text::uuid) r GROUP BY 1";
    let rows = session.query(sql, &[&run, &(lately_ms as f64)])?;
    let count = |row: &super::Row, i: usize| row.get::<_, i64>(i).max(0) as u64;
    let of = |row: &super::Row| Moved {
        rows: count(row, 1),
        bytes: count(row, 2),
        rows_lately: count(row, 3),
        bytes_lately: count(row, 4),
    };
    Ok(rows.iter().map(|row| (row.get(0), of(row))).collect())
}

/// Rows that were set aside, by table.
pub fn rejected(session: &Session, run: &str) -> Result<HashMap<String, u64>> {
    if !session.query_one("SELECT to_regclass('lite2pg.reject') IS NOT NULL", &[])?.get::<_, bool>(0) {
        return Ok(HashMap::new());
    }
    let sql = "SELECT table_name, count(*) FROM lite2pg.reject WHERE run = $1::text::uuid GROUP BY 1";
    let rows = session.query(sql, &[&run])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1) as u64)).collect())
}

/// Rows that COPY has taken so far and that are not committed, by table: of sessions of this role, from PostgreSQL 14 on.
pub fn under_way(session: &Session, schema: &str) -> Result<HashMap<String, u64>> {
    let there = "SELECT to_regclass('pg_catalog.pg_stat_progress_copy') IS NOT NULL";
    if !session.query_one(there, &[])?.get::<_, bool>(0) {
        return Ok(HashMap::new());
    }
    let sql = "SELECT c.relname::text, sum(p.tuples_processed)::bigint FROM pg_stat_progress_copy p \
               JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND p.command = 'COPY FROM' AND p.datname = current_database() GROUP BY 1";
    let rows = session.query(sql, &[&schema])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get::<_, Option<i64>>(1).unwrap_or(0).max(0) as u64)).collect())
}

/// Which of these indexes are there, whole.
pub fn indexes(session: &Session, schema: &str, names: &[String]) -> Result<HashSet<String>> {
    let sql = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               JOIN pg_index i ON i.indexrelid = c.oid WHERE n.nspname = $1 AND c.relname = ANY ($2) AND i.indisvalid";
    Ok(session.query(sql, &[&schema, &names])?.iter().map(|row| row.get(0)).collect())
}

/// Constraints that hold for all rows, each as its table and name.
pub fn valid_constraints(session: &Session, schema: &str) -> Result<HashSet<(String, String)>> {
    let sql = "SELECT c.relname::text, k.conname::text FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid \
               JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND k.convalidated";
    Ok(session.query(sql, &[&schema])?.iter().map(|row| (row.get(0), row.get(1))).collect())
}
