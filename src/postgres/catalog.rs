//! What the target already holds: relations, the columns of existing tables, keys, sequences, rows.

use super::ddl;
use super::session::Session;
use crate::error::Result;
use crate::model::name::{qualified, quoted};
use crate::model::pg_type::{CastHabit, CastType, Element, PgType};
use std::collections::{HashMap, HashSet};

/// A table that was there before.
#[derive(Debug, Clone)]
pub struct ExistingTable {
    /// Its name.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<ExistingColumn>,
    /// The columns of its primary key, in key order.
    pub primary_key: Vec<String>,
    /// Tables of the same schema that its foreign keys point at, itself included where one does.
    pub parents: Vec<String>,
    /// Whether it holds a row.
    pub has_rows: bool,
}

/// A column of a table that was there before.
#[derive(Debug, Clone)]
pub struct ExistingColumn {
    /// Its name.
    pub name: String,
    /// Its type; below a domain, where that is one which lite2pg writes itself.
    pub pg_type: PgType,
    /// Its type as PostgreSQL prints it.
    pub type_text: String,
    /// Decimals of a second that it keeps, where it is a time.
    pub fraction: u8,
    /// The labels of its enum, in their order.
    pub labels: Option<Vec<String>>,
    /// NOT NULL
    pub not_null: bool,
    /// A value is there when none is given: a default, an identity.
    pub has_default: bool,
    /// Computed by the server.
    pub generated: bool,
}

/// What the role may do about a target schema.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "nine answers of the server, each on its own")]
pub struct Rights {
    /// The role.
    pub user: String,
    /// The database.
    pub dbname: String,
    /// Schemas may be created in the database.
    pub database: bool,
    /// The target schema is there.
    pub schema_exists: bool,
    /// Objects may be created in the target schema.
    pub schema: bool,
    /// The schema `lite2pg` is there, whatever is in it.
    pub control_schema_exists: bool,
    /// Objects may be created in it.
    pub control_schema: bool,
    /// The control schema's tables are there.
    pub control_exists: bool,
    /// Runs may be written to the control schema.
    pub control: bool,
    /// Runs may be read from it.
    pub control_readable: bool,
    /// Temporary tables may be created.
    pub temporary: bool,
}

/// Asks what the role may do.
pub fn rights(session: &Session, schema: &str) -> Result<Rights> {
    let sql = "SELECT current_user::text, current_database()::text, \
                      has_database_privilege(current_database(), 'CREATE'), s.oid IS NOT NULL, \
                      coalesce(has_schema_privilege(s.oid, 'CREATE'), false), \
                      c.oid IS NOT NULL, coalesce(has_schema_privilege(c.oid, 'CREATE'), false), r.oid IS NOT NULL, \
                      coalesce(has_schema_privilege(c.oid, 'USAGE') AND has_table_privilege(r.oid, 'INSERT'), false), \
                      coalesce(has_schema_privilege(c.oid, 'USAGE') AND has_table_privilege(r.oid, 'SELECT'), false), \
                      has_database_privilege(current_database(), 'TEMPORARY') \
               FROM (VALUES (1)) one LEFT JOIN pg_namespace s ON s.nspname = $1 \
               LEFT JOIN pg_namespace c ON c.nspname = 'lite2pg' \
               LEFT JOIN pg_class r ON r.relnamespace = c.oid AND r.relname = 'run'";
    let row = session.query_one(sql, &[&schema])?;
    Ok(Rights {
        user: row.get(0),
        dbname: row.get(1),
        database: row.get(2),
        schema_exists: row.get(3),
        schema: row.get(4),
        control_schema_exists: row.get(5),
        control_schema: row.get(6),
        control_exists: row.get(7),
        control: row.get(8),
        control_readable: row.get(9),
        temporary: row.get(10),
    })
}

/// What the role may do with a table that is there.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "eight answers of the server, each on its own")]
pub struct TableRights {
    /// The table.
    pub name: String,
    /// Its schema may be used, so that the other answers matter.
    pub usage: bool,
    /// Some columns may be read.
    pub select: bool,
    /// Some columns may be filled.
    pub insert: bool,
    /// Some columns may be changed.
    pub update: bool,
    /// Rows may be deleted.
    pub delete: bool,
    /// The table may be emptied.
    pub truncate: bool,
    /// Row security decides which rows the role sees and writes.
    pub is_filtered: bool,
    /// It does so for the owner too, and the role is one.
    pub is_forced: bool,
    /// Sequences of its columns that may not be read.
    pub hidden_sequences: Vec<String>,
    /// Sequences of its columns that may not be set.
    pub fixed_sequences: Vec<String>,
}

/// Asks what the role may do with the tables of a schema among `names`.
pub fn table_rights(session: &Session, schema: &str, names: &[String]) -> Result<Vec<TableRights>> {
    // The privilege of what is no sequence is an error, and only CASE keeps an order.
    let without = |right: &str| {
        format!(
            "ARRAY(SELECT DISTINCT s.relname::text FROM pg_depend d JOIN pg_class s \
                     ON d.classid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype IN ('a', 'i') AND s.oid = d.objid \
                     OR d.classid = 'pg_attrdef'::regclass AND s.oid = d.refobjid \
                        AND EXISTS (SELECT FROM pg_attrdef f WHERE f.oid = d.objid AND f.adrelid = c.oid) \
                   WHERE d.refclassid = 'pg_class'::regclass \
                     AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, '{right}') END ORDER BY 1)"
        )
    };
    let (hidden, fixed) = (without("SELECT"), without("UPDATE"));
    let sql = format!(
        "SELECT c.relname::text, has_schema_privilege(n.oid, 'USAGE'), \
                      has_any_column_privilege(c.oid, 'SELECT'), has_any_column_privilege(c.oid, 'INSERT'), \
                      has_any_column_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'DELETE'), \
                      has_table_privilege(c.oid, 'TRUNCATE'), row_security_active(c.oid), \
                      c.relforcerowsecurity AND pg_has_role(c.relowner, 'USAGE'), {hidden}, {fixed} \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind IN ('r', 'p') ORDER BY c.relname"
    );
    let rows = session.query(&sql, &[&schema, &names])?;
    Ok(rows
        .iter()
        .map(|row| TableRights {
            name: row.get(0),
            usage: row.get(1),
            select: row.get(2),
            insert: row.get(3),
            update: row.get(4),
            delete: row.get(5),
            truncate: row.get(6),
            is_filtered: row.get(7),
            is_forced: row.get(8),
            hidden_sequences: row.get(9),
            fixed_sequences: row.get(10),
        })
        .collect())
}

/// A column on which the role lacks a right.
#[derive(Debug, Clone)]
pub struct ColumnLack {
    /// Its table.
    pub table: String,
    /// Its name.
    pub column: String,
    /// It may not be read.
    pub select: bool,
    /// It may not be filled.
    pub insert: bool,
    /// It may not be changed.
    pub update: bool,
}

/// The columns of these tables on which the role lacks a right.
pub fn column_lacks(session: &Session, schema: &str, names: &[String]) -> Result<Vec<ColumnLack>> {
    let sql = "SELECT * FROM (SELECT c.relname::text, a.attname::text, \
                 NOT has_column_privilege(c.oid, a.attnum, 'SELECT') AS s, NOT has_column_privilege(c.oid, a.attnum, 'INSERT') AS i, \
                 NOT has_column_privilege(c.oid, a.attnum, 'UPDATE') AS u, a.attnum \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid \
               WHERE n.nspname = $1 AND c.relname = ANY ($2) AND a.attnum > 0 AND NOT a.attisdropped) x \
               WHERE s OR i OR u ORDER BY relname, attnum";
    let rows = session.query(sql, &[&schema, &names])?;
    let lack = |row: &tokio_postgres::Row| ColumnLack {
        table: row.get(0),
        column: row.get(1),
        select: row.get(2),
        insert: row.get(3),
        update: row.get(4),
    };
    Ok(rows.iter().map(lack).collect())
}

/// A relation of a schema that has a name which rows might go to, and is no table.
#[derive(Debug, Clone)]
pub struct NoTable {
    /// Its name.
    pub name: String,
    /// What it is, with its article.
    pub kind: String,
}

/// Those relations of a schema among `names` that people query like tables and that nothing is loaded into.
pub fn no_tables(session: &Session, schema: &str, names: &[String]) -> Result<Vec<NoTable>> {
    let sql = "SELECT relname::text, CASE relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' ELSE 'a foreign table' END \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE nspname = $1 AND relname = ANY ($2) AND relkind IN ('v', 'm', 'f') ORDER BY 1";
    let rows = session.query(sql, &[&schema, &names])?;
    Ok(rows.iter().map(|row| NoTable { name: row.get(0), kind: row.get(1) }).collect())
}

/// Creates a schema where it is missing.
pub fn create_schema(session: &Session, schema: &str) -> Result<()> {
    let sql = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
    // IF NOT EXISTS asks for the right to create even where nothing is missing.
    if session.query_one(sql, &[&schema])?.get(0) {
        return Ok(());
    }
    session.batch(&ddl::create_schema(schema))
}

/// Names of all relations of a schema: tables, views, indexes, sequences, composite types.
pub fn relations(session: &Session, schema: &str) -> Result<Vec<String>> {
    let sql = "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = $1";
    Ok(session.query(sql, &[&schema])?.iter().map(|row| row.get(0)).collect())
}

/// An object of a schema that somebody made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Object {
    /// The word that `DROP` knows it by, in lower case.
    pub kind: String,
    /// Its name; of a routine, its quoted name with its arguments.
    pub name: String,
    /// Its `oid`.
    pub oid: u32,
}

/// What is in a schema, without what depends on it and what extensions made.
pub fn objects(session: &Session, schema: &str) -> Result<Vec<Object>> {
    let sql = "SELECT kind, name, o.oid FROM ( \
                 SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' \
                                       ELSE 'table' END AS kind, c.relname::text AS name, c.oid, c.relnamespace AS at, \
                        'pg_class'::regclass AS class \
                 FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm') OR c.relkind = 'S' AND NOT EXISTS \
                   (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')) \
                 UNION ALL SELECT 'type', t.typname::text, t.oid, t.typnamespace, 'pg_type'::regclass FROM pg_type t \
                   LEFT JOIN pg_class c ON c.oid = t.typrelid WHERE t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c' \
                 UNION ALL SELECT 'routine', format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), \
                   p.oid, p.pronamespace, 'pg_proc'::regclass FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace \
               ) o JOIN pg_namespace n ON n.oid = o.at WHERE n.nspname = $1 AND NOT EXISTS \
                 (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e')";
    let rows = session.query(sql, &[&schema])?;
    Ok(rows.iter().map(|row| Object { kind: row.get(0), name: row.get(1), oid: row.get(2) }).collect())
}

/// The columns of the tables of a schema among `names`. The tables themselves are not touched, so that a lock on one
/// is not waited for.
pub fn columns_of(session: &Session, schema: &str, names: &[String]) -> Result<HashMap<String, Vec<ExistingColumn>>> {
    oids(session, schema, names)?.into_iter().map(|(oid, name)| Ok((name, columns(session, oid)?))).collect()
}

/// The ordinary and partitioned tables of a schema among `names`, by name.
pub fn table_names(session: &Session, schema: &str, names: &[String]) -> Result<Vec<String>> {
    Ok(oids(session, schema, names)?.into_iter().map(|(_, name)| name).collect())
}

fn oids(session: &Session, schema: &str, names: &[String]) -> Result<Vec<(i64, String)>> {
    let sql = "SELECT c.oid::int8, relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE nspname = $1 AND relname = ANY ($2) AND relkind IN ('r', 'p') ORDER BY relname";
    Ok(session.query(sql, &[&schema, &names])?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The ordinary and partitioned tables of a schema among `names`.
pub fn tables(session: &Session, schema: &str, names: &[String]) -> Result<Vec<ExistingTable>> {
    let mut tables = Vec::new();
    for (oid, name) in oids(session, schema, names)? {
        tables.push(ExistingTable {
            columns: columns(session, oid)?,
            primary_key: primary_key(session, oid)?,
            parents: parents(session, oid)?,
            has_rows: session
                .query_one(&format!("SELECT EXISTS (SELECT FROM {})", qualified(schema, &name)), &[])?
                .get(0),
            name,
        });
    }
    Ok(tables)
}

fn columns(session: &Session, table: i64) -> Result<Vec<ExistingColumn>> {
    // A domain, also one over another, is loaded as its base type: binary COPY sends the base type's bytes, the server
    // checks.
    let sql = format!(
        "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
                a.atthasdef OR a.attidentity <> '', a.attgenerated <> '', \
                b.typname::text, base.modifier, b.typtype::text, n.nspname::text, \
                (SELECT array_agg(enumlabel::text ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = b.oid), \
                {}, {}, b.typcategory = 'A' \
         FROM pg_attribute a CROSS JOIN LATERAL \
              (WITH RECURSIVE down AS (SELECT a.atttypid AS type, a.atttypmod AS modifier, 0 AS depth \
                  UNION ALL SELECT t.typbasetype, t.typtypmod, depth + 1 \
                  FROM down JOIN pg_type t ON t.oid = down.type AND t.typtype = 'd') \
               SELECT type, modifier FROM down ORDER BY depth DESC LIMIT 1) base \
         JOIN pg_type b ON b.oid = base.type JOIN pg_namespace n ON n.oid = b.typnamespace \
         WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        spelled("a.atttypid", "a.atttypmod"),
        spelled("base.type", "-1")
    );
    let rows = session.query(&sql, &[&table])?;
    Ok(rows
        .iter()
        .map(|row| {
            let (name, modifier, kind): (String, i32, String) = (row.get(5), row.get(6), row.get(7));
            let type_text: String = row.get(1);
            let in_catalog = row.get::<_, String>(8) == "pg_catalog";
            let known = pg_type(&name, modifier, &kind, in_catalog, &type_text);
            let cast = || {
                PgType::Cast(CastType {
                    name: row.get(10),
                    bare: row.get(11),
                    habit: habit(&name, in_catalog, row.get(12)),
                    is_limited: modifier >= 0,
                })
            };
            ExistingColumn {
                name: row.get(0),
                pg_type: known.unwrap_or_else(cast),
                type_text,
                fraction: u8::try_from(modifier).unwrap_or(6).min(6),
                labels: row.get(9),
                not_null: row.get(2),
                has_default: row.get(3),
                generated: row.get(4),
            }
        })
        .collect())
}

// A type's spelling, which means the same whatever the search path is.
fn spelled(oid: &str, modifier: &str) -> String {
    format!(
        "(SELECT CASE WHEN sn.nspname = 'pg_catalog' THEN format_type({oid}, {modifier}) \
            ELSE format('%I.%I', sn.nspname, coalesce(se.typname, st.typname)) \
                 || coalesce(substring(format_type({oid}, {modifier}) FROM '\\([^()]*\\)'), '') \
                 || CASE WHEN se.oid IS NULL THEN '' ELSE '[]' END END \
          FROM pg_type st JOIN pg_namespace sn ON sn.oid = st.typnamespace \
          LEFT JOIN pg_type se ON st.typcategory = 'A' AND se.oid = st.typelem WHERE st.oid = {oid})"
    )
}

fn habit(name: &str, in_catalog: bool, is_array: bool) -> CastHabit {
    match name {
        "_json" | "_jsonb" if in_catalog => CastHabit::Documents,
        _ if is_array => CastHabit::List,
        "interval" if in_catalog => CastHabit::Interval,
        "name" | "char" | "xid" | "xid8" | "cid" if in_catalog => CastHabit::Cuts,
        "money" if in_catalog => CastHabit::Rounds,
        _ => CastHabit::Plain,
    }
}

fn pg_type(name: &str, modifier: i32, kind: &str, in_catalog: bool, shown: &str) -> Option<PgType> {
    if kind == "e" || (name == "citext" && !in_catalog) {
        return Some(PgType::TextLike(shown.to_owned()));
    }
    if !in_catalog {
        return None;
    }
    // Modifiers carry the length word of their varlena header (typmod, src/include/catalog/pg_attribute.h).
    let inner = u32::try_from(modifier - 4).ok();
    Some(match name {
        "bool" => PgType::Bool,
        "int2" => PgType::Int2,
        "int4" => PgType::Int4,
        "int8" => PgType::Int8,
        "float4" => PgType::Float4,
        "float8" => PgType::Float8,
        // Scale is 11 bits since PostgreSQL 15; a negative one cannot be checked digit by digit here.
        "numeric" => match inner {
            Some(m) if m & 0x400 != 0 => return None,
            limit => PgType::Numeric(limit.map(|m| ((m >> 16) as u16, (m & 0x3ff) as u16))),
        },
        "text" => PgType::Text,
        "varchar" => inner.map_or(PgType::Text, PgType::Varchar),
        "bpchar" => inner.map_or(PgType::Text, PgType::Char),
        "bytea" => PgType::Bytea,
        "uuid" => PgType::Uuid,
        "_bool" => PgType::Array(Element::Bool),
        "_int4" => PgType::Array(Element::Int4),
        "_int8" => PgType::Array(Element::Int8),
        "_text" => PgType::Array(Element::Text),
        "_uuid" => PgType::Array(Element::Uuid),
        "json" => PgType::Json,
        "jsonb" => PgType::Jsonb,
        "date" => PgType::Date,
        // A precision would round silently in binary COPY: the plan makes it part of a moment's rule.
        "time" if modifier < 0 || modifier == 6 => PgType::Time,
        "timestamp" => PgType::Timestamp,
        "timestamptz" => PgType::TimestampTz,
        _ => return None,
    })
}

fn primary_key(session: &Session, table: i64) -> Result<Vec<String>> {
    let sql = "SELECT a.attname::text FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, place), pg_attribute a \
               WHERE i.indrelid = $1::int8::oid AND i.indisprimary AND a.attrelid = i.indrelid AND a.attnum = k.attnum \
               ORDER BY k.place";
    Ok(session.query(sql, &[&table])?.iter().map(|row| row.get(0)).collect())
}

fn parents(session: &Session, table: i64) -> Result<Vec<String>> {
    // A partition may have keys of its own.
    let sql = "SELECT DISTINCT p.relname::text FROM pg_constraint c JOIN pg_class p ON p.oid = c.confrelid \
               WHERE c.contype = 'f' AND (c.conrelid = $1::int8::oid OR c.conrelid IN \
                 (SELECT relid FROM pg_partition_tree($1::int8::oid)))";
    Ok(session.query(sql, &[&table])?.iter().map(|row| row.get(0)).collect())
}

/// Which tables refer to which tables of a schema by foreign keys: child and parent.
pub fn references(session: &Session, schema: &str) -> Result<Vec<(String, String)>> {
    let sql = "SELECT DISTINCT r.relname::text, p.relname::text FROM pg_constraint c \
               JOIN pg_class r ON r.oid = c.conrelid JOIN pg_class p ON p.oid = c.confrelid \
               JOIN pg_namespace n ON n.oid = p.relnamespace WHERE n.nspname = $1 AND c.contype = 'f'";
    Ok(session.query(sql, &[&schema])?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Whether the role sees all rows of the tables that foreign keys of these tables point at: it can then tell which rows have
/// no parent.
pub fn sees_parents(session: &Session, schema: &str, names: &[String]) -> Result<bool> {
    let sql = "SELECT count(*) = 0 FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid \
               JOIN pg_namespace n ON n.oid = r.relnamespace JOIN pg_class p ON p.oid = c.confrelid \
               WHERE c.contype = 'f' AND n.nspname = $1 AND r.relname = ANY ($2) \
                 AND NOT (has_schema_privilege(p.relnamespace, 'USAGE') AND has_table_privilege(p.oid, 'SELECT') \
                          AND NOT row_security_active(p.oid))";
    Ok(session.query_one(sql, &[&schema, &names])?.get(0))
}

/// Whether the role may make each foreign key of these tables one that holds for new rows only: it owns them, none is
/// partitioned (before PostgreSQL 18), and it may refer to their parents.
pub fn may_invalidate(session: &Session, schema: &str, names: &[String]) -> Result<bool> {
    let sql = "SELECT count(*) = 0 FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid \
               JOIN pg_namespace n ON n.oid = r.relnamespace \
               WHERE c.contype = 'f' AND n.nspname = $1 AND r.relname = ANY ($2) \
                 AND NOT (pg_has_role(r.relowner, 'USAGE') AND has_table_privilege(c.confrelid, 'REFERENCES') \
                          AND (r.relkind = 'r' OR current_setting('server_version_num')::int4 >= 180000))";
    Ok(session.query_one(sql, &[&schema, &names])?.get(0))
}

/// Those of these tables of which a policy may hide rows from this role.
pub fn with_hidden_rows(session: &Session, schema: &str, names: &[String]) -> Result<HashSet<String>> {
    let sql = "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE nspname = $1 AND relname = ANY ($2) AND row_security_active(c.oid)";
    Ok(session.query(sql, &[&schema, &names])?.iter().map(|row| row.get(0)).collect())
}

/// Those of these tables that have rules on INSERT, each with the rule's name. COPY does not ask them, and INSERT does
/// (<https://www.postgresql.org/docs/current/sql-copy.html>).
pub fn insert_rules(session: &Session, schema: &str, names: &[String]) -> Result<Vec<(String, String)>> {
    let sql = "SELECT c.relname::text, r.rulename::text FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class \
               JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind IN ('r', 'p') AND r.ev_type = '3' \
                 AND r.ev_enabled <> 'D' ORDER BY 1, 2";
    let rows = session.query(sql, &[&schema, &names])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Constraints of a table by name, each with whether it is validated.
pub fn constraints(session: &Session, schema: &str, table: &str) -> Result<HashMap<String, bool>> {
    let sql = "SELECT conname::text, convalidated FROM pg_constraint WHERE conrelid = $1::text::regclass";
    let rows = session.query(sql, &[&qualified(schema, table)])?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Names of a schema's views.
pub fn views(session: &Session, schema: &str) -> Result<HashSet<String>> {
    let sql = "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE nspname = $1 AND relkind = 'v'";
    Ok(session.query(sql, &[&schema])?.iter().map(|row| row.get(0)).collect())
}

/// A serial or identity column and the sequence behind it.
#[derive(Debug, Clone)]
pub struct OwnedSequence {
    /// The column.
    pub column: String,
    /// The sequence, as `oid`, so that no quoting can go wrong.
    pub sequence: i64,
}

/// The sequences that give the columns of a table their numbers: those of serials and identities, which the columns own,
/// and those that only a default names. Sequences that count down are left out.
pub fn owned_sequences(session: &Session, schema: &str, table: &str) -> Result<Vec<OwnedSequence>> {
    // A default depends on its sequence; what it makes of the number is the application's unless the column holds integers.
    let sql = "SELECT a.attname::text, q.seqrelid::int8 FROM pg_attribute a \
               LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum \
               JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass \
                    AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i') \
                 OR d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass \
                    AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) \
               JOIN pg_sequence q ON q.seqincrement > 0 \
                    AND q.seqrelid = CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid ELSE d.refobjid END \
               WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped \
               GROUP BY 1, 2 ORDER BY 1, 2";
    let rows = session.query(sql, &[&qualified(schema, table)])?;
    Ok(rows.iter().map(|row| OwnedSequence { column: row.get(0), sequence: row.get(1) }).collect())
}

/// Where a sequence was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceState {
    /// The largest number in the column; `None` without one.
    pub max: Option<i64>,
    /// The number that `nextval` gives next, where it still gives one.
    pub next: i64,
    /// The sequence's own end.
    pub end: i64,
}

/// Sets a sequence behind the column's numbers and behind `last`, and reads it back.
pub fn advance_sequence(
    session: &Session,
    schema: &str,
    table: &str,
    owned: &OwnedSequence,
    last: Option<i64>,
) -> Result<SequenceState> {
    let max = max(session, schema, table, &owned.column)?;
    let row = session.query_one(
        "SELECT seqmin, seqmax, seqstart FROM pg_sequence WHERE seqrelid = $1::int8::oid",
        &[&owned.sequence],
    )?;
    let (min, end, start): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let relation = sequence_name(session, owned)?;
    // A table that was there may have given numbers out and lost their rows; they are not given out again.
    let there = session.query_one(&format!("SELECT last_value, is_called FROM {relation}"), &[])?;
    let given = there.get::<_, bool>(1).then(|| there.get(0));
    let used = max.max(last).max(given).filter(|&n| n >= min);
    let (value, called) = used.map_or((start.max(min), false), |n| (n.min(end), true));
    session.query_one("SELECT setval($1::int8::oid::regclass, $2, $3)", &[&owned.sequence, &value, &called])?;
    // Read back from the sequence itself: this is the assertion, not the value that was just sent.
    sequence_state(session, schema, table, owned)
}

/// Reads where a sequence and its column stand.
pub fn sequence_state(session: &Session, schema: &str, table: &str, owned: &OwnedSequence) -> Result<SequenceState> {
    let sql = format!(
        "SELECT s.last_value, s.is_called, p.seqincrement, p.seqmax FROM {} s, pg_sequence p \
         WHERE p.seqrelid = $1::int8::oid",
        sequence_name(session, owned)?
    );
    let row = session.query_one(&sql, &[&owned.sequence])?;
    let (last_value, is_called, step, end): (i64, bool, i64, i64) = (row.get(0), row.get(1), row.get(2), row.get(3));
    let next = if is_called { last_value.saturating_add(step) } else { last_value };
    Ok(SequenceState { max: max(session, schema, table, &owned.column)?, next, end })
}

/// The last number that a sequence gave out, where it gave one.
pub fn given(session: &Session, owned: &OwnedSequence) -> Result<Option<i64>> {
    let row =
        session.query_one(&format!("SELECT last_value, is_called FROM {}", sequence_name(session, owned)?), &[])?;
    Ok(row.get::<_, bool>(1).then(|| row.get(0)))
}

fn max(session: &Session, schema: &str, table: &str, column: &str) -> Result<Option<i64>> {
    let sql = format!("SELECT max({})::int8 FROM {}", quoted(column), qualified(schema, table));
    Ok(session.query_one(&sql, &[])?.get(0))
}

fn sequence_name(session: &Session, owned: &OwnedSequence) -> Result<String> {
    let row = session.query_one(
        "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::int8::oid",
        &[&owned.sequence],
    )?;
    Ok(row.get(0))
}

/// The rows of a table.
pub fn count(session: &Session, schema: &str, table: &str) -> Result<u64> {
    let row = session.query_one(&format!("SELECT count(*) FROM {}", qualified(schema, table)), &[])?;
    Ok(row.get::<_, i64>(0) as u64)
}

/// Foreign keys of a table that some of its rows break, with the number of those rows.
pub fn orphans(session: &Session, schema: &str, table: &str) -> Result<Vec<(String, i64)>> {
    let sql = "SELECT c.conname::text, c.confrelid::regclass::text, \
                      string_agg(format('p.%I = c.%I', pa.attname, ca.attname), ' AND ' ORDER BY k.place), \
                      string_agg(format('c.%I IS NOT NULL', ca.attname), ' AND ' ORDER BY k.place) \
               FROM pg_constraint c, unnest(c.conkey, c.confkey) WITH ORDINALITY AS k(child, parent, place), \
                    pg_attribute ca, pg_attribute pa \
               WHERE c.conrelid = $1::text::regclass AND c.contype = 'f' \
                 AND ca.attrelid = c.conrelid AND ca.attnum = k.child \
                 AND pa.attrelid = c.confrelid AND pa.attnum = k.parent \
               GROUP BY 1, 2";
    let relation = qualified(schema, table);
    let mut found = Vec::new();
    for row in session.query(sql, &[&relation])? {
        let (parent, join, set): (String, String, String) = (row.get(1), row.get(2), row.get(3));
        let count = format!(
            "SELECT count(*) FROM {relation} c WHERE {set} AND NOT EXISTS (SELECT FROM {parent} p WHERE {join})"
        );
        let orphans: i64 = session.query_one(&count, &[])?.get(0);
        if orphans > 0 {
            found.push((row.get(0), orphans));
        }
    }
    Ok(found)
}
