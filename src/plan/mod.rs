//! From the catalog and the profile to a plan: names, types, keys, and what cannot be carried over.
//!
//! Reads nothing and writes nothing: the same evidence gives the same plan.

pub mod choice;
pub mod existing;
pub mod groups;
pub mod names;
pub mod objects;
pub mod rules;
pub mod select;
mod views;

use crate::dialect::table::TableSql;
use crate::dialect::{self, Relation, Scope, Want, default};
use crate::error::{Error, Kind, Result};
use crate::model::affinity::Affinity;
use crate::model::bounds::PG_COLUMNS_MAX;
use crate::model::candidates::{TypeOptions, cast_zone, for_new_column, for_stated_type};
use crate::model::cell::Class;
use crate::model::conversion::Conversion;
use crate::model::name::{Namespace, Spelling, exclude, for_shell, qualified, quoted, reject};
use crate::model::pg_type::PgType;
use crate::model::plan::{ColumnPlan, Draw, EnumPlan, Identity, Plan, Remark, TablePlan};
use crate::model::policy::{Policy, Reading, Rules};
use crate::model::profile::{TableProfile, Trial, Trials};
use crate::model::source::{Catalog, Column, RowKey, Table};
use crate::postgres::catalog::ExistingTable;
use existing::Matched;
use groups::Groups;
use names::Names;
use objects::Builder;
use std::collections::HashSet;

/// A table with more columns than this may not fit a page when every integer takes eight bytes, so its
/// integers are as narrow as their values.
const WIDE_TABLE_COLUMNS: usize = 800;

/// What shapes a plan besides the rows.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// The target schema.
    pub schema: String,
    /// How names change.
    pub spelling: Spelling,
    /// Options of types.
    pub types: TypeOptions,
    /// What the plan is for.
    pub purpose: Purpose,
    /// Types and policies that a person states.
    pub rules: Rules,
    /// What ids are drawn by.
    pub draw: Draw,
}

/// What a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To create what is missing, and load.
    Migrate,
    /// To load rows only: every table must be there already.
    LoadRows,
    /// To compare with what is there, whoever loaded it: what has no counterpart is told, and stops nothing.
    Compare,
}

/// A plan in the making: everything that is decided before the rows are read.
pub struct Draft {
    catalog: Catalog,
    options: PlanOptions,
    names: Names,
    groups: Groups,
    sql: Vec<Option<TableSql>>,
    matched: Vec<Option<Matched>>,
    rules: rules::Matched,
}

impl Draft {
    /// Decides names, and matches the tables that are there already. `catalog` holds the chosen tables only;
    /// `taken` are the names of the target schema's relations.
    pub fn new(catalog: Catalog, options: PlanOptions, taken: &[String], existing: &[ExistingTable]) -> Result<Self> {
        let there: Vec<String> = existing.iter().map(|t| t.name.clone()).collect();
        let mut names = Names::new(&catalog, options.spelling, taken, &there);
        let matched = existing::match_tables(&catalog, &mut names, existing, options.purpose)?;
        for (table, matched) in catalog.tables.iter().zip(&matched).filter(|_| options.purpose != Purpose::Compare) {
            check_width(table, matched.as_ref())?;
        }
        let groups = Groups::of(&catalog);
        let rules = rules::Matched::new(&options.rules, &catalog)?;
        check_rules(&catalog, &rules, &matched, &groups)?;
        let sql = catalog.tables.iter().map(|t| dialect::table::parse(&t.sql).ok()).collect();
        Ok(Self { catalog, options, names, groups, sql, matched, rules })
    }

    /// Whether a target table was found for the source table at this position.
    #[must_use]
    pub fn is_matched(&self, table: usize) -> bool {
        self.matched[table].is_some()
    }

    /// Whether all rows of a table are looked at before one is written: a value that a table which is there refuses, or an
    /// enum, would end the run after hours otherwise.
    #[must_use]
    pub fn is_read_whole(&self, table: usize) -> bool {
        let ends_run = |c: usize| self.rules.policy_of((table, c)).unwrap_or_default() == Policy::Fail;
        let may_refuse = |c: usize| match &self.matched[table] {
            Some(matched) => matched.columns[c].as_ref().is_ok_and(existing::MatchedColumn::may_refuse),
            None => matches!(self.rules.type_of((table, c), &self.groups), Some(PgType::TextLike(_))),
        };
        (0..self.catalog.tables[table].columns.len()).any(|c| may_refuse(c) && ends_run(c))
    }

    /// The columns of a matched table that have no counterpart, each with the reason.
    #[must_use]
    pub fn without_counterpart(&self, table: usize) -> Vec<String> {
        let columns = &self.catalog.tables[table].columns;
        let Some(matched) = &self.matched[table] else { return Vec::new() };
        let told = |(column, found): (&Column, &Result<existing::MatchedColumn, String>)| {
            found.as_ref().err().map(|why| format!("{}: {why}", column.name))
        };
        columns.iter().zip(&matched.columns).filter_map(told).collect()
    }

    /// The catalog of the chosen tables.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What is stated of cells of this column that break a rule.
    #[must_use]
    pub fn policy_of(&self, at: (usize, usize), not_null: bool) -> Option<Policy> {
        self.rules.policy_of(at).map(|policy| without_null(policy, not_null))
    }

    /// What is stated of rows of this table that the server refuses.
    #[must_use]
    pub fn policy_of_rows(&self, table: usize) -> Option<Policy> {
        self.rules.policy_of_rows(table)
    }

    /// The columns that a policy names.
    pub fn with_policy(&self) -> impl Iterator<Item = (usize, usize)> {
        self.rules.with_policy().map(|(at, _)| at)
    }

    /// The rules to try on a table's columns, a list a column.
    #[must_use]
    pub fn trials(&self, table: usize) -> Vec<Trials> {
        let trials = |c: usize| {
            let Some(mut rules) = self.stated_rules((table, c)) else {
                return Trials { rules: self.trials_of((table, c)), counts_misfits: false };
            };
            let policy = self.rules.policy_of((table, c)).unwrap_or_default();
            // Where a policy is stated, it decides; a stand-in is what becomes of text that none was stated for.
            for trial in &mut rules {
                trial.stand_ins &= policy == Policy::Fail;
            }
            Trials { rules, counts_misfits: policy != Policy::Fail }
        };
        (0..self.catalog.tables[table].columns.len()).map(trials).collect()
    }

    // The rules of a column whose type was stated, or was there before; none for a column whose type the rows decide.
    fn stated_rules(&self, at: groups::ColumnId) -> Option<Vec<Trial>> {
        let types = &self.options.types;
        // A reading that a foreign key brings along is none of a column that keeps another type.
        let arrives = match &self.matched[at.0] {
            Some(matched) => matched.columns[at.1].as_ref().ok().map(|column| &column.pg_type),
            None => self.rules.type_of(at, &self.groups),
        };
        let reading =
            self.rules.reading_of(at, &self.groups).map(|reading| rules::conversion(reading, self.options.draw));
        let reading = reading.map(|reading| match reading {
            Conversion::Cast { numbers, split, .. } => Conversion::Cast { numbers, split, zone: cast_zone(types) },
            other => other,
        });
        if let Some(reading) = reading.filter(|reading| arrives.is_some_and(|there| rules::suits(reading, there))) {
            return Some(vec![Trial::new(reading, false)]);
        }
        if let Some(matched) = &self.matched[at.0] {
            let column = matched.columns[at.1].as_ref();
            return Some(column.map_or_else(|_| Vec::new(), |m| m.trials(types)));
        }
        let pg_type = self.rules.type_of(at, &self.groups)?;
        let mut rules = for_stated_type(pg_type, self.rules.labels(pg_type), types);
        let found_by_key = matches!(self.catalog.tables[at.0].row_key, RowKey::Rowid { .. });
        for trial in &mut rules {
            trial.stand_ins &= found_by_key;
        }
        Some(rules)
    }

    // Every member of a group tries the rules of all members, so that a common one can be found.
    fn trials_of(&self, at: groups::ColumnId) -> Vec<Trial> {
        let mut all = self.own_trials(at);
        let last = all.split_off(all.len() - all.len().min(4));
        for member in self.groups.members(at).iter().filter(|m| **m != at) {
            for trial in self.own_trials(*member) {
                if all.iter().chain(&last).all(|t| t.conversion != trial.conversion) {
                    all.push(trial);
                }
            }
        }
        all.extend(last);
        all
    }

    fn own_trials(&self, (t, c): groups::ColumnId) -> Vec<Trial> {
        let table = &self.catalog.tables[t];
        let in_key = table.primary_key.contains(&c)
            || table.indexes.iter().any(|i| i.unique && i.columns.iter().any(|k| k.column == Some(c)))
            || !self.groups.members((t, c)).is_empty();
        let mut types = self.options.types.clone();
        types.narrow_integers |= table.columns.len() > WIDE_TABLE_COLUMNS;
        let mut trials = for_new_column(&table.columns[c].declared, in_key, &types);
        // An original beside the table is found by its row's integer key; without one, the column itself must hold it.
        let found_by_key = matches!(table.row_key, RowKey::Rowid { .. });
        for trial in &mut trials {
            trial.stand_ins &= found_by_key;
        }
        trials
    }

    /// The plan that this evidence gives; `profiles` in the catalog's order.
    pub fn plan(&self, profiles: &[TableProfile]) -> Result<Plan> {
        let mut names = self.names.clone();
        let mut remarks = names.remarks.clone();
        let mut tables = Vec::with_capacity(self.catalog.tables.len());
        let mut relations = Vec::with_capacity(self.catalog.tables.len());
        for position in 0..self.catalog.tables.len() {
            let (table, relation) = match &self.matched[position] {
                Some(matched) => existing::plan(
                    &self.catalog,
                    position,
                    matched,
                    &profiles[position],
                    self.options.purpose,
                    &self.rules,
                    &mut remarks,
                )
                .map(|table| (self.relation(position, &table.columns, &table.target), table))
                .map(|(relation, table)| (table, relation))?,
                None => self.table(position, profiles, &mut names, &mut remarks)?,
            };
            tables.push(table);
            relations.push(relation);
        }
        let views = if self.options.purpose == Purpose::Migrate {
            views::plan(&self.catalog, &names, &self.options.schema, relations, &mut remarks)
        } else {
            Vec::new()
        };
        self.left_out(&mut remarks);
        let is_drawn = self.options.rules.readings.iter().any(|(_, r)| matches!(r, Reading::Drawn { .. }));
        let draw = is_drawn.then_some(self.options.draw);
        let schema = self.options.schema.clone();
        // Who loads rows only finds the enums of the tables that are there.
        let stated = self.options.rules.enums.iter().filter(|_| self.options.purpose == Purpose::Migrate);
        let of = |(name, labels): &(String, Vec<String>)| EnumPlan {
            name: name.clone(),
            labels: labels.clone(),
            existing: false,
        };
        let enums = stated.map(of).collect();
        Ok(Plan { schema, enums, tables, views, remarks, left_alone: Vec::new(), draw })
    }

    fn table(
        &self,
        position: usize,
        profiles: &[TableProfile],
        names: &mut Names,
        remarks: &mut Vec<Remark>,
    ) -> Result<(TablePlan, Relation)> {
        let table = &self.catalog.tables[position];
        let profile = &profiles[position];
        let null_columns: HashSet<usize> =
            (0..table.columns.len()).filter(|&c| profile.columns[c].count(Class::Null) > 0).collect();
        let mut broken = HashSet::new();
        let mut columns: Vec<ColumnPlan> = (0..table.columns.len())
            .map(|c| self.column((position, c), profiles, names, &null_columns, &mut broken, remarks))
            .collect::<Result<_>>()?;
        let relation = self.relation(position, &columns, &names.tables[position]);
        let scope = Scope::table(relation.clone());
        self.generated(position, profile, &scope, &mut columns, remarks);
        let builder = Builder {
            catalog: &self.catalog,
            position,
            sql: self.sql[position].as_ref(),
            scope: &scope,
            columns: &columns,
            null_columns: &null_columns,
        };
        let (primary_key, mut indexes) = builder.primary_key(names, remarks);
        indexes.extend(builder.indexes(names, remarks));
        let mut constraints = Namespace::with(indexes.iter().map(|i| i.name.clone()));
        if let Some(key) = &primary_key {
            constraints.claim(&key.name);
        }
        let checks = builder.checks(&mut constraints, remarks);
        let foreign_keys = builder.foreign_keys(names, &broken, &mut constraints, remarks);
        let plan = TablePlan {
            source: table.name.clone(),
            target: names.tables[position].clone(),
            row_key: table.row_key.clone(),
            existing: false,
            on_refusal: self.rules.policy_of_rows(position).unwrap_or_default(),
            marks: table.marks.clone(),
            columns,
            primary_key,
            indexes,
            checks,
            foreign_keys,
            rows: profile.rows,
            rows_exact: profile.complete,
            bytes: profile.bytes(),
            largest_cell: profile.largest_cell,
            key_bounds: profile.key_bounds,
        };
        Ok((plan, relation))
    }

    fn column(
        &self,
        at: groups::ColumnId,
        profiles: &[TableProfile],
        names: &Names,
        null_columns: &HashSet<usize>,
        broken: &mut HashSet<usize>,
        remarks: &mut Vec<Remark>,
    ) -> Result<ColumnPlan> {
        let table = &self.catalog.tables[at.0];
        let column = &table.columns[at.1];
        let stated = self.rules.type_of(at, &self.groups);
        let policy = stated.and_then(|_| self.rules.policy_of(at)).unwrap_or_default();
        let holds_null = null_columns.contains(&at.1);
        let holds_null = holds_null && !self.rules.null_is_default(at);
        let not_null = !holds_null && (column.not_null || table.primary_key.contains(&at.1));
        check_null(&table.name, &column.name, not_null, policy, self.rules.with_policy().any(|(c, _)| c == at))?;
        let followed = without_null(policy, not_null);
        let choice = match stated {
            Some(pg_type) => choice::choose_stated(&table.name, column, pg_type, &profiles[at.0], at.1, followed)?,
            None => choice::choose(&self.catalog, profiles, &self.groups, at, &self.options.types),
        };
        if choice.breaks_keys {
            broken.insert(at.1);
        }
        let pg_type = stated.map_or_else(|| choice.conversion.pg_type(), |stated| self.spelled(stated));
        let object = format!("{}.{}", table.name, column.name);
        let is_rowid = table.rowid_column() == Some(at.1);
        let default = if is_rowid || column.generated.is_some() {
            None
        } else {
            default_of(column, &pg_type, &choice.conversion, &object, remarks)
        };
        if column.not_null && holds_null {
            remarks.push(Remark::warning(&object, "declared NOT NULL but holds NULL: the column stays nullable"));
        }
        let identity = (is_rowid && matches!(choice.conversion, Conversion::Int { .. } | Conversion::Whole { .. }))
            .then(|| Identity { last: table.sequence, sequence: names.sequences[at.0].clone() });
        Ok(ColumnPlan {
            source: column.name.clone(),
            declared: column.declared.clone(),
            target: names.columns[at.0][at.1].clone(),
            pg_type,
            conversion: choice.conversion,
            stand_ins: choice.stand_ins,
            is_rule: stated.is_some(),
            on_error: followed,
            fallback: None,
            null_is_default: self.rules.null_is_default(at),
            not_null,
            default,
            generated: None,
            identity,
            evidence: choice.evidence,
        })
    }

    // An enum by the name that the server knows it under.
    fn spelled(&self, stated: &PgType) -> PgType {
        match stated {
            PgType::TextLike(name) => PgType::TextLike(qualified(&self.options.schema, name)),
            stated => stated.clone(),
        }
    }

    // A generated column is computed by the server where its expression means the same there; otherwise its
    // values are loaded into a plain one. PostgreSQL forbids one to name another.
    fn generated(
        &self,
        position: usize,
        profile: &TableProfile,
        scope: &Scope,
        columns: &mut [ColumnPlan],
        remarks: &mut Vec<Remark>,
    ) {
        let table = &self.catalog.tables[position];
        for (c, column) in table.columns.iter().enumerate().filter(|(_, c)| c.generated.is_some()) {
            let text =
                self.sql[position].as_ref().and_then(|s| s.column(&column.name)).and_then(|s| s.generated.clone());
            let reason = if profile.columns[c].keep_values {
                "the server could not compute it from these rows".to_owned()
            } else {
                let translated = text.as_deref().map(|t| {
                    dialect::expression(t, scope, &Want::Value(columns[c].pg_type.clone())).map_err(|e| e.reason)
                });
                match translated {
                    Some(Ok(done)) => {
                        // A REAL column of SQLite's has no negative zero: whatever is computed, it reads back as 0.0.
                        let is_real = Affinity::of(&column.declared) == Affinity::Real;
                        let has_sign = is_real && columns[c].pg_type == PgType::Float8;
                        columns[c].generated = Some(if has_sign { format!("({}) + 0", done.sql) } else { done.sql });
                        continue;
                    }
                    Some(Err(reason)) => reason,
                    None => "its expression could not be read".to_owned(),
                }
            };
            let object = format!("{}.{}", table.name, column.name);
            let remark =
                Remark::warning(object, format!("generated column becomes a plain one, its values kept: {reason}"));
            remarks
                .push(remark.with_sql(text.map_or_else(String::new, |t| format!("GENERATED ALWAYS AS ({t}) STORED"))));
        }
    }

    fn relation(&self, position: usize, columns: &[ColumnPlan], target: &str) -> Relation {
        let table = &self.catalog.tables[position];
        let sql = self.sql[position].as_ref();
        let columns: Vec<dialect::Column> = columns
            .iter()
            .map(|c| {
                let collation = sql.and_then(|s| s.column(&c.source)).and_then(|s| s.collation.clone());
                dialect::Column::new(&c.source, &c.target, c.pg_type.clone())
                    .declared(&c.declared)
                    .collation(collation)
                    .not_null(c.not_null)
                    .uniform(is_uniform(&c.conversion))
            })
            .collect();
        let rowid = table.rowid_column().map(|r| &table.columns[r].name);
        let rowid = rowid.and_then(|name| columns.iter().position(|c| c.source == *name));
        Relation::new(&table.name, &self.options.schema, target, columns).rowid(rowid)
    }

    fn left_out(&self, remarks: &mut Vec<Remark>) {
        remarks.extend(self.catalog.remarks.iter().map(|r| Remark::warning("schema", r)));
        for table in &self.catalog.virtual_tables {
            let shadows = if table.shadows.is_empty() {
                String::new()
            } else {
                format!(" with the tables behind it ({})", table.shadows.join(", "))
            };
            let text = format!("virtual table of module `{}` left out{shadows}: {}", table.module, hint(&table.module));
            remarks.push(Remark::warning(&table.name, text).with_sql(table.sql.clone()));
        }
        for trigger in &self.catalog.triggers {
            let text = format!("trigger on `{}` not translated", trigger.table);
            remarks.push(Remark::warning(&trigger.name, text).with_sql(trigger.sql.clone()));
        }
    }
}

fn hint(module: &str) -> &'static str {
    match module {
        "fts3" | "fts4" | "fts5" => "a GIN index on to_tsvector(…), or pg_trgm, searches text in PostgreSQL",
        "rtree" | "rtree_i32" | "geopoly" => "a GiST index on a range, box or PostGIS geometry takes its place",
        _ => "PostgreSQL has no such module",
    }
}

fn default_of(
    column: &Column,
    pg_type: &PgType,
    conversion: &Conversion,
    object: &str,
    remarks: &mut Vec<Remark>,
) -> Option<String> {
    let text = column.default.as_deref()?;
    default::translate(text, pg_type, Some(conversion)).unwrap_or_else(|e| {
        let remark = Remark::warning(object, format!("default not translated: {}", e.reason));
        remarks.push(remark.with_sql(format!("DEFAULT {text}")));
        None
    })
}

fn is_uniform(conversion: &Conversion) -> bool {
    !matches!(
        conversion,
        Conversion::Text { numbers: true, .. }
            | Conversion::Bytea { all_classes: true }
            | Conversion::Numeric { text: true, .. }
            | Conversion::Whole { .. }
    )
}

// A policy that one column was given has to be one that it can follow, and a stated type one that lite2pg makes.
fn check_rules(catalog: &Catalog, rules: &rules::Matched, matched: &[Option<Matched>], groups: &Groups) -> Result<()> {
    let name = |(t, c): groups::ColumnId| format!("{}.{}", catalog.tables[t].name, catalog.tables[t].columns[c].name);
    let there = |at: groups::ColumnId| matched[at.0].as_ref().map(|m| m.columns[at.1].as_ref().map(|c| &c.pg_type));
    for (at, reading) in rules.read() {
        let reading = rules::conversion(reading, Draw::default());
        if let Some(Ok(found)) = there(at).filter(|found| found.is_ok_and(|found| !rules::suits(&reading, found))) {
            let wanted = rules.type_of(at, groups).map_or_else(|| reading.pg_type(), Clone::clone);
            return Err(Error::new(
                Kind::Usage,
                format!("`{}` becomes {wanted}, and the target's is {found}", name(at)),
            )
            .state("nothing was written")
            .hint("ALTER TABLE … ALTER COLUMN … TYPE … changes it"));
        }
    }
    // A type that is stated and is the target's says nothing new.
    let is_other = |at: &groups::ColumnId| {
        let stated = rules.type_of(*at, groups);
        let is_same = |found: &PgType| match (found, stated) {
            (PgType::TextLike(found), Some(PgType::TextLike(name))) => {
                [name.clone(), quoted(name)].iter().any(|name| found == name || found.ends_with(&format!(".{name}")))
            }
            (found, stated) => Some(found) == stated,
        };
        matches!(there(*at), Some(found) if !found.is_ok_and(is_same))
    };
    if let Some(at) = rules.typed().find(is_other) {
        return Err(Error::new(Kind::Usage, format!("`--type` names `{}`, whose table is on the target", name(at)))
            .fact("tables that are there keep their types")
            .state("nothing was written")
            .hint("ALTER TABLE … ALTER COLUMN … TYPE … changes them"));
    }
    for (at, policy) in rules.with_policy() {
        if policy != Policy::Fail && matched[at.0].is_none() && rules.type_of(at, groups).is_none() {
            return Err(no_rule(&name(at)));
        }
    }
    Ok(())
}

/// The refusal of a policy for a column whose type is decided by its rows.
#[must_use]
pub fn no_rule(column: &str) -> Error {
    Error::new(Kind::Usage, format!("`--on-error` names `{column}`, which has no rule to keep"))
        .fact("the column's type is decided by its rows, so that every value fits it")
        .state("nothing was written")
        .hint(format!("--type {} makes a type the rule", for_shell(&format!("{column}=TYPE"))))
}

/// Refuses `null` where it was stated for a column that takes no NULL.
fn check_null(table: &str, column: &str, not_null: bool, policy: Policy, is_own: bool) -> Result<()> {
    if !(not_null && is_own && policy == Policy::Null) {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("`--on-error {table}.{column}=null`: the column is NOT NULL"))
        .state("nothing was written")
        .hint(format!("{} sets such rows aside", reject(&format!("{table}.{column}")))))
}

/// A table's or a run's `null` cannot be followed by a column that takes no NULL.
fn without_null(policy: Policy, not_null: bool) -> Policy {
    if not_null && policy == Policy::Null { Policy::Fail } else { policy }
}

fn check_width(table: &Table, matched: Option<&Matched>) -> Result<()> {
    if table.columns.len() <= PG_COLUMNS_MAX || matched.is_some() {
        return Ok(());
    }
    Err(Error::new(
        Kind::Blocked,
        format!(
            "`{}` has {} columns; a PostgreSQL table has room for {PG_COLUMNS_MAX}",
            table.name,
            table.columns.len()
        ),
    )
    .state("nothing was written")
    .hint(format!("leave it out with `{}`, or split it in SQLite first", exclude(&table.name))))
}
