//! Observed clusters in the words of the host.

use std::time::Duration;

use howdah::{
    cluster::view::{Health, NodeReport, ObserverReport, Quorum, Reachability, Role, SyncRole, View, ViewedNode},
    id::{Lsn, NodeId},
};

use crate::observed::{NOW, Observed, Report, SAID};

pub fn view(observed: &Observed) -> View {
    let fresh = observed.reports.iter().filter(|report| report.age < 5_000).count();
    View {
        now_unix_ms: NOW,
        term: 1,
        leader: true,
        primary: observed.primary.map(|id| NodeId(id.try_into().unwrap())),
        nodes: (0..observed.nodes.len()).map(|at| node(observed, at)).collect(),
        reports: observed.reports.iter().enumerate().map(|(at, report)| observer(observed, at, report)).collect(),
        quorum: Quorum { observers: observed.observers, fresh: fresh.try_into().unwrap(), needed: observed.needed },
        acknowledged: observed.acknowledged.map(Lsn),
        synchronous: observed.synchronous,
        last_promotion_unix_ms: observed.promoted.map(|since| NOW - since),
        paused: observed.paused,
    }
}

/// Three nodes of which n0 is the primary, and nothing is wrong.
pub fn three_nodes() -> View {
    view(&Observed { nodes: vec![Default::default(); 3], ..Observed::default() })
}

fn node(observed: &Observed, at: usize) -> ViewedNode {
    let node = &observed.nodes[at];
    ViewedNode {
        id: NodeId(at.try_into().unwrap()),
        name: format!("n{at}").into(),
        role: role(observed.role(at)),
        health: match &*node.health {
            "up" => Health::Up,
            "degraded" => Health::Degraded,
            "draining" => Health::Draining,
            "down" => Health::Down,
            other => panic!("no health `{other}`"),
        },
        sync: node.sync.as_deref().map(|sync| match sync {
            "none" => SyncRole::None,
            "async" => SyncRole::Asynchronous,
            "potential" => SyncRole::Potential,
            "sync" => SyncRole::Synchronous,
            "quorum" => SyncRole::Quorum,
            other => panic!("no sync role `{other}`"),
        }),
        weight: 100,
        server_version: Some(150_018),
        timeline: node.timeline,
        upstream: node.upstream.map(|id| NodeId(id.try_into().unwrap())),
        received: node.received.map(Lsn),
        replayed: node.replayed.or(node.received).map(Lsn),
        lag_bytes: node.lag_bytes,
        lag: None,
        labels: node.labels.clone().into_iter().collect(),
    }
}

fn role(name: &str) -> Role {
    match name {
        "primary" => Role::Primary,
        "standby" => Role::Standby,
        "unknown" => Role::Unknown,
        other => panic!("no role `{other}`"),
    }
}

fn observer(observed: &Observed, at: usize, report: &Report) -> ObserverReport {
    let nodes = (0..observed.nodes.len()).map(|node| {
        let seen = Observed::seen(report, node);
        NodeReport {
            node: NodeId(node.try_into().unwrap()),
            reachability: match &*seen.is {
                "ok" => Reachability::Ok,
                "refused" => Reachability::Refused,
                "timed-out" => Reachability::TimedOut,
                "not-ready" => Reachability::NotReady(SAID.to_owned()),
                "misconfigured" => Reachability::Misconfigured(SAID.to_owned()),
                "failed" => Reachability::Failed(SAID.to_owned()),
                other => panic!("no outcome `{other}`"),
            },
            role: role(seen.role.as_deref().unwrap_or(observed.role(node))),
            timeline: observed.nodes[node].timeline,
            position: observed.nodes[node].received.map(Lsn),
            streaming: seen.streaming,
            lasting: Duration::from_millis(seen.lasting.into()),
            checks: seen.checks,
        }
    });
    ObserverReport {
        observer: format!("p{at}"),
        this_proxy: at == 0,
        age: Duration::from_millis(report.age.into()),
        zone: None,
        nodes: nodes.collect(),
    }
}
