//! The result of a rehearsal: steps and figures for a terminal, JSON for programs, Markdown for a meeting.

use super::layout::{clean, escaped, wrapped};
use super::losses;
use super::message;
use crate::error::{Error, Kind};
use crate::model::figures::{bytes, count, duration, plural};
use crate::model::rehearsal::{Act, Downtime, Outcome, Part, Rehearsal, Step};
use std::fmt::Write as _;

/// Columns of the screen for a step's name.
const NAME_COLUMNS: usize = 24;

/// The result for a terminal: a line a step with what it found below, warnings, one line on all of it.
#[must_use]
pub fn text(rehearsal: &Rehearsal) -> String {
    let mut out = String::new();
    if let Some(part) = rehearsal.sample {
        let _ = writeln!(out, "{}\n", wrapped("SAMPLE  ", &sampled(part), 8));
    }
    for (n, step) in rehearsal.steps.iter().enumerate() {
        let head = format!("{:>2}  {:NAME_COLUMNS$}  {}", n + 1, step.act.words(), word(step, rehearsal.sample));
        let time = if step.ms == 0 { String::new() } else { format!("  {}", duration(step.ms)) };
        let _ = writeln!(out, "{head}{time}");
        for line in lines(step) {
            let _ = writeln!(out, "{}", wrapped("    ", &line, 6));
        }
    }
    out.push('\n');
    for remark in rehearsal.remarks.iter().filter(|r| r.level == crate::model::plan::Level::Warning) {
        let _ = writeln!(out, "{}", message::remark(remark));
    }
    if is_known(rehearsal) {
        let _ = writeln!(out, "{}", wrapped("only here  ", &losses::sum(&rehearsal.losses), 11));
        for line in losses::first_lines(&rehearsal.losses) {
            let _ = writeln!(out, "{}", wrapped("           ", &line, 13));
        }
    }
    if let Some(downtime) = &rehearsal.downtime {
        let _ = writeln!(out, "{}", wrapped("downtime   ", &self::downtime(downtime), 11));
    }
    let _ = writeln!(out, "{}", wrapped("rehearsed  ", &verdict(rehearsal), 11));
    out
}

/// The result as one JSON object.
#[must_use]
pub fn json(rehearsal: &Rehearsal) -> String {
    escaped(&serde_json::to_string_pretty(rehearsal).expect("a result has string keys only"))
}

/// The result as a document that a team can read and keep.
#[must_use]
pub fn markdown(rehearsal: &Rehearsal) -> String {
    let word = if rehearsal.passed { "passed" } else { "FAILED" };
    let partly = rehearsal.sample.map_or("", |_| " (a sample only)");
    let mut out = format!("# Rehearsal {word}{partly}: {}\n\n", inline(&rehearsal.source));
    let _ = writeln!(out, "{}\n", plain(&verdict(rehearsal)));
    if let Some(part) = rehearsal.sample {
        let _ = writeln!(out, "**Sample:** {}\n", sampled(part));
    }
    let mut fact = |name: &str, value: &str| {
        let _ = writeln!(out, "- {name}: {value}");
    };
    fact("source", &format!("{}, BLAKE3 of what was rehearsed `{}`", inline(&rehearsal.source), rehearsal.content));
    if let Some(pipeline) = &rehearsal.pipeline {
        fact("pipeline", &inline(pipeline));
    }
    fact("size", &size(rehearsal));
    fact("server", &rehearsal.server);
    fact("program", &format!("lite2pg {}", rehearsal.version));
    fact("took", &duration(rehearsal.ms));
    if let Some(downtime) = &rehearsal.downtime {
        let _ = writeln!(out, "\n## Downtime\n\n{}", self::downtime(downtime));
    }
    out.push_str("\n## Steps\n\n| | step | outcome | time |\n|---|---|---|---|\n");
    for (n, step) in rehearsal.steps.iter().enumerate() {
        let time = if step.ms == 0 { String::new() } else { duration(step.ms) };
        let _ = writeln!(out, "| {} | {} | {} | {time} |", n + 1, step.act.words(), self::word(step, rehearsal.sample));
    }
    for (n, step) in rehearsal.steps.iter().enumerate().filter(|(_, step)| step.outcome != Outcome::NotAsked) {
        let _ = writeln!(out, "\n### {}. {}: {}\n", n + 1, step.act.words(), self::word(step, rehearsal.sample));
        let _ = writeln!(out, "{}.\n", sentence(step.act.about()));
        for line in lines(step) {
            let _ = writeln!(out, "- {}", plain(&line));
        }
    }
    if is_known(rehearsal) {
        let _ =
            writeln!(out, "\n## What only the source has\n\n{}.\n", plain(&sentence(&losses::sum(&rehearsal.losses))));
        for line in losses::lines(&rehearsal.losses) {
            let _ = writeln!(out, "- {}", plain(&line));
        }
    }
    if !rehearsal.remarks.is_empty() {
        out.push_str("\n## What to know of the migration\n\n");
    }
    for remark in &rehearsal.remarks {
        let level = match remark.level {
            crate::model::plan::Level::Warning => "warning",
            crate::model::plan::Level::Note => "note",
        };
        let _ = writeln!(out, "- {level}, {}: {}", inline(&remark.object), plain(&remark.text));
    }
    out
}

/// The error that a rehearsal ends with where a step did not pass.
#[must_use]
pub fn error(rehearsal: &Rehearsal) -> Option<Error> {
    let first = rehearsal.steps.iter().find(|step| step.outcome == Outcome::Failed)?;
    let error = Error::new(Kind::Failed, format!("the rehearsal failed: {}", first.act.words()));
    let error = first.why.iter().take(3).fold(error, |error, line| error.fact(line.clone()));
    Some(error.state("source and target are as they were; everything that was made for the rehearsal is gone"))
}

// Whether the step came as far as to find out what only the source has.
fn is_known(rehearsal: &Rehearsal) -> bool {
    rehearsal.steps.iter().any(|step| step.act == Act::BackUntouched && step.outcome == Outcome::Passed)
}

fn word(step: &Step, sample: Option<Part>) -> String {
    match (step.outcome, sample) {
        (Outcome::Passed, Some(_)) => "passed (sample)".to_owned(),
        (outcome, _) => outcome.word().to_owned(),
    }
}

fn lines(step: &Step) -> Vec<String> {
    let part = step.part.map(|part| format!("with {} of {} rows", count(part.rows), count(part.of)));
    let why = step.why.iter().map(|why| format!("! {why}"));
    part.into_iter().chain(step.told.iter().cloned()).chain(why).collect()
}

fn sampled(part: Part) -> String {
    format!(
        "{} of {} rows were rehearsed (`--quick`), spread over each table, with those that they refer to; nothing is \
         known of the others",
        count(part.rows),
        count(part.of)
    )
}

fn size(rehearsal: &Rehearsal) -> String {
    format!("{} in {}, {}", plural(rehearsal.rows, "row"), plural(rehearsal.tables, "table"), bytes(rehearsal.bytes))
}

fn verdict(rehearsal: &Rehearsal) -> String {
    let wrong = rehearsal.steps.iter().filter(|step| step.outcome.is_in_the_way()).count() as u64;
    let done = rehearsal.steps.iter().filter(|step| step.outcome == Outcome::Passed).count() as u64;
    let word = match (wrong, rehearsal.sample) {
        (0, None) => format!("all {} passed", plural(done, "step")),
        (0, Some(part)) => format!("all {} passed, with a sample of {} rows", plural(done, "step"), count(part.rows)),
        (wrong, _) => format!("FAILED: {} of {} did not pass", count(wrong), plural(wrong + done, "step")),
    };
    format!(
        "{word}: {} ({}) on {}, in {}",
        clean(&rehearsal.source),
        size(rehearsal),
        rehearsal.server,
        duration(rehearsal.ms)
    )
}

fn downtime(downtime: &Downtime) -> String {
    let back = downtime.back_ms.map_or_else(|| "unknown".to_owned(), duration);
    let how = if downtime.measured {
        "as measured here, with all rows"
    } else {
        "extrapolated from a sample by its rows: rough"
    };
    format!(
        "{} there, {back} back, {how}. Meanwhile nobody may write: there, to the source; back, to PostgreSQL. Another \
         machine, a busy server or a cold cache is not in these figures: plan for twice as much",
        duration(downtime.there_ms)
    )
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

// Names as code, so that nothing in them is taken for Markdown.
fn inline(text: &str) -> String {
    format!("`{}`", clean(text).replace('`', "'"))
}

// Words of ours with names in backticks. What else Markdown would follow is a character here.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut is_code = false;
    for c in clean(text).chars() {
        is_code ^= c == '`';
        if !is_code && matches!(c, '*' | '_' | '<' | '>' | '[' | ']' | '|' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rehearsal(outcome: Outcome, sample: Option<Part>) -> Rehearsal {
        let step = Step {
            act: Act::There,
            outcome,
            told: vec!["5 rows".to_owned()],
            why: if outcome == Outcome::Failed { vec!["`a|b` <b>".to_owned()] } else { Vec::new() },
            part: None,
            ms: 1200,
        };
        Rehearsal {
            passed: !outcome.is_in_the_way(),
            version: "1".to_owned(),
            source: "a`b\u{1b}.db".to_owned(),
            content: "00".to_owned(),
            pipeline: None,
            server: "PostgreSQL 15".to_owned(),
            tables: 1,
            rows: 5,
            bytes: 10,
            sample,
            steps: vec![step],
            downtime: Some(Downtime { there_ms: 1200, back_ms: None, measured: sample.is_none() }),
            losses: Vec::new(),
            remarks: Vec::new(),
            ms: 1300,
        }
    }

    #[test]
    fn a_sample_is_called_one_wherever_the_result_is_told() {
        let of = rehearsal(Outcome::Passed, Some(Part { rows: 5, of: 1000 }));
        let text = text(&of);
        for words in ["SAMPLE", "5 of 1 000 rows", "passed (sample)", "with a sample of 5 rows", "extrapolated"] {
            assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(words), "{words}: {text}");
        }
        let document = markdown(&of);
        assert!(document.starts_with("# Rehearsal passed (a sample only)") && document.contains("**Sample:**"));
        assert!(json(&of).contains("\"sample\": {"));
        assert!(error(&of).is_none());
    }

    #[test]
    fn what_failed_is_said_first_and_names_steer_neither_terminal_nor_markdown() {
        let of = rehearsal(Outcome::Failed, None);
        assert!(text(&of).contains("FAILED") && !text(&of).contains('\u{1b}'));
        let document = markdown(&of);
        assert!(document.starts_with("# Rehearsal FAILED: `a'b\u{FFFD}.db`"), "{document}");
        assert!(document.contains("- ! `a|b` \\<b\\>"), "{document}");
        assert_eq!(error(&of).map(|e| e.kind()), Some(Kind::Failed));
    }
}
