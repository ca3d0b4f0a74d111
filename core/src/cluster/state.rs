//! The states of a cluster, as a table: what makes it go from which to which, and why.
//!
//! The table is the only way from one state to another, the reason in it is what operators read, and the drawing
//! in `states.md`, beside this file, is made from it. Whoever finds out that a cause holds is the [`machine`](super::machine).

use std::fmt::Write;

/// What a cluster is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// The nodes have not been seen yet.
    Learning,
    /// The primary works.
    Steady,
    /// Commits do not have the standbys that they should have.
    DegradedSync,
    /// No failover by itself: it is off, or an operator said so.
    Paused,
    /// The primary does not answer as it should.
    Suspect,
    /// The primary says that it is starting, stopping or recovering.
    CrashGrace,
    /// The facts say that the primary is lost; the policy decides.
    Confirm,
    /// The standbys stop receiving from the old primary.
    Fence,
    /// The candidate is chosen.
    Elect,
    /// The candidate receives what another standby has more.
    FastForward,
    /// Nobody can be promoted without losing commits; an operator has to decide, or nodes to come back.
    NoPrimarySafe,
    /// An operator ordered another primary, and the old one is up.
    Switchover,
    /// The candidate is promoted.
    Promote,
    /// Clients go to the new primary.
    Publish,
    /// The others follow the new primary.
    Repair,
    /// What was begun is undone.
    Undo,
    /// Two nodes claim to be primary; nothing is done by itself.
    Split,
    /// The log cannot be written; nothing is done.
    CoordLost,
}

/// What makes it change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The nodes were seen, and nothing is under way.
    Learned,
    /// The log has a failover that has not promoted anybody.
    FoundFence,
    /// The log has a switchover whose old primary may still be up.
    FoundSwitchover,
    /// The log has an operation that may have promoted its candidate.
    FoundPromote,
    /// The log has a promotion that clients know of.
    FoundRepair,
    /// The log has something that was being undone.
    FoundUndo,
    /// The primary does not answer as it should, which proves nothing yet.
    Doubt,
    /// The primary says that it is starting, stopping or recovering.
    Recovering,
    /// The primary answers again.
    Back,
    /// The facts say that the primary is lost.
    Lost,
    /// Failover is off or paused.
    Pause,
    /// Failover is on again.
    Resume,
    /// Commits lack standbys.
    SyncLost,
    /// They have them again.
    SyncRestored,
    /// The policy said to fail over, and the facts bear it out.
    Approved,
    /// An operator ordered a failover.
    Forced,
    /// An operator ordered a switchover, and the checks passed.
    SwitchoverBegun,
    /// Those that an election must hear are detached.
    Fenced,
    /// No safe candidate.
    Unsafe,
    /// The candidate lacks something that another standby has.
    Behind,
    /// There is a candidate that has everything.
    Chosen,
    /// The candidate could not be brought forward.
    NotForwarded,
    /// The old primary has stopped.
    HandedOver,
    /// The candidate takes writes.
    Promoted,
    /// The candidate is gone or refused.
    CandidateGone,
    /// A candidate that was given up has been promoted after all, and nobody else was.
    CandidateBack,
    /// Clients know.
    Published,
    /// Everybody who can follow does.
    Repaired,
    /// It can be undone, and is not wanted any more.
    CallOff,
    /// It is undone.
    Undone,
    /// What was under way is overtaken by events: another node was promoted meanwhile.
    Overtaken,
    /// A second node claims to be primary.
    Rival,
    /// It does not any more.
    RivalGone,
    /// A record could not be written.
    LogLost,
    /// Records can be written again.
    LogBack,
}

/// One line of the table.
struct Row {
    from: &'static [State],
    cause: Cause,
    to: State,
    why: &'static str,
}

use Cause as C;
use State::*;

const TABLE: &[Row] = &[
    row(&[Learning], C::Learned, Steady, "the nodes have been seen"),
    row(&[Learning], C::FoundFence, Fence, "the log has a failover that promoted nobody yet"),
    row(&[Learning], C::FoundSwitchover, Switchover, "the log has a switchover that promoted nobody yet"),
    row(&[Learning], C::FoundPromote, Promote, "the log has an operation that may have promoted its candidate"),
    row(&[Learning], C::FoundRepair, Repair, "the log has a promotion that the others have to follow"),
    row(&[Learning], C::FoundUndo, Undo, "the log has an operation that was being undone"),
    row(&[Steady, DegradedSync, Repair, Confirm], C::Doubt, Suspect, "the primary does not answer as it should"),
    row(
        &[Steady, DegradedSync, Repair, Suspect, Confirm],
        C::Recovering,
        CrashGrace,
        "the primary says that it is starting, stopping or recovering",
    ),
    row(&[CrashGrace], C::Doubt, Suspect, "the primary does not even say any more that it is on its way"),
    row(&[Suspect, CrashGrace, Confirm], C::Back, Steady, "the primary answers again"),
    row(
        &[Steady, DegradedSync, Repair, Suspect, CrashGrace],
        C::Lost,
        Confirm,
        "the facts say that the primary is lost",
    ),
    row(&[Steady, DegradedSync, Suspect, CrashGrace, Confirm], C::Pause, Paused, "automatic failover is off"),
    row(&[Paused], C::Resume, Steady, "automatic failover is on"),
    row(&[Steady], C::SyncLost, DegradedSync, "commits lack standbys to wait for"),
    row(&[DegradedSync], C::SyncRestored, Steady, "commits wait for their standbys again"),
    row(&[Confirm], C::Approved, Fence, "the policy says to fail over, and the facts bear it out"),
    row(
        &[Steady, DegradedSync, Paused, Suspect, CrashGrace, Confirm, Repair, NoPrimarySafe, Split],
        C::Forced,
        Fence,
        "an operator ordered a failover",
    ),
    row(
        &[Steady, DegradedSync, Paused],
        C::SwitchoverBegun,
        Switchover,
        "an operator ordered a switchover, and the checks passed",
    ),
    row(&[Fence, NoPrimarySafe], C::Fenced, Elect, "the old primary can have no commit acknowledged any more"),
    row(&[Fence, Elect], C::Unsafe, NoPrimarySafe, "nobody can be promoted without losing acknowledged commits"),
    row(&[Elect], C::Behind, FastForward, "another standby has more than the candidate"),
    row(&[Elect, FastForward], C::Chosen, Promote, "the candidate has everything that was acknowledged"),
    row(&[FastForward], C::NotForwarded, Fence, "the candidate could not be brought forward"),
    row(&[Switchover], C::HandedOver, Fence, "the old primary has stopped"),
    row(&[Promote], C::Promoted, Publish, "the candidate takes writes"),
    row(&[Promote, Publish], C::CandidateGone, Fence, "the candidate is gone before any client could reach it"),
    row(
        &[Fence, Elect, FastForward, NoPrimarySafe],
        C::CandidateBack,
        Promote,
        "a candidate that was given up has been promoted after all",
    ),
    row(&[Publish], C::Published, Repair, "clients go to the new primary"),
    row(&[Repair], C::Repaired, Steady, "everybody follows who can"),
    row(
        &[Fence, Elect, FastForward, NoPrimarySafe],
        C::CallOff,
        Undo,
        "the old primary answers again, and nobody was promoted",
    ),
    row(&[Switchover], C::CallOff, Undo, "the switchover cannot go on, and the old primary did not stop"),
    row(&[Fence, Elect, FastForward, NoPrimarySafe, Undo], C::Overtaken, Steady, "what was begun is pointless now"),
    row(&[Undo], C::Undone, Steady, "everything is as it was"),
    row(
        &[
            Learning,
            Steady,
            DegradedSync,
            Paused,
            Suspect,
            CrashGrace,
            Confirm,
            Repair,
            Fence,
            Elect,
            FastForward,
            NoPrimarySafe,
        ],
        C::Rival,
        Split,
        "a second node claims to be primary, and no operation of ours promoted it",
    ),
    row(&[Split], C::RivalGone, Learning, "at most one node claims to be primary"),
    row(
        &[
            Learning,
            Steady,
            DegradedSync,
            Paused,
            Suspect,
            CrashGrace,
            Confirm,
            Fence,
            Elect,
            FastForward,
            NoPrimarySafe,
            Switchover,
            Promote,
            Publish,
            Repair,
            Undo,
            Split,
        ],
        C::LogLost,
        CoordLost,
        "the operation log cannot be written",
    ),
    row(&[CoordLost], C::LogBack, Learning, "the operation log can be written again"),
];

const fn row(from: &'static [State], cause: Cause, to: State, why: &'static str) -> Row {
    Row { from, cause, to, why }
}

impl State {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Learning,
        Steady,
        DegradedSync,
        Paused,
        Suspect,
        CrashGrace,
        Confirm,
        Fence,
        Elect,
        FastForward,
        NoPrimarySafe,
        Switchover,
        Promote,
        Publish,
        Repair,
        Undo,
        Split,
        CoordLost,
    ];

    /// Where that cause leads from here, and why; none when it makes no difference here.
    pub fn next(self, cause: Cause) -> Option<(Self, &'static str)> {
        let row = TABLE.iter().find(|row| row.cause == cause && row.from.contains(&self))?;
        Some((row.to, row.why))
    }

    /// The word on the console.
    pub fn word(self) -> &'static str {
        match self {
            Learning => "learning",
            Steady => "steady",
            DegradedSync => "degraded_sync",
            Paused => "paused",
            Suspect => "suspect",
            CrashGrace => "crash_grace",
            Confirm => "confirm",
            Fence => "fence",
            Elect => "elect",
            FastForward => "fast_forward",
            NoPrimarySafe => "no_primary_safe",
            Switchover => "switchover",
            Promote => "promote",
            Publish => "publish",
            Repair => "repair",
            Undo => "undo",
            Split => "split",
            CoordLost => "coord_lost",
        }
    }
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 35] = [
        C::Learned,
        C::FoundFence,
        C::FoundSwitchover,
        C::FoundPromote,
        C::FoundRepair,
        C::FoundUndo,
        C::Doubt,
        C::Recovering,
        C::Back,
        C::Lost,
        C::Pause,
        C::Resume,
        C::SyncLost,
        C::SyncRestored,
        C::Approved,
        C::Forced,
        C::SwitchoverBegun,
        C::Fenced,
        C::Unsafe,
        C::Behind,
        C::Chosen,
        C::NotForwarded,
        C::HandedOver,
        C::Promoted,
        C::CandidateGone,
        C::CandidateBack,
        C::Published,
        C::Repaired,
        C::CallOff,
        C::Undone,
        C::Rival,
        C::RivalGone,
        C::LogLost,
        C::LogBack,
        C::Overtaken,
    ];
}

/// The table as a Mermaid drawing and as text: what `states.md` holds.
pub fn document() -> String {
    let mut text = String::from(
        "# States of a cluster\n\nMade from the table in `state.rs`; a test compares them \
         (`HOWDAH_BLESS=1` writes this file anew).\n\n```mermaid\nstateDiagram-v2\n    [*] --> learning\n",
    );
    for (from, to, causes) in edges() {
        _ = writeln!(text, "    {} --> {}: {causes}", from.word(), to.word());
    }
    text += "```\n\nNot drawn: `LogLost` leads from everywhere to `coord_lost`.\n\n| From | Cause | To | Why |\n|---|---|---|---|\n";
    for row in TABLE {
        let from: Vec<&str> = row.from.iter().map(|state| state.word()).collect();
        _ = writeln!(text, "| {} | {:?} | {} | {} |", from.join(", "), row.cause, row.to.word(), row.why);
    }
    text += "\n## Every state, every cause\n\nWhat is not listed makes no difference in that state.\n\n```text\n";
    for state in State::ALL {
        _ = writeln!(text, "{}", state.word());
        for cause in Cause::ALL {
            if let Some((to, _)) = state.next(cause) {
                _ = writeln!(text, "    {:<18} {}", format!("{cause:?}"), to.word());
            }
        }
    }
    text + "```\n"
}

/// Pairs of states with the causes between them.
fn edges() -> Vec<(State, State, String)> {
    let mut edges: Vec<(State, State, String)> = Vec::new();
    for row in TABLE.iter().filter(|row| row.cause != C::LogLost) {
        for from in row.from {
            match edges.iter_mut().find(|(a, b, _)| (*a, *b) == (*from, row.to)) {
                Some((_, _, causes)) => _ = write!(causes, ", {:?}", row.cause),
                None => edges.push((*from, row.to, format!("{:?}", row.cause))),
            }
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_state_is_reached_and_left() {
        let mut reached = BTreeSet::from([Learning]);
        while let Some(next) = (reached.iter())
            .flat_map(|state| Cause::ALL.iter().filter_map(|cause| state.next(*cause)))
            .map(|(to, _)| to)
            .find(|to| !reached.contains(to))
        {
            reached.insert(next);
        }
        assert_eq!(reached, State::ALL.into());
        for state in State::ALL {
            assert!(Cause::ALL.iter().any(|cause| state.next(*cause).is_some()), "{state:?} is a dead end");
        }
    }

    #[test]
    fn a_cause_leads_from_a_state_to_one_other() {
        for (place, row) in TABLE.iter().enumerate() {
            assert!(!row.from.contains(&row.to), "{:?} leads nowhere", row.cause);
            for other in &TABLE[..place] {
                let shared = row.from.iter().find(|state| other.from.contains(state));
                assert!(row.cause != other.cause || shared.is_none(), "{:?} twice from {shared:?}", row.cause);
            }
        }
    }

    #[test]
    fn the_document_is_made_from_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cluster/states.md");
        if std::env::var_os("HOWDAH_BLESS").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(kept == document(), "states.md is not what the table says: run with HOWDAH_BLESS=1");
    }
}
