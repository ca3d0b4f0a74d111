//! Who may be promoted: the safe set, which no policy widens.
//!
//! Those who were heard have been detached first, so what they have received is final. If they satisfy the
//! electorate, the most that any of them has is everything that was ever acknowledged: the *floor*. Whoever has that
//! may be promoted, and whoever can get it from one who has.

use super::{
    name::Name,
    operation::{Kind, Operation, Record},
    settings::Settings,
    sight::Sight,
    sync_set::Electorate,
};
use crate::id::Lsn;

/// A detached node and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Which.
    pub node: Name,
    /// The greater of received and replayed.
    pub at: Lsn,
    /// Its timeline.
    pub timeline: Option<u32>,
}

/// Everything that an election looks at.
#[derive(Clone, Copy, Debug)]
pub struct Ballot<'a> {
    /// The route, and whom an election must hear.
    pub record: &'a Record,
    /// The operation that elects.
    pub operation: &'a Operation,
    /// Bounds.
    pub settings: &'a Settings,
    /// Who answers now.
    pub sight: &'a Sight,
    /// Who was heard.
    pub heard: &'a [Heard],
    /// Whoever lacks something may get it from another first.
    pub forwarding: bool,
}

/// The safe set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Safe {
    /// What a candidate must have received.
    pub floor: Lsn,
    /// Nodes that have it.
    pub fit: Vec<Name>,
    /// Nodes that have less, and may be brought forward.
    pub behind: Vec<Name>,
    /// The floor is everything that may have been acknowledged, or as much as may be lost less. Otherwise only the old
    /// primary itself is fit.
    pub complete: bool,
    /// Bytes of the old primary's log, as far as it was seen, that nobody has.
    pub loss_bytes: u64,
}

impl Ballot<'_> {
    /// Those who were heard suffice.
    pub fn quorate(&self) -> bool {
        self.usable().next().is_some() && (self.complete() || self.operation.allow_loss || self.old_is_heard())
    }

    /// Those who were heard have, between them, everything that was acknowledged.
    fn complete(&self) -> bool {
        self.operation.floor.is_some()
            || self.handed_over()
            || self.record.electorate.satisfied_by(|name| self.usable().any(|heard| &*heard.node == name))
    }

    /// Commits waited for nobody, but the old primary was stopped cleanly, and somebody has what it had before that.
    fn handed_over(&self) -> bool {
        let last = self.operation.flushed.filter(|_| self.operation.stopped);
        self.record.electorate == Electorate::Nobody
            && last.is_some_and(|last| self.usable().any(|heard| heard.at >= last))
    }

    /// The safe set, or why there is none.
    pub fn count(&self) -> Result<Safe, String> {
        if !self.quorate() {
            return Err("those who answer may lack commits that were acknowledged".into());
        }
        // The old primary has everything that it acknowledged, but may not have replayed it yet: of how far the
        // others must be, its position says nothing.
        let unknown = self.record.electorate == Electorate::Unbound && self.operation.flushed.is_none();
        let only_old = self.old_is_heard() && (unknown || !self.complete()) && !self.operation.allow_loss;
        let furthest = self.usable().map(|heard| heard.at).max().ok_or("no standby answers")?;
        let floor = self.operation.floor.unwrap_or(furthest);
        let loss_bytes = self.operation.flushed.map_or(0, |flushed| flushed.0.saturating_sub(floor.0));
        self.bound(loss_bytes, only_old)?;
        let suffices = |(fit, behind): &(Vec<Name>, Vec<Name>)| {
            !fit.is_empty() || self.forwarding && !behind.is_empty() && self.source(floor).is_some()
        };
        // Promotion would end an operator's pause of the replay. That is for when nobody else is left.
        let mut sorted = self.sort(floor, only_old, false);
        if !suffices(&sorted) {
            sorted = self.sort(floor, only_old, true);
        }
        if !suffices(&sorted) {
            return Err(match self.forwarding {
                true => "no node that may be promoted has everything that was acknowledged".into(),
                false => "nobody has everything, and nobody could be brought forward".into(),
            });
        }
        let (fit, behind) = sorted;
        Ok(Safe { floor, fit, behind, complete: !only_old, loss_bytes })
    }

    /// Who of the eligible has everything, and who has less.
    fn sort(&self, floor: Lsn, only_old: bool, paused_too: bool) -> (Vec<Name>, Vec<Name>) {
        let eligible = self.usable().filter(|heard| self.eligible(&heard.node, paused_too));
        let eligible = eligible.filter(|heard| !only_old || self.is_old(&heard.node));
        let (fit, behind): (Vec<_>, Vec<_>) = eligible.partition(|heard| only_old || heard.at >= floor);
        let names = |heard: Vec<&Heard>| heard.into_iter().map(|heard| heard.node.clone()).collect();
        (names(fit), names(behind))
    }

    /// A node that answers and can give others everything up to the floor.
    pub fn source(&self, floor: Lsn) -> Option<Name> {
        let answers = |heard: &&Heard| self.sight.node(&heard.node).is_some_and(|node| node.follows());
        self.usable().filter(answers).find(|heard| heard.at >= floor).map(|heard| heard.node.clone())
    }

    /// How much may be lost.
    fn bound(&self, loss_bytes: u64, only_old: bool) -> Result<(), String> {
        if self.operation.allow_loss || only_old {
            return Ok(());
        }
        let (most, known) = match (&self.record.electorate, self.operation.kind) {
            (Electorate::Quorum { .. } | Electorate::Nobody, _) => return Ok(()),
            (Electorate::Unbound, Kind::Switchover) => (0, self.operation.flushed.is_some()),
            (Electorate::Unbound, _) => (self.settings.max_loss_bytes, self.operation.flushed.is_some()),
        };
        if !known {
            return Err("how much would be lost is not known: the old primary was never seen".into());
        }
        if loss_bytes > most {
            return Err(format!("{loss_bytes} bytes of the old primary's log would be lost, {most} are allowed"));
        }
        Ok(())
    }

    /// Heard, and on the route's timeline.
    fn usable(&self) -> impl Iterator<Item = &Heard> {
        self.heard.iter().filter(|heard| heard.timeline == Some(self.record.route.timeline))
    }

    fn old_is_heard(&self) -> bool {
        self.usable().any(|heard| self.is_old(&heard.node))
    }

    /// It was the primary of this very term.
    fn is_old(&self, name: &str) -> bool {
        self.record.route.is_primary(name)
    }

    fn eligible(&self, name: &Name, paused_too: bool) -> bool {
        let Some(node) = self.sight.node(name) else { return false };
        let chosen = self.operation.target.as_ref() == Some(name);
        let willing = self.settings.node(name).is_some_and(|node| node.candidate) || self.is_old(name);
        node.follows()
            && (chosen || willing && (paused_too || !node.replay_paused) && !self.record.drained.contains(name))
            && !self.operation.failed.contains(name)
            && self.record.route.system.is_none_or(|system| node.system.is_none_or(|theirs| theirs == system))
    }
}
