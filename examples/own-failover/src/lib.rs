//! A failover policy: by itself it promotes a standby of the primary's zone only; to another zone an
//! operator has to send it.

use howdah_plugin::{
    Node, NodeId, NodeRole, Policy, export_failover,
    failover::{Election, Failover, Promotion, Ranked, Trigger, Verdict},
    observation::{Cluster, Reachability},
};
use serde::Deserialize;

/// What `[plugins.failover.settings]` may say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Failed checks in a row after which an observer has lost the primary. Default 3.
    #[serde(default = "three")]
    pub fall: u32,
}

fn three() -> u32 {
    3
}

/// When to look again, in milliseconds.
const RECHECK_MS: u32 = 200;

/// Reports older than this do not count, in milliseconds.
const FRESH_MS: u32 = 5_000;

/// The policy.
pub struct WithinTheZone {
    settings: Settings,
}

impl Policy for WithinTheZone {
    type Settings = Settings;
    const NAME: &'static str = "within-the-zone";
    const SUMMARY: &'static str = "fails over by itself only within the primary's zone";

    /// An error refuses the whole new configuration, and the operator reads it.
    fn configure(settings: Settings) -> Result<Self, String> {
        if settings.fall == 0 {
            return Err("`fall` is 1 or more".to_owned());
        }
        Ok(Self { settings })
    }
}

impl Failover for WithinTheZone {
    /// A quorum of observers decides, unless a standby hears the primary still.
    fn assess(&self, cluster: &Cluster) -> Result<Verdict, String> {
        let Some(primary) = cluster.primary else {
            return Ok(Verdict::Hold("nobody knows the primary".to_owned()));
        };
        let lost = cluster.reports_of(primary, FRESH_MS).filter(|(_, report)| {
            let speaks_of_the_node = !matches!(report.reachability, Reachability::Ok | Reachability::Misconfigured(_));
            speaks_of_the_node && report.checks >= self.settings.fall
        });
        let (lost, needed) = (lost.count(), usize::from(cluster.quorum.needed));
        if lost == 0 {
            return Ok(Verdict::Healthy);
        }
        let heard = cluster
            .nodes
            .iter()
            .find(|node| cluster.reports_of(node.id, FRESH_MS).any(|(_, report)| report.streaming == Some(true)));
        Ok(match heard {
            Some(node) => Verdict::Hold(format!("{} still hears the primary", node.name)),
            None if lost < needed => Verdict::Wait((RECHECK_MS, format!("{lost} of {needed} observers have lost it"))),
            None => Verdict::FailOver(format!("{lost} observers have lost it")),
        })
    }

    /// The one that has most, of those that are allowed.
    fn elect(&self, cluster: &Cluster, trigger: Trigger, target: Option<NodeId>) -> Result<Election, String> {
        let zone = cluster.primary.and_then(|id| cluster.node(id)?.label("zone"));
        let allowed = |node: &&Node| match (target, trigger) {
            (Some(target), _) => node.id == target,
            (None, Trigger::Automatic) => node.label("zone") == zone,
            (None, Trigger::Switchover | Trigger::Forced) => true,
        };
        let standbys = cluster.nodes.iter().filter(|node| node.role == NodeRole::Standby);
        let mut candidates: Vec<_> = standbys.filter(allowed).map(ranked).collect();
        if candidates.is_empty() {
            let zone = zone.unwrap_or("without a name");
            return Ok(Election::Abstain(format!("there is no other standby in zone {zone}; name one elsewhere")));
        }
        candidates.sort_by_key(|candidate| -candidate.score);
        // Nothing that a client was told is committed may be lost.
        let max_loss_bytes = 0;
        Ok(Election::Promote(Promotion { candidates, wait_for: None, catch_up: 0, max_loss_bytes }))
    }
}

fn ranked(node: &Node) -> Ranked {
    let score = node.received.and_then(|position| i64::try_from(position).ok()).unwrap_or(0);
    Ranked { node: node.id, score, why: format!("in zone {}", node.label("zone").unwrap_or("without a name")) }
}

export_failover!(WithinTheZone);

#[cfg(test)]
mod tests {
    use howdah_plugin::{
        NodeHealth,
        observation::{NodeReport, ObserverReport, Quorum},
    };

    use super::*;

    fn policy() -> WithinTheZone {
        WithinTheZone::configure(Settings { fall: 3 }).unwrap()
    }

    fn node(id: NodeId, zone: &str) -> Node {
        Node {
            id,
            name: format!("n{id}"),
            role: if id == 0 { NodeRole::Primary } else { NodeRole::Standby },
            health: NodeHealth::Up,
            sync: None,
            weight: 100,
            server_version: None,
            timeline: Some(1),
            upstream: None,
            received: Some(1_000 + u64::from(id)),
            replayed: None,
            lag_bytes: None,
            lag: None,
            labels: vec![("zone".to_owned(), zone.to_owned())],
        }
    }

    /// Three nodes in these zones; the primary has refused so many connections.
    fn cluster(zones: [&str; 3], refused: u32) -> Cluster {
        let reachability = if refused == 0 { Reachability::Ok } else { Reachability::Refused };
        let report = NodeReport {
            node: 0,
            reachability,
            role: NodeRole::Primary,
            timeline: Some(1),
            position: None,
            streaming: None,
            lasting: 1_000,
            checks: refused,
        };
        Cluster {
            now: 0,
            term: 1,
            leader: true,
            primary: Some(0),
            nodes: (0..).zip(zones).map(|(id, zone)| node(id, zone)).collect(),
            reports: vec![ObserverReport {
                observer: "p0".to_owned(),
                this_proxy: true,
                age: 0,
                zone: None,
                nodes: vec![report],
            }],
            quorum: Quorum { observers: 1, fresh: 1, needed: 1 },
            acknowledged: None,
            synchronous: false,
            last_promotion: None,
            paused: false,
        }
    }

    fn elected(zones: [&str; 3], trigger: Trigger, target: Option<NodeId>) -> Vec<NodeId> {
        match policy().elect(&cluster(zones, 3), trigger, target).unwrap() {
            Election::Promote(promotion) => promotion.candidates.iter().map(|candidate| candidate.node).collect(),
            Election::Retry(_) | Election::Abstain(_) => Vec::new(),
        }
    }

    #[test]
    fn the_primary_is_lost_after_some_checks() {
        let assess = |refused| policy().assess(&cluster(["a"; 3], refused)).unwrap();
        assert_eq!(assess(0), Verdict::Healthy);
        assert_eq!(assess(2), Verdict::Healthy);
        assert!(matches!(assess(3), Verdict::FailOver(_)));
    }

    #[test]
    fn by_itself_it_stays_in_the_zone() {
        assert_eq!(elected(["a", "a", "b"], Trigger::Automatic, None), [1]);
        assert_eq!(elected(["a", "a", "a"], Trigger::Automatic, None), [2, 1], "who has more comes first");
        assert!(elected(["a", "b", "b"], Trigger::Automatic, None).is_empty());
    }

    #[test]
    fn an_operator_sends_it_anywhere() {
        assert_eq!(elected(["a", "a", "b"], Trigger::Forced, Some(2)), [2]);
        assert_eq!(elected(["a", "b", "b"], Trigger::Switchover, None), [2, 1]);
    }
}
