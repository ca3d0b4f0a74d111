//! The primary is exchanged as planned, and nobody notices.

use std::{process::Stdio, time::Instant};

use howdah_tests::{PATIENCE, clients};

use super::{Scene, impatient, in_full, measured, middle_and_worst, synchronous};
use crate::rejoin::lab::block_on;

/// What is logged when a node's data has to be rewound.
const REWIND: &str = "pg_rewind";

#[test]
fn switchovers_under_load_fail_nobody() {
    let scene = Scene::with(synchronous(2), |config| impatient(config).in_cluster("drain_timeout", "2"));
    let load = scene.load();
    let times = if in_full() { 10 } else { 3 };
    let mut holds = Vec::new();
    for _ in 0..times {
        let before = scene.primary();
        let ordered = Instant::now();
        scene.order("SWITCHOVER");
        holds.push(scene.resumed(&load, ordered));
        assert_ne!(scene.primary().name, before.name);
        scene.await_whole(2);
    }
    assert_eq!(scene.promotions(), times);

    a_transaction_that_stays_open_calls_it_off(&scene);
    scene.await_whole(2);
    a_backup_on_the_candidate_ends_and_does_no_harm(&scene);
    scene.await_whole(2);
    let history = scene.settle(load);

    let (hold, worst) = middle_and_worst(holds);
    let requests = history.requests.len();
    measured(
        "switchover",
        format_args!("{times} times; no writes for {hold:?} in the middle, {worst:?} at worst; {requests} requests"),
    );
    assert!(history.failed_writes().is_empty(), "{:?}\n{}", history.failed_writes(), scene.story());
    assert!(history.failed_reads().is_empty(), "{:?}\n{}", history.failed_reads(), scene.story());
    assert!(history.disconnects.is_empty(), "no session ends");
    assert_eq!(scene.promotions(), times + 1, "{}", scene.story());
    assert!(!scene.proxy.log_lines().iter().any(|line| line.contains(REWIND)), "nobody had to be rewound");
    for node in scene.cluster.nodes() {
        let idle = "SELECT count(*) FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL";
        scene.until("rid of slots", || node.psql(idle).unwrap() == "0");
    }
}

/// Longer than `drain_timeout`: the switchover is called off, and the transaction commits.
fn a_transaction_that_stays_open_calls_it_off(scene: &Scene) {
    let before = scene.primary();
    block_on(async {
        let client = clients::connect(scene.proxy.port(), "postgres").await;
        client.batch_execute("BEGIN; CREATE TABLE held (x int)").await.unwrap();
        let console = scene.proxy.console();
        let refused = tokio::task::spawn_blocking(move || console.ask("SWITCHOVER")).await.unwrap();
        let refused = refused.expect_err("it is called off").to_string();
        assert!(refused.contains("transaction"), "{refused}");
        client.batch_execute("INSERT INTO held VALUES (1); COMMIT").await.unwrap();
    });
    assert_eq!(scene.primary().name, before.name);
}

/// A promotion ends the backup of a standby.
fn a_backup_on_the_candidate_ends_and_does_no_harm(scene: &Scene) {
    let candidate = scene.standbys()[0];
    let folder = scene.cluster.folder().join("backup");
    let mut backup = candidate.command("pg_basebackup");
    backup.args([
        "--max-rate=4M",
        "--checkpoint=fast",
        "--no-sync",
        "--host=127.0.0.1",
        "--username=postgres",
        "--port",
    ]);
    backup.arg(candidate.port.to_string()).arg("--pgdata").arg(&folder).stdout(Stdio::null()).stderr(Stdio::null());
    let mut backup = backup.spawn().unwrap();
    let copying = "SELECT EXISTS (SELECT FROM pg_stat_progress_basebackup WHERE phase LIKE 'streaming%')";
    scene.until("copying", || candidate.psql(copying).is_ok_and(|copying| copying == "t"));

    scene.order(&format!("SWITCHOVER TO {}", candidate.name));

    let ended = howdah::demo::wait::until(PATIENCE, || backup.try_wait().unwrap());
    let ended = ended.unwrap_or_else(|| {
        backup.kill().unwrap();
        backup.wait().unwrap()
    });
    assert!(!ended.success(), "the backup of a standby that is promoted is none");
    scene.until("elsewhere", || scene.primary().name == candidate.name);
}
