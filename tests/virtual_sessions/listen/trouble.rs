//! When the connection that listens is lost or cannot be had, and when clients do not keep up.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use howdah::demo::{ClusterOptions, PgCluster, ports, wait};
use howdah_tests::{
    PATIENCE, Proxy,
    clients::{ask, connect},
    raw::{Raw, tags},
    shared_cluster,
};

use super::{Listener, scene};

fn keeps_its_server(proxy: &Proxy) {
    let pinned = wait::until(PATIENCE, || proxy.console().ask("SHOW PINS").unwrap().contains("listen").then_some(()));
    pinned.expect("nobody else can listen for it");
}

fn keeps_no_server(proxy: &Proxy) {
    let free = wait::until(PATIENCE, || proxy.console().ask("SHOW PINS").unwrap().is_empty().then_some(()));
    free.expect("somebody else listens for it");
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_told() {
    let address = format!("127.0.0.1:{}", ports::free_port().unwrap());
    let (proxy, database, direct) = scene(1, |config| config.set("metrics_listen", &format!("{address:?}"))).await;
    let mut one = Listener::connect(proxy.port(), &database).await;
    one.run("LISTEN a").await;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'howdah-listen'";
    for round in ["first", "second"] {
        assert_eq!(ask(&direct, kill).await.unwrap(), "1");
        one.hears_of_a_gap().await;
        ask(&direct, &format!("NOTIFY a, '{round}'")).await.unwrap();
        assert_eq!(one.hears().await, format!("a {round}"));
    }
    let mut page = String::new();
    let mut metrics = TcpStream::connect(&address).unwrap();
    metrics.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
    metrics.read_to_string(&mut page).unwrap();
    for (name, value) in [("connections", 1), ("channels", 1), ("sessions", 1), ("gaps_total", 2)] {
        let line = format!("howdah_listen_{name}{{database=\"{database}\",user=\"postgres\"}} {value}");
        assert!(page.contains(&line), "{line} is not in\n{page}");
    }
}

#[tokio::test]
async fn after_a_failover_the_new_primary_is_listened_to() {
    let cluster = PgCluster::start(ClusterOptions { standbys: 1, ..ClusterOptions::default() }).unwrap();
    let proxy = Proxy::start(&cluster, |config| config.set("pool_mode", "\"transaction\""));
    let mut one = Listener::connect(proxy.port(), "postgres").await;
    one.run("LISTEN a").await;
    // Answered when its server is another's again.
    one.run("SELECT 1").await;
    cluster.primary().kill9().unwrap();
    cluster.standbys()[0].psql("SELECT pg_promote()").unwrap();
    one.hears_of_a_gap().await;
    cluster.standbys()[0].psql("NOTIFY a, 'promoted'").unwrap();
    assert_eq!(one.hears().await, "a promoted");
}

#[tokio::test]
async fn another_encoding_keeps_the_server() {
    let (proxy, database, direct) = scene(2, |config| config).await;
    let mut one = Listener::connect(proxy.port(), &database).await;
    one.run("SET client_encoding = 'LATIN1'").await;
    one.run("LISTEN a").await;
    keeps_its_server(&proxy);
    ask(&direct, "NOTIFY a, 'x'").await.unwrap();
    assert_eq!(one.hears().await, "a x");
    one.run("UNLISTEN a").await;
    keeps_no_server(&proxy);
}

#[tokio::test]
async fn with_its_encoding_changed_a_session_listens_by_itself() {
    let (proxy, database, direct) = scene(2, |config| config).await;
    let mut one = Listener::connect(proxy.port(), &database).await;
    one.run("LISTEN a").await;
    one.run("BEGIN; SET client_encoding = 'LATIN1'; ROLLBACK").await;
    one.run("SELECT 1").await;
    keeps_no_server(&proxy);
    one.run("SET client_encoding = 'LATIN1'").await;
    one.hears_of_a_gap().await;
    keeps_its_server(&proxy);
    ask(&direct, "NOTIFY a, 'x'").await.unwrap();
    assert_eq!(one.hears().await, "a x");
    one.run("SET client_encoding = 'UTF8'").await;
    one.run("LISTEN a").await;
    keeps_no_server(&proxy);
    ask(&direct, "NOTIFY a, 'y'").await.unwrap();
    assert_eq!(one.hears().await, "a y");
}

#[tokio::test]
async fn without_the_connection_a_session_listens_by_itself() {
    let (proxy, database, direct) = scene(2, |config| config).await;
    let operator = connect(shared_cluster().primary().port, "postgres").await;
    let mut one = Listener::connect(proxy.port(), &database).await;
    one.run("SELECT 1").await;
    ask(&operator, &format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false")).await.unwrap();
    one.run("LISTEN a").await;
    keeps_its_server(&proxy);
    ask(&direct, "NOTIFY a, '1'").await.unwrap();
    assert_eq!(one.hears().await, "a 1");

    ask(&operator, &format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true")).await.unwrap();
    one.run("LISTEN b").await;
    keeps_no_server(&proxy);
    ask(&direct, "NOTIFY a, '2'; NOTIFY b, '2'").await.unwrap();
    assert_eq!(one.hears().await, "a 2");
    assert_eq!(one.hears().await, "b 2");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_sent_away() {
    let (proxy, database, direct) = scene(1, |config| config).await;
    let mut deaf = Raw::login(proxy.port(), &database);
    deaf.query("LISTEN a");
    let mut other = Listener::connect(proxy.port(), &database).await;
    other.run("LISTEN b").await;
    let flood = "SELECT count(pg_notify('a', repeat('x', 7900) || g)) FROM generate_series(1, 8000) AS g";
    assert_eq!(ask(&direct, flood).await.unwrap(), "8000");
    let gone = wait::until(PATIENCE, || {
        let shown = proxy.console().ask("SHOW CLIENTS").unwrap();
        (shown.lines().filter(|line| line.contains(&database)).count() == 1).then_some(())
    });
    gone.expect("nothing is kept for it without end");
    ask(&direct, "NOTIFY b").await.unwrap();
    assert_eq!(other.hears().await, "b ");
    deaf.drain();
}

#[tokio::test]
async fn a_client_is_told_that_too_many_wait_for_it() {
    let (proxy, database, direct) = scene(2, |config| config).await;
    let mut busy = Raw::login(proxy.port(), &database);
    for sql in ["LISTEN a", "BEGIN", "SELECT 1"] {
        busy.query(sql);
    }
    let mut other = Listener::connect(proxy.port(), &database).await;
    other.run("LISTEN a").await;
    let flood = "SELECT count(pg_notify('a', g::text)) FROM generate_series(1, 10500) AS g";
    assert_eq!(ask(&direct, flood).await.unwrap(), "10500");
    for at in 1..=10500 {
        assert_eq!(other.hears().await, format!("a {at}"));
    }
    assert_eq!(tags(&busy.query("COMMIT")), "CZ");
    let last = busy.until_end();
    assert_eq!(tags(&last), "E");
    assert_eq!(last[0].sqlstate(), "54000");
}
