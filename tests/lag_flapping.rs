//! Reads that move between the primary and the standbys take their prepared statements along.

use std::time::{Duration, Instant};

use howdah::demo::{ClusterOptions, Load, PgCluster, PgNode};
use howdah_tests::{PATIENCE, Proxy, load_time};

/// Long beside `max_lag`, short beside the load.
const DELAY: &str = "300ms";

#[test]
fn prepared_statements_never_fail_while_lag_moves_reads_to_and_fro() {
    let cluster = PgCluster::start(ClusterOptions::default()).unwrap();
    let primary = cluster.primary();
    // Writes have a database of their own, so that the other one's figures are those of reads.
    primary.psql("CREATE DATABASE reads; CREATE DATABASE writes").unwrap();
    for database in ["reads", "writes"] {
        in_database(Load::new(primary.port, "-i -q"), database).run(primary).unwrap();
    }
    for standby in cluster.standbys() {
        cluster.wait_until_replayed(standby, PATIENCE).unwrap();
    }
    let settings = "{ max_lag = \"50ms\", causal_reads = \"none\" }";
    let proxy = Proxy::start(&cluster, |config| {
        config.set("pool_mode", "\"transaction\"").router("builtin:read-write-split", settings)
    });
    let before: Vec<u64> = cluster.nodes().iter().map(commits).collect();
    let time = load_time(8, 60);

    let load = |arguments: &str| Load::new(proxy.port(), &format!("{arguments} -M prepared -T {}", time.as_secs()));
    let writes = in_database(load("-N -c 1 -R 200"), "writes").start(primary).unwrap();
    let reads = in_database(load("-S -c 8 -j 2"), "reads").start(primary).unwrap();
    let end = Instant::now() + time - Duration::from_secs(1);
    while Instant::now() < end {
        for delay in [DELAY, "0"] {
            cluster.standbys().iter().for_each(|node| node.alter_system("recovery_min_apply_delay", delay).unwrap());
            std::thread::sleep(Duration::from_millis(700));
        }
    }

    reads.finish().unwrap().clean().unwrap();
    writes.finish().unwrap().clean().unwrap();
    for (node, before) in cluster.nodes().iter().zip(before) {
        let served = commits(node) - before;
        assert!(served > 100, "{} has served {served} reads", node.name);
    }
}

fn in_database(load: Load, database: &str) -> Load {
    Load { database: database.into(), ..load }
}

fn commits(node: &PgNode) -> u64 {
    let sql = "SELECT xact_commit FROM pg_stat_database WHERE datname = 'reads'";
    node.psql(sql).unwrap().parse().unwrap()
}
