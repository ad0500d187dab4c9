//! The end of a run: both sides compared, by what was added up while the rows were copied and what is on the target.

use super::ahead::Ahead;
use super::clock::Clock;
use super::crew::Hands;
use super::options::{Options, Scope};
use super::proof::{self, Held, Known, Proof, Subject};
use super::{Context, finish, open, rejects, start};
use crate::error::{Error, Kind, Result};
use crate::model::digest::SetDigest;
use crate::model::event::Phase;
use crate::model::plan::{Plan, TablePlan};
use crate::model::verdict::{Outcome, TableVerdict, Verification};
use crate::postgres::catalog;
use crate::postgres::control::DoneRange;
use crate::verify::source;
use std::collections::HashMap;

/// What is kept of a comparison for those who watch.
pub fn one_word(verification: Option<&Verification>) -> &'static str {
    match verification {
        None => "not compared",
        Some(found) if found.is_different() => "different",
        Some(found) if found.is_proof() => "verified",
        Some(_) => "not verified",
    }
}

/// Both sides compared, cell by cell. What the target must hold was added up while its rows were copied.
pub fn compare(
    context: &Context<'_>,
    plan: &Plan,
    done: &HashMap<String, Vec<DoneRange>>,
    ahead: Option<&Ahead<'_>>,
    clock: &mut Clock<'_>,
) -> Result<Option<Verification>> {
    let options = context.options;
    if !is_compared(options) {
        return Ok(None);
    }
    let relations = catalog::relations(context.control, &options.schema)?;
    let known = |table: &TablePlan| {
        let Subject { source, unverified } = subject(options, table, done.get(&table.target));
        Subject { source: start::or_absent(source, &relations, table), unverified }
    };
    let subjects = plan.tables.iter().map(known).collect();
    // Readers have connections of their own; those of the lanes are not needed any more.
    context.pool.close_idle();
    let session = || match (context.reading_session(), ahead) {
        (Err(_), Some(ahead)) => {
            // The server may have none left until those who read ahead are done.
            ahead.wait();
            context.reading_session()
        }
        (session, _) => session,
    };
    let hands = Hands { number: options.jobs, stop: context.stop, session: &session };
    let rejected = rejects::places(context.control, context.run)?;
    let observer = context.observer;
    let proof = Proof { plan, wish: &options.wish, hands, observer, is_thorough: false, rejected: &rejected };
    let fingerprint = context.fingerprint;
    let reopen = || {
        let opened = open(options)?;
        if opened.fingerprint == fingerprint {
            return Ok(opened);
        }
        Err(Error::new(Kind::Source, "the source was changed since its rows were copied")
            .state("all rows are on the target; whether they are the source's cannot be told any more")
            .hint("`--restart` begins again with the source as it is now"))
    };
    let mut source = Held { opened: None, open: &reopen };
    context
        .phase(clock, Phase::Verify, plan.tables.len(), || proof::compare(&proof, subjects, &mut source, ahead))
        .map(Some)
}

/// Whether the run ends with a comparison.
pub fn is_compared(options: &Options) -> bool {
    options.verify && options.scope != Scope::SchemaOnly
}

/// The rows of each table on the target, as the comparison counted them or counted now.
pub fn rows_of(context: &Context<'_>, plan: &Plan, verification: Option<&Verification>) -> Result<Vec<u64>> {
    let read = |t: &TableVerdict| {
        matches!(t.outcome, Outcome::Equal | Outcome::Different(_) | Outcome::Absent).then_some(t.target_rows)
    };
    let counted: Option<Vec<u64>> = verification.and_then(|v| v.tables.iter().map(read).collect());
    counted.map_or_else(|| finish::count(context, plan), Ok)
}

/// Whether the table may hold rows that were there before.
pub fn is_shared(options: &Options, table: &TablePlan) -> bool {
    table.existing && options.conflict.is_some()
}

fn subject(options: &Options, table: &TablePlan, done: Option<&Vec<DoneRange>>) -> Subject {
    let digests = done.into_iter().flatten().map(|d| d.digest.as_deref().and_then(source::from_stored));
    let source = if is_shared(options, table) {
        Known::Out("the table held rows of its own".to_owned())
    } else {
        let add = |mut sum: SetDigest, digest: SetDigest| {
            sum.merge(&digest);
            sum
        };
        let sum = digests.collect::<Option<Vec<_>>>().map(|all| all.into_iter().fold(SetDigest::default(), add));
        sum.map_or(Known::Unread, Known::Digest)
    };
    Subject { source, unverified: Vec::new() }
}
