//! How a session gets a server and gives it back.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use thiserror::Error;
use tokio::time::Instant;

use super::Pool;
use crate::{
    clock::Moment,
    id::PoolKey,
    server::{ConnectError, Server},
};

/// No server could be had.
#[derive(Clone, Debug, Error)]
pub enum CheckoutError {
    /// The line was too long for too long.
    #[error("query_wait_timeout: no server of pool {pool} became free within {waited:?}")]
    Timeout {
        /// Which pool.
        pool: PoolKey,
        /// `query_wait_timeout`.
        waited: Duration,
    },
    /// The node could not be reached or refused us.
    #[error("could not open a connection to node {}", pool.node)]
    Connect {
        /// Which pool.
        pool: PoolKey,
        /// Why.
        #[source]
        cause: Arc<ConnectError>,
    },
    /// The pool went away while the client waited.
    #[error("pool {pool} was closed")]
    Closed {
        /// Which pool.
        pool: PoolKey,
    },
}

/// A server on loan. Dropped instead of given back, it is closed.
#[derive(Debug)]
pub struct Lease {
    server: Box<Server>,
    place: Busy,
}

/// A lent server in its pool's count, until it is dropped.
#[derive(Debug)]
struct Busy(Arc<Pool>);

impl Busy {
    fn count(pool: &Arc<Pool>) -> Self {
        pool.busy.fetch_add(1, Relaxed);
        Self(Arc::clone(pool))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Relaxed);
    }
}

impl Lease {
    fn new(pool: &Arc<Pool>, server: Box<Server>) -> Self {
        Self { server, place: Busy::count(pool) }
    }

    /// The pool that lends it.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.place.0
    }

    /// Whether the server was idle for so long that it may have died unnoticed.
    #[inline]
    pub fn is_check_due(&self, now: Moment) -> bool {
        self.pool().is_check_due(now.micros_since(self.idle_since))
    }

    /// What to ask it then.
    pub fn due_check(&self, now: Moment) -> Option<String> {
        self.pool().due_check(now.micros_since(self.idle_since))
    }

    /// Gives the server back, for the next in line.
    pub fn give_back(self, now: Moment) {
        let Self { mut server, place } = self;
        let pool = &place.0;
        if !pool.takes_back(&server, now) || server.info.is_cut() {
            return;
        }
        server.idle_since = now;
        server.info.went_idle();
        if server.info.is_being_canceled() {
            // A cancel request that was meant for the last client may still be on its way.
            tokio::spawn(settle_after_cancel(Arc::clone(pool), server));
        } else {
            pool.settle(server);
        }
    }
}

async fn settle_after_cancel(pool: Arc<Pool>, server: Box<Server>) {
    server.info.canceled().await;
    pool.settle(server);
}

impl Deref for Lease {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl Pool {
    /// A server that is idle right now, if nobody stands in line for it.
    #[inline]
    pub fn try_checkout(self: &Arc<Self>, worker: usize) -> Option<Lease> {
        loop {
            let server = {
                let mut line = self.lock();
                if line.paused || !line.waiters.is_empty() {
                    return None;
                }
                line.pop_idle(worker)?
            };
            if let Some(server) = self.welcome_back(server, worker) {
                return Some(Lease::new(self, server));
            }
        }
    }

    /// The idle server on which this client moved a sequence last, if nobody else has since.
    pub fn try_checkout_of(self: &Arc<Self>, worker: usize, client: u32) -> Option<Lease> {
        let server = {
            let mut line = self.lock();
            if line.paused || !line.waiters.is_empty() {
                return None;
            }
            let moved = |server: &Server| (server.sequence_user == client).then_some(server.sequence_moved).flatten();
            let last = line.idle.iter().flatten().filter_map(|server| moved(server)).max()?;
            line.idle.iter_mut().find_map(|idle| {
                let at = idle.iter().position(|server| moved(server) == Some(last))?;
                Some(idle.remove(at))
            })?
        };
        self.welcome_back(server, worker).map(|server| Lease::new(self, server))
    }

    /// Waits in line for a server. `on_wait` is called once, when `query_wait_notify` has passed.
    pub async fn checkout(self: &Arc<Self>, worker: usize, on_wait: impl FnOnce()) -> Result<Lease, CheckoutError> {
        let since = Instant::now();
        let limits = self.limits().clone();
        let patience = if limits.wait_timeout.is_zero() { Duration::MAX } else { limits.wait_timeout };
        let wait = self.wait_in_line(worker, since, &limits, on_wait);
        match tokio::time::timeout(patience, wait).await {
            Ok(outcome) => outcome,
            Err(_) => Err(CheckoutError::Timeout { pool: self.key.clone(), waited: limits.wait_timeout }),
        }
    }

    async fn wait_in_line(
        self: &Arc<Self>,
        worker: usize,
        since: Instant,
        limits: &super::PoolLimits,
        on_wait: impl FnOnce(),
    ) -> Result<Lease, CheckoutError> {
        let mut on_wait = (!limits.wait_notify.is_zero()).then_some(on_wait);
        let mut reserve = limits.reserve > 0;
        let came = Moment::now();
        loop {
            let mut place = self.stand_in_line(came);
            let served = loop {
                let notify_at = since + limits.wait_notify;
                let reserve_at = since + limits.reserve_timeout;
                tokio::select! {
                    biased;
                    served = &mut place => break served,
                    () = tokio::time::sleep_until(notify_at), if on_wait.is_some() => {
                        if let Some(tell) = on_wait.take() { tell() }
                    }
                    () = tokio::time::sleep_until(reserve_at), if reserve => {
                        reserve = false;
                        self.open_more(limits.reserve);
                    }
                }
            };
            let server = served.map_err(|_| CheckoutError::Closed { pool: self.key.clone() })??;
            if let Some(server) = self.welcome_back(server, worker) {
                return Ok(Lease::new(self, server));
            }
        }
    }

    /// Brings a server to this worker's runtime; `None` (and closed) if it broke while it was idle.
    fn welcome_back(&self, server: Box<Server>, worker: usize) -> Option<Box<Server>> {
        let mut server = if server.worker() == worker { server } else { server.rehome(worker)? };
        server.is_quiet().then_some(server)
    }
}
