//! What a comparison found: a table for people, JSON for programs.

use super::layout::{clean, cut, escaped, wrapped};
use crate::error::{Error, Kind};
use crate::model::figures::{count, plural};
use crate::model::verdict::{Difference, Differences, Kind as Difference_, Level, Outcome, TableVerdict, Verification};
use comfy_table::{CellAlignment, Table, presets};
use std::fmt::Write as _;

/// Columns of the screen for a table's name.
const NAME_COLUMNS_MAX: usize = 28;

/// The whole word on a comparison: a line a table, then what differs in each.
#[must_use]
pub fn text(verification: &Verification) -> String {
    let mut out = String::new();
    if !verification.tables.is_empty() {
        let _ = writeln!(out, "{}\n", tables(verification).trim_fmt());
    }
    details(verification, &mut out);
    out.push_str(&verdict(verification));
    out
}

/// What is not green, and the last line: for the end of a migration's summary.
#[must_use]
pub fn short(verification: &Verification) -> String {
    let mut out = String::new();
    details(verification, &mut out);
    out.push_str(&verdict(verification));
    out
}

/// The comparison as one JSON object; `equal` and `verdict` are the word on all of it.
#[must_use]
pub fn json(verification: &Verification) -> String {
    escaped(&serde_json::to_string_pretty(&value(verification)).expect("a value can be written"))
}

/// The same as a value.
#[must_use]
pub fn value(verification: &Verification) -> serde_json::Value {
    let mut object = serde_json::to_value(verification).expect("a verdict has string keys only");
    object["equal"] = verification.is_equal().into();
    object["verdict"] = one_word(verification).into();
    object
}

/// The word on all of it as one sentence, without line breaks.
#[must_use]
pub fn sentence(verification: &Verification) -> String {
    verdict(verification).split_whitespace().collect::<Vec<_>>().join(" ").replace(", see above", "")
}

/// The error that a comparison ends with where not everything is equal.
#[must_use]
pub fn error(verification: &Verification) -> Option<Error> {
    if verification.agrees() {
        return None;
    }
    let tables = verification.tables.iter();
    let different = tables.clone().filter(|t| t.outcome.is_different()).count();
    let sequences = verification.sequences.len();
    let what = match (different, sequences) {
        (0, 0) => "not everything could be compared".to_owned(),
        (n, _) if verification.level == Level::Hash && n > 0 => {
            format!("{} changed since the comparison whose hashes were recorded", plural(n as u64, "table"))
        }
        (0, n) => format!("{} would give out numbers that are taken", plural(n as u64, "identity column")),
        (n, _) => format!("the target differs from the source in {}", plural(n as u64, "table")),
    };
    let error = Error::new(Kind::Different, what).state("the comparison changed nothing");
    let file = tables.clone().find_map(|t| match &t.outcome {
        Outcome::Different(d) => d.file.clone(),
        _ => None,
    });
    Some(match file {
        Some(file) => error.hint(format!("{file} lists each cell that differs, with its values")),
        None if verification.level == Level::Hash => {
            error.hint("`--level rows --record-hash` compares every cell, and records the hashes of what is equal")
        }
        None => error,
    })
}

fn tables(verification: &Verification) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["table", "source", "target", "verdict"]);
    for t in &verification.tables {
        let rows = |n: u64| if matches!(t.outcome, Outcome::Unverified { .. }) { String::new() } else { count(n) };
        table.add_row([cut(&t.table, NAME_COLUMNS_MAX), rows(t.source_rows), rows(t.target_rows), word(t)]);
    }
    for column in table.column_iter_mut().skip(1).take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The word on one table.
#[must_use]
pub fn word(table: &TableVerdict) -> String {
    match &table.outcome {
        Outcome::Equal if table.unverified.is_empty() && table.rejected > 0 => {
            format!("equal but for {} set aside", count(table.rejected))
        }
        Outcome::Equal if table.unverified.is_empty() => "equal".to_owned(),
        Outcome::Equal => format!("equal but for {}", plural(table.unverified.len() as u64, "unverified column")),
        Outcome::Different(d) => totals(d),
        Outcome::Alike { rows } => format!("alike in a sample of {}", plural(*rows, "row")),
        Outcome::Unchanged { .. } => "unchanged".to_owned(),
        Outcome::Changed { .. } => "changed".to_owned(),
        Outcome::Absent => "not there".to_owned(),
        Outcome::Unverified { .. } => "unverified".to_owned(),
    }
}

fn totals(differences: &Differences) -> String {
    let Differences { missing, extra, changed, .. } = differences;
    let parts = [(missing, "missing"), (extra, "extra"), (changed, "changed")];
    let mut words: Vec<String> =
        parts.iter().filter(|(n, _)| **n > 0).map(|(n, word)| format!("{} {word}", count(**n))).collect();
    if !words.is_empty() && !differences.complete {
        words[0].insert_str(0, "at least ");
    }
    // Rows that differ say more than figures do; the line of details has both.
    if words.is_empty() && !differences.disputed.is_empty() {
        words.push(format!("{} disputed", plural(differences.disputed.len() as u64, "figure")));
    }
    words.join(", ")
}

fn details(verification: &Verification, out: &mut String) {
    for table in &verification.tables {
        match &table.outcome {
            Outcome::Equal | Outcome::Alike { .. } | Outcome::Unchanged { .. } => {}
            Outcome::Changed { since } => {
                let text = format!("`{}` was changed since the comparison of {since}", table.table);
                let _ = writeln!(out, "{}", wrapped("", &text, 2));
            }
            Outcome::Different(differences) => {
                let _ = writeln!(out, "`{}` differs: {}", clean(&table.table), totals(differences));
                cells(differences, out);
            }
            Outcome::Absent => {
                let rows = plural(table.source_rows, "row");
                let text = format!("`{}` is not on the target, which lacks its {rows}", table.table);
                let _ = writeln!(out, "{}", wrapped("", &text, 2));
            }
            Outcome::Unverified { why } => {
                let _ = writeln!(out, "{}", wrapped("", &format!("`{}` is unverified: {why}", table.table), 2));
            }
        }
        for column in &table.unverified {
            let text = format!("`{}` has an unverified column: {column}", table.table);
            let _ = writeln!(out, "{}", wrapped("", &text, 2));
        }
    }
    for remark in &verification.remarks {
        let _ = writeln!(out, "{}", wrapped("", remark, 2));
    }
    for column in &verification.sequences {
        let _ = writeln!(out, "`{}` would give out a number that is taken", clean(column));
    }
}

fn cells(differences: &Differences, out: &mut String) {
    if !differences.disputed.is_empty() {
        let text = format!("the databases themselves do not agree on: {}", differences.disputed.join("; "));
        let _ = writeln!(out, "{}", wrapped("  ", &text, 4));
    }
    if !differences.columns.is_empty() {
        let words: Vec<String> = differences.columns.iter().map(|(c, n)| format!("{c} {}", count(*n))).collect();
        let _ = writeln!(out, "{}", wrapped("  ", &format!("changed cells by column: {}", words.join(", ")), 4));
    }
    for difference in &differences.samples {
        let _ = writeln!(out, "{}", wrapped("  ", &sample(difference), 4));
    }
    let all = differences.missing + differences.extra + differences.changed;
    if all > differences.samples.len() as u64 && !differences.samples.is_empty() {
        let _ = writeln!(out, "  … and {} more", count(all - differences.samples.len() as u64));
    }
    if let Some(file) = &differences.file {
        let _ = writeln!(out, "  all of them, with values: {}", clean(file));
    }
}

fn sample(difference: &Difference) -> String {
    let key = if difference.key.is_empty() { "a row" } else { &difference.key };
    let cells: Vec<String> = difference
        .cells
        .iter()
        .map(|c| match (&c.source, &c.target, difference.kind) {
            (Some(source), Some(target), _) => format!("{} {source} → {target}", c.column),
            (Some(value), None, _) | (None, Some(value), _) => format!("{}={value}", c.column),
            (None, None, _) => c.column.clone(),
        })
        .collect();
    let word = match difference.kind {
        Difference_::Missing => "missing on the target",
        Difference_::Extra => "only on the target",
        Difference_::Changed => "changed",
    };
    if cells.is_empty() { format!("{word}: {key}") } else { format!("{word}: {key}: {}", cells.join(", ")) }
}

fn verdict(verification: &Verification) -> String {
    match verification.repaired {
        Some(done) => {
            let (written, deleted) = (plural(done.written, "row"), count(done.deleted));
            format!("repaired: {written} taken from the source again, {deleted} deleted\n{}", word_on_all(verification))
        }
        None => word_on_all(verification),
    }
}

fn word_on_all(verification: &Verification) -> String {
    let word = one_word(verification);
    let rows: u64 = verification.tables.iter().map(|t| t.target_rows).sum();
    let (rows, tables) = (plural(rows, "row"), plural(verification.tables.len() as u64, "table"));
    let recorded =
        verification.recorded.map_or_else(String::new, |n| format!("; hashes of {} recorded", plural(n, "table")));
    let cells_of: u64 = verification.tables.iter().map(compared).sum();
    if !verification.agrees() {
        let rows = if verification.level == Level::Sample { plural(cells_of, "row") } else { rows };
        return wrapped("", &format!("{word}: {tables}, {rows} compared, see above{recorded}"), 2) + "\n";
    }
    let what = match verification.level {
        Level::Counts => format!("the number of rows of {rows} in {tables} agrees"),
        Level::Aggregates => format!("counts, extremes and sums of {rows} in {tables} agrees"),
        Level::Rows => format!("every cell of {rows} in {tables} agrees"),
        Level::Sample => format!(
            "every cell of {} of {rows} in {tables} agrees, and so do the numbers of rows; seed {}",
            count(cells_of),
            verification.sample.map_or(0, |sample| sample.seed)
        ),
        Level::Hash => {
            return wrapped("", &unchanged(verification, &rows, &tables), 2) + "\n";
        }
    };
    let rejected: u64 = verification.tables.iter().map(|t| t.rejected).sum();
    let aside = if rejected == 0 { String::new() } else { format!("; {} set aside", plural(rejected, "row")) };
    let text = format!("{word}: {what}{aside}{}{recorded}", besides(verification));
    wrapped("", &text, 2) + "\n"
}

// Nothing but a comparison of every cell is called verified.
fn one_word(verification: &Verification) -> &'static str {
    match verification.level {
        Level::Sample if verification.agrees() => "sampled, not verified",
        Level::Hash if verification.agrees() => "unchanged, not verified",
        _ if !verification.agrees() => "not verified",
        Level::Rows => "verified",
        _ => "compared",
    }
}

fn unchanged(verification: &Verification, rows: &str, tables: &str) -> String {
    let since = verification.tables.iter().filter_map(|t| match &t.outcome {
        Outcome::Unchanged { since } => Some(since.as_str()),
        _ => None,
    });
    let since = match (since.clone().min(), since.max()) {
        (Some(first), Some(last)) if first == last => format!("unchanged since the comparison of {first}"),
        (Some(first), Some(last)) => format!("unchanged since the comparisons of {first} to {last}"),
        _ => "unchanged".to_owned(),
    };
    format!("{since}, not verified: {rows} in {tables} have the same hash")
}

// Rows of a table whose cells were compared, at least.
fn compared(table: &TableVerdict) -> u64 {
    match &table.outcome {
        Outcome::Alike { rows } => *rows,
        Outcome::Different(d) if !d.complete => d.missing + d.extra + d.changed,
        Outcome::Unverified { .. } | Outcome::Absent => 0,
        _ => table.target_rows,
    }
}

// What else was asked.
fn besides(verification: &Verification) -> String {
    let Verification { planted, figures, cast, .. } = verification;
    let parts = [
        (u64::from(*planted), "planted change", "found"),
        (*figures, "SQL figure", "alike"),
        (*cast, "sampled cell", "read by PostgreSQL itself"),
    ];
    let words = parts.iter().filter(|(n, _, _)| *n > 0).map(|(n, of, what)| format!("; {} {what}", plural(*n, of)));
    words.collect()
}
