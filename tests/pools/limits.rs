//! Sizes and time limits.

use howdah::demo::Load;
use howdah_tests::{
    clients::{ask, config, connect, connect_with, sqlstate},
    fresh_database, load_time,
    raw::{Raw, startup, tags},
    shared_cluster,
};
use tokio_postgres::NoTls;

use super::proxy;

#[tokio::test]
async fn a_pool_never_grows_beyond_its_size_whatever_the_number_of_workers() {
    let (cluster, database) = (shared_cluster(), fresh_database());
    cluster.primary().psql("CREATE ROLE limited SUPERUSER LOGIN").unwrap();
    let proxy = proxy(3, |config| config.set("workers", "2"));
    let load = |arguments: &str| Load {
        database: database.clone(),
        user: "limited".into(),
        ..Load::new(proxy.port(), arguments)
    };
    load("-i -q").run(cluster.primary()).unwrap();
    let seconds = load_time(3, 20).as_secs();
    let watcher = connect(cluster.primary().port, "postgres").await;

    let mut running = load(&format!("-S -c 20 -j 2 -M prepared -T {seconds}")).start(cluster.primary()).unwrap();
    let mut most = 0;
    while running.is_running() {
        let count = ask(&watcher, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'limited'").await.unwrap();
        most = most.max(count.parse().unwrap());
    }

    running.finish().unwrap().clean().unwrap();
    assert_eq!(most, 3);
}

#[tokio::test]
async fn a_client_that_waits_too_long_is_told_so_and_stays() {
    let proxy = proxy(1, |config| config.set("query_wait_timeout", "1"));
    let (holder, waiter) = (connect(proxy.port(), "postgres").await, connect(proxy.port(), "postgres").await);
    holder.simple_query("BEGIN; SELECT 1").await.unwrap();

    let refused = waiter.simple_query("SELECT 1").await.unwrap_err();
    assert_eq!(sqlstate(&refused), "53300", "{refused:?}");
    let refused = waiter.query("SELECT 1", &[]).await.unwrap_err();
    assert_eq!(sqlstate(&refused), "53300", "{refused:?}");

    holder.simple_query("COMMIT").await.unwrap();
    assert_eq!(ask(&waiter, "SELECT 1").await.unwrap(), "1");
}

#[test]
fn an_idle_transaction_is_ended_and_rolled_back() {
    let database = fresh_database();
    let proxy = proxy(1, |config| config.set("idle_transaction_timeout", "1"));
    let mut client = Raw::login(proxy.port(), &database);
    client.query("CREATE TABLE t (x int)");
    client.query("BEGIN");
    client.query("INSERT INTO t VALUES (1)");

    let farewell = client.next().unwrap();

    assert_eq!((farewell.tag, &*farewell.sqlstate()), ('E', "25P03"));
    assert_eq!(client.next(), None);
    assert_eq!(proxy.client().database(&database).ask("SELECT count(*) FROM t").unwrap(), "0");
}

#[test]
fn an_idle_client_is_sent_away_but_not_one_in_a_query() {
    let proxy = proxy(1, |config| config.set("client_idle_timeout", "1"));
    let mut client = Raw::login(proxy.port(), "postgres");
    assert_eq!(tags(&client.query("SELECT pg_sleep(2.5)")), "TDCZ");

    let farewell = client.next().unwrap();

    assert_eq!((farewell.tag, &*farewell.sqlstate()), ('E', "57P05"));
    assert_eq!(client.next(), None);
}

#[tokio::test]
async fn one_client_too_many_is_refused_and_gets_in_when_another_has_left() {
    let proxy = proxy(1, |config| config.set("max_client_conn", "2"));
    let first = connect(proxy.port(), "postgres").await;
    let second = Raw::login(proxy.port(), "postgres");

    let third = config(proxy.port(), "postgres").connect(NoTls).await.err().unwrap();
    assert_eq!(sqlstate(&third), "53300", "{third:?}");
    assert_eq!(ask(&first, "SELECT 1").await.unwrap(), "1");

    drop(second);
    let mut tries = 0;
    while config(proxy.port(), "postgres").connect(NoTls).await.is_err() {
        tries += 1;
        assert!(tries < 1000, "the place of a client that left is free");
    }
}

#[tokio::test]
async fn two_clients_of_one_server_never_see_each_others_settings() {
    let proxy = proxy(1, |config| config);
    let with_zone = |zone: &str| {
        let mut config = config(proxy.port(), "postgres");
        config.options(format!("-c TimeZone={zone}"));
        config
    };
    let tokyo = connect_with(with_zone("Asia/Tokyo")).await;
    let mut lima = Raw::open(proxy.port());
    let parameters = [("user", "postgres"), ("database", "postgres"), ("TimeZone", "America/Lima")];
    lima.send(&startup(&parameters)).unwrap();
    lima.until_ready();
    let zone = |client: &mut Raw| {
        let answer = client.query("SHOW TimeZone");
        assert_eq!(tags(&answer), "TDCZ");
        String::from_utf8_lossy(&answer[1].body[6..]).into_owned()
    };

    for _ in 0..20 {
        assert_eq!(ask(&tokyo, "SHOW TimeZone").await.unwrap(), "Asia/Tokyo");
        assert_eq!(zone(&mut lima), "America/Lima");
    }
    tokyo.simple_query("SET TimeZone = 'Europe/Oslo'").await.unwrap();
    for _ in 0..20 {
        assert_eq!(zone(&mut lima), "America/Lima");
        assert_eq!(ask(&tokyo, "SHOW TimeZone").await.unwrap(), "Europe/Oslo");
    }
}
