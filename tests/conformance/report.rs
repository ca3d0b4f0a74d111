//! What came of all runs: a table, the differences with their places, and the verdict.

use std::{fmt, path::PathBuf};

use howdah_tests::conformance::{
    Job, Schedule, Suite, Way,
    differences::Differences,
    outcome::{Lost, Outcome, Outcomes},
};

/// A run in words.
pub fn title(job: &Job) -> String {
    match job.suite {
        Suite::Regress => format!("{} {} {}", job.suite, job.schedule.name(), job.way),
        suite => format!("{suite} {}", job.way),
    }
}

/// The folder for a run's results.
pub fn folder(suite: Suite, schedule: Schedule, way: Way) -> String {
    match suite {
        Suite::Regress => format!("{suite}-{}-{way}", schedule.name()),
        suite => format!("{suite}-{way}"),
    }
}

/// One run, compared with the direct one.
#[derive(Debug)]
pub struct Entry {
    title: String,
    passed: usize,
    all: usize,
    skipped: usize,
    /// What differs and is not known to.
    lost: Vec<Lost>,
    /// What differs as it must, with the reason.
    excused: Vec<(String, String)>,
    /// What is listed as different and is not.
    overcome: Vec<String>,
    /// What passes here and not directly.
    gained: Vec<String>,
    results: PathBuf,
}

impl Entry {
    /// Compares a run with the direct one, which may be itself.
    pub fn new(job: &Job, outcomes: &Outcomes, direct: &Outcomes, known: &Differences) -> Self {
        let reason = |test: &str| known.reason(job.suite, job.way, test).map(str::to_owned);
        let (excused, lost): (Vec<Lost>, Vec<Lost>) =
            outcomes.lost_since(direct).into_iter().partition(|lost| reason(&lost.test).is_some());
        let listed = known.of(job.suite, job.way).map(|difference| &difference.test);
        let overcome = listed.filter(|test| outcomes.of(test) == Some(Outcome::Passed)).cloned().collect();
        Self {
            title: title(job),
            passed: outcomes.count(Outcome::Passed),
            all: outcomes.len(),
            skipped: outcomes.count(Outcome::Skipped),
            lost,
            excused: excused.into_iter().filter_map(|lost| Some((reason(&lost.test)?, lost.test))).collect(),
            overcome,
            gained: outcomes.gained_since(direct),
            results: job.results.clone(),
        }
    }
}

/// All runs.
#[derive(Debug, Default)]
pub struct Report {
    entries: Vec<Entry>,
}

impl Report {
    /// One more.
    pub fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Whether every difference is known.
    pub fn is_clean(&self) -> bool {
        self.entries.iter().all(|entry| entry.lost.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n| {:<32} | tests | passed | skipped | lost | lost as listed |", "")?;
        writeln!(f, "|-{}-|------:|-------:|--------:|-----:|---------------:|", "-".repeat(32))?;
        for entry in &self.entries {
            let (lost, excused) = (entry.lost.len(), entry.excused.len());
            let Entry { title, all, passed, skipped, .. } = entry;
            writeln!(f, "| {title:<32} | {all:>5} | {passed:>6} | {skipped:>7} | {lost:>4} | {excused:>14} |")?;
        }
        self.entries.iter().try_for_each(|entry| write_details(f, entry))?;
        match self.is_clean() {
            true => writeln!(f, "\nno difference but those in tests/conformance/differences.toml"),
            false => writeln!(f, "\nthere are differences to a direct connection"),
        }
    }
}

fn write_details(f: &mut fmt::Formatter<'_>, entry: &Entry) -> fmt::Result {
    if !entry.lost.is_empty() {
        writeln!(f, "\n{}: lost, see {}", entry.title, entry.results.display())?;
        for Lost { test, outcome } in &entry.lost {
            writeln!(f, "  {test}: {}", outcome.map_or("did not run", Outcome::word))?;
        }
    }
    for (reason, test) in &entry.excused {
        writeln!(f, "\n{}: {test} is lost as listed: {reason}", entry.title)?;
    }
    if !entry.overcome.is_empty() {
        writeln!(f, "\n{}: listed as different, but passes: {}", entry.title, entry.overcome.join(", "))?;
    }
    if !entry.gained.is_empty() {
        writeln!(f, "\n{}: passes only through the proxy: {}", entry.title, entry.gained.join(", "))?;
    }
    Ok(())
}
