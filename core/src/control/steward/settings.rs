//! A cluster's configuration in the words of its decisions.

use crate::{
    cluster::settings::{FailoverMode, NodeSettings, RejoinMode, Settings, SyncMode},
    config::{
        AutoRejoin, SynchronousMode,
        types::{Cluster, ExecutorKind, Failover, Node},
    },
};

/// Longest name of a replication slot, in bytes.
/// <https://www.postgresql.org/docs/current/warm-standby.html#STREAMING-REPLICATION-SLOTS-MANIPULATION>
const SLOT_MAX_BYTES: usize = 63;

/// The settings of a cluster that heals itself.
pub(super) fn of(cluster: &Cluster) -> Settings {
    let healing = &cluster.healing;
    Settings {
        failover: match cluster.failover {
            Failover::Automatic => FailoverMode::Policy,
            Failover::Off | Failover::External => FailoverMode::Off,
        },
        sync: match healing.synchronous_mode {
            SynchronousMode::Off => SyncMode::Off,
            SynchronousMode::On => SyncMode::On,
            SynchronousMode::Strict => SyncMode::Strict,
        },
        rejoin: match healing.auto_rejoin {
            AutoRejoin::Off => RejoinMode::Off,
            AutoRejoin::Follow => RejoinMode::Follow,
            AutoRejoin::Repair => RejoinMode::Repair,
        },
        nodes: cluster.nodes.iter().map(|node| self::node(cluster, node)).collect(),
        crash_grace: healing.crash_grace,
        hang_timeout: healing.hang_timeout,
        failover_interval: healing.failover_interval,
        max_loss_bytes: healing.maximum_lag_on_failover,
        drain_timeout: healing.drain_timeout,
        fence_timeout: healing.fence_timeout,
        sync_stall_timeout: healing.sync_stall_timeout,
        sync_restore_after: healing.sync_restore_after,
        armed_primary: healing.armed_primary,
        ..Settings::default()
    }
}

fn node(cluster: &Cluster, node: &Node) -> NodeSettings {
    NodeSettings {
        name: (&node.name).into(),
        controlled: node.executor.kind != ExecutorKind::None,
        candidate: !is_set(node, "nofailover"),
        sync: !is_set(node, "nosync"),
        slot: cluster.healing.replication_slots.then(|| slot(&node.name)),
    }
}

/// The label is there and does not say no.
fn is_set(node: &Node, label: &str) -> bool {
    node.labels.iter().any(|(key, value)| key == label && !matches!(value.as_str(), "false" | "no" | "off" | "0"))
}

/// The slot of the node of that name on whomever it follows.
fn slot(name: &str) -> String {
    let mut slot = "howdah_".to_owned();
    slot.extend(name.chars().map(|c| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '_') => c,
        _ => '_',
    }));
    slot.truncate(SLOT_MAX_BYTES);
    slot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_has_a_name_that_postgresql_takes() {
        assert_eq!(slot("n1"), "howdah_n1");
        assert_eq!(slot("Node-é"), "howdah_node__");
        assert_eq!(slot(&"x".repeat(100)).len(), SLOT_MAX_BYTES);
    }
}
