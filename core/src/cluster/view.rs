//! One cluster as policies of the control plane see it at one instant.
//!
//! The same facts that the host's own decisions rest on, in the words of `wit/v0.1/failover.wit`.

use std::{sync::Arc, time::Duration};

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
    /// Reachable, but failing some checks.
    Degraded,
    /// Taken out by an operator.
    Draining,
    /// Not usable.
    Down,
}

/// A standby's part in synchronous replication, as the primary tells it.
///
/// <https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-REPLICATION-VIEW>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncRole {
    /// Does not replicate from the primary.
    None,
    /// Commits do not wait for it.
    Asynchronous,
    /// Commits would wait for it if one before it went.
    Potential,
    /// Commits wait for it.
    Synchronous,
    /// One of those of which commits wait for some.
    Quorum,
}

/// One node.
#[derive(Clone, Debug, PartialEq)]
pub struct ViewedNode {
    /// Its number in this generation.
    pub id: NodeId,
    /// Its name from the configuration.
    pub name: Arc<str>,
    /// What it says it is.
    pub role: Role,
    /// Whether it gets work.
    pub health: Health,
    /// Its part in synchronous replication, when known.
    pub sync: Option<SyncRole>,
    /// Weight from the configuration.
    pub weight: u32,
    /// `server_version_num`, for example 150018.
    pub server_version: Option<u32>,
    /// Its timeline.
    pub timeline: Option<u32>,
    /// The node that this one streams from.
    pub upstream: Option<NodeId>,
    /// Primary: flushed position. Standby: received position.
    pub received: Option<Lsn>,
    /// Standby: replayed position.
    pub replayed: Option<Lsn>,
    /// Bytes behind the primary's newest known position.
    pub lag_bytes: Option<u64>,
    /// Age of the newest replayed commit.
    pub lag: Option<Duration>,
    /// Labels from the configuration; `failover-priority`, `nofailover` and `nosync` have a meaning to the
    /// default policies.
    pub labels: Arc<[(String, String)]>,
}

/// Outcome of one observer's newest check of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reachability {
    /// It answers.
    Ok,
    /// Nobody listens there.
    Refused,
    /// No answer in time.
    TimedOut,
    /// Up but not accepting: starting, shutting down, in crash recovery (57P03).
    NotReady(String),
    /// Credentials, TLS or protocol trouble: says nothing about the node.
    Misconfigured(String),
    /// Anything else.
    Failed(String),
}

/// One observer's newest check of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeReport {
    /// Which node.
    pub node: NodeId,
    /// Its outcome.
    pub reachability: Reachability,
    /// What the node said it is, last.
    pub role: Role,
    /// Its timeline, last.
    pub timeline: Option<u32>,
    /// Its position, last.
    pub position: Option<Lsn>,
    /// Standby only: it still hears its upstream, which contradicts "the primary is dead".
    pub streaming: Option<bool>,
    /// How long this outcome has held.
    pub lasting: Duration,
    /// How many checks in a row gave it.
    pub checks: u32,
}

/// What one observer reports.
#[derive(Clone, Debug, PartialEq)]
pub struct ObserverReport {
    /// Its name.
    pub observer: String,
    /// It is this proxy.
    pub this_proxy: bool,
    /// Age of the report when the view was assembled.
    pub age: Duration,
    /// Where the observer stands, if that is configured.
    pub zone: Option<String>,
    /// Its checks.
    pub nodes: Vec<NodeReport>,
}

/// How many observers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// Configured observers.
    pub observers: u16,
    /// Those with a fresh report.
    pub fresh: u16,
    /// How many it takes.
    pub needed: u16,
}

/// The merged view, with the raw reports that it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Wall-clock time, milliseconds since 1970.
    pub now_unix_ms: u64,
    /// Grows by one with every promotion; zero while unknown.
    pub term: u64,
    /// This proxy may act in this term.
    pub leader: bool,
    /// The node that takes writes, or did last.
    pub primary: Option<NodeId>,
    /// All nodes, by [`NodeId::index`].
    pub nodes: Vec<ViewedNode>,
    /// Who saw what.
    pub reports: Vec<ObserverReport>,
    /// Of how many.
    pub quorum: Quorum,
    /// Newest position that any client was told is committed, if known.
    pub acknowledged: Option<Lsn>,
    /// Commits wait for the synchronous set now.
    pub synchronous: bool,
    /// When a node was promoted last.
    pub last_promotion_unix_ms: Option<u64>,
    /// An operator switched automatic failover off.
    pub paused: bool,
}
