//! Which nodes get no work, whatever they say of themselves.
//!
//! A node that was primary in an earlier term, or belongs to another cluster, or has log that the primary lacks,
//! serves rows that do not exist. It stays out until it has proved for a while that it follows.

use std::time::Duration;

use super::{
    name::Name,
    operation::Record,
    settings::Settings,
    sight::{SeenNode, Sight},
    view::Role,
};
use crate::id::Lsn;

/// A node in quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Which.
    pub node: Name,
    /// Why.
    pub offence: Offence,
    /// Since when, on the machine's clock.
    pub since: Duration,
    /// Since when it has followed well.
    pub well_since: Option<Duration>,
}

/// Why a node is in quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Offence {
    /// Its `system_identifier` is another one.
    Stranger,
    /// It takes writes on an older timeline, or was deposed.
    Zombie,
    /// It takes writes, and no operation of ours promoted it.
    Rival,
    /// It has log that the primary lacks.
    Diverged,
    /// It was primary, and has not proved yet that it follows.
    Unproven,
}

impl Offence {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Stranger => "belongs to another cluster",
            Self::Zombie => "takes writes, but was replaced",
            Self::Rival => "takes writes, and no operation promoted it",
            Self::Diverged => "has log that the primary lacks",
            Self::Unproven => "was primary and has not proved yet that it follows",
        }
    }
}

/// What an examination looks at.
#[derive(Clone, Copy, Debug)]
pub struct Exam<'a> {
    /// The route.
    pub record: &'a Record,
    /// All nodes.
    pub sight: &'a Sight,
    /// When that was, on the machine's clock.
    pub seen_at: Duration,
    /// Since when the route is what it is.
    pub route_since: Duration,
    /// The primary's newest known position.
    pub flushed: Option<Lsn>,
    /// Bounds.
    pub settings: &'a Settings,
}

/// What an examination changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Nodes that were put into quarantine, or for another reason.
    pub caught: Vec<(Name, Offence)>,
    /// Nodes that were let out.
    pub released: Vec<Name>,
}

impl Exam<'_> {
    /// Brings the list up to date.
    pub fn run(&self, list: &mut Vec<Quarantined>) -> Findings {
        let mut findings = Findings::default();
        list.retain(|entry| self.sight.node(&entry.node).is_some());
        for node in &self.sight.nodes {
            let name = Name::from(&node.viewed.name);
            let place = list.iter().position(|entry| entry.node == name);
            match (self.offence(node), place) {
                (Some(offence), None) => {
                    list.push(Quarantined { node: name.clone(), offence, since: self.seen_at, well_since: None });
                    findings.caught.push((name, offence));
                }
                (Some(offence), Some(place)) => {
                    let entry = &mut list[place];
                    entry.well_since = if self.well(node) { entry.well_since.or(Some(self.seen_at)) } else { None };
                    if offence != Offence::Unproven && entry.offence != offence {
                        entry.offence = offence;
                        findings.caught.push((name.clone(), offence));
                    }
                }
                (None, Some(place)) if self.well(node) => {
                    list[place].well_since.get_or_insert(self.seen_at);
                }
                (None, Some(place)) => list[place].well_since = None,
                (None, None) => {}
            }
        }
        let proof = self.settings.quarantine_proof;
        let proved = |entry: &Quarantined| {
            let primary = self.record.route.is_primary(&entry.node);
            primary || entry.well_since.is_some_and(|since| self.seen_at >= since + proof)
        };
        findings.released = list.iter().filter(|entry| proved(entry)).map(|entry| entry.node.clone()).collect();
        list.retain(|entry| !proved(entry));
        findings
    }

    /// Why the node is no good now.
    fn offence(&self, node: &SeenNode) -> Option<Offence> {
        let route = &self.record.route;
        let name = &*node.viewed.name;
        if route.primary.is_none() || route.is_primary(name) {
            return None;
        }
        if route.is_deposed(name) {
            return Some(if node.claims() { Offence::Zombie } else { Offence::Unproven });
        }
        // What it said before the route changed is no offence: it may be the very node that is being promoted.
        let current = self.seen_at.checked_sub(node.asked).is_some_and(|asked| asked > self.route_since);
        let candidate =
            self.record.operation.as_ref().is_some_and(|operation| operation.candidate.as_deref() == Some(name));
        if !node.answers() || !current {
            return None;
        }
        if let (Some(theirs), Some(ours)) = (node.system, route.system)
            && theirs != ours
        {
            return Some(Offence::Stranger);
        }
        let timeline = node.viewed.timeline.unwrap_or(route.timeline);
        match node.viewed.role {
            Role::Primary if candidate => None,
            Role::Primary if timeline < route.timeline => Some(Offence::Zombie),
            Role::Primary => Some(Offence::Rival),
            Role::Standby if self.diverged(node, timeline) => Some(Offence::Diverged),
            Role::Standby | Role::Unknown => None,
        }
    }

    /// It has more of an older timeline than the next one forked from.
    fn diverged(&self, node: &SeenNode, timeline: u32) -> bool {
        let next = self.record.route.forks.iter().find(|fork| fork.timeline > timeline);
        next.is_some_and(|fork| node.viewed.received.is_some_and(|received| received > fork.at))
    }

    /// It follows the primary as a standby should.
    fn well(&self, node: &SeenNode) -> bool {
        let route = &self.record.route;
        let same = |theirs: Option<u64>| route.system.is_none() || theirs.is_none() || theirs == route.system;
        let near = match (self.flushed, node.viewed.received) {
            (Some(flushed), Some(received)) => flushed.0.saturating_sub(received.0) <= self.settings.max_lag_bytes,
            _ => false,
        };
        let primary = route.primary.as_deref().and_then(|primary| self.sight.node(primary));
        let streams = primary.is_some_and(|primary| self.sight.leads_to(node, primary.viewed.id, route.timeline));
        node.follows() && same(node.system) && streams && node.viewed.timeline == Some(route.timeline) && near
    }
}
