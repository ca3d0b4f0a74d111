//! The commands of the README. `cargo xtask help` lists them.
//!
//! This crate depends on nothing of ours: it has to run before the machine can build the proxy.

mod bench;
mod conformance;
mod demo;
mod faults;
mod fuzz;
mod setup;
mod shell;
mod steps;
mod test;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Howdah's own commands", bin_name = "cargo xtask")]
enum Task {
    /// Show the proxy at work in front of a real cluster of its own
    Demo(demo::Demo),
    /// Check everything that CI checks
    Test(test::Test),
    /// Measure the proxy beside its peers
    Bench(bench::Bench),
    /// Run PostgreSQL's and the drivers' own suites through the proxy
    Conformance(conformance::Conformance),
    /// Hurt clusters in every way, and print what clients noticed
    Faults(faults::Faults),
    /// Look for inputs that break something
    Fuzz(fuzz::Fuzz),
    /// Only find or install what the other commands need
    Setup,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Demo(demo) => demo.run(),
        Task::Test(test) => test.run(),
        Task::Bench(bench) => bench.run(),
        Task::Conformance(conformance) => conformance.run(),
        Task::Faults(faults) => faults.run(),
        Task::Fuzz(fuzz) => fuzz.run(),
        Task::Setup => setup::prepare(setup::Purpose::Test).map(drop),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
