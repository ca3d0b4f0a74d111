//! A standby is lost.

use std::time::{Duration, Instant};

use howdah_tests::{PATIENCE, history::Load};

use super::{await_state, healing, primary_of, story, synchronous_cluster};

const WRITERS: usize = 16;
const READERS: usize = 16;

#[test]
fn the_loss_of_a_synchronous_standby_fails_nobody() {
    let cluster = synchronous_cluster();
    let proxy = healing(&cluster, |config| config);
    let load = Load::start(proxy.port(), WRITERS, READERS);
    load.await_commits(200, PATIENCE);

    let killed = Instant::now();
    cluster.standbys()[0].kill9().unwrap();
    load.await_commits(200, Duration::from_secs(20));
    std::thread::sleep(Duration::from_secs(2));
    let first = history_gap(&load, killed);
    // The other is the only one left that commits wait for; with it gone they wait for nobody.
    let killed = Instant::now();
    cluster.standbys()[1].kill9().unwrap();
    load.await_commits(200, Duration::from_secs(30));
    let second = history_gap(&load, killed);
    cluster.standbys()[0].start().unwrap();
    cluster.standbys()[1].start().unwrap();
    await_state(&proxy, "Steady", PATIENCE);
    load.await_commits(200, Duration::from_secs(20));
    let history = load.stop();

    eprintln!("stalls: {first:?} with one standby lost, {second:?} with both");
    history.check(primary_of(&proxy, &cluster).expect("there is a primary"));
    assert!(history.failed_writes().is_empty(), "{:?}\n{}", history.failed_writes(), story(&proxy));
    assert!(history.failed_reads().is_empty(), "{:?}\n{}", history.failed_reads(), story(&proxy));
}

fn history_gap(load: &Load, from: Instant) -> Duration {
    load.so_far().longest_gap(from, Instant::now())
}
