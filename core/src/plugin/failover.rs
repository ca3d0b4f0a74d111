//! What the control plane asks about its primary: is it lost, and whom to promote.
//!
//! Calls are synchronous and may take 200 ms of CPU time when the policy is at its worst: make them from a
//! thread that may wait. Without an answer its stand-in decides; without one the null policy holds, which never fails over.

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
    world::FailoverWorld,
};
use crate::{
    cluster::{
        verdict::{Election, Promotion, Ranked, Trigger, Verdict},
        view::View,
    },
    facts::Facts,
    id::NodeId,
};

/// How often to ask when there is no policy that says so.
const TICK: Duration = Duration::from_secs(1);

/// A failover policy of one cluster in one generation.
#[derive(Debug, Default)]
pub struct FailoverPolicy(Option<Loaded>);

#[derive(Debug)]
struct Loaded {
    policy: Policy<FailoverWorld>,
    tick: Duration,
    /// Who answers when it does not.
    stand_in: Option<Box<FailoverPolicy>>,
}

impl FailoverPolicy {
    /// Prepares a policy: checks, compiles and starts it, hands it its settings, and asks it about a
    /// cluster of these nodes on which nobody has reported yet. Anything wrong is an error, and nothing has
    /// changed.
    ///
    /// Takes from milliseconds (Rust) to seconds (Python), so not on a worker.
    pub fn load(engine: &Engine, spec: &PolicySpec<'_>, nodes: &Facts) -> Result<Self, PluginError> {
        let (policy, requirements) = Policy::<FailoverWorld>::load(engine, spec)?;
        let tick = validate::tick(requirements.tick).map_err(|cause| invalid("setup", cause))?;
        let first = policy.try_out(|instance| assess(instance, &first_view(nodes)));
        first.map_err(|cause| PluginError::Call { call: "the first assess", cause })?;
        Ok(Self(Some(Loaded { policy, tick, stand_in: None })))
    }

    /// Has that one answer whenever this one does not.
    pub fn with_stand_in(mut self, other: Self) -> Self {
        if let Some(loaded) = &mut self.0 {
            loaded.stand_in = Some(Box::new(other));
        }
        self
    }

    /// The policy of those who configured none: never fails over, and promotes only whom an operator names.
    pub fn null() -> Self {
        Self::default()
    }

    /// There is no policy.
    pub fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// How often it wants to be asked while the primary is not well, at least.
    pub fn tick(&self) -> Duration {
        self.0.as_ref().map_or(TICK, |loaded| loaded.tick)
    }

    /// Is the primary lost?
    pub fn assess(&self, view: &View) -> Verdict {
        let Some(Loaded { policy, stand_in, .. }) = &self.0 else {
            return Verdict::Hold("there is no failover policy".to_owned());
        };
        policy.ask(|instance| assess(instance, view)).unwrap_or_else(|none| match stand_in {
            Some(other) => other.assess(view),
            None => Verdict::Hold(none.to_string()),
        })
    }

    /// Whom to promote; `target` is the operator's choice, if there is one, and nobody else is promoted then.
    pub fn elect(&self, view: &View, trigger: Trigger, target: Option<NodeId>) -> Election {
        let Some(Loaded { policy, stand_in, .. }) = &self.0 else {
            return without(trigger, target, "there is no failover policy".to_owned());
        };
        let answer = policy.ask(|instance| elect(instance, view, trigger, target));
        answer.unwrap_or_else(|none| match stand_in {
            Some(other) => other.elect(view, trigger, target),
            None => without(trigger, target, none.to_string()),
        })
    }

    /// How the policy does; `None` for the null policy.
    pub fn numbers(&self) -> Option<PolicyNumbers> {
        self.0.as_ref().map(|loaded| loaded.policy.numbers())
    }
}

fn assess(instance: &mut Instance<FailoverWorld>, view: &View) -> Result<Verdict, Failure> {
    let cluster = wit::cluster(view);
    let answer = instance.decide(|exports, store| exports.call_assess(store, &cluster))?;
    validate::assessment(answer).map_err(|cause| Failure::Invalid { cause })
}

fn elect(
    instance: &mut Instance<FailoverWorld>,
    view: &View,
    trigger: Trigger,
    target: Option<NodeId>,
) -> Result<Election, Failure> {
    let cluster = wit::cluster(view);
    let (trigger, wanted) = (wit::trigger(trigger), target.map(wit::number));
    let answer = instance.decide(|exports, store| exports.call_elect(store, &cluster, trigger, wanted))?;
    validate::election(answer, view, target).map_err(|cause| Failure::Invalid { cause })
}

/// The null policy's answer: an operator who names a node has decided; nobody else is promoted.
fn without(trigger: Trigger, target: Option<NodeId>, why: String) -> Election {
    match (trigger, target) {
        (Trigger::Switchover | Trigger::Forced, Some(node)) => Election::Promote(Promotion {
            candidates: vec![Ranked { node, score: 0, why: format!("named by the operator; {why}") }],
            ..Promotion::default()
        }),
        _ => Election::Abstain(why),
    }
}
