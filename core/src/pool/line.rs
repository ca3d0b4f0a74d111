//! One pool: the idle servers of a (database, user, node), and the line of those who wait.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{sync::oneshot, time::Instant};

use super::{CheckoutError, PoolLimits, Quota, limits::Limits, worker};
use crate::{
    clock::Moment,
    id::PoolKey,
    server::{Server, ServerTarget, settings::Settings},
};

/// Settings of a pool's sessions that are remembered as good; others are tried with a round trip of their own.
const TAKEN_MAX: usize = 64;

/// How long a pool with waiters of its own keeps its servers from another pool's, under a quota that is
/// full. Opening a server takes some milliseconds, which must be little beside the wait that it ends.
pub(super) const TURN_MICROS: u64 = 50_000;

/// Numbers for the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Servers that a client has.
    pub busy: usize,
    /// Servers that nobody has.
    pub idle: usize,
    /// Servers on their way up.
    pub connecting: usize,
    /// Clients in line.
    pub waiting: usize,
    /// How long the first in line has waited.
    pub longest_wait: Duration,
}

pub(super) struct Waiter {
    pub(super) came: Moment,
    pub(super) hand: oneshot::Sender<Result<Box<Server>, CheckoutError>>,
}

#[derive(Default)]
pub(super) struct Line {
    /// Idle servers by the worker whose runtime they belong to, used last at the end.
    #[expect(clippy::vec_box, reason = "servers are handed on as they are, by pointer")]
    pub(super) idle: Vec<Vec<Box<Server>>>,
    /// Open or on their way up.
    pub(super) open: usize,
    pub(super) connecting: usize,
    pub(super) waiters: VecDeque<Waiter>,
    pub(super) paused: bool,
    /// The pool waits for a place in a quota, with so much of its reserve. That it does is changed only
    /// with the ledger in hand.
    pub(super) hungry: Option<usize>,
    /// The last attempt to connect failed, then.
    pub(super) failing_since: Option<Instant>,
}

impl Line {
    pub(super) fn pop_idle(&mut self, worker: usize) -> Option<Box<Server>> {
        if let Some(server) = self.idle.get_mut(worker).and_then(Vec::pop) {
            return Some(server);
        }
        self.idle.iter_mut().find_map(Vec::pop)
    }

    pub(super) fn push_idle(&mut self, server: Box<Server>) {
        let worker = server.worker();
        if self.idle.len() <= worker {
            self.idle.resize_with(worker + 1, Vec::new);
        }
        self.idle[worker].push(server);
    }

    pub(super) fn idle_count(&self) -> usize {
        self.idle.iter().map(Vec::len).sum()
    }

    /// Since when the server that nobody has had for longest is idle.
    pub(super) fn oldest_idle(&self) -> Option<Moment> {
        self.idle.iter().filter_map(|idle| idle.first()).map(|server| server.idle_since).min()
    }

    pub(super) fn take_oldest_idle(&mut self) -> Option<Box<Server>> {
        let of_worker = self.idle.iter_mut().filter(|idle| !idle.is_empty());
        of_worker.min_by_key(|idle| idle[0].idle_since).map(|idle| idle.remove(0))
    }

    /// Gives a server to the first who still waits; gives it back if nobody does.
    pub(super) fn hand_over(&mut self, mut server: Box<Server>) -> Option<Box<Server>> {
        while let Some(waiter) = self.waiters.pop_front() {
            match waiter.hand.send(Ok(server)) {
                Ok(()) => return None,
                Err(back) => server = back.expect("what comes back is what was sent"),
            }
        }
        Some(server)
    }

    /// When the first came who still waits.
    pub(super) fn first_came(&mut self) -> Option<Moment> {
        while self.waiters.front()?.hand.is_closed() {
            self.waiters.pop_front();
        }
        self.waiters.front().map(|first| first.came)
    }

    /// Whether those in line need a server more than are on their way, and the pool may have `size`.
    pub(super) fn needs_one(&mut self, size: usize) -> bool {
        // After a failure one attempt at a time, so that a node in trouble is not stormed.
        let at_once = if self.failing_since.is_some() { 1 } else { usize::MAX };
        let is_short = |line: &Self| line.connecting < line.waiters.len().min(at_once);
        if self.paused || self.open >= size || !is_short(self) {
            return false;
        }
        self.forget_the_gone();
        is_short(self)
    }

    /// Forgets those who have given up.
    pub(super) fn forget_the_gone(&mut self) {
        self.waiters.retain(|waiter| !waiter.hand.is_closed());
    }
}

/// The servers of one (database, user, node).
pub struct Pool {
    /// What it is for.
    pub key: PoolKey,
    target: ArcSwap<ServerTarget>,
    limits: Limits,
    /// Of the database and of the user.
    pub(super) quotas: [Arc<Quota>; 2],
    pub(super) busy: AtomicU32,
    /// Requests that its servers have been given; beside `busy`, which changes as often.
    requests: AtomicU64,
    /// Servers of an older age are closed when they come back.
    age: AtomicU64,
    disabled: AtomicBool,
    /// Settings that some server of the pool has taken without complaint.
    taken: Mutex<VecDeque<Settings>>,
    line: Mutex<Line>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("key", &self.key).finish_non_exhaustive()
    }
}

impl Pool {
    /// An empty pool. Both quotas are of one ledger.
    pub fn new(key: PoolKey, target: ServerTarget, limits: PoolLimits, quotas: [Arc<Quota>; 2]) -> Arc<Self> {
        let pool = Arc::new(Self {
            key,
            target: ArcSwap::from_pointee(target),
            limits: Limits::new(limits),
            quotas,
            busy: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            age: AtomicU64::new(0),
            disabled: AtomicBool::new(false),
            taken: Mutex::default(),
            line: Mutex::default(),
        });
        pool.quotas.iter().for_each(|quota| quota.cover(&pool));
        pool
    }

    /// What bounds it now.
    pub fn limits(&self) -> arc_swap::Guard<Arc<PoolLimits>> {
        self.limits.load()
    }

    /// Statements prepared on one of its servers at most.
    #[inline]
    pub fn max_prepared(&self) -> usize {
        self.limits.max_prepared()
    }

    /// Whether a server was idle for so long that it may have died unnoticed.
    #[inline]
    pub(super) fn is_check_due(&self, idle_micros: u64) -> bool {
        self.limits.is_check_due(idle_micros)
    }

    /// What such a server is asked.
    pub(super) fn due_check(&self, idle_micros: u64) -> Option<String> {
        self.limits.due_check(idle_micros)
    }

    /// Where its servers are.
    pub fn target(&self) -> arc_swap::Guard<Arc<ServerTarget>> {
        self.target.load()
    }

    /// Takes new limits and a new target; servers of another target are closed when they come back.
    pub fn reconfigure(&self, target: ServerTarget, limits: PoolLimits) {
        if !is_same_place(&self.target.load(), &target) {
            self.reconnect();
        }
        self.target.store(Arc::new(target));
        self.limits.store(limits);
    }

    /// Takes a target that differs in its secret; servers that are open stay.
    pub(super) fn retarget(&self, target: ServerTarget) {
        self.target.store(Arc::new(target));
    }

    /// How many servers clients have right now.
    #[inline]
    pub fn busy(&self) -> u32 {
        self.busy.load(Relaxed)
    }

    /// Requests that its servers have been given so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Counts a request that one of its servers was given.
    #[inline]
    pub fn count_request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Whether some server of the pool has taken these settings before, so that others will.
    pub fn has_taken(&self, settings: &Settings) -> bool {
        self.taken().iter().any(|taken| taken.same(settings))
    }

    /// A server has taken these settings.
    pub fn note_taken(&self, settings: &Settings) {
        let mut taken = self.taken();
        if taken.len() >= TAKEN_MAX {
            taken.pop_front();
        }
        taken.push_back(settings.clone());
    }

    /// What servers have taken before, they may not take any more.
    #[cold]
    pub fn forget_taken(&self) {
        self.taken().clear();
    }

    fn taken(&self) -> MutexGuard<'_, VecDeque<Settings>> {
        self.taken.lock().expect("nothing panics while it holds the list")
    }

    /// Numbers for the console.
    pub fn counts(&self) -> PoolCounts {
        let busy = self.busy() as usize;
        let line = self.lock();
        PoolCounts {
            busy,
            idle: line.idle_count(),
            connecting: line.connecting,
            waiting: line.waiters.iter().filter(|waiter| !waiter.hand.is_closed()).count(),
            longest_wait: line.waiters.front().map(|first| Moment::now().since(first.came)).unwrap_or_default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().expect("nothing panics while it holds the line")
    }

    /// Whether a server that came back may be used again.
    pub(super) fn takes_back(&self, server: &Server, now: Moment) -> bool {
        server.age == self.age.load(Relaxed) && !self.limits.is_too_old(now.micros_since(server.born))
    }

    /// Hands a server to the first in line, or keeps it. While others wait for a place in one of the
    /// pool's quotas, it may have to make way.
    pub(super) fn settle(self: &Arc<Self>, server: Box<Server>) {
        let mut line = self.lock();
        if line.paused {
            drop(line);
            return;
        }
        if self.quotas.iter().any(|quota| quota.is_wanted()) {
            return self.settle_contested(line, server);
        }
        if let Some(server) = line.hand_over(server) {
            line.push_idle(server);
        }
    }

    #[inline(never)]
    fn settle_contested(self: &Arc<Self>, mut line: MutexGuard<'_, Line>, server: Box<Server>) {
        let now_micros = server.idle_since.micros();
        let first = line.first_came();
        line.push_idle(server);
        drop(line);
        for quota in &self.quotas {
            match first {
                None => quota.offer(None),
                Some(first) => {
                    let before_micros = first.micros().min(now_micros.saturating_sub(TURN_MICROS));
                    if quota.is_wanted_since(before_micros) && quota.may_look(now_micros) {
                        quota.offer(Some(before_micros));
                    }
                }
            }
        }
        // Whoever waits here gets what was left.
        let mut line = self.lock();
        while !line.waiters.is_empty()
            && let Some(server) = line.pop_idle(worker::current())
        {
            if let Some(server) = line.hand_over(server) {
                line.push_idle(server);
            }
        }
    }

    /// Hands a server to the first in line, whatever others wait for: it was opened for this line.
    pub(super) fn settle_new(self: &Arc<Self>, server: Box<Server>) {
        let refused = self.lock().hand_over(server);
        if let Some(server) = refused {
            self.settle(server);
        }
    }

    /// Takes a place in the line; whoever is the first may find a server waiting.
    pub(super) fn stand_in_line(
        self: &Arc<Self>,
        came: Moment,
    ) -> oneshot::Receiver<Result<Box<Server>, CheckoutError>> {
        let (hand, receiver) = oneshot::channel();
        let mut line = self.lock();
        let idle = if line.paused || !line.waiters.is_empty() { None } else { line.pop_idle(worker::current()) };
        match idle {
            Some(server) => {
                drop(line);
                hand.send(Ok(server)).expect("the receiver is here");
            }
            None => {
                line.waiters.push_back(Waiter { came, hand });
                drop(line);
                self.open_more(0);
            }
        }
        receiver
    }

    /// Closes idle servers now and the others when they come back.
    pub fn reconnect(&self) {
        self.age.fetch_add(1, Relaxed);
        self.close_idle();
    }

    /// Closes the servers that nobody has.
    pub fn close_idle(&self) {
        // A server takes the lock when it is dropped, so drop them without it.
        let idle = std::mem::take(&mut self.lock().idle);
        drop(idle);
    }

    /// Lends no server until [`resume`](Self::resume); closes each as it comes back.
    pub fn pause(&self) {
        self.lock().paused = true;
        self.close_idle();
    }

    /// Lends servers again.
    pub fn resume(self: &Arc<Self>) {
        self.lock().paused = false;
        self.open_more(0);
    }

    /// Lends no server at present.
    pub fn is_paused(&self) -> bool {
        self.lock().paused
    }

    /// Servers open or on their way up.
    pub fn open(&self) -> usize {
        self.lock().open
    }

    /// Counts a server that is not there, for tests of those who wait for the last one.
    #[cfg(test)]
    pub fn pretend_open(&self) {
        self.lock().open += 1;
    }

    /// The present age; servers of older ones are closed when they come back.
    pub fn age(&self) -> u64 {
        self.age.load(Relaxed)
    }

    /// No new client may use it.
    pub fn set_disabled(&self, disabled: bool) {
        self.disabled.store(disabled, Relaxed);
    }
}

/// The same node, database and user: servers opened for one serve the other.
fn is_same_place(a: &ServerTarget, b: &ServerTarget) -> bool {
    (&a.host, a.port, &a.user, &a.database, a.tls.mode) == (&b.host, b.port, &b.user, &b.database, b.tls.mode)
}
