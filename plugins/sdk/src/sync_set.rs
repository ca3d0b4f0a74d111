//! What a policy for the synchronous set implements: for whom commits wait.

pub use crate::bindings::sync_set::exports::howdah::plugin::sync_set::{
    Decision, Requirements, StandbySet, SyncMethod,
};
use crate::{Policy, observation::Cluster};

/// A policy for `synchronous_standby_names`; see `wit/v0.1/failover.wit`. When a call fails, the set stays.
///
/// <https://www.postgresql.org/docs/current/runtime-config-replication.html#GUC-SYNCHRONOUS-STANDBY-NAMES>
pub trait SyncSet: Policy {
    /// What the policy needs, and how often it wants to be asked at least.
    fn setup(&self) -> Requirements {
        Requirements::default()
    }

    /// The set from now on; `current` is the one in effect, none when commits wait for nobody.
    fn decide(&self, cluster: &Cluster, current: Option<&StandbySet>) -> Result<Decision, String>;
}

impl Default for Requirements {
    /// No probes; asked once a second.
    fn default() -> Self {
        Self { probes: Vec::new(), tick: 1_000 }
    }
}
