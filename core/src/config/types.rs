//! The checked configuration. Where PgBouncer has the concept, the field has PgBouncer's name.

use super::healing::Healing;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use super::hba::{Hba, Method};
pub use super::secret::Secret;

/// How long a client keeps a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// Until it leaves.
    Session,
    /// Until its transaction ends.
    Transaction,
}

/// How the operating system's scheduler treats workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheduling {
    /// As batch work: a worker that is woken does not push aside what runs (Linux's `SCHED_BATCH`).
    Batch,
    /// As any other thread.
    Other,
}

/// What becomes of a session in transaction mode that leaves something on its server which cannot be
/// carried to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerPin {
    /// It keeps the server until the cause is gone.
    Allow,
    /// The statement that would leave it is refused.
    Refuse,
}

/// Who promotes another node when a cluster has lost its primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failover {
    /// Nobody, as far as we know: without a primary, what needs one fails soon.
    #[default]
    Off,
    /// Somebody else: an operator, another program.
    External,
    /// We do.
    Automatic,
}

/// What a client is told of a COMMIT whose server was lost before it answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitOutcome {
    /// That its outcome is not known.
    #[default]
    Unknown,
    /// What the new primary knows of it.
    Resolve,
}

/// What a client is told of a commit whose wait for its synchronous standbys was cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnacknowledgedCommit {
    /// What the server tells it: a warning, and that it is committed.
    #[default]
    Warn,
    /// An error: its outcome is not known.
    Error,
}

/// What becomes of sessions that keep their server when a planned switchover wants to take it away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SwitchoverPinned {
    /// The switchover is refused.
    #[default]
    Refuse,
    /// They are ended.
    Disconnect,
}

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// No proof asked. With an `auth_file` the user must stand in it, as with PgBouncer.
    Trust,
    /// Password in the clear.
    Password,
    /// MD5, or SCRAM for users whose secret is a SCRAM one.
    Md5,
    /// SCRAM-SHA-256, and -PLUS over TLS.
    ScramSha256,
    /// A certificate in the user's name.
    Cert,
    /// What the rules of `auth_hba_file` say.
    Hba,
}

impl AuthType {
    /// What every client has to show; `None` when that depends on the client.
    pub fn method(self) -> Option<Method> {
        match self {
            Self::Trust => Some(Method::Trust),
            Self::Password => Some(Method::Password),
            Self::Md5 => Some(Method::Md5),
            Self::ScramSha256 => Some(Method::ScramSha256),
            Self::Cert => Some(Method::Cert),
            Self::Hba => None,
        }
    }
}

/// PgBouncer's and libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "libpq's words")]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// TLS files and mode of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Whether, and how strictly.
    pub sslmode: SslMode,
    /// Our private key, PEM.
    pub key_file: Option<PathBuf>,
    /// Our certificate chain, PEM.
    pub cert_file: Option<PathBuf>,
    /// Authorities that the other side's certificate must come from, PEM.
    pub ca_file: Option<PathBuf>,
}

/// Everything. One value of it is one generation's configuration.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each key is described in the reference that `howdah reference` prints")]
pub struct Config {
    // Listening. Changes need a restart.
    pub listen_addr: Vec<String>,
    pub listen_port: u16,
    pub unix_socket_dir: Option<PathBuf>,
    pub unix_socket_mode: u32,
    /// Worker threads; 0 in the file means one per core and is already resolved here.
    pub workers: usize,
    pub worker_scheduling: Scheduling,
    pub metrics_listen: Option<SocketAddr>,
    pub pidfile: Option<PathBuf>,
    /// What has to outlive the proxy is kept in this folder.
    pub state_dir: PathBuf,

    /// This proxy's number among its peers, 0 for none.
    pub peer_id: u16,

    // Who may come in.
    pub auth_type: AuthType,
    pub auth_file: Option<PathBuf>,
    pub auth_hba_file: Option<PathBuf>,
    pub auth_ident_file: Option<PathBuf>,
    /// Looks up at the servers the users that are not in `auth_file`.
    pub auth_user: Option<String>,
    pub auth_query: String,
    /// The entry of `[databases]` to look them up in; the client's own when absent.
    pub auth_dbname: Option<String>,
    pub admin_users: Vec<String>,
    pub stats_users: Vec<String>,
    pub client_tls: Tls,
    pub server_tls: Tls,
    pub ignore_startup_parameters: Vec<String>,
    pub application_name_add_host: bool,

    // Pools.
    pub pool_mode: PoolMode,
    pub max_client_conn: usize,
    pub default_pool_size: usize,
    pub min_pool_size: usize,
    pub reserve_pool_size: usize,
    pub reserve_pool_timeout: Duration,
    /// 0 = no limit.
    pub max_db_connections: usize,
    /// 0 = no limit.
    pub max_user_connections: usize,
    /// 0 = no limit.
    pub max_db_client_connections: usize,
    /// 0 = no limit.
    pub max_user_client_connections: usize,
    /// Empty = none.
    pub server_reset_query: String,
    pub server_reset_query_always: bool,
    pub server_pin: ServerPin,
    pub pin_limit: usize,
    pub pin_timeout: Duration,
    /// Sent before a server that rested longer than `server_check_delay` is lent; `Some("")` is an
    /// empty query, `None` trusts it unseen.
    pub server_check_query: Option<String>,
    pub server_check_delay: Duration,
    pub max_prepared_statements: usize,

    // Time limits; zero = none, except for `server_lifetime`.
    /// Zero closes a server after its first use.
    pub server_lifetime: Duration,
    pub server_idle_timeout: Duration,
    pub server_connect_timeout: Duration,
    pub server_login_retry: Duration,
    pub query_timeout: Duration,
    pub query_wait_timeout: Duration,
    pub query_wait_notify: Duration,
    pub client_idle_timeout: Duration,
    pub client_login_timeout: Duration,
    pub idle_transaction_timeout: Duration,
    pub transaction_timeout: Duration,
    pub cancel_wait_timeout: Duration,
    pub shutdown_timeout: Duration,

    // Network.
    pub tcp_keepalive: bool,
    pub tcp_keepidle: Option<Duration>,
    pub tcp_keepintvl: Option<Duration>,
    pub tcp_keepcnt: Option<u32>,
    pub tcp_user_timeout: Option<Duration>,

    // Logs.
    pub log_connections: bool,
    pub log_disconnections: bool,
    pub log_pooler_errors: bool,
    pub stats_period: Duration,
    pub log_format: LogFormat,

    /// Watch the configuration's files and reload when they change.
    pub config_watch: bool,

    // Watching the nodes.
    pub probe_interval: Duration,
    pub probe_timeout: Duration,
    /// Good probes in a row before a node that was down gets work again.
    pub probe_rise: u32,
    /// Failed probes in a row before a node is down.
    pub probe_fall: u32,
    /// How long a node that came back takes to get its full share.
    pub slow_start: Duration,

    // When the primary is lost.
    /// Longest wait for a primary; zero = none.
    pub failover_hold_timeout: Duration,
    pub commit_outcome: CommitOutcome,
    pub unacknowledged_commit: UnacknowledgedCommit,
    pub switchover_pinned: SwitchoverPinned,

    pub clusters: BTreeMap<String, Arc<Cluster>>,
    /// `"*"` is the fallback for names that are not listed.
    pub databases: BTreeMap<String, Arc<Database>>,
    pub users: BTreeMap<String, Arc<User>>,
    /// Other proxies by their `peer_id`.
    pub peers: BTreeMap<u16, Arc<Peer>>,
    pub plugins: Plugins,
    /// Login names and their secrets, from `auth_file`.
    pub secrets: BTreeMap<String, Secret>,
    /// The rules of `auth_hba_file`; none unless `auth_type` is `hba`.
    pub hba: Hba,
}

impl Config {
    /// Whether users that are not in `auth_file` are looked up for some database.
    pub fn looks_users_up(&self) -> bool {
        self.auth_user.is_some() || self.databases.values().any(|database| database.auth_user.is_some())
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after what they are")]
pub enum LogFormat {
    Text,
    Json,
}

/// Nodes that share a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its key in `[clusters]`.
    pub name: Arc<str>,
    /// The nodes; a node's place is its number.
    pub nodes: Vec<Node>,
    /// How the monitor logs in.
    pub control_user: String,
    /// Its password; taken from `auth_file` when absent.
    pub control_password: Option<Secret>,
    /// The database that the monitor connects to; default `postgres`.
    pub control_database: String,
    /// As whom standbys replicate from their primary; `control_user` when absent.
    pub replication_user: Option<String>,
    /// Its password.
    pub replication_password: Option<Secret>,
    /// Who promotes another node when the primary is lost; default nobody.
    pub failover: Failover,
    /// How, if we do.
    pub healing: Healing,
}

impl Cluster {
    /// Whether another node will be promoted when the primary is lost.
    pub fn heals(&self) -> bool {
        self.failover != Failover::Off
    }
}

/// One PostgreSQL instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Unique in its cluster.
    pub name: Arc<str>,
    /// Host name, address, or a directory (`/run/postgresql`) for a unix socket.
    pub host: Arc<str>,
    /// Port, default 5432.
    pub port: u16,
    /// Share of reads relative to the other nodes, default 100; 0 takes none.
    pub weight: u32,
    /// For policies.
    pub labels: Arc<[(String, String)]>,
    /// Who acts on its machine.
    pub executor: Arc<Executor>,
}

/// Who acts on a node's machine: stops and starts the server, and puts its data right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExecutorKind {
    /// Nobody.
    #[default]
    None,
    /// Commands on the proxy's own machine.
    Exec,
    /// Commands on the node's machine, through `ssh`.
    Ssh,
    /// The node's own server, told by SQL while it runs.
    SqlProgram,
    /// `howdah agent` on the node's machine.
    Agent,
}

/// Where an agent listens when nothing is said.
pub const AGENT_PORT: u16 = 6433;

/// How a node's machine is reached, and where things are there. Paths are the machine's, not ours, unless they
/// are said to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executor {
    /// Who acts.
    pub kind: ExecutorKind,
    /// The data directory.
    pub data_dir: Option<String>,
    /// The directory of PostgreSQL's programs; the search path when absent.
    pub bin_dir: Option<String>,
    /// Where a job keeps what it saves; the data directory's name with `.howdah` behind when absent.
    pub work_dir: Option<String>,
    /// `postgresql.conf`, when it is not in the data directory.
    pub config_file: Option<String>,
    /// What a started server writes to until its own log is open; `howdah.log` in the data directory when absent.
    pub log_file: Option<String>,
    /// A password file for programs that connect to other nodes.
    pub passfile: Option<String>,
    /// The user of the operating system that commands run as, when we are root.
    pub run_as: Option<String>,
    /// Instead of `pg_ctl start`; a program and its arguments.
    pub start_command: Vec<String>,
    /// Instead of `pg_ctl stop`.
    pub stop_command: Vec<String>,
    /// The ssh program and its options.
    pub ssh_command: Vec<String>,
    /// `user@host`; the node's host when absent.
    pub ssh_target: Option<String>,
    /// Host and port of the agent; the node's host and the agent's usual port when absent.
    pub agent_address: Option<String>,
    /// Our certificate chain for agents, PEM, a file of ours.
    pub agent_cert_file: Option<PathBuf>,
    /// Its private key.
    pub agent_key_file: Option<PathBuf>,
    /// The authority of agents' certificates.
    pub agent_ca_file: Option<PathBuf>,
    /// Keep the log that only this node has before it is rewound or rebuilt.
    pub keep_diverged: bool,
    /// Longest time for one job.
    pub timeout: Duration,
}

/// One entry of `[databases]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "PgBouncer's words; described in the reference")]
pub struct Database {
    pub cluster: Arc<str>,
    /// Name on the servers; the client's name when absent.
    pub dbname: Option<String>,
    /// Log in to servers as this user.
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub pool_mode: Option<PoolMode>,
    pub pool_size: Option<usize>,
    pub min_pool_size: Option<usize>,
    pub reserve_pool_size: Option<usize>,
    pub max_db_connections: Option<usize>,
    pub max_db_client_connections: Option<usize>,
    pub server_lifetime: Option<Duration>,
    pub query_wait_timeout: Option<Duration>,
    pub auth_user: Option<String>,
    pub auth_query: Option<String>,
    pub auth_dbname: Option<String>,
    pub connect_query: Option<String>,
}

/// One entry of `[users]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "PgBouncer's words; described in the reference")]
pub struct User {
    pub pool_mode: Option<PoolMode>,
    pub pool_size: Option<usize>,
    pub reserve_pool_size: Option<usize>,
    pub max_user_connections: Option<usize>,
    pub max_user_client_connections: Option<usize>,
    pub query_timeout: Option<Duration>,
    pub query_wait_timeout: Option<Duration>,
    pub client_idle_timeout: Option<Duration>,
    pub idle_transaction_timeout: Option<Duration>,
    pub transaction_timeout: Option<Duration>,
}

/// One entry of `[peers]`: another proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Host name, address, or the directory of a unix socket.
    pub host: Arc<str>,
    /// Port; part of the unix socket's name too.
    pub port: u16,
}

/// The policies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plugins {
    /// Where statements go; without one everything goes to the primary.
    pub router: Option<Plugin>,
    /// Whether the primary is lost, and whom to promote; without one nobody is.
    pub failover: Option<Plugin>,
    /// What standbys do after a promotion; without one they are left alone.
    pub follow_primary: Option<Plugin>,
    /// For whom commits wait; without one that stays as it is.
    pub sync_set: Option<Plugin>,
}

impl Plugins {
    /// Those that are configured.
    pub fn all(&self) -> impl Iterator<Item = &Plugin> {
        [&self.router, &self.failover, &self.follow_primary, &self.sync_set].into_iter().flatten()
    }
}

/// One policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// `builtin:NAME` or a path to a component.
    pub component: ComponentSource,
    /// Hex SHA-256 that the component must have.
    pub sha256: Option<String>,
    /// Passed to the policy as JSON.
    pub settings: serde_json::Value,
    /// Capabilities the operator gives: `probes`, `state`.
    pub grants: Vec<String>,
    /// What a failing call of a router means for the client. Where other policies fail, nothing is done.
    pub on_failure: OnFailure,
}

/// Where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ComponentSource {
    /// Embedded in the program.
    Builtin(String),
    /// A file.
    File(PathBuf),
}

/// What a failing policy call means for the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The embedded default policy decides, then the null policy.
    #[default]
    BuiltIn,
    /// The request is refused.
    Refuse,
}
