//! Operators take nodes out and bring them back, promote by hand, and decide what nobody else may.

use std::time::Instant;

use howdah_tests::{PATIENCE, history::TABLE};

use super::{Scene, impatient, in_full, measured, synchronous};

#[test]
fn standbys_leave_and_return_and_nobody_notices() {
    let standbys = if in_full() { 5 } else { 3 };
    let scene = Scene::with(synchronous(standbys), impatient);
    let load = scene.load();
    let leaving = &scene.cluster.standbys()[1..];
    let began = Instant::now();
    for act in ["DETACH", "ATTACH"] {
        for node in leaving {
            scene.order(&format!("{act} NODE {}", node.name));
            scene.at_work(&load);
        }
    }
    scene.until("back", || leaving.iter().all(|node| scene.of_node(&node.name, "health") == "up"));
    scene.await_state("Steady");
    let took = began.elapsed();
    let history = scene.settle(load);

    let requests = history.requests.len();
    measured(
        "standbys detached and attached",
        format_args!("{standbys} → 1 → {standbys} within {took:?}, {requests} requests"),
    );
    assert!(history.failed_writes().is_empty(), "{:?}\n{}", history.failed_writes(), scene.story());
    assert!(history.failed_reads().is_empty(), "{:?}\n{}", history.failed_reads(), scene.story());
    assert!(history.disconnects.is_empty(), "no session ends");
    assert_eq!(scene.promotions(), 0, "{}", scene.story());
}

/// Two take writes, and neither is known to be wrong: everything stands still until somebody says which.
#[test]
fn a_standby_that_somebody_promoted_by_hand_is_not_followed() {
    let scene = Scene::start();
    let load = scene.load();
    let (primary, rival) = (scene.primary(), scene.standbys()[0]);

    rival.psql("SELECT pg_promote()").unwrap();
    scene.await_state("Split");
    scene.at_work(&load);
    rival.psql(&format!("SET synchronous_commit = local; INSERT INTO {TABLE} VALUES (-1)")).unwrap();
    scene.at_work(&load);
    let refused = scene.proxy.console().ask(&format!("FAILOVER TO {}", primary.name)).unwrap_err().to_string();
    assert!(refused.contains("ALLOW DATA LOSS"), "{refused}");
    assert_eq!(scene.primary().name, primary.name);

    scene.order(&format!("FAILOVER TO {} ALLOW DATA LOSS", primary.name));
    scene.order(&format!("REJOIN {}", rival.name));
    scene.await_whole(2);
    let history = scene.settle(load);

    measured("standby promoted by hand", format_args!("{} failed", history.failed_writes().len()));
    assert!(history.failed_writes().is_empty(), "{:?}\n{}", history.failed_writes(), scene.story());
    assert!(history.failed_reads().is_empty(), "{:?}\n{}", history.failed_reads(), scene.story());
    assert_eq!(scene.promotions(), 0);
    let phantoms = format!("SELECT count(*) FROM {TABLE} WHERE id < 0");
    assert_eq!(rival.psql(&phantoms).unwrap(), "0");
    assert!(howdah::demo::wait::until(PATIENCE, || (scene.state() == "Steady").then_some(())).is_some());
}

/// `pg_ctl stop -m fast`, and nobody starts it again.
#[test]
fn a_primary_that_somebody_stopped_is_replaced_when_its_grace_is_over() {
    let scene = Scene::with(synchronous(2), |config| impatient(config).in_cluster("crash_grace", "2"));
    let load = scene.load();
    let old = scene.primary();

    let stopped = Instant::now();
    old.stop().unwrap();
    scene.await_state("CrashGrace");
    let outage = scene.resumed(&load, stopped);
    scene.await_state("Steady");
    assert_ne!(scene.primary().name, old.name);
    let events = scene.proxy.console().table("SHOW EVENTS").unwrap();
    let begun = events.column("message").into_iter().find(|message| message.contains("begun: "));
    assert!(begun.is_some_and(|begun| begun.contains("did not come back within crash_grace")), "{:?}", events.rows);
    let operations = scene.proxy.console().table("SHOW OPERATIONS").unwrap();
    assert_eq!(operations.column("kind"), ["failover"], "{:?}", operations.rows);

    scene.order(&format!("REJOIN {}", old.name));
    scene.await_whole(2);
    let history = scene.settle(load);
    measured(
        "primary stopped, and not started again",
        format_args!(
            "no writes for {outage:?}; {} failed with {:?}",
            history.failed_writes().len(),
            history.sqlstates()
        ),
    );
    scene.was_replaced_once(&history);
}
