//! What operators see of a cluster's own decisions: its state, its operations, its events.
//!
//! Written by the control plane, read by the console and by metrics; no session looks at it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::SystemTime,
};

use arc_swap::ArcSwap;

/// Most events that are kept for SHOW EVENTS; the oldest goes first.
const EVENTS_MAX: usize = 1_000;

/// Most operations that are kept for SHOW OPERATIONS, the running one included.
const OPERATIONS_MAX: usize = 100;

/// One cluster as its steward sees it.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// The state's name, for example `STEADY`; `UNMANAGED` when the cluster does not heal itself.
    pub state: Arc<str>,
    /// Why it is in that state, for operators.
    pub reason: Arc<str>,
    /// Since when.
    pub since: SystemTime,
    /// Promotions so far.
    pub term: u64,
    /// The name of the node that takes writes, if one is known.
    pub primary: Option<Arc<str>>,
    /// Automatic failover is switched off.
    pub paused: bool,
    /// Why new transactions wait, if they do.
    pub hold: Option<Arc<str>>,
    /// `synchronous_standby_names` in effect.
    pub synchronous: Option<Arc<str>>,
    /// By the order of the configuration.
    pub nodes: Vec<NodeStatus>,
}

/// What the steward adds to what the monitor knows of a node.
#[derive(Clone, Debug, Default)]
pub struct NodeStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Why it gets no work although it may answer.
    pub quarantine: Option<Arc<str>>,
    /// `state` of `pg_stat_replication`.
    pub replication_state: Option<Arc<str>>,
    /// `sync_state` of `pg_stat_replication`.
    pub sync_state: Option<Arc<str>>,
    /// The node that it streams from.
    pub upstream: Option<Arc<str>>,
}

impl Default for ClusterStatus {
    fn default() -> Self {
        Self {
            state: "UNMANAGED".into(),
            reason: "failover is off".into(),
            since: SystemTime::now(),
            term: 0,
            primary: None,
            paused: false,
            hold: None,
            synchronous: None,
            nodes: Vec::new(),
        }
    }
}

/// One operation on a cluster, as SHOW OPERATIONS shows it.
#[derive(Clone, Debug)]
pub struct OperationStatus {
    /// Its id, unique in the cluster.
    pub id: Arc<str>,
    /// `failover`, `switchover`, `rejoin` and so on.
    pub kind: Arc<str>,
    /// The old primary, or the node that it is about.
    pub from: Option<Arc<str>>,
    /// The new primary.
    pub to: Option<Arc<str>>,
    /// Where it is.
    pub step: Arc<str>,
    /// When it began.
    pub started: SystemTime,
    /// When it was over.
    pub ended: Option<SystemTime>,
    /// How it ended, or what it waits for.
    pub outcome: Arc<str>,
}

/// Something that happened to a cluster.
#[derive(Clone, Debug)]
pub struct ClusterEvent {
    /// When.
    pub at: SystemTime,
    /// What, in one word: `promoted`, `detached`, `quarantined`.
    pub kind: Arc<str>,
    /// To which node.
    pub node: Option<Arc<str>>,
    /// In which operation.
    pub operation: Option<Arc<str>>,
    /// In which term.
    pub term: u64,
    /// In words.
    pub message: Arc<str>,
}

/// Holds the newest of it.
#[derive(Debug, Default)]
pub struct StatusCell {
    newest: ArcSwap<ClusterStatus>,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    events: VecDeque<ClusterEvent>,
    events_told: u64,
    operations: VecDeque<OperationStatus>,
}

impl StatusCell {
    /// The newest status.
    pub fn load(&self) -> Arc<ClusterStatus> {
        self.newest.load_full()
    }

    /// Replaces it.
    pub fn publish(&self, status: ClusterStatus) {
        self.newest.store(Arc::new(status));
    }

    /// Adds an event.
    pub fn tell(&self, event: ClusterEvent) {
        let mut log = self.log();
        log.events_told += 1;
        log.events.push_back(event);
        if log.events.len() > EVENTS_MAX {
            log.events.pop_front();
        }
    }

    /// Adds an operation, or replaces what is known of it.
    pub fn note(&self, operation: OperationStatus) {
        let mut log = self.log();
        match log.operations.iter_mut().find(|known| known.id == operation.id) {
            Some(known) => *known = operation,
            None => log.operations.push_back(operation),
        }
        if log.operations.len() > OPERATIONS_MAX {
            log.operations.pop_front();
        }
    }

    /// The events, the oldest first.
    pub fn events(&self) -> Vec<ClusterEvent> {
        self.log().events.iter().cloned().collect()
    }

    /// How many events there have been.
    pub fn events_told(&self) -> u64 {
        self.log().events_told
    }

    /// The operations, the oldest first.
    pub fn operations(&self) -> Vec<OperationStatus> {
        self.log().operations.iter().cloned().collect()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("nothing panics while it holds the log")
    }
}
