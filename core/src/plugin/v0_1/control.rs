//! The cluster as the contract's policies of the control plane see it.

use std::time::Duration;

use super::{
    failover::Trigger as WitTrigger,
    follow_primary as follow,
    howdah::plugin::{observation, types},
    sync_set,
};
use crate::{
    cluster::{
        verdict::{
            Divergence, FollowAction, FollowingStandby, PromotionEvent, StandbyPlan, StandbySet, StepFailure,
            SyncMethod, Trigger,
        },
        view::{Health, NodeReport, ObserverReport, Quorum, Reachability, Role, SyncRole, View, ViewedNode},
    },
    id::NodeId,
    plugin::host::one_line,
};

/// Longest text of a server that is passed on.
const SAID_MAX_BYTES: usize = 512;

/// A cluster at one instant.
pub(crate) fn cluster(view: &View) -> observation::Cluster {
    observation::Cluster {
        now: view.now_unix_ms,
        term: view.term,
        leader: view.leader,
        primary: view.primary.map(number),
        nodes: view.nodes.iter().map(node).collect(),
        reports: view.reports.iter().map(observer).collect(),
        quorum: quorum(view.quorum),
        acknowledged: view.acknowledged.map(|lsn| lsn.0),
        synchronous: view.synchronous,
        last_promotion: view.last_promotion_unix_ms,
        paused: view.paused,
    }
}

/// Why somebody is to be promoted.
pub(crate) fn trigger(trigger: Trigger) -> WitTrigger {
    match trigger {
        Trigger::Automatic => WitTrigger::Automatic,
        Trigger::Switchover => WitTrigger::Switchover,
        Trigger::Forced => WitTrigger::Forced,
    }
}

/// A node's number in the contract.
pub(crate) fn number(id: NodeId) -> u32 {
    id.0.into()
}

/// The set that is in effect, without names that are no node's.
pub(crate) fn standby_set(set: &StandbySet, view: &View) -> sync_set::StandbySet {
    let member = |name: &String| view.nodes.iter().find(|node| *node.name == **name).map(|node| number(node.id));
    sync_set::StandbySet {
        method: match set.method {
            SyncMethod::First => sync_set::SyncMethod::First,
            SyncMethod::Any => sync_set::SyncMethod::Any,
        },
        count: set.count,
        members: set.members.iter().filter_map(member).collect(),
    }
}

/// A promotion that standbys have to follow.
pub(crate) fn promotion(event: &PromotionEvent) -> follow::PromotionEvent {
    follow::PromotionEvent {
        now: event.now_unix_ms,
        term: event.term,
        new_primary: node(&event.new_primary),
        fork_timeline: event.fork_timeline,
        fork: event.fork.0,
        standbys: event.standbys.iter().map(standby).collect(),
        backups: Vec::new(),
    }
}

/// A step that failed.
pub(crate) fn failure(failure: &StepFailure) -> follow::StepFailure {
    follow::StepFailure {
        plan: plan(&failure.plan),
        attempt: failure.attempt,
        message: said(&failure.message),
        labels: Vec::new(),
    }
}

fn node(node: &ViewedNode) -> types::Node {
    types::Node {
        id: number(node.id),
        name: node.name.to_string(),
        role: role(node.role),
        health: match node.health {
            Health::Up => types::NodeHealth::Up,
            Health::Degraded => types::NodeHealth::Degraded,
            Health::Draining => types::NodeHealth::Draining,
            Health::Down => types::NodeHealth::Down,
        },
        sync: node.sync.map(|sync| match sync {
            SyncRole::None => types::SyncRole::None,
            SyncRole::Asynchronous => types::SyncRole::Asynchronous,
            SyncRole::Potential => types::SyncRole::Potential,
            SyncRole::Synchronous => types::SyncRole::Synchronous,
            SyncRole::Quorum => types::SyncRole::Quorum,
        }),
        weight: node.weight,
        server_version: node.server_version,
        timeline: node.timeline,
        upstream: node.upstream.map(number),
        received: node.received.map(|lsn| lsn.0),
        replayed: node.replayed.map(|lsn| lsn.0),
        lag_bytes: node.lag_bytes,
        lag: node.lag.map(millis),
        labels: node.labels.to_vec(),
    }
}

fn role(role: Role) -> types::NodeRole {
    match role {
        Role::Primary => types::NodeRole::Primary,
        Role::Standby => types::NodeRole::Standby,
        Role::Unknown => types::NodeRole::Unknown,
    }
}

fn observer(report: &ObserverReport) -> observation::ObserverReport {
    observation::ObserverReport {
        observer: report.observer.clone(),
        this_proxy: report.this_proxy,
        age: millis(report.age),
        zone: report.zone.clone(),
        nodes: report.nodes.iter().map(node_report).collect(),
    }
}

fn node_report(report: &NodeReport) -> observation::NodeReport {
    use observation::Reachability as Wit;
    observation::NodeReport {
        node: number(report.node),
        reachability: match &report.reachability {
            Reachability::Ok => Wit::Ok,
            Reachability::Refused => Wit::Refused,
            Reachability::TimedOut => Wit::TimedOut,
            Reachability::NotReady(why) => Wit::NotReady(said(why)),
            Reachability::Misconfigured(why) => Wit::Misconfigured(said(why)),
            Reachability::Failed(why) => Wit::Failed(said(why)),
        },
        role: role(report.role),
        timeline: report.timeline,
        position: report.position.map(|lsn| lsn.0),
        streaming: report.streaming,
        lasting: millis(report.lasting),
        checks: report.checks,
    }
}

fn quorum(quorum: Quorum) -> observation::Quorum {
    observation::Quorum { observers: quorum.observers, fresh: quorum.fresh, needed: quorum.needed }
}

fn standby(standby: &FollowingStandby) -> follow::Standby {
    let capabilities = standby.capabilities;
    let flags = [
        (capabilities.reconfigure, follow::Capabilities::RECONFIGURE),
        (capabilities.restart, follow::Capabilities::RESTART),
        (capabilities.rewind, follow::Capabilities::REWIND),
        (capabilities.rebuild, follow::Capabilities::REBUILD),
        (capabilities.wal_available, follow::Capabilities::WAL_AVAILABLE),
        (capabilities.follows_latest, follow::Capabilities::FOLLOWS_LATEST),
    ];
    let possible = flags.into_iter().filter(|(possible, _)| *possible);
    follow::Standby {
        node: node(&standby.node),
        divergence: match standby.divergence {
            Divergence::None => follow::Divergence::None,
            Divergence::Ahead(bytes) => follow::Divergence::Ahead(bytes),
            Divergence::Unknown => follow::Divergence::Unknown,
        },
        capabilities: possible.fold(follow::Capabilities::empty(), |all, (_, flag)| all | flag),
        following: standby.following,
        downstream: standby.downstream.iter().copied().map(number).collect(),
        data_bytes: standby.data_bytes,
    }
}

fn plan(plan: &StandbyPlan) -> follow::StandbyPlan {
    let repoint = |upstream, create_slot| follow::Repoint { upstream: number(upstream), create_slot };
    follow::StandbyPlan {
        node: number(plan.node),
        action: match plan.action {
            FollowAction::LeaveAlone => follow::Action::LeaveAlone,
            FollowAction::Repoint { upstream, create_slot } => follow::Action::Repoint(repoint(upstream, create_slot)),
            FollowAction::Rewind { upstream, create_slot } => follow::Action::Rewind(repoint(upstream, create_slot)),
            FollowAction::Rebuild { source, upstream, max_rate_kib } => follow::Action::Rebuild(follow::Rebuild {
                source: follow::RebuildSource::CopyFrom(number(source)),
                upstream: number(upstream),
                max_rate_kib,
            }),
        },
        wave: plan.wave,
        timeout: millis(plan.timeout),
        keep_routing: plan.keep_routing,
        why: said(&plan.why),
    }
}

/// Texts of servers, as they may stand in an answer.
fn said(text: &str) -> String {
    one_line(text, SAID_MAX_BYTES)
}

/// Longer than 49 days is as good as 49 days.
fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
