//! A person's questions to both sides, and their answers, in words.

use super::layout::{clean, wrapped};
use crate::error::{Error, Kind};
use crate::model::check::{Answer, Race, Said};
use crate::model::figures::plural;
use std::fmt::Write as _;

/// Lines of an answer that the screen shows; `--json` has all of them.
const LINES_MAX: usize = 5;

/// The same of an answer that a person wants to see.
const LINES_SHOWN_MAX: usize = 40;

/// Adds a line a question, with both answers and their times; a wrong one with what was said.
pub fn text(answers: &[Answer], out: &mut String) {
    for answer in answers {
        if answer.is_shown && answer.right {
            shown(answer, out);
            continue;
        }
        let word = if answer.right { "ok" } else { "WRONG" };
        let times: Vec<String> = [("source", &answer.source), ("target", &answer.target)]
            .into_iter()
            .filter_map(|(side, said)| said.as_ref().map(|s| format!("{side} {}", time(s.us))))
            .collect();
        let line = format!("check {}: {word} ({})", answer.name, times.join(", "));
        let _ = writeln!(out, "{}", wrapped("", &line, 2));
        if answer.right {
            continue;
        }
        for (side, said) in [("source", &answer.source), ("target", &answer.target)] {
            if let Some(said) = said {
                told(side, said, out);
            }
        }
        if let (Some(expect), true) = (&answer.expect, answer.source.is_none() || answer.target.is_none()) {
            let _ = writeln!(out, "  expected  {}", clean(expect));
        }
    }
    if !answers.is_empty() {
        out.push('\n');
    }
}

// Whole rows, as many as a screen takes.
fn shown(answer: &Answer, out: &mut String) {
    for (side, said) in [("source", &answer.source), ("target", &answer.target)] {
        let Some(said) = said else { continue };
        let _ = writeln!(out, "{}", wrapped("", &format!("{} ({side}, {})", answer.name, time(said.us)), 2));
        for line in said.text.lines().take(LINES_SHOWN_MAX) {
            let _ = writeln!(out, "  {}", clean(line));
        }
        let more = said.text.lines().count().saturating_sub(LINES_SHOWN_MAX);
        if more > 0 {
            let _ = writeln!(out, "  and {} more", plural(more as u64, "line"));
        }
    }
}

/// Adds a line a question that was timed on both sides; one without an agreeing answer with what was said.
pub fn races(what: &str, races: &[Race], out: &mut String) {
    for race in races {
        let word = if race.same { "same answer" } else { "DIFFERENT" };
        let line = format!(
            "{what} {}: {word} · source {}, target {} (median of {}){}",
            race.name,
            fine(race.source.us),
            fine(race.target.us),
            race.times,
            faster(race)
        );
        let _ = writeln!(out, "{}", wrapped("", &line, 2));
        if !race.same {
            told("source", &race.source, out);
            told("target", &race.target, out);
        }
    }
    if !races.is_empty() {
        out.push('\n');
    }
}

fn faster(race: &Race) -> String {
    let (here, there) = (race.source.us.max(1) as f64, race.target.us.max(1) as f64);
    if !race.same {
        return String::new();
    }
    let (ratio, word) = if there <= here { (here / there, "faster") } else { (there / here, "slower") };
    format!(" · target {ratio:.1} times {word}")
}

fn told(side: &str, said: &Said, out: &mut String) {
    let what = if said.answered { "says" } else { "refuses:" };
    let lines: Vec<&str> = said.text.lines().collect();
    for line in lines.iter().take(LINES_MAX) {
        let _ = writeln!(out, "  {side} {what}  {}", clean(line));
    }
    if lines.is_empty() {
        let _ = writeln!(out, "  {side} {what}  nothing");
    }
    if lines.len() > LINES_MAX {
        let _ = writeln!(out, "  and {} more", plural((lines.len() - LINES_MAX) as u64, "line"));
    }
}

fn time(us: u64) -> String {
    if us < 10_000 { format!("{}.{} ms", us / 1000, us % 1000 / 100) } else { format!("{} ms", us / 1000) }
}

// Medians of questions that an index answers are some microseconds.
fn fine(us: u64) -> String {
    if us < 1000 { format!("{us} µs") } else { time(us) }
}

/// The error of a run of which some answers are wrong.
#[must_use]
pub fn error(answers: &[Answer], races: &[Race]) -> Option<Error> {
    let wrong: Vec<String> = answers
        .iter()
        .filter(|a| !a.right)
        .map(|a| format!("check `{}`", a.name))
        .chain(races.iter().filter(|r| !r.same).map(|r| format!("parity `{}`", r.name)))
        .collect();
    let first = wrong.first()?;
    let more = if wrong.len() > 1 { format!(" and {} more", wrong.len() - 1) } else { String::new() };
    let what = if first.starts_with("check") { "not the expected answer" } else { "both sides do not say the same" };
    Some(Error::new(Kind::Different, format!("{first}{more}: {what}")).state("the rows are on the target"))
}
