//! A standby is lost, or hangs.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use howdah::demo::{PgNode, ProxyConfig};
use howdah_tests::{PATIENCE, history::Load};

use super::{Scene, impatient, left_out, logged, measured, synchronous};

/// How long the only standby that commits wait for may be silent.
const STALL_TIMEOUT: &str = "\"2s\"";

#[test]
fn the_loss_of_both_synchronous_standbys_fails_nobody() {
    let scene = Scene::start();
    let load = scene.load();
    let [first, second] = scene.cluster.standbys() else { panic!("two standbys") };

    let one = stall(&scene, &load, || first.kill9().unwrap());
    scene.until("without it", || waited_for(&scene) == [second.name.as_str()]);
    // The other is the only one left that commits wait for; with it gone they wait for nobody.
    let both = stall(&scene, &load, || second.kill9().unwrap());
    scene.until("degraded", || scene.state() == "DegradedSync");
    first.start().unwrap();
    second.start().unwrap();
    scene.await_whole(2);
    let history = scene.settle(load);

    measured("both synchronous standbys killed", format_args!("no writes for {one:?}, then for {both:?}"));
    nobody_failed(&scene, &history);
}

#[test]
fn standbys_that_die_or_freeze_fail_nobody() {
    let scene = Scene::with(synchronous(2), one_member);
    scene.until("waiting for one", || waited_for(&scene).len() == 1);
    let load = scene.load();
    for role in ["asynchronous", "synchronous"] {
        let standby = standby(&scene, role);
        let killed = stall(&scene, &load, || standby.kill9().unwrap());
        standby.start().unwrap();
        scene.await_whole(1);

        let standby = self::standby(&scene, role);
        let frozen = stall(&scene, &load, || standby.sigstop());
        scene.until("without it", || !waited_for(&scene).contains(&standby.name));
        standby.sigcont();
        scene.await_whole(1);
        measured(
            &format!("{role} standby"),
            format_args!("no writes for {killed:?} when killed, {frozen:?} when frozen"),
        );
    }
    let history = scene.settle(load);
    nobody_failed(&scene, &history);
}

/// The only standby that commits wait for, or the other.
fn standby<'s>(scene: &'s Scene, role: &str) -> &'s PgNode {
    let members = waited_for(scene);
    let is = |node: &&&PgNode| members.contains(&node.name) == (role == "synchronous");
    scene.standbys().iter().find(is).expect("there is one of each")
}

/// Commits wait for one standby and for no other.
pub fn one_member(config: ProxyConfig) -> ProxyConfig {
    let settings = "{ max_members = 1, allow_degrade = true, stall_timeout = \"2s\", restore_after = \"500ms\" }";
    impatient(config)
        .in_cluster("sync_stall_timeout", STALL_TIMEOUT)
        .section(&format!("[plugins.sync-set]\ncomponent = \"builtin:sync-set\"\nsettings = {settings}\n"))
}

/// The nodes that commits wait for, by their names.
pub fn waited_for(scene: &Scene) -> Vec<String> {
    let shown = scene.shown();
    let waited = shown.rows.iter().filter(|row| shown.value(row, "sync") == Some("sync"));
    waited.filter_map(|row| shown.value(row, "node")).map(str::to_owned).collect()
}

/// How long nobody could write after that.
#[track_caller]
pub fn stall(scene: &Scene, load: &Load, hurt: impl FnOnce()) -> Duration {
    let hurt_at = Instant::now();
    hurt();
    scene.resumed(load, hurt_at).min(PATIENCE)
}

pub fn nobody_failed(scene: &Scene, history: &howdah_tests::history::History) {
    assert!(history.failed_writes().is_empty(), "{:?}\n{}", history.failed_writes(), scene.story());
    assert!(history.failed_reads().is_empty(), "{:?}\n{}", history.failed_reads(), scene.story());
    assert!(history.disconnects.is_empty(), "no session ends");
    assert_eq!(scene.promotions(), 0, "{}", scene.story());
}

/// What an upgrade of PostgreSQL's package does under a running server: the receiver that it would load is none of its
/// own. It takes a start to be well again.
#[test]
fn a_standby_that_cannot_load_its_receiver_is_reported_and_started_anew() {
    if left_out("a receiver that cannot be loaded") {
        return;
    }
    let scene = Scene::with(synchronous(2), |config| {
        impatient(config)
            .in_cluster("sync_stall_timeout", STALL_TIMEOUT)
            .node("n2", "labels = { nofailover = \"it is the one to follow\" }")
    });
    let load = scene.load();
    let (old, [candidate, upgraded]) = (scene.primary(), scene.cluster.standbys()) else { panic!("two standbys") };
    let receiver = scene.cluster.folder().join("libpqwalreceiver.so");
    fs::write(&receiver, "of another version").unwrap();
    let libraries = format!("{}:$libdir", scene.cluster.folder().display());
    upgraded.alter_system("dynamic_library_path", &libraries).unwrap();

    let killed = Instant::now();
    old.kill9().unwrap();
    let outage = scene.resumed(&load, killed);
    assert_eq!(scene.primary().name, candidate.name);
    scene.until("reported", || scene.told("does not receive from the primary, as it was told to").is_some());
    let found_out = killed.elapsed();
    assert!(logged(upgraded, "could not load library") > 0);
    scene.at_work(&load);

    let before = upgraded.postmaster();
    let (console, order) = (scene.proxy.console(), format!("REJOIN {}", upgraded.name));
    let ordered = thread::spawn(move || console.ask(&order));
    scene.until("stopped", || upgraded.postmaster() != before);
    // The server that starts is of the version of its libraries.
    fs::remove_file(&receiver).unwrap();
    ordered.join().unwrap().unwrap_or_else(|error| panic!("{error}\n{}", scene.story()));
    scene.order(&format!("REJOIN {}", old.name));
    scene.await_whole(2);
    let history = scene.settle(load);

    measured("receiver that cannot be loaded", format_args!("no writes for {outage:?}; reported after {found_out:?}"));
    scene.was_replaced_once(&history);
}
