//! A person's questions to both sides, and SQL that a person wants run on the target.

use crate::error::{Error, Result};
use crate::model::bounds::CHECK_ROWS_MAX;
use crate::model::check::{Answer, Question, Said};
use crate::postgres::{Session, Transaction, is_answer, question};
use crate::sqlite::Reader;
use std::time::Instant;

/// Asks both sides. A side that refuses a question has not answered it, and the answer is wrong.
pub fn ask(questions: &[Question], reader: Option<&Reader>, session: &mut Session) -> Result<Vec<Answer>> {
    let mut answers = Vec::with_capacity(questions.len());
    for asked in questions {
        let source = asked.source.as_ref().map(|sql| {
            let started = Instant::now();
            let none = || Err("the source was not open".to_owned());
            said(reader.map_or_else(none, |reader| reader.answer(sql, CHECK_ROWS_MAX)), started)
        });
        let target = asked.target.as_ref().map(|sql| target(session, sql)).transpose()?;
        let right = match (&source, &target, &asked.expect) {
            (Some(here), Some(there), _) => here.answered && there.answered && here.text == there.text,
            (Some(said), None, Some(expect)) | (None, Some(said), Some(expect)) => {
                said.answered && said.text == *expect
            }
            _ => false,
        };
        answers.push(Answer { name: asked.name.clone(), right, source, target, expect: asked.expect.clone() });
    }
    Ok(answers)
}

fn target(session: &mut Session, sql: &str) -> Result<Said> {
    let started = Instant::now();
    match question::ask(session, sql, CHECK_ROWS_MAX) {
        Ok(answer) => Ok(said(answer, started)),
        Err(error) if is_answer(&error) => Ok(said(Err(error.message().to_owned()), started)),
        Err(error) => Err(error),
    }
}

fn said(answer: std::result::Result<String, String>, started: Instant) -> Said {
    let us = started.elapsed().as_micros() as u64;
    match answer {
        Ok(text) => Said { text, answered: true, us },
        Err(text) => Said { text, answered: false, us },
    }
}

/// Runs a person's SQL in a transaction of ours.
pub fn run(tx: &Transaction<'_>, scripts: &[String], when: &str) -> Result<()> {
    for (n, sql) in scripts.iter().enumerate() {
        tx.batch(sql).map_err(|e: Error| e.context(format!("the server refuses script {} of `{when}`", n + 1)))?;
    }
    Ok(())
}
