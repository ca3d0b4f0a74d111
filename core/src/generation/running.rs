//! The generation that runs, for those who look at it with every request.

use std::sync::{
    Arc,
    atomic::{
        AtomicU64,
        Ordering::{Acquire, Release},
    },
};

use arc_swap::{ArcSwap, Guard};

use super::Generation;

/// Holds the running generation; reading takes no lock.
#[derive(Debug)]
pub struct RunningGeneration {
    generation: ArcSwap<Generation>,
    /// Its number, by itself: cheaper to read than the generation.
    number: AtomicU64,
}

impl RunningGeneration {
    /// Starts with the first.
    pub fn new(first: Arc<Generation>) -> Self {
        Self { number: AtomicU64::new(first.number), generation: ArcSwap::new(first) }
    }

    /// The number of the running generation. Whoever sees it loads that generation, or a later one.
    #[inline]
    pub fn number(&self) -> u64 {
        self.number.load(Acquire)
    }

    /// The running generation, to be looked at.
    pub fn load(&self) -> Guard<Arc<Generation>> {
        self.generation.load()
    }

    /// The running generation, to be kept.
    pub fn load_full(&self) -> Arc<Generation> {
        self.generation.load_full()
    }

    /// Goes over to another.
    pub fn store(&self, generation: Arc<Generation>) {
        let number = generation.number;
        self.generation.store(generation);
        self.number.store(number, Release);
    }
}
