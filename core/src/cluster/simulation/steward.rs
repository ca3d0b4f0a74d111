//! The proxy around the machine: looks at nodes, carries out actions, asks policies, keeps the log; and dies.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    super::{
        action::{Action, Ask, Effect, Event, Finding, Order, Outcome, QuestionId, Task, Ticket},
        machine::Machine,
        operation::{Kind, Record, Route},
        settings::Settings,
        sight::{Door, Held, Receiver, SeenNode, Sender, Sight, SyncNames},
        state::State,
        verdict::{
            Divergence, Election, FollowAction, Promotion, Ranked, StandbyPlan, StandbySet, SyncDecision, SyncMethod,
            Verdict,
        },
        view::{Health, Role, SyncRole, View, ViewedNode},
    },
    dice::Dice,
    world::{Power, World},
};
use crate::id::{Lsn, NodeId};

/// How often nodes are looked at.
const LOOK_EVERY: u64 = 100;

/// How long a node that should be in quarantine may be seen before it is.
const AT_LARGE_MAX: u64 = 400;

/// From no answer to "timed out".
const DOOR_TIMEOUT: u64 = 300;

/// An effect on its way to a node.
#[derive(Debug)]
struct Sent {
    task: Task,
    node: usize,
    due: u64,
    give_up: u64,
    /// Nobody waits for it any more.
    orphan: bool,
    fails: bool,
}

pub struct Steward {
    pub machine: Machine,
    settings: Settings,
    dice: Dice,
    /// What is on disk.
    pub disk: Option<Record>,
    pub disk_fails_until: u64,
    disk_failed: bool,
    seen: Vec<SeenNode>,
    held_since: Vec<u64>,
    door_since: Vec<u64>,
    /// Who answers, as the machine was told last.
    told: Vec<bool>,
    /// Since when a node should be in quarantine and is not.
    at_large: Vec<Option<u64>>,
    inbox: Vec<Sent>,
    events: VecDeque<(u64, Event)>,
    next_look: u64,
    powers: Vec<Power>,
    pub route: Option<Route>,
    pub stopped_until: u64,
    born: u64,
    /// Actions so far, over all lives; it dies at that one.
    pub actions: usize,
    pub die_at: Option<usize>,
    /// Nodes that were promoted, by operation.
    promoted: Vec<(u64, usize)>,
    pub promotions: usize,
    /// Policies answer as they should.
    pub sane: bool,
    /// Effects take no more than some milliseconds, and do not fail.
    pub smooth: bool,
    pub drain_fails: bool,
    pub answers: Vec<String>,
    pub story: Option<Vec<String>>,
    published_term: (u64, u32),
    /// Clients wait.
    pub holding: bool,
}

impl Steward {
    pub fn new(world: &World, settings: Settings, dice: Dice) -> Self {
        let nodes = world.nodes.len();
        let mut steward = Self {
            machine: Machine::new(settings.clone(), None),
            settings,
            dice,
            disk: None,
            disk_fails_until: 0,
            disk_failed: false,
            seen: Vec::new(),
            held_since: vec![0; nodes],
            door_since: vec![0; nodes],
            told: vec![false; nodes],
            at_large: vec![None; nodes],
            inbox: Vec::new(),
            events: VecDeque::new(),
            next_look: 0,
            powers: vec![Power::Running; nodes],
            route: None,
            stopped_until: 0,
            born: 0,
            actions: 0,
            die_at: None,
            promoted: Vec::new(),
            promotions: 0,
            sane: true,
            smooth: true,
            drain_fails: false,
            answers: Vec::new(),
            story: None,
            published_term: (0, 0),
            holding: false,
        };
        steward.forget_nodes(world);
        steward
    }

    pub fn tell(&mut self, world: &World, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>6} ms  {}", world.now, line()));
        }
    }

    fn forget_nodes(&mut self, world: &World) {
        self.seen = (world.nodes.iter().enumerate())
            .map(|(place, node)| SeenNode {
                viewed: ViewedNode {
                    id: NodeId(place as u16),
                    name: node.name.into(),
                    role: Role::Unknown,
                    health: Health::Up,
                    sync: None,
                    weight: 100,
                    server_version: Some(170_000),
                    timeline: None,
                    upstream: None,
                    received: None,
                    replayed: None,
                    lag_bytes: None,
                    lag: None,
                    labels: Arc::new([]),
                },
                asked: Duration::from_secs(3600),
                door: Door::TimedOut,
                door_for: Duration::ZERO,
                checks: 0,
                held: Held::Absent,
                system: None,
                replay_paused: false,
                detached: false,
                receiver: None,
                senders: Vec::new(),
                sync_names: SyncNames::Unknown,
                commits_wait: None,
            })
            .collect();
        self.held_since = vec![world.now; world.nodes.len()];
        self.door_since = vec![world.now; world.nodes.len()];
        self.next_look = world.now;
    }

    /// Killed, and started again from what is on disk.
    pub fn restart(&mut self, world: &mut World) {
        self.tell(world, || "the proxy is killed and starts again".into());
        self.machine = Machine::new(self.settings.clone(), self.disk.clone());
        self.born = world.now;
        self.events.clear();
        self.disk_failed = false;
        self.at_large.fill(None);
        // What a node has got already may take place; nothing does later, unless it hangs.
        for sent in std::mem::take(&mut self.inbox) {
            if world.nodes[sent.node].power == Power::Hung {
                self.inbox.push(Sent { orphan: true, ..sent });
            } else if world.running(sent.node) && self.dice.chance(50) {
                _ = self.apply(world, &sent.task, sent.node);
            }
        }
        self.forget_nodes(world);
    }

    /// One step of time.
    pub fn pass(&mut self, world: &mut World) {
        self.carry_out(world);
        if world.now < self.stopped_until {
            return;
        }
        if self.disk_failed && world.now >= self.disk_fails_until {
            self.disk_failed = false;
            self.events.push_back((world.now, Event::LogBack));
        }
        let changed = world.nodes.iter().zip(&self.powers).any(|(node, power)| node.power != *power);
        if changed || world.now >= self.next_look {
            self.powers = world.nodes.iter().map(|node| node.power).collect();
            self.next_look = world.now + LOOK_EVERY;
            let sight = self.look(world);
            let delay = if self.smooth { 0 } else { self.dice.between(0, 40) };
            self.events.push_back((world.now + delay, Event::Sight(sight)));
        }
        let mut later = VecDeque::new();
        while let Some((due, mut event)) = self.events.pop_front() {
            if due > world.now {
                later.push_back((due, event));
                continue;
            }
            if let Event::Sight(sight) = &mut event {
                // It was taken a while ago.
                let late = Duration::from_millis(world.now - self.taken_at(sight));
                sight.nodes.iter_mut().for_each(|node| node.asked += late);
            }
            self.take(world, event);
        }
        later.extend(self.events.drain(..));
        self.events = later;
        let now = Duration::from_millis(world.now - self.born + 1);
        if self.machine.wake_at().is_some_and(|wake| wake <= now) {
            self.take(world, Event::Tick);
        }
    }

    fn taken_at(&self, sight: &Sight) -> u64 {
        sight.unix_ms
    }

    pub fn order(&mut self, world: &mut World, order: Order) {
        self.tell(world, || format!("an operator: {order:?}"));
        self.take(world, Event::Ordered(Ticket(self.actions as u64), order));
    }

    /// Lets the machine take an event in, and begins what it wants.
    fn take(&mut self, world: &mut World, event: Event) {
        let is_sight = matches!(event, Event::Sight(_));
        if let Event::Sight(sight) = &event {
            self.told = sight.nodes.iter().map(SeenNode::answers).collect();
        }
        let now = Duration::from_millis(world.now - self.born + 1);
        let actions = self.machine.take(now, event);
        for action in actions {
            self.actions += 1;
            if self.die_at == Some(self.actions) {
                self.restart(world);
                return;
            }
            if !self.begin(world, action) {
                break;
            }
        }
        if is_sight {
            self.check_quarantine(world);
        } else {
            self.holding = self.machine.standing().hold.is_some();
        }
    }

    /// False: what stands behind it is dropped.
    fn begin(&mut self, world: &mut World, action: Action) -> bool {
        match action {
            Action::Log(record) => {
                if world.now < self.disk_fails_until {
                    if !self.disk_failed {
                        self.disk_failed = true;
                        self.events.push_back((world.now, Event::LogLost("disk full".into())));
                    }
                    return false;
                }
                let text = serde_json::to_string(&record).unwrap();
                self.disk = Some(serde_json::from_str(&text).unwrap());
                assert_eq!(self.disk.as_ref(), Some(&*record), "the record reads back as it was written");
            }
            Action::Publish(route) => self.publish(world, route),
            Action::Ask(id, ask) => self.ask(world, id, &ask),
            Action::Do(task) => self.send(world, task),
            Action::Tell(told) => self.tell(world, || told.to_string()),
            Action::Answer(_, answer) => {
                self.tell(world, || format!("answer: {answer:?}"));
                self.answers.push(format!("{answer:?}"));
            }
        }
        true
    }

    fn publish(&mut self, world: &mut World, route: Route) {
        self.tell(world, || format!("published: {route:?}"));
        let (term, timeline) = self.published_term;
        if route.term < term || route.timeline < timeline {
            world
                .violations
                .push(format!("I5: term {} timeline {} after {term} {timeline}", route.term, route.timeline));
        }
        self.published_term = (route.term, route.timeline);
        self.route = Some(route);
    }

    fn send(&mut self, world: &mut World, task: Task) {
        let node = world.nodes.iter().position(|node| *node.name == *task.node).unwrap();
        self.tell(world, || format!("do {:?}", task));
        self.check_task(world, &task, node);
        let slow = !self.smooth && self.dice.chance(5);
        let takes = match task.effect {
            Effect::Rewind { .. } | Effect::Rebuild { .. } => self.dice.between(200, 1500),
            _ if slow => self.dice.between(200, 3000),
            _ => self.dice.between(1, 40),
        };
        let fails = !self.smooth && self.dice.chance(4) || matches!(task.effect, Effect::Drain) && self.drain_fails;
        let give_up = world.now + task.within.as_millis().min(20_000) as u64;
        self.inbox.push(Sent { task, node, due: world.now + takes, give_up, orphan: false, fails });
    }

    /// I3 and I4.
    fn check_task(&mut self, world: &mut World, task: &Task, node: usize) {
        let on_host = matches!(task.effect, Effect::Start | Effect::Rewind { .. } | Effect::Rebuild { .. });
        let elsewhere = matches!(task.effect, Effect::CloseServers | Effect::Drain | Effect::Stop);
        if on_host {
            let kind = self.machine.standing().operation.map(|operation| operation.kind);
            if !matches!(kind, Some(Kind::Rejoin | Kind::Reinit | Kind::Switchover)) {
                world.violations.push(format!("I4: {:?} in {kind:?}", task));
            }
        } else if !elsewhere && !self.told[node] {
            world.violations.push(format!("I4: {:?} on a node that does not answer", task));
        }
        if task.effect == Effect::Promote {
            for (operation, other) in &self.promoted {
                if *operation == task.operation && *other != node && self.told[*other] {
                    let name = world.nodes[*other].name;
                    world.violations.push(format!("I3: {:?} while {name} was promoted for it and answers", task));
                }
            }
        }
    }

    /// Effects that are due take place, in their order on each node.
    fn carry_out(&mut self, world: &mut World) {
        let mut blocked = [false; 8];
        for sent in std::mem::take(&mut self.inbox) {
            let on_host = matches!(
                sent.task.effect,
                Effect::Start
                    | Effect::Stop
                    | Effect::Rewind { .. }
                    | Effect::Rebuild { .. }
                    | Effect::CloseServers
                    | Effect::Drain
            );
            let reachable = world.linked(world.proxy(), sent.node);
            let ready = on_host || world.running(sent.node) && (reachable || sent.orphan);
            if ready && world.now >= sent.due && !(blocked[sent.node] && !on_host) {
                let outcome = if sent.fails {
                    Outcome::Failed("chance".into())
                } else {
                    match self.apply(world, &sent.task, sent.node) {
                        Ok(Some(finding)) => Outcome::Done(finding),
                        Err(why) => Outcome::Failed(why),
                        Ok(None) if world.now < sent.give_up => {
                            self.inbox.push(sent);
                            continue;
                        }
                        Ok(None) => Outcome::Failed("not in time".into()),
                    }
                };
                self.report(world, &sent, outcome);
                continue;
            }
            let lost = matches!(world.nodes[sent.node].power, Power::Down | Power::Recovering(_)) && !on_host;
            if lost || world.now >= sent.give_up && !sent.orphan && !on_host {
                self.report(world, &sent, Outcome::Unknown("the node stopped answering".into()));
                let delivered = self.dice.chance(50);
                if !lost && world.nodes[sent.node].power == Power::Hung {
                    self.inbox.push(Sent { orphan: true, ..sent });
                } else if !lost && delivered && world.running(sent.node) && !blocked[sent.node] {
                    _ = self.apply(world, &sent.task, sent.node);
                }
                continue;
            }
            blocked[sent.node] |= !on_host;
            self.inbox.push(sent);
        }
    }

    fn report(&mut self, world: &World, sent: &Sent, outcome: Outcome) {
        if !sent.orphan {
            let after = self.dice.between(0, 10);
            self.events.push_back((world.now + after, Event::Done(sent.task.id, outcome)));
        }
    }

    /// The effect takes place. `None`: not yet.
    fn apply(&mut self, world: &mut World, task: &Task, node: usize) -> Result<Option<Finding>, String> {
        let names: Vec<&str> = world.nodes.iter().map(|node| node.name).collect();
        let place = |name: &str| names.iter().position(|known| *known == name).unwrap();
        let done = Ok(Some(Finding::Nothing));
        let primary = world.nodes[node].primary;
        match &task.effect {
            Effect::Detach if primary => return Err("is primary".into()),
            Effect::Detach => {
                world.nodes[node].upstream = None;
                world.nodes[node].streaming = false;
                return Ok(Some(position(world, node)));
            }
            Effect::Reattach { upstream, .. } => world.nodes[node].upstream = Some(place(upstream)),
            Effect::Repoint { upstream, .. } => {
                let upstream = place(upstream);
                world.nodes[node].upstream = Some(upstream);
                let there = world.nodes[node].streaming && world.nodes[node].timeline == world.nodes[upstream].timeline;
                return Ok(there.then_some(Finding::Nothing));
            }
            Effect::FastForward { upstream, until } => {
                let upstream = place(upstream);
                world.nodes[node].upstream = Some(upstream);
                if (world.nodes[node].log.len() as u64) < until.0 {
                    return Ok(None);
                }
                world.nodes[node].upstream = None;
                return Ok(Some(position(world, node)));
            }
            Effect::PresetSync { set } => world.nodes[node].sync.clone_from(set),
            Effect::SetSync { .. } if !primary => return Err("is in recovery".into()),
            Effect::SetSync { set } => {
                world.nodes[node].sync.clone_from(set);
                return Ok(Some(position(world, node)));
            }
            Effect::Promote => {
                if !primary {
                    self.promotions += 1;
                    self.promoted.push((task.operation, node));
                }
                let timeline = world.promote(node);
                self.tell(world, || format!("{} is promoted", task.node));
                return Ok(Some(Finding::Promoted { timeline }));
            }
            Effect::RecordFork => {
                let began = world.nodes[node].history.last().map_or(0, |(_, began)| *began);
                return Ok(Some(Finding::Fork { at: Lsn(began as u64), next_xid: None }));
            }
            Effect::Arm { .. } | Effect::Disarm if !primary => return Err("is in recovery".into()),
            Effect::Arm { upstream, .. } => {
                world.nodes[node].signal = true;
                world.nodes[node].upstream = Some(place(upstream));
                return Ok(Some(position(world, node)));
            }
            Effect::Disarm => world.nodes[node].signal = false,
            Effect::Stop => return if world.stop(node) { done } else { Err("does not stop".into()) },
            Effect::Start => {
                world.start(node);
                return if world.running(node) { done } else { Err("does not start".into()) };
            }
            Effect::CatchUp => {
                return Ok((!world.nodes[node].streaming).then(|| position(world, node)));
            }
            Effect::Rewind { source, upstream, .. } | Effect::Rebuild { source, upstream, .. } => {
                let (source, upstream) = (place(source), place(upstream));
                if world.nodes[node].power != Power::Down || !world.running(source) {
                    return Err("the node is not stopped, or the source does not answer".into());
                }
                world.rewind(node, source);
                world.nodes[node].upstream = Some(upstream);
            }
            Effect::Checkpoint | Effect::CloseServers | Effect::Drain | Effect::DropSlots => {}
        }
        done
    }

    /// What can be seen now.
    fn look(&mut self, world: &World) -> Sight {
        for place in 0..world.nodes.len() {
            let node = &world.nodes[place];
            let reachable = world.linked(world.proxy(), place);
            let (held, door) = match node.power {
                Power::Running if reachable => (Held::Answers, Door::Open),
                Power::Running | Power::Hung => {
                    let door = if world.now > self.held_since[place] + DOOR_TIMEOUT {
                        Door::TimedOut
                    } else {
                        self.seen[place].door.clone()
                    };
                    (self.silent(place), door)
                }
                Power::Down if !reachable => (self.silent(place), Door::TimedOut),
                Power::Down => (self.broken(place, node.goodbye), Door::Refused),
                Power::Recovering(_) if !reachable => (self.silent(place), Door::TimedOut),
                Power::Recovering(_) => (self.crashed(place), Door::NotReady("recovering".into())),
            };
            let before = &mut self.seen[place];
            if std::mem::discriminant(&held) != std::mem::discriminant(&before.held) {
                self.held_since[place] = world.now;
            }
            if held == Held::Answers {
                self.held_since[place] = world.now;
            }
            if door != before.door {
                self.door_since[place] = world.now;
            }
            let lasting = Duration::from_millis(world.now - self.held_since[place]);
            before.held = match held {
                Held::Silent(_) => Held::Silent(lasting),
                Held::Reset(_) => Held::Reset(lasting),
                Held::Crashed(_) => Held::Crashed(lasting),
                Held::Stopped(_) => Held::Stopped(lasting),
                Held::Answers | Held::Absent => held,
            };
            before.door = door;
            before.door_for = Duration::from_millis(world.now - self.door_since[place]);
            before.checks += 1;
            if held == Held::Answers {
                tell_all(world, place, before);
            } else {
                before.asked += Duration::from_millis(LOOK_EVERY);
            }
        }
        Sight { unix_ms: world.now, nodes: self.seen.clone() }
    }

    fn silent(&self, place: usize) -> Held {
        match self.seen[place].held {
            Held::Answers => Held::Silent(Duration::ZERO),
            before => before,
        }
    }

    fn broken(&self, place: usize, goodbye: bool) -> Held {
        match self.seen[place].held {
            Held::Answers | Held::Silent(_) if goodbye => Held::Stopped(Duration::ZERO),
            Held::Answers | Held::Silent(_) => Held::Reset(Duration::ZERO),
            before => before,
        }
    }

    fn crashed(&self, place: usize) -> Held {
        match self.seen[place].held {
            Held::Answers | Held::Silent(_) => Held::Crashed(Duration::ZERO),
            before => before,
        }
    }

    /// I6: whoever claims to be primary and is not, or has another log, gets no work.
    fn check_quarantine(&mut self, world: &mut World) {
        let standing = self.machine.standing();
        self.holding = standing.hold.is_some();
        let candidate = standing.operation.as_ref().and_then(|operation| operation.candidate.clone());
        let primary = world.nodes.iter().position(|node| standing.route.is_primary(node.name));
        for place in 0..world.nodes.len() {
            let name = world.nodes[place].name;
            let other = !standing.route.is_primary(name) && candidate.as_deref() != Some(name);
            let settled = matches!(standing.state, State::Steady | State::DegradedSync) && standing.operation.is_none();
            let bad = world.nodes[place].primary
                || settled && primary.is_some_and(|primary| world.running(primary) && world.diverged(place, primary));
            let seen = world.running(place) && self.told[place] && world.linked(world.proxy(), place);
            let caught = standing.quarantine.iter().any(|entry| *entry.node == *name);
            if other && bad && seen && !caught && standing.route.primary.is_some() {
                let since = *self.at_large[place].get_or_insert(world.now);
                if world.now > since + AT_LARGE_MAX {
                    world.violations.push(format!("I6: {name} is no part of this history and not in quarantine"));
                    self.at_large[place] = None;
                }
            } else {
                self.at_large[place] = None;
            }
        }
    }

    fn ask(&mut self, world: &World, id: QuestionId, ask: &Ask) {
        if !self.sane && self.dice.chance(3) {
            return;
        }
        let wrong = !self.sane && self.dice.chance(5);
        let event = match ask {
            Ask::Assess(_) if wrong => Event::Assessed(id, Ok(Verdict::Hold("chance".into()))),
            Ask::Assess(_) => Event::Assessed(id, Ok(Verdict::FailOver("it is lost".into()))),
            Ask::Elect { .. } if wrong => Event::Elected(id, Err("trapped".into())),
            Ask::Elect { view, .. } => Event::Elected(id, Ok(self.elect(view))),
            Ask::Follow(_) if wrong => Event::Planned(id, Err("trapped".into())),
            Ask::Follow(event) => {
                let plan = |standby: &super::super::verdict::FollowingStandby| StandbyPlan {
                    node: standby.node.id,
                    action: match standby.divergence {
                        Divergence::None => FollowAction::Repoint { upstream: event.new_primary.id, create_slot: true },
                        _ => FollowAction::Rewind { upstream: event.new_primary.id, create_slot: true },
                    },
                    wave: 0,
                    timeout: Duration::from_secs(3),
                    keep_routing: true,
                    why: String::new(),
                };
                Event::Planned(id, Ok(event.standbys.iter().map(plan).collect()))
            }
            Ask::Sync { .. } if wrong => Event::SyncDecided(id, Err("trapped".into())),
            Ask::Sync { view, current } => Event::SyncDecided(id, Ok(self.decide_set(view, current.as_ref()))),
        };
        let takes = self.dice.between(0, 20);
        self.events.push_back((world.now + takes, event));
    }

    fn elect(&mut self, view: &View) -> Election {
        let mut nodes: Vec<&ViewedNode> = view.nodes.iter().filter(|node| node.role == Role::Standby).collect();
        nodes.sort_by_key(|node| std::cmp::Reverse(node.received));
        if !self.sane && self.dice.chance(30) {
            nodes.reverse();
        }
        let candidates = nodes.iter().map(|node| Ranked { node: node.id, score: 0, why: String::new() }).collect();
        Election::Promote(Promotion { candidates, max_loss_bytes: u64::MAX, ..Promotion::default() })
    }

    /// All who are fit; those who are not for as long as nobody else is there.
    fn decide_set(&mut self, view: &View, current: Option<&StandbySet>) -> SyncDecision {
        let fit = |node: &&ViewedNode| node.sync.is_some() && Some(node.id) != view.primary;
        let members: Vec<String> = view.nodes.iter().filter(fit).map(|node| node.name.to_string()).collect();
        if members.is_empty() {
            return SyncDecision::Nobody("nobody is there".into());
        }
        let count = if members.len() > 2 || members.len() == 2 && self.settings.max_loss_bytes == 2 { 2 } else { 1 };
        let set = StandbySet { method: SyncMethod::Any, count, members };
        if current == Some(&set) { SyncDecision::Keep } else { SyncDecision::Change(set) }
    }
}

fn position(world: &World, node: usize) -> Finding {
    let node = &world.nodes[node];
    Finding::Position { at: Lsn(node.log.len() as u64), timeline: Some(node.timeline) }
}

/// What a node that answers says of itself.
fn tell_all(world: &World, place: usize, seen: &mut SeenNode) {
    let node = &world.nodes[place];
    let at = Some(Lsn(node.log.len() as u64));
    seen.asked = Duration::ZERO;
    seen.system = Some(7);
    seen.viewed.role = if node.primary { Role::Primary } else { Role::Standby };
    seen.viewed.timeline = Some(node.timeline);
    seen.viewed.received = at;
    seen.viewed.replayed = at;
    seen.detached = node.upstream.is_none();
    let number = |place: usize| NodeId(place as u16);
    seen.viewed.upstream = node.upstream.filter(|_| node.streaming).map(number);
    seen.receiver = (!node.primary && node.streaming).then(|| Receiver {
        streaming: true,
        timeline: Some(node.timeline),
        upstream: node.upstream.map(number),
        heard: Some(Duration::from_millis(world.now - node.heard_at)),
    });
    seen.viewed.sync = (!node.primary).then_some(SyncRole::Quorum);
    seen.sync_names = match (&node.sync, node.primary) {
        (_, false) => SyncNames::Unknown,
        (None, true) => SyncNames::Nobody,
        (Some(set), true) => SyncNames::Set(set.clone()),
    };
    seen.senders.clear();
    if node.primary {
        let others =
            world.nodes.iter().enumerate().filter(|(_, other)| other.upstream == Some(place) && other.streaming);
        seen.senders.extend(others.map(|(_, other)| Sender {
            name: other.name.to_owned(),
            streaming: true,
            sync_priority: 1,
            flushed: Some(Lsn(other.log.len() as u64)),
            replied: Some(Duration::from_millis(world.now - other.heard_at)),
        }));
    }
}
