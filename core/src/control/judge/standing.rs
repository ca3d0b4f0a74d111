//! Whether one node can be relied on: its last answers, with hysteresis, and the ramp after a return.
//!
//! ```text
//!            good                    fall failures in a row,
//! Unseen ───────────▶ Up ──────────  or one that is certain ─────────▶ Down
//!    │                ▲                                                │  ▲
//!    │ failure        │ rise good ones: ramps up             good      │  │ failure
//!    └──────────▶ Down└─────────────────── Proving ◀───────────────────┘  │
//!                                             └───────────────────────────┘
//! ```

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::control::observation::{Failure, FailureKind, Timings};

/// Share of its weight that a node gets the moment it is back, in percent.
const RAMP_START_PERCENT: u32 = 10;

/// What the last answers of a node amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// No probe of it has ended yet.
    Unseen {
        /// It warms up once it is seen: it joined a cluster that was already at work.
        warm_up: bool,
    },
    /// Reliable.
    Up {
        /// Failed probes since the last good one.
        failures: u32,
        /// When it came back, while that still matters.
        since: Option<Instant>,
    },
    /// Answers again.
    Proving {
        /// Good probes in a row.
        good: u32,
    },
    /// Not usable.
    Down {
        /// The last failure.
        why: Arc<str>,
    },
}

impl Standing {
    /// A good probe.
    pub(super) fn rise(&mut self, timings: &Timings, now: Instant) {
        let good = match self {
            Self::Unseen { warm_up } => {
                *self = Self::Up { failures: 0, since: warm_up.then_some(now) };
                return;
            }
            Self::Up { failures, .. } => {
                *failures = 0;
                return;
            }
            Self::Proving { good } => *good + 1,
            Self::Down { .. } => 1,
        };
        *self = if good >= timings.probe_rise {
            Self::Up { failures: 0, since: Some(now) }
        } else {
            Self::Proving { good }
        };
    }

    /// A failed probe.
    pub(super) fn fall(&mut self, failure: &Failure, timings: &Timings) {
        match self {
            Self::Up { failures, .. } => {
                *failures = failures.saturating_add(weight(failure.kind, timings));
                if *failures >= timings.probe_fall.max(1) {
                    *self = Self::Down { why: failure.why.clone() };
                }
            }
            Self::Unseen { .. } | Self::Proving { .. } | Self::Down { .. } => {
                *self = Self::Down { why: failure.why.clone() };
            }
        }
    }

    /// An operator put it back: it warms up like a node that came back by itself.
    pub(super) fn warm_up(&mut self, now: Instant) {
        match self {
            Self::Up { since, .. } => *since = Some(now),
            Self::Unseen { warm_up } => *warm_up = true,
            Self::Proving { .. } | Self::Down { .. } => {}
        }
    }

    /// It answered last time.
    pub(super) fn answers(&self) -> bool {
        matches!(self, Self::Up { .. } | Self::Proving { .. })
    }

    /// Share of its weight, 0 to 100.
    pub(super) fn ramp_percent(&self, slow_start: Duration, now: Instant) -> u8 {
        match self {
            Self::Up { since: None, .. } => 100,
            Self::Up { since: Some(since), .. } => ramp(now.saturating_duration_since(*since), slow_start),
            Self::Proving { .. } => RAMP_START_PERCENT as u8,
            Self::Unseen { .. } | Self::Down { .. } => 0,
        }
    }
}

/// How many failed probes a failure counts for.
fn weight(kind: FailureKind, timings: &Timings) -> u32 {
    match kind {
        // Not a matter of opinion: nothing can be sent there now.
        FailureKind::Refused | FailureKind::NotReady | FailureKind::Rejected => u32::MAX,
        // Its sessions work; only a new one had no room.
        FailureKind::Full => 0,
        // As many probes as would have ended meanwhile.
        FailureKind::Silent(silence) => {
            let interval = timings.probe_interval.as_micros().max(1);
            u32::try_from(silence.as_micros() / interval).unwrap_or(u32::MAX).max(1)
        }
        FailureKind::Broken | FailureKind::Ended(_) => 1,
    }
}

/// Linear from [`RAMP_START_PERCENT`] to 100.
fn ramp(elapsed: Duration, slow_start: Duration) -> u8 {
    if elapsed >= slow_start {
        return 100;
    }
    let done = elapsed.as_secs_f64() / slow_start.as_secs_f64();
    let percent = f64::from(RAMP_START_PERCENT) + f64::from(100 - RAMP_START_PERCENT) * done;
    percent as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_ramp_goes_from_a_tenth_to_all_of_it() {
        for (elapsed, percent) in [(0, 10), (1, 19), (5, 55), (9, 91), (10, 100), (100, 100)] {
            assert_eq!(ramp(secs(elapsed), secs(10)), percent, "{elapsed} s");
        }
        assert_eq!(ramp(Duration::ZERO, Duration::ZERO), 100);
    }

    #[test]
    fn silence_weighs_as_many_probes_as_it_lasted() {
        let timings = Timings {
            probe_interval: Duration::from_millis(200),
            probe_timeout: secs(2),
            probe_rise: 3,
            probe_fall: 2,
            slow_start: secs(10),
        };
        for (silence_ms, probes) in [(0, 1), (100, 1), (400, 2), (2_000, 10)] {
            let kind = FailureKind::Silent(Duration::from_millis(silence_ms));
            assert_eq!(weight(kind, &timings), probes, "{silence_ms} ms");
        }
    }
}
