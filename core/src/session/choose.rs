//! Executes a plan: which node, with the live numbers of this moment.

use std::cell::Cell;

use super::{keys::KeyReader, mark::MustSee};
use crate::{
    facts::{Facts, Health, NodeFacts, Role},
    id::NodeId,
    plugin::plan::{Balance, Causality, Destination, Plan, ReplicaSet, Target},
    pool::PoolSet,
};

/// What a choice needs to know of the session.
#[derive(Clone, Copy, Debug)]
pub struct Chooser<'a> {
    /// The cluster now.
    pub facts: &'a Facts,
    /// The session's pools.
    pub set: &'a PoolSet,
    /// Its own writes.
    pub own_writes: MustSee,
    /// What is known of the writes of keys.
    pub keys: KeyReader<'a>,
    /// Stable for a session.
    pub affinity: u32,
    /// A node that has just failed this request.
    pub avoid: Option<NodeId>,
}

impl Chooser<'_> {
    /// The first choice of a plan that some node satisfies. Fallbacks are tried in order, then the
    /// primary; `None` when there is none.
    pub fn choose(&self, plan: &Plan) -> Option<NodeId> {
        if matches!(plan.destination, Destination::Refuse(_)) {
            return None;
        }
        let first = self.first(plan).and_then(|target| self.resolve(target));
        first.or_else(|| plan.fallbacks.iter().find_map(|target| self.resolve(target))).or(self.facts.primary)
    }

    /// The first choice of a plan; for a split the session's share.
    pub fn first<'p>(&self, plan: &'p Plan) -> Option<&'p Target> {
        match &plan.destination {
            Destination::To(target) => Some(target),
            Destination::Split(shares) => share_of(shares, self.affinity),
            Destination::Refuse(_) => None,
        }
    }

    /// Whether the plan's first choice waits only for a standby to catch up with what it must see.
    pub fn waits_for_replay<'p>(&self, plan: &'p Plan) -> Option<&'p ReplicaSet> {
        let Some(Target::Replicas(set)) = self.first(plan) else { return None };
        if set.freshness.wait.is_zero() {
            return None;
        }
        let must_see = self.must_see(set);
        if must_see == MustSee::Nothing || self.pick(set, must_see).is_some() {
            return None;
        }
        self.pick(set, MustSee::Nothing).is_some().then_some(set)
    }

    /// What a standby must have replayed to qualify for a set of replicas.
    fn must_see(&self, set: &ReplicaSet) -> MustSee {
        match &set.freshness.causality {
            Causality::None => MustSee::Nothing,
            Causality::OwnWrites => self.own_writes,
            Causality::KeyWrites(key) => self.keys.must_see(key, self.facts),
            Causality::Position(position) => MustSee::Position(*position),
        }
    }

    /// A node that satisfies a target, by its numbers of this moment.
    pub fn resolve(&self, target: &Target) -> Option<NodeId> {
        match target {
            Target::Primary => self.facts.primary,
            Target::Node(id) => {
                let node = self.facts.node(*id)?;
                (matches!(node.health, Health::Up | Health::Degraded) && self.avoid != Some(*id)).then_some(*id)
            }
            Target::Replicas(set) => self.pick(set, self.must_see(set)),
        }
    }

    fn pick(&self, set: &ReplicaSet, must_see: MustSee) -> Option<NodeId> {
        let mut fit = self.fit(set, must_see, Health::Up);
        if fit.is_empty() {
            fit = self.fit(set, must_see, Health::Degraded);
        }
        self.balance(set.balance, &fit)
    }

    #[inline(never)]
    fn fit(&self, set: &ReplicaSet, must_see: MustSee, health: Health) -> Fit<'_> {
        let is_fit = |node: &&NodeFacts| node.health == health && self.lacks(set, node, must_see).is_none();
        self.facts.nodes.iter().filter(is_fit).collect()
    }

    /// Why a node does not qualify for a set of replicas; health aside.
    pub fn why_not(&self, set: &ReplicaSet, node: &NodeFacts) -> Option<&'static str> {
        self.lacks(set, node, self.must_see(set))
    }

    #[inline(never)]
    fn lacks(&self, set: &ReplicaSet, node: &NodeFacts, must_see: MustSee) -> Option<&'static str> {
        let freshness = &set.freshness;
        let is_primary = self.facts.primary == Some(node.id);
        if self.avoid == Some(node.id) {
            return Some("has just failed this request");
        }
        if is_primary && !set.include_primary {
            return Some("is the primary");
        }
        if !is_primary && node.role != Role::Standby {
            return Some("is no standby");
        }
        if node.weight == 0 {
            return Some("has weight 0");
        }
        if !set.nodes.is_empty() && !set.nodes.contains(&node.id) {
            return Some("is not named by the plan");
        }
        if !set.labels.iter().all(|label| node.labels.contains(label)) {
            return Some("lacks a label");
        }
        if is_primary {
            return None;
        }
        if freshness.max_lag_bytes.is_some_and(|max| node.lag_bytes.is_none_or(|lag| lag > max)) {
            return Some("lags by too many bytes");
        }
        if freshness.max_lag.is_some_and(|max| node.lag.is_none_or(|lag| lag > max)) {
            return Some("lags by too long");
        }
        match must_see {
            MustSee::Nothing => None,
            MustSee::Position(position) if node.replayed.is_some_and(|replayed| replayed >= position) => None,
            MustSee::Position(_) => Some(match freshness.causality {
                Causality::Position(_) => "has not replayed the position asked for",
                Causality::KeyWrites(_) => "has not replayed the key's writes",
                Causality::OwnWrites | Causality::None => "has not replayed the session's writes",
            }),
            MustSee::Unknown => Some(match freshness.causality {
                Causality::KeyWrites(_) => "may not have replayed the key's writes",
                _ => "may not have replayed the session's writes",
            }),
        }
    }

    fn balance(&self, how: Balance, fit: &[&NodeFacts]) -> Option<NodeId> {
        let chosen = match (fit, how) {
            ([] | [_], _) => fit.first(),
            (_, Balance::LeastBusy) => self.least_busy(fit),
            (_, Balance::RoundRobin) => by_weight(fit, next_turn()),
            (_, Balance::WeightedRandom) => by_weight(fit, rand::random()),
            (_, Balance::SessionAffine) => by_weight(fit, self.affinity),
            (_, Balance::LowestLag) => least_behind(fit),
        };
        chosen.map(|node| node.id)
    }

    fn least_busy<'a, 'f>(&self, fit: &'a [&'f NodeFacts]) -> Option<&'a &'f NodeFacts> {
        // Start at a different one each time, so that equals take turns, however many choices a statement takes.
        let start = spread(next_turn(), fit.len() as u64) as usize;
        let in_turn = (start..start + fit.len()).filter_map(|at| fit.get(at).or_else(|| fit.get(at - fit.len())));
        in_turn.min_by_key(|node| {
            let busy = self.set.pool(node).map_or(u64::MAX / 100_000, |pool| u64::from(pool.busy()));
            (busy + 1) * 100_000 / share(node)
        })
    }
}

/// Nodes that qualify.
type Fit<'f> = smallvec::SmallVec<[&'f NodeFacts; 8]>;

/// A number that is another at each call, counted on each thread by itself.
fn next_turn() -> u32 {
    thread_local! {
        static TURN: Cell<u32> = const { Cell::new(0) };
    }
    TURN.replace(TURN.get().wrapping_add(1))
}

fn share(node: &NodeFacts) -> u64 {
    (u64::from(node.weight) * u64::from(node.ramp_percent)).max(1)
}

/// A number below `total`. A fixed odd factor turns consecutive tickets, and every second one, into an even spread.
fn spread(ticket: u32, total: u64) -> u64 {
    (u64::from(ticket.wrapping_mul(0x9e37_79b1)) * total) >> 32
}

#[inline(never)]
fn least_behind<'a, 'f>(fit: &'a [&'f NodeFacts]) -> Option<&'a &'f NodeFacts> {
    fit.iter().min_by_key(|node| (node.lag_bytes.unwrap_or(u64::MAX), node.lag))
}

/// Spreads tickets over nodes in proportion to their shares.
#[inline(never)]
fn by_weight<'a, 'f>(fit: &'a [&'f NodeFacts], ticket: u32) -> Option<&'a &'f NodeFacts> {
    let total: u64 = fit.iter().map(|node| share(node)).sum();
    let mut at = spread(ticket, total);
    fit.iter().find(|node| {
        let mine = share(node);
        let hit = at < mine;
        at = at.saturating_sub(mine);
        hit
    })
}

fn share_of(shares: &[(u32, Target)], affinity: u32) -> Option<&Target> {
    let total: u64 = shares.iter().map(|(weight, _)| u64::from(*weight)).sum();
    let mut at = (u64::from(affinity.wrapping_mul(0x9e37_79b1)) * total) >> 32;
    shares
        .iter()
        .find(|(weight, _)| {
            let hit = at < u64::from(*weight);
            at = at.saturating_sub(u64::from(*weight));
            hit
        })
        .map(|(_, target)| target)
}
