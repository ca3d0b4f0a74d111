//! Makes the others follow the new primary after a promotion: all that run and can follow as they are.
//!
//! The follow policy plans; what it may not do is checked here. A node that does not answer is left alone. What a node
//! needs is found by the fork: log that ends before it can follow as it is, log beyond it has to be rewound or
//! rebuilt. Whoever needs that, or returns later, is for [`rejoin`](super::rejoin).

use std::time::Duration;

use super::super::{
    action::{Ask, Effect, Urgency},
    name::Name,
    operation::{Kind, Operation},
    sight::SeenNode,
    state::Cause,
    verdict::{Capabilities, Divergence, FollowAction, FollowingStandby, PromotionEvent, StandbyPlan},
};
use super::{
    Machine,
    failover::STATEMENT_MAX,
    inquiry::{Inquiry, Turn},
    retry::{Afterwards, Retry},
    switchover::START_MAX,
    tasks::Progress,
};
use crate::id::Lsn;

/// Longest wait for the stream after a repoint: it takes some ten milliseconds, or will not come without help.
pub(super) const REPOINT_MAX: Duration = Duration::from_secs(5);

/// Copying a cluster takes as long as it takes.
pub(super) const COPY_MAX: Duration = Duration::from_secs(24 * 3600);

/// Tries of one step.
pub(super) const TRIES: u32 = 3;

/// What is known about who follows.
#[derive(Debug, Default)]
pub(super) struct Following {
    pub(super) plan: Inquiry<Vec<StandbyPlan>>,
    pub(super) plans: Option<Vec<StandbyPlan>>,
    /// What was asked about steps that failed.
    pub(super) retries: Vec<Retry>,
    /// How often the policy said something else then.
    pub(super) changes: u32,
    /// The node of a rejoin has to be stopped for it; found out before the first effect.
    pub(super) needs_stop: Option<bool>,
    /// The node of a rejoin was told whom to follow and does not: it is started anew.
    pub(super) restarts: bool,
    /// It has not answered since.
    pub(super) silent_since: Option<Duration>,
    /// How often rewinding or rebuilding it failed.
    pub(super) copies: u32,
    /// Who has strayed since when.
    pub(super) stray: Vec<(Name, Duration)>,
    /// Who is left alone until when.
    pub(super) resting: Vec<(Name, Duration)>,
    pub(super) begun: Duration,
}

impl Following {
    pub(super) fn at(now: Duration) -> Self {
        Self { begun: now, ..Self::default() }
    }
}

impl Machine {
    /// Goes on with what is under way, or finds something to do.
    pub(super) fn follow_up(&mut self) -> bool {
        match self.record.operation.clone() {
            None => self.look_for_strays(),
            Some(operation) => match operation.kind {
                Kind::Rejoin | Kind::Reinit => self.rejoin(&operation),
                Kind::Failover | Kind::ForcedFailover | Kind::Switchover => self.repair(&operation),
            },
        }
    }

    /// After a promotion: everybody who runs and can follows the new primary.
    fn repair(&mut self, operation: &Operation) -> bool {
        let Some(plans) = self.plans_for(None) else { return false };
        let mut open = false;
        let mut wave = None;
        for plan in &plans {
            let unfinished = wave.is_some_and(|wave| wave < plan.wave);
            if unfinished {
                break;
            }
            if self.is_plan_open(operation.id, plan) {
                open = true;
                wave = Some(plan.wave);
            }
        }
        if operation.kind == Kind::Switchover {
            open |= self.is_old_on_its_way(operation);
        }
        if open {
            return false;
        }
        self.close(Ok("everybody follows who can".into()));
        self.turn(Cause::Repaired);
        true
    }

    /// After a switchover the old primary starts, as a standby. It was told to follow the target; if another node
    /// became primary it must not begin to: what it would get there has the right timeline and the wrong log.
    fn is_old_on_its_way(&mut self, operation: &Operation) -> bool {
        let primary = self.record.route.primary.clone();
        let (Some(old), Some(primary)) = (operation.old.clone(), primary) else { return false };
        // What was seen of it before the promotion was before its stop.
        let up = self.seen(&old).is_some_and(|node| node.answers() && self.asked_after(node, self.route_since));
        if old == primary || up {
            return false;
        }
        if operation.target.as_ref() != Some(&primary) {
            let slot = self.slot_of(&old);
            let rewind = Effect::Rewind { source: primary.clone(), upstream: primary.clone(), slot };
            match self.want(operation.id, &old, rewind, COPY_MAX) {
                Progress::Pending => return true,
                Progress::Done(_) => {}
                Progress::Failing { tries, .. } => return tries < TRIES,
            }
        }
        // It looks for its slot as soon as it is up, and then after five seconds again. Without one it follows as well, when
        // it is found to stray.
        if let Some(slot) = self.slot_of(&old) {
            match self.want(operation.id, &primary, Effect::MakeSlot { slot }, STATEMENT_MAX) {
                Progress::Pending => return true,
                Progress::Failing { tries, .. } if tries < TRIES => return true,
                Progress::Done(_) | Progress::Failing { .. } => {}
            }
        }
        match self.want(operation.id, &old, Effect::Start, START_MAX) {
            Progress::Pending => true,
            Progress::Done(_) => false,
            Progress::Failing { tries, .. } => tries < TRIES,
        }
    }

    /// A plan of the repair that is not over yet. What takes a stop of the node is for later.
    fn is_plan_open(&mut self, operation: u64, plan: &StandbyPlan) -> bool {
        let Some((node, repoint)) = self.repoint_of(plan) else { return false };
        if !self.answers(&node) {
            return false;
        }
        if self.seen(&node).is_some_and(|seen| self.divergence(seen) != Divergence::None) {
            return false;
        }
        if let Some(failure) = self.tasks.failure_of(operation, &node, &repoint) {
            match self.after_failure(plan, &failure, None) {
                Afterwards::Unknown => return true,
                Afterwards::Again => {}
                Afterwards::Otherwise(next) => {
                    self.tell_of_the_deaf(node, &next);
                    return self.is_plan_open(operation, &next);
                }
            }
        }
        let within = plan.timeout.clamp(Duration::from_secs(1), REPOINT_MAX);
        match self.want(operation, &node, repoint, within) {
            Progress::Done(_) => false,
            Progress::Pending | Progress::Failing { .. } => true,
        }
    }

    /// Who answers and receives nothing, though it was told to, again and again. An upgrade of its package under the
    /// running server does that: the receiver that it would load is of another version.
    fn tell_of_the_deaf(&mut self, node: Name, next: &StandbyPlan) {
        let words = format!(
            "does not receive from the primary, as it was told to: its log says why, and REJOIN starts it anew ({})",
            next.why
        );
        self.tell(Urgency::Alert, "repoint", Some(node), words);
    }

    fn repoint_of(&self, plan: &StandbyPlan) -> Option<(Name, Effect)> {
        let FollowAction::Repoint { upstream, create_slot } = plan.action else { return None };
        let (node, upstream) = (self.name_of(plan.node)?, self.upstream(upstream, plan)?);
        let slot = self.slot_of(&node);
        Some((node, Effect::Repoint { upstream, slot, create_slot }))
    }

    /// Who the node streams from: the policy's choice if that follows the primary itself, or else the primary.
    pub(super) fn upstream(&self, wanted: crate::id::NodeId, plan: &StandbyPlan) -> Option<Name> {
        let primary = self.record.route.primary.clone()?;
        let chosen = self.name_of(wanted).filter(|_| wanted != plan.node);
        let follows = |name: &Name| {
            *name == primary
                || self.seen(name).is_some_and(|node| self.is_following(node)) && !self.is_quarantined(name)
        };
        Some(chosen.filter(follows).unwrap_or(primary))
    }

    /// The policy's plans, in the order of their waves; none until it has answered.
    pub(super) fn plans_for(&mut self, only: Option<&Name>) -> Option<Vec<StandbyPlan>> {
        if self.following.plans.is_some() {
            return self.following.plans.clone();
        }
        let mut plan = std::mem::take(&mut self.following.plan);
        let turn = plan.turn(self.now);
        self.following.plan = plan;
        let mut plans = match turn {
            Turn::Ask => {
                let event = self.promotion_event(only)?;
                if event.standbys.is_empty() {
                    Vec::new()
                } else {
                    self.following.plan = self.ask(Ask::Follow(event));
                    return None;
                }
            }
            Turn::Wait(until) => {
                self.wake_by(until);
                return None;
            }
            Turn::Answer(Ok(plans)) => plans,
            Turn::Answer(Err(why)) => self.plain_plans(only, &why)?,
        };
        plans.sort_by_key(|plan| plan.wave);
        self.following.plans = Some(plans.clone());
        self.following.retries.clear();
        self.following.changes = 0;
        Some(plans)
    }

    /// The same for one node.
    pub(super) fn plain_plan(&self, node: &Name, why: &str) -> Option<StandbyPlan> {
        let plans = self.plain_plans(Some(node), why)?;
        plans.into_iter().find(|plan| self.name_of(plan.node).as_ref() == Some(node))
    }

    /// What is done without a policy: everybody follows the primary itself.
    fn plain_plans(&self, only: Option<&Name>, why: &str) -> Option<Vec<StandbyPlan>> {
        let event = self.promotion_event(only)?;
        let upstream = event.new_primary.id;
        let plan = |standby: &FollowingStandby| StandbyPlan {
            node: standby.node.id,
            action: match standby.divergence {
                Divergence::None => FollowAction::Repoint { upstream, create_slot: true },
                Divergence::Ahead(_) | Divergence::Unknown => FollowAction::Rewind { upstream, create_slot: true },
            },
            wave: 0,
            timeout: REPOINT_MAX,
            keep_routing: true,
            why: format!("no plan by the policy: {why}"),
        };
        Some(event.standbys.iter().map(plan).collect())
    }

    /// What the follow policy is told: of all who run and are not deposed, or of one.
    pub(super) fn promotion_event(&self, only: Option<&Name>) -> Option<PromotionEvent> {
        let seen = self.sight.as_ref()?;
        let route = &self.record.route;
        let primary = seen.sight.node(route.primary.as_deref()?)?;
        let wanted = |node: &&SeenNode| match only {
            Some(only) => *only == *node.viewed.name,
            None => node.follows() && !route.is_primary(&node.viewed.name) && !route.is_deposed(&node.viewed.name),
        };
        let standbys = seen.sight.nodes.iter().filter(wanted).map(|node| FollowingStandby {
            node: node.viewed.clone(),
            divergence: self.divergence(node),
            capabilities: self.capabilities(node),
            following: self.is_following(node),
            downstream: (seen.sight.nodes.iter())
                .filter(|other| other.streams_from(node.viewed.id))
                .map(|other| other.viewed.id)
                .collect(),
            data_bytes: None,
        });
        let fork = route.fork();
        Some(PromotionEvent {
            now_unix_ms: self.unix_ms(),
            term: route.term,
            new_primary: primary.viewed.clone(),
            fork_timeline: route.timeline.saturating_sub(1),
            fork: fork.map_or(Lsn(0), |fork| fork.at),
            standbys: standbys.collect(),
        })
    }

    fn capabilities(&self, node: &SeenNode) -> Capabilities {
        let controlled = self.settings.node(&node.viewed.name).is_some_and(|node| node.controlled);
        Capabilities {
            reconfigure: node.answers(),
            restart: controlled,
            rewind: controlled,
            rebuild: controlled,
            wal_available: true,
            follows_latest: true,
        }
    }

    /// How its log relates to the fork after its timeline.
    pub(super) fn divergence(&self, node: &SeenNode) -> Divergence {
        let (Some(timeline), Some(received)) = (node.viewed.timeline, node.viewed.received) else {
            return Divergence::Unknown;
        };
        let route = &self.record.route;
        if timeline > route.timeline || !node.follows() && route.is_deposed(&node.viewed.name) {
            return Divergence::Unknown;
        }
        // One that was promoted itself wrote something first.
        let is_beyond = route.fork().is_none_or(|fork| received > fork.at);
        match route.forks.iter().find(|fork| fork.timeline > timeline) {
            Some(fork) if received > fork.at => Divergence::Ahead(received.0 - fork.at.0),
            // Deposed on the very timeline that another was promoted to: not the same one.
            None if timeline == route.timeline && is_beyond && self.is_namesake(node) => Divergence::Unknown,
            Some(_) | None => Divergence::None,
        }
    }

    /// It is deposed, says that it is on the route's timeline, and does not stream: that timeline may be its own.
    fn is_namesake(&self, node: &SeenNode) -> bool {
        self.record.route.is_deposed(&node.viewed.name) && !self.is_following(node)
    }

    /// What it streams is the primary's. Where from it streams may be unknown, unless it was deposed.
    pub(super) fn is_following(&self, node: &SeenNode) -> bool {
        let (Some(seen), route) = (&self.sight, &self.record.route) else { return false };
        let primary = route.primary.as_deref().and_then(|primary| seen.sight.node(primary));
        let nameless = node.follows()
            && !route.is_deposed(&node.viewed.name)
            && node.receiver.is_some_and(|receiver| {
                receiver.streaming && receiver.upstream.is_none() && receiver.timeline == Some(route.timeline)
            });
        nameless || primary.is_some_and(|primary| seen.sight.leads_to(node, primary.viewed.id, route.timeline))
    }

    pub(super) fn is_quarantined(&self, name: &str) -> bool {
        self.quarantine.iter().any(|entry| &*entry.node == name)
    }
}
