//! A proxy that serves nobody, for tests of what is shown of it.

use std::{
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::mpsc, time::Instant};

use super::execute::Context;
use crate::{
    auth::Secrets,
    client::ConsoleRole,
    config::{Cluster, Config, Database, Node},
    facts::{Facts, FactsCell, Health, NodeFacts, Reading, Reports, Role},
    generation::{CatalogSource, ClusterRuntime, Generation},
    id::{Lsn, NodeId},
    net::stream::PeerAddr,
    operate::{Command, Commands},
    plugin::{ControlPolicies, Router},
    pool::PoolSet,
    server::ServerTls,
    session::info::{ClientInfo, NewClient},
    shutdown::Shutdown,
    sql::Catalog,
    worker::{Shared, Worker},
};

struct NoCatalog;

impl CatalogSource for NoCatalog {
    fn changes(&self) -> u64 {
        0
    }

    fn catalog(&self, _: &str) -> Arc<Catalog> {
        Arc::new(Catalog::empty())
    }

    fn refresh(&self, _: &str, _: bool) -> Option<Reading> {
        None
    }
}

/// The cluster `main`: n0 is the primary, n1 a standby, n2 is down.
pub(super) fn facts() -> Facts {
    let node = |number: u16, role, health, why: Option<&str>| NodeFacts {
        id: NodeId(number),
        name: format!("n{number}").into(),
        host: "127.0.0.1".into(),
        port: 5432 + number,
        weight: 100,
        labels: Arc::from([]),
        role,
        health,
        ramp_percent: 100,
        server_version: Some(170_000),
        timeline: (health == Health::Up).then_some(3),
        received: (health == Health::Up).then_some(Lsn(0x16_0000_0000)),
        replayed: (health == Health::Up).then_some(Lsn(0x16_0000_0000)),
        inserted: None,
        async_commit: false,
        lag_bytes: (health == Health::Up).then_some(0),
        lag: (health == Health::Up).then_some(Duration::ZERO),
        sampled_at: Instant::now(),
        why: why.map(Arc::from),
    };
    let nodes = vec![
        node(0, Role::Primary, Health::Up, None),
        node(1, Role::Standby, Health::Up, None),
        node(2, Role::Unknown, Health::Down, Some("connection refused")),
    ];
    Facts { epoch: 1, primary: Some(NodeId(0)), nodes, ..Facts::default() }
}

fn config() -> Config {
    let node = |number: u16| Node {
        name: format!("n{number}").into(),
        host: "127.0.0.1".into(),
        port: 5432 + number,
        weight: 100,
        labels: Arc::from([]),
        executor: Arc::default(),
    };
    let cluster = Cluster {
        name: "main".into(),
        nodes: (0..3).map(node).collect(),
        control_user: "postgres".into(),
        control_password: None,
        control_database: "postgres".into(),
        failover: Default::default(),
        healing: Default::default(),
        replication_user: None,
        replication_password: None,
    };
    let database = Arc::new(Database { cluster: "main".into(), ..Database::default() });
    let mut config = Config::default();
    config.clusters.insert("main".into(), Arc::new(cluster));
    config.databases.insert("app".into(), Arc::clone(&database));
    config.databases.insert("*".into(), database);
    config.workers = 1;
    config
}

/// A proxy whose control plane is the receiver.
pub(super) fn shared() -> (Arc<Shared>, mpsc::Receiver<Command>) {
    let (reports, _) = Reports::channel();
    let cluster = ClusterRuntime {
        name: "main".into(),
        facts: Arc::new(FactsCell::new(facts())),
        status: Arc::default(),
        router: Arc::new(Router::null()),
        policies: ControlPolicies::default(),
        catalogs: Arc::new(NoCatalog),
        reports,
    };
    let generation = Generation {
        number: 1,
        since: SystemTime::UNIX_EPOCH,
        cause: "start".into(),
        config: Arc::new(config()),
        secrets: Arc::new(std::iter::empty::<(&String, &String)>().collect::<Secrets>()),
        clusters: HashMap::from([(Arc::from("main"), Arc::new(cluster))]),
        client_tls: None,
        server_tls: ServerTls::DISABLED,
    };
    let (commands, commanded) = Commands::channel();
    (Arc::new(Shared::new(Arc::new(generation), commands, Shutdown::default())), commanded)
}

/// An operator's view of it.
pub(super) fn context(shared: &Arc<Shared>) -> Context {
    Context {
        worker: Rc::new(Worker::new(0, Arc::clone(shared))),
        user: "root".into(),
        role: ConsoleRole::Admin,
        by_pgbouncers_rows: false,
    }
}

/// The pools of a user of a database.
pub(super) fn pools(shared: &Shared, database: &str, user: &str) -> Arc<PoolSet> {
    let generation = shared.generation.load_full();
    shared
        .registry
        .set(&generation.config, database, user, None, &|config, entry, database, user, node, shown| {
            generation.target(config, entry, database, user, node, shown)
        })
        .expect("the configuration has every database")
}

/// A client that is connected and does nothing.
pub(super) fn client(shared: &Shared, database: &str, user: &str) -> Arc<ClientInfo> {
    shared.clients.register(NewClient {
        user: user.into(),
        database: database.into(),
        application: "psql".into(),
        address: PeerAddr::Unix,
        local: PeerAddr::Unix,
        tls: false,
        console: false,
        worker: 0,
        key_bytes: 4,
        peer_id: 0,
    })
}
