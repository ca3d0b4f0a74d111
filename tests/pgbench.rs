//! PostgreSQL's own load generator sees no error, in any protocol mode and either pool mode.

use howdah::demo::{Load, PgNode};
use howdah_tests::{PATIENCE, Proxy, fresh_database, load_time, shared_cluster};

const PROTOCOLS: [&str; 3] = ["simple", "extended", "prepared"];

#[test]
fn every_load_runs_without_an_error_in_transaction_mode() {
    run_all("transaction");
}

#[test]
fn every_load_runs_without_an_error_in_session_mode() {
    run_all("session");
}

fn run_all(pool_mode: &str) {
    let (cluster, database) = (shared_cluster(), fresh_database());
    let primary = cluster.primary();
    let load = |port: u16, arguments: &str| Load { database: database.clone(), ..Load::new(port, arguments) };
    load(primary.port, "-i -q -s 2").run(primary).unwrap();
    for standby in cluster.standbys() {
        cluster.wait_until_replayed(standby, PATIENCE).unwrap();
    }
    let proxy = Proxy::start(cluster, |config| config.set("pool_mode", &format!("{pool_mode:?}")));
    let seconds = load_time(1, 10).as_secs();
    let run = |arguments: &str| {
        let result = load(proxy.port(), &format!("{arguments} -j 2 -T {seconds}")).run(primary).unwrap();
        result.clean().unwrap_or_else(|error| panic!("{pool_mode} {arguments}: {error}")).transactions
    };

    let before: Vec<u64> = cluster.standbys().iter().map(|node| commits(node, &database)).collect();
    for protocol in PROTOCOLS {
        let reads = run(&format!("-S -c 8 -M {protocol}"));
        let writes = run(&format!("-c 8 -M {protocol}"));
        assert!(reads > 0 && writes > 0, "{protocol}");
    }
    for kind in ["-S", ""] {
        assert!(run(&format!("{kind} -C -c 4")) > 0, "a connection for each transaction");
    }

    for (standby, before) in cluster.standbys().iter().zip(before) {
        let served = commits(standby, &database) - before;
        assert!(served > 100, "{} has served {served} reads", standby.name);
    }
}

fn commits(node: &PgNode, database: &str) -> u64 {
    let sql = format!("SELECT xact_commit FROM pg_stat_database WHERE datname = '{database}'");
    node.psql(&sql).unwrap().parse().unwrap()
}

#[test]
fn sessions_that_want_servers_of_several_nodes_never_wait_for_each_other_in_a_circle() {
    let (cluster, database) = (shared_cluster(), fresh_database());
    let primary = cluster.primary();
    let load = |port: u16, arguments: &str| Load { database: database.clone(), ..Load::new(port, arguments) };
    load(primary.port, "-i -q -s 1").run(primary).unwrap();
    let proxy = Proxy::start(cluster, |config| config.set("pool_mode", "\"session\"").set("default_pool_size", "2"));

    let mixed = load(proxy.port(), "-c 8 -t 50 -b select-only@3 -b tpcb-like@1").run(primary).unwrap();

    assert_eq!(mixed.clean().unwrap().transactions, 400);
}
