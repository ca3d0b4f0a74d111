//! The keys at the top of the file. Where PgBouncer has the concept, name, default and unit are its.

use std::time::Duration;

use super::{
    super::{
        types::{
            AuthType, CommitOutcome, LogFormat, PoolMode, Scheduling, ServerPin, SslMode, SwitchoverPinned,
            UnacknowledgedCommit,
        },
        value::{Words, words},
    },
    Bare, Group, Key, Kind, LONGEST, TIME, Table, time, whole,
};

/// Most connections or pool places that any limit may name.
const MANY: u64 = 1_000_000;

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// All of them, in the order of the reference.
pub(in super::super) static TOP: Table = Table { name: "", groups: GROUPS, tables: &SECTIONS };

/// The tables at the top of the file.
const SECTIONS: [&str; 5] = ["clusters", "databases", "users", "peers", "plugins"];

const GROUPS: &[Group] = &[
    Group { title: "Listening", keys: LISTENING },
    Group { title: "Who may come in", keys: ACCESS },
    Group { title: "TLS", keys: TLS },
    Group { title: "Pools", keys: POOLS },
    Group { title: "Servers", keys: SERVERS },
    Group { title: "Time limits", keys: TIMES },
    Group { title: "Network", keys: NETWORK },
    Group { title: "Watching the nodes", keys: NODES },
    Group { title: "When the primary is lost", keys: FAILOVER },
    Group { title: "Logs and figures", keys: LOGS },
    Group { title: "The program", keys: PROGRAM },
];

const LISTENING: &[Key] = &[
    Key::new(
        "listen_addr",
        Kind::List,
        "",
        "Addresses or host names to listen on, `*` for all. Empty: unix sockets only.",
    )
    .shown(|c| c.listen_addr.join(","))
    .restart(),
    Key::new("listen_port", whole(1, 65535), "6432", "The port, also the unix socket's number.")
        .shown(|c| c.listen_port.to_string())
        .restart(),
    Key::new("unix_socket_dir", Kind::File, "/tmp", "Directory of the unix socket. Empty: none.")
        .shown(|c| path(&c.unix_socket_dir))
        .restart(),
    Key::new("unix_socket_mode", Kind::Mode, "0777", "File mode of the unix socket.")
        .shown(|c| format!("{:04o}", c.unix_socket_mode))
        .restart(),
];

/// Knows of passwords that have expired, and writes every schema.
const AUTH_QUERY: &str = "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END \
    FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin";

const ACCESS: &[Key] = &[
    Key::new(
        "auth_type",
        Kind::Choice(words::<AuthType>),
        "md5",
        "How clients prove who they are. What asks for a password needs `auth_file` or `auth_user`. `md5` asks for \
         SCRAM when the user's secret is a SCRAM one; `plain` is another word for `password`; `cert` is a certificate \
         whose common name is the user's; `hba` is what `auth_hba_file` says.",
    )
    .shown(|c| c.auth_type.word().to_owned()),
    Key::unset(
        "auth_file",
        Kind::File,
        "userlist.txt",
        "Login names and secrets, one user a line: \"user\" \"password, md5 hash or SCRAM verifier\".",
    )
    .shown(|c| path(&c.auth_file)),
    Key::unset(
        "auth_hba_file",
        Kind::File,
        "pg_hba.conf",
        "With `auth_type = \"hba\"`: who may come in from where and by which proof, in the format of pg_hba.conf; the \
         first rule that applies decides. Kinds of connection: local, host, hostssl, hostnossl. Databases: names, all, \
         sameuser, replication, @file. Users: names, all, @file. Addresses: all, address/length, address and mask. \
         Methods: trust, reject, md5, scram-sha-256, password, cert, peer; the last two may have map=name.",
    )
    .shown(|c| path(&c.auth_hba_file)),
    Key::unset(
        "auth_ident_file",
        Kind::File,
        "pg_ident.conf",
        "The maps that rules name: lines of map, system user, database user. A system user that begins with `/` is a \
         regular expression, whose first group stands for \\1 in the database user; the database user may be all.",
    )
    .shown(|c| path(&c.auth_ident_file)),
    Key::unset(
        "auth_user",
        Kind::Text,
        "pgbouncer",
        "Users that are not in `auth_file` are looked up on the primary as this user, with its secret from \
         `auth_file`. Not set or empty: they are unknown.",
    )
    .shown(|c| c.auth_user.clone().unwrap_or_default()),
    Key::new(
        "auth_query",
        Kind::Word,
        AUTH_QUERY,
        "How they are looked up: $1 is the user; the answer is one row of the user and its secret. No row: there is no \
         such user. NULL for the secret: no password is right. It runs with an empty search_path, so write the schema \
         of whatever is not in pg_catalog.",
    )
    .shown(|c| c.auth_query.clone()),
    Key::unset(
        "auth_dbname",
        Kind::Text,
        "postgres",
        "The entry of [databases] where they are looked up. Not set or empty: the one that the client asks for, and \
         nowhere for clients of the console.",
    )
    .shown(|c| c.auth_dbname.clone().unwrap_or_default()),
    Key::new("admin_users", Kind::List, "", "Users who may give commands on the console.")
        .shown(|c| c.admin_users.join(",")),
    Key::new("stats_users", Kind::List, "", "Users who may look at the console, but change nothing.")
        .shown(|c| c.stats_users.join(",")),
    Key::new(
        "ignore_startup_parameters",
        Kind::List,
        "",
        "Parameters in a client's startup message that are dropped instead of being set on the server. `options` \
         drops what its text sets, except parameters that PostgreSQL reports to clients.",
    )
    .shown(|c| c.ignore_startup_parameters.join(",")),
    Key::new(
        "application_name_add_host",
        Kind::Flag,
        "false",
        "Add the client's address and port to the application_name that it starts with.",
    )
    .shown(|c| flag(c.application_name_add_host)),
    Key::new("max_client_conn", whole(1, MANY), "100", "The most clients at once.")
        .shown(|c| c.max_client_conn.to_string()),
];

const TLS: &[Key] = &[
    Key::new(
        "client_tls_sslmode",
        Kind::Choice(words::<SslMode>),
        "disable",
        "TLS with clients. Everything but `disable` needs a key and a certificate; `verify-ca` and \
         `verify-full` ask clients for a certificate and need `client_tls_ca_file`.",
    )
    .shown(|c| c.client_tls.sslmode.word().to_owned()),
    Key::unset("client_tls_key_file", Kind::File, "server.key", "Our private key for clients, PEM.")
        .shown(|c| path(&c.client_tls.key_file)),
    Key::unset("client_tls_cert_file", Kind::File, "server.crt", "Our certificate chain for clients, PEM.")
        .shown(|c| path(&c.client_tls.cert_file)),
    Key::unset(
        "client_tls_ca_file",
        Kind::File,
        "clients-ca.crt",
        "Authorities of the clients' certificates, PEM. In modes that do not demand a certificate a client may still \
         show one, and it must be good then.",
    )
    .shown(|c| path(&c.client_tls.ca_file)),
    Key::new(
        "server_tls_sslmode",
        Kind::Choice(words::<SslMode>),
        "prefer",
        "TLS with servers, as libpq's sslmode. `verify-ca` and `verify-full` need `server_tls_ca_file`.",
    )
    .shown(|c| c.server_tls.sslmode.word().to_owned()),
    Key::unset("server_tls_key_file", Kind::File, "client.key", "Our private key for servers, PEM.")
        .shown(|c| path(&c.server_tls.key_file)),
    Key::unset("server_tls_cert_file", Kind::File, "client.crt", "Our certificate for servers, PEM.")
        .shown(|c| path(&c.server_tls.cert_file)),
    Key::unset("server_tls_ca_file", Kind::File, "servers-ca.crt", "Authorities of the servers' certificates, PEM.")
        .shown(|c| path(&c.server_tls.ca_file)),
];

const POOLS: &[Key] = &[
    Key::new(
        "pool_mode",
        Kind::Choice(words::<PoolMode>),
        "session",
        "How long a client keeps a server: until it leaves, or until its transaction ends.",
    )
    .shown(|c| c.pool_mode.word().to_owned()),
    Key::new(
        "default_pool_size",
        whole(1, MANY),
        "20",
        "The most servers of one pool; each database, user and node has a pool.",
    )
    .shown(|c| c.default_pool_size.to_string()),
    Key::new("min_pool_size", whole(0, MANY), "0", "Servers that a pool in use keeps open. At most the pool's size.")
        .shown(|c| c.min_pool_size.to_string()),
    Key::new(
        "reserve_pool_size",
        whole(0, MANY),
        "0",
        "Servers that a pool may add when a client has waited for `reserve_pool_timeout`.",
    )
    .shown(|c| c.reserve_pool_size.to_string()),
    Key::new("reserve_pool_timeout", TIME, "5", "When the reserve is used. 0: never.")
        .shown(|c| seconds(c.reserve_pool_timeout)),
    Key::new(
        "max_db_connections",
        whole(0, MANY),
        "0",
        "The most servers of one database on each node, whoever the user. 0: no limit. When it is reached, an idle server of another user makes way.",
    )
    .shown(|c| c.max_db_connections.to_string()),
    Key::new(
        "max_user_connections",
        whole(0, MANY),
        "0",
        "The most servers of one user on each node, whatever the database. 0: no limit. When it is reached, an idle server of another database makes way.",
    )
    .shown(|c| c.max_user_connections.to_string()),
    Key::new(
        "max_db_client_connections",
        whole(0, MANY),
        "0",
        "The most clients of one database, whoever the user. 0: no limit.",
    )
    .shown(|c| c.max_db_client_connections.to_string()),
    Key::new(
        "max_user_client_connections",
        whole(0, MANY),
        "0",
        "The most clients of one user, whatever the database. 0: no limit.",
    )
    .shown(|c| c.max_user_client_connections.to_string()),
];

const SERVERS: &[Key] = &[
    Key::new(
        "server_reset_query",
        Kind::Text,
        "DISCARD ALL",
        "Sent when a client in session mode gives a server back. Empty: nothing.",
    )
    .shown(|c| c.server_reset_query.clone()),
    Key::new(
        "server_reset_query_always",
        Kind::Flag,
        "false",
        "Send `server_reset_query` in transaction mode as well.",
    )
    .shown(|c| flag(c.server_reset_query_always)),
    Key::new(
        "server_pin",
        Kind::Choice(words::<ServerPin>),
        "allow",
        "What a session in transaction mode gets that leaves something on its server which no other has, such as a \
         temporary table: it keeps the server until that is gone, or an error.",
    )
    .shown(|c| c.server_pin.word().to_owned()),
    Key::new(
        "pin_limit",
        whole(0, MANY),
        "0",
        "The most sessions of one database and user that keep their server at once; others get an error. 0: no limit.",
    )
    .shown(|c| c.pin_limit.to_string()),
    Key::new(
        "server_check_query",
        Kind::Text,
        "<empty>",
        "Sent to a server that has rested for `server_check_delay` before a client gets it. `<empty>` is an \
         empty query; empty: no check.",
    )
    .shown(|c| match c.server_check_query.as_deref() {
        Some("") => "<empty>".to_owned(),
        other => other.unwrap_or_default().to_owned(),
    }),
    Key::new("server_check_delay", TIME, "30", "How long a server may rest before it is checked. 0: always check.")
        .shown(|c| seconds(c.server_check_delay)),
    Key::new(
        "max_prepared_statements",
        whole(0, 100_000),
        "200",
        "The most prepared statements kept on one server in transaction mode. 0: prepared statements of the \
         protocol are not carried over.",
    )
    .shown(|c| c.max_prepared_statements.to_string()),
];

const TIMES: &[Key] = &[
    Key::new(
        "server_lifetime",
        TIME,
        "3600",
        "A server older than this is closed when it becomes free. 0: after its first use.",
    )
    .shown(|c| seconds(c.server_lifetime)),
    Key::new("server_idle_timeout", TIME, "600", "A server unused for this long is closed. 0: never.")
        .shown(|c| seconds(c.server_idle_timeout)),
    Key::new(
        "server_connect_timeout",
        TIME,
        "15",
        "Connecting and logging in to a server takes at most this. 0: no limit.",
    )
    .shown(|c| seconds(c.server_connect_timeout)),
    Key::new(
        "server_login_retry",
        TIME,
        "15",
        "After a failed login only one attempt at a time is made for this long; clients get its error at once.",
    )
    .shown(|c| seconds(c.server_login_retry)),
    Key::new("pin_timeout", TIME, "0", "A session that keeps its server and is idle for longer is ended. 0: no limit.")
        .shown(|c| seconds(c.pin_timeout)),
    Key::new("query_timeout", TIME, "0", "A query that takes longer is cancelled. 0: no limit.")
        .shown(|c| seconds(c.query_timeout)),
    Key::new(
        "query_wait_timeout",
        TIME,
        "120",
        "A client that waits longer for a server is sent away. 0: it waits for ever.",
    )
    .shown(|c| seconds(c.query_wait_timeout)),
    Key::new(
        "query_wait_notify",
        TIME,
        "5",
        "A client that waits this long for a server is told so by a notice. 0: never.",
    )
    .shown(|c| seconds(c.query_wait_notify)),
    Key::unset(
        "peer_id",
        whole(0, super::super::check::PEER_ID_MAX as u64),
        "1",
        "This proxy's number, other than its peers': part of the process ids that its clients are told, so that a \
         cancel request that reaches a peer is passed on to it. 0: none.",
    )
    .shown(|c| c.peer_id.to_string()),
    Key::new(
        "cancel_wait_timeout",
        TIME,
        "10",
        "A cancel request that waits longer for its server is dropped. 0: it waits for ever.",
    )
    .shown(|c| seconds(c.cancel_wait_timeout)),
    Key::new("client_idle_timeout", TIME, "0", "A client that asks nothing for this long is closed. 0: never.")
        .shown(|c| seconds(c.client_idle_timeout)),
    Key::new("client_login_timeout", TIME, "60", "A client must have logged in by then. 0: no limit.")
        .shown(|c| seconds(c.client_login_timeout)),
    Key::new(
        "idle_transaction_timeout",
        TIME,
        "0",
        "A client idle in a transaction for this long is closed. 0: never.",
    )
    .shown(|c| seconds(c.idle_transaction_timeout)),
    Key::new("transaction_timeout", TIME, "0", "A client whose transaction takes longer is closed. 0: no limit.")
        .shown(|c| seconds(c.transaction_timeout)),
    Key::new(
        "shutdown_timeout",
        TIME,
        "0",
        "On a shutdown that waits for clients, they are closed after this. 0: it waits for ever.",
    )
    .shown(|c| seconds(c.shutdown_timeout)),
];

const NETWORK: &[Key] = &[
    Key::new("tcp_keepalive", Kind::Flag, "true", "TCP keepalive on clients and servers.")
        .shown(|c| flag(c.tcp_keepalive)),
    Key::new("tcp_keepidle", TIME, "0", "First keepalive probe after this. 0: the system's default.")
        .shown(|c| seconds(c.tcp_keepidle.unwrap_or_default())),
    Key::new("tcp_keepintvl", TIME, "0", "Between keepalive probes. 0: the system's default.")
        .shown(|c| seconds(c.tcp_keepintvl.unwrap_or_default())),
    Key::new(
        "tcp_keepcnt",
        whole(0, 127),
        "0",
        "Keepalive probes until the connection is dead. 0: the system's default.",
    )
    .shown(|c| c.tcp_keepcnt.unwrap_or_default().to_string()),
    Key::new(
        "tcp_user_timeout",
        Kind::Time { bare: Bare::Milliseconds, min: Duration::ZERO, max: LONGEST },
        "0",
        "Sent data must be acknowledged within this. 0: the system's default.",
    )
    .shown(|c| c.tcp_user_timeout.unwrap_or_default().as_millis().to_string()),
];

const NODES: &[Key] = &[
    Key::new("probe_interval", time(millis(10), millis(60_000)), "200ms", "Time between two probes of a node.")
        .shown(|c| seconds(c.probe_interval)),
    Key::new("probe_timeout", time(millis(10), millis(60_000)), "2s", "A probe that takes longer has failed.")
        .shown(|c| seconds(c.probe_timeout)),
    Key::new("probe_rise", whole(1, 100), "3", "Good probes in a row before a node that was down gets work again.")
        .shown(|c| c.probe_rise.to_string()),
    Key::new("probe_fall", whole(1, 100), "2", "Failed probes in a row before a node is down.")
        .shown(|c| c.probe_fall.to_string()),
    Key::new(
        "slow_start",
        time(Duration::ZERO, millis(3_600_000)),
        "10s",
        "How long a node that came back takes to get its full share of reads.",
    )
    .shown(|c| seconds(c.slow_start)),
];

const FAILOVER: &[Key] = &[
    Key::new(
        "failover_hold_timeout",
        TIME,
        "10",
        "In a cluster whose `failover` is not off: what needs the primary while there is none, or while it is suspected \
         or about to change, waits at most this, then fails with 57P03. 0: it fails at once.",
    )
    .shown(|c| seconds(c.failover_hold_timeout)),
    Key::new(
        "commit_outcome",
        Kind::Choice(words::<CommitOutcome>),
        "unknown",
        "In a cluster whose `failover` is not off: what a client is told of a COMMIT that was on its way when the primary \
         was lost. unknown: 40003, its outcome is not known. resolve: what the new primary knows of it, if it can be \
         known: that it is committed, or 40001. For that each COMMIT of a transaction that may have written also asks \
         for its number, which costs the server some microseconds.",
    )
    .shown(|c| c.commit_outcome.word().to_owned()),
    Key::new(
        "unacknowledged_commit",
        Kind::Choice(words::<UnacknowledgedCommit>),
        "warn",
        "What a client is told of a commit whose wait for its synchronous standbys was cancelled, so that it may be lost \
         with the primary. warn: as PostgreSQL, a warning and that it is committed. error: 40003.",
    )
    .shown(|c| c.unacknowledged_commit.word().to_owned()),
    Key::new(
        "switchover_pinned",
        Kind::Choice(words::<SwitchoverPinned>),
        "refuse",
        "A planned switchover takes servers away from sessions that keep theirs. refuse: it is refused while there are \
         such sessions. disconnect: they are ended.",
    )
    .shown(|c| c.switchover_pinned.word().to_owned()),
];

const LOGS: &[Key] = &[
    Key::new("log_connections", Kind::Flag, "true", "Log clients that log in.").shown(|c| flag(c.log_connections)),
    Key::new("log_disconnections", Kind::Flag, "true", "Log connections that end, with the reason.")
        .shown(|c| flag(c.log_disconnections)),
    Key::new("log_pooler_errors", Kind::Flag, "true", "Log errors that we send to clients.")
        .shown(|c| flag(c.log_pooler_errors)),
    Key::new("log_format", Kind::Choice(words::<LogFormat>), "text", "How log lines look.")
        .shown(|c| c.log_format.word().to_owned())
        .restart(),
    Key::new("stats_period", time(millis(1_000), LONGEST), "60", "The averages of SHOW STATS are over this long.")
        .shown(|c| seconds(c.stats_period)),
    Key::unset(
        "metrics_listen",
        Kind::Address,
        "127.0.0.1:9127",
        "Where /metrics, /healthz and /readyz are served by HTTP.",
    )
    .shown(|c| c.metrics_listen.map_or_else(String::new, |address| address.to_string()))
    .restart(),
];

const PROGRAM: &[Key] = &[
    Key::new("workers", whole(0, 1024), "0", "Threads that serve clients. 0: one per core.")
        .shown(|c| c.workers.to_string())
        .restart(),
    Key::new(
        "worker_scheduling",
        Kind::Choice(words::<Scheduling>),
        "batch",
        "How Linux schedules workers. batch: on a busy machine a worker that is woken lets others finish first and \
         then serves more clients at one go, which costs less. other: as any thread.",
    )
    .shown(|c| c.worker_scheduling.word().to_owned())
    .restart(),
    Key::new("config_watch", Kind::Flag, "false", "Watch this file and those it names, and reload when one changes.")
        .shown(|c| flag(c.config_watch)),
    Key::new(
        "state_dir",
        Kind::File,
        "howdah-state",
        "What has to outlive the proxy is kept in this folder: the operation logs of clusters whose `failover` is \
         automatic. Each proxy needs its own.",
    )
    .shown(|c| c.state_dir.display().to_string())
    .restart(),
    Key::unset("pidfile", Kind::File, "/run/howdah.pid", "Write the process id to this file.")
        .shown(|c| path(&c.pidfile))
        .restart(),
];

/// PgBouncer's notation.
fn flag(value: bool) -> String {
    u8::from(value).to_string()
}

fn seconds(value: Duration) -> String {
    value.as_secs_f64().to_string()
}

fn path(value: &Option<std::path::PathBuf>) -> String {
    value.as_ref().map_or_else(String::new, |path| path.display().to_string())
}
