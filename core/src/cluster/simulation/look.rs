//! What the proxy sees of the nodes.

use std::time::Duration;

use super::{
    super::{
        sight::{Door, Held, Receiver, SeenNode, Sender, Sight, SyncNames},
        view::{Role, SyncRole},
    },
    steward::{LOOK_EVERY, Steward},
    world::{Power, World},
};
use crate::id::{Lsn, NodeId};

/// From no answer to "timed out".
const DOOR_TIMEOUT: u64 = 300;

impl Steward {
    /// What can be seen now.
    pub fn look(&mut self, world: &World) -> Sight {
        for place in 0..world.nodes.len() {
            let node = &world.nodes[place];
            let reachable = world.linked(world.proxy(), place);
            let (held, door) = match node.power {
                Power::Running if reachable => (Held::Answers, Door::Open),
                Power::Running | Power::Hung => {
                    let door = if world.now > self.held_since[place] + DOOR_TIMEOUT {
                        Door::TimedOut
                    } else {
                        self.seen[place].door.clone()
                    };
                    (self.silent(place), door)
                }
                Power::Down if !reachable => (self.silent(place), Door::TimedOut),
                Power::Down => (self.broken(place, node.goodbye), Door::Refused),
                Power::Recovering(_) if !reachable => (self.silent(place), Door::TimedOut),
                Power::Recovering(_) => (self.crashed(place), Door::NotReady("recovering".into())),
            };
            let before = &mut self.seen[place];
            if std::mem::discriminant(&held) != std::mem::discriminant(&before.held) {
                self.held_since[place] = world.now;
            }
            if held == Held::Answers {
                self.held_since[place] = world.now;
            }
            if door != before.door {
                self.door_since[place] = world.now;
            }
            let lasting = Duration::from_millis(world.now - self.held_since[place]);
            before.held = match held {
                Held::Silent(_) => Held::Silent(lasting),
                Held::Reset(_) => Held::Reset(lasting),
                Held::Crashed(_) => Held::Crashed(lasting),
                Held::Stopped(_) => Held::Stopped(lasting),
                Held::Answers | Held::Absent => held,
            };
            before.door = door;
            before.door_for = Duration::from_millis(world.now - self.door_since[place]);
            before.checks += 1;
            if held == Held::Answers {
                tell_all(world, place, before);
            } else {
                before.asked += Duration::from_millis(LOOK_EVERY);
            }
        }
        Sight { unix_ms: world.now, nodes: self.seen.clone() }
    }

    fn silent(&self, place: usize) -> Held {
        match self.seen[place].held {
            Held::Answers => Held::Silent(Duration::ZERO),
            before => before,
        }
    }

    fn broken(&self, place: usize, goodbye: bool) -> Held {
        match self.seen[place].held {
            Held::Answers | Held::Silent(_) if goodbye => Held::Stopped(Duration::ZERO),
            Held::Answers | Held::Silent(_) => Held::Reset(Duration::ZERO),
            before => before,
        }
    }

    fn crashed(&self, place: usize) -> Held {
        match self.seen[place].held {
            Held::Answers | Held::Silent(_) => Held::Crashed(Duration::ZERO),
            before => before,
        }
    }
}

/// What a node that answers says of itself.
fn tell_all(world: &World, place: usize, seen: &mut SeenNode) {
    let node = &world.nodes[place];
    let at = Some(Lsn(node.log.len() as u64));
    seen.asked = Duration::ZERO;
    seen.system = Some(7);
    seen.viewed.role = if node.primary { Role::Primary } else { Role::Standby };
    seen.viewed.timeline = Some(node.timeline);
    seen.viewed.received = at;
    seen.viewed.replayed = at;
    seen.detached = node.upstream.is_none();
    let number = |place: usize| NodeId(place as u16);
    seen.viewed.upstream = node.upstream.filter(|_| node.streaming).map(number);
    seen.receiver = (!node.primary && node.streaming).then(|| Receiver {
        streaming: true,
        timeline: Some(node.timeline),
        upstream: node.upstream.map(number),
        heard: Some(Duration::from_millis(world.now - node.heard_at)),
    });
    seen.viewed.sync = (!node.primary).then_some(SyncRole::Quorum);
    seen.sync_names = match (&node.sync, node.primary) {
        (_, false) => SyncNames::Unknown,
        (None, true) => SyncNames::Nobody,
        (Some(set), true) => SyncNames::Set(set.clone()),
    };
    seen.senders.clear();
    if node.primary {
        let others =
            world.nodes.iter().enumerate().filter(|(_, other)| other.upstream == Some(place) && other.streaming);
        seen.senders.extend(others.map(|(_, other)| Sender {
            name: other.name.to_owned(),
            streaming: true,
            sync_priority: 1,
            flushed: Some(Lsn(other.log.len() as u64)),
            replied: Some(Duration::from_millis(world.now - other.heard_at)),
        }));
    }
}
