//! The parts of Rust that check style.

use std::process::Command;

use anyhow::{Result, bail};

use super::{Found, Need};
use crate::shell;

/// A subcommand of cargo that rustup has as a component.
pub struct RustPart {
    component: &'static str,
    subcommand: &'static str,
    package: &'static str,
}

/// `cargo fmt`.
pub const RUSTFMT: RustPart = RustPart { component: "rustfmt", subcommand: "fmt", package: "rustfmt-web" };

/// `cargo clippy`.
pub const CLIPPY: RustPart = RustPart { component: "clippy", subcommand: "clippy", package: "rust-web-clippy" };

impl Need for RustPart {
    fn name(&self) -> &'static str {
        self.component
    }

    fn find(&self) -> Result<Found, String> {
        let version = shell::output(Command::new(shell::cargo()).args([self.subcommand, "--version"]));
        version.map(Found::at).map_err(|_| format!("there is no cargo {}", self.subcommand))
    }

    fn obtain(&self) -> Result<()> {
        if shell::find_program("rustup").is_none() {
            bail!("there is no rustup");
        }
        shell::run(Command::new("rustup").args(["component", "add", self.component]).current_dir(shell::workspace()))
    }

    fn packages(&self) -> Vec<String> {
        vec![self.package.into()]
    }

    fn advice(&self) -> &'static str {
        "Run: rustup component add rustfmt clippy"
    }
}
