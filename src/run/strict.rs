//! `--strict`: what would be lost, rewritten or left out ends the run, as early as it is known.

use super::rows::Planned;
use crate::error::{Error, Kind, Result};
use crate::model::conversion::REWRITES;
use crate::model::event::Summary;
use crate::model::plan::Level;

/// Facts that an error lists; the plan has all of them.
const FACTS_MAX: usize = 10;

/// Refuses a plan under which the profile saw something rewritten, replaced, or left out.
pub fn before(planned: &Planned) -> Result<()> {
    let mut facts = Vec::new();
    for remark in planned.plan.remarks.iter().filter(|r| r.level == Level::Warning) {
        facts.push(format!("`{}`: {}", remark.object, remark.text));
    }
    for ((table, source), profile) in
        planned.plan.tables.iter().zip(&planned.draft.catalog().tables).zip(&planned.profiles)
    {
        for column in table.loaded() {
            let Some(at) = source.column_index(&column.source) else { continue };
            let Some(trial) = profile.columns[at].trials.iter().find(|t| t.conversion == column.conversion) else {
                continue;
            };
            let name = format!("{}.{}", table.source, column.source);
            for rule in REWRITES.into_iter().filter(|rule| trial.rewrites & (1 << *rule as u32) != 0) {
                facts.push(format!("`{name}` as {}: {}", column.pg_type, rule.phrase()));
            }
            if trial.stood_in {
                facts.push(format!("`{name}`: NUL or invalid UTF-8 would stand as U+FFFD"));
            }
            if trial.misfits > 0 {
                let policy = column.on_error;
                facts.push(format!("`{name}` as {}: {} values do not fit: {policy}", column.pg_type, trial.misfits));
            }
        }
    }
    if facts.is_empty() {
        return Ok(());
    }
    let error = Error::new(Kind::Blocked, format!("`--strict`: {} would not arrive as they are", things(facts.len())));
    Err(listed(error, facts)
        .state("nothing was written")
        .hint("`--dry-run` shows the plan; without `--strict` it is carried out"))
}

/// The error of a finished run in which something was rewritten, set aside, or left out.
#[must_use]
pub fn after(summary: &Summary) -> Option<Error> {
    let warnings = summary.remarks.iter().filter(|r| r.level == Level::Warning);
    let mut facts: Vec<String> = warnings.map(|r| format!("`{}`: {}", r.object, r.text)).collect();
    facts.extend(summary.ledger.iter().map(|l| format!("`{}.{}`: {} cells: {}", l.table, l.column, l.cells, l.rule)));
    facts.extend(summary.rejects.iter().map(|r| format!("`{}`: {} rows were set aside", r.table, r.rows)));
    if facts.is_empty() {
        return None;
    }
    let error = Error::new(Kind::Different, format!("`--strict`: {} did not arrive as they are", things(facts.len())));
    Some(listed(error, facts).state("the rows are on the target"))
}

fn things(number: usize) -> String {
    if number == 1 { "1 thing".to_owned() } else { format!("{number} things") }
}

fn listed(mut error: Error, facts: Vec<String>) -> Error {
    let more = facts.len().saturating_sub(FACTS_MAX);
    for fact in facts.into_iter().take(FACTS_MAX) {
        error = error.fact(fact);
    }
    if more > 0 { error.fact(format!("and {more} more")) } else { error }
}
