//! The primary is exchanged as planned, and nobody notices.

use std::time::{Duration, Instant};

use howdah_tests::{PATIENCE, history::Load};

use super::{await_state, executed_here, healing, primary_of, story, synchronous_cluster};

const WRITERS: usize = 16;
const READERS: usize = 16;

/// In a row; each time the best standby takes over.
const SWITCHOVERS: usize = 3;

#[test]
fn switchovers_under_load_fail_nobody() {
    let cluster = synchronous_cluster();
    let proxy = healing(&cluster, |config| executed_here(&cluster, config));
    let load = Load::start(proxy.port(), WRITERS, READERS);
    load.await_commits(200, PATIENCE);

    let began = Instant::now();
    let mut gaps = Vec::new();
    for _ in 0..SWITCHOVERS {
        let before = primary_of(&proxy, &cluster).expect("there is a primary").name.clone();
        let ordered = Instant::now();
        proxy.console().ask("SWITCHOVER").unwrap_or_else(|error| panic!("{error}\n{}", story(&proxy)));
        gaps.push((ordered, Instant::now()));
        load.await_commits(200, Duration::from_secs(20));
        assert_ne!(primary_of(&proxy, &cluster).expect("there is a primary").name, before);
        await_state(&proxy, "Steady", PATIENCE);
        cluster_streams(&proxy);
    }
    let history = load.stop();

    let holds: Vec<_> = gaps.iter().map(|(from, to)| history.longest_gap(*from, *to)).collect();
    eprintln!("switchovers: {holds:?} within {:?}, {} requests", began.elapsed(), history.requests.len());
    history.check(primary_of(&proxy, &cluster).expect("there is a primary"));
    assert!(history.failed_writes().is_empty(), "{:?}\n{}", history.failed_writes(), story(&proxy));
    assert!(history.failed_reads().is_empty(), "{:?}", history.failed_reads());
    assert!(history.disconnects.is_empty(), "no session ends");
}

/// Both standbys stream from the primary, the old one without a rewind.
fn cluster_streams(proxy: &howdah_tests::Proxy) {
    let all = || {
        let states = super::column(proxy, "replication");
        (states.iter().filter(|state| *state == "streaming").count() == 2).then_some(())
    };
    let streaming = howdah::demo::wait::until(PATIENCE, all);
    assert!(streaming.is_some(), "{:?}\n{}", super::column(proxy, "quarantine"), story(proxy));
}
