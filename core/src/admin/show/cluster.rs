//! SHOW CLUSTER, OPERATIONS, EVENTS: what the clusters decide by themselves.

use std::{sync::Arc, time::SystemTime};

use super::{
    Column, Context, Row, Type,
    nodes::{NodeNumbers, health_word, numbers, role_word},
};
use crate::{
    admin::{table::Value, time},
    facts::{ClusterStatus, Health, Role, StatusCell},
};

pub(super) const CLUSTER: [Column; 20] = [
    ("cluster", Type::Text),
    ("node", Type::Text),
    ("host", Type::Text),
    ("port", Type::Int4),
    ("role", Type::Text),
    ("health", Type::Text),
    ("replication", Type::Text),
    ("sync", Type::Text),
    ("upstream", Type::Text),
    ("timeline", Type::Int8),
    ("received_lsn", Type::Text),
    ("replay_lsn", Type::Text),
    ("lag_bytes", Type::Int8),
    ("quarantine", Type::Text),
    ("state", Type::Text),
    ("since", Type::Text),
    ("term", Type::Int8),
    ("failover", Type::Text),
    ("hold", Type::Text),
    ("reason", Type::Text),
];

pub(super) const OPERATIONS: [Column; 9] = [
    ("cluster", Type::Text),
    ("id", Type::Text),
    ("kind", Type::Text),
    ("from", Type::Text),
    ("to", Type::Text),
    ("step", Type::Text),
    ("started", Type::Text),
    ("ended", Type::Text),
    ("outcome", Type::Text),
];

pub(super) const EVENTS: [Column; 7] = [
    ("cluster", Type::Text),
    ("at", Type::Text),
    ("event", Type::Text),
    ("node", Type::Text),
    ("operation", Type::Text),
    ("term", Type::Int8),
    ("message", Type::Text),
];

/// pgpool-II's columns, in its order.
pub(super) const POOL_NODES: [Column; 14] = [
    ("node_id", Type::Text),
    ("hostname", Type::Text),
    ("port", Type::Text),
    ("status", Type::Text),
    ("pg_status", Type::Text),
    ("lb_weight", Type::Text),
    ("role", Type::Text),
    ("pg_role", Type::Text),
    ("select_cnt", Type::Text),
    ("load_balance_node", Type::Text),
    ("replication_delay", Type::Text),
    ("replication_state", Type::Text),
    ("replication_sync_state", Type::Text),
    ("last_status_change", Type::Text),
];

/// The status of each cluster, by name, in the order of names.
fn statuses(context: &Context) -> Vec<(Arc<str>, Arc<StatusCell>)> {
    let generation = context.worker.shared.generation.load_full();
    let mut all: Vec<_> =
        generation.clusters.values().map(|cluster| (Arc::clone(&cluster.name), Arc::clone(&cluster.status))).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// A row for each node.
pub(super) fn cluster(context: &Context) -> Vec<Row> {
    let statuses: Vec<_> = statuses(context).into_iter().map(|(name, cell)| (name, cell.load())).collect();
    let row = |numbers: NodeNumbers| {
        let found = statuses.iter().find(|(name, _)| *name == numbers.cluster);
        let status = found.map(|(_, status)| Arc::clone(status)).unwrap_or_default();
        cluster_row(&numbers, &status)
    };
    numbers(&context.worker.shared).into_iter().map(row).collect()
}

fn cluster_row(numbers: &NodeNumbers, status: &ClusterStatus) -> Row {
    let node = &numbers.node;
    let more = status.nodes.iter().find(|more| more.name == node.name);
    let failover = match (&*status.state, status.paused) {
        ("UNMANAGED", _) => "off",
        (_, true) => "paused",
        (_, false) => "on",
    };
    vec![
        (&numbers.cluster).into(),
        (&node.name).into(),
        (&node.host).into(),
        Value::int(node.port),
        role_word(node.role).into(),
        health_word(node.health).into(),
        more.and_then(|more| more.replication_state.as_ref()).into(),
        more.and_then(|more| more.sync_state.as_ref()).into(),
        more.and_then(|more| more.upstream.as_ref()).into(),
        node.timeline.map(Value::big).unwrap_or(Value::Null),
        node.received.into(),
        node.replayed.into(),
        node.lag_bytes.map_or(Value::Null, Value::big),
        more.and_then(|more| more.quarantine.as_ref()).or(node.why.as_ref()).into(),
        (&status.state).into(),
        time::utc(status.since).into(),
        Value::big(status.term),
        failover.into(),
        status.hold.as_ref().into(),
        (&status.reason).into(),
    ]
}

/// A row for each operation, the oldest first.
pub(super) fn operations(context: &Context) -> Vec<Row> {
    let mut rows = Vec::new();
    for (cluster, cell) in statuses(context) {
        for operation in cell.operations() {
            rows.push(vec![
                (&cluster).into(),
                (&operation.id).into(),
                (&operation.kind).into(),
                operation.from.as_ref().into(),
                operation.to.as_ref().into(),
                (&operation.step).into(),
                time::utc(operation.started).into(),
                operation.ended.map(time::utc).into(),
                (&operation.outcome).into(),
            ]);
        }
    }
    rows
}

/// A row for each event, the oldest first.
pub(super) fn events(context: &Context) -> Vec<Row> {
    let mut all: Vec<_> = statuses(context)
        .into_iter()
        .flat_map(|(cluster, cell)| cell.events().into_iter().map(move |event| (Arc::clone(&cluster), event)))
        .collect();
    all.sort_by_key(|(_, event)| event.at);
    let row = |(cluster, event): &(Arc<str>, crate::facts::ClusterEvent)| {
        vec![
            cluster.into(),
            time::utc(event.at).into(),
            (&event.kind).into(),
            event.node.as_ref().into(),
            event.operation.as_ref().into(),
            Value::big(event.term),
            (&event.message).into(),
        ]
    };
    all.iter().map(row).collect()
}

/// A row for each node, in pgpool-II's words.
pub(super) fn pool_nodes(context: &Context) -> Vec<Row> {
    let statuses: Vec<_> = statuses(context).into_iter().map(|(name, cell)| (name, cell.load())).collect();
    let all = numbers(&context.worker.shared);
    let weights: u32 = all.iter().filter(|numbers| takes_reads(numbers)).map(|numbers| numbers.node.weight).sum();
    let row = |(id, numbers): (usize, &NodeNumbers)| {
        let node = &numbers.node;
        let status = statuses.iter().find(|(name, _)| *name == numbers.cluster).map(|(_, status)| status);
        let more = status.and_then(|status| status.nodes.iter().find(|more| more.name == node.name));
        let quarantined = more.is_some_and(|more| more.quarantine.is_some());
        let word = match node.health {
            _ if quarantined => "quarantine",
            Health::Up => "up",
            Health::Degraded => "waiting",
            Health::Draining | Health::Down => "down",
        };
        let role = if numbers.is_primary { "primary" } else { "standby" };
        let share = if takes_reads(numbers) { f64::from(node.weight) / f64::from(weights.max(1)) } else { 0.0 };
        vec![
            id.to_string().into(),
            (&node.host).into(),
            node.port.to_string().into(),
            word.into(),
            if node.role == Role::Unknown || node.health == Health::Down { "down" } else { "up" }.into(),
            format!("{share:.6}").into(),
            role.into(),
            role_word(node.role).into(),
            numbers.requests.to_string().into(),
            if takes_reads(numbers) { "true" } else { "false" }.into(),
            node.lag_bytes.unwrap_or(0).to_string().into(),
            more.and_then(|more| more.replication_state.as_deref()).unwrap_or_default().into(),
            more.and_then(|more| more.sync_state.as_deref()).unwrap_or_default().into(),
            time::utc(status.map_or(SystemTime::UNIX_EPOCH, |status| status.since)).into(),
        ]
    };
    all.iter().enumerate().map(row).collect()
}

fn takes_reads(numbers: &NodeNumbers) -> bool {
    matches!(numbers.node.health, Health::Up | Health::Degraded) && numbers.node.weight > 0
}
