//! A primary that is armed: whoever restarts it gets a standby.

use std::time::Instant;

use howdah::demo::ProxyConfig;

use super::{Scene, alone::kill_a_backend, measured, synchronous, timeline};

/// `failover_interval` stays what operators have: that a primary has restarted is no second loss.
fn armed(config: ProxyConfig) -> ProxyConfig {
    config.in_cluster("sync_restore_after", "\"500ms\"").in_cluster("armed_primary", "true")
}

/// Waits until the present primary is.
fn await_armed(scene: &Scene) {
    scene.until("armed", || scene.primary().data.join("standby.signal").exists());
}

/// Two standbys, of which each commit waits for one, and a primary that is armed.
fn scene() -> Scene {
    let scene = Scene::with(synchronous(2), armed);
    await_armed(&scene);
    scene.await_whole(2);
    scene
}

/// Its crash restart ends in recovery. It has everything, or somebody has all that was acknowledged: no row is lost, and
/// who is promoted is armed in turn.
#[test]
fn an_armed_primary_that_crashes_is_promoted_again() {
    let scene = scene();
    let load = scene.load();
    for crash in 1..=2 {
        let hurt = Instant::now();
        kill_a_backend(scene.primary());
        let outage = scene.resumed(&load, hurt);
        measured("a backend of an armed primary killed", format_args!("no writes for {outage:?}"));
        scene.await_whole(2);
        await_armed(&scene);
        assert_eq!(scene.promotions(), crash, "{}", scene.story());
    }
    // What stops it on purpose arms it in its own way.
    scene.order("SWITCHOVER");
    scene.await_whole(2);
    await_armed(&scene);
    let history = scene.settle(load);
    assert!(history.most_errors_of_a_writer() <= 2, "{:?}\n{}", history.failed_writes(), scene.story());
    assert!(history.failed_reads().is_empty(), "{:?}\n{}", history.failed_reads(), scene.story());
}

/// What starts it knows nothing of us, as systemd.
#[test]
fn an_armed_primary_that_somebody_restarts_after_it_was_replaced_follows_by_itself() {
    let scene = scene();
    let old = scene.primary();
    old.kill9().unwrap();
    scene.until("replaced", || scene.primary().name != old.name && timeline(scene.primary()) == 2);

    old.start().unwrap();

    assert_eq!(old.psql("SELECT pg_is_in_recovery()").unwrap(), "t");
    scene.await_whole(2);
    assert_eq!(scene.promotions(), 1, "{}", scene.story());
    assert!(scene.told("rewind").is_none() && scene.told("rejoin").is_none(), "{}", scene.story());
    await_armed(&scene);
}
