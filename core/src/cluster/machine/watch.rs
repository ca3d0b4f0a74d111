//! Between operations: is the primary well, and if not, is it to be replaced?

use std::time::Duration;

use super::super::{
    action::{Ask, Effect, Urgency},
    condition::{Condition, Proof, assess},
    name::Name,
    operation::{Kind, Step},
    quarantine,
    sight::{SeenNode, Sight},
    state::{Cause, State},
    sync_set::Electorate,
    verdict::Verdict,
};
use super::{
    Machine, Seen,
    inquiry::{Inquiry, Turn},
    tasks::Progress,
    upkeep::NO_OPERATION,
};

/// How long the first sight waits for nodes that nobody has looked at yet.
const FIRST_SIGHT_WAIT: Duration = Duration::from_secs(1);

/// From an answer that was not yes to the next question.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A disk of which clients hear nothing for so long has room again.
const DISK_FULL_FRESH: Duration = Duration::from_secs(60);

/// Dropping slots is one statement.
const SHED_MAX: Duration = Duration::from_secs(2);

/// Tries of that.
const SHED_TRIES: u32 = 3;

/// What is watched between operations.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) assess: Inquiry<Verdict>,
    /// Sessions of the primary are of no use now.
    pub(super) useless: bool,
    /// Why a verdict was not followed; told once.
    refused: Option<String>,
    /// Nodes that were primary and follow again: they keep log for others still.
    retired: Vec<Name>,
    /// Nodes with a full disk, as clients were told of late.
    full: Vec<Name>,
}

impl Machine {
    /// Takes a sight in.
    pub(super) fn look(&mut self, sight: Sight) {
        self.sight = Some(Seen { sight, at: self.now });
        let Some(seen) = &self.sight else { return };
        let route = &self.record.route;
        let primary = route.primary.as_ref().and_then(|primary| seen.sight.node(primary)).filter(|node| node.claims());
        if let Some(primary) = primary.filter(|node| node.viewed.timeline == Some(route.timeline)) {
            self.flushed = self.flushed.max(primary.viewed.received);
            self.confirmed = self.confirmed.max(self.record.electorate.confirmed_by(&primary.senders));
        }
        self.examine();
        self.weigh_standbys();
        self.tell_of_full_disks();
    }

    /// A full disk alone is no reason to fail over: another node's may be as full. Whoever can make room is told.
    fn tell_of_full_disks(&mut self) {
        let Some(seen) = &self.sight else { return };
        let is_full = |node: &&SeenNode| node.disk_full.is_some_and(|ago| ago < DISK_FULL_FRESH);
        let full: Vec<Name> =
            seen.sight.nodes.iter().filter(is_full).map(|node| Name::from(&node.viewed.name)).collect();
        let before = std::mem::replace(&mut self.watch.full, full.clone());
        for node in full.iter().filter(|node| !before.contains(node)) {
            let told = "clients are told that its disk is full (53100)";
            self.tell(Urgency::Alert, "disk-full", Some(node.clone()), told.to_owned());
        }
        for node in before.into_iter().filter(|node| !full.contains(node)) {
            self.tell(Urgency::Info, "disk-full", Some(node), "no client has been told so for a minute".to_owned());
        }
    }

    /// Who is in quarantine, and who may leave it.
    fn examine(&mut self) {
        let Some(seen) = &self.sight else { return };
        let exam = quarantine::Exam {
            record: &self.record,
            sight: &seen.sight,
            seen_at: seen.at,
            route_since: self.route_since,
            flushed: self.flushed,
            settings: &self.settings,
        };
        let findings = exam.run(&mut self.quarantine);
        for (node, offence) in findings.caught {
            self.tell(Urgency::Alert, "quarantine", Some(node), offence.words().to_owned());
        }
        if findings.released.is_empty() {
            return;
        }
        for node in findings.released {
            self.record.route.deposed.retain(|deposed| *deposed != node);
            self.tell(Urgency::Info, "release", Some(node.clone()), "follows the primary".to_owned());
            if !self.watch.retired.contains(&node) {
                self.watch.retired.push(node);
            }
        }
        self.log();
    }

    /// The first sight: takes up what the log holds, or finds out who is primary.
    pub(super) fn learn(&mut self) -> bool {
        let Some(seen) = &self.sight else { return false };
        let looked = seen.sight.nodes.iter().all(|node| node.checks > 0 || node.answers());
        if !looked && self.now < self.started + FIRST_SIGHT_WAIT {
            self.wake_by(self.started + FIRST_SIGHT_WAIT);
            return false;
        }
        if self.record.route.primary.is_none() && !self.crown_the_first() {
            return false;
        }
        self.publish_route();
        self.run = super::failover::Run::at(self.now);
        self.following = super::follow::Following::at(self.now);
        let Some(operation) = &mut self.record.operation else { return self.turn(Cause::Learned) };
        operation.step = operation.step.resumed();
        let cause = match (operation.kind, operation.step) {
            (Kind::Rejoin | Kind::Reinit, _) => Cause::Learned,
            (_, Step::Checkpoint | Step::Drain | Step::Arm | Step::Stop | Step::CatchUp) => Cause::FoundSwitchover,
            (_, Step::Fence | Step::Elect | Step::FastForward) => Cause::FoundFence,
            (_, Step::PresetSync | Step::Promote | Step::RecordFork | Step::Publish) => Cause::FoundPromote,
            (_, Step::Repair) => Cause::FoundRepair,
            (_, Step::Undo) => Cause::FoundUndo,
        };
        self.turn(cause)
    }

    /// Looks at the primary; if it is well, or nothing is to be done about it, does what is to be done otherwise.
    pub(super) fn watch(&mut self) -> bool {
        if self.accept_promotion_by_others() || self.notice_rival() {
            return true;
        }
        let condition = self.condition();
        self.watch.useless = !matches!(condition, Condition::Healthy | Condition::Doubtful { usable: true, .. });
        if !self.may_fail_over() {
            return self.turn(Cause::Pause) || self.work_in_background(condition == Condition::Healthy);
        }
        if self.state == State::Paused && self.turn(Cause::Resume) {
            return true;
        }
        match condition {
            Condition::Healthy => {
                self.watch.assess = Inquiry::Idle;
                self.watch.refused = None;
                self.turn(Cause::Back) || self.work_in_background(true)
            }
            Condition::Doubtful { why, until, .. } => {
                self.wake_in(until);
                self.turn_because(Cause::Doubt, why)
            }
            Condition::Recovering { left } => {
                self.wake_in(Some(left));
                self.turn(Cause::Recovering)
            }
            Condition::Lost(proof) => self.turn_because(Cause::Lost, proof.words()) || self.confirm(proof),
        }
    }

    /// The state of the route's primary.
    pub(super) fn condition(&self) -> Condition {
        let unknown = |why| Condition::Doubtful { usable: false, why, until: None };
        let Some(seen) = &self.sight else { return unknown("nothing has been seen yet") };
        let Some(primary) = self.record.route.primary.as_deref().and_then(|name| seen.sight.node(name)) else {
            return unknown("is not among the nodes");
        };
        let age = self.now - seen.at;
        let condition = assess(primary, &seen.sight, age, self.now - self.awake_since, &self.settings);
        match condition {
            // What it said before it became primary.
            Condition::Lost(Proof::Demoted) if !self.asked_after(primary, self.route_since) => Condition::Healthy,
            Condition::Healthy if primary.viewed.timeline.is_some_and(|theirs| theirs < self.record.route.timeline) => {
                if self.asked_after(primary, self.route_since) {
                    unknown("takes writes on an older timeline")
                } else {
                    condition
                }
            }
            condition => condition,
        }
    }

    /// The facts say that it is lost: may it be replaced now?
    fn confirm(&mut self, proof: Proof) -> bool {
        // An armed primary that has restarted waits to be promoted again.
        let restarted = proof == Proof::Demoted && self.settings.armed_primary;
        if let Some(left) = self.guard().filter(|_| !restarted) {
            self.refuse(format!("the last failover is less than {:?} ago", self.settings.failover_interval));
            self.wake_in(Some(left));
            return false;
        }
        let mut assess = std::mem::take(&mut self.watch.assess);
        let turn = assess.turn(self.now);
        self.watch.assess = assess;
        let again = self.now + ASK_AGAIN;
        match turn {
            Turn::Ask => {
                let Some(view) = self.view() else { return false };
                self.watch.assess = self.ask(Ask::Assess(view));
            }
            Turn::Wait(until) => self.wake_by(until),
            Turn::Answer(Ok(Verdict::FailOver(why))) => {
                let fenced = matches!(self.record.electorate, Electorate::Quorum { .. });
                if proof != Proof::CutOff || fenced {
                    return self.fail_over(proof, &why);
                }
                self.refuse(format!("the policy says to fail over ({why}), but the standbys hear the primary"));
                self.rest_until(again);
            }
            Turn::Answer(Ok(Verdict::Wait(time, why))) => {
                self.refuse(format!("the policy waits: {why}"));
                self.rest_until(self.now + time.min(ASK_AGAIN));
            }
            Turn::Answer(Ok(Verdict::Healthy)) => {
                self.refuse("the policy finds it healthy".into());
                self.rest_until(again);
            }
            Turn::Answer(Ok(Verdict::Hold(why)) | Err(why)) => {
                self.refuse(format!("the policy holds: {why}"));
                self.rest_until(again);
            }
        }
        false
    }

    fn fail_over(&mut self, proof: Proof, why: &str) -> bool {
        self.watch.refused = None;
        self.begin(Kind::Failover, Step::Fence, format!("{}; the policy: {why}", proof.words()), |_| {});
        self.turn_because(Cause::Approved, why)
    }

    /// How long the last failover forbids another.
    fn guard(&self) -> Option<Duration> {
        let passed = Duration::from_millis(self.unix_ms().saturating_sub(self.record.promoted_unix_ms?));
        self.settings.failover_interval.checked_sub(passed).filter(|left| !left.is_zero())
    }

    fn rest_until(&mut self, until: Duration) {
        self.watch.assess = Inquiry::Resting(until);
        self.wake_by(until);
    }

    /// Says once why nothing happens.
    fn refuse(&mut self, why: String) {
        if self.watch.refused.as_ref() != Some(&why) {
            self.why.clone_from(&why);
            self.tell(Urgency::Alert, "failover", None, format!("refused: {why}"));
            self.watch.refused = Some(why);
        }
    }

    pub(super) fn wake_in(&mut self, time: Option<Duration>) {
        if let Some(time) = time {
            self.wake_by(self.now + time);
        }
    }

    /// What goes on beside the watch.
    fn work_in_background(&mut self, healthy: bool) -> bool {
        if !healthy {
            return false;
        }
        self.shed_slots();
        self.follow_up() || self.keep_sync_set() || self.keep_armed()
    }

    /// Whoever was primary and follows again has no use for the slots of the others, which would fill its disk.
    fn shed_slots(&mut self) {
        for node in std::mem::take(&mut self.watch.retired) {
            if self.record.route.is_primary(&node) {
                continue;
            }
            match self.want(NO_OPERATION, &node, Effect::DropSlots, SHED_MAX) {
                Progress::Done(_) => self.tasks.renew(&node, &Effect::DropSlots),
                Progress::Failing { tries, .. } if tries >= SHED_TRIES => self.tasks.renew(&node, &Effect::DropSlots),
                Progress::Pending | Progress::Failing { .. } => self.watch.retired.push(node),
            }
        }
    }
}
