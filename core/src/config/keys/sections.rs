//! The keys inside `[clusters]`, `[databases]`, `[users]`, `[peers]` and `[plugins]`.

use super::{
    super::{
        types::{OnFailure, PoolMode},
        value::words,
    },
    Group, Key, Kind, TIME, Table, executor, healing, whole,
};

/// The kinds of policies, which are the keys of `[plugins]`.
pub(in super::super) const PLUGIN_KINDS: [&str; 4] = ["router", "failover", "follow-primary", "sync-set"];

/// What may stand in one `[plugins.KIND]`.
pub(in super::super) fn plugin(kind: &str) -> &'static Table {
    if kind == "router" { &PLUGIN } else { &CONTROL_PLUGIN }
}

/// One `[clusters.NAME]`.
pub(in super::super) static CLUSTER: Table = Table::new(
    "clusters",
    &[
        Group {
            title: "Cluster",
            keys: &[
                Key::needed("nodes", Kind::Nodes, "[]", "The PostgreSQL instances that share one history."),
                Key::new("control_user", Kind::Word, "postgres", "The monitor and the actions log in as this user."),
                Key::unset("control_password", Kind::Secret, "", "Its password. When not set, `auth_file` is asked."),
                Key::new("control_database", Kind::Word, "postgres", "The monitor connects to this database."),
                Key::unset(
                    "replication_user",
                    Kind::Word,
                    "replicator",
                    "Standbys replicate from their primary as this user. When not set, as `control_user`.",
                ),
                Key::unset(
                    "replication_password",
                    Kind::Secret,
                    "",
                    "Its password. When not set, the machines of the nodes know it by `passfile`.",
                ),
            ],
        },
        Group { title: "When the primary is lost", keys: &healing::KEYS },
        Group {
            title: "Executor: who acts on the machines of the nodes, and where things are there",
            keys: &executor::KEYS,
        },
    ],
);

/// One node of a cluster.
pub(in super::super) static NODE: Table = Table::new(
    "clusters",
    &[
        Group {
            title: "Node",
            keys: &[
                Key::needed("name", Kind::Name, "n0", "Unique in its cluster; log lines, metrics and commands use it."),
                Key::needed(
                    "host",
                    Kind::Word,
                    "127.0.0.1",
                    "A host name, an address, or a directory for a unix socket.",
                ),
                Key::new("port", whole(1, 65535), "5432", "The port, also the unix socket's number."),
                Key::new("weight", whole(0, 1000), "100", "Share of reads relative to the other nodes; 0 takes none."),
                Key::unset("labels", Kind::Labels, "{}", "Words for policies, for example { zone = \"a\" }."),
            ],
        },
        Group { title: "Executor, where it differs from the cluster's", keys: &executor::KEYS },
    ],
);

/// One entry of `[databases]`.
pub(in super::super) static DATABASE: Table = Table::new(
    "databases",
    &[Group {
        title: "Database",
        keys: &[
            Key::unset("cluster", Kind::Word, "main", "Where it is. May be left out when there is one cluster."),
            Key::unset(
                "dbname",
                Kind::Word,
                "app",
                "Its name on the servers. When not set, the name that the client asked for.",
            ),
            Key::unset("user", Kind::Word, "app", "Log in to servers as this user. When not set, as the client's."),
            Key::unset("password", Kind::Secret, "", "The password for `user`. When not set, `auth_file` is asked."),
            Key::unset(
                "pool_mode",
                Kind::Choice(words::<PoolMode>),
                "transaction",
                "Instead of the general `pool_mode`.",
            ),
            Key::unset("pool_size", whole(1, 1_000_000), "20", "Instead of `default_pool_size`."),
            Key::unset("min_pool_size", whole(0, 1_000_000), "0", "Instead of the general `min_pool_size`."),
            Key::unset("reserve_pool_size", whole(0, 1_000_000), "0", "Instead of the general `reserve_pool_size`."),
            Key::unset("max_db_connections", whole(0, 1_000_000), "0", "Instead of the general `max_db_connections`."),
            Key::unset(
                "max_db_client_connections",
                whole(0, 1_000_000),
                "0",
                "Instead of the general `max_db_client_connections`.",
            ),
            Key::unset("server_lifetime", TIME, "3600", "Instead of the general `server_lifetime`."),
            Key::unset("query_wait_timeout", TIME, "120", "Instead of the general `query_wait_timeout`."),
            Key::unset("auth_user", Kind::Word, "pgbouncer", "Instead of the general `auth_user`."),
            Key::unset(
                "auth_query",
                Kind::Word,
                "SELECT * FROM pgbouncer.user_lookup($1)",
                "Instead of the general `auth_query`.",
            ),
            Key::unset("auth_dbname", Kind::Word, "postgres", "Instead of the general `auth_dbname`."),
            Key::unset(
                "connect_query",
                Kind::Word,
                "SET ROLE app",
                "Sent once on every new server before its first client.",
            ),
        ],
    }],
);

/// One entry of `[peers]`.
pub(in super::super) static PEER: Table = Table::new(
    "peers",
    &[Group {
        title: "Peer",
        keys: &[
            Key::needed("host", Kind::Word, "10.0.0.2", "A host name, an address, or a directory for a unix socket."),
            Key::new("port", whole(1, 65535), "6432", "The port, also the unix socket's number."),
        ],
    }],
);

/// One entry of `[users]`.
pub(in super::super) static USER: Table = Table::new(
    "users",
    &[Group {
        title: "User",
        keys: &[
            Key::unset(
                "pool_mode",
                Kind::Choice(words::<PoolMode>),
                "transaction",
                "Instead of the database's and the general `pool_mode`.",
            ),
            Key::unset(
                "pool_size",
                whole(1, 1_000_000),
                "20",
                "Instead of the database's `pool_size` and `default_pool_size`.",
            ),
            Key::unset(
                "reserve_pool_size",
                whole(0, 1_000_000),
                "0",
                "Instead of the database's and the general `reserve_pool_size`.",
            ),
            Key::unset(
                "max_user_connections",
                whole(0, 1_000_000),
                "0",
                "Instead of the general `max_user_connections`.",
            ),
            Key::unset(
                "max_user_client_connections",
                whole(0, 1_000_000),
                "0",
                "Instead of the general `max_user_client_connections`.",
            ),
            Key::unset("query_timeout", TIME, "0", "Instead of the general `query_timeout`."),
            Key::unset(
                "query_wait_timeout",
                TIME,
                "120",
                "Instead of the database's and the general `query_wait_timeout`.",
            ),
            Key::unset("client_idle_timeout", TIME, "0", "Instead of the general `client_idle_timeout`."),
            Key::unset("idle_transaction_timeout", TIME, "0", "Instead of the general `idle_transaction_timeout`."),
            Key::unset("transaction_timeout", TIME, "0", "Instead of the general `transaction_timeout`."),
        ],
    }],
);

/// `[plugins.router]`.
pub(in super::super) static PLUGIN: Table = Table::new(
    "plugins",
    &[Group {
        title: "Plugin",
        keys: &[
            component("builtin:read-write-split"),
            SHA256,
            SETTINGS,
            GRANTED,
            Key::new(
                "on_failure",
                Kind::Choice(words::<OnFailure>),
                "built-in",
                "When a call fails, the built-in policy decides, or the request is refused.",
            ),
        ],
    }],
);

/// `[plugins.failover]`, `[plugins.follow-primary]` and `[plugins.sync-set]`. When a call of theirs fails,
/// nothing is done: there is no choice.
pub(in super::super) static CONTROL_PLUGIN: Table = Table::new(
    "plugins",
    &[Group { title: "Plugin", keys: &[component("builtin:failover"), SHA256, SETTINGS, GRANTED] }],
);

const fn component(example: &'static str) -> Key {
    let doc = "The policy's component: one that the program embeds, or a file.";
    Key::needed("component", Kind::Component, example, doc)
}

const SHA256: Key = Key::unset(
    "sha256",
    Kind::Sha256,
    "0000000000000000000000000000000000000000000000000000000000000000",
    "The component must have this SHA-256.",
);

const SETTINGS: Key = Key::unset("settings", Kind::Settings, "{}", "The policy's own settings; it checks them itself.");

const GRANTED: Key = Key::new(
    "grants",
    Kind::List,
    "",
    "What the policy may do besides deciding: `probes` reads the nodes' probes, `state` keeps values between calls.",
);

/// What `grants` may contain.
pub(in super::super) const GRANTS: [&str; 2] = ["probes", "state"];
