//! `cargo xtask conformance`: sets up, builds, and hands over to the program of the tests' crate that runs the suites.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    setup::{self, Purpose},
    shell,
};

/// Arguments go to that program as they are; `cargo xtask conformance -- --help` lists them.
#[derive(Args)]
pub struct Conformance {
    /// For the program: --mode NAME, --suite NAME, --schedule NAME, --tests NAME,… --keep, --results FOLDER
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Conformance {
    /// Ends only with an error: a success replaces this process.
    pub fn run(self) -> Result<()> {
        shell::heading("Machine");
        let machine = setup::prepare(Purpose::Conformance)?;
        shell::heading("Build");
        shell::run(machine.cargo().args(["build", "--release", "--workspace", "--bins"]))?;
        shell::heading("Conformance");
        let mut suites = machine.command(shell::target().join("release/howdah-conformance"));
        let error = suites.args(self.arguments).exec();
        Err(error).context("could not run target/release/howdah-conformance")
    }
}
