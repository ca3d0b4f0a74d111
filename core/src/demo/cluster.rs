//! A real PostgreSQL cluster of our own: one primary, streaming standbys, a temporary folder.
//!
//! The demo shows it, the tests hurt it, the benchmarks load it. All of it blocks.

use std::{fs, path::PathBuf, time::Duration};

use super::{
    account::Account,
    binaries::Binaries,
    error::ClusterError,
    folder::ServerFolder,
    node::{HOST, PASSWORD, PgNode, SUPERUSER},
    ports,
    psql::finish,
    wait,
};

/// Room for thousands of pooled connections' worth of tests without touching the kernel's limits.
const MAX_CONNECTIONS: u32 = 300;

/// Until all standbys stream. They need a second; a loaded machine may need a few more.
const STREAMING_PATIENCE: Duration = Duration::from_secs(60);

/// How the nodes ask for passwords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    #[default]
    Trust,
    /// SCRAM-SHA-256; the superuser's password is [`PASSWORD`].
    Scram,
}

/// Which standbys a commit waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// None.
    #[default]
    Off,
    /// `FIRST n (n1, n2 …)`.
    First(usize),
    /// `ANY n (n1, n2 …)`.
    Any(usize),
}

/// What kind of cluster to make.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Streaming standbys; default 2.
    pub standbys: usize,
    /// The folder to make; it must not exist yet. Default: a new one among the temporary files.
    pub dir: Option<PathBuf>,
    /// How the nodes ask for passwords; default not at all.
    pub auth: Auth,
    /// Which standbys a commit waits for; default none.
    pub sync: Synchronous,
    /// Whether commits reach the disk (`fsync`); default false, as nothing here is meant to last.
    pub durable: bool,
    /// Further lines of `postgresql.conf` for every node; they win over ours.
    pub extra_conf: Vec<(String, String)>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            standbys: 2,
            dir: None,
            auth: Auth::Trust,
            sync: Synchronous::Off,
            durable: false,
            extra_conf: Vec::new(),
        }
    }
}

/// A running cluster. Dropping it stops every node and removes its folder; so does our death.
#[derive(Debug)]
pub struct PgCluster {
    nodes: Vec<PgNode>,
    auth: Auth,
    folder: ServerFolder,
}

impl PgCluster {
    /// Makes and starts a primary `n0` and standbys `n1`, `n2` …, and waits until all of them stream.
    pub fn start(options: ClusterOptions) -> Result<Self, ClusterError> {
        Self::start_with_progress(options, |_| {})
    }

    /// The same, saying what it does on the way.
    pub fn start_with_progress(options: ClusterOptions, mut tell: impl FnMut(&str)) -> Result<Self, ClusterError> {
        let binaries = Binaries::find()?;
        let account = Account::choose()?;
        let folder = ServerFolder::make(options.dir.as_deref(), account).map_err(ClusterError::io("make a folder"))?;
        let make_node = |number: usize| {
            let (name, port) = (format!("n{number}"), ports::free_port().ok_or(ClusterError::NoPort)?);
            let data = folder.path().join(&name);
            Ok(PgNode { name, host: HOST.into(), port, data, account, binaries: binaries.clone() })
        };
        let nodes = (0..=options.standbys).map(make_node).collect::<Result<Vec<_>, ClusterError>>()?;
        let cluster = Self { nodes, auth: options.auth, folder };

        tell(&format!("initialising {} (PostgreSQL {})", cluster.primary().name, binaries.major));
        cluster.make_primary(&options)?;
        for standby in cluster.standbys() {
            tell(&format!("copying {} from {}", standby.name, cluster.primary().name));
            cluster.make_standby(standby)?;
        }
        tell("waiting for the standbys to stream");
        cluster.wait_until_streaming(options.standbys, STREAMING_PATIENCE)?;
        cluster.require_synchronous(options.sync)?;
        Ok(cluster)
    }

    /// Every node, the first primary first.
    pub fn nodes(&self) -> &[PgNode] {
        &self.nodes
    }

    /// The node that was made as the primary.
    pub fn primary(&self) -> &PgNode {
        &self.nodes[0]
    }

    /// The nodes that were made as standbys.
    pub fn standbys(&self) -> &[PgNode] {
        &self.nodes[1..]
    }

    /// The node with this name.
    pub fn node(&self, name: &str) -> Result<&PgNode, ClusterError> {
        self.nodes.iter().find(|node| node.name == name).ok_or_else(|| ClusterError::NoNode(name.into()))
    }

    /// How the nodes ask for passwords.
    pub fn auth(&self) -> Auth {
        self.auth
    }

    /// Holds the nodes' folders; whatever else is put there goes away with the cluster.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Waits until so many standbys stream from the primary.
    pub fn wait_until_streaming(&self, standbys: usize, limit: Duration) -> Result<(), ClusterError> {
        let count = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        let streaming = || self.primary().psql(count).is_ok_and(|count| count == standbys.to_string()).then_some(());
        let event = format!("streaming to {standbys} standbys");
        wait::until(limit, streaming).ok_or(ClusterError::Late { event, limit })
    }

    /// Waits until a standby has replayed everything that the primary has written up to now.
    pub fn wait_until_replayed(&self, standby: &PgNode, limit: Duration) -> Result<(), ClusterError> {
        let target = self.primary().psql("SELECT pg_current_wal_lsn()")?;
        let caught_up = format!("SELECT pg_last_wal_replay_lsn() >= '{target}'");
        let event = format!("{}: replay up to {target}", standby.name);
        let replayed = || standby.psql(&caught_up).is_ok_and(|answer| answer == "t").then_some(());
        wait::until(limit, replayed).ok_or(ClusterError::Late { event, limit })
    }

    fn make_primary(&self, options: &ClusterOptions) -> Result<(), ClusterError> {
        let primary = self.primary();
        let password_file = self.folder.path().join("password");
        let task = || ClusterError::io("write the password file");
        fs::write(&password_file, PASSWORD).map_err(task())?;
        primary.account.own(&password_file).map_err(task())?;
        let method = match options.auth {
            Auth::Trust => "trust",
            Auth::Scram => "scram-sha-256",
        };
        let mut initdb = primary.command("initdb");
        initdb.args(["--no-sync", "--no-locale", "--encoding=UTF8", "--username", SUPERUSER, "--auth", method]);
        finish(initdb.arg("--pwfile").arg(&password_file).arg("--pgdata").arg(&primary.data))?;
        primary.configure(&settings(options))?;
        primary.configure(&own_settings(primary))?;
        primary.start()
    }

    fn make_standby(&self, standby: &PgNode) -> Result<(), ClusterError> {
        let (port, name) = (self.primary().port, &standby.name);
        let source = format!("host={HOST} port={port} user={SUPERUSER} application_name={name}");
        let mut copy = standby.command("pg_basebackup");
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--wal-method=stream"]);
        copy.arg("--dbname").arg(source).arg("--pgdata").arg(&standby.data).env("PGPASSWORD", PASSWORD);
        finish(&mut copy)?;
        standby.configure(&own_settings(standby))?;
        standby.start()
    }

    fn require_synchronous(&self, sync: Synchronous) -> Result<(), ClusterError> {
        let (word, count) = match sync {
            Synchronous::Off => return Ok(()),
            Synchronous::First(count) => ("FIRST", count),
            Synchronous::Any(count) => ("ANY", count),
        };
        let names: Vec<&str> = self.standbys().iter().map(|node| node.name.as_str()).collect();
        self.primary().alter_system("synchronous_standby_names", &format!("{word} {count} ({})", names.join(", ")))
    }
}

impl Drop for PgCluster {
    fn drop(&mut self) {
        // A frozen node would not hear that it is to stop; the folder's own drop stops them all.
        self.nodes.iter().for_each(PgNode::sigcont);
    }
}

/// The settings that all nodes share; standbys get them with the copy.
fn settings(options: &ClusterOptions) -> String {
    let durable = if options.durable { "on" } else { "off" };
    let mut lines = format!(
        "listen_addresses = '{HOST}'\n\
         unix_socket_directories = ''\n\
         max_connections = {MAX_CONNECTIONS}\n\
         max_prepared_transactions = 20\n\
         wal_level = replica\n\
         max_wal_senders = 20\n\
         wal_keep_size = 512MB\n\
         wal_log_hints = on\n\
         hot_standby_feedback = on\n\
         fsync = {durable}\n\
         log_line_prefix = '%m [%p] %a '\n"
    );
    for (name, value) in &options.extra_conf {
        lines.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
    }
    lines
}

fn own_settings(node: &PgNode) -> String {
    format!("port = {}\ncluster_name = '{}'\n", node.port, node.name)
}
