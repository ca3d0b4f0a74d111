//! PostgreSQL's own regression tests: `pg_regress` on a database made as it would make it itself.
//!
//! `pg_regress` runs each script by psql and compares what came with what is expected. It refuses nothing and
//! asks the server nothing itself, so it is told where to connect and its lines are read.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use howdah::demo::{PgNode, account::Account};

use super::{
    Job, Run, Schedule,
    bed::Bed,
    material::Material,
    outcome::{Outcome, Outcomes},
};

/// The longest test takes some seconds; one that takes this long waits for something that will not come.
const TEST_MAX_SECONDS: u32 = 60;

/// A run with so many tests that hang tells nothing more.
const HUNG_MAX: usize = 10;

/// Makes what most other tests use; the schedule begins with it.
const FIRST_TEST: &str = "test_setup";

/// Tests that run at a time in the parallel schedule, as PostgreSQL's own makefile has it.
const PARALLEL_MAX: usize = 20;

/// Servers for each node: those of a parallel group, each of which may connect anew before the old connection is gone.
const PARALLEL_POOL_SIZE: usize = 2 * PARALLEL_MAX;

/// One test at a time needs few servers, and so the next test meets what the last has left on them.
const SERIAL_POOL_SIZE: usize = 5;

/// Between two words on how far it is.
const TOLD_EVERY: usize = 25;

/// Runs the schedule, or some tests of it in the given order.
pub(super) fn run(job: &Job, material: &Material, tell: &mut dyn FnMut(&str)) -> Result<Run> {
    let mut bed = Bed::make(job.way)?;
    let place = Place::lay_out(&bed, &material.postgresql()?)?;
    create_database(bed.primary())?;
    let pool_size = match job.schedule {
        Schedule::Serial => SERIAL_POOL_SIZE,
        Schedule::Parallel => PARALLEL_POOL_SIZE,
    };
    let port = bed.open(|config| config.set("default_pool_size", &pool_size.to_string()))?;
    let mut program = place.program(bed.primary(), port, job)?;
    let said = fs::File::create(job.results.join("pg_regress.log"))?;
    let mut child = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(said).spawn().context("pg_regress")?;
    let outcomes = follow(&mut child, tell)?;
    child.wait()?;
    place.keep(&outcomes, &job.results)?;
    ensure!(!outcomes.is_empty(), "pg_regress ran no test; see {}", job.results.join("pg_regress.log").display());
    Ok(Run { outcomes, bed })
}

/// As pg_regress does, except that it would drop what it finds.
fn create_database(primary: &PgNode) -> Result<()> {
    let settings = [
        ("lc_messages", "C"),
        ("lc_monetary", "C"),
        ("lc_numeric", "C"),
        ("lc_time", "C"),
        ("bytea_output", "hex"),
        ("timezone_abbreviations", "Default"),
    ];
    let mut sql = String::from("CREATE DATABASE regression TEMPLATE=template0;\n");
    for (name, value) in settings {
        sql += &format!("ALTER DATABASE regression SET {name} TO '{value}';\n");
    }
    primary.psql(&sql)?;
    Ok(())
}

/// Where the servers' account may read and write.
struct Place {
    material: PathBuf,
    output: PathBuf,
    account: Account,
}

impl Place {
    fn lay_out(bed: &Bed, material: &Path) -> Result<Self> {
        let account = Account::choose()?;
        let place = Self { material: bed.folder().join("suite"), output: bed.folder().join("output"), account };
        let copied = Command::new("cp").arg("-R").arg(material).arg(&place.material).status()?;
        ensure!(copied.success(), "could not copy {}", material.display());
        // pg_regress would make the folder itself, but not the one around it.
        for folder in [place.output.clone(), place.output.join("results")] {
            fs::create_dir(&folder)?;
            account.own(&folder)?;
        }
        Ok(place)
    }

    fn program(&self, primary: &PgNode, port: u16, job: &Job) -> Result<Command> {
        let psql = primary.client().command().get_program().to_owned();
        let bin = Path::new(&psql).parent().context("psql is in a folder")?.to_owned();
        let option = |name: &str, path: &Path| format!("--{name}={}", path.display());
        let mut command = Command::new(self.material.join("pg_regress"));
        self.account.apply(&mut command).current_dir(&self.output);
        // The language, the time zone and every PG… variable of who runs us would change results.
        command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).env("LC_MESSAGES", "C");
        command.args(["--use-existing", "--host=127.0.0.1", "--user=postgres", &format!("--port={port}")]);
        command.arg(option("bindir", &bin)).arg(option("dlpath", &self.material.join("lib")));
        command.arg(option("inputdir", &self.tests())).arg(option("outputdir", &self.output));
        // `timeout` ends psql, and pg_regress reports its exit code.
        command.arg(format!("--launcher=timeout --kill-after=5 {TEST_MAX_SECONDS}"));
        command.arg(format!("--max-concurrent-tests={PARALLEL_MAX}"));
        if job.schedule == Schedule::Serial {
            command.arg("--max-connections=1");
        }
        if job.tests.is_empty() {
            command.arg(option("schedule", &self.tests().join("parallel_schedule")));
        } else {
            command.args(self.chosen(&job.tests)?);
        }
        Ok(command)
    }

    fn tests(&self) -> PathBuf {
        self.material.join("regress")
    }

    fn chosen(&self, tests: &[String]) -> Result<Vec<String>> {
        if let Some(unknown) = tests.iter().find(|test| !self.tests().join(format!("sql/{test}.sql")).exists()) {
            bail!("PostgreSQL has no regression test {unknown}");
        }
        let first = Some(FIRST_TEST.to_owned()).filter(|first| !tests.contains(first));
        Ok(first.into_iter().chain(tests.iter().cloned()).collect())
    }

    /// Copies the differences, and for each test that did not pass what came of it.
    fn keep(&self, outcomes: &Outcomes, results: &Path) -> Result<()> {
        let differences = self.output.join("regression.diffs");
        if differences.exists() {
            fs::copy(differences, results.join("regression.diffs"))?;
        }
        for (test, _) in outcomes.unhappy() {
            let (came, expected) = (format!("results/{test}.out"), format!("expected/{test}.out"));
            for (from, to) in [(self.output.join(came), "out"), (self.tests().join(expected), "expected")] {
                if from.exists() {
                    fs::copy(from, results.join(format!("{test}.{to}")))?;
                }
            }
        }
        Ok(())
    }
}

/// Reads what pg_regress says until it ends.
fn follow(child: &mut Child, tell: &mut dyn FnMut(&str)) -> Result<Outcomes> {
    let lines = BufReader::new(child.stdout.take().context("the pipe was asked for")?).lines();
    let mut outcomes = Outcomes::default();
    let mut last = None;
    for line in lines {
        let line = line?;
        match read_line(&line) {
            Said::Ended(test, outcome) => {
                if outcome == Outcome::Failed {
                    tell(&format!("{test} failed"));
                }
                outcomes.note(test.clone(), outcome);
                last = Some(test);
            }
            Said::TimedOut(named) => {
                let Some(test) = named.or(last.take()) else { continue };
                tell(&format!("{test} was ended after {TEST_MAX_SECONDS} s"));
                outcomes.note(test, Outcome::Hung);
                if outcomes.count(Outcome::Hung) >= HUNG_MAX {
                    tell(&format!("{HUNG_MAX} tests hung, the rest is left out"));
                    child.kill()?;
                    break;
                }
            }
            Said::Other => continue,
        }
        if outcomes.len().is_multiple_of(TOLD_EVERY) {
            tell(&format!("{} tests, {} passed", outcomes.len(), outcomes.count(Outcome::Passed)));
        }
    }
    Ok(outcomes)
}

/// A line of pg_regress.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// A test ended by itself.
    Ended(String, Outcome),
    /// A test was ended; which one, where the line says it.
    TimedOut(Option<String>),
    Other,
}

/// Up to version 15 `test name ... ok 12 ms`, with blanks instead of `test` within a group; after that TAP.
fn read_line(line: &str) -> Said {
    let timed_out = ["exit code 124", "exit code 137"].iter().any(|code| line.contains(code));
    if line.starts_with("not ok ") || line.starts_with("ok ") {
        // `not ok 7     + name   12 ms`, with `-` instead of `+` outside of a group.
        let outcome = if line.starts_with("ok ") { Outcome::Passed } else { Outcome::Failed };
        let name =
            line.split_once(" + ").or(line.split_once(" - ")).and_then(|(_, rest)| rest.split_whitespace().next());
        return name.map_or(Said::Other, |name| Said::Ended(name.into(), outcome));
    }
    if line.starts_with('#') {
        return if timed_out { Said::TimedOut(None) } else { Said::Other };
    }
    let Some((name, result)) = line.split_once(" ... ") else { return Said::Other };
    let name = name.strip_prefix("test ").unwrap_or(name).trim().to_owned();
    match result.split_whitespace().next() {
        Some("ok") => Said::Ended(name, Outcome::Passed),
        _ if timed_out => Said::TimedOut(Some(name)),
        // What the schedule ignores may fail: `failed (ignored)`.
        Some("failed") => Said::Ended(name, Outcome::Passed),
        _ => Said::Ended(name, Outcome::Failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_every_version_are_understood() {
        let ended = |name: &str, outcome| Said::Ended(name.into(), outcome);
        for (line, said) in [
            ("test tablespace                   ... ok          286 ms", ended("tablespace", Outcome::Passed)),
            ("     boolean                      ... ok           12 ms", ended("boolean", Outcome::Passed)),
            ("     create_index                 ... FAILED      713 ms", ended("create_index", Outcome::Failed)),
            ("     random                       ... failed (ignored)       81 ms", ended("random", Outcome::Passed)),
            (
                "     async                        ... FAILED (test process exited with exit code 124)    60001 ms",
                Said::TimedOut(Some("async".into())),
            ),
            (
                "     async                        ... FAILED (test process exited with exit code 2)      12 ms",
                ended("async", Outcome::Failed),
            ),
            ("parallel group (20 tests):  boolean char name", Said::Other),
            ("ok 1         - test_setup                                286 ms", ended("test_setup", Outcome::Passed)),
            ("not ok 7     + create_index                              713 ms", ended("create_index", Outcome::Failed)),
            ("# (test process exited with exit code 124)", Said::TimedOut(None)),
            ("# parallel group (20 tests):  boolean char name", Said::Other),
            (" 9 of 217 tests failed. ", Said::Other),
        ] {
            assert_eq!(read_line(line), said, "{line}");
        }
    }
}
