//! Effects that are under way or over. Who wants one says so again and again, and learns how it stands: so a step
//! of an operation is the same code when it begins, goes on, and is taken up after a restart.

use std::time::Duration;

use super::super::{
    action::{Action, Effect, Finding, Outcome, Task, TaskId, Told, Urgency},
    name::Name,
    verdict::StandbySet,
};
use super::{Machine, upkeep::NO_OPERATION};

/// From a failure to the next try. An effect that fails does so in some milliseconds; what makes it fail lasts longer.
const RETRY_PAUSE: Duration = Duration::from_millis(300);

/// What is granted beyond [`Task::within`] until the outcome is told.
const OUTCOME_LATE: Duration = Duration::from_secs(2);

/// Effects that are remembered; each step clears its own.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    last: u64,
    list: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    task: Task,
    begun: Duration,
    tries: u32,
    /// How it ended, and when.
    over: Option<(Outcome, Duration)>,
}

/// How an effect stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Under way.
    Pending,
    /// It took place.
    Done(Finding),
    /// It failed and will be tried again, or the node does not answer.
    Failing {
        tries: u32,
        /// It may still take place.
        unknown: bool,
        why: String,
    },
}

/// How an effect failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) tries: u32,
    /// It may still take place.
    pub(super) unknown: bool,
    pub(super) why: String,
}

impl Tasks {
    /// Those under way.
    pub(super) fn pending(&self) -> Vec<Task> {
        self.list.iter().filter(|entry| entry.over.is_none()).map(|entry| entry.task.clone()).collect()
    }

    /// The synchronous set that is being set on that node beside all operations.
    pub(super) fn pending_set(&self, node: &Name) -> Option<Option<StandbySet>> {
        let of = |task: &Task| task.operation == NO_OPERATION && task.node == *node;
        self.list.iter().filter(|entry| of(&entry.task) && entry.over.is_none()).find_map(|entry| {
            match &entry.task.effect {
                Effect::SetSync { set } => Some(set.clone()),
                _ => None,
            }
        })
    }

    /// The operation's effects are of no interest any more.
    pub(super) fn clear(&mut self, operation: u64) {
        self.list.retain(|entry| entry.task.operation != operation);
    }

    /// How often it was tried and failed, if it is not under way.
    pub(super) fn tries_of(&self, operation: u64, node: &Name, effect: &Effect) -> u32 {
        self.failure_of(operation, node, effect).map_or(0, |failure| failure.tries)
    }

    /// How it failed, if it is not under way.
    pub(super) fn failure_of(&self, operation: u64, node: &Name, effect: &Effect) -> Option<Failure> {
        let of = |task: &Task| task.operation == operation && task.node == *node && task.effect == *effect;
        let entry = self.list.iter().find(|entry| of(&entry.task))?;
        let (unknown, why) = match &entry.over.as_ref()?.0 {
            Outcome::Done(_) => return None,
            Outcome::Failed(why) => (false, why.clone()),
            Outcome::Unknown(why) => (true, why.clone()),
        };
        Some(Failure { tries: entry.tries, unknown, why })
    }

    pub(super) fn clear_all(&mut self) {
        self.list.clear();
    }

    /// Forgets how one effect ended, so that it is carried out again when it is wanted again.
    pub(super) fn renew(&mut self, node: &str, effect: &Effect) {
        self.list.retain(|entry| &*entry.task.node != node || entry.task.effect != *effect);
    }
}

impl Machine {
    /// Wants an effect on a node, tried so many times at most; false once it took place or will not be tried again.
    pub(super) fn is_open(
        &mut self,
        operation: u64,
        node: &Name,
        effect: Effect,
        within: Duration,
        tries_max: u32,
    ) -> bool {
        if self.tasks.tries_of(operation, node, &effect) >= tries_max {
            return false;
        }
        match self.want(operation, node, effect, within) {
            Progress::Pending => true,
            Progress::Done(_) => false,
            // Nobody waits for a node that is away.
            Progress::Failing { tries, .. } => tries < tries_max && self.answers(node),
        }
    }

    /// Wants an effect on a node and says how it stands.
    pub(super) fn want(&mut self, operation: u64, node: &Name, effect: Effect, within: Duration) -> Progress {
        let now = self.now;
        let place = (self.tasks.list.iter()).position(|entry| {
            entry.task.operation == operation && entry.task.node == *node && entry.task.effect == effect
        });
        let Some(place) = place else {
            if effect.needs_answer() && !self.answers(node) {
                return Progress::Failing { tries: 0, unknown: false, why: format!("{node} does not answer") };
            }
            self.start(operation, node, effect, within, 1);
            return Progress::Pending;
        };
        let entry = &mut self.tasks.list[place];
        let (tries, limit) = (entry.tries, entry.begun + entry.task.within + OUTCOME_LATE);
        let over = match &entry.over {
            None if now < limit => {
                self.wake_by(limit);
                return Progress::Pending;
            }
            None => entry.over.insert((Outcome::Unknown("no outcome in time".into()), now)).clone(),
            Some(over) => over.clone(),
        };
        let (unknown, why) = match over.0 {
            Outcome::Done(finding) => return Progress::Done(finding),
            Outcome::Failed(why) => (false, why),
            Outcome::Unknown(why) => (true, why),
        };
        if now < over.1 + RETRY_PAUSE {
            self.wake_by(over.1 + RETRY_PAUSE);
        } else if !effect.needs_answer() || self.answers(node) {
            self.tasks.list.remove(place);
            self.start(operation, node, effect, within, tries + 1);
        }
        Progress::Failing { tries, unknown, why }
    }

    fn start(&mut self, operation: u64, node: &Name, effect: Effect, within: Duration, tries: u32) {
        self.tasks.last += 1;
        let term = self.record.operation.as_ref().map_or(self.record.route.term, |operation| operation.term);
        let task = Task { id: TaskId(self.tasks.last), operation, term, node: node.clone(), effect, within };
        self.tasks.list.push(Entry { task: task.clone(), begun: self.now, tries, over: None });
        self.wake_by(self.now + within + OUTCOME_LATE);
        self.out.push(Action::Do(task));
    }

    /// Takes in an outcome. One that nobody waits for any more is of no interest.
    pub(super) fn take_outcome(&mut self, id: TaskId, outcome: Outcome) {
        let now = self.now;
        let Some(entry) = self.tasks.list.iter_mut().find(|entry| entry.task.id == id && entry.over.is_none()) else {
            return;
        };
        let (urgency, result) = match &outcome {
            Outcome::Done(_) => (Urgency::Info, "done".to_owned()),
            Outcome::Failed(why) => (Urgency::Warning, format!("failed: {why}")),
            Outcome::Unknown(why) => (Urgency::Warning, format!("unknown: {why}")),
        };
        entry.over = Some((outcome, now));
        let (kind, term, node) = (entry.task.effect.word(), entry.task.term, Some(entry.task.node.clone()));
        let operation = Some(entry.task.operation).filter(|operation| *operation > 0);
        self.out.push(Action::Tell(Told { urgency, kind, operation, term, node, result }));
    }
}

impl Effect {
    /// It goes over the control session: a node that does not answer is left alone.
    fn needs_answer(&self) -> bool {
        match self {
            Self::CloseServers
            | Self::Drain
            | Self::Stop
            | Self::Start
            | Self::Rewind { .. }
            | Self::Rebuild { .. } => false,
            Self::Detach
            | Self::Reattach { .. }
            | Self::FastForward { .. }
            | Self::PresetSync { .. }
            | Self::Promote
            | Self::RecordFork
            | Self::Repoint { .. }
            | Self::SetSync { .. }
            | Self::Checkpoint
            | Self::Arm { .. }
            | Self::Disarm
            | Self::CatchUp
            | Self::MakeSlot { .. }
            | Self::DropSlots => true,
        }
    }
}
