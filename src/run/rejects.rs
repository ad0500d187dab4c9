//! Rows that are set aside: what takes a value's place, how many rows there may be, and the files that list them.

use super::options::{Options, RejectLimits};
use crate::error::{Error, Kind, Result};
use crate::model::event::{RejectedTable, Rejection};
use crate::model::name::reject;
use crate::model::plan::{Plan, TablePlan};
use crate::model::policy::{Place, Policy, Reject};
use crate::model::range::Range;
use crate::model::source::{Catalog, RowKey, Table};
use crate::plan::{Draft, no_rule};
use crate::postgres::{Session, Transaction, control, fallback};
use crate::sqlite::{Flow, Reader, RowRef, TableScan};
use crate::verify::listing::{ListFile, literal};
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Asks the server for what takes the place of values that do not fit, where a policy says `default`.
pub fn fallbacks(tx: &mut Transaction<'_>, plan: &mut Plan) -> Result<()> {
    let Plan { schema, tables, .. } = plan;
    for table in tables {
        for i in 0..table.columns.len() {
            let column = &table.columns[i];
            if column.on_error != Policy::Default && !column.null_is_default {
                continue;
            }
            let field = fallback::field(tx, schema, table, column)?;
            if field.is_none() && column.null_is_default {
                let name = format!("{}.{}", table.source, column.source);
                return Err(Error::new(Kind::Blocked, format!("`{name}` has no default to take the place of NULL"))
                    .state("nothing was written")
                    .hint("`default = …` in the pipeline states one"));
            }
            if field.is_none() && column.not_null {
                let name = format!("{}.{}", table.source, column.source);
                return Err(Error::new(Kind::Blocked, format!("`{name}` is NOT NULL and has no default"))
                    .fact("`--on-error …=default` has nothing to put in the place of a value that does not fit")
                    .state("nothing was written")
                    .hint(format!("{} sets such rows aside", reject(&name))));
            }
            table.columns[i].fallback = field;
        }
    }
    Ok(())
}

/// Gives the columns of a stored plan the policies that this start states; what it does not state stays. True where the plan was changed.
///
/// Rows that are on the target follow the policy that they were loaded under: one under which values were replaced stays.
pub fn change_policies(plan: &mut Plan, draft: &Draft, session: &mut Session) -> Result<bool> {
    let mut changed = false;
    for (t, c) in draft.with_policy() {
        let (source, column) = (&draft.catalog().tables[t], &draft.catalog().tables[t].columns[c].name);
        let planned = plan.tables.iter().find(|p| p.source == source.name);
        if planned.is_some_and(|p| p.columns.iter().any(|p| p.source == *column && !p.is_rule)) {
            return Err(no_rule(&format!("{}.{column}", source.name)));
        }
    }
    for table in &mut plan.tables {
        let Some(t) = draft.catalog().tables.iter().position(|s| s.name == table.source) else { continue };
        let mut change = |was: &mut Policy, is: Option<Policy>, name: &str| {
            let is = is.unwrap_or(*was);
            if *was != is && was.replaces() {
                return Err(Error::new(Kind::Blocked, format!("`{name}` was loaded under the policy `{was}`"))
                    .fact(format!("it would be `{is}` now; rows that are on the target follow the earlier one"))
                    .state("nothing was written by this start; the earlier run's rows are on the target")
                    .hint("the command that started it goes on with it; `--restart` begins again"));
            }
            changed |= *was != is;
            *was = is;
            Ok(())
        };
        change(&mut table.on_refusal, draft.policy_of_rows(t), &table.source)?;
        for column in table.columns.iter_mut().filter(|c| c.is_rule) {
            let Some(c) = draft.catalog().tables[t].column_index(&column.source) else { continue };
            let name = format!("{}.{}", table.source, column.source);
            change(&mut column.on_error, draft.policy_of((t, c), column.not_null), &name)?;
        }
    }
    if changed {
        let mut tx = session.transaction()?;
        fallbacks(&mut tx, plan)?;
        tx.rollback()?;
    }
    Ok(changed)
}

/// The places of the rows that a run set aside, by table.
pub fn places(session: &Session, run: Uuid) -> Result<HashMap<String, HashSet<Place>>> {
    let of = |(table, rejects): (String, Vec<Reject>)| (table, rejects.into_iter().map(|r| r.place).collect());
    Ok(control::rejects(session, run)?.into_iter().map(of).collect())
}

/// Writes the files that list the rows of a run that were set aside, each with its reason and all its values. A file that
/// an earlier start left is replaced, so that each row stands in it once, whatever happened in between.
pub fn list(
    limits: &RejectLimits,
    plan: &Plan,
    catalog: &Catalog,
    reader: &Reader,
    rejects: &HashMap<String, Vec<Reject>>,
) -> Result<()> {
    for planned in &plan.tables {
        let Some(rejects) = rejects.get(&planned.target).filter(|r| !r.is_empty()) else { continue };
        let Some(table) = catalog.table(&planned.source) else { continue };
        list_table(limits, planned, table, reader, rejects)?;
    }
    Ok(())
}

/// Removes the list of a table of which no row is set aside any more.
pub fn unlist(limits: &RejectLimits, table: &str) -> Result<()> {
    ListFile::remove(&limits.folder, table, "--rejects-dir")
}

fn list_table(
    limits: &RejectLimits,
    planned: &TablePlan,
    table: &Table,
    reader: &Reader,
    rejects: &[Reject],
) -> Result<()> {
    let mut file = ListFile::create(&limits.folder, &planned.target, "--rejects-dir")?;
    let is_rowid = matches!(table.row_key, RowKey::Rowid { .. });
    let names = table.columns.iter().map(|c| c.name.as_str());
    let head = [if is_rowid { "rowid" } else { "key" }, "column", "reason", "sqlstate", "value"];
    file.record(head.into_iter().chain(names))?;
    let scan = TableScan::all(table);
    let mut line = |place: Place, reject: &Reject, row: &RowRef<'_>| {
        let cells: Vec<String> = (0..row.len()).map(|i| literal(row.cell(i))).collect();
        let key: Vec<&str> = table.primary_key.iter().map(|&i| cells[i].as_str()).collect();
        let key = match (is_rowid, key.is_empty()) {
            (true, _) => place.key.to_string(),
            (false, false) => key.join(", "),
            (false, true) => place.nth.to_string(),
        };
        let column = reject.column.as_deref().unwrap_or_default();
        let value = table.column_index(column).map_or("", |i| cells[i].as_str());
        let code = reject.sqlstate.as_deref().unwrap_or_default();
        let about = [key.as_str(), column, reject.reason.as_str(), code, value];
        file.record(about.into_iter().chain(cells.iter().map(String::as_str)))
    };
    if is_rowid {
        for reject in rejects {
            let key = reject.place.key;
            let range = Range { lo: Some(key), hi: Some(key) };
            reader.scan(&scan, range, None, |_, row| line(reject.place, reject, row).map(|()| Flow::Continue))?;
        }
    } else {
        let by_place: HashMap<Place, &Reject> = rejects.iter().map(|r| (r.place, r)).collect();
        let mut place = Place::BEFORE;
        reader.scan(&scan, Range::ALL, None, |key, row| {
            place = place.next(key);
            by_place.get(&place).map_or(Ok(()), |reject| line(place, reject, row)).map(|()| Flow::Continue)
        })?;
    }
    file.finish()
}

/// What the summary says of the rows that were set aside.
#[must_use]
pub fn summary(options: &Options, plan: &Plan, rejects: &HashMap<String, Vec<Reject>>) -> Vec<RejectedTable> {
    let mut tables = Vec::new();
    for planned in &plan.tables {
        let Some(rejects) = rejects.get(&planned.target).filter(|r| !r.is_empty()) else { continue };
        let mut reasons: Vec<Rejection> = Vec::new();
        for reject in rejects {
            let same = |r: &&mut Rejection| {
                r.column == reject.column && r.reason == reject.reason && r.sqlstate == reject.sqlstate
            };
            match reasons.iter_mut().find(same) {
                Some(reason) => {
                    reason.rows += 1;
                    if reason.keys.len() < SAMPLE_KEYS {
                        reason.keys.extend(key_of(planned, reject.place));
                    }
                }
                None => reasons.push(Rejection {
                    column: reject.column.clone(),
                    reason: reject.reason.clone(),
                    sqlstate: reject.sqlstate.clone(),
                    rows: 1,
                    keys: key_of(planned, reject.place).into_iter().collect(),
                }),
            }
        }
        reasons.sort_by_key(|r| std::cmp::Reverse(r.rows));
        tables.push(RejectedTable {
            table: planned.target.clone(),
            rows: rejects.len() as u64,
            file: ListFile::path(&options.rejects.folder, &planned.target).display().to_string(),
            reasons,
        });
    }
    tables
}

fn key_of(table: &TablePlan, place: Place) -> Option<i64> {
    table.row_key.is_integer().then_some(place.key)
}

/// Keys kept as samples for each reason.
const SAMPLE_KEYS: usize = 3;
