//! The server is asked about every definition before a row moves: everything is created, and undone. What it refuses leaves the plan and becomes a remark.

use crate::error::{Error, Result};
use crate::model::bounds::PROBE_TABLES_MAX;
use crate::model::name::exclude;
use crate::model::plan::{CheckPlan, ForeignKeyPlan, Plan, Remark, TablePlan, ViewPlan};
use crate::postgres::{Transaction, catalog, ddl, is_answer};

/// Takes out of the plan what the server refuses, and leaves nothing in the transaction.
///
/// A transaction holds a lock for everything that it creates, and the server has room for a few thousand
/// (`max_locks_per_transaction`). So a large schema is asked about in parts, and what refers to other tables
/// (foreign keys, views) only when it is created for good.
pub fn probe(tx: &Transaction<'_>, plan: &mut Plan) -> Result<()> {
    let Plan { schema, tables, views, remarks, .. } = plan;
    let mut new: Vec<&mut TablePlan> = tables.iter_mut().filter(|t| !t.existing).collect();
    let is_whole = new.len() <= PROBE_TABLES_MAX;
    for part in new.chunks_mut(PROBE_TABLES_MAX) {
        let undo = tx.savepoint("lite2pg_plan")?;
        catalog::create_schema(tx, schema)?;
        for table in part.iter_mut() {
            columns(tx, schema, table, remarks)?;
        }
        for table in part.iter_mut() {
            keys(tx, schema, table, remarks)?;
            checks(tx, schema, table, remarks)?;
        }
        if is_whole {
            for table in part.iter_mut() {
                foreign_keys(tx, schema, table, remarks)?;
            }
            ask_views(tx, schema, views, remarks)?;
        }
        undo.back()?;
    }
    Ok(())
}

fn ask_views(tx: &Transaction<'_>, schema: &str, views: &mut Vec<ViewPlan>, remarks: &mut Vec<Remark>) -> Result<()> {
    let mut refused = |view: &ViewPlan, why: &str, sql: String| {
        remarks.push(Remark::warning(&view.source, format!("view not created: {why}")).with_sql(sql));
    };
    *views = accepted(tx, std::mem::take(views), |view| ddl::create_view(schema, view), &mut refused)?;
    Ok(())
}

/// Asks about the columns of these tables only, and leaves nothing of it in the transaction.
pub fn columns_of(tx: &Transaction<'_>, plan: &mut Plan, tables: &[usize]) -> Result<()> {
    tx.batch("SAVEPOINT lite2pg_columns")?;
    let Plan { schema, tables: all, remarks, .. } = plan;
    for &t in tables {
        if !all[t].existing {
            columns(tx, schema, &mut all[t], remarks)?;
        }
    }
    tx.batch("ROLLBACK TO SAVEPOINT lite2pg_columns; RELEASE SAVEPOINT lite2pg_columns")
}

// The table with its defaults and generated columns; where the server refuses that, one by one.
fn columns(tx: &Transaction<'_>, schema: &str, table: &mut TablePlan, remarks: &mut Vec<Remark>) -> Result<()> {
    let Some(whole) = ask(tx, &ddl::create_table(schema, table))? else { return Ok(()) };
    let mut bare = table.clone();
    for column in &mut bare.columns {
        column.default = None;
        column.generated = None;
    }
    if let Some(refusal) = ask(tx, &ddl::create_table(schema, &bare))? {
        return Err(refusal
            .context(format!("`{}` cannot be created", table.target))
            .state("nothing was written")
            .hint(format!("leave it out with `{}`", exclude(&table.source))));
    }
    for i in 0..table.columns.len() {
        let column = table.columns[i].clone();
        if column.default.is_none() && column.generated.is_none() {
            continue;
        }
        let mut with = bare.clone();
        with.columns[i] = column.clone();
        tx.batch(&ddl::drop_table(schema, &table.target))?;
        if let Some(refusal) = ask(tx, &ddl::create_table(schema, &with))? {
            let (what, text) = match &column.generated {
                Some(text) => ("generated column becomes a plain one, its values kept", text),
                None => ("default not created", column.default.as_ref().expect("one of the two is there")),
            };
            let object = format!("{}.{}", table.source, column.source);
            remarks.push(Remark::warning(object, format!("{what}: {}", refusal.message())).with_sql(text.clone()));
            tx.batch(&ddl::create_table(schema, &bare))?;
        } else {
            bare = with;
        }
    }
    if bare == *table {
        // Each is fine alone, so the whole is refused for another reason.
        return Err(whole.context(format!("`{}` cannot be created", table.target)).state("nothing was written"));
    }
    *table = bare;
    Ok(())
}

fn keys(tx: &Transaction<'_>, schema: &str, table: &mut TablePlan, remarks: &mut Vec<Remark>) -> Result<()> {
    if let Some(key) = table.primary_key.clone() {
        let sql =
            format!("{}; {}", ddl::create_key_index(schema, table, &key), ddl::add_primary_key(schema, table, &key));
        if let Some(refusal) = ask(tx, &sql)? {
            let text = format!("primary key not created: {}", refusal.message());
            remarks.push(Remark::warning(&table.source, text).with_sql(format!("{sql};")));
            table.primary_key = None;
        }
    }
    let mut kept = Vec::with_capacity(table.indexes.len());
    for mut index in std::mem::take(&mut table.indexes) {
        let sql = ddl::create_index(schema, table, &index);
        if let Some(refusal) = ask(tx, &sql)? {
            let text = format!("index `{}` not created: {}", index.name, refusal.message());
            remarks.push(Remark::warning(&table.source, text).with_sql(format!("{sql};")));
            continue;
        }
        if index.constraint && ask(tx, &ddl::add_unique(schema, table, &index))?.is_some() {
            index.constraint = false;
        }
        kept.push(index);
    }
    table.indexes = kept;
    Ok(())
}

fn checks(tx: &Transaction<'_>, schema: &str, table: &mut TablePlan, remarks: &mut Vec<Remark>) -> Result<()> {
    let mut refused = |_: &CheckPlan, why: &str, sql: String| {
        remarks.push(Remark::warning(&table.source, format!("check not created: {why}")).with_sql(sql));
    };
    let all = table.checks.clone();
    table.checks = accepted(tx, all, |check| ddl::add_check(schema, table, check), &mut refused)?;
    Ok(())
}

fn foreign_keys(tx: &Transaction<'_>, schema: &str, table: &mut TablePlan, remarks: &mut Vec<Remark>) -> Result<()> {
    let mut refused = |_: &ForeignKeyPlan, why: &str, sql: String| {
        remarks.push(Remark::warning(&table.source, format!("foreign key not created: {why}")).with_sql(sql));
    };
    let all = table.foreign_keys.clone();
    table.foreign_keys = accepted(tx, all, |key| ddl::add_foreign_key(schema, table, key), &mut refused)?;
    Ok(())
}

// The definitions that the server takes; the others are told with its reason and their SQL.
fn accepted<T>(
    tx: &Transaction<'_>,
    all: Vec<T>,
    statement: impl Fn(&T) -> String,
    refused: &mut impl FnMut(&T, &str, String),
) -> Result<Vec<T>> {
    let mut kept = Vec::with_capacity(all.len());
    for one in all {
        let sql = statement(&one);
        match ask(tx, &sql)? {
            None => kept.push(one),
            Some(refusal) => refused(&one, refusal.message(), format!("{sql};")),
        }
    }
    Ok(kept)
}

// Runs a statement; the server's refusal is an answer, anything else an error.
fn ask(tx: &Transaction<'_>, sql: &str) -> Result<Option<Error>> {
    tx.batch("SAVEPOINT lite2pg_probe")?;
    match tx.batch(sql) {
        Ok(()) => {
            tx.batch("RELEASE SAVEPOINT lite2pg_probe")?;
            Ok(None)
        }
        Err(error) if is_answer(&error) => {
            tx.batch("ROLLBACK TO SAVEPOINT lite2pg_probe; RELEASE SAVEPOINT lite2pg_probe")?;
            Ok(Some(error))
        }
        Err(error) => Err(error),
    }
}
