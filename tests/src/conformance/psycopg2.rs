//! The tests in psycopg2's source package, run by a small program around Python's own runner.
//!
//! All tests share one process, as they are made to; one that hangs is ended with the process, and the rest goes
//! on in another.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{
    Job, Run,
    bed::Bed,
    material::Material,
    outcome::{Outcome, Outcomes},
};

/// The tests' own name for it.
const DATABASE: &str = "psycopg2_test";

/// The longest test takes a few seconds.
const TEST_MAX: Duration = Duration::from_secs(30);

/// A run with so many tests that hang tells nothing more.
const HUNG_MAX: usize = 10;

/// Between two words on how far it is.
const TOLD_EVERY: usize = 150;

/// Runs all tests, in order.
pub(super) fn run(job: &Job, material: &Material, tell: &mut dyn FnMut(&str)) -> Result<Run> {
    let mut bed = Bed::make(job.way)?;
    let primary = bed.primary();
    primary.psql(&format!("CREATE DATABASE {DATABASE}"))?;
    primary.client().database(DATABASE).ask("CREATE EXTENSION hstore")?;
    let port = bed.open(|config| config)?;
    let runner = Runner { material: material.psycopg2()?, port, said: job.results.join("psycopg2.log") };
    let mut left: Vec<String> = runner.list()?.into_iter().filter(|test| job.wants(test)).collect();
    ensure!(!left.is_empty(), "psycopg2 has no such test");
    let mut outcomes = Outcomes::default();
    while !left.is_empty() && outcomes.count(Outcome::Hung) < HUNG_MAX {
        let before = left.len();
        runner.run(&left, &mut outcomes, tell)?;
        left.retain(|test| outcomes.of(test).is_none());
        ensure!(left.len() < before, "psycopg2's tests do not run; see {}", runner.said.display());
    }
    Ok(Run { outcomes, bed })
}

struct Runner {
    material: PathBuf,
    port: u16,
    said: PathBuf,
}

impl Runner {
    fn command(&self, task: &str) -> Result<Command> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/psycopg2_suite.py");
        let said = fs::File::options().create(true).append(true).open(&self.said)?;
        let mut command = Command::new(env::var_os("HOWDAH_TEST_PYTHON").unwrap_or_else(|| "python3".into()));
        command.arg(program).arg(&self.material).arg(task).current_dir(&self.material);
        command.env("PYTHONPATH", self.material.join("site")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("PSYCOPG2_TESTDB", DATABASE).env("PSYCOPG2_TESTDB_HOST", "127.0.0.1");
        command.env("PSYCOPG2_TESTDB_PORT", self.port.to_string()).env("PSYCOPG2_TESTDB_USER", "postgres");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said);
        Ok(command)
    }

    fn list(&self) -> Result<Vec<String>> {
        let listed = self.command("list")?.output().context("python3")?;
        ensure!(listed.status.success(), "psycopg2's tests cannot be listed; see {}", self.said.display());
        Ok(String::from_utf8_lossy(&listed.stdout).split_whitespace().map(str::to_owned).collect())
    }

    /// Runs tests until all have ended or one hangs.
    fn run(&self, tests: &[String], outcomes: &mut Outcomes, tell: &mut dyn FnMut(&str)) -> Result<()> {
        let mut child = self.command("run")?.stdin(Stdio::piped()).spawn().context("python3")?;
        let mut input = child.stdin.take().context("the pipe was asked for")?;
        // All names are read before the first test runs.
        input.write_all(tests.join("\n").as_bytes())?;
        drop(input);
        let running = follow(&mut child, outcomes, tell)?;
        if let Some(test) = running {
            // It hangs, or it took the process with it.
            tell(&format!("{test} was ended"));
            outcomes.note(test, Outcome::Hung);
        }
        // Fails only when it has ended by itself; nothing that it could still do counts.
        let _ = child.kill();
        child.wait()?;
        Ok(())
    }
}

/// Notes how tests end; the one that does not.
fn follow(child: &mut Child, outcomes: &mut Outcomes, tell: &mut dyn FnMut(&str)) -> Result<Option<String>> {
    let lines = BufReader::new(child.stdout.take().context("the pipe was asked for")?).lines();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || lines.map_while(Result::ok).all(|line| sender.send(line).is_ok()));
    let mut running = None;
    loop {
        let line = match receiver.recv_timeout(TEST_MAX) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(running),
        };
        let Some((word, test)) = line.split_once(' ') else { continue };
        let outcome = match word {
            "begin" => {
                running = Some(test.to_owned());
                continue;
            }
            "passed" => Outcome::Passed,
            "skipped" => Outcome::Skipped,
            _ => Outcome::Failed,
        };
        running = None;
        outcomes.note(test, outcome);
        if outcome == Outcome::Failed {
            tell(&format!("{test} failed"));
        }
        if outcomes.len().is_multiple_of(TOLD_EVERY) {
            tell(&format!("{} tests, {} passed", outcomes.len(), outcomes.count(Outcome::Passed)));
        }
    }
}
