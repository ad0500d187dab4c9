//! Before anything is written: is there a run to go on with, and may the target be written to?

use super::options::Options;
use super::proof::Known;
use crate::error::{Error, Kind, Result};
use crate::load::Conflict;
use crate::model::bounds::DEAD_CLIENT_PATIENCE;
use crate::model::name::{Spelling, exclude, qualified, quoted};
use crate::model::plan::{Plan, TablePlan};
use crate::model::source::{Catalog, Table};
use crate::plan::existing;
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
    if rights.control_schema_exists && !rights.control_exists && !rights.control_schema {
        return refused(
            "create tables in the schema `lite2pg`, where runs are kept".to_owned(),
            format!("GRANT USAGE, CREATE ON SCHEMA lite2pg TO {user}"),
        );
    }
    if !rights.database && (!rights.control_schema_exists || !rights.schema_exists) {
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
    if matches!(options.conflict, Some(Conflict::Skip | Conflict::Update)) && !rights.temporary {
        return refused(
            format!("create temporary tables in database `{}`, through which `--on-conflict` goes", rights.dbname),
            format!("GRANT TEMPORARY ON DATABASE {dbname} TO {user}"),
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
    hold(session, options)?;
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
    let same = run.fingerprint == fingerprint && options.goes_on_with(&run.options) && run.format == control::FORMAT;
    match (run.state, same) {
        (State::Done, true) if !options.truncate && options.conflict.is_none() => Ok(Start::Finished(Box::new(run))),
        (State::Done, _) => Ok(Start::Fresh),
        (_, true) => Ok(Start::Resume(Box::new(run))),
        (_, false) => Err(unfinished(&run, options, fingerprint)),
    }
}

/// Takes the schema for this session, as long as it lives, from whoever was killed at work on it.
pub fn hold(session: &mut Session, options: &Options) -> Result<()> {
    if !lock(session, &options.schema)? {
        return Err(Error::new(Kind::Blocked, format!("another lite2pg is at work on schema `{}`", options.schema))
            .state("this one has written nothing")
            .hint(
                "wait for it to end; if its machine is gone, the server notices after two minutes. \
                 `SELECT * FROM pg_stat_activity WHERE application_name = 'lite2pg'` shows it",
            ));
    }
    control::end_workers(session, &options.schema)
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

/// Refuses where the role may not read by which plan the rows came, or not make the tables that a repair goes through.
pub fn check_reading_rights(session: &Session, options: &Options, what: Use) -> Result<()> {
    let rights = catalog::rights(session, &options.schema)?;
    if what == Use::Repair && !rights.temporary {
        let name = format!("role `{}` may not create temporary tables, through which a repair goes", rights.user);
        return Err(Error::new(Kind::Blocked, name).state("nothing was written").hint(format!(
            "GRANT TEMPORARY ON DATABASE {} TO {}",
            quoted(&rights.dbname),
            quoted(&rights.user)
        )));
    }
    if !rights.control_exists || rights.control_readable {
        return Ok(());
    }
    let user = quoted(&rights.user);
    Err(Error::new(Kind::Blocked, format!("role `{}` may not read the control schema `lite2pg`", rights.user))
        .fact("it says by which types and names the rows came")
        .state("nothing was compared")
        .hint(format!(
            "GRANT USAGE ON SCHEMA lite2pg TO {user}; GRANT SELECT ON ALL TABLES IN SCHEMA lite2pg TO {user}"
        )))
}

/// What a verb does with tables that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Rows are read.
    Compare,
    /// Rows that differ are written again.
    Repair,
    /// Rows are loaded, as the options say.
    Load,
}

/// Refuses where the role lacks a right on a table that is there, and names the grant: all of them at once.
pub fn check_table_rights(session: &Session, options: &Options, names: &[String], what: Use) -> Result<()> {
    let (truncates, updates) = (options.truncate, options.conflict == Some(Conflict::Update));
    let all = catalog::table_rights(session, &options.schema, names)?;
    let (mut missing, mut grants) = (Vec::new(), Vec::new());
    let user = quoted(&session.server_info()?.user);
    if all.iter().any(|t| !t.usage) {
        missing.push(format!("use schema `{}`", options.schema));
        grants.push(format!("GRANT USAGE ON SCHEMA {} TO {user}", quoted(&options.schema)));
    }
    for table in &all {
        let loads = what == Use::Load;
        let repairs = what == Use::Repair;
        let needs = [
            ("SELECT", table.select, true),
            ("INSERT", table.insert, loads || repairs),
            ("UPDATE", table.update, (loads && updates) || repairs),
            ("DELETE", table.delete, repairs),
            ("TRUNCATE", table.truncate, loads && truncates),
        ];
        let lacks: Vec<&str> =
            needs.iter().filter(|(_, has, needed)| *needed && !has).map(|(word, ..)| *word).collect();
        let relation = qualified(&options.schema, &table.name);
        if !lacks.is_empty() {
            missing.push(format!("{} `{}`", lacks.join(", "), table.name));
            grants.push(format!("GRANT {} ON {relation} TO {user}", lacks.join(", ")));
        }
        let sets = loads || repairs;
        let mut sequences = table.hidden_sequences.clone();
        sequences.extend(table.fixed_sequences.iter().filter(|_| sets).cloned());
        sequences.sort();
        sequences.dedup();
        let (word, needed) = if sets { ("set", "SELECT, UPDATE") } else { ("read", "SELECT") };
        for sequence in sequences {
            missing.push(format!("{word} sequence `{sequence}`"));
            grants.push(format!("GRANT {needed} ON SEQUENCE {} TO {user}", qualified(&options.schema, &sequence)));
        }
    }
    if !missing.is_empty() {
        let error = Error::new(Kind::Blocked, format!("role {user} lacks rights on what is there"));
        let error = missing.into_iter().fold(error, |error, right| error.fact(format!("it may not {right}")));
        return Err(error.state("nothing was written").hint(grants.join("; ")));
    }
    if let Some(table) = all.iter().find(|t| t.is_filtered) {
        let relation = qualified(&options.schema, &table.name);
        let way = if table.is_forced {
            format!("ALTER TABLE {relation} NO FORCE ROW LEVEL SECURITY meanwhile")
        } else {
            "run as the table's owner".to_owned()
        };
        return Err(Error::new(Kind::Blocked, format!("row security hides rows of `{}` from role {user}", table.name))
            .fact("what cannot be seen can be neither counted nor compared")
            .state("nothing was written")
            .hint(format!("{way}, or ALTER ROLE {user} BYPASSRLS")));
    }
    Ok(())
}

/// The tables of the target that the run would load into; refuses those that hold rows, unless told.
pub fn existing_tables(session: &Session, options: &Options, catalog: &Catalog) -> Result<Vec<ExistingTable>> {
    let data_only = options.scope == super::Scope::DataOnly;
    let names = namesakes(session, options, catalog, data_only)?;
    if data_only {
        check_kinds(session, options, catalog, &names)?;
    }
    if options.scope != super::Scope::SchemaOnly {
        check_table_rights(session, options, &names, Use::Load)?;
    }
    let tables = catalog::tables(session, &options.schema, &names)?;
    let full: Vec<String> = tables.iter().filter(|t| t.has_rows).map(|t| format!("`{}`", t.name)).collect();
    let told = options.truncate || options.conflict.is_some();
    if !full.is_empty() && !told && options.scope != super::Scope::SchemaOnly {
        return Err(full_tables(session, options, &full)?);
    }
    Ok(tables)
}

fn full_tables(session: &Session, options: &Options, full: &[String]) -> Result<Error> {
    let error = Error::new(Kind::Blocked, format!("the target holds rows already in schema `{}`", options.schema))
        .fact(format!("in {}", full.join(", ")))
        .state("nothing was written");
    let ways = "`--truncate` empties them first, `--on-conflict skip|update|fail` adds to them, `--schema NAME` goes \
                elsewhere, `--restart` drops what an earlier lite2pg created";
    let earlier = if control::exists(session)? { control::latest(session, &options.schema)? } else { None };
    let is_ours = |run: &RunRecord| run.state == State::Done && run.source == options.source.display().to_string();
    Ok(if earlier.is_some_and(|run| is_ours(&run)) {
        error
            .fact("an earlier run moved this source there; it has changed since, or other options are asked for")
            .hint(format!("`lite2pg verify … --repair` moves only what changed since; {ways}"))
    } else {
        error.hint(ways)
    })
}

// Rows go into tables. What only looks like one is named as what it is.
fn check_kinds(session: &Session, options: &Options, catalog: &Catalog, tables: &[String]) -> Result<()> {
    let name = |t: &Table| t.to.clone().unwrap_or_else(|| options.spelling.apply(&t.name)).to_lowercase();
    let wanted: HashSet<String> = catalog.tables.iter().map(name).collect();
    let mut there = catalog::relations(session, &options.schema)?;
    let has_table = |name: &String| tables.iter().any(|t| t.to_lowercase() == name.to_lowercase());
    there.retain(|name| wanted.contains(&name.to_lowercase()) && !has_table(name));
    let found = catalog::no_tables(session, &options.schema, &there)?;
    let Some(first) = found.first() else { return Ok(()) };
    let error = Error::new(Kind::Blocked, "`--data-only` needs every table on the target");
    let error =
        found.iter().fold(error, |e, r| e.fact(format!("`{}` is {}: nothing is loaded into it", r.name, r.kind)));
    let left = exclude(&first.name);
    let hint = format!("name a table with a pipeline's `to`; `{left}` leaves the rows out");
    Err(error.state("nothing was written").hint(hint))
}

/// Names of the schema's tables that tables of the source mean: by their names, case aside, or `by_snake` in another
/// spelling.
pub fn namesakes(session: &Session, options: &Options, catalog: &Catalog, by_snake: bool) -> Result<Vec<String>> {
    let name = |t: &Table| t.to.clone().unwrap_or_else(|| options.spelling.apply(&t.name));
    let wanted: Vec<String> = catalog.tables.iter().map(name).collect();
    let cases: HashSet<String> = wanted.iter().map(|name| name.to_lowercase()).collect();
    let snakes: HashSet<String> = wanted.iter().map(|name| Spelling::Snake.apply(name)).collect();
    let is_meant =
        |r: &String| cases.contains(&r.to_lowercase()) || by_snake && snakes.contains(&Spelling::Snake.apply(r));
    let mut there = catalog::relations(session, &options.schema)?;
    there.retain(is_meant);
    let there = catalog::table_names(session, &options.schema, &there)?;
    // What is merely like a name that another table has is none of this run's.
    let found = existing::assign(&wanted, &there.iter().map(String::as_str).collect::<Vec<_>>(), by_snake);
    Ok(found.into_iter().flatten().map(|at| there[at].clone()).collect())
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
        let mut ours: HashSet<String> = plan.views.iter().map(|v| v.target.clone()).collect();
        for table in plan.tables.iter().filter(|t| !t.existing) {
            ours.insert(table.target.clone());
            ours.extend(table.primary_key.iter().map(|k| k.name.clone()));
            ours.extend(table.indexes.iter().map(|i| i.name.clone()));
            ours.extend(table.columns.iter().filter_map(|column| {
                let own = column.identity.as_ref()?.sequence.clone();
                Some(own.unwrap_or_else(|| format!("{}_{}_seq", table.target, column.target)))
            }));
        }
        relations.retain(|r| !ours.contains(r));
    }
    Ok(relations)
}
