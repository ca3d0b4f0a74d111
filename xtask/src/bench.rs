//! `cargo xtask bench`: sets up, builds, and hands over to the benchmark, which is a program of the tests' crate.

use std::{os::unix::process::CommandExt, process::Command};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    setup::{self, Purpose},
    shell,
};

/// Thousands of clients need thousands of descriptors; every program that we start inherits the limit.
const WITH_DESCRIPTORS: &str = r#"ulimit -n "$(ulimit -H -n)"; exec "$0" "$@""#;

/// Arguments go to the benchmark as they are; `cargo xtask bench -- --help` lists them.
#[derive(Args)]
pub struct Bench {
    /// For the benchmark: --quick, --rounds N, --seconds N, --only NAME,… --peer NAME=BINARY, --json FILE …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Bench {
    /// Ends only with an error: a success replaces this process.
    pub fn run(self) -> Result<()> {
        shell::heading("Machine");
        let machine = setup::prepare(Purpose::Demo)?;
        shell::heading("Build");
        shell::run(machine.cargo().args(["build", "--release", "--workspace", "--bins"]))?;
        shell::run(machine.cargo().args(["build", "--profile", "dist", "--workspace", "--bin", "howdah"]))?;
        shell::heading("Benchmark");
        let mut bench: Command = machine.command("sh");
        bench.args(["-c", WITH_DESCRIPTORS]).arg(shell::target().join("release/howdah-bench"));
        bench.arg("--howdah").arg(shell::target().join("dist/howdah"));
        let error = bench.args(self.arguments).exec();
        Err(error).context("could not run target/release/howdah-bench")
    }
}
