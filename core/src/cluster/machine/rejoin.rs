//! Makes one node follow that does not: it returned, was left behind, or an operator ordered it.

use std::time::Duration;

use super::super::{
    action::{Effect, Urgency},
    name::Name,
    operation::{Kind, Operation, Step},
    quarantine::Offence,
    settings::RejoinMode,
    verdict::{Divergence, FollowAction, StandbyPlan},
};
use super::{
    Machine,
    follow::{COPY_MAX, REPOINT_MAX, TRIES},
    orders::ORDERED,
    retry::Afterwards,
    switchover::START_MAX,
    tasks::{Failure, Progress},
};

/// How long a standby may be without its stream before it is made to follow. A receiver that lost its primary tries again
/// after `wal_retrieve_retry_interval`, 5 s unless it is set.
const STRAY_AFTER: Duration = Duration::from_secs(6);

/// After a node could not be made to follow, when that is tried again.
const REST: Duration = Duration::from_secs(15);

/// How long a node that is made to follow may be silent. A busy machine is for a moment.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// A checkpoint on the primary: a rewind against one that had none since its promotion finds nothing to do.
const CHECKPOINT_MAX: Duration = Duration::from_secs(600);

/// An effect, on which node, and how long it may take.
type Wanted = (Name, Effect, Duration);

impl Machine {
    /// Nodes that answer and do not follow, for some time already.
    pub(super) fn look_for_strays(&mut self) -> bool {
        if self.settings.rejoin == RejoinMode::Off {
            return false;
        }
        let Some(seen) = &self.sight else { return false };
        let strays: Vec<Name> = (seen.sight.nodes.iter())
            .filter(|node| node.answers() && !node.replay_paused && self.asked_after(node, self.following.begun))
            .filter(|node| !self.record.route.is_primary(&node.viewed.name) && !self.is_following(node))
            .map(|node| Name::from(&node.viewed.name))
            .collect();
        let now = self.now;
        let misled: Vec<Name> = strays.iter().filter(|name| self.is_misled(name)).cloned().collect();
        let following = &mut self.following;
        following.stray.retain(|(name, _)| strays.contains(name));
        following.resting.retain(|(_, until)| now < *until);
        for name in strays {
            if !following.stray.iter().any(|(known, _)| *known == name) {
                following.stray.push((name, now));
            }
        }
        let due = |(name, since): &(Name, Duration)| if misled.contains(name) { *since } else { *since + STRAY_AFTER };
        let later = following.stray.iter().map(due).filter(|due| *due > now).min();
        let ripe: Vec<Name> =
            following.stray.iter().filter(|stray| now >= due(stray)).map(|(name, _)| name.clone()).collect();
        if let Some(later) = later {
            self.wake_by(later);
        }
        let next = ripe.into_iter().find(|name| self.may_rejoin(name));
        let Some(node) = next else { return false };
        self.begin(Kind::Rejoin, Step::Repair, format!("{node} does not follow the primary"), |operation| {
            operation.target = Some(node);
        });
        true
    }

    /// It streams from a node that was deposed: each moment may bring it log that it has to get rid of again.
    fn is_misled(&self, name: &str) -> bool {
        let upstream = self.seen(name).and_then(|node| node.receiver).filter(|receiver| receiver.streaming);
        let upstream = upstream.and_then(|receiver| receiver.upstream).and_then(|id| self.name_of(id));
        upstream.is_some_and(|upstream| self.record.route.is_deposed(&upstream))
    }

    /// Without an operator's word: what it needs must be allowed, and its last try some time ago.
    fn may_rejoin(&self, name: &Name) -> bool {
        let Some(node) = self.seen(name) else { return false };
        let offence = self.quarantine.iter().find(|entry| entry.node == *name).map(|entry| entry.offence);
        let rests = self.following.resting.iter().any(|(resting, _)| resting == name);
        let simple = node.follows() && self.divergence(node) == Divergence::None;
        let controlled = self.is_controlled(name);
        !rests
            && !matches!(offence, Some(Offence::Stranger | Offence::Rival))
            && (simple || self.settings.rejoin == RejoinMode::Repair && controlled)
    }

    /// One node is made to follow.
    pub(super) fn rejoin(&mut self, operation: &Operation) -> bool {
        let Some(node) = operation.target.clone() else { return self.end_rejoin(Err("no node".into())) };
        let Some(primary) = self.record.route.primary.clone() else { return false };
        if node == primary {
            return self.end_rejoin(Err(format!("{node} is the primary")));
        }
        let Some(plans) = self.plans_for(Some(&node)) else { return false };
        let plan = plans.into_iter().find(|plan| self.name_of(plan.node).as_ref() == Some(&node));
        let needs_stop = self.following.needs_stop.unwrap_or_else(|| {
            operation.kind == Kind::Reinit
                || self.seen(&node).is_none_or(|seen| !seen.follows() || self.divergence(seen) != Divergence::None)
        });
        self.following.needs_stop = Some(needs_stop);
        if !needs_stop && !self.following.restarts && !self.answers(&node) {
            let until = *self.following.silent_since.get_or_insert(self.now) + SILENCE_MAX;
            if self.now >= until {
                return self.end_rejoin(Err(format!("{node} does not answer any more")));
            }
            self.wake_by(until);
            return false;
        }
        self.following.silent_since = None;
        if !needs_stop && self.seen(&node).is_some_and(|seen| self.divergence(seen) != Divergence::None) {
            // It may be tried again at once, and otherwise.
            let ended = self.end_rejoin(Err(format!("{node} got log meanwhile that the primary lacks")));
            self.following.resting.retain(|(name, _)| *name != node);
            return ended;
        }
        let leaves_alone = plan.as_ref().is_none_or(|plan| plan.action == FollowAction::LeaveAlone);
        let plan = match plan {
            Some(plan) if operation.kind == Kind::Reinit || !leaves_alone => plan,
            // Policies leave alone what is no running standby. Whether it comes back, others have decided.
            left if needs_stop || operation.why == ORDERED => {
                let Some(plan) = self.plain_plan(&node, left.as_ref().map_or("it has none", |plan| &plan.why)) else {
                    return false;
                };
                plan
            }
            left => {
                let why = left.map_or_else(String::new, |plan| format!(": {}", plan.why));
                return self.end_rejoin(Ok(format!("the policy leaves {node} alone{why}")));
            }
        };
        let Some(steps) = self.steps_for(operation.kind, &node, primary, &plan, needs_stop) else { return false };
        if steps.len() > 1 && !self.is_controlled(&node) {
            return self
                .end_rejoin(Err(format!("{node} has to be rewound or rebuilt, and cannot be stopped from here")));
        }
        self.walk(operation, steps, &node, &plan)
    }

    fn is_controlled(&self, node: &Name) -> bool {
        self.settings.node(node).is_some_and(|settings| settings.controlled)
    }

    /// What is done for a plan, and on which node.
    fn steps_for(
        &self,
        kind: Kind,
        node: &Name,
        primary: Name,
        plan: &StandbyPlan,
        needs_stop: bool,
    ) -> Option<Vec<Wanted>> {
        let slot = self.slot_of(node);
        if self.following.restarts {
            return Some(vec![(node.clone(), Effect::Stop, START_MAX), (node.clone(), Effect::Start, START_MAX)]);
        }
        Some(match (kind, &plan.action) {
            (Kind::Rejoin, FollowAction::Repoint { upstream, create_slot }) if !needs_stop => {
                let upstream = self.upstream(*upstream, plan)?;
                vec![(node.clone(), Effect::Repoint { upstream, slot, create_slot: *create_slot }, REPOINT_MAX)]
            }
            (Kind::Rejoin, FollowAction::Repoint { upstream, .. } | FollowAction::Rewind { upstream, .. }) => {
                let upstream = self.upstream(*upstream, plan)?;
                let rewind = Effect::Rewind { source: primary.clone(), upstream, slot };
                vec![
                    (primary, Effect::Checkpoint, CHECKPOINT_MAX),
                    (node.clone(), Effect::Stop, START_MAX),
                    (node.clone(), rewind, COPY_MAX),
                    (node.clone(), Effect::Start, START_MAX),
                ]
            }
            (_, action) => {
                let max_rate_kib = match action {
                    FollowAction::Rebuild { max_rate_kib, .. } => *max_rate_kib,
                    FollowAction::LeaveAlone | FollowAction::Repoint { .. } | FollowAction::Rewind { .. } => None,
                };
                let rebuild = Effect::Rebuild { source: primary.clone(), upstream: primary, slot, max_rate_kib };
                vec![
                    (node.clone(), Effect::Stop, START_MAX),
                    (node.clone(), rebuild, COPY_MAX),
                    (node.clone(), Effect::Start, START_MAX),
                ]
            }
        })
    }

    /// One effect after the other. The plan was made before the first, and holds until the last.
    fn walk(&mut self, operation: &Operation, steps: Vec<Wanted>, node: &Name, plan: &StandbyPlan) -> bool {
        for (on, effect, within) in steps {
            let failure = self.tasks.failure_of(operation.id, &on, &effect).filter(|_| is_of_the_plan(&effect));
            if let Some(failure) = failure
                && let Some(ended) = self.go_on_after(operation, node, plan, &effect, failure)
            {
                return ended;
            }
            match self.want(operation.id, &on, effect.clone(), within) {
                Progress::Done(_) => {}
                Progress::Failing { tries, why, .. } if tries == 0 || tries >= TRIES && !is_of_the_plan(&effect) => {
                    return self.end_rejoin(Err(format!("{} on {on}: {why}", effect.word())));
                }
                Progress::Pending | Progress::Failing { .. } => return false,
            }
        }
        self.end_rejoin(Ok(format!("{node} follows the primary")))
    }

    /// What the plan wants failed. None when it is to be tried again.
    fn go_on_after(
        &mut self,
        operation: &Operation,
        node: &Name,
        plan: &StandbyPlan,
        effect: &Effect,
        mut failure: Failure,
    ) -> Option<bool> {
        let copies = !matches!(effect, Effect::Repoint { .. });
        if failure.unknown && !copies && self.may_be_started_anew(operation, node) {
            self.following.restarts = true;
            return Some(true);
        }
        if copies {
            failure.tries = self.following.copies + 1;
        }
        let why = format!("{} on {node}: {}", effect.word(), failure.why);
        match self.after_failure(plan, &failure, Some(node)) {
            Afterwards::Unknown => Some(false),
            Afterwards::Again if copies => {
                // Somebody may have started it meanwhile: from the stop on again.
                self.following.copies += 1;
                self.tasks.renew(node, &Effect::Stop);
                self.tasks.renew(node, effect);
                Some(true)
            }
            Afterwards::Again => None,
            Afterwards::Otherwise(next) => Some(self.take_another_plan(operation, node, &next, why)),
        }
    }

    /// A stronger step, if it is allowed, or none.
    fn take_another_plan(&mut self, operation: &Operation, node: &Name, next: &StandbyPlan, why: String) -> bool {
        let stops = match next.action {
            FollowAction::LeaveAlone => return self.end_rejoin(Err(why)),
            FollowAction::Repoint { .. } => false,
            FollowAction::Rewind { .. } | FollowAction::Rebuild { .. } => true,
        };
        if stops && operation.why != ORDERED && self.settings.rejoin != RejoinMode::Repair {
            return self.end_rejoin(Err(format!(
                "{why}; the policy would have it rewound or built anew, which auto_rejoin does not allow: REJOIN does"
            )));
        }
        self.tell(Urgency::Warning, "rejoin", Some(node.clone()), format!("{why}; the policy goes on: {}", next.why));
        self.following.needs_stop = Some(stops);
        self.following.copies = 0;
        self.tasks.renew(node, &Effect::Stop);
        true
    }

    /// That helps a server whose package was upgraded under it. It would end a pause of the replay, too.
    fn may_be_started_anew(&self, operation: &Operation, node: &Name) -> bool {
        let paused = self.seen(node).is_none_or(|seen| seen.replay_paused);
        operation.why == ORDERED && !paused && self.is_controlled(node)
    }

    fn end_rejoin(&mut self, result: Result<String, String>) -> bool {
        let node = self.record.operation.as_ref().and_then(|operation| operation.target.clone());
        if let Some(node) = node {
            self.following.resting.push((node.clone(), self.now + REST));
            self.following.stray.retain(|(name, _)| *name != node);
        }
        self.close(result);
        self.following.plans = None;
        self.following.needs_stop = None;
        self.following.restarts = false;
        self.following.copies = 0;
        self.following.silent_since = None;
        true
    }
}

/// It is what a plan says, and not what has to come before or after.
fn is_of_the_plan(effect: &Effect) -> bool {
    matches!(effect, Effect::Repoint { .. } | Effect::Rewind { .. } | Effect::Rebuild { .. })
}
