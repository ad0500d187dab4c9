//! A pipeline file that says what lite2pg would decide by itself: a text to review, to edit, and to run.
//!
//! A line that begins with `# ` is prose; one that begins with `#` and a key is a setting that is off, and is right once
//! the `#` is taken away.

use super::layout::clean;
use crate::dialect::question;
use crate::model::bookkeeping::Bookkeeping;
use crate::model::figures::plural;
use crate::model::plan::{ColumnPlan, Plan, TablePlan};
use crate::model::source::Catalog;
use std::fmt::Write as _;

/// Columns of a line for a column's key and for its setting; longer ones push the comment behind them.
const KEY_COLUMNS: usize = 24;
const SETTING_COLUMNS: usize = 36;

/// The file for a source, as `source` names it.
#[must_use]
pub fn text(plan: &Plan, catalog: &Catalog, name: &str, source: &str) -> String {
    let mut out = String::new();
    head(&mut out, plan, name, source);
    for table in &plan.tables {
        one(&mut out, table, catalog);
    }
    tail(&mut out, plan);
    out
}

fn head(out: &mut String, plan: &Plan, name: &str, source: &str) {
    let rows: u64 = plan.tables.iter().map(|t| t.rows).sum();
    let about = if plan.tables.iter().all(|t| t.rows_exact) { "" } else { "about " };
    let tables = plural(plan.tables.len() as u64, "table");
    let _ = write!(
        out,
        "# {tables}, {about}{rows}. Lines that begin with `#` and a key are what lite2pg decides by itself: take the
# `#` away to make one a rule. docs/pipelines.md has every key.
#
#   lite2pg plan    -p FILE --target TARGET    what would happen; changes nothing
#   lite2pg migrate -p FILE --target TARGET    do it; the same command again resumes
#   lite2pg verify  -p FILE --target TARGET    compare both sides, cell by cell

name   = {}
source = {}    # relative to this file; --source overrides
#target = \"embedded\"    # a throw-away server; or \"${{DATABASE_URL}}\", --target overrides

# What becomes of a value that breaks a rule: \"fail\", \"reject\" (set the row aside), \"null\" or \"default\".
on_error = \"fail\"

# How names change: \"preserve\", \"lower\" or \"snake\" (createdAt becomes created_at).
#identifiers = \"preserve\"

# What times without a zone mean.
#assume_tz = \"UTC\"

# Rows go only into tables that the application has made.
#data_only = false

# Rows that are set aside are listed here; the run ends once there are more than `max`.
[rejects]
dir = \"rejects\"
#max = 1000

# Copies of both sides before anything is written.
#[backup]
#dir = \"backups\"
#keep_days = 30
",
        toml_text(name),
        toml_text(source),
        rows = plural(rows, "row"),
    );
}

fn one(out: &mut String, table: &TablePlan, catalog: &Catalog) {
    let about = if table.rows_exact { "" } else { "about " };
    let key = table.primary_key.as_ref().map_or_else(String::new, |k| format!(", key ({})", k.columns.join(", ")));
    let _ = writeln!(out, "\n# {}: {about}{}{}", clean(&table.source), plural(table.rows, "row"), clean(&key));
    if let Some(known) = catalog.table(&table.source).and_then(Bookkeeping::of) {
        let _ = writeln!(
            out,
            "# {} keeps its migrations here: left alone where the target has a table like it.",
            known.owner
        );
    }
    let _ = writeln!(out, "[[table]]\nfrom = {}", toml_text(&table.source));
    let _ = writeln!(out, "#to = {}", toml_text(&table.target));
    let _ = writeln!(out, "[table.columns]");
    for column in table.columns.iter().filter(|c| c.generated.is_none()) {
        let _ = writeln!(out, "{}", setting(column));
    }
    for column in table.columns.iter().filter(|c| c.generated.is_some()) {
        let _ = writeln!(out, "# {}: the target computes it itself", clean(&column.source));
    }
}

fn setting(column: &ColumnPlan) -> String {
    let renamed =
        if column.target == column.source { String::new() } else { format!("to = {}, ", toml_text(&column.target)) };
    let setting = format!("{{ {renamed}type = \"{}\" }}", column.pg_type);
    let line = format!("#{:KEY_COLUMNS$} = {setting:SETTING_COLUMNS$}", toml_key(&column.source));
    format!("{line}  # {}", clean(&column.evidence)).trim_end().to_owned()
}

fn tail(out: &mut String, plan: &Plan) {
    if let Some(table) = plan.tables.iter().max_by_key(|t| t.rows) {
        let (here, there) = (question::count(&table.source), question::count(&table.target));
        let _ = write!(
            out,
            "
# Questions to both sides at the end: a wrong answer is exit code 5.
#[[check]]
#name   = {}
#source = {}
#target = {}
",
            toml_text(&format!("no row of {} is lost", table.source)),
            toml_text(&here),
            toml_text(&there)
        );
    }
    if plan.remarks.is_empty() {
        return;
    }
    out.push_str("\n# To know beforehand; `lite2pg plan` tells it with the SQL to edit:\n");
    for remark in &plan.remarks {
        let _ = writeln!(out, "# - {}: {}", clean(&remark.object), clean(&remark.text.replace('\n', " ")));
    }
}

fn toml_key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if is_bare { name.to_owned() } else { toml_text(name) }
}

// A text or key on one line whatever it holds.
fn toml_text(name: &str) -> String {
    let mut out = String::from("\"");
    for c in name.chars() {
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            c if c.is_control() => write!(out, "\\u{:04X}", u32::from(c)),
            c => write!(out, "{c}"),
        };
    }
    out.push('"');
    out
}
