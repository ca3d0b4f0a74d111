//! Turns events into actions.
//!
//! [`Machine::take`] takes an event in and then thinks until nothing changes: each state has a function that looks
//! at the facts and either wants effects ([`tasks`]), asks a policy ([`inquiry`]), or finds a cause to go on to
//! another state by the [table](super::state). A step can be thought about any number of times.
//!
//! In reading order: [`watch`] is for the time between operations; [`failover`], [`promote`] and [`undo`] replace the
//! primary, and [`switchover`] does it while it is up; [`follow`] and [`rejoin`] make others follow it; [`upkeep`] keeps
//! the synchronous set, and [`arming`] the primary armed; [`external`] is what others did; [`orders`] are the operators'.

mod arming;
mod external;
mod failover;
mod follow;
mod inquiry;
mod orders;
mod picture;
mod promote;
mod rejoin;
mod retry;
mod switchover;
mod tasks;
#[cfg(test)]
mod tests;
mod undo;
mod upkeep;
mod watch;

use std::time::Duration;

use self::{
    arming::Arming, failover::Run, follow::Following, inquiry::Inquiry, tasks::Tasks, upkeep::Upkeep, watch::Watch,
};
use super::{
    action::{Action, Event, Ticket, Told, Urgency},
    name::Name,
    operation::{Kind, Operation, Record, Route, Step},
    quarantine::Quarantined,
    settings::{FailoverMode, Settings},
    sight::{SeenNode, Sight},
    state::{Cause, State},
    verdict::Election,
};
use crate::id::Lsn;

/// How often a machine thinks although nothing happens, as a part of `hang_timeout`. A longer gap means that the
/// proxy itself stood still, and that silences may have been its own.
const BEATS_PER_HANG: u32 = 4;

/// What one cluster decides.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    record: Record,
    state: State,
    since: Duration,
    why: String,
    now: Duration,
    /// Since when there was no gap between thoughts.
    awake_since: Duration,
    started: Duration,
    sight: Option<Seen>,
    /// The newest position of the route's primary that was seen.
    flushed: Option<Lsn>,
    /// The newest position that as many of its standbys were seen to have confirmed as commits wait for.
    confirmed: Option<Lsn>,
    /// Since when the route is what it is. Answers to earlier questions say nothing of its primary.
    route_since: Duration,
    published: Option<Route>,
    hold_since: Option<Duration>,
    tasks: Tasks,
    last_question: u64,
    elect: Inquiry<Election>,
    watch: Watch,
    run: Run,
    following: Following,
    upkeep: Upkeep,
    arming: Arming,
    quarantine: Vec<Quarantined>,
    /// While split: those that claim to be primary.
    rivals: Vec<Name>,
    ticket: Option<Ticket>,
    wake: Option<Duration>,
    out: Vec<Action>,
}

/// A sight and when it was taken.
#[derive(Debug)]
struct Seen {
    sight: Sight,
    at: Duration,
}

impl Machine {
    /// Nothing has been seen yet; `record` is what the log holds.
    pub fn new(settings: Settings, record: Option<Record>) -> Self {
        Self {
            settings,
            record: record.unwrap_or_default(),
            state: State::Learning,
            since: Duration::ZERO,
            why: "nothing has been seen yet".into(),
            now: Duration::ZERO,
            awake_since: Duration::ZERO,
            started: Duration::ZERO,
            sight: None,
            flushed: None,
            confirmed: None,
            route_since: Duration::ZERO,
            published: None,
            hold_since: None,
            tasks: Tasks::default(),
            last_question: 0,
            elect: Inquiry::Idle,
            watch: Watch::default(),
            run: Run::default(),
            following: Following::default(),
            upkeep: Upkeep::default(),
            arming: Arming::default(),
            quarantine: Vec::new(),
            rivals: Vec::new(),
            ticket: None,
            wake: None,
            out: Vec::new(),
        }
    }

    /// Takes in what happened. `now` is the time since some instant, the same for the machine's whole life; it
    /// never goes back.
    pub fn take(&mut self, now: Duration, event: Event) -> Vec<Action> {
        self.pass_time(now);
        match event {
            Event::Sight(sight) => self.look(sight),
            Event::Tick => {}
            Event::Assessed(id, answer) => self.watch.assess.answer(id, answer),
            Event::Elected(id, answer) => self.elect.answer(id, answer),
            Event::Planned(id, answer) => self.following.plan.answer(id, answer),
            Event::Retried(id, answer) => {
                self.following.retries.iter_mut().for_each(|retry| retry.take(id, &answer));
            }
            Event::SyncDecided(id, answer) => self.upkeep.decide.answer(id, answer),
            Event::Done(id, outcome) => self.take_outcome(id, outcome),
            Event::Ordered(ticket, order) => self.order(ticket, order),
            Event::Reconfigured(settings) => self.settings = settings,
            Event::LogLost(why) => self.lose_log(&why),
            Event::LogBack => self.find_log(),
        }
        while self.think() {}
        let holding = self.hold_cause().is_some();
        self.hold_since = self.hold_since.filter(|_| holding).or(holding.then_some(self.now));
        std::mem::take(&mut self.out)
    }

    /// When [`Event::Tick`] is due although nothing happens.
    pub fn wake_at(&self) -> Option<Duration> {
        let beat = self.now + self.settings.hang_timeout / BEATS_PER_HANG;
        Some(self.wake.map_or(beat, |wake| wake.min(beat)))
    }

    fn pass_time(&mut self, now: Duration) {
        let before = self.now;
        self.now = now.max(before);
        if self.started.is_zero() {
            (self.started, self.awake_since) = (self.now, self.now);
        }
        if self.now - before > self.settings.hang_timeout / 2 {
            self.awake_since = self.now;
        }
        self.wake = None;
    }

    /// Does what the present state has to do; true if that may have made something else due.
    fn think(&mut self) -> bool {
        if self.sight.is_none() {
            return false;
        }
        match self.state {
            State::Learning => self.learn(),
            State::Steady
            | State::DegradedSync
            | State::Paused
            | State::Suspect
            | State::CrashGrace
            | State::Confirm
            | State::Repair => self.watch(),
            State::Fence | State::NoPrimarySafe => self.fence(),
            State::Elect => self.elect(),
            State::FastForward => self.fast_forward(),
            State::Switchover => self.switch_over(),
            State::Promote => self.promote(),
            State::Publish => self.publish(),
            State::Undo => self.undo(),
            State::Split => self.wait_for_one_claim(),
            State::CoordLost => false,
        }
    }

    /// Goes by the table. False when the cause makes no difference here.
    fn turn(&mut self, cause: Cause) -> bool {
        self.turn_because(cause, "")
    }

    /// The same, with what is particular to this case.
    fn turn_because(&mut self, cause: Cause, detail: &str) -> bool {
        let Some((to, why)) = self.state.next(cause) else { return false };
        self.state = to;
        self.since = self.now;
        self.why = if detail.is_empty() { why.to_owned() } else { format!("{why}: {detail}") };
        let urgency = match to {
            State::NoPrimarySafe | State::Split | State::CoordLost => Urgency::Alert,
            State::Steady | State::Repair | State::Publish | State::Paused | State::Learning => Urgency::Info,
            _ => Urgency::Warning,
        };
        self.tell(urgency, to.word(), None, self.why.clone());
        true
    }

    fn tell(&mut self, urgency: Urgency, kind: &'static str, node: Option<Name>, result: String) {
        let operation = self.record.operation.as_ref();
        let term = operation.map_or(self.record.route.term, |operation| operation.term);
        let operation = operation.map(|operation| operation.id);
        self.out.push(Action::Tell(Told { urgency, kind, operation, term, node, result }));
    }

    fn log(&mut self) {
        self.out.push(Action::Log(Box::new(self.record.clone())));
    }

    /// Clients go by the present route. It is on disk before.
    fn publish_route(&mut self) {
        if self.published.as_ref() != Some(&self.record.route) {
            self.published = Some(self.record.route.clone());
            self.out.push(Action::Publish(self.record.route.clone()));
        }
    }

    /// Begins an operation; one that was in the background is given up.
    fn begin(&mut self, kind: Kind, step: Step, why: String, shape: impl FnOnce(&mut Operation)) {
        if self.record.operation.is_some() {
            self.close(Err("another operation took over".into()));
        }
        self.record.last_operation += 1;
        let new_term = matches!(kind, Kind::Failover | Kind::ForcedFailover | Kind::Switchover);
        let mut operation = Operation {
            id: self.record.last_operation,
            term: self.record.route.term + u64::from(new_term),
            kind,
            step,
            why,
            started_unix_ms: self.unix_ms(),
            old: self.record.route.primary.clone().filter(|_| new_term),
            target: None,
            candidate: None,
            floor: None,
            failed: Vec::new(),
            flushed: self.flushed.filter(|_| new_term),
            stopped: false,
            preset: None,
            allow_loss: false,
            timeline: None,
        };
        shape(&mut operation);
        let why = operation.why.clone();
        self.record.operation = Some(operation);
        self.run = Run::at(self.now);
        self.elect = Inquiry::Idle;
        self.following = Following::at(self.now);
        self.log();
        self.tell(Urgency::Warning, kind.word(), None, format!("begun: {why}"));
    }

    /// Goes to another step of the operation. The log knows before its effects begin.
    fn enter(&mut self, step: Step) {
        let Some(operation) = &mut self.record.operation else { return };
        operation.step = step;
        let (id, logged) = (operation.id, step.resumed() == step);
        self.tasks.clear(id);
        self.run.step_since = self.now;
        self.elect = Inquiry::Idle;
        if logged {
            self.log();
        }
    }

    /// The operation is over.
    fn close(&mut self, result: Result<String, String>) {
        let Some(operation) = &self.record.operation else { return };
        let (id, kind) = (operation.id, operation.kind);
        let (urgency, words) = match &result {
            Ok(words) => (Urgency::Info, format!("done: {words}")),
            Err(words) => (Urgency::Warning, format!("given up: {words}")),
        };
        self.tell(urgency, kind.word(), None, words);
        self.answer(result);
        self.tasks.clear(id);
        self.arming.renew();
        self.record.operation = None;
        self.log();
    }

    fn lose_log(&mut self, why: &str) {
        self.turn_because(Cause::LogLost, why);
        self.tasks.clear_all();
    }

    fn find_log(&mut self) {
        if self.turn(Cause::LogBack) {
            self.log();
            self.published = None;
            self.run = Run::at(self.now);
            self.following = Following::at(self.now);
            self.upkeep = Upkeep::default();
        }
    }

    fn wake_by(&mut self, at: Duration) {
        let at = at.max(self.now + Duration::from_millis(1));
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    fn unix_ms(&self) -> u64 {
        self.sight.as_ref().map_or(0, |seen| {
            let passed = u64::try_from((self.now - seen.at).as_millis()).unwrap_or(u64::MAX);
            seen.sight.unix_ms.saturating_add(passed)
        })
    }

    fn seen(&self, name: &str) -> Option<&SeenNode> {
        self.sight.as_ref()?.sight.node(name)
    }

    /// The node's answer was asked for after that instant, so it holds for it.
    fn asked_after(&self, node: &SeenNode, instant: Duration) -> bool {
        self.sight.as_ref().is_some_and(|seen| seen.at.checked_sub(node.asked).is_some_and(|asked| asked > instant))
    }

    fn answers(&self, name: &str) -> bool {
        self.seen(name).is_some_and(SeenNode::answers)
    }

    fn follows(&self, name: &str) -> bool {
        self.seen(name).is_some_and(SeenNode::follows)
    }

    /// Failover is on, and nobody paused it.
    fn may_fail_over(&self) -> bool {
        self.settings.failover == FailoverMode::Policy && !self.record.paused
    }

    fn slot_of(&self, name: &str) -> Option<String> {
        self.settings.node(name).and_then(|node| node.slot.clone())
    }
}
