//! What SHOW shows, as data: the columns of each table, and where its rows come from.
//!
//! Columns that PgBouncer has come first, under its names and in its order; ours follow.

mod clients;
mod cluster;
mod databases;
mod generations;
mod lists;
pub(super) mod nodes;
mod pins;
pub(super) mod plans;
mod plugins;
pub(super) mod pools;
mod stats;

use std::sync::Arc;

use super::{
    command::Show,
    execute::Context,
    table::{Column, Row, Table, Type, Value},
};
use crate::config;

/// One table.
pub struct View {
    /// Its columns.
    pub columns: &'static [Column],
    /// Its rows at this moment.
    rows: fn(&Context) -> Vec<Row>,
}

/// The table of that name. HELP and FDS have none: their columns are empty.
pub fn view(what: Show) -> View {
    type Rows = fn(&Context) -> Vec<Row>;
    let (columns, rows): (&[Column], Rows) = match what {
        Show::Clients => (&clients::COLUMNS, clients::clients),
        Show::Servers => (&clients::COLUMNS, clients::servers),
        Show::Sockets => (&clients::SOCKET_COLUMNS, clients::sockets),
        Show::ActiveSockets => (&clients::SOCKET_COLUMNS, clients::active_sockets),
        Show::Config => (&CONFIG, config_rows),
        Show::Counters => (&lists::COUNTERS, lists::counters),
        Show::Databases => (&databases::DATABASES, databases::databases),
        Show::Users => (&databases::USERS, databases::users),
        Show::Generations => (&generations::COLUMNS, generations::rows),
        Show::Lists => (&lists::LISTS, lists::lists),
        Show::Mem => (&lists::MEM, lists::mem),
        Show::State => (&lists::STATE, lists::state),
        Show::Version => (&[("version", Type::Text)], |_| vec![vec![product().into()]]),
        Show::Cluster => (&cluster::CLUSTER, cluster::cluster),
        Show::Operations => (&cluster::OPERATIONS, cluster::operations),
        Show::Events => (&cluster::EVENTS, cluster::events),
        Show::PoolNodes => (&cluster::POOL_NODES, cluster::pool_nodes),
        Show::Nodes => (&nodes::COLUMNS, nodes::rows),
        Show::Plugins => (&plugins::COLUMNS, plugins::rows),
        Show::Pins => (&pins::COLUMNS, pins::rows),
        // Every worker has to be asked: see `plans::table`.
        Show::Plans => (&plans::COLUMNS, none),
        Show::Pools => (&pools::COLUMNS, pools::rows),
        Show::Stats => (&stats::STATS, stats::stats),
        Show::StatsTotals => (&stats::TOTALS_BY_DATABASE, stats::totals),
        Show::StatsAverages => (&stats::TOTALS_BY_DATABASE, stats::averages),
        Show::Totals => (&stats::TOTALS, stats::sums),
        Show::Peers => (&PEERS, peers),
        // Each cancel request has a connection of its own, and names are looked up by the system.
        Show::PeerPools => (&PEER_POOLS, none),
        Show::DnsHosts => (&DNS_HOSTS, none),
        Show::DnsZones => (&DNS_ZONES, none),
        Show::Help | Show::Fds => (&[], none),
    };
    View { columns, rows }
}

/// The table as it is now.
pub fn table(context: &Context, what: Show) -> Table {
    let View { columns, rows } = view(what);
    Table { columns: columns.to_vec(), rows: rows(context) }
}

/// What SHOW VERSION says.
pub fn product() -> &'static str {
    concat!("Howdah ", env!("CARGO_PKG_VERSION"))
}

/// What SHOW HELP says.
pub const HELP: &str = "
\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION
\tSHOW PEERS|PEER_POOLS
\tSHOW SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE
\tSHOW DNS_HOSTS|DNS_ZONES
\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS|COUNTERS
\tSHOW NODES|PLUGINS|PLANS|PINS|GENERATIONS
\tSHOW CLUSTER|OPERATIONS|EVENTS|POOL_NODES
\tEXPLAIN ROUTE <statement> [FOR <user> [<db>]]
\tRELOAD
\tROLLBACK [TO <generation>]   (of the configuration, not of a transaction)
\tPAUSE [<db>]
\tRESUME [<db>]
\tDISABLE <db>
\tENABLE <db>
\tRECONNECT [<db>]
\tKILL [<db>]
\tKILL_CLIENT <client_id>
\tWAIT_CLOSE [<db>]
\tDETACH NODE <node>
\tATTACH NODE <node>
\tSWITCHOVER [TO <node>] [IN <cluster>]
\tFAILOVER [TO <node>] [ALLOW DATA LOSS] [IN <cluster>]
\tREJOIN <node> [IN <cluster>]
\tREINIT <node> [IN <cluster>]
\tPAUSE FAILOVER [IN <cluster>]
\tRESUME FAILOVER [IN <cluster>]
\tSHUTDOWN
\tSHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS";

const CONFIG: [Column; 4] =
    [("key", Type::Text), ("value", Type::Text), ("default", Type::Text), ("changeable", Type::Text)];

fn config_rows(context: &Context) -> Vec<Row> {
    let generation = context.worker.shared.generation.load();
    let settings = config::describe(&generation.config).into_iter();
    let row = |setting: config::Setting| {
        let changeable = if setting.changeable { "yes" } else { "no" };
        vec![setting.key.into(), setting.value.into(), setting.default.into(), changeable.into()]
    };
    settings.map(row).collect()
}

const PEERS: [Column; 4] =
    [("peer_id", Type::Int4), ("host", Type::Text), ("port", Type::Int4), ("pool_size", Type::Int4)];

fn peers(context: &Context) -> Vec<Row> {
    let generation = context.worker.shared.generation.load();
    let row = |(id, peer): (&u16, &Arc<config::Peer>)| {
        vec![Value::int(usize::from(*id)), (&*peer.host).into(), Value::int(usize::from(peer.port)), Value::Null]
    };
    generation.config.peers.iter().map(row).collect()
}

const PEER_POOLS: [Column; 5] = [
    ("peer_id", Type::Int4),
    ("cl_active_cancel_req", Type::Int4),
    ("cl_waiting_cancel_req", Type::Int4),
    ("sv_active_cancel", Type::Int4),
    ("sv_login", Type::Int4),
];

const DNS_HOSTS: [Column; 3] = [("hostname", Type::Text), ("ttl", Type::Int8), ("addrs", Type::Text)];

const DNS_ZONES: [Column; 3] = [("zonename", Type::Text), ("serial", Type::Int8), ("count", Type::Int4)];

fn none(_: &Context) -> Vec<Row> {
    Vec::new()
}

#[cfg(test)]
mod tests;
