//! What can wait does, and for how long.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
};

use howdah::demo::wait;
use howdah_tests::{
    PATIENCE,
    raw::{Raw, cancel_request, query, tags},
};

use super::{error, healing, promote, synchronous, told, until_waiting};

const CLIENTS: usize = 16;

/// What one client has met.
#[derive(Debug, Default)]
struct Met {
    errors: Vec<String>,
    acknowledged: Vec<String>,
}

/// Writes rows, each in a transaction of two statements or in none, until it is told to stop.
fn write(client: &mut Raw, number: usize, turns: &AtomicUsize, stop: &AtomicBool) -> Met {
    let mut met = Met::default();
    for turn in 0.. {
        if stop.load(SeqCst) {
            break;
        }
        let row = format!("{number}-{turn}");
        let insert = format!("INSERT INTO t VALUES ('{row}')");
        let texts = if turn % 2 == 0 { vec![&*insert] } else { vec!["BEGIN", &insert, "SELECT 1", "COMMIT"] };
        let mut failed = false;
        for text in texts {
            let (sqlstate, state) = told(&client.query(text));
            if sqlstate.is_empty() {
                assert!(!state.is_empty(), "the session is over behind {text}: {met:?}");
                continue;
            }
            met.errors.push(sqlstate);
            failed = true;
            if state == "E" {
                assert_eq!(told(&client.query("ROLLBACK")), error("", "I"));
            }
            break;
        }
        if !failed {
            met.acknowledged.push(row);
        }
        turns.fetch_add(1, SeqCst);
    }
    met
}

#[test]
fn a_killed_primary_costs_each_client_one_error_at_most_and_no_commit() {
    let cluster = synchronous();
    let proxy = healing(&cluster, |config| config.set("failover_hold_timeout", "60"));
    proxy.client().ask("CREATE TABLE t (row text PRIMARY KEY)").unwrap();
    let (turns, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let until = |count: usize| {
        let more = wait::until(PATIENCE, || (turns.load(SeqCst) >= count).then_some(()));
        more.expect("clients go on");
    };

    let met: Vec<Met> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let mut client = Raw::login(proxy.port(), "postgres");
                let (turns, stop) = (&turns, &stop);
                scope.spawn(move || write(&mut client, number, turns, stop))
            })
            .collect();
        until(CLIENTS * 10);
        let murder = scope.spawn(|| cluster.primary().kill9());
        until_waiting(&proxy, CLIENTS);
        promote(&cluster);
        murder.join().unwrap().unwrap();
        until(turns.load(SeqCst) + CLIENTS * 10);
        stop.store(true, SeqCst);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });

    let stored = cluster.standbys()[0].psql("SELECT row FROM t").unwrap();
    let stored: std::collections::HashSet<_> = stored.lines().collect();
    for met in &met {
        assert!(met.errors.len() <= 1, "{:?}", met.errors);
        let known = ["08006", "40001", "40003"];
        assert!(met.errors.iter().all(|error| known.contains(&&**error)), "{:?}", met.errors);
        let lost: Vec<_> = met.acknowledged.iter().filter(|row| !stored.contains(&***row)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    }
}

#[test]
fn what_waits_for_a_primary_is_bounded_cancelled_and_seen() {
    let cluster = synchronous();
    let proxy = healing(&cluster, |config| config.set("failover_hold_timeout", "1").set("server_login_retry", "0"));
    let mut client = Raw::login(proxy.port(), "postgres");
    client.query("SELECT 1");
    cluster.primary().kill9().unwrap();

    let refused = client.query("CREATE TABLE t (x int)");
    assert_eq!(told(&refused), error("57P03", "I"), "{refused:?}");
    assert!(refused[0].text().starts_with("no primary of cluster main within 1s"), "{}", refused[0].text());

    // A transaction that no server knows of fails with it.
    client.query("BEGIN");
    assert_eq!(told(&client.query("SELECT 1")), error("57P03", "E"));
    assert_eq!(told(&client.query("SELECT 1")), error("25P02", "E"));
    assert_eq!(tags(&client.query("COMMIT")), "CZ");

    let (mut vanishing, mut patient) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    vanishing.send(&query("SELECT 1")).unwrap();
    until_waiting(&proxy, 1);
    drop(vanishing);
    until_waiting(&proxy, 0);
    assert_eq!(told(&patient.query("SELECT 1")), error("57P03", "I"));

    promote(&cluster);
    for client in [&mut client, &mut patient] {
        let mut answer = client.query("SELECT 1");
        // The promotion may not be known yet.
        while told(&answer).0 == "57P03" {
            answer = client.query("SELECT 1");
        }
        assert_eq!(tags(&answer), "TDCZ");
    }
}

#[test]
fn who_waits_for_a_primary_can_cancel() {
    let cluster = synchronous();
    let proxy = healing(&cluster, |config| config.set("failover_hold_timeout", "60"));
    let (mut client, welcome) = Raw::greet(proxy.port(), &[("user", "postgres"), ("database", "postgres")]);
    let key = welcome.iter().find(|message| message.tag == 'K').map(|key| key.body.clone()).unwrap();
    cluster.primary().kill9().unwrap();
    client.send(&query("SELECT 1")).unwrap();
    until_waiting(&proxy, 1);

    Raw::open(proxy.port()).send(&cancel_request(&key)).unwrap();

    assert_eq!(told(&client.until_ready()), error("57014", "I"));
}

#[test]
fn reads_go_on_at_a_standby_while_writes_wait() {
    let cluster = synchronous();
    let proxy =
        healing(&cluster, |config| config.router("builtin:read-write-split", "{ }").set("failover_hold_timeout", "60"));
    proxy.client().ask("CREATE TABLE t (x int)").unwrap();
    let (mut writer, mut reader) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    // A session reads there once its user's last write is known to be there.
    let port = cluster.standbys()[0].port.to_string();
    let reads_there = || (reader.query("SELECT current_setting('port')")[1].value() == port).then_some(());
    wait::until(PATIENCE, reads_there).expect("reads go to the standby");
    cluster.primary().kill9().unwrap();
    writer.send(&query("INSERT INTO t VALUES (1)")).unwrap();
    until_waiting(&proxy, 1);

    for _ in 0..20 {
        assert_eq!(tags(&reader.query("SELECT count(*) FROM t")), "TDCZ");
    }

    promote(&cluster);
    assert_eq!(told(&writer.until_ready()), error("", "I"));
}
