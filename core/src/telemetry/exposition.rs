//! Prometheus' text format.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::{fmt::Write as _, time::Duration};

use super::histogram::{BOUNDS_MICROS, Snapshot};

/// The `Content-Type` of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Names and values of labels.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// The samples of one metric.
#[derive(Debug)]
pub struct Samples<'p> {
    text: &'p mut String,
    name: &'p str,
}

/// Appends a metric with its samples; without samples it is left out.
pub fn metric(text: &mut String, name: &str, kind: Kind, help: &str, samples: impl FnOnce(&mut Samples<'_>)) {
    let before = text.len();
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    write(text, format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.word()));
    let head = text.len();
    samples(&mut Samples { text, name });
    if text.len() == head {
        text.truncate(before);
    }
}

impl Samples<'_> {
    /// A whole number.
    pub fn count(&mut self, labels: Labels<'_>, value: u64) {
        self.line("", labels, None, format_args!("{value}"));
    }

    /// Any number.
    pub fn level(&mut self, labels: Labels<'_>, value: f64) {
        self.line("", labels, None, format_args!("{value}"));
    }

    /// A duration, in seconds.
    pub fn seconds(&mut self, labels: Labels<'_>, value: Duration) {
        self.level(labels, value.as_secs_f64());
    }

    /// 1 or 0.
    pub fn yes(&mut self, labels: Labels<'_>, value: bool) {
        self.count(labels, u64::from(value));
    }

    /// A histogram of ours.
    pub fn durations(&mut self, labels: Labels<'_>, held: &Snapshot) {
        let ends = BOUNDS_MICROS.iter().copied().map(Some).chain([None]);
        self.histogram(labels, ends.zip(held.buckets), held.sum);
    }

    /// A histogram of durations: upper ends in microseconds (`None` is open) with what is in each
    /// range, not cumulated. The open range is the last.
    pub fn histogram(
        &mut self,
        labels: Labels<'_>,
        ranges: impl IntoIterator<Item = (Option<u64>, u64)>,
        sum: Duration,
    ) {
        let mut count = 0;
        for (end, in_range) in ranges {
            count += in_range;
            let end =
                end.map_or_else(|| "+Inf".to_owned(), |micros| Duration::from_micros(micros).as_secs_f64().to_string());
            self.line("_bucket", labels, Some(&end), format_args!("{count}"));
        }
        self.line("_sum", labels, None, format_args!("{}", sum.as_secs_f64()));
        self.line("_count", labels, None, format_args!("{count}"));
    }

    fn line(&mut self, suffix: &str, labels: Labels<'_>, end: Option<&str>, value: std::fmt::Arguments<'_>) {
        write(self.text, format_args!("{}{suffix}", self.name));
        let labels = labels.iter().copied().chain(end.map(|end| ("le", end)));
        let mut open = '{';
        for (name, value) in labels {
            write(self.text, format_args!("{open}{name}=\"{}\"", escaped(value)));
            open = ',';
        }
        let close = if open == ',' { "}" } else { "" };
        write(self.text, format_args!("{close} {value}\n"));
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn write(text: &mut String, words: std::fmt::Arguments<'_>) {
    text.write_fmt(words).expect("a string takes all");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_its_help_its_kind_and_its_samples() {
        let mut text = String::new();
        metric(&mut text, "a_total", Kind::Counter, "How many.", |samples| {
            samples.count(&[("who", "x\"y\\z\n"), ("b", "")], 3);
            samples.count(&[], 4);
        });
        assert_eq!(
            text,
            "# HELP a_total How many.\n# TYPE a_total counter\na_total{who=\"x\\\"y\\\\z\\n\",b=\"\"} 3\na_total 4\n"
        );
    }

    #[test]
    fn a_metric_without_samples_is_left_out() {
        let mut text = String::from("before\n");
        metric(&mut text, "a", Kind::Gauge, "Nothing.", |_| ());
        assert_eq!(text, "before\n");
    }

    #[test]
    fn a_histogram_is_cumulated_and_ends_with_infinity() {
        let mut text = String::new();
        metric(&mut text, "t_seconds", Kind::Histogram, "Times.", |samples| {
            samples.histogram(
                &[("l", "1")],
                [(Some(50), 2), (Some(1_000_000), 3), (None, 1)],
                Duration::from_millis(1_500),
            );
        });
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "t_seconds_bucket{l=\"1\",le=\"0.00005\"} 2",
                "t_seconds_bucket{l=\"1\",le=\"1\"} 5",
                "t_seconds_bucket{l=\"1\",le=\"+Inf\"} 6",
                "t_seconds_sum{l=\"1\"} 1.5",
                "t_seconds_count{l=\"1\"} 6",
            ]
        );
    }
}
