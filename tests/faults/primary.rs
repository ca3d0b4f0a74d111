//! The primary is lost.

use std::time::{Duration, Instant};

use howdah_tests::{PATIENCE, history::Load};

use super::{await_state, healing, primary_of, story, synchronous_cluster};

/// Clients that write, and that read.
const WRITERS: usize = 16;
const READERS: usize = 16;

#[test]
fn a_killed_primary_is_replaced_and_no_acknowledged_row_is_lost() {
    let cluster = synchronous_cluster();
    let proxy = healing(&cluster, |config| config);
    let load = Load::start(proxy.port(), WRITERS, READERS);
    load.await_commits(200, PATIENCE);

    let killed = Instant::now();
    cluster.primary().kill9().unwrap();
    load.await_commits(200, Duration::from_secs(20));
    std::thread::sleep((killed + Duration::from_secs(6)) - Instant::now());
    let history = load.stop();

    await_state(&proxy, "Steady", PATIENCE);
    let primary = primary_of(&proxy, &cluster).expect("there is a primary");
    history.check(primary);
    eprintln!(
        "outage {:?}, errors {} of {} requests, {:?}, reads {}",
        history.longest_gap(killed, killed + Duration::from_secs(5)),
        history.failed_writes().len(),
        history.requests.len(),
        history.sqlstates(),
        history.failed_reads().len()
    );
    assert!(history.most_errors_of_a_writer() <= 1, "{:?}\n{}", history.failed_writes(), story(&proxy));
    assert!(history.failed_reads().is_empty(), "{:?}", history.failed_reads());
    assert!(history.disconnects.is_empty(), "sessions outlive it");
}
