//! PostgreSQL's drivers in other languages, as `cargo xtask test` has found or installed them.

use std::{
    env,
    ffi::OsString,
    fmt,
    path::PathBuf,
    process::{Command, Stdio},
};

/// A language with its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Python with psycopg 3 and psycopg2; runs a script file.
    Python,
    /// Node with node-postgres; runs a script file.
    Node,
    /// Java with JDBC; runs a source file.
    Jdbc,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Python => "Python with psycopg and psycopg2",
            Self::Node => "Node with node-postgres",
            Self::Jdbc => "Java with JDBC",
        })
    }
}

impl Driver {
    /// The interpreter with its driver, to be given a file; `None`, with a line on why, where it is not installed.
    ///
    /// Panics instead in CI, where nothing may be skipped.
    pub fn command(self) -> Option<Command> {
        let command = self.configured();
        if command.is_none() {
            let how = "`cargo xtask setup` installs it, or says how";
            assert!(!in_ci(), "{self} is missing: {how}");
            eprintln!("skipped: {self} is missing; {how}");
        }
        command
    }

    /// Runs a program of the folder `tests/drivers` with arguments; its output. `None` where it is skipped.
    ///
    /// Panics with what it said when it fails.
    pub fn run(self, file: &str, arguments: &[&str]) -> Option<String> {
        let mut command = self.command()?;
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("drivers").join(file);
        let output = command.arg(path).args(arguments).stdin(Stdio::null()).output().expect("the interpreter runs");
        let (out, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{file} failed: {said}\n{out}");
        Some(out.into_owned())
    }

    fn configured(self) -> Option<Command> {
        match self {
            Self::Python => {
                let mut python = Command::new(env::var_os("HOWDAH_TEST_PYTHON").unwrap_or_else(|| "python3".into()));
                python.env("PYTHONPATH", setting("HOWDAH_TEST_PYTHONPATH", "python"));
                works(python, &["-c", "import psycopg, psycopg2"])
            }
            Self::Node => {
                let mut node = Command::new("node");
                node.env("NODE_PATH", setting("HOWDAH_TEST_NODE_PATH", "node/node_modules"));
                works(node, &["-e", "require('pg')"])
            }
            Self::Jdbc => {
                let jar = env::var_os("HOWDAH_TEST_JDBC").unwrap_or_else(|| "/usr/share/java/postgresql.jar".into());
                let mut java = Command::new("java");
                java.arg("-cp").arg(&jar);
                PathBuf::from(jar).exists().then_some(java)
            }
        }
    }
}

fn works(mut interpreter: Command, check: &[&str]) -> Option<Command> {
    let mut checked = Command::new(interpreter.get_program());
    checked.args(check).envs(interpreter.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let status = checked.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    interpreter.stdin(Stdio::null());
    status.is_ok_and(|status| status.success()).then_some(interpreter)
}

fn setting(variable: &str, below_tools: &str) -> OsString {
    let tools = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    env::var_os(variable).unwrap_or_else(|| tools.join(below_tools).into())
}

/// Whether nothing may be skipped.
pub fn in_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false" && value != "0")
}
