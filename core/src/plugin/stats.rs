//! How a plugin does: what `SHOW PLUGINS` and the metrics tell of it.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::error::Failure;

/// Upper ends of the ranges in which call times are counted, in microseconds; the last is open.
const BOUNDS_MICROS: [u64; 12] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000];

/// Whether a plugin is being called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PluginState {
    /// It is.
    Running,
    /// Not for now: it failed too often.
    Broken,
}

/// One plugin as `SHOW PLUGINS` shows it.
#[derive(Clone, Debug)]
pub struct PluginStatus {
    /// Its key in the configuration.
    pub name: String,
    /// What it calls itself, and its version.
    pub policy: String,
    /// Its own version.
    pub version: String,
    /// Hex SHA-256 of the component; empty for the null policy.
    pub sha256: String,
    /// The contract that it was built for.
    pub api: &'static str,
    /// The generation that it belongs to.
    pub generation: u64,
    /// Whether it is being called.
    pub state: PluginState,
    /// Calls of `route` and `admit`.
    pub calls: u64,
    /// Calls without a usable answer, all kinds together.
    pub failures: u64,
    /// Of these: traps.
    pub traps: u64,
    /// Of these: not done in time.
    pub timeouts: u64,
    /// Why the last failed call failed.
    pub last_error: Option<String>,
    /// Half of the calls took at most this long, rounded up to a bound of [`CallTimes`].
    pub p50_micros: u64,
    /// The longest call.
    pub max_micros: u64,
    /// Instances, idle and busy.
    pub instances: usize,
    /// Linear memory of the idle instances.
    pub memory_bytes: usize,
}

/// Call times, as a Prometheus histogram has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallTimes {
    /// Upper end in microseconds (`None`: open), and the calls in the range (not cumulated).
    pub ranges: Vec<(Option<u64>, u64)>,
    /// All calls together.
    pub sum: Duration,
}

/// Counters, updated by all workers.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    failures: AtomicU64,
    traps: AtomicU64,
    timeouts: AtomicU64,
    last_error: Mutex<Option<String>>,
    ranges: [AtomicU64; BOUNDS_MICROS.len() + 1],
    sum_nanos: AtomicU64,
    max_nanos: AtomicU64,
}

/// The counters at one instant.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) traps: u64,
    pub(crate) timeouts: u64,
    pub(crate) last_error: Option<String>,
    pub(crate) p50_micros: u64,
    pub(crate) max_micros: u64,
}

impl Stats {
    pub(crate) fn called(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let range = BOUNDS_MICROS.partition_point(|bound| bound * 1_000 < nanos);
        self.ranges[range].fetch_add(1, Relaxed);
        self.sum_nanos.fetch_add(nanos, Relaxed);
        self.max_nanos.fetch_max(nanos, Relaxed);
    }

    pub(crate) fn failed(&self, failure: &Failure) {
        self.failures.fetch_add(1, Relaxed);
        match failure {
            Failure::Trap { .. } => _ = self.traps.fetch_add(1, Relaxed),
            Failure::Timeout { .. } => _ = self.timeouts.fetch_add(1, Relaxed),
            _ => {}
        }
        let mut last = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(failure.to_string());
    }

    pub(crate) fn counted(&self) -> Counted {
        let times = self.times();
        Counted {
            calls: times.ranges.iter().map(|(_, calls)| calls).sum(),
            failures: self.failures.load(Relaxed),
            traps: self.traps.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            p50_micros: self.median_micros(&times),
            max_micros: self.max_nanos.load(Relaxed).div_ceil(1_000),
        }
    }

    pub(crate) fn times(&self) -> CallTimes {
        let ends = BOUNDS_MICROS.iter().copied().map(Some).chain([None]);
        CallTimes {
            ranges: ends.zip(self.ranges.iter().map(|calls| calls.load(Relaxed))).collect(),
            sum: Duration::from_nanos(self.sum_nanos.load(Relaxed)),
        }
    }

    fn median_micros(&self, times: &CallTimes) -> u64 {
        let calls: u64 = times.ranges.iter().map(|(_, calls)| calls).sum();
        let mut seen = 0;
        for (end, in_range) in &times.ranges {
            seen += in_range;
            if calls > 0 && seen * 2 >= calls {
                return end.unwrap_or_else(|| self.max_nanos.load(Relaxed).div_ceil(1_000));
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_end_of_its_range() {
        let stats = Stats::default();
        assert_eq!(stats.counted().p50_micros, 0);
        for micros in [2, 3, 3, 4, 900] {
            stats.called(Duration::from_micros(micros));
        }
        let counted = stats.counted();
        assert_eq!((counted.calls, counted.p50_micros, counted.max_micros), (5, 5, 900));
        assert_eq!(stats.times().sum, Duration::from_micros(912));
    }

    #[test]
    fn a_failure_is_counted_by_its_kind_and_remembered() {
        let stats = Stats::default();
        stats.failed(&Failure::Timeout { limit: Duration::from_millis(5) });
        stats.failed(&Failure::Refused { message: "no such tenant".to_owned() });
        let counted = stats.counted();
        assert_eq!((counted.failures, counted.traps, counted.timeouts), (2, 0, 1));
        assert_eq!(counted.last_error.as_deref(), Some("no such tenant"));
    }
}
