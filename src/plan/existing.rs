//! Tables that were there before: columns matched by name, types taken from the target.

use super::choice;
use super::names::Names;
use super::rules;
use super::{Purpose, check_null, without_null};
use crate::error::{Error, Kind, Result};
use crate::model::cell::Class;
use crate::model::name::{Spelling, exclude};
use crate::model::pg_type::PgType;
use crate::model::plan::{ColumnPlan, KeyPlan, Remark, TablePlan};
use crate::model::policy::Policy;
use crate::model::profile::TableProfile;
use crate::model::source::{Catalog, Table};
use crate::postgres::catalog::{ExistingColumn, ExistingTable};

/// A source table and the target table that its rows go into.
#[derive(Debug, Clone)]
pub struct Matched {
    /// The target table's name.
    pub target: String,
    /// For each source column the target column, or why there is none.
    pub columns: Vec<std::result::Result<MatchedColumn, String>>,
    /// Target columns that no source column fills.
    pub unfilled: Vec<String>,
    /// The target's primary key.
    pub primary_key: Vec<String>,
}

/// The target column of a source column.
#[derive(Debug, Clone)]
pub struct MatchedColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub pg_type: PgType,
    /// The labels of its enum.
    pub labels: Option<Vec<String>>,
    /// NOT NULL
    pub not_null: bool,
}

/// Finds the target table of each source table by name. Who loads rows only needs one for each.
pub fn match_tables(
    catalog: &Catalog,
    names: &mut Names,
    existing: &[ExistingTable],
    purpose: Purpose,
) -> Result<Vec<Option<Matched>>> {
    let mut matched = Vec::with_capacity(catalog.tables.len());
    let mut missing = Vec::new();
    for (position, table) in catalog.tables.iter().enumerate() {
        if let Some(target) = find(&names.tables[position], existing.iter().map(|t| (t.name.as_str(), t))) {
            matched.push(Some(match_columns(table, &names.columns[position], target, purpose)?));
            names.tables[position].clone_from(&target.name);
        } else {
            missing.push(format!("`{}`", table.name));
            matched.push(None);
        }
    }
    if purpose == Purpose::LoadRows && !missing.is_empty() {
        return Err(Error::new(Kind::Blocked, "`--data-only` needs every table on the target")
            .fact(format!("missing: {}", missing.join(", ")))
            .state("nothing was written")
            .hint("create them first with `--schema-only`, or leave them out with `--exclude`"));
    }
    Ok(matched)
}

// The one with the same name, else the only one with the same name in another case.
fn find<'a, T>(name: &str, mut all: impl Iterator<Item = (&'a str, T)> + Clone) -> Option<T> {
    if let Some((_, exact)) = all.clone().find(|(n, _)| *n == name) {
        return Some(exact);
    }
    let folded = name.to_lowercase();
    let (_, first) = all.by_ref().find(|(n, _)| n.to_lowercase() == folded)?;
    all.all(|(n, _)| n.to_lowercase() != folded).then_some(first)
}

fn match_columns(table: &Table, names: &[String], target: &ExistingTable, purpose: Purpose) -> Result<Matched> {
    let compares = purpose == Purpose::Compare;
    let mut columns = Vec::with_capacity(table.columns.len());
    for (column, name) in table.columns.iter().zip(names) {
        let candidates = target.columns.iter().map(|c| (c.name.as_str(), c));
        let snake = Spelling::Snake.apply(name);
        let found = find(name, candidates.clone()).or_else(|| find(&snake, candidates));
        columns.push(match found.filter(|c| compares || !c.generated) {
            None => Err("the target has no such column".to_owned()),
            Some(c) if compares && c.pg_type.is_none() => Err(format!("no comparison with type {}", c.type_text)),
            Some(c) => Ok(matched_column(table, column.name.as_str(), c)?),
        });
    }
    let filled = |c: &&ExistingColumn| !columns.iter().flatten().any(|m: &MatchedColumn| m.name == c.name);
    let unfilled: Vec<&ExistingColumn> = target.columns.iter().filter(filled).filter(|c| !c.generated).collect();
    if let Some(needed) = unfilled.iter().find(|c| !compares && c.not_null && !c.has_default) {
        return Err(Error::new(
            Kind::Blocked,
            format!(
                "`{}.{}` is NOT NULL without a default, and no column of the source fills it",
                target.name, needed.name
            ),
        )
        .state("nothing was written")
        .hint(format!("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT …", target.name, needed.name)));
    }
    Ok(Matched {
        target: target.name.clone(),
        unfilled: unfilled.iter().map(|c| c.name.clone()).collect(),
        primary_key: target.primary_key.clone(),
        columns,
    })
}

fn matched_column(table: &Table, source: &str, target: &ExistingColumn) -> Result<MatchedColumn> {
    let Some(pg_type) = target.pg_type.clone() else {
        return Err(Error::new(
            Kind::Blocked,
            format!("`{}.{source}` cannot be loaded into type {}", table.name, target.type_text),
        )
        .state("nothing was written")
        .hint(format!("leave the table out with `{}`, or change the target column's type", exclude(&table.name))));
    };
    Ok(MatchedColumn { name: target.name.clone(), pg_type, labels: target.labels.clone(), not_null: target.not_null })
}

/// The plan of a matched table: its rows, in the target's types.
pub fn plan(
    catalog: &Catalog,
    position: usize,
    matched: &Matched,
    profile: &TableProfile,
    purpose: Purpose,
    rules: &rules::Matched,
    remarks: &mut Vec<Remark>,
) -> Result<TablePlan> {
    let table = &catalog.tables[position];
    let mut columns = Vec::new();
    for (c, column) in table.columns.iter().enumerate() {
        let target = match &matched.columns[c] {
            Ok(target) => target,
            Err(why) => {
                let object = format!("{}.{}", table.name, column.name);
                remarks.push(Remark::warning(object, format!("left out: {why}")));
                continue;
            }
        };
        let id = (position, c);
        let policy = rules.policy_of(id).unwrap_or_default();
        if purpose != Purpose::Compare {
            check_null(
                &table.name,
                &column.name,
                target.not_null,
                policy,
                rules.with_policy().any(|(at, _)| at == id),
            )?;
        }
        let trial = if purpose == Purpose::Compare {
            choice::choose_to_compare(&profile.columns[c])
        } else {
            let followed = without_null(policy, target.not_null);
            choice::choose_by_rule(&table.name, column, &target.pg_type, &profile.columns[c], followed)?
        };
        if purpose != Purpose::Compare {
            let nulls = profile.columns[c].count(Class::Null);
            if !rules.null_is_default(id) && target.not_null && nulls > 0 && without_null(policy, true) == Policy::Fail
            {
                return Err(choice::null_refused(&table.name, &column.name, nulls, profile.complete));
            }
        }
        columns.push(ColumnPlan {
            source: column.name.clone(),
            declared: column.declared.clone(),
            target: target.name.clone(),
            pg_type: target.pg_type.clone(),
            evidence: format!("the type that is there{}", rules::words(&trial.conversion)),
            conversion: trial.conversion,
            stand_ins: trial.stand_ins,
            is_rule: true,
            on_error: without_null(policy, target.not_null),
            fallback: None,
            null_is_default: rules.null_is_default(id),
            not_null: target.not_null,
            default: None,
            generated: None,
            identity: None,
        });
    }
    for column in &matched.unfilled {
        remarks.push(Remark::note(format!("{}.{column}", matched.target), "not in the source: takes its default"));
    }
    let key = &matched.primary_key;
    Ok(TablePlan {
        source: table.name.clone(),
        target: matched.target.clone(),
        row_key: table.row_key.clone(),
        existing: true,
        on_refusal: rules.policy_of_rows(position).unwrap_or_default(),
        marks: table.marks.clone(),
        columns,
        primary_key: (!key.is_empty()).then(|| KeyPlan { name: String::new(), columns: key.clone() }),
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        rows: profile.rows,
        rows_exact: profile.complete,
        bytes: profile.bytes(),
        largest_cell: profile.largest_cell,
        key_bounds: profile.key_bounds,
    })
}
