//! What operators decide beforehand about how a cluster heals itself.

use std::time::Duration;

/// The settings of one cluster; of effect when its `failover` is `automatic`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healing {
    /// Whether `synchronous_standby_names` is managed.
    pub synchronous_mode: SynchronousMode,
    /// What is done by itself with nodes that do not follow the primary.
    pub auto_rejoin: AutoRejoin,
    /// Standbys have a replication slot on whomever they follow.
    pub replication_slots: bool,
    /// How long a primary that says it is starting, stopping or recovering is left alone.
    pub crash_grace: Duration,
    /// How long a primary may be silent before it counts as hung.
    pub hang_timeout: Duration,
    /// Least time between two automatic failovers.
    pub failover_interval: Duration,
    /// Bytes of log that a failover may lose without a synchronous set.
    pub maximum_lag_on_failover: u64,
    /// How long a switchover waits for open transactions.
    pub drain_timeout: Duration,
    /// How long a failover waits for standbys before it calls for an operator.
    pub fence_timeout: Duration,
    /// How long a synchronous standby may be silent before commits stop waiting for it.
    pub sync_stall_timeout: Duration,
    /// How long a standby behaves well before commits wait for it again.
    pub sync_restore_after: Duration,
    /// A primary that is restarted comes up as a standby.
    pub armed_primary: bool,
    /// A program and its arguments that is told of each event; empty for none.
    pub event_command: Vec<String>,
}

/// Whether `synchronous_standby_names` is managed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SynchronousMode {
    /// It is left alone.
    #[default]
    Off,
    /// Managed; with no standby left, commits stop waiting.
    On,
    /// Managed; with no standby left, commits wait for one.
    Strict,
}

/// What is done by itself with nodes that do not follow the primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoRejoin {
    /// Nothing.
    Off,
    /// Running standbys that can follow as they are do so.
    #[default]
    Follow,
    /// Those that cannot are rewound or built anew, where an executor reaches them.
    Repair,
}

impl Default for Healing {
    fn default() -> Self {
        Self {
            synchronous_mode: SynchronousMode::Off,
            auto_rejoin: AutoRejoin::Follow,
            replication_slots: true,
            crash_grace: Duration::from_secs(5),
            hang_timeout: Duration::from_secs(2),
            failover_interval: Duration::from_secs(60),
            maximum_lag_on_failover: 1 << 20,
            drain_timeout: Duration::from_secs(5),
            fence_timeout: Duration::from_secs(10),
            sync_stall_timeout: Duration::from_secs(5),
            sync_restore_after: Duration::from_secs(10),
            armed_primary: false,
            event_command: Vec::new(),
        }
    }
}
