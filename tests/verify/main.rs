//! `cargo xtask verify`: the verifications of a talk of 2013 about pgpool-II, done to Howdah, as a report with pictures.
//!
//! Each of the [`cases`] has a cluster and a proxy of its own and clients that write and read meanwhile: a
//! [`stage`]. What comes of it is a [`take`], which [`picture`] draws and [`report`] puts beside the talk's figures.

mod cases;
mod chart;
mod machine;
mod picture;
mod png;
mod report;
mod stage;
mod take;
mod watch;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Parser;

use cases::{CASES, Case};
use machine::Machine;
use stage::{Crowd, Stage};
use take::Take;

/// Which verifications to run, and how.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask verify", about = "Runs the verifications of 2013 and writes a report with pictures")]
struct Options {
    /// Only these verifications: 1, 2, 3, 5
    #[arg(long, value_delimiter = ',', value_name = "NUMBER")]
    only: Vec<u8>,
    /// Seconds from a fault to the end, at least; it takes longer when it is not healed by then
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Clients that write
    #[arg(long, default_value_t = 8)]
    writers: usize,
    /// Clients that read
    #[arg(long, default_value_t = 8)]
    readers: usize,
    /// Where report.md and the pictures go
    #[arg(long, value_name = "FOLDER", default_value = "target/verify")]
    output: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all that was promised was kept.
fn run(options: &Options) -> Result<bool> {
    let cases = options.cases()?;
    fs::create_dir_all(&options.output).with_context(|| format!("could not make {}", options.output.display()))?;
    let mut machine = Machine::look();
    let mut takes = Vec::new();
    for case in cases {
        let take = perform(case, options, &mut machine)?;
        eprintln!("{}: {}", case.title, take.figures());
        take.promises
            .iter()
            .filter(|promise| !promise.kept)
            .for_each(|promise| eprintln!("  broken: {}", promise.words));
        write(&options.output, &format!("{}.log", case.name), take.log.join("\n").as_bytes())?;
        takes.push(take);
    }
    for verification in takes.chunk_by(|a, b| a.case.verification == b.case.verification) {
        let name = format!("verification-{}", verification[0].case.verification);
        write_picture(&options.output, &name, &picture::of(verification, &machine, 1))?;
    }
    write_picture(&options.output, "overview", &picture::of(&takes, &machine, 2))?;
    let report = report::markdown(&takes, &machine);
    write(&options.output, "report.md", report.as_bytes())?;
    println!("{}", report::table(&takes));
    println!("{}", options.output.join("report.md").display());
    Ok(takes.iter().all(|take| take.promises.iter().all(|promise| promise.kept)))
}

/// A case from its cluster's start to its end. What goes wrong on the way is a broken promise of its take.
fn perform(case: &'static Case, options: &Options, machine: &mut Machine) -> Result<Take> {
    eprintln!("{}", case.title);
    let crowd = Crowd { writers: options.writers, readers: options.readers };
    let mut stage = Stage::set(case, &crowd, &mut |text| eprintln!("  {text}"))?;
    machine.ask(stage.cluster.primary())?;
    let done = (case.act)(&mut stage);
    if let Err(error) = &done {
        stage.promise(format!("{error:#}"), false);
    }
    stage.play_on(Duration::from_secs(options.seconds));
    stage.end()
}

fn write_picture(folder: &Path, name: &str, svg: &str) -> Result<()> {
    write(folder, &format!("{name}.svg"), svg.as_bytes())?;
    write(folder, &format!("{name}.png"), &png::render(svg)?)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let file = folder.join(name);
    fs::write(&file, bytes).with_context(|| format!("could not write {}", file.display()))
}

impl Options {
    fn cases(&self) -> Result<Vec<&'static Case>> {
        let is_known = |number: &u8| CASES.iter().any(|case| case.verification == *number);
        if let Some(unknown) = self.only.iter().find(|number| !is_known(number)) {
            bail!("there is no verification {unknown} here; there are 1, 2, 3 and 5");
        }
        let is_wanted = |case: &&Case| self.only.is_empty() || self.only.contains(&case.verification);
        Ok(CASES.iter().filter(is_wanted).collect())
    }
}
