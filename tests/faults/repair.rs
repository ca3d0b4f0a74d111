//! Nodes that are rewound without an operator's word: `auto_rejoin = "repair"`.

use howdah::demo::process::{self, Signal};

use super::{Scene, impatient, left_out, logged, synchronous};

fn scene(change: impl FnOnce(howdah::demo::ProxyConfig) -> howdah::demo::ProxyConfig) -> Scene {
    let scene = Scene::with(synchronous(2), |config| {
        change(impatient(config)).in_cluster("auto_rejoin", "\"repair\"").in_cluster("sync_stall_timeout", "2")
    });
    scene.await_whole(2);
    scene
}

/// What starts it knows nothing of us, and it takes writes that nobody else has.
#[test]
fn an_old_primary_that_somebody_starts_is_rewound() {
    if left_out("an old primary repaired") {
        return;
    }
    let scene = scene(|config| config);
    let load = scene.load();
    let old = scene.primary();
    let senders = old.psql("SELECT pid FROM pg_stat_replication").unwrap();
    process::signal(Signal::Stop, &senders.lines().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>());
    old.psql("SET synchronous_commit = local; CREATE TABLE phantom (x int)").unwrap();
    old.kill9().unwrap();
    scene.until("replaced", || scene.primary().name != old.name);
    scene.at_work(&load);

    old.start().unwrap();

    scene.await_whole(2);
    let history = scene.settle(load);
    assert!(scene.told("rewind").is_some(), "{}", scene.story());
    for node in scene.cluster.nodes() {
        assert_eq!(node.psql("SELECT to_regclass('phantom') IS NULL").unwrap(), "t", "{}", node.name);
    }
    scene.was_replaced_once(&history);
}

/// Its package was upgraded under it: the policy has it rewound, for which it is started anew.
#[test]
fn a_standby_that_cannot_load_its_receiver_is_started_anew() {
    if left_out("a receiver that cannot be loaded, repaired") {
        return;
    }
    let scene = scene(|config| config.node("n2", "labels = { nofailover = \"it is the one to follow\" }"));
    let load = scene.load();
    let (old, upgraded) = (scene.primary(), scene.cluster.node("n2").unwrap());
    let receiver = scene.cluster.folder().join("libpqwalreceiver.so");
    std::fs::write(&receiver, "of another version").unwrap();
    let libraries = format!("{}:$libdir", scene.cluster.folder().display());
    upgraded.alter_system("dynamic_library_path", &libraries).unwrap();
    let before = upgraded.postmaster();

    old.kill9().unwrap();
    scene.until("reported", || scene.told("does not receive from the primary, as it was told to").is_some());
    assert!(logged(upgraded, "could not load library") > 0);
    scene.until("stopped", || upgraded.postmaster() != before);
    // The server that starts is of the version of its libraries.
    std::fs::remove_file(&receiver).unwrap();

    scene.until("streaming", || scene.of_node("n2", "replication") == "streaming");
    let history = scene.settle(load);
    scene.was_replaced_once(&history);
}
