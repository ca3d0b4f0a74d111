use std::time::Duration;

use super::*;
use crate::{
    config::{Cluster, Node},
    net::stream::SocketOptions,
    server::ServerTls,
};

fn config() -> Config {
    let node = Node { name: "n0".into(), host: "127.0.0.1".into(), port: 1, weight: 100, labels: Arc::from([]) };
    let cluster = Cluster {
        name: "main".into(),
        nodes: vec![node],
        control_user: "postgres".into(),
        control_password: None,
        control_database: "postgres".into(),
    };
    let mut config = Config { workers: 1, ..Config::default() };
    config.clusters.insert("main".into(), Arc::new(cluster));
    config.databases.insert("*".into(), Arc::new(Database { cluster: "main".into(), ..Database::default() }));
    config
}

fn target(_: &Config, _: &Database, database: &str, user: &str, _: NodeId, shown: Option<&Secret>) -> ServerTarget {
    ServerTarget {
        node: "n0".into(),
        host: "127.0.0.1".into(),
        port: 1,
        user: user.into(),
        database: database.into(),
        secret: shown.cloned(),
        tls: ServerTls::DISABLED,
        connect_timeout: Duration::ZERO,
        socket: SocketOptions::default(),
        parameters: Arc::from([]),
    }
}

fn secret(password: &str) -> Secret {
    Secret::Plain(password.into())
}

#[test]
fn what_a_client_has_shown_opens_servers_until_another_shows_something_else() {
    let (registry, config) = (Registry::default(), config());
    let set = |shown: Option<&Secret>| registry.set(&config, "app", "ann", shown, &target).unwrap();
    let opens = |set: &PoolSet| set.pools[0].target().secret.clone();

    let first = set(None);
    assert_eq!(opens(&first), None);
    assert_eq!(opens(&set(Some(&secret("old")))), Some(secret("old")));
    assert_eq!(opens(&set(None)), Some(secret("old")), "who shows nothing takes nothing away");
    assert_eq!(opens(&set(Some(&secret("new")))), Some(secret("new")));
    assert_eq!(opens(&first), Some(secret("new")), "sessions that are there share the pool");

    registry.reconfigure(&config, &target);
    assert_eq!(opens(&set(None)), Some(secret("new")), "a reload forgets nothing");
    let other = registry.set(&config, "app", "bob", None, &target).unwrap();
    assert_eq!(opens(&other), None, "it is nobody else's");
}
