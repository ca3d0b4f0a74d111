//! Cancel requests stop what they were meant for, or nothing.

use std::time::Duration;

use howdah::demo::wait;
use howdah_tests::{
    PATIENCE,
    clients::{ask, connect, sqlstate},
    raw::{Message, Raw, cancel_request, query, startup, tags},
};
use tokio_postgres::NoTls;

use super::{proxy, until_primary_says};

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

#[tokio::test]
async fn a_client_that_waits_for_a_server_can_be_cancelled() {
    let proxy = proxy(1, |config| config);
    let (holder, waiter) = (connect(proxy.port(), "postgres").await, connect(proxy.port(), "postgres").await);
    holder.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let token = waiter.cancel_token();
    let cancel = async {
        let console = proxy.console();
        tokio::task::spawn_blocking(move || {
            let waits = || console.ask("SHOW CLIENTS").unwrap().contains("|waiting|").then_some(());
            wait::until(PATIENCE, waits).expect("it stands in line")
        })
        .await
        .unwrap();
        token.cancel_query(NoTls).await.unwrap();
    };

    let (cancelled, ()) = tokio::join!(waiter.simple_query("SELECT 2"), cancel);

    assert_eq!(sqlstate(&cancelled.unwrap_err()), "57014");
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(ask(&waiter, "SELECT 3").await.unwrap(), "3", "the session goes on");
}

/// A session and the body of its BackendKeyData.
fn login_with_key(port: u16) -> (Raw, Vec<u8>) {
    let mut raw = Raw::open(port);
    raw.send(&startup(&[("user", "postgres"), ("database", "postgres")])).unwrap();
    let key = raw.until_ready().into_iter().find(|message| message.tag == 'K').expect("there is a key");
    (raw, key.body)
}

#[test]
fn a_cancel_request_that_reaches_a_peer_is_passed_on() {
    let peer = proxy(1, |config| config.set("peer_id", "2"));
    let port = peer.port();
    let first = proxy(1, |config| {
        config.set("peer_id", "1").section(&format!("[peers.2]\nhost = \"127.0.0.1\"\nport = {port}"))
    });
    let (mut client, key) = login_with_key(port);
    let pid = u32::from_be_bytes(key[..4].try_into().unwrap());
    assert_eq!(pid >> 17, 2, "the process id begins with the number of the proxy");
    assert_eq!(first.console().ask("SHOW PEERS").unwrap(), format!("2|127.0.0.1|{port}|"));
    client.send(&query("SELECT pg_sleep(60) /* of a peer */")).unwrap();
    until_primary_says(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg\\_sleep(60) /* of a peer%'",
        "1",
    );

    Raw::open(first.port()).send(&cancel_request(&key)).unwrap();

    let answer = client.until_ready();
    assert_eq!(answer.iter().find(|message| message.tag == 'E').map(Message::sqlstate).as_deref(), Some("57014"));
    assert_eq!(tags(&client.query("SELECT 1")), "TDCZ");
}
