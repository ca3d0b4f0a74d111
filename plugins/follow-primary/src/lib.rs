//! The default policy for what follows a promotion: every standby but the old primary streams from the new
//! one.
//!
//! [`decide`] is the whole policy, pure functions; [`settings`] is what operators may say. `cases.toml` lists
//! what must come out, for this crate natively and for the component.

use howdah_plugin::{
    Policy, export_follow_primary,
    follow_primary::{FollowPrimary, PromotionEvent, StandbyPlan, StepFailure},
};

pub mod decide;
pub mod settings;

pub use settings::Settings;

/// The policy with its settings.
#[derive(Clone, Debug, Default)]
pub struct FollowAll(pub Settings);

impl Policy for FollowAll {
    type Settings = Settings;
    const NAME: &'static str = "follow-primary";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "has every standby but the old primary stream from the new one";

    fn configure(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        Ok(Self(settings))
    }
}

impl FollowPrimary for FollowAll {
    fn plan(&self, event: &PromotionEvent) -> Result<Vec<StandbyPlan>, String> {
        Ok(decide::plan(&self.0, event))
    }

    fn retry(&self, event: &PromotionEvent, failure: &StepFailure) -> Result<StandbyPlan, String> {
        Ok(decide::retry(&self.0, event, failure))
    }
}

export_follow_primary!(FollowAll);
