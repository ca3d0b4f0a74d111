//! SHOW NODES: what the monitor knows of each node, and how much work it has.

use std::sync::Arc;

use super::{Column, Context, Row, Type};
use crate::{
    admin::table::Value,
    facts::{Health, NodeFacts, Role},
    pool::PoolCounts,
    worker::Shared,
};

pub(super) const COLUMNS: [Column; 18] = [
    ("cluster", Type::Text),
    ("name", Type::Text),
    ("host", Type::Text),
    ("port", Type::Int4),
    ("role", Type::Text),
    ("health", Type::Text),
    ("ramp", Type::Int4),
    ("weight", Type::Int4),
    ("timeline", Type::Int8),
    ("received_lsn", Type::Text),
    ("replay_lsn", Type::Text),
    ("lag_bytes", Type::Int8),
    ("lag_ms", Type::Int8),
    ("busy", Type::Int4),
    ("idle", Type::Int4),
    ("waiting", Type::Int4),
    ("statements", Type::Int8),
    ("why", Type::Text),
];

/// A node with its share of the work.
pub(in crate::admin) struct NodeNumbers {
    pub cluster: Arc<str>,
    pub node: NodeFacts,
    /// It takes the writes.
    pub is_primary: bool,
    /// Of all its pools together.
    pub counts: PoolCounts,
    /// Requests that its servers have been given.
    pub requests: u64,
}

/// All nodes of all clusters, in the order of the configuration.
pub(in crate::admin) fn numbers(shared: &Shared) -> Vec<NodeNumbers> {
    let generation = shared.generation.load_full();
    let sets = shared.registry.sets();
    let mut clusters: Vec<_> = generation.clusters.values().collect();
    clusters.sort_by(|a, b| a.name.cmp(&b.name));
    let mut all = Vec::new();
    for cluster in clusters {
        let facts = cluster.facts.newest();
        for node in &facts.nodes {
            let of_cluster = sets.iter().filter(|set| set.cluster == cluster.name);
            let pools = of_cluster.flat_map(|set| set.pools.iter()).filter(|pool| pool.key.node == node.name);
            let (mut counts, mut requests) = (PoolCounts::default(), 0);
            for pool in pools {
                let of_pool = pool.counts();
                counts.busy += of_pool.busy;
                counts.idle += of_pool.idle;
                counts.connecting += of_pool.connecting;
                counts.waiting += of_pool.waiting;
                counts.longest_wait = counts.longest_wait.max(of_pool.longest_wait);
                requests += pool.requests();
            }
            let is_primary = facts.primary == Some(node.id);
            all.push(NodeNumbers {
                cluster: Arc::clone(&cluster.name),
                node: node.clone(),
                is_primary,
                counts,
                requests,
            });
        }
    }
    all
}

/// The word for it.
pub(in crate::admin) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Primary => "primary",
        Role::Standby => "standby",
        Role::Unknown => "unknown",
    }
}

/// The word for it.
pub(in crate::admin) fn health_word(health: Health) -> &'static str {
    match health {
        Health::Up => "up",
        Health::Degraded => "degraded",
        Health::Draining => "draining",
        Health::Down => "down",
    }
}

pub(super) fn rows(context: &Context) -> Vec<Row> {
    let row = |numbers: NodeNumbers| {
        let NodeNumbers { cluster, node, counts, requests, .. } = numbers;
        vec![
            (&cluster).into(),
            (&node.name).into(),
            (&node.host).into(),
            Value::int(node.port),
            role_word(node.role).into(),
            health_word(node.health).into(),
            Value::int(node.ramp_percent),
            Value::int(node.weight),
            node.timeline.map(Value::big).unwrap_or(Value::Null),
            node.received.into(),
            node.replayed.into(),
            node.lag_bytes.map_or(Value::Null, Value::big),
            node.lag.map_or(Value::Null, |lag| Value::big(lag.as_millis())),
            Value::int(counts.busy),
            Value::int(counts.idle),
            Value::int(counts.waiting),
            Value::big(requests),
            node.why.as_ref().into(),
        ]
    };
    numbers(&context.worker.shared).into_iter().map(row).collect()
}
