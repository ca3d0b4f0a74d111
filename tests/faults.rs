//! A cluster heals itself: whatever is done to its nodes, no acknowledged row is lost and clients wait instead of failing.
//!
//! Each test has a cluster of its own, three nodes of which commits wait for one standby, and clients that write
//! and read meanwhile; [`history`](howdah_tests::history) compares what they were told with what is stored.

mod primary;
mod standby;
mod switchover;

use std::time::Duration;

use howdah::demo::{ClusterOptions, PgCluster, PgNode, ProxyConfig, Synchronous, wait};
pub use howdah_tests::hands::executed_here;
use howdah_tests::{PATIENCE, Proxy};

/// A primary and two standbys, of which each commit waits for one.
fn synchronous_cluster() -> PgCluster {
    let options = ClusterOptions { sync: Synchronous::Any(1), durable: true, ..Default::default() };
    PgCluster::start(options).expect("a cluster starts")
}

/// A proxy that heals the cluster.
fn healing(cluster: &PgCluster, change: impl FnOnce(ProxyConfig) -> ProxyConfig) -> Proxy {
    let proxy = Proxy::start(cluster, |config| {
        let config = config.in_cluster("failover", "\"automatic\"").in_cluster("synchronous_mode", "\"on\"");
        change(config.set("pool_mode", "\"transaction\"").set("default_pool_size", "40"))
    });
    await_state(&proxy, "Steady", PATIENCE);
    proxy
}

/// A column of SHOW CLUSTER, of each node.
fn column(proxy: &Proxy, name: &str) -> Vec<String> {
    let table = proxy.console().table("SHOW CLUSTER").expect("SHOW CLUSTER answers");
    table.column(name).into_iter().map(str::to_owned).collect()
}

/// Waits until the cluster is in that state.
#[track_caller]
fn await_state(proxy: &Proxy, state: &str, limit: Duration) {
    let reached = wait::until(limit, || column(proxy, "state").iter().all(|is| is == state).then_some(()));
    assert!(
        reached.is_some(),
        "the cluster becomes {state}; it is {:?}: {:?}\n{}",
        column(proxy, "state"),
        column(proxy, "reason"),
        story(proxy)
    );
}

/// What the steward told, for messages.
fn story(proxy: &Proxy) -> String {
    let said = proxy.log_lines();
    let lines: Vec<_> = said.iter().filter(|line| !line.contains("client")).cloned().collect();
    lines[lines.len().saturating_sub(80)..].join("\n")
}

/// The node that the proxy takes for the primary.
fn primary_of<'c>(proxy: &Proxy, cluster: &'c PgCluster) -> Option<&'c PgNode> {
    let table = proxy.console().table("SHOW NODES").expect("SHOW NODES answers");
    let is_primary =
        |row: &&Vec<String>| table.value(row, "role") == Some("primary") && table.value(row, "health") == Some("up");
    let name = table.rows.iter().find(is_primary).and_then(|row| table.value(row, "name"))?;
    cluster.node(name).ok()
}
