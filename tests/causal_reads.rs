//! A session sees its own writes, however far the standbys are behind.

use std::time::{Duration, Instant};

use howdah::demo::{ClusterOptions, PgCluster};
use howdah_tests::{
    PATIENCE, Proxy,
    clients::{ask, connect},
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

fn lagging_cluster(delay: &str) -> PgCluster {
    let cluster = PgCluster::start(ClusterOptions::default()).unwrap();
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
