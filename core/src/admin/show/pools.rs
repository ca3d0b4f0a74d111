//! SHOW POOLS: who has servers and who waits for one.
//!
//! A row is one (database, user, node). Whoever asks the console by its name `pgbouncer` gets one
//! row for all nodes, because tools made for PgBouncer take (database, user) for a key.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{Column, Context, Row, Type};
use crate::{
    admin::table::Value,
    config::PoolMode,
    pool::PoolSet,
    server::info::ServerInfo,
    session::info::{ClientInfo, ClientState},
    worker::Shared,
};

pub(super) const COLUMNS: [Column; 19] = [
    ("database", Type::Text),
    ("user", Type::Text),
    ("cl_active", Type::Int4),
    ("cl_waiting", Type::Int4),
    ("cl_active_cancel_req", Type::Int4),
    ("cl_waiting_cancel_req", Type::Int4),
    ("sv_active", Type::Int4),
    ("sv_active_cancel", Type::Int4),
    ("sv_being_canceled", Type::Int4),
    ("sv_idle", Type::Int4),
    ("sv_used", Type::Int4),
    ("sv_tested", Type::Int4),
    ("sv_login", Type::Int4),
    ("maxwait", Type::Int4),
    ("maxwait_us", Type::Int4),
    ("pool_mode", Type::Text),
    ("load_balance_hosts", Type::Text),
    ("node", Type::Text),
    ("paused", Type::Int4),
];

/// PgBouncer's word for it.
pub(super) fn mode_word(mode: PoolMode) -> &'static str {
    match mode {
        PoolMode::Session => "session",
        PoolMode::Transaction => "transaction",
    }
}

/// The numbers of one pool, or of several together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::admin) struct PoolNumbers {
    pub clients_active: usize,
    pub clients_waiting: usize,
    pub cancels: usize,
    pub servers_active: usize,
    pub servers_being_canceled: usize,
    pub servers_idle: usize,
    pub servers_login: usize,
    pub longest_wait: Duration,
    pub is_paused: bool,
}

impl PoolNumbers {
    /// Those of several pools together.
    pub fn merge(&mut self, other: &Self) {
        self.clients_active += other.clients_active;
        self.clients_waiting += other.clients_waiting;
        self.cancels += other.cancels;
        self.servers_active += other.servers_active;
        self.servers_being_canceled += other.servers_being_canceled;
        self.servers_idle += other.servers_idle;
        self.servers_login += other.servers_login;
        self.longest_wait = self.longest_wait.max(other.longest_wait);
        self.is_paused |= other.is_paused;
    }
}

/// A (database, user) with the numbers of its pools, by node.
pub(in crate::admin) struct SetNumbers {
    pub set: Arc<PoolSet>,
    pub pools: Vec<(Arc<str>, PoolNumbers)>,
}

type SetKey = (Arc<str>, Arc<str>);

/// The numbers of all pools, taken at one go.
pub(in crate::admin) fn numbers(shared: &Shared) -> Vec<SetNumbers> {
    let mut clients: HashMap<SetKey, Vec<Arc<ClientInfo>>> = HashMap::new();
    for client in shared.clients.list().into_iter().filter(|client| !client.console) {
        clients.entry((Arc::clone(&client.database), Arc::clone(&client.user))).or_default().push(client);
    }
    let servers: HashMap<u64, Arc<ServerInfo>> = ServerInfo::list().into_iter().map(|info| (info.id, info)).collect();
    let mut canceled: HashMap<crate::id::PoolKey, Canceled> = HashMap::new();
    for server in servers.values().filter(|server| server.is_being_canceled()) {
        let entry = canceled.entry(server.pool.clone()).or_default();
        entry.requests += 1;
        entry.idle += usize::from(server.client() == 0);
    }
    let sets = shared.registry.sets().into_iter();
    let numbers = |set: Arc<PoolSet>| {
        let key = (Arc::clone(&set.database), Arc::clone(&set.user));
        let clients = clients.get(&key).map(Vec::as_slice).unwrap_or_default();
        let active = active_by_node(shared, &set, clients, &servers);
        let pools = set.pools.iter().zip(active).map(|(pool, clients_active)| {
            let counts = pool.counts();
            let canceled = canceled.get(&pool.key).copied().unwrap_or_default();
            let numbers = PoolNumbers {
                clients_active,
                clients_waiting: counts.waiting,
                cancels: canceled.requests,
                servers_active: counts.busy,
                servers_being_canceled: canceled.idle,
                servers_idle: counts.idle,
                servers_login: counts.connecting,
                longest_wait: counts.longest_wait,
                is_paused: pool.is_paused(),
            };
            (Arc::clone(&pool.key.node), numbers)
        });
        let pools = pools.collect();
        SetNumbers { set, pools }
    };
    sets.map(numbers).collect()
}

#[derive(Clone, Copy, Default)]
struct Canceled {
    /// Servers for which a cancel request is on its way.
    requests: usize,
    /// Those of them that would be idle otherwise.
    idle: usize,
}

/// Clients that have a server count at its node; those that have none, and wait for none, count at
/// the primary, where they would go if nothing were known of their next statement.
fn active_by_node(
    shared: &Shared,
    set: &PoolSet,
    clients: &[Arc<ClientInfo>],
    servers: &HashMap<u64, Arc<ServerInfo>>,
) -> Vec<usize> {
    let generation = shared.generation.load();
    let primary = generation.clusters.get(&set.cluster).and_then(|cluster| cluster.facts.load().primary);
    let home = primary.map_or(0, |id| id.index()).min(set.pools.len().saturating_sub(1));
    let mut active = vec![0; set.pools.len()];
    for client in clients.iter().filter(|client| client.state().0 != ClientState::Waiting) {
        let node = servers.get(&client.server()).map(|server| &server.pool.node);
        let place = node.and_then(|node| set.pools.iter().position(|pool| pool.key.node == *node));
        if let Some(count) = active.get_mut(place.unwrap_or(home)) {
            *count += 1;
        }
    }
    active
}

pub(super) fn rows(context: &Context) -> Vec<Row> {
    let mut rows = Vec::new();
    for SetNumbers { set, pools } in numbers(&context.worker.shared) {
        if context.by_pgbouncers_rows {
            let mut all = PoolNumbers::default();
            pools.iter().for_each(|(_, numbers)| all.merge(numbers));
            rows.push(row(&set, Value::Null, &all));
        } else {
            rows.extend(pools.iter().map(|(node, numbers)| row(&set, node.into(), numbers)));
        }
    }
    rows
}

fn row(set: &PoolSet, node: Value, numbers: &PoolNumbers) -> Row {
    vec![
        (&set.database).into(),
        (&set.user).into(),
        Value::int(numbers.clients_active),
        Value::int(numbers.clients_waiting),
        Value::int(numbers.cancels),
        Value::int(0),
        Value::int(numbers.servers_active),
        Value::int(numbers.cancels),
        Value::int(numbers.servers_being_canceled),
        Value::int(numbers.servers_idle),
        // A server is checked when a client gets it, never before.
        Value::int(0),
        Value::int(0),
        Value::int(numbers.servers_login),
        Value::int(numbers.longest_wait.as_secs()),
        Value::int(numbers.longest_wait.subsec_micros()),
        mode_word(set.mode).into(),
        Value::Null,
        node,
        Value::int(i32::from(numbers.is_paused)),
    ]
}
