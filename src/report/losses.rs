//! What only the source has, as lines for people.

use crate::model::figures::{count, plural};
use crate::model::loss::Loss;

/// Lines on a screen; `--json` and a rehearsal's document have all of them.
const LINES_MAX: usize = 20;

/// What it comes to, in a sentence.
#[must_use]
pub fn sum(losses: &[Loss]) -> String {
    if losses.is_empty() {
        return "nothing: PostgreSQL alone would give the same cells, with what lite2pg keeps there".to_owned();
    }
    let (cells, rows): (Vec<&Loss>, Vec<&Loss>) = losses.iter().partition(|loss| loss.column.is_some());
    let of = |losses: &[&Loss]| losses.iter().map(|loss| loss.count).sum::<u64>();
    let columns = cells.iter().map(|loss| (&loss.table, &loss.column)).collect::<std::collections::HashSet<_>>().len();
    let cells =
        (!cells.is_empty()).then(|| format!("{} of {}", plural(of(&cells), "cell"), plural(columns as u64, "column")));
    let rows = (!rows.is_empty()).then(|| plural(of(&rows), "row"));
    let what: Vec<String> = cells.into_iter().chain(rows).collect();
    format!("{} would be otherwise without the source", what.join(", and "))
}

/// A line for each kind of form in each place.
#[must_use]
pub fn lines(losses: &[Loss]) -> Vec<String> {
    losses.iter().map(line).collect()
}

/// The first of them, and how many more there are.
#[must_use]
pub fn first_lines(losses: &[Loss]) -> Vec<String> {
    let mut lines: Vec<String> = losses.iter().take(LINES_MAX).map(line).collect();
    if losses.len() > LINES_MAX {
        lines.push(format!("and {} more, all of them with --json", count((losses.len() - LINES_MAX) as u64)));
    }
    lines
}

fn line(loss: &Loss) -> String {
    let (place, what) = match &loss.column {
        Some(column) => (format!("`{}.{column}`", loss.table), "cell"),
        None => (format!("`{}`", loss.table), "row"),
    };
    format!("{place}: {}, {}", plural(loss.count, what), loss.words)
}
