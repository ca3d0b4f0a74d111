//! Plans that a worker keeps, so that a policy is asked once for each shape and not for each request.
//!
//! A policy that sees the values of parameters may have its plans kept by some of them. Those values
//! are kept themselves, so two that differ never share a plan.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::plugin::{
    input::{Parameter, ParameterValue, SessionAttributes, Transaction},
    plan::Plan,
};
use crate::sql::ShapeId;

/// Most plans that a worker keeps; beyond it the cache starts afresh.
pub const PLANS_MAX: usize = 10_000;

/// Most bytes of the values that one plan is kept by: some names, numbers or UUIDs. With longer
/// ones the policy is asked each time.
const VALUES_MAX_BYTES: usize = 256;

/// Most parameters that the plans of one shape are kept by; as many as a plan may name.
const VARY_MAX: usize = 16;

/// What a plan depends on, within one generation and one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlanKey {
    /// The session's class.
    pub class: u32,
    /// The statement's shape.
    pub shape: ShapeId,
    /// Where the session stands.
    pub transaction: Transaction,
}

#[derive(Debug)]
struct Kept {
    plan: Arc<Plan>,
    until: Option<Instant>,
    hits: u64,
}

/// The plans of one key that depend on values of parameters.
#[derive(Debug, Default)]
struct Varied {
    /// Which parameters.
    by: Vec<u16>,
    /// By their values. Clients choose them, so the map's hash has a key that they do not know.
    plans: HashMap<Box<[u8]>, Kept>,
}

/// The plans of one worker.
#[derive(Debug, Default)]
pub struct PlanCache {
    /// Generation and cluster epoch that the plans are of, by cluster generation address.
    valid_for: (u64, u64, usize),
    plans: HashMap<PlanKey, Kept, foldhash::fast::RandomState>,
    varied: HashMap<PlanKey, Varied, foldhash::fast::RandomState>,
    /// How many plans are in there, all keys together.
    varied_plans: usize,
    classes: HashMap<SessionAttributes, u32, foldhash::fast::RandomState>,
    class_generation: u64,
    next_class: u32,
    hits: u64,
    misses: u64,
}

impl PlanCache {
    /// The number of a session class, the same for equal attributes in one generation.
    pub fn class(&mut self, generation: u64, attributes: &SessionAttributes) -> u32 {
        if self.class_generation != generation || self.classes.len() >= PLANS_MAX {
            self.classes.clear();
            self.class_generation = generation;
        }
        if let Some(&class) = self.classes.get(attributes) {
            return class;
        }
        // Never used again for other attributes, so that plans of old classes are never found.
        self.next_class += 1;
        self.classes.insert(attributes.clone(), self.next_class);
        self.next_class
    }

    /// The plan for a key, if it is kept and still good.
    #[inline]
    pub fn find(&mut self, valid_for: (u64, u64, usize), key: &PlanKey) -> Option<Arc<Plan>> {
        if self.valid_for != valid_for {
            self.plans.clear();
            self.forget_varied();
            self.valid_for = valid_for;
        }
        let kept = self.plans.get_mut(key)?;
        if kept.is_over() {
            self.plans.remove(key);
            return None;
        }
        self.hits += 1;
        Some(kept.used())
    }

    /// The plan for a key and these values. Comes after [`find`](Self::find), which says what is still valid.
    pub fn find_varied(&mut self, key: &PlanKey, parameters: &[Parameter<'_>]) -> Option<Arc<Plan>> {
        let varied = self.varied.get_mut(key)?;
        let values = values(&varied.by, parameters)?;
        let kept = varied.plans.get_mut(&values)?;
        if kept.is_over() {
            varied.plans.remove(&values);
            self.varied_plans -= 1;
            return None;
        }
        self.hits += 1;
        Some(kept.used())
    }

    /// Keeps a plan as long as it says.
    pub fn keep(&mut self, key: PlanKey, plan: &Arc<Plan>) {
        self.misses += 1;
        let Some(reuse) = plan.reuse else { return };
        if self.plans.len() >= PLANS_MAX {
            self.plans.clear();
        }
        self.plans.insert(key, Kept::new(plan, reuse));
    }

    /// Keeps a plan, as long as it says, for the values of the parameters that it names. Where plans of
    /// one key name different ones, all of them count.
    pub fn keep_varied(&mut self, key: PlanKey, parameters: &[Parameter<'_>], plan: &Arc<Plan>) {
        self.misses += 1;
        let Some(reuse) = plan.reuse.filter(|_| !plan.vary.is_empty()) else { return };
        if self.varied_plans >= PLANS_MAX || self.varied.len() >= PLANS_MAX {
            self.forget_varied();
        }
        let varied = self.varied.entry(key).or_default();
        if !plan.vary.iter().all(|index| varied.by.contains(index)) {
            self.varied_plans -= varied.plans.len();
            varied.vary_with(&plan.vary);
        }
        if let Some(values) = values(&varied.by, parameters)
            && varied.plans.insert(values, Kept::new(plan, reuse)).is_none()
        {
            self.varied_plans += 1;
        }
    }

    fn forget_varied(&mut self) {
        self.varied.clear();
        self.varied_plans = 0;
    }

    /// Corrects what a policy thought of a shape: a standby has refused it.
    pub fn correct(&mut self, key: PlanKey, plan: Arc<Plan>) {
        if self.plans.len() >= PLANS_MAX {
            self.plans.clear();
        }
        self.plans.insert(key, Kept { plan, until: None, hits: 0 });
    }

    /// Requests that found their plan, and requests that had to ask the policy, since the last call.
    pub fn take_counts(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.hits), std::mem::take(&mut self.misses))
    }

    /// The sessions of each class, by their number.
    pub fn classes(&self) -> HashMap<u32, &SessionAttributes> {
        self.classes.iter().map(|(attributes, class)| (*class, attributes)).collect()
    }

    /// Each kept plan with its key and how often it was used.
    pub fn list(&self) -> impl Iterator<Item = (&PlanKey, &Arc<Plan>, u64)> {
        let varied = self.varied.iter().flat_map(|(key, varied)| varied.plans.values().map(move |kept| (key, kept)));
        self.plans.iter().chain(varied).map(|(key, kept)| (key, &kept.plan, kept.hits))
    }
}

impl Kept {
    fn new(plan: &Arc<Plan>, reuse: Duration) -> Self {
        Self { plan: Arc::clone(plan), until: Instant::now().checked_add(reuse), hits: 1 }
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }

    fn used(&mut self) -> Arc<Plan> {
        self.hits += 1;
        Arc::clone(&self.plan)
    }
}

impl Varied {
    /// Goes over to more parameters; what was kept by fewer is not found by more.
    fn vary_with(&mut self, more: &[u16]) {
        self.plans.clear();
        self.by.extend(more);
        self.by.sort_unstable();
        self.by.dedup();
        if self.by.len() > VARY_MAX {
            more.clone_into(&mut self.by);
        }
    }
}

/// The values of some parameters as a policy sees them, in a form that no two of them share; `None`
/// if they are too long.
fn values(by: &[u16], parameters: &[Parameter<'_>]) -> Option<Box<[u8]>> {
    let mut key = Vec::new();
    for index in by {
        let Some(Parameter { type_oid, value }) = parameters.get(usize::from(*index)) else {
            key.push(b'-');
            continue;
        };
        let (kind, bytes) = match value {
            ParameterValue::Null => (b'0', &[][..]),
            ParameterValue::Text(text) => (b't', text.as_bytes()),
            ParameterValue::Opaque(bytes) => (b'o', *bytes),
        };
        if key.len() + bytes.len() > VALUES_MAX_BYTES {
            return None;
        }
        key.push(kind);
        key.extend(type_oid.to_be_bytes());
        key.extend(u32::try_from(bytes.len()).ok()?.to_be_bytes());
        key.extend(bytes);
    }
    Some(key.into())
}

#[cfg(test)]
mod tests;
