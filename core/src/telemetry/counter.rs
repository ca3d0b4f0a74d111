//! A number that one thread counts up while others read it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts what one thread does. Others only read: with one writer a load and a store do what
/// otherwise takes an instruction that holds up the memory bus.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `n` more; only for the thread that owns the counter.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// How many so far.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
