//! pgbench as a client: a load on the proxy or on a node.

use std::process::{Child, Stdio};

use super::{
    error::ClusterError,
    node::{PASSWORD, PgNode, SUPERUSER},
    pgbench::Summary,
};

/// What to run and where.
#[derive(Clone, Debug)]
pub struct Load {
    /// The port of the proxy or of a node.
    pub port: u16,
    /// The database; `postgres` unless changed.
    pub database: String,
    /// The user; the superuser unless changed.
    pub user: String,
    /// The user's password, should one be asked for.
    pub password: String,
    /// Arguments such as `-S -c 16 -T 10 -M prepared`.
    pub arguments: Vec<String>,
}

/// A load that is on.
#[derive(Debug)]
pub struct RunningLoad {
    child: Child,
}

/// How a load ended.
#[derive(Clone, Debug)]
pub struct LoadResult {
    /// The figures; `None` when pgbench could not even begin.
    pub summary: Option<Summary>,
    /// Standard error: progress and error messages.
    pub messages: String,
}

impl Load {
    /// Arguments in one text, parted by spaces.
    pub fn new(port: u16, arguments: &str) -> Self {
        Self {
            port,
            database: "postgres".into(),
            user: SUPERUSER.into(),
            password: PASSWORD.into(),
            arguments: arguments.split_whitespace().map(str::to_owned).collect(),
        }
    }

    /// Puts the load on, with the programs of this node.
    pub fn start(&self, node: &PgNode) -> Result<RunningLoad, ClusterError> {
        let mut command = node.command("pgbench");
        command.args(["-n", "-h", &node.host, "-p", &self.port.to_string(), "-U", &self.user]);
        command.args(&self.arguments).arg(&self.database).env("PGPASSWORD", &self.password);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(RunningLoad { child: command.spawn().map_err(ClusterError::io("run pgbench"))? })
    }

    /// Runs it to its end.
    pub fn run(&self, node: &PgNode) -> Result<LoadResult, ClusterError> {
        self.start(node)?.finish()
    }
}

/// Makes pgbench's tables; scale 1 is 100,000 accounts.
pub fn fill(node: &PgNode, port: u16, scale: u32) -> Result<(), ClusterError> {
    let load = Load::new(port, &format!("-i -q -s {scale}"));
    let result = load.run(node)?;
    // Filling prints no summary; what it says on success ends with the word "done".
    if result.messages.lines().any(|line| line.starts_with("done in ")) {
        return Ok(());
    }
    Err(ClusterError::Program { program: "pgbench -i".into(), said: result.messages })
}

impl RunningLoad {
    /// Waits for its end.
    pub fn finish(self) -> Result<LoadResult, ClusterError> {
        let output = self.child.wait_with_output().map_err(ClusterError::io("wait for pgbench"))?;
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        let summary = Summary::parse(&String::from_utf8_lossy(&output.stdout), &messages);
        Ok(LoadResult { summary, messages })
    }

    /// Ends it early; its figures are lost.
    pub fn cancel(mut self) {
        // Both can fail only because it has just ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl LoadResult {
    /// The summary of a load in which no client saw an error; otherwise what pgbench said.
    pub fn clean(&self) -> Result<&Summary, ClusterError> {
        let clean = self.summary.as_ref().filter(|summary| summary.is_clean());
        clean.ok_or_else(|| ClusterError::Program {
            program: "pgbench".into(),
            said: format!("{:?}\n{}", self.summary, self.messages.trim()),
        })
    }

    /// Transactions that succeeded.
    pub fn transactions(&self) -> u64 {
        self.summary.as_ref().map_or(0, |summary| summary.transactions)
    }
}
