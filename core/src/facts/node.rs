//! One cluster as it was at one instant.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Fork, Hold};
use crate::id::{Lsn, NodeId};

/// What a node says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes writes.
    Primary,
    /// In recovery.
    Standby,
    /// Never reached yet.
    Unknown,
}

/// Whether a node gets work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Accepts traffic.
    Up,
    /// Back after it was down, not yet proven; used only when nothing else is left.
    Degraded,
    /// Taken out by an operator: existing work finishes, no new work is sent.
    Draining,
    /// Not usable.
    Down,
}

/// One node as the monitor last saw it.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// Its number in this generation.
    pub id: NodeId,
    /// Its name from the configuration.
    pub name: Arc<str>,
    /// Host name, address or socket directory.
    pub host: Arc<str>,
    /// TCP port, or the number in the socket's name.
    pub port: u16,
    /// Weight from the configuration, default 100; zero takes no reads.
    pub weight: u32,
    /// Labels from the configuration.
    pub labels: Arc<[(String, String)]>,
    /// What it says it is.
    pub role: Role,
    /// Whether it gets work.
    pub health: Health,
    /// Share of its weight that it gets while it warms up after a return, 0 to 100.
    pub ramp_percent: u8,
    /// `server_version_num`, for example 150018.
    pub server_version: Option<u32>,
    /// Its timeline.
    pub timeline: Option<u32>,
    /// Primary: flushed position. Standby: received position.
    pub received: Option<Lsn>,
    /// Standby: replayed position. Primary: flushed position.
    pub replayed: Option<Lsn>,
    /// Primary: the end of what has been inserted, where a standby arrives once it is flushed. Every commit
    /// that was acknowledged is within it.
    pub inserted: Option<Lsn>,
    /// Primary: commits may be acknowledged before they are flushed, by the server's own configuration.
    pub async_commit: bool,
    /// Bytes behind the primary's newest known position.
    pub lag_bytes: Option<u64>,
    /// Age of the newest replayed commit; zero when fully caught up.
    pub lag: Option<Duration>,
    /// When the positions were asked for (not when the answer came).
    pub sampled_at: Instant,
    /// Why it is not up, in words.
    pub why: Option<Arc<str>>,
}

/// A whole cluster at one instant.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Grows with each change of role, health, membership or labels, not with each lag sample.
    pub epoch: u64,
    /// Counts promotions, as timelines do; it never shrinks, and stays while no primary is known. 0 before the first is.
    pub term: u64,
    /// The node that takes writes, if one is known.
    pub primary: Option<NodeId>,
    /// New transactions wait, even if a primary is known.
    pub hold: Option<Hold>,
    /// When the primary is lost, somebody will promote another node: clients wait for it, and outlive it.
    pub heals: bool,
    /// Where terms began, the oldest first, as far as that is known.
    pub forks: Arc<[Fork]>,
    /// All nodes, by [`NodeId::index`].
    pub nodes: Vec<NodeFacts>,
}

impl Facts {
    /// The node of that number.
    pub fn node(&self, id: NodeId) -> Option<&NodeFacts> {
        self.nodes.get(id.index())
    }

    /// The node that takes writes, if one is known.
    pub fn primary(&self) -> Option<&NodeFacts> {
        self.primary.and_then(|id| self.node(id))
    }

    /// Where a transaction that writes may begin now.
    pub fn open_primary(&self) -> Option<NodeId> {
        if self.hold.is_some() {
            return None;
        }
        // A cluster of one node has its primary even when nobody may ask it.
        self.primary.or((self.nodes.len() == 1).then_some(NodeId(0)))
    }

    /// Where the log of a term ends for all that came after it; `None` while it goes on, or if that is not known.
    pub fn end_of_term(&self, term: u64) -> Option<Lsn> {
        self.forks.iter().filter(|fork| fork.term > term).map(|fork| fork.at).min()
    }

    /// Whether a transaction of a term was lost by a later one; `None` if that is not known. One that was not lost
    /// may have been aborted.
    pub fn lost(&self, term: u64, xid: u64) -> Option<bool> {
        let mut later = self.forks.iter().filter(|fork| fork.term > term).peekable();
        later.peek()?;
        Some(later.any(|fork| xid >= fork.next_xid))
    }
}
