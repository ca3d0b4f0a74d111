//! What must have been replayed before a standby may serve a read.
//!
//! The position of a commit is not asked for. A commit is noted as a moment, and its position comes later,
//! from a sample of the primary that was asked for after that moment: whatever was acknowledged before is
//! within what was flushed by then, or, if commits may be acknowledged before they are flushed, within what
//! was inserted.

use tokio::time::Instant;

use crate::{
    facts::{Facts, NodeFacts},
    id::Lsn,
};

/// What a standby must have replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum MustSee {
    /// Nothing in particular.
    #[default]
    Nothing,
    /// Everything up to this position.
    Position(Lsn),
    /// Writes whose position is not known yet: no standby qualifies.
    Unknown,
}

/// What has been written, by a session or under a key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    /// Written since the last sample that counts.
    pending: Option<Pending>,
    /// Where everything before that is; zero when there is nothing.
    position: Lsn,
    /// In which term that is.
    term: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    /// When the last transaction of these ended.
    since: Instant,
    /// Some of them may have been acknowledged before they were flushed.
    unflushed: bool,
}

/// What the primary said of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// When it was asked.
    pub asked: Instant,
    flushed: Option<Lsn>,
    inserted: Option<Lsn>,
    /// Commits need not wait for the flush, by its configuration.
    async_commit: bool,
    /// In which term.
    term: u64,
}

impl Sample {
    /// The last one in these facts.
    pub fn of(facts: &Facts) -> Option<Self> {
        let NodeFacts { sampled_at: asked, received: flushed, inserted, async_commit, .. } = *facts.primary()?;
        Some(Self { asked, flushed, inserted, async_commit, term: facts.term })
    }

    /// The most that is in its log.
    pub fn end(&self) -> Option<Lsn> {
        self.inserted.max(self.flushed)
    }

    /// What holds all that was acknowledged before.
    fn covers(&self, unflushed: bool) -> Option<Lsn> {
        if unflushed || self.async_commit { self.inserted } else { self.flushed }
    }
}

impl Mark {
    /// A transaction that may have written has ended; `unflushed` says that it may have been
    /// acknowledged before it was flushed.
    pub fn wrote(&mut self, now: Instant, unflushed: bool) {
        let before = self.pending.is_some_and(|pending| pending.unflushed);
        self.pending = Some(Pending { since: now, unflushed: unflushed || before });
    }

    /// What must be seen by now; stays with the first position that it finds. `sampled_after` gives a
    /// sample that was asked for after a moment.
    #[inline]
    pub fn must_see(&mut self, sampled_after: impl FnOnce(Instant) -> Option<Sample>) -> MustSee {
        if let Some(pending) = self.pending
            && !self.settle(pending, sampled_after(pending.since))
        {
            return MustSee::Unknown;
        }
        if self.position == Lsn::default() { MustSee::Nothing } else { MustSee::Position(self.position) }
    }

    /// Finds out where what is pending was written; false while the sample does not say.
    #[inline(never)]
    fn settle(&mut self, pending: Pending, sample: Option<Sample>) -> bool {
        let found = sample.and_then(|sample| Some((sample.covers(pending.unflushed)?, sample.term)));
        let Some((position, term)) = found else { return false };
        // What was inserted before may not be flushed even now, if nothing was written since.
        *self = Self { pending: None, position: position.max(self.position), term };
        true
    }

    /// Goes over to the present term. What the new primary does not have, no standby will; true if something that was
    /// written is lost.
    #[inline]
    pub fn follow(&mut self, facts: &Facts) -> bool {
        self.term != facts.term && self.go_over(facts)
    }

    #[cold]
    fn go_over(&mut self, facts: &Facts) -> bool {
        // Without the fork nothing is said to be lost, and nobody waits for more than there is.
        let fork = facts.end_of_term(self.term);
        let end = match fork.or_else(|| Sample::of(facts)?.end()) {
            Some(end) => end,
            None if self.position == Lsn::default() => Lsn::default(),
            None => return false,
        };
        let is_lost = fork.is_some() && self.position > end;
        (self.position, self.term) = (self.position.min(end), facts.term);
        is_lost
    }

    /// The same, with the one sample that these facts have.
    pub fn must_see_by(&mut self, facts: &Facts) -> MustSee {
        self.must_see(|since| Sample::of(facts).filter(|sample| sample.asked > since))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        facts::{Health, Role},
        id::NodeId,
    };

    /// A primary that was asked so long after the start.
    fn sampled(start: Instant, after_ms: u64, flushed: u64, inserted: u64) -> Facts {
        let primary = NodeFacts {
            id: NodeId(0),
            name: "n0".into(),
            host: "h".into(),
            port: 1,
            weight: 100,
            labels: [].into(),
            role: Role::Primary,
            health: Health::Up,
            ramp_percent: 100,
            server_version: None,
            timeline: Some(1),
            received: Some(Lsn(flushed)),
            replayed: Some(Lsn(flushed)),
            inserted: Some(Lsn(inserted)),
            async_commit: false,
            lag_bytes: None,
            lag: None,
            sampled_at: start + Duration::from_millis(after_ms),
            why: None,
        };
        Facts { epoch: 1, primary: Some(NodeId(0)), nodes: vec![primary], ..Facts::default() }
    }

    #[test]
    fn the_first_sample_that_was_asked_for_later_says_what_must_be_seen() {
        let start = Instant::now();
        let mut mark = Mark::default();
        assert_eq!(mark.must_see_by(&sampled(start, 0, 10, 20)), MustSee::Nothing);

        mark.wrote(start + Duration::from_millis(5), false);
        assert_eq!(mark.must_see_by(&sampled(start, 5, 10, 20)), MustSee::Unknown);
        assert_eq!(mark.must_see_by(&sampled(start, 6, 30, 40)), MustSee::Position(Lsn(30)));
        assert_eq!(
            mark.must_see_by(&sampled(start, 7, 50, 60)),
            MustSee::Position(Lsn(30)),
            "not what others wrote later"
        );
    }

    #[test]
    fn what_may_not_have_been_flushed_is_within_what_was_inserted() {
        let start = Instant::now();
        let mut mark = Mark::default();
        mark.wrote(start, true);
        assert_eq!(mark.must_see_by(&sampled(start, 1, 30, 40)), MustSee::Position(Lsn(40)));

        let mut facts = sampled(start, 3, 50, 60);
        facts.nodes[0].async_commit = true;
        mark.wrote(start + Duration::from_millis(2), false);
        assert_eq!(mark.must_see_by(&facts), MustSee::Position(Lsn(60)), "the server's default is enough");
    }

    #[test]
    fn a_later_flush_of_nothing_does_not_make_up_for_an_earlier_commit() {
        let start = Instant::now();
        let mut mark = Mark::default();
        mark.wrote(start, true);
        mark.wrote(start, false);
        assert_eq!(mark.must_see_by(&sampled(start, 1, 30, 40)), MustSee::Position(Lsn(40)));

        mark.wrote(start + Duration::from_millis(2), false);
        assert_eq!(mark.must_see_by(&sampled(start, 3, 30, 40)), MustSee::Position(Lsn(40)));
    }

    #[test]
    fn what_a_failover_has_lost_is_told_once_and_not_waited_for() {
        let start = Instant::now();
        let fork = |term, at| crate::facts::Fork { term, at: Lsn(at), next_xid: 1 };
        let in_term = |term, forks: &[_]| Facts { term, forks: forks.into(), ..sampled(start, 10, 90, 95) };
        let at = |position| {
            let mut mark = Mark::default();
            mark.follow(&in_term(1, &[]));
            mark.wrote(start, false);
            mark.must_see_by(&Facts { term: 1, ..sampled(start, 5, position, position) });
            mark
        };
        for (what, position, forks, lost, must_see) in [
            ("before the fork", 80, vec![fork(2, 85)], false, 80),
            ("beyond the fork", 100, vec![fork(2, 85)], true, 85),
            ("beyond the fork of a later term", 80, vec![fork(2, 85), fork(3, 70)], true, 70),
            ("the fork is not known", 100, vec![], false, 95),
        ] {
            let mut mark = at(position);
            let facts = in_term(3, &forks);
            assert_eq!(mark.follow(&facts), lost, "{what}");
            assert_eq!(mark.must_see_by(&facts), MustSee::Position(Lsn(must_see)), "{what}");
            assert!(!mark.follow(&facts), "{what}, told again");
        }
        let mut mark = at(100);
        let nobody = Facts { primary: None, ..in_term(2, &[]) };
        assert!(!mark.follow(&nobody));
        assert_eq!(mark.must_see_by(&nobody), MustSee::Position(Lsn(100)), "until somebody is the primary");
    }
}
