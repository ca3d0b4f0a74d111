//! What a follow-primary policy implements: what each other standby does after a promotion.

use crate::Policy;
pub use crate::bindings::follow_primary::exports::howdah::plugin::follow_primary::{
    Action, Capabilities, Divergence, PromotionEvent, Rebuild, RebuildSource, Repoint, Requirements, Standby,
    StandbyPlan, StepFailure, UsableBackup,
};

/// A follow-primary policy; see `wit/v0.1/follow.wit`. When a call fails, standbys are left alone.
pub trait FollowPrimary: Policy {
    /// What the policy needs.
    fn setup(&self) -> Requirements {
        Requirements::default()
    }

    /// What each standby does; one that has no plan is left alone. Called once for each promotion, and again
    /// when a run that was interrupted goes on.
    fn plan(&self, event: &PromotionEvent) -> Result<Vec<StandbyPlan>, String>;

    /// A step failed: what its standby does next. [`Action::LeaveAlone`] gives up.
    fn retry(&self, event: &PromotionEvent, failure: &StepFailure) -> Result<StandbyPlan, String>;
}

impl Default for Requirements {
    /// No probes.
    fn default() -> Self {
        Self { probes: Vec::new() }
    }
}
