//! Plans that a worker keeps, so that a policy is asked once for each shape and not for each request.

use std::{collections::HashMap, sync::Arc};

use tokio::time::Instant;

use crate::plugin::{
    input::{SessionAttributes, Transaction},
    plan::Plan,
};
use crate::sql::ShapeId;

/// Most plans that a worker keeps; beyond it the cache starts afresh.
pub const PLANS_MAX: usize = 10_000;

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

/// The plans of one worker.
#[derive(Debug, Default)]
pub struct PlanCache {
    /// Generation and cluster epoch that the plans are of, by cluster generation address.
    valid_for: (u64, u64, usize),
    plans: HashMap<PlanKey, Kept, foldhash::fast::RandomState>,
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
            self.valid_for = valid_for;
        }
        let kept = self.plans.get_mut(key)?;
        if kept.until.is_some_and(|until| Instant::now() >= until) {
            self.plans.remove(key);
            return None;
        }
        kept.hits += 1;
        self.hits += 1;
        Some(Arc::clone(&kept.plan))
    }

    /// Keeps a plan as long as it says.
    pub fn keep(&mut self, key: PlanKey, plan: &Arc<Plan>) {
        self.misses += 1;
        let Some(reuse) = plan.reuse else { return };
        if self.plans.len() >= PLANS_MAX {
            self.plans.clear();
        }
        let until = Instant::now().checked_add(reuse).filter(|_| reuse.as_secs() < 86_400);
        self.plans.insert(key, Kept { plan: Arc::clone(plan), until, hits: 1 });
    }

    /// Corrects what a policy thought of a shape: a standby has refused it.
    pub fn correct(&mut self, key: PlanKey, plan: Arc<Plan>) {
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
        self.plans.iter().map(|(key, kept)| (key, &kept.plan, kept.hits))
    }
}
