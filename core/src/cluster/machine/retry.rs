//! What comes after a step of a standby that failed: the follow policy says whether it is tried again, replaced by a
//! stronger one, or given up.

use super::super::{
    action::{Ask, QuestionId},
    name::Name,
    verdict::{FollowAction, StandbyPlan, StepFailure},
};
use super::{
    Machine,
    follow::TRIES,
    inquiry::{Inquiry, Turn},
    tasks::Failure,
};
use crate::id::NodeId;

/// Tries of one step, whatever the policy says.
const TRIES_MAX: u32 = 100;

/// Other steps instead of those that failed, in one operation: a policy must not go to and fro between two for ever.
const CHANGES_MAX: u32 = 16;

/// A question about a step that failed.
#[derive(Debug)]
pub(super) struct Retry {
    node: NodeId,
    action: FollowAction,
    /// How often it had failed.
    tries: u32,
    answer: Inquiry<StandbyPlan>,
    /// It may be tried once more.
    granted: bool,
}

impl Retry {
    /// Takes in an answer, if it is one to this question.
    pub(super) fn take(&mut self, id: QuestionId, answer: &Result<StandbyPlan, String>) {
        self.answer.answer(id, answer.clone());
    }
}

/// What comes after a failure.
#[derive(Debug)]
pub(super) enum Afterwards {
    /// The policy has not said it yet.
    Unknown,
    /// The same again.
    Again,
    /// This, from now on.
    Otherwise(StandbyPlan),
}

impl Machine {
    /// A plan's step failed; `only` as in [`plans_for`](Machine::plans_for).
    pub(super) fn after_failure(&mut self, plan: &StandbyPlan, failure: &Failure, only: Option<&Name>) -> Afterwards {
        let about =
            |retry: &Retry| (retry.node, &retry.action, retry.tries) == (plan.node, &plan.action, failure.tries);
        let asked =
            self.following.retries.iter().position(about).map(|place| self.following.retries.swap_remove(place));
        let mut retry = asked.unwrap_or_else(|| Retry {
            node: plan.node,
            action: plan.action.clone(),
            tries: failure.tries,
            answer: Inquiry::Idle,
            granted: false,
        });
        let afterwards = if retry.granted { Afterwards::Again } else { self.hear(&mut retry, plan, failure, only) };
        retry.granted = matches!(afterwards, Afterwards::Again);
        self.following.retries.retain(|other| other.node != plan.node);
        if let Afterwards::Otherwise(next) = &afterwards {
            self.replace_plan(next.clone());
        } else {
            self.following.retries.push(retry);
        }
        afterwards
    }

    fn hear(&mut self, retry: &mut Retry, plan: &StandbyPlan, failure: &Failure, only: Option<&Name>) -> Afterwards {
        let give_up = |why: &str| {
            let (action, why) = (FollowAction::LeaveAlone, format!("tried {} times: {why}", failure.tries));
            Afterwards::Otherwise(StandbyPlan { action, why, ..plan.clone() })
        };
        match retry.answer.turn(self.now) {
            _ if failure.tries >= TRIES_MAX => give_up(&failure.why),
            Turn::Ask => {
                let Some(event) = self.promotion_event(only) else { return Afterwards::Unknown };
                let attempt = u16::try_from(failure.tries).unwrap_or(u16::MAX);
                let failed = StepFailure { plan: plan.clone(), attempt, message: failure.why.clone() };
                retry.answer = self.ask(Ask::Retry(event, failed));
                Afterwards::Unknown
            }
            Turn::Wait(until) => {
                self.wake_by(until);
                Afterwards::Unknown
            }
            Turn::Answer(Ok(next)) if next.action == plan.action => Afterwards::Again,
            Turn::Answer(Ok(next)) if next.action == FollowAction::LeaveAlone => Afterwards::Otherwise(next),
            Turn::Answer(Ok(_)) if self.following.changes >= CHANGES_MAX => give_up(&failure.why),
            Turn::Answer(Ok(next)) => {
                self.following.changes += 1;
                Afterwards::Otherwise(next)
            }
            Turn::Answer(Err(_)) if failure.tries < TRIES => Afterwards::Again,
            Turn::Answer(Err(_)) => give_up(&failure.why),
        }
    }

    fn replace_plan(&mut self, next: StandbyPlan) {
        let plans = self.following.plans.get_or_insert_default();
        plans.retain(|plan| plan.node != next.node);
        plans.push(next);
        plans.sort_by_key(|plan| plan.wave);
    }
}
