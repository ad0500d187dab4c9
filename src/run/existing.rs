//! Tables that were there before: their foreign keys during the load, and after it.

use super::Context;
use super::options::Options;
use super::rows::{self, Planned};
use crate::error::{Kind, Result};
use crate::model::event::{Event, Observer};
use crate::model::plan::{Plan, Remark};
use crate::postgres::{Session, aside, catalog};
use std::collections::HashMap;
use uuid::Uuid;

/// The tables that the foreign keys of each table point at; tables without such keys are left out.
pub fn parents(session: &Session, options: &Options, planned: &Planned) -> Result<HashMap<String, Vec<String>>> {
    let names: Vec<String> = planned.plan.tables.iter().filter(|t| t.existing).map(|t| t.target.clone()).collect();
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let tables = catalog::tables(session, &options.schema, &names)?;
    Ok(tables.into_iter().filter(|t| !t.parents.is_empty()).map(|t| (t.name, t.parents)).collect())
}

/// Drops, for the time of the load, keys that no order of loading satisfies: a table's onto itself over several
/// ranges, and cycles of tables. True where some were set aside.
pub fn set_aside(
    control: &mut Session,
    run: Uuid,
    plan: &Plan,
    parents: &HashMap<String, Vec<String>>,
    observer: &dyn Observer,
) -> Result<bool> {
    let stuck = rows::without_order(plan, parents);
    if stuck.is_empty() {
        return Ok(false);
    }
    let tx = control.transaction()?;
    match aside::set_aside(&tx, run, &plan.schema, &stuck) {
        Ok(()) => tx.commit()?,
        // Not the tables' owner, say. The rows may still come in an order that the server takes.
        Err(error) if error.kind() == Kind::Failed => {
            let text = format!("foreign keys stay in force while rows are copied: {}", error.message());
            observer.event(&Event::Remark(Remark::note(stuck.join(", "), text)));
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    let text = format!("foreign keys among {} are set aside until the rows are there", stuck.join(", "));
    observer.event(&Event::Info { text });
    Ok(true)
}

/// Whether the role may switch foreign keys and triggers off for its session. Superusers may, and since PostgreSQL 15 those it was granted to.
pub fn may_be_replica(session: &Session) -> bool {
    let allowed = session.batch("SET session_replication_role = replica").is_ok();
    allowed && session.batch("RESET session_replication_role").is_ok()
}

/// Rows that were loaded with foreign keys switched off are looked at afterwards.
pub fn unchecked_keys(context: &Context<'_>, plan: &Plan) -> Result<Vec<Remark>> {
    let mut remarks = Vec::new();
    if context.replica_role {
        for table in plan.tables.iter().filter(|t| t.existing) {
            for (key, orphans) in catalog::orphans(context.control, &plan.schema, &table.target)? {
                let text = format!("foreign key `{key}`: {orphans} rows have no parent");
                remarks.push(Remark::warning(&table.source, text));
            }
        }
    }
    Ok(remarks)
}
