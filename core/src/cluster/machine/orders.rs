//! What operators want: checked, begun, and answered when it is over.

use super::super::{
    action::{Action, Order, Refusal, Ticket},
    condition::Condition,
    name::Name,
    operation::{Kind, Step},
    state::{Cause, State},
    sync_set::Electorate,
};
use super::Machine;

/// Why an operation began that somebody ordered.
pub(super) const ORDERED: &str = "an operator ordered it";

impl Machine {
    /// Takes an order in. It is answered now, or when the operation that it begins is over.
    pub(super) fn order(&mut self, ticket: Ticket, order: Order) {
        let outcome = match order {
            Order::Pause => Ok(self.set_paused(true)),
            Order::Resume => Ok(self.set_paused(false)),
            Order::Detach { node } => self.set_drained(node, true),
            Order::Attach { node } => self.set_drained(node, false),
            Order::Failover { to, allow_loss } => self.order_failover(ticket, to, allow_loss),
            Order::Switchover { to } => self.order_switchover(ticket, to),
            Order::Rejoin { node } => self.order_rejoin(ticket, Kind::Rejoin, node),
            Order::Reinit { node } => self.order_rejoin(ticket, Kind::Reinit, node),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(words)) => self.out.push(Action::Answer(ticket, Ok(words))),
            Err(refusal) => self.out.push(Action::Answer(ticket, Err(refusal))),
        }
    }

    /// Answers whoever ordered what is under way.
    pub(super) fn answer(&mut self, result: Result<String, String>) {
        if let Some(ticket) = self.ticket.take() {
            self.out.push(Action::Answer(ticket, result.map_err(Refusal::Failed)));
        }
    }

    fn set_paused(&mut self, paused: bool) -> Option<String> {
        if self.record.paused != paused {
            self.record.paused = paused;
            self.log();
        }
        Some(if paused { "automatic failover is paused" } else { "automatic failover is as configured" }.into())
    }

    fn set_drained(&mut self, node: Name, drained: bool) -> Result<Option<String>, Refusal> {
        let node = self.known(node)?;
        let before = self.record.drained.contains(&node);
        self.record.drained.retain(|other| *other != node);
        if drained {
            self.record.drained.push(node.clone());
        }
        if before != drained {
            self.log();
        }
        Ok(Some(format!("{node} is {}", if drained { "detached" } else { "attached" })))
    }

    fn order_failover(
        &mut self,
        ticket: Ticket,
        to: Option<Name>,
        allow_loss: bool,
    ) -> Result<Option<String>, Refusal> {
        let to = to.map(|node| self.known(node)).transpose()?;
        if self.state == State::Split {
            return self.resolve_split(to, allow_loss).map(Some);
        }
        self.refuse_in(&[State::Learning, State::CoordLost])?;
        if self.state != State::NoPrimarySafe {
            self.refuse_beside_operation()?;
        }
        let healthy = self.condition() == Condition::Healthy;
        let fenced = matches!(self.record.electorate, Electorate::Quorum { .. });
        if healthy && !fenced && !allow_loss {
            return Err(Refusal::NotNow(
                "the primary is healthy and commits wait for no standby: use SWITCHOVER, or ALLOW DATA LOSS".into(),
            ));
        }
        if healthy && to.as_ref().is_some_and(|to| self.record.route.is_primary(to)) {
            return Err(Refusal::NotNow("it is the primary, and healthy".into()));
        }
        let before = self.record.operation.clone();
        self.begin(Kind::ForcedFailover, Step::Fence, ORDERED.into(), |operation| {
            operation.target = to;
            operation.allow_loss = allow_loss;
            if let Some(before) = before.filter(|before| before.old == operation.old && !allow_loss) {
                operation.floor = before.floor;
                operation.flushed = operation.flushed.max(before.flushed);
            }
        });
        self.ticket = Some(ticket);
        self.turn(Cause::Forced);
        Ok(None)
    }

    /// Of those that claim to be primary, an operator chooses one; what the others acknowledged is lost.
    fn resolve_split(&mut self, to: Option<Name>, allow_loss: bool) -> Result<String, Refusal> {
        let no = |why: &str| Err(Refusal::NotNow(why.into()));
        let Some(to) = to else {
            return no("two nodes claim to be primary: say which, FAILOVER TO it ALLOW DATA LOSS");
        };
        if !allow_loss {
            return no("what the other node acknowledged would be lost: add ALLOW DATA LOSS");
        }
        let node = self.seen(&to).filter(|node| node.claims());
        let Some(timeline) = node.and_then(|node| node.viewed.timeline) else {
            return no("it does not claim to be primary now");
        };
        self.choose_claim(to.clone(), timeline);
        Ok(format!("{to} is primary"))
    }

    fn order_switchover(&mut self, ticket: Ticket, to: Option<Name>) -> Result<Option<String>, Refusal> {
        let to = to.map(|node| self.known(node)).transpose()?;
        self.refuse_beside_operation()?;
        if !matches!(self.state, State::Steady | State::DegradedSync | State::Paused) {
            return Err(Refusal::NotNow(format!("the cluster is {}: {}", self.state.word(), self.why)));
        }
        let primary = self.record.route.primary.clone();
        let Some(primary) = primary.filter(|_| self.condition() == Condition::Healthy) else {
            return Err(Refusal::NotNow("the primary does not answer: use FAILOVER".into()));
        };
        if !self.settings.node(&primary).is_some_and(|node| node.controlled) {
            return Err(Refusal::NotControlled(primary));
        }
        if let Some(to) = &to {
            self.check_target(to).map_err(Refusal::NotNow)?;
        }
        self.begin(Kind::Switchover, Step::Checkpoint, ORDERED.into(), |operation| {
            operation.target = to;
        });
        self.ticket = Some(ticket);
        self.turn(Cause::SwitchoverBegun);
        Ok(None)
    }

    fn order_rejoin(&mut self, ticket: Ticket, kind: Kind, node: Name) -> Result<Option<String>, Refusal> {
        let node = self.known(node)?;
        self.refuse_in(&[State::Learning, State::CoordLost, State::Split])?;
        if let Some(operation) = &self.record.operation {
            return Err(Refusal::Busy { operation: operation.id, kind: operation.kind.word() });
        }
        if self.record.route.is_primary(&node) {
            return Err(Refusal::NotNow(format!("{node} is the primary")));
        }
        let controlled = self.settings.node(&node).is_some_and(|settings| settings.controlled);
        if !controlled && (kind == Kind::Reinit || !self.answers(&node)) {
            return Err(Refusal::NotControlled(node));
        }
        self.following = super::follow::Following::at(self.now);
        self.begin(kind, Step::Repair, ORDERED.into(), |operation| operation.target = Some(node));
        self.ticket = Some(ticket);
        Ok(None)
    }

    fn known(&self, node: Name) -> Result<Name, Refusal> {
        if self.settings.node(&node).is_some() { Ok(node) } else { Err(Refusal::NoSuchNode(node)) }
    }

    fn refuse_in(&self, states: &[State]) -> Result<(), Refusal> {
        if states.contains(&self.state) {
            return Err(Refusal::NotNow(format!("the cluster is {}: {}", self.state.word(), self.why)));
        }
        Ok(())
    }

    /// Making others follow can wait; nothing else can be interrupted.
    fn refuse_beside_operation(&self) -> Result<(), Refusal> {
        match &self.record.operation {
            Some(operation) if operation.step != Step::Repair => {
                Err(Refusal::Busy { operation: operation.id, kind: operation.kind.word() })
            }
            _ => Ok(()),
        }
    }
}
