//! Builders, so that a rule of a policy is one line.

use crate::{
    Balance, Causality, Destination, Freshness, Hold, Lsn, NodeId, Plan, Refusal, ReplicaSet, Reuse, ReuseScope,
    Selector, Target, key,
};

impl Plan {
    /// To one target, for this statement, kept until its key changes. Ends with [`rule`](Self::rule).
    pub fn to(target: Target) -> Self {
        Self::with(Destination::To(target))
    }

    /// To the node that takes writes.
    pub fn primary() -> Self {
        Self::to(Target::Primary)
    }

    /// To exactly this node.
    pub fn node(id: NodeId) -> Self {
        Self::to(Target::Node(id))
    }

    /// To one of the standbys.
    pub fn replicas() -> Replicas {
        Replicas::default()
    }

    /// Not at all: the client gets this error.
    pub fn refuse(sqlstate: &str, message: &str) -> Self {
        Self::with(Destination::Refuse(Refusal {
            sqlstate: sqlstate.to_owned(),
            message: message.to_owned(),
            detail: None,
            hint: None,
            close_session: false,
        }))
    }

    /// No opinion: the built-in policy decides.
    pub fn built_in() -> Self {
        Self::with(Destination::BuiltIn)
    }

    fn with(destination: Destination) -> Self {
        Self {
            destination,
            fallbacks: Vec::new(),
            hold: Hold::Statement,
            stamp: Vec::new(),
            reuse: Reuse { scope: ReuseScope::Shape, max_age: None, vary_parameters: Vec::new() },
            rule: String::new(),
            options: Vec::new(),
        }
    }

    /// Names the rule that decided; `EXPLAIN ROUTE` and metrics show it.
    #[must_use]
    pub fn rule(mut self, name: &str) -> Self {
        name.clone_into(&mut self.rule);
        self
    }

    /// The chosen node stays chosen for longer than the statement.
    #[must_use]
    pub fn hold(mut self, hold: Hold) -> Self {
        self.hold = hold;
        self
    }

    /// One more target to try when no node of those before qualifies.
    #[must_use]
    pub fn or(mut self, target: Target) -> Self {
        self.fallbacks.push(target);
        self
    }

    /// Stamps this causality key with the position of the statement's commit. Any text will do: one that
    /// the host would not take is replaced by its hash, here as in [`writes_of`](Replicas::writes_of).
    #[must_use]
    pub fn stamp(mut self, key: &str) -> Self {
        self.stamp.push(key::fitting(key));
        self
    }

    /// Ask again for every execution.
    #[must_use]
    pub fn never_reused(mut self) -> Self {
        self.reuse.scope = ReuseScope::Never;
        self
    }

    /// Reuse for executions with the same value of this parameter, counted from zero: for policies that
    /// see [`StatementAttributes::PARAMETERS`](crate::StatementAttributes) and look at no others.
    /// Without it they are asked for each execution.
    #[must_use]
    pub fn kept_by(mut self, parameter: u16) -> Self {
        self.reuse.vary_parameters.push(parameter);
        self
    }

    /// Ask again when the plan is older than this, in milliseconds.
    #[must_use]
    pub fn for_at_most(mut self, max_age_ms: u32) -> Self {
        self.reuse.max_age = Some(max_age_ms);
        self
    }
}

/// Standbys to choose from. Ends with [`rule`](Self::rule), or [`target`](Self::target) for
/// a fallback.
#[derive(Clone, Debug)]
pub struct Replicas(ReplicaSet);

impl Default for Replicas {
    /// All standbys, however far behind, the least busy first.
    fn default() -> Self {
        Self(ReplicaSet {
            selector: Selector { nodes: Vec::new(), labels: Vec::new() },
            freshness: Freshness { max_lag_bytes: None, max_lag: None, causality: Causality::None, wait: 0 },
            balance: Balance::LeastBusy,
            include_primary: false,
        })
    }
}

impl Replicas {
    /// Only this node, or one of those given so.
    #[must_use]
    pub fn node(mut self, id: NodeId) -> Self {
        self.0.selector.nodes.push(id);
        self
    }

    /// Only nodes with this label.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.0.selector.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Only nodes at most this many bytes behind.
    #[must_use]
    pub fn max_lag_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.0.freshness.max_lag_bytes = bytes.into();
        self
    }

    /// Only nodes at most this many milliseconds behind.
    #[must_use]
    pub fn max_lag(mut self, millis: impl Into<Option<u32>>) -> Self {
        self.0.freshness.max_lag = millis.into();
        self
    }

    /// Only nodes that have replayed the session's own writes; waits so many milliseconds for one.
    #[must_use]
    pub fn own_writes(mut self, wait_ms: u32) -> Self {
        self.0.freshness.causality = Causality::OwnWrites;
        self.0.freshness.wait = wait_ms;
        self
    }

    /// Only nodes that have replayed what any session stamped with this key; waits so many milliseconds.
    #[must_use]
    pub fn writes_of(mut self, key: &str, wait_ms: u32) -> Self {
        self.0.freshness.causality = Causality::KeyWrites(key::fitting(key));
        self.0.freshness.wait = wait_ms;
        self
    }

    /// Only nodes that have replayed the log up to there; waits so many milliseconds for one.
    #[must_use]
    pub fn position(mut self, position: Lsn, wait_ms: u32) -> Self {
        self.0.freshness.causality = Causality::Position(position.0);
        self.0.freshness.wait = wait_ms;
        self
    }

    /// How to choose among those that qualify.
    #[must_use]
    pub fn balance(mut self, balance: Balance) -> Self {
        self.0.balance = balance;
        self
    }

    /// The primary is one more candidate.
    #[must_use]
    pub fn include_primary(mut self, include: bool) -> Self {
        self.0.include_primary = include;
        self
    }

    /// As a target.
    pub fn target(self) -> Target {
        Target::Replicas(self.0)
    }

    /// As a plan, with the name of the rule.
    pub fn rule(self, name: &str) -> Plan {
        Plan::to(self.target()).rule(name)
    }
}
