//! What sessions and operators hear of a cluster's decisions.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::alarm::Alarm;

use crate::{
    cluster::{
        action::{Told, Urgency},
        operation::Operation,
        quarantine::Offence,
        standing::Standing,
        state::State,
    },
    config::types::Cluster,
    control::monitor::MonitorHandle,
    facts::{ClusterEvent, ClusterStatus, Fork, Hold, NodeStatus, OperationStatus, RuledPrimary, Ruling, StatusCell},
};

pub(super) struct Publisher {
    cluster: Arc<str>,
    monitor: Arc<MonitorHandle>,
    status: Arc<StatusCell>,
    ruling: Option<Ruling>,
    /// The operation that was under way last.
    operation: Option<Operation>,
    /// What was told last of it.
    told: String,
    alarm: Alarm,
    event_command: Vec<String>,
}

impl Publisher {
    pub(super) fn new(cluster: &Cluster, monitor: Arc<MonitorHandle>, status: Arc<StatusCell>) -> Self {
        Self {
            cluster: cluster.name.clone(),
            monitor,
            status,
            ruling: None,
            operation: None,
            told: String::new(),
            alarm: Alarm::new(),
            event_command: cluster.healing.event_command.clone(),
        }
    }

    /// Another configuration of the cluster.
    pub(super) fn reconfigure(&mut self, cluster: &Cluster) {
        self.event_command.clone_from(&cluster.healing.event_command);
    }

    /// The cluster's name.
    pub(super) fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Has everybody know how the cluster stands.
    pub(super) fn publish(&mut self, standing: &Standing, began: Instant) {
        let ruling = ruling(standing, began);
        if self.ruling.as_ref() != Some(&ruling) {
            self.ruling = Some(ruling.clone());
            self.monitor.rule(ruling);
        }
        self.note_operation(standing.operation.as_ref());
        self.status.publish(self.status_of(standing, began));
    }

    /// Tells operators: in the log, and as an event.
    pub(super) fn tell(&mut self, told: &Told) {
        let cluster = &*self.cluster;
        match told.urgency {
            Urgency::Info => tracing::info!(cluster, "{told}"),
            Urgency::Warning => tracing::warn!(cluster, "{told}"),
            Urgency::Alert => tracing::error!(cluster, "{told}"),
        }
        if told.operation.is_some() {
            self.told.clone_from(&told.result);
        }
        self.alarm.ring(&self.event_command, &self.cluster, told);
        self.status.tell(ClusterEvent {
            at: SystemTime::now(),
            kind: told.kind.into(),
            node: told.node.as_deref().map(Arc::from),
            operation: told.operation.map(|id| id.to_string().into()),
            term: told.term,
            message: told.result.as_str().into(),
        });
    }

    fn note_operation(&mut self, now: Option<&Operation>) {
        if self.operation.as_ref() == now {
            return;
        }
        if let Some(before) = self.operation.take()
            && now.is_none_or(|now| now.id != before.id)
        {
            self.status.note(OperationStatus { ended: Some(SystemTime::now()), ..self.operation_status(&before) });
        }
        if let Some(now) = now {
            if self.operation.is_none() {
                self.told.clear();
            }
            self.status.note(self.operation_status(now));
        }
        self.operation = now.cloned();
    }

    fn operation_status(&self, operation: &Operation) -> OperationStatus {
        OperationStatus {
            id: operation.id.to_string().into(),
            kind: operation.kind.word().into(),
            from: operation.old.as_deref().map(Arc::from),
            to: operation.candidate.as_deref().or(operation.target.as_deref()).map(Arc::from),
            step: operation.step.word().into(),
            started: SystemTime::UNIX_EPOCH + Duration::from_millis(operation.started_unix_ms),
            ended: None,
            outcome: if self.told.is_empty() { operation.why.as_str().into() } else { self.told.as_str().into() },
        }
    }

    fn status_of(&self, standing: &Standing, began: Instant) -> ClusterStatus {
        let sight = self.monitor.sight();
        let primary = standing.route.primary.as_deref();
        let senders = primary.and_then(|name| sight.node(name)).map(|node| &node.senders);
        let name_of = |id| sight.by_id(id).map(|node| node.viewed.name.clone());
        let nodes = sight.nodes.iter().map(|node| {
            let name = &node.viewed.name;
            let sender = senders.and_then(|senders| senders.iter().find(|sender| *sender.name == **name));
            let quarantined = standing.quarantine.iter().find(|quarantined| *quarantined.node == **name);
            NodeStatus {
                name: name.clone(),
                quarantine: quarantined.map(|quarantined| words(quarantined.offence).into()),
                replication_state: sender.map(|sender| if sender.streaming { "streaming" } else { "catchup" }.into()),
                sync_state: sender.map(|sender| if sender.sync_priority > 0 { "sync" } else { "async" }.into()),
                upstream: node.receiver.and_then(|receiver| receiver.upstream).and_then(name_of),
            }
        });
        let age = began.elapsed().saturating_sub(standing.since);
        ClusterStatus {
            state: format!("{:?}", standing.state).into(),
            reason: standing.why.as_str().into(),
            since: super::ago(age),
            term: standing.route.term,
            primary: primary.map(Arc::from),
            paused: standing.paused,
            hold: standing.hold.as_ref().map(|hold| hold.why.as_str().into()),
            synchronous: standing.sync.as_ref().map(|set| set.to_string().into()),
            nodes: nodes.collect(),
        }
    }
}

/// Why a node gets no work.
fn words(offence: Offence) -> &'static str {
    match offence {
        Offence::Stranger => "it belongs to another cluster",
        Offence::Zombie => "it takes writes, but another node has taken its place as the primary",
        Offence::Rival => "it takes writes, and nobody here promoted it",
        Offence::Diverged => "it has log that the primary lacks",
        Offence::Unproven => "it was the primary, and has not proved yet that it follows the new one",
    }
}

/// What holds over whatever the monitor sees. Terms are timelines there: sessions compare them with what they
/// have written, and the newest timeline counts before anybody was promoted by us.
fn ruling(standing: &Standing, began: Instant) -> Ruling {
    let route = &standing.route;
    let fork = |fork: &crate::cluster::operation::Fork| {
        Some(Fork { term: u64::from(fork.timeline), at: fork.at, next_xid: fork.next_xid? })
    };
    Ruling {
        primary: match &route.primary {
            Some(name) => RuledPrimary::Node((**name).into()),
            None if standing.state == State::Learning || route.term == 0 => RuledPrimary::AsSeen,
            None => RuledPrimary::Nobody,
        },
        term: u64::from(route.timeline),
        hold: standing.hold.as_ref().map(|hold| Hold { since: began + hold.since, why: hold.why.as_str().into() }),
        quarantine: standing
            .quarantine
            .iter()
            .map(|quarantined| ((*quarantined.node).into(), words(quarantined.offence).into()))
            .collect(),
        forks: route.forks.iter().filter_map(fork).collect(),
    }
}
