//! The newest facts of one cluster, with a bell for those who wait for newer ones.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::Facts;

/// Holds the newest [`Facts`]; reading takes no lock.
#[derive(Debug)]
pub struct FactsCell {
    newest: ArcSwap<Facts>,
    changed: Notify,
    wanted: Notify,
}

impl FactsCell {
    /// Starts with what is known before the first probe.
    pub fn new(first: Facts) -> Self {
        Self { newest: ArcSwap::from_pointee(first), changed: Notify::new(), wanted: Notify::new() }
    }

    /// The newest facts.
    pub fn load(&self) -> arc_swap::Guard<Arc<Facts>> {
        self.newest.load()
    }

    /// The newest facts, to be kept over an await.
    pub fn newest(&self) -> Arc<Facts> {
        self.newest.load_full()
    }

    /// Replaces the facts, then wakes whoever waits in [`changed`](Self::changed).
    pub fn publish(&self, facts: Facts) {
        self.newest.store(Arc::new(facts));
        self.changed.notify_waiters();
    }

    /// Waits for the next [`publish`](Self::publish). Create it before looking at the facts, and
    /// nothing published in between is missed.
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Asks the monitor for fresh positions soon: somebody waits for a standby to catch up.
    pub fn want_fresh(&self) {
        self.wanted.notify_one();
    }

    /// The monitor's side of [`want_fresh`](Self::want_fresh).
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }
}
