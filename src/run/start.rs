//! Before anything is written: is there a run to go on with, and may the target be written to?

use super::options::Options;
use super::proof::Known;
use crate::error::{Error, Kind, Result};
use crate::model::bounds::DEAD_CLIENT_PATIENCE;
use crate::model::name::quoted;
use crate::model::plan::{Plan, TablePlan};
use crate::model::source::Catalog;
use crate::postgres::Session;
use crate::postgres::catalog::{self, ExistingTable};
use crate::postgres::control::{self, RunRecord, State};
use std::collections::HashSet;
use std::time::Instant;

/// What a start finds.
pub enum Start {
    /// Nothing to go on with.
    Fresh,
    /// A run of the same source under the same options that did not end.
    Resume(Box<RunRecord>),
    /// A run of the same source under the same options that ended.
    Finished(Box<RunRecord>),
}

/// Refuses servers that cannot be migrated to.
pub fn check_server(session: &Session) -> Result<()> {
    let info = session.server_info()?;
    if info.is_standby {
        return Err(Error::new(Kind::Blocked, "the server is a standby: nothing can be written to it")
            .state("nothing was written")
            .hint("connect to the primary, or let libpq find it: target_session_attrs=read-write"));
    }
    check_encoding(session)
}

/// Refuses databases that do not hold every text.
pub fn check_encoding(session: &Session) -> Result<()> {
    let info = session.server_info()?;
    if info.encoding != "UTF8" {
        return Err(Error::new(
            Kind::Blocked,
            format!("database `{}` is encoded in {}, which does not hold every text", info.dbname, info.encoding),
        )
        .state("nothing was written")
        .hint("createdb --encoding=UTF8 --template=template0 NAME"));
    }
    Ok(())
}

/// Refuses where the role may not create what the run needs: known before anything is read, and without a guess.
pub fn check_rights(session: &Session, options: &Options) -> Result<()> {
    let rights = catalog::rights(session, &options.schema)?;
    let (schema, user, dbname) = (quoted(&options.schema), quoted(&rights.user), quoted(&rights.dbname));
    let refused = |what: String, hint: String| {
        Err(Error::new(Kind::Blocked, format!("role `{}` may not {what}", rights.user))
            .state("nothing was written")
            .hint(hint))
    };
    if !rights.database && (!rights.control_exists || !rights.schema_exists) {
        let missing = if rights.schema_exists { "lite2pg" } else { &options.schema };
        return refused(
            format!("create schema `{missing}` in database `{}`", rights.dbname),
            format!("GRANT CREATE ON DATABASE {dbname} TO {user}"),
        );
    }
    if rights.schema_exists && !rights.schema && options.scope != super::Scope::DataOnly {
        return refused(
            format!("create tables in schema `{}`", options.schema),
            format!("GRANT CREATE ON SCHEMA {schema} TO {user}, or `--schema NAME` for one of its own"),
        );
    }
    if rights.control_exists && !rights.control {
        return refused(
            "use the control schema `lite2pg`, which another role made".to_owned(),
            "run as that role, or drop the schema where its runs are no longer needed".to_owned(),
        );
    }
    Ok(())
}

/// Looks for a run to go on with. The session holds the schema's lock from here on.
pub fn look(session: &mut Session, options: &Options, fingerprint: &str) -> Result<Start> {
    take_lock(session, &options.schema)?;
    control::end_workers(session, &options.schema)?;
    if !control::exists(session)? {
        return Ok(Start::Fresh);
    }
    if options.restart {
        // Rows alone need the tables, whoever made them.
        if options.scope == super::Scope::DataOnly {
            control::forget_unfinished(session, &options.schema)?;
        } else {
            control::abandon(session, &options.schema)?;
        }
        return Ok(Start::Fresh);
    }
    let Some(run) = control::latest(session, &options.schema)? else { return Ok(Start::Fresh) };
    let same = run.fingerprint == fingerprint && run.options == options.shape() && run.format == control::FORMAT;
    match (run.state, same) {
        (State::Done, true) if !options.truncate && options.conflict.is_none() => Ok(Start::Finished(Box::new(run))),
        (State::Done, _) => Ok(Start::Fresh),
        (_, true) => Ok(Start::Resume(Box::new(run))),
        (_, false) => Err(unfinished(&run, options, fingerprint)),
    }
}

/// Takes the schema's lock for as long as the session lives, or refuses.
pub fn take_lock(session: &Session, schema: &str) -> Result<()> {
    if lock(session, schema)? {
        return Ok(());
    }
    Err(Error::new(Kind::Blocked, format!("another lite2pg is at work on schema `{schema}`"))
        .state("this one has written nothing")
        .hint("wait for it to end; `SELECT * FROM pg_stat_activity WHERE application_name = 'lite2pg'` shows it"))
}

// The server needs a moment to notice that a killed client is gone.
fn lock(session: &Session, schema: &str) -> Result<bool> {
    let deadline = Instant::now() + DEAD_CLIENT_PATIENCE;
    while !control::try_lock(session, schema)? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(DEAD_CLIENT_PATIENCE / 20);
    }
    Ok(true)
}

fn unfinished(run: &RunRecord, options: &Options, fingerprint: &str) -> Error {
    let mut error = Error::new(Kind::Blocked, format!("an earlier run into schema `{}` did not end", run.schema))
        .fact(format!("it reads `{}`", run.source));
    if run.fingerprint != fingerprint {
        error = error.fact("the source has changed since, so the two halves would not fit");
    }
    for (name, was, is) in options.differences(&run.options) {
        error = error.fact(format!("{name} was {was} and is {is} now"));
    }
    if run.format != control::FORMAT {
        error = error.fact("another version of lite2pg started it, and this one cannot go on with it");
    }
    error
        .state("nothing was written by this start; the earlier run's rows are on the target")
        .hint("the command that started it goes on with it; `--restart` drops what it created and begins again")
}

/// The tables of the target that the run would load into; refuses those that hold rows, unless told.
pub fn existing_tables(session: &Session, options: &Options, catalog: &Catalog) -> Result<Vec<ExistingTable>> {
    let tables = catalog::tables(session, &options.schema, &namesakes(session, options, catalog)?)?;
    let full: Vec<String> = tables.iter().filter(|t| t.has_rows).map(|t| format!("`{}`", t.name)).collect();
    let told = options.truncate || options.conflict.is_some();
    if !full.is_empty() && !told && options.scope != super::Scope::SchemaOnly {
        return Err(Error::new(Kind::Blocked, format!("the target holds rows already in schema `{}`", options.schema))
            .fact(format!("in {}", full.join(", ")))
            .state("nothing was written")
            .hint(
                "`--truncate` empties them first, `--on-conflict skip|update|fail` adds to them, `--schema NAME` goes \
                 elsewhere, `--restart` drops what an earlier lite2pg created",
            ));
    }
    Ok(tables)
}

/// Names of the schema's relations that are called like a table of the source, case aside.
pub fn namesakes(session: &Session, options: &Options, catalog: &Catalog) -> Result<Vec<String>> {
    let wanted: HashSet<String> =
        catalog.tables.iter().map(|t| options.spelling.apply(&t.name).to_lowercase()).collect();
    let relations = catalog::relations(session, &options.schema)?;
    Ok(relations.into_iter().filter(|r| wanted.contains(&r.to_lowercase())).collect())
}

/// What is known of a table that somebody dropped since it was loaded: that it is gone.
pub fn or_absent(known: Known, relations: &[String], table: &TablePlan) -> Known {
    match known {
        Known::Digest(_) | Known::Unread if relations.contains(&table.target) => known,
        Known::Digest(digest) => Known::Absent(digest.rows),
        Known::Unread => Known::Absent(table.rows),
        known => known,
    }
}

/// Names of the schema's relations that a fresh plan must not take, without those that a resumed plan made.
pub fn taken(session: &Session, schema: &str, resumed: Option<&Plan>) -> Result<Vec<String>> {
    let mut relations = catalog::relations(session, schema)?;
    if let Some(plan) = resumed {
        let mut ours: HashSet<&str> = plan.views.iter().map(|v| v.target.as_str()).collect();
        for table in plan.tables.iter().filter(|t| !t.existing) {
            ours.insert(&table.target);
            ours.extend(table.primary_key.iter().map(|k| k.name.as_str()));
            ours.extend(table.indexes.iter().map(|i| i.name.as_str()));
        }
        relations.retain(|r| !ours.contains(r.as_str()));
    }
    Ok(relations)
}
