//! `cargo xtask test`: everything that CI checks, in the order in which it fails fastest.

use anyhow::Result;
use clap::Args;

use crate::{
    setup::{self, Machine, Purpose},
    shell,
    steps::Steps,
};

/// Formatting, lints, and every test of the workspace; the tests replay the fuzzers' corpus too.
#[derive(Args)]
pub struct Test {
    /// Leave the lints out
    #[arg(long)]
    quick: bool,
    /// Only tests whose name contains this
    filter: Option<String>,
}

impl Test {
    /// Stops at the first step that fails.
    pub fn run(self) -> Result<()> {
        let mut steps = Steps::default();
        let machine = steps.step("Machine", || setup::prepare(Purpose::Test))?;
        steps.step("Formatting", || cargo(&machine, &["fmt", "--all", "--check"]))?;
        // Tests run the same build that ships, so one profile is compiled, once.
        steps.step("Build", || cargo(&machine, &["build", "--release", "--workspace", "--all-targets"]))?;
        if !self.quick {
            let lints = ["clippy", "--release", "--workspace", "--all-targets", "--", "--deny", "warnings"];
            steps.step("Lints", || cargo(&machine, &lints))?;
        }
        steps.step("Tests", || {
            let mut tests = machine.cargo();
            tests.args(["test", "--release", "--workspace", "--no-fail-fast"]).args(&self.filter);
            shell::run(&mut tests)
        })?;
        steps.summary();
        Ok(())
    }
}

fn cargo(machine: &Machine, arguments: &[&str]) -> Result<()> {
    shell::run(machine.cargo().args(arguments))
}
