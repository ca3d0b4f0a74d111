//! What the counters were a period or two ago, so that averages can be told.
//!
//! As PgBouncer does it: two samples are kept, taken one `stats_period` apart, and averages are over
//! the time from the older one until now.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::time::Instant;

use super::stats::Totals;

/// Counters by database.
pub type ByDatabase = BTreeMap<Arc<str>, Totals>;

/// The two samples.
#[derive(Debug)]
pub struct Averages(Mutex<Samples>);

#[derive(Debug)]
struct Samples {
    older: Sample,
    newer: Sample,
}

#[derive(Clone, Debug)]
struct Sample {
    at: Instant,
    totals: Arc<ByDatabase>,
}

/// The counters at the start of the time that averages are over.
#[derive(Clone, Debug)]
pub struct Start {
    totals: Arc<ByDatabase>,
    /// How long ago that was; never zero.
    pub elapsed: Duration,
}

impl Default for Averages {
    fn default() -> Self {
        let start = Sample { at: Instant::now(), totals: Arc::default() };
        Self(Mutex::new(Samples { older: start.clone(), newer: start }))
    }
}

impl Averages {
    /// Takes a sample if the last one is `period` old.
    pub fn sample(&self, now: Instant, period: Duration, totals: impl FnOnce() -> ByDatabase) {
        let mut samples = self.lock();
        if now.saturating_duration_since(samples.newer.at) >= period {
            let newer = Sample { at: now, totals: Arc::new(totals()) };
            samples.older = std::mem::replace(&mut samples.newer, newer);
        }
    }

    /// The start of the time that averages are over at `now`.
    pub fn start(&self, now: Instant) -> Start {
        let samples = self.lock();
        let elapsed = now.saturating_duration_since(samples.older.at).max(Duration::from_micros(1));
        Start { totals: Arc::clone(&samples.older.totals), elapsed }
    }

    fn lock(&self) -> MutexGuard<'_, Samples> {
        self.0.lock().expect("nothing panics while it holds the samples")
    }
}

impl Start {
    /// The counters of a database then; zeros when it was not there yet.
    pub fn of(&self, database: &str) -> Totals {
        self.totals.get(database).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queries(queries: u64) -> ByDatabase {
        [(Arc::from("app"), Totals { queries, ..Totals::default() })].into()
    }

    #[tokio::test(start_paused = true)]
    async fn averages_are_over_one_to_two_periods() {
        let (averages, start, period) = (Averages::default(), Instant::now(), Duration::from_secs(60));
        assert_eq!(averages.start(start + period / 2).elapsed, period / 2);

        averages.sample(start + period, period, || queries(60));
        averages.sample(start + period + period / 2, period, || queries(90));
        averages.sample(start + 2 * period, period, || queries(120));

        let then = averages.start(start + 2 * period + period / 2);
        assert_eq!((then.of("app").queries, then.of("other").queries), (60, 0));
        assert_eq!(then.elapsed, period + period / 2);
    }
}
