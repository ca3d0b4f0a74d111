//! Clients that go without a word.

use howdah_tests::{
    fresh_database,
    raw::{Raw, query, tags},
};

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

#[test]
fn a_client_that_vanishes_while_it_waits_takes_no_server() {
    let proxy = proxy(1, |config| config);
    let (mut holder, mut waiter) = (Raw::login(proxy.port(), "postgres"), Raw::login(proxy.port(), "postgres"));
    holder.query("BEGIN");
    holder.query("SELECT 1");
    waiter.send(&query("SELECT 1")).unwrap();
    drop(waiter);

    holder.query("COMMIT");

    let mut next = Raw::login(proxy.port(), "postgres");
    assert_eq!(tags(&next.query("SELECT 1")), "TDCZ");
}
