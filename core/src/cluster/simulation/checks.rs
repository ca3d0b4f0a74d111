//! What must be true of each action and after each sight.

use super::{
    super::{
        action::{Effect, Task},
        operation::Kind,
        state::State,
    },
    steward::Steward,
    world::World,
};

/// How long a node that should be in quarantine may be seen before it is.
const AT_LARGE_MAX: u64 = 400;

impl Steward {
    /// I3 and I4.
    pub fn check_task(&mut self, world: &mut World, task: &Task, node: usize) {
        let on_host = matches!(task.effect, Effect::Start | Effect::Rewind { .. } | Effect::Rebuild { .. });
        let elsewhere = matches!(task.effect, Effect::CloseServers | Effect::Drain | Effect::Stop);
        if on_host {
            let kind = self.machine.standing().operation.map(|operation| operation.kind);
            if !matches!(kind, Some(Kind::Rejoin | Kind::Reinit | Kind::Switchover)) {
                world.violations.push(format!("I4: {:?} in {kind:?}", task));
            }
        } else if !elsewhere && !self.told[node] {
            world.violations.push(format!("I4: {:?} on a node that does not answer", task));
        }
        if task.effect == Effect::Promote {
            for (operation, other) in &self.promoted {
                if *operation == task.operation && *other != node && self.told[*other] {
                    let name = world.nodes[*other].name;
                    world.violations.push(format!("I3: {:?} while {name} was promoted for it and answers", task));
                }
            }
        }
    }

    /// I6: whoever claims to be primary and is not, or has another log, gets no work.
    pub fn check_quarantine(&mut self, world: &mut World) {
        let standing = self.machine.standing();
        self.holding = standing.hold.is_some();
        let candidate = standing.operation.as_ref().and_then(|operation| operation.candidate.clone());
        let primary = world.nodes.iter().position(|node| standing.route.is_primary(node.name));
        for place in 0..world.nodes.len() {
            let name = world.nodes[place].name;
            let other = !standing.route.is_primary(name) && candidate.as_deref() != Some(name);
            let settled = matches!(standing.state, State::Steady | State::DegradedSync) && standing.operation.is_none();
            let bad = world.nodes[place].primary
                || settled && primary.is_some_and(|primary| world.running(primary) && world.diverged(place, primary));
            let seen = world.running(place) && self.told[place] && world.linked(world.proxy(), place);
            let caught = standing.quarantine.iter().any(|entry| *entry.node == *name);
            if other && bad && seen && !caught && standing.route.primary.is_some() {
                let since = *self.at_large[place].get_or_insert(world.now);
                if world.now > since + AT_LARGE_MAX {
                    world.violations.push(format!("I6: {name} is no part of this history and not in quarantine"));
                    self.at_large[place] = None;
                }
            } else {
                self.at_large[place] = None;
            }
        }
    }
}
