//! Which worker a thread is.

use std::cell::Cell;

thread_local! {
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// Says that the calling thread is that worker, for as long as it lives.
pub fn become_worker(id: usize) {
    CURRENT.set(id);
}

/// The worker that the calling thread is.
pub fn current() -> usize {
    CURRENT.get()
}
