//! The tests in tokio-postgres' package: one program, one process for each test.
//!
//! They connect to one port, which is written into them, as a user without a password, and as users of whom each
//! way of asking for passwords is expected. The servers ask each user in their own way (`pg_hba.conf`); the proxy
//! asks all in one way, so for each way it is started anew.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use howdah::demo::node::SUPERUSER;

use super::{
    Job, Run,
    bed::Bed,
    bounded::{self, End},
    doorway::Doorway,
    material::Material,
    outcome::{Outcome, Outcomes},
};

/// The tests' users with the way in which a server asks them; all have the same password.
const USERS: [(&str, &str); 3] = [("pass_user", "password"), ("md5_user", "md5"), ("scram_user", "scram-sha-256")];

const PASSWORD: &str = "password";

/// What the tests expect to be there.
const EXTENSIONS: [&str; 3] = ["hstore", "citext", "ltree"];

/// The longest test takes about a second.
const TEST_MAX: Duration = Duration::from_secs(30);

/// Between two words on how far it is.
const TOLD_EVERY: usize = 50;

/// How the proxy asks for passwords, first to last.
const AUTH_TYPES: [&str; 4] = ["trust", "plain", "md5", "scram-sha-256"];

/// Runs each test behind the door that it expects.
pub(super) fn run(job: &Job, material: &Material, tell: &mut dyn FnMut(&str)) -> Result<Run> {
    let suite = Tests::of(&material.tokio_postgres()?)?;
    let tests: Vec<String> = suite.list()?.into_iter().filter(|test| job.wants(test)).collect();
    ensure!(!tests.is_empty(), "tokio-postgres has no such test");
    let mut bed = Bed::make(job.way)?;
    prepare(&bed)?;
    let doorway = doorway(suite.port)?;
    let mut outcomes = Outcomes::default();
    // Who is in no file is let in by nobody, not even without a password.
    let users = USERS.map(|(user, _)| user).into_iter().chain([SUPERUSER]);
    let secrets: Vec<(&str, &str)> = users.map(|user| (user, PASSWORD)).collect();
    for auth_type in AUTH_TYPES {
        let mut group = tests.iter().filter(|test| auth_type_for(test) == auth_type).peekable();
        if group.peek().is_none() {
            continue;
        }
        doorway.lead_to(bed.open(|config| config.set("auth_type", &format!("{auth_type:?}")).users(&secrets))?);
        for test in group {
            let outcome = suite.run(test, &job.results)?;
            if outcome != Outcome::Passed {
                tell(&format!("{test} {}", outcome.word()));
            }
            outcomes.note(test, outcome);
            if outcomes.len().is_multiple_of(TOLD_EVERY) {
                tell(&format!("{} tests, {} passed", outcomes.len(), outcomes.count(Outcome::Passed)));
            }
        }
    }
    Ok(Run { outcomes, bed })
}

/// One for all runs of this process.
fn doorway(port: u16) -> Result<&'static Doorway> {
    static DOORWAY: OnceLock<Doorway> = OnceLock::new();
    match DOORWAY.get() {
        Some(doorway) => Ok(doorway),
        None => {
            let doorway = Doorway::open(port)?;
            Ok(DOORWAY.get_or_init(|| doorway))
        }
    }
}

/// The users with their passwords, the extensions, and how the nodes ask.
fn prepare(bed: &Bed) -> Result<()> {
    let mut sql = String::new();
    for (user, method) in USERS {
        let encryption = if method == "md5" { "md5" } else { "scram-sha-256" };
        sql += &format!("SET password_encryption = '{encryption}'; CREATE ROLE {user} PASSWORD '{PASSWORD}' LOGIN;\n");
    }
    for extension in EXTENSIONS {
        sql += &format!("CREATE EXTENSION {extension};\n");
    }
    bed.primary().psql(&sql)?;
    for node in bed.nodes() {
        let file = node.data.join("pg_hba.conf");
        let rules = fs::read_to_string(&file).context("could not read pg_hba.conf")?;
        let ours = USERS.map(|(user, method)| format!("host all {user} 127.0.0.1/32 {method}\n"));
        fs::write(&file, ours.concat() + &rules)?;
        node.psql("SELECT pg_reload_conf()")?;
    }
    Ok(())
}

/// The way of asking that a test is about.
fn auth_type_for(test: &str) -> &'static str {
    let named = [("plain_", "plain"), ("md5_", "md5"), ("scram_", "scram-sha-256")];
    named.iter().find(|(start, _)| test.starts_with(start)).map_or("trust", |(_, auth_type)| auth_type)
}

/// The tests as a program.
struct Tests {
    program: PathBuf,
    /// The port that they connect to.
    port: u16,
}

impl Tests {
    fn of(material: &Path) -> Result<Self> {
        let port = fs::read_to_string(material.join("port")).context("the port of tokio-postgres' tests")?;
        Ok(Self { program: material.join("suite"), port: port.trim().parse()? })
    }

    fn list(&self) -> Result<Vec<String>> {
        let listed = Command::new(&self.program).args(["--list", "--format", "terse"]).output()?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        Ok(listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
    }

    fn run(&self, test: &str, results: &Path) -> Result<Outcome> {
        let said = results.join(format!("{}.log", test.replace("::", ".")));
        let mut command = Command::new(&self.program);
        let outcome = match bounded::run(command.args(["--exact", test, "--nocapture"]), &said, TEST_MAX)? {
            End::Killed => Outcome::Hung,
            End::Exited(status) if status.success() => Outcome::Passed,
            End::Exited(_) => Outcome::Failed,
        };
        if outcome == Outcome::Passed {
            fs::remove_file(said)?;
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_gets_the_door_that_it_is_about() {
        for (test, auth_type) in [
            ("plain_password_wrong", "plain"),
            ("md5_password_ok", "md5"),
            ("scram_password_missing", "scram-sha-256"),
            ("require_channel_binding", "trust"),
            ("runtime::host_only_ok", "trust"),
        ] {
            assert_eq!(auth_type_for(test), auth_type);
        }
    }
}
