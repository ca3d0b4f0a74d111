use std::time::Duration;

use super::*;
use crate::{
    config::{Cluster, Node, User},
    net::stream::SocketOptions,
    server::ServerTls,
};

fn config() -> Config {
    let node = Node {
        name: "n0".into(),
        host: "127.0.0.1".into(),
        port: 1,
        weight: 100,
        labels: Arc::from([]),
        executor: Arc::default(),
    };
    let cluster = Cluster {
        name: "main".into(),
        nodes: vec![node],
        control_user: "postgres".into(),
        control_password: None,
        control_database: "postgres".into(),
        failover: Default::default(),
        healing: Default::default(),
        replication_user: None,
        replication_password: None,
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

#[test]
fn the_users_own_settings_count_before_the_databases_and_those_before_the_general_ones() {
    let mut config = Config { default_pool_size: 1, reserve_pool_size: 1, ..config() };
    let seconds = |count| Some(Duration::from_secs(count));
    let database = Database {
        cluster: "main".into(),
        pool_mode: Some(PoolMode::Transaction),
        pool_size: Some(2),
        reserve_pool_size: Some(2),
        query_wait_timeout: seconds(2),
        server_lifetime: seconds(2),
        ..Database::default()
    };
    config.databases.insert("app".into(), Arc::new(database));
    let user = User {
        pool_mode: Some(PoolMode::Session),
        pool_size: Some(3),
        reserve_pool_size: Some(3),
        query_wait_timeout: seconds(3),
        ..User::default()
    };
    config.users.insert("ann".into(), Arc::new(user));
    let registry = Registry::default();
    let in_force = |database, user| {
        let set = registry.set(&config, database, user, None, &target).unwrap();
        let limits = set.pools[0].limits();
        (set.mode, limits.size, limits.reserve, limits.wait_timeout.as_secs(), limits.lifetime.as_secs())
    };

    assert_eq!(in_force("other", "bob"), (PoolMode::Session, 1, 1, 120, 3600));
    assert_eq!(in_force("app", "bob"), (PoolMode::Transaction, 2, 2, 2, 2));
    assert_eq!(in_force("app", "ann"), (PoolMode::Session, 3, 3, 3, 2));
    assert_eq!(in_force("other", "ann"), (PoolMode::Session, 3, 3, 3, 3600));
}

#[test]
fn clients_of_a_database_and_of_a_user_are_counted_together() {
    let mut config = Config { max_db_client_connections: 2, ..config() };
    config.users.insert("ann".into(), Arc::new(User { max_user_client_connections: Some(1), ..User::default() }));
    let registry = Registry::default();
    let set = |database, user| registry.set(&config, database, user, None, &target).unwrap();

    let ann = set("app", "ann").admit().unwrap();
    assert_eq!(set("other", "ann").admit().unwrap_err(), NoPlace("max_user_client_connections"));
    let bob = set("app", "bob").admit().unwrap();
    assert_eq!(set("app", "carl").admit().unwrap_err(), NoPlace("max_db_client_connections"));
    assert!(set("other", "carl").admit().is_ok());

    drop((ann, bob));
    assert!(set("other", "ann").admit().is_ok());
    let unlimited = Config { max_db_client_connections: 0, ..config.clone() };
    registry.reconfigure(&unlimited, &target);
    let places: Vec<_> = (0..5).map(|_| set("app", "carl").admit().unwrap()).collect();
    assert_eq!(places.len(), 5);
}
