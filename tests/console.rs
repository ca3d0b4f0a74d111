//! The console answers psql and drivers, the simple and the extended protocol, as PgBouncer would.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use howdah::demo::ports;
use howdah_tests::{
    Proxy,
    clients::{ask, connect, sqlstate},
    shared_cluster,
};

fn proxy() -> Proxy {
    Proxy::start(shared_cluster(), |config| config.set("pool_mode", "\"transaction\""))
}

#[test]
fn psql_sees_every_table() {
    let proxy = proxy();
    proxy.client().ask("SELECT 1").unwrap();
    let shows = "ACTIVE_SOCKETS CLIENTS CONFIG COUNTERS DATABASES DNS_HOSTS DNS_ZONES GENERATIONS HELP LISTS MEM NODES \
        PEER_POOLS PEERS PLANS PLUGINS POOLS SERVERS SOCKETS STATE STATS STATS_AVERAGES STATS_TOTALS TOTALS USERS VERSION";
    for show in shows.split_whitespace() {
        let shown = proxy.console().table(&format!("SHOW {show}"));
        assert!(shown.is_ok(), "SHOW {show}: {shown:?}");
    }
    let nodes = proxy.console().table("SHOW NODES").unwrap();
    assert_eq!(nodes.column("role").iter().filter(|role| **role == "primary").count(), 1);
    assert_eq!(nodes.rows.len(), 3);
}

#[test]
fn pgbouncers_name_gives_pgbouncers_rows() {
    let proxy = proxy();
    proxy.client().ask("SELECT 1").unwrap();
    let pools = |database: &str| proxy.client().database(database).table("SHOW POOLS").unwrap();
    assert_eq!(pools("howdah").rows.len(), 3, "one for each node");
    assert_eq!(pools("pgbouncer").rows.len(), 1, "one for the database and the user");
}

#[test]
fn a_route_is_explained() {
    let proxy = proxy();
    let told = proxy.console().table("EXPLAIN ROUTE SELECT 1 FOR postgres postgres").unwrap();
    let keys = told.column("key");
    for key in ["shape", "fingerprint", "kind", "rule", "destination", "node", "because"] {
        assert!(keys.contains(&key), "{key} is not in {keys:?}");
    }
    assert_eq!(keys.iter().filter(|key| key.starts_with("not n")).count(), 2, "{keys:?}");
}

#[tokio::test]
async fn a_driver_reads_numbers_as_numbers() {
    let proxy = proxy();
    let client = connect(proxy.port(), "howdah").await;
    let nodes = client.query("SHOW NODES", &[]).await.unwrap();
    assert_eq!(nodes.len(), 3);
    for node in &nodes {
        assert!(node.get::<_, i32>("port") > 0);
        assert!(node.get::<_, i64>("statements") >= 0);
        assert!(!node.get::<_, String>("name").is_empty());
    }
    let prepared = client.prepare("SHOW LISTS").await.unwrap();
    for _ in 0..3 {
        assert_eq!(client.query(&prepared, &[]).await.unwrap().len(), 14);
    }
    let refused = client.query("FLY", &[]).await.unwrap_err();
    assert_eq!(sqlstate(&refused), "42601");
    assert_eq!(ask(&client, "SELECT 1").await.unwrap(), "1");
}

#[tokio::test]
async fn a_pause_waits_for_the_transaction_and_holds_the_next() {
    let proxy = proxy();
    let worker = connect(proxy.port(), "postgres").await;
    worker.batch_execute("BEGIN; CREATE TEMP TABLE held ()").await.unwrap();
    let operator = connect(proxy.port(), "howdah").await;
    let (paused, ended) = tokio::join!(operator.batch_execute("PAUSE postgres"), async {
        let watcher = connect(proxy.port(), "howdah").await;
        loop {
            let databases = watcher.query("SHOW DATABASES", &[]).await.unwrap();
            let is_paused = |row: &tokio_postgres::Row| {
                row.get::<_, &str>("name") == "postgres" && row.get::<_, i32>("paused") == 1
            };
            if databases.iter().any(is_paused) {
                break;
            }
            tokio::task::yield_now().await;
        }
        worker.batch_execute("ROLLBACK").await
    });
    paused.unwrap();
    ended.unwrap();
    let (answered, resumed) = tokio::join!(ask(&worker, "SELECT 7"), operator.batch_execute("RESUME postgres"));
    resumed.unwrap();
    assert_eq!(answered.unwrap(), "7");
}

#[test]
fn metrics_and_health_are_served() {
    let port = ports::free_port().unwrap();
    let listen = format!("\"127.0.0.1:{port}\"");
    let proxy = Proxy::start(shared_cluster(), |config| config.set("metrics_listen", &listen));
    proxy.client().ask("SELECT 1").unwrap();
    let page = |path: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    };
    assert!(page("/healthz").starts_with("HTTP/1.1 200 "));
    assert!(page("/readyz").starts_with("HTTP/1.1 200 "));
    assert!(page("/other").starts_with("HTTP/1.1 404 "));
    let metrics = page("/metrics");
    for name in ["howdah_query_seconds_bucket{", "howdah_node_up{", "pgbouncer_stats_queries_pooled_total{"] {
        assert!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
}
