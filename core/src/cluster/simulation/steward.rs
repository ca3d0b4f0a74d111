//! The proxy around the machine: looks at nodes, carries out actions, asks policies, keeps the log; and dies.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::{
    super::{
        action::{Action, Effect, Event, Order, Task, Ticket},
        machine::Machine,
        operation::{Record, Route},
        settings::Settings,
        sight::{Door, Held, SeenNode, Sight, SyncNames},
        view::{Health, Role, ViewedNode},
    },
    dice::Dice,
    world::{Power, World},
};
use crate::id::NodeId;

/// How often nodes are looked at.
pub const LOOK_EVERY: u64 = 100;

/// An effect on its way to a node.
#[derive(Debug)]
pub struct Sent {
    pub task: Task,
    pub node: usize,
    pub due: u64,
    pub give_up: u64,
    /// Nobody waits for it any more.
    pub orphan: bool,
    pub fails: bool,
}

pub struct Steward {
    pub machine: Machine,
    pub settings: Settings,
    pub dice: Dice,
    /// What is on disk.
    pub disk: Option<Record>,
    pub disk_fails_until: u64,
    pub disk_failed: bool,
    pub seen: Vec<SeenNode>,
    pub held_since: Vec<u64>,
    pub door_since: Vec<u64>,
    /// Who answers, as the machine was told last.
    pub told: Vec<bool>,
    /// Since when a node should be in quarantine and is not.
    pub at_large: Vec<Option<u64>>,
    pub inbox: Vec<Sent>,
    pub events: VecDeque<(u64, Event)>,
    pub next_look: u64,
    pub powers: Vec<Power>,
    pub route: Option<Route>,
    pub stopped_until: u64,
    pub born: u64,
    /// Actions so far, over all lives; it dies at that one.
    pub actions: usize,
    pub die_at: Option<usize>,
    /// Nodes that were promoted, by operation.
    pub promoted: Vec<(u64, usize)>,
    pub promotions: usize,
    /// Policies answer as they should.
    pub sane: bool,
    /// Effects take no more than some milliseconds, and do not fail.
    pub smooth: bool,
    pub drain_fails: bool,
    pub answers: Vec<String>,
    pub story: Option<Vec<String>>,
    pub published_term: (u64, u32),
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
                disk_full: None,
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
}
