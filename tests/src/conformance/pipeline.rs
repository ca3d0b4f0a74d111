//! The test of libpq's pipeline mode, which PostgreSQL has among its modules: one program, one process for each test.
//!
//! It also traces the messages of the protocol, and some of these traces are compared with expected ones. So here
//! the proxy must not only give the right answers but the very messages that the server would send.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};

use super::{
    Job, Run,
    bed::Bed,
    bounded::{self, End},
    material::Material,
    outcome::{Outcome, Outcomes},
};

/// As in PostgreSQL's own script around this program.
const ROWS: &str = "700";

/// The longest test takes less than a second.
const TEST_MAX: Duration = Duration::from_secs(30);

/// Runs each test and compares the traces that are there to be compared.
pub(super) fn run(job: &Job, material: &Material, tell: &mut dyn FnMut(&str)) -> Result<Run> {
    let material = material.postgresql()?;
    let program = material.join("libpq_pipeline/libpq_pipeline");
    let listed = Command::new(&program).arg("tests").output().context("libpq_pipeline")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let mut bed = Bed::make(job.way)?;
    let port = bed.open(|config| config)?;
    let target = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
    let mut outcomes = Outcomes::default();
    for test in listed.split_whitespace().filter(|test| job.wants(test)) {
        let said = job.results.join(format!("{test}.log"));
        let trace = job.results.join(format!("{test}.trace"));
        let mut command = Command::new(&program);
        command.args(["-r", ROWS, "-t"]).arg(&trace).args([test, &target]);
        let outcome = match bounded::run(&mut command, &said, TEST_MAX)? {
            End::Killed => Outcome::Hung,
            End::Exited(status) if !status.success() => Outcome::Failed,
            End::Exited(_) => {
                let expected = material.join(format!("libpq_pipeline/traces/{test}.trace"));
                if agrees(&trace, &expected)? { Outcome::Passed } else { Outcome::Failed }
            }
        };
        if outcome != Outcome::Passed {
            tell(&format!("{test} {}", outcome.word()));
        }
        outcomes.note(test, outcome);
    }
    ensure!(!outcomes.is_empty(), "libpq_pipeline ran no test");
    Ok(Run { outcomes, bed })
}

/// Whether the messages are the expected ones; most tests expect none in particular.
fn agrees(trace: &Path, expected: &Path) -> Result<bool> {
    if !expected.exists() {
        return Ok(true);
    }
    let (came, expected) = (fs::read(trace)?, fs::read(expected)?);
    if came != expected {
        fs::write(trace.with_extension("expected"), &expected)?;
    }
    Ok(came == expected)
}
