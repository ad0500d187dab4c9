//! The profile of all tables, several at a time.

use crate::error::{Error, Kind, Result};
use crate::load::interrupted;
use crate::model::event::{Event, Observer, Phase};
use crate::model::profile::TableProfile;
use crate::plan::Draft;
use crate::profile::{self, Depth};
use crate::sqlite::Reader;
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Profiles the tables at these positions of the draft's catalog, each as deep as is said, as many at once as there are
/// readers.
pub fn gather(
    draft: &Draft,
    readers: &mut Vec<Reader>,
    tables: &[(usize, Depth)],
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<Vec<TableProfile>> {
    let hands = readers.len();
    let idle = Mutex::new(std::mem::take(readers));
    let crew = rayon::ThreadPoolBuilder::new()
        .num_threads(hands)
        .build()
        .map_err(|e| Error::new(Kind::Failed, "threads cannot be started").cause(e))?;
    let go_on = || if stop.load(Ordering::Relaxed) { Err(interrupted()) } else { Ok(()) };
    let profiles = crew.install(|| {
        tables
            .par_iter()
            .map(|&(t, depth)| {
                let started = Instant::now();
                let table = &draft.catalog().tables[t];
                // As many threads as readers, and each gives its reader back.
                let reader = lock(&idle).pop().expect("a reader for each thread");
                let result = profile::table(&reader, table, draft.trials(t), depth, draft.catalog().bytes, &go_on);
                lock(&idle).push(reader);
                let ms = super::clock::millis(started);
                observer.event(&Event::Step { phase: Phase::Profile, object: table.name.clone(), ms });
                result
            })
            .collect::<Result<Vec<_>>>()
    });
    *readers = idle.into_inner().unwrap_or_else(PoisonError::into_inner);
    profiles
}

fn lock(readers: &Mutex<Vec<Reader>>) -> std::sync::MutexGuard<'_, Vec<Reader>> {
    readers.lock().unwrap_or_else(PoisonError::into_inner)
}
