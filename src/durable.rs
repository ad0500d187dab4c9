//! Steps that last: what was done before one is there after a crash.
//!
//! Whoever takes such a step says so here, just before and just after. Nobody listens but a rehearsal, which stops a
//! process of its own at each of them and kills it there. Knows nothing of what the steps do.

use std::sync::OnceLock;

/// On which side of a step a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It was not taken yet.
    Before,
    /// It was taken, and nothing else was done since.
    After,
}

/// What is called at each step, with the side and a word or two on it. It may wait for as long as it likes.
pub type Watch = Box<dyn Fn(Side, &str) + Send + Sync>;

static WATCH: OnceLock<Watch> = OnceLock::new();

/// Watches all steps of this process from now on. Only the first call counts.
pub fn watch(watch: Watch) {
    // A second watch would have to share the steps with the first.
    WATCH.set(watch).ok();
}

/// Whether anybody watches: what costs time to find out about a step is not found out otherwise.
#[must_use]
pub fn is_watched() -> bool {
    WATCH.get().is_some()
}

/// Takes a step. What failed is not said to have been taken.
pub fn step<T, E>(what: &str, take: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let Some(watch) = WATCH.get() else { return take() };
    watch(Side::Before, what);
    let done = take()?;
    watch(Side::After, what);
    Ok(done)
}
