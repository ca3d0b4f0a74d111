use std::time::Duration;

use tokio::time::advance;

use super::*;
use crate::{
    facts::{Health, NodeFacts, Role},
    id::{Lsn, NodeId},
};

/// A cluster whose primary was asked just now, and is at that position.
fn sample(position: u64) -> Facts {
    let primary = NodeFacts {
        id: NodeId(0),
        name: "n0".into(),
        host: "127.0.0.1".into(),
        port: 5432,
        weight: 100,
        labels: [].into(),
        role: Role::Primary,
        health: Health::Up,
        ramp_percent: 100,
        server_version: None,
        timeline: None,
        received: Some(Lsn(position)),
        replayed: None,
        inserted: Some(Lsn(position)),
        async_commit: false,
        lag_bytes: None,
        lag: None,
        sampled_at: Instant::now(),
        why: None,
    };
    Facts { epoch: 1, primary: Some(NodeId(0)), nodes: vec![primary], ..Facts::default() }
}

async fn a_moment() {
    advance(Duration::from_millis(1)).await;
}

/// A table of which everything from before is known to be at 100, and which somebody reads.
async fn table() -> KeyWrites {
    let table = KeyWrites::default();
    a_moment().await;
    assert_eq!(table.must_see("any", &sample(100), || false), MustSee::Position(Lsn(100)));
    a_moment().await;
    table
}

fn read(table: &KeyWrites, key: &str, facts: &Facts) -> MustSee {
    table.must_see(key, facts, || false)
}

fn stamp(table: &KeyWrites, key: &str, facts: &Facts) {
    table.stamp(&[key.into()], false, facts);
}

#[tokio::test(start_paused = true)]
async fn a_write_is_at_the_first_position_that_was_asked_for_after_it() {
    let table = table().await;
    stamp(&table, "acme", &sample(200));
    assert_eq!(read(&table, "acme", &sample(200)), MustSee::Unknown, "sampled at that moment, not after it");
    a_moment().await;
    let first = sample(300);
    assert_eq!(read(&table, "other", &first), MustSee::Position(Lsn(100)), "was never stamped");
    a_moment().await;
    let second = sample(400);
    assert_eq!(read(&table, "other", &second), MustSee::Position(Lsn(100)));
    assert_eq!(read(&table, "acme", &second), MustSee::Position(Lsn(300)), "though it was not asked about then");
}

#[tokio::test(start_paused = true)]
async fn a_later_write_counts_from_then_on() {
    let table = table().await;
    for position in [200, 300] {
        stamp(&table, "acme", &sample(position));
        a_moment().await;
        let facts = sample(position + 50);
        assert_eq!(read(&table, "acme", &facts), MustSee::Position(Lsn(position + 50)));
        a_moment().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_of_unknown_keys_counts_for_every_key() {
    let table = table().await;
    stamp(&table, "acme", &sample(200));
    a_moment().await;
    table.stamp_all(false);
    assert_eq!(read(&table, "acme", &sample(300)), MustSee::Unknown);
    a_moment().await;
    let facts = sample(400);
    for key in ["acme", "other"] {
        assert_eq!(read(&table, key, &facts), MustSee::Position(Lsn(400)), "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_reader_takes_everything_before_it_for_written() {
    let table = table().await;
    assert!(!table.are_read());
    assert_eq!(table.must_see("acme", &sample(200), || true), MustSee::Unknown);
    assert!(table.are_read());
    a_moment().await;
    assert_eq!(read(&table, "acme", &sample(300)), MustSee::Position(Lsn(300)));
}

#[tokio::test(start_paused = true)]
async fn while_a_commit_may_have_been_missed_every_key_is_unknown() {
    let table = Arc::new(table().await);
    let doubt = Doubt::about(&table);
    assert_eq!(read(&table, "acme", &sample(200)), MustSee::Unknown);
    a_moment().await;
    doubt.settle();
    assert_eq!(read(&table, "acme", &sample(300)), MustSee::Position(Lsn(100)), "it was about other keys");

    drop(Doubt::about(&table));
    assert_eq!(read(&table, "acme", &sample(300)), MustSee::Unknown, "nobody has said about which");
    a_moment().await;
    assert_eq!(read(&table, "acme", &sample(400)), MustSee::Position(Lsn(400)));
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_is_not_taken_for_unwritten() {
    let table = table().await;
    let facts = sample(200);
    stamp(&table, "acme", &facts);
    a_moment().await;
    let after_acme = sample(300);
    let others = |range: std::ops::Range<usize>| range.map(|n| Arc::from(format!("key-{n}"))).collect::<Vec<_>>();
    table.stamp(&others(0..KEYS_MAX / 2 - 1), false, &after_acme);
    a_moment().await;
    let known = sample(400);
    table.stamp(&others(KEYS_MAX..2 * KEYS_MAX), false, &known);

    let kept = table.lock();
    assert!(kept.young.marks.len() + kept.old.marks.len() <= KEYS_MAX);
    drop(kept);
    assert_eq!(read(&table, "acme", &known), MustSee::Position(Lsn(400)), "where the last that went with it was");
    assert_eq!(read(&table, "never", &known), MustSee::Position(Lsn(400)), "it may have been one of them");
}

#[tokio::test(start_paused = true)]
async fn forgetting_costs_the_keys_that_are_known_nothing() {
    let table = table().await;
    let keys = |from: usize| (from..from + KEYS_MAX / 2).map(|n| Arc::from(format!("key-{n}"))).collect::<Vec<_>>();
    for (round, position) in [(0, 200), (1, 300), (2, 400)] {
        table.stamp(&keys(round * KEYS_MAX), false, &sample(position));
        a_moment().await;
        table.lock().hear(&sample(position + 50));
        a_moment().await;
    }
    let facts = sample(1_000);
    assert_eq!(read(&table, "key-0", &facts), MustSee::Position(Lsn(250)), "forgotten; the floor is where it was");
    assert_eq!(read(&table, &format!("key-{KEYS_MAX}"), &facts), MustSee::Position(Lsn(350)));
    assert_eq!(read(&table, &format!("key-{}", 2 * KEYS_MAX), &facts), MustSee::Position(Lsn(450)));
}

#[tokio::test(start_paused = true)]
async fn samples_are_bounded_and_an_old_write_is_placed_at_the_oldest() {
    let table = table().await;
    stamp(&table, "acme", &sample(200));
    for position in 0..2 * SAMPLES_MAX as u64 {
        a_moment().await;
        table.lock().hear(&sample(1_000 + position));
    }
    assert_eq!(table.lock().samples.len(), SAMPLES_MAX);
    let oldest = 1_000 + SAMPLES_MAX as u64;
    assert_eq!(read(&table, "acme", &sample(5_000)), MustSee::Position(Lsn(oldest)));
}

#[tokio::test(start_paused = true)]
async fn a_position_that_the_primary_does_not_have_is_not_waited_for() {
    let table = table().await;
    stamp(&table, "acme", &sample(200));
    a_moment().await;
    assert_eq!(read(&table, "acme", &sample(300)), MustSee::Position(Lsn(300)));
    a_moment().await;
    assert_eq!(read(&table, "acme", &sample(250)), MustSee::Position(Lsn(250)), "another primary, which has less");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_has_one_table_for_all_its_sessions() {
    let tables = KeyTables::default();
    let (main, other) = (Arc::from("main"), Arc::from("other"));
    let table = tables.of(&main);
    assert!(Arc::ptr_eq(&table, &tables.of(&main)));
    assert!(!Arc::ptr_eq(&table, &tables.of(&other)));
    assert!(Arc::ptr_eq(&table, &tables.of(&main)), "it stays while somebody uses it");
}
