//! What a role needs beyond its rights on whole tables, known once the plan says which columns are filled.

use super::options::{Options, Scope};
use super::start::Use;
use crate::error::{Error, Kind, Result};
use crate::load::Conflict;
use crate::model::name::{qualified, quoted};
use crate::model::plan::{Plan, TablePlan};
use crate::postgres::{Session, catalog};

/// Refuses where the role lacks a right on a column that is read or filled, or cannot make the temporary tables that values
/// are cast through: all of it at once, with the grants.
pub fn check(session: &Session, options: &Options, plan: &Plan, what: Use) -> Result<()> {
    let there: Vec<&TablePlan> = plan.tables.iter().filter(|t| t.existing || what != Use::Load).collect();
    if options.scope == Scope::SchemaOnly || there.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = there.iter().map(|t| t.target.clone()).collect();
    let writes = what != Use::Compare;
    let replaces = what == Use::Repair || what == Use::Load && options.conflict == Some(Conflict::Update);
    let (mut missing, mut grants) = (Vec::new(), Vec::new());
    let rights = catalog::rights(session, &options.schema)?;
    let user = quoted(&rights.user);
    for lack in catalog::column_lacks(session, &options.schema, &names)? {
        let Some(table) = there.iter().find(|t| t.target == lack.table) else { continue };
        let is_loaded = table.loaded().any(|c| c.target == lack.column);
        let is_key = table.primary_key.as_ref().is_some_and(|key| key.columns.contains(&lack.column));
        let needs = [
            ("SELECT", lack.select, table.compared().any(|c| c.target == lack.column)),
            ("INSERT", lack.insert, writes && is_loaded),
            ("UPDATE", lack.update, replaces && is_loaded && !is_key),
        ];
        let lacks: Vec<&str> = needs.iter().filter(|(_, lacks, needed)| *lacks && *needed).map(|n| n.0).collect();
        if !lacks.is_empty() {
            missing.push(format!("{} `{}.{}`", lacks.join(", "), lack.table, lack.column));
            let column = quoted(&lack.column);
            let each: Vec<String> = lacks.iter().map(|right| format!("{right} ({column})")).collect();
            let relation = qualified(&options.schema, &lack.table);
            grants.push(format!("GRANT {} ON {relation} TO {user}", each.join(", ")));
        }
    }
    if writes
        && !rights.temporary
        && let Some(table) = there.iter().find(|t| t.has_casts())
    {
        missing.push(format!("create temporary tables, through which PostgreSQL casts values of `{}`", table.target));
        grants.push(format!("GRANT TEMPORARY ON DATABASE {} TO {user}", quoted(&rights.dbname)));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let error = Error::new(Kind::Blocked, format!("role {user} lacks rights on what is there"));
    let error = missing.into_iter().fold(error, |error, right| error.fact(format!("it may not {right}")));
    Err(error.state("nothing was written").hint(grants.join("; ")))
}
