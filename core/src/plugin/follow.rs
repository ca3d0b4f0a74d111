//! What the control plane asks after a promotion: what each other standby does next.
//!
//! Calls are synchronous and may take 200 ms of CPU time when the policy is at its worst: make them from a
//! thread that may wait. Without an answer the null policy holds, which leaves standbys alone.

use super::{
    engine::Engine,
    error::{Failure, PluginError},
    first::first_promotion,
    instance::Instance,
    policy::{Policy, PolicyNumbers},
    spec::PolicySpec,
    v0_1::control as wit,
    validate::control as validate,
    world::FollowWorld,
};
use crate::{
    cluster::verdict::{FollowAction, PromotionEvent, StandbyPlan, StepFailure},
    facts::Facts,
};

/// A follow-primary policy of one cluster in one generation.
#[derive(Debug, Default)]
pub struct FollowPolicy(Option<Loaded>);

#[derive(Debug)]
struct Loaded {
    policy: Policy<FollowWorld>,
    /// Who answers when it does not.
    stand_in: Option<Box<FollowPolicy>>,
}

impl FollowPolicy {
    /// Prepares a policy: checks, compiles and starts it, hands it its settings, and asks it about a
    /// promotion that no standby has to follow. Anything wrong is an error, and nothing has changed.
    ///
    /// Takes from milliseconds (Rust) to seconds (Python), so not on a worker.
    pub fn load(engine: &Engine, spec: &PolicySpec<'_>, nodes: &Facts) -> Result<Self, PluginError> {
        let (policy, _) = Policy::<FollowWorld>::load(engine, spec)?;
        if let Some(event) = first_promotion(nodes) {
            let first = policy.try_out(|instance| plan(instance, &event));
            first.map_err(|cause| PluginError::Call { call: "the first plan", cause })?;
        }
        Ok(Self(Some(Loaded { policy, stand_in: None })))
    }

    /// Has that one answer whenever this one does not.
    pub fn with_stand_in(mut self, other: Self) -> Self {
        if let Some(loaded) = &mut self.0 {
            loaded.stand_in = Some(Box::new(other));
        }
        self
    }

    /// The policy of those who configured none: leaves every standby alone.
    pub fn null() -> Self {
        Self::default()
    }

    /// There is no policy.
    pub fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// What each standby does; one without a plan is left alone. Ask once for each promotion, and again when
    /// a run that was interrupted goes on.
    pub fn plan(&self, event: &PromotionEvent) -> Vec<StandbyPlan> {
        let Some(Loaded { policy, stand_in }) = &self.0 else { return Vec::new() };
        // The failure has been logged and counted; there is nobody to tell here.
        let answer = policy.ask(|instance| plan(instance, event));
        answer.unwrap_or_else(|_| stand_in.as_ref().map_or_else(Vec::new, |other| other.plan(event)))
    }

    /// A step failed: what its standby does next. [`FollowAction::LeaveAlone`] gives up.
    pub fn retry(&self, event: &PromotionEvent, failure: &StepFailure) -> StandbyPlan {
        let give_up = |why| StandbyPlan { action: FollowAction::LeaveAlone, why, ..failure.plan.clone() };
        let Some(Loaded { policy, stand_in }) = &self.0 else {
            return give_up("there is no follow-primary policy".to_owned());
        };
        policy.ask(|instance| retry(instance, event, failure)).unwrap_or_else(|none| match stand_in {
            Some(other) => other.retry(event, failure),
            None => give_up(none.to_string()),
        })
    }

    /// How the policy does; `None` for the null policy.
    pub fn numbers(&self) -> Option<PolicyNumbers> {
        self.0.as_ref().map(|loaded| loaded.policy.numbers())
    }
}

fn plan(instance: &mut Instance<FollowWorld>, event: &PromotionEvent) -> Result<Vec<StandbyPlan>, Failure> {
    let given = wit::promotion(event);
    let answer = instance.decide(|exports, store| exports.call_plan(store, &given))?;
    validate::plans(answer, event).map_err(|cause| Failure::Invalid { cause })
}

fn retry(
    instance: &mut Instance<FollowWorld>,
    event: &PromotionEvent,
    failure: &StepFailure,
) -> Result<StandbyPlan, Failure> {
    let (given, failed) = (wit::promotion(event), wit::failure(failure));
    let answer = instance.decide(|exports, store| exports.call_retry(store, &given, &failed))?;
    validate::next_plan(answer, failure.plan.node, event).map_err(|cause| Failure::Invalid { cause })
}
