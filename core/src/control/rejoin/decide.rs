//! How a node comes back: it follows as it is, is rewound, is rebuilt, or stays out. Pure.
//!
//! What counts is the *fork*: the place in the old timeline where the new one begins. Log that a node has beyond it
//! exists nowhere else and has to go; a standby that starts with such log does not fail, it waits for ever and serves
//! rows that the cluster never had.

use std::fmt;

use super::history::History;
use crate::id::Lsn;

/// The primary, as it says itself over a replication connection; its control file may be older.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryFacts {
    /// Its system identifier.
    pub system: u64,
    /// Its timeline.
    pub timeline: u32,
    /// How far it has come.
    pub position: Lsn,
    /// Where its timeline comes from.
    pub history: History,
    /// `server_version_num`.
    pub version: u32,
    /// Bytes of one segment of the log.
    pub segment_bytes: u64,
}

/// The node that is to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturningNode {
    /// Its system identifier; `None` when it has no data.
    pub system: Option<u64>,
    /// Its timeline.
    pub timeline: u32,
    /// How far its log goes.
    pub reach: Reach,
    /// What it does.
    pub activity: Activity,
    /// It took writes when it last ran, or does now.
    pub was_primary: bool,
    /// A rewind or a rebuild of it was cut short.
    pub unfinished: bool,
    /// Why `pg_rewind` would refuse it; `None` when it would not.
    pub not_rewindable: Option<String>,
}

/// How far a node's log goes, as well as it can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It ends here.
    End(Lsn),
    /// Its last record begins here.
    LastRecord(Lsn),
    /// Nobody knows.
    Unknown,
}

impl Reach {
    /// Whether there is log beyond `fork`, which is where a record begins. `None`: nobody knows.
    pub fn is_beyond(self, fork: Lsn) -> Option<bool> {
        match self {
            Self::End(end) => Some(end > fork),
            Self::LastRecord(begin) => Some(begin >= fork),
            Self::Unknown => None,
        }
    }
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Its server does not run.
    Down,
    /// It runs, in recovery.
    Standby,
    /// It runs and takes writes.
    Primary,
    /// Its server runs and does not answer.
    Silent,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It is only told whom to follow.
    Follow,
    /// `pg_rewind`, then follow.
    Rewind,
    /// `pg_basebackup`, then follow.
    Rebuild,
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Follow => "follow directly",
            Self::Rewind => "pg_rewind",
            Self::Rebuild => "pg_basebackup",
        })
    }
}

/// A course with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What is to be done.
    pub course: Course,
    /// Why, for the operator.
    pub why: String,
    /// The fork, where there is one.
    pub fork: Option<Lsn>,
}

/// The node is of another cluster. Nothing is done to it, whatever the operator asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its system identifier is {theirs}, the primary's is {ours}: it is not of this cluster")]
pub struct Stranger {
    /// The cluster's.
    pub ours: u64,
    /// The node's.
    pub theirs: u64,
}

/// Chooses the gentlest course that leads back.
pub fn decide(node: &ReturningNode, primary: &PrimaryFacts) -> Result<Decision, Stranger> {
    let decision = |course, why: String, fork| Ok(Decision { course, why, fork });
    let Some(system) = node.system else {
        return decision(Course::Rebuild, "it has no data".into(), None);
    };
    if system != primary.system {
        return Err(Stranger { ours: primary.system, theirs: system });
    }
    if node.unfinished {
        return decision(Course::Rebuild, "an earlier rewind or rebuild of it did not come to its end".into(), None);
    }
    if node.timeline == primary.timeline {
        return Ok(on_the_same_timeline(node, primary));
    }
    let (ours, theirs) = (primary.timeline, node.timeline);
    let Some(fork) = primary.history.fork_from(theirs) else {
        return Ok(diverged(node, None, format!("its timeline {theirs} is no ancestor of the primary's {ours}")));
    };
    match node.reach.is_beyond(fork) {
        Some(false) => decision(
            Course::Follow,
            format!("its log does not go beyond {fork}, where timeline {ours} forked off from {theirs}"),
            Some(fork),
        ),
        Some(true) => {
            let why = format!("it has log beyond {fork}, where timeline {ours} forked off from {theirs}");
            Ok(diverged(node, Some(fork), why))
        }
        None => Ok(diverged(node, Some(fork), format!("how far its log goes beyond {fork} is not known"))),
    }
}

/// `pg_rewind` compares timelines and sees no difference, so it would do nothing.
fn on_the_same_timeline(node: &ReturningNode, primary: &PrimaryFacts) -> Decision {
    let timeline = node.timeline;
    let (course, why) = if node.was_primary {
        (Course::Rebuild, format!("it took writes on timeline {timeline}, as the primary does"))
    } else if node.reach.is_beyond(primary.position) == Some(true) {
        (Course::Rebuild, format!("on timeline {timeline} it is ahead of the primary, at {}", primary.position))
    } else {
        (Course::Follow, format!("it is on the primary's timeline {timeline}"))
    };
    Decision { course, why, fork: None }
}

fn diverged(node: &ReturningNode, fork: Option<Lsn>, why: String) -> Decision {
    match &node.not_rewindable {
        None => Decision { course: Course::Rewind, why, fork },
        Some(reason) => {
            Decision { course: Course::Rebuild, why: format!("{why}, and pg_rewind would refuse it: {reason}"), fork }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORK: Lsn = Lsn(0x500_0000);

    fn primary() -> PrimaryFacts {
        PrimaryFacts {
            system: 7,
            timeline: 3,
            position: Lsn(0x900_0000),
            history: History::read("1\t0/4000000\t\n2\t0/5000000\t\n"),
            version: 150_000,
            segment_bytes: 16 << 20,
        }
    }

    fn node() -> ReturningNode {
        ReturningNode {
            system: Some(7),
            timeline: 2,
            reach: Reach::End(FORK),
            activity: Activity::Down,
            was_primary: true,
            unfinished: false,
            not_rewindable: None,
        }
    }

    #[track_caller]
    fn expect(course: Course, node: ReturningNode) {
        let decision = decide(&node, &primary()).unwrap();
        assert_eq!(decision.course, course, "{node:?}: {}", decision.why);
    }

    #[test]
    fn what_has_nothing_beyond_the_fork_follows() {
        let before = Lsn(FORK.0 - 0x80);
        expect(Course::Follow, node());
        expect(Course::Follow, ReturningNode { reach: Reach::End(before), ..node() });
        expect(Course::Follow, ReturningNode { reach: Reach::LastRecord(before), ..node() });
        expect(Course::Follow, ReturningNode { timeline: 1, reach: Reach::End(Lsn(0x400_0000)), ..node() });
    }

    #[test]
    fn what_has_something_beyond_the_fork_is_rewound() {
        expect(Course::Rewind, ReturningNode { reach: Reach::End(Lsn(FORK.0 + 1)), ..node() });
        expect(Course::Rewind, ReturningNode { reach: Reach::LastRecord(FORK), ..node() });
        expect(Course::Rewind, ReturningNode { reach: Reach::Unknown, ..node() });
        expect(Course::Rewind, ReturningNode { timeline: 1, ..node() });
    }

    #[test]
    fn a_timeline_that_is_no_ancestor_is_rewound() {
        expect(Course::Rewind, ReturningNode { timeline: 4, reach: Reach::End(Lsn(1)), ..node() });
    }

    #[test]
    fn what_cannot_be_rewound_is_rebuilt_and_the_reason_is_told() {
        let node =
            ReturningNode { reach: Reach::End(Lsn(FORK.0 + 1)), not_rewindable: Some("no hints".into()), ..node() };

        let decision = decide(&node, &primary()).unwrap();

        assert_eq!(decision.course, Course::Rebuild);
        assert!(decision.why.ends_with("and pg_rewind would refuse it: no hints"), "{}", decision.why);
    }

    #[test]
    fn two_primaries_on_one_timeline_are_no_case_for_pg_rewind() {
        expect(Course::Rebuild, ReturningNode { timeline: 3, ..node() });
        let standby = ReturningNode { timeline: 3, was_primary: false, ..node() };
        expect(Course::Follow, standby.clone());
        expect(Course::Rebuild, ReturningNode { reach: Reach::End(Lsn(0x900_0001)), ..standby.clone() });
        expect(Course::Follow, ReturningNode { reach: Reach::Unknown, ..standby });
    }

    #[test]
    fn what_was_cut_short_or_is_not_there_is_rebuilt() {
        expect(Course::Rebuild, ReturningNode { unfinished: true, ..node() });
        expect(Course::Rebuild, ReturningNode { system: None, ..node() });
    }

    #[test]
    fn a_node_of_another_cluster_is_left_alone() {
        for unfinished in [false, true] {
            let stranger = ReturningNode { system: Some(8), unfinished, ..node() };
            assert_eq!(decide(&stranger, &primary()), Err(Stranger { ours: 7, theirs: 8 }));
        }
    }
}
