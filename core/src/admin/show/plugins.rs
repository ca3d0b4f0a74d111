//! SHOW PLUGINS and SHOW PLANS: how the policies do, and what they have decided.

use std::collections::HashMap;

use super::{Column, Context, Row, Type};
use crate::{
    admin::{explain::words, table::Value},
    plugin::{
        PluginState, PluginStatus,
        input::{Phase, SessionAttributes, Transaction},
    },
    sql::StatementFacts,
};

pub(super) const PLUGINS: [Column; 17] = [
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

pub(super) const PLANS: [Column; 9] = [
    ("worker", Type::Int4),
    ("fingerprint", Type::Text),
    ("shape", Type::Text),
    ("kind", Type::Text),
    ("class", Type::Text),
    ("transaction", Type::Text),
    ("rule", Type::Text),
    ("plan", Type::Text),
    ("hits", Type::Int8),
];

pub(super) fn plugins(context: &Context) -> Vec<Row> {
    let generation = context.worker.shared.generation.load();
    let mut clusters: Vec<_> = generation.clusters.values().collect();
    clusters.sort_by(|a, b| a.name.cmp(&b.name));
    clusters.into_iter().map(|cluster| plugin((&cluster.name).into(), cluster.router.status())).collect()
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

/// The plans that this worker keeps, the most used first. Other workers keep their own.
pub(super) fn plans(context: &Context) -> Vec<Row> {
    let worker = &context.worker;
    let (plans, shapes) = (worker.plans.borrow(), worker.shapes.borrow());
    let facts: HashMap<_, &StatementFacts> = shapes.known().map(|shape| (shape.id, &*shape.facts)).collect();
    let classes = plans.classes();
    let mut kept: Vec<_> = plans.list().collect();
    kept.sort_by_key(|(_, _, hits)| std::cmp::Reverse(*hits));
    let row =
        |(key, plan, hits): (&crate::session::plans::PlanKey, &std::sync::Arc<crate::plugin::plan::Plan>, u64)| {
            let facts = facts.get(&key.shape);
            vec![
                Value::int(worker.id),
                facts.map(|facts| facts.fingerprint.clone()).into(),
                facts.map(|facts| facts.normalized.to_string()).into(),
                facts.map(|facts| words::kind(facts.kind)).into(),
                classes.get(&key.class).map(|attributes| class(attributes)).into(),
                transaction(key.transaction).into(),
                (&plan.rule).into(),
                plan.to_string().into(),
                Value::big(hits),
            ]
        };
    kept.into_iter().map(row).collect()
}

/// What the policy sees of the sessions: whatever it does not look at is empty.
fn class(attributes: &SessionAttributes) -> String {
    let named = [
        ("user", &attributes.user),
        ("database", &attributes.database),
        ("application", &attributes.application),
        ("from", &attributes.client_address),
    ];
    let named = named.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={value}"));
    let labels = attributes.labels.iter().map(|(key, value)| format!("{key}={value}"));
    named.chain(labels).collect::<Vec<_>>().join(" ")
}

fn transaction(transaction: Transaction) -> String {
    let phase = match transaction.phase {
        Phase::None => "none",
        Phase::Opening => "opening",
        Phase::Active => "active",
        Phase::Failed => "failed",
    };
    let traits = [
        ("read only", transaction.read_only),
        ("serializable", transaction.serializable),
        ("wrote", transaction.wrote),
    ];
    let traits = traits.into_iter().filter(|(_, has)| *has).map(|(name, _)| name);
    [phase].into_iter().chain(traits).collect::<Vec<_>>().join(", ")
}
