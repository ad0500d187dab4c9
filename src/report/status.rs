//! Where runs stand: a screen for people, JSON for programs.

use super::layout::{clean, cut, escaped, json_line, wrapped};
use crate::model::figures::{bytes, count, duration, plural};
use crate::model::status::{RunStatus, TableStatus, Word};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The version of the JSON's shape, documented in docs/status.md: it changes where a reader of it would have to.
const FORMAT: u32 = 1;

/// Tables that the screen shows, those that are not whole first; `--json` has all.
const TABLES_SHOWN: usize = 15;

/// Columns of the screen for a table's name.
const NAME_COLUMNS_MAX: usize = 24;

/// All of it as text.
#[must_use]
pub fn text(runs: &[RunStatus]) -> String {
    if runs.is_empty() {
        return "no run of lite2pg is known here\n".to_owned();
    }
    runs.iter().map(run).collect::<Vec<_>>().join("\n")
}

/// All of it as one JSON object, over several lines or in one.
#[must_use]
pub fn json(runs: &[RunStatus], in_one_line: bool) -> String {
    let object: Value = json!({ "format": FORMAT, "lite2pg": env!("CARGO_PKG_VERSION"), "runs": runs });
    if in_one_line { json_line(&object) + "\n" } else { escaped(&format!("{object:#}\n")) }
}

fn run(run: &RunStatus) -> String {
    let mut out = format!("{}\n", wrapped("", &format!("{} → schema {}", run.source, run.schema), 2));
    let mut line = |lead: &str, words: &str| {
        let _ = writeln!(out, "{}", wrapped(&format!("  {lead:<11}"), words, 13));
    };
    line("run", &format!("{}, lite2pg {}, began {}", run.run, run.lite2pg, run.started_at));
    line("state", &state(run));
    line("rows", &rows(run));
    if let Some(speed) = speed(run) {
        line("speed", &speed);
    }
    if run.indexes.planned + run.constraints.planned > 0 {
        let (indexes, constraints) = (run.indexes, run.constraints);
        line(
            "objects",
            &format!(
                "{} of {} keys and indexes, {} of {} constraints",
                count(indexes.done),
                count(indexes.planned),
                count(constraints.done),
                count(constraints.planned)
            ),
        );
    }
    if !run.phases.is_empty() {
        let phases: Vec<String> = run.phases.iter().map(|p| format!("{} {}", p.phase, duration(p.ms))).collect();
        line("phases", &phases.join(" · "));
    }
    if run.word != Word::Abandoned && !run.tables.is_empty() {
        let _ = writeln!(out, "\n{}", tables(run).trim_fmt());
        if run.tables.len() > TABLES_SHOWN {
            let _ = writeln!(out, " and {} more: --json has all", run.tables.len() - TABLES_SHOWN);
        }
    }
    out
}

fn state(run: &RunStatus) -> String {
    let word = run.word.word();
    match run.word {
        Word::Copying | Word::Finishing | Word::Comparing => format!("{word}, for {} so far", duration(run.ms)),
        Word::Stopped => {
            format!("{word}: nobody works on it, and it is not finished; the command that began it goes on with it")
        }
        Word::Done => {
            // A version that kept no phases kept no verdict either.
            let unknown = if run.phases.is_empty() { "" } else { ", not compared to the end" };
            let said = run.verdict.as_ref().map_or_else(|| unknown.to_owned(), |verdict| format!(", {verdict}"));
            format!("{word} in {}{said}", duration(run.ms))
        }
        Word::Abandoned => format!("{word}: another one was begun in its place"),
    }
}

fn rows(run: &RunStatus) -> String {
    let exact = run.tables.iter().all(|t| t.rows_exact);
    let about = if exact { "" } else { "about " };
    let mut words = format!(
        "{} of {about}{} on the target ({}), {} of about {}",
        count(run.rows),
        count(run.rows_expected),
        percent(run.rows, run.rows_expected),
        bytes(run.bytes),
        bytes(run.bytes_expected)
    );
    let under_way: u64 = run.tables.iter().map(|t| t.rows_under_way).sum();
    if under_way > 0 {
        let _ = write!(words, "; {} on their way", plural(under_way, "row"));
    }
    let rejected: u64 = run.tables.iter().map(|t| t.rejected).sum();
    if rejected > 0 {
        let _ = write!(words, "; {} set aside", plural(rejected, "row"));
    }
    words
}

fn speed(run: &RunStatus) -> Option<String> {
    let (rows, size) = (run.rows_per_second?, run.bytes_per_second?);
    let left =
        run.copy_remaining_ms.map_or_else(String::new, |ms| format!("; the copy takes about {} more", duration(ms)));
    Some(format!("{} rows/s, {}/s over the last minute{left}", count(rows), bytes(size)))
}

fn tables(run: &RunStatus) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["table", "rows", "of", "done", "bytes", "set aside"]);
    let is_whole = |t: &TableStatus| t.rows + t.rejected >= t.rows_expected;
    let mut order: Vec<&TableStatus> = run.tables.iter().collect();
    order.sort_by_key(|t| is_whole(t));
    for t in order.into_iter().take(TABLES_SHOWN) {
        let about = if t.rows_exact { "" } else { "~" };
        table.add_row([
            cut(&clean(&t.table), NAME_COLUMNS_MAX),
            count(t.rows),
            format!("{about}{}", count(t.rows_expected)),
            percent(t.rows + t.rejected, t.rows_expected),
            bytes(t.bytes),
            if t.rejected == 0 { String::new() } else { count(t.rejected) },
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

// Rounded down: 100 % is said of what is whole only.
fn percent(n: u64, of: u64) -> String {
    let percent = if of == 0 { 100 } else { u128::from(n) * 100 / u128::from(of) };
    format!("{} %", percent.min(100))
}
