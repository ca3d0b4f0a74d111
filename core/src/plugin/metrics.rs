//! Counters and gauges that plugins keep: the `metrics` interface.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Distinct names and label sets of one plugin. Those beyond it are dropped.
const SERIES_MAX: usize = 1_000;

/// Longest name of a metric or label.
const NAME_MAX_BYTES: usize = 64;

/// Longest value of a label.
const VALUE_MAX_BYTES: usize = 128;

/// Labels of one series.
const LABELS_MAX: usize = 8;

/// One series as it is now. Whoever shows it puts the plugin's name before `name`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// As the plugin calls it.
    pub name: String,
    /// As the plugin gave them.
    pub labels: Vec<(String, String)>,
    /// What it counts or shows.
    pub value: f64,
    /// Only grows.
    pub is_counter: bool,
}

/// All series of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<BTreeMap<Key, Value>>);

type Key = (String, Vec<(String, String)>);

#[derive(Clone, Copy, Debug)]
enum Value {
    Counter(u64),
    Gauge(f64),
}

impl Metrics {
    pub(crate) fn add(&self, name: String, delta: u64, labels: Vec<(String, String)>) {
        self.update(name, labels, Value::Counter(0), |value| {
            if let Value::Counter(count) = value {
                *count = count.saturating_add(delta);
            }
        });
    }

    pub(crate) fn set(&self, name: String, level: f64, labels: Vec<(String, String)>) {
        self.update(name, labels, Value::Gauge(0.0), |value| {
            if let Value::Gauge(gauge) = value {
                *gauge = level;
            }
        });
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        let series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = |((name, labels), value): (&Key, &Value)| {
            #[expect(clippy::cast_precision_loss, reason = "Prometheus' numbers are doubles")]
            let (value, is_counter) = match *value {
                Value::Counter(count) => (count as f64, true),
                Value::Gauge(level) => (level, false),
            };
            Sample { name: name.clone(), labels: labels.clone(), value, is_counter }
        };
        series.iter().map(sample).collect()
    }

    fn update(&self, name: String, mut labels: Vec<(String, String)>, fresh: Value, act: impl FnOnce(&mut Value)) {
        let fits = is_name(&name)
            && labels.len() <= LABELS_MAX
            && labels.iter().all(|(key, value)| is_name(key) && value.len() <= VALUE_MAX_BYTES);
        if !fits {
            return;
        }
        labels.sort();
        let mut series = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = series.len() >= SERIES_MAX;
        let key = (name, labels);
        if !full || series.contains_key(&key) {
            act(series.entry(key).or_insert(fresh));
        }
    }
}

/// Prometheus' names without the colon, which is for rules.
/// <https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels>
fn is_name(name: &str) -> bool {
    let start = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    start && name.len() <= NAME_MAX_BYTES && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_adds_up_whatever_the_order_of_its_labels() {
        let metrics = Metrics::default();
        let label = |key: &str| (key.to_owned(), "x".to_owned());
        metrics.add("reads".into(), 2, vec![label("a"), label("b")]);
        metrics.add("reads".into(), 3, vec![label("b"), label("a")]);
        metrics.set("level".into(), 0.5, Vec::new());

        let samples = metrics.samples();

        let values: Vec<_> = samples.iter().map(|s| (&*s.name, s.value, s.is_counter)).collect();
        assert_eq!(values, [("level", 0.5, false), ("reads", 5.0, true)]);
    }

    #[test]
    fn the_number_of_series_is_bounded_and_bad_names_are_dropped() {
        let metrics = Metrics::default();
        for i in 0..2 * SERIES_MAX {
            metrics.add(format!("m{i}"), 1, Vec::new());
        }
        metrics.add("m0".into(), 1, Vec::new());
        let samples = metrics.samples();
        assert_eq!(samples.len(), SERIES_MAX);
        assert_eq!(samples[0].value, 2.0, "a known series goes on");

        let metrics = Metrics::default();
        for bad in ["", "1a", "a b", "a\"", &"x".repeat(NAME_MAX_BYTES + 1)] {
            metrics.add(bad.to_owned(), 1, Vec::new());
        }
        assert_eq!(metrics.samples(), []);
    }
}
