//! The control plane's thread: watches the clusters, makes generations, obeys operators.
//!
//! A new generation is complete before anything of the running one changes; then one pointer is
//! swapped. Whatever goes wrong before that is told to whoever asked, and nothing has changed.

use std::{collections::HashMap, io, sync::Arc, sync::atomic::Ordering::Relaxed, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::{mpsc, oneshot},
};

use crate::{
    cluster::{action, name::Name},
    config::{self, Cluster, Config, Failover, Sources},
    control::{
        Catalogs, ControlLogin, LogError, Monitor, MonitorHandle, MonitorSpec, PolicySource, StewardHandle,
        StewardSpec, Timings,
    },
    facts::{ClusterStatus, FactsCell, Reading, Reports, Ruling, StatusCell},
    generation::{
        CatalogSource, Generation,
        builder::{self, BuildError, ClusterParts},
    },
    operate::{ClusterOrder, Command, Outcome},
    plugin::{ControlPolicies, Engine},
    shutdown::Phase,
    sql::Catalog,
    traffic::OwnTraffic,
    worker::{HISTORY_MAX, Shared},
};

/// The control plane before it has a thread of its own.
pub struct Conductor {
    runtime: Handle,
    engine: Engine,
    clusters: Watched,
}

type Watched = HashMap<Arc<str>, Watch>;

/// One cluster that is watched.
struct Watch {
    facts: Arc<FactsCell>,
    monitor: Arc<MonitorHandle>,
    reports: Reports,
    status: Arc<StatusCell>,
    /// Heals the cluster, if we do that.
    steward: Option<StewardHandle>,
}

impl CatalogSource for Catalogs {
    fn changes(&self) -> u64 {
        self.changes()
    }

    fn catalog(&self, dbname: &str) -> Arc<Catalog> {
        self.get(dbname)
    }

    fn refresh(&self, dbname: &str, unflushed: bool) -> Option<Reading> {
        Self::refresh(self, dbname, unflushed)
    }
}

impl Conductor {
    /// The control plane, watching nothing yet.
    pub fn new() -> Result<Self, BuildError> {
        let runtime = control_runtime().map_err(BuildError::Thread)?;
        Ok(Self { runtime, engine: Engine::new()?, clusters: HashMap::new() })
    }

    /// Makes the first generation.
    pub fn first_generation(&mut self, config: Config) -> Result<Generation, BuildError> {
        let _entered = self.runtime.enter();
        make(&self.engine, &mut self.clusters, config, 1, "start")
    }

    /// Serves operators from now on, on a thread of its own.
    pub fn serve(self, shared: Arc<Shared>, sources: Sources, commands: mpsc::Receiver<Command>) -> io::Result<()> {
        start_services(&shared, &sources, &self.runtime);
        let mut desk = Desk { engine: self.engine, clusters: self.clusters, shared, sources, runtime: self.runtime };
        let first = desk.shared.generation.load_full();
        {
            let _entered = desk.runtime.enter();
            desk.appoint_stewards(&first).map_err(io::Error::other)?;
        }
        thread::Builder::new().name("conductor".into()).spawn(move || desk.serve(commands))?;
        Ok(())
    }
}

/// A runtime on a thread of its own, which lives as long as the process.
fn control_runtime() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name("control".into()).spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}

/// What runs beside the desk.
fn start_services(shared: &Arc<Shared>, sources: &Sources, runtime: &Handle) {
    let config = Arc::clone(&shared.generation.load().config);
    runtime.spawn(crate::signals::obey(Arc::clone(shared)));
    runtime.spawn(crate::traffic::watch_primaries(Arc::clone(shared)));
    if let Some(address) = config.metrics_listen {
        let shutdown = shared.shutdown.clone();
        runtime.spawn(crate::admin::metrics::serve(Arc::clone(shared), address, shutdown));
    }
    crate::watch_files::start(shared, sources, runtime);
}

/// Where commands are carried out, one after the other. Loading a policy may take seconds, so it
/// is not done on the runtime that probes the nodes.
struct Desk {
    engine: Engine,
    clusters: Watched,
    shared: Arc<Shared>,
    sources: Sources,
    runtime: Handle,
}

impl Desk {
    fn serve(mut self, mut commands: mpsc::Receiver<Command>) {
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        while let Some(command) = commands.blocking_recv() {
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Reload { cause, answer } => {
                let outcome = self.reload(cause);
                if let Err(refusal) = &outcome {
                    self.shared.counters.refused_generations.fetch_add(1, Relaxed);
                    tracing::error!(cause, "the new configuration is refused, the old one goes on: {refusal}");
                }
                tell(answer, outcome);
            }
            Command::Rollback { to, answer } => {
                let outcome = self.rollback(to);
                tell(answer, outcome);
            }
            Command::Detach { node, answer } => {
                let outcome = self.each_with(&node, MonitorHandle::detach);
                self.tell_stewards(&node, &outcome, |node| action::Order::Detach { node });
                tell(answer, outcome);
            }
            Command::Attach { node, answer } => {
                let outcome = self.each_with(&node, MonitorHandle::attach);
                self.tell_stewards(&node, &outcome, |node| action::Order::Attach { node });
                tell(answer, outcome);
            }
            Command::Steer { cluster, order, answer } => self.steer(cluster.as_deref(), order, answer),
            Command::ShutDown { ending } => {
                self.runtime.spawn(crate::signals::end(Arc::clone(&self.shared), ending));
            }
        }
    }

    /// Does something with a node, in every cluster that has one of that name.
    fn each_with<E>(&self, node: &str, act: impl Fn(&MonitorHandle, &str) -> Result<(), E>) -> Outcome<()> {
        let done = self.clusters.values().filter(|watch| act(&watch.monitor, node).is_ok()).count();
        if done == 0 { Err(format!("no such node: {node}")) } else { Ok(()) }
    }

    /// Passes an order on to the cluster that it is for; the steward answers it.
    fn steer(&self, cluster: Option<&str>, order: ClusterOrder, answer: oneshot::Sender<Outcome<String>>) {
        let named = |watch: &Watch| match (cluster, order.node()) {
            (Some(_), _) | (None, None) => true,
            (None, Some(node)) => watch.facts.load().nodes.iter().any(|known| known.name == *node),
        };
        let meant =
            |(name, watch): &(&Arc<str>, &Watch)| cluster.is_none_or(|cluster| ***name == *cluster) && named(watch);
        let found: Vec<_> = self.clusters.iter().filter(meant).collect();
        let watch = match found.as_slice() {
            [(_, watch)] => watch,
            [] if cluster.is_some() => return tell(answer, Err("there is no such cluster".to_owned())),
            [] => return tell(answer, Err("no cluster has such a node".to_owned())),
            _ => return tell(answer, Err("there are several clusters: say which behind IN".to_owned())),
        };
        match &watch.steward {
            Some(steward) => steward.order(in_its_words(order), answer),
            None => tell(answer, Err("its `failover` is not \"automatic\"".to_owned())),
        }
    }

    /// An operator's word on a node is for its steward too.
    fn tell_stewards(&self, node: &str, outcome: &Outcome<()>, order: impl Fn(Name) -> action::Order) {
        if outcome.is_err() {
            return;
        }
        for steward in self.clusters.values().filter_map(|watch| watch.steward.as_ref()) {
            let (answer, _) = oneshot::channel();
            steward.order(order(node.into()), answer);
        }
    }

    /// Each cluster that we heal has a steward; the others have none.
    fn appoint_stewards(&mut self, generation: &Generation) -> Result<(), LogError> {
        for (name, watch) in &mut self.clusters {
            let Some(cluster) = generation.config.clusters.get(&**name) else { continue };
            let login = ControlLogin::of(&generation.config, cluster, &generation.server_tls);
            match (&watch.steward, cluster.failover) {
                (Some(steward), Failover::Automatic) => {
                    steward.update(Arc::clone(cluster), login, generation.config.switchover_pinned)
                }
                (Some(_), _) => {
                    watch.steward = None;
                    watch.monitor.rule(Ruling::default());
                    watch.status.publish(ClusterStatus::default());
                }
                (None, Failover::Automatic) => {
                    watch.steward = Some(StewardHandle::start(StewardSpec {
                        cluster: Arc::clone(cluster),
                        folder: generation.config.state_dir.clone(),
                        monitor: Arc::clone(&watch.monitor),
                        status: Arc::clone(&watch.status),
                        traffic: Arc::new(OwnTraffic(Arc::clone(&self.shared))),
                        policies: Arc::new(Policies { shared: Arc::clone(&self.shared), cluster: Arc::clone(name) }),
                        login,
                        pinned: generation.config.switchover_pinned,
                    })?);
                }
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn reload(&mut self, cause: &str) -> Outcome<u64> {
        let config = config::load(&self.sources).map_err(|errors| errors.to_string())?;
        self.go_over_to(config, cause)
    }

    fn rollback(&mut self, to: Option<u64>) -> Outcome<u64> {
        let history = self.shared.history.lock().expect("nothing panics while it holds the history");
        let running = self.shared.generation.load().number;
        let wanted = to.or_else(|| history.iter().rev().map(|kept| kept.number).find(|number| *number < running));
        let found = wanted.and_then(|wanted| history.iter().find(|kept| kept.number == wanted).cloned());
        let kept: Vec<_> = history.iter().map(|kept| kept.number.to_string()).collect();
        drop(history);
        let found = found.ok_or_else(|| format!("no such generation is kept; there are {}", kept.join(", ")))?;
        self.go_over_to((*found.config).clone(), &format!("ROLLBACK TO {}", found.number))
    }

    fn go_over_to(&mut self, config: Config, cause: &str) -> Outcome<u64> {
        let old = self.shared.generation.load_full();
        let restart = config::restart_needed(&old.config, &config);
        let number = old.number + 1;
        let new = make(&self.engine, &mut self.clusters, config, number, cause);
        let new = Arc::new(new.map_err(|error| with_causes(&error))?);
        self.appoint_stewards(&new).map_err(|error| with_causes(&error))?;
        self.follow(&new);
        self.shared.registry.reconfigure(&new.config, &|config, entry, database, user, node, shown| {
            new.target(config, entry, database, user, node, shown)
        });
        self.shared.generation.store(Arc::clone(&new));
        let mut history = self.shared.history.lock().expect("nothing panics while it holds the history");
        history.push_back(Arc::clone(&new));
        while history.len() > HISTORY_MAX {
            history.pop_front();
        }
        tracing::info!(generation = number, cause, "a new generation is running");
        if !restart.is_empty() {
            tracing::warn!("these settings change with the next restart: {}", restart.join(", "));
        }
        Ok(number)
    }

    /// Has the monitors watch what the new generation names, and nothing else.
    fn follow(&mut self, new: &Generation) {
        self.clusters.retain(|name, _| new.clusters.contains_key(name));
        for (name, watch) in &self.clusters {
            if let Some(cluster) = new.config.clusters.get(&**name) {
                watch.monitor.update(
                    cluster,
                    Timings::from(&*new.config),
                    &ControlLogin::of(&new.config, cluster, &new.server_tls),
                );
            }
        }
    }
}

/// The policies of one cluster, in the generation that runs.
struct Policies {
    shared: Arc<Shared>,
    cluster: Arc<str>,
}

impl PolicySource for Policies {
    fn policies(&self) -> ControlPolicies {
        let generation = self.shared.generation.load();
        generation.clusters.get(&self.cluster).map(|cluster| cluster.policies.clone()).unwrap_or_default()
    }
}

/// An operator's order, as the cluster's decisions have it.
fn in_its_words(order: ClusterOrder) -> action::Order {
    let name = |node: Arc<str>| Name::from(&node);
    match order {
        ClusterOrder::Switchover { to } => action::Order::Switchover { to: to.map(name) },
        ClusterOrder::Failover { to, allow_data_loss } => {
            action::Order::Failover { to: to.map(name), allow_loss: allow_data_loss }
        }
        ClusterOrder::Rejoin { node } => action::Order::Rejoin { node: name(node) },
        ClusterOrder::Reinit { node } => action::Order::Reinit { node: name(node) },
        ClusterOrder::PauseFailover => action::Order::Pause,
        ClusterOrder::ResumeFailover => action::Order::Resume,
    }
}

fn tell<T>(answer: oneshot::Sender<Outcome<T>>, outcome: Outcome<T>) {
    // Whoever asked may have gone.
    let _ = answer.send(outcome);
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told
}

/// Makes a generation; clusters that nobody watches yet get their monitors.
fn make(
    engine: &Engine,
    clusters: &mut Watched,
    config: Config,
    number: u64,
    cause: &str,
) -> Result<Generation, BuildError> {
    let server_tls = Generation::server_tls(&config)?;
    let timings = Timings::from(&config);
    let mut begun = Vec::new();
    let logins: HashMap<_, _> = config
        .clusters
        .values()
        .map(|cluster| (Arc::clone(&cluster.name), ControlLogin::of(&config, cluster, &server_tls)))
        .collect();
    let made = builder::build(engine, config, number, cause, |cluster| {
        let watch = clusters.entry(Arc::clone(&cluster.name)).or_insert_with(|| {
            begun.push(Arc::clone(&cluster.name));
            begin(cluster, timings, logins[&cluster.name].clone())
        });
        ClusterParts {
            facts: Arc::clone(&watch.facts),
            status: Arc::clone(&watch.status),
            catalogs: Arc::clone(watch.monitor.catalogs()) as Arc<dyn CatalogSource>,
            reports: watch.reports.clone(),
        }
    });
    if made.is_err() {
        clusters.retain(|name, _| !begun.contains(name));
    }
    made
}

fn begin(cluster: &Arc<Cluster>, timings: Timings, login: ControlLogin) -> Watch {
    let facts = Arc::new(FactsCell::new(Monitor::first_facts(cluster, timings)));
    let (reports, reported) = Reports::channel();
    let spec =
        MonitorSpec { cluster: Arc::clone(cluster), timings, login, facts: Arc::clone(&facts), reports: reported };
    let monitor = Arc::new(Monitor::start(spec));
    Watch { monitor, facts, reports, status: Arc::default(), steward: None }
}

impl Shared {
    /// Ends the proxy: `wait` for clients to go by themselves or send them away now.
    pub fn end(&self, phase: Phase) {
        self.shutdown.advance(phase);
    }
}
