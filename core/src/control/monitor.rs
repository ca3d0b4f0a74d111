//! Watches one cluster: one probe per node, and a chair that has their findings judged and
//! publishes the facts.
//!
//! Sessions talk to it only through the [`FactsCell`] and their [`Report`]s; operators and reloads
//! through the [`MonitorHandle`].

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    catalogs::{Catalogs, Source},
    changes::Change,
    dial::{ControlLogin, Dial, Network},
    judge::{Judge, NoSuchNode},
    knock::Knock,
    observation::{Finding, Timings},
    probe::{OpenQuestion, Orders, Probe},
    sights::{self, Place, Seen},
    task::Task,
};
use crate::{
    cluster::sight::Sight,
    config::types::Cluster,
    facts::{Facts, FactsCell, Health, NodeFacts, Report, Role, Ruling},
    id::NodeId,
    server::ServerTarget,
};

/// Findings that may wait for the chair. A probe whose finding finds no room waits itself.
const FINDINGS_MAX: usize = 256;

/// A question that is open for so long has the node's door tried.
const SUSPICIOUS_SILENCE: Duration = Duration::from_millis(300);

/// A standby that is at most so far behind is read for the catalog: what it may lack arrives in a moment.
const CATALOG_LAG_MAX_BYTES: u64 = 1024 * 1024;

/// What a monitor needs to begin.
#[derive(Debug)]
pub struct MonitorSpec {
    /// Which nodes.
    pub cluster: Arc<Cluster>,
    /// How often they are asked.
    pub timings: Timings,
    /// How to log in.
    pub login: ControlLogin,
    /// Where the facts go.
    pub facts: Arc<FactsCell>,
    /// What sessions noticed.
    pub reports: mpsc::Receiver<Report>,
}

/// Starts the watch over a cluster.
#[derive(Debug)]
pub struct Monitor;

impl Monitor {
    /// Facts that say that nothing is known yet, to make the [`FactsCell`] with.
    pub fn first_facts(cluster: &Cluster, timings: Timings) -> Facts {
        Judge::first_facts(&cluster.nodes, cluster.heals(), timings, Instant::now())
    }

    /// Starts on the runtime that this is called on. Everything stops when the handle is dropped.
    pub fn start(spec: MonitorSpec) -> MonitorHandle {
        Self::start_with(spec, Network)
    }

    /// The same over other connections than those of the network.
    pub fn start_with<D: Dial>(spec: MonitorSpec, dial: D) -> MonitorHandle<D> {
        let MonitorSpec { cluster, timings, login, facts, reports } = spec;
        let (seen, findings) = mpsc::channel(FINDINGS_MAX);
        let runtime = Handle::current();
        let board = Board {
            judge: Judge::new(&cluster.nodes, timings, Instant::now()),
            watches: Vec::new(),
            watches_made: 0,
            cluster: cluster.name.clone(),
            facts: facts.clone(),
            seen: Arc::default(),
            spawner: Spawner { dial: dial.clone(), seen, runtime: runtime.clone() },
        };
        let board = Shared(Arc::new(Mutex::new(board)));
        let mut first = board.lock();
        first.judge.set_heals(cluster.heals());
        first.watch(&cluster, timings, &login);
        let seen = first.seen.clone();
        drop(first);
        let chair = Chair { board: board.clone(), facts: facts.clone(), findings, reports };
        let chair = Task::start(&runtime, chair.preside());
        let librarians_board = board.clone();
        let find = move |database: &str, source| librarians_board.lock().catalog_source(database, source);
        let catalogs = Catalogs::start(&runtime, dial, facts, find);
        MonitorHandle { board, catalogs: Arc::new(catalogs), seen, _chair: chair }
    }
}

/// A running monitor. May be called from any thread; no call waits for a node.
pub struct MonitorHandle<D: Dial = Network> {
    board: Shared<D>,
    catalogs: Arc<Catalogs>,
    seen: Arc<Notify>,
    _chair: Task,
}

impl<D: Dial> MonitorHandle<D> {
    /// Takes a node out of the balance: existing work finishes, no new work is sent. It stays out
    /// across reloads and returns of the node. The facts say so when this returns.
    pub fn detach(&self, node: &str) -> Result<(), NoSuchNode> {
        self.board.lock().drain(node, true)
    }

    /// Puts it back; it warms up like a node that was down.
    pub fn attach(&self, node: &str) -> Result<(), NoSuchNode> {
        self.board.lock().drain(node, false)
    }

    /// Another configuration. What is known of a node stays when its name and address do; the
    /// facts have the new list, in its order, when this returns.
    pub fn update(&self, cluster: &Cluster, timings: Timings, login: &ControlLogin) {
        let mut board = self.board.lock();
        board.judge.replace(&cluster.nodes, timings, Instant::now());
        board.judge.set_heals(cluster.heals());
        board.watch(cluster, timings, login);
        board.publish();
    }

    /// All nodes at this instant, as they tell of themselves. Where one is silent, its door is tried.
    pub fn sight(&self) -> Sight {
        self.board.lock().sight()
    }

    /// Waits until something more has been found out.
    pub async fn seen(&self) {
        self.seen.notified().await;
    }

    /// What holds from now on over whatever is seen, in place of the last ruling. The facts say so when this returns,
    /// unless nothing is known of the cluster yet.
    pub fn rule(&self, ruling: Ruling) {
        let mut board = self.board.lock();
        board.judge.rule(ruling);
        board.publish();
    }

    /// Has all nodes probed at once.
    pub fn look(&self) {
        self.board.lock().watches.iter().for_each(Watch::poke);
    }

    /// How the control user enters that node.
    pub fn target(&self, node: &str) -> Option<ServerTarget> {
        let board = self.board.lock();
        let watch = board.watches.iter().find(|watch| *watch.orders.borrow().target.node == *node)?;
        Some(watch.orders.borrow().target.clone())
    }

    /// What the cluster's databases know of names in statements.
    pub fn catalogs(&self) -> &Arc<Catalogs> {
        &self.catalogs
    }
}

impl<D: Dial> fmt::Debug for MonitorHandle<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MonitorHandle").finish_non_exhaustive()
    }
}

/// Takes in what everyone has to say, one after the other.
struct Chair<D: Dial> {
    board: Shared<D>,
    facts: Arc<FactsCell>,
    findings: mpsc::Receiver<(u64, Finding)>,
    reports: mpsc::Receiver<Report>,
}

impl<D: Dial> Chair<D> {
    async fn preside(mut self) {
        let mut sessions_report = true;
        loop {
            let wake_at = self.board.lock().judge.wake_at();
            tokio::select! {
                Some(first) = self.findings.recv() => self.take_in(first),
                report = self.reports.recv(), if sessions_report => match report {
                    Some(report) => self.board.lock().suspect(report),
                    None => sessions_report = false,
                },
                () = self.facts.wanted() => self.board.lock().watches.iter().for_each(Watch::poke),
                () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {
                    self.board.lock().publish();
                }
            }
        }
    }

    /// Publishes once for all that has come in meanwhile.
    fn take_in(&mut self, first: (u64, Finding)) {
        let mut board = self.board.lock();
        let mut next = Some(first);
        while let Some((key, finding)) = next {
            // None when the node has left the configuration since.
            if let Some(place) = board.watches.iter().position(|watch| watch.key == key) {
                board.watches[place].seen.take_in(&finding, Instant::now());
                board.judge.take_in(place, finding);
            }
            next = self.findings.try_recv().ok();
        }
        board.publish();
        board.seen.notify_one();
    }
}

/// Everything that the chair and the handle share.
struct Board<D: Dial> {
    judge: Judge,
    /// By the number of the node.
    watches: Vec<Watch>,
    watches_made: u64,
    cluster: Arc<str>,
    facts: Arc<FactsCell>,
    /// Rings when something was found out.
    seen: Arc<Notify>,
    spawner: Spawner<D>,
}

impl<D: Dial> Board<D> {
    /// All nodes at this instant. Where one is silent, its door is tried.
    fn sight(&mut self) -> Sight {
        let now = Instant::now();
        let facts = self.judge.as_seen(now);
        let silent = |watch: &&Watch| {
            watch.question.since().is_some_and(|at| now.saturating_duration_since(at) > SUSPICIOUS_SILENCE)
        };
        self.watches.iter().filter(silent).for_each(|watch| watch.doubt.notify_one());
        let place = |watch: &'_ Watch| Place { seen: watch.seen.clone(), asked_at: watch.question.since() };
        let places: Vec<_> = self.watches.iter().map(place).collect();
        sights::sight(&facts, &places, unix_ms(), now)
    }

    fn publish(&mut self) {
        let Some(facts) = self.judge.conclude(Instant::now()) else { return };
        let changes = Change::between(&self.facts.load(), &facts);
        self.facts.publish(facts);
        changes.iter().for_each(|change| change.log(&self.cluster));
    }

    fn drain(&mut self, node: &str, drained: bool) -> Result<(), NoSuchNode> {
        self.judge.drain(node, drained, Instant::now())?;
        self.publish();
        Ok(())
    }

    /// Looks at once where a session met trouble.
    fn suspect(&mut self, report: Report) {
        let watch = |node: NodeId| self.watches.get(node.index()).into_iter();
        match report {
            Report::ConnectFailed(node) => watch(node).for_each(Watch::doubt),
            Report::ConnectionLost(node) => watch(node).for_each(Watch::poke),
            // If it is no primary, another node may be.
            Report::ReadOnly(_) => self.watches.iter().for_each(Watch::poke),
            Report::DiskFull(node) => {
                if let Some(watch) = self.watches.get_mut(node.index()) {
                    watch.seen.note_disk_full(Instant::now());
                }
            }
        }
    }

    /// Where to read a database's catalog.
    fn catalog_source(&self, database: &str, source: Source) -> Option<ServerTarget> {
        let facts = self.facts.load();
        let with = |health| facts.nodes.iter().find(move |node| node.health == health);
        let is_near = |node: &&NodeFacts| {
            node.role == Role::Standby
                && node.health == Health::Up
                && node.lag_bytes.is_some_and(|lag| lag <= CATALOG_LAG_MAX_BYTES)
        };
        // Our snapshot would keep a VACUUM on the primary from its work.
        let near = facts.nodes.iter().find(|node| source == Source::Near && is_near(node));
        let node = near.or_else(|| facts.primary()).or_else(|| with(Health::Up)).or_else(|| with(Health::Degraded))?;
        let target = self.watches.get(node.id.index())?.orders.borrow().target.clone();
        Some(ServerTarget { database: database.into(), ..target })
    }

    /// One watch for each node; those that need not change go on.
    fn watch(&mut self, cluster: &Cluster, timings: Timings, login: &ControlLogin) {
        let mut before = std::mem::take(&mut self.watches);
        for node in &cluster.nodes {
            let target = login.target(cluster, node, timings.probe_timeout);
            let orders = Orders { target, timings, heals: cluster.heals() };
            let kept = before.iter().position(|watch| watch.is_for(&orders));
            let watch = match kept {
                Some(place) => {
                    let watch = before.swap_remove(place);
                    watch.orders.send_replace(orders);
                    watch
                }
                None => {
                    self.watches_made += 1;
                    self.spawner.watch(self.watches_made, &cluster.name, orders)
                }
            };
            self.watches.push(watch);
        }
    }
}

/// Starts probes.
struct Spawner<D> {
    dial: D,
    seen: mpsc::Sender<(u64, Finding)>,
    runtime: Handle,
}

impl<D: Dial> Spawner<D> {
    fn watch(&self, key: u64, cluster: &Arc<str>, orders: Orders) -> Watch {
        let (orders, for_probe) = watch::channel(orders);
        let (poke, doubt) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let question = OpenQuestion::default();
        let knock = Knock {
            dial: self.dial.clone(),
            orders: for_probe.clone(),
            doubt: doubt.clone(),
            key,
            seen: self.seen.clone(),
        };
        let probe = Probe {
            cluster: cluster.clone(),
            dial: self.dial.clone(),
            orders: for_probe,
            poke: poke.clone(),
            question: question.clone(),
            key,
            seen: self.seen.clone(),
        };
        let both = async move {
            tokio::join!(probe.run(), knock.run());
        };
        let seen = Seen::new(Instant::now());
        Watch { key, orders, poke, doubt, question, seen, _task: Task::start(&self.runtime, both) }
    }
}

/// Wall-clock time, for the log.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The watch over one node, from outside.
struct Watch {
    key: u64,
    orders: watch::Sender<Orders>,
    poke: Arc<Notify>,
    doubt: Arc<Notify>,
    question: OpenQuestion,
    /// What a cluster that heals itself needs to know besides.
    seen: Seen,
    _task: Task,
}

impl Watch {
    /// Asks for a probe at once.
    fn poke(&self) {
        self.poke.notify_one();
    }

    /// Asks whether the node still takes sessions.
    fn doubt(&self) {
        self.poke();
        self.doubt.notify_one();
    }

    /// Whether these orders can be followed without another session.
    fn is_for(&self, orders: &Orders) -> bool {
        let before = &self.orders.borrow().target;
        let after = &orders.target;
        (&before.node, &before.host, before.port) == (&after.node, &after.host, after.port)
            && (&before.user, &before.database) == (&after.user, &after.database)
    }
}

/// The board, to be locked for moments only.
struct Shared<D: Dial>(Arc<Mutex<Board<D>>>);

impl<D: Dial> Shared<D> {
    fn lock(&self) -> MutexGuard<'_, Board<D>> {
        // A panic midway leaves nothing that the next observation would not put right.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Dial> Clone for Shared<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
