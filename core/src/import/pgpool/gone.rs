//! Keys of pgpool-II that have no counterpart, by what they are about.

/// Keys that share a reason.
pub(super) struct Topic {
    /// What to do instead.
    pub instead: &'static str,
    /// Names; one that ends with `*` is the beginning of one, and numbers at the end do not count.
    keys: &'static [&'static str],
}

impl Topic {
    fn has(&self, key: &str) -> bool {
        let plain = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let fits = |name: &&str| match name.strip_suffix('*') {
            Some(beginning) => key.starts_with(beginning),
            None => *name == key || *name == plain,
        };
        self.keys.iter().any(fits)
    }
}

/// What a key is about; `None` when nobody knows it.
pub(super) fn topic(key: &str) -> Option<&'static Topic> {
    TOPICS.iter().find(|topic| topic.has(key))
}

static TOPICS: &[Topic] = &[
    Topic {
        instead: "there are no processes for clients; a client costs a few kilobytes",
        keys: &[
            "max_pool",
            "child_life_time",
            "child_max_connections",
            "min_spare_children",
            "max_spare_children",
            "process_management_mode",
            "process_management_strategy",
            "serialize_accept",
            "reserved_connections",
            "listen_backlog_multiplier",
        ],
    },
    Topic {
        instead: "Howdah promotes nobody: whatever promotes a standby, it follows within a probe or two, and a node \
            that returns is put back by itself",
        keys: &[
            "failover_*",
            "fail_over_on_backend_error",
            "failback_command",
            "follow_primary_command",
            "follow_master_command",
            "detach_false_primary",
            "search_primary_node_timeout",
            "auto_failback",
            "auto_failback_interval",
            "backend_flag",
        ],
    },
    Topic {
        instead: "standbys are made by what makes them, not through the proxy",
        keys: &["recovery_*", "client_idle_limit_in_recovery", "backend_data_directory"],
    },
    Topic {
        instead: "one Howdah knows nothing of another; a virtual address is for keepalived or the cloud",
        keys: &[
            "use_watchdog",
            "wd_*",
            "hostname",
            "pgpool_port",
            "heartbeat_*",
            "other_*",
            "trusted_server*",
            "ping_path",
            "delegate_*",
            "if_*",
            "arping_*",
            "clear_memqcache_on_escalation",
            "allow_multiple_failover_requests_from_node",
            "enable_consensus_with_half_votes",
        ],
    },
    Topic {
        instead: "nodes are probed by `probe_interval`, `probe_timeout`, `probe_fall` and `probe_rise`, whose defaults \
            are 0.2 s, 2 s, 2 and 3; a node that fails only leaves the balance, so they may be short",
        keys: &[
            "health_check_period",
            "health_check_timeout",
            "health_check_max_retries",
            "health_check_retry_delay",
            "connect_timeout",
            "sr_check_period",
        ],
    },
    Topic {
        instead: "`control_user` does all the asking",
        keys: &["health_check_user", "health_check_password", "health_check_database"],
    },
    Topic { instead: "the console does it, see SHOW HELP", keys: &["pcp_*"] },
    Topic {
        instead: "answers are not cached",
        keys: &[
            "memory_cache_enabled",
            "memqcache_*",
            "cache_safe_memqcache_table_list",
            "cache_unsafe_memqcache_table_list",
            "white_memqcache_table_list",
            "black_memqcache_table_list",
        ],
    },
    Topic {
        instead: "what tables and functions are, Howdah reads from the catalog, and again when it changes",
        keys: &[
            "relcache_*",
            "enable_shared_relcache",
            "check_temp_table",
            "check_unlogged_table",
            "dml_adaptive_object_relationship_list",
        ],
    },
    Topic {
        instead: "log lines go to standard error; HOWDAH_LOG and `log_format` say which and how",
        keys: &[
            "log_*",
            "logdir",
            "logging_collector",
            "syslog_*",
            "client_min_messages",
            "debug_level",
            "print_timestamp",
            "print_user",
            "notice_per_node_statement",
        ],
    },
    Topic {
        instead: "a transaction that may write is on the primary; statements go where `EXPLAIN ROUTE` says",
        keys: &["allow_sql_comments", "ignore_leading_white_space"],
    },
    Topic {
        instead: "write /*NO LOAD BALANCE*/ into such statements, or list their functions in `write_functions`",
        keys: &["primary_routing_query_pattern_list"],
    },
    Topic { instead: "the policy's setting `balance` may be \"lowest_lag\"", keys: &["prefer_lower_delay_standby"] },
    Topic { instead: "the lag is what the nodes themselves say", keys: &["replication_delay_source_*"] },
    Topic {
        instead: "only streaming replication is known",
        keys: &[
            "replicate_select",
            "insert_lock",
            "lobj_lock_table",
            "replication_stop_on_mismatch",
            "replication_mode",
            "replication_enabled",
            "master_slave_mode",
            "master_slave_sub_mode",
            "backend_clustering_mode",
            "parallel_mode",
            "system_db_*",
            "pgpool2_hostname",
        ],
    },
    Topic {
        instead: "the TLS library's choice is used",
        keys: &[
            "ssl_ciphers",
            "ssl_prefer_server_ciphers",
            "ssl_ecdh_curve",
            "ssl_dh_params_file",
            "ssl_crl_file",
            "ssl_ca_cert_dir",
            "ssl_passphrase_command",
        ],
    },
    Topic {
        instead: "clients prove who they are as `auth_type` says",
        keys: &["allow_clear_text_frontend_auth", "pool_hba_file", "enable_pool_hba", "pool_passwd", "pgpool_passwd"],
    },
    Topic { instead: "the folder of the socket decides", keys: &["unix_socket_group"] },
    Topic { instead: "`host` may be a directory", keys: &["backend_socket_dir"] },
    Topic { instead: "the node's name is used", keys: &["backend_application_name"] },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_beginnings_do_not_matter() {
        for key in ["wd_priority", "hostname0", "heartbeat_port12", "backend_flag1", "ssl_ciphers", "memqcache_method"]
        {
            assert!(topic(key).is_some(), "{key}");
        }
        assert!(topic("hostnames").is_none());
        assert!(topic("port").is_none());
    }
}
