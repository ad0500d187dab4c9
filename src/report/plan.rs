//! A plan as text: what a dry run prints.

use super::layout::{SCREEN_COLUMNS, cell, clean, columns, wrapped};
use super::message;
use crate::model::figures::{bytes, count, plural};
use crate::model::plan::{ColumnPlan, TablePlan};
use crate::model::restored::{Extent, WayBack, Why};
use crate::run::DryRun;
use std::fmt::Write as _;

/// Columns of the screen for a column's name; a longer one is cut.
const NAME_COLUMNS_MAX: usize = 24;

/// The same for its type: most fit, and the evidence needs the rest.
const TYPE_COLUMNS_MAX: usize = 28;

/// The plan, table by table, then what a person should know. `sql` is the DDL script to append.
#[must_use]
pub fn text(dry: &DryRun, with_sql: bool) -> String {
    let DryRun { plan, ways_back, snapshot, .. } = dry;
    let mut out = format!(
        "{} and {} into schema `{}`\n{}\n",
        plural(plan.tables.len() as u64, "table"),
        plural(plan.views.len() as u64, "view"),
        clean(&plan.schema),
        wrapped("source  ", snapshot, 8),
    );
    for stated in &plan.enums {
        let there = if stated.existing { ", there already" } else { "" };
        let head = format!("\nenum {}{there} ", clean(&stated.name));
        let _ = writeln!(out, "{}", wrapped(&head, &format!("({})", stated.labels.join(", ")), 6));
    }
    for t in &plan.tables {
        table(t, &mut out);
        for way in ways_back.iter().filter(|way| way.table == t.target && way.extent != Extent::Whole) {
            way_back(way, &mut out);
        }
    }
    for view in &plan.views {
        let _ = writeln!(out, "\nview {}", clean(&view.target));
    }
    let whole = ways_back.iter().filter(|way| way.extent == Extent::Whole).count();
    let words = match ways_back.len() - whole {
        0 => "every table goes back whole".to_owned(),
        _ => format!("{whole} of {} go back whole, the others as they say", plural(ways_back.len() as u64, "table")),
    };
    if !ways_back.is_empty() {
        let _ = writeln!(out, "\n{}", wrapped("way back  ", &words, 10));
    }
    if !dry.unreturned.is_empty() {
        unreturned(dry, &mut out);
    }
    if !plan.remarks.is_empty() {
        out.push('\n');
    }
    for remark in &plan.remarks {
        let _ = writeln!(out, "{}", message::remark(remark));
    }
    if with_sql {
        let _ = write!(out, "\n{}", dry.script);
    }
    out
}

// What a way back will be refused for, and what to write so that it is not.
fn unreturned(dry: &DryRun, out: &mut String) {
    let of = |why: Why| {
        let names = dry.unreturned.iter().filter(|of| of.why == why).map(|of| format!("`{}`", of.name));
        names.collect::<Vec<_>>().join(", ")
    };
    for (names, what) in [
        (of(Why::OnlyThere), "only PostgreSQL has it: a way back is refused where it holds anything"),
        (of(Why::OneWay), "has no way back: refused where PostgreSQL changed anything in it"),
    ] {
        if !names.is_empty() {
            let _ = writeln!(out, "{}", wrapped("          ", &format!("{names}: {what}"), 12));
        }
    }
    let names = dry.leave.iter().chain(dry.unreturned.iter().map(|of| &of.name));
    let list: Vec<String> = names.map(|name| serde_json::Value::from(name.as_str()).to_string()).collect();
    let words = "to do without, in a pipeline (`--leave NAME` for each without one; `--export-unmappable DIR` keeps them in files):";
    let _ = writeln!(out, "{}\n            [rollback]", wrapped("          ", words, 12));
    let _ = writeln!(out, "{}", wrapped("            ", &format!("leave = [{}]", list.join(", ")), 14));
}

// How much of a table a rollback brings back, and what it does not.
fn way_back(way: &WayBack, out: &mut String) {
    object(out, &format!("way back: {}", way.extent.words()));
    for note in &way.notes {
        let _ = writeln!(out, "{}", wrapped("      ", note, 8));
    }
}

/// Adds one table of a plan: its columns with their evidence, its keys and indexes.
pub fn table(table: &TablePlan, out: &mut String) {
    let about = if table.rows_exact { "" } else { "~" };
    let existing = if table.existing { ", loaded into the table that is there" } else { "" };
    let figures = format!("({about}{} rows, {about}{}{existing})", count(table.rows), bytes(table.bytes));
    let _ = writeln!(out, "\n{}", wrapped(&format!("table {} ", clean(&table.target)), &figures, 6));
    let widest = |of: fn(&ColumnPlan) -> String, max: usize| {
        table.columns.iter().map(|c| columns(&of(c))).max().unwrap_or(0).min(max)
    };
    let names = widest(|c| c.target.clone(), NAME_COLUMNS_MAX);
    let types = widest(definition, TYPE_COLUMNS_MAX);
    for column in &table.columns {
        let _ = writeln!(out, "{}", line(column, names, types));
    }
    if let Some(key) = &table.primary_key {
        object(out, &format!("primary key {} ({})", key.name, key.columns.join(", ")));
    }
    for index in &table.indexes {
        let kind = match (index.constraint, index.unique) {
            (true, _) => "unique constraint",
            (_, true) => "unique index",
            _ => "index",
        };
        let condition = index.condition.as_ref().map_or_else(String::new, |c| format!(" where {c}"));
        object(out, &format!("{kind} {} ({}){condition}", index.name, index.terms));
    }
    for mark in &table.marks {
        let about = mark.column.as_ref().map_or_else(String::new, |column| format!("{column}: "));
        let done = if mark.rejects { "rows set aside" } else { "rows counted" };
        object(out, &format!("{done}: {about}{}", mark.words));
    }
    for check in &table.checks {
        object(out, &format!("check {} ({})", check.name, check.condition));
    }
    for key in &table.foreign_keys {
        let (own, parents) = (key.columns.join(", "), key.parent_columns.join(", "));
        object(out, &format!("foreign key {} ({own}) references {} ({parents})", key.name, key.parent));
    }
}

// A column: its name, what it becomes, and why. A type that is longer than its place pushes the reason below.
fn line(column: &ColumnPlan, names: usize, types: usize) -> String {
    let definition = clean(&definition(column));
    let at = 2 + names + 2 + types + 2;
    let lead = format!("  {}  ", cell(&column.target, names));
    if columns(&definition) <= types {
        return wrapped(&format!("{lead}{}  ", cell(&definition, types)), &column.evidence, at).trim_end().to_owned();
    }
    let first = wrapped(&lead, &definition, at.min(SCREEN_COLUMNS / 2));
    format!("{first}\n{}", wrapped(&" ".repeat(at), &column.evidence, at))
}

fn object(out: &mut String, text: &str) {
    let _ = writeln!(out, "{}", wrapped("  ", text, 6));
}

fn definition(column: &ColumnPlan) -> String {
    let mut words = column.pg_type.to_string();
    if column.identity.is_some() {
        words.push_str(" identity");
    }
    if column.generated.is_some() {
        words.push_str(" generated");
    }
    if column.not_null {
        words.push_str(" not null");
    }
    words
}
