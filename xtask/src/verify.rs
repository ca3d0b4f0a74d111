//! `cargo xtask verify`: sets up, builds, and hands over to the program of the tests' crate that hurts clusters.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    setup::{self, Purpose},
    shell,
};

/// Arguments go to that program as they are; `cargo xtask verify -- --help` lists them.
#[derive(Args)]
pub struct Verify {
    /// For the program: --only NUMBER,… --seconds N, --writers N, --readers N, --output FOLDER
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Verify {
    /// Ends only with an error: a success replaces this process.
    pub fn run(self) -> Result<()> {
        shell::heading("Machine");
        let machine = setup::prepare(Purpose::Demo)?;
        shell::heading("Build");
        shell::run(machine.cargo().args(["build", "--release", "--workspace", "--bins"]))?;
        shell::heading("Verifications");
        let mut verifications = machine.command(shell::target().join("release/howdah-verify"));
        let error = verifications.args(self.arguments).exec();
        Err(error).context("could not run target/release/howdah-verify")
    }
}
