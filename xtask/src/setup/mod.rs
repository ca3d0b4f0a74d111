//! Sees to it that everything a command needs is on this machine, or says what to type to get it there.
//!
//! Each [`Need`] finds itself, can often get itself without privileges, and knows its Debian packages.
//! Root gets those packages installed; anybody else is shown the one command that installs them all.

mod apt;
mod clients;
mod compiler;
mod fetch;
mod libclang;
mod postgres;
#[path = "../../../core/src/demo/binaries.rs"]
pub mod postgres_binaries;
mod rust_parts;
mod suites;
mod wasm;

use std::{collections::BTreeMap, env, ffi::OsString, path::PathBuf, process::Command};

use anyhow::{Result, bail};

use crate::shell;

/// What the machine is made ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Building the proxy and showing it.
    Demo,
    /// Everything that CI checks.
    Test,
    /// Others' suites.
    Conformance,
    /// Looking for inputs that break something.
    Fuzz,
}

/// Something on this machine that the build or the tests use.
trait Need {
    /// What to call it.
    fn name(&self) -> &'static str;

    /// Looks for it; the error says what is missing.
    fn find(&self) -> Result<Found, String>;

    /// Gets it without privileges and without the system's packages, where that can be done.
    fn obtain(&self) -> Result<()> {
        bail!("only the system's packages have it")
    }

    /// The Debian packages that bring it. Asked only on a system with apt, after its lists are fresh.
    fn packages(&self) -> Vec<String>;

    /// What to do on a system without apt.
    fn advice(&self) -> &'static str;

    /// Whether things work without it, only less of them.
    fn optional(&self) -> bool {
        false
    }
}

/// Where something was found.
struct Found {
    /// For the reader: version and place.
    place: String,
    /// What the build and the tests must be told.
    environment: Vec<(&'static str, OsString)>,
}

impl Found {
    fn at(place: impl Into<String>) -> Self {
        Self { place: place.into(), environment: Vec::new() }
    }

    fn telling(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }
}

/// A machine that has everything.
#[derive(Debug, Default)]
pub struct Machine {
    environment: BTreeMap<&'static str, OsString>,
}

impl Machine {
    /// Cargo, told where everything is.
    pub fn cargo(&self) -> Command {
        let mut cargo = self.command(shell::cargo());
        // What cargo told us of ourselves is nothing to build scripts that read it: they would run again after each
        // cargo that was called by hand, and all that depends on them with it.
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
                cargo.env_remove(name);
            }
        }
        cargo
    }

    /// Any program, told where everything is.
    pub fn command(&self, program: impl Into<PathBuf>) -> Command {
        let mut command = Command::new(program.into());
        command.current_dir(shell::workspace()).envs(&self.environment);
        command
    }
}

/// Finds or gets everything; ends with an error that names the command to type where it must not do it itself.
pub fn prepare(purpose: Purpose) -> Result<Machine> {
    let needs = needs(purpose);
    let missing: Vec<&dyn Need> = needs.iter().map(Box::as_ref).filter(|need| need.find().is_err()).collect();
    get(&missing)?;

    let mut machine = Machine::default();
    let mut lacking = Vec::new();
    for need in &needs {
        match need.find() {
            Ok(found) => {
                shell::item(need.name(), &found.place);
                machine.environment.extend(found.environment);
            }
            Err(reason) if need.optional() && !in_ci() => {
                shell::item(need.name(), &format!("missing ({reason}); its tests are skipped"));
            }
            Err(reason) => lacking.push(format!("{}: {reason}\n      {}", need.name(), need.advice())),
        }
    }
    if !lacking.is_empty() {
        bail!("this machine lacks:\n  - {}", lacking.join("\n  - "));
    }
    Ok(machine)
}

/// Whether nobody is there to install what is missing, so that nothing may be skipped.
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0")
}

fn needs(purpose: Purpose) -> Vec<Box<dyn Need>> {
    let mut needs: Vec<Box<dyn Need>> = vec![Box::new(libclang::Libclang), Box::new(wasm::WasmTarget)];
    if purpose == Purpose::Fuzz {
        needs.push(Box::new(compiler::CppCompiler));
        return needs;
    }
    needs.push(Box::new(postgres::Postgres));
    if purpose == Purpose::Test {
        needs.push(Box::new(rust_parts::RUSTFMT));
        needs.push(Box::new(rust_parts::CLIPPY));
        needs.push(Box::new(clients::Python));
        needs.push(Box::new(clients::Node));
        needs.push(Box::new(clients::Jdbc));
        needs.push(Box::new(suites::PostgresSuites { optional: true }));
    }
    if purpose == Purpose::Conformance {
        needs.push(Box::new(suites::PostgresSuites { optional: false }));
        needs.push(Box::new(suites::Psycopg2Suite));
        needs.push(Box::new(suites::TokioPostgresSuite));
    }
    needs
}

fn get(missing: &[&dyn Need]) -> Result<()> {
    let mut left = Vec::new();
    for need in missing {
        println!("  {} is missing, getting it", need.name());
        match need.obtain() {
            Ok(()) if need.find().is_ok() => {}
            Ok(()) => left.push(*need),
            Err(error) => {
                println!("    not by ourselves: {error:#}");
                left.push(*need);
            }
        }
    }
    if left.is_empty() || !apt::is_here() {
        return Ok(());
    }
    if apt::may_install() {
        apt::install(|| left.iter().flat_map(|need| need.packages()).collect())?;
        obtain_again(&left);
        return Ok(());
    }
    let (optional, required): (Vec<&dyn Need>, Vec<&dyn Need>) = left.iter().partition(|need| need.optional());
    if !optional.is_empty() {
        println!("  for the tests that would be skipped: {}", apt::command_line(&packages(&optional)));
    }
    if required.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = required.iter().map(|need| need.name()).collect();
    bail!(
        "missing: {}. Run this, then try again:\n\n    {}\n",
        names.join(", "),
        apt::command_line(&packages(&required))
    )
}

/// What could not be made for lack of a package.
fn obtain_again(needs: &[&dyn Need]) {
    for need in needs.iter().filter(|need| need.find().is_err()) {
        if let Err(error) = need.obtain() {
            println!("    {}: {error:#}", need.name());
        }
    }
}

fn packages(needs: &[&dyn Need]) -> Vec<String> {
    needs.iter().flat_map(|need| need.packages()).collect()
}
