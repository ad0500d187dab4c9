//! Tables in which the application keeps its migrations: left alone where the target has its own, and compared first.

use super::Opened;
use super::options::{Options, Scope};
use crate::error::{Error, Kind, Result};
use crate::model::bookkeeping::{Bookkeeping, Heads};
use crate::model::bounds::MIGRATIONS_MAX;
use crate::model::name::exclude;
use crate::model::plan::Remark;
use crate::model::source::Table;
use crate::postgres::catalog::ExistingColumn;
use crate::postgres::{Session, catalog, heads};
use std::collections::HashMap;

/// Migrations of one side that a message names.
const NAMED_MAX: usize = 5;

/// What is left alone.
pub struct Left {
    /// The source's tables, by name.
    pub tables: Vec<String>,
    /// A word on each.
    pub remarks: Vec<Remark>,
}

/// Whether rows of this table stay where they are, if the target has one of its own.
fn stays(options: &Options, table: &Table) -> bool {
    let is_in = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case(&table.name));
    let wishes = &options.migrations;
    !is_in(&wishes.moved) && (is_in(&wishes.alone) || Bookkeeping::of(table).is_some())
}

/// Takes the application's own tables out of the catalog, where the target has them too or rows go only into what is there.
/// Where both sides have done other migrations, their tables do not mean the same: refused, unless told.
pub fn leave(session: &Session, options: &Options, opened: &mut Opened) -> Result<Left> {
    let there = tables_there(session, options, opened)?;
    let found = |table: &Table| there.iter().find(|(name, _)| name.eq_ignore_ascii_case(&table.name));
    let (mut remarks, mut facts, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for table in opened.catalog.tables.iter().filter(|t| stays(options, t)) {
        let target = found(table);
        if target.is_none() && options.scope != Scope::DataOnly {
            // A new home without a list gets the source's: the application goes on with it.
            continue;
        }
        let known = Bookkeeping::of(table);
        let owner = known.map_or("the application", |known| known.owner);
        let mut words = format!("left alone: what {owner} has migrated is the target's own to know");
        if let (Some(heads), Some(target)) = (known.and_then(|known| known.heads), target) {
            let differ = differences(session, options, opened, (table, heads), target)?;
            if differ.is_empty() {
                words.push_str("; both sides have come equally far");
            }
            facts.extend(differ.into_iter().map(|fact| format!("`{}` ({owner}): {fact}", table.name)));
        }
        remarks.push(Remark::note(&table.name, words));
        names.push(table.name.clone());
    }
    if !facts.is_empty() && !options.migrations.ignored {
        let error = Error::new(Kind::Blocked, "the application has done other migrations on the target");
        let left = names.first().map_or_else(String::new, |name| exclude(name));
        return Err(facts.into_iter().fold(error, Error::fact).state("nothing was written").hint(format!(
            "bring both sides to the same migration with the application itself; `--ignore-migrations` loads all the \
             same, `{left}` leaves the table out unasked"
        )));
    }
    for fact in facts {
        remarks.push(Remark::warning("migrations", format!("they differ on both sides, as was said: {fact}")));
    }
    forget(opened, &names);
    Ok(Left { tables: names, remarks })
}

/// Takes tables out of the catalog that an earlier start left alone.
pub fn forget(opened: &mut Opened, names: &[String]) {
    opened.catalog.tables.retain(|t| !names.contains(&t.name));
}

/// The names of the tables that a comparison leaves alone: those that belong to the application on both sides.
pub fn of_both(session: &Session, options: &Options, opened: &Opened) -> Result<Vec<String>> {
    let there = tables_there(session, options, opened)?;
    let is_there = |table: &&Table| there.keys().any(|name| name.eq_ignore_ascii_case(&table.name));
    Ok(opened.catalog.tables.iter().filter(|t| stays(options, t)).filter(is_there).map(|t| t.name.clone()).collect())
}

fn tables_there(session: &Session, options: &Options, opened: &Opened) -> Result<HashMap<String, Vec<ExistingColumn>>> {
    let relations = catalog::relations(session, &options.schema)?;
    let stays =
        |name: &String| opened.catalog.tables.iter().any(|t| t.name.eq_ignore_ascii_case(name) && stays(options, t));
    let names: Vec<String> = relations.into_iter().filter(stays).collect();
    catalog::columns_of(session, &options.schema, &names)
}

fn differences(
    session: &Session,
    options: &Options,
    opened: &Opened,
    (table, heads): (&Table, Heads),
    (target, columns): (&String, &Vec<ExistingColumn>),
) -> Result<Vec<String>> {
    let column = |name: &str| columns.iter().find(|c| c.name.eq_ignore_ascii_case(name)).map(|c| c.name.clone());
    if heads.columns.iter().any(|c| column(c).is_none()) {
        return Ok(vec!["the target's table of this name has other columns".to_owned()]);
    }
    let has = |name: &str| table.column_index(name).is_some();
    let here = opened.readers[0].heads(&table.name, heads, &has, MIGRATIONS_MAX)?;
    let there = heads::done(session, (&options.schema, target), heads, &column, MIGRATIONS_MAX)?;
    let (source, target) = heads.differences(&here, &there);
    let sides = [("the source", source), ("the target", target)];
    let told = |(side, names): (&str, Vec<String>)| {
        let more = names.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let shown: Vec<&str> = names.iter().take(NAMED_MAX).map(String::as_str).collect();
        (!names.is_empty()).then(|| format!("only {side} has done {}{more}", shown.join(", ")))
    };
    Ok(sides.into_iter().filter_map(told).collect())
}
