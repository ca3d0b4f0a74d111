//! What is seen of a cluster that heals itself, beyond what the [`judge`](super::judge) needs: doors, held
//! sessions, and for how long. Pure; time is passed in.

use std::{mem::discriminant, time::Duration};

use tokio::time::Instant;

use super::{
    cluster_question::{ClusterSample, ReceiverSample, SenderSample},
    observation::{Failure, FailureKind, Finding, Loss},
};
use crate::{
    cluster::{
        sight::{Door, Held, Receiver, SeenNode, Sender, Sight, SyncNames},
        verdict::StandbySet,
        view::{Health, Role, SyncRole, ViewedNode},
    },
    facts::{self, Facts, NodeFacts},
};

/// A door that does not open for so long counts as shut.
pub(super) const SILENCE_AT_THE_DOOR: Duration = Duration::from_millis(500);

/// One node, by the place that the judge has it in.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    door: Door,
    door_since: Instant,
    checks: u32,
    held: HeldNow,
    /// The newest that was asked besides.
    sample: Option<Box<ClusterSample>>,
    system: Option<u64>,
    /// When a client was last told that its disk is full.
    disk_full: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeldNow {
    Absent,
    Answers,
    Over(Loss, Instant),
}

impl Seen {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            door: Door::Failed("not tried yet".to_owned()),
            door_since: now,
            checks: 0,
            held: HeldNow::Absent,
            sample: None,
            system: None,
            disk_full: None,
        }
    }

    /// A client was told that its disk is full.
    pub(super) fn note_disk_full(&mut self, now: Instant) {
        self.disk_full = Some(now);
    }

    /// Takes in what was found out about it.
    pub(super) fn take_in(&mut self, finding: &Finding, now: Instant) {
        match finding {
            Finding::Probe(observation) => match &observation.outcome {
                Ok(sample) => {
                    self.held = HeldNow::Answers;
                    self.sample.clone_from(&sample.cluster);
                    self.system = sample.system.or(self.system);
                }
                // The session is given up, and another is tried. It has been of no use since it was asked.
                Err(Failure { kind: FailureKind::Silent(_), .. }) if self.held == HeldNow::Answers => {
                    self.held = HeldNow::Over(Loss::Reset, observation.asked_at);
                }
                Err(_) => {}
            },
            Finding::Entry(outcome) | Finding::Dialled(outcome) => {
                // Somebody has stood there in silence for as long already.
                let tried_at = match outcome {
                    Err(Failure { kind: FailureKind::Silent(silence), .. }) => now.checked_sub(*silence),
                    _ => None,
                };
                let door = outcome.as_ref().map_or_else(door, |()| Door::Open);
                self.try_door(door, tried_at.unwrap_or(now));
            }
            Finding::Lost(loss) => self.held = HeldNow::Over(*loss, now),
        }
    }

    /// What is found twice counts as twice the same, whatever words it comes with: a node that is lost behind something
    /// that takes connections resets them one time and closes them the next.
    fn try_door(&mut self, door: Door, since: Instant) {
        if self.checks > 0 && discriminant(&self.door) == discriminant(&door) {
            self.checks = self.checks.saturating_add(1);
        } else {
            (self.door_since, self.checks) = (since, 1);
        }
        self.door = door;
    }

    fn held(&self, asked_at: Option<Instant>, now: Instant) -> Held {
        let ago = |at: Instant| now.saturating_duration_since(at);
        match (self.held, asked_at) {
            (HeldNow::Absent, _) => Held::Absent,
            (HeldNow::Answers, Some(at)) if ago(at) > ANSWERS_WITHIN => Held::Silent(ago(at)),
            (HeldNow::Answers, _) => Held::Answers,
            (HeldNow::Over(Loss::Reset, at), _) => Held::Reset(ago(at)),
            (HeldNow::Over(Loss::Stopped, at), _) => Held::Stopped(ago(at)),
            (HeldNow::Over(Loss::Crashed, at), _) => Held::Crashed(ago(at)),
        }
    }
}

/// An answer that is on its way for less than this is no silence.
const ANSWERS_WITHIN: Duration = Duration::from_millis(100);

/// A node of the cluster at its address.
pub(super) struct Place {
    pub(super) seen: Seen,
    /// When the open question was asked.
    pub(super) asked_at: Option<Instant>,
}

/// All nodes at this instant.
pub(super) fn sight(facts: &Facts, places: &[Place], unix_ms: u64, now: Instant) -> Sight {
    let primary = facts.primary.and_then(|primary| places.get(primary.index()));
    let senders = primary.and_then(|place| place.seen.sample.as_deref()).map(|sample| &sample.senders);
    let nodes = facts.nodes.iter().zip(places).map(|(node, place)| {
        let sync = senders.map(|senders| sync_role(senders, &node.name));
        seen_node(facts, node, place, sync, now)
    });
    Sight { unix_ms, nodes: nodes.collect() }
}

fn seen_node(facts: &Facts, node: &NodeFacts, place: &Place, sync: Option<SyncRole>, now: Instant) -> SeenNode {
    let sample = place.seen.sample.as_deref();
    let ago = now.saturating_duration_since(node.sampled_at);
    let receiver =
        sample.and_then(|sample| sample.receiver.as_ref()).map(|receiver| self::receiver(facts, receiver, ago));
    SeenNode {
        viewed: viewed(facts, node, receiver.as_ref(), sync),
        asked: ago,
        door: place.seen.door.clone(),
        door_for: now.saturating_duration_since(place.seen.door_since),
        checks: place.seen.checks,
        held: place.seen.held(place.asked_at, now),
        system: place.seen.system,
        replay_paused: sample.is_some_and(|sample| sample.replay_paused),
        detached: sample.is_some_and(|sample| sample.detached),
        receiver,
        senders: sample.map(|sample| senders(sample, ago)).unwrap_or_default(),
        sync_names: sample.map_or(SyncNames::Unknown, |sample| sync_names(facts, &sample.synchronous_standby_names)),
        disk_full: place.seen.disk_full.map(|at| now.saturating_duration_since(at)),
    }
}

/// A standby's part in synchronous replication, as its primary told last.
fn sync_role(senders: &[SenderSample], name: &str) -> SyncRole {
    let streams = |sender: &&SenderSample| sender.name == name && sender.state == "streaming";
    match senders.iter().find(streams).map(|sender| sender.sync_state.as_str()) {
        Some("sync") => SyncRole::Synchronous,
        Some("quorum") => SyncRole::Quorum,
        Some("potential") => SyncRole::Potential,
        Some(_) => SyncRole::Asynchronous,
        None => SyncRole::None,
    }
}

/// A node as policies see it.
fn viewed(facts: &Facts, node: &NodeFacts, receiver: Option<&Receiver>, sync: Option<SyncRole>) -> ViewedNode {
    ViewedNode {
        id: node.id,
        name: node.name.clone(),
        role: match node.role {
            facts::Role::Primary => Role::Primary,
            facts::Role::Standby => Role::Standby,
            facts::Role::Unknown => Role::Unknown,
        },
        health: match node.health {
            facts::Health::Up => Health::Up,
            facts::Health::Degraded => Health::Degraded,
            facts::Health::Draining => Health::Draining,
            facts::Health::Down => Health::Down,
        },
        sync,
        weight: node.weight,
        server_version: node.server_version,
        timeline: node.timeline,
        upstream: receiver.and_then(|receiver| receiver.upstream),
        received: node.received,
        replayed: node.replayed,
        lag_bytes: facts.primary().and_then(|primary| Some(primary.received?.0.saturating_sub(node.replayed?.0))),
        lag: node.lag,
        labels: node.labels.clone(),
    }
}

fn receiver(facts: &Facts, sample: &ReceiverSample, ago: Duration) -> Receiver {
    let at =
        |node: &&NodeFacts| node.port == sample.port && (*node.host == *sample.host || is_alone_there(facts, node));
    Receiver {
        streaming: sample.status == "streaming",
        timeline: sample.timeline,
        upstream: facts.nodes.iter().find(at).map(|node| node.id),
        heard: sample.heard.map(|heard| heard + ago),
    }
}

/// No other node has this port, so that a host of another spelling is this one.
fn is_alone_there(facts: &Facts, node: &NodeFacts) -> bool {
    facts.nodes.iter().filter(|other| other.port == node.port).count() == 1
}

fn senders(sample: &ClusterSample, ago: Duration) -> Vec<Sender> {
    let sender = |sender: &SenderSample| Sender {
        name: sender.name.clone(),
        streaming: sender.state == "streaming",
        sync_priority: sender.sync_priority,
        flushed: sender.flushed,
        replied: sender.replied.map(|replied| replied + ago),
    };
    sample.senders.iter().map(sender).collect()
}

/// `synchronous_standby_names`, as far as it names nodes of the cluster.
fn sync_names(facts: &Facts, text: &str) -> SyncNames {
    if text.trim().is_empty() {
        return SyncNames::Nobody;
    }
    let is_node = |name: &String| facts.nodes.iter().any(|node| *node.name == **name);
    match StandbySet::parse(text) {
        Some(set) if set.members.iter().all(is_node) => SyncNames::Set(set),
        _ => SyncNames::Foreign(text.to_owned()),
    }
}

fn door(failure: &Failure) -> Door {
    let why = || failure.why.to_string();
    match failure.kind {
        FailureKind::Refused => Door::Refused,
        FailureKind::NotReady => Door::NotReady(why()),
        FailureKind::Rejected => Door::Misconfigured(why()),
        FailureKind::Full => Door::Full,
        FailureKind::Silent(_) => Door::TimedOut,
        FailureKind::Broken | FailureKind::Ended(_) => Door::Failed(why()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_that_stays_shut_in_other_words_is_shut_all_the_time() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut seen = Seen::new(start);
        let failed = |why: &str| Door::Failed(why.to_owned());

        seen.try_door(failed("reset"), at(100));
        seen.try_door(failed("closed"), at(200));
        assert_eq!((seen.checks, seen.door_since, &seen.door), (2, at(100), &failed("closed")));

        seen.try_door(Door::Refused, at(300));
        assert_eq!((seen.checks, seen.door_since), (1, at(300)));
    }
}
