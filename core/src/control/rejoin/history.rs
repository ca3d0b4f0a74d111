//! A timeline's history: where each of its ancestors ended.

use crate::id::Lsn;

/// The ancestors of a timeline, oldest first, with the place where the next one forked off.
///
/// <https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(Vec<(u32, Lsn)>);

impl History {
    /// From the text of a history file: a timeline, a position and a reason on each line, with tabs in between.
    pub fn read(text: &str) -> Self {
        let line = |line: &str| {
            let mut fields = line.split_whitespace();
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        Self(text.lines().filter(|text| !text.trim_start().starts_with('#')).filter_map(line).collect())
    }

    /// Where this timeline forked off from an ancestor of it.
    pub fn fork_from(&self, ancestor: u32) -> Option<Lsn> {
        // After a failed promotion a timeline may stand there twice; what came of it is the last.
        self.0.iter().rev().find(|(timeline, _)| *timeline == ancestor).map(|(_, fork)| *fork)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_tells_where_each_ancestor_ended() {
        let text = "1\t0/402C6C8\tno recovery target specified\n\n# a comment\n2\t0/5000000\tbefore 2024-01-01\n";
        let history = History::read(text);

        assert_eq!(history.fork_from(1), Some(Lsn(0x402_C6C8)));
        assert_eq!(history.fork_from(2), Some(Lsn(0x500_0000)));
        assert_eq!(history.fork_from(3), None);
    }

    #[test]
    fn what_is_no_history_has_no_ancestors() {
        for text in ["", "x", "1", "1 2", "-1\t0/1\t", "\u{fffd}\t\t"] {
            assert_eq!(History::read(text), History::default(), "{text:?}");
        }
    }
}
