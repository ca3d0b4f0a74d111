//! Turns observations into facts. Pure: no socket, no clock, no async; time is passed in.
//!
//! Each node has a [`Standing`] (its last answers, with hysteresis), [`elect`] finds the primary
//! among those that take writes, [`History`] measures lag. What the judge refuses whatever a node
//! says of itself: a node of another cluster, a primary of an older timeline and the standbys that
//! went on with it, a second primary. They count as [`Health::Down`] and take no reads either:
//! their data belongs to another history.
//!
//! [`Facts::primary`] is none only while nothing that answers may be the primary. One that an
//! operator drains stays the primary: no other node can take its writes.

mod election;
mod lag;
mod standing;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use self::{
    election::{Claim, Reign, elect},
    lag::History,
    standing::Standing,
};
use super::observation::{FailureKind, Finding, Observation, Position, Sample, Timings};
use crate::{
    config::types::Node,
    facts::{Facts, Health, NodeFacts, Role, RuledPrimary, Ruling},
    id::{Lsn, NodeId},
};

/// At the start, how long the election waits for nodes that have not answered yet: with only an
/// old primary's answer at hand, it would be elected.
const FIRST_ELECTION_WAIT: Duration = Duration::from_millis(300);

/// Most nodes of one cluster: what [`NodeId`] can number. More are not watched.
const NODES_MAX: usize = 1 << 16;

/// An operator named a node that the cluster does not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no node is named {name:?}")]
pub struct NoSuchNode {
    /// The name given.
    pub name: String,
}

/// What is known of one node.
#[derive(Clone, Debug)]
struct Seat {
    node: Node,
    standing: Standing,
    drained: bool,
    /// The newest answer; it stays when the node goes.
    sample: Option<Sample>,
    /// When that answer was asked for, or when the node joined.
    asked_at: Instant,
    /// It lets the control user in; otherwise nothing can be said of its role.
    admits_us: bool,
    /// Why it takes no new sessions, although the held one works.
    shut: Option<Arc<str>>,
}

/// Why a node that answers is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Objection {
    Stranger { system: u64, ours: u64 },
    OldPrimary { timeline: u32, newest: u32 },
    Rival { timeline: u32, chosen: Option<Arc<str>> },
    Diverged { timeline: u32, newest: u32 },
}

/// The state of one cluster as far as probes tell.
#[derive(Debug)]
pub struct Judge {
    timings: Timings,
    seats: Vec<Seat>,
    started: Instant,
    settled: bool,
    reign: Option<Reign>,
    history: History,
    epoch: u64,
    concluded: Option<Facts>,
    /// What has been decided over all that is seen.
    ruling: Ruling,
    heals: bool,
}

impl Judge {
    /// Nothing is known yet.
    pub fn new(nodes: &[Node], timings: Timings, now: Instant) -> Self {
        Self {
            timings,
            seats: nodes.iter().take(NODES_MAX).map(|node| Seat::new(node, false, now)).collect(),
            started: now,
            settled: false,
            reign: None,
            history: History::default(),
            epoch: 0,
            concluded: None,
            ruling: Ruling::default(),
            heals: false,
        }
    }

    /// What holds over what is seen from now on.
    pub fn rule(&mut self, ruling: Ruling) {
        self.ruling = ruling;
    }

    /// Whether somebody promotes another node when the primary is lost.
    pub fn set_heals(&mut self, heals: bool) {
        self.heals = heals;
    }

    /// Takes in what was found out about the node at that place.
    pub fn take_in(&mut self, place: usize, finding: Finding) {
        match finding {
            Finding::Probe(observation) => self.observe(place, observation),
            Finding::Entry(outcome) => {
                let Some(seat) = self.seats.get_mut(place) else { return };
                seat.shut = outcome.err().map(|failure| format!("takes no new sessions: {}", failure.why).into());
            }
            // The probe that follows tells more.
            Finding::Dialled(_) | Finding::Lost(_) => {}
        }
    }

    fn observe(&mut self, place: usize, observation: Observation) {
        let Some(seat) = self.seats.get_mut(place) else { return };
        match observation.outcome {
            Ok(sample) => {
                seat.standing.rise(&self.timings, observation.ended_at);
                seat.admits_us = true;
                seat.sample = Some(sample.after(seat.sample.as_ref()));
                seat.asked_at = observation.asked_at;
            }
            Err(failure) => {
                seat.standing.fall(&failure, &self.timings);
                seat.admits_us = failure.kind != FailureKind::Rejected;
            }
        }
        self.follow_primary(place);
    }

    /// Takes a node out of the balance, or puts it back. It stays so across [`replace`](Self::replace).
    pub fn drain(&mut self, name: &str, drained: bool, now: Instant) -> Result<(), NoSuchNode> {
        let seat = self.seats.iter_mut().find(|seat| *seat.node.name == *name);
        let seat = seat.ok_or_else(|| NoSuchNode { name: name.to_owned() })?;
        if seat.drained && !drained {
            seat.standing.warm_up(now);
        }
        seat.drained = drained;
        Ok(())
    }

    /// Another list of nodes. What is known of a node stays when its name and address do.
    pub fn replace(&mut self, nodes: &[Node], timings: Timings, now: Instant) {
        self.timings = timings;
        self.seats = nodes
            .iter()
            .take(NODES_MAX)
            .map(|node| {
                let known = self.seats.iter().find(|seat| seat.node.name == node.name);
                match known {
                    Some(seat) if same_address(&seat.node, node) => Seat { node: node.clone(), ..seat.clone() },
                    _ => Seat { drained: known.is_some_and(|seat| seat.drained), ..Seat::new(node, true, now) },
                }
            })
            .collect();
    }

    /// Elects, objects and sums up; none while the first election still waits.
    /// The epoch grows when roles, health, nodes or the primary changed.
    pub fn conclude(&mut self, now: Instant) -> Option<Facts> {
        self.settle(now);
        if !self.settled {
            return None;
        }
        self.forget_history_that_nobody_has();
        let primary = self.elect();
        if let Some(place) = primary {
            self.crown(place);
        }
        let nodes = (0..self.seats.len()).map(|place| self.node_facts(place, primary, now)).collect();
        let term = self.reign.as_ref().map_or(0, |reign| u64::from(reign.timeline));
        let term = self.concluded.as_ref().map_or(term, |before| term.max(before.term));
        let (epoch, primary, heals) = (self.epoch, primary.map(number), self.heals);
        let mut facts = Facts { epoch, term, primary, heals, nodes, ..Facts::default() };
        self.ruling.rule(&mut facts);
        if self.concluded.as_ref().is_none_or(|before| topology_differs(before, &facts)) {
            self.epoch += 1;
            facts.epoch = self.epoch;
        }
        self.concluded = Some(facts.clone());
        Some(facts)
    }

    /// Everything as the nodes tell it, whatever is made of it. Changes nothing.
    pub fn as_seen(&self, now: Instant) -> Facts {
        let primary = self.elect();
        let nodes = (0..self.seats.len()).map(|place| self.node_facts(place, primary, now)).collect();
        Facts { epoch: self.epoch, primary: primary.map(number), nodes, ..Facts::default() }
    }

    /// The facts before anything was probed.
    pub fn first_facts(nodes: &[Node], heals: bool, timings: Timings, now: Instant) -> Facts {
        let judge = Self::new(nodes, timings, now);
        let nodes = (0..judge.seats.len()).map(|place| judge.node_facts(place, None, now)).collect();
        Facts { heals, nodes, ..Facts::default() }
    }

    /// When [`conclude`](Self::conclude) is worth a call although nothing was observed.
    pub fn wake_at(&self) -> Option<Instant> {
        (!self.settled).then(|| self.started + FIRST_ELECTION_WAIT)
    }

    /// The first election waits for every node's first answer, but not for long.
    fn settle(&mut self, now: Instant) {
        let all_seen = self.seats.iter().all(|seat| !matches!(seat.standing, Standing::Unseen { .. }));
        self.settled = self.settled || all_seen || now >= self.started + FIRST_ELECTION_WAIT;
    }

    /// When every configured node answers and none knows the reigning timeline, operators have gone
    /// back in history on purpose (restored a backup, say).
    fn forget_history_that_nobody_has(&mut self) {
        let Some(reign) = &self.reign else { return };
        let knows = |sample: &Sample| {
            let same = reign.system.is_none() || sample.system.is_none() || sample.system == reign.system;
            same && sample.timeline.is_none_or(|timeline| timeline >= reign.timeline)
        };
        let nobody = self.seats.iter().all(|seat| seat.answer().is_some_and(|sample| !knows(sample)));
        if nobody && !self.seats.is_empty() {
            self.reign = None;
            self.history.clear();
        }
    }

    fn elect(&self) -> Option<usize> {
        if let Some(ruled) = self.ruled() {
            return Some(ruled.node);
        }
        let claims: Vec<Claim> = (0..self.seats.len()).filter_map(|place| self.claim(place)).collect();
        elect(&claims, self.reign.as_ref(), self.incumbent(), self.newest_timeline())
    }

    /// The node that was ruled to be the primary, once it takes writes. Others may do so on a newer timeline, since
    /// somebody promoted them by hand.
    fn ruled(&self) -> Option<Claim> {
        let RuledPrimary::Node(name) = &self.ruling.primary else { return None };
        self.claim(self.seats.iter().position(|seat| seat.node.name == *name)?)
    }

    /// A node that answers, belongs here and takes writes.
    fn claim(&self, place: usize) -> Option<Claim> {
        let sample = self.seats[place].answer()?;
        if self.stranger(sample).is_some() {
            return None;
        }
        match (sample.position, sample.timeline) {
            (Position::Primary { flushed, .. }, Some(timeline)) => Some(Claim { node: place, timeline, flushed }),
            _ => None,
        }
    }

    /// The place of the node that was elected last.
    fn incumbent(&self) -> Option<usize> {
        let reign = self.reign.as_ref()?;
        self.seats.iter().position(|seat| seat.node.name == reign.name)
    }

    /// The newest timeline that any node of this cluster ever told of; that of the ruled primary, if there is one.
    fn newest_timeline(&self) -> u32 {
        if let Some(ruled) = self.ruled() {
            return ruled.timeline;
        }
        let seen = self.seats.iter().filter_map(|seat| seat.sample.as_ref());
        let ours = seen.filter(|sample| self.stranger(sample).is_none());
        let reigning = self.reign.as_ref().map(|reign| reign.timeline);
        ours.filter_map(|sample| sample.timeline).chain(reigning).max().unwrap_or(0)
    }

    /// Both identities, when the node is of another cluster.
    fn stranger(&self, sample: &Sample) -> Option<(u64, u64)> {
        let (theirs, ours) = (sample.system?, self.system()?);
        (theirs != ours).then_some((theirs, ours))
    }

    /// The cluster's identity: the elected primary's; before there was one, the most common.
    fn system(&self) -> Option<u64> {
        if let Some(system) = self.reign.as_ref().and_then(|reign| reign.system) {
            return Some(system);
        }
        let told = |seat: &Seat| seat.sample.as_ref().and_then(|sample| sample.system);
        let votes = |system: u64| self.seats.iter().filter(|seat| told(seat) == Some(system)).count();
        // The first of the most common, by the order of the configuration.
        self.seats.iter().rev().filter_map(told).max_by_key(|system| votes(*system))
    }

    /// Makes the elected node the one that reigns, and takes its position for the newest.
    fn crown(&mut self, place: usize) {
        let Some(Claim { timeline, flushed, .. }) = self.claim(place) else { return };
        let seat = &self.seats[place];
        let (name, system) = (seat.node.name.clone(), seat.sample.as_ref().and_then(|sample| sample.system));
        match &mut self.reign {
            Some(reign) if reign.name == name && reign.timeline == timeline => {
                reign.flushed = flushed;
                reign.system = system.or(reign.system);
            }
            reign => {
                let system = system.or(reign.as_ref().and_then(|reign| reign.system));
                *reign = Some(Reign { name, system, timeline, began: flushed, flushed });
                self.history.clear();
                self.history.record(flushed, seat.asked_at);
            }
        }
    }

    /// Remembers where the primary was, and when.
    fn follow_primary(&mut self, place: usize) {
        if self.incumbent() != Some(place) {
            return;
        }
        let reigning = self.reign.as_ref().map(|reign| reign.timeline);
        if let Some(claim) = self.claim(place)
            && Some(claim.timeline) == reigning
        {
            self.history.record(claim.flushed, self.seats[place].asked_at);
        }
    }

    fn objection(&self, place: usize, primary: Option<usize>) -> Option<Objection> {
        let sample = self.seats[place].answer()?;
        if let Some((system, ours)) = self.stranger(sample) {
            return Some(Objection::Stranger { system, ours });
        }
        let newest = self.newest_timeline();
        if let Some(timeline) = self.diverged(sample) {
            return Some(Objection::Diverged { timeline, newest });
        }
        let claim = self.claim(place)?;
        if primary == Some(place) {
            None
        } else if claim.timeline < newest {
            Some(Objection::OldPrimary { timeline: claim.timeline, newest })
        } else {
            let chosen = primary.map(|chosen| self.seats[chosen].node.name.clone());
            Some(Objection::Rival { timeline: claim.timeline, chosen })
        }
    }

    /// The timeline of a standby that receives more of an old one than the newest forked from.
    fn diverged(&self, sample: &Sample) -> Option<u32> {
        let (reign, timeline) = (self.reign.as_ref()?, sample.timeline?);
        match sample.position {
            Position::Standby { replayed, receiving: true, .. } if timeline < reign.timeline => {
                (replayed? > reign.began).then_some(timeline)
            }
            _ => None,
        }
    }

    fn node_facts(&self, place: usize, primary: Option<usize>, now: Instant) -> NodeFacts {
        let seat = &self.seats[place];
        let objection = self.objection(place, primary);
        let (health, why) = seat.health(objection.as_ref());
        let (received, replayed) = seat.positions();
        let is_primary = primary == Some(place);
        NodeFacts {
            id: number(place),
            name: seat.node.name.clone(),
            host: seat.node.host.clone(),
            port: seat.node.port,
            weight: seat.node.weight,
            labels: seat.node.labels.clone(),
            role: seat.role(),
            health,
            ramp_percent: seat.standing.ramp_percent(self.timings.slow_start, now),
            server_version: seat.sample.as_ref().map(|sample| sample.server_version),
            timeline: seat.sample.as_ref().and_then(|sample| sample.timeline),
            received,
            replayed,
            inserted: seat.inserted(),
            async_commit: seat.commits_asynchronously(),
            lag_bytes: if is_primary { Some(0) } else { self.lag_bytes(replayed) },
            lag: if is_primary { Some(Duration::ZERO) } else { self.lag(seat, replayed) },
            sampled_at: seat.asked_at,
            why,
        }
    }

    fn lag_bytes(&self, replayed: Option<Lsn>) -> Option<u64> {
        Some(self.history.newest()?.0.saturating_sub(replayed?.0))
    }

    fn lag(&self, seat: &Seat, replayed: Option<Lsn>) -> Option<Duration> {
        match seat.sample.as_ref()?.position {
            Position::Primary { .. } => None,
            Position::Standby { received, receiving, age, .. } => {
                // A standby that hears nothing does not know what it lacks.
                let claimed = if receiving && received == replayed { Some(Duration::ZERO) } else { age };
                self.history.lag(replayed?, seat.asked_at, claimed)
            }
        }
    }
}

impl Seat {
    fn new(node: &Node, warm_up: bool, now: Instant) -> Self {
        Self {
            node: node.clone(),
            standing: Standing::Unseen { warm_up },
            drained: false,
            sample: None,
            asked_at: now,
            admits_us: true,
            shut: None,
        }
    }

    /// The newest sample, if the node answers now.
    fn answer(&self) -> Option<&Sample> {
        self.sample.as_ref().filter(|_| self.standing.answers())
    }

    fn role(&self) -> Role {
        match &self.sample {
            Some(Sample { position: Position::Primary { .. }, .. }) if self.admits_us => Role::Primary,
            Some(Sample { position: Position::Standby { .. }, .. }) if self.admits_us => Role::Standby,
            _ => Role::Unknown,
        }
    }

    fn positions(&self) -> (Option<Lsn>, Option<Lsn>) {
        match self.sample.as_ref().map(|sample| sample.position) {
            Some(Position::Primary { flushed, .. }) => (Some(flushed), Some(flushed)),
            Some(Position::Standby { received, replayed, .. }) => (received, replayed),
            None => (None, None),
        }
    }

    fn inserted(&self) -> Option<Lsn> {
        match self.sample.as_ref()?.position {
            Position::Primary { inserted, .. } => inserted,
            Position::Standby { .. } => None,
        }
    }

    fn commits_asynchronously(&self) -> bool {
        let position = self.sample.as_ref().map(|sample| sample.position);
        matches!(position, Some(Position::Primary { async_commit: true, .. }))
    }

    fn health(&self, objection: Option<&Objection>) -> (Health, Option<Arc<str>>) {
        if let Some(objection) = objection {
            return (Health::Down, Some(objection.words()));
        }
        match &self.standing {
            Standing::Unseen { .. } => (Health::Down, Some("not probed yet".into())),
            Standing::Down { why } => (Health::Down, Some(why.clone())),
            Standing::Up { .. } | Standing::Proving { .. } if self.drained => {
                (Health::Draining, Some("taken out by an operator".into()))
            }
            Standing::Proving { .. } => (Health::Degraded, Some("answers again, not proven yet".into())),
            Standing::Up { .. } => match &self.shut {
                Some(why) => (Health::Degraded, Some(why.clone())),
                None => (Health::Up, None),
            },
        }
    }
}

impl Objection {
    fn words(&self) -> Arc<str> {
        match self {
            Self::Stranger { system, ours } => {
                format!("belongs to another cluster: its system identifier is {system}, ours is {ours}").into()
            }
            Self::OldPrimary { timeline, newest } => {
                format!("takes writes on the old timeline {timeline}, the cluster is on {newest}").into()
            }
            Self::Rival { timeline, chosen: Some(chosen) } => {
                format!("a second node that takes writes on timeline {timeline}; {chosen} is the primary").into()
            }
            Self::Rival { timeline, chosen: None } => {
                format!("takes writes on timeline {timeline}, but lacks commits of the last primary").into()
            }
            Self::Diverged { timeline, newest } => {
                format!("follows the old timeline {timeline} beyond where {newest}, the cluster's, began").into()
            }
        }
    }
}

impl Sample {
    /// A standby that receives nothing tells its timeline by what it last wrote down, which may be
    /// long before what it already told while it received.
    fn after(self, before: Option<&Sample>) -> Self {
        let told = before.filter(|before| before.system == self.system).and_then(|before| before.timeline);
        match self.position {
            Position::Standby { receiving: false, .. } => Self { timeline: self.timeline.max(told), ..self },
            _ => self,
        }
    }
}

fn number(place: usize) -> NodeId {
    NodeId(u16::try_from(place).expect("NODES_MAX seats at most"))
}

fn same_address(a: &Node, b: &Node) -> bool {
    (&a.host, a.port) == (&b.host, b.port)
}

/// A change that plans depend on. A new timeline of the same primary is one: it was promoted again.
fn topology_differs(before: &Facts, after: &Facts) -> bool {
    let timeline = |facts: &Facts| facts.primary().map(|node| node.timeline);
    let node_differs = |(a, b): (&NodeFacts, &NodeFacts)| {
        (a.role, a.health, &a.name, &a.host, a.port) != (b.role, b.health, &b.name, &b.host, b.port)
            || (a.weight, &a.labels) != (b.weight, &b.labels)
    };
    before.primary != after.primary
        || timeline(before) != timeline(after)
        || before.nodes.len() != after.nodes.len()
        || before.nodes.iter().zip(&after.nodes).any(node_differs)
}
