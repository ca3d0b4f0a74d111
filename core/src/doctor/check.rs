//! What must be right on a node for each feature, as questions that PostgreSQL answers.

use super::grants::{FUNCTIONS, Level, PARAMETERS, ROLES};

/// For what something is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Feature {
    /// To know how the node is.
    Monitoring,
    /// To promote it, or to have it follow who was promoted.
    Failover,
    /// To bring it back after it was left behind.
    Rejoin,
    /// To stop and restart it in a planned switchover.
    Switchover,
}

impl Feature {
    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Monitoring => "monitoring",
            Self::Failover => "failover",
            Self::Rejoin => "rejoin",
            Self::Switchover => "switchover",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// It will not work.
    Missing,
    /// It will work, and could be better.
    Advice,
}

/// One question.
pub(super) struct Question {
    pub feature: Feature,
    pub weight: Weight,
    /// True when all is well.
    pub sql: String,
    /// What to say when not.
    pub otherwise: String,
}

/// How the questions depend on the configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    /// Nodes of the cluster.
    pub nodes: usize,
    /// The node's own server is the executor.
    pub by_sql: bool,
}

/// All questions for one node.
pub(super) fn questions(needs: Needs) -> Vec<Question> {
    let mut questions = settings(needs);
    questions.extend(rights(needs));
    questions
}

fn ask(feature: Feature, weight: Weight, sql: impl Into<String>, otherwise: impl Into<String>) -> Question {
    Question { feature, weight, sql: sql.into(), otherwise: otherwise.into() }
}

fn settings(needs: Needs) -> Vec<Question> {
    use Feature::{Failover, Rejoin};
    use Weight::{Advice, Missing};
    let peers = needs.nodes.saturating_sub(1);
    let set = |name: &str| format!("current_setting('{name}')");
    vec![
        ask(Failover, Missing, format!("{} <> 'minimal'", set("wal_level")), "wal_level is minimal: set it to replica"),
        ask(
            Failover,
            Missing,
            format!("{} = 'on'", set("hot_standby")),
            "hot_standby is off, so a standby answers nothing",
        ),
        ask(
            Failover,
            Missing,
            format!("{} IN ('latest', '')", set("recovery_target_timeline")),
            "recovery_target_timeline is not latest, so it would not follow a new primary",
        ),
        ask(
            Failover,
            Missing,
            format!("{}::int >= {peers}", set("max_wal_senders")),
            format!("max_wal_senders is less than {peers}, the other nodes of the cluster"),
        ),
        ask(
            Failover,
            Missing,
            format!("{}::int >= {peers}", set("max_replication_slots")),
            format!("max_replication_slots is less than {peers}, the other nodes of the cluster"),
        ),
        ask(
            Failover,
            Advice,
            format!("{} <> '-1'", set("max_slot_wal_keep_size")),
            "max_slot_wal_keep_size is -1: the slot of a node that is gone can fill the disk",
        ),
        ask(
            Failover,
            Advice,
            "(SELECT setting::int <= 1000 FROM pg_settings WHERE name = 'wal_retrieve_retry_interval')",
            "wal_retrieve_retry_interval is more than 1s, which is how long a standby may take to try again",
        ),
        ask(
            Failover,
            Advice,
            "(SELECT setting::int <= 1 FROM pg_settings WHERE name = 'wal_receiver_status_interval')",
            "wal_receiver_status_interval is more than 1s: commits may wait that long when the synchronous standby changes",
        ),
        ask(
            Failover,
            Advice,
            "(SELECT setting::int BETWEEN 1 AND 3000 FROM pg_settings WHERE name = 'wal_receiver_timeout')",
            "wal_receiver_timeout is more than 3s: a standby that receives nothing cannot tell whether its primary hangs \
             or has nothing to send, as when only the proxy does not reach it",
        ),
        ask(
            Rejoin,
            Missing,
            format!("{} = 'on' OR {} = 'on'", set("wal_log_hints"), set("data_checksums")),
            "neither wal_log_hints nor data checksums are on, so pg_rewind refuses the node and only a rebuild is left",
        ),
        ask(
            Rejoin,
            Missing,
            format!("{} = 'on'", set("full_page_writes")),
            "full_page_writes is off, so pg_rewind refuses the node",
        ),
        ask(
            Rejoin,
            Advice,
            format!("{} NOT IN ('0', '0MB')", set("wal_keep_size")),
            "wal_keep_size is 0: a node without a slot soon lacks the log that pg_rewind needs",
        ),
    ]
}

fn rights(needs: Needs) -> Vec<Question> {
    let feature = |level| match level {
        Level::Failover => Feature::Failover,
        Level::Rejoin => Feature::Rejoin,
        Level::Switchover => Feature::Switchover,
    };
    let is_needed = |level: Level| level < Level::Switchover || needs.by_sql;
    let mut rights = vec![ask(
        Feature::Failover,
        Weight::Missing,
        "(SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user)",
        "it has no right to REPLICATION",
    )];
    for (level, role) in ROLES.into_iter().filter(|(level, _)| is_needed(*level)) {
        let sql = format!("pg_has_role(current_user, '{role}', 'USAGE')");
        rights.push(ask(feature(level), Weight::Missing, sql, format!("it is not a member of {role}")));
    }
    for parameter in PARAMETERS {
        let sql = format!("has_parameter_privilege('{parameter}', 'ALTER SYSTEM')");
        let otherwise = format!("it may not ALTER SYSTEM SET {parameter}");
        rights.push(ask(Feature::Failover, Weight::Missing, sql, otherwise));
    }
    for (level, function) in FUNCTIONS.into_iter().filter(|(level, _)| is_needed(*level)) {
        let sql = format!("has_function_privilege('pg_catalog.{function}', 'EXECUTE')");
        rights.push(ask(feature(level), Weight::Missing, sql, format!("it may not call {function}")));
    }
    rights
}
