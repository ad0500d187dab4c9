//! What a fresh run finds on the target, once the DDL that a person wrote for it has been run.
//!
//! That DDL is run in the transaction that begins the run. Until then it is run in transactions that are rolled back, so
//! that the plan knows its tables and a plan that is refused leaves nothing.

use super::Opened;
use super::bookkeeping::{self, Left};
use super::options::Options;
use super::start;
use crate::error::Result;
use crate::model::plan::Remark;
use crate::postgres::catalog::{self, ExistingTable, Object};
use crate::postgres::{Session, Transaction, script};

/// What a fresh run finds.
pub struct Ground {
    /// The application's own tables, which are left alone.
    pub left: Left,
    /// Tables that are loaded.
    pub existing: Vec<ExistingTable>,
    /// Names that are taken.
    pub taken: Vec<String>,
}

/// Looks at the target as the run will find it.
pub fn look(control: &mut Session, options: &Options, opened: &mut Opened) -> Result<Ground> {
    let Some(ddl) = &options.scripts.ddl else { return of(control, options, opened) };
    let tx = control.transaction()?;
    let made = make(&tx, options)?;
    let mut ground = of(&tx, options, opened)?;
    tx.rollback()?;
    let tables = made.iter().filter(|o| o.kind == "table").count();
    let words =
        format!("run first: makes {} objects, {tables} of them tables, which are loaded as they are", made.len());
    ground.left.remarks.push(Remark::note(&ddl.name, words));
    Ok(ground)
}

fn of(session: &Session, options: &Options, opened: &mut Opened) -> Result<Ground> {
    let left = bookkeeping::leave(session, options, opened)?;
    let existing = start::existing_tables(session, options, &opened.catalog)?;
    Ok(Ground { left, existing, taken: start::taken(session, &options.schema, None)? })
}

/// Makes the schema and what a person's DDL defines; what that made.
pub fn make(tx: &Transaction<'_>, options: &Options) -> Result<Vec<Object>> {
    catalog::create_schema(tx, &options.schema)?;
    let Some(ddl) = &options.scripts.ddl else { return Ok(Vec::new()) };
    let before = catalog::objects(tx, &options.schema)?;
    script::run(tx, &options.schema, &ddl.name, &ddl.sql)?;
    let mut made = catalog::objects(tx, &options.schema)?;
    made.retain(|object| !before.contains(object));
    Ok(made)
}

/// The same in a transaction that somebody else rolls back.
pub fn prepare(tx: &Transaction<'_>, options: &Options) -> Result<()> {
    make(tx, options).map(drop)
}

/// Does something with a session that sees what the DDL makes, and undoes all of it.
pub fn on<T>(session: &mut Session, options: &Options, work: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
    if options.scripts.ddl.is_none() {
        return work(session);
    }
    let mut tx = session.transaction()?;
    prepare(&tx, options)?;
    let done = work(tx.session())?;
    tx.rollback()?;
    Ok(done)
}
