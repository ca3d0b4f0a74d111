//! `cargo xtask bench`: the proxy beside its peers, on one cluster, in one run, turn by turn.
//!
//! Machines differ and drift, so figures of different runs do not compare. Here every target gets
//! every case in every round, and the medians of the rounds are reported. [`cases`] says what is
//! measured, [`target`] against whom, [`report`] how it is shown.

mod bed;
mod cases;
mod crowd;
mod figures;
mod load;
mod peers;
mod report;
mod target;
mod usage;

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Parser;

use bed::Bed;
use cases::{Case, CaseRunner};
use figures::{Figures, Measured};
use peers::PeerProgram;
use target::Target;

/// What to measure, for how long, against whom.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", about = "Measures the proxy beside its peers on one cluster")]
pub struct Options {
    /// Rounds; every target gets every case in each
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds per case
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Only these targets: direct, howdah, howdah:pooling, pgbouncer, pgpool, haproxy, or a peer's name
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Only these cases, such as simple-16 or copy-in; --list prints them
    #[arg(long, value_delimiter = ',', value_name = "CASE")]
    cases: Vec<String>,
    /// The proxy to measure [default: the one beside this program]
    #[arg(long, value_name = "FILE", overrides_with = "howdah")]
    howdah: Option<PathBuf>,
    /// Another program to compare with: its name begins with pgbouncer, pgpool, haproxy or howdah
    #[arg(long, value_name = "NAME=BINARY")]
    peer: Vec<PeerProgram>,
    /// Streaming standbys behind the proxies that split reads
    #[arg(long, default_value_t = 2)]
    standbys: usize,
    /// All targets at the same time, each with so many transactions a second; cases of reads only. Tells small differences
    /// of CPU apart, for which turns differ too much
    #[arg(long, value_name = "RATE", value_parser = clap::value_parser!(u32).range(1..))]
    at_once: Option<u32>,
    /// One short round of the 16-client cases
    #[arg(long)]
    quick: bool,
    /// Write everything that was measured as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Print the names of the cases and end
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        Case::all().iter().for_each(|case| println!("{}", case.name()));
        return ExitCode::SUCCESS;
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let cases = options.cases()?;
    let bed = Bed::make(options.standbys, cases.iter().any(Case::copies))?;
    let scram = cases.iter().any(Case::needs_scram);
    let mut targets = target::start(&bed, options.howdah.as_deref(), &options.peer, scram)?;
    if !options.only.is_empty() {
        targets.retain(|target| options.only.contains(&target.name));
    }
    if targets.is_empty() {
        bail!("none of the targets {} is installed", options.only.join(", "));
    }
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    eprintln!("targets: {}", names.join(", "));

    let (rounds, seconds) = if options.quick { (1, 2) } else { (options.rounds, options.seconds) };
    let runner = CaseRunner { bed: &bed, time: Duration::from_secs(seconds) };
    let mut figures = Figures::default();
    for round in 0..rounds {
        for case in &cases {
            match options.at_once {
                Some(rate) => measure_at_once(&runner, case, round, &targets, rate, &mut figures)?,
                None => measure(&runner, case, round, &targets, &mut figures),
            }
        }
    }
    println!("{}", report::markdown(&figures, &names, &cases));
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report::json(&figures))?;
        fs::write(file, text).with_context(|| format!("could not write {}", file.display()))?;
    }
    Ok(())
}

/// Every round begins with another target, so that none always runs on a machine that has just rested.
fn measure(runner: &CaseRunner<'_>, case: &Case, round: usize, targets: &[Target], figures: &mut Figures) {
    let count = targets.len();
    for turn in 0..count {
        let target = &targets[(turn + round) % count];
        eprint!("round {} {:<16} {:<16} ", round + 1, case.name(), target.name);
        let result = runner.run(case, target, round == 0);
        tell(&result);
        figures.add(&target.name, case.name(), result);
    }
}

/// The same with all targets at the same time.
fn measure_at_once(
    runner: &CaseRunner<'_>,
    case: &Case,
    round: usize,
    targets: &[Target],
    rate: u32,
    figures: &mut Figures,
) -> Result<()> {
    for (target, result) in targets.iter().zip(runner.run_at_once(case, targets, rate, round == 0)?) {
        eprint!("round {} {:<16} {:<16} ", round + 1, case.name(), target.name);
        tell(&result);
        figures.add(&target.name, case.name(), result);
    }
    Ok(())
}

fn tell(result: &Result<Measured>) {
    match result {
        Ok(measured) => eprintln!("{}", report::line(measured)),
        Err(error) => eprintln!("fails: {error:#}"),
    }
}

impl Options {
    fn cases(&self) -> Result<Vec<Case>> {
        let all = Case::all();
        if let Some(unknown) = self.cases.iter().find(|name| all.iter().all(|case| case.name() != name.as_str())) {
            bail!("there is no case {unknown}; --list prints them");
        }
        let wanted = |case: &Case| match (&self.cases[..], self.quick) {
            ([], false) => true,
            ([], true) => case.is_quick(),
            (names, _) => names.contains(&case.name()),
        };
        let goes = |case: &Case| self.at_once.is_none() || case.goes_at_once();
        Ok(all.into_iter().filter(|case| wanted(case) && goes(case)).collect())
    }
}
