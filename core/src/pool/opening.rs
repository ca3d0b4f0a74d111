//! How pools come to new servers: within their own limits, and within the quotas that they share.
//!
//! A pool that needs a server and finds a quota full takes the place of the server that has been idle
//! for longest in another pool under that quota. If none is idle it waits, and is offered a place as
//! soon as a server is closed or comes back to a pool where nobody waits. Where somebody does, the
//! server makes way all the same for whoever came before and has waited for
//! [`TURN_MICROS`](super::line::TURN_MICROS), so that nobody starves.
//!
//! A pool that is short of a place in both its quotas needs both at one moment: it keeps none of one
//! while it waits for the other, because others can use it.

use std::{collections::VecDeque, sync::Arc};

use tokio::time::Instant;

use super::{
    CheckoutError, Pool, Quota, Slot,
    line::{Line, Waiter},
    quota::{Accounts, Evicted},
    worker,
};
use crate::{
    clock::Moment,
    server::{self, ConnectError, Server},
};

/// What came of asking for a place.
enum Admission {
    /// The pool needs no server, or may have no more.
    Content,
    /// A place is counted; these are to be closed before it is used.
    Admitted(Vec<Evicted>),
    /// A quota is full.
    Full(Arc<Quota>),
}

impl Pool {
    /// Opens as many servers as the line needs and the limits allow, `extra` of the reserve included.
    pub(super) fn open_more(self: &Arc<Self>, extra: usize) {
        let size = self.limits().size + extra;
        let mut line = self.lock();
        if !line.needs_one(size) {
            return;
        }
        if let Some(known) = line.hungry {
            // Whatever becomes free is offered to it.
            line.hungry = Some(known.max(extra));
            return;
        }
        drop(line);
        self.ask_for_places(extra);
    }

    /// The same for a pool that may have waited in vain: a bound may have been raised.
    pub(super) fn ask_again(self: &Arc<Self>) {
        let hungry = self.lock().hungry;
        match hungry {
            Some(extra) => self.ask_for_places(extra),
            None => self.open_more(0),
        }
    }

    fn ask_for_places(self: &Arc<Self>, extra: usize) {
        let [quota, _] = &self.quotas;
        loop {
            let mut accounts = quota.ledger();
            let admission = accounts.admit(self, extra);
            // What was announced and has been got is wanted no more.
            for quota in self.quotas.iter().filter(|quota| quota.is_wanted()) {
                accounts.hungriest(quota, None);
            }
            drop(accounts);
            match admission {
                Admission::Admitted(evicted) => drop(tokio::spawn(Arc::clone(self).open_one(evicted))),
                Admission::Content | Admission::Full(_) => return,
            }
        }
    }

    /// Opens a server though nobody waits, if there is room for it.
    pub(super) fn open_spare(self: &Arc<Self>) {
        let size = self.limits().size;
        let [quota, _] = &self.quotas;
        let mut accounts = quota.ledger();
        let has_room = self.quotas.iter().all(|quota| accounts.has_room(quota));
        let mut line = self.lock();
        if !has_room || line.paused || line.failing_since.is_some() || line.open >= size {
            return;
        }
        line.count_opening();
        drop(line);
        accounts.take(&self.quotas);
        drop(accounts);
        tokio::spawn(Arc::clone(self).open_one(Vec::new()));
    }

    /// Counts a server that is to be opened, if one is needed. Answers since when.
    fn reserve(&self, extra: usize) -> Option<Moment> {
        let size = self.limits().size + extra;
        let mut line = self.lock();
        let since = if line.needs_one(size) { line.first_came() } else { None };
        if since.is_some() {
            line.count_opening();
        }
        since
    }

    /// Takes that back: there is no place for it yet.
    fn wait_for_place(&self, extra: usize) {
        let mut line = self.lock();
        line.open -= 1;
        line.connecting -= 1;
        line.hungry = Some(line.hungry.unwrap_or(0).max(extra));
    }

    /// Since when a pool that waits for a place needs it. One that needs none any more waits no longer.
    pub(super) fn still_hungry_since(&self) -> Option<Moment> {
        let size = self.limits().size;
        let mut line = self.lock();
        let extra = line.hungry.unwrap_or(0);
        let since = if line.needs_one(size + extra) { line.first_came() } else { None };
        if since.is_none() {
            line.hungry = None;
        }
        since
    }

    /// Puts back a server that nobody had to evict after all.
    fn put_back(&self, server: Box<Server>) {
        let mut line = self.lock();
        if let Some(server) = line.hand_over(server) {
            line.push_idle(server);
        }
    }

    async fn open_one(self: Arc<Self>, evicted: Vec<Evicted>) {
        let place = Box::new(Slot::counted(&self));
        for Evicted { pool, server } in evicted {
            tracing::debug!(pool = %pool.key, for_pool = %self.key, "an idle server makes way");
            // Its socket may belong to another worker's runtime.
            let worker = worker::current();
            let server = if server.worker() == worker { Some(server) } else { server.rehome(worker) };
            if let Some(server) = server {
                server.close().await;
            }
        }
        let opening = server::Opening {
            pool: self.key.clone(),
            target: Arc::clone(&self.target()),
            place,
            age: self.age(),
            worker: worker::current(),
            connect_query: self.limits().connect_query.clone(),
        };
        let opened = server::open(opening).await;
        let mut line = self.lock();
        line.connecting -= 1;
        match opened {
            Ok(server) => {
                line.failing_since = None;
                drop(line);
                self.settle_new(server);
                self.open_more(0);
            }
            Err(cause) => {
                let hopeless = line.note_failure(&cause);
                drop(line);
                self.opening_failed(cause, hopeless);
            }
        }
    }

    fn opening_failed(&self, cause: ConnectError, hopeless: VecDeque<Waiter>) {
        tracing::warn!(pool = %self.key, error = %cause, "could not open a server");
        let cause = Arc::new(cause);
        for waiter in hopeless {
            let _ = waiter.hand.send(Err(CheckoutError::Connect { pool: self.key.clone(), cause: Arc::clone(&cause) }));
        }
    }
}

impl Line {
    fn count_opening(&mut self) {
        self.open += 1;
        self.connecting += 1;
    }

    /// Notes that no server could be opened. Answers who need not wait for one any longer.
    fn note_failure(&mut self, cause: &ConnectError) -> VecDeque<Waiter> {
        self.failing_since = Some(Instant::now());
        // While other servers of this pool live, those in line may still get one of them.
        let refused = matches!(cause, ConnectError::Auth(_) | ConnectError::NoSecret { .. } | ConnectError::Startup(_));
        let hopeless = self.open == 0 || (refused && !cause.is_full());
        if hopeless { std::mem::take(&mut self.waiters) } else { VecDeque::new() }
    }
}

impl Accounts<'_> {
    /// Finds a place for one more server of a pool, if it needs one; else has it wait.
    fn admit(&mut self, pool: &Arc<Pool>, extra: usize) -> Admission {
        let Some(since) = pool.reserve(extra) else { return Admission::Content };
        let mut evicted = Vec::new();
        for quota in &pool.quotas {
            if self.has_room(quota) {
                continue;
            }
            match self.evict(quota, pool, since) {
                Some(server) => evicted.push(server),
                None => {
                    evicted.into_iter().for_each(|Evicted { pool, server }| pool.put_back(server));
                    pool.wait_for_place(extra);
                    self.await_place(quota, pool);
                    return Admission::Full(Arc::clone(quota));
                }
            }
        }
        self.take(&pool.quotas);
        Admission::Admitted(evicted)
    }
}

impl Quota {
    /// Offers what has become free to those who wait for it and came before that moment, first to the
    /// one that came first.
    pub(super) fn offer(&self, before_micros: Option<u64>) {
        if !self.is_wanted() {
            return;
        }
        let mut admitted = Vec::new();
        let mut accounts = self.ledger();
        while let Some(pool) = accounts.hungriest(self, before_micros) {
            let extra = pool.lock().hungry.unwrap_or(0);
            match accounts.admit(&pool, extra) {
                Admission::Admitted(evicted) => admitted.push((pool, evicted)),
                Admission::Full(quota) if quota.is(self) => break,
                // It waits for the other quota now.
                Admission::Content | Admission::Full(_) => {}
            }
        }
        drop(accounts);
        for (pool, evicted) in admitted {
            tokio::spawn(pool.open_one(evicted));
        }
    }
}
