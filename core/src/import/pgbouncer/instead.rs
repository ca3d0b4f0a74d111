//! What to do without keys that only PgBouncer has.

use crate::config;

/// Said of a name that is in neither manual.
pub(super) const UNKNOWN: &str = "neither PgBouncer 1.25 nor Howdah has this key";

/// What to do without a key of `[pgbouncer]` (the empty name), `[databases]`, `[users]` or `[peers]`.
pub(super) fn instead(table: &str, key: &str) -> &'static str {
    let list = match table {
        "" => SETTINGS,
        "databases" => DATABASES,
        "peers" => PEERS,
        _ => &[],
    };
    let ours = list.iter().find(|(name, _)| *name == key).map(|(_, instead)| *instead);
    ours.or_else(|| config::advice(table, key)).unwrap_or(UNKNOWN)
}

const SYSTEM: &str = "the system's default is used";
const SESSION_DEFAULT: &str = "clients set it themselves; ALTER ROLE … IN DATABASE … SET gives it a default";

/// Where `config` has nothing better to say than that a key is PgBouncer's.
const SETTINGS: &[(&str, &str)] = &[
    ("auth_ldap_options", "there is no LDAP; users are known from `auth_file`"),
    ("autodb_idle_timeout", "databases that \"*\" stands for are not forgotten"),
    ("conffile", "start with --config FILE"),
    ("disable_pqexec", "both protocols are served"),
    ("job_name", "there is no Windows service"),
    ("listen_backlog", "1024 clients may wait to be accepted"),
    ("login_notify_message", "nothing is said at login"),
    ("pool_idle_timeout", "pools without servers are kept"),
    ("sbuf_loopcnt", "connections take turns by themselves"),
    ("scram_iterations", "a verifier in `auth_file` brings its own number"),
    ("server_fast_close", "RECONNECT closes a server when its client gives it back; KILL does at once"),
    ("server_round_robin", "the router policy chooses a node for each statement; see its setting `balance`"),
    ("service_name", "there is no Windows service"),
    ("suspend_timeout", "there is no SUSPEND; PAUSE waits for transactions"),
    ("tcp_defer_accept", SYSTEM),
    ("tcp_socket_buffer", SYSTEM),
    ("unix_socket_group", "the mode and the owner of the socket's directory decide"),
];

const DATABASES: &[(&str, &str)] = &[
    ("application_name", SESSION_DEFAULT),
    ("client_encoding", SESSION_DEFAULT),
    ("datestyle", SESSION_DEFAULT),
    ("timezone", SESSION_DEFAULT),
    ("load_balance_hosts", "the router policy and each node's `weight` decide"),
];

const PEERS: &[(&str, &str)] = &[("pool_size", "each cancel request has a connection of its own")];
