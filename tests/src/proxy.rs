//! The proxy in front of a cluster, for one test.

use std::{
    fs,
    ops::{Deref, DerefMut},
    path::PathBuf,
    time::Duration,
};

use howdah::demo::{PgCluster, ProxyConfig, ProxyProcess, Psql, ServerFolder, account::Account, ports};

use crate::program;

/// For a process that was killed to be gone.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// A running proxy with a folder of its own; both go when it is dropped.
///
/// It is a [`ProxyProcess`] too: `port`, `rewrite`, `signal`, `wait_for_log` … are there.
pub struct Proxy {
    process: ProxyProcess,
    client: Psql,
    folder: ServerFolder,
}

impl Proxy {
    /// In front of the cluster, with the default policy and what the test changes of the configuration.
    pub fn start(cluster: &PgCluster, change: impl FnOnce(ProxyConfig) -> ProxyConfig) -> Self {
        let port = ports::free_port().expect("a free port");
        Self::try_start(cluster, change(ProxyConfig::for_cluster(cluster, port))).expect("the proxy starts")
    }

    /// The same with a finished configuration, which may be one that is refused.
    pub fn try_start(cluster: &PgCluster, config: ProxyConfig) -> Result<Self, howdah::demo::ClusterError> {
        let folder = ServerFolder::make(None, Account::Own).expect("a folder for the proxy");
        let process = ProxyProcess::start(&program::howdah(), folder.path(), &config)?;
        let client = cluster.primary().client().port(process.port());
        Ok(Self { process, client, folder })
    }

    /// On a configuration that something else has written into the folder.
    pub fn start_on(cluster: &PgCluster, folder: ServerFolder, config_file: PathBuf, port: u16) -> Self {
        let process = ProxyProcess::start_on(&program::howdah(), folder.path(), config_file, port);
        let process = process.expect("the proxy starts");
        let client = cluster.primary().client().port(port);
        Self { process, client, folder }
    }

    /// psql through the proxy, as the superuser in `postgres` unless pointed elsewhere.
    pub fn client(&self) -> Psql {
        self.client.clone()
    }

    /// psql on the console.
    pub fn console(&self) -> Psql {
        self.client.database("howdah")
    }

    /// The memory that it has in use.
    pub fn resident_kib(&self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number of kilobytes")
    }

    /// Ends it without a chance to tidy up. What it had begun stays as it is until [`Proxy::restart`].
    pub fn kill(&mut self) {
        let pid = i32::try_from(self.pid()).ok().and_then(rustix::process::Pid::from_raw).expect("it has a number");
        // A shell that sends it would take longer than what is to be interrupted.
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
        self.process.wait_for_end(END_PATIENCE);
    }

    /// Starts it anew on the configuration that it had, and waits until it takes clients.
    pub fn restart(&mut self) {
        let (file, port) = (self.config_file().to_owned(), self.port());
        let process = ProxyProcess::start_on(&program::howdah(), self.folder.path(), file, port);
        self.process = process.expect("the proxy starts");
    }

    /// Writes another configuration and has the console load it; what the console says when it refuses.
    pub fn reload(&self, config: &ProxyConfig) -> Result<(), String> {
        self.process.rewrite(config).expect("the configuration can be written");
        self.console().ask("RELOAD").map(drop).map_err(|error| error.to_string())
    }
}

impl Deref for Proxy {
    type Target = ProxyProcess;

    fn deref(&self) -> &ProxyProcess {
        &self.process
    }
}

impl DerefMut for Proxy {
    fn deref_mut(&mut self) -> &mut ProxyProcess {
        &mut self.process
    }
}
