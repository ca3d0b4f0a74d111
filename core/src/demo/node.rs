//! One PostgreSQL instance of a cluster of our own: made, started, stopped, asked, hurt.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::{
    account::Account,
    binaries::Binaries,
    error::ClusterError,
    process::{self, Signal},
    psql::{Psql, finish},
    wait,
};

/// The superuser of every cluster of ours.
pub const SUPERUSER: &str = "postgres";

/// The superuser's password where one is asked for. No secret: the servers listen on loopback and live for minutes.
pub const PASSWORD: &str = "howdah";

/// The address that nodes listen on.
pub const HOST: &str = "127.0.0.1";

/// For a start, a stop or a reload. Seconds on a busy machine; a minute means that something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// For a dead process to vanish from the process table.
const BURIAL_PATIENCE: Duration = Duration::from_secs(5);

/// Lines of the server's log that an error message quotes.
const LOG_LINES_QUOTED: usize = 15;

/// A PostgreSQL instance, running or not.
#[derive(Clone, Debug)]
pub struct PgNode {
    /// `n0`, `n1` …; also its `cluster_name`, and so its name in `pg_stat_replication`.
    pub name: String,
    /// The address that it listens on.
    pub host: String,
    /// The port that it listens on.
    pub port: u16,
    /// Its data directory.
    pub data: PathBuf,
    pub(super) account: Account,
    pub(super) binaries: Binaries,
}

impl PgNode {
    /// Starts it and waits until it takes connections.
    pub fn start(&self) -> Result<(), ClusterError> {
        let log = self.log_file();
        let mut command = self.command("pg_ctl");
        command.args(["start", "--wait", "--silent", "--pgdata"]).arg(&self.data).arg("--log").arg(&log);
        finish(&mut command).map_err(|error| with_log(error, &log))
    }

    /// Stops it the way an operator does: sessions are ended, the log is flushed.
    pub fn stop(&self) -> Result<(), ClusterError> {
        let mut command = self.command("pg_ctl");
        finish(command.args(["stop", "--wait", "--silent", "--mode", "fast", "--pgdata"]).arg(&self.data))
    }

    /// Kills all of its processes at once, as a crash of its machine does. `start` recovers it.
    pub fn kill9(&self) -> Result<(), ClusterError> {
        let Some(pid) = self.postmaster() else { return Ok(()) };
        process::signal(Signal::Stop, &[pid]);
        let mut pids = process::children(pid);
        pids.push(pid);
        process::signal(Signal::Kill, &pids);
        let gone = wait::until(PATIENCE, || pids.iter().all(|&pid| !process::is_alive(pid)).then_some(()));
        gone.ok_or_else(|| self.late("the end of its processes"))?;
        // PostgreSQL takes a dead process for a running one until the first process of the machine buries it;
        // in a container that one may never do so.
        match wait::until(BURIAL_PATIENCE, || (!process::exists(pid)).then_some(())) {
            Some(()) => Ok(()),
            None => {
                fs::remove_file(self.data.join("postmaster.pid")).map_err(ClusterError::io("remove postmaster.pid"))
            }
        }
    }

    /// Freezes all of its processes: connections are taken by the kernel, but nothing is answered.
    pub fn sigstop(&self) {
        let Some(pid) = self.postmaster() else { return };
        // The postmaster first, so that no child is born unseen.
        process::signal(Signal::Stop, &[pid]);
        process::signal(Signal::Stop, &process::children(pid));
    }

    /// Lets a frozen node go on.
    pub fn sigcont(&self) {
        let Some(pid) = self.postmaster() else { return };
        process::signal(Signal::Continue, &process::children(pid));
        process::signal(Signal::Continue, &[pid]);
    }

    /// The process number of the running postmaster.
    pub fn postmaster(&self) -> Option<u32> {
        let text = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let pid = text.lines().next()?.trim().parse().ok()?;
        process::is_alive(pid).then_some(pid)
    }

    /// Runs statements one by one as the superuser in `postgres`; see [`Psql::ask`].
    pub fn psql(&self, sql: &str) -> Result<String, ClusterError> {
        self.client().ask(sql)
    }

    /// psql as the superuser, to be pointed elsewhere.
    pub fn client(&self) -> Psql {
        let folder = self.data.parent().unwrap_or(Path::new("/"));
        Psql::new(&self.host, self.port, self.account, self.binaries.clone(), folder)
    }

    /// Sets a parameter that a reload can change and waits until it is in force.
    pub fn alter_system(&self, name: &str, value: &str) -> Result<(), ClusterError> {
        let loaded = "SELECT pg_conf_load_time()";
        let before = self.psql(loaded)?;
        self.psql(&format!("ALTER SYSTEM SET {name} = '{}'; SELECT pg_reload_conf()", value.replace('\'', "''")))?;
        let reloaded = wait::until(PATIENCE, || self.psql(loaded).is_ok_and(|now| now != before).then_some(()));
        reloaded.ok_or_else(|| self.late("the reload of its configuration"))
    }

    /// The file that it writes its log to.
    pub fn log_file(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// One of PostgreSQL's programs, run as the right user in a folder that this user may enter.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.folder.join(program));
        let folder = self.data.parent().unwrap_or(Path::new("/"));
        self.account.apply(&mut command).current_dir(folder).stdin(Stdio::null()).env("LC_MESSAGES", "C");
        command
    }

    pub(super) fn configure(&self, lines: &str) -> Result<(), ClusterError> {
        let task = || ClusterError::io(format!("write the configuration of {}", self.name));
        let mut file = fs::OpenOptions::new().append(true).open(self.data.join("postgresql.conf")).map_err(task())?;
        file.write_all(lines.as_bytes()).map_err(task())
    }

    fn late(&self, event: &str) -> ClusterError {
        ClusterError::Late { event: format!("{}: {event}", self.name), limit: PATIENCE }
    }
}

fn with_log(error: ClusterError, log: &Path) -> ClusterError {
    let ClusterError::Program { program, said } = error else { return error };
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(LOG_LINES_QUOTED)..].join("\n");
    ClusterError::Program { program, said: format!("{said}\n{end}") }
}
