//! Several sessions work through a list of tasks.

use super::Context;
use crate::error::Result;
use crate::load::interrupted;
use crate::postgres::{CancelHandle, Session};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How soon a statement that runs is cancelled after a person asked the run to end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Gives each task to the next free of the run's sessions, in the list's order; returns the results in that
/// order too. The first error ends the work; tasks under way are finished. When `stop` is set, statements under
/// way are cancelled.
pub fn each<T: Sync, R: Send>(
    context: &Context<'_>,
    tasks: &[T],
    work: impl Fn(&mut Session, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let hands = Hands { number: context.options.jobs, stop: context.stop, session: &|| context.session() };
    hands.each(tasks, work)
}

/// The same with something to do for hands that find no task left, as [`Hands::each_and`] says.
pub fn each_and<T: Sync, R: Send>(
    context: &Context<'_>,
    tasks: &[T],
    work: impl Fn(&mut Session, &T) -> Result<R> + Sync,
    spare: impl Fn(&mut Session) -> Result<bool> + Sync,
) -> Result<Vec<R>> {
    let number = if tasks.is_empty() { 0 } else { context.options.jobs };
    Hands { number, stop: context.stop, session: &|| context.session() }.each_and(tasks, work, spare)
}

/// Sessions that work side by side.
#[derive(Clone, Copy)]
pub struct Hands<'a> {
    /// How many at most.
    pub number: usize,
    /// Set when a person or the system wants the run to end.
    pub stop: &'a AtomicBool,
    /// Where a hand gets its session from.
    pub session: &'a (dyn Fn() -> Result<Session> + Sync),
}

impl Hands<'_> {
    /// As [`each`] says.
    pub fn each<T: Sync, R: Send>(
        &self,
        tasks: &[T],
        work: impl Fn(&mut Session, &T) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        Hands { number: self.number.min(tasks.len()), ..*self }.each_and(tasks, work, |_| Ok(false))
    }

    /// The same; a hand that finds no task left does something `spare` instead while others are still at theirs, until
    /// that says that there is nothing.
    pub fn each_and<T: Sync, R: Send>(
        &self,
        tasks: &[T],
        work: impl Fn(&mut Session, &T) -> Result<R> + Sync,
        spare: impl Fn(&mut Session) -> Result<bool> + Sync,
    ) -> Result<Vec<R>> {
        let (hands, stop) = (self.number, self.stop);
        let left = AtomicUsize::new(tasks.len());
        let next = Mutex::new(0usize);
        let failed = AtomicBool::new(false);
        let running: Mutex<Vec<CancelHandle>> = Mutex::default();
        let over = AtomicBool::new(false);
        let claim = || {
            let mut next = lock(&next);
            *next += 1;
            *next - 1
        };
        let fail = |error| {
            failed.store(true, Ordering::Relaxed);
            if stop.load(Ordering::Relaxed) { interrupted() } else { error }
        };
        let hand = || -> Result<Vec<(usize, R)>> {
            let mut session = (self.session)()?;
            lock(&running).push(session.cancel_handle());
            let mut done = Vec::new();
            while !failed.load(Ordering::Relaxed) {
                let i = claim();
                let Some(task) = tasks.get(i) else { break };
                if stop.load(Ordering::Relaxed) {
                    failed.store(true, Ordering::Relaxed);
                    return Err(interrupted());
                }
                done.push((i, work(&mut session, task).map_err(fail)?));
                left.fetch_sub(1, Ordering::Relaxed);
            }
            while left.load(Ordering::Relaxed) > 0 && !failed.load(Ordering::Relaxed) {
                if stop.load(Ordering::Relaxed) || !spare(&mut session).map_err(fail)? {
                    break;
                }
            }
            Ok(done)
        };
        let ended = std::thread::scope(|scope| {
            let watch = scope.spawn(|| cancel_on(stop, &over, &running));
            let threads: Vec<_> = (0..hands).map(|_| scope.spawn(hand)).collect();
            let ended: Vec<_> = threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            over.store(true, Ordering::Relaxed);
            watch.thread().unpark();
            ended
        });
        let mut results = Vec::with_capacity(tasks.len());
        for end in ended {
            results.extend(end.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        results.sort_by_key(|(i, _)| *i);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }
}

/// Cancels the statements of `running` once `stop` is set, until `over` is.
pub fn cancel_on(stop: &AtomicBool, over: &AtomicBool, running: &Mutex<Vec<CancelHandle>>) {
    while !over.load(Ordering::Relaxed) {
        if stop.load(Ordering::Relaxed) {
            // Again and again: a hand may have looked at `stop` just before it began its statement. One that
            // cannot be cancelled ends by itself; the hands wait for it either way.
            lock(running).iter().for_each(|handle| drop(handle.cancel()));
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
