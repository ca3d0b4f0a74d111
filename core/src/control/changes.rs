//! What an operator is told when the facts change: each change once, with its reason.

use std::{fmt, sync::Arc};

use crate::facts::{Facts, Health, NodeFacts, Role};

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Another node takes the writes, or none.
    Primary { was: Option<Arc<str>>, is: Option<Arc<str>>, timeline: Option<u32> },
    /// A node says it is something else.
    Role { node: Arc<str>, was: Role, is: Role },
    /// A node gets work, or gets it no more, or does not get it for another reason.
    Health { node: Arc<str>, is: Health, why: Option<Arc<str>>, in_conflict: bool },
    /// The configuration has a new node.
    Joined { node: Arc<str> },
    /// The configuration has the node no more.
    Left { node: Arc<str> },
}

impl Change {
    /// Everything that differs, in the order in which it is to be told.
    pub(super) fn between(before: &Facts, after: &Facts) -> Vec<Self> {
        let mut changes = Vec::new();
        for (place, node) in after.nodes.iter().enumerate() {
            match same_node(before, place, &node.name) {
                Some(was) => Self::of_node(was, node, &mut changes),
                None => changes.push(Self::Joined { node: node.name.clone() }),
            }
        }
        let nodes_before = before.nodes.iter().enumerate();
        let gone = nodes_before.filter(|(place, node)| same_node(after, *place, &node.name).is_none());
        changes.extend(gone.map(|(_, node)| Self::Left { node: node.name.clone() }));
        let (was, is) = (before.primary(), after.primary());
        let identity = |node: &NodeFacts| (node.name.clone(), node.timeline);
        if was.map(identity) != is.map(identity) {
            let timeline = is.and_then(|node| node.timeline);
            let name = |node: &NodeFacts| node.name.clone();
            changes.push(Self::Primary { was: was.map(name), is: is.map(name), timeline });
        }
        changes
    }

    fn of_node(was: &NodeFacts, is: &NodeFacts, changes: &mut Vec<Self>) {
        if was.role != is.role {
            changes.push(Self::Role { node: is.name.clone(), was: was.role, is: is.role });
        }
        if (was.health, &was.why) != (is.health, &is.why) {
            // It answers and yet it is refused: an operator has to look.
            let in_conflict = is.health == Health::Down && is.ramp_percent > 0;
            let (node, why) = (is.name.clone(), is.why.clone());
            changes.push(Self::Health { node, is: is.health, why, in_conflict });
        }
    }

    /// Writes it to the log.
    pub(super) fn log(&self, cluster: &str) {
        match self {
            Self::Primary { is: None, .. } | Self::Health { is: Health::Down, in_conflict: false, .. } => {
                tracing::warn!(cluster, "{self}");
            }
            Self::Health { in_conflict: true, .. } => tracing::error!(cluster, "{self}"),
            _ => tracing::info!(cluster, "{self}"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Primary { was: Some(was), is: None, .. } => write!(f, "no primary: {was} was the last"),
            Self::Primary { is: None, .. } => f.write_str("no primary"),
            Self::Primary { was, is: Some(is), timeline } => {
                write!(f, "{is} is the primary")?;
                timeline.iter().try_for_each(|timeline| write!(f, ", on timeline {timeline}"))?;
                let before = was.iter().filter(|was| *was != is);
                before.into_iter().try_for_each(|was| write!(f, "; it was {was}"))
            }
            Self::Role { node, was: Role::Unknown, is } => write!(f, "{node} is a {}", role(*is)),
            Self::Role { node, was, is } => write!(f, "{node} is a {} now, it was a {}", role(*is), role(*was)),
            Self::Health { node, is, why, .. } => {
                write!(f, "{node} is {}", health(*is))?;
                why.iter().try_for_each(|why| write!(f, ": {why}"))
            }
            Self::Joined { node } => write!(f, "{node} joined the configuration"),
            Self::Left { node } => write!(f, "{node} left the configuration"),
        }
    }
}

/// Mostly at the same place; after a reload anywhere.
fn same_node<'a>(facts: &'a Facts, place: usize, name: &str) -> Option<&'a NodeFacts> {
    let at_place = facts.nodes.get(place).filter(|node| *node.name == *name);
    at_place.or_else(|| facts.nodes.iter().find(|node| *node.name == *name))
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Primary => "primary",
        Role::Standby => "standby",
        Role::Unknown => "node of unknown role",
    }
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Up => "up",
        Health::Degraded => "the last choice",
        Health::Draining => "draining",
        Health::Down => "down",
    }
}
