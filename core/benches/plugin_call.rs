//! What a decision of the policy costs when no plan is at hand, and what preparing a policy costs.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use howdah::{
    config::OnFailure,
    facts::{Facts, Health, NodeFacts, Role},
    id::NodeId,
    plugin::{
        Engine, PolicySpec, Router, builtin,
        input::{SessionAttributes, Transaction},
    },
    sql::{Kind, StatementFacts, Traits},
};
use serde_json::{Value, json};

fn cluster() -> Facts {
    let node = |id: u16| NodeFacts {
        id: NodeId(id),
        name: format!("n{id}").into(),
        host: "127.0.0.1".into(),
        port: 5432 + id,
        weight: 100,
        labels: [].into(),
        role: if id == 0 { Role::Primary } else { Role::Standby },
        health: Health::Up,
        ramp_percent: 100,
        server_version: Some(150_018),
        timeline: Some(1),
        received: None,
        replayed: None,
        inserted: None,
        async_commit: false,
        lag_bytes: Some(0),
        lag: None,
        sampled_at: tokio::time::Instant::now(),
        why: None,
    };
    Facts { epoch: 1, primary: Some(NodeId(0)), nodes: (0..3).map(node).collect(), ..Facts::default() }
}

fn statement() -> StatementFacts {
    StatementFacts {
        fingerprint: "00c0ffee00c0ffee".to_owned(),
        kind: Kind::Select,
        traits: Traits { read_only: true, ..Traits::default() },
        tables: Vec::new(),
        functions: Vec::new(),
        hints: vec![("tenant".to_owned(), "acme".to_owned())],
        effects: Vec::new(),
        normalized: "SELECT abalance FROM pgbench_accounts WHERE aid = $1".into(),
    }
}

fn load(engine: &Engine, settings: &Value) -> Router {
    let spec = PolicySpec {
        name: "router",
        component: builtin("read-write-split").unwrap(),
        sha256: None,
        settings,
        grants: &[],
        generation: 1,
    };
    Router::load(engine, &spec, OnFailure::BuiltIn, &cluster()).unwrap()
}

fn decisions(criterion: &mut Criterion) {
    let engine = Engine::new().unwrap();
    let (facts, statement) = (cluster(), statement());
    let session = SessionAttributes {
        user: "alice".into(),
        database: "shop".into(),
        application: "psql".into(),
        ..SessionAttributes::default()
    };
    let route = |router: &Router| router.route(black_box(&facts), &session, &statement, Transaction::default());

    let default = load(&engine, &json!({}));
    criterion.bench_function("plugin/route/default", |b| b.iter(|| route(&default)));

    let settings = json!({ "user_preferences": { "report*": "standby" }, "max_lag": "5s" });
    let with_preferences = load(&engine, &settings);
    criterion.bench_function("plugin/route/preferences", |b| b.iter(|| route(&with_preferences)));

    let null = Router::null();
    criterion.bench_function("plugin/route/null", |b| b.iter(|| route(&null)));

    criterion.bench_function("plugin/class", |b| b.iter(|| default.class(black_box(&session))));

    criterion.bench_function("plugin/reload", |b| b.iter(|| load(&engine, &Value::Null)));
}

fn first_load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plugin");
    group.sample_size(10);
    group.bench_function("first-load", |b| {
        b.iter_with_setup(|| Engine::new().unwrap(), |engine| load(&engine, &Value::Null));
    });
}

criterion_group!(benches, decisions, first_load);
criterion_main!(benches);
