//! How a cluster stands: what facts, `SHOW CLUSTER` and `SHOW OPERATIONS` are made from.

use std::time::Duration;

use super::{
    action::Task,
    name::Name,
    operation::{Operation, Route},
    quarantine::Quarantined,
    state::State,
    sync_set::Electorate,
    verdict::StandbySet,
};

/// How a cluster stands at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// What it is up to.
    pub state: State,
    /// Since when, on the clock of [`Machine::take`](super::machine::Machine::take).
    pub since: Duration,
    /// Why, in the words of the table and with what is particular to this case.
    pub why: String,
    /// Who takes writes, in which term.
    pub route: Route,
    /// New transactions that need the primary wait, and why; they fail once the data plane's time for that is over.
    pub hold: Option<Hold>,
    /// Nodes that get no work, reads included.
    pub quarantine: Vec<Quarantined>,
    /// Nodes that an operator took out.
    pub drained: Vec<Name>,
    /// For whom commits wait, as the primary said last.
    pub sync: Option<StandbySet>,
    /// Whom an election must hear.
    pub electorate: Electorate,
    /// Automatic failover is off or paused.
    pub paused: bool,
    /// The operation under way.
    pub operation: Option<Operation>,
    /// Its effects, and those of the synchronous set's upkeep, that are under way.
    pub tasks: Vec<Task>,
}

/// Why new transactions wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What for.
    pub cause: HoldCause,
    /// Since when.
    pub since: Duration,
    /// In words.
    pub why: String,
}

/// What new transactions wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldCause {
    /// The primary does not answer; it may be back in a moment, or replaced.
    Suspect,
    /// A failover is under way.
    Failover,
    /// A switchover is under way: the old primary's servers finish their transactions.
    Switchover,
}
