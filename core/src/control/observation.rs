//! What one probe of one node found: the only input of the [`judge`](super::judge).

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::cluster_question::ClusterSample;
use crate::{config::types::Config, id::Lsn};

/// How often nodes are probed, and how many answers make a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// From one question to the next, while the answers come.
    pub probe_interval: Duration,
    /// Longest wait for one connect or one answer.
    pub probe_timeout: Duration,
    /// Good probes in a row before a node that was down gets work again.
    pub probe_rise: u32,
    /// Failed probes in a row before a node is down.
    pub probe_fall: u32,
    /// How long a node that came back takes to get its full share.
    pub slow_start: Duration,
}

impl From<&Config> for Timings {
    fn from(config: &Config) -> Self {
        Self {
            probe_interval: config.probe_interval,
            probe_timeout: config.probe_timeout,
            probe_rise: config.probe_rise,
            probe_fall: config.probe_fall,
            slow_start: config.slow_start,
        }
    }
}

/// What came of looking at a node.
#[derive(Clone, Debug)]
pub enum Finding {
    /// A probe over the held session, or over the connect that was to open it.
    Probe(Observation),
    /// Whether it takes new sessions; told only when it did not.
    Entry(Result<(), Failure>),
    /// The probe has connected, or has not.
    Dialled(Result<(), Failure>),
    /// The held session is over.
    Lost(Loss),
}

/// How a held session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Without a word, or with the word that the postmaster is gone.
    Reset,
    /// The server is being stopped, or this session of it (57P01).
    Stopped,
    /// Another process of the server crashed (57P02).
    Crashed,
}

/// One probe's result.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Just before the question was sent: the answer holds for no later instant than its own
    /// arrival, and covers everything that was acknowledged before this one.
    pub asked_at: Instant,
    /// When the answer, or the lack of one, was certain.
    pub ended_at: Instant,
    /// What came back.
    pub outcome: Result<Sample, Failure>,
}

/// A node's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// `server_version_num`, for example 150018.
    pub server_version: u32,
    /// The identity that all copies of one cluster share; unknown when the control user may not ask.
    pub system: Option<u64>,
    /// The timeline it writes, receives or last replayed.
    pub timeline: Option<u32>,
    /// Its role, with the positions that go with it.
    pub position: Position,
    /// What is asked besides where the cluster heals itself, if the control user may ask.
    pub cluster: Option<Box<ClusterSample>>,
}

/// Where a node stands in the write-ahead log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Not in recovery.
    Primary {
        /// Flushed, not inserted: the insert position may lie behind a page header that no
        /// standby reaches before more is written.
        flushed: Lsn,
        /// The end of what has been inserted, headers of empty pages left aside.
        inserted: Option<Lsn>,
        /// `synchronous_commit` is off, or may be, for sessions that do not set it.
        async_commit: bool,
    },
    /// In recovery.
    Standby {
        /// The greater of received and replayed: after a restart without its primary the received
        /// position goes back to the start of a segment.
        received: Option<Lsn>,
        /// Visible to queries.
        replayed: Option<Lsn>,
        /// Age of the newest replayed commit, by the clocks of the standby and its primary.
        age: Option<Duration>,
        /// A WAL receiver runs.
        receiving: bool,
    },
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it means for the verdict.
    pub kind: FailureKind,
    /// In words for the operator. The same trouble has the same words, so that it is logged once.
    pub why: Arc<str>,
}

/// What a failed probe says of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Nobody listens there.
    Refused,
    /// It says itself that it takes no sessions now (57P03): starting, stopping, recovering.
    NotReady,
    /// It does not let the control user in; nothing can be said of the node.
    Rejected,
    /// No connection was left for the control user (53300): alive, but not measured.
    Full,
    /// No answer for this long.
    Silent(Duration),
    /// The session ended over a question.
    Ended(Loss),
    /// Anything else: the answer made no sense, no session came about.
    Broken,
}
