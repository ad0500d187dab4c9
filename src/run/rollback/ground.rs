//! What of a run's plan still holds on the target, and what the target has that the plan does not name.

use super::super::verify::{as_it_is, reads_like};
use super::Both;
use super::place::AS_IT_WAS;
use crate::error::{Error, Kind, Result};
use crate::model::conversion::Conversion;
use crate::model::pg_type::PgType;
use crate::model::plan::{Plan, Remark, TablePlan};
use crate::model::reshape::TableShape;
use crate::model::restored::Extent;
use crate::model::source::Catalog;
use crate::postgres::catalog::{self, ExistingColumn};
use crate::postgres::stranger::{self, Stranger};
use crate::postgres::{Session, control::RunRecord};
use crate::rollback::carry::way_back;
use crate::rollback::down::affinity;
use std::collections::{HashMap, HashSet};

/// What the way back goes by.
pub struct Ground {
    /// The tables that are on both sides, with the columns that are.
    pub plan: Plan,
    /// For each table, columns of the source that stay as they are.
    pub unverified: Vec<Vec<String>>,
    /// What only the target has, or has in another type now.
    pub strangers: Vec<Stranger>,
    /// Tables of the target that have no way back, with the reason.
    pub one_way: HashMap<String, String>,
    /// What a person should know.
    pub remarks: Vec<Remark>,
}

impl Ground {
    /// Looks at the target.
    pub fn look(session: &Session, run: &RunRecord, sides: &Both<'_>, leave: &[String]) -> Result<Self> {
        let schema = &run.plan.schema;
        let mut left = Left::new(leave);
        let known: HashSet<&str> = run.plan.tables.iter().map(|t| t.target.as_str()).collect();
        let relations = stranger::tables(session, schema)?;
        let names: Vec<String> = run.plan.tables.iter().map(|t| t.target.clone()).collect();
        let columns = catalog::columns_of(session, schema, &names)?;
        let mut ground = Self {
            plan: Plan {
                tables: Vec::new(),
                views: Vec::new(),
                remarks: Vec::new(),
                schema: schema.clone(),
                left_alone: Vec::new(),
                draw: None,
                enums: Vec::new(),
            },
            unverified: Vec::new(),
            strangers: Vec::new(),
            one_way: HashMap::new(),
            remarks: Vec::new(),
        };
        for table in &run.plan.tables {
            // Both names are asked for, so that both count as used.
            if left.has(&table.source, None) | left.has(&table.target, None) {
                let text = "stays as the source has it, as asked";
                ground.remarks.push(Remark::note(&table.source, text));
                continue;
            }
            let Some(there) = columns.get(&table.target).filter(|_| relations.contains(&table.target)) else {
                let text = "the target has no such table any more: its rows stay as the source has them";
                ground.remarks.push(Remark::warning(&table.source, text));
                continue;
            };
            ground.table(table, there, sides.shaped, &mut left)?;
            let way = way_back(&table.target, sides.reshape.table(&table.source), sides.base.table(&table.source));
            let shape = sides.reshape.table(&table.source);
            if way.extent == Extent::OneWay || shape.is_some_and(TableShape::is_made_of_others) {
                ground.one_way.insert(table.target.clone(), way.notes.join("; "));
            }
        }
        // The application's own records of what it has migrated are each side's own.
        let is_alone = |name: &str| run.plan.left_alone.iter().any(|alone| alone.eq_ignore_ascii_case(name));
        for name in relations.iter().filter(|name| !known.contains(name.as_str()) && !is_alone(name)) {
            if !left.has(name, None) {
                ground.strangers.push(Stranger { table: name.clone(), column: None, was_filled: false });
            }
        }
        for table in sides.base.tables.iter().filter(|t| run.plan.tables.iter().all(|p| p.source != t.name)) {
            ground.remarks.push(Remark::note(&table.name, "that run left it out: stays as the source has it"));
        }
        left.all_used()?;
        Ok(ground)
    }

    fn table(
        &mut self,
        plan: &TablePlan,
        there: &[ExistingColumn],
        source: &Catalog,
        left: &mut Left<'_>,
    ) -> Result<()> {
        let table = source.table(&plan.source).ok_or_else(|| {
            Error::new(Kind::Blocked, format!("the source has no table `{}` any more", plan.source)).state(AS_IT_WAS)
        })?;
        let mut plan = plan.clone();
        let mut unverified = Vec::new();
        let is_left = |left: &mut Left<'_>, plan: &TablePlan, source: &str, target: &str| {
            let names =
                [(&plan.source, source), (&plan.source, target), (&plan.target, source), (&plan.target, target)];
            names.into_iter().fold(false, |any, (table, column)| any | left.has(table, Some(column)))
        };
        let mut columns = std::mem::take(&mut plan.columns);
        columns.retain_mut(|column| {
            let name = format!("{}.{}", plan.source, column.source);
            let name_there = Some(column.target.clone());
            let stranger = Stranger { table: plan.target.clone(), column: name_there, was_filled: true };
            let why = if is_left(left, &plan, &column.source, &column.target) {
                self.remarks.push(Remark::note(name, "stays as the source has it, as asked"));
                "left as the source has it"
            } else {
                match there.iter().find(|c| c.name == column.target) {
                    None => {
                        let text = "the target has no such column any more: its cells stay as the source has them";
                        self.remarks.push(Remark::warning(name, text));
                        "the target has no such column any more"
                    }
                    Some(c) if matches!(c.pg_type, PgType::Cast(_)) && reads_like(&c.pg_type, &column.pg_type) => {
                        let text = format!("{} is cast by PostgreSQL, which has no way back", c.type_text);
                        self.remarks.push(Remark::warning(name, text));
                        self.strangers.push(stranger);
                        "its type has no way back"
                    }
                    Some(c) if !reads_like(&c.pg_type, &column.pg_type) => {
                        let text = format!("its type on the target is {} now, which has no way back", c.type_text);
                        self.remarks.push(Remark::warning(name, text));
                        self.strangers.push(stranger);
                        "its type on the target is another now"
                    }
                    Some(c) => {
                        as_it_is(column, &c.pg_type);
                        // A new text that looks like a number becomes one in such a column, as it would have there.
                        if affinity(table, &column.declared).is_number()
                            && let Conversion::Text { numbers, .. } = &mut column.conversion
                        {
                            *numbers = true;
                        }
                        return true;
                    }
                }
            };
            unverified.push(format!("{}: {why}", column.source));
            false
        });
        let planned = |name: &str| columns.iter().any(|c| c.target == name) || self.is_stranger(&plan.target, name);
        let more: Vec<Stranger> = there
            .iter()
            .filter(|c| !planned(&c.name))
            .map(|c| Stranger { table: plan.target.clone(), column: Some(c.name.clone()), was_filled: false })
            .collect();
        for stranger in more {
            let name = stranger.column.clone().unwrap_or_default();
            if !is_left(left, &plan, &name, &name) {
                self.strangers.push(stranger);
            }
        }
        plan.columns = columns;
        self.plan.tables.push(plan);
        self.unverified.push(unverified);
        Ok(())
    }

    fn is_stranger(&self, table: &str, column: &str) -> bool {
        self.strangers.iter().any(|s| s.table == table && s.column.as_deref() == Some(column))
    }
}

// What a person wants left as it is: `TABLE` or `TABLE.COLUMN`.
struct Left<'a> {
    names: Vec<(&'a str, bool)>,
}

impl<'a> Left<'a> {
    fn new(names: &'a [String]) -> Self {
        Self { names: names.iter().map(|name| (name.as_str(), false)).collect() }
    }

    // The command line may repeat what the pipeline says.
    fn has(&mut self, table: &str, column: Option<&str>) -> bool {
        let wanted = column.map_or_else(|| table.to_owned(), |column| format!("{table}.{column}"));
        let mut is_named = false;
        for (_, used) in self.names.iter_mut().filter(|(name, _)| *name == wanted) {
            *used = true;
            is_named = true;
        }
        is_named
    }

    fn all_used(&self) -> Result<()> {
        let Some((name, _)) = self.names.iter().find(|(_, used)| !used) else { return Ok(()) };
        Err(Error::new(Kind::Usage, format!("`{name}`, which is to be left, names no table and no column"))
            .state(AS_IT_WAS)
            .hint(
                "`--leave`, and `leave` of a pipeline, take TABLE or TABLE.COLUMN, as the source or the target has it",
            ))
    }
}
