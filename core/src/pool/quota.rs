//! A bound on the servers of several pools together: `max_db_connections`, `max_user_connections`.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many servers are open, and how many may be.
#[derive(Debug)]
pub struct Quota {
    max: AtomicUsize,
    used: AtomicUsize,
}

impl Quota {
    /// At most `max`; 0 is no bound.
    pub fn new(max: usize) -> Self {
        Self { max: AtomicUsize::new(max), used: AtomicUsize::new(0) }
    }

    /// Changes the bound; what is open beyond it stays until it closes.
    pub fn resize(&self, max: usize) {
        self.max.store(max, Relaxed);
    }

    /// How many are open.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// The bound; 0 is none.
    pub fn max(&self) -> usize {
        self.max.load(Relaxed)
    }

    /// Counts one more, unless that is one too many.
    #[must_use]
    pub fn take(&self) -> bool {
        let max = self.max.load(Relaxed);
        self.used.fetch_update(Relaxed, Relaxed, |used| (max == 0 || used < max).then_some(used + 1)).is_ok()
    }

    /// Counts one less.
    pub fn give(&self) {
        self.used.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_exact() {
        let quota = Quota::new(2);
        assert!(quota.take() && quota.take());
        assert!(!quota.take());
        quota.give();
        assert!(quota.take());
        quota.resize(0);
        assert!(quota.take());
        assert_eq!(quota.used(), 3);
    }
}
