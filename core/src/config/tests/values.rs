//! What is accepted, and what it means.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{super::*, *};

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn the_minimal_file_works_as_it_stands() {
    let config = given(MINIMAL).config();

    assert_eq!(config.listen_addr, ["127.0.0.1"]);
    assert_eq!((config.listen_port, config.workers, config.default_pool_size), (6432, 1, 20));
    assert_eq!((config.auth_type, config.pool_mode), (AuthType::Trust, PoolMode::Transaction));
    assert_eq!(config.admin_users, ["postgres"]);
    let cluster = &config.clusters["main"];
    let nodes: Vec<_> = cluster.nodes.iter().map(|node| (&*node.name, &*node.host, node.port, node.weight)).collect();
    assert_eq!(nodes, [("n0", "127.0.0.1", 5432, 100), ("n1", "127.0.0.1", 5433, 100)]);
    assert_eq!((&*cluster.name, &*cluster.control_user, &*cluster.control_database), ("main", "postgres", "postgres"));
    assert_eq!(&*config.databases["*"].cluster, "main");
    let router = config.plugins.router.expect("the file has one");
    assert_eq!(router.component, ComponentSource::Builtin("read-write-split".into()));
    assert_eq!((router.settings, router.on_failure), (serde_json::json!({}), OnFailure::BuiltIn));
}

#[test]
fn defaults_are_those_of_pgbouncer_where_it_has_the_key() {
    let config = given(&with_tables("")).config();

    assert_eq!((config.listen_port, config.max_client_conn, config.default_pool_size), (6432, 100, 20));
    assert_eq!(Config::default().auth_type, AuthType::Md5);
    assert_eq!(config.pool_mode, PoolMode::Session);
    assert_eq!((config.unix_socket_dir.as_deref(), config.unix_socket_mode), (Some(Path::new("/tmp")), 0o777));
    assert_eq!((config.min_pool_size, config.reserve_pool_size), (0, 0));
    assert_eq!((config.max_db_connections, config.max_user_connections), (0, 0));
    assert_eq!(config.server_reset_query, "DISCARD ALL");
    assert_eq!(config.server_check_query.as_deref(), Some(""));
    assert_eq!(config.max_prepared_statements, 200);
    assert_eq!((config.client_tls.sslmode, config.server_tls.sslmode), (SslMode::Disable, SslMode::Prefer));
    let seconds = [
        (config.reserve_pool_timeout, 5),
        (config.server_lifetime, 3600),
        (config.server_idle_timeout, 600),
        (config.server_connect_timeout, 15),
        (config.server_login_retry, 15),
        (config.server_check_delay, 30),
        (config.query_timeout, 0),
        (config.query_wait_timeout, 120),
        (config.query_wait_notify, 5),
        (config.cancel_wait_timeout, 10),
        (config.client_idle_timeout, 0),
        (config.client_login_timeout, 60),
        (config.idle_transaction_timeout, 0),
        (config.transaction_timeout, 0),
        (config.stats_period, 60),
        (config.shutdown_timeout, 0),
    ];
    for (value, expected) in seconds {
        assert_eq!(value, secs(expected));
    }
    assert!(config.tcp_keepalive && config.log_connections && config.log_disconnections && config.log_pooler_errors);
    assert!(!config.config_watch && !config.server_reset_query_always);
    assert_eq!((config.metrics_listen, config.tcp_keepidle, config.tcp_keepcnt), (None, None, None));
}

#[test]
fn the_nodes_are_watched_five_times_a_second_by_default() {
    let config = Config::default();

    assert_eq!((config.probe_interval, config.probe_timeout), (Duration::from_millis(200), secs(2)));
    assert_eq!((config.probe_rise, config.probe_fall, config.slow_start), (3, 2, secs(10)));
}

#[test]
fn zero_workers_is_one_per_core() {
    assert_eq!(Config::default().workers, std::thread::available_parallelism().map_or(1, usize::from));
}

#[test]
fn durations_take_pgbouncers_numbers_and_units() {
    let table = [
        ("30", secs(30)),
        ("0.5", Duration::from_millis(500)),
        ("\"45\"", secs(45)),
        ("\"30s\"", secs(30)),
        ("\"200ms\"", Duration::from_millis(200)),
        ("\"1500us\"", Duration::from_micros(1500)),
        ("\"5min\"", secs(300)),
        ("\"5 min\"", secs(300)),
        ("\"1.5h\"", secs(5400)),
        ("\"1d\"", secs(86400)),
        ("0", secs(0)),
    ];
    for (text, expected) in table {
        let config = given(&with_tables(&format!("query_timeout = {text}"))).config();
        assert_eq!(config.query_timeout, expected, "{text}");
    }
}

#[test]
fn tcp_user_timeout_counts_milliseconds_as_pgbouncers() {
    let timeout = |text: &str| given(&with_tables(&format!("tcp_user_timeout = {text}"))).config().tcp_user_timeout;

    assert_eq!(timeout("1500"), Some(Duration::from_millis(1500)));
    assert_eq!(timeout("\"2s\""), Some(secs(2)));
    assert_eq!(timeout("0"), None);
}

#[test]
fn flags_take_pgbouncers_words() {
    for (text, expected) in
        [("true", true), ("1", true), ("\"on\"", true), ("\"Yes\"", true), ("0", false), ("\"off\"", false)]
    {
        let config = given(&with_tables(&format!("config_watch = {text}"))).config();
        assert_eq!(config.config_watch, expected, "{text}");
    }
}

#[test]
fn lists_take_pgbouncers_commas() {
    let users = |text: &str| given(&with_tables(&format!("admin_users = {text}"))).config().admin_users;

    assert_eq!(users("[\"ann\", \"bob\"]"), ["ann", "bob"]);
    assert_eq!(users("\"ann, bob\""), ["ann", "bob"]);
    assert_eq!(users("\"\""), [] as [&str; 0]);
}

#[test]
fn a_check_query_may_be_empty_or_none() {
    let query = |text: &str| given(&with_tables(&format!("server_check_query = {text}"))).config().server_check_query;

    assert_eq!(query("\"select 1\"").as_deref(), Some("select 1"));
    assert_eq!(query("\"<empty>\"").as_deref(), Some(""));
    assert_eq!(query("\"\""), None);
}

#[test]
fn an_empty_path_is_none() {
    let config =
        given(&with_tables("listen_addr = \"*\"\nunix_socket_dir = \"\"\nauth_file = \"\"\npidfile = \"\"")).config();

    assert_eq!((config.unix_socket_dir, config.auth_file, config.pidfile), (None, None, None));
}

#[test]
fn the_environment_wins_over_the_file_and_flags_over_both() {
    let base = || given(MINIMAL).variable("HOWDAH_LISTEN_PORT", "7000");

    assert_eq!(base().config().listen_port, 7000);
    assert_eq!(base().flag("listen_port=8000").config().listen_port, 8000);
}

#[test]
fn tables_are_reached_by_two_underscores_and_by_dots() {
    let config = given(MINIMAL)
        .variable("HOWDAH_CLUSTERS__MAIN__CONTROL_PASSWORD", "007")
        .variable("HOWDAH_DATABASES__APP__POOL_SIZE", "3")
        .variable("HOWDAH_ADMIN_USERS", "ann,bob")
        .flag("databases.\"*\".pool_size=4")
        .flag("databases.other = {dbname = \"o\"}")
        .flag("plugins.router.settings.max_lag=5")
        .flag("plugins.router.settings.causal_reads=session")
        .config();

    assert_eq!(config.clusters["main"].control_password.as_deref(), Some("007"));
    assert_eq!(config.clusters["main"].nodes.len(), 2);
    assert_eq!(config.databases["app"].pool_size, Some(3));
    assert_eq!(config.databases["*"].pool_size, Some(4));
    assert_eq!(config.databases["other"].dbname.as_deref(), Some("o"));
    assert_eq!(config.admin_users, ["ann", "bob"]);
    let settings = config.plugins.router.unwrap().settings;
    assert_eq!(settings, serde_json::json!({ "max_lag": 5, "causal_reads": "session" }));
}

#[test]
fn nodes_may_come_from_a_variable() {
    let config = Given::default()
        .variable("HOWDAH_AUTH_TYPE", "trust")
        .variable("HOWDAH_CLUSTERS__MAIN__NODES", "[{name = \"a\", host = \"db\", weight = 0}]")
        .variable("HOWDAH_DATABASES__APP", "{}")
        .config();

    let node = &config.clusters["main"].nodes[0];
    assert_eq!((&*node.name, &*node.host, node.port, node.weight), ("a", "db", 5432, 0));
}

#[test]
fn variables_of_the_program_itself_are_no_keys() {
    given(MINIMAL).variable("HOWDAH_LOG", "debug").variable("HOWDAH_CONFIG", "x").variable("PATH", "/bin").config();
}

#[test]
fn a_database_may_leave_out_the_only_cluster() {
    let config = given(&with_tables("")).config();

    assert_eq!(&*config.databases["*"].cluster, "main");
}

#[test]
fn databases_and_users_take_their_own_limits() {
    let text = with_tables("")
        + r#"
app = { dbname = "a", user = "u", password = "p", pool_mode = "transaction", pool_size = 9, min_pool_size = 1, reserve_pool_size = 2, max_db_connections = 30, connect_query = "SET x = 1" }
[databases.more]
max_db_client_connections = 31
server_lifetime = 60
query_wait_timeout = "2min"
auth_user = "asker"
auth_query = "SELECT $1, $1"
auth_dbname = "app"
[users.ann]
pool_mode = "session"
pool_size = 4
reserve_pool_size = 1
max_user_connections = 7
max_user_client_connections = 8
query_timeout = 1
query_wait_timeout = 2
client_idle_timeout = 3
idle_transaction_timeout = 4
transaction_timeout = 5
"#;
    let config = given(&text).config();

    let expected = Database {
        cluster: "main".into(),
        dbname: Some("a".into()),
        user: Some("u".into()),
        password: Some("p".into()),
        pool_mode: Some(PoolMode::Transaction),
        pool_size: Some(9),
        min_pool_size: Some(1),
        reserve_pool_size: Some(2),
        max_db_connections: Some(30),
        connect_query: Some("SET x = 1".into()),
        ..Database::default()
    };
    assert_eq!(*config.databases["app"], expected);
    let seconds = |count| Some(Duration::from_secs(count));
    let expected = Database {
        cluster: "main".into(),
        max_db_client_connections: Some(31),
        server_lifetime: seconds(60),
        query_wait_timeout: seconds(120),
        auth_user: Some("asker".into()),
        auth_query: Some("SELECT $1, $1".into()),
        auth_dbname: Some("app".into()),
        ..Database::default()
    };
    assert_eq!(*config.databases["more"], expected);
    let expected = User {
        pool_mode: Some(PoolMode::Session),
        pool_size: Some(4),
        reserve_pool_size: Some(1),
        max_user_connections: Some(7),
        max_user_client_connections: Some(8),
        query_timeout: seconds(1),
        query_wait_timeout: seconds(2),
        client_idle_timeout: seconds(3),
        idle_transaction_timeout: seconds(4),
        transaction_timeout: seconds(5),
    };
    assert_eq!(*config.users["ann"], expected);
}

#[test]
fn labels_are_texts() {
    let text = MINIMAL.replace("port = 5433", "port = 5433, labels = { zone = \"b\", rack = 7 }");
    let config = given(&text).config();

    let labels = &config.clusters["main"].nodes[1].labels;
    assert_eq!(labels[..], [("rack".to_owned(), "7".to_owned()), ("zone".to_owned(), "b".to_owned())]);
}

#[test]
fn relative_paths_start_at_the_files_directory() {
    let text = with_tables("auth_file = \"users.txt\"") + "[plugins.router]\ncomponent = \"/p/a.wasm\"\n";
    let mut given =
        given("").file("/etc/howdah.toml", text).file("/etc/users.txt", "\"ann\" \"x\"").file("/p/a.wasm", "");
    given.sources.file = Some("/etc/howdah.toml".into());
    let config = given.config();

    assert_eq!(config.auth_file, Some("/etc/users.txt".into()));
    assert_eq!(config.secrets["ann"].to_string(), "x");
    let expected: Vec<PathBuf> = ["/etc/howdah.toml", "/etc/users.txt", "/p/a.wasm"].map(PathBuf::from).into();
    assert_eq!(files(&config, &given.sources), expected);
}

#[test]
fn a_component_with_the_wanted_digest_is_accepted() {
    let digest = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"; // of nothing
    let text = with_tables("") + &format!("[plugins.router]\ncomponent = \"a.wasm\"\nsha256 = \"{digest}\"\n");
    let config = given(&text).file("a.wasm", "").config();

    let router = config.plugins.router.unwrap();
    assert_eq!(router.component, ComponentSource::File("a.wasm".into()));
    assert_eq!(router.sha256, Some(digest.to_lowercase()));
}

#[test]
fn a_plugins_settings_become_json() {
    let text = with_tables("")
        + r#"
[plugins.router]
component = "builtin:x"
grants = ["probes"]
on_failure = "refuse"
settings = { max_lag = "1s", weights = [1, 2.5], on = true, at = 2030-01-01, deep = { a = {} } }
"#;
    let router = given(&text).config().plugins.router.unwrap();

    let expected = serde_json::json!({
        "max_lag": "1s", "weights": [1, 2.5], "on": true, "at": "2030-01-01", "deep": { "a": {} }
    });
    assert_eq!(router.settings, expected);
    assert_eq!((router.grants, router.on_failure), (vec!["probes".to_owned()], OnFailure::Refuse));
}
