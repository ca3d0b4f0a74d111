//! What policies of the control plane answer: a verdict on the primary, whom to promote, what each
//! standby does next, and for whom commits wait.
//!
//! A policy may veto, delay, rank and choose; what it may not do is checked by whoever asked it.

use std::time::Duration;

use crate::id::{Lsn, NodeId};

/// Is the primary lost?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to do.
    Healthy,
    /// Suspicious: look again after this time.
    Wait(Duration, String),
    /// Do not fail over.
    Hold(String),
    /// The primary is lost.
    FailOver(String),
}

/// Why somebody is to be promoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The verdict was [`Verdict::FailOver`].
    Automatic,
    /// An operator asked for a planned switchover; the old primary is up.
    Switchover,
    /// An operator asked to promote now.
    Forced,
}

/// A candidate and what speaks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Which node.
    pub node: NodeId,
    /// Higher is better.
    pub score: i64,
    /// For the operator.
    pub why: String,
}

/// Whom to promote, and what may be lost by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promotion {
    /// Best first.
    pub candidates: Vec<Ranked>,
    /// Replay at least to here before promoting.
    pub wait_for: Option<Lsn>,
    /// For at most this long.
    pub catch_up: Duration,
    /// Most bytes of acknowledged log that may be lost.
    pub max_loss_bytes: u64,
}

/// The answer to "whom?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Election {
    /// One of these.
    Promote(Promotion),
    /// Ask again after this time.
    Retry(Duration, String),
    /// Nobody; a human has to decide.
    Abstain(String),
}

/// How a standby's log relates to the point where the new timeline began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// It can follow as it is.
    None,
    /// Bytes that it received past the fork: it has to be rewound or rebuilt.
    Ahead(u64),
    /// Not known.
    Unknown,
}

/// What is possible on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Its settings can be changed and reloaded.
    pub reconfigure: bool,
    /// It can be stopped and started.
    pub restart: bool,
    /// pg_rewind would work on it.
    pub rewind: bool,
    /// It can be built anew.
    pub rebuild: bool,
    /// The new primary still has all the log that it needs.
    pub wal_available: bool,
    /// `recovery_target_timeline = latest`.
    pub follows_latest: bool,
}

/// A standby after a promotion.
#[derive(Clone, Debug, PartialEq)]
pub struct FollowingStandby {
    /// The node.
    pub node: super::view::ViewedNode,
    /// Whether it can follow.
    pub divergence: Divergence,
    /// What can be done with it.
    pub capabilities: Capabilities,
    /// It streams from the new primary already.
    pub following: bool,
    /// Standbys that stream from it.
    pub downstream: Vec<NodeId>,
    /// Size of its data, if known.
    pub data_bytes: Option<u64>,
}

/// A promotion that standbys have to follow.
#[derive(Clone, Debug, PartialEq)]
pub struct PromotionEvent {
    /// Wall-clock time, milliseconds since 1970.
    pub now_unix_ms: u64,
    /// The new term.
    pub term: u64,
    /// Who was promoted.
    pub new_primary: super::view::ViewedNode,
    /// The timeline that the new one forked from.
    pub fork_timeline: u32,
    /// Where it forked.
    pub fork: Lsn,
    /// All but the old primary.
    pub standbys: Vec<FollowingStandby>,
}

/// What a standby does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowAction {
    /// Nothing.
    LeaveAlone,
    /// Stream from another node.
    Repoint {
        /// From whom.
        upstream: NodeId,
        /// Make a replication slot for it there first.
        create_slot: bool,
    },
    /// pg_rewind against the new primary, then stream from it.
    Rewind {
        /// From whom.
        upstream: NodeId,
        /// Make a replication slot for it there first.
        create_slot: bool,
    },
    /// pg_basebackup, then stream.
    Rebuild {
        /// The node that is copied.
        source: NodeId,
        /// The node it streams from afterwards.
        upstream: NodeId,
        /// Kibibytes per second at most.
        max_rate_kib: Option<u32>,
    },
}

/// The plan for one standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandbyPlan {
    /// Which.
    pub node: NodeId,
    /// What it does.
    pub action: FollowAction,
    /// Waves run one after the other; plans of one wave run together.
    pub wave: u16,
    /// How long it may take.
    pub timeout: Duration,
    /// It gets reads meanwhile.
    pub keep_routing: bool,
    /// For the operator.
    pub why: String,
}

/// A step of a plan failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepFailure {
    /// The plan that failed.
    pub plan: StandbyPlan,
    /// How many times it was tried.
    pub attempt: u16,
    /// What went wrong.
    pub message: String,
}

/// `FIRST` or `ANY`.
///
/// <https://www.postgresql.org/docs/current/runtime-config-replication.html#GUC-SYNCHRONOUS-STANDBY-NAMES>
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum SyncMethod {
    /// The first that are there, by order.
    First,
    /// Any of them.
    Any,
}

/// For whom commits wait.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct StandbySet {
    /// How they are chosen.
    pub method: SyncMethod,
    /// How many of them acknowledge each commit, 1 or more.
    pub count: u16,
    /// Names of nodes, which are their `application_name` too; in order of preference for `FIRST`.
    pub members: Vec<String>,
}

/// What becomes of the synchronous set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncDecision {
    /// It stays.
    Keep,
    /// This one.
    Change(StandbySet),
    /// Nobody: commits stop waiting.
    Nobody(String),
}
