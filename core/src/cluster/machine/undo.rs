//! Before the point of no return: whether an operation is still wanted, and the way back.

use super::super::{
    action::Effect,
    condition::Condition,
    operation::{Kind, Operation},
    state::{Cause, State},
};
use super::{
    Machine,
    failover::{CANDIDATE_TRIES, STATEMENT_MAX},
};

impl Machine {
    /// It may be undone, and the reason for it is gone.
    pub(super) fn may_call_off(&self, operation: &Operation) -> bool {
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
}
