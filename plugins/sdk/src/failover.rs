//! What a failover policy implements: is the primary lost, and whom to promote.

pub use crate::bindings::failover::exports::howdah::plugin::failover::{
    Election, Promotion, Ranked, Requirements, Trigger, Verdict,
};
use crate::{NodeId, Policy, observation::Cluster};

/// A failover policy; see `wit/v0.1/failover.wit`. Calls are pure: the same question gets the same answer.
///
/// The host keeps what must never happen: it acts only with a quorum, in its own term, and promotes nobody
/// who does not qualify, whatever a policy says. When a call fails, nobody is promoted.
pub trait Failover: Policy {
    /// What the policy needs, and how often it wants to be asked while the primary is not well.
    fn setup(&self) -> Requirements {
        Requirements::default()
    }

    /// Is the primary lost?
    fn assess(&self, cluster: &Cluster) -> Result<Verdict, String>;

    /// Whom to promote. `target` is the operator's choice, if there is one; nobody else may be named then.
    fn elect(&self, cluster: &Cluster, trigger: Trigger, target: Option<NodeId>) -> Result<Election, String>;
}

impl Default for Requirements {
    /// No probes; asked once a second.
    fn default() -> Self {
        Self { probes: Vec::new(), tick: 1_000 }
    }
}
