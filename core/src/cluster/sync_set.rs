//! For whom commits wait, and whom an election must hear: two sets that must always meet.
//!
//! PostgreSQL acknowledges a commit once `k` of the nodes `S` have it (`ANY k (S)`, or `FIRST k (S)`, which lets
//! any `k` of them acknowledge when others are away). An election is safe once it has heard `q` of the nodes
//! `V`. So that each acknowledged commit is known to somebody heard, at *every instant*
//!
//! ```text
//! |V ∪ S| < q + k,   and V ⊆ S or S ⊆ V
//! ```
//!
//! The two live in different places and never change together. [`next_move`] says which side changes next:
//! always the one that makes things stricter, so that a crash between two moves leaves the stricter combination.
//! Before the electorate becomes looser, `k` of the set in effect must have flushed what was committed before
//! it was in effect; the [`machine`](super::machine) waits for that.

use std::collections::{HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    name::Name,
    sight::Sender,
    verdict::{StandbySet, SyncMethod},
};
use crate::id::Lsn;

/// Most nodes that take part in one change: they are counted in the bits of a word.
const MEMBERS_MAX: usize = 32;

/// Whom an election must hear before somebody may be promoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Electorate {
    /// Commits wait for nobody, by configuration; an election is bound by how much it may lose.
    #[default]
    Unbound,
    /// Nobody can be elected: commits wait for nobody for the time being.
    Nobody,
    /// That many of those.
    Quorum {
        /// The nodes.
        members: Vec<Name>,
        /// How many.
        hear: usize,
    },
}

/// What changes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// The electorate, in the log.
    Electorate(Electorate),
    /// `synchronous_standby_names`, on the primary.
    Set(Option<StandbySet>),
}

impl Electorate {
    /// What fits a set for good: any `N - k + 1` of its members have every commit between them.
    pub fn fitting(set: Option<&StandbySet>) -> Self {
        let Some(set) = set else { return Self::Nobody };
        let hear = (set.members.len() + 1).saturating_sub(usize::from(set.count));
        Self::Quorum { members: set.members.iter().map(|name| Name::from(name.as_str())).collect(), hear }
    }

    /// Those who were heard suffice.
    pub fn satisfied_by(&self, heard: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Unbound => true,
            Self::Nobody => false,
            Self::Quorum { members, hear } => members.iter().filter(|name| heard(name)).count() >= *hear,
        }
    }

    /// Up to where commits may have been acknowledged, by what the primary's standbys have confirmed to it: any other
    /// `N - q` of the members may lack it. None where commits wait for nobody, or too few say something.
    pub fn confirmed_by(&self, senders: &[Sender]) -> Option<Lsn> {
        let Self::Quorum { members, hear } = self else { return None };
        let of = |name: &Name| senders.iter().filter(|sender| *sender.name == **name).filter_map(|it| it.flushed).max();
        let mut confirmed: Vec<Lsn> = members.iter().filter_map(of).collect();
        confirmed.sort_unstable();
        confirmed.into_iter().nth_back(members.len().checked_sub(*hear)?)
    }
}

/// The next move from what is in effect to the target; none when it is reached, or there is no way.
pub fn next_move(electorate: &Electorate, in_effect: Option<&StandbySet>, target: Option<&StandbySet>) -> Option<Move> {
    let names = Names::of(electorate, in_effect, target)?;
    let start = (names.voters(electorate), names.ackers(in_effect));
    let goal = (names.voters(&Electorate::fitting(target)), names.ackers(target));
    if start == goal && in_effect == target {
        return None;
    }
    if !sound(start.0, start.1) {
        return Some(Move::Electorate(Electorate::Nobody));
    }
    if start == goal {
        // The same nodes in another order or by another method.
        return Some(Move::Set(target.cloned()));
    }
    let (voters, ackers) = first_step(start, goal)?;
    Some(if voters == start.0 {
        Move::Set(if ackers == goal.1 { target.cloned() } else { names.set(ackers) })
    } else {
        Move::Electorate(names.electorate(voters))
    })
}

/// Nodes as bits, and how many of them. No nodes and a number above zero: nobody can be elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Share {
    of: u32,
    number: u32,
}

const NOBODY: Share = Share { of: 0, number: u32::MAX };

/// Every set of `number` electors meets every set of acknowledging nodes.
fn sound(voters: Share, ackers: Share) -> bool {
    if voters == NOBODY {
        return true;
    }
    let nested = voters.of & ackers.of == voters.of || voters.of & ackers.of == ackers.of;
    nested && (voters.of | ackers.of).count_ones() < voters.number + ackers.number
}

/// The first step of a shortest way on which every instant is sound.
fn first_step(start: (Share, Share), goal: (Share, Share)) -> Option<(Share, Share)> {
    let both = start.1.of | goal.1.of;
    let sides = [start.0.of, start.1.of, goal.1.of, both, start.0.of | both];
    let mut electorates = vec![goal.0];
    electorates.extend(sides.iter().flat_map(|of| (1..=of.count_ones()).map(|number| Share { of: *of, number })));
    let ackers =
        [goal.1, Share { of: both, number: start.1.number }, Share { of: both, number: goal.1.number }, start.1];
    let mut seen = HashSet::from([start]);
    let mut queue = VecDeque::new();
    let mut at = (start, None);
    loop {
        let ((voters, acking), first) = at;
        let next =
            (electorates.iter().map(|voters| (*voters, acking))).chain(ackers.iter().map(|acking| (voters, *acking)));
        for step in next {
            let first = first.unwrap_or(step);
            if step == goal {
                return Some(first);
            }
            let stalls = step.1.number == 0 && goal.1.number > 0 && step.1 != start.1;
            if sound(step.0, step.1) && !stalls && seen.insert(step) {
                queue.push_back((step, Some(first)));
            }
        }
        at = queue.pop_front()?;
    }
}

/// The names behind the bits.
struct Names(Vec<Name>);

impl Names {
    fn of(electorate: &Electorate, in_effect: Option<&StandbySet>, target: Option<&StandbySet>) -> Option<Self> {
        let mut names: Vec<Name> = match electorate {
            Electorate::Quorum { members, .. } => members.clone(),
            Electorate::Unbound | Electorate::Nobody => Vec::new(),
        };
        let sets = in_effect.into_iter().chain(target);
        names.extend(sets.flat_map(|set| &set.members).map(|name| Name::from(name.as_str())));
        names.sort();
        names.dedup();
        (names.len() <= MEMBERS_MAX).then_some(Self(names))
    }

    fn bits<'a>(&self, names: impl Iterator<Item = &'a str>) -> u32 {
        names
            .filter_map(|name| self.0.iter().position(|known| **known == *name))
            .fold(0, |bits, place| bits | 1 << place)
    }

    fn voters(&self, electorate: &Electorate) -> Share {
        match electorate {
            Electorate::Unbound | Electorate::Nobody => NOBODY,
            Electorate::Quorum { members, hear } => Share {
                of: self.bits(members.iter().map(|name| &**name)),
                number: u32::try_from(*hear).unwrap_or(u32::MAX),
            },
        }
    }

    fn ackers(&self, set: Option<&StandbySet>) -> Share {
        let Some(set) = set else { return Share { of: 0, number: 0 } };
        Share { of: self.bits(set.members.iter().map(String::as_str)), number: u32::from(set.count) }
    }

    fn those(&self, bits: u32) -> impl Iterator<Item = &Name> {
        self.0.iter().enumerate().filter(move |(place, _)| bits & 1 << place != 0).map(|(_, name)| name)
    }

    fn electorate(&self, voters: Share) -> Electorate {
        if voters == NOBODY {
            return Electorate::Nobody;
        }
        Electorate::Quorum { members: self.those(voters.of).cloned().collect(), hear: voters.number as usize }
    }

    fn set(&self, ackers: Share) -> Option<StandbySet> {
        let members: Vec<String> = self.those(ackers.of).map(|name| name.to_string()).collect();
        let count = u16::try_from(ackers.number).ok()?;
        (count > 0).then_some(StandbySet { method: SyncMethod::Any, count, members })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: [&str; 4] = ["n1", "n2", "n3", "n4"];

    fn any(count: u16, members: &[&str]) -> Option<StandbySet> {
        let members = members.iter().map(|name| (*name).to_owned()).collect();
        Some(StandbySet { method: SyncMethod::Any, count, members })
    }

    fn hear(hear: usize, members: &[&str]) -> Electorate {
        Electorate::Quorum { members: members.iter().map(|name| Name::from(*name)).collect(), hear }
    }

    /// Nobody, and `ANY k` of every subset.
    fn every_set() -> Vec<Option<StandbySet>> {
        let mut sets = vec![None];
        for bits in 1..1_u32 << NODES.len() {
            let members: Vec<&str> =
                NODES.iter().enumerate().filter(|(place, _)| bits & 1 << place != 0).map(|(_, n)| *n).collect();
            sets.extend((1..=members.len() as u16).map(|count| any(count, &members)));
        }
        sets
    }

    /// By counting out: whoever acknowledges, some elector knows.
    fn always_meet(electorate: &Electorate, set: Option<&StandbySet>) -> bool {
        let Electorate::Quorum { members, hear } = electorate else { return true };
        let Some(set) = set else { return false };
        let subsets = || 0..1_u32 << NODES.len();
        let of = |names: &dyn Fn(&str) -> bool, bits: u32| {
            NODES.iter().enumerate().filter(|(place, name)| bits & 1 << place != 0 && names(name)).count()
        };
        let voters = |name: &str| members.iter().any(|member| **member == *name);
        let ackers = |name: &str| set.members.iter().any(|member| member == name);
        subsets().all(|heard| {
            of(&voters, heard) < *hear
                || subsets().all(|acked| of(&ackers, acked) < usize::from(set.count) || heard & acked != 0)
        })
    }

    #[test]
    fn what_as_many_have_as_commits_wait_for_may_have_been_acknowledged() {
        let sender = |name: &str, flushed: Option<u64>| Sender {
            name: name.into(),
            streaming: true,
            sync_priority: 1,
            flushed: flushed.map(Lsn),
            replied: None,
        };
        let senders = [sender("a", Some(30)), sender("b", Some(10)), sender("c", Some(20)), sender("x", Some(99))];
        let voters = |hear| Electorate::Quorum { members: ["a", "b", "c"].map(Name::from).to_vec(), hear };
        assert_eq!([3, 2, 1].map(|hear| voters(hear).confirmed_by(&senders)), [30, 20, 10].map(|at| Some(Lsn(at))));
        assert_eq!(voters(2).confirmed_by(&senders[..1]), None, "one says nothing of what two have");
        assert_eq!(voters(3).confirmed_by(&[sender("a", None)]), None);
        assert_eq!([Electorate::Nobody, Electorate::Unbound].map(|it| it.confirmed_by(&senders)), [None, None]);
    }

    #[test]
    fn every_change_arrives_and_every_instant_of_it_is_safe() {
        for start in every_set() {
            for target in every_set() {
                let (mut electorate, mut set) = (Electorate::fitting(start.as_ref()), start.clone());
                let mut moves = 0;
                while let Some(next) = next_move(&electorate, set.as_ref(), target.as_ref()) {
                    match next {
                        Move::Electorate(next) => electorate = next,
                        Move::Set(next) => set = next,
                    }
                    moves += 1;
                    assert!(always_meet(&electorate, set.as_ref()), "{start:?} to {target:?}: {electorate:?} {set:?}");
                    assert!(moves < 8, "{start:?} to {target:?} goes on for ever");
                }
                assert_eq!((&electorate, &set), (&Electorate::fitting(target.as_ref()), &target), "from {start:?}");
            }
        }
    }

    /// The target may change at any move, and somebody else may change the set.
    #[test]
    fn whatever_is_found_is_made_safe_first() {
        for voters in every_set().iter().map(|set| Electorate::fitting(set.as_ref())) {
            for found in every_set() {
                let target = any(1, &["n1", "n2"]);
                let next = next_move(&voters, found.as_ref(), target.as_ref());
                if !always_meet(&voters, found.as_ref()) {
                    assert_eq!(next, Some(Move::Electorate(Electorate::Nobody)), "{voters:?} {found:?}");
                }
            }
        }
    }

    #[test]
    fn the_stricter_side_moves_first() {
        let (n2, n23) = (any(1, &["n2"]), any(1, &["n2", "n3"]));
        let moves = |mut electorate, mut set: Option<StandbySet>, target: &Option<StandbySet>| {
            let mut moves = Vec::new();
            while let Some(next) = next_move(&electorate, set.as_ref(), target.as_ref()) {
                match next.clone() {
                    Move::Electorate(next) => electorate = next,
                    Move::Set(next) => set = next,
                }
                moves.push(next);
            }
            moves
        };
        let (elect, set) = (Move::Electorate, Move::Set);
        for (what, from, start, target, expected) in [
            ("add", hear(1, &["n2"]), &n2, &n23, vec![elect(hear(2, &["n2", "n3"])), set(n23.clone())]),
            ("drop", hear(2, &["n2", "n3"]), &n23, &n2, vec![set(n2.clone()), elect(hear(1, &["n2"]))]),
            ("degrade", hear(1, &["n2"]), &n2, &None, vec![elect(Electorate::Nobody), set(None)]),
            ("restore", Electorate::Nobody, &None, &n2, vec![set(n2.clone()), elect(hear(1, &["n2"]))]),
            (
                "raise",
                hear(2, &["n2", "n3"]),
                &n23,
                &any(2, &["n2", "n3"]),
                vec![set(any(2, &["n2", "n3"])), elect(hear(1, &["n2", "n3"]))],
            ),
            (
                "lower",
                hear(1, &["n2", "n3"]),
                &any(2, &["n2", "n3"]),
                &n23,
                vec![elect(hear(2, &["n2", "n3"])), set(n23.clone())],
            ),
        ] {
            assert_eq!(moves(from, start.clone(), target), expected, "{what}");
        }
    }
}
