//! Clients that go without a word, and those that change their mind.

use std::time::Duration;

use howdah_tests::{
    clients::{ask, connect, sqlstate},
    fresh_database,
    raw::{Raw, query, tags},
};
use tokio_postgres::NoTls;

use super::{proxy, until_primary_says};

#[test]
fn a_vanished_clients_query_is_cancelled_and_its_transaction_rolled_back() {
    let database = fresh_database();
    let proxy = proxy(1, |config| config);
    let mut client = Raw::login(proxy.port(), &database);
    client.query("CREATE TABLE t (x int)");
    client.query("BEGIN");
    client.query("INSERT INTO t VALUES (1)");
    client.send(&query("SELECT pg_sleep(60)")).unwrap();
    let sleeping = format!(
        "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = '{database}' AND state = 'active' AND query LIKE '%pg_sleep(60)%'"
    );
    until_primary_says(&sleeping, "1");

    drop(client);

    until_primary_says(&sleeping, "0");
    let next = proxy.client().database(&database);
    assert_eq!(next.ask("BEGIN; LOCK TABLE t NOWAIT; SELECT count(*) FROM t; COMMIT").unwrap(), "0");
}

#[test]
fn a_client_that_vanishes_between_statements_leaves_no_transaction_behind() {
    let database = fresh_database();
    let proxy = proxy(1, |config| config);
    let mut client = Raw::login(proxy.port(), &database);
    client.query("CREATE TABLE t (x int)");
    client.query("BEGIN");
    client.query("INSERT INTO t VALUES (1)");

    drop(client);

    let next = proxy.client().database(&database);
    assert_eq!(next.ask("BEGIN; LOCK TABLE t NOWAIT; SELECT count(*) FROM t; COMMIT").unwrap(), "0");
}

#[test]
fn a_client_that_only_stops_sending_still_gets_no_half_transaction() {
    let database = fresh_database();
    let proxy = proxy(1, |config| config);
    let mut client = Raw::login(proxy.port(), &database);
    client.query("CREATE TABLE t (x int)");
    client.query("BEGIN");
    client.query("INSERT INTO t VALUES (1)");

    client.end_sending();

    assert_eq!(client.until_end(), [], "it is let go without complaint");
    assert_eq!(proxy.client().database(&database).ask("SELECT count(*) FROM t").unwrap(), "0");
}

#[tokio::test]
async fn a_cancel_request_hits_the_query_of_its_client_and_nothing_else() {
    let proxy = proxy(2, |config| config);
    let (victim, other) = (connect(proxy.port(), "postgres").await, connect(proxy.port(), "postgres").await);
    for round in 0..5 {
        let marker = format!("/* cancelled {round} */");
        let (slow, quick) = (format!("SELECT pg_sleep(60) {marker}"), "SELECT pg_sleep(1)");
        let token = victim.cancel_token();
        let sleeping = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' \
             AND query LIKE 'SELECT pg_sleep(60)%' AND query LIKE '%cancelled {round}%'"
        );
        let cancel = async {
            tokio::task::spawn_blocking(move || until_primary_says(&sleeping, "1")).await.unwrap();
            token.cancel_query(NoTls).await.unwrap();
        };
        let (cancelled, slept, ()) = tokio::join!(victim.simple_query(&slow), other.simple_query(quick), cancel);
        assert_eq!(sqlstate(&cancelled.unwrap_err()), "57014");
        slept.unwrap();
        assert_eq!(ask(&victim, "SELECT 1").await.unwrap(), "1", "the session goes on");
    }
}

#[tokio::test]
async fn a_cancel_request_that_comes_too_late_hits_nobody() {
    let proxy = proxy(1, |config| config);
    let (gone, other) = (connect(proxy.port(), "postgres").await, connect(proxy.port(), "postgres").await);
    gone.simple_query("SELECT 1").await.unwrap();
    let token = gone.cancel_token();

    let (slept, cancelled) = tokio::join!(other.simple_query("SELECT pg_sleep(1)"), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        token.cancel_query(NoTls).await
    });

    slept.unwrap();
    cancelled.unwrap();
}

#[test]
fn a_client_that_vanishes_while_it_waits_takes_no_server() {
    let proxy = proxy(1, |config| config);
    let (mut holder, mut waiter) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    holder.query("BEGIN");
    waiter.send(&query("SELECT 1")).unwrap();
    drop(waiter);

    holder.query("COMMIT");

    let mut next = Raw::login(proxy.port(), "postgres");
    assert_eq!(tags(&next.query("SELECT 1")), "TDCZ");
}
