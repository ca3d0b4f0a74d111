//! How tests ended, and how two runs of a suite differ.

use std::collections::BTreeMap;

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// Otherwise.
    Failed,
    /// Not by itself: it was ended.
    Hung,
    /// It found that it does not apply.
    Skipped,
}

/// The tests of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    tests: BTreeMap<String, Outcome>,
}

/// A test that passes on a direct connection and not through the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its name.
    pub test: String,
    /// How it ended; `None` when it did not come to run.
    pub outcome: Option<Outcome>,
}

impl Outcome {
    /// For the report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Hung => "hung",
            Self::Skipped => "skipped",
        }
    }
}

impl Outcomes {
    /// Notes how a test ended.
    pub fn note(&mut self, test: impl Into<String>, outcome: Outcome) {
        self.tests.insert(test.into(), outcome);
    }

    /// How a test ended; `None` when it did not run.
    pub fn of(&self, test: &str) -> Option<Outcome> {
        self.tests.get(test).copied()
    }

    /// How many tests ended.
    pub fn len(&self) -> usize {
        self.tests.len()
    }

    /// Whether no test has ended.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// How many tests ended so.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.tests.values().filter(|ended| **ended == outcome).count()
    }

    /// The tests that did neither pass nor turn out not to apply.
    pub fn unhappy(&self) -> impl Iterator<Item = (&str, Outcome)> {
        let tests = self.tests.iter().map(|(test, outcome)| (test.as_str(), *outcome));
        tests.filter(|(_, outcome)| matches!(outcome, Outcome::Failed | Outcome::Hung))
    }

    /// What passes directly and not here.
    pub fn lost_since(&self, direct: &Self) -> Vec<Lost> {
        let passed = direct.tests.iter().filter(|(_, outcome)| **outcome == Outcome::Passed);
        let here = passed.map(|(test, _)| Lost { test: test.clone(), outcome: self.of(test) });
        here.filter(|lost| lost.outcome != Some(Outcome::Passed)).collect()
    }

    /// What passes here and not directly.
    pub fn gained_since(&self, direct: &Self) -> Vec<String> {
        direct.lost_since(self).into_iter().map(|lost| lost.test).collect()
    }
}

impl<S: Into<String>> FromIterator<(S, Outcome)> for Outcomes {
    fn from_iter<I: IntoIterator<Item = (S, Outcome)>>(tests: I) -> Self {
        Self { tests: tests.into_iter().map(|(test, outcome)| (test.into(), outcome)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome::*, *};

    #[test]
    fn only_what_passes_directly_can_be_lost() {
        let direct = Outcomes::from_iter([("a", Passed), ("b", Passed), ("c", Failed), ("d", Passed), ("e", Skipped)]);
        let through = Outcomes::from_iter([("a", Passed), ("b", Hung), ("c", Failed), ("e", Passed)]);

        let lost = through.lost_since(&direct);

        let expected = [("b", Some(Hung)), ("d", None)];
        assert_eq!(lost, expected.map(|(test, outcome)| Lost { test: test.into(), outcome }));
        assert_eq!(through.gained_since(&direct), ["e"]);
    }
}
