//! `howdah cluster grant-sql`: the least that the control user needs, as statements for a superuser.

use crate::{config::Cluster, control::host::quote};

/// What the control user is to be able to do. Each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Level {
    /// Watch, promote, repoint, manage synchronous standbys
    Failover,
    /// And be what pg_rewind logs in as
    Rejoin,
    /// And have servers restart and rewind themselves (executor "sql-program")
    Switchover,
}

/// Roles of PostgreSQL's that are needed for each level.
pub(super) const ROLES: [(Level, &str); 6] = [
    (Level::Failover, "pg_monitor"),
    (Level::Failover, "pg_signal_backend"),
    (Level::Failover, "pg_checkpoint"),
    (Level::Switchover, "pg_write_server_files"),
    (Level::Switchover, "pg_execute_server_program"),
    (Level::Switchover, "pg_read_server_files"),
];

/// Settings that it changes with ALTER SYSTEM.
pub(super) const PARAMETERS: [&str; 5] = [
    "primary_conninfo",
    "primary_slot_name",
    "synchronous_standby_names",
    "default_transaction_read_only",
    "wal_retrieve_retry_interval",
];

/// Functions that not everybody may call.
pub(super) const FUNCTIONS: [(Level, &str); 10] = [
    (Level::Failover, "pg_promote(boolean, integer)"),
    (Level::Failover, "pg_reload_conf()"),
    (Level::Failover, "pg_wal_replay_pause()"),
    (Level::Failover, "pg_wal_replay_resume()"),
    (Level::Failover, "pg_switch_wal()"),
    // <https://www.postgresql.org/docs/current/app-pgrewind.html>
    (Level::Rejoin, "pg_ls_dir(text, boolean, boolean)"),
    (Level::Rejoin, "pg_stat_file(text, boolean)"),
    (Level::Rejoin, "pg_read_binary_file(text)"),
    (Level::Rejoin, "pg_read_binary_file(text, bigint, bigint, boolean)"),
    // Where the server's programs are.
    (Level::Switchover, "pg_config()"),
];

/// The statements for one cluster. To be run on the primary, as a superuser.
pub fn grant_sql(cluster: &Cluster, level: Level) -> String {
    let user = identifier(&cluster.control_user);
    let roles: Vec<&str> = ROLES.iter().filter(|(of, _)| *of <= level).map(|(_, role)| *role).collect();
    let functions: Vec<&str> = FUNCTIONS.iter().filter(|(of, _)| *of <= level).map(|(_, name)| *name).collect();
    let mut sql = format!(
        "-- Cluster {name}: what {user} needs. Run it on the primary as a superuser, with psql.\n\
         -- Rights to functions belong to a database, so this has to be the control_database.\n\
         \\connect {database}\n\
         SELECT format('CREATE ROLE %I LOGIN', {literal})\n  \
         WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {literal}) \\gexec\n\
         ALTER ROLE {user} LOGIN REPLICATION;\n\
         GRANT {roles} TO {user};\n\
         GRANT ALTER SYSTEM ON PARAMETER {parameters} TO {user};\n\
         GRANT EXECUTE ON FUNCTION {functions} TO {user};\n",
        name = cluster.name,
        database = identifier(&cluster.control_database),
        literal = quote::literal(&cluster.control_user),
        roles = roles.join(", "),
        parameters = PARAMETERS.join(", "),
        functions = functions.join(",\n    "),
    );
    if let Some(replication) = cluster.replication_user.as_deref().filter(|user| *user != cluster.control_user) {
        sql += &format!("ALTER ROLE {} LOGIN REPLICATION;\n", identifier(replication));
    }
    sql
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_has_what_the_levels_before_it_have_and_no_more() {
        let cluster = Cluster {
            failover: Default::default(),
            healing: Default::default(),
            name: "main".into(),
            nodes: Vec::new(),
            control_user: "h\"a".into(),
            control_password: None,
            control_database: "postgres".into(),
            replication_user: Some("walker".into()),
            replication_password: None,
        };
        let has = |level, text: &str| grant_sql(&cluster, level).contains(text);

        assert!(has(Level::Failover, "GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO \"h\"\"a\";"));
        assert!(has(Level::Failover, "ALTER ROLE \"walker\" LOGIN REPLICATION;"));
        assert!(!has(Level::Failover, "pg_read_binary_file") && has(Level::Rejoin, "pg_read_binary_file"));
        assert!(!has(Level::Rejoin, "server_program") && has(Level::Switchover, "server_program"));
    }
}
