//! A schema of the bench's own: made by us, refused if it is there, dropped on every way out.
//!
//! Knows no other schema: what it drops is what it has created.

use super::connect::Pool;
use super::ddl;
use super::session::Session;
use crate::error::{Error, Kind, Result};
use crate::model::name::{qualified, quoted};
use crate::model::plan::{Plan, TablePlan};

/// The name of the scratch schema. Not configurable: who finds it knows whose it is.
pub const SCRATCH_SCHEMA: &str = "lite2pg_bench";

/// The scratch schema while it is there. Dropped, it is dropped on the server.
pub struct Scratch<'a> {
    pool: &'a Pool,
    is_there: bool,
}

impl<'a> Scratch<'a> {
    /// Creates the schema. Fails with [`Kind::Blocked`] where there is one of that name.
    pub fn create(pool: &'a Pool) -> Result<Self> {
        let session = pool.session()?;
        let taken = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
        let refused = || {
            Error::new(Kind::Blocked, format!("schema `{SCRATCH_SCHEMA}` is there already"))
                .fact("a bench works in a schema of this name and drops it at its end")
                .state("nothing was written")
                .hint(format!("is another bench at work? if not, it was killed: DROP SCHEMA {SCRATCH_SCHEMA} CASCADE"))
        };
        if session.query_one(taken, &[&SCRATCH_SCHEMA])?.get(0) {
            return Err(refused());
        }
        // Without IF NOT EXISTS: of two that begin at once, one is refused.
        session.batch(&format!("CREATE SCHEMA {}", quoted(SCRATCH_SCHEMA))).map_err(|e| match e.sqlstate() {
            Some("42P06" | "23505") => refused(),
            _ if e.kind() != Kind::Failed => e,
            _ => Error::new(Kind::Blocked, format!("the scratch schema `{SCRATCH_SCHEMA}` cannot be created"))
                .cause(e)
                .state("nothing was written")
                .hint("the role needs CREATE on the database; without a TARGET, a throw-away server is used"),
        })?;
        Ok(Self { pool, is_there: true })
    }

    /// Makes all tables anew, without rows, keys and indexes.
    pub fn renew(&self, session: &mut Session, plan: &Plan) -> Result<()> {
        let tx = session.transaction()?;
        for table in &plan.tables {
            tx.batch(&format!("DROP TABLE IF EXISTS {} CASCADE", qualified(SCRATCH_SCHEMA, &table.target)))?;
            tx.batch(&ddl::create_table(SCRATCH_SCHEMA, table))?;
        }
        tx.commit()
    }

    /// Drops the schema, and says so if that fails.
    pub fn close(mut self) -> Result<()> {
        self.drop_now()
    }

    fn drop_now(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.is_there) {
            return Ok(());
        }
        // A session that nothing else has used: those of the lanes may hang in a COPY.
        let session = self.pool.session()?;
        session.batch(&format!("DROP SCHEMA {} CASCADE", quoted(SCRATCH_SCHEMA))).map_err(|e| {
            e.context(format!("the scratch schema `{SCRATCH_SCHEMA}` could not be dropped"))
                .hint(format!("DROP SCHEMA {SCRATCH_SCHEMA} CASCADE"))
        })
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // On an error's way out; that error is what a person is told.
        drop(self.drop_now());
    }
}

/// `COPY … FROM STDIN` in the text format.
#[must_use]
pub fn copy_text_in(table: &TablePlan) -> String {
    format!("COPY {} ({}) FROM STDIN", qualified(SCRATCH_SCHEMA, &table.target), ddl::loaded_columns(table))
}

/// What stands before the rows of a multi-row INSERT.
#[must_use]
pub fn insert_into(table: &TablePlan) -> String {
    format!("INSERT INTO {} ({}) VALUES ", qualified(SCRATCH_SCHEMA, &table.target), ddl::loaded_columns(table))
}

/// A number for all rows of a table, whatever their order: equal tables have equal ones.
pub fn digest(session: &Session, table: &TablePlan) -> Result<String> {
    // A sum, because two equal rows would take each other out of an exclusive or.
    let of_rows = "SELECT coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM";
    let row = session.query_one(&format!("{of_rows} {} t", qualified(SCRATCH_SCHEMA, &table.target)), &[])?;
    Ok(row.get(0))
}

/// Makes a session read literals as they are written here, whatever the server's own settings.
pub fn reads_literals(session: &Session) -> Result<()> {
    session.batch("SET standard_conforming_strings = on")
}
