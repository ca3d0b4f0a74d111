//! Which of the nodes that take writes is *the* primary.
//!
//! Timelines only grow: each promotion starts a new one. So the newest timeline that any node
//! knows of decides, a node that takes writes on an older one is a leftover that must never be
//! used, and the choice never goes back in history by itself.

use std::sync::Arc;

use crate::id::Lsn;

/// A node that answers and takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// Its place in the list of nodes.
    pub node: usize,
    /// The timeline it writes.
    pub timeline: u32,
    /// How far it has written.
    pub flushed: Lsn,
}

/// The primary that was elected last. It outlives its node's absence, so that an older one is not
/// taken for it meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reign {
    /// The node's name.
    pub name: Arc<str>,
    /// Identity of its cluster, where known.
    pub system: Option<u64>,
    /// Its timeline.
    pub timeline: u32,
    /// Its position when it was elected: its timeline began there or before.
    pub began: Lsn,
    /// The newest position seen of it.
    pub flushed: Lsn,
}

/// Elects among `claims`, all of one system. `incumbent` is the place of the node that reigns, if
/// it still is in the list. `newest` is the newest timeline that any node knows of.
pub(super) fn elect(claims: &[Claim], reign: Option<&Reign>, incumbent: Option<usize>, newest: u32) -> Option<usize> {
    let best = claims.iter().filter(|claim| claim.timeline >= newest).max_by_key(|claim| {
        (claim.timeline, incumbent == Some(claim.node), claim.flushed, std::cmp::Reverse(claim.node))
    })?;
    let Some(reign) = reign else { return Some(best.node) };
    let inherits = incumbent == Some(best.node) || best.timeline > reign.timeline || best.flushed >= reign.flushed;
    // The same timeline at another node is the same data under a new address (a moved volume), or
    // an old copy of it; the copy lacks commits that were acknowledged.
    inherits.then_some(best.node)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(node: usize, timeline: u32, flushed: u64) -> Claim {
        Claim { node, timeline, flushed: Lsn(flushed) }
    }

    fn reign(timeline: u32, flushed: u64) -> Reign {
        Reign { name: "n0".into(), system: None, timeline, began: Lsn(0), flushed: Lsn(flushed) }
    }

    #[test]
    fn the_newest_timeline_decides_and_history_never_goes_back() {
        let some = |reign| Some(reign);
        for (what, claims, reign, newest, elected) in [
            ("nobody claims", vec![], None, 1, None),
            ("the only one", vec![claim(1, 1, 5)], None, 1, Some(1)),
            ("two at the start, the newer timeline", vec![claim(0, 1, 9), claim(1, 2, 5)], None, 2, Some(1)),
            (
                "two at the start on one timeline, the further one",
                vec![claim(0, 1, 5), claim(1, 1, 9)],
                None,
                1,
                Some(1),
            ),
            ("a standby knows of a newer timeline", vec![claim(1, 1, 9)], None, 2, None),
            ("a promotion", vec![claim(0, 1, 9), claim(1, 2, 5)], some(reign(1, 9)), 2, Some(1)),
            (
                "a rival on the same timeline, even further",
                vec![claim(0, 1, 5), claim(1, 1, 9)],
                some(reign(1, 5)),
                1,
                Some(0),
            ),
            ("an old primary returns alone", vec![claim(1, 1, 99)], some(reign(2, 5)), 2, None),
            ("the same data at a new address", vec![claim(1, 1, 9)], some(reign(1, 9)), 1, Some(1)),
            ("an old copy of the primary", vec![claim(1, 1, 8)], some(reign(1, 9)), 1, None),
            ("the incumbent itself, after a crash without fsync", vec![claim(0, 1, 8)], some(reign(1, 9)), 1, Some(0)),
        ] {
            let incumbent = reign.as_ref().map(|_| 0);
            assert_eq!(elect(&claims, reign.as_ref(), incumbent, newest), elected, "{what}");
        }
    }
}
