//! What became of a COMMIT that was on its way when its server was lost.
//!
//! With `commit_outcome = "resolve"` the server is asked for the transaction's number in front of the COMMIT, in the
//! same packet. After a failover the new primary knows what became of that number, if it is one of those that the old
//! one gave out before the fork: later ones are given out again, to others.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Session, error::SessionError};
use crate::{clock::Moment, config::CommitOutcome, facts::Facts, wire::take::Take};

/// Asks for the number of the transaction, none if it has not written.
/// <https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT>
const ASK: &str = "SELECT pg_catalog.pg_current_xact_id_if_assigned()";

/// The first version that can be asked.
const VERSION_MIN: u32 = 130_000;

/// The number of the transaction that is to be committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Xid {
    /// Nobody asked, or the answer made no sense.
    #[default]
    Unknown,
    /// The answer has not come.
    Asked,
    /// None: it has not written.
    None,
    /// This one.
    Some(u64),
}

impl Xid {
    /// What a DataRow says that answers the question.
    pub fn read(row: &[u8]) -> Self {
        let mut take = Take::new(row, "DataRow");
        let Ok(1) = take.u16() else { return Self::Unknown };
        let Ok(length) = take.i32() else { return Self::Unknown };
        let Ok(length) = usize::try_from(length) else { return Self::None };
        let digits = take.bytes(length).ok().and_then(|bytes| std::str::from_utf8(bytes).ok());
        digits.and_then(|digits| digits.parse().ok()).map_or(Self::Unknown, Self::Some)
    }
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Committed,
    RolledBack,
    Unknown,
}

impl Session {
    /// In front of a COMMIT, and behind all else that goes there, asks for the number of the transaction if its outcome is to be known.
    #[inline]
    pub(super) fn ask_xid(&mut self) {
        self.exchange.xid = Xid::Unknown;
        if self.transaction.ends && self.transaction.wrote {
            self.ask_xid_of_written();
        }
    }

    #[inline(never)]
    fn ask_xid_of_written(&mut self) {
        if self.worker.shared.generation.load().config.commit_outcome != CommitOutcome::Resolve {
            return;
        }
        let facts = self.cluster.facts.load();
        let can_tell = facts.primary().and_then(|node| node.server_version).is_some_and(|it| it >= VERSION_MIN);
        if let (true, Some(lease)) = (can_tell, &mut self.lease)
            && lease.status == crate::wire::reply::TxStatus::InTransaction
        {
            self.exchange.precede(lease, ASK.as_bytes());
            self.exchange.xid = Xid::Asked;
        }
    }

    /// What became of a transaction of that term, when there is somebody to ask.
    pub(super) async fn outcome(&mut self, term: u64, xid: Xid, since: Moment) -> Result<Outcome, SessionError> {
        let xid = match xid {
            Xid::Unknown | Xid::Asked => return Ok(Outcome::Unknown),
            // What has written nothing is as good as committed.
            Xid::None => return Ok(Outcome::Committed),
            Xid::Some(xid) => xid,
        };
        let began = Instant::now();
        if self.wait_for(since, |facts| is_over(facts, term)).await?.is_none() {
            return Ok(Outcome::Unknown);
        }
        let facts = self.cluster.facts.newest();
        let outcome = match facts.lost(term, xid) {
            None => Outcome::Unknown,
            Some(true) => Outcome::RolledBack,
            Some(false) => self.ask_outcome(&facts, xid).await,
        };
        self.set.stats.shard(self.worker.id).resolved.add(u64::from(outcome != Outcome::Unknown));
        tracing::debug!(xid, term, ?outcome, waited = ?began.elapsed(), "asked for the outcome of a COMMIT");
        Ok(outcome)
    }

    /// <https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT>
    async fn ask_outcome(&mut self, facts: &Facts, xid: u64) -> Outcome {
        let pool = facts.primary().and_then(|node| self.set.pool(node)).map(Arc::clone);
        let Some(pool) = pool else { return Outcome::Unknown };
        let lease = match pool.try_checkout(self.worker.id) {
            Some(lease) => Ok(lease),
            None => pool.checkout(self.worker.id, || ()).await,
        };
        let Ok(mut lease) = lease else { return Outcome::Unknown };
        let mut outcome = Outcome::Unknown;
        let read = |row: &[u8]| outcome = read_status(row);
        let asked = lease.ask(&format!("SELECT pg_catalog.pg_xact_status('{xid}')"), read).await;
        if asked.is_ok() {
            lease.give_back(Moment::now());
        }
        outcome
    }
}

/// The term is over, and its successor takes writes.
fn is_over(facts: &Facts, term: u64) -> bool {
    facts.term > term && facts.open_primary().is_some()
}

/// "in progress" is no answer, and neither is none: the number is too old.
fn read_status(row: &[u8]) -> Outcome {
    match row.get(6..) {
        Some(b"committed") => Outcome::Committed,
        Some(b"aborted") => Outcome::RolledBack,
        _ => Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: Option<&str>) -> Vec<u8> {
        let mut message = Vec::new();
        crate::wire::reply::data_row(&mut message, &[value.map(str::as_bytes)]);
        message.split_off(5)
    }

    #[test]
    fn a_number_is_read_as_the_server_says_it() {
        assert_eq!(Xid::read(&row(Some("4294968039"))), Xid::Some(4_294_968_039));
        assert_eq!(Xid::read(&row(None)), Xid::None);
        assert_eq!(Xid::read(&row(Some("x"))), Xid::Unknown);
        assert_eq!(Xid::read(b"\0\x01\0\0"), Xid::Unknown);
    }

    #[test]
    fn only_a_plain_word_is_an_outcome() {
        assert_eq!(read_status(&row(Some("committed"))), Outcome::Committed);
        assert_eq!(read_status(&row(Some("aborted"))), Outcome::RolledBack);
        assert_eq!(read_status(&row(Some("in progress"))), Outcome::Unknown);
        assert_eq!(read_status(&row(None)), Outcome::Unknown);
    }
}
