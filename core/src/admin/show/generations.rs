//! SHOW GENERATIONS: which configurations there were, and which one counts.

use std::sync::Arc;

use super::{Column, Context, Row, Type};
use crate::{
    admin::{table::Value, time},
    generation::Generation,
};

pub(super) const COLUMNS: [Column; 6] = [
    ("generation", Type::Int8),
    ("since", Type::Text),
    ("cause", Type::Text),
    ("running", Type::Text),
    ("sessions", Type::Int4),
    ("policy", Type::Text),
];

/// Those that ROLLBACK can go back to, the oldest first.
pub(super) fn rows(context: &Context) -> Vec<Row> {
    let shared = &context.worker.shared;
    let running = shared.generation.load().number;
    let history = shared.history.lock().expect("nothing panics while it holds the history");
    let history: Vec<_> = history.iter().cloned().collect();
    let row = |generation: &Arc<Generation>| {
        vec![
            Value::big(generation.number),
            time::utc(generation.since).into(),
            generation.cause.as_str().into(),
            if generation.number == running { "yes" } else { "no" }.into(),
            Value::int(sessions(generation)),
            policies(generation).into(),
        ]
    };
    history.iter().map(row).collect()
}

/// Sessions go over to a new generation between two transactions; until then they keep a hold of
/// their cluster in the old one.
fn sessions(generation: &Generation) -> usize {
    generation.clusters.values().map(|cluster| Arc::strong_count(cluster) - 1).sum()
}

fn policies(generation: &Generation) -> String {
    let mut policies: Vec<_> = generation
        .clusters
        .values()
        .flat_map(|cluster| {
            let control = cluster.policies.numbers().map(|policy| policy.status);
            std::iter::once(cluster.router.status()).chain(control)
        })
        .map(|status| format!("{} {}", status.policy, status.version))
        .collect();
    policies.sort();
    policies.dedup();
    policies.join(", ")
}
