//! What goes into the [`machine`](super::machine) and what comes out of it.
//!
//! The one who carries out actions (`control/steward`) keeps four promises, and everything here rests on them:
//!
//! 1. *Order.* Actions of one answer are carried out in their order. A [`Action::Log`] is on disk before any
//!    action behind it begins; if it cannot be written, what stands behind it is dropped and
//!    [`Event::LogLost`] told.
//! 2. *One voice.* A node is acted on over one control session; a proxy that takes over ends its predecessor's
//!    first. Effects on one node begin in their order.
//! 3. *Over is over.* Once an outcome is told, the effect never takes place later, unless the node did not
//!    answer ([`Outcome::Unknown`]): what is on its way to a node that hangs may take place when it wakes up.
//! 4. *Again is the same.* An effect reads first what it says it reads, and does nothing when that is so already.

use std::{fmt, time::Duration};

use super::{
    name::Name,
    operation::{Record, Route},
    settings::Settings,
    sight::Sight,
    verdict::{Election, PromotionEvent, StandbyPlan, StandbySet, StepFailure, SyncDecision, Trigger, Verdict},
    view::View,
};
use crate::id::{Lsn, NodeId};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The nodes were looked at.
    Sight(Sight),
    /// The time of [`wake_at`](super::machine::Machine::wake_at) has come.
    Tick,
    /// The failover policy's answer to [`Ask::Assess`]; an error counts as [`Verdict::Hold`].
    Assessed(QuestionId, Result<Verdict, String>),
    /// The failover policy's answer to [`Ask::Elect`]; an error makes the best node of the safe set win.
    Elected(QuestionId, Result<Election, String>),
    /// The follow policy's answer to [`Ask::Follow`]; an error makes all follow the primary directly.
    Planned(QuestionId, Result<Vec<StandbyPlan>, String>),
    /// The follow policy's answer to [`Ask::Retry`]; an error has the same tried twice more.
    Retried(QuestionId, Result<StandbyPlan, String>),
    /// The sync-set policy's answer to [`Ask::Sync`]; an error counts as [`SyncDecision::Keep`].
    SyncDecided(QuestionId, Result<SyncDecision, String>),
    /// An effect is over.
    Done(TaskId, Outcome),
    /// An operator wants something. The answer is an [`Action::Answer`] with the same ticket.
    Ordered(Ticket, Order),
    /// Other settings hold from now on.
    Reconfigured(Settings),
    /// A record could not be written: nothing may be done until one can.
    LogLost(String),
    /// Records can be written again.
    LogBack,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write this and wait until it is on disk.
    Log(Box<Record>),
    /// Clients go by this from now on.
    Publish(Route),
    /// Ask a policy. The answer comes as an event with the same number; none is an error after its deadline.
    Ask(QuestionId, Box<Ask>),
    /// Act on a node. The outcome comes as [`Event::Done`].
    Do(Task),
    /// Tell operators.
    Tell(Told),
    /// Answer an operator; an order is answered once, when it is over or refused.
    Answer(Ticket, Result<String, Refusal>),
}

/// Numbers questions to policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuestionId(pub u64);

/// Numbers tasks, within one life of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub u64);

/// Numbers orders; whoever brings one chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// A question to a policy.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Is the primary lost?
    Assess(View),
    /// Whom to promote?
    Elect {
        /// What is seen.
        view: View,
        /// Why.
        trigger: Trigger,
        /// The operator's choice.
        target: Option<NodeId>,
    },
    /// What does each standby do now?
    Follow(PromotionEvent),
    /// A step of one of them failed: what does it do next?
    Retry(PromotionEvent, StepFailure),
    /// For whom do commits wait?
    Sync {
        /// What is seen. A standby's `sync` is `None` while it is not fit to be waited for.
        view: View,
        /// The set in effect.
        current: Option<StandbySet>,
    },
}

/// One effect on one node.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its number.
    pub id: TaskId,
    /// The operation that it belongs to; 0 for the upkeep of the synchronous set.
    pub operation: u64,
    /// The term that it acts for, for the name of the control session and for scripts.
    pub term: u64,
    /// The node.
    pub node: Name,
    /// What is done to it.
    pub effect: Effect,
    /// How long it may take; then its outcome is [`Outcome::Unknown`] or [`Outcome::Failed`].
    pub within: Duration,
}

/// What can be done to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Standby: receives from nobody from now on. Reads `primary_conninfo`; empties it, reloads, waits until
    /// `pg_stat_wal_receiver` is empty. Finding: [`Finding::Position`], read after that.
    Detach,
    /// Standby: receives from there. Reads `primary_conninfo` and `primary_slot_name`; does not wait for the
    /// stream.
    Reattach {
        /// From whom.
        upstream: Name,
        /// With which slot.
        slot: Option<String>,
    },
    /// Standby: receives from another standby up to a position, then from nobody. Finding:
    /// [`Finding::Position`].
    FastForward {
        /// From whom.
        upstream: Name,
        /// Up to here.
        until: Lsn,
    },
    /// Standby: `synchronous_standby_names` that will hold once it is promoted. Reads it first.
    PresetSync {
        /// For whom commits will wait.
        set: Option<StandbySet>,
    },
    /// Standby: `pg_promote(false)`, then polls until it is not in recovery. Reads `pg_is_in_recovery()` first.
    /// Finding: [`Finding::Promoted`], with the timeline by `IDENTIFY_SYSTEM`.
    Promote,
    /// New primary: reads where its timeline began, and the next transaction id. Changes nothing. Finding:
    /// [`Finding::Fork`].
    RecordFork,
    /// Standby: streams from there. Makes the slot on the upstream first; reads `primary_conninfo`; is over
    /// when it streams on the upstream's timeline.
    Repoint {
        /// From whom.
        upstream: Name,
        /// With which slot.
        slot: Option<String>,
        /// Make the slot there first.
        create_slot: bool,
    },
    /// Primary: sets `synchronous_standby_names`, and is over when every WAL sender knows
    /// (`sync_priority`) and new commits wait. Then emits a record so that waiting commits are looked at anew.
    /// Finding: [`Finding::Position`], flushed, read after that.
    SetSync {
        /// For whom commits wait.
        set: Option<StandbySet>,
    },
    /// `CHECKPOINT`, on a standby a restartpoint.
    Checkpoint,
    /// Data plane: the servers of that node are closed, those in a transaction too.
    CloseServers,
    /// Data plane: over when no server of that node is in a transaction. New ones wait already, by
    /// [`Standing::hold`](super::standing::Standing::hold).
    Drain,
    /// Primary: `standby.signal`, and whom to follow once it is back. Reads both first. Finding:
    /// [`Finding::Position`], the end of what has been inserted.
    Arm {
        /// Whom it will follow; `None`: whichever of the others is the primary by then.
        upstream: Option<Name>,
        /// With which slot.
        slot: Option<String>,
    },
    /// Primary: the opposite of [`Arm`](Self::Arm).
    Disarm,
    /// Node executor: a fast stop; over when the postmaster is gone.
    Stop,
    /// Node executor: starts what is stopped; over when it answers. Reads its state first.
    Start,
    /// Standby: over when it has received and replayed everything that the stopped primary sent, and has no
    /// receiver any more. Finding: [`Finding::Position`].
    CatchUp,
    /// Node executor: pg_rewind of the stopped node against that one, which had a checkpoint since its
    /// promotion; it will be a standby of it.
    Rewind {
        /// The primary.
        source: Name,
        /// Whom it will follow.
        upstream: Name,
        /// With which slot.
        slot: Option<String>,
    },
    /// Node executor: the stopped node's data is replaced by a base backup; it will be a standby.
    Rebuild {
        /// Who is copied.
        source: Name,
        /// Whom it will follow.
        upstream: Name,
        /// With which slot.
        slot: Option<String>,
        /// Kibibytes per second at most.
        max_rate_kib: Option<u32>,
    },
    /// Primary: makes a slot for a node that is about to follow, unless it is there.
    MakeSlot {
        /// The slot's name.
        slot: String,
    },
    /// Former primary or standby: drops the inactive slots of the cluster's nodes, which would keep its log.
    DropSlots,
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took place, or had already.
    Done(Finding),
    /// It did not take place, and will not.
    Failed(String),
    /// Nobody knows: the node stopped answering. It may take place when the node wakes up.
    Unknown(String),
}

/// What an effect found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Nothing else.
    Nothing,
    /// Standby: the greater of received and replayed. Primary: flushed.
    Position {
        /// There.
        at: Lsn,
        /// On this timeline.
        timeline: Option<u32>,
    },
    /// The timeline of the new primary.
    Promoted {
        /// By `IDENTIFY_SYSTEM`: `pg_control` is late.
        timeline: u32,
    },
    /// Where the timeline began.
    Fork {
        /// Its first position.
        at: Lsn,
        /// `pg_snapshot_xmax(pg_current_snapshot())` before any client came.
        next_xid: Option<u64>,
    },
}

/// What operators can order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Another node takes over, without an error for any client.
    Switchover {
        /// Which; the policy chooses otherwise.
        to: Option<Name>,
    },
    /// A node is promoted now. Resolves [`State::Split`](super::state::State::Split) in that node's favour too.
    Failover {
        /// Which; the policy chooses otherwise.
        to: Option<Name>,
        /// Although commits that were acknowledged may be missing there.
        allow_loss: bool,
    },
    /// A node is made to follow the primary: directly, by rewinding or by rebuilding, whatever it needs.
    Rejoin {
        /// Which.
        node: Name,
    },
    /// A node is built anew.
    Reinit {
        /// Which.
        node: Name,
    },
    /// A node takes no work and is not elected.
    Detach {
        /// Which.
        node: Name,
    },
    /// The opposite.
    Attach {
        /// Which.
        node: Name,
    },
    /// No automatic failover until [`Resume`](Self::Resume).
    Pause,
    /// Automatic failover as configured.
    Resume,
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Something else is under way.
    #[error("operation {operation} ({kind}) is under way")]
    Busy {
        /// Its number.
        operation: u64,
        /// What it is.
        kind: &'static str,
    },
    /// There is no such node.
    #[error("no node is named \"{0}\"")]
    NoSuchNode(Name),
    /// The node cannot be stopped and started.
    #[error("{0} cannot be stopped and started from here: its executor is \"none\"; set that, or use FAILOVER")]
    NotControlled(Name),
    /// The state of the cluster forbids it.
    #[error("{0}")]
    NotNow(String),
    /// It was tried.
    #[error("{0}")]
    Failed(String),
}

/// Something for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// How bad it is.
    pub urgency: Urgency,
    /// What: the word of an effect, a step, or a state.
    pub kind: &'static str,
    /// The operation, if it belongs to one.
    pub operation: Option<u64>,
    /// The term.
    pub term: u64,
    /// On which node.
    pub node: Option<Name>,
    /// What came of it.
    pub result: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// As it should be.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody has to act.
    Alert,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "action {}", self.kind)?;
        if let Some(node) = &self.node {
            write!(f, " node={node}")?;
        }
        if let Some(operation) = self.operation {
            write!(f, " op={operation}")?;
        }
        write!(f, " epoch={} {}", self.term, self.result)
    }
}

impl Effect {
    /// The word in logs and tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Detach => "detach",
            Self::Reattach { .. } => "reattach",
            Self::FastForward { .. } => "fast-forward",
            Self::PresetSync { .. } => "preset-sync",
            Self::Promote => "promote",
            Self::RecordFork => "record-fork",
            Self::Repoint { .. } => "repoint",
            Self::SetSync { .. } => "set-sync",
            Self::Checkpoint => "checkpoint",
            Self::CloseServers => "close-servers",
            Self::Drain => "drain",
            Self::Arm { .. } => "arm",
            Self::Disarm => "disarm",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::CatchUp => "catch-up",
            Self::Rewind { .. } => "rewind",
            Self::Rebuild { .. } => "rebuild",
            Self::MakeSlot { .. } => "make-slot",
            Self::DropSlots => "drop-slots",
        }
    }
}
