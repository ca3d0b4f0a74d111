//! Rust's standard library for `wasm32-unknown-unknown`, which the policies are compiled with.
//!
//! rustup has it ready made. Without rustup, or where its servers are out of reach, Debian's own Rust
//! can build it from its sources; the variables that say so are those of `plugins/build`.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use anyhow::{Context, Result, bail};

use super::{Found, Need};
use crate::shell;

const TARGET: &str = "wasm32-unknown-unknown";

const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Stable compilers build a standard library only when they are told that this is their own bootstrap.
const WRAPPER: &str = "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec /usr/bin/cargo \"$@\"\n";

/// The target's standard library, or the means to build it.
pub struct WasmTarget;

impl Need for WasmTarget {
    fn name(&self) -> &'static str {
        "Wasm target"
    }

    fn find(&self) -> Result<Found, String> {
        if let Some(given) = std::env::var_os("HOWDAH_WASM_CARGO_ARGS") {
            return Ok(Found::at(format!("{TARGET}, built with {}", given.to_string_lossy())));
        }
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let library = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
        let library = library.map_err(|error| error.to_string())?;
        let library = String::from_utf8_lossy(&library.stdout).trim().to_owned();
        if Path::new(&library).is_dir() && !library.is_empty() {
            return Ok(Found::at(format!("{TARGET} in {library}")));
        }
        built_by_debian().ok_or_else(|| format!("this Rust has no {TARGET}"))
    }

    fn obtain(&self) -> Result<()> {
        if shell::find_program("rustup").is_none() {
            bail!("there is no rustup");
        }
        shell::run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(shell::workspace()))
    }

    fn packages(&self) -> Vec<String> {
        ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22"].map(String::from).to_vec()
    }

    fn advice(&self) -> &'static str {
        "Run: rustup target add wasm32-unknown-unknown"
    }
}

/// Debian's Rust with its sources and its linker.
fn built_by_debian() -> Option<Found> {
    let version = shell::output(Command::new(DEBIAN_RUSTC).arg("--version")).ok()?;
    let sysroot = shell::output(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"])).ok()?;
    let sources = Path::new(&sysroot).join("lib/rustlib/src/rust/library/std");
    let complete = sources.exists() && Path::new(DEBIAN_CARGO).exists() && shell::find_program("rust-lld").is_some();
    if !complete {
        return None;
    }
    let wrapper = write_wrapper().ok()?;
    let found = Found::at(format!("{TARGET}, built by Debian's {version}")).telling("HOWDAH_WASM_CARGO", wrapper);
    Some(
        found
            .telling("HOWDAH_WASM_RUSTC", DEBIAN_RUSTC)
            .telling("HOWDAH_WASM_CARGO_ARGS", "-Zbuild-std=std,panic_abort"),
    )
}

fn write_wrapper() -> Result<std::path::PathBuf> {
    let path = shell::tools().join("wasm-cargo");
    fs::create_dir_all(shell::tools()).context("could not make the folder for tools")?;
    fs::write(&path, WRAPPER)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}
