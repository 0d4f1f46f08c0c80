//! Batches on several threads: the thread that reads and delivers hands them out, any thread works them off, and they come
//! back in the order in which they were handed out.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;

/// What was handed out and did not come back yet.
#[derive(Debug)]
pub(super) struct OrderedPool<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// The number of the first that did not come back, and what is there of it and of those behind it.
    first: usize,
    line: VecDeque<Stage<T>>,
    /// The number of the next one that nobody works on.
    next: usize,
    over: bool,
}

#[derive(Debug)]
enum Stage<T> {
    New(T),
    Out,
    Done(T),
}

impl<T: Send> OrderedPool<T> {
    /// Runs `hand_out` on this thread, with `work` on the others of the pool, if there is one.
    pub(super) fn run<R>(
        pool: Option<&ThreadPool>,
        work: impl Fn(&mut T) + Sync,
        hand_out: impl FnOnce(&OrderedPool<T>) -> R,
    ) -> R {
        let state = State { first: 0, line: VecDeque::new(), next: 0, over: false };
        let ordered = OrderedPool { state: Mutex::new(state), changed: Condvar::new() };
        let Some(pool) = pool else { return hand_out(&ordered) };
        pool.in_place_scope(|scope| {
            for _ in 1..pool.current_num_threads() {
                scope.spawn(|_| while ordered.help(&work, |state| !state.over) {});
            }
            let result = hand_out(&ordered);
            ordered.state().over = true;
            ordered.changed.notify_all();
            result
        })
    }

    /// Hands out one more.
    pub(super) fn put(&self, item: T) {
        self.state().line.push_back(Stage::New(item));
        self.changed.notify_all();
    }

    /// The first one, if it was worked off.
    pub(super) fn take(&self) -> Option<T> {
        let mut state = self.state();
        match state.line.pop_front()? {
            Stage::Done(item) => {
                state.first += 1;
                Some(item)
            }
            stage => {
                state.line.push_front(stage);
                None
            }
        }
    }

    /// Works one off that nobody works on; where there is none, waits for the first one. False if nothing is handed out.
    pub(super) fn wait(&self, work: impl Fn(&mut T)) -> bool {
        self.help(&work, |state| !matches!(state.line.front(), None | Some(Stage::Done(_))))
            || !self.state().line.is_empty()
    }

    /// Works one off. As long as there is none, waits while `waits` says so; false once it does not.
    fn help(&self, work: &impl Fn(&mut T), waits: impl Fn(&State<T>) -> bool) -> bool {
        let mut state = self.state();
        let (number, mut item) = loop {
            if let Some(found) = state.begin() {
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
        if let Some(stage) = state.line.get_mut(at) {
            *stage = Stage::Done(item);
        }
        self.changed.notify_all();
        true
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// The next one that nobody works on, with its number.
    fn begin(&mut self) -> Option<(usize, T)> {
        let number = self.next;
        let stage = self.line.get_mut(number - self.first).filter(|stage| matches!(stage, Stage::New(_)))?;
        let Stage::New(item) = std::mem::replace(stage, Stage::Out) else { return None };
        self.next += 1;
        Some((number, item))
    }
}

#[cfg(test)]
mod tests;
