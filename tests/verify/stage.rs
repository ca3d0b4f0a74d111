//! A cluster, a proxy that heals it, clients, and somebody who watches: where a case takes place.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use howdah::demo::{ClusterOptions, PgCluster, ProxyConfig, Synchronous, ports, wait};
use howdah_tests::{
    PATIENCE, Proxy, hands,
    history::{Load, Stored},
};

use crate::{
    cases::Case,
    take::{Promise, Take},
    watch::{Happening, Sighting, Watch},
};

/// How long it is recorded how things are when nothing happens.
pub const LEAD: Duration = Duration::from_secs(3);

/// How long it is recorded that all is well again, at least.
const TAIL: Duration = Duration::from_secs(3);

/// Writes until the load counts as running.
const WARM_WRITES: usize = 200;

/// As many servers for each pool as there are clients, and some.
const POOL_SIZE: &str = "40";

/// How many clients there are.
pub struct Crowd {
    pub writers: usize,
    pub readers: usize,
}

/// Where a case takes place.
pub struct Stage {
    pub cluster: PgCluster,
    pub proxy: Proxy,
    pub watch: Watch,
    case: &'static Case,
    load: Load,
    /// From here on it is measured.
    opened: Instant,
    faults: Vec<Happening>,
    promises: Vec<Promise>,
    /// Nodes that a case has stopped or started.
    touched: BTreeSet<String>,
    /// The postmasters at the beginning.
    postmasters: BTreeMap<String, Option<u32>>,
}

impl Stage {
    /// Makes all of it, and waits until commits wait for standbys and clients are at work.
    pub fn set(case: &'static Case, crowd: &Crowd, tell: &mut dyn FnMut(&str)) -> Result<Self> {
        let options = ClusterOptions {
            standbys: case.standbys,
            sync: Synchronous::Any(1),
            durable: true,
            ..ClusterOptions::default()
        };
        let cluster = PgCluster::start_with_progress(options, &mut *tell)?;
        let port = ports::free_port().context("no port is free")?;
        let config = ProxyConfig::for_cluster(&cluster, port)
            .set("pool_mode", "\"transaction\"")
            .set("default_pool_size", POOL_SIZE)
            .in_cluster("failover", "\"automatic\"")
            .in_cluster("synchronous_mode", "\"on\"");
        tell("starting the proxy and the clients");
        let proxy = Proxy::try_start(&cluster, (case.configure)(hands::executed_here(&cluster, config)))?;
        let watch = Watch::start(port);
        let is_ready = || (watch.sighting().state == "Steady" && (case.is_ready)(&watch.sighting())).then_some(());
        wait::until(PATIENCE, is_ready).with_context(|| format!("not ready: {:?}", watch.sighting()))?;
        let load = Load::start(port, crowd.writers, crowd.readers);
        load.await_commits(WARM_WRITES, PATIENCE);
        let postmasters = cluster.nodes().iter().map(|node| (node.name.clone(), node.postmaster())).collect();
        let stage = Self {
            cluster,
            proxy,
            watch,
            case,
            load,
            opened: Instant::now(),
            faults: Vec::new(),
            promises: Vec::new(),
            touched: BTreeSet::new(),
            postmasters,
        };
        stage.pause(LEAD);
        Ok(stage)
    }

    /// Lets the clients work.
    pub fn pause(&self, time: Duration) {
        thread::sleep(time);
    }

    /// What happened until now was preparation.
    pub fn open_again(&mut self) {
        self.faults.clear();
        self.opened = Instant::now();
        self.pause(LEAD);
    }

    /// Marks that something is done to the cluster now.
    pub fn fault(&mut self, node: &str, words: &str) -> Instant {
        let at = Instant::now();
        eprintln!("  {words}");
        self.faults.push(Happening { at, kind: "fault".into(), node: node.into(), words: words.into() });
        at
    }

    /// That node's processes are the case's doing.
    pub fn touch(&mut self, node: &str) {
        self.touched.insert(node.to_owned());
    }

    /// Something that had to be so, and whether it was.
    pub fn promise(&mut self, words: impl Into<String>, kept: bool) {
        self.promises.push(Promise { words: words.into(), kept });
    }

    /// Writes that were acknowledged so far.
    pub fn commits(&self) -> usize {
        self.load.commits()
    }

    /// Waits until the proxy has told of such an event.
    pub fn await_event(&self, kind: &str, since: Instant, is_it: fn(&Happening) -> bool) -> Result<Happening> {
        let found = wait::until(PATIENCE, || self.watch.find(since, |event| event.kind == kind && is_it(event)));
        found.with_context(|| format!("no {kind:?} within {PATIENCE:?}: {:?}", self.watch.sighting()))
    }

    /// Waits until SHOW CLUSTER shows that.
    pub fn await_sight(&self, what: &str, is_so: impl Fn(&Sighting) -> bool) -> Result<()> {
        let found = wait::until(PATIENCE, || is_so(&self.watch.sighting()).then_some(()));
        found.with_context(|| format!("{what}: not within {PATIENCE:?}: {:?}", self.watch.sighting()))
    }

    /// Lets the clients work until so long after the first fault.
    pub fn play_on(&self, time: Duration) {
        let first = self.faults.first().map_or(self.opened, |fault| fault.at);
        self.pause((first + time).saturating_duration_since(Instant::now()).max(TAIL));
    }

    /// Ends the clients and compares what they were told with what is stored.
    pub fn end(mut self) -> Result<Take> {
        let closed = Instant::now();
        let history = self.load.stop();
        let primary = wait::until(PATIENCE, || self.watch.sighting().primary().map(str::to_owned));
        let primary = primary.context("there is no primary at the end")?;
        let Stored { rows, twice, lost } = history.compare(self.cluster.node(&primary)?)?;
        let mut happenings = self.watch.end()?;
        happenings.retain(|happening| happening.at >= self.opened);
        happenings.append(&mut self.faults);
        happenings.sort_by_key(|happening| happening.at);
        let mut take = Take {
            case: self.case,
            history,
            happenings,
            opened: self.opened,
            closed,
            rows,
            lost: lost.len(),
            promises: self.promises,
            log: self.proxy.log_lines(),
        };
        take.promise(format!("of {rows} rows none that was acknowledged is missing"), lost.is_empty());
        take.promise("no row is there twice", twice == 0);
        take.promise("no client loses its session", take.history.disconnects.is_empty());
        let untouched = self.cluster.nodes().iter().filter(|node| !self.touched.contains(&node.name));
        let restarted: Vec<&str> = untouched
            .filter(|node| self.postmasters.get(&node.name) != Some(&node.postmaster()))
            .map(|node| node.name.as_str())
            .collect();
        take.promise("no other node is restarted", restarted.is_empty());
        take.judge();
        Ok(take)
    }
}
