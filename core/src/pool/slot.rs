//! A server's place in the counts, from before it is opened until after it is closed.

use std::sync::Arc;

use tokio::sync::{Notify, futures::Notified};

use super::Pool;

/// Rings whenever a server of any pool has been closed.
static SERVER_CLOSED: Notify = Notify::const_new();

/// Waits until the next server is closed, of whatever pool. Create it before looking whether there
/// are servers left, and none that is closed in between is missed.
pub fn server_closed() -> Notified<'static> {
    SERVER_CLOSED.notified()
}

/// A server's place in its pool's count and in the quotas; given up when it is dropped.
#[derive(Debug)]
pub struct Slot {
    pool: Arc<Pool>,
}

impl Slot {
    /// A place that has been counted.
    pub(super) fn counted(pool: &Arc<Pool>) -> Self {
        Self { pool: Arc::clone(pool) }
    }

    /// The pool that the place is in.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut line = self.pool.lock();
        line.open -= 1;
        let wanted = !line.waiters.is_empty();
        drop(line);
        let [quota, _] = &self.pool.quotas;
        quota.ledger().give(&self.pool.quotas);
        SERVER_CLOSED.notify_waiters();
        // Outside a runtime (at the very end of the process) nobody waits any more.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        self.pool.quotas.iter().for_each(|quota| quota.offer(None));
        if wanted {
            self.pool.open_more(0);
        }
    }
}
