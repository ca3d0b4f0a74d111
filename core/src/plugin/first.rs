//! The first questions of policies of the control plane, when they are loaded: about the nodes as they
//! are known then, with nothing wrong and nobody's report.

use crate::{
    cluster::{
        verdict::PromotionEvent,
        view::{Health, Quorum, Role, View, ViewedNode},
    },
    facts::{self, Facts, NodeFacts},
    id::Lsn,
};

/// Nobody has looked yet.
pub(super) fn first_view(facts: &Facts) -> View {
    View {
        now_unix_ms: 0,
        term: 0,
        leader: false,
        primary: facts.primary,
        nodes: facts.nodes.iter().map(node).collect(),
        reports: Vec::new(),
        quorum: Quorum { observers: 1, fresh: 0, needed: 1 },
        acknowledged: None,
        synchronous: false,
        last_promotion_unix_ms: None,
        paused: false,
    }
}

/// Somebody was promoted whom nobody has to follow. `None` for a cluster without nodes.
pub(super) fn first_promotion(facts: &Facts) -> Option<PromotionEvent> {
    let new_primary = node(facts.nodes.first()?);
    let (fork_timeline, fork) = (1, Lsn(0));
    Some(PromotionEvent { now_unix_ms: 0, term: 1, new_primary, fork_timeline, fork, standbys: Vec::new() })
}

fn node(node: &NodeFacts) -> ViewedNode {
    ViewedNode {
        id: node.id,
        name: node.name.clone(),
        role: match node.role {
            facts::Role::Primary => Role::Primary,
            facts::Role::Standby => Role::Standby,
            facts::Role::Unknown => Role::Unknown,
        },
        health: match node.health {
            facts::Health::Up => Health::Up,
            facts::Health::Degraded => Health::Degraded,
            facts::Health::Draining => Health::Draining,
            facts::Health::Down => Health::Down,
        },
        sync: None,
        weight: node.weight,
        server_version: node.server_version,
        timeline: node.timeline,
        upstream: None,
        received: node.received,
        replayed: node.replayed,
        lag_bytes: node.lag_bytes,
        lag: node.lag,
        labels: node.labels.clone(),
    }
}
