//! A session sees its own writes, however far the standbys are behind, and however late the primary
//! flushes what it has acknowledged.

use std::time::{Duration, Instant};

use howdah::{
    demo::{ClusterOptions, PgCluster},
    id::Lsn,
};
use howdah_tests::{
    PATIENCE, Proxy,
    clients::{ask, config, connect, connect_with},
    load_time,
};
use tokio_postgres::Client;

const WRITERS: i32 = 8;

#[tokio::test]
async fn a_session_never_misses_its_own_write_though_standbys_lag() {
    let cluster = lagging_cluster("500ms");
    for mode in ["transaction", "session"] {
        let proxy = Proxy::start(&cluster, |config| config.set("pool_mode", &format!("{mode:?}")));
        let until = Instant::now() + load_time(4, 20);
        let writers: Vec<_> = (0..WRITERS)
            .map(|id| {
                tokio::spawn({
                    let port = proxy.port();
                    async move { write_and_read(port, id, until).await }
                })
            })
            .collect();
        for writer in writers {
            assert!(writer.await.unwrap() > 10, "each writer has had its turns");
        }
    }
}

#[tokio::test]
async fn reads_reach_the_standbys_again_when_they_have_caught_up() {
    let cluster = lagging_cluster("500ms");
    let proxy = Proxy::start(&cluster, |config| config.set("pool_mode", "\"transaction\""));
    let client = connect(proxy.port(), "postgres").await;
    client.simple_query("UPDATE t SET x = 1 WHERE id = 1").await.unwrap();
    assert_eq!(where_read(&client).await, "n0", "the standbys do not have the write");

    for standby in cluster.standbys() {
        standby.alter_system("recovery_min_apply_delay", "0").unwrap();
        cluster.wait_until_replayed(standby, PATIENCE).unwrap();
    }
    let deadline = Instant::now() + PATIENCE;
    while where_read(&client).await == "n0" {
        assert!(Instant::now() < deadline, "reads stay on the primary");
    }
    let caught_up = Instant::now();
    client.simple_query("UPDATE t SET x = 2 WHERE id = 1").await.unwrap();
    while where_read(&client).await == "n0" {
        assert!(caught_up.elapsed() < Duration::from_secs(10), "reads after a write stay on the primary");
    }
    assert_eq!(ask(&client, "SELECT x FROM t WHERE id = 1").await.unwrap(), "2");
}

/// How a client comes to commit asynchronously.
#[derive(Clone, Copy, Debug)]
enum Hasty {
    BySet,
    BySetLocal,
    ByFunction,
    ByRole,
    ByDatabase,
    AtStart,
}

#[tokio::test]
async fn a_session_never_misses_a_commit_that_was_acknowledged_before_it_was_flushed() {
    // What does not fill a page is flushed after ten seconds, and a standby that has all that was
    // flushed is not far behind.
    let cluster = lagging_cluster_with("50ms", &[("wal_writer_delay", "10s")]);
    let primary = cluster.primary();
    primary.psql("CREATE ROLE hasty SUPERUSER LOGIN").unwrap();
    primary.psql("ALTER ROLE hasty SET synchronous_commit = off").unwrap();
    primary.psql("CREATE ROLE hasty_here SUPERUSER LOGIN").unwrap();
    primary.psql("ALTER ROLE hasty_here IN DATABASE postgres SET synchronous_commit = off").unwrap();
    primary
        .psql("CREATE FUNCTION hurry() RETURNS void LANGUAGE plpgsql AS 'BEGIN SET synchronous_commit = off; END'")
        .unwrap();
    for standby in cluster.standbys() {
        cluster.wait_until_replayed(standby, PATIENCE).unwrap();
    }
    for (mode, how) in [
        ("transaction", Hasty::BySet),
        ("transaction", Hasty::BySetLocal),
        ("transaction", Hasty::ByFunction),
        ("transaction", Hasty::ByRole),
        ("session", Hasty::ByRole),
        ("session", Hasty::ByDatabase),
        ("transaction", Hasty::AtStart),
    ] {
        // Where clients can share a server they do, and what one sets there concerns the other.
        let servers = if mode == "session" { "2" } else { "1" };
        let proxy = Proxy::start(&cluster, |config| {
            config.set("pool_mode", &format!("{mode:?}")).set("default_pool_size", servers)
        });
        let until = Instant::now() + load_time(3, 20);
        let clients = [1, 2].map(|id| tokio::spawn(write_hastily_and_read(proxy.port(), how, id, until)));
        for client in clients {
            client.await.unwrap_or_else(|error| panic!("{mode} mode, {how:?}: {error}"));
        }
    }

    // The configuration of the server changes under a session that is there already.
    let proxy = Proxy::start(&cluster, |config| config.set("pool_mode", "\"transaction\""));
    let client = connect(proxy.port(), "postgres").await;
    client.batch_execute("UPDATE t SET x = 0 WHERE id = 1").await.unwrap();
    primary.alter_system("synchronous_commit", "off").unwrap();
    write_slowly_and_read(&client, 1, "", Instant::now() + load_time(3, 20)).await;
}

#[tokio::test]
async fn a_new_connection_sees_what_its_user_committed_on_another_before_it_was_flushed() {
    let cluster = lagging_cluster_with("50ms", &[("wal_writer_delay", "10s")]);
    let proxy = Proxy::start(&cluster, |config| config.set("pool_mode", "\"transaction\""));
    let client = connect(proxy.port(), "postgres").await;
    let until = Instant::now() + load_time(3, 20);
    let mut turn = 0;
    while Instant::now() < until {
        turn += 1;
        let write = format!("BEGIN; SET LOCAL synchronous_commit = off; UPDATE t SET x = {turn} WHERE id = 1; COMMIT");
        client.batch_execute(&write).await.unwrap();
        let next = Instant::now() + Duration::from_millis(300);
        while Instant::now() < next {
            let other = connect(proxy.port(), "postgres").await;
            let read = ask(&other, "SELECT x FROM t WHERE id = 1").await.unwrap();
            assert_eq!(read, turn.to_string(), "a connection that came after the commit");
        }
    }
}

/// Commits as it was asked to.
async fn write_hastily_and_read(port: u16, how: Hasty, id: i32, until: Instant) {
    let mut config = config(port, "postgres");
    match how {
        Hasty::ByRole => drop(config.user("hasty")),
        Hasty::ByDatabase => drop(config.user("hasty_here")),
        Hasty::AtStart => drop(config.options("-c synchronous_commit=off")),
        Hasty::BySet | Hasty::BySetLocal | Hasty::ByFunction => {}
    }
    let client = connect_with(config).await;
    match how {
        Hasty::BySet => client.batch_execute("SET synchronous_commit = off").await.unwrap(),
        Hasty::ByFunction => client.batch_execute("SELECT hurry()").await.unwrap(),
        _ => {}
    }
    let before = if matches!(how, Hasty::BySetLocal) { "SET LOCAL synchronous_commit = off;" } else { "" };
    write_slowly_and_read(&client, id, before, until).await;
}

/// Writes now and then, so that pages fill slowly, and reads all the time what it wrote.
async fn write_slowly_and_read(client: &Client, id: i32, before: &str, until: Instant) {
    let mut turn = 0;
    while Instant::now() < until {
        turn += 1;
        client
            .batch_execute(&format!("BEGIN; {before} UPDATE t SET x = {turn} WHERE id = {id}; COMMIT"))
            .await
            .unwrap();
        let next = Instant::now() + Duration::from_millis(300);
        while Instant::now() < next {
            let read = ask(client, &format!("SELECT x FROM t WHERE id = {id}")).await.unwrap();
            assert_eq!(read, turn.to_string(), "client {id} reads what it wrote");
        }
    }
}

#[tokio::test]
async fn a_standby_arrives_at_a_commit_that_ends_with_a_page() {
    let cluster = PgCluster::start(ClusterOptions::default()).unwrap();
    let proxy = Proxy::start(&cluster, |config| config.set("pool_mode", "\"transaction\""));
    let primary = connect(cluster.primary().port, "postgres").await;
    let mut config = config(proxy.port(), "postgres");
    config.options("-c synchronous_commit=off");
    let client = connect_with(config).await;
    let mut found = 0;
    for _ in 0..200 {
        fill_page(&primary, &client).await;
        // The next record would come behind the header of the next page, of 24 bytes or of 40.
        let inserted = inserted(&primary).await;
        if inserted % PAGE_BYTES != 24 && inserted % SEGMENT_BYTES != 40 {
            continue;
        }
        found += 1;
        let written = Instant::now();
        while where_read(&client).await == "n0" {
            assert!(written.elapsed() < Duration::from_secs(8), "reads stay on the primary");
        }
        if found == 3 {
            return;
        }
    }
    panic!("only {found} commits ended with a page");
}

const PAGE_BYTES: u64 = 8_192;
const SEGMENT_BYTES: u64 = 16 << 20;

async fn inserted(primary: &Client) -> u64 {
    let position: Lsn = ask(primary, "SELECT pg_current_wal_insert_lsn()").await.unwrap().parse().unwrap();
    position.0
}

/// Has the client commit a message that is as long as what is left of the page. Somebody else may
/// write meanwhile.
async fn fill_page(primary: &Client, client: &Client) {
    let message =
        |bytes: u64| format!("BEGIN; SELECT pg_logical_emit_message(true, '', repeat('x', {bytes}::int)); COMMIT");
    let before = inserted(primary).await;
    client.batch_execute(&message(8)).await.unwrap();
    let after = inserted(primary).await;
    let shortest = after - before;
    let left = PAGE_BYTES - after % PAGE_BYTES;
    if left > shortest {
        client.batch_execute(&message(8 + left - shortest)).await.unwrap();
    }
}

/// Two standbys that replay so much later, and a row for each of some ids.
pub(super) fn lagging_cluster(delay: &str) -> PgCluster {
    lagging_cluster_with(delay, &[])
}

/// The same with settings of the servers.
pub(super) fn lagging_cluster_with(delay: &str, settings: &[(&str, &str)]) -> PgCluster {
    let extra_conf = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let cluster = PgCluster::start(ClusterOptions { extra_conf, ..ClusterOptions::default() }).unwrap();
    let primary = cluster.primary();
    primary.psql("CREATE TABLE t (id int PRIMARY KEY, x int NOT NULL)").unwrap();
    primary.psql(&format!("INSERT INTO t SELECT id, -1 FROM generate_series(0, {WRITERS}) id")).unwrap();
    for standby in cluster.standbys() {
        cluster.wait_until_replayed(standby, PATIENCE).unwrap();
        standby.alter_system("recovery_min_apply_delay", delay).unwrap();
    }
    cluster
}

/// Which node a read goes to.
async fn where_read(client: &Client) -> String {
    ask(client, "SELECT current_setting('cluster_name')").await.unwrap()
}

/// Writes its own row in every way there is and reads it back at once; how often.
async fn write_and_read(port: u16, id: i32, until: Instant) -> i32 {
    let mut client = connect(port, "postgres").await;
    let select = client.prepare("SELECT x FROM t WHERE id = $1").await.unwrap();
    let update = client.prepare("UPDATE t SET x = $2 WHERE id = $1").await.unwrap();
    let mut turn = 0;
    while Instant::now() < until {
        turn += 1;
        match turn % 4 {
            0 => assert_eq!(client.execute(&update, &[&id, &turn]).await.unwrap(), 1),
            1 => {
                let transaction = client.transaction().await.unwrap();
                transaction.execute(&update, &[&id, &turn]).await.unwrap();
                transaction.commit().await.unwrap();
            }
            2 => {
                client.batch_execute(&format!("BEGIN; UPDATE t SET x = {turn} WHERE id = {id}; COMMIT")).await.unwrap()
            }
            _ => client.batch_execute(&format!("UPDATE t SET x = {turn} WHERE id = {id}")).await.unwrap(),
        }
        let read: i32 = match turn % 3 {
            0 => client.query_one(&select, &[&id]).await.unwrap().get(0),
            1 => ask(&client, &format!("SELECT x FROM t WHERE id = {id}")).await.unwrap().parse().unwrap(),
            _ => {
                let transaction = client.build_transaction().read_only(true).start().await.unwrap();
                let read = transaction.query_one(&select, &[&id]).await.unwrap().get(0);
                transaction.commit().await.unwrap();
                read
            }
        };
        assert_eq!(read, turn, "writer {id} reads what it wrote");
    }
    turn
}
