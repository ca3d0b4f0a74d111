//! Replaces a primary that is up, so that no client sees an error.
//!
//! Clients wait at the end of their transactions; the old primary comes to know that it will be a standby, and stops
//! cleanly, so that its standbys have everything, the end of its log too; from there on it is a failover with nothing
//! to lose ([`failover`](super::failover)). Promoting before the old primary has stopped would leave it with log
//! that nobody else has. Until the stop everything can be undone. After it, with nobody to promote, the old primary
//! is the one that is complete: it is started, and promoted again.

use std::time::Duration;

use super::super::{
    action::{Ask, Effect, Finding},
    name::Name,
    operation::{Operation, Step},
    state::Cause,
    verdict::{Election, Trigger},
};
use super::{Machine, inquiry::Turn, tasks::Progress};

/// A checkpoint of a busy primary takes minutes; clients do not wait meanwhile.
const CHECKPOINT_MAX: Duration = Duration::from_secs(600);

/// What the data plane's answer may come late by.
const DRAIN_LATE: Duration = Duration::from_secs(1);

/// One statement, or writing one file.
pub(super) const ARM_MAX: Duration = Duration::from_secs(2);

/// A fast stop after a checkpoint.
const STOP_MAX: Duration = Duration::from_secs(30);

/// From a start to the first answer, with what was written since the last checkpoint.
pub(super) const START_MAX: Duration = Duration::from_secs(60);

/// The end of the log is on its way already.
const CATCH_UP_MAX: Duration = Duration::from_secs(5);

/// Tries of whatever clients wait for.
const TRIES: u32 = 2;

impl Machine {
    /// The steps up to the stop.
    pub(super) fn switch_over(&mut self) -> bool {
        let Some(operation) = self.record.operation.clone() else { return self.turn(Cause::Undone) };
        let Some(old) = operation.old.clone() else { return self.call_off("there is no primary") };
        if operation.step < Step::Stop && self.is_gone(&old) {
            return self.call_off("the primary is gone");
        }
        match operation.step {
            Step::Checkpoint => self.prepare(&operation, &old),
            Step::Drain => self.drain(&operation, &old),
            Step::Arm => self.arm(&operation, &old),
            Step::Stop => self.stop(&operation, &old),
            _ => self.catch_up(&operation),
        }
    }

    /// Chooses the candidate, and makes the stop short; clients do not notice.
    fn prepare(&mut self, operation: &Operation, old: &Name) -> bool {
        let Some(target) = operation.target.clone() else { return self.ask_for_target() };
        if let Err(why) = self.check_target(&target) {
            return self.call_off(&why);
        }
        let there = self.is_open(operation.id, old, Effect::Checkpoint, CHECKPOINT_MAX, TRIES);
        let here = self.is_open(operation.id, &target, Effect::Checkpoint, CHECKPOINT_MAX, TRIES);
        if there || here {
            return false;
        }
        self.enter(Step::Drain);
        true
    }

    fn ask_for_target(&mut self) -> bool {
        let mut elect = std::mem::take(&mut self.elect);
        let turn = elect.turn(self.now);
        self.elect = elect;
        match turn {
            Turn::Ask => {
                let Some(view) = self.view() else { return false };
                self.elect = self.ask(Ask::Elect { view, trigger: Trigger::Switchover, target: None });
                false
            }
            Turn::Wait(until) => {
                self.wake_by(until);
                false
            }
            Turn::Answer(Ok(Election::Promote(promotion))) => {
                let names = promotion.candidates.iter().filter_map(|ranked| self.name_of(ranked.node));
                let target = names.into_iter().find(|name| self.check_target(name).is_ok());
                let Some(target) = target else { return self.call_off("no node can take over now") };
                if let Some(operation) = &mut self.record.operation {
                    operation.target = Some(target);
                }
                self.log();
                true
            }
            Turn::Answer(Ok(Election::Retry(_, why) | Election::Abstain(why)) | Err(why)) => self.call_off(&why),
        }
    }

    /// Whether that node can take over without anybody noticing.
    pub(super) fn check_target(&self, target: &Name) -> Result<(), String> {
        let primary = self.record.route.primary.as_deref().and_then(|name| self.seen(name));
        let (Some(primary), Some(node)) = (primary, self.seen(target)) else {
            return Err(format!("{target} or the primary has not been seen"));
        };
        if self.record.route.is_primary(target) {
            return Err(format!("{target} is the primary already"));
        }
        if !primary.claims() {
            return Err("the primary does not answer: use FAILOVER".into());
        }
        let receiver = node.receiver.filter(|receiver| receiver.streaming && node.follows());
        if receiver.and_then(|receiver| receiver.timeline) != Some(self.record.route.timeline) {
            return Err(format!("{target} does not stream"));
        }
        if node.replay_paused {
            return Err(format!("replay is paused on {target}; promoting it would end that"));
        }
        let (Some(here), Some(there)) = (node.viewed.received, primary.viewed.received) else {
            return Err(format!("how far {target} is, is not known"));
        };
        let lag_bytes = there.0.saturating_sub(here.0);
        if lag_bytes > self.settings.max_lag_bytes {
            return Err(format!("{target} is {lag_bytes} bytes behind"));
        }
        let major = |version: Option<u32>| version.map(|version| version / 10_000);
        if major(node.viewed.server_version) != major(primary.viewed.server_version) {
            return Err(format!("{target} is of another major version"));
        }
        Ok(())
    }

    /// New transactions wait already; those that are open have until `drain_timeout`.
    fn drain(&mut self, operation: &Operation, old: &Name) -> bool {
        let limit = self.run.step_since + self.settings.drain_timeout + DRAIN_LATE;
        match self.want(operation.id, old, Effect::Drain, self.settings.drain_timeout) {
            Progress::Done(_) => {
                self.enter(Step::Arm);
                true
            }
            Progress::Pending if self.now < limit => {
                self.wake_by(limit);
                false
            }
            Progress::Pending => self.call_off("transactions stayed open for longer than drain_timeout"),
            Progress::Failing { why, .. } => self.call_off(&why),
        }
    }

    fn arm(&mut self, operation: &Operation, old: &Name) -> bool {
        let Some(target) = operation.target.clone() else { return self.call_off("there is no candidate") };
        if let Err(why) = self.check_target(&target) {
            return self.call_off(&why);
        }
        let arm = Effect::Arm { upstream: Some(target), slot: self.slot_of(old) };
        match self.want(operation.id, old, arm, ARM_MAX) {
            Progress::Done(finding) => {
                if let (Finding::Position { at, .. }, Some(operation)) = (finding, &mut self.record.operation) {
                    operation.flushed = operation.flushed.max(Some(at));
                }
                self.enter(Step::Stop);
                true
            }
            Progress::Failing { tries, why, .. } if tries >= TRIES || tries == 0 => self.call_off(&why),
            Progress::Pending | Progress::Failing { .. } => false,
        }
    }

    fn stop(&mut self, operation: &Operation, old: &Name) -> bool {
        let up = self.seen(old).is_some_and(|node| node.claims() && self.asked_after(node, self.run.step_since));
        let limit = self.run.step_since + STOP_MAX + START_MAX;
        match self.want(operation.id, old, Effect::Stop, STOP_MAX) {
            Progress::Done(_) => {
                if let Some(operation) = &mut self.record.operation {
                    operation.stopped = true;
                }
            }
            Progress::Failing { tries, unknown: false, why } if tries >= TRIES && up => return self.call_off(&why),
            // Whether it stops or not, the standbys can fence it.
            Progress::Failing { .. } if self.is_gone(old) || self.now >= limit => {}
            Progress::Failing { .. } | Progress::Pending => {
                self.wake_by(limit);
                return false;
            }
        }
        self.enter(Step::CatchUp);
        true
    }

    /// The candidate receives the end of the log. If it cannot, the election finds out who has it.
    fn catch_up(&mut self, operation: &Operation) -> bool {
        if let Some(target) = operation.target.clone()
            && !self.is_gone(&target)
        {
            match self.want(operation.id, &target, Effect::CatchUp, CATCH_UP_MAX) {
                Progress::Pending => return false,
                Progress::Failing { tries: 0 | 1, .. } => return false,
                Progress::Done(_) | Progress::Failing { .. } => {}
            }
        }
        self.enter(Step::Fence);
        self.turn(Cause::HandedOver)
    }

    /// Before the stop: everything as it was.
    fn call_off(&mut self, why: &str) -> bool {
        self.answer(Err(why.to_owned()));
        self.enter(Step::Undo);
        self.turn_because(Cause::CallOff, why)
    }

    /// After the stop, with nobody to promote: the old primary is complete, and comes back as a standby.
    pub(super) fn bring_old_back(&mut self, operation: &Operation) {
        if let Some(old) = operation.old.clone().filter(|old| !self.answers(old)) {
            _ = self.want(operation.id, &old, Effect::Start, START_MAX);
        }
    }
}
