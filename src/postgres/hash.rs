//! The server's own hash of a table, and the ones that are kept in the control schema.
//!
//! Owns the SQL. The hash is PostgreSQL's: 64 bits a row, internal to it, and another one in each major version. It tells
//! whether a table changed, and is no proof that it did not.

use super::read::{Chunk, where_chunk};
use super::session::{Session, Transaction};
use crate::error::{Error, Kind, Result};
use crate::model::name::{qualified, quoted};
use crate::model::pg_type::PgType;
use crate::model::plan::TablePlan;
use crate::model::verdict::TableHash;
use std::collections::HashMap;

/// The first version that hashes rows.
const VERSION_MIN: i32 = 140_000;

/// A hash that was kept, and what it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline {
    /// The hash.
    pub hash: TableHash,
    /// The content of the source that the table was equal to.
    pub fingerprint: String,
    /// When it was compared, in UTC.
    pub compared_at: String,
    /// The server that hashed.
    pub server: Server,
}

/// Who hashes. Two of another kind give other hashes of the same rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The major version.
    pub major: i32,
    /// What it makes of a row that is always the same.
    pub probe: String,
}

/// Asks the server who it is; an error where it is too old to hash rows.
pub fn server(session: &Session) -> Result<Server> {
    let version: i32 = session.query_one("SELECT current_setting('server_version_num')::int4", &[])?.get(0);
    if version < VERSION_MIN {
        return Err(Error::new(
            Kind::Usage,
            format!("the server is PostgreSQL {}, which cannot hash rows", version / 10_000),
        )
        .fact("`hash_record_extended` came with version 14")
        .hint("`--level rows` compares every cell"));
    }
    let probe = "SELECT hash_record_extended(ROW(true, 1::int8, 1.50::numeric, 'é'::text COLLATE \"C\", \
                 '\\x00ff'::bytea, '018f4e2a-9b7c-7def-8123-456789abcdef'::uuid, '2024-02-29'::date, \
                 '12:34:56.7'::time, '2024-02-29 12:34:56.7'::timestamp), 0)::text";
    Ok(Server { major: version / 10_000, probe: session.query_one(probe, &[])?.get(0) })
}

/// What is hashed of a table: its compared columns.
#[must_use]
pub fn columns(table: &TablePlan) -> String {
    table.compared().map(|c| cell(&quoted(&c.target), &c.pg_type)).collect::<Vec<_>>().join(", ")
}

// Types whose `=` is blind for what a comparison sees are hashed by their bytes: the sign of zero, letters that a
// collation or citext takes for the same, the digits of a number in jsonb, the label of an enum. `json` has no hash.
fn cell(name: &str, pg_type: &PgType) -> String {
    match pg_type {
        PgType::Float4 | PgType::Float8 => format!("float8send({name}::float8)"),
        PgType::Text
        | PgType::Varchar(_)
        | PgType::Char(_)
        | PgType::TextLike(_)
        | PgType::Json
        | PgType::Jsonb
        | PgType::Array(_)
        | PgType::Cast(_) => {
            format!("{name}::text COLLATE \"C\"")
        }
        PgType::Numeric(_) => format!("{name}::numeric"),
        // A domain has no hash of its own.
        PgType::Bool
        | PgType::Int2
        | PgType::Int4
        | PgType::Int8
        | PgType::Bytea
        | PgType::Uuid
        | PgType::Date
        | PgType::Time
        | PgType::Timestamp
        | PgType::TimestampTz => format!("{name}::{pg_type}"),
    }
}

/// Rows of a chunk and the sum of their hashes. Sums of parts add up.
pub fn of_chunk(tx: &Transaction<'_>, schema: &str, table: &str, columns: &str, chunk: Chunk) -> Result<(u64, i128)> {
    // A row's hash is the sum of its cells' hashes, each times a power of 31. Added up as it is, two rows that swap a
    // cell would leave no trace: it is hashed once more.
    let row = if columns.is_empty() {
        "0::int8".to_owned()
    } else {
        format!("hashtextextended(hash_record_extended(ROW({columns}), 0)::text COLLATE \"C\", 0)")
    };
    let from = qualified(schema, table);
    let sql = format!("SELECT count(*), coalesce(sum({row}), 0)::text FROM {from}{}", where_chunk(chunk));
    let found = tx.query_one(&sql, &[])?;
    let sum: String = found.get(1);
    let sum = sum.parse().map_err(|e| Error::new(Kind::Bug, "a sum of hashes is no number").cause(e))?;
    Ok((found.get::<_, i64>(0) as u64, sum))
}

/// The moment of this transaction, in UTC, as people read it.
pub fn now(tx: &Session) -> Result<String> {
    Ok(tx.query_one(&format!("SELECT {}", in_utc("now()")), &[])?.get(0))
}

fn in_utc(moment: &str) -> String {
    format!("to_char({moment} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || 'Z'")
}

/// Which relations have these names now: a transaction that goes on for long may not have heard of it.
pub fn identities(session: &Session, schema: &str, tables: &[String]) -> Result<Vec<Option<i64>>> {
    let names: Vec<String> = tables.iter().map(|table| qualified(schema, table)).collect();
    let sql = "SELECT to_regclass(n)::oid::int8 FROM unnest($1::text[]) WITH ORDINALITY AS t(n, place) ORDER BY place";
    Ok(session.query(sql, &[&names])?.iter().map(|row| row.get(0)).collect())
}

/// Makes room for hashes in the control schema, which must be there.
pub fn create(session: &Session) -> Result<()> {
    // IF NOT EXISTS asks for the right to create even where nothing is missing.
    if exists(session)? {
        return Ok(());
    }
    session.batch(include_str!("hash.sql"))
}

fn exists(session: &Session) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = 'lite2pg' AND c.relname = 'baseline')";
    Ok(session.query_one(sql, &[])?.get(0))
}

/// Keeps hashes, in the place of earlier ones of the same tables.
pub fn record(
    tx: &Transaction<'_>,
    schema: &str,
    (fingerprint, compared_at): (&str, &str),
    server: &Server,
    hashes: &[TableHash],
) -> Result<()> {
    for hash in hashes {
        tx.execute(
            "INSERT INTO lite2pg.baseline AS b (target_schema, table_name, columns, rows, hash, fingerprint, \
                 compared_at, server_major, server_probe, tool_version) \
             VALUES ($1, $2, $3, $4, $5::text::numeric, $6, $7::text::timestamptz, $8, $9, $10) \
             ON CONFLICT (target_schema, table_name) DO UPDATE SET columns = excluded.columns, rows = excluded.rows, \
                 hash = excluded.hash, fingerprint = excluded.fingerprint, compared_at = excluded.compared_at, \
                 server_major = excluded.server_major, server_probe = excluded.server_probe, \
                 tool_version = excluded.tool_version",
            &[
                &schema,
                &hash.table,
                &hash.columns,
                &(hash.rows as i64),
                &hash.hash,
                &fingerprint,
                &compared_at,
                &server.major,
                &server.probe,
                &env!("CARGO_PKG_VERSION"),
            ],
        )?;
    }
    Ok(())
}

/// The hashes that are kept of a schema's tables, by table.
pub fn baselines(session: &Session, schema: &str) -> Result<HashMap<String, Baseline>> {
    if !exists(session)? {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "SELECT table_name, columns, rows, hash::text, fingerprint, {}, server_major, server_probe \
         FROM lite2pg.baseline WHERE target_schema = $1",
        in_utc("compared_at")
    );
    let read = |row: &super::Row| {
        let table: String = row.get(0);
        let hash = TableHash {
            table: table.clone(),
            columns: row.get(1),
            rows: row.get::<_, i64>(2) as u64,
            hash: row.get(3),
        };
        let server = Server { major: row.get(6), probe: row.get(7) };
        (table, Baseline { hash, fingerprint: row.get(4), compared_at: row.get(5), server })
    };
    Ok(session.query(&sql, &[&schema])?.iter().map(read).collect())
}
