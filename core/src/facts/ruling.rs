//! What the control plane has decided about a cluster, over what its monitor sees.

use std::{mem, sync::Arc};

use tokio::time::Instant;

use super::{Facts, Health, Role};
use crate::id::Lsn;

/// New transactions that need the primary wait until this is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Since when.
    pub since: Instant,
    /// For whom it may concern: a suspicion, a failover, a switchover.
    pub why: Arc<str>,
}

/// Where a term began: what its primary had of the log of the term before, and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The term that began.
    pub term: u64,
    /// Where its timeline left the one before. What is beyond in an older term is lost.
    pub at: Lsn,
    /// The first transaction id that the new primary gave out itself. Transactions of older terms with this number
    /// or a greater one are lost, whatever the new primary says of the number.
    pub next_xid: u64,
}

/// Who takes writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RuledPrimary {
    /// Whom the monitor elects among those that take writes.
    #[default]
    AsSeen,
    /// Nobody, whoever takes writes.
    Nobody,
    /// The node of this name, and no other that takes writes.
    Node(Arc<str>),
}

/// What holds over what is seen, until the next ruling. Nodes go by their names, which outlive reloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruling {
    /// Who takes writes.
    pub primary: RuledPrimary,
    /// Counts promotions. The newest timeline that was seen counts if it is greater.
    pub term: u64,
    /// New transactions wait.
    pub hold: Option<Hold>,
    /// Nodes that get no work at all, each with the reason, in words.
    pub quarantine: Vec<(Arc<str>, Arc<str>)>,
    /// Where terms began, the oldest first.
    pub forks: Arc<[Fork]>,
}

impl Ruling {
    /// Applies it to what was seen.
    pub fn rule(&self, facts: &mut Facts) {
        facts.term = facts.term.max(self.term);
        facts.hold.clone_from(&self.hold);
        facts.forks = Arc::clone(&self.forks);
        match &self.primary {
            RuledPrimary::AsSeen => {}
            RuledPrimary::Nobody => facts.primary = None,
            RuledPrimary::Node(name) => self.crown(name, facts),
        }
        for node in &mut facts.nodes {
            if let Some((_, why)) = self.quarantine.iter().find(|(name, _)| *name == node.name) {
                (node.health, node.why) = (Health::Down, Some(Arc::clone(why)));
                if facts.primary == Some(node.id) {
                    facts.primary = None;
                }
            }
        }
    }

    fn crown(&self, name: &Arc<str>, facts: &mut Facts) {
        let chosen = facts.nodes.iter().find(|node| node.name == *name).map(|node| node.id);
        let before = mem::replace(&mut facts.primary, chosen);
        if before == chosen {
            return;
        }
        for node in &mut facts.nodes {
            if Some(node.id) == chosen {
                // It was promoted a moment ago; the next probe will say so too.
                node.role = Role::Primary;
                if node.health == Health::Down {
                    (node.health, node.why) = (Health::Up, None);
                }
            } else if node.role == Role::Primary {
                let why = format!("takes writes, but {name} is the primary");
                (node.health, node.why) = (Health::Down, Some(why.into()));
            }
        }
    }
}
