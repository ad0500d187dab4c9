//! The run whose rows are to come back, and the shapes that it gave them.

use super::RollbackOptions;
use super::place::AS_IT_WAS;
use crate::error::{Error, Kind, Result};
use crate::model::plan::TablePlan;
use crate::model::reshape::Reshape;
use crate::postgres::Session;
use crate::postgres::control::{self, RunRecord, State};

/// The finished run whose rows are to come back.
pub fn run_of(control: &Session, options: &RollbackOptions) -> Result<RunRecord> {
    let blocked = |what: String| Error::new(Kind::Blocked, what).state(AS_IT_WAS);
    let schema = &options.schema;
    let run = if control::exists(control)? { control::latest(control, schema)? } else { None };
    let Some(run) = run else {
        return Err(blocked(format!("lite2pg has no run into schema `{schema}`"))
            .fact("the way back goes by the plan of the run that loaded the rows")
            .hint("`--schema NAME`, if they are elsewhere"));
    };
    if run.format != control::FORMAT {
        return Err(blocked(format!("run {} was made by another version of lite2pg", run.id)));
    }
    if run.state != State::Done {
        return Err(blocked(format!("run {} into schema `{schema}` has not ended", run.id))
            .hint("the `lite2pg migrate` that began it goes on with it"));
    }
    let shape = shape(&run);
    if shape["scope"] == "schema_only" {
        return Err(blocked(format!("run {} made tables and no rows: there is nothing to bring back", run.id)));
    }
    let is_left = |t: &TablePlan| options.leave.contains(&t.source) || options.leave.contains(&t.target);
    if !shape["conflict"].is_null()
        && let Some(table) = run.plan.tables.iter().find(|t| t.existing && !is_left(t))
    {
        return Err(blocked(format!("run {} added its rows to those that `{}` had", run.id, table.target))
            .fact("nobody can tell any more which of them came from SQLite")
            .hint(format!("`--leave '{}'` leaves the table as the source has it", table.source)));
    }
    Ok(run)
}

/// The shapes that the run gave its tables, with the ways back that are stated now.
pub fn reshape_of(run: &RunRecord, options: &RollbackOptions) -> Result<Reshape> {
    let of_run = super::super::options::reshape_of(&run.options);
    let Some(stated) = &options.reshape else { return Ok(of_run) };
    if stated.clone().without_inverses() == of_run.clone().without_inverses() {
        return Ok(stated.clone());
    }
    Err(Error::new(Kind::Blocked, format!("run {} was made through another pipeline than this one", run.id))
        .fact("only what it says of `inverse` may have changed since")
        .state(AS_IT_WAS)
        .hint("without --pipeline, the way back goes by the pipeline of that run"))
}

/// How a run was asked for.
pub fn shape(run: &RunRecord) -> serde_json::Value {
    serde_json::from_str(&run.options).unwrap_or_default()
}
