//! The process's own clock: moments in microseconds, cheap to keep and to compare.
//!
//! The system's monotonic clock itself, which tests cannot pause: every request reads it, and tokio's first asks
//! whether somebody has paused it. Time limits and waits are tokio's.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment of this run of the system. Takes eight bytes, and never is 0, so that 0 can mean never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
        Self((seconds * 1_000_000 + nanos / 1_000).max(1))
    }

    /// Microseconds since a fixed moment, mostly the start of the machine.
    #[inline]
    pub fn micros(self) -> u64 {
        self.0
    }

    /// Microseconds since `earlier`; 0 if that is later.
    #[inline]
    pub fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The time since `earlier`; zero if that is later.
    #[inline]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.micros_since(earlier))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_never_is_zero() {
        let first = Moment::now();
        let second = Moment::now();
        assert!(first.micros() > 0);
        assert!(second >= first);
        assert_eq!(first.since(second).max(second.since(first)), Duration::from_micros(second.micros_since(first)));
        assert_eq!(first.micros_since(Moment(u64::MAX)), 0);
    }
}
