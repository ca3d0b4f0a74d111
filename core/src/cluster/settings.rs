//! What operators decided beforehand about a cluster's healing.

use std::time::Duration;

use super::name::Name;

/// The settings of one cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether a lost primary is replaced without being asked.
    pub failover: FailoverMode,
    /// Whether commits wait for standbys, and what happens when there are none.
    pub sync: SyncMode,
    /// What is done by itself with nodes that do not follow the primary.
    pub rejoin: RejoinMode,
    /// The nodes.
    pub nodes: Vec<NodeSettings>,
    /// How long a primary that says it is starting, stopping or recovering (57P03) is left alone. Default 5 s.
    pub crash_grace: Duration,
    /// How long a primary may be silent before it counts as hung. Default 2 s: above the stalls of a busy host.
    pub hang_timeout: Duration,
    /// Least time from one automatic failover to the next. Default 60 s: whatever killed the last primary may
    /// kill this one too.
    pub failover_interval: Duration,
    /// Without a synchronous set: most bytes of log that a failover may lose. Default 1 MiB.
    pub max_loss_bytes: u64,
    /// How long a switchover waits for open transactions. Default 5 s.
    pub drain_timeout: Duration,
    /// How long a failover waits for standbys before it calls for an operator. Default 10 s.
    pub fence_timeout: Duration,
    /// How long a synchronous standby may be silent before commits stop waiting for it. Default 5 s.
    pub sync_stall_timeout: Duration,
    /// How long a standby that went behaves well before commits wait for it again. Default 10 s.
    pub sync_restore_after: Duration,
    /// Most bytes that a standby may lag to count as well-behaved. Default 16 MiB, one segment.
    pub max_lag_bytes: u64,
    /// How long a node in quarantine follows well before it is released. Default 5 s.
    pub quarantine_proof: Duration,
    /// The primary is armed: restarted by whomever, it comes up as a standby. Default false: each crash that it
    /// would get over by itself costs a promotion then.
    pub armed_primary: bool,
}

/// Whether a lost primary is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailoverMode {
    /// Never by itself. A node that was promoted by others to a newer timeline is accepted.
    #[default]
    Off,
    /// When the failover policy says so and the facts bear it out.
    Policy,
}

/// Whether the synchronous set is managed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncMode {
    /// `synchronous_standby_names` is left alone; a failover may lose up to `max_loss_bytes`.
    #[default]
    Off,
    /// Managed; with no standby left, commits stop waiting and nobody can be elected.
    On,
    /// Managed; with no standby left, commits stall.
    Strict,
}

/// What is done by itself with nodes that do not follow the primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RejoinMode {
    /// Nothing; `REJOIN` and `REINIT` do.
    Off,
    /// Running standbys that can follow as they are do so.
    #[default]
    Follow,
    /// Those that cannot are stopped, rewound or rebuilt, and started, where the node can be controlled.
    Repair,
}

/// One node's part.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSettings {
    /// Its name.
    pub name: Name,
    /// It can be stopped and started (its executor is not `none`).
    pub controlled: bool,
    /// It may be promoted (no label `nofailover`).
    pub candidate: bool,
    /// Commits may wait for it (no label `nosync`).
    pub sync: bool,
    /// Its replication slot on whatever it streams from, if it uses one.
    pub slot: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            failover: FailoverMode::Off,
            sync: SyncMode::Off,
            rejoin: RejoinMode::Follow,
            nodes: Vec::new(),
            crash_grace: Duration::from_secs(5),
            hang_timeout: Duration::from_secs(2),
            failover_interval: Duration::from_secs(60),
            max_loss_bytes: 1 << 20,
            drain_timeout: Duration::from_secs(5),
            fence_timeout: Duration::from_secs(10),
            sync_stall_timeout: Duration::from_secs(5),
            sync_restore_after: Duration::from_secs(10),
            max_lag_bytes: 16 << 20,
            quarantine_proof: Duration::from_secs(5),
            armed_primary: false,
        }
    }
}

impl Settings {
    /// The settings of the node of that name.
    pub fn node(&self, name: &str) -> Option<&NodeSettings> {
        self.nodes.iter().find(|node| &*node.name == name)
    }
}
