//! Standbys have received more than they have replayed.

use std::time::Instant;

use howdah::demo::PgNode;
use howdah_tests::{PATIENCE, history::Load};

use super::{AT_WORK, Scene, WRITERS, impatient, measured, standby::waited_for, synchronous};

/// Makes some 200 MB of log: each row has a kilobyte.
const BULK: &str = "CREATE TABLE bulk AS SELECT i, repeat(md5(i::text), 32) FROM generate_series(1, 180000) i";

/// Log that is to be replayed then, at least.
const BACKLOG: u64 = 150 << 20;

/// What clients are told that waited for as long as they may.
const NO_PRIMARY_YET: &str = "57P03";

#[test]
fn a_standby_whose_replay_is_paused_is_promoted_when_nobody_else_can_be() {
    let scene = Scene::start();
    let load = scene.load();
    let (old, [paused, other]) = (scene.primary(), scene.cluster.standbys()) else { panic!("two standbys") };

    pause(&scene, paused);
    other.kill9().unwrap();
    scene.until("without it", || waited_for(&scene) == [paused.name.as_str()]);
    scene.at_work(&load);
    let killed = Instant::now();
    old.kill9().unwrap();
    let outage = scene.resumed(&load, killed);
    assert_eq!(scene.primary().name, paused.name);
    assert!(scene.told("its replay is paused, and its promotion ends that").is_some(), "{}", scene.story());
    let took = takes_writes(&scene);

    other.start().unwrap();
    scene.order(&format!("REJOIN {}", other.name));
    scene.order(&format!("REJOIN {}", old.name));
    scene.await_whole(2);
    let history = scene.settle(load);

    measured("replay paused on the only standby", format_args!("no writes for {outage:?}; {took}"));
    scene.was_replaced_once(&history);
}

#[test]
fn while_a_backlog_is_replayed_clients_wait_no_longer_than_they_may() {
    let scene = Scene::with(synchronous(1), |config| impatient(config).set("failover_hold_timeout", "\"300ms\""));
    let (old, [standby]) = (scene.primary(), scene.cluster.standbys()) else { panic!("one standby") };
    pause(&scene, standby);
    old.psql(BULK).unwrap();
    let unreplayed = "SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())";
    let backlog: u64 = standby.psql(unreplayed).unwrap().parse().unwrap();
    assert!(backlog >= BACKLOG, "{backlog}");
    let load = Load::start(scene.proxy.port(), WRITERS, 0);
    load.await_commits(AT_WORK, PATIENCE);

    let killed = Instant::now();
    old.kill9().unwrap();
    let outage = scene.resumed(&load, killed);
    let took = takes_writes(&scene);
    let told: u64 = took.split("with ").nth(1).and_then(|text| text.split(' ').next()).unwrap().parse().unwrap();
    scene.order(&format!("REJOIN {}", old.name));
    scene.await_whole(1);
    let history = scene.settle(load);

    let waits = history.failed_writes().into_iter().filter(|write| write.told.sqlstate() == Some(NO_PRIMARY_YET));
    let waits: Vec<_> = waits.map(|write| write.answered - write.sent).collect();
    measured(
        "backlog to replay",
        format_args!(
            "no writes for {outage:?}; {took}; {} waits of {:?} at most were given up",
            waits.len(),
            waits.iter().max()
        ),
    );
    assert!(told >= BACKLOG, "{took}");
    assert_eq!(scene.promotions(), 1, "{}", scene.story());
    assert!(!waits.is_empty(), "nobody waits for as long as this takes");
    assert!(history.disconnects.is_empty(), "sessions outlive it");
}

fn pause(scene: &Scene, standby: &PgNode) {
    standby.psql("SELECT pg_wal_replay_pause()").unwrap();
    scene.until("paused", || standby.psql("SELECT pg_get_wal_replay_pause_state()").unwrap() == "paused");
}

/// What was said of how long the promotion took.
#[track_caller]
fn takes_writes(scene: &Scene) -> String {
    let line = scene.told("the candidate takes writes").unwrap_or_else(|| panic!("not told\n{}", scene.story()));
    let words = line.split("takes writes: ").nth(1).and_then(|words| words.split(" cluster=").next());
    words.unwrap_or_default().to_owned()
}
