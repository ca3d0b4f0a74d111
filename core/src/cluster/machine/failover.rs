//! Replaces the primary: detach, elect, promote, publish.
//!
//! What fences the old primary is the standbys: once enough of them receive from it no more, no commit of it can
//! be acknowledged, whatever state it is in. Until the candidate is chosen everything can be undone; from
//! [`Step::PresetSync`] on the operation goes forward, with this candidate or, if that one is certainly not coming
//! back before it is replaced too, with another.

use std::time::Duration;

use super::super::{
    action::{Ask, Effect, Finding, Urgency},
    election::{Ballot, Heard, Safe},
    name::Name,
    operation::{Kind, Operation, Step},
    settings::{NodeSettings, SyncMode},
    sight::{Door, Held, SeenNode},
    state::{Cause, State},
    sync_set::Electorate,
    verdict::{Election, StandbySet, SyncMethod, Trigger},
};
use super::{
    Machine,
    inquiry::{Inquiry, Turn},
    promote::Ascent,
    tasks::Progress,
};
use crate::id::Lsn;

/// Detaching takes some ten milliseconds, or the standby has trouble of its own.
const DETACH_MAX: Duration = Duration::from_secs(2);

/// How long those who are not needed are waited for, once those are detached who are.
const DETACH_PATIENCE: Duration = Duration::from_millis(400);

/// Whatever is one statement.
pub(super) const STATEMENT_MAX: Duration = Duration::from_secs(2);

/// Streaming to another standby what it lacks.
const FORWARD_MAX: Duration = Duration::from_secs(10);

/// With nobody safe to promote, how often that is looked into anew.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Tries on a candidate that answers and refuses, before another is taken.
pub(super) const CANDIDATE_TRIES: u32 = 3;

/// What an operation has found out in this life of the proxy.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) step_since: Duration,
    /// Those who were detached, and how far they are.
    heard: Vec<Heard>,
    /// It was said that there is nobody to promote, and why.
    stuck: Option<String>,
    /// When that was looked into last.
    stuck_since: Duration,
    /// Nobody is brought forward any more: it failed.
    no_forwarding: bool,
    safe: Option<Safe>,
    /// How far the policy wants the candidate to have replayed before its promotion, and until when it waits for that.
    pub(super) replay_first: Option<(Lsn, Duration)>,
    pub(super) ascent: Option<Ascent>,
}

impl Run {
    pub(super) fn at(now: Duration) -> Self {
        Self { step_since: now, ..Self::default() }
    }
}

impl Machine {
    /// Fence, and No-Primary-Safe: detaches whoever answers until an election can be held.
    pub(super) fn fence(&mut self) -> bool {
        let Some(operation) = self.record.operation.clone() else { return self.turn(Cause::Overtaken) };
        if self.accept_promotion_by_others() {
            self.close(Err("another node was promoted meanwhile".into()));
            return self.turn(Cause::Overtaken);
        }
        if self.notice_rival() {
            return true;
        }
        if self.may_call_off(&operation) {
            self.enter(Step::Undo);
            return self.turn(Cause::CallOff);
        }
        if let Some(back) = self.promoted_after_all(&operation) {
            return self.take_back(&back);
        }
        if let Some(old) = operation.old.clone().filter(|old| !self.answers(old)) {
            // Sessions that hang on to it are in nobody's interest; nothing waits for this.
            _ = self.want(operation.id, &old, Effect::CloseServers, STATEMENT_MAX);
        }
        let pending = self.detach_all(&operation);
        let quorate = self.ballot().is_some_and(|ballot| ballot.quorate());
        if self.state == State::NoPrimarySafe {
            if operation.kind == Kind::Switchover {
                self.bring_old_back(&operation);
            }
            if self.now < self.run.stuck_since + TRY_AGAIN {
                self.wake_by(self.run.stuck_since + TRY_AGAIN);
                return false;
            }
            self.run.stuck_since = self.now;
            self.forgive();
        }
        let patient = self.run.step_since + DETACH_PATIENCE;
        if quorate && (!pending || self.now >= patient) {
            return self.hold_election();
        }
        self.wake_by(patient);
        let limit = self.run.step_since + self.settings.fence_timeout;
        if !quorate && self.state == State::Fence {
            if self.now >= limit || !pending && self.nobody_left() {
                return self.get_stuck("those who answer may lack commits that were acknowledged");
            }
            self.wake_by(limit);
        }
        false
    }

    /// A candidate that was given up claims now that it was promoted, and nobody else has been chosen.
    pub(super) fn promoted_after_all(&self, operation: &Operation) -> Option<Name> {
        operation.failed.iter().find(|name| self.has_been_promoted(name)).cloned()
    }

    pub(super) fn take_back(&mut self, candidate: &Name) -> bool {
        self.record.route.deposed.retain(|deposed| deposed != candidate);
        if let Some(operation) = &mut self.record.operation {
            operation.failed.retain(|failed| failed != candidate);
            operation.candidate = Some(candidate.clone());
        }
        self.enter(Step::PresetSync);
        self.turn_because(Cause::CandidateBack, candidate);
        true
    }

    /// Nobody else is there: a candidate that failed and is in recovery still may be tried again.
    fn forgive(&mut self) {
        let Some(mut operation) = self.record.operation.take() else { return };
        operation.failed.retain(|name| !self.seen(name).is_some_and(SeenNode::follows));
        self.record.operation = Some(operation);
    }

    /// Detaches every standby that answers, all at once. True while some are under way.
    fn detach_all(&mut self, operation: &Operation) -> bool {
        let mut pending = false;
        for name in self.standbys_that_answer() {
            match self.want(operation.id, &name, Effect::Detach, DETACH_MAX) {
                Progress::Pending => pending = true,
                Progress::Failing { .. } => {}
                Progress::Done(Finding::Position { at, timeline }) => {
                    if !self.run.heard.iter().any(|heard| heard.node == name) {
                        self.run.heard.push(Heard { node: name, at, timeline });
                    }
                }
                Progress::Done(_) => {}
            }
        }
        pending
    }

    /// All nodes in recovery that answer, the old primary too if it has become one.
    pub(super) fn standbys_that_answer(&self) -> Vec<Name> {
        let Some(seen) = &self.sight else { return Vec::new() };
        let system = self.record.route.system;
        let ours = |node: &&SeenNode| system.is_none() || node.system.is_none() || node.system == system;
        let standbys = seen.sight.nodes.iter().filter(|node| node.follows()).filter(ours);
        standbys.map(|node| Name::from(&node.viewed.name)).collect()
    }

    /// Nobody who does not answer yet could be expected to.
    fn nobody_left(&self) -> bool {
        self.sight
            .as_ref()
            .is_some_and(|seen| seen.sight.nodes.iter().all(|node| node.answers() || self.is_gone(&node.viewed.name)))
    }

    fn ballot(&self) -> Option<Ballot<'_>> {
        Some(Ballot {
            record: &self.record,
            operation: self.record.operation.as_ref()?,
            settings: &self.settings,
            sight: &self.sight.as_ref()?.sight,
            heard: &self.run.heard,
            forwarding: !self.run.no_forwarding,
        })
    }

    /// Finds the safe set; the next state asks the policy.
    fn hold_election(&mut self) -> bool {
        match self.ballot().map(|ballot| ballot.count()) {
            Some(Ok(safe)) => {
                self.run.safe = Some(safe);
                self.enter_unlogged(Step::Elect);
                self.turn(Cause::Fenced)
            }
            Some(Err(why)) => self.get_stuck(&why),
            None => self.get_stuck("the election was lost"),
        }
    }

    fn enter_unlogged(&mut self, step: Step) {
        if let Some(operation) = &mut self.record.operation {
            operation.step = step;
        }
        self.elect = Inquiry::Idle;
    }

    /// An operator is called, once; detaching goes on.
    fn get_stuck(&mut self, why: &str) -> bool {
        self.enter_unlogged(Step::Fence);
        self.run.no_forwarding = false;
        let moved = self.turn_because(Cause::Unsafe, why);
        self.run.stuck_since = self.now;
        if self.run.stuck.as_deref() != Some(why) {
            self.run.stuck = Some(why.to_owned());
            self.why = why.to_owned();
            self.tell(Urgency::Alert, "elect", None, format!("no safe candidate: {why}"));
            self.answer(Err(why.to_owned()));
        }
        moved
    }

    /// Elect: the policy chooses from the safe set.
    pub(super) fn elect(&mut self) -> bool {
        let (Some(operation), Some(safe)) = (self.record.operation.clone(), self.run.safe.clone()) else {
            return self.get_stuck("the election was lost");
        };
        if let Some(back) = self.promoted_after_all(&operation) {
            return self.take_back(&back);
        }
        if self.notice_rival() {
            return true;
        }
        if !safe.complete {
            // There is nothing to choose: the old primary itself, which is in recovery, and nobody else.
            return self.choose(&operation, &safe, safe.fit.clone());
        }
        let mut elect = std::mem::take(&mut self.elect);
        let turn = elect.turn(self.now);
        self.elect = elect;
        let election = match turn {
            Turn::Ask => {
                let Some(view) = self.view() else { return false };
                let target = operation.target.as_ref().and_then(|target| self.seen(target)).map(|node| node.viewed.id);
                let trigger = match operation.kind {
                    Kind::Switchover => Trigger::Switchover,
                    Kind::ForcedFailover => Trigger::Forced,
                    Kind::Failover | Kind::Rejoin | Kind::Reinit => Trigger::Automatic,
                };
                self.elect = self.ask(Ask::Elect { view, trigger, target });
                return false;
            }
            Turn::Wait(until) => {
                self.wake_by(until);
                return false;
            }
            Turn::Answer(election) => election,
        };
        match election {
            Ok(Election::Promote(promotion)) => {
                if safe.loss_bytes > promotion.max_loss_bytes && !operation.allow_loss && safe.complete {
                    let bytes = safe.loss_bytes;
                    if self.record.electorate == Electorate::Unbound {
                        return self.get_stuck(&format!("{bytes} bytes would be lost, more than the policy allows"));
                    }
                }
                self.run.replay_first = promotion.wait_for.map(|at| (at, self.now + promotion.catch_up));
                let ranked = promotion.candidates.iter().filter_map(|ranked| self.name_of(ranked.node)).collect();
                self.choose(&operation, &safe, ranked)
            }
            Ok(Election::Retry(time, _)) => {
                self.elect = Inquiry::Resting(self.now + time);
                self.wake_by(self.now + time);
                false
            }
            Ok(Election::Abstain(why)) => self.get_stuck(&format!("the policy abstains: {why}")),
            Err(_) => self.choose(&operation, &safe, safe.fit.clone()),
        }
    }

    /// Takes the first that is safe, or the operator's choice.
    fn choose(&mut self, operation: &Operation, safe: &Safe, ranked: Vec<Name>) -> bool {
        let wanted = operation.target.clone().filter(|target| !operation.failed.contains(target));
        let ranked = match wanted {
            // Nobody else in its place, but the old primary when it has come back as a standby: then nothing is lost.
            Some(target) if operation.kind != Kind::Switchover => {
                let old = operation.old.clone().filter(|old| !operation.failed.contains(old));
                std::iter::once(target).chain(old).collect()
            }
            Some(target) => std::iter::once(target).chain(ranked).chain(safe.fit.clone()).collect(),
            None => ranked,
        };
        let forwarding = !self.run.no_forwarding;
        let choice =
            ranked.into_iter().find(|name| safe.fit.contains(name) || forwarding && safe.behind.contains(name));
        let Some(choice) = choice.filter(|choice| self.answers(choice)) else {
            return self.get_stuck("none of the policy's candidates is safe to promote");
        };
        let preset = self.first_set(&choice);
        let source = self.ballot().and_then(|ballot| ballot.source(safe.floor));
        let Some(operation) = &mut self.record.operation else { return false };
        operation.candidate = Some(choice.clone());
        operation.preset = preset;
        if safe.complete {
            operation.floor = Some(safe.floor);
        }
        if self.seen(&choice).is_some_and(|node| node.replay_paused) {
            let words = "its replay is paused, and its promotion ends that: nobody else can be promoted";
            self.tell(Urgency::Warning, "elect", Some(choice.clone()), words.to_owned());
        }
        if safe.fit.contains(&choice) {
            self.enter(Step::PresetSync);
            return self.turn_because(Cause::Chosen, &choice);
        }
        if source.is_none() {
            return self.get_stuck("nobody who answers can bring the candidate forward");
        }
        self.enter(Step::FastForward);
        self.turn_because(Cause::Behind, &choice)
    }

    /// For whom commits wait on the new primary, to begin with: those who were heard, or with none anybody.
    ///
    /// Never for nobody: until clients are sent there it must not acknowledge anything, or it could not be given up.
    fn first_set(&self, candidate: &Name) -> Option<StandbySet> {
        if self.settings.sync == SyncMode::Off {
            return None;
        }
        let willing = |node: &&NodeSettings| node.sync && node.name != *candidate;
        let there = |node: &&NodeSettings| {
            self.run.heard.iter().any(|heard| heard.node == node.name) && self.follows(&node.name)
        };
        let members = |nodes: &mut dyn Iterator<Item = &NodeSettings>| -> Vec<String> {
            nodes.map(|node| node.name.to_string()).collect()
        };
        let mut names = members(&mut self.settings.nodes.iter().filter(willing).filter(there));
        if names.is_empty() {
            names = members(&mut self.settings.nodes.iter().filter(willing));
        }
        (!names.is_empty()).then_some(StandbySet { method: SyncMethod::Any, count: 1, members: names })
    }

    /// Fast-Forward: the candidate receives from another standby what it lacks.
    pub(super) fn fast_forward(&mut self) -> bool {
        let Some(operation) = self.record.operation.clone() else { return false };
        if let Some(back) = self.promoted_after_all(&operation) {
            return self.take_back(&back);
        }
        let (Some(candidate), Some(floor)) =
            (operation.candidate.clone(), self.run.safe.as_ref().map(|safe| safe.floor))
        else {
            return self.go_back_to_fence(true);
        };
        let source = self.ballot().and_then(|ballot| ballot.source(floor));
        let Some(upstream) = source.filter(|_| self.answers(&candidate)) else { return self.go_back_to_fence(true) };
        match self.want(operation.id, &candidate, Effect::FastForward { upstream, until: floor }, FORWARD_MAX) {
            Progress::Pending => false,
            Progress::Done(Finding::Position { at, .. }) if at >= floor => {
                self.enter(Step::PresetSync);
                self.turn_because(Cause::Chosen, &candidate)
            }
            Progress::Failing { tries: 0 | 1, unknown: false, .. } => false,
            Progress::Done(_) | Progress::Failing { .. } => self.go_back_to_fence(true),
        }
    }

    fn go_back_to_fence(&mut self, no_forwarding: bool) -> bool {
        self.run.no_forwarding = no_forwarding;
        if let Some(operation) = &mut self.record.operation {
            operation.candidate = None;
        }
        self.run.heard.clear();
        self.enter(Step::Fence);
        self.turn(Cause::NotForwarded)
    }

    /// It does not answer, and nobody would wait for it.
    pub(super) fn is_gone(&self, name: &str) -> bool {
        let Some(node) = self.seen(name) else { return true };
        let age = self.sight.as_ref().map_or(Duration::ZERO, |seen| self.now - seen.at);
        let lasting = |time: Duration| (time + age).min(self.now - self.awake_since) >= self.settings.hang_timeout;
        match node.held {
            Held::Answers => false,
            Held::Reset(_) | Held::Crashed(_) if node.door == Door::Refused => true,
            Held::Absent => lasting(node.door_for),
            Held::Silent(time) | Held::Reset(time) | Held::Stopped(time) | Held::Crashed(time) => lasting(time),
        }
    }

    pub(super) fn name_of(&self, id: crate::id::NodeId) -> Option<Name> {
        let node = self.sight.as_ref()?.sight.by_id(id)?;
        Some(Name::from(&node.viewed.name))
    }
}
