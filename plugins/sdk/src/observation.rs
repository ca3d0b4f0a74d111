//! What proxies observe of a cluster, and questions that most policies ask of it.

pub use crate::bindings::failover::howdah::plugin::observation::{
    Cluster, NodeReport, ObserverReport, Quorum, Reachability,
};
use crate::{Node, NodeId};

impl Cluster {
    /// The node of this number.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// What this proxy saw of a node last.
    pub fn own_report(&self, id: NodeId) -> Option<&NodeReport> {
        self.reports.iter().find(|report| report.this_proxy)?.of(id)
    }

    /// What is seen of a node by those whose report is at most so old, in milliseconds.
    pub fn reports_of(&self, id: NodeId, max_age_ms: u32) -> impl Iterator<Item = (&ObserverReport, &NodeReport)> {
        let fresh = self.reports.iter().filter(move |report| report.age <= max_age_ms);
        fresh.filter_map(move |report| Some((report, report.of(id)?)))
    }
}

impl ObserverReport {
    /// What this observer saw of a node.
    pub fn of(&self, id: NodeId) -> Option<&NodeReport> {
        self.nodes.iter().find(|report| report.node == id)
    }
}

impl Node {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a label is there, and does not say no.
    pub fn has(&self, name: &str) -> bool {
        self.label(name).is_some_and(|value| !matches!(value, "false" | "no" | "off" | "0"))
    }
}
