//! Servers that several pools share under `max_db_connections` and `max_user_connections`.

use std::time::{Duration, Instant};

use howdah_tests::{
    clients::{ask, config, connect, connect_with},
    fresh_database, load_time, shared_cluster,
};
use tokio_postgres::Client;

use super::proxy;

/// Transactions here take milliseconds, and so does opening a server. Far beyond both is a stall; the
/// machine that the tests run on may be slow.
const STALL: Duration = Duration::from_secs(3);

async fn connect_as(port: u16, database: &str, user: &str) -> Client {
    let mut config = config(port, database);
    config.user(user);
    connect_with(config).await
}

fn create_users(users: &[&str]) {
    for user in users {
        shared_cluster().primary().psql(&format!("CREATE ROLE {user} SUPERUSER LOGIN")).unwrap();
    }
}

/// Makes transactions until that moment: how many, and how long the longest took.
async fn work(client: Client, rest: Duration, until: Instant) -> (u32, Duration) {
    let (mut turns, mut longest) = (0, Duration::ZERO);
    while Instant::now() < until {
        let start = Instant::now();
        client.batch_execute("BEGIN; SELECT pg_sleep(0.002); COMMIT").await.unwrap();
        longest = longest.max(start.elapsed());
        turns += 1;
        tokio::time::sleep(rest).await;
    }
    (turns, longest)
}

#[tokio::test]
async fn users_of_a_database_share_its_servers_without_errors_and_without_stalls() {
    let database = fresh_database();
    create_users(&["sharing_a", "sharing_b", "sharing_c"]);
    let proxy = proxy(5, |config| config.set("max_db_connections", "2").set("workers", "2"));
    let watcher = connect(shared_cluster().primary().port, "postgres").await;
    let until = Instant::now() + load_time(4, 30);
    // One user's clients never rest, another's come now and then.
    let clients = [("sharing_a", 0), ("sharing_a", 0), ("sharing_a", 0), ("sharing_b", 5), ("sharing_c", 100)];
    let mut working = Vec::new();
    for (user, rest_ms) in clients {
        let client = connect_as(proxy.port(), &database, user).await;
        working.push((user, tokio::spawn(work(client, Duration::from_millis(rest_ms), until))));
    }

    let mut most = 0;
    while Instant::now() < until {
        let sql =
            format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND usename LIKE 'sharing%'");
        most = most.max(ask(&watcher, &sql).await.unwrap().parse().unwrap());
    }

    for (user, working) in working {
        let (turns, longest) = working.await.unwrap();
        assert!(turns > 5, "{user} has had {turns} turns");
        assert!(longest < STALL, "{user} has waited for {longest:?}");
    }
    assert_eq!(most, 2, "servers at once");
}

#[tokio::test]
async fn databases_of_a_user_take_turns_with_its_only_server() {
    let databases = [fresh_database(), fresh_database()];
    create_users(&["only_one"]);
    let proxy = proxy(5, |config| config.set("max_user_connections", "1"));
    let first = connect_as(proxy.port(), &databases[0], "only_one").await;
    let second = connect_as(proxy.port(), &databases[1], "only_one").await;

    let start = Instant::now();
    for client in [&first, &second, &first, &second] {
        assert_eq!(ask(client, "SELECT 1").await.unwrap(), "1");
    }
    assert!(start.elapsed() < STALL, "a server that is idle makes way at once");

    first.batch_execute("BEGIN").await.unwrap();
    let waiting = tokio::spawn(async move { ask(&second, "SELECT current_database()").await.unwrap() });
    assert_eq!(ask(&first, "SELECT current_database()").await.unwrap(), databases[0], "a transaction keeps its server");
    first.batch_execute("COMMIT").await.unwrap();
    assert_eq!(waiting.await.unwrap(), databases[1]);
}
