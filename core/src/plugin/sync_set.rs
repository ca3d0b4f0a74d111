//! What the control plane asks about durability: for whom commits wait.
//!
//! Calls are synchronous and may take 200 ms of CPU time when the policy is at its worst: make them from a
//! thread that may wait. Without an answer the null policy holds, which keeps the set as it is.

use std::time::Duration;

use super::{
    engine::Engine,
    error::{Failure, PluginError},
    first::first_view,
    instance::Instance,
    policy::{Policy, PolicyNumbers, invalid},
    spec::PolicySpec,
    v0_1::control as wit,
    validate::control as validate,
    world::SyncSetWorld,
};
use crate::{
    cluster::{
        verdict::{StandbySet, SyncDecision},
        view::View,
    },
    facts::Facts,
};

/// How often to ask when there is no policy that says so; it has nothing to say.
const TICK: Duration = Duration::from_secs(60);

/// A policy for the synchronous set of one cluster in one generation.
#[derive(Debug, Default)]
pub struct SyncSetPolicy(Option<Loaded>);

#[derive(Debug)]
struct Loaded {
    policy: Policy<SyncSetWorld>,
    tick: Duration,
}

impl SyncSetPolicy {
    /// Prepares a policy: checks, compiles and starts it, hands it its settings, and asks it about a
    /// cluster of these nodes on which nobody has reported yet. Anything wrong is an error, and nothing has
    /// changed.
    ///
    /// Takes from milliseconds (Rust) to seconds (Python), so not on a worker.
    pub fn load(engine: &Engine, spec: &PolicySpec<'_>, nodes: &Facts) -> Result<Self, PluginError> {
        let (policy, requirements) = Policy::<SyncSetWorld>::load(engine, spec)?;
        let tick = validate::tick(requirements.tick).map_err(|cause| invalid("setup", cause))?;
        let first = policy.try_out(|instance| decide(instance, &first_view(nodes), None));
        first.map_err(|cause| PluginError::Call { call: "the first decide", cause })?;
        Ok(Self(Some(Loaded { policy, tick })))
    }

    /// The policy of those who configured none: keeps the set.
    pub fn null() -> Self {
        Self::default()
    }

    /// There is no policy.
    pub fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// How often it wants to be asked, at least.
    pub fn tick(&self) -> Duration {
        self.0.as_ref().map_or(TICK, |loaded| loaded.tick)
    }

    /// For whom commits wait from now on; `current` is the set in effect, `None` when they wait for nobody.
    pub fn decide(&self, view: &View, current: Option<&StandbySet>) -> SyncDecision {
        let Some(Loaded { policy, .. }) = &self.0 else { return SyncDecision::Keep };
        // The failure has been logged and counted; there is nobody to tell here.
        policy.ask(|instance| decide(instance, view, current)).unwrap_or(SyncDecision::Keep)
    }

    /// How the policy does; `None` for the null policy.
    pub fn numbers(&self) -> Option<PolicyNumbers> {
        self.0.as_ref().map(|loaded| loaded.policy.numbers())
    }
}

fn decide(
    instance: &mut Instance<SyncSetWorld>,
    view: &View,
    current: Option<&StandbySet>,
) -> Result<SyncDecision, Failure> {
    let (cluster, set) = (wit::cluster(view), current.map(|set| wit::standby_set(set, view)));
    let answer = instance.decide(|exports, store| exports.call_decide(store, &cluster, set.as_ref()))?;
    validate::sync_decision(answer, view).map_err(|cause| Failure::Invalid { cause })
}
