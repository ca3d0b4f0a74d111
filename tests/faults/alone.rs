//! What looks like the loss of a primary, and is none: nobody is promoted.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use howdah::demo::{ClusterOptions, PgCluster, PgNode, process};
use howdah_tests::{PATIENCE, Signal, clients, history::Load};

use super::{ERRORS_PER_LOSS, Scene, impatient, measured, synchronous};
use crate::rejoin::lab::block_on;

/// Shorter than `hang_timeout`: a busy host.
const HICCUP: Duration = Duration::from_millis(1_500);

/// Longer than `hang_timeout`: what is no loss is none after that time either.
const LONG: Duration = Duration::from_secs(4);

/// For new sessions; replication goes on.
const SHUT_OUT: &str = "host replication all 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 reject\n";

#[test]
fn a_primary_that_is_only_unwell_is_left_alone() {
    let scene = Scene::start();
    let load = scene.load();
    let primary = scene.primary();

    let hiccup = outage(&scene, &load, || {
        primary.sigstop();
        thread::sleep(HICCUP);
        primary.sigcont();
    });
    nothing_failed(&scene, &load, "a hiccup");
    let half_frozen = outage(&scene, &load, || {
        let postmaster = primary.postmaster().unwrap();
        process::signal(Signal::Stop, &[postmaster]);
        thread::sleep(LONG);
        process::signal(Signal::Continue, &[postmaster]);
    });
    nothing_failed(&scene, &load, "a postmaster that hangs");
    let full = outage(&scene, &load, || fill(primary));
    nothing_failed(&scene, &load, "max_connections");
    let shut_out = outage(&scene, &load, || shut_us_out(primary));
    scene.await_whole(2);
    nothing_failed(&scene, &load, "credentials");

    let crashed = outage(&scene, &load, || kill_a_backend(primary));
    scene.await_whole(2);
    let restarted = outage(&scene, &load, || {
        primary.stop().unwrap();
        primary.start().unwrap();
    });
    scene.await_whole(2);
    let history = scene.settle(load);

    measured("1.5 s hiccup", format_args!("no writes for {hiccup:?}"));
    measured("postmaster frozen for 4 s", format_args!("no writes for {half_frozen:?}"));
    measured("max_connections used up for 4 s", format_args!("no writes for {full:?}"));
    measured("wrong credentials for 4 s", format_args!("no writes for {shut_out:?}"));
    let (failed, states) = (history.failed_writes().len(), history.sqlstates());
    measured("backend killed", format_args!("no writes for {crashed:?}"));
    measured("restarted", format_args!("no writes for {restarted:?}; {failed} failed with {states:?} in both"));
    assert_eq!(scene.promotions(), 0, "{}", scene.story());
    assert_eq!(scene.primary().name, primary.name);
    // It crashed, and it was stopped.
    assert!(
        history.most_errors_of_a_writer() <= 2 * ERRORS_PER_LOSS,
        "{:?}\n{}",
        history.failed_writes(),
        scene.story()
    );
    assert!(history.failed_reads().is_empty(), "{:?}\n{}", history.failed_reads(), scene.story());
}

#[track_caller]
fn outage(scene: &Scene, load: &Load, hurt: impl FnOnce()) -> Duration {
    let hurt_at = Instant::now();
    hurt();
    let outage = scene.resumed(load, hurt_at);
    scene.await_state("Steady");
    assert_eq!(scene.promotions(), 0, "{}", scene.story());
    outage
}

#[track_caller]
fn nothing_failed(scene: &Scene, load: &Load, what: &str) {
    let history = load.so_far();
    assert!(history.failed_writes().is_empty(), "{what}: {:?}\n{}", history.failed_writes(), scene.story());
    assert!(history.failed_reads().is_empty(), "{what}: {:?}\n{}", history.failed_reads(), scene.story());
}

/// Every connection that a node has is taken, for some time.
fn fill(node: &PgNode) {
    block_on(async {
        let mut taken = Vec::new();
        while let Ok((client, connection)) = clients::config(node.port, "postgres").connect(tokio_postgres::NoTls).await
        {
            tokio::spawn(async { connection.await.ok() });
            taken.push(client);
        }
        tokio::time::sleep(LONG).await;
    });
}

/// The sessions that look after a node are ended, and no others are let in.
fn shut_us_out(node: &PgNode) {
    let file = node.data.join("pg_hba.conf");
    let before = fs::read_to_string(&file).unwrap();
    let reload = |text: &str| {
        fs::write(&file, text).unwrap();
        process::signal(Signal::HangUp, &[node.postmaster().unwrap()]);
    };
    let ours = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'howdah%'";
    let ended = block_on(async {
        let client = clients::connect(node.port, "postgres").await;
        reload(SHUT_OUT);
        thread::sleep(Duration::from_millis(200));
        clients::ask(&client, ours).await.unwrap()
    });
    assert_ne!(ended, "0", "the proxy has sessions of its own");
    thread::sleep(LONG);
    reload(&before);
}

/// PostgreSQL ends every session then, and recovers.
pub fn kill_a_backend(node: &PgNode) {
    let one =
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1";
    let pid = node.psql(one).unwrap().parse().unwrap();
    process::signal(Signal::Kill, &[pid]);
    let gone = howdah::demo::wait::until(PATIENCE, || (!process::is_alive(pid)).then_some(()));
    assert!(gone.is_some());
}

/// Its address leads to a server of another cluster.
#[test]
fn a_node_of_another_cluster_gets_no_work_and_is_no_rival() {
    let stranger = PgCluster::start(ClusterOptions { standbys: 0, ..Default::default() }).unwrap();
    let port = std::cell::Cell::new(0);
    let scene = Scene::with(synchronous(2), |config| {
        // The last node's address.
        let listed = config.to_toml();
        let last = listed.lines().find(|line| line.contains("name = \"n2\"")).expect("n2 is a node");
        let digits = last.split("port = ").nth(1).expect("with a port").split(' ').next().expect("a number");
        port.set(digits.parse().expect("a number"));
        impatient(config).through(port.get(), stranger.primary().port)
    });
    let load = scene.load();

    scene.until("found out", || scene.of_node("n2", "quarantine").contains("another cluster"));
    scene.at_work(&load);
    let history = scene.settle(load);

    assert_eq!(scene.state(), "Steady", "{}", scene.story());
    assert!(history.failed_writes().is_empty() && history.failed_reads().is_empty(), "{}", scene.story());
    assert_eq!(stranger.primary().psql("SELECT to_regclass('history') IS NULL").unwrap(), "t");
}
