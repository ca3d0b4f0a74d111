//! Replaces the primary: detach, elect, promote, publish.
//!
//! What fences the old primary is the standbys: once enough of them receive from it no more, no commit of it can
//! be acknowledged, whatever state it is in. Until the candidate is chosen everything can be undone; from
//! [`Step::PresetSync`] on the operation goes forward, with this candidate or, if that one is certainly not coming
//! back before it is replaced too, with another.

use std::time::Duration;

use super::super::{
    action::{Ask, Effect, Finding, Urgency},
    condition::Condition,
    election::{Ballot, Heard, Safe},
    name::Name,
    operation::{Fork, Kind, Operation, Step},
    settings::{NodeSettings, SyncMode},
    sight::{Door, Held, SeenNode},
    state::{Cause, State},
    sync_set::Electorate,
    verdict::{Election, StandbySet, SyncMethod, Trigger},
};
use super::{
    Machine,
    inquiry::{Inquiry, Turn},
    tasks::Progress,
};
use crate::id::Lsn;

/// Detaching takes some ten milliseconds, or the standby has trouble of its own.
const DETACH_MAX: Duration = Duration::from_secs(2);

/// How long those who are not needed are waited for, once those are detached who are.
const DETACH_PATIENCE: Duration = Duration::from_millis(400);

/// A promotion replays what was received first, which is a matter of the backlog.
const PROMOTE_MAX: Duration = Duration::from_secs(60);

/// Whatever is one statement.
const STATEMENT_MAX: Duration = Duration::from_secs(2);

/// Reading the fork must not keep clients waiting; without it outcomes of commits in flight stay unknown.
const FORK_MAX: Duration = Duration::from_secs(1);

/// Streaming to another standby what it lacks.
const FORWARD_MAX: Duration = Duration::from_secs(10);

/// With nobody safe to promote, how often that is looked into anew.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Tries on a candidate that answers and refuses, before another is taken.
const CANDIDATE_TRIES: u32 = 3;

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
    fn promoted_after_all(&self, operation: &Operation) -> Option<Name> {
        operation.failed.iter().find(|name| self.has_been_promoted(name)).cloned()
    }

    fn take_back(&mut self, candidate: &Name) -> bool {
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
    fn standbys_that_answer(&self) -> Vec<Name> {
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
        })
    }

    /// Finds the safe set; the next state asks the policy.
    fn hold_election(&mut self) -> bool {
        match self.ballot().map(|ballot| ballot.count()) {
            Some(Ok(safe)) if !safe.fit.is_empty() || !self.run.no_forwarding => {
                self.run.safe = Some(safe);
                self.enter_unlogged(Step::Elect);
                self.turn(Cause::Fenced)
            }
            Some(Err(why)) => self.get_stuck(&why),
            _ => self.get_stuck("nobody has everything, and nobody could be brought forward"),
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
            Some(target) if operation.kind != Kind::Switchover => vec![target],
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

    /// Promote: first what will hold once it is primary, then the promotion.
    pub(super) fn promote(&mut self) -> bool {
        let Some(operation) = self.record.operation.clone() else { return false };
        let Some(candidate) = operation.candidate.clone() else { return self.replace_candidate(&operation, None) };
        if self.is_gone(&candidate) {
            return self.replace_candidate(&operation, Some(&candidate));
        }
        if operation.step == Step::PresetSync {
            let preset = Effect::PresetSync { set: operation.preset.clone() };
            if self.settings.sync != SyncMode::Off && !self.has_been_promoted(&candidate) {
                match self.want(operation.id, &candidate, preset, STATEMENT_MAX) {
                    Progress::Pending => return false,
                    Progress::Done(_) => {}
                    Progress::Failing { tries, unknown: false, .. } if tries >= CANDIDATE_TRIES => {
                        return self.replace_candidate(&operation, Some(&candidate));
                    }
                    Progress::Failing { .. } => return false,
                }
            }
            if let Some(operation) = &mut self.record.operation {
                operation.step = Step::Promote;
            }
        }
        match self.want(operation.id, &candidate, Effect::Promote, PROMOTE_MAX) {
            Progress::Done(Finding::Promoted { timeline }) if timeline > self.record.route.timeline => {
                if let Some(operation) = &mut self.record.operation {
                    operation.timeline = Some(timeline);
                }
                self.enter(Step::RecordFork);
                self.turn_because(Cause::Promoted, &candidate)
            }
            Progress::Pending => false,
            // It is certainly not promoted, but one that was given up before is.
            Progress::Failing { unknown: false, .. } if self.promoted_after_all(&operation).is_some() => {
                self.promoted_after_all(&operation).is_some_and(|back| self.take_back(&back))
            }
            // It says that it is certainly not promoted, and will not be.
            Progress::Failing { tries, unknown: false, .. } if tries >= CANDIDATE_TRIES => {
                self.replace_candidate(&operation, Some(&candidate))
            }
            Progress::Done(_) | Progress::Failing { .. } => false,
        }
    }

    fn has_been_promoted(&self, candidate: &str) -> bool {
        let newer = |timeline: u32| timeline > self.record.route.timeline;
        self.seen(candidate).is_some_and(|node| node.claims() && node.viewed.timeline.is_some_and(newer))
    }

    /// Publish: what commits in flight need to know of the fork, then the new primary.
    pub(super) fn publish(&mut self) -> bool {
        let Some(operation) = self.record.operation.clone() else { return false };
        let (Some(candidate), Some(timeline)) = (operation.candidate.clone(), operation.timeline) else {
            return self.replace_candidate(&operation, None);
        };
        if self.is_gone(&candidate) {
            return self.replace_candidate(&operation, Some(&candidate));
        }
        let fork = match self.want(operation.id, &candidate, Effect::RecordFork, FORK_MAX) {
            Progress::Done(Finding::Fork { at, next_xid }) => Some((at, next_xid)),
            Progress::Pending => return false,
            Progress::Failing { tries: 0 | 1, .. } => return false,
            Progress::Done(_) | Progress::Failing { .. } => None,
        };
        // Not before the floor: the candidate had all that.
        let (at, next_xid) = fork.unwrap_or((operation.floor.unwrap_or(Lsn(0)), None));
        self.crown_candidate(&operation, candidate, Fork { term: operation.term, timeline, at, next_xid })
    }

    fn crown_candidate(&mut self, operation: &Operation, candidate: Name, fork: Fork) -> bool {
        let lost = operation.flushed.map_or(0, |flushed| flushed.0.saturating_sub(fork.at.0));
        let unix_ms = self.unix_ms();
        let route = &mut self.record.route;
        route.term = operation.term;
        route.timeline = fork.timeline;
        route.primary = Some(candidate.clone());
        route.deposed.retain(|deposed| *deposed != candidate);
        let old = operation.old.clone().filter(|old| *old != candidate && !route.is_deposed(old));
        route.deposed.extend(old);
        self.record.electorate = match self.settings.sync {
            SyncMode::Off => Electorate::Unbound,
            // Nobody may lack what was acknowledged before; the upkeep finds out.
            SyncMode::On | SyncMode::Strict => Electorate::Nobody,
        };
        self.record.promoted_unix_ms = Some(unix_ms);
        self.remember_fork(fork);
        let alone = !operation.preset.as_ref().is_some_and(|set| set.members.iter().any(|name| self.follows(name)));
        self.change_reign(alone && self.settings.sync == SyncMode::On);
        self.enter(Step::Repair);
        self.publish_route();
        self.following = super::follow::Following::at(self.now);
        let loss = if operation.allow_loss || lost > 0 {
            format!(", {lost} bytes of log lost at most")
        } else {
            String::new()
        };
        let result = format!("{candidate} is primary on timeline {}{loss}", self.record.route.timeline);
        self.tell(Urgency::Warning, "publish", Some(candidate), result.clone());
        self.answer(Ok(result));
        self.turn(Cause::Published)
    }

    /// The candidate is gone, or certainly will not be promoted: another one, with everything it had to have.
    fn replace_candidate(&mut self, operation: &Operation, candidate: Option<&Name>) -> bool {
        let deposed =
            candidate.filter(|name| !self.record.route.is_deposed(name) && operation.old.as_ref() != Some(name));
        // It may have been promoted after all: what it claims from now on counts for nothing.
        self.record.route.deposed.extend(deposed.cloned());
        if let Some(operation) = &mut self.record.operation {
            operation.failed.extend(candidate.cloned());
            operation.candidate = None;
            operation.timeline = None;
        }
        self.run = Run::at(self.now);
        self.enter(Step::Fence);
        self.turn_because(Cause::CandidateGone, candidate.map_or("none", |name| name))
    }

    /// It may be undone, and the reason for it is gone.
    fn may_call_off(&self, operation: &Operation) -> bool {
        // After a switchover's stop it is up only if somebody started it, and not as a standby.
        // What an operator ordered although the primary is well is called off only if it cannot be done.
        let revocable =
            matches!(operation.kind, Kind::Failover | Kind::Switchover) || self.state == State::NoPrimarySafe;
        // A candidate that may have been promoted has acknowledged nothing: no client and no standby went there.
        let forward_is_open = !operation.failed.is_empty() && self.state != State::NoPrimarySafe;
        let primary = self.record.route.primary.as_deref().and_then(|name| self.seen(name));
        revocable
            && !forward_is_open
            && self.condition() == Condition::Healthy
            && primary.is_some_and(|node| self.asked_after(node, self.run.step_since))
    }

    /// Undo: everybody receives from the old primary again.
    pub(super) fn undo(&mut self) -> bool {
        let Some(operation) = self.record.operation.clone() else { return self.turn(Cause::Undone) };
        let Some(old) = operation.old.clone() else { return self.finish_undo() };
        let mut pending = false;
        if operation.kind == Kind::Switchover && self.answers(&old) {
            pending |= self.is_open(operation.id, &old, Effect::Disarm, STATEMENT_MAX, CANDIDATE_TRIES);
        }
        for name in self.standbys_that_answer() {
            if name != old {
                let effect = Effect::Reattach { upstream: old.clone(), slot: self.slot_of(&name) };
                pending |= self.is_open(operation.id, &name, effect, STATEMENT_MAX, CANDIDATE_TRIES);
            }
        }
        !pending && self.finish_undo()
    }

    fn finish_undo(&mut self) -> bool {
        let why = self.record.operation.as_ref().map_or_else(String::new, |operation| operation.why.clone());
        self.close(Err(format!("undone; it began because {why}")));
        self.turn(Cause::Undone)
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
