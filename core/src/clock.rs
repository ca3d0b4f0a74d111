//! The process's own clock: moments in microseconds, cheap to keep and to compare.
//!
//! The system's clock itself, which tests cannot pause: every request reads it, and tokio's first asks
//! whether somebody has paused it. Time limits and waits are tokio's.
#![expect(clippy::disallowed_types, reason = "the one place that reads the system's clock")]

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// A moment since the process began. Takes eight bytes, and never is 0, so that 0 can mean never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// This moment.
    #[inline]
    pub fn now() -> Self {
        static START: OnceLock<Instant> = OnceLock::new();
        let now = Instant::now();
        let start = *START.get_or_init(|| now);
        Self(micros(now.saturating_duration_since(start)).saturating_add(1))
    }

    /// Microseconds since the process began.
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

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
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
