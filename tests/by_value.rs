//! A policy routes by what is in no shape: literals, bound values, what a session has set; and a key that
//! one session stamps binds the reads of another.

use std::time::{Duration, Instant};

use howdah::demo::{PgCluster, ProxyConfig, ports};
use howdah_tests::{
    PATIENCE, Proxy,
    clients::{ask, config, connect, connect_with, sqlstate},
    load_time,
    raw::{Message, Raw, bind, execute, parse, sync},
    shared_cluster,
};
use tokio_postgres::{Client, Error, types::Type};

use crate::causal_reads::{lagging_cluster, lagging_cluster_with};

/// Looks where its settings say.
const BY_VALUE: &str = concat!(env!("OUT_DIR"), "/by-value.wasm");

const WHERE: &str = "SELECT current_setting('cluster_name')";

/// Keys that are written all the time.
const BUSY_KEYS: i32 = 4;

/// A key that is never written while the test runs; its row is there.
const QUIET_KEY: i32 = 0;

fn proxy(cluster: &PgCluster, settings: &str) -> Proxy {
    proxy_with(cluster, settings, |config| config)
}

fn proxy_with(cluster: &PgCluster, settings: &str, change: impl FnOnce(ProxyConfig) -> ProxyConfig) -> Proxy {
    Proxy::start(cluster, |config| {
        change(config.set("pool_mode", "\"transaction\"").router(BY_VALUE, &format!("{{ {settings} }}")))
    })
}

/// How often the policy has been asked.
fn calls(proxy: &Proxy) -> u64 {
    let plugins = proxy.console().table("SHOW PLUGINS").unwrap();
    plugins.column("calls")[0].parse().unwrap()
}

/// The node that answers for this value.
async fn bound_to(client: &Client, statement: &tokio_postgres::Statement, value: &str) -> String {
    client.query_one(statement, &[&value]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_policy_routes_by_the_values_of_parameters() {
    let proxy = proxy(shared_cluster(), "see = \"parameters\"");
    let client = connect(proxy.port(), "postgres").await;
    let sql = format!("{WHERE} WHERE $1 <> ''");
    let text = client.prepare_typed(&sql, &[Type::TEXT]).await.unwrap();
    for node in ["n2", "n0", "n1", "n2"] {
        assert_eq!(bound_to(&client, &text, node).await, node);
    }

    let mut raw = Raw::login(proxy.port(), "postgres");
    for node in ["n1", "n2"] {
        let batch = [parse("", &sql), bind("", &[node]), execute(), sync()].concat();
        raw.send(&batch).unwrap();
        assert_eq!(first_value(&raw.until_ready()), node, "an unnamed statement");
        raw.send(&[bind("", &[node]), execute(), sync()].concat()).unwrap();
        assert_eq!(first_value(&raw.until_ready()), node, "the same, prepared before");
    }
}

#[tokio::test]
async fn plans_are_kept_by_the_values_that_the_policy_names_and_by_no_others() {
    // Twice would do, but a node that answers late, or the catalog when it has been read, makes plans start afresh.
    for (kept, asked) in [(true, 2..=10), (false, 20..=20)] {
        let proxy = proxy_with(shared_cluster(), &format!("see = \"parameters\", kept = {kept}"), |config| {
            config.set("workers", "1")
        });
        let client = connect(proxy.port(), "postgres").await;
        let sql = format!("{WHERE} WHERE $1 <> ''");
        let statement = client.prepare_typed(&sql, &[Type::TEXT]).await.unwrap();
        let before = calls(&proxy);
        for _ in 0..10 {
            for node in ["n1", "n2"] {
                assert_eq!(bound_to(&client, &statement, node).await, node);
            }
        }
        let calls = calls(&proxy) - before;
        assert!(asked.contains(&calls), "kept: {kept}, asked {calls} times");
    }
}

#[tokio::test]
async fn a_policy_routes_by_the_text_as_it_was_sent() {
    let proxy = proxy(shared_cluster(), "see = \"raw-text\"");
    let client = connect(proxy.port(), "postgres").await;
    for node in ["n2", "n0", "n1", "n2"] {
        let sql = format!("SELECT '{node}' WHERE current_setting('cluster_name') = '{node}'");
        assert_eq!(ask(&client, &sql).await.unwrap(), node, "one shape, another text");
        let prepared = client.prepare(&sql).await.unwrap();
        for _ in 0..2 {
            let read: String = client.query_one(&prepared, &[]).await.unwrap().get(0);
            assert_eq!(read, node, "the text of a statement that was prepared before");
        }
    }
}

#[tokio::test]
async fn what_a_policy_refuses_is_refused_in_company_and_inside_a_transaction_too() {
    let proxy = proxy(shared_cluster(), "see = \"raw-text\"");
    let client = connect(proxy.port(), "postgres").await;
    let state = |result: Result<String, Error>| result.map_err(|error| sqlstate(&error).to_owned());
    assert_eq!(state(ask(&client, "SELECT 'refuse'").await), Err("42501".to_owned()));
    assert_eq!(state(ask(&client, "SELECT 'allowed'").await), Ok("allowed".to_owned()));

    let mut raw = Raw::login(proxy.port(), "postgres");
    let run = |sql: &str| [parse("", sql), bind("", &[]), execute()].concat();
    raw.send(&[run("SELECT 'allowed'"), run("SELECT 'refuse'"), sync()].concat()).unwrap();
    assert_eq!(raw.until_ready()[0].sqlstate(), "42501", "in company too");

    client.simple_query("BEGIN").await.unwrap();
    assert_eq!(state(ask(&client, "SELECT 'refuse'").await), Err("42501".to_owned()));
    assert_eq!(state(ask(&client, "SELECT 'allowed'").await), Err("25P02".to_owned()), "as after any other error");
    client.simple_query("ROLLBACK").await.unwrap();

    client.simple_query("BEGIN; SAVEPOINT here").await.unwrap();
    assert_eq!(state(ask(&client, "SELECT 'refuse'").await), Err("42501".to_owned()));
    client.simple_query("ROLLBACK TO here").await.unwrap();
    assert_eq!(state(ask(&client, "SELECT 'allowed'").await), Ok("allowed".to_owned()));
    client.simple_query("COMMIT").await.unwrap();

    client.simple_query("CREATE TEMPORARY TABLE here (x int)").await.unwrap();
    assert_eq!(state(ask(&client, "SELECT 'refuse'").await), Err("42501".to_owned()), "at a server of its own");
    assert_eq!(state(ask(&client, "SELECT 'allowed'").await), Ok("allowed".to_owned()));
}

#[tokio::test]
async fn a_refusal_in_a_transaction_leaves_what_the_client_asked_for_at_its_start() {
    let proxy = proxy(shared_cluster(), "see = \"raw-text\"");
    let client = connect_with(config(proxy.port(), "postgres").options("-c work_mem=7MB").clone()).await;
    client.simple_query("BEGIN; SAVEPOINT here; RESET work_mem").await.unwrap();
    let refused = ask(&client, "SELECT 'refuse'").await.unwrap_err();
    assert_eq!(sqlstate(&refused), "42501");
    client.simple_query("ROLLBACK TO here").await.unwrap();
    assert_eq!(ask(&client, "SHOW work_mem").await.unwrap(), "7MB");
    client.simple_query("COMMIT").await.unwrap();
    assert_eq!(ask(&client, "SHOW work_mem").await.unwrap(), "7MB");
}

#[tokio::test]
async fn a_policy_sees_what_a_session_has_set_at_its_start_and_since_then() {
    let see = |name: &str| format!("see = \"session-parameter\", session_parameter = {name:?}");
    let reported = proxy(shared_cluster(), &see("Application_Name"));
    let client = connect_with(config(reported.port(), "postgres").application_name("n1").clone()).await;
    assert_eq!(ask(&client, WHERE).await.unwrap(), "n1");
    client.simple_query("SET application_name = 'n2'").await.unwrap();
    assert_eq!(ask(&client, WHERE).await.unwrap(), "n2");

    let own = proxy(shared_cluster(), &see("app.node"));
    for node in ["n2", "n1"] {
        let options = format!("-c app.node={node}");
        let client = connect_with(config(own.port(), "postgres").options(&options).clone()).await;
        assert_eq!(ask(&client, WHERE).await.unwrap(), node);
        for next in ["n0", "n1", "n2"] {
            client.simple_query(&format!("SET app.node = '{next}'")).await.unwrap();
            assert_eq!(ask(&client, WHERE).await.unwrap(), next, "though PostgreSQL does not report it");
        }
        client.simple_query("BEGIN; SET app.node = 'n0'; ROLLBACK").await.unwrap();
        assert_eq!(ask(&client, WHERE).await.unwrap(), "n2", "what was rolled back was never set");
        client.simple_query("RESET app.node").await.unwrap();
        assert_eq!(ask(&client, WHERE).await.unwrap(), node, "what it asked for at its start");
    }
}

#[tokio::test]
async fn a_write_that_one_session_stamps_is_seen_by_another_though_standbys_lag() {
    let cluster = lagging_cluster("500ms");
    let proxy = proxy_with(&cluster, "see = \"parameters\", wait = \"5ms\"", |config| config.set("workers", "2"));
    let until = Instant::now() + load_time(6, 30);
    let pairs: Vec<_> = (1..=BUSY_KEYS)
        .map(|key| {
            let port = proxy.port();
            tokio::spawn(async move { write_here_and_read_there(port, key, until).await })
        })
        .collect();
    let elsewhere = read_the_quiet_key(proxy.port(), until).await;
    for pair in pairs {
        assert!(pair.await.unwrap() > 10, "each pair has had its turns");
    }
    assert!(elsewhere > 0, "a standby serves a key that nobody writes, though others are written");
}

/// Writes a key in one session, in every way there is, and reads it at once in others; how often.
async fn write_here_and_read_there(port: u16, key: i32, until: Instant) -> i32 {
    let mut writer = connect(port, "postgres").await;
    let readers = [connect(port, "postgres").await, connect(port, "postgres").await];
    let types = [Type::INT4, Type::INT4];
    let update = writer.prepare_typed("UPDATE t SET x = $2 WHERE id = $1", &types).await.unwrap();
    let mut turn = 0;
    while Instant::now() < until {
        turn += 1;
        let chained = key == 1 && turn % 3 == 2;
        if chained {
            writer.simple_query("BEGIN").await.unwrap();
            writer.execute(&update, &[&key, &turn]).await.unwrap();
            writer.simple_query("COMMIT AND CHAIN").await.unwrap();
        } else if turn % 3 == 1 {
            let transaction = writer.transaction().await.unwrap();
            transaction.execute(&update, &[&key, &turn]).await.unwrap();
            transaction.commit().await.unwrap();
        } else {
            writer.execute(&update, &[&key, &turn]).await.unwrap();
        }
        for reader in &readers {
            let (_, x) = read(reader, key).await;
            assert_eq!(x, turn, "key {key} is read as it was written");
        }
        if chained {
            writer.simple_query("COMMIT").await.unwrap();
        }
    }
    turn
}

/// Reads the key that nobody writes; how often a standby served it.
async fn read_the_quiet_key(port: u16, until: Instant) -> u32 {
    let client = connect(port, "postgres").await;
    let mut by_standbys = 0;
    while Instant::now() < until {
        let (node, x) = read(&client, QUIET_KEY).await;
        assert_eq!(x, -1);
        by_standbys += u32::from(node != "n0");
    }
    by_standbys
}

/// The node that serves a key, and the key's row there.
async fn read(client: &Client, key: i32) -> (String, i32) {
    let sql = "SELECT current_setting('cluster_name'), x FROM t WHERE id = $1";
    let row = &client.query_typed(sql, &[(&key, Type::INT4)]).await.unwrap()[0];
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn a_key_is_read_from_the_standbys_again_when_they_have_what_was_written() {
    let cluster = lagging_cluster("500ms");
    let proxy = proxy(&cluster, "see = \"parameters\", kept = true");
    let (writer, reader) = (connect(proxy.port(), "postgres").await, connect(proxy.port(), "postgres").await);
    let types = [Type::INT4, Type::INT4];
    let update = writer.prepare_typed("UPDATE t SET x = $2 WHERE id = $1", &types).await.unwrap();
    for turn in 1..=3 {
        writer.execute(&update, &[&1, &turn]).await.unwrap();
        assert_eq!(read(&reader, 1).await, ("n0".to_owned(), turn), "no standby has it yet");
        let deadline = Instant::now() + PATIENCE;
        while read(&reader, 1).await.0 == "n0" {
            assert!(Instant::now() < deadline, "reads stay on the primary");
        }
        assert_eq!(read(&reader, 1).await.1, turn);
    }
}

#[tokio::test]
async fn a_transaction_that_began_under_another_policy_counts_for_every_key() {
    let cluster = lagging_cluster("500ms");
    let config = ProxyConfig::for_cluster(&cluster, ports::free_port().unwrap());
    let config = config.set("pool_mode", "\"transaction\"");
    let proxy = Proxy::try_start(&cluster, config.clone()).unwrap();
    let (writer, reader) = (connect(proxy.port(), "postgres").await, connect(proxy.port(), "postgres").await);
    for turn in 1..=3 {
        proxy.reload(&config).unwrap();
        writer.batch_execute(&format!("BEGIN; UPDATE t SET x = {turn} WHERE id = 1")).await.unwrap();
        proxy.reload(&config.clone().router(BY_VALUE, "{ see = \"parameters\" }")).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while read(&reader, 1).await.0 == "n0" {
            assert!(Instant::now() < deadline, "reads stay on the primary");
        }
        writer.batch_execute("COMMIT").await.unwrap();
        assert_eq!(read(&reader, 1).await, ("n0".to_owned(), turn), "no standby has it yet");
    }
}

#[tokio::test]
async fn a_key_covers_what_was_acknowledged_before_it_was_flushed() {
    let cluster = lagging_cluster_with("50ms", &[("wal_writer_delay", "10s")]);
    let proxy = proxy(&cluster, "see = \"parameters\", wait = \"5ms\"");
    let hasty = config(proxy.port(), "postgres").options("-c synchronous_commit=off").clone();
    let (writer, reader) = (connect_with(hasty).await, connect(proxy.port(), "postgres").await);
    let types = [Type::INT4, Type::INT4];
    let update = writer.prepare_typed("UPDATE t SET x = $2 WHERE id = $1", &types).await.unwrap();
    // The first read takes everything for written, flushed or not, until a commit that waits flushes it.
    let deadline = Instant::now() + PATIENCE;
    while read(&reader, 1).await.0 == "n0" {
        assert!(Instant::now() < deadline, "reads stay on the primary");
        cluster.primary().psql("UPDATE t SET x = x WHERE id = 0").unwrap();
    }
    let until = Instant::now() + load_time(3, 20);
    let mut turn = 0;
    while Instant::now() < until {
        turn += 1;
        writer.execute(&update, &[&1, &turn]).await.unwrap();
        let next = Instant::now() + Duration::from_millis(300);
        while Instant::now() < next {
            assert_eq!(read(&reader, 1).await.1, turn, "another session reads what was written");
        }
    }
}

/// The first column of the first row.
fn first_value(answer: &[Message]) -> String {
    let row = answer.iter().find(|message| message.tag == 'D').expect("a row comes");
    // Behind the number of columns and the length of the first.
    String::from_utf8_lossy(&row.body[6..]).into_owned()
}
