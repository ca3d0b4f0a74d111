//! What the monitor knows of a real cluster, and how soon.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use howdah::{
    config::{Cluster, Node},
    control::{ControlLogin, Monitor, MonitorHandle, MonitorSpec, Timings},
    demo::{Auth, ClusterOptions, PgCluster, PgNode, node::SUPERUSER},
    facts::{Facts, FactsCell, Health, NodeFacts, Reports, Role},
    id::{Lsn, NodeId},
    net::stream::SocketOptions,
    server::ServerTls,
    sql::catalog::Knowledge,
};
use tokio::sync::oneshot;

/// Longest wait for anything; a test that meets it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

const TIMINGS: Timings = Timings {
    probe_interval: Duration::from_millis(200),
    probe_timeout: Duration::from_secs(2),
    probe_rise: 3,
    probe_fall: 2,
    slow_start: Duration::from_secs(10),
};

/// A monitor on a thread of its own, as in the proxy.
struct Watched {
    facts: Arc<FactsCell>,
    handle: Option<MonitorHandle>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    _reports: Reports,
}

impl Watched {
    fn over(postgres: &PgCluster, secret: Option<&str>) -> Self {
        let cluster = Arc::new(configured(postgres));
        let facts = Arc::new(FactsCell::new(Monitor::first_facts(&cluster, TIMINGS)));
        let (reports, receiver) = Reports::channel();
        let login = ControlLogin {
            secret: secret.map(howdah::auth::Secret::parse),
            tls: ServerTls::DISABLED,
            socket: SocketOptions::default(),
        };
        let spec = MonitorSpec { cluster, timings: TIMINGS, login, facts: facts.clone(), reports: receiver };
        let (stop, stopped) = oneshot::channel();
        let (started, start) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            runtime().block_on(async move {
                started.send(Monitor::start(spec)).unwrap();
                let _ = stopped.await;
            });
        });
        let handle = Some(start.recv().unwrap());
        Self { facts, handle, stop: Some(stop), thread: Some(thread), _reports: reports }
    }

    fn handle(&self) -> &MonitorHandle {
        self.handle.as_ref().unwrap()
    }

    /// Waits for facts like these; how long it took.
    fn until(&self, what: &str, expected: impl Fn(&Facts) -> bool) -> Duration {
        let start = Instant::now();
        let wait = async {
            loop {
                let changed = self.facts.changed();
                if expected(&self.facts.load()) {
                    return;
                }
                changed.await;
            }
        };
        let waited = runtime().block_on(async { tokio::time::timeout(PATIENCE, wait).await });
        assert!(waited.is_ok(), "{what} never came: {:#?}", self.facts.load());
        start.elapsed()
    }

    fn until_health(&self, node: usize, health: Health) -> Duration {
        self.until(&format!("{health:?}"), |facts| facts.nodes[node].health == health)
    }

    fn until_all_are_up(&self) {
        self.until("all up", |facts| facts.nodes.iter().all(|node| node.health == Health::Up));
    }

    fn node(&self, node: usize) -> NodeFacts {
        self.facts.load().nodes[node].clone()
    }

    /// Every one of these nodes has been asked within the last moments.
    fn assert_fresh(&self, nodes: &[usize]) {
        for node in nodes {
            let age = self.node(*node).sampled_at.elapsed();
            // The interval, and what a busy machine may add to it.
            assert!(age < TIMINGS.probe_interval + Duration::from_millis(800), "n{node} was asked {age:?} ago");
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.handle.take());
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, is in the output already.
            let _ = thread.join();
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn configured(postgres: &PgCluster) -> Cluster {
    let node = |node: &PgNode| Node {
        name: node.name.as_str().into(),
        host: node.host.as_str().into(),
        port: node.port,
        weight: 100,
        labels: [].into(),
        executor: Arc::default(),
    };
    Cluster {
        name: "main".into(),
        nodes: postgres.nodes().iter().map(node).collect(),
        control_user: SUPERUSER.into(),
        control_password: None,
        control_database: "postgres".into(),
        failover: Default::default(),
        healing: Default::default(),
        replication_user: None,
        replication_password: None,
    }
}

fn postgres(standbys: usize) -> PgCluster {
    PgCluster::start(ClusterOptions { standbys, ..Default::default() }).unwrap()
}

#[test]
fn a_killed_standby_leaves_at_once_and_comes_back_with_a_ramp() {
    let postgres = postgres(2);
    let watched = Watched::over(&postgres, None);
    watched.until_all_are_up();
    assert_eq!(watched.facts.load().primary, Some(NodeId(0)));
    let epoch = watched.facts.load().epoch;

    let killed = Instant::now();
    thread::scope(|scope| {
        // Killing waits until the dead are buried; the facts are there long before.
        let murder = scope.spawn(|| postgres.standbys()[0].kill9());
        watched.until_health(1, Health::Down);
        assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
        assert_eq!(watched.facts.load().epoch, epoch + 1);
        murder.join().unwrap().unwrap();
    });
    watched.assert_fresh(&[0, 2]);

    postgres.standbys()[0].start().unwrap();
    watched.until_health(1, Health::Up);
    let ramp = watched.node(1).ramp_percent;
    assert!((10..100).contains(&ramp), "{ramp} %");
    assert!(watched.facts.load().epoch >= epoch + 3, "down, proving, up");
    watched.until("the full share", |facts| facts.nodes[1].ramp_percent == 100);
}

#[test]
fn a_frozen_standby_leaves_after_the_timeout_and_delays_nobody() {
    let postgres = postgres(2);
    let watched = Watched::over(&postgres, None);
    watched.until_all_are_up();

    let frozen = Instant::now();
    postgres.standbys()[0].sigstop();
    watched.until_health(1, Health::Down);

    let took = frozen.elapsed();
    assert!(took > TIMINGS.probe_timeout - TIMINGS.probe_interval, "{took:?}");
    assert!(took < TIMINGS.probe_timeout + Duration::from_secs(1), "{took:?}");
    watched.assert_fresh(&[0, 2]);

    postgres.standbys()[0].sigcont();
    watched.until_health(1, Health::Up);
}

#[test]
fn a_promotion_moves_the_primary_and_the_old_one_is_not_used_when_it_wakes_up() {
    let postgres = postgres(2);
    let watched = Watched::over(&postgres, None);
    watched.until_all_are_up();

    postgres.primary().sigstop();
    watched.until("no primary", |facts| facts.primary.is_none());
    assert_eq!(watched.node(2).health, Health::Up, "reads go on");

    postgres.standbys()[0].psql("SELECT pg_promote()").unwrap();
    let took = watched.until("another primary", |facts| facts.primary == Some(NodeId(1)));
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!((watched.node(1).role, watched.node(1).timeline), (Role::Primary, Some(2)));

    postgres.primary().sigcont();
    watched.until("the old primary, refused", |facts| {
        facts.nodes[0].why.as_deref() == Some("takes writes on the old timeline 1, the cluster is on 2")
    });
    assert_eq!(watched.facts.load().primary, Some(NodeId(1)));
}

#[test]
fn positions_are_as_fresh_as_a_session_wants_them() {
    let postgres = postgres(1);
    let watched = Watched::over(&postgres, None);
    watched.until_all_are_up();
    postgres.primary().psql("CREATE TABLE t (x int)").unwrap();

    for round in 0..20 {
        postgres.primary().psql(&format!("INSERT INTO t VALUES ({round})")).unwrap();
        let written_at = tokio::time::Instant::now();
        let flushed: Lsn = postgres.primary().psql("SELECT pg_current_wal_flush_lsn()").unwrap().parse().unwrap();
        watched.facts.want_fresh();
        watched.until("a sample of the primary that covers it", |facts| {
            let primary = facts.primary().unwrap();
            primary.sampled_at >= written_at && primary.received >= Some(flushed)
        });
        watched.until("a standby that has replayed it", |facts| {
            watched.facts.want_fresh();
            facts.nodes[1].replayed >= Some(flushed)
        });
    }
    watched.until("no lag", |facts| (facts.nodes[1].lag_bytes, facts.nodes[1].lag) == (Some(0), Some(Duration::ZERO)));
}

#[test]
fn lag_is_told_in_bytes_and_in_time() {
    let postgres = postgres(1);
    postgres.standbys()[0].alter_system("recovery_min_apply_delay", "1s").unwrap();
    let watched = Watched::over(&postgres, None);
    watched.until_all_are_up();
    postgres.primary().psql("CREATE TABLE t (x int)").unwrap();

    let until = Instant::now() + Duration::from_secs(4);
    let mut longest = Duration::ZERO;
    while Instant::now() < until {
        postgres.primary().psql("INSERT INTO t SELECT generate_series(1, 100)").unwrap();
        longest = longest.max(watched.node(1).lag.unwrap_or_default());
    }

    assert!(watched.node(1).lag_bytes > Some(0));
    assert!(longest > Duration::from_millis(800) && longest < Duration::from_secs(5), "{longest:?}");
    watched.until("caught up", |facts| facts.nodes[1].lag == Some(Duration::ZERO));
}

#[test]
fn a_control_user_with_a_wrong_password_is_told_so() {
    let postgres = PgCluster::start(ClusterOptions { standbys: 0, auth: Auth::Scram, ..Default::default() }).unwrap();

    let wrong = Watched::over(&postgres, Some("guess"));
    wrong.until("a reason", |facts| {
        let why = facts.nodes[0].why.as_deref();
        why.is_some_and(|why| why.contains("password authentication failed for user \"postgres\""))
    });
    assert_eq!((wrong.node(0).role, wrong.node(0).health), (Role::Unknown, Health::Down));

    Watched::over(&postgres, Some(howdah::demo::node::PASSWORD)).until_all_are_up();
}

#[test]
fn catalogs_are_read_on_demand_and_again_when_told() {
    let postgres = postgres(0);
    let define = "CREATE FUNCTION own() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'";
    postgres.primary().psql(define).unwrap();
    let watched = Watched::over(&postgres, None);
    watched.until_all_are_up();
    let knows = |expected: Knowledge| {
        let catalogs = watched.handle().catalogs();
        watched.until("the catalog", |_| catalogs.get("postgres").function(None, "own") == expected);
    };

    knows(Knowledge::Reads);
    postgres.primary().psql("ALTER FUNCTION own() VOLATILE").unwrap();
    watched.handle().catalogs().refresh("postgres", false);
    knows(Knowledge::MayWrite);
}
