//! `cargo xtask conformance`: others' suites through the proxy, beside a direct connection to the primary.
//!
//! Each suite runs first directly, then in each pool mode, every time on a cluster of its own. What passes directly
//! and not through the proxy fails the command, unless `differences.toml` says why it cannot be otherwise. The
//! suites are run by `howdah_tests::conformance`; [`report`] shows what came of it.

mod report;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};
use howdah::demo::interrupt::Interrupt;
use howdah_tests::conformance::{
    self, Job, Run, Schedule, Suite, Way, differences::Differences, material::Material, outcome::Outcome,
};

use report::{Entry, Report};

/// Which suites to run, and where.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask conformance", about = "Runs PostgreSQL's and the drivers' own suites through the proxy")]
struct Options {
    /// Through the proxy in this pool mode; `direct` runs the direct connection alone
    #[arg(long, value_enum, default_value_t = Modes::Both)]
    mode: Modes,
    /// Only this suite
    #[arg(long, value_enum, default_value_t = Suites::All)]
    suite: Suites,
    /// One regression test at a time, or groups of them; when not given, first the one, then the other
    #[arg(long, value_enum)]
    schedule: Option<Schedule>,
    /// Only these tests, in this order; a regression test may need others before it
    #[arg(long, value_delimiter = ',', value_name = "TEST")]
    tests: Vec<String>,
    /// Leave the last cluster and proxy running until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// What the tests said goes below this folder
    #[arg(long, value_name = "FOLDER", default_value = "target/conformance")]
    results: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Modes {
    Session,
    Transaction,
    Both,
    Direct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Suites {
    Regress,
    LibpqPipeline,
    Psycopg2,
    TokioPostgres,
    All,
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

/// Whether there is no difference but those that are known.
fn run(options: &Options) -> Result<bool> {
    let suites = options.suites();
    if suites.len() > 1 && !options.tests.is_empty() {
        bail!("--tests needs --suite: names of tests belong to one suite");
    }
    let material = Material::of_this_machine();
    let known = Differences::known()?;
    let mut report = Report::default();
    let mut last = None;
    for suite in suites {
        for schedule in options.schedules(suite) {
            let mut direct = None;
            for way in options.ways() {
                // Two clusters at once would be in each other's way.
                drop(last.take());
                let job = options.job(suite, schedule, way);
                let Run { outcomes, bed } = one(&job, &material)?;
                last = Some(bed);
                let compared_with = direct.get_or_insert_with(|| outcomes.clone());
                report.add(Entry::new(&job, &outcomes, compared_with, &known));
            }
        }
    }
    println!("{report}");
    if let (true, Some(bed)) = (options.keep, &last) {
        let interrupt = Interrupt::listen()?;
        println!("psql -h 127.0.0.1 -p {} -U postgres postgres   (primary: -p {})", bed.port(), bed.primary().port);
        println!("Ctrl-C ends them");
        interrupt.wait();
    }
    Ok(report.is_clean())
}

/// Runs one suite one way and says how long it took.
fn one(job: &Job, material: &Material) -> Result<Run> {
    let title = report::title(job);
    eprintln!("{title}: begins");
    let began = Instant::now();
    let run = conformance::run(job, material, &mut |text| eprintln!("{title}: {text}"))?;
    let (passed, all) = (run.outcomes.count(Outcome::Passed), run.outcomes.len());
    eprintln!("{title}: {passed} of {all} tests passed in {:.0} s", began.elapsed().as_secs_f64());
    Ok(run)
}

impl Options {
    fn suites(&self) -> Vec<Suite> {
        let one = match self.suite {
            Suites::Regress => Suite::Regress,
            Suites::LibpqPipeline => Suite::LibpqPipeline,
            Suites::Psycopg2 => Suite::Psycopg2,
            Suites::TokioPostgres => Suite::TokioPostgres,
            Suites::All => return Suite::value_variants().to_vec(),
        };
        vec![one]
    }

    fn ways(&self) -> Vec<Way> {
        match self.mode {
            Modes::Direct => vec![Way::Direct],
            Modes::Session => vec![Way::Direct, Way::Session],
            Modes::Transaction => vec![Way::Direct, Way::Transaction],
            Modes::Both => vec![Way::Direct, Way::Session, Way::Transaction],
        }
    }

    fn schedules(&self, suite: Suite) -> Vec<Schedule> {
        match (suite, self.schedule) {
            (Suite::Regress, None) if self.tests.is_empty() => vec![Schedule::Serial, Schedule::Parallel],
            (Suite::Regress, Some(schedule)) => vec![schedule],
            _ => vec![Schedule::Serial],
        }
    }

    fn job(&self, suite: Suite, schedule: Schedule, way: Way) -> Job {
        let results = Path::new(&self.results).join(report::folder(suite, schedule, way));
        Job { suite, way, schedule, tests: self.tests.clone(), results }
    }
}
