//! The policies of the control plane of one cluster in one generation.

use std::sync::Arc;

use super::{failover::FailoverPolicy, follow::FollowPolicy, policy::PolicyNumbers, sync_set::SyncSetPolicy};

/// One policy for each role, the null policy where none is configured. Cheap to clone: a run that has
/// begun keeps the policies that it began with, whatever generation comes.
#[derive(Clone, Debug, Default)]
pub struct ControlPolicies {
    /// Whether the primary is lost, and whom to promote.
    pub failover: Arc<FailoverPolicy>,
    /// What standbys do after a promotion.
    pub follow_primary: Arc<FollowPolicy>,
    /// For whom commits wait.
    pub sync_set: Arc<SyncSetPolicy>,
}

impl ControlPolicies {
    /// How those do that are configured.
    pub fn numbers(&self) -> impl Iterator<Item = PolicyNumbers> {
        [self.failover.numbers(), self.follow_primary.numbers(), self.sync_set.numbers()].into_iter().flatten()
    }
}
