//! `cargo xtask demo`: sets up, builds, and hands over to `howdah demo`.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    setup::{self, Purpose},
    shell,
};

/// Arguments go to `howdah demo` as they are; `cargo xtask demo -- --help` lists them.
#[derive(Args)]
pub struct Demo {
    /// For `howdah demo`: --standbys N, --tour, --port N, --seconds N …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Demo {
    /// Ends only with an error: a success replaces this process.
    pub fn run(self) -> Result<()> {
        shell::heading("Machine");
        let machine = setup::prepare(Purpose::Demo)?;
        shell::heading("Building the proxy");
        // The whole workspace decides on the features of what all share; with one package selected, cargo would
        // choose others, and the tests would compile everything once more.
        shell::run(machine.cargo().args(["build", "--release", "--workspace", "--bin", "howdah"]))?;
        shell::heading("Demo");
        let mut demo = machine.command(shell::target().join("release/howdah"));
        // Replacing ourselves leaves one process that Ctrl-C and other signals reach.
        let error = demo.arg("demo").args(self.arguments).exec();
        Err(error).context("could not run target/release/howdah")
    }
}
