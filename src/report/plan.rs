//! A plan as text: what a dry run prints.

use super::figures::{bytes, count, plural};
use super::message;
use crate::model::plan::{ColumnPlan, Plan, TablePlan};
use std::fmt::Write as _;

/// The plan, table by table, then what a person should know. `sql` is the DDL script to append.
#[must_use]
pub fn text(plan: &Plan, snapshot: &str, sql: Option<&str>) -> String {
    let mut out = format!(
        "{} and {} into schema `{}`; source held still by {snapshot}\n",
        plural(plan.tables.len() as u64, "table"),
        plural(plan.views.len() as u64, "view"),
        plan.schema
    );
    for t in &plan.tables {
        table(t, &mut out);
    }
    for view in &plan.views {
        let _ = writeln!(out, "\nview {}", view.target);
    }
    if !plan.remarks.is_empty() {
        out.push('\n');
    }
    for remark in &plan.remarks {
        let _ = writeln!(out, "{}", message::remark(remark));
    }
    if let Some(sql) = sql {
        let _ = write!(out, "\n{sql}");
    }
    out
}

fn table(table: &TablePlan, out: &mut String) {
    let about = if table.rows_exact { "" } else { "~" };
    let existing = if table.existing { ", loaded into the table that is there" } else { "" };
    let _ = writeln!(
        out,
        "\ntable {} ({about}{} rows, {about}{}{existing})",
        table.target,
        count(table.rows),
        bytes(table.bytes)
    );
    for column in &table.columns {
        let _ = writeln!(out, "  {:<24} {:<18} {}", column.target, definition(column), column.evidence);
    }
    if let Some(key) = &table.primary_key {
        let _ = writeln!(out, "  primary key {} ({})", key.name, key.columns.join(", "));
    }
    for index in &table.indexes {
        let kind = match (index.constraint, index.unique) {
            (true, _) => "unique constraint",
            (_, true) => "unique index",
            _ => "index",
        };
        let condition = index.condition.as_ref().map_or_else(String::new, |c| format!(" where {c}"));
        let _ = writeln!(out, "  {kind} {} ({}){condition}", index.name, index.terms);
    }
    for check in &table.checks {
        let _ = writeln!(out, "  check {} ({})", check.name, check.condition);
    }
    for key in &table.foreign_keys {
        let _ = writeln!(
            out,
            "  foreign key {} ({}) references {} ({})",
            key.name,
            key.columns.join(", "),
            key.parent,
            key.parent_columns.join(", ")
        );
    }
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
