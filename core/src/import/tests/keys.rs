//! Every key of the other programs' manuals becomes something, or is told.

use super::*;

/// `[pgbouncer]` in PgBouncer 1.25, and the two keys that come after it, with a value that it takes.
const SETTINGS: &[(&str, &str)] = &[
    ("admin_users", "operator"),
    ("application_name_add_host", "1"),
    ("auth_dbname", "a"),
    ("auth_file", "userlist.txt"),
    ("auth_hba_file", "hba.conf"),
    ("auth_ident_file", "ident.conf"),
    ("auth_ldap_options", "ldapurl=\"ldap://127.0.0.1/\""),
    ("auth_query", "SELECT u, p FROM lookup($1)"),
    ("auth_type", "md5"),
    ("auth_user", "operator"),
    ("autodb_idle_timeout", "3600"),
    ("cancel_wait_timeout", "10"),
    ("client_idle_timeout", "0"),
    ("client_login_timeout", "60"),
    ("client_tls13_ciphers", "TLS_AES_128_GCM_SHA256"),
    ("client_tls_ca_file", "/etc/ssl/nodes-ca.pem"),
    ("client_tls_cert_file", "tls/server.crt"),
    ("client_tls_ciphers", "default"),
    ("client_tls_dheparams", "auto"),
    ("client_tls_ecdhcurve", "auto"),
    ("client_tls_key_file", "tls/server.key"),
    ("client_tls_protocols", "secure"),
    ("client_tls_sslmode", "require"),
    ("conffile", "/etc/pgbouncer/pgbouncer.ini"),
    ("default_pool_size", "20"),
    ("disable_pqexec", "0"),
    ("dns_max_ttl", "15"),
    ("dns_nxdomain_ttl", "15"),
    ("dns_zone_check_period", "0"),
    ("idle_transaction_timeout", "0"),
    ("ignore_startup_parameters", "options"),
    ("job_name", "pgbouncer"),
    ("listen_addr", "*"),
    ("listen_backlog", "128"),
    ("listen_port", "6432"),
    ("log_connections", "1"),
    ("log_disconnections", "1"),
    ("log_pooler_errors", "1"),
    ("log_stats", "1"),
    ("logfile", "/var/log/pgbouncer.log"),
    ("login_notify_message", "hello"),
    ("max_client_conn", "100"),
    ("max_db_client_connections", "0"),
    ("max_db_connections", "0"),
    ("max_packet_size", "2147483647"),
    ("max_prepared_statements", "200"),
    ("max_user_client_connections", "0"),
    ("max_user_connections", "0"),
    ("min_pool_size", "0"),
    ("peer_id", "1"),
    ("pidfile", "/run/pgbouncer.pid"),
    ("pkt_buf", "4096"),
    ("pool_idle_timeout", "0"),
    ("pool_mode", "session"),
    ("query_timeout", "0"),
    ("query_wait_notify", "5"),
    ("query_wait_timeout", "120"),
    ("reserve_pool_size", "0"),
    ("reserve_pool_timeout", "5"),
    ("resolv_conf", "/etc/resolv.conf"),
    ("sbuf_loopcnt", "5"),
    ("scram_iterations", "4096"),
    ("server_check_delay", "30"),
    ("server_check_query", "<empty>"),
    ("server_connect_timeout", "15"),
    ("server_fast_close", "0"),
    ("server_idle_timeout", "600"),
    ("server_lifetime", "3600"),
    ("server_login_retry", "15"),
    ("server_reset_query", "DISCARD ALL"),
    ("server_reset_query_always", "0"),
    ("server_round_robin", "0"),
    ("server_tls13_ciphers", "TLS_AES_128_GCM_SHA256"),
    ("server_tls_ca_file", "/etc/ssl/nodes-ca.pem"),
    ("server_tls_cert_file", "tls/server.crt"),
    ("server_tls_ciphers", "default"),
    ("server_tls_key_file", "tls/server.key"),
    ("server_tls_protocols", "secure"),
    ("server_tls_sslmode", "verify-full"),
    ("service_name", "pgbouncer"),
    ("so_reuseport", "1"),
    ("stats_period", "60"),
    ("stats_users", "operator"),
    ("suspend_timeout", "10"),
    ("syslog", "0"),
    ("syslog_facility", "daemon"),
    ("syslog_ident", "pgbouncer"),
    ("tcp_defer_accept", "1"),
    ("tcp_keepalive", "1"),
    ("tcp_keepcnt", "9"),
    ("tcp_keepidle", "7200"),
    ("tcp_keepintvl", "75"),
    ("tcp_socket_buffer", "0"),
    ("tcp_user_timeout", "0"),
    ("track_extra_parameters", "IntervalStyle"),
    ("transaction_timeout", "0"),
    ("unix_socket_dir", "/tmp"),
    ("unix_socket_group", "postgres"),
    ("unix_socket_mode", "0777"),
    ("user", "postgres"),
    ("verbose", "0"),
];

/// The keys of a database, `host` and `port` aside.
const DATABASE: &[(&str, &str)] = &[
    ("application_name", "app"),
    ("auth_dbname", "a"),
    ("auth_query", "'SELECT u, p FROM lookup($1)'"),
    ("auth_user", "operator"),
    ("client_encoding", "UTF8"),
    ("connect_query", "'SELECT 1'"),
    ("datestyle", "ISO"),
    ("dbname", "d"),
    ("load_balance_hosts", "disable"),
    ("max_db_client_connections", "10"),
    ("max_db_connections", "10"),
    ("min_pool_size", "1"),
    ("password", "hunter2"),
    ("pool_mode", "transaction"),
    ("pool_size", "5"),
    ("query_wait_timeout", "10"),
    ("reserve_pool_size", "1"),
    ("server_lifetime", "100"),
    ("target_session_attrs", "primary"),
    ("timezone", "UTC"),
    ("user", "ann"),
];

/// The keys of a user.
const USER: &[(&str, &str)] = &[
    ("client_idle_timeout", "1"),
    ("idle_transaction_timeout", "1"),
    ("max_user_client_connections", "1"),
    ("max_user_connections", "1"),
    ("pool_mode", "session"),
    ("pool_size", "1"),
    ("query_timeout", "1"),
    ("query_wait_timeout", "1"),
    ("reserve_pool_size", "1"),
    ("transaction_timeout", "1"),
];

/// pgpool-II 4.6 and what it called them before, those with numbers for the first node only.
const PGPOOL: &str = "allow_clear_text_frontend_auth allow_multiple_failover_requests_from_node allow_sql_comments \
    app_name_redirect_preference_list arping_cmd arping_path authentication_timeout auto_failback \
    auto_failback_interval backend_application_name0 backend_clustering_mode backend_data_directory0 backend_flag0 \
    backend_hostname0 backend_port0 backend_weight0 black_function_list black_memqcache_table_list \
    cache_safe_memqcache_table_list cache_unsafe_memqcache_table_list check_temp_table check_unlogged_table \
    child_life_time child_max_connections clear_memqcache_on_escalation client_idle_limit \
    client_idle_limit_in_recovery client_min_messages connect_timeout connect_timeout0 connection_cache \
    connection_life_time database_redirect_preference_list delay_threshold delay_threshold_by_time delegate_IP \
    delegate_ip detach_false_primary disable_load_balance_on_write dml_adaptive_object_relationship_list \
    enable_consensus_with_half_votes enable_pool_hba enable_shared_relcache fail_over_on_backend_error \
    failback_command failover_command failover_if_affected_tuples_mismatch failover_on_backend_error \
    failover_on_backend_shutdown failover_require_consensus failover_when_quorum_exists follow_master_command \
    follow_primary_command health_check_database health_check_database0 health_check_max_retries \
    health_check_max_retries0 health_check_password health_check_password0 health_check_period health_check_period0 \
    health_check_retry_delay health_check_retry_delay0 health_check_timeout health_check_timeout0 health_check_user \
    health_check_user0 heartbeat_destination0 heartbeat_device0 heartbeat_hostname0 heartbeat_port0 hostname0 \
    if_cmd_path if_down_cmd if_up_cmd ignore_leading_white_space insert_lock listen_addresses \
    listen_backlog_multiplier load_balance_mode lobj_lock_table log_backend_messages log_client_messages \
    log_connections log_destination log_directory log_disconnections log_error_verbosity log_file_mode log_filename \
    log_hostname log_line_prefix log_min_messages log_per_node_statement log_rotation_age log_rotation_size \
    log_standby_delay log_statement log_truncate_on_rotation logdir logging_collector max_pool max_spare_children \
    memory_cache_enabled memqcache_auto_cache_invalidation memqcache_cache_block_size memqcache_expire \
    memqcache_max_num_cache memqcache_maxcache memqcache_memcached_host memqcache_memcached_port memqcache_method \
    memqcache_oiddir memqcache_total_size min_spare_children num_init_children pcp_listen_addresses pcp_port \
    pcp_socket_dir pgpool_port0 pid_file_name ping_path pool_passwd port prefer_lower_delay_standby \
    primary_routing_query_pattern_list process_management_mode process_management_strategy read_only_function_list \
    recovery_1st_stage_command recovery_2nd_stage_command recovery_password recovery_timeout recovery_user \
    relcache_expire relcache_query_target relcache_size replicate_select replication_stop_on_mismatch \
    reserved_connections reset_query_list search_primary_node_timeout serialize_accept socket_dir sr_check_database \
    sr_check_password sr_check_period sr_check_user ssl ssl_ca_cert ssl_ca_cert_dir ssl_cert ssl_ciphers \
    ssl_crl_file ssl_dh_params_file ssl_ecdh_curve ssl_key ssl_passphrase_command ssl_prefer_server_ciphers \
    statement_level_load_balance syslog_facility syslog_ident trusted_server_command trusted_servers \
    unix_socket_directories unix_socket_group unix_socket_permissions use_watchdog user_redirect_preference_list \
    wd_authkey wd_de_escalation_command wd_escalation_command wd_heartbeat_deadtime wd_heartbeat_keepalive wd_hostname \
    wd_interval wd_ipc_socket_dir wd_life_point wd_lifecheck_dbname wd_lifecheck_method wd_lifecheck_password \
    wd_lifecheck_query wd_lifecheck_user wd_lost_node_removal_timeout wd_monitoring_interfaces_list \
    wd_no_show_node_removal_timeout wd_port0 wd_priority wd_remove_shutdown_nodes white_function_list \
    white_memqcache_table_list write_function_list";

/// What becomes of a key; `None` when nothing is said about it.
fn told(tally: &Tally, name: &str) -> Option<String> {
    let is = |other: &String| other == name || other.split(", ").any(|other| other == name);
    let noted = tally.changed.iter().chain(&tally.dropped).find(|(other, _)| is(other)).map(|(_, what)| what.clone());
    noted.or_else(|| tally.kept.iter().any(is).then(|| "kept".to_owned()))
}

#[track_caller]
fn assert_all_told<'a>(tally: &Tally, names: impl Iterator<Item = &'a str>) {
    let unknown = "has this key";
    let untold: Vec<_> = names.filter(|name| told(tally, name).is_none_or(|what| what.contains(unknown))).collect();
    assert_eq!(untold, [] as [&str; 0]);
}

fn lines(keys: &[(&str, &str)]) -> String {
    keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
}

fn pairs(keys: &[(&str, &str)]) -> String {
    keys.iter().map(|(key, value)| format!("{key}={value} ")).collect()
}

#[test]
fn every_key_of_pgbouncer_is_imported_or_told() {
    let text = format!("[pgbouncer]\n{}[databases]\na = host=b\n", lines(SETTINGS));
    let (converted, _) = from_pgbouncer(&text);

    assert_all_told(&converted.tally, SETTINGS.iter().map(|(key, _)| *key));
}

#[test]
fn a_key_alone_makes_a_good_configuration_too() {
    // These need each other.
    let needy = |key: &str| key.contains("_tls_");
    for (key, value) in SETTINGS.iter().filter(|(key, _)| !needy(key)) {
        from_pgbouncer(&format!("[pgbouncer]\n{key} = {value}\n[databases]\na = host=b\n"));
    }
}

#[test]
fn every_key_of_a_database_and_of_a_user_is_imported_or_told() {
    let text = format!("{}a = host=b {}\n[users]\nann = {}", with_database(""), pairs(DATABASE), pairs(USER));
    let (converted, _) = from_pgbouncer(&text);

    let databases: Vec<_> = DATABASE.iter().map(|(key, _)| format!("databases.a.{key}")).collect();
    let users: Vec<_> = USER.iter().map(|(key, _)| format!("users.ann.{key}")).collect();
    assert_all_told(&converted.tally, databases.iter().chain(&users).map(String::as_str));
}

#[test]
fn a_key_that_howdah_has_is_never_dropped() {
    let text = format!("[pgbouncer]\n{}[databases]\na = host=b {}\n", lines(SETTINGS), pairs(DATABASE));
    let (converted, _) = from_pgbouncer(&text);

    for (key, _) in &converted.tally.dropped {
        let known = match key.strip_prefix("databases.a.") {
            Some(key) => config::form("databases", key),
            // Rules are read when `auth_type` says so.
            None if matches!(key.as_str(), "auth_hba_file" | "auth_ident_file") => None,
            None => config::form("", key),
        };
        assert_eq!(known, None, "{key}");
    }
}

#[test]
fn every_key_of_pgpool_is_imported_or_told() {
    let value = |key: &str| match key {
        "backend_hostname0" => "a",
        "backend_clustering_mode" => "streaming_replication",
        "log_connections" | "ssl" | "load_balance_mode" | "connection_cache" | "enable_pool_hba" => "on",
        "ssl_key" => "server.key",
        "ssl_cert" => "server.crt",
        "ssl_ca_cert" => "/etc/ssl/nodes-ca.pem",
        "app_name_redirect_preference_list" => "a:primary",
        "database_redirect_preference_list" | "user_redirect_preference_list" => "a:standby",
        _ => "1",
    };
    let text: String = PGPOOL.split_whitespace().map(|key| format!("{key} = '{}'\n", value(key))).collect();
    let (converted, _) = from_pgpool(&text);

    // Of two names of one key the newer stands for both, and so does the backend for its port and weight.
    let same =
        ["black_function_list", "white_function_list", "unix_socket_directories", "backend_port0", "backend_weight0"];
    let checked = ["sr_check_user", "sr_check_password", "sr_check_database", "backend_clustering_mode"];
    let keys = PGPOOL.split_whitespace().filter(|key| !same.contains(key) && !checked.contains(key));
    assert_all_told(&converted.tally, keys);
}
