//! What bounds a pool.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};

/// What bounds a pool; replaced as a whole by a reload.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolLimits {
    /// Most servers.
    pub size: usize,
    /// Fewest servers once the pool is in use.
    pub min_size: usize,
    /// Extra servers for those who wait longer than `reserve_timeout`.
    pub reserve: usize,
    /// How long a client waits before the reserve is opened.
    pub reserve_timeout: Duration,
    /// Longest wait for a server; zero = for ever.
    pub wait_timeout: Duration,
    /// When a waiting client is told so; zero = never.
    pub wait_notify: Duration,
    /// How long a failed login makes the pool careful: one attempt at a time.
    pub login_retry: Duration,
    /// Age at which a server is closed once it is idle; zero = never.
    pub lifetime: Duration,
    /// Idleness after which a server is closed; zero = never.
    pub idle_timeout: Duration,
    /// Idleness after which a server is asked whether it still lives.
    pub check_delay: Duration,
    /// What it is asked.
    pub check_query: Option<String>,
    /// Statements prepared on one server at most.
    pub max_prepared: usize,
    /// Run on each new server.
    pub connect_query: Option<String>,
}

/// The limits of now. What every request asks of them stands by itself, as a number that is cheap to read.
pub(super) struct Limits {
    all: ArcSwap<PoolLimits>,
    max_prepared: AtomicUsize,
    /// Idleness that asks for a check.
    check_micros: AtomicU64,
    lifetime_micros: AtomicU64,
}

impl Limits {
    pub(super) fn new(limits: PoolLimits) -> Self {
        let cell = Self {
            all: ArcSwap::from_pointee(limits.clone()),
            max_prepared: AtomicUsize::new(0),
            check_micros: AtomicU64::new(0),
            lifetime_micros: AtomicU64::new(0),
        };
        cell.store(limits);
        cell
    }

    pub(super) fn store(&self, limits: PoolLimits) {
        self.max_prepared.store(limits.max_prepared, Relaxed);
        self.check_micros.store(limits.check_query.as_ref().map_or(u64::MAX, |_| micros(limits.check_delay)), Relaxed);
        let lifetime = if limits.lifetime.is_zero() { u64::MAX } else { micros(limits.lifetime) };
        self.lifetime_micros.store(lifetime, Relaxed);
        self.all.store(Arc::new(limits));
    }

    pub(super) fn load(&self) -> Guard<Arc<PoolLimits>> {
        self.all.load()
    }

    #[inline]
    pub(super) fn max_prepared(&self) -> usize {
        self.max_prepared.load(Relaxed)
    }

    /// Whether a server that was idle for `micros` may have died unnoticed.
    #[inline]
    pub(super) fn is_check_due(&self, micros: u64) -> bool {
        micros >= self.check_micros.load(Relaxed)
    }

    /// What such a server is asked.
    pub(super) fn due_check(&self, micros: u64) -> Option<String> {
        if self.is_check_due(micros) { self.load().check_query.clone() } else { None }
    }

    /// Whether a server of that age is to be closed.
    #[inline]
    pub(super) fn is_too_old(&self, micros: u64) -> bool {
        micros >= self.lifetime_micros.load(Relaxed)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_often_follows_the_limits() {
        let limits = PoolLimits {
            size: 1,
            min_size: 0,
            reserve: 0,
            reserve_timeout: Duration::ZERO,
            wait_timeout: Duration::ZERO,
            wait_notify: Duration::ZERO,
            login_retry: Duration::ZERO,
            lifetime: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            check_delay: Duration::ZERO,
            check_query: None,
            max_prepared: 7,
            connect_query: None,
        };
        let cell = Limits::new(limits.clone());
        assert_eq!(cell.max_prepared(), 7);
        assert_eq!(cell.due_check(u64::MAX - 1), None, "nothing to ask");
        assert!(!cell.is_too_old(u64::MAX - 1), "no lifetime");
        cell.store(PoolLimits {
            lifetime: Duration::from_secs(2),
            check_delay: Duration::from_secs(1),
            check_query: Some("select 1".into()),
            ..limits
        });
        assert_eq!((cell.due_check(999_999), cell.due_check(1_000_000)), (None, Some("select 1".into())));
        assert_eq!((cell.is_too_old(1_999_999), cell.is_too_old(2_000_000)), (false, true));
    }
}
