//! Several sessions work through a list of tasks.

use crate::error::Result;
use crate::load::interrupted;
use crate::postgres::{Pool, Session};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Gives each task to the next free of `hands` sessions, in the list's order; returns the results in that
/// order too. The first error ends the work; tasks under way are finished.
pub fn each<T: Sync, R: Send>(
    pool: &Pool,
    hands: usize,
    stop: &AtomicBool,
    tasks: &[T],
    work: impl Fn(&mut Session, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = Mutex::new(0usize);
    let failed = AtomicBool::new(false);
    let claim = || {
        let mut next = next.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        *next - 1
    };
    let hand = || -> Result<Vec<(usize, R)>> {
        let mut session = pool.session()?;
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let i = claim();
            let Some(task) = tasks.get(i) else { break };
            if stop.load(Ordering::Relaxed) {
                failed.store(true, Ordering::Relaxed);
                return Err(interrupted());
            }
            let result = work(&mut session, task).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            done.push((i, result));
        }
        Ok(done)
    };
    let mut results = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..hands.min(tasks.len())).map(|_| scope.spawn(hand)).collect();
        let mut all = Vec::with_capacity(tasks.len());
        let mut first_error = None;
        for thread in threads {
            match thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                Ok(done) => all.extend(done),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(all), Err)
    })?;
    results.sort_by_key(|(i, _)| *i);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}
