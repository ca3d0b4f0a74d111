//! What is seen of all nodes of a cluster at one instant: the input of the [`machine`](super::machine).
//!
//! Whoever watches the nodes makes a sight after each probe and each event on a held session, the sooner
//! the better: a death that the kernel reports is acted on at once. All times are ages at that instant.
//! What follows from a sight is in [`condition`](super::condition) and [`quarantine`](super::quarantine).

use std::time::Duration;

use super::{
    verdict::StandbySet,
    view::{Reachability, Role, ViewedNode},
};
use crate::id::{Lsn, NodeId};

/// All nodes at one instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// Wall-clock time, milliseconds since 1970; for policies and the log, never compared with ages.
    pub unix_ms: u64,
    /// By [`NodeId::index`].
    pub nodes: Vec<SeenNode>,
}

/// One node. What it last said of itself stays here when it goes; [`held`](Self::held) tells whether it holds still.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenNode {
    /// The part that policies see: name, role, timeline, positions, labels.
    pub viewed: ViewedNode,
    /// Age of what it last said of itself, counted from the question.
    pub asked: Duration,
    /// Whether it takes new sessions.
    pub door: Door,
    /// For how long that has been so.
    pub door_for: Duration,
    /// How many checks in a row said so.
    pub checks: u32,
    /// The control session that is held open to it.
    pub held: Held,
    /// `system_identifier`.
    pub system: Option<u64>,
    /// `pg_is_wal_replay_paused()`.
    pub replay_paused: bool,
    /// `primary_conninfo` is empty: it can receive from nobody.
    pub detached: bool,
    /// On a standby: its `pg_stat_wal_receiver`.
    pub receiver: Option<Receiver>,
    /// On a primary: its `pg_stat_replication`.
    pub senders: Vec<Sender>,
    /// On a primary: `synchronous_standby_names`.
    pub sync_names: SyncNames,
    /// How long ago a client was told that its disk is full (53100).
    pub disk_full: Option<Duration>,
}

/// Whether a node takes a new session, up to its answer to the first message.
///
/// A connect alone proves nothing: the kernel accepts for a process that stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// It does.
    Open,
    /// Nobody listens there. No proof of death by itself: another hop may have said so.
    Refused,
    /// No answer in time.
    TimedOut,
    /// It says itself that it is starting, stopping or recovering (57P03).
    NotReady(String),
    /// No connection was left (53300): alive.
    Full,
    /// Credentials, TLS or protocol trouble: says nothing about the node.
    Misconfigured(String),
    /// Anything else, an unreachable host for one.
    Failed(String),
}

/// The session that is held to a node, and asked again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// There was none yet.
    Absent,
    /// It answers.
    Answers,
    /// A question has been open for this long.
    Silent(Duration),
    /// It broke without a word, this long ago.
    Reset(Duration),
    /// The server ended it because it is being stopped (57P01), this long ago.
    Stopped(Duration),
    /// The server ended it because another of its processes crashed (57P02), this long ago.
    Crashed(Duration),
}

/// What a standby receives.
///
/// <https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-WAL-RECEIVER-VIEW>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// `status = 'streaming'`. One whose primary forked before its position says `waiting`.
    pub streaming: bool,
    /// `received_tli`.
    pub timeline: Option<u32>,
    /// The node at `sender_host`, `sender_port`.
    pub upstream: Option<NodeId>,
    /// Age of `last_msg_receipt_time`.
    pub heard: Option<Duration>,
}

/// One standby as its primary sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its `application_name`, which is the node's name.
    pub name: String,
    /// `state = 'streaming'`.
    pub streaming: bool,
    /// `sync_priority`, written by the WAL sender itself: zero for one that commits do not wait for.
    pub sync_priority: u32,
    /// `flush_lsn`.
    pub flushed: Option<Lsn>,
    /// Age of `reply_time`.
    pub replied: Option<Duration>,
}

/// `synchronous_standby_names`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SyncNames {
    /// Not read yet.
    #[default]
    Unknown,
    /// Empty.
    Nobody,
    /// A list of nodes.
    Set(StandbySet),
    /// Something that was not written by us: `*`, or names of no node.
    Foreign(String),
}

impl Sight {
    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&SeenNode> {
        self.nodes.iter().find(|node| &*node.viewed.name == name)
    }

    /// What the node streams comes from that primary, on that timeline, directly or through others.
    ///
    /// The timeline alone proves nothing: two nodes that were promoted from the same one give theirs the same number.
    pub fn leads_to(&self, node: &SeenNode, primary: NodeId, timeline: u32) -> bool {
        let mut at = node;
        // A way through more nodes than there are is a circle.
        for _ in 0..self.nodes.len() {
            let Some(receiver) = at.receiver.filter(|receiver| receiver.streaming && at.follows()) else {
                return false;
            };
            if receiver.timeline != Some(timeline) {
                return false;
            }
            match receiver.upstream {
                Some(upstream) if upstream == primary => return true,
                Some(upstream) => match self.by_id(upstream) {
                    Some(next) => at = next,
                    None => return false,
                },
                None => return false,
            }
        }
        false
    }

    /// The node of that number.
    pub fn by_id(&self, id: NodeId) -> Option<&SeenNode> {
        self.nodes.iter().find(|node| node.viewed.id == id)
    }
}

impl SeenNode {
    /// Its held session works: what it says of itself is current, and it can be acted on.
    pub fn answers(&self) -> bool {
        self.held == Held::Answers
    }

    /// It answers and takes writes.
    pub fn claims(&self) -> bool {
        self.answers() && self.viewed.role == Role::Primary
    }

    /// It answers and is in recovery.
    pub fn follows(&self) -> bool {
        self.answers() && self.viewed.role == Role::Standby
    }

    /// How long its door has been as it is, in a sight that was taken `age` ago. One where nobody answers has been so
    /// since the first question that nobody answered; of that counts what is `credible`, as in
    /// [`assess`](super::condition::assess).
    pub fn door_lasting(&self, age: Duration, credible: Duration) -> Duration {
        let at_door = self.door_for + age;
        match (&self.door, self.held) {
            (Door::TimedOut, Held::Silent(time) | Held::Reset(time)) => at_door.max((time + age).min(credible)),
            _ => at_door,
        }
    }

    /// It streams from that node, by its own account.
    pub fn streams_from(&self, upstream: NodeId) -> bool {
        self.receiver.is_some_and(|receiver| receiver.streaming && receiver.upstream == Some(upstream))
    }
}

impl Door {
    /// In the words of policies.
    pub fn reachability(&self) -> Reachability {
        match self {
            Self::Open | Self::Full => Reachability::Ok,
            Self::Refused => Reachability::Refused,
            Self::TimedOut => Reachability::TimedOut,
            Self::NotReady(why) => Reachability::NotReady(why.clone()),
            Self::Misconfigured(why) => Reachability::Misconfigured(why.clone()),
            Self::Failed(why) => Reachability::Failed(why.clone()),
        }
    }
}
