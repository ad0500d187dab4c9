//! Tables that were there before: columns matched by name, types taken from the target.

use super::choice;
use super::names::Names;
use super::rules;
use super::{Purpose, check_null, without_null};
use crate::error::{Error, Kind, Result};
use crate::model::candidates::{TypeOptions, for_stated_type};
use crate::model::cell::Class;
use crate::model::conversion::Conversion;
use crate::model::name::Spelling;
use crate::model::pg_type::PgType;
use crate::model::plan::{ColumnPlan, Identity, KeyPlan, Remark, TablePlan};
use crate::model::policy::Policy;
use crate::model::profile::{TableProfile, Trial};
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
    /// Names that were found in another case or spelling: `here → there`.
    pub respelled: Vec<String>,
}

/// The target column of a source column.
#[derive(Debug, Clone)]
pub struct MatchedColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub pg_type: PgType,
    /// Decimals of a second that it keeps, where it is a time.
    pub fraction: u8,
    /// The labels of its enum.
    pub labels: Option<Vec<String>>,
    /// NOT NULL
    pub not_null: bool,
    /// A value is there when none is given.
    pub has_default: bool,
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
    let there: Vec<&str> = existing.iter().map(|t| t.name.as_str()).collect();
    // Who creates tables means a new one by another spelling.
    let found = assign(&names.tables, &there, purpose != Purpose::Migrate);
    for (position, table) in catalog.tables.iter().enumerate() {
        if let Some(target) = found[position].map(|at| &existing[at]) {
            let mut matching = match_columns(table, &names.columns[position], target, purpose)?;
            if names.tables[position] != target.name {
                matching.respelled.insert(0, format!("{} → {}", table.name, target.name));
            }
            matched.push(Some(matching));
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

/// For each name the position of the one that it means: the same, else the only one that is left with the same name in
/// another case, else in `snake_case`. None is given twice.
#[must_use]
pub fn assign(wanted: &[String], there: &[&str], by_snake: bool) -> Vec<Option<usize>> {
    let mut given: Vec<Option<usize>> = vec![None; wanted.len()];
    let mut pass = |same: &dyn Fn(&str, &str) -> bool| {
        for (i, name) in wanted.iter().enumerate() {
            if given[i].is_some() {
                continue;
            }
            let mut alike = (0..there.len()).filter(|at| !given.contains(&Some(*at)) && same(name, there[*at]));
            let first = alike.next();
            let is_only = alike.next().is_none();
            given[i] = first.filter(|_| is_only);
        }
    };
    pass(&|a, b| a == b);
    pass(&|a, b| a.to_lowercase() == b.to_lowercase());
    if by_snake {
        pass(&|a, b| Spelling::Snake.apply(a) == Spelling::Snake.apply(b));
    }
    given
}

fn match_columns(table: &Table, names: &[String], target: &ExistingTable, purpose: Purpose) -> Result<Matched> {
    let compares = purpose == Purpose::Compare;
    let mut columns = Vec::with_capacity(table.columns.len());
    let there: Vec<&str> = target.columns.iter().map(|c| c.name.as_str()).collect();
    let mut respelled = Vec::new();
    for ((column, name), at) in table.columns.iter().zip(names).zip(assign(names, &there, true)) {
        let found = at.map(|at| &target.columns[at]);
        respelled
            .extend(found.filter(|c| c.name != *name && !c.generated).map(|c| format!("{} → {}", column.name, c.name)));
        columns.push(match found {
            None => Err("the target has no such column".to_owned()),
            Some(c) if c.generated && !compares => Err("the target computes it itself".to_owned()),
            Some(c) => Ok(MatchedColumn::of(c)),
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
        respelled,
    })
}

impl MatchedColumn {
    fn of(target: &ExistingColumn) -> Self {
        Self {
            name: target.name.clone(),
            pg_type: target.pg_type.clone(),
            fraction: target.fraction,
            labels: target.labels.clone(),
            not_null: target.not_null,
            has_default: target.has_default,
        }
    }

    /// The rules to try on its cells.
    #[must_use]
    pub fn trials(&self, types: &TypeOptions) -> Vec<Trial> {
        let mut trials = for_stated_type(&self.pg_type, self.labels.as_deref(), types);
        for trial in &mut trials {
            if let Conversion::Moment { digits, .. } = &mut trial.conversion {
                *digits = self.fraction;
            }
        }
        trials
    }

    /// Whether it refuses values that SQLite takes: those are looked for in all rows before one is written.
    #[must_use]
    pub fn may_refuse(&self) -> bool {
        self.not_null || self.labels.is_some() || !matches!(self.pg_type, PgType::Text | PgType::Bytea)
    }
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
    let planning = Planning { table, position, matched, profile, loads: purpose != Purpose::Compare, rules };
    let mut columns = Vec::new();
    for (c, column) in table.columns.iter().enumerate() {
        match &matched.columns[c] {
            Ok(target) => columns.push(planning.column(c, target)?),
            Err(why) => {
                let object = format!("{}.{}", table.name, column.name);
                remarks.push(Remark::warning(object, format!("left out: {why}")));
            }
        }
    }
    remarks.extend(planning.remarks());
    Ok(planning.table(columns))
}

// What the steps of one table's plan share.
struct Planning<'a> {
    table: &'a Table,
    position: usize,
    matched: &'a Matched,
    profile: &'a TableProfile,
    // Rows are written; else both sides are only compared.
    loads: bool,
    rules: &'a rules::Matched,
}

impl Planning<'_> {
    fn column(&self, c: usize, target: &MatchedColumn) -> Result<ColumnPlan> {
        let (table, column, rules) = (self.table, &self.table.columns[c], self.rules);
        let id = (self.position, c);
        let policy = rules.policy_of(id).unwrap_or_default();
        let followed = without_null(policy, target.not_null);
        let found = &self.profile.columns[c];
        let trial = if self.loads {
            let is_stated = rules.with_policy().any(|(at, _)| at == id);
            check_null(&table.name, &column.name, target.not_null, policy, is_stated)?;
            let trial = choice::choose_by_rule(&table.name, column, &target.pg_type, found, followed)?;
            self.check_nulls(c, target, policy)?;
            trial
        } else {
            choice::choose_to_compare(found)
        };
        Ok(ColumnPlan {
            source: column.name.clone(),
            declared: column.declared.clone(),
            target: target.name.clone(),
            pg_type: target.pg_type.clone(),
            evidence: format!("the type that is there{}", rules::words(&trial.conversion)),
            conversion: trial.conversion,
            stand_ins: trial.stand_ins,
            is_rule: true,
            on_error: followed,
            fallback: None,
            null_is_default: rules.null_is_default(id),
            not_null: target.not_null,
            default: None,
            generated: None,
            // What SQLite has given out is not given out again, although its row is gone.
            identity: (target.has_default && table.rowid_column() == Some(c) && table.sequence.is_some())
                .then_some(Identity { last: table.sequence, sequence: None }),
        })
    }

    // NULL for a column that takes none, and nothing said of what becomes of it.
    fn check_nulls(&self, c: usize, target: &MatchedColumn, policy: Policy) -> Result<()> {
        let nulls = self.profile.columns[c].count(Class::Null);
        let is_provided_for =
            self.rules.null_is_default((self.position, c)) || without_null(policy, true) != Policy::Fail;
        if target.not_null && nulls > 0 && !is_provided_for {
            let column = &self.table.columns[c].name;
            return Err(choice::null_refused(&self.table.name, column, nulls, self.profile.complete));
        }
        Ok(())
    }

    fn remarks(&self) -> Vec<Remark> {
        let mut remarks = Vec::new();
        if self.loads && !self.matched.respelled.is_empty() {
            let text = format!("found in another spelling: {}", self.matched.respelled.join(", "));
            remarks.push(Remark::note(&self.table.name, text));
        }
        let object = |column: &String| format!("{}.{column}", self.matched.target);
        let unfilled = self.matched.unfilled.iter();
        remarks.extend(unfilled.map(|column| Remark::note(object(column), "not in the source: takes its default")));
        remarks
    }

    fn table(&self, columns: Vec<ColumnPlan>) -> TablePlan {
        let (table, profile, key) = (self.table, self.profile, &self.matched.primary_key);
        TablePlan {
            source: table.name.clone(),
            target: self.matched.target.clone(),
            row_key: table.row_key.clone(),
            existing: true,
            on_refusal: self.rules.policy_of_rows(self.position).unwrap_or_default(),
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
        }
    }
}
