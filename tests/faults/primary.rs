//! The primary hangs, or is neither dead nor alive.

use std::{
    thread,
    time::{Duration, Instant},
};

use howdah::demo::{PgNode, process};
use howdah_tests::{Signal, history::TABLE};

use super::{Scene, in_full, measured};

/// How long it hangs in full.
const FROZEN: Duration = Duration::from_secs(30);

/// Rows that no cluster has; who reads one has read from a node that was replaced.
const PHANTOM: &str = "SET synchronous_commit = local; INSERT INTO history VALUES (-1)";

/// It hangs, is replaced, wakes up and writes on; dies, and a supervisor starts it as the primary that it was. Only
/// then it is told to come back.
#[test]
fn a_frozen_primary_is_replaced_and_is_none_any_more_when_it_wakes_up() {
    let scene = Scene::start();
    let load = scene.load();
    let old = scene.primary();

    let frozen = Instant::now();
    old.sigstop();
    let outage = scene.resumed(&load, frozen);
    if in_full() {
        thread::sleep(FROZEN.saturating_sub(frozen.elapsed()));
    }
    let woken = Instant::now();
    old.sigcont();
    scene.until("found out", || scene.of_node(&old.name, "quarantine").contains("takes writes"));
    let found_out = woken.elapsed();
    old.psql(PHANTOM).unwrap();
    scene.at_work(&load);

    old.kill9().unwrap();
    old.start().unwrap();
    assert_eq!(old.psql("SELECT pg_is_in_recovery()").unwrap(), "f");
    scene.until("found out again", || scene.of_node(&old.name, "quarantine").contains("takes writes"));
    old.psql(PHANTOM).unwrap();
    scene.at_work(&load);
    assert_eq!(scene.promotions(), 1, "{}", scene.story());

    let ordered = Instant::now();
    scene.order(&format!("REJOIN {}", old.name));
    let rejoined = ordered.elapsed();
    scene.await_whole(2);
    assert_eq!(old.psql(&format!("SELECT count(*) FROM {TABLE} WHERE id < 0")).unwrap(), "0", "it was rewound");
    let history = scene.settle(load);

    measured(
        "primary frozen, then awake",
        format_args!(
            "no writes for {outage:?}; found out {found_out:?} after it woke; {} failed with {:?}; rewound and streaming in {rejoined:?}",
            history.failed_writes().len(),
            history.sqlstates()
        ),
    );
    scene.was_replaced_once(&history);
}

/// Processes that outlive their postmaster.
struct Orphans(Vec<u32>);

impl Drop for Orphans {
    fn drop(&mut self) {
        process::signal(Signal::Kill, &self.0);
    }
}

#[test]
fn a_backend_that_outlives_its_postmaster_acknowledges_nothing_that_is_lost() {
    let scene = Scene::start();
    let load = scene.load();
    let old = scene.primary();
    old.psql("CREATE TABLE busy (id bigint)").unwrap();
    let mut busy = commits_without_end(old);
    scene.until("busy", || old.psql("SELECT count(*) > 10 FROM busy").is_ok_and(|many| many == "t"));

    let postmaster = old.postmaster().expect("it runs");
    let orphans = Orphans(process::children(postmaster));
    let killed = Instant::now();
    process::signal(Signal::Kill, &[postmaster]);
    let outage = scene.resumed(&load, killed);
    scene.await_state("Steady");
    let left = orphans.0.iter().filter(|&&pid| process::is_alive(pid)).count();
    drop(orphans);
    busy.wait().unwrap();
    let history = scene.settle(load);

    measured(
        "postmaster killed, a backend busy",
        format_args!(
            "no writes for {outage:?}; {left} processes were left; {} failed with {:?}",
            history.failed_writes().len(),
            history.sqlstates()
        ),
    );
    scene.was_replaced_once(&history);
}

/// One statement that commits row after row, on a session of its own.
fn commits_without_end(node: &PgNode) -> std::process::Child {
    let sql = "DO $$ BEGIN FOR i IN 1..1000000000 LOOP INSERT INTO busy VALUES (i); COMMIT; END LOOP; END $$";
    let mut psql = node.client().command();
    psql.args(["--quiet", "--command", sql]).stderr(std::process::Stdio::null());
    psql.spawn().expect("psql runs")
}
