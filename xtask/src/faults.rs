//! `cargo xtask faults`: hurts clusters in every way that the tests know, and prints what was measured.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    setup::{self, Machine, Purpose},
    shell,
    steps::Steps,
};

/// What the tests begin a line with that belongs in the table.
const MEASURED: &str = "measured: ";

/// All faults, for a quarter of an hour; `cargo xtask test` has those that there is time for.
#[derive(Args)]
pub struct Faults {
    /// Only tests whose name contains this
    filter: Option<String>,
}

impl Faults {
    /// Runs them one after the other: they measure.
    pub fn run(self) -> Result<()> {
        let mut steps = Steps::default();
        let machine = steps.step("Machine", || setup::prepare(Purpose::Test))?;
        steps.step("Build", || {
            shell::run(machine.cargo().args(["build", "--release", "--workspace", "--all-targets"]))
        })?;
        let mut measured = Vec::new();
        let done = steps.step("Faults", || self.tests(&machine, &mut measured));
        table(&measured);
        done?;
        steps.summary();
        Ok(())
    }

    fn tests(&self, machine: &Machine, measured: &mut Vec<(String, String)>) -> Result<()> {
        let filter = format!("faults::{}", self.filter.as_deref().unwrap_or_default());
        let mut tests = machine.cargo();
        tests.args(["test", "--release", "--workspace", "--test", "promises", "--"]).arg(filter);
        tests.args(["--nocapture", "--test-threads=1"]).env("HOWDAH_TEST_FAULTS", "all");
        let mut running = tests
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not run {}", shell::show(&tests)))?;
        let said = running.stdout.take().context("the pipe was asked for")?;
        for line in BufReader::new(said).lines() {
            let line = line.context("could not read what the tests say")?;
            println!("{line}");
            measured.extend(line_of_table(&line));
        }
        let status = running.wait().context("could not wait for the tests")?;
        if !status.success() {
            bail!("{} failed ({status})", shell::show(&tests));
        }
        Ok(())
    }
}

/// `test a::b ... measured: scenario: what`
fn line_of_table(line: &str) -> Option<(String, String)> {
    let (_, measured) = line.split_once(MEASURED)?;
    let (scenario, what) = measured.split_once(": ")?;
    Some((scenario.to_owned(), what.to_owned()))
}

fn table(measured: &[(String, String)]) {
    shell::heading("Measured");
    let width = measured.iter().map(|(scenario, _)| scenario.chars().count()).max().unwrap_or_default();
    for (scenario, what) in measured {
        println!("  {scenario:<width$}  {what}");
    }
}
