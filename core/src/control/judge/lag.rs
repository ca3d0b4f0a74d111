//! How far a standby's data is behind, in time, without trusting two machines' clocks.
//!
//! The primary's position at known instants of *our* clock brackets the age of what a standby
//! shows: it has everything up to one of them and lacks something of a later one. What the standby
//! says itself (the age of its newest replayed commit) only refines the answer within that bracket.
//! Alone it would call a standby hours behind when an idle primary makes one commit, and up to date
//! when clocks differ.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::id::Lsn;

/// Positions kept: with [`SPACING`] a minute of a busy primary, and any time of an idle one.
const KEPT_MAX: usize = 600;

/// Least distance between kept positions, except the newest.
const SPACING: Duration = Duration::from_millis(100);

/// The primary was at this position from one instant to another, at least.
#[derive(Clone, Copy, Debug)]
struct Mark {
    position: Lsn,
    first: Instant,
    last: Instant,
}

/// Where the primary was, and when.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    marks: VecDeque<Mark>,
}

impl History {
    /// The primary was at `position` at `at` or shortly after.
    pub(super) fn record(&mut self, position: Lsn, at: Instant) {
        if let Some(newest) = self.marks.back_mut()
            && newest.position == position
        {
            newest.last = newest.last.max(at);
            return;
        }
        if self.newest_is_close_to_the_one_before() {
            self.marks.pop_back();
        }
        if self.marks.len() == KEPT_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark { position, first: at, last: at });
    }

    /// Another primary: positions of the old one say nothing of it.
    pub(super) fn clear(&mut self) {
        self.marks.clear();
    }

    /// The primary's newest known position.
    pub(super) fn newest(&self) -> Option<Lsn> {
        self.marks.back().map(|mark| mark.position)
    }

    /// The age of what a standby shows that had replayed up to `replayed` at `asked_at` and itself
    /// says `claimed`. While the primary is away the age stands still: nothing new can be missing.
    pub(super) fn lag(&self, replayed: Lsn, asked_at: Instant, claimed: Option<Duration>) -> Option<Duration> {
        let Some(newest) = self.marks.back() else { return claimed };
        let Some(lacks) = self.marks.iter().find(|mark| mark.position > replayed) else {
            // It has all that is known; only what was written since then can be missing.
            let unknown = asked_at.saturating_duration_since(newest.last);
            return Some(claimed.unwrap_or_default().min(unknown));
        };
        let has = self.marks.iter().rev().find(|mark| mark.position <= replayed);
        let at = asked_at.min(newest.last);
        let least = at.saturating_duration_since(lacks.first);
        let most = has.map(|mark| at.saturating_duration_since(mark.last).max(least));
        match (claimed, most) {
            (Some(claimed), Some(most)) => Some(claimed.clamp(least, most)),
            (Some(claimed), None) => Some(claimed.max(least)),
            (None, most) => most,
        }
    }

    fn newest_is_close_to_the_one_before(&self) -> bool {
        let mut from_newest = self.marks.iter().rev();
        match (from_newest.next(), from_newest.next()) {
            (Some(newest), Some(before)) => newest.last.saturating_duration_since(before.last) < SPACING,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// The primary wrote 10 positions in each of ten probes, 200 ms apart: 0 at 0 ms … 90 at 1,800 ms.
    fn busy(start: Instant) -> History {
        let mut history = History::default();
        for probe in 0..10 {
            history.record(Lsn(probe * 10), start + ms(probe * 200));
        }
        history
    }

    #[test]
    fn the_clock_of_the_proxy_brackets_what_a_standby_says_of_itself() {
        let start = Instant::now();
        for (what, replayed, asked_at, claimed, lag) in [
            ("caught up", 90, 1_800, Some(0), Some(0)),
            ("has all that is known, and says it is a little behind", 95, 1_900, Some(60), Some(60)),
            ("has all that is known: it cannot be an hour behind", 95, 1_900, Some(3_600_000), Some(100)),
            ("within the bracket its own word counts", 55, 1_800, Some(700), Some(700)),
            ("its clock is ahead: the bracket's upper end", 55, 1_800, Some(9_000), Some(800)),
            ("its clock is behind: the bracket's lower end", 55, 1_800, Some(0), Some(600)),
            ("it says nothing", 55, 1_800, None, Some(800)),
            ("asked before the primary wrote more", 85, 1_700, Some(1), Some(1)),
            ("asked long after the primary's last answer", 55, 60_000, Some(59_000), Some(800)),
        ] {
            let claimed = claimed.map(ms);
            assert_eq!(busy(start).lag(Lsn(replayed), start + ms(asked_at), claimed), lag.map(ms), "{what}");
        }
    }

    #[test]
    fn an_idle_primary_that_makes_one_commit_makes_nobody_hours_late() {
        let start = Instant::now();
        let hour = Duration::from_secs(3_600);
        let mut history = History::default();
        history.record(Lsn(1), start);
        history.record(Lsn(1), start + hour);
        history.record(Lsn(2), start + hour + ms(200));

        let lag = history.lag(Lsn(1), start + hour + ms(201), Some(hour + ms(201)));

        assert_eq!(lag, Some(ms(200)));
    }

    #[test]
    fn a_busy_primary_asked_all_the_time_fills_a_bounded_memory() {
        let start = Instant::now();
        let mut history = History::default();
        for probe in 0..1_000_000 {
            history.record(Lsn(probe), start + ms(probe * 2));
        }

        assert!(history.marks.len() <= KEPT_MAX);
        let oldest = history.marks.front().unwrap().first;
        assert!(oldest <= start + ms(2_000_000) - Duration::from_secs(55), "a minute is remembered");
    }
}
