//! A cluster heals itself: whatever is done to its nodes, no acknowledged row is lost and clients wait instead of failing.
//!
//! Each test has a cluster of its own, a [`Scene`], on which it plays one fault or several of a kind, while clients
//! write and read; [`history`](howdah_tests::history) compares what they were told with what is stored. Outcomes are
//! asserted; times are [`measured`] only, as machines are shared. What takes minutes runs when [`in_full`].

mod again;
mod alone;
mod armed;
mod disks;
mod election;
mod network;
mod operator;
mod outcome;
mod policies;
mod primary;
mod promotion;
mod proxy_lost;
mod repair;
mod replay;
mod standby;
mod switchover;

use std::{
    env, fmt, fs,
    time::{Duration, Instant},
};

use howdah::demo::{ClusterOptions, PgCluster, PgNode, ProxyConfig, Synchronous, psql::Table, wait};
use howdah_tests::{
    PATIENCE, Proxy,
    history::{History, Load},
};

use crate::rejoin::lab::{bin_dir, owner};

/// Clients that write, and that read.
const WRITERS: usize = 16;
const READERS: usize = 16;

/// Errors that a writer may see when a primary is lost: that of its open transaction.
const ERRORS_PER_LOSS: usize = 1;

/// Acknowledged writes that show that the cluster is at work.
const AT_WORK: usize = 100;

/// Whether everything runs, for minutes, or what there is time for among all other tests: `HOWDAH_TEST_FAULTS=all`.
fn in_full() -> bool {
    env::var_os("HOWDAH_TEST_FAULTS").is_some_and(|value| value == "all")
}

/// Whether a test that is only for the long run has to be left out, which is said.
fn left_out(name: &str) -> bool {
    if !in_full() {
        eprintln!("{name}: left to HOWDAH_TEST_FAULTS=all");
    }
    !in_full()
}

/// Says what was measured; `cargo xtask faults` makes a table of these lines.
fn measured(scenario: &str, what: fmt::Arguments<'_>) {
    println!("measured: {scenario}: {what}");
}

/// A primary and two standbys, of which each commit waits for one.
fn synchronous(standbys: usize) -> ClusterOptions {
    ClusterOptions { standbys, sync: Synchronous::Any(1), durable: true, ..Default::default() }
}

/// Patience of seconds where operators have that of minutes: tests wait for it.
fn impatient(config: ProxyConfig) -> ProxyConfig {
    config.in_cluster("failover_interval", "0").in_cluster("sync_restore_after", "\"500ms\"")
}

/// A cluster and the proxy that heals it.
struct Scene {
    proxy: Proxy,
    cluster: PgCluster,
}

impl Scene {
    /// Two standbys, one of which each commit waits for.
    fn start() -> Self {
        Self::with(synchronous(2), impatient)
    }

    fn with(options: ClusterOptions, change: impl FnOnce(ProxyConfig) -> ProxyConfig) -> Self {
        let is_synchronous = options.sync != Synchronous::Off;
        Self::around(PgCluster::start(options).expect("a cluster starts"), is_synchronous, change)
    }

    /// A cluster to which something was done before.
    fn around(cluster: PgCluster, is_synchronous: bool, change: impl FnOnce(ProxyConfig) -> ProxyConfig) -> Self {
        let proxy = Proxy::start(&cluster, |config| change(healing(&cluster, config, is_synchronous)));
        let scene = Self { proxy, cluster };
        scene.await_state("Steady");
        if is_synchronous {
            scene.until("electable", || scene.told("an election must hear").is_some());
        }
        scene
    }

    /// Clients at work.
    fn load(&self) -> Load {
        let load = Load::start(self.proxy.port(), WRITERS, READERS);
        load.await_commits(AT_WORK, PATIENCE);
        load
    }

    /// Everybody works still; what became of all that was asked, compared with what is stored.
    fn settle(&self, load: Load) -> History {
        self.at_work(&load);
        let history = load.stop();
        history.check(self.primary());
        history
    }

    /// Writes are acknowledged; how long they were not, from a moment on.
    #[track_caller]
    fn resumed(&self, load: &Load, since: Instant) -> Duration {
        self.at_work(load);
        load.longest_gap(since)
    }

    #[track_caller]
    fn at_work(&self, load: &Load) {
        let commits = load.commits();
        let enough = wait::until(PATIENCE, || (load.commits() >= commits + AT_WORK).then_some(()));
        assert!(enough.is_some(), "{} more commits\n{}\n{}", load.commits() - commits, self.occupied(), self.story());
    }

    /// What clients wait for, as the proxy sees it and as the nodes that answer do.
    fn occupied(&self) -> String {
        let clients = self.proxy.console().table("SHOW CLIENTS").map(|shown| shown.rows);
        let sql = "SELECT application_name, state, wait_event_type, wait_event, left(query, 60) FROM pg_stat_activity \
                   WHERE backend_type = 'client backend'";
        let nodes = self.cluster.nodes().iter().filter(|node| self.of_node(&node.name, "health") == "up");
        let nodes = nodes.map(|node| format!("{}: {:?}", node.name, node.psql(sql)));
        format!("{clients:?}\n{}", nodes.collect::<Vec<_>>().join("\n"))
    }

    /// A command on the console, which succeeds.
    #[track_caller]
    fn order(&self, command: &str) -> String {
        self.proxy.console().ask(command).unwrap_or_else(|error| panic!("{command}: {error}\n{}", self.story()))
    }

    fn shown(&self) -> Table {
        self.proxy.console().table("SHOW CLUSTER").expect("SHOW CLUSTER answers")
    }

    /// A column of SHOW CLUSTER, for one node.
    fn of_node(&self, name: &str, column: &str) -> String {
        let shown = self.shown();
        let row = shown.rows.iter().find(|row| shown.value(row, "node") == Some(name)).expect("it is a node");
        shown.value(row, column).expect("it is a column").to_owned()
    }

    fn state(&self) -> String {
        self.of_node("n0", "state")
    }

    #[track_caller]
    fn await_state(&self, state: &str) {
        self.until(state, || self.state() == state);
    }

    /// Waits for something that is seen by looking.
    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let held = wait::until(PATIENCE, || holds().then_some(()));
        assert!(held.is_some(), "not {what}: {:?}\n{}", self.shown().rows, self.story());
    }

    /// Waits until every node has its part: the others stream from one primary, and commits wait for as many.
    #[track_caller]
    fn await_whole(&self, synchronous: usize) {
        let standbys = self.cluster.standbys().len();
        self.until("whole", || {
            let shown = self.shown();
            let count = |column, value| shown.column(column).into_iter().filter(|is| *is == value).count();
            count("state", "Steady") == standbys + 1
                && count("replication", "streaming") == standbys
                && count("health", "up") == standbys + 1
                && count("quarantine", "") == standbys + 1
                && count("sync", "sync") == synchronous
        });
    }

    /// The node that takes writes, as the proxy sees it.
    #[track_caller]
    fn primary(&self) -> &PgNode {
        let name = || {
            let shown = self.shown();
            let is_primary = |row: &&Vec<String>| {
                let value = |column| shown.value(row, column);
                value("role") == Some("primary") && value("quarantine") == Some("") && value("health") == Some("up")
            };
            shown.rows.iter().find(is_primary).and_then(|row| shown.value(row, "node")).map(str::to_owned)
        };
        let name = wait::until(PATIENCE, name).unwrap_or_else(|| panic!("no primary\n{}", self.story()));
        self.cluster.node(&name).expect("it is a node")
    }

    /// The other nodes.
    fn standbys(&self) -> Vec<&PgNode> {
        let primary = &self.primary().name;
        self.cluster.nodes().iter().filter(|node| node.name != *primary).collect()
    }

    /// How often a node was promoted since the cluster was made, as PostgreSQL counts.
    fn promotions(&self) -> u32 {
        timeline(self.primary()) - 1
    }

    /// The primary was lost once: one promotion, at most one error for each writer, and none for readers.
    #[track_caller]
    fn was_replaced_once(&self, history: &History) {
        let story = self.story();
        assert_eq!(self.promotions(), 1, "{story}");
        assert!(history.most_errors_of_a_writer() <= ERRORS_PER_LOSS, "{:?}\n{story}", history.failed_writes());
        assert!(history.failed_reads().is_empty(), "{:?}\n{story}", history.failed_reads());
    }

    /// A line of what the steward told, with this in it.
    fn told(&self, text: &str) -> Option<String> {
        self.proxy.log_lines().into_iter().find(|line| line.contains(text))
    }

    /// What the steward told, for messages.
    fn story(&self) -> String {
        let said = self.proxy.log_lines();
        let lines: Vec<_> = said.iter().filter(|line| !line.contains("client")).cloned().collect();
        lines[lines.len().saturating_sub(80)..].join("\n")
    }
}

/// A configuration in which the proxy heals the cluster, by commands on this machine.
fn healing(cluster: &PgCluster, config: ProxyConfig, is_synchronous: bool) -> ProxyConfig {
    let config = config
        .set("pool_mode", "\"transaction\"")
        .set("default_pool_size", "40")
        .in_cluster("failover", "\"automatic\"")
        .in_cluster("synchronous_mode", if is_synchronous { "\"on\"" } else { "\"off\"" });
    executed_here(cluster, config)
}

/// Commands on this machine act on the nodes.
fn executed_here(cluster: &PgCluster, config: ProxyConfig) -> ProxyConfig {
    let config = config
        .in_cluster("executor", "\"exec\"")
        .in_cluster("bin_dir", &quoted(&bin_dir(cluster.primary()).to_string_lossy()));
    let config = match owner(&cluster.primary().data) {
        Some(user) => config.in_cluster("run_as", &quoted(&user)),
        None => config,
    };
    cluster.nodes().iter().fold(config, |config, node| {
        config.node(&node.name, &format!("data_dir = {}", quoted(&node.data.to_string_lossy())))
    })
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// A primary's timeline.
fn timeline(primary: &PgNode) -> u32 {
    let sql = "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int";
    primary.psql(sql).expect("a primary answers").parse().expect("a number")
}

/// Lines of a node's log with this text, whoever started it.
fn logged(node: &PgNode, text: &str) -> usize {
    let logs = [node.log_file(), node.data.join("howdah.log")].map(|file| fs::read_to_string(file).unwrap_or_default());
    logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains(text)).count()
}

/// In the middle, the worst.
fn middle_and_worst(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() - 1])
}
