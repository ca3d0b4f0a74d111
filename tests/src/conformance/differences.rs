//! The differences between a direct connection and the proxy that cannot be otherwise, each with its reason.
//!
//! The list is `tests/conformance/differences.toml`. What is not in it fails the command.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{Suite, Way};

/// The list as it was when this program was built.
const LIST: &str = include_str!("../../conformance/differences.toml");

/// Most entries for PostgreSQL's own suite: a proxy that needs more is not PostgreSQL to its clients.
pub const REGRESS_MAX: usize = 3;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Which suite has the test.
    pub suite: Suite,
    /// In which pool mode; left out: in both.
    pub mode: Option<Way>,
    /// The test's name.
    pub test: String,
    /// Why it cannot be otherwise.
    pub reason: String,
}

/// All of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differences {
    #[serde(default, rename = "difference")]
    list: Vec<Difference>,
}

impl Differences {
    /// The list of this repository.
    pub fn known() -> Result<Self> {
        Self::read(LIST)
    }

    fn read(text: &str) -> Result<Self> {
        let known: Self = toml::from_str(text).context("tests/conformance/differences.toml")?;
        for difference in &known.list {
            let test = &difference.test;
            ensure!(!difference.reason.trim().is_empty(), "the difference {test} has no reason");
            ensure!(difference.mode != Some(Way::Direct), "the difference {test} is none to a direct connection");
        }
        let regress = known.list.iter().filter(|difference| difference.suite == Suite::Regress).count();
        ensure!(regress <= REGRESS_MAX, "{regress} differences of the regression suite, of at most {REGRESS_MAX}");
        Ok(known)
    }

    /// Why this test may be lost this way.
    pub fn reason(&self, suite: Suite, way: Way, test: &str) -> Option<&str> {
        self.of(suite, way).find(|difference| difference.test == test).map(|difference| difference.reason.as_str())
    }

    /// What is listed for a suite this way.
    pub fn of(&self, suite: Suite, way: Way) -> impl Iterator<Item = &Difference> {
        let fits = move |difference: &&Difference| {
            difference.suite == suite && difference.mode.is_none_or(|mode| mode == way) && way != Way::Direct
        };
        self.list.iter().filter(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(test: &str) -> String {
        format!("[[difference]]\nsuite = \"regress\"\nmode = \"session\"\ntest = {test:?}\nreason = \"because\"\n")
    }

    #[test]
    fn the_list_of_this_repository_can_be_read() {
        Differences::known().unwrap();
    }

    #[test]
    fn a_difference_counts_in_its_mode_only() {
        let known = Differences::read(&entry("async")).unwrap();

        assert_eq!(known.reason(Suite::Regress, Way::Session, "async"), Some("because"));
        assert_eq!(known.reason(Suite::Regress, Way::Transaction, "async"), None);
        assert_eq!(known.reason(Suite::Psycopg2, Way::Session, "async"), None);
    }

    #[test]
    fn the_regression_suite_may_differ_in_few_tests_only() {
        let four: String = ["a", "b", "c", "d"].map(entry).concat();

        let refused = Differences::read(&four).unwrap_err();

        assert!(refused.to_string().contains("4 differences"), "{refused}");
    }

    #[test]
    fn a_difference_needs_a_reason() {
        let refused = Differences::read(&entry("a").replace("because", " ")).unwrap_err();

        assert!(refused.to_string().contains("no reason"), "{refused}");
    }
}
