//! The rows of a table that differ: found, kept on disk, and written into the copy.

use super::super::Opened;
use super::super::clock::millis;
use super::super::proof::{self, Proof, go_on};
use super::{Both, Way};
use crate::error::Result;
use crate::model::digest::SetDigest;
use crate::model::event::{CopyTable, Event, Phase, Progress};
use crate::model::plan::Plan;
use crate::model::source::Catalog;
use crate::postgres::read::{self, Moment};
use crate::rollback::apply::{Applied, apply};
use crate::rollback::differ::{self, Buckets};
use crate::rollback::down::Ids;
use crate::rollback::export::Unfits;
use crate::rollback::habit::Habit;
use crate::sqlite::restore::Writer;
use crate::sqlite::stage::Stage;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// A table that differs: where it is in the plan, and what its cells look like.
pub struct Differing {
    pub(super) table: usize,
    habits: Vec<Habit>,
    /// The rows of the source that the target never had.
    aside: SetDigest,
}

impl Way<'_> {
    // The tables whose digests differ, their rows that do kept in the stage.
    pub(super) fn differing(
        &self,
        proof: &Proof<'_>,
        moment: &Moment,
        opened: &Opened,
        base: &Catalog,
        tables: &[usize],
        stage: &Stage,
    ) -> Result<Vec<Differing>> {
        let look = || go_on(self.stop);
        let schema = &proof.plan.schema;
        let reader = &opened.readers[0];
        let mut all = Vec::new();
        let sides = Both { shaped: &opened.catalog, base, reshape: self.reshape };
        for &t in tables {
            let table = &proof.plan.tables[t];
            let subject = sides.subject(table, self.rejected.get(&table.target))?;
            let mut session = self.pool.lone_session()?;
            let (ours, theirs) = std::thread::scope(|scope| {
                let theirs = scope.spawn(|| target_buckets(proof, moment, &subject));
                let ours = differ::source_buckets(&subject, reader, &look);
                (ours, theirs.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            });
            let ((here, habits), theirs) = (ours?, theirs?);
            let buckets = here.differing(&theirs);
            let aside = differ::stage_source(&subject, reader, &buckets, (stage, t), &look)?;
            let mut tx = moment.begin(&mut session)?;
            differ::stage_target(&subject, &mut tx, schema, &buckets, (stage, t), &look)?;
            all.push(Differing { table: t, habits, aside });
        }
        Ok(all)
    }

    // Rows to be written are counted while they are.
    fn announce(&self, plan: &Plan, differing: &[Differing], stage: &Stage) -> Result<Arc<Progress>> {
        let mut tables: Vec<CopyTable> = plan
            .tables
            .iter()
            .map(|table| CopyTable { name: table.source.clone(), rows: 0, bytes: 0, rows_done: 0 })
            .collect();
        for Differing { table: t, .. } in differing {
            let (alone, both, new) = stage.counts(*t)?;
            tables[*t].rows = alone + both + new;
            tables[*t].bytes = tables[*t].rows * (plan.tables[*t].bytes / plan.tables[*t].rows.max(1));
        }
        let progress = Arc::new(Progress::new(tables.len()));
        self.observer.event(&Event::VerifyPlanned { tables });
        self.observer.watch(Arc::clone(&progress));
        Ok(progress)
    }

    #[expect(clippy::too_many_arguments, reason = "what was found out, each for itself; nobody else calls this")]
    pub(super) fn write(
        &self,
        plan: &Plan,
        sides: &Both<'_>,
        (differing, ahead): (&[Differing], &[(usize, i64)]),
        (writer, ids): (&Writer, &Ids<'_>),
        stage: &Stage,
        before: &HashMap<usize, SetDigest>,
        unfits: &mut Unfits,
    ) -> Result<HashMap<usize, Applied>> {
        let progress = self.announce(plan, differing, stage)?;
        let mut all = HashMap::new();
        for Differing { table: t, habits, aside } in differing {
            let started = Instant::now();
            let bytes = plan.tables[*t].bytes / plan.tables[*t].rows.max(1);
            let look = || {
                progress.add(*t, 1, bytes);
                go_on(self.stop)
            };
            let table = &plan.tables[*t];
            let subject = sides.subject(table, None)?;
            let mut applied = apply(writer, &subject, habits, (stage, *t), before[t].rows, unfits, (ids, &look))?;
            let ms = millis(started);
            self.observer.event(&Event::Step { phase: Phase::Restore, object: table.source.clone(), ms });
            applied.keeps.merge(aside);
            all.insert(*t, applied);
        }
        for (t, last) in ahead {
            let there = sides.base.table(&plan.tables[*t].source).expect("the ground was looked at with this catalog");
            writer.raise_sequence(there, *last)?;
        }
        Ok(all)
    }
}

// Several hands read a table of the target.
fn target_buckets(proof: &Proof<'_>, moment: &Moment, subject: &differ::Subject<'_>) -> Result<Buckets> {
    let schema = &proof.plan.schema;
    let mut session = (proof.hands.session)()?;
    let chunks = read::chunks(&*moment.begin(&mut session)?, schema, &subject.plan.target)?;
    // One for all: each is as large as the next, and a large table has many chunks.
    let all = Mutex::new(Buckets::default());
    proof.hands.each(&chunks, |session, chunk| {
        let mut tx = moment.begin(session)?;
        let part = differ::target_buckets(subject, &mut tx, schema, *chunk, &|| go_on(proof.hands.stop))?;
        proof::lock(&all).merge(&part);
        Ok(())
    })?;
    Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
}
