//! What a routing policy answers for a shape; the core executes it with live numbers.

use std::{sync::Arc, time::Duration};

use crate::id::{Lsn, NodeId};

/// Which writes a read must see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Causality {
    /// None in particular.
    None,
    /// The session's own.
    OwnWrites,
    /// Those stamped with this key by any session of this proxy.
    KeyWrites(Arc<str>),
    /// At least this position.
    Position(Lsn),
}

/// How fresh a standby must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Most bytes behind the primary.
    pub max_lag_bytes: Option<u64>,
    /// Greatest age of the newest replayed commit.
    pub max_lag: Option<Duration>,
    /// Which writes it must have replayed.
    pub causality: Causality,
    /// How long to wait for one to catch up before the next fallback.
    pub wait: Duration,
}

/// How to choose among nodes that qualify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after what they do")]
pub enum Balance {
    LeastBusy,
    RoundRobin,
    WeightedRandom,
    SessionAffine,
    LowestLag,
}

/// Standbys that may be chosen; empty lists do not restrict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaSet {
    /// Only these nodes.
    pub nodes: Vec<NodeId>,
    /// Only nodes that have all of these labels.
    pub labels: Vec<(String, String)>,
    /// How fresh they must be.
    pub freshness: Freshness,
    /// How to choose among them.
    pub balance: Balance,
    /// The primary is one more candidate.
    pub include_primary: bool,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// To the node that takes writes.
    Primary,
    /// To one of the standbys.
    Replicas(ReplicaSet),
    /// To exactly this node.
    Node(NodeId),
}

/// A policy's no, sent to the client as an ErrorResponse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Five characters, checked by the host.
    pub sqlstate: [u8; 5],
    /// Primary message.
    pub message: String,
    /// Optional detail.
    pub detail: Option<String>,
    /// Optional hint.
    pub hint: Option<String>,
    /// FATAL: the session ends.
    pub close_session: bool,
}

/// The first choice of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To a target.
    To(Target),
    /// Split by weight, stable for a session.
    Split(Vec<(u32, Target)>),
    /// Not at all.
    Refuse(Refusal),
}

/// How long the chosen node stays chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// For this request.
    Statement,
    /// To the end of the transaction.
    Transaction,
    /// To the end of the session.
    Session,
    /// For a time.
    For(Duration),
}

/// What a routing policy answers for a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// First choice.
    pub destination: Destination,
    /// Tried in order when no node qualifies; after them the primary.
    pub fallbacks: Vec<Target>,
    /// How long the chosen node stays chosen.
    pub hold: Hold,
    /// Causality keys to stamp with the position of the commit.
    pub stamp: Vec<Arc<str>>,
    /// The policy gave no answer: any key may have to be stamped.
    pub stamps_any: bool,
    /// The plan may be kept for its key, for this long at most; `None` asks again each time.
    pub reuse: Option<Duration>,
    /// Parameters, counted from zero and in order, whose values belong to the key.
    pub vary: Vec<u16>,
    /// Name of the rule that decided.
    pub rule: Arc<str>,
}

impl Plan {
    /// The null policy: to the primary.
    pub fn primary(rule: &str) -> Self {
        Self {
            destination: Destination::To(Target::Primary),
            fallbacks: Vec::new(),
            hold: Hold::Statement,
            stamp: Vec::new(),
            stamps_any: false,
            reuse: Some(Duration::MAX),
            vary: Vec::new(),
            rule: Arc::from(rule),
        }
    }

    /// It sends the request nowhere.
    pub fn refuses(&self) -> bool {
        matches!(self.destination, Destination::Refuse(_))
    }

    /// The plan for two statements that go together: a refusal of one is one of both, and where they
    /// would go different ways, both go to the primary.
    pub fn together(self: Arc<Self>, other: Arc<Self>) -> Arc<Self> {
        if self.refuses() || (self.destination == other.destination && self.fallbacks == other.fallbacks) {
            self
        } else if other.refuses() {
            other
        } else {
            Arc::new(Self::primary("mixed"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(node: u16) -> Arc<Plan> {
        Arc::new(Plan { destination: Destination::To(Target::Node(NodeId(node))), ..Plan::primary("node") })
    }

    #[test]
    fn statements_that_go_different_ways_go_to_the_primary() {
        assert_eq!(to(1).together(to(1)).to_string(), "node #1 [node]");
        assert_eq!(to(1).together(to(2)).to_string(), "primary [mixed]");
        let other_fallback = Arc::new(Plan { fallbacks: vec![Target::Node(NodeId(2))], ..(*to(1)).clone() });
        assert_eq!(to(1).together(other_fallback).to_string(), "primary [mixed]");
    }

    #[test]
    fn what_is_refused_alone_is_refused_in_company() {
        let refusal =
            Refusal { sqlstate: *b"42501", message: "no".into(), detail: None, hint: None, close_session: false };
        let no = Arc::new(Plan { destination: Destination::Refuse(refusal), ..Plan::primary("no") });
        for plan in [no.clone().together(to(1)), to(1).together(no.clone()), to(1).together(to(2)).together(no)] {
            assert_eq!(plan.to_string(), "refuse 42501 \"no\" [no]");
        }
    }
}
