//! A cluster, a session and a statement to ask a policy about.

use std::sync::LazyLock;

use howdah::{
    config::OnFailure,
    facts::{Facts, Health, NodeFacts, Role},
    id::NodeId,
    plugin::{
        Engine, PluginError, PolicySpec, Router,
        input::{SessionAttributes, Transaction},
    },
    sql::{Kind, StatementFacts, Traits},
};
use serde_json::Value;

pub const BY_VALUE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/by-value.wasm"));
pub const CHAOS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/chaos.wasm"));

pub const CHAOS_CONTROL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/chaos-control.wasm"));

/// One engine, as in the proxy.
pub fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().unwrap());
    &ENGINE
}

/// n0 is the primary; n1 and n2 follow it.
pub fn cluster() -> Facts {
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

/// A policy entry without anything special.
pub fn spec<'a>(component: &'a [u8], settings: &'a Value) -> PolicySpec<'a> {
    PolicySpec { name: "router", component, sha256: None, settings, grants: &[], generation: 1 }
}

pub fn load(component: &[u8], settings: &Value) -> Result<Router, PluginError> {
    Router::load(engine(), &spec(component, settings), OnFailure::BuiltIn, &cluster())
}

pub fn session(user: &str) -> SessionAttributes {
    SessionAttributes { user: user.into(), ..SessionAttributes::default() }
}

pub fn select() -> StatementFacts {
    StatementFacts {
        fingerprint: "00c0ffee00c0ffee".to_owned(),
        kind: Kind::Select,
        traits: Traits { read_only: true, ..Traits::default() },
        tables: Vec::new(),
        functions: Vec::new(),
        hints: Vec::new(),
        effects: Vec::new(),
        normalized: "SELECT $1".into(),
    }
}

/// Where a plain read of this user goes, and who says so.
pub fn ask(router: &Router, user: &str) -> (String, howdah::plugin::DecidedBy) {
    let routed = router.route(&cluster(), &session(user), &select(), Transaction::default());
    (routed.plan.to_string(), routed.decided_by)
}
