//! A person's questions to both sides, and SQL that a person wants run on the target.

use super::options::Scripts;
use crate::error::Result;
use crate::load::interrupted;
use crate::model::bounds::CHECK_ROWS_MAX;
use crate::model::check::{Answer, Parity, Question, Race, Said};
use crate::postgres::{Session, Transaction, is_answer, question, script};
use crate::sqlite::Reader;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Asks both sides. A side that refuses a question has not answered it, and the answer is wrong.
pub fn ask(questions: &[Question], reader: Option<&Reader>, session: &mut Session) -> Result<Vec<Answer>> {
    let mut answers = Vec::with_capacity(questions.len());
    for asked in questions {
        let source = asked.source.as_ref().map(|sql| {
            let started = Instant::now();
            let none = || Err("the source was not open".to_owned());
            let answer = reader.map_or_else(none, |reader| reader.answer(sql, CHECK_ROWS_MAX));
            said(answer, started.elapsed())
        });
        let target = asked.target.as_ref().map(|sql| target(session, sql)).transpose()?;
        let all_said = || source.iter().chain(&target).all(|said| said.answered);
        let right = match (&source, &target, &asked.expect) {
            _ if asked.is_shown => all_said(),
            (Some(here), Some(there), _) => here.answered && there.answered && here.text == there.text,
            (Some(said), None, Some(expect)) | (None, Some(said), Some(expect)) => {
                said.answered && said.text == *expect
            }
            _ => false,
        };
        answers.push(Answer {
            name: asked.name.clone(),
            right,
            source,
            target,
            expect: asked.expect.clone(),
            is_shown: asked.is_shown,
        });
    }
    Ok(answers)
}

fn target(session: &mut Session, sql: &str) -> Result<Said> {
    let started = Instant::now();
    match question::ask(session, sql, CHECK_ROWS_MAX) {
        Ok((answer, spent)) => Ok(said(answer, spent)),
        Err(error) if is_answer(&error) => Ok(said(Err(error.message().to_owned()), started.elapsed())),
        Err(error) => Err(error),
    }
}

fn said(answer: std::result::Result<String, String>, spent: Duration) -> Said {
    let us = spent.as_micros() as u64;
    match answer {
        Ok(text) => Said { text, answered: true, us },
        Err(text) => Said { text, answered: false, us },
    }
}

/// Asks both sides the same, once to warm their caches and then as often as is wished; times are medians. A side whose
/// answers differ among themselves has none.
pub fn race(parity: &[Parity], reader: Option<&Reader>, session: &mut Session, stop: &AtomicBool) -> Result<Vec<Race>> {
    let Some(reader) = reader else { return Ok(Vec::new()) };
    let mut races = Vec::with_capacity(parity.len());
    for asked in parity {
        let ask_source = || {
            let started = Instant::now();
            let answer = reader.answer(&asked.source, CHECK_ROWS_MAX);
            Ok(said(answer, started.elapsed()))
        };
        let source = median(asked.times, stop, ask_source)?;
        let there = median(asked.times, stop, || target(session, &asked.target))?;
        let same = source.answered && there.answered && source.text == there.text;
        races.push(Race { name: asked.name.clone(), same, source, target: there, times: asked.times });
    }
    Ok(races)
}

fn median(times: u32, stop: &AtomicBool, mut ask: impl FnMut() -> Result<Said>) -> Result<Said> {
    let first = ask()?;
    if !first.answered {
        return Ok(first);
    }
    let mut spent = Vec::with_capacity(times as usize);
    for _ in 0..times {
        if stop.load(Ordering::Relaxed) {
            return Err(interrupted());
        }
        let again = ask()?;
        if again.text != first.text {
            let text = "its answers differ among themselves: does it lack ORDER BY?".to_owned();
            return Ok(Said { text, answered: false, us: again.us });
        }
        spent.push(again.us);
    }
    spent.sort_unstable();
    Ok(Said { us: spent.get(spent.len() / 2).copied().unwrap_or(first.us), ..first })
}

/// Runs a person's SQL in a transaction of ours.
pub fn run(tx: &Transaction<'_>, scripts: &[String], when: &str) -> Result<()> {
    scripts.iter().zip(1..).try_for_each(|(sql, n)| script::run_phase(tx, (when, n), sql))
}

/// Refuses scripts that cannot be part of the transactions that they are to be run in.
pub fn look_at(scripts: &Scripts) -> Result<()> {
    let phases = [("before", &scripts.before), ("after", &scripts.after)];
    let all = phases.into_iter().flat_map(|(phase, all)| all.iter().zip(1..).map(move |(sql, n)| (phase, n, sql)));
    for (phase, n, sql) in all {
        script::check((phase, n), sql)?;
    }
    Ok(())
}
