//! The result of a run: a table for people, JSON for programs.

use super::layout::{cut, escaped, wrapped};
use super::{checks, rejected, verification};
use crate::model::event::{Phase, Summary};
use crate::model::figures::{bytes, count, duration, per_second, plural};
use crate::model::plan::Level;
use comfy_table::{CellAlignment, Table, presets};
use std::fmt::Write as _;

/// Rewritten values are listed for this many columns; the control schema has them all.
const LEDGER_LINES_MAX: usize = 20;

/// Columns of the screen for a table's name: what the figures beside it leave of 80.
const NAME_COLUMNS_MAX: usize = 24;

/// The summary as text: tables, phases, ledger, one line of totals.
#[must_use]
pub fn text(summary: &Summary) -> String {
    let mut out = String::new();
    if summary.finished_before {
        out.push_str("this run had finished before; nothing was copied again\n");
    }
    for backup in &summary.backups {
        let line = format!(
            "backup of the {}: {}, {}, BLAKE3 {}",
            backup.side,
            backup.file,
            bytes(backup.bytes),
            backup.blake3
        );
        let _ = writeln!(out, "{}", wrapped("", &line, 2));
    }
    if !summary.tables.is_empty() {
        let _ = writeln!(out, "{}\n", tables(summary).trim_fmt());
    }
    ledger(summary, &mut out);
    rejected::text(&summary.rejects, &mut out);
    checks::text(&summary.checks, &mut out);
    checks::races("parity", &summary.parity, &mut out);
    phases(summary, &mut out);
    let verification = summary.verification.as_ref();
    let rows: u64 = summary.tables.iter().map(|t| t.rows).sum();
    let size: u64 = summary.tables.iter().map(|t| t.bytes).sum();
    let copy = summary.phases.iter().find(|(p, _)| *p == Phase::Copy).map_or(0, |(_, ms)| *ms);
    let warnings = summary.remarks.iter().filter(|r| r.level == Level::Warning).count();
    let mut speed = Vec::new();
    if copy > 0 && rows > 0 {
        let (size, rows) = (per_second(size, copy), per_second(rows, copy));
        speed.push(format!("copied at {}/s, {} rows/s", bytes(size), count(rows)));
    }
    speed.extend(summary.peak_memory_bytes.map(|peak| format!("peak memory {}", bytes(peak))));
    if !speed.is_empty() {
        let _ = writeln!(out, "{}", speed.join(" · "));
    }
    let _ = writeln!(
        out,
        "{}, {}, {} in {}, {}",
        plural(summary.tables.len() as u64, "table"),
        plural(rows, "row"),
        bytes(size),
        duration(summary.ms),
        plural(warnings as u64, "warning")
    );
    out.push_str(
        &verification.map_or_else(|| "not verified: nobody compared the rows\n".to_owned(), verification::short),
    );
    out
}

/// The summary as one JSON object.
#[must_use]
pub fn json(summary: &Summary) -> String {
    escaped(&serde_json::to_string_pretty(summary).expect("a summary has string keys only"))
}

fn tables(summary: &Summary) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["table", "rows", "bytes", "copy", "index", "warnings"]);
    for t in &summary.tables {
        table.add_row([
            cut(&t.table, NAME_COLUMNS_MAX),
            count(t.rows),
            bytes(t.bytes),
            duration(t.copy_ms),
            duration(t.index_ms),
            if t.warnings == 0 { String::new() } else { t.warnings.to_string() },
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn ledger(summary: &Summary, out: &mut String) {
    if summary.ledger.is_empty() {
        return;
    }
    out.push_str("rewritten on the way (same value, other spelling, unless it says lost)\n");
    for line in summary.ledger.iter().take(LEDGER_LINES_MAX) {
        let text = format!("{}.{}: {} {}", line.table, line.column, count(line.cells), line.rule);
        let _ = writeln!(out, "{}", wrapped("  ", &text, 4));
    }
    if summary.ledger.len() > LEDGER_LINES_MAX {
        let more = summary.ledger.len() - LEDGER_LINES_MAX;
        let _ = writeln!(out, "  and {more} more: SELECT table_name, ledger FROM lite2pg.range");
    }
    out.push('\n');
}

fn phases(summary: &Summary, out: &mut String) {
    let spent: Vec<String> = summary
        .phases
        .iter()
        .filter(|(_, ms)| *ms >= 50)
        .map(|(p, ms)| format!("{} {}", p.word(), duration(*ms)))
        .collect();
    if !spent.is_empty() {
        let _ = writeln!(out, "{}", wrapped("", &spent.join(" · "), 0));
    }
}
