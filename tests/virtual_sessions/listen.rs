//! A session hears what it listens to, and keeps no server for it.

mod trouble;

use std::future::poll_fn;

use howdah::demo::ProxyConfig;
use howdah_tests::{
    PATIENCE, Proxy,
    clients::{ask, config, connect, sqlstate},
    fresh_database,
    raw::{Raw, tags},
    shared_cluster,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::{AsyncMessage, Client, NoTls};

use super::proxy;

/// A client, and what it is told unasked.
struct Listener {
    client: Client,
    heard: UnboundedReceiver<AsyncMessage>,
}

impl Listener {
    async fn connect(port: u16, database: &str) -> Self {
        let (client, mut connection) = config(port, database).connect(NoTls).await.expect("a client gets in");
        let (tell, heard) = unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        Self { client, heard }
    }

    async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Is told that something may be missing.
    async fn hears_of_a_gap(&mut self) {
        match self.message().await {
            AsyncMessage::Notice(notice) => assert_eq!(notice.message(), "notifications may have been lost"),
            other => panic!("not a notice: {other:?}"),
        }
    }

    async fn message(&mut self) -> AsyncMessage {
        let heard = tokio::time::timeout(PATIENCE, self.heard.recv()).await;
        heard.expect("something comes in time").expect("the connection stays")
    }

    /// The next notification: `channel payload`.
    async fn hears(&mut self) -> String {
        match self.message().await {
            AsyncMessage::Notification(heard) => format!("{} {}", heard.channel(), heard.payload()),
            other => panic!("not a notification: {other:?}"),
        }
    }
}

/// A database of its own, a proxy, and a client straight at the primary.
async fn scene(servers: usize, change: impl FnOnce(ProxyConfig) -> ProxyConfig) -> (Proxy, String, Client) {
    let database = fresh_database();
    let direct = connect(shared_cluster().primary().port, &database).await;
    (proxy(servers, change), database, direct)
}

fn assert_nobody_is_pinned(proxy: &Proxy) {
    assert_eq!(proxy.console().ask("SHOW PINS").unwrap(), "");
}

#[tokio::test]
async fn fifty_sessions_over_two_servers_hear_everything_in_order() {
    let (proxy, database, direct) = scene(2, |config| config).await;
    let mut listeners = Vec::new();
    for _ in 0..50 {
        let listener = Listener::connect(proxy.port(), &database).await;
        listener.run("LISTEN news").await;
        listeners.push(listener);
    }
    let through = connect(proxy.port(), &database).await;
    for at in 0..40 {
        let sender = if at % 2 == 0 { &direct } else { &through };
        ask(sender, &format!("SELECT pg_notify('news', 'number {at} ' || repeat('x', 7000))")).await.unwrap();
    }
    let tail = "x".repeat(7000);
    for listener in &mut listeners {
        for at in 0..40 {
            assert_eq!(listener.hears().await, format!("news number {at} {tail}"));
        }
    }
    assert_nobody_is_pinned(&proxy);
    let connections = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'howdah-listen'";
    assert_eq!(ask(&direct, connections).await.unwrap(), "1");
}

#[tokio::test]
async fn what_is_rolled_back_is_not_listened_to() {
    let (proxy, database, direct) = scene(1, |config| config).await;
    let mut one = Listener::connect(proxy.port(), &database).await;
    one.run("BEGIN; LISTEN gone; ROLLBACK").await;
    one.run("BEGIN").await;
    one.run("LISTEN gone").await;
    one.run("ROLLBACK").await;
    one.run("BEGIN").await;
    one.run("LISTEN kept").await;
    one.run("SAVEPOINT s").await;
    one.run("LISTEN gone").await;
    one.run("ROLLBACK TO s").await;
    one.run("COMMIT").await;
    one.run("BEGIN; SELECT 1").await;
    one.client.batch_execute("SELECT 1 / 0").await.unwrap_err();
    let refused = one.client.batch_execute("LISTEN gone").await.unwrap_err();
    assert_eq!(sqlstate(&refused), "25P02");
    one.run("COMMIT").await;
    ask(&direct, "NOTIFY gone; NOTIFY kept, 'yes'").await.unwrap();
    assert_eq!(one.hears().await, "kept yes");
}

#[tokio::test]
async fn drivers_may_prepare_what_they_listen_to() {
    let (proxy, database, direct) = scene(1, |config| config).await;
    let mut one = Listener::connect(proxy.port(), &database).await;
    one.client.execute("LISTEN a", &[]).await.unwrap();
    let transaction = one.client.transaction().await.unwrap();
    transaction.execute("LISTEN b", &[]).await.unwrap();
    transaction.execute("UNLISTEN a", &[]).await.unwrap();
    transaction.commit().await.unwrap();
    let transaction = one.client.transaction().await.unwrap();
    transaction.execute("LISTEN c", &[]).await.unwrap();
    transaction.execute("UNLISTEN *", &[]).await.unwrap();
    transaction.rollback().await.unwrap();
    ask(&direct, "NOTIFY a; NOTIFY b; NOTIFY c; NOTIFY b, 'last'").await.unwrap();
    assert_eq!(one.hears().await, "b ");
    assert_eq!(one.hears().await, "b last");
    assert_nobody_is_pinned(&proxy);
}

#[tokio::test]
async fn unlisten_does_what_it_does_in_postgresql() {
    let (proxy, database, direct) = scene(1, |config| config).await;
    let mut one = Listener::connect(proxy.port(), &database).await;
    let mut other = Listener::connect(proxy.port(), &database).await;
    other.run("LISTEN a; LISTEN b; LISTEN c").await;
    let notify = async || ask(&direct, "NOTIFY a; NOTIFY b; NOTIFY c; NOTIFY the_end").await.unwrap();
    one.run("LISTEN a; LISTEN b; LISTEN c; LISTEN the_end").await;
    let steps: [(&str, &[&str], &[&str]); 7] = [
        ("by itself", &["UNLISTEN a"], &["b", "c"]),
        ("rolled back", &["BEGIN", "SELECT 1", "UNLISTEN b", "ROLLBACK"], &["b", "c"]),
        (
            "a savepoint rolled back",
            &["BEGIN", "SELECT 1", "SAVEPOINT s", "UNLISTEN b", "ROLLBACK TO s", "COMMIT"],
            &["b", "c"],
        ),
        ("committed", &["BEGIN", "SELECT 1", "UNLISTEN b", "SAVEPOINT s", "LISTEN a", "COMMIT"], &["a", "c"]),
        ("first of its transaction", &["BEGIN", "UNLISTEN *", "LISTEN the_end", "COMMIT"], &[]),
        (
            "behind a rollback, in the same text",
            &["LISTEN a", "BEGIN", "SELECT 1", "ROLLBACK; BEGIN; SELECT 1; COMMIT", "LISTEN b"],
            &["a", "b"],
        ),
        ("with all else", &["LISTEN a", "DISCARD ALL", "LISTEN the_end"], &[]),
    ];
    for (name, commands, rest) in steps {
        for command in commands {
            one.run(command).await;
        }
        notify().await;
        for channel in rest.iter().copied().chain(["the_end"]) {
            assert_eq!(one.hears().await, format!("{channel} "), "{name}");
        }
        for channel in ["a", "b", "c"] {
            assert_eq!(other.hears().await, format!("{channel} "), "nobody's channels are another's");
        }
    }
    assert_nobody_is_pinned(&proxy);
}

#[tokio::test]
async fn a_session_knows_its_channels_and_no_others() {
    let (proxy, database, _direct) = scene(1, |config| config).await;
    let one = Listener::connect(proxy.port(), &database).await;
    let other = Listener::connect(proxy.port(), &database).await;
    one.run("LISTEN a; LISTEN \"B \"\"c\"").await;
    let channels = "SELECT string_agg(c, ',' ORDER BY c) FROM pg_listening_channels() AS c";
    assert_eq!(ask(&one.client, channels).await.unwrap(), "B \"c,a");
    assert_eq!(ask(&other.client, channels).await.unwrap(), "");
    one.run("BEGIN").await;
    assert_eq!(ask(&one.client, channels).await.unwrap(), "B \"c,a");
    one.run("COMMIT").await;
    assert_eq!(ask(&other.client, channels).await.unwrap(), "");
    for begin in ["BEGIN", "BEGIN; SELECT 0"] {
        one.run(begin).await;
        one.run("SELECT 1").await;
        assert_eq!(ask(&one.client, channels).await.unwrap(), "B \"c,a");
        one.run("ROLLBACK").await;
    }
    one.run(&format!("PREPARE channels AS {channels}")).await;
    assert_eq!(ask(&one.client, "EXECUTE channels").await.unwrap(), "B \"c,a");
}

#[tokio::test]
async fn what_is_undone_behind_an_unlisten_costs_no_channel() {
    let (proxy, database, direct) = scene(1, |config| config).await;
    let mut one = Listener::connect(proxy.port(), &database).await;
    one.run("LISTEN a; LISTEN b").await;
    for end in ["ROLLBACK; BEGIN; UNLISTEN b; COMMIT", "ROLLBACK TO s; UNLISTEN b; COMMIT"] {
        for command in ["BEGIN", "SELECT 1", "SAVEPOINT s", end] {
            one.run(command).await;
        }
        ask(&direct, "NOTIFY a").await.unwrap();
        while one.hears().await != "a " {}
    }
}

#[tokio::test]
async fn a_session_hears_itself_once() {
    let (proxy, database, _direct) = scene(1, |config| config).await;
    let mut one = Listener::connect(proxy.port(), &database).await;
    one.run("BEGIN; LISTEN a; NOTIFY a, 'with it'; COMMIT").await;
    one.run("NOTIFY a, 'later'").await;
    one.run("UNLISTEN b; NOTIFY a, 'while its server listens'").await;
    one.run("NOTIFY a, 'last'").await;
    for payload in ["with it", "later", "while its server listens", "last"] {
        assert_eq!(one.hears().await, format!("a {payload}"));
    }
}

#[tokio::test]
async fn what_a_session_tells_itself_comes_before_the_end_of_the_answer() {
    let (proxy, database, _direct) = scene(1, |config| config).await;
    let mut one = Raw::login(proxy.port(), &database);
    assert_eq!(tags(&one.query("LISTEN a")), "CZ");
    for _ in 0..20 {
        assert_eq!(tags(&one.query("NOTIFY a")), "CAZ");
        assert_eq!(tags(&one.query("SELECT pg_notify('a', 'x')")), "TDCAZ");
        assert_eq!(tags(&one.query("BEGIN; NOTIFY a, '1'; NOTIFY a, '2'")), "CCCZ");
        assert_eq!(tags(&one.query("COMMIT")), "CAAZ");
        assert_eq!(tags(&one.query("SELECT 1")), "TDCZ");
    }
}

#[tokio::test]
async fn nothing_is_told_inside_a_transaction() {
    let (proxy, database, direct) = scene(2, |config| config).await;
    let mut one = Listener::connect(proxy.port(), &database).await;
    let mut other = Listener::connect(proxy.port(), &database).await;
    one.run("LISTEN a").await;
    other.run("LISTEN a").await;
    one.run("BEGIN; SELECT 1").await;
    ask(&direct, "NOTIFY a").await.unwrap();
    assert_eq!(other.hears().await, "a ");
    one.run("SELECT 2").await;
    assert!(one.heard.try_recv().is_err());
    one.run("COMMIT").await;
    assert_eq!(one.hears().await, "a ");
}

#[tokio::test]
async fn what_follows_a_listen_is_heard_while_others_come_and_go() {
    let (proxy, database, direct) = scene(2, |config| config).await;
    let mut steady = Listener::connect(proxy.port(), &database).await;
    steady.run("LISTEN steady").await;
    let mut crowd = Vec::new();
    for at in 0..4 {
        let listener = Listener::connect(proxy.port(), &database).await;
        crowd.push(tokio::spawn(async move {
            for round in 0..50 {
                listener.run(&format!("LISTEN steady; LISTEN c{}", (at + round) % 3)).await;
                listener.run("UNLISTEN *").await;
            }
        }));
    }
    let mut one = Listener::connect(proxy.port(), &database).await;
    for at in 0..100 {
        let channel = format!("c{}", at % 3);
        one.run(&format!("LISTEN {channel}")).await;
        ask(&direct, &format!("NOTIFY {channel}, '{at}'; NOTIFY steady, '{at}'")).await.unwrap();
        assert_eq!(one.hears().await, format!("{channel} {at}"));
        assert_eq!(steady.hears().await, format!("steady {at}"));
        one.run("UNLISTEN *").await;
    }
    for listener in crowd {
        listener.await.unwrap();
    }
    assert_nobody_is_pinned(&proxy);
}

#[tokio::test]
async fn operators_who_refuse_pins_need_not_refuse_listen() {
    let (proxy, database, direct) = scene(1, |config| config.set("server_pin", "\"refuse\"")).await;
    let mut one = Listener::connect(proxy.port(), &database).await;
    one.run("LISTEN a").await;
    ask(&direct, "NOTIFY a").await.unwrap();
    assert_eq!(one.hears().await, "a ");
}

#[tokio::test]
async fn reads_on_standbys_make_no_difference() {
    let database = fresh_database();
    let direct = connect(shared_cluster().primary().port, &database).await;
    let proxy = Proxy::start(shared_cluster(), |config| config.set("pool_mode", "\"transaction\""));
    let mut one = Listener::connect(proxy.port(), &database).await;
    one.run("LISTEN a").await;
    one.run("LISTEN b").await;
    for sql in ["SELECT 1", "BEGIN READ ONLY", "SELECT 1", "COMMIT", "UNLISTEN a", "SELECT 1"] {
        one.run(sql).await;
    }
    assert_eq!(ask(&one.client, "SELECT * FROM pg_listening_channels()").await.unwrap(), "b");
    for sql in ["BEGIN READ ONLY", "SELECT 1", "COMMIT"] {
        one.run(sql).await;
    }
    ask(&direct, "NOTIFY a; NOTIFY b").await.unwrap();
    assert_eq!(one.hears().await, "b ");
}

#[tokio::test]
async fn a_function_may_listen_too() {
    let (proxy, database, direct) = scene(1, |config| config).await;
    let mut one = Listener::connect(proxy.port(), &database).await;
    let other = connect(proxy.port(), &database).await;
    one.run("DO $$ BEGIN EXECUTE 'LISTEN a'; END $$").await;
    ask(&other, "NOTIFY a, '1'").await.unwrap();
    assert_eq!(one.hears().await, "a 1");
    one.run("DO $$ BEGIN EXECUTE 'UNLISTEN a'; EXECUTE 'LISTEN b'; END $$").await;
    ask(&direct, "NOTIFY a; NOTIFY b, '2'").await.unwrap();
    assert_eq!(one.hears().await, "b 2");
    assert_nobody_is_pinned(&proxy);
}
