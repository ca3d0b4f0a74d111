//! What a node's machine looks like: whether its server runs, and what its data directory says.

use serde::{Deserialize, Serialize};

use crate::id::Lsn;

/// What a job has found at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Whether the server runs.
    pub running: bool,
    /// There is `standby.signal`: whoever starts it gets a standby.
    pub standby_signal: bool,
    /// An earlier rewind or rebuild did not come to its end; what is there must not be started.
    pub unfinished: bool,
    /// A copy of another node that has not been started yet: what the control file says of it is the other's.
    pub copy: bool,
    /// The newest timeline that its log is on; looked for when the server is down.
    pub newest_timeline: Option<u32>,
    /// What `pg_controldata` says; `None` where there are no data.
    pub control: Option<ControlData>,
    /// Where the last whole record of its log begins; looked for when the server is down, too.
    pub last_record: Option<u64>,
}

/// The control file. It is written at checkpoints, so a server that runs may be further.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlData {
    /// `shut down`, `in production`, `shut down in recovery` …
    pub state: String,
    /// The system identifier.
    pub system: u64,
    /// The timeline of the last checkpoint, or of what a standby must replay.
    pub timeline: u32,
    /// Where the last checkpoint begins.
    pub checkpoint: u64,
    /// How far a standby must replay before it is consistent.
    pub min_recovery: u64,
    /// Pages have checksums.
    pub checksums: bool,
    /// `wal_log_hints` was on when it ran.
    pub wal_log_hints: bool,
    /// Bytes of one segment of the log.
    pub segment_bytes: u64,
}

impl NodeState {
    /// The timeline that the node is on, as far as its files tell.
    pub fn timeline(&self) -> Option<u32> {
        self.control.as_ref().map(|control| control.timeline).max(self.newest_timeline)
    }

    /// Where its last record begins.
    pub fn last_record(&self) -> Option<Lsn> {
        self.last_record.map(Lsn)
    }
}

impl ControlData {
    /// The server was told to stop and came to an end of its own.
    pub fn is_clean(&self) -> bool {
        matches!(self.state.as_str(), "shut down" | "shut down in recovery")
    }

    /// It took writes when it last ran.
    pub fn was_primary(&self) -> bool {
        !matches!(self.state.as_str(), "shut down in recovery" | "in archive recovery")
    }
}
