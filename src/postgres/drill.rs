//! Grounds to rehearse on, and writes to them as an application makes them.
//!
//! A ground is a database of a server of our own, or a schema in somebody else's database that bears our mark: what is
//! there without it is never touched. Owns the SQL. Which rows are written is decided elsewhere.

use super::connect::{Pool, PoolSettings};
use super::control;
use super::lookup::{self, KeyCell};
use super::session::{Session, Transaction};
use super::target::Target;
use super::{hash, is_answer};
use crate::error::{Error, Kind, Result};
use crate::model::cell::Owned;
use crate::model::name::{literal, qualified, quoted};
use crate::model::pg_type::PgType;
use crate::model::plan::{Plan, TablePlan};
use crate::model::rehearsal::{Made, Over};
use crate::postgres::read::Chunk;

/// The comment of a schema that a rehearsal made.
const MARK: &str = "Scratch of lite2pg rehearse; may be dropped";

/// What two rehearsals in one database would be in each other's way about.
const LOCK: &str = "lite2pg rehearse";

/// A place for the tables of one migration.
#[derive(Debug, Clone)]
pub struct Ground {
    /// How to reach it.
    pub target: Target,
    /// The schema.
    pub schema: String,
    is_ours: bool,
}

impl Ground {
    /// A database of a server that is nobody else's.
    #[must_use]
    pub fn database(server: &Target, name: &str, schema: &str) -> Self {
        Self { target: server.clone().with_dbname(name), schema: schema.to_owned(), is_ours: true }
    }

    /// A schema in a database that is there.
    #[must_use]
    pub fn schema(target: &Target, name: &str) -> Self {
        Self { target: target.clone(), schema: name.to_owned(), is_ours: false }
    }

    /// Makes it anew, empty.
    pub fn renew(&self, admin: &Session) -> Result<()> {
        self.clear(admin)?;
        if self.is_ours {
            return admin.batch(&format!("CREATE DATABASE {}", quoted(self.target.dbname())));
        }
        let schema = quoted(&self.schema);
        admin.batch(&format!("CREATE SCHEMA {schema}; COMMENT ON SCHEMA {schema} IS {}", literal(MARK))).map_err(|e| {
            e.context(format!("the scratch schema `{}` cannot be created", self.schema))
                .state("nothing was written")
                .hint("the role needs CREATE on the database; without --target, a throw-away server is used")
        })
    }

    /// Drops what a migration made there, and nothing else: faster than making it anew.
    pub fn empty(&self, admin: &Session) -> Result<()> {
        if !self.is_ours {
            return self.renew(admin);
        }
        let session = self.pool()?.session()?;
        control::wait_for_lock(&session, &self.schema)?;
        control::end_workers(&session, &self.schema)?;
        let schema = quoted(&self.schema);
        session.batch(&format!(
            "SET client_min_messages = warning; DROP SCHEMA IF EXISTS lite2pg CASCADE; DROP SCHEMA IF EXISTS {schema} CASCADE; \
             CREATE SCHEMA {schema}"
        ))?;
        control::unlock(&session, &self.schema)
    }

    /// Drops it with all that is in it, and what the control schema knows of it.
    pub fn clear(&self, admin: &Session) -> Result<()> {
        if self.is_ours {
            return admin.batch(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(self.target.dbname())));
        }
        let about = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1";
        match admin.query_opt(about, &[&self.schema])?.map(|row| row.get::<_, Option<String>>(0)) {
            None => {}
            Some(Some(mark)) if mark == MARK => {
                // Sessions of a process that was killed may still be at work there.
                control::wait_for_lock(admin, &self.schema)?;
                control::end_workers(admin, &self.schema)?;
                let dropped = admin.batch(&format!("DROP SCHEMA {} CASCADE", quoted(&self.schema)));
                control::unlock(admin, &self.schema)?;
                dropped.map_err(|e| e.context(format!("the scratch schema `{}` cannot be dropped", self.schema)))?;
            }
            Some(_) => {
                return Err(Error::new(
                    Kind::Blocked,
                    format!("schema `{}` is there, and no rehearsal made it", self.schema),
                )
                .state("nothing was written")
                .hint("rename it, or rehearse without --target on a throw-away server"));
            }
        }
        if control::exists(admin)? { control::forget_schema(admin, &self.schema) } else { Ok(()) }
    }

    /// Connections to it.
    pub fn pool(&self) -> Result<Pool> {
        Pool::connect(&self.target, 2, &PoolSettings::default())
    }
}

/// Makes sure that this is the only rehearsal in its database, for as long as the session lives.
pub fn alone(admin: &Session) -> Result<()> {
    if control::try_lock(admin, LOCK)? {
        return Ok(());
    }
    Err(Error::new(Kind::Blocked, "another rehearsal is at work in this database")
        .state("nothing was written")
        .hint("wait for it to end, or rehearse without --target on a throw-away server"))
}

/// The server's hash of each table: equal tables have equal ones.
pub fn hashes(session: &mut Session, schema: &str, plan: &Plan) -> Result<Vec<(String, u64, i128)>> {
    hash::server(session)?;
    let tx = session.transaction()?;
    let of = |table: &TablePlan| {
        let (rows, sum) = hash::of_chunk(&tx, schema, &table.target, &hash::columns(table), Chunk::WHOLE)?;
        Ok((table.target.clone(), rows, sum))
    };
    plan.tables.iter().map(of).collect()
}

/// Writes every row of a table anew, with the values that it has.
pub fn rewrite(session: &Session, schema: &str, table: &TablePlan) -> Result<u64> {
    let set: Vec<String> = table.loaded().map(|c| quoted(&c.target)).map(|c| format!("{c} = {c}")).collect();
    if set.is_empty() {
        return Ok(0);
    }
    session.execute(&format!("UPDATE {} SET {}", qualified(schema, &table.target), set.join(", ")), &[])
}

/// Begins to write as an application does. Foreign keys act at once, or, where they are not wanted, not at all; false
/// where this role may not switch them off.
pub fn begin(tx: &Transaction<'_>, foreign_keys: bool) -> Result<bool> {
    tx.batch("SET CONSTRAINTS ALL IMMEDIATE")?;
    if foreign_keys {
        return Ok(true);
    }
    attempt(tx, "SET LOCAL session_replication_role = replica").map(|done| done.is_some())
}

/// What finds a row: columns with what they hold, none for NULL.
#[derive(Debug, Clone)]
pub struct Address(pub Vec<(String, PgType, Option<KeyCell>)>);

impl Address {
    fn condition(&self, alias: &str) -> String {
        let part = |(name, pg_type, cell): &(String, PgType, Option<KeyCell>)| {
            let name = format!("{alias}.{}", quoted(name));
            match cell {
                None => format!("{name} IS NULL"),
                Some(cell) => format!("{} = {}", lookup::column(&name, pg_type), lookup::value(cell, pg_type)),
            }
        };
        self.0.iter().map(part).collect::<Vec<_>>().join(" AND ")
    }
}

/// A table of the target and its columns, by their places in the plan.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The schema.
    pub schema: &'a str,
    /// The table.
    pub plan: &'a TablePlan,
}

impl Written<'_> {
    /// Gives cells of one row to it anew, each made of the row `from`'s. The number of rows that were written, or none
    /// where the server refuses; then nothing of it stays.
    pub fn update(
        &self,
        tx: &Transaction<'_>,
        (row, from): (&Address, &Address),
        set: &[(usize, Made)],
    ) -> Result<Option<u64>> {
        let name = qualified(self.schema, &self.plan.target);
        let part = |(column, made): &(usize, Made)| {
            let (column, pg_type) = self.column(*column);
            let made = expression(&format!("f.{column}"), made, pg_type)?;
            Some(format!("{column} = (SELECT {made} FROM {name} f WHERE {} LIMIT 1)", from.condition("f")))
        };
        let set: Vec<String> = set.iter().filter_map(part).collect();
        attempt(tx, &format!("UPDATE {name} SET {} WHERE {}", set.join(", "), self.one(row)))
    }

    /// Inserts a row that is made of the row `from`; where one with its key is there, columns of that one change.
    pub fn insert(
        &self,
        tx: &Transaction<'_>,
        from: &Address,
        row: &[(usize, Made)],
        over: Option<Over<'_>>,
    ) -> Result<Option<u64>> {
        let name = qualified(self.schema, &self.plan.target);
        let part = |(column, made): &(usize, Made)| {
            let (column, pg_type) = self.column(*column);
            expression(&format!("f.{column}"), made, pg_type).map(|made| (column, made))
        };
        let (names, list): (Vec<String>, Vec<String>) = row.iter().filter_map(part).unzip();
        let over = over.map_or_else(String::new, |over| {
            let name = |&column: &usize| self.column(column).0;
            let key: Vec<String> = over.key.iter().map(name).collect();
            let set: Vec<String> = over.set.iter().map(name).map(|c| format!("{c} = excluded.{c}")).collect();
            format!(" ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), set.join(", "))
        });
        attempt(
            tx,
            &format!(
                "INSERT INTO {name} ({}) SELECT {} FROM {name} f WHERE {} LIMIT 1{over}",
                names.join(", "),
                list.join(", "),
                from.condition("f")
            ),
        )
    }

    /// Deletes one row.
    pub fn delete(&self, tx: &Transaction<'_>, row: &Address) -> Result<Option<u64>> {
        attempt(tx, &format!("DELETE FROM {} WHERE {}", qualified(self.schema, &self.plan.target), self.one(row)))
    }

    // Rows without a key may be there several times, and one is as good as another.
    fn one(&self, row: &Address) -> String {
        let name = qualified(self.schema, &self.plan.target);
        format!("ctid = (SELECT o.ctid FROM {name} o WHERE {} LIMIT 1)", row.condition("o"))
    }

    fn column(&self, column: usize) -> (String, &PgType) {
        let column = &self.plan.columns[column];
        (quoted(&column.target), &column.pg_type)
    }
}

// None where the column is not named at all.
fn expression(own: &str, made: &Made, pg_type: &PgType) -> Option<String> {
    Some(match made {
        Made::Copied => own.to_owned(),
        Made::Plus(n) => format!("{own} + '{n}'::int8"),
        Made::Behind(text) => format!("{own} || {}", literal(text)),
        Made::New(Owned::Null) => "NULL".to_owned(),
        Made::New(Owned::Integer(n)) => format!("'{n}'::{pg_type}"),
        Made::New(Owned::Real(x)) => format!("'{x:?}'::{pg_type}"),
        Made::New(Owned::Text(text) | Owned::Blob(text)) => {
            format!("{}::{pg_type}", literal(&String::from_utf8_lossy(text)))
        }
        Made::LeftOut => return None,
    })
}

// Runs one statement so that a refusal leaves no trace.
fn attempt(tx: &Transaction<'_>, sql: &str) -> Result<Option<u64>> {
    let savepoint = tx.savepoint("tried")?;
    match tx.execute(sql, &[]) {
        Ok(rows) => savepoint.keep().map(|()| Some(rows)),
        Err(e) if is_answer(&e) => savepoint.back().map(|()| None),
        Err(e) => Err(e),
    }
}

/// Empties tables in one statement.
pub fn empty(tx: &Transaction<'_>, schema: &str, tables: &[&str]) -> Result<()> {
    tx.batch(&super::ddl::truncate(schema, tables))
}
