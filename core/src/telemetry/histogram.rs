//! Durations counted in buckets.

use std::time::Duration;

use super::counter::Counter;

/// Upper bounds of the buckets in microseconds; one more bucket takes what is longer.
pub const BOUNDS_MICROS: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];

/// Counts durations; one thread writes, as with a [`Counter`].
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BOUNDS_MICROS.len() + 1],
    sum_micros: Counter,
}

/// What a histogram held at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Counts by bucket, not cumulated.
    pub buckets: [u64; BOUNDS_MICROS.len() + 1],
    /// Sum of all durations.
    pub sum: Duration,
}

impl Histogram {
    /// Counts one duration.
    #[inline]
    pub fn observe(&self, micros: u64) {
        let bucket = BOUNDS_MICROS.iter().position(|&bound| micros <= bound).unwrap_or(BOUNDS_MICROS.len());
        self.buckets[bucket].add(1);
        self.sum_micros.add(micros);
    }

    /// Adds what it holds to `into`.
    pub fn add_to(&self, into: &mut Snapshot) {
        for (sum, bucket) in into.buckets.iter_mut().zip(&self.buckets) {
            *sum += bucket.get();
        }
        into.sum += Duration::from_micros(self.sum_micros.get());
    }
}

impl Snapshot {
    /// Adds what another one held.
    pub fn merge(&mut self, other: &Self) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&other.buckets) {
            *sum += bucket;
        }
        self.sum += other.sum;
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for micros in [0, 50, 51, u64::from(u32::MAX)] {
            histogram.observe(micros);
        }
        let mut held = Snapshot::default();
        histogram.add_to(&mut held);
        assert_eq!((held.buckets[0], held.buckets[1], held.buckets[16], held.count()), (2, 1, 1, 4));
    }
}
