//! A session that has changed the schema lingers at its server until the catalog has been read with the change.
//!
//! What a statement leaves behind by functions, triggers and defaults is judged by the catalog, which is read some
//! time after it has changed. Until then the session's own next statements would be judged by what was: they might
//! leave something on a server that the session does not keep. So it stays where it is meanwhile, and when the catalog
//! has been read, what was done is judged again: what keeps a server ([`pin`](super::pin)) keeps it then, and the rest
//! is found out as after any transaction ([`settle`](super::settle)).
//!
//! When somebody waits for its server for long, it makes way; what it has done is taken for anything then.
//!
//! Nothing is lost for a session that loses its server while it lingers: it might have had another anyway.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Session, error::SessionError, traces::Causes};
use crate::{
    clock::Moment,
    config::PoolMode,
    facts::{Reading, Role},
    id::NodeId,
    pool::Pool,
    sql::{Catalog, Effect, Shape, ShapeId, StatementFacts},
};

/// Longest stay behind one change: as long as two readings that fail take, and a third one.
const LINGER_MAX: Duration = Duration::from_secs(12);

/// A session that changes the schema makes way after this, if somebody waits for a server. Where schemas do not change
/// all the time, the catalog has been read by then.
const ALONE_MIN: Duration = Duration::from_millis(250);

/// How often it looks then whether somebody waits.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Most shapes that are judged again. Behind more of them, everything that a server can be asked for is.
const DEEDS_MAX: usize = 256;

/// What a session does at the server at which it has changed the schema.
#[derive(Default)]
pub(super) struct Linger {
    /// None while the change is not committed.
    end: Option<Pin<Box<dyn Future<Output = End>>>>,
    /// The end of the transaction that it began with.
    since: Option<Instant>,
    deeds: Deeds,
}

/// Why a session lingers no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The catalog has been read.
    Known,
    /// It has not, and the session can wait no longer.
    Unknown,
}

/// What has been done since a change of the schema, to be judged again.
#[derive(Debug, Default)]
struct Deeds {
    shapes: Vec<(ShapeId, Arc<StatementFacts>)>,
    /// There were too many, or nobody knows what they were.
    overflow: bool,
    /// A sequence may have been moved.
    moved_sequence: bool,
}

impl Deeds {
    fn note(&mut self, shape: &Shape) {
        if self.shapes.iter().any(|(known, _)| *known == shape.id) {
            return;
        }
        if self.shapes.len() < DEEDS_MAX {
            self.shapes.push((shape.id, Arc::clone(&shape.facts)));
        } else {
            self.overflow = true;
        }
    }

    /// What it has left behind, by a catalog that has the change.
    fn judge(&self, catalog: &Catalog) -> Vec<Effect> {
        let mut effects: Vec<_> = self.shapes.iter().flat_map(|(_, facts)| facts.unseen_effects(catalog)).collect();
        if self.overflow {
            effects.push(Effect::Unknown);
            effects.extend(catalog.recalls_sequences().then_some(Effect::RecallSequence));
        }
        effects
    }
}

impl Session {
    /// A statement runs in a transaction that has changed the schema, or after it.
    pub(super) fn note_deed(&mut self, shape: &Shape) {
        if self.set.mode == PoolMode::Transaction {
            self.linger.get_or_insert_default().deeds.note(shape);
        }
    }

    /// Nothing is left of them: DISCARD ALL.
    pub(super) fn forget_deeds(&mut self) {
        if let Some(linger) = &mut self.linger {
            linger.deeds = Deeds::default();
        }
    }

    /// What sequences gave is forgotten: DISCARD SEQUENCES.
    pub(super) fn forget_moved_sequences(&mut self) {
        if let Some(linger) = &mut self.linger {
            linger.deeds.moved_sequence = false;
        }
    }

    /// A sequence may have been moved.
    pub(super) fn note_moved_sequence(&mut self) {
        if let Some(linger) = &mut self.linger {
            linger.deeds.moved_sequence = true;
        }
    }

    /// A transaction that has changed the schema is over: the catalog is to be read, and until it is, the session
    /// keeps its server, unless things are only gone.
    #[inline(never)]
    pub(super) fn tell_of_changed_catalog(&mut self) {
        let unflushed = self.may_be_unflushed();
        let reading = self.cluster.catalogs.refresh(&self.set.dbname, unflushed);
        if !self.transaction.defined {
            return;
        }
        let lease = self.lease.as_ref().filter(|_| self.lease_role != Role::Standby);
        match (reading, &mut self.linger, lease) {
            (Some(reading), Some(linger), Some(lease)) => {
                let since = *linger.since.get_or_insert_with(Instant::now);
                linger.end = Some(Box::pin(end(reading, since, Arc::clone(lease.pool()))));
                self.set_pins(self.pins().and(Causes::SCHEMA));
            }
            _ => self.drop_linger(),
        }
    }

    /// The node at whose server the session lingers. One that takes no transactions now is not waited for.
    #[inline]
    pub(super) fn lingers_at(&mut self, avoid: Option<NodeId>) -> Option<NodeId> {
        if self.lease.is_none() || !self.only_lingers() { None } else { self.still_lingers_at(avoid) }
    }

    #[inline(never)]
    fn still_lingers_at(&mut self, avoid: Option<NodeId>) -> Option<NodeId> {
        let node = self.lease_node;
        if avoid != Some(node) && self.cluster.facts.load().open_primary() == Some(node) {
            return Some(node);
        }
        if let Some(lease) = &mut self.lease {
            // Nobody has found out what was set there meanwhile.
            lease.settings_of = self.info.pid;
        }
        self.drop_linger();
        self.release(Moment::now());
        None
    }

    /// Nothing but its linger has the session keep a server.
    pub(super) fn only_lingers(&self) -> bool {
        self.pins() == Causes::SCHEMA && !self.is_in_transaction()
    }

    /// Ready when the session lingers no longer.
    pub(super) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let is_idle = self.exchange.is_between_requests() && !self.is_in_transaction();
        match self.linger.as_mut().and_then(|linger| linger.end.as_mut()) {
            Some(end) if is_idle => end.as_mut().poll(cx),
            _ => Poll::Pending,
        }
    }

    /// Finds out what the session has left at its server meanwhile, and gives it back if that is nothing.
    pub(super) async fn end_linger(&mut self, end: End) -> Result<(), SessionError> {
        let Some(mut linger) = self.linger.take() else { return Ok(()) };
        linger.deeds.overflow |= end == End::Unknown;
        if self.lease.is_some() {
            self.judge_again(&linger.deeds);
            self.settle().await?;
        }
        self.drop_linger();
        self.release(Moment::now());
        self.flush().await
    }

    fn judge_again(&mut self, deeds: &Deeds) {
        let catalog = self.worker.last_catalog.borrow_mut().get(&self.cluster, &self.set.dbname);
        let shared = &self.set.shared;
        let mut traces = self.traces.take().unwrap_or_default();
        for effect in deeds.judge(&catalog) {
            match effect {
                Effect::RecallSequence => shared.note_recalls_sequences(),
                effect => _ = traces.note(&effect),
            }
        }
        if deeds.moved_sequence && shared.recalls_sequences() {
            traces.suspect(Causes::SEQUENCE);
        }
        self.traces = Some(traces);
    }

    /// The session does not linger any more, whatever it has done.
    pub(super) fn drop_linger(&mut self) {
        self.linger = None;
        if self.pins().contain(Causes::SCHEMA) {
            self.set_pins(self.pins().without(Causes::SCHEMA));
        }
    }
}

async fn end(reading: Reading, since: Instant, pool: Arc<Pool>) -> End {
    let somebody_waits = async {
        sleep_until(since + ALONE_MIN).await;
        while pool.counts().waiting == 0 {
            sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        biased;
        read = timeout(LINGER_MAX, reading.done()) => if read.is_ok() { End::Known } else { End::Unknown },
        () = somebody_waits => End::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Shapes, SharedShapes};

    fn catalog(triggers: &[(&'static str, &'static str, char)]) -> Catalog {
        let nothing: [(&str, &str, char); 0] = [];
        Catalog::from_rows([("pg_catalog", "lower", 'i')].into_iter().chain(triggers.iter().copied()), nothing)
    }

    fn done(statements: impl IntoIterator<Item = String>) -> Deeds {
        let mut shapes = Shapes::new(Arc::new(SharedShapes::default()));
        let mut deeds = Deeds::default();
        for statement in statements {
            deeds.note(&shapes.look_up(statement.as_bytes(), &catalog(&[])));
        }
        deeds
    }

    #[test]
    fn what_was_done_many_times_is_judged_once() {
        let deeds = done((0..1_000).map(|value| format!("INSERT INTO t VALUES ({value})")));
        assert_eq!(deeds.judge(&catalog(&[])), []);
        assert_eq!(deeds.judge(&catalog(&[("", "sequence", 'w')])), [Effect::RecallSequence]);
        assert_eq!(deeds.judge(&catalog(&[("", "trigger", 'x')])), [Effect::Unknown, Effect::Other]);
    }

    #[test]
    fn of_too_many_deeds_everything_is_asked() {
        let reads = |count: usize| done((0..count).map(|column| format!("SELECT a{column} FROM t")));
        let later = catalog(&[("", "sequence", 'w')]);
        assert_eq!(reads(DEEDS_MAX).judge(&later), []);
        assert_eq!(reads(DEEDS_MAX + 1).judge(&later), [Effect::Unknown, Effect::RecallSequence]);
        assert_eq!(reads(2 * DEEDS_MAX).shapes.len(), DEEDS_MAX);
    }
}
