//! A cluster of three whose nodes do at once what they are told, unless a test says otherwise.

use std::{sync::Arc, time::Duration};

use super::super::{
    super::{
        action::{Action, Ask, Effect, Event, Finding, Order, Outcome, Refusal, Task, TaskId, Ticket},
        name::Name,
        operation::Record,
        settings::{FailoverMode, NodeSettings, Settings, SyncMode},
        sight::{Door, Held, Receiver, SeenNode, Sender, Sight, SyncNames},
        state::State,
        verdict::{
            Election, FollowAction, Promotion, Ranked, StandbyPlan, StandbySet, SyncDecision, SyncMethod, Verdict,
        },
        view::{Health, Role, SyncRole, ViewedNode},
    },
    Machine,
};
use crate::id::{Lsn, NodeId};

pub struct Lab {
    pub machine: Machine,
    pub settings: Settings,
    pub now: Duration,
    pub sight: Sight,
    /// Effects of that word, on that node, are not over.
    pub stuck: Vec<(&'static str, &'static str)>,
    /// Effects of that word, on that node, fail.
    pub failing: Vec<(&'static str, &'static str)>,
    pub verdict: Verdict,
    /// What the policy has a standby do whose step failed; without, there is none.
    pub next_action: Option<FollowAction>,
    /// Instead of what failed, always the other of repoint and rewind.
    pub to_and_fro: bool,
    /// What it was told of failures.
    pub failures: Vec<String>,
    /// The policy does not answer who it shall be.
    pub mute_elections: bool,
    /// The policy wants its candidate to have replayed that much, and waits for so long.
    pub wait_for: Option<(Lsn, Duration)>,
    /// The policy wants another set.
    pub wanted: Option<StandbySet>,
    pub disk: Option<Record>,
    /// What was done, in words.
    pub done: Vec<String>,
    pub told: Vec<String>,
    pub answers: Vec<Result<String, Refusal>>,
    pub pending: Vec<TaskId>,
}

pub fn settings(sync: SyncMode) -> Settings {
    let node = |name: &str| NodeSettings {
        name: Name::from(name),
        controlled: true,
        candidate: true,
        sync: true,
        slot: Some(format!("howdah_{name}")),
    };
    let nodes = ["n1", "n2", "n3"].map(node).to_vec();
    Settings { failover: FailoverMode::Policy, sync, nodes, ..Settings::default() }
}

fn node(place: u16) -> SeenNode {
    let primary = place == 0;
    let name = ["n1", "n2", "n3"][usize::from(place)];
    let upstream = (!primary).then_some(NodeId(0));
    SeenNode {
        viewed: ViewedNode {
            id: NodeId(place),
            name: name.into(),
            role: if primary { Role::Primary } else { Role::Standby },
            health: Health::Up,
            sync: (!primary).then_some(SyncRole::Quorum),
            weight: 100,
            server_version: Some(170_002),
            timeline: Some(1),
            upstream,
            received: Some(Lsn(100)),
            replayed: Some(Lsn(100)),
            lag_bytes: Some(0),
            lag: Some(Duration::ZERO),
            labels: Arc::new([]),
        },
        asked: Duration::ZERO,
        door: Door::Open,
        door_for: Duration::from_secs(100),
        checks: 100,
        held: Held::Answers,
        system: Some(7),
        replay_paused: false,
        detached: false,
        receiver: upstream.map(|_| streaming(0, 1)),
        senders: Vec::new(),
        sync_names: if primary { SyncNames::Nobody } else { SyncNames::Unknown },
        disk_full: None,
    }
}

fn streaming(from: u16, timeline: u32) -> Receiver {
    Receiver { streaming: true, timeline: Some(timeline), upstream: Some(NodeId(from)), heard: Some(Duration::ZERO) }
}

pub fn any(members: &[&str]) -> Option<StandbySet> {
    let members = members.iter().map(|name| (*name).to_owned()).collect();
    Some(StandbySet { method: SyncMethod::Any, count: 1, members })
}

impl Lab {
    /// n1 is the primary, n2 and n3 stream from it; with a synchronous set both are in it.
    pub fn at_work(settings: Settings) -> Self {
        let mut lab = Self::with(settings, None);
        lab.pass(1_000);
        lab.pass(1_000);
        assert!(matches!(lab.state(), State::Steady | State::Paused), "{:?}", lab.state());
        lab.done.clear();
        lab.told.clear();
        lab
    }

    pub fn with(settings: Settings, record: Option<Record>) -> Self {
        Self {
            machine: Machine::new(settings.clone(), record),
            wanted: (settings.sync != SyncMode::Off).then(|| any(&["n2", "n3"])).flatten(),
            settings,
            now: Duration::from_secs(1),
            sight: Sight { unix_ms: 1_000_000, nodes: (0..3).map(node).collect() },
            stuck: Vec::new(),
            failing: Vec::new(),
            verdict: Verdict::FailOver("it is lost".into()),
            next_action: None,
            to_and_fro: false,
            failures: Vec::new(),
            mute_elections: false,
            wait_for: None,
            disk: None,
            done: Vec::new(),
            told: Vec::new(),
            answers: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// The proxy is killed and starts from its log.
    pub fn restart(&mut self) {
        self.machine = Machine::new(self.settings.clone(), self.disk.clone());
        self.look();
    }

    pub fn state(&self) -> State {
        self.machine.standing().state
    }

    pub fn node(&mut self, name: &str) -> &mut SeenNode {
        self.sight.nodes.iter_mut().find(|node| *node.viewed.name == *name).unwrap()
    }

    /// Time passes in small steps, with a look at each.
    pub fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.step(100);
            self.look();
        }
        self.step(ms % 100);
        self.look();
    }

    fn step(&mut self, ms: u64) {
        let step = Duration::from_millis(ms);
        self.now += step;
        self.sight.unix_ms += ms;
        for node in &mut self.sight.nodes {
            node.door_for += step;
            match &mut node.held {
                Held::Answers | Held::Absent => {}
                Held::Silent(time) | Held::Reset(time) | Held::Stopped(time) | Held::Crashed(time) => *time += step,
            }
        }
    }

    pub fn look(&mut self) {
        for primary in 0..self.sight.nodes.len() {
            let id = self.sight.nodes[primary].viewed.id;
            let senders = self.sight.nodes.iter().filter(|node| node.streams_from(id)).map(|node| Sender {
                name: node.viewed.name.to_string(),
                streaming: true,
                sync_priority: 1,
                flushed: node.viewed.received,
                replied: Some(Duration::ZERO),
            });
            self.sight.nodes[primary].senders = senders.collect();
        }
        self.take(Event::Sight(self.sight.clone()));
    }

    pub fn order(&mut self, order: Order) {
        self.take(Event::Ordered(Ticket(1), order));
    }

    /// Takes an event in, and carries out what comes of it.
    pub fn take(&mut self, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for action in self.machine.take(self.now, event) {
                events.extend(self.carry_out(action));
            }
        }
    }

    fn carry_out(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Log(record) => self.disk = Some(*record),
            Action::Publish(route) => self.done.push(format!("publish {}", route.primary.unwrap())),
            Action::Tell(told) => self.told.push(told.to_string()),
            Action::Answer(_, answer) => self.answers.push(answer),
            Action::Do(task) => return self.act(task),
            Action::Ask(_, ask) if self.mute_elections && matches!(*ask, Ask::Elect { .. }) => {}
            Action::Ask(id, ask) => {
                return Some(match *ask {
                    Ask::Assess(_) => Event::Assessed(id, Ok(self.verdict.clone())),
                    Ask::Elect { target, .. } => {
                        let ranked = |node| Ranked { node, score: 0, why: String::new() };
                        let candidates = target.into_iter().chain([NodeId(1), NodeId(2)]).map(ranked).collect();
                        let (wait_for, catch_up) = self.wait_for.unzip();
                        let catch_up = catch_up.unwrap_or_default();
                        let promotion = Promotion { candidates, wait_for, catch_up, max_loss_bytes: u64::MAX };
                        Event::Elected(id, Ok(Election::Promote(promotion)))
                    }
                    Ask::Follow(_) => Event::Planned(id, Err("no policy".into())),
                    Ask::Retry(_, failure) => {
                        self.failures.push(format!("{:?} {}", failure.plan.action, failure.attempt));
                        let mut next = self.next_action.clone();
                        if self.to_and_fro {
                            let (upstream, create_slot) = (NodeId(0), true);
                            next = Some(match failure.plan.action {
                                FollowAction::Repoint { .. } => FollowAction::Rewind { upstream, create_slot },
                                _ => FollowAction::Repoint { upstream, create_slot },
                            });
                        }
                        let next = next.map(|action| StandbyPlan { action, ..failure.plan });
                        Event::Retried(id, next.ok_or_else(|| "no policy".into()))
                    }
                    Ask::Sync { view, current } => {
                        let name = view.primary.map(|primary| view.nodes[primary.index()].name.clone());
                        let mut wanted = self.wanted.clone();
                        if let Some(set) = &mut wanted {
                            set.members.retain(|member| Some(member.as_str()) != name.as_deref());
                        }
                        Event::SyncDecided(
                            id,
                            Ok(match wanted {
                                Some(set) if current.as_ref() != Some(&set) => SyncDecision::Change(set),
                                Some(_) => SyncDecision::Keep,
                                None => SyncDecision::Nobody("nobody".into()),
                            }),
                        )
                    }
                });
            }
        }
        None
    }

    fn act(&mut self, task: Task) -> Option<Event> {
        let (word, on) = (task.effect.word(), task.node.to_string());
        let is = |(what, node): &(&'static str, &'static str)| *what == word && *node == on;
        if self.stuck.iter().any(is) {
            self.done.push(format!("{word} {on} …"));
            self.pending.push(task.id);
            return None;
        }
        if self.failing.iter().any(is) {
            self.done.push(format!("{word} {on} failed"));
            return Some(Event::Done(task.id, Outcome::Failed("because".into())));
        }
        self.done.push(format!("{word} {on}"));
        Some(Event::Done(task.id, Outcome::Done(self.apply(&task))))
    }

    fn apply(&mut self, task: &Task) -> Finding {
        let upstream = |lab: &Self, name: &str| {
            let node = lab.sight.node(name).unwrap();
            streaming(node.viewed.id.0, node.viewed.timeline.unwrap())
        };
        let now_streams = match &task.effect {
            Effect::Repoint { upstream: from, .. } | Effect::Reattach { upstream: from, .. } => {
                Some(upstream(self, from))
            }
            _ => None,
        };
        let node = self.node(&task.node);
        let position = Finding::Position { at: node.viewed.received.unwrap(), timeline: node.viewed.timeline };
        match &task.effect {
            Effect::Detach => node.receiver = None,
            Effect::Repoint { .. } | Effect::Reattach { .. } => {
                node.receiver = now_streams;
                node.viewed.timeline = now_streams.and_then(|receiver| receiver.timeline);
            }
            Effect::SetSync { set } | Effect::PresetSync { set } => {
                node.sync_names = set.clone().map_or(SyncNames::Nobody, SyncNames::Set);
            }
            Effect::Promote => {
                node.viewed.role = Role::Primary;
                node.viewed.timeline = Some(2);
                node.receiver = None;
                return Finding::Promoted { timeline: 2 };
            }
            Effect::RecordFork => return Finding::Fork { at: Lsn(100), next_xid: Some(1_000) },
            Effect::Stop => {
                node.held = Held::Stopped(Duration::ZERO);
                node.door = Door::Refused;
                return Finding::Nothing;
            }
            Effect::Start => {
                node.held = Held::Answers;
                node.door = Door::Open;
                node.viewed.role = Role::Standby;
                return Finding::Nothing;
            }
            _ => {}
        }
        position
    }

    /// kill -9: sessions break, nobody listens, standbys lose their stream.
    pub fn kill(&mut self, name: &str) {
        let id = self.node(name).viewed.id;
        let node = self.node(name);
        (node.held, node.door, node.door_for) = (Held::Reset(Duration::ZERO), Door::Refused, Duration::ZERO);
        for standby in &mut self.sight.nodes {
            if standby.streams_from(id) {
                standby.receiver = None;
            }
        }
        self.look();
    }

    /// SIGSTOP: everything stands still.
    pub fn hang(&mut self, name: &str) {
        let node = self.node(name);
        (node.held, node.door, node.door_for) = (Held::Silent(Duration::ZERO), Door::TimedOut, Duration::ZERO);
    }

    pub fn standbys_heard(&mut self, ago: Duration) {
        for node in &mut self.sight.nodes {
            if let Some(receiver) = &mut node.receiver {
                receiver.heard = Some(ago);
            }
        }
    }

    pub fn wake(&mut self, name: &str) {
        let node = self.node(name);
        (node.held, node.door) = (Held::Answers, Door::Open);
    }

    pub fn did(&self, what: &str) -> bool {
        self.done.iter().any(|done| done == what)
    }

    pub fn said(&self, what: &str) -> bool {
        self.told.iter().any(|told| told.contains(what))
    }
}
