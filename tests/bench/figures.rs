//! What was measured: figures by target and case, over the rounds.

use std::collections::BTreeMap;

/// One quantity; its name says its unit.
pub type Quantity = &'static str;

/// Transactions per second.
pub const TPS: Quantity = "tps";
/// Average latency.
pub const LATENCY_MS: Quantity = "latency_average_ms";
/// 99th percentile of the latency.
pub const P99_MS: Quantity = "latency_p99_ms";
/// The program's own CPU time, its whole process tree, per transaction.
pub const CPU_US: Quantity = "cpu_us_per_transaction";
/// Connections a second of a storm.
pub const LOGINS: Quantity = "logins_per_second";
/// Rate of a copy.
pub const RATE: Quantity = "megabytes_per_second";
/// The program's own CPU time per gigabyte.
pub const CPU_PER_GB: Quantity = "cpu_s_per_gigabyte";
/// Memory without clients.
pub const EMPTY_MB: Quantity = "megabytes_at_0_clients";
/// Memory with 1,000 idle clients.
pub const THOUSAND_MB: Quantity = "megabytes_at_1000_clients";
/// Memory with 5,000 idle clients.
pub const CROWD_MB: Quantity = "megabytes_at_5000_clients";
/// What each further idle client costs.
pub const CLIENT_BYTES: Quantity = "bytes_per_idle_client";

/// One measurement's quantities.
pub type Measured = BTreeMap<Quantity, f64>;

/// All measurements.
#[derive(Default)]
pub struct Figures {
    measured: BTreeMap<(String, String), Vec<Result<Measured, String>>>,
}

impl Figures {
    /// Keeps a measurement, or why there is none.
    pub fn add(&mut self, target: &str, case: String, result: anyhow::Result<Measured>) {
        let result = result.map_err(|error| format!("{error:#}"));
        self.measured.entry((target.to_owned(), case)).or_default().push(result);
    }

    /// The median of the rounds.
    pub fn median(&self, target: &str, case: &str, quantity: Quantity) -> Option<f64> {
        let rounds = self.rounds(target, case)?;
        let mut values: Vec<f64> =
            rounds.iter().filter_map(|round| round.as_ref().ok()?.get(quantity).copied()).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// Whether no round of it went well.
    pub fn fails(&self, target: &str, case: &str) -> bool {
        self.rounds(target, case).is_some_and(|rounds| rounds.iter().all(Result::is_err))
    }

    /// Every measurement.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &[Result<Measured, String>])> {
        self.measured.iter().map(|((target, case), rounds)| (target.as_str(), case.as_str(), rounds.as_slice()))
    }

    fn rounds(&self, target: &str, case: &str) -> Option<&Vec<Result<Measured, String>>> {
        self.measured.get(&(target.to_owned(), case.to_owned()))
    }
}

/// The value below which 99 of 100 lie.
pub fn percentile_99(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get((values.len() * 99 / 100).min(values.len().checked_sub(1)?)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_passes_over_rounds_that_failed() {
        let mut figures = Figures::default();
        for tps in [3.0, 1.0, 2.0] {
            figures.add("howdah", "simple-1".into(), Ok(Measured::from([(TPS, tps)])));
        }
        figures.add("howdah", "simple-1".into(), Err(anyhow::anyhow!("broken")));

        assert_eq!(figures.median("howdah", "simple-1", TPS), Some(2.0));
        assert!(!figures.fails("howdah", "simple-1"));
        assert_eq!(figures.median("howdah", "simple-2", TPS), None);
    }

    #[test]
    fn the_99th_percentile_is_the_worst_of_few() {
        assert_eq!(percentile_99(&mut [2.0, 1.0]), Some(2.0));
        assert_eq!(percentile_99(&mut (1..=200).map(f64::from).collect::<Vec<_>>()), Some(199.0));
        assert_eq!(percentile_99(&mut []), None);
    }
}
