//! Effects on their way to nodes: late, failing, unknown, and sometimes after all.

use super::{
    super::action::{Effect, Event, Finding, Outcome, Task},
    steward::{Sent, Steward},
    world::{Power, World},
};
use crate::id::Lsn;

impl Steward {
    /// Effects that are due take place, in their order on each node.
    pub fn carry_out(&mut self, world: &mut World) {
        let mut blocked = [false; 8];
        for sent in std::mem::take(&mut self.inbox) {
            let on_host = matches!(
                sent.task.effect,
                Effect::Start
                    | Effect::Stop
                    | Effect::Rewind { .. }
                    | Effect::Rebuild { .. }
                    | Effect::CloseServers
                    | Effect::Drain
            );
            let reachable = world.linked(world.proxy(), sent.node);
            let free = on_host || !blocked[sent.node];
            let ready = free && (on_host || world.running(sent.node) && (reachable || sent.orphan));
            if ready && world.now >= sent.due {
                let outcome = if sent.fails {
                    Outcome::Failed("chance".into())
                } else {
                    match self.apply(world, &sent.task, sent.node) {
                        Ok(Some(finding)) => Outcome::Done(finding),
                        Err(why) => Outcome::Failed(why),
                        Ok(None) if world.now < sent.give_up => {
                            // Whoever waits for its effect keeps the node's control session.
                            blocked[sent.node] |= !on_host;
                            self.inbox.push(sent);
                            continue;
                        }
                        Ok(None) => Outcome::Failed("not in time".into()),
                    }
                };
                self.report(world, &sent, outcome);
                continue;
            }
            let lost = matches!(world.nodes[sent.node].power, Power::Down | Power::Recovering(_)) && !on_host;
            if lost || world.now >= sent.give_up && !sent.orphan && !on_host {
                self.report(world, &sent, Outcome::Unknown("the node stopped answering".into()));
                let delivered = self.dice.chance(50);
                if !lost && world.nodes[sent.node].power == Power::Hung {
                    self.inbox.push(Sent { orphan: true, ..sent });
                } else if !lost && delivered && world.running(sent.node) && !blocked[sent.node] {
                    _ = self.apply(world, &sent.task, sent.node);
                }
                continue;
            }
            blocked[sent.node] |= !on_host;
            self.inbox.push(sent);
        }
    }

    fn report(&mut self, world: &World, sent: &Sent, outcome: Outcome) {
        if !sent.orphan {
            let after = self.dice.between(0, 10);
            self.events.push_back((world.now + after, Event::Done(sent.task.id, outcome)));
        }
    }

    /// The effect takes place. `None`: not yet.
    pub fn apply(&mut self, world: &mut World, task: &Task, node: usize) -> Result<Option<Finding>, String> {
        let names: Vec<&str> = world.nodes.iter().map(|node| node.name).collect();
        let place = |name: &str| names.iter().position(|known| *known == name).unwrap();
        let done = Ok(Some(Finding::Nothing));
        let primary = world.nodes[node].primary;
        match &task.effect {
            Effect::Detach if primary => return Err("is primary".into()),
            Effect::Detach => {
                world.nodes[node].upstream = None;
                world.nodes[node].streaming = false;
                return Ok(Some(position(world, node)));
            }
            Effect::Reattach { upstream, .. } => world.nodes[node].upstream = Some(place(upstream)),
            Effect::Repoint { upstream, .. } => {
                let upstream = place(upstream);
                world.nodes[node].upstream = Some(upstream);
                let there = world.nodes[node].streaming && world.nodes[node].timeline == world.nodes[upstream].timeline;
                return Ok(there.then_some(Finding::Nothing));
            }
            Effect::FastForward { upstream, until } => {
                let upstream = place(upstream);
                world.nodes[node].upstream = Some(upstream);
                if (world.nodes[node].log.len() as u64) < until.0 {
                    return Ok(None);
                }
                world.nodes[node].upstream = None;
                return Ok(Some(position(world, node)));
            }
            Effect::PresetSync { set } => world.nodes[node].sync.clone_from(set),
            Effect::SetSync { .. } if !primary => return Err("is in recovery".into()),
            Effect::SetSync { set } => {
                world.nodes[node].sync.clone_from(set);
                return Ok(Some(position(world, node)));
            }
            Effect::Promote => {
                if !primary {
                    self.promotions += 1;
                    self.promoted.push((task.operation, node));
                }
                let timeline = world.promote(node);
                self.tell(world, || format!("{} is promoted", task.node));
                return Ok(Some(Finding::Promoted { timeline }));
            }
            Effect::RecordFork => {
                let began = world.nodes[node].history.last().map_or(0, |(_, began)| *began);
                return Ok(Some(Finding::Fork { at: Lsn(began as u64), next_xid: None }));
            }
            Effect::Arm { .. } | Effect::Disarm if !primary => return Err("is in recovery".into()),
            Effect::Arm { upstream, .. } => {
                world.nodes[node].signal = true;
                world.nodes[node].upstream = upstream.as_deref().map(place);
                return Ok(Some(position(world, node)));
            }
            Effect::Disarm => world.nodes[node].signal = false,
            Effect::Stop => return if world.stop(node) { done } else { Err("does not stop".into()) },
            Effect::Start => {
                world.start(node);
                return if world.running(node) { done } else { Err("does not start".into()) };
            }
            Effect::CatchUp => {
                return Ok((!world.nodes[node].streaming).then(|| position(world, node)));
            }
            Effect::Rewind { source, upstream, .. } | Effect::Rebuild { source, upstream, .. } => {
                let (source, upstream) = (place(source), place(upstream));
                if world.nodes[node].power != Power::Down || !world.running(source) {
                    return Err("the node is not stopped, or the source does not answer".into());
                }
                world.rewind(node, source);
                world.nodes[node].upstream = Some(upstream);
            }
            Effect::Checkpoint | Effect::CloseServers | Effect::Drain | Effect::MakeSlot { .. } | Effect::DropSlots => {
            }
        }
        done
    }
}

fn position(world: &World, node: usize) -> Finding {
    let node = &world.nodes[node];
    Finding::Position { at: Lsn(node.log.len() as u64), timeline: Some(node.timeline) }
}
