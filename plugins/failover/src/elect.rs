//! Whom to promote: who may be, and who of them is best.

use std::cmp::Reverse;

use howdah_plugin::{
    Lsn, Node, NodeHealth, NodeId, NodeRole,
    failover::{Election, Promotion, Ranked, Trigger},
    observation::{Cluster, Reachability},
};

use crate::Settings;

/// Of a node without the label `failover-priority`.
const DEFAULT_PRIORITY: u32 = 100;

/// When to look again for a candidate.
const RETRY_MS: u32 = 1_000;

/// The candidates, the best first.
pub fn elect(settings: &Settings, cluster: &Cluster, trigger: Trigger, target: Option<NodeId>) -> Election {
    let election = Case { settings, cluster, trigger, is_named: target.is_some() };
    let standbys = cluster.nodes.iter().filter(|node| match target {
        Some(target) => node.id == target,
        // A primary that has become a standby is one of them.
        None => Some(node.id) != cluster.primary || node.role == NodeRole::Standby,
    });
    let (mut able, mut unable) = (Vec::new(), Vec::new());
    for node in standbys {
        match election.obstacle(node) {
            None => able.push(node),
            Some(obstacle) => unable.push((node, obstacle)),
        }
    }
    if able.is_empty() {
        return nobody(&unable);
    }
    able.sort_by_key(|node| election.rank(node));
    Election::Promote(election.promotion(&able))
}

/// Why a node cannot be promoted.
enum Obstacle {
    /// It may pass.
    ForNow(String),
    /// It will not.
    ForGood(String),
}

fn nobody(unable: &[(&Node, Obstacle)]) -> Election {
    let reasons = unable.iter().map(|(node, obstacle)| match obstacle {
        Obstacle::ForNow(why) | Obstacle::ForGood(why) => format!("{} {why}", node.name),
    });
    let reasons: Vec<_> = reasons.collect();
    let why = match reasons.as_slice() {
        [] => "there is no other node to promote".to_owned(),
        reasons => format!("no node can be promoted: {}", reasons.join("; ")),
    };
    match unable.iter().any(|(_, obstacle)| matches!(obstacle, Obstacle::ForNow(_))) {
        true => Election::Retry((RETRY_MS, why)),
        false => Election::Abstain(why),
    }
}

struct Case<'a> {
    settings: &'a Settings,
    cluster: &'a Cluster,
    trigger: Trigger,
    /// The operator has named the node.
    is_named: bool,
}

impl Case<'_> {
    fn obstacle(&self, node: &Node) -> Option<Obstacle> {
        let for_now = |why: &str| Some(Obstacle::ForNow(why.to_owned()));
        let for_good = |why: &str| Some(Obstacle::ForGood(why.to_owned()));
        if !self.is_named && (node.has("nofailover") || priority(node) == 0) {
            return for_good("is not to be promoted");
        }
        match node.role {
            NodeRole::Standby => {}
            NodeRole::Primary => return for_good("is a primary"),
            NodeRole::Unknown => return for_now("is not known to be a standby"),
        }
        let answers = self.cluster.own_report(node.id).is_none_or(|own| own.reachability == Reachability::Ok);
        match node.health {
            NodeHealth::Draining if self.trigger != Trigger::Forced => return for_good("was taken out by an operator"),
            NodeHealth::Down => return for_now("is down"),
            _ if !answers => return for_now("does not answer"),
            _ => {}
        }
        if node.received.is_none() {
            return for_now("has not said what it has received");
        }
        let primary = self.cluster.primary.and_then(|id| self.cluster.node(id));
        if let (Some(its), Some(current)) = (node.timeline, primary.and_then(|primary| primary.timeline))
            && its != current
        {
            return Some(Obstacle::ForGood(format!("is on timeline {its}, the primary on {current}")));
        }
        self.lag_max()
            .filter(|max| self.lacks(node) > *max)
            .map(|_| Obstacle::ForGood(format!("lacks {} bytes of the log", self.lacks(node))))
    }

    /// How much a candidate may lack; an operator who promotes by force is answered by the host's own check.
    fn lag_max(&self) -> Option<u64> {
        match self.trigger {
            Trigger::Automatic => Some(self.loss_max()),
            Trigger::Switchover => Some(self.settings.maximum_lag_on_switchover.0),
            Trigger::Forced => None,
        }
    }

    /// Most bytes that may be lost. In synchronous mode clients were promised that none are, and in a
    /// switchover the old primary hands over all it has.
    fn loss_max(&self) -> u64 {
        if self.cluster.synchronous || self.trigger == Trigger::Switchover {
            0
        } else {
            self.settings.maximum_lag_on_failover.0
        }
    }

    /// Bytes that the node lacks of what it should have: of what was acknowledged, and in asynchronous mode of
    /// all that the primary was last known to have written.
    fn lacks(&self, node: &Node) -> u64 {
        let written = self.cluster.primary.and_then(|id| self.cluster.node(id)).and_then(|primary| primary.received);
        let written = written.filter(|_| !self.cluster.synchronous || self.trigger == Trigger::Switchover);
        let wanted = written.max(self.cluster.acknowledged).unwrap_or_default();
        wanted.saturating_sub(node.received.unwrap_or_default())
    }

    /// The smallest is the best. In a failover nothing counts more than what is not lost; a switchover loses
    /// nothing, so the operator's order comes first.
    fn rank(&self, node: &Node) -> impl Ord + use<> {
        let received = Reverse(node.received);
        let priority = Reverse(priority(node));
        let first = match self.trigger {
            Trigger::Switchover => (Reverse(None), priority),
            Trigger::Automatic | Trigger::Forced => (received, priority),
        };
        // The one with least to replay is there soonest. A promotion breaks a backup that is taken from it.
        (first, received, unreplayed(node), node.has("backup"), node.id)
    }

    fn promotion(&self, nodes: &[&Node]) -> Promotion {
        let scores = (1..).take(nodes.len()).collect::<Vec<i64>>().into_iter().rev();
        let wait_for = match self.trigger {
            Trigger::Switchover => self.cluster.primary.and_then(|id| self.cluster.node(id)?.received),
            // A promotion replays all that was received by itself.
            Trigger::Automatic | Trigger::Forced => None,
        };
        Promotion {
            candidates: nodes.iter().zip(scores).map(|(node, score)| ranked(node, score)).collect(),
            wait_for,
            catch_up: self.settings.catch_up.0,
            max_loss_bytes: self.loss_max(),
        }
    }
}

fn ranked(node: &Node, score: i64) -> Ranked {
    let backup = if node.has("backup") { ", takes backups" } else { "" };
    let why = format!(
        "received {}, priority {}, {} bytes to replay{backup}",
        Lsn(node.received.unwrap_or_default()),
        priority(node),
        unreplayed(node)
    );
    Ranked { node: node.id, score, why }
}

fn unreplayed(node: &Node) -> u64 {
    match (node.received, node.replayed) {
        (Some(received), Some(replayed)) => received.saturating_sub(replayed),
        _ => 0,
    }
}

/// The label `failover-priority`: higher is preferred, 0 is promoted only if an operator names it.
fn priority(node: &Node) -> u32 {
    node.label("failover-priority").and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT_PRIORITY)
}
