//! Stops calling a plugin that fails again and again, for a while.
//!
//! ```text
//! closed --5 failures in 10 s--> open --time is up--> half-open --probe succeeds--> closed
//!                                 ^                       |
//!                                 +------ probe fails: twice as long, to 60 s ------+
//! ```
//!
//! Pure: the caller brings the time.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Failures within [`WINDOW`] that open the breaker.
const FAILURES_MAX: usize = 5;

/// How long a failure counts.
const WINDOW: Duration = Duration::from_secs(10);

/// First time of rest.
const OPEN_MIN: Duration = Duration::from_secs(1);

/// Longest time of rest.
const OPEN_MAX: Duration = Duration::from_secs(60);

/// A plugin that has been well for this long starts over with [`OPEN_MIN`].
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// Whether to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// Yes, and report how it went.
    Call,
    /// No; ask again after this time.
    Rest(Duration),
}

/// The failures of one plugin, and what follows from them.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: State,
    /// Length of the last rest, and when it ended well.
    last_rest: Option<(Duration, Instant)>,
}

#[derive(Debug)]
enum State {
    Closed { failures: VecDeque<Instant> },
    Open { until: Instant, rest: Duration },
    HalfOpen { rest: Duration },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: VecDeque::with_capacity(FAILURES_MAX) }
    }
}

impl Breaker {
    /// Whether the plugin may be called now. After a rest, the first to ask probes for all.
    pub(crate) fn permit(&mut self, now: Instant) -> Permit {
        match self.state {
            State::Closed { .. } => Permit::Call,
            State::Open { until, .. } if now < until => Permit::Rest(until - now),
            State::Open { rest, .. } => {
                self.state = State::HalfOpen { rest };
                Permit::Call
            }
            State::HalfOpen { .. } => Permit::Rest(OPEN_MIN),
        }
    }

    /// A permitted call gave an answer.
    pub(crate) fn succeeded(&mut self, now: Instant) {
        if let State::HalfOpen { rest } = self.state {
            self.last_rest = Some((rest, now));
            self.state = State::default();
        }
    }

    /// A permitted call gave none. Some: the plugin rests from now on, for so long.
    pub(crate) fn failed(&mut self, now: Instant) -> Option<Duration> {
        let rest = match &mut self.state {
            State::Closed { failures } => {
                failures.push_back(now);
                while failures.front().is_some_and(|at| now.duration_since(*at) > WINDOW) {
                    failures.pop_front();
                }
                if failures.len() < FAILURES_MAX {
                    return None;
                }
                self.next_rest(now)
            }
            State::HalfOpen { rest } => (*rest * 2).min(OPEN_MAX),
            // A call that began before the breaker opened; that it failed is no news.
            State::Open { .. } => return None,
        };
        self.state = State::Open { until: now + rest, rest };
        Some(rest)
    }

    /// Calls are not made, or only one as a probe.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }

    fn next_rest(&self, now: Instant) -> Duration {
        match self.last_rest {
            Some((rest, ended)) if now.duration_since(ended) < FORGIVEN_AFTER => (rest * 2).min(OPEN_MAX),
            _ => OPEN_MIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// Fails as often as it takes; returns the rest that follows.
    fn trip(breaker: &mut Breaker, now: Instant) -> Duration {
        for _ in 1..FAILURES_MAX {
            assert_eq!(breaker.failed(now), None);
        }
        breaker.failed(now).unwrap()
    }

    #[test]
    fn five_failures_in_ten_seconds_open_it_for_one_second() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        assert_eq!(trip(&mut breaker, start), secs(1));
        assert_eq!(breaker.permit(start), Permit::Rest(secs(1)));
        assert!(breaker.is_open());
    }

    #[test]
    fn failures_that_are_far_apart_do_not_open_it() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        for nth in 0..100 {
            assert_eq!(breaker.failed(start + secs(3) * nth), None);
        }
    }

    #[test]
    fn after_the_rest_one_probe_decides_for_all() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        let mut now = start + trip(&mut breaker, start);
        assert_eq!(breaker.permit(now), Permit::Call);
        assert_eq!(breaker.permit(now), Permit::Rest(secs(1)), "only one probes");

        assert_eq!(breaker.failed(now), Some(secs(2)));
        now += secs(2);
        assert_eq!(breaker.permit(now), Permit::Call);
        breaker.succeeded(now);

        assert_eq!(breaker.permit(now), Permit::Call);
        assert_eq!(breaker.permit(now), Permit::Call);
        assert!(!breaker.is_open());
    }

    #[test]
    fn the_rest_doubles_to_a_minute_and_is_forgiven_after_a_good_one() {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let mut rests = vec![trip(&mut breaker, now)];
        for _ in 0..7 {
            now += *rests.last().unwrap();
            assert_eq!(breaker.permit(now), Permit::Call);
            rests.push(breaker.failed(now).unwrap());
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60].map(secs));

        now += secs(60);
        assert_eq!(breaker.permit(now), Permit::Call);
        breaker.succeeded(now);
        assert_eq!(trip(&mut breaker, now + secs(20)), secs(60), "not forgiven yet");
        now += secs(80);
        assert_eq!(breaker.permit(now), Permit::Call);
        breaker.succeeded(now);
        assert_eq!(trip(&mut breaker, now + secs(61)), secs(1));
    }

    #[test]
    fn a_late_failure_does_not_prolong_the_rest() {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        trip(&mut breaker, start);
        assert_eq!(breaker.failed(start), None);
        assert_eq!(breaker.permit(start), Permit::Rest(secs(1)));
    }
}
