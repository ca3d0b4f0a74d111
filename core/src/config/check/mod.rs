//! Puts the configuration together and checks what must hold between keys.
//!
//! Problems are noted in the context and reading goes on, so that all are found in one go; whatever
//! cannot be read gets its default meanwhile.

mod access;
mod clusters;
mod databases;
mod executor;
mod peers;
mod plugins;
mod tls;

pub(super) use peers::ID_MAX as PEER_ID_MAX;

use std::{collections::BTreeMap, num::NonZero, time::Duration};

use figment::value::Dict;

use super::{
    hba::Hba,
    keys::proxy,
    layer::Part,
    path::KeyPath,
    section::{Context, Section},
    types::{Config, Failover, Plugins},
};

/// The whole configuration. It is good for nothing when the context has problems afterwards.
pub(super) fn config(context: &Context<'_>) -> Config {
    let top = top(context);
    let mut config = settings(&top);
    listening(&top, &config);
    tls::check(&top, "client", &config.client_tls);
    tls::check(&top, "server", &config.server_tls);
    pools(&top, &config);

    let root = KeyPath::root();
    let table = |name| top.raw(name).map_or_else(|| Some(Dict::new()), |value| context.table(&root, name, value));
    let clusters = table("clusters");
    if let Some(databases) = table("databases") {
        let clusters: Option<Vec<_>> = clusters.as_ref().map(|table| table.keys().map(String::as_str).collect());
        config.databases = databases::databases(context, &databases, clusters.as_deref(), &config);
    }
    if let Some(clusters) = &clusters {
        config.clusters = clusters::clusters(context, clusters);
    }
    access::read(context, &top, &mut config);
    config.users = table("users").map_or_else(BTreeMap::new, |users| databases::users(context, &users));
    config.peers = table("peers").map_or_else(BTreeMap::new, |peers| peers::peers(context, &top, &peers, &config));
    config.plugins = table("plugins").map_or_else(Plugins::default, |plugins| plugins::plugins(context, &plugins));
    let healed = config.clusters.values().filter(|cluster| cluster.failover == Failover::Automatic);
    plugins::for_healing(&mut config.plugins, healed.map(|cluster| &cluster.healing));
    config
}

/// The keys at the top of the sources.
pub(super) fn top<'a>(context: &'a Context<'a>) -> Section<'a> {
    Section::new(context, context.layers.values(), KeyPath::root(), &proxy::TOP)
}

/// What the keys at the top say, each by itself.
pub(super) fn settings(top: &Section<'_>) -> Config {
    Config {
        listen_addr: top.value("listen_addr"),
        listen_port: top.value("listen_port"),
        unix_socket_dir: top.file("unix_socket_dir"),
        unix_socket_mode: top.value("unix_socket_mode"),
        workers: workers(top.value("workers")),
        worker_scheduling: top.value("worker_scheduling"),
        metrics_listen: top.maybe("metrics_listen"),
        pidfile: top.file("pidfile"),
        state_dir: top.file("state_dir").unwrap_or_default(),

        peer_id: top.maybe("peer_id").unwrap_or(0),

        auth_type: top.value("auth_type"),
        auth_file: top.file("auth_file"),
        auth_hba_file: top.file("auth_hba_file"),
        auth_ident_file: top.file("auth_ident_file"),
        auth_user: unless_empty(top.maybe("auth_user")),
        auth_query: top.value("auth_query"),
        auth_dbname: unless_empty(top.maybe("auth_dbname")),
        admin_users: top.value("admin_users"),
        stats_users: top.value("stats_users"),
        client_tls: tls::settings(top, "client"),
        server_tls: tls::settings(top, "server"),
        ignore_startup_parameters: top.value("ignore_startup_parameters"),
        application_name_add_host: top.value("application_name_add_host"),

        pool_mode: top.value("pool_mode"),
        max_client_conn: top.value("max_client_conn"),
        default_pool_size: top.value("default_pool_size"),
        min_pool_size: top.value("min_pool_size"),
        reserve_pool_size: top.value("reserve_pool_size"),
        reserve_pool_timeout: top.value("reserve_pool_timeout"),
        max_db_connections: top.value("max_db_connections"),
        max_user_connections: top.value("max_user_connections"),
        max_db_client_connections: top.value("max_db_client_connections"),
        max_user_client_connections: top.value("max_user_client_connections"),
        server_reset_query: top.value("server_reset_query"),
        server_reset_query_always: top.value("server_reset_query_always"),
        server_pin: top.value("server_pin"),
        pin_limit: top.value("pin_limit"),
        pin_timeout: top.value("pin_timeout"),
        server_check_query: check_query(top.value("server_check_query")),
        server_check_delay: top.value("server_check_delay"),
        max_prepared_statements: top.value("max_prepared_statements"),

        server_lifetime: top.value("server_lifetime"),
        server_idle_timeout: top.value("server_idle_timeout"),
        server_connect_timeout: top.value("server_connect_timeout"),
        server_login_retry: top.value("server_login_retry"),
        query_timeout: top.value("query_timeout"),
        query_wait_timeout: top.value("query_wait_timeout"),
        query_wait_notify: top.value("query_wait_notify"),
        client_idle_timeout: top.value("client_idle_timeout"),
        client_login_timeout: top.value("client_login_timeout"),
        idle_transaction_timeout: top.value("idle_transaction_timeout"),
        transaction_timeout: top.value("transaction_timeout"),
        cancel_wait_timeout: top.value("cancel_wait_timeout"),
        shutdown_timeout: top.value("shutdown_timeout"),

        tcp_keepalive: top.value("tcp_keepalive"),
        tcp_keepidle: unless_zero(top.value("tcp_keepidle")),
        tcp_keepintvl: unless_zero(top.value("tcp_keepintvl")),
        tcp_keepcnt: Some(top.value("tcp_keepcnt")).filter(|count| *count > 0),
        tcp_user_timeout: unless_zero(top.value("tcp_user_timeout")),

        log_connections: top.value("log_connections"),
        log_disconnections: top.value("log_disconnections"),
        log_pooler_errors: top.value("log_pooler_errors"),
        stats_period: top.value("stats_period"),
        log_format: top.value("log_format"),

        config_watch: top.value("config_watch"),

        probe_interval: top.value("probe_interval"),
        probe_timeout: top.value("probe_timeout"),
        probe_rise: top.value("probe_rise"),
        probe_fall: top.value("probe_fall"),
        slow_start: top.value("slow_start"),

        failover_hold_timeout: top.value("failover_hold_timeout"),
        commit_outcome: top.value("commit_outcome"),
        unacknowledged_commit: top.value("unacknowledged_commit"),
        switchover_pinned: top.value("switchover_pinned"),

        clusters: BTreeMap::new(),
        databases: BTreeMap::new(),
        users: BTreeMap::new(),
        peers: BTreeMap::new(),
        plugins: Plugins::default(),
        secrets: BTreeMap::new(),
        hba: Hba::default(),
    }
}

fn workers(wanted: usize) -> usize {
    match wanted {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        some => some,
    }
}

/// PgBouncer's `<empty>` is an empty query, an empty text is none.
fn check_query(text: String) -> Option<String> {
    match text.as_str() {
        "" => None,
        "<empty>" => Some(String::new()),
        _ => Some(text),
    }
}

fn unless_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn unless_zero(duration: Duration) -> Option<Duration> {
    Some(duration).filter(|duration| !duration.is_zero())
}

fn listening(top: &Section<'_>, config: &Config) {
    if config.listen_addr.is_empty() && config.unix_socket_dir.is_none() {
        let message = "nobody could connect: set `listen_addr` or `unix_socket_dir`";
        top.refuse("unix_socket_dir", message.to_owned());
    }
}

fn pools(top: &Section<'_>, config: &Config) {
    let (min, size) = (config.min_pool_size, config.default_pool_size);
    if min > size {
        top.refuse(
            "min_pool_size",
            format!("`min_pool_size` is {min}, more than `default_pool_size`, which is {size}"),
        );
    }
}

/// Notes a problem with the name of a table in `[clusters]`, `[databases]` …
fn refuse_name(context: &Context<'_>, path: &KeyPath, message: String) {
    context.refuse(path, None, Part::Key, message);
}
