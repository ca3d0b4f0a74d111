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
use tokio::{
    sync::{Notify, futures::Notified, oneshot},
    time::Instant,
};

use super::{CheckoutError, Quota, worker};
use crate::{
    clock::Moment,
    id::PoolKey,
    server::{self, ConnectError, Server, ServerTarget, settings::Settings},
};

/// Settings of a pool's sessions that are remembered as good; others are tried with a round trip of their own.
const TAKEN_MAX: usize = 64;

/// What bounds a pool; replaced as a whole by a reload.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolLimits {
    /// Most servers.
    pub size: usize,
    /// Fewest servers once the pool is in use.
    pub min_size: usize,
    /// Extra servers for those who wait longer than `reserve_timeout`.
    pub reserve: usize,
    /// How long a client waits before the reserve is opened.
    pub reserve_timeout: Duration,
    /// Longest wait for a server; zero = for ever.
    pub wait_timeout: Duration,
    /// When a waiting client is told so; zero = never.
    pub wait_notify: Duration,
    /// How long a failed login makes the pool careful: one attempt at a time.
    pub login_retry: Duration,
    /// Age at which a server is closed once it is idle; zero = never.
    pub lifetime: Duration,
    /// Idleness after which a server is closed; zero = never.
    pub idle_timeout: Duration,
    /// Idleness after which a server is asked whether it still lives.
    pub check_delay: Duration,
    /// What it is asked.
    pub check_query: Option<String>,
    /// Statements prepared on one server at most.
    pub max_prepared: usize,
    /// Run on each new server.
    pub connect_query: Option<String>,
}

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
    pub(super) since: Instant,
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

    fn push_idle(&mut self, server: Box<Server>) {
        let worker = server.worker();
        if self.idle.len() <= worker {
            self.idle.resize_with(worker + 1, Vec::new);
        }
        self.idle[worker].push(server);
    }

    pub(super) fn idle_count(&self) -> usize {
        self.idle.iter().map(Vec::len).sum()
    }
}

/// The servers of one (database, user, node).
pub struct Pool {
    /// What it is for.
    pub key: PoolKey,
    target: ArcSwap<ServerTarget>,
    limits: ArcSwap<PoolLimits>,
    database_quota: Arc<Quota>,
    user_quota: Arc<Quota>,
    busy: AtomicU32,
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
    /// An empty pool.
    pub fn new(
        key: PoolKey,
        target: ServerTarget,
        limits: PoolLimits,
        database_quota: Arc<Quota>,
        user_quota: Arc<Quota>,
    ) -> Arc<Self> {
        Arc::new(Self {
            key,
            target: ArcSwap::from_pointee(target),
            limits: ArcSwap::from_pointee(limits),
            database_quota,
            user_quota,
            busy: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            age: AtomicU64::new(0),
            disabled: AtomicBool::new(false),
            taken: Mutex::default(),
            line: Mutex::default(),
        })
    }

    /// What bounds it now.
    pub fn limits(&self) -> arc_swap::Guard<Arc<PoolLimits>> {
        self.limits.load()
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
        self.limits.store(Arc::new(limits));
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
            longest_wait: line.waiters.front().map(|first| first.since.elapsed()).unwrap_or_default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().expect("nothing panics while it holds the line")
    }

    pub(super) fn count_busy(&self) {
        self.busy.fetch_add(1, Relaxed);
    }

    pub(super) fn count_free(&self) {
        self.busy.fetch_sub(1, Relaxed);
    }

    /// Whether a server that came back may be used again.
    pub(super) fn takes_back(&self, server: &Server, now: Moment) -> bool {
        let limits = self.limits.load();
        server.age == self.age.load(Relaxed) && (limits.lifetime.is_zero() || now.since(server.born) < limits.lifetime)
    }

    /// Hands a server to the first in line, or keeps it.
    pub(super) fn settle(&self, mut server: Box<Server>) {
        let mut line = self.lock();
        if line.paused {
            drop(line);
            return;
        }
        while let Some(waiter) = line.waiters.pop_front() {
            match waiter.hand.send(Ok(server)) {
                Ok(()) => return,
                Err(back) => server = back.expect("what comes back is what was sent"),
            }
        }
        line.push_idle(server);
    }

    /// Takes a place in the line; whoever is the first may find a server waiting.
    pub(super) fn stand_in_line(
        self: &Arc<Self>,
        since: Instant,
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
                line.waiters.push_back(Waiter { since, hand });
                drop(line);
                self.open_more(0);
            }
        }
        receiver
    }

    /// Opens as many servers as the line needs and the limits allow, `extra` of the reserve included.
    pub(super) fn open_more(self: &Arc<Self>, extra: usize) {
        let limits = self.limits.load();
        let mut line = self.lock();
        line.waiters.retain(|waiter| !waiter.hand.is_closed());
        if line.paused {
            return;
        }
        // After a failure one attempt at a time, so that a node in trouble is not stormed.
        let at_once = if line.failing_since.is_some() { 1 } else { usize::MAX };
        while line.connecting < line.waiters.len().min(at_once) && line.open < limits.size + extra && self.take_quota()
        {
            line.open += 1;
            line.connecting += 1;
            tokio::spawn(Arc::clone(self).open_one());
        }
    }

    /// Opens a server though nobody waits, if the limits allow.
    pub(super) fn open_spare(self: &Arc<Self>) {
        let mut line = self.lock();
        if !line.paused && line.failing_since.is_none() && line.open < self.limits.load().size && self.take_quota() {
            line.open += 1;
            line.connecting += 1;
            tokio::spawn(Arc::clone(self).open_one());
        }
    }

    fn take_quota(&self) -> bool {
        if !self.database_quota.take() {
            return false;
        }
        let taken = self.user_quota.take();
        if !taken {
            self.database_quota.give();
        }
        taken
    }

    async fn open_one(self: Arc<Self>) {
        let opening = server::Opening {
            pool: self.key.clone(),
            target: self.target.load_full(),
            place: Box::new(Slot { pool: Arc::clone(&self) }),
            age: self.age.load(Relaxed),
            worker: worker::current(),
            connect_query: self.limits.load().connect_query.clone(),
        };
        let opened = server::open(opening).await;
        let mut line = self.lock();
        line.connecting -= 1;
        match opened {
            Ok(server) => {
                line.failing_since = None;
                drop(line);
                self.settle(server);
                self.open_more(0);
            }
            Err(cause) => self.opening_failed(line, cause),
        }
    }

    fn opening_failed(&self, mut line: MutexGuard<'_, Line>, cause: ConnectError) {
        tracing::warn!(pool = %self.key, error = %cause, "could not open a server");
        line.failing_since = Some(Instant::now());
        // While other servers of this pool live, those in line may still get one of them.
        let refused = matches!(cause, ConnectError::Auth(_) | ConnectError::NoSecret { .. } | ConnectError::Startup(_));
        let hopeless = line.open == 0 || (refused && !cause.is_full());
        let waiters = if hopeless { std::mem::take(&mut line.waiters) } else { VecDeque::new() };
        drop(line);
        let cause = Arc::new(cause);
        for waiter in waiters {
            let _ = waiter.hand.send(Err(CheckoutError::Connect { pool: self.key.clone(), cause: Arc::clone(&cause) }));
        }
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

/// Rings whenever a server of any pool has been closed.
static SERVER_CLOSED: Notify = Notify::const_new();

/// Waits until the next server is closed, of whatever pool. Create it before looking whether there
/// are servers left, and none that is closed in between is missed.
pub fn server_closed() -> Notified<'static> {
    SERVER_CLOSED.notified()
}

/// A server's place in its pool's count; given up when it is dropped.
#[derive(Debug)]
pub struct Slot {
    pool: Arc<Pool>,
}

impl Slot {
    /// The pool that the place is in.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.database_quota.give();
        self.pool.user_quota.give();
        let mut line = self.pool.lock();
        line.open -= 1;
        let wanted = !line.waiters.is_empty();
        drop(line);
        SERVER_CLOSED.notify_waiters();
        // Outside a runtime (at the very end of the process) nobody waits any more.
        if wanted && tokio::runtime::Handle::try_current().is_ok() {
            self.pool.open_more(0);
        }
    }
}
