//! The point of no return and what is behind it: the promotion, and clients on their way to the new primary.
//!
//! A candidate that is lost here may have been promoted all the same. So it is deposed before another one is taken, and
//! what it was told to wait for keeps it from acknowledging anything until then.

use std::time::Duration;

use super::super::{
    action::{Effect, Finding, Urgency},
    name::Name,
    operation::{Fork, Operation, Step},
    settings::SyncMode,
    state::Cause,
    sync_set::Electorate,
};
use super::{
    Machine,
    failover::{CANDIDATE_TRIES, Run, STATEMENT_MAX},
    tasks::Progress,
};
use crate::id::Lsn;

/// A promotion replays what was received first, which is a matter of the backlog.
const PROMOTE_MAX: Duration = Duration::from_secs(60);

/// How long a candidate may be in recovery without replaying anything before another one is taken. One record may take
/// seconds, that of a dropped database for one.
const STANDSTILL_MAX: Duration = Duration::from_secs(10);

/// Reading the fork must not keep clients waiting; without it outcomes of commits in flight stay unknown.
const FORK_MAX: Duration = Duration::from_secs(1);

/// A promotion under way.
#[derive(Debug)]
pub(super) struct Ascent {
    since: Duration,
    /// Bytes that had been received and not replayed when it began.
    backlog: u64,
    /// How far it has replayed, and since when.
    replayed: Option<Lsn>,
    moved: Duration,
    /// It was said that it stands still.
    told: bool,
}

impl Machine {
    /// Promote: first what will hold once it is primary, then the promotion.
    pub(super) fn promote(&mut self) -> bool {
        let Some(operation) = self.record.operation.clone() else { return false };
        let Some(candidate) = operation.candidate.clone() else { return self.replace_candidate(&operation, None) };
        if self.is_gone(&candidate) {
            return self.replace_candidate(&operation, Some(&candidate));
        }
        if operation.step == Step::PresetSync {
            // Nobody has been told to yet, and one that was given up is back as a primary: there must not be two.
            if let Some(back) = self.promoted_after_all(&operation) {
                return self.take_back(&back);
            }
            if self.is_replaying_first(&candidate) {
                return false;
            }
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
            self.run.ascent = Some(self.ascent_of(&candidate));
        }
        match self.want(operation.id, &candidate, Effect::Promote, PROMOTE_MAX) {
            Progress::Done(Finding::Promoted { timeline }) if timeline > self.record.route.timeline => {
                if let Some(operation) = &mut self.record.operation {
                    operation.timeline = Some(timeline);
                }
                let words = self.ascended(&candidate);
                self.enter(Step::RecordFork);
                self.turn_because(Cause::Promoted, &words)
            }
            // It is certainly not promoted, but one that was given up before is.
            Progress::Failing { unknown: false, .. } if self.promoted_after_all(&operation).is_some() => {
                self.promoted_after_all(&operation).is_some_and(|back| self.take_back(&back))
            }
            // It says that it is certainly not promoted, and will not be.
            Progress::Failing { tries, unknown: false, .. } if tries >= CANDIDATE_TRIES => {
                self.replace_candidate(&operation, Some(&candidate))
            }
            Progress::Pending | Progress::Done(_) | Progress::Failing { .. } => {
                self.stands_still(&operation, &candidate) && self.replace_candidate(&operation, Some(&candidate))
            }
        }
    }

    /// The policy wants it to have replayed more, and has patience left.
    fn is_replaying_first(&mut self, candidate: &Name) -> bool {
        let Some((at, until)) = self.run.replay_first else { return false };
        let replayed = self.seen(candidate).and_then(|node| node.viewed.replayed);
        let waits = replayed.is_none_or(|replayed| replayed < at) && self.now < until;
        if waits {
            self.wake_by(until);
        }
        waits
    }

    fn ascent_of(&self, candidate: &Name) -> Ascent {
        let viewed = self.seen(candidate).map(|node| &node.viewed);
        let replayed = viewed.and_then(|viewed| viewed.replayed);
        let received = viewed.and_then(|viewed| viewed.received).or(replayed);
        let backlog = received.map_or(0, |received| received.0.saturating_sub(replayed.unwrap_or(received).0));
        Ascent { since: self.now, backlog, replayed, moved: self.now, told: false }
    }

    /// How long it took, and for what.
    fn ascended(&self, candidate: &Name) -> String {
        let Some(ascent) = &self.run.ascent else { return candidate.to_string() };
        let took = (self.now - ascent.since).as_millis();
        match ascent.backlog {
            0 => format!("{candidate}, {took} ms after it was told to"),
            bytes => format!("{candidate}, {took} ms after it was told to, with {bytes} bytes to replay first"),
        }
    }

    /// The candidate is in recovery still and has replayed nothing for long. Whether it will be promoted one day nobody
    /// knows, so it is given up only for somebody else.
    fn stands_still(&mut self, operation: &Operation, candidate: &Name) -> bool {
        let replayed = self.seen(candidate).filter(|node| node.follows()).map(|node| node.viewed.replayed);
        let now = self.now;
        let (Some(replayed), Some(ascent)) = (replayed, &mut self.run.ascent) else { return false };
        if ascent.replayed != replayed {
            (ascent.replayed, ascent.moved) = (replayed, now);
        }
        let until = ascent.moved + STANDSTILL_MAX;
        if now < until {
            self.wake_by(until);
            return false;
        }
        if !std::mem::replace(&mut ascent.told, true) {
            let words = format!("takes no writes, and has replayed nothing for {STANDSTILL_MAX:?}");
            self.tell(Urgency::Alert, Effect::Promote.word(), Some(candidate.clone()), words);
        }
        let willing = |name: &Name| self.settings.node(name).is_some_and(|node| node.candidate);
        let is_other = |name: &Name| name != candidate && !operation.failed.contains(name);
        self.standbys_that_answer().iter().any(|name| is_other(name) && willing(name))
    }

    pub(super) fn has_been_promoted(&self, candidate: &str) -> bool {
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
            // It is back soon, or certainly gone: clients are sent to nobody who does not answer.
            Progress::Failing { .. } if !self.answers(&candidate) => return false,
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
}
