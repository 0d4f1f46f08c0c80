//! A pool that returns items in submission order. One thread submits items and receives them again; any thread
//! processes them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;

/// A pool of items that were submitted and not returned yet.
#[derive(Debug)]
pub(super) struct OrderedPool<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// The number of the first item that was not returned, and the items from this number on.
    first: usize,
    items: VecDeque<Item<T>>,
    /// The number of the next item without a worker.
    next_queued: usize,
    closed: bool,
}

#[derive(Debug)]
enum Item<T> {
    Queued(T),
    Running,
    Done(T),
}

impl<T: Send> OrderedPool<T> {
    /// Runs `drive` on the calling thread, and `work` on the other threads of the pool, if there is a pool.
    pub(super) fn run<R>(
        pool: Option<&ThreadPool>,
        work: impl Fn(&mut T) + Sync,
        drive: impl FnOnce(&OrderedPool<T>) -> R,
    ) -> R {
        let state = State { first: 0, items: VecDeque::new(), next_queued: 0, closed: false };
        let ordered = OrderedPool { state: Mutex::new(state), changed: Condvar::new() };
        let Some(pool) = pool else { return drive(&ordered) };
        pool.in_place_scope(|scope| {
            for _ in 1..pool.current_num_threads() {
                scope.spawn(|_| while ordered.run_one(&work, |state| !state.closed) {});
            }
            let result = drive(&ordered);
            ordered.state().closed = true;
            ordered.changed.notify_all();
            result
        })
    }

    /// Submits an item.
    pub(super) fn push(&self, item: T) {
        self.state().items.push_back(Item::Queued(item));
        self.changed.notify_all();
    }

    /// Returns the first item, if a thread has processed it.
    pub(super) fn take_first(&self) -> Option<T> {
        let mut state = self.state();
        match state.items.pop_front()? {
            Item::Done(item) => {
                state.first += 1;
                Some(item)
            }
            unfinished => {
                state.items.push_front(unfinished);
                None
            }
        }
    }

    /// Works on a queued item. Without a queued item, waits until the first one is done. Returns false if the pool is
    /// empty.
    pub(super) fn help_or_wait(&self, work: impl Fn(&mut T)) -> bool {
        self.run_one(&work, |state| !matches!(state.items.front(), None | Some(Item::Done(_))))
            || !self.state().items.is_empty()
    }

    /// Works on one item. Without a queued item, waits as long as `waits` returns true. Returns false if it waited in
    /// vain.
    fn run_one(&self, work: &impl Fn(&mut T), waits: impl Fn(&State<T>) -> bool) -> bool {
        let mut state = self.state();
        let (number, mut item) = loop {
            if let Some(found) = state.start_next() {
                break found;
            }
            if !waits(&state) {
                return false;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        work(&mut item);
        let mut state = self.state();
        let at = number - state.first;
        if let Some(entry) = state.items.get_mut(at) {
            *entry = Item::Done(item);
        }
        self.changed.notify_all();
        true
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Takes the next queued item for work, and returns its number.
    fn start_next(&mut self) -> Option<(usize, T)> {
        let number = self.next_queued;
        let entry = self.items.get_mut(number - self.first).filter(|entry| matches!(entry, Item::Queued(_)))?;
        let Item::Queued(item) = std::mem::replace(entry, Item::Running) else { return None };
        self.next_queued += 1;
        Some((number, item))
    }
}

#[cfg(test)]
mod tests;
