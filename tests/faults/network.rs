//! Nodes live, and do not hear each other.

use std::{
    cell::OnceCell,
    thread,
    time::{Duration, Instant},
};

use howdah::demo::{ClusterOptions, PgNode, ProxyConfig};
use howdah_tests::relay::{Cut, Relay};

use super::{ERRORS_PER_LOSS, Scene, impatient, in_full, left_out, measured, synchronous};

/// Longer than `hang_timeout` and whatever follows it.
const LONG: Duration = Duration::from_secs(5);

/// A cluster whose first primary is reached by everybody on a way that can be cut.
pub fn cuttable(options: ClusterOptions, change: impl FnOnce(ProxyConfig) -> ProxyConfig) -> (Scene, Relay) {
    let relay = OnceCell::new();
    let scene = Scene::with(options, |config| {
        let listed = config.to_toml();
        let first = listed.lines().find(|line| line.contains("name = \"n0\"")).expect("n0 is a node");
        let digits = first.split("port = ").nth(1).expect("with a port").split(' ').next().expect("a number");
        let port = digits.parse().expect("a number");
        let way = relay.get_or_init(|| Relay::to(port));
        change(impatient(config).through(port, way.port()))
    });
    let relay = relay.into_inner().expect("it was made");
    for standby in scene.cluster.standbys() {
        receive_through(standby, &relay);
    }
    scene.await_whole(scene_members(&scene));
    (scene, relay)
}

fn scene_members(scene: &Scene) -> usize {
    let names = scene.cluster.primary().psql("SHOW synchronous_standby_names").unwrap();
    if names.is_empty() { 0 } else { 2 }
}

fn receive_through(standby: &PgNode, relay: &Relay) {
    let source = format!("host=127.0.0.1 port={} user=postgres application_name={}", relay.port(), standby.name);
    standby.alter_system("primary_conninfo", &source).unwrap();
}

/// Only we do not hear the primary, or only its standbys do not: at most one node is promoted, and only after commits of
/// the old primary could not be acknowledged any more.
#[test]
fn a_network_that_is_cut_on_one_side_loses_nothing() {
    for way in [Cut::AllButReplication, Cut::Replication] {
        if way == Cut::Replication && !in_full() {
            continue;
        }
        cut_on_one_side(way);
    }
}

fn cut_on_one_side(way: Cut) {
    let (scene, relay) = cuttable(synchronous(2), |config| config);
    let load = scene.load();
    let cut = Instant::now();
    relay.cut(way);
    thread::sleep(LONG);
    relay.cut(Cut::Nothing);
    let outage = scene.resumed(&load, cut);
    if scene.primary().name != "n0" {
        scene.until("found out", || !scene.of_node("n0", "quarantine").is_empty());
        scene.order("REJOIN n0");
    }
    scene.await_whole(2);
    let history = scene.settle(load);

    let promotions = scene.promotions();
    measured(
        &format!("{way:?} cut off for {LONG:?}"),
        format_args!(
            "no writes for {outage:?}; {promotions} promoted; {} failed with {:?}",
            history.failed_writes().len(),
            history.sqlstates()
        ),
    );
    assert!(promotions <= u32::from(way == Cut::AllButReplication), "{}", scene.story());
    assert!(history.most_errors_of_a_writer() <= ERRORS_PER_LOSS, "{:?}", history.failed_writes());
    assert!(history.failed_reads().is_empty(), "{:?}", history.failed_reads());
}

/// Only we do not hear the primary, which may acknowledge commits to others: no standby would keep it from that. As it
/// is idle then, its standbys have to ask whether it lives.
#[test]
fn a_primary_that_only_we_do_not_hear_is_not_replaced_when_no_commit_waits_for_standbys() {
    let (scene, relay) = cuttable(ClusterOptions { durable: true, ..Default::default() }, |config| config);
    for node in scene.cluster.nodes() {
        node.alter_system("wal_receiver_timeout", "3s").unwrap();
    }
    let load = scene.load();
    let cut = Instant::now();
    relay.cut(Cut::AllButReplication);
    thread::sleep(LONG);
    relay.cut(Cut::Nothing);
    let outage = scene.resumed(&load, cut);
    scene.await_whole(0);
    let history = scene.settle(load);
    measured("primary cut off from us alone, asynchronous", format_args!("no writes for {outage:?}"));
    let story = scene.story();
    assert_eq!(scene.promotions(), 0, "{story}");
    assert!(story.contains("hears the primary"), "{story}");
    assert!(history.most_errors_of_a_writer() <= ERRORS_PER_LOSS, "{:?}", history.failed_writes());
    assert!(history.failed_reads().is_empty(), "{:?}", history.failed_reads());
}

/// Nobody hears the primary, or everybody speaks to it and hears no answer.
#[test]
fn a_primary_that_nobody_hears_is_replaced_and_acknowledges_nothing_more() {
    if left_out("primary isolated") {
        return;
    }
    for way in [Cut::All, Cut::Answers] {
        let (scene, relay) = cuttable(synchronous(2), |config| config);
        let load = scene.load();
        let cut = Instant::now();
        relay.cut(way);
        let outage = scene.resumed(&load, cut);
        let client = scene.cluster.primary().client();
        let alone = thread::spawn(move || client.ask("CREATE TABLE alone (x int)"));
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%alone%' \
                       AND pid <> pg_backend_pid()";
        scene.until("waiting for standbys", || scene.cluster.primary().psql(waiting).unwrap() == "1");
        relay.cut(Cut::Nothing);
        scene.until("found out", || scene.of_node("n0", "quarantine").contains("takes writes"));
        scene.order("REJOIN n0");
        scene.await_whole(2);
        let history = scene.settle(load);
        measured(
            &format!("primary isolated ({way:?})"),
            format_args!(
                "no writes for {outage:?}; {} failed with {:?}",
                history.failed_writes().len(),
                history.sqlstates()
            ),
        );
        assert_eq!(scene.promotions(), 1, "{}", scene.story());
        assert!(alone.join().unwrap().is_err(), "nobody acknowledged it");
        assert_eq!(scene.primary().psql("SELECT to_regclass('alone') IS NULL").unwrap(), "t");
        assert!(history.most_errors_of_a_writer() <= ERRORS_PER_LOSS, "{:?}", history.failed_writes());
        assert!(history.failed_reads().is_empty(), "{:?}", history.failed_reads());
    }
}
