//! Cases in the words of the SDK.

use howdah_plugin::{
    Node, NodeHealth, NodeRole, SyncRole,
    observation::{Cluster, NodeReport, ObserverReport, Quorum, Reachability},
};

use crate::observed::{NOW, Observed, Report, SAID};

pub fn cluster(observed: &Observed) -> Cluster {
    let fresh = observed.reports.iter().filter(|report| report.age < 5_000).count();
    Cluster {
        now: NOW,
        term: 1,
        leader: true,
        primary: observed.primary,
        nodes: (0..observed.nodes.len()).map(|at| node(observed, at)).collect(),
        reports: observed.reports.iter().enumerate().map(|(at, report)| observer(observed, at, report)).collect(),
        quorum: Quorum { observers: observed.observers, fresh: fresh.try_into().unwrap(), needed: observed.needed },
        acknowledged: observed.acknowledged,
        synchronous: observed.synchronous,
        last_promotion: observed.promoted.map(|since| NOW - since),
        paused: observed.paused,
    }
}

fn node(observed: &Observed, at: usize) -> Node {
    let node = &observed.nodes[at];
    Node {
        id: at.try_into().unwrap(),
        name: format!("n{at}"),
        role: role(observed.role(at)),
        health: match &*node.health {
            "up" => NodeHealth::Up,
            "degraded" => NodeHealth::Degraded,
            "draining" => NodeHealth::Draining,
            "down" => NodeHealth::Down,
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
        upstream: node.upstream,
        received: node.received,
        replayed: node.replayed.or(node.received),
        lag_bytes: node.lag_bytes,
        lag: None,
        labels: node.labels.clone().into_iter().collect(),
    }
}

fn role(name: &str) -> NodeRole {
    match name {
        "primary" => NodeRole::Primary,
        "standby" => NodeRole::Standby,
        "unknown" => NodeRole::Unknown,
        other => panic!("no role `{other}`"),
    }
}

fn observer(observed: &Observed, at: usize, report: &Report) -> ObserverReport {
    let nodes = (0..observed.nodes.len()).map(|node| {
        let seen = Observed::seen(report, node);
        NodeReport {
            node: node.try_into().unwrap(),
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
            position: observed.nodes[node].received,
            streaming: seen.streaming,
            lasting: seen.lasting,
            checks: seen.checks,
        }
    });
    ObserverReport {
        observer: format!("p{at}"),
        this_proxy: at == 0,
        age: report.age,
        zone: None,
        nodes: nodes.collect(),
    }
}
