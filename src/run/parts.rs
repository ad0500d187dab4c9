//! The target's tables cut into parts, each read once, by whoever comes first.

use super::crew::Hands;
use super::proof::{go_on, lock};
use crate::error::Result;
use crate::model::digest::SetDigest;
use crate::model::plan::Plan;
use crate::postgres::Session;
use crate::postgres::read::{self, Chunk, Moment};
use crate::verify::target;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

/// A stretch of a table, and its digest once it was read.
pub struct Part {
    /// The table's position in the plan.
    pub table: usize,
    chunk: Chunk,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
enum State {
    Unread,
    Taken,
    Read(SetDigest),
}

/// Cuts these tables, the largest parts first.
pub fn list(hands: &Hands<'_>, moment: &Moment, plan: &Plan, tables: &[usize]) -> Result<Vec<Part>> {
    // Even the size of a table is told only once nobody has it locked: hands can be stopped in that wait.
    let chunks = hands.each(tables, |session, t| {
        let tx = moment.begin(session)?;
        let chunks = read::chunks(&tx, &plan.schema, &plan.tables[*t].target)?;
        Ok(chunks.into_iter().map(|chunk| (*t, chunk)).collect::<Vec<_>>())
    })?;
    let part = |(table, chunk)| Part { table, chunk, state: Mutex::new(State::Unread) };
    let mut parts: Vec<Part> = chunks.into_iter().flatten().map(part).collect();
    parts.sort_by_key(|part| std::cmp::Reverse(part.chunk.bytes));
    Ok(parts)
}

impl Part {
    /// Its length, estimated.
    pub fn bytes(&self) -> u64 {
        self.chunk.bytes
    }

    /// The digest of its rows, once they were read.
    pub fn digest(&self) -> Option<SetDigest> {
        if let State::Read(digest) = *lock(&self.state) { Some(digest) } else { None }
    }

    /// Reads it, unless somebody did or does; tells `progress` rows and bytes now and then.
    pub fn read(
        &self,
        session: &mut Session,
        moment: &Moment,
        plan: &Plan,
        stop: &AtomicBool,
        progress: impl Fn(u64, u64),
    ) -> Result<()> {
        let Some(mut taken) = self.take() else { return Ok(()) };
        let table = &plan.tables[self.table];
        let mut tx = moment.begin(session)?;
        let digest = target::digest(&mut tx, &plan.schema, table, self.chunk, |rows, bytes| {
            progress(rows, bytes);
            go_on(stop)
        })
        .map_err(|e| e.context(format!("`{}` cannot be read on the target", table.target)))?;
        taken.becomes = State::Read(digest);
        Ok(())
    }

    fn take(&self) -> Option<Taken<'_>> {
        let mut state = lock(&self.state);
        if !matches!(*state, State::Unread) {
            return None;
        }
        *state = State::Taken;
        Some(Taken { part: self, becomes: State::Unread })
    }
}

// Dropped on every way out: a part that was not read to its end is as good as unread.
struct Taken<'a> {
    part: &'a Part,
    becomes: State,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *lock(&self.part.state) = self.becomes;
    }
}
