//! The keys that say who acts on the machines of nodes. A cluster has them for all of its nodes, a node for itself.

use super::{
    super::{types::ExecutorKind, value::words},
    Bare, Key, Kind,
};
use std::time::Duration;

/// Shortest time that a job may be given: a stop and a start take seconds.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// Longest: a rebuild of many terabytes.
const TIMEOUT_MAX: Duration = Duration::from_secs(7 * 86_400);

pub(in super::super) static KEYS: [Key; 18] = [
    Key::new(
        "executor",
        Kind::Choice(words::<ExecutorKind>),
        "none",
        "Who stops, starts, rewinds and rebuilds a node: nobody; commands on this machine (`exec`) or on the node's \
         (`ssh`); the node's own server, told by SQL while it runs (`sql-program`); `howdah agent` on the node's machine.",
    ),
    Key::unset(
        "data_dir",
        Kind::Word,
        "/var/lib/postgresql/15/main",
        "The data directory on the node's machine. `sql-program` asks the server for it.",
    ),
    Key::unset(
        "bin_dir",
        Kind::Word,
        "/usr/lib/postgresql/15/bin",
        "The directory of PostgreSQL's programs there. When not set, the search path; `sql-program` asks the server.",
    ),
    Key::unset(
        "work_dir",
        Kind::Word,
        "/var/lib/postgresql/15/main.howdah",
        "Where jobs keep what they save. When not set, the data directory's name with `.howdah` behind.",
    ),
    Key::unset(
        "config_file",
        Kind::Word,
        "/etc/postgresql/15/main/postgresql.conf",
        "The server's `postgresql.conf`, when it is not in the data directory.",
    ),
    Key::unset(
        "log_file",
        Kind::Word,
        "/var/log/postgresql/start.log",
        "What a started server writes to until its own log is open. When not set, `howdah.log` in the data directory.",
    ),
    Key::unset(
        "passfile",
        Kind::Word,
        "/var/lib/postgresql/.pgpass",
        "A password file on the node's machine, for connections to other nodes whose password is not set here.",
    ),
    Key::unset(
        "run_as",
        Kind::Word,
        "postgres",
        "The user that commands of `exec` run as when the proxy runs as root. PostgreSQL refuses root.",
    ),
    Key::new(
        "start_command",
        Kind::List,
        "",
        "Instead of `pg_ctl start`: a program and its arguments, in which {data_dir}, {bin_dir}, {node}, {op_id}, {epoch} \
         and {timeout} stand for values. A server that a supervisor looks after is started by its supervisor.",
    ),
    Key::new(
        "stop_command",
        Kind::List,
        "",
        "Instead of `pg_ctl stop`: a program and its arguments; {mode} stands for `fast` or `immediate`.",
    ),
    Key::new("ssh_command", Kind::List, "ssh", "The ssh program and its options, for the executor `ssh`."),
    Key::unset("ssh_target", Kind::Word, "postgres@db1", "Where ssh goes. When not set, the node's `host`."),
    Key::unset(
        "agent_address",
        Kind::Word,
        "db1:6433",
        "Host and port of the node's agent. When not set, the node's `host` and port 6433.",
    ),
    Key::unset("agent_cert_file", Kind::File, "agent-client.crt", "Our certificate for agents, PEM."),
    Key::unset("agent_key_file", Kind::File, "agent-client.key", "Its private key, PEM."),
    Key::unset("agent_ca_file", Kind::File, "agents.crt", "The authority that agents' certificates come from, PEM."),
    Key::new(
        "keep_diverged",
        Kind::Flag,
        "true",
        "Before a node is rewound or rebuilt, copy the part of its log that no other node has to `work_dir`.",
    ),
    Key::new(
        "executor_timeout",
        Kind::Time { bare: Bare::Seconds, min: TIMEOUT_MIN, max: TIMEOUT_MAX },
        "6h",
        "Longest time for one job; a rebuild copies all of the data.",
    ),
];
