//! The target's digests, begun early: rows do not change once they are loaded, so that some of them are read while
//! keys and indexes are built, by the cores and connections that the builds leave idle.
//!
//! What is read ahead is a help and no promise: whatever goes wrong here is left to the comparison, which reads what is
//! missing at the same moment. Knows no tasks of the finish.
//!
//! Locks: `CREATE INDEX` goes beside a reader; what makes an index a key does not. A reader has one table at a time, in
//! a transaction of its own for each part, and waits for nothing while it has one. So nobody waits in a circle, and
//! nobody longer than for one part.

use super::Context;
use super::crew::Hands;
use super::parts::{self, Part};
use crate::error::Result;
use crate::model::bounds::AHEAD_BYTES_MAX;
use crate::model::plan::Plan;
use crate::postgres::Session;
use crate::postgres::read::{self, Moment};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// A moment of the target, and what was read of it so far.
pub struct Ahead<'a> {
    /// The transaction that holds the moment.
    pub holder: &'a Session,
    /// The moment: all rows are loaded.
    pub moment: &'a Moment,
    reading: &'a Reading,
}

#[derive(Default)]
struct Reading {
    parts: OnceLock<Vec<Part>>,
    // Nothing more is begun.
    is_enough: AtomicBool,
    // What runs is broken off.
    is_cut: AtomicBool,
    has_ended: OnceLock<()>,
}

/// Does `work`, and meanwhile reads these tables of the plan. `work` gets what was read, where it can be had.
pub fn beside<T>(
    context: &Context<'_>,
    plan: &Plan,
    tables: &[usize],
    work: impl FnOnce(Option<&Ahead<'_>>) -> Result<T>,
) -> Result<T> {
    let readers = readers(context.options.jobs, context.options.settings.connections);
    if readers == 0 {
        return work(None);
    }
    let Ok(mut session) = context.reading_session() else { return work(None) };
    let Ok(holder) = session.transaction_as(read::BEGIN) else { return work(None) };
    let Ok(moment) = Moment::of(&holder) else { return work(None) };
    let reading = Reading::default();
    std::thread::scope(|scope| {
        // Dropped on every way out, a panic included: the scope waits for the readers.
        let cut = Cut(&reading);
        scope.spawn(|| {
            let ended = Ended(&reading);
            // An error of these readers is met again by the comparison, or is none for it.
            drop(read_ahead((context, readers), plan, tables, &moment, &reading));
            drop(ended);
        });
        let result = work(Some(&Ahead { holder: &holder, moment: &moment, reading: &reading }));
        drop(cut);
        result
    })
}

// As many as build: on two cores builds wait for the disk, and for one of them that is longer than the others. Fewer
// where connections are few: one is the run's own, one holds the moment.
fn readers(builders: usize, connections: Option<usize>) -> usize {
    connections.map_or(builders, |most| builders.min(most.saturating_sub(builders + 2)))
}

fn read_ahead(
    (context, number): (&Context<'_>, usize),
    plan: &Plan,
    tables: &[usize],
    moment: &Moment,
    reading: &Reading,
) -> Result<()> {
    let hands = Hands { number, stop: &reading.is_cut, session: &|| context.reading_session() };
    let parts = parts::list(&hands, moment, plan, tables)?;
    let parts = reading.parts.get_or_init(|| parts);
    hands.each(parts, |session, part| {
        // A key's lock would wait for long while a long part is read.
        if reading.is_enough.load(Ordering::Relaxed) || part.bytes() > AHEAD_BYTES_MAX {
            return Ok(());
        }
        part.read(session, moment, plan, &reading.is_cut, |_, _| ())
    })?;
    Ok(())
}

impl Ahead<'_> {
    /// Begins nothing more ahead; the parts that there are, where they were listed. Some may be under way.
    pub fn parts(&self) -> Option<&[Part]> {
        self.reading.is_enough.store(true, Ordering::Relaxed);
        if self.reading.parts.get().is_none() {
            self.wait();
        }
        self.reading.parts.get().map(Vec::as_slice)
    }

    /// Begins nothing more ahead, and waits for the parts that are under way.
    pub fn wait(&self) {
        self.reading.is_enough.store(true, Ordering::Relaxed);
        self.reading.has_ended.wait();
    }

    /// Whether the moment lasts: not, where the connection was lost that held it.
    pub fn is_held(&self) -> bool {
        self.holder.batch("SELECT 1").is_ok()
    }
}

struct Cut<'a>(&'a Reading);

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.0.is_enough.store(true, Ordering::Relaxed);
        self.0.is_cut.store(true, Ordering::Relaxed);
    }
}

struct Ended<'a>(&'a Reading);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.has_ended.get_or_init(|| ());
    }
}

#[cfg(test)]
mod tests {
    use super::readers;

    #[test]
    fn readers_leave_the_builds_their_connections() {
        assert_eq!(readers(2, None), 2);
        assert_eq!(readers(2, Some(4)), 0);
        assert_eq!(readers(2, Some(5)), 1);
        assert_eq!(readers(4, Some(20)), 4);
    }
}
