//! The primary is lost, again and again, and nothing is left behind.

use std::{fs, time::Instant};

use super::{ERRORS_PER_LOSS, Scene, in_full, logged, measured, middle_and_worst};

/// What a standby logs when it is told to receive from elsewhere, or from nobody.
const REDIRECTED: &str = "parameter \"primary_conninfo\" changed";

/// Sessions that the steward has on a node.
const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'howdah-ctl%'";

/// Slots that keep log for nobody.
const IDLE_SLOTS: &str =
    "SELECT string_agg(slot_name, ' ') FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL";

/// Descriptors that may come and go.
const DESCRIPTORS_SLACK: usize = 100;

#[test]
fn killed_primaries_are_replaced_and_no_acknowledged_row_is_lost() {
    let scene = Scene::start();
    let load = scene.load();
    let rounds = if in_full() { 20 } else { 3 };
    let descriptors = descriptors(&scene);
    let (mut outages, mut rejoins) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (old, others) = (scene.primary(), scene.standbys());
        let before: Vec<_> = others.iter().map(|node| (node.postmaster(), logged(node, REDIRECTED))).collect();
        let killed = Instant::now();
        old.kill9().unwrap();
        outages.push(scene.resumed(&load, killed));
        scene.await_state("Steady");
        let new = scene.primary();
        for (node, (postmaster, redirected)) in others.iter().zip(before) {
            assert_eq!(node.postmaster(), postmaster, "{} was restarted", node.name);
            // From nobody, then from the new primary.
            let expected = if node.name == new.name { 1 } else { 2 };
            assert_eq!(logged(node, REDIRECTED) - redirected, expected, "{}\n{}", node.name, scene.story());
        }
        let ordered = Instant::now();
        scene.order(&format!("REJOIN {}", old.name));
        rejoins.push(ordered.elapsed());
        scene.await_whole(2);
    }
    let history = scene.settle(load);

    let (outage, worst) = middle_and_worst(outages);
    measured(
        "primary killed",
        format_args!(
            "{rounds} times; no writes for {outage:?} in the middle, {worst:?} at worst; {} of {} requests failed with {:?}; rejoined in {:?}",
            history.failed_writes().len(),
            history.requests.len(),
            history.sqlstates(),
            middle_and_worst(rejoins).0
        ),
    );
    assert_eq!(scene.promotions(), rounds, "one for each\n{}", scene.story());
    assert!(history.most_errors_of_a_writer() <= rounds as usize * ERRORS_PER_LOSS, "{:?}", history.failed_writes());
    assert!(history.failed_reads().is_empty(), "{:?}\n{}", history.failed_reads(), scene.story());
    assert!(history.disconnects.is_empty(), "sessions outlive it");
    nothing_is_left(&scene, descriptors);
}

/// Sessions and slots are what one steward and two standbys need.
fn nothing_is_left(scene: &Scene, descriptors_before: usize) {
    for node in scene.cluster.nodes() {
        assert_eq!(node.psql(SESSIONS).unwrap(), "1", "sessions on {}", node.name);
        scene.until("rid of slots", || node.psql(IDLE_SLOTS).unwrap().is_empty());
    }
    let now = descriptors(scene);
    assert!(now <= descriptors_before + DESCRIPTORS_SLACK, "{now} descriptors after {descriptors_before}");
}

fn descriptors(scene: &Scene) -> usize {
    fs::read_dir(format!("/proc/{}/fd", scene.proxy.pid())).expect("it runs").count()
}
