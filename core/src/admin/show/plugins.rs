//! SHOW PLUGINS: how the policies do. What they have decided is in [`plans`](super::plans).

use std::sync::Arc;

use super::{Column, Context, Row, Type};
use crate::{
    admin::table::Value,
    generation::ClusterRuntime,
    plugin::{PluginState, PluginStatus},
};

pub(super) const COLUMNS: [Column; 17] = [
    ("cluster", Type::Text),
    ("name", Type::Text),
    ("policy", Type::Text),
    ("version", Type::Text),
    ("state", Type::Text),
    ("generation", Type::Int8),
    ("calls", Type::Int8),
    ("failures", Type::Int8),
    ("traps", Type::Int8),
    ("timeouts", Type::Int8),
    ("p50_us", Type::Int8),
    ("max_us", Type::Int8),
    ("instances", Type::Int4),
    ("memory_bytes", Type::Int8),
    ("api", Type::Text),
    ("sha256", Type::Text),
    ("last_error", Type::Text),
];

pub(super) fn rows(context: &Context) -> Vec<Row> {
    let generation = context.worker.shared.generation.load();
    let mut clusters: Vec<_> = generation.clusters.values().collect();
    clusters.sort_by(|a, b| a.name.cmp(&b.name));
    let of_cluster = |cluster: &Arc<ClusterRuntime>| {
        // The router's row is there without a router too: everything goes to the primary then.
        let all =
            std::iter::once(cluster.router.status()).chain(cluster.policies.numbers().map(|policy| policy.status));
        all.map(|status| plugin((&cluster.name).into(), status)).collect::<Vec<_>>()
    };
    clusters.into_iter().flat_map(of_cluster).collect()
}

fn plugin(cluster: Value, status: PluginStatus) -> Row {
    let state = match status.state {
        PluginState::Running => "running",
        PluginState::Broken => "broken",
    };
    vec![
        cluster,
        status.name.into(),
        status.policy.into(),
        status.version.into(),
        state.into(),
        Value::big(status.generation),
        Value::big(status.calls),
        Value::big(status.failures),
        Value::big(status.traps),
        Value::big(status.timeouts),
        Value::big(status.p50_micros),
        Value::big(status.max_micros),
        Value::int(status.instances),
        Value::big(status.memory_bytes),
        status.api.into(),
        status.sha256.into(),
        status.last_error.into(),
    ]
}
