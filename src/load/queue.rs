//! What is left to copy: ranges, largest first, shared by all lanes.

use crate::model::bounds::LARGE_CELL_LANES_MAX;
use crate::model::range::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// One piece of work for a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Position of the table in the plan.
    pub table: usize,
    /// The keys to copy.
    pub range: Range,
    /// Bytes that it is expected to hold.
    pub bytes: u64,
    /// The lane creates the table too, in the same transaction.
    pub creates: bool,
}

/// Hands out items until all are done. A lane that finds the queue empty waits while others may still put
/// back what is left of a range.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: Vec<Item>,
    /// Items that lanes work on.
    busy: usize,
    /// Tables with large cells.
    large: Vec<bool>,
    waiting: usize,
    closed: bool,
}

impl State {
    // The largest item that this lane may take.
    fn next(&mut self, lane: usize) -> Option<Item> {
        let is_large = |item: &Item| self.large.get(item.table).copied().unwrap_or(false);
        let may = |item: &Item| lane < LARGE_CELL_LANES_MAX || !is_large(item);
        let at = self.items.iter().rposition(may)?;
        self.busy += 1;
        Some(self.items.remove(at))
    }
}

impl Queue {
    /// A queue of these items. `large` says of each table of the plan whether it holds large cells: those go to
    /// the first lanes only. Always the same ones, because an allocator keeps for a thread what it once needed.
    #[must_use]
    pub fn new(mut items: Vec<Item>, large: Vec<bool>) -> Self {
        items.sort_by_key(|i| i.bytes);
        Self { state: Mutex::new(State { items, large, ..State::default() }), changed: Condvar::new() }
    }

    /// A table turned out to hold large cells.
    pub fn mark_large(&self, table: usize) {
        if let Some(large) = self.lock().large.get_mut(table) {
            *large = true;
        }
    }

    /// The largest item for the lane of this number; `None` when all are done or the queue is closed. Every
    /// item taken must be given back with [`Queue::done`].
    pub fn take(&self, lane: usize) -> Option<Item> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(item) = state.next(lane) {
                return Some(item);
            }
            if state.busy == 0 {
                return None;
            }
            state.waiting += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    /// An item is done; `rest` is what is left of its range.
    pub fn done(&self, rest: &[Item]) {
        let mut state = self.lock();
        state.busy -= 1;
        state.items.extend_from_slice(rest);
        state.items.sort_by_key(|i| i.bytes);
        self.changed.notify_all();
    }

    /// Drops the items of a table.
    pub fn forget(&self, table: usize) {
        self.lock().items.retain(|i| i.table != table);
    }

    /// Nobody gets another item.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Lanes that wait for work.
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }

    // A lane that panicked leaves plain values behind, none half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(table: usize, bytes: u64) -> Item {
        Item { table, range: Range::ALL, bytes, creates: false }
    }

    #[test]
    fn the_largest_item_comes_first_and_the_rest_of_a_range_comes_back() {
        let queue = Queue::new(vec![item(0, 1), item(1, 9)], vec![]);
        assert_eq!(queue.take(0).map(|i| i.table), Some(1));
        queue.done(&[item(1, 5)]);
        assert_eq!(queue.take(0).map(|i| i.table), Some(1));
        assert_eq!(queue.take(0).map(|i| i.table), Some(0));
        queue.done(&[]);
        queue.done(&[]);
        assert_eq!(queue.take(0), None);
    }

    #[test]
    fn a_waiting_lane_gets_what_another_puts_back() {
        let queue = Queue::new(vec![item(0, 1)], vec![]);
        assert!(queue.take(0).is_some());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.take(0));
            while queue.waiting() == 0 {
                std::thread::yield_now();
            }
            queue.done(&[item(0, 1)]);
            assert!(waiting.join().unwrap().is_some());
        });
    }

    #[test]
    fn only_the_first_two_lanes_hold_large_cells() {
        let items = vec![item(0, 9), item(0, 8), item(1, 1)];
        let queue = Queue::new(items, vec![true, false]);
        assert_eq!(queue.take(2).map(|i| i.table), Some(1));
        assert_eq!(queue.take(0).map(|i| i.bytes), Some(9));
        assert_eq!(queue.take(1).map(|i| i.bytes), Some(8));
    }

    #[test]
    fn a_closed_queue_gives_nothing_more() {
        let queue = Queue::new(vec![item(0, 1)], vec![]);
        queue.close();
        assert_eq!(queue.take(0), None);
    }
}
