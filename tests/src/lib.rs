//! What the promises are proved with: a shared cluster, the proxy as a process, drivers of other languages.
//!
//! The cluster and the process come from `howdah::demo`; here is what only tests need. Everything
//! fails by panicking, because a test has nobody to report to.

pub mod clients;
pub mod conformance;
pub mod drivers;
pub mod fuzz;
pub mod history;
pub mod program;
mod proxy;
pub mod random;
pub mod raw;
pub mod relay;

use std::{
    env,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use howdah::demo::{ClusterOptions, PgCluster};
pub use howdah::demo::{Load, ProxyConfig, process::Signal};
pub use proxy::Proxy;

/// Longest wait for anything; a test that meets it has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One primary and two standbys for all tests that hurt nobody; it goes with the test process.
///
/// Who stops nodes, or changes what others see, starts a cluster of its own.
pub fn shared_cluster() -> &'static PgCluster {
    static CLUSTER: OnceLock<PgCluster> = OnceLock::new();
    CLUSTER.get_or_init(|| PgCluster::start(ClusterOptions::default()).expect("a cluster for the tests"))
}

/// A database of one's own on the shared cluster, so that tests do not meet.
pub fn fresh_database() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", MADE.fetch_add(1, Ordering::Relaxed));
    let cluster = shared_cluster();
    cluster.primary().psql(&format!("CREATE DATABASE {name}")).expect("a database for the test");
    for standby in cluster.standbys() {
        cluster.wait_until_replayed(standby, PATIENCE).expect("the database is on every node");
    }
    name
}

/// How long a load runs: `short`, or `long` when HOWDAH_TEST_LONG is set.
pub fn load_time(short: u64, long: u64) -> Duration {
    Duration::from_secs(if env::var_os("HOWDAH_TEST_LONG").is_some() { long } else { short })
}
