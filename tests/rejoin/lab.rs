//! A cluster whose nodes can be acted upon, for tests of rejoins and of executors.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use howdah::{
    config::{Cluster, Executor as Settings, ExecutorKind, Node},
    control::{
        ControlLogin,
        host::{Executor, Host, HostError, Job, NodeState, Source, Step, Upstream},
        rejoin::{Order, Rejoin, RejoinError, Rejoined, replication_source},
    },
    demo::{ClusterOptions, PgCluster, PgNode, node::SUPERUSER, wait},
    net::stream::SocketOptions,
    server::ServerTls,
};
use howdah_tests::PATIENCE;
pub use howdah_tests::hands::{bin_dir, owner};

/// A cluster and what the proxy's configuration would say of it.
pub struct Lab {
    pub postgres: PgCluster,
    pub login: ControlLogin,
    change: Box<dyn Fn(&mut Settings)>,
    user: &'static str,
}

impl Lab {
    pub fn start(standbys: usize) -> Self {
        Self::with(standbys, &[])
    }

    pub fn with(standbys: usize, conf: &[(&str, &str)]) -> Self {
        let mut extra_conf = vec![("wal_retrieve_retry_interval".to_owned(), "200ms".to_owned())];
        extra_conf.extend(conf.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let postgres = PgCluster::start(ClusterOptions { standbys, extra_conf, ..Default::default() }).unwrap();
        postgres.primary().psql("CREATE TABLE t (x int)").unwrap();
        for standby in postgres.standbys() {
            postgres.wait_until_replayed(standby, PATIENCE).unwrap();
        }
        let login = ControlLogin { secret: None, tls: ServerTls::DISABLED, socket: SocketOptions::default() };
        Self { postgres, login, change: Box::new(|_| {}), user: SUPERUSER }
    }

    /// What the tests change in each node's executor.
    pub fn change(mut self, change: impl Fn(&mut Settings) + 'static) -> Self {
        self.change = Box::new(change);
        self
    }

    /// Another control user than the superuser.
    pub fn with_user(mut self, user: &'static str) -> Self {
        self.user = user;
        self
    }

    /// The control user's password.
    pub fn with_password(mut self, password: &str) -> Self {
        self.login.secret = Some(howdah::auth::Secret::parse(password));
        self
    }

    pub fn node(&self, number: usize) -> &PgNode {
        &self.postgres.nodes()[number]
    }

    pub fn cluster(&self, kind: ExecutorKind) -> Cluster {
        let node = |node: &PgNode| Node {
            name: node.name.as_str().into(),
            host: node.host.as_str().into(),
            port: node.port,
            weight: 100,
            labels: [].into(),
            executor: Arc::new(self.settings(kind, node)),
        };
        Cluster {
            failover: Default::default(),
            healing: Default::default(),
            name: "main".into(),
            nodes: self.postgres.nodes().iter().map(node).collect(),
            control_user: self.user.into(),
            control_password: None,
            control_database: "postgres".into(),
            replication_user: None,
            replication_password: None,
        }
    }

    fn settings(&self, kind: ExecutorKind, node: &PgNode) -> Settings {
        let mut settings = Settings {
            kind,
            data_dir: Some(text(&node.data)),
            bin_dir: Some(text(&bin_dir(node))),
            run_as: owner(&node.data),
            keep_diverged: true,
            timeout: PATIENCE,
            ..Settings::default()
        };
        (self.change)(&mut settings);
        settings
    }

    pub fn executor(&self, kind: ExecutorKind, number: usize) -> Executor {
        let cluster = self.cluster(kind);
        Executor::of(&cluster, &cluster.nodes[number], &self.login, PATIENCE).unwrap()
    }

    /// Hands a file of ours over to the user that PostgreSQL runs as.
    pub fn own(&self, file: &Path) {
        let like = self.node(0).data.join("PG_VERSION");
        assert!(Command::new("chown").arg("--reference").args([&like, file]).status().unwrap().success());
    }

    /// Where jobs keep what they save of a node.
    pub fn work_dir(&self, number: usize) -> PathBuf {
        self.node(number).data.with_extension("howdah")
    }

    /// How the other nodes reach a node.
    pub fn source(&self, number: usize) -> Source {
        let cluster = self.cluster(ExecutorKind::None);
        replication_source(&cluster, &cluster.nodes[number], &self.login)
    }

    /// How a node follows another.
    pub fn upstream(&self, number: usize, of: usize) -> Upstream {
        Upstream { source: self.source(of), name: self.node(number).name.clone(), slot: None, others: Vec::new() }
    }

    pub fn job(&self, steps: Vec<Step>) -> Job {
        Job { op: "op-1".into(), epoch: 1, steps, limit: PATIENCE }
    }

    pub fn carry_out(&self, host: &impl Host, steps: Vec<Step>) -> (Result<NodeState, HostError>, Vec<String>) {
        let mut heard = Vec::new();
        let mut listen = |line: &str| heard.push(line.to_owned());
        let outcome = block_on(host.carry_out(&self.job(steps), &mut listen));
        (outcome, heard)
    }

    /// A rejoin of `n0` to `n1` through the executor that tests use when it does not matter.
    pub fn rejoin(&self, order: Order) -> (Result<Rejoined, RejoinError>, Vec<String>) {
        self.rejoin_with(&self.executor(ExecutorKind::Exec, 0), ExecutorKind::Exec, order)
    }

    pub fn rejoin_with(
        &self,
        host: &impl Host,
        kind: ExecutorKind,
        order: Order,
    ) -> (Result<Rejoined, RejoinError>, Vec<String>) {
        let cluster = self.cluster(kind);
        let rejoin = Rejoin {
            cluster: &cluster,
            node: &cluster.nodes[0],
            primary: &cluster.nodes[1],
            login: &self.login,
            host,
            op: "op-1".into(),
            epoch: 1,
            slot: Some("howdah_n0".into()),
            order,
            max_rate_kib: None,
            connect_timeout: Duration::from_secs(5),
            streaming_timeout: Duration::from_secs(20),
        };
        let mut heard = Vec::new();
        let mut listen = |line: &str| heard.push(line.to_owned());
        let outcome = block_on(rejoin.run(&mut listen));
        (outcome, heard)
    }

    /// `n1` becomes the primary while `n0` is whatever it is.
    pub fn promote(&self) {
        self.node(1).psql("SELECT pg_promote()").unwrap();
    }

    /// Rows that the cluster never had, written by a primary that nobody follows any more.
    pub fn write_on_old_primary(&self) {
        self.node(0).psql("INSERT INTO t SELECT -1 FROM generate_series(1, 500)").unwrap();
    }

    /// What is written on `n1` arrives at `n0`, and nothing else is there.
    #[track_caller]
    pub fn assert_follows(&self) {
        self.node(1).psql("INSERT INTO t VALUES (7)").unwrap();
        let rows = "SELECT count(*) FILTER (WHERE x = 7), count(*) FILTER (WHERE x = -1) FROM t";
        let same = || {
            let (ours, theirs) = (self.node(0).psql(rows).ok()?, self.node(1).psql(rows).ok()?);
            (ours == theirs).then_some(ours)
        };
        let rows = wait::until(PATIENCE, same).expect("n0 replays what n1 writes");
        assert!(rows.ends_with("|0"), "no phantom rows: {rows}");
        assert_eq!(self.node(0).psql("SELECT pg_is_in_recovery()").unwrap(), "t");
        let names = "SELECT application_name FROM pg_stat_replication WHERE state = 'streaming'";
        let found = wait::until(PATIENCE, || {
            self.node(1).psql(names).ok().filter(|names| names.lines().any(|name| name == "n0"))
        });
        assert!(found.is_some(), "n0 is known by its name");
    }
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

pub fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
