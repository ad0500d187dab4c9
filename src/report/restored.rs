//! The result of a way back: a table for people, JSON for programs.

use super::layout::{clean, cut, wrapped};
use super::losses;
use super::verification;
use crate::error::{Error, Kind};
use crate::model::figures::{count, duration, plural};
use crate::model::restored::{Ending, Restored, TableRestored, Unfit};
use crate::model::verdict::{Outcome, Verification};
use comfy_table::{CellAlignment, Table, presets};
use std::fmt::Write as _;

/// Columns of the screen for a table's name.
const NAME_COLUMNS_MAX: usize = 22;

/// The whole result: a line a table, what cannot go back, and one line on all of it.
#[must_use]
pub fn text(restored: &Restored) -> String {
    let mut out = String::new();
    if !restored.tables.is_empty() {
        let _ = writeln!(out, "{}\n", tables(restored).trim_fmt());
    }
    for unfit in &restored.unfit {
        self::unfit(unfit, &mut out);
    }
    if !restored.unfit.is_empty() {
        out.push('\n');
    }
    if let Some(losses) = &restored.losses {
        let _ = writeln!(out, "{}", wrapped("only the source has: ", &losses::sum(losses), 2));
        for line in losses::first_lines(losses) {
            let _ = writeln!(out, "{}", wrapped("  ", &line, 4));
        }
        out.push('\n');
    }
    for (table, last) in &restored.sequences {
        let text = format!("`{table}`: AUTOINCREMENT goes on behind {last}, where PostgreSQL's identity stands");
        let _ = writeln!(out, "{}", wrapped("", &text, 2));
    }
    if restored.fence_kept {
        let tables = plural(restored.fenced, "table");
        let text = format!("writers of {tables} stay refused: `--fence=lift` ends that");
        let _ = writeln!(out, "{}", wrapped("", &text, 2));
    }
    out.push_str(&last_lines(restored));
    out
}

/// The result as one JSON object.
#[must_use]
pub fn json(restored: &Restored) -> String {
    serde_json::to_string_pretty(restored).expect("a result has string keys only")
}

/// What lifting a fence did.
#[must_use]
pub fn lifted(tables: &[String], as_json: bool) -> String {
    if as_json {
        return serde_json::json!({ "lifted": tables }).to_string() + "\n";
    }
    match tables.len() {
        0 => "no fence was up\n".to_owned(),
        n => format!("the fence is lifted: {} can be written to again\n", plural(n as u64, "table")),
    }
}

/// The error that a way back ends with where something cannot go back.
#[must_use]
pub fn error(restored: &Restored) -> Option<Error> {
    let first = restored.unfit.first()?;
    let places = restored.unfit.len();
    let rest = if places > 1 { format!(", and {} more", count(places as u64 - 1)) } else { String::new() };
    let what = format!("{}: {}{rest}", name(first), first.reason);
    Some(match restored.ending {
        Ending::Refused => Error::new(Kind::Blocked, "PostgreSQL holds what SQLite cannot take back")
            .fact(what)
            .state("nothing was restored; the source and earlier files are as they were")
            .hint(
                "change it in PostgreSQL; `--leave NAME` does without a table or column, `--export-unmappable DIR` puts \
                 the values into files and goes on without them",
            ),
        ending => {
            let state = match ending {
                Ending::DryRun => "this was a dry run; nothing was restored",
                _ => "the restored file holds everything else",
            };
            let error = Error::new(Kind::Rejected, "not everything went back into SQLite").fact(what).state(state);
            match &first.file {
                Some(file) => error.hint(format!("{file} has the values")),
                None => error,
            }
        }
    })
}

fn tables(restored: &Restored) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["table", "unchanged", "updated", "inserted", "deleted", "cannot"]);
    for t in &restored.tables {
        let figure = |n: u64| if n == 0 { "-".to_owned() } else { count(n) };
        let TableRestored { unchanged, updated, inserted, deleted, unfit, .. } = t;
        let figures = [unchanged, updated, inserted, deleted, unfit].map(|n| figure(*n));
        let cells = std::iter::once(cut(&t.source, NAME_COLUMNS_MAX)).chain(figures);
        table.add_row(cells.collect::<Vec<_>>());
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn name(unfit: &Unfit) -> String {
    match &unfit.column {
        Some(column) => format!("`{}.{column}`", unfit.table),
        None => format!("`{}`", unfit.table),
    }
}

fn unfit(unfit: &Unfit, out: &mut String) {
    let text = format!("cannot go back: {}, {}: {}", name(unfit), count(unfit.count), unfit.reason);
    let _ = writeln!(out, "{}", wrapped("", &text, 2));
    if !unfit.keys.is_empty() {
        let more = if unfit.count > unfit.keys.len() as u64 { ", …" } else { "" };
        let _ = writeln!(out, "{}", wrapped("  ", &format!("{}{more}", unfit.keys.join(", ")), 4));
    }
    if let Some(file) = &unfit.file {
        let _ = writeln!(out, "  all of them, with values: {}", clean(file));
    }
}

// How the file compares with PostgreSQL.
fn compared(verification: &Verification, restored: &Restored) -> String {
    if verification.is_equal() {
        return verification::short(verification);
    }
    let mut out = String::new();
    let mut but = Vec::new();
    for table in verification.tables.iter().filter(|t| !t.unverified.is_empty()) {
        for column in &table.unverified {
            let text = format!("`{}` has an unverified column: {column}", table.table);
            let _ = writeln!(out, "{}", wrapped("", &text, 2));
        }
        but = vec!["these columns"];
    }
    if restored.tables.iter().any(|t| t.unfit > 0) {
        but.push("what cannot go back");
    }
    for table in &verification.tables {
        if let Outcome::Unverified { why } = &table.outcome {
            let _ = writeln!(out, "{}", wrapped("", &format!("`{}` was not compared: {why}", table.table), 2));
            but.push("what was not compared");
        }
    }
    but.dedup();
    if !verification.sequences.is_empty() {
        for sequence in &verification.sequences {
            let _ = writeln!(out, "{}", wrapped("", sequence, 2));
        }
        but.push("these sequences");
    }
    if but.is_empty() {
        but.push("what was left out");
    }
    let rows: u64 = verification.tables.iter().map(|t| t.target_rows).sum();
    let tables = plural(verification.tables.len() as u64, "table");
    let text =
        format!("compared: every cell of {} in {tables} agrees, but for {}", plural(rows, "row"), but.join(" and "));
    out + &wrapped("", &text, 2) + "\n"
}

fn last_lines(restored: &Restored) -> String {
    let sum = |of: fn(&TableRestored) -> u64| restored.tables.iter().map(of).sum::<u64>();
    let (same, updated) = (sum(|t| t.unchanged), sum(|t| t.updated));
    let (inserted, deleted) = (sum(|t| t.inserted), sum(|t| t.deleted));
    let what = format!(
        "{} as the source had them, {} updated, {} inserted, {} deleted, in {}",
        plural(same, "row"),
        count(updated),
        count(inserted),
        count(deleted),
        duration(restored.ms)
    );
    let mut out = String::new();
    if let Some(verification) = &restored.verification {
        out.push_str(&compared(verification, restored));
    }
    let lead = match (restored.ending, &restored.file) {
        (Ending::Published, Some(file)) => format!("restored: {}: ", clean(file)),
        (Ending::Published, None) => "restored: ".to_owned(),
        (Ending::DryRun, _) => "dry run, nothing was written: ".to_owned(),
        (Ending::Refused, _) => "refused, nothing was written: ".to_owned(),
    };
    let _ = writeln!(out, "{}", wrapped("", &format!("{lead}{what}"), 2));
    out
}
