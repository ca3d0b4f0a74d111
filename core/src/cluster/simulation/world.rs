//! PostgreSQL nodes that crash, hang, return and replicate, as far as decisions can tell them from real ones.
//!
//! A log is a list of commits, a position its length. What is modelled is what hurts: a standby compares timelines
//! by number, so it cannot tell two timelines of one number apart; a primary that restarts writes a record that
//! nobody has; a clean stop sends standbys everything; what was sent to a node that hangs takes place when it
//! wakes up.

use super::super::verdict::StandbySet;

/// Not a commit: what a server writes for itself.
pub const OWN_RECORD: u32 = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    Running,
    /// Stands still; its sockets stay open.
    Hung,
    Down,
    /// Up, but says 57P03 until then.
    Recovering(u64),
}

#[derive(Clone, Debug)]
pub struct Node {
    pub name: &'static str,
    pub power: Power,
    pub primary: bool,
    /// `standby.signal`: it will be a standby when it starts.
    pub signal: bool,
    pub timeline: u32,
    /// Each timeline and where it began.
    pub history: Vec<(u32, usize)>,
    pub log: Vec<u32>,
    pub upstream: Option<usize>,
    pub streaming: bool,
    pub heard_at: u64,
    pub sync: Option<StandbySet>,
    /// Bytes that arrive in each step: a slow link has few.
    pub pace: usize,
    /// Somebody promoted it behind our back.
    pub rogue: bool,
    /// It was stopped, and told its sessions so.
    pub goodbye: bool,
    /// When it starts by itself.
    pub restart_at: Option<u64>,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug)]
struct Commit {
    id: u32,
    node: usize,
    place: usize,
}

#[derive(Debug)]
pub struct World {
    pub now: u64,
    pub nodes: Vec<Node>,
    /// Ends of cuts, by pair; the proxy is the last.
    cuts: Vec<u64>,
    waiting: Vec<Commit>,
    /// Acknowledged commits, and by whom.
    pub acked: Vec<(u32, usize)>,
    pub last_ack: u64,
    last_id: u32,
    pub violations: Vec<String>,
    /// The newest timeline on which something was acknowledged.
    ack_timeline: u32,
    pub check_acks: bool,
}

impl World {
    pub fn new(names: &[&'static str]) -> Self {
        let node = |place: usize| Node {
            name: names[place],
            power: Power::Running,
            primary: place == 0,
            signal: place != 0,
            timeline: 1,
            history: vec![(1, 0)],
            log: vec![OWN_RECORD],
            upstream: (place != 0).then_some(0),
            streaming: place != 0,
            heard_at: 0,
            sync: None,
            pace: usize::MAX,
            rogue: false,
            goodbye: false,
            restart_at: None,
        };
        let ends = names.len() + 1;
        Self {
            now: 0,
            nodes: (0..names.len()).map(node).collect(),
            cuts: vec![0; ends * ends],
            waiting: Vec::new(),
            acked: Vec::new(),
            last_ack: 0,
            last_id: 0,
            violations: Vec::new(),
            ack_timeline: 0,
            check_acks: true,
        }
    }

    /// The place of the proxy among the ends of links.
    pub fn proxy(&self) -> usize {
        self.nodes.len()
    }

    pub fn cut(&mut self, a: usize, b: usize, until: u64) {
        let ends = self.nodes.len() + 1;
        for place in [a * ends + b, b * ends + a] {
            self.cuts[place] = self.cuts[place].max(until);
        }
    }

    pub fn linked(&self, a: usize, b: usize) -> bool {
        self.cuts[a * (self.nodes.len() + 1) + b] <= self.now
    }

    pub fn heal_links(&mut self) {
        self.cuts.iter_mut().for_each(|until| *until = 0);
    }

    pub fn running(&self, node: usize) -> bool {
        self.nodes[node].power == Power::Running
    }

    /// One step of time.
    pub fn pass(&mut self, ms: u64) {
        self.now += ms;
        for node in 0..self.nodes.len() {
            let this = &mut self.nodes[node];
            if matches!(this.power, Power::Recovering(until) if until <= self.now) {
                this.power = Power::Running;
            }
            if this.power == Power::Down && this.restart_at.is_some_and(|at| at <= self.now) {
                self.start(node);
            }
        }
        for node in 0..self.nodes.len() {
            self.replicate(node);
        }
        self.acknowledge();
    }

    fn replicate(&mut self, node: usize) {
        let Some(upstream) = self.nodes[node].upstream.filter(|_| !self.nodes[node].primary) else {
            self.nodes[node].streaming = false;
            return;
        };
        if self.nodes[node].power == Power::Hung {
            return;
        }
        if !self.running(node) || matches!(self.nodes[upstream].power, Power::Down | Power::Recovering(_)) {
            self.nodes[node].streaming = false;
            return;
        }
        if self.nodes[upstream].power == Power::Hung || !self.linked(node, upstream) {
            // It goes on saying that it streams.
            return;
        }
        if !self.may_stream(node, upstream) {
            self.nodes[node].streaming = false;
            return;
        }
        self.receive(node, upstream);
    }

    fn receive(&mut self, node: usize, upstream: usize) {
        let (from, to) = (self.nodes[node].log.len(), self.nodes[upstream].log.len());
        // All of it when the stream begins, the end of it ever after.
        let known = if self.nodes[node].streaming { from.saturating_sub(1) } else { 0 };
        if self.nodes[upstream].log[known..from] != self.nodes[node].log[known..] {
            let names = (self.nodes[node].name, self.nodes[upstream].name);
            self.violations.push(format!("{} streams from {}, whose log is another", names.0, names.1));
        }
        let to = to.min(from.saturating_add(self.nodes[node].pace));
        if to > from {
            let more = self.nodes[upstream].log[from..to].to_vec();
            let history = self.nodes[upstream].history.iter().filter(|(_, began)| *began <= to).copied().collect();
            let this = &mut self.nodes[node];
            this.log.extend(more);
            this.history = history;
            this.timeline = this.history.last().map_or(this.timeline, |(timeline, _)| *timeline);
        }
        self.nodes[node].streaming = true;
        self.nodes[node].heard_at = self.now;
    }

    /// By numbers alone, as PostgreSQL does it.
    fn may_stream(&self, node: usize, upstream: usize) -> bool {
        let (this, there) = (&self.nodes[node], &self.nodes[upstream]);
        let Some(known) = there.history.iter().position(|(timeline, _)| *timeline == this.timeline) else {
            return false;
        };
        let end = there.history.get(known + 1).map_or(there.log.len(), |(_, began)| *began);
        this.log.len() <= end
    }

    /// A client commits on that node.
    pub fn write(&mut self, node: usize) {
        if !self.running(node) || !self.nodes[node].primary {
            return;
        }
        self.last_id += 1;
        let place = self.nodes[node].log.len();
        self.nodes[node].log.push(self.last_id);
        self.waiting.push(Commit { id: self.last_id, node, place });
    }

    fn acknowledge(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        for commit in waiting {
            let node = &self.nodes[commit.node];
            if matches!(node.power, Power::Down | Power::Recovering(_)) || !node.primary {
                continue;
            }
            if node.power == Power::Running && self.has_arrived(&commit) {
                self.ack(&commit);
            } else {
                self.waiting.push(commit);
            }
        }
    }

    fn has_arrived(&self, commit: &Commit) -> bool {
        let Some(set) = &self.nodes[commit.node].sync else { return true };
        let there = |name: &String| {
            self.nodes.iter().enumerate().any(|(place, node)| {
                node.name == name
                    && node.upstream == Some(commit.node)
                    && node.streaming
                    && node.power == Power::Running
                    && self.linked(place, commit.node)
                    && node.log.get(commit.place) == Some(&commit.id)
            })
        };
        set.members.iter().filter(|name| there(name)).count() >= usize::from(set.count)
    }

    fn ack(&mut self, commit: &Commit) {
        let node = &self.nodes[commit.node];
        if node.rogue {
            return;
        }
        if self.check_acks && node.timeline < self.ack_timeline {
            let (name, old, new) = (node.name, node.timeline, self.ack_timeline);
            self.violations.push(format!("I1: {name} acknowledged on timeline {old} after somebody did on {new}"));
        }
        self.ack_timeline = self.ack_timeline.max(node.timeline);
        self.acked.push((commit.id, commit.node));
        self.last_ack = self.now;
    }

    pub fn crash(&mut self, node: usize) {
        let this = &mut self.nodes[node];
        this.power = Power::Down;
        this.goodbye = false;
        this.streaming = false;
    }

    /// A clean stop: whoever streams gets everything, the end of the log too.
    pub fn stop(&mut self, node: usize) -> bool {
        match self.nodes[node].power {
            Power::Down => return true,
            Power::Hung | Power::Recovering(_) => return false,
            Power::Running => {}
        }
        if self.nodes[node].primary {
            self.nodes[node].log.push(OWN_RECORD);
            for standby in 0..self.nodes.len() {
                if self.nodes[standby].streaming && self.nodes[standby].upstream == Some(node) {
                    self.nodes[standby].pace = usize::MAX;
                    self.replicate(standby);
                }
            }
        }
        self.crash(node);
        self.nodes[node].goodbye = true;
        self.nodes[node].restart_at = None;
        true
    }

    pub fn start(&mut self, node: usize) {
        let this = &mut self.nodes[node];
        if this.power != Power::Down {
            return;
        }
        this.power = Power::Running;
        this.restart_at = None;
        this.primary = !this.signal;
        if this.primary {
            // The checkpoint at the end of recovery.
            this.log.push(OWN_RECORD);
        }
    }

    pub fn promote(&mut self, node: usize) -> u32 {
        let this = &mut self.nodes[node];
        if !this.primary {
            this.primary = true;
            this.signal = false;
            this.timeline += 1;
            this.history.push((this.timeline, this.log.len()));
            this.log.push(OWN_RECORD);
            this.streaming = false;
        }
        this.timeline
    }

    /// pg_rewind: what is not the source's goes.
    pub fn rewind(&mut self, node: usize, source: usize) {
        let theirs = self.nodes[source].clone();
        let this = &mut self.nodes[node];
        let common = this.log.iter().zip(&theirs.log).take_while(|(a, b)| a == b).count();
        this.log.truncate(common);
        this.history = theirs.history.iter().filter(|(_, began)| *began <= common).copied().collect();
        this.timeline = this.history.last().map_or(1, |(timeline, _)| *timeline);
        this.signal = true;
        this.primary = false;
    }

    /// Its log is neither a part of the other's nor the other's a part of it.
    pub fn diverged(&self, node: usize, primary: usize) -> bool {
        let (a, b) = (&self.nodes[node].log, &self.nodes[primary].log);
        let common = a.len().min(b.len());
        // A commit is at one place of one history: where it is the same, so is everything before it.
        let last = a[..common].iter().zip(&b[..common]).rev().find(|(a, b)| **a != OWN_RECORD || **b != OWN_RECORD);
        last.is_some_and(|(a, b)| a != b) || a.len() > b.len()
    }
}
