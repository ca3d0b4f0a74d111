//! What one run of a suite has to itself: a primary, two standbys, and the door that its way leads through.
//!
//! A fresh cluster for each run, because suites leave roles, databases and prepared transactions behind.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use howdah::demo::{ClusterOptions, PgCluster, PgNode, ProxyConfig, ports};

use super::Way;
use crate::Proxy;

/// Until the standbys have what a suite starts from.
const REPLAY_PATIENCE: Duration = Duration::from_secs(60);

/// Threads of the proxy: more than one, so that sessions of different threads hand servers to each other.
const WORKERS: &str = "2";

/// As PostgreSQL's defaults and its own tests' expectations have it.
const SETTINGS: [(&str, &str); 1] = [
    // With feedback a standby keeps VACUUM on the primary from marking pages all-visible, and plans differ from the
    // expected ones, the proxy or no proxy.
    ("hot_standby_feedback", "off"),
];

/// A cluster with the proxy in front of it, unless the way is direct.
pub struct Bed {
    // The proxy goes first.
    proxy: Option<Proxy>,
    cluster: PgCluster,
    way: Way,
}

impl Bed {
    /// Starts the cluster.
    pub fn make(way: Way) -> Result<Self> {
        let extra_conf = SETTINGS.map(|(name, value)| (name.into(), value.into())).to_vec();
        let cluster = PgCluster::start(ClusterOptions { extra_conf, ..ClusterOptions::default() })?;
        Ok(Self { proxy: None, cluster, way })
    }

    /// The node whose answers count.
    pub fn primary(&self) -> &PgNode {
        self.cluster.primary()
    }

    /// All nodes, the primary first.
    pub fn nodes(&self) -> &[PgNode] {
        self.cluster.nodes()
    }

    /// Goes away with the cluster; the account that the servers run as may enter it.
    pub fn folder(&self) -> &Path {
        self.cluster.folder()
    }

    /// Opens the way, once the standbys have all that the primary has; the port to connect to.
    ///
    /// A door that was open before is closed.
    pub fn open(&mut self, change: impl FnOnce(ProxyConfig) -> ProxyConfig) -> Result<u16> {
        for standby in self.cluster.standbys() {
            self.cluster.wait_until_replayed(standby, REPLAY_PATIENCE)?;
        }
        self.proxy = None;
        if self.way == Way::Direct {
            return Ok(self.primary().port);
        }
        let port = ports::free_port().context("no port is free")?;
        let config = ProxyConfig::for_cluster(&self.cluster, port)
            .set("workers", WORKERS)
            .set("pool_mode", &format!("{:?}", self.way.name()));
        let proxy = Proxy::try_start(&self.cluster, change(config))?;
        Ok(self.proxy.insert(proxy).port())
    }

    /// Where to connect to, for who wants to look around.
    pub fn port(&self) -> u16 {
        self.proxy.as_ref().map_or(self.primary().port, |proxy| proxy.port())
    }

    /// Copies what the proxy and the nodes have logged.
    pub fn keep_logs(&self, folder: &Path) -> Result<()> {
        if let Some(proxy) = &self.proxy {
            fs::write(folder.join("howdah.log"), proxy.log_lines().join("\n"))?;
            fs::copy(proxy.config_file(), folder.join("howdah.toml"))?;
        }
        for node in self.nodes() {
            fs::copy(node.log_file(), folder.join(format!("{}.log", node.name)))?;
        }
        Ok(())
    }
}
