//! PostgreSQL's own regression suite and the drivers' own suites, through the proxy and beside it.
//!
//! The promise: the tests that pass on a direct connection to the primary pass through the proxy as well, in either
//! pool mode. [`material`] says where the suites are, [`bed`] makes what a run has to itself, and each suite has a
//! module that runs it. [`outcome`] compares two runs; [`differences`] knows those that cannot be otherwise.

pub mod bed;
pub mod bounded;
pub mod differences;
mod doorway;
pub mod material;
pub mod outcome;
mod pipeline;
mod psycopg2;
pub mod regress;
mod rust_driver;

use std::{fmt, path::PathBuf};

use anyhow::Result;
use serde::Deserialize;

use bed::Bed;
use material::Material;
use outcome::Outcomes;

/// A collection of tests that others wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// PostgreSQL's own regression tests, by `pg_regress`.
    Regress,
    /// The test of libpq's pipeline mode, of PostgreSQL's sources.
    LibpqPipeline,
    /// Of psycopg2's source package.
    Psycopg2,
    /// Of the crate's package.
    TokioPostgres,
}

/// The way from the tests to the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Without the proxy.
    Direct,
    /// Through the proxy in session mode.
    Session,
    /// Through the proxy in transaction mode.
    Transaction,
}

/// How many regression tests run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Schedule {
    /// One.
    Serial,
    /// A group of up to twenty.
    Parallel,
}

impl Suite {
    /// As it is typed and listed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regress => "regress",
            Self::LibpqPipeline => "libpq-pipeline",
            Self::Psycopg2 => "psycopg2",
            Self::TokioPostgres => "tokio-postgres",
        }
    }
}

impl Way {
    /// As it is typed and listed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Session => "session",
            Self::Transaction => "transaction",
        }
    }
}

impl Schedule {
    /// As it is typed and listed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Parallel => "parallel",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One run of one suite.
#[derive(Clone, Debug)]
pub struct Job {
    /// What to run.
    pub suite: Suite,
    /// Where.
    pub way: Way,
    /// Counts for the regression tests alone.
    pub schedule: Schedule,
    /// Only these tests; empty: all.
    pub tests: Vec<String>,
    /// Gets what the tests said; made anew by each run.
    pub results: PathBuf,
}

impl Job {
    /// Whether a test is among those to run.
    fn wants(&self, test: &str) -> bool {
        self.tests.is_empty() || self.tests.iter().any(|wanted| wanted == test)
    }
}

/// What came of a job.
pub struct Run {
    /// How each test ended.
    pub outcomes: Outcomes,
    /// The cluster and the proxy, still running.
    pub bed: Bed,
}

/// Runs a suite on a cluster of its own, telling how far it is.
pub fn run(job: &Job, material: &Material, tell: &mut dyn FnMut(&str)) -> Result<Run> {
    if job.results.exists() {
        std::fs::remove_dir_all(&job.results)?;
    }
    std::fs::create_dir_all(&job.results)?;
    let run = match job.suite {
        Suite::Regress => regress::run(job, material, tell),
        Suite::LibpqPipeline => pipeline::run(job, material, tell),
        Suite::Psycopg2 => psycopg2::run(job, material, tell),
        Suite::TokioPostgres => rust_driver::run(job, material, tell),
    }?;
    run.bed.keep_logs(&job.results)?;
    Ok(run)
}
