//! What the operation log holds: the route, the electorate, and the one operation that is under way.
//!
//! A [`Record`] is all that a proxy needs to go on after it was killed at any step. It is written as a whole
//! and must be on disk before the effects that follow it begin.

use serde::{Deserialize, Serialize};

use super::{name::Name, sync_set::Electorate, verdict::StandbySet};
use crate::id::Lsn;

/// Everything that must outlive the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Who takes writes.
    pub route: Route,
    /// Whom an election must hear.
    pub electorate: Electorate,
    /// The operation under way.
    pub operation: Option<Operation>,
    /// The number of the last operation.
    pub last_operation: u64,
    /// An operator switched automatic failover off.
    pub paused: bool,
    /// Nodes that an operator took out.
    pub drained: Vec<Name>,
    /// When a node was promoted by us last, milliseconds since 1970.
    pub promoted_unix_ms: Option<u64>,
    /// The primary that was armed for `armed_primary`, or may have been, and not disarmed since.
    #[serde(default)]
    pub armed: Option<Name>,
}

/// Who takes writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Counts promotions; never decreases.
    pub term: u64,
    /// The node that takes writes.
    pub primary: Option<Name>,
    /// Its timeline; never decreases.
    pub timeline: u32,
    /// The cluster's `system_identifier`.
    pub system: Option<u64>,
    /// Where each timeline since we watch began, oldest first; the last [`FORKS_MAX`].
    pub forks: Vec<Fork>,
    /// Nodes that were primary, or may have been promoted, in an earlier term, and have not proved since that
    /// they follow. What they claim of themselves counts for nothing.
    pub deposed: Vec<Name>,
}

/// Where a timeline began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The term that began with it.
    pub term: u64,
    /// The timeline.
    pub timeline: u32,
    /// Its first position, from `TIMELINE_HISTORY`.
    #[serde(with = "position")]
    pub at: Lsn,
    /// The first transaction id that the new primary gave out. Ids from here on never tell of what an earlier
    /// primary did.
    pub next_xid: Option<u64>,
}

/// Forks that are kept: outcomes of commits are resolved across this many failovers.
pub const FORKS_MAX: usize = 16;

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Counts operations.
    pub id: u64,
    /// The term that it works in, or that it begins.
    pub term: u64,
    /// What it is.
    pub kind: Kind,
    /// How far it has come.
    pub step: Step,
    /// Why it began.
    pub why: String,
    /// When, milliseconds since 1970.
    pub started_unix_ms: u64,
    /// The primary that is replaced.
    pub old: Option<Name>,
    /// The node that the operator named; of a rejoin, the node.
    pub target: Option<Name>,
    /// The node that is promoted.
    pub candidate: Option<Name>,
    /// What the candidate must have received: everything that may have been acknowledged.
    #[serde(with = "position::maybe")]
    pub floor: Option<Lsn>,
    /// Candidates that failed.
    pub failed: Vec<Name>,
    /// Where the old primary's log ended as far as was seen: what is lost is counted from here.
    #[serde(with = "position::maybe")]
    pub flushed: Option<Lsn>,
    /// The old primary was stopped cleanly, by us.
    pub stopped: bool,
    /// For whom commits wait once the candidate is promoted.
    pub preset: Option<StandbySet>,
    /// An operator allowed to lose data.
    pub allow_loss: bool,
    /// The timeline of the candidate once promoted.
    pub timeline: Option<u32>,
}

/// What an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The policy's verdict was to fail over.
    Failover,
    /// An operator's `FAILOVER`.
    ForcedFailover,
    /// An operator's `SWITCHOVER`.
    Switchover,
    /// A node is made to follow.
    Rejoin,
    /// A node is built anew, by an operator's `REINIT`.
    Reinit,
}

/// How far an operation has come. Each is one line of the story; what is resumed where is in
/// [`Step::resumed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Switchover: a checkpoint on both, so that the stop is short.
    Checkpoint,
    /// Switchover: clients wait, transactions end.
    Drain,
    /// Switchover: the old primary will come up as a standby.
    Arm,
    /// Switchover: the old primary stops.
    Stop,
    /// Switchover: the candidate receives everything.
    CatchUp,
    /// No standby receives from the old primary any more.
    Fence,
    /// The candidate is chosen.
    Elect,
    /// The candidate receives what another standby has more.
    FastForward,
    /// The candidate's `synchronous_standby_names`. From here on there is no way back.
    PresetSync,
    /// The candidate is promoted.
    Promote,
    /// Where its timeline began.
    RecordFork,
    /// Clients go to it.
    Publish,
    /// The others follow; of a rejoin, the node does.
    Repair,
    /// Everything is as before.
    Undo,
}

impl Step {
    /// The promotion may have happened.
    pub fn past_return(self) -> bool {
        matches!(self, Self::PresetSync | Self::Promote | Self::RecordFork | Self::Publish | Self::Repair)
    }

    /// Where an operation goes on that was found in the log at this step. Steps before it are repeated: every
    /// effect says what it re-reads first.
    pub fn resumed(self) -> Self {
        match self {
            Self::Elect | Self::FastForward => Self::Fence,
            Self::Promote | Self::RecordFork => Self::PresetSync,
            other => other,
        }
    }

    /// The word in logs and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Drain => "drain",
            Self::Arm => "arm",
            Self::Stop => "stop",
            Self::CatchUp => "catch-up",
            Self::Fence => "fence",
            Self::Elect => "elect",
            Self::FastForward => "fast-forward",
            Self::PresetSync => "preset-sync",
            Self::Promote => "promote",
            Self::RecordFork => "record-fork",
            Self::Publish => "publish",
            Self::Repair => "repair",
            Self::Undo => "undo",
        }
    }
}

impl Kind {
    /// The word in logs and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::ForcedFailover => "forced-failover",
            Self::Switchover => "switchover",
            Self::Rejoin => "rejoin",
            Self::Reinit => "reinit",
        }
    }
}

impl Route {
    /// Where the present timeline began, if it began while we watched.
    pub fn fork(&self) -> Option<&Fork> {
        self.forks.last().filter(|fork| fork.timeline == self.timeline)
    }

    /// That node takes writes.
    pub fn is_primary(&self, name: &str) -> bool {
        self.primary.as_deref() == Some(name)
    }

    /// That node was replaced and has not proved that it follows.
    pub fn is_deposed(&self, name: &str) -> bool {
        self.deposed.iter().any(|deposed| &**deposed == name)
    }
}

/// Positions in the log are text as PostgreSQL writes them.
mod position {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::id::Lsn;

    pub fn serialize<S: Serializer>(lsn: &Lsn, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(lsn)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Lsn, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }

    pub mod maybe {
        use serde::{Deserialize, Deserializer, Serializer, de::Error};

        use crate::id::Lsn;

        pub fn serialize<S: Serializer>(lsn: &Option<Lsn>, serializer: S) -> Result<S::Ok, S::Error> {
            match lsn {
                Some(lsn) => serializer.collect_str(lsn),
                None => serializer.serialize_none(),
            }
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Lsn>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
        }
    }
}
