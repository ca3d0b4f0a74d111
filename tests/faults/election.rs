//! Who takes over, and who does not.

use std::{
    thread,
    time::{Duration, Instant},
};

use howdah::demo::{ClusterOptions, PgNode};
use howdah_tests::history::{Load, TABLE};

use super::{READERS, Scene, impatient, measured, synchronous};

/// How long a cluster that must not promote anybody is watched, once it has said so.
const WATCHED: Duration = Duration::from_secs(2);

/// What the only standby that may have everything is lost with.
#[test]
fn with_the_only_synchronous_standby_lost_too_nobody_is_promoted_until_an_operator_allows_for_the_loss() {
    let scene = Scene::with(synchronous(2), |config| {
        let settings = "{ max_members = 1, allow_degrade = true }";
        impatient(config)
            .in_cluster("fence_timeout", "2")
            .section(&format!("[plugins.sync-set]\ncomponent = \"builtin:sync-set\"\nsettings = {settings}\n"))
    });
    scene.await_whole(1);
    let load = scene.load();
    let (primary, standbys) = (scene.primary(), scene.standbys());
    let (member, other) = match scene.of_node(&standbys[0].name, "sync") == "sync" {
        true => (standbys[0], standbys[1]),
        false => (standbys[1], standbys[0]),
    };

    // In one moment, so that nobody sees the one go before the other.
    member.sigstop();
    primary.sigstop();
    primary.kill9().unwrap();
    member.kill9().unwrap();
    scene.await_state("NoPrimarySafe");
    thread::sleep(WATCHED);
    assert_eq!(other.psql("SELECT pg_is_in_recovery()").unwrap(), "t", "nobody was promoted");
    assert!(scene.proxy.console().ask("FAILOVER").is_err(), "not without the words");
    assert_eq!(other.psql("SELECT pg_is_in_recovery()").unwrap(), "t");

    let ordered = Instant::now();
    let said = scene.proxy.console().ask("FAILOVER ALLOW DATA LOSS");
    let took = ordered.elapsed();
    scene.at_work(&load);
    let lost = scene.proxy.log_lines().into_iter().find(|line| line.contains("bytes of log lost at most"));
    assert!(lost.is_some(), "{said:?}\n{}", scene.story());
    let history = load.stop();
    measured(
        "primary and the only synchronous standby lost",
        format_args!("by hand within {took:?}; {} failed; {said:?}", history.failed_writes().len()),
    );
    assert_eq!(scene.primary().name, other.name);
    assert_eq!(scene.promotions(), 1);
}

/// Commits wait for nobody, and the standby that has most is down when the primary is lost.
#[test]
fn a_standby_that_is_ahead_of_the_new_primary_serves_nobody_what_does_not_exist() {
    let scene = Scene::with(ClusterOptions { durable: true, ..Default::default() }, |config| {
        impatient(config).in_cluster("auto_rejoin", "\"off\"")
    });
    let readers = Load::start(scene.proxy.port(), 0, READERS);
    let primary = scene.primary();
    let [behind, ahead] = scene.cluster.standbys() else { panic!("two standbys") };
    scene.cluster.wait_until_replayed(behind, howdah_tests::PATIENCE).unwrap();

    behind.alter_system("primary_conninfo", "").unwrap();
    scene.until("without it", || scene.of_node(&behind.name, "replication").is_empty());
    ahead.psql("SELECT pg_wal_replay_pause()").unwrap();
    primary.psql(&format!("INSERT INTO {TABLE} VALUES (-1)")).unwrap();
    scene.until("received", || received(ahead) > received(behind));
    ahead.sigstop();
    let lost = Instant::now();
    primary.kill9().unwrap();
    scene.until("replaced", || scene.promoted(behind));
    let outage = lost.elapsed();
    scene.await_state("Steady");

    ahead.sigcont();
    scene.until("found out", || scene.of_node(&ahead.name, "quarantine").contains("lacks"));
    ahead.psql("SELECT pg_wal_replay_resume()").unwrap();
    let phantoms = format!("SELECT count(*) FROM {TABLE} WHERE id < 0");
    scene.until("replayed", || ahead.psql(&phantoms).unwrap() == "1");
    thread::sleep(WATCHED);
    scene.order(&format!("REJOIN {}", ahead.name));
    scene.order(&format!("REJOIN {}", primary.name));
    scene.await_whole(0);
    assert_eq!(ahead.psql(&phantoms).unwrap(), "0");
    let history = readers.stop();

    measured(
        "standby ahead of the new primary",
        format_args!("replaced within {outage:?}; {} reads", history.requests.len()),
    );
    assert!(history.failed_reads().is_empty(), "{:?}\n{}", history.failed_reads(), scene.story());
    assert_eq!(scene.promotions(), 1);
}

impl Scene {
    fn promoted(&self, node: &PgNode) -> bool {
        node.psql("SELECT pg_is_in_recovery()").is_ok_and(|answer| answer == "f") && self.primary().name == node.name
    }
}

/// How far a standby has received, as a number.
fn received(standby: &PgNode) -> u64 {
    let sql = "SELECT pg_wal_lsn_diff(GREATEST(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')";
    standby.psql(sql).unwrap().parse().unwrap()
}
