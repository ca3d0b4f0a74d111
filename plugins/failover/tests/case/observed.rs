//! A cluster as cases write it down: n0 is the primary, unless they say otherwise. Shared with the tests that
//! ask the component, and with the cases of `sync-set`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A cluster; what is left out is as in a cluster of one proxy in good health.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Observed {
    pub primary: Option<u32>,
    pub nodes: Vec<Node>,
    pub reports: Vec<Report>,
    pub observers: u16,
    pub needed: u16,
    pub acknowledged: Option<u64>,
    pub synchronous: bool,
    /// Milliseconds since the last promotion.
    pub promoted: Option<u64>,
    pub paused: bool,
}

impl Default for Observed {
    fn default() -> Self {
        Self {
            primary: Some(0),
            nodes: Vec::new(),
            reports: vec![Report::default()],
            observers: 1,
            needed: 1,
            acknowledged: None,
            synchronous: false,
            promoted: None,
            paused: false,
        }
    }
}

/// A node; its number is its place, its name `n` and the number.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// `primary`, `standby` or `unknown`; by default the first is the primary.
    pub role: Option<String>,
    pub health: String,
    pub sync: Option<String>,
    pub timeline: Option<u32>,
    pub upstream: Option<u32>,
    pub received: Option<u64>,
    pub replayed: Option<u64>,
    pub lag_bytes: Option<u64>,
    pub labels: BTreeMap<String, String>,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            role: None,
            health: "up".to_owned(),
            sync: None,
            timeline: Some(1),
            upstream: None,
            received: Some(1_000_000_000),
            replayed: None,
            lag_bytes: Some(0),
            labels: BTreeMap::new(),
        }
    }
}

/// What an observer sees; the first is this proxy.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Report {
    /// Milliseconds.
    pub age: u32,
    /// By number; the others have been well for a minute.
    pub sees: BTreeMap<String, Seen>,
}

impl Default for Report {
    fn default() -> Self {
        Self { age: 100, sees: BTreeMap::new() }
    }
}

/// The outcome of an observer's checks of one node.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seen {
    /// `ok`, `refused`, `timed-out`, `not-ready`, `misconfigured` or `failed`.
    pub is: String,
    pub role: Option<String>,
    pub streaming: Option<bool>,
    /// Milliseconds.
    pub lasting: u32,
    pub checks: u32,
}

impl Default for Seen {
    fn default() -> Self {
        Self { is: "ok".to_owned(), role: None, streaming: None, lasting: 60_000, checks: 60 }
    }
}

/// What a server says that is not ready, and whatever else has words.
pub const SAID: &str = "the database system is starting up";

/// When cases happen, milliseconds since 1970.
pub const NOW: u64 = 1_800_000_000_000;

impl Observed {
    /// What an observer sees of a node.
    pub fn seen(report: &Report, node: usize) -> Seen {
        report.sees.get(&node.to_string()).cloned().unwrap_or_default()
    }

    /// The role of a node.
    pub fn role(&self, node: usize) -> &str {
        let default = if node == 0 { "primary" } else { "standby" };
        self.nodes[node].role.as_deref().unwrap_or(default)
    }
}
