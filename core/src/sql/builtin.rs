//! What we know of PostgreSQL's own functions without asking.

use std::{collections::HashSet, sync::LazyLock};

/// Where they live.
pub(super) const PG_CATALOG: &str = "pg_catalog";

/// Names of which no overload in `pg_catalog` is volatile, up to PostgreSQL 18.
static NONVOLATILE: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("builtin/nonvolatile.txt").split_ascii_whitespace().collect());

/// Volatile in name, because their answers change or depend on the node, yet they write nothing
/// and a standby runs them as well as the primary.
pub(super) const HARMLESS: &[&str] = &[
    "array_sample",
    "array_shuffle",
    "clock_timestamp",
    "gen_random_uuid",
    "pg_database_size",
    "pg_indexes_size",
    "pg_is_in_recovery",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_partition_ancestors",
    "pg_partition_tree",
    "pg_relation_size",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "random",
    "random_normal",
    // It changes a setting of the session, which is known as an effect.
    "set_config",
    "timeofday",
    "uuidv4",
    "uuidv7",
];

/// What a function does to its session, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionUse {
    /// Sets a setting.
    SetConfig,
    /// Takes an advisory lock for the session.
    AdvisoryLock,
    /// Gives one back.
    AdvisoryUnlock,
    /// Gives all back.
    AdvisoryUnlockAll,
    /// Moves a sequence.
    MovesSequence,
    /// Answers what a sequence answered before.
    RecallsSequence,
    /// Answers what the session listens to.
    RecallsChannels,
    /// Answers from what the session did before.
    Remembers,
    /// Changes something else.
    Other,
}

/// True for a volatile function of `pg_catalog` that may run on a standby all the same.
pub(super) fn is_harmless(schema: &str, name: &str) -> bool {
    schema == PG_CATALOG && HARMLESS.binary_search(&name).is_ok() && !needs_primary(name)
}

/// True for a function of PostgreSQL's own that does not write.
pub(super) fn reads(schema: Option<&str>, name: &str) -> bool {
    let ours = schema.is_none_or(|schema| schema == PG_CATALOG);
    ours && !needs_primary(name) && (NONVOLATILE.contains(name) || HARMLESS.binary_search(&name).is_ok())
}

/// True for a function that has the look of one of PostgreSQL's own.
pub(super) fn is_ours(schema: Option<&str>, name: &str) -> bool {
    let by_name = name.starts_with("pg_") || name.starts_with("lo_");
    let ours = by_name || matches!(name, "nextval" | "setval" | "currval" | "lastval" | "loread" | "lowrite");
    reads(schema, name) || (ours && schema.is_none_or(|schema| schema == PG_CATALOG))
}

/// True for what answers for the node that is asked: its processes, files, locks and counters. Clients
/// mean the primary's, which they would get without a proxy.
pub(super) fn is_of_node(name: &str) -> bool {
    const PREFIXES: [&str; 7] = [
        "pg_stat_",
        "pg_statio_",
        "pg_replication_slots",
        "pg_show_",
        "pg_postmaster_start_time",
        "pg_conf_load_time",
        "inet_server_",
    ];
    const NAMES: [&str; 15] = [
        "pg_backend_memory_contexts",
        "pg_control_checkpoint",
        "pg_control_recovery",
        "pg_current_logfile",
        "pg_file_settings",
        "pg_get_backend_memory_contexts",
        "pg_get_shmem_allocations",
        "pg_hba_file_rules",
        "pg_ident_file_mappings",
        "pg_lock_status",
        "pg_locks",
        "pg_prepared_xact",
        "pg_prepared_xacts",
        "pg_settings",
        "pg_shmem_allocations",
    ];
    NAMES.binary_search(&name).is_ok() || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Declared stable, yet they fail on a standby: they assign a transaction its number.
pub(super) fn needs_primary(name: &str) -> bool {
    matches!(name, "txid_current" | "pg_current_xact_id")
}

/// What a function of PostgreSQL's own does to its session.
pub(super) fn session_use(name: &str) -> Option<SessionUse> {
    Some(match name {
        "set_config" => SessionUse::SetConfig,
        "pg_advisory_lock" | "pg_advisory_lock_shared" | "pg_try_advisory_lock" | "pg_try_advisory_lock_shared" => {
            SessionUse::AdvisoryLock
        }
        "pg_advisory_unlock" | "pg_advisory_unlock_shared" => SessionUse::AdvisoryUnlock,
        "pg_advisory_unlock_all" => SessionUse::AdvisoryUnlockAll,
        "nextval" | "setval" => SessionUse::MovesSequence,
        "currval" | "lastval" => SessionUse::RecallsSequence,
        "pg_listening_channels" => SessionUse::RecallsChannels,
        "pg_prepared_statement" | "pg_cursor" | "pg_my_temp_schema" => SessionUse::Remembers,
        "setseed" | "pg_replication_origin_session_setup" | "pg_replication_origin_session_reset" => SessionUse::Other,
        _ => return None,
    })
}

/// Views of PostgreSQL's own that show what the session did before.
pub(super) fn relation_remembers(name: &str) -> bool {
    matches!(name, "pg_prepared_statements" | "pg_cursors")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harmless_are_sorted_for_the_search() {
        assert!(HARMLESS.is_sorted());
    }

    #[test]
    fn what_a_node_says_of_itself_is_known_by_name() {
        for name in ["pg_stat_activity", "pg_locks", "pg_settings", "pg_prepared_xacts", "pg_stat_get_wal"] {
            assert!(is_of_node(name), "{name}");
        }
        for name in ["pg_class", "pg_stats", "pg_is_in_recovery", "pg_statistic", "orders"] {
            assert!(!is_of_node(name), "{name}");
        }
    }

    #[test]
    fn common_functions_read_and_writing_ones_do_not() {
        for name in ["lower", "count", "now", "date_part", "timezone", "json_agg", "random", "uuidv7", "pg_sleep"] {
            assert!(reads(None, name) && reads(Some(PG_CATALOG), name), "{name}");
            assert!(!reads(Some("public"), name), "{name}");
        }
        for name in
            ["nextval", "setval", "pg_notify", "lo_create", "txid_current", "pg_advisory_lock", "pg_switch_wal", "mine"]
        {
            assert!(!reads(None, name), "{name}");
        }
    }
}
