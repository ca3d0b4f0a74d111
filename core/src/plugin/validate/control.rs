//! Checks what policies of the control plane return, and turns it into the host's words.
//!
//! What is checked here is that an answer makes sense at all: nodes that exist and are named once, times
//! that somebody may mean. Whether it is safe to follow is decided where it is followed.

use std::{collections::HashSet, ops::RangeInclusive, time::Duration};

use super::{Invalid, NODES_MAX, TEXT_MAX_BYTES, check_len, millis};
use crate::{
    cluster::{
        verdict::{
            Election, FollowAction, Promotion, PromotionEvent, Ranked, StandbyPlan, StandbySet, SyncDecision,
            SyncMethod, Verdict,
        },
        view::View,
    },
    id::{Lsn, NodeId},
    plugin::{
        host::one_line,
        v0_1::{failover, follow_primary as follow, sync_set},
    },
};

/// How soon and how late a policy may want to be asked again.
const AGAIN: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(600);

/// How long a candidate may take to replay.
const CATCH_UP_MAX: Duration = Duration::from_secs(3600);

/// How long one standby may take to follow; building one with terabytes takes days.
const STEP: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(7 * 86_400);

/// An answer of `setup`: how often to ask.
pub(crate) fn tick(given: u32) -> Result<Duration, Invalid> {
    within("the tick", given, AGAIN)
}

/// An answer of `assess`.
pub(crate) fn assessment(given: failover::Verdict) -> Result<Verdict, Invalid> {
    Ok(match given {
        failover::Verdict::Healthy => Verdict::Healthy,
        failover::Verdict::Wait((time, why)) => Verdict::Wait(within("the wait", time, AGAIN)?, reason(&why)),
        failover::Verdict::Hold(why) => Verdict::Hold(reason(&why)),
        failover::Verdict::FailOver(why) => Verdict::FailOver(reason(&why)),
    })
}

/// An answer of `elect`.
pub(crate) fn election(given: failover::Election, view: &View, target: Option<NodeId>) -> Result<Election, Invalid> {
    Ok(match given {
        failover::Election::Promote(promotion) => Election::Promote(self::promotion(promotion, view, target)?),
        failover::Election::Retry((time, why)) => Election::Retry(within("the wait", time, AGAIN)?, reason(&why)),
        failover::Election::Abstain(why) => Election::Abstain(reason(&why)),
    })
}

fn promotion(given: failover::Promotion, view: &View, target: Option<NodeId>) -> Result<Promotion, Invalid> {
    let nodes = named_once("candidates", given.candidates.iter().map(|candidate| candidate.node), view)?;
    if let (Some(target), Some(other)) = (target, nodes.iter().find(|node| Some(**node) != target)) {
        return Err(Invalid::NotTheTarget { target, other: *other });
    }
    let candidates = nodes.into_iter().zip(given.candidates);
    let ranked = |(node, given): (NodeId, failover::Ranked)| {
        let why = reason(&given.why);
        Ranked { node, score: given.score, why }
    };
    Ok(Promotion {
        candidates: candidates.map(ranked).collect(),
        wait_for: given.wait_for.map(Lsn),
        catch_up: within("the time to catch up", given.catch_up, Duration::ZERO..=CATCH_UP_MAX)?,
        max_loss_bytes: given.max_loss_bytes,
    })
}

/// An answer of `plan`: standbys that are not in it are left alone.
pub(crate) fn plans(given: Vec<follow::StandbyPlan>, event: &PromotionEvent) -> Result<Vec<StandbyPlan>, Invalid> {
    check_len("plans", given.len(), NODES_MAX)?;
    let mut seen = HashSet::new();
    let check = |given: follow::StandbyPlan| {
        let plan = plan(given, event)?;
        if seen.insert(plan.node) { Ok(plan) } else { Err(Invalid::Twice { list: "plans", node: plan.node }) }
    };
    let plans: Vec<_> = given.into_iter().map(check).collect::<Result<_, _>>()?;
    check_upstreams(&plans)?;
    Ok(plans)
}

/// An answer of `retry`.
pub(crate) fn next_plan(
    given: follow::StandbyPlan,
    failed: NodeId,
    event: &PromotionEvent,
) -> Result<StandbyPlan, Invalid> {
    let plan = plan(given, event)?;
    if plan.node == failed { Ok(plan) } else { Err(Invalid::NotTheTarget { target: failed, other: plan.node }) }
}

fn plan(given: follow::StandbyPlan, event: &PromotionEvent) -> Result<StandbyPlan, Invalid> {
    let node = standby(given.node, event)?;
    Ok(StandbyPlan {
        node,
        action: action(given.action, node, event)?,
        wave: given.wave,
        timeout: within("the timeout", given.timeout, STEP)?,
        keep_routing: given.keep_routing,
        why: reason(&given.why),
    })
}

fn action(given: follow::Action, node: NodeId, event: &PromotionEvent) -> Result<FollowAction, Invalid> {
    let from = |id| {
        let new_primary = event.new_primary.id;
        let from = if id == u32::from(new_primary.0) { new_primary } else { standby(id, event)? };
        if from == node { Err(Invalid::OwnUpstream { node }) } else { Ok(from) }
    };
    Ok(match given {
        follow::Action::LeaveAlone => FollowAction::LeaveAlone,
        follow::Action::Repoint(to) => {
            FollowAction::Repoint { upstream: from(to.upstream)?, create_slot: to.create_slot }
        }
        follow::Action::Rewind(to) => {
            FollowAction::Rewind { upstream: from(to.upstream)?, create_slot: to.create_slot }
        }
        follow::Action::Rebuild(rebuild) => FollowAction::Rebuild {
            source: match rebuild.source {
                follow::RebuildSource::CopyFrom(id) => from(id)?,
                follow::RebuildSource::FromBackup(_) => return Err(Invalid::NoSuchBackup),
            },
            upstream: from(rebuild.upstream)?,
            max_rate_kib: rebuild.max_rate_kib.filter(|rate| *rate > 0),
        },
    })
}

/// The old primary is none of them, so it cannot be named.
fn standby(id: u32, event: &PromotionEvent) -> Result<NodeId, Invalid> {
    let standbys = event.standbys.iter().map(|standby| standby.node.id);
    standbys.into_iter().find(|standby| u32::from(standby.0) == id).ok_or(Invalid::NoSuchStandby { id })
}

/// Standbys that would stream from each other in a circle would never hear of anything again.
fn check_upstreams(plans: &[StandbyPlan]) -> Result<(), Invalid> {
    let upstream = |node: NodeId| {
        let plan = plans.iter().find(|plan| plan.node == node)?;
        match plan.action {
            FollowAction::LeaveAlone => None,
            FollowAction::Repoint { upstream, .. }
            | FollowAction::Rewind { upstream, .. }
            | FollowAction::Rebuild { upstream, .. } => Some(upstream),
        }
    };
    for plan in plans {
        let way = std::iter::successors(upstream(plan.node), |node| upstream(*node));
        if way.take(plans.len() + 1).any(|node| node == plan.node) {
            return Err(Invalid::Circle { node: plan.node });
        }
    }
    Ok(())
}

/// An answer of `decide`.
pub(crate) fn sync_decision(given: sync_set::Decision, view: &View) -> Result<SyncDecision, Invalid> {
    Ok(match given {
        sync_set::Decision::Keep => SyncDecision::Keep,
        sync_set::Decision::Change(set) => SyncDecision::Change(standby_set(set, view)?),
        sync_set::Decision::None(why) => SyncDecision::Nobody(reason(&why)),
    })
}

fn standby_set(given: sync_set::StandbySet, view: &View) -> Result<StandbySet, Invalid> {
    let members = named_once("members", given.members.iter().copied(), view)?;
    if let Some(primary) = view.primary.filter(|primary| members.contains(primary)) {
        return Err(Invalid::WaitsForItself { node: primary });
    }
    if !(1..=members.len()).contains(&given.count.into()) {
        return Err(Invalid::Count { count: given.count, members: members.len() });
    }
    Ok(StandbySet {
        method: match given.method {
            sync_set::SyncMethod::First => SyncMethod::First,
            sync_set::SyncMethod::Any => SyncMethod::Any,
        },
        count: given.count,
        members: members.iter().map(|id| view.nodes[id.index()].name.to_string()).collect(),
    })
}

/// Some nodes of the cluster, each once.
fn named_once(
    list: &'static str,
    ids: impl ExactSizeIterator<Item = u32>,
    view: &View,
) -> Result<Vec<NodeId>, Invalid> {
    check_len(list, ids.len(), NODES_MAX)?;
    let mut nodes: Vec<NodeId> = Vec::with_capacity(ids.len());
    for id in ids {
        let known = u16::try_from(id).map(NodeId).ok().filter(|id| id.index() < view.nodes.len());
        let node = known.ok_or(Invalid::NoSuchNode { id })?;
        if nodes.contains(&node) {
            return Err(Invalid::Twice { list, node });
        }
        nodes.push(node);
    }
    if nodes.is_empty() { Err(Invalid::Nobody { list }) } else { Ok(nodes) }
}

fn within(what: &'static str, given: u32, range: RangeInclusive<Duration>) -> Result<Duration, Invalid> {
    let given = millis(given);
    if range.contains(&given) {
        Ok(given)
    } else {
        Err(Invalid::OutOfRange { what, given, min: *range.start(), max: *range.end() })
    }
}

/// What operators are told. No decision fails for the words that come with it.
fn reason(given: &str) -> String {
    one_line(given, TEXT_MAX_BYTES)
}

#[cfg(test)]
mod tests;
