//! What others may know of a client, and how they reach its session.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{
            AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::Waker,
    time::SystemTime,
};

use super::traces::Causes;
use crate::clock::Moment;

/// Length of a cancel key under protocol 3.2; under 3.0 the first four bytes are used.
pub const CANCEL_KEY_BYTES: usize = 32;

/// The proxy's `peer_id` is in the upper bits of its clients' process ids, so that any proxy knows whose they are.
/// The lower ones are drawn; `max_client_conn` leaves some of these numbers free.
const DRAWN_BITS: u32 = 17;

/// The `peer_id` in a process id; 0 for none, unless the proxy has no `peer_id` and drew it all.
pub fn peer_of(pid: u32) -> u16 {
    (pid >> DRAWN_BITS) as u16
}

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ClientState {
    /// Between transactions.
    Idle,
    /// Its request is at a server.
    Active,
    /// In line for a server.
    Waiting,
    /// In a transaction, between requests.
    IdleInTransaction,
}

impl ClientState {
    fn from_u8(value: u8) -> Self {
        match value {
            0 => Self::Idle,
            1 => Self::Active,
            2 => Self::Waiting,
            _ => Self::IdleInTransaction,
        }
    }

    /// PgBouncer's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Active | Self::IdleInTransaction => "active",
            Self::Waiting => "waiting",
        }
    }
}

/// What a session is asked to do by others. The greater number wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Order {
    /// Go on.
    None,
    /// Leave at the next transaction boundary: the proxy shuts down.
    Leave,
    /// Leave at the next transaction boundary: the primary is to be another node, and the session keeps a server.
    Switchover,
    /// `idle_transaction_timeout` has passed.
    IdleTransaction,
    /// `pin_timeout` has passed.
    Pin,
    /// `client_idle_timeout` has passed.
    Idle,
    /// `transaction_timeout` has passed.
    Transaction,
    /// `query_timeout` has passed.
    Query,
    /// Leave at once: KILL.
    Kill,
}

impl Order {
    fn from_u8(value: u8) -> Self {
        match value {
            0 => Self::None,
            1 => Self::Leave,
            2 => Self::Switchover,
            3 => Self::IdleTransaction,
            4 => Self::Pin,
            5 => Self::Idle,
            6 => Self::Transaction,
            7 => Self::Query,
            _ => Self::Kill,
        }
    }
}

/// One client, as others than its session see it.
#[derive(Debug)]
pub struct ClientInfo {
    /// Sent as the process id in BackendKeyData; unique among the clients that are connected.
    pub pid: u32,
    /// Sent as the secret key.
    pub key: [u8; CANCEL_KEY_BYTES],
    /// Login name.
    pub user: Arc<str>,
    /// Database asked for.
    pub database: Arc<str>,
    /// `application_name` at start.
    pub application: Arc<str>,
    /// Where it comes from.
    pub address: crate::net::stream::PeerAddr,
    /// Our end of its connection.
    pub local: crate::net::stream::PeerAddr,
    /// Under TLS.
    pub tls: bool,
    /// It talks to the console: no time limit is kept, and a cancel request ends what it waits for.
    pub console: bool,
    /// When it came.
    pub connected: SystemTime,
    /// The worker that serves it.
    pub worker: u16,
    key_bytes: usize,
    state: AtomicU8,
    order: AtomicU8,
    since_micros: AtomicU64,
    transaction_since_micros: AtomicU64,
    server: AtomicU64,
    statements: AtomicU32,
    pins: AtomicU16,
    pinned_since_micros: AtomicU64,
    wait: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

// Values of `ClientInfo::wait`.
const NOT_WAITING: u8 = 0;
const WAITING: u8 = 1;
const CANCELED: u8 = 2;

/// What a client is when it comes in.
pub struct NewClient {
    /// Login name.
    pub user: Arc<str>,
    /// Database asked for.
    pub database: Arc<str>,
    /// `application_name`.
    pub application: Arc<str>,
    /// Where it comes from.
    pub address: crate::net::stream::PeerAddr,
    /// Our end of its connection.
    pub local: crate::net::stream::PeerAddr,
    /// Under TLS.
    pub tls: bool,
    /// It talks to the console.
    pub console: bool,
    /// The worker that serves it.
    pub worker: u16,
    /// How much of the key the client was given.
    pub key_bytes: usize,
    /// The proxy's `peer_id`, 0 for none.
    pub peer_id: u16,
}

impl ClientInfo {
    /// Whether that is the client's whole cancel key. Takes as long for a wrong one.
    pub fn owns_key(&self, key: &[u8]) -> bool {
        subtle::ConstantTimeEq::ct_eq(&self.key[..self.key_bytes], key).into()
    }

    /// What it does, and since when, in microseconds of [`Moment`].
    pub fn state(&self) -> (ClientState, u64) {
        (ClientState::from_u8(self.state.load(Relaxed)), self.since_micros.load(Relaxed))
    }

    /// When its transaction began, 0 when it is in none.
    pub fn transaction_since(&self) -> u64 {
        self.transaction_since_micros.load(Relaxed)
    }

    pub(crate) fn enter(&self, state: ClientState, now: Moment) {
        self.state.store(state as u8, Relaxed);
        self.since_micros.store(now.micros(), Relaxed);
    }

    pub(super) fn begin_transaction(&self, now: Moment) {
        self.transaction_since_micros.store(now.micros(), Relaxed);
    }

    pub(super) fn end_transaction(&self) {
        self.transaction_since_micros.store(0, Relaxed);
    }

    /// The server it has, 0 for none.
    pub fn server(&self) -> u64 {
        self.server.load(SeqCst)
    }

    pub(super) fn note_server(&self, server: u64) {
        self.server.store(server, SeqCst);
    }

    /// How many statements it has prepared.
    pub fn statements(&self) -> u32 {
        self.statements.load(Relaxed)
    }

    pub(super) fn note_statements(&self, count: usize) {
        self.statements.store(u32::try_from(count).unwrap_or(u32::MAX), Relaxed);
    }

    /// Why it keeps its server, and since when, in microseconds of [`Moment`].
    pub fn pins(&self) -> (Causes, u64) {
        (Causes::from_bits(self.pins.load(Relaxed)), self.pinned_since_micros.load(Relaxed))
    }

    pub(super) fn note_pins(&self, causes: Causes, now: Moment) {
        if self.pins.swap(causes.bits(), Relaxed) == 0 {
            self.pinned_since_micros.store(now.micros(), Relaxed);
        }
    }

    /// The client waits for a server from now on.
    pub(super) fn begin_wait(&self) {
        self.wait.store(WAITING, SeqCst);
    }

    /// Whether its wait has been canceled.
    pub(super) fn is_wait_canceled(&self) -> bool {
        self.wait.load(SeqCst) == CANCELED
    }

    /// It waits no more; true if its wait has been canceled, be it at the last moment.
    pub(super) fn end_wait(&self) -> bool {
        self.wait.swap(NOT_WAITING, SeqCst) == CANCELED
    }

    /// Ends its wait for a server; false when it does not wait.
    pub fn cancel_wait(&self) -> bool {
        let canceled = self.wait.compare_exchange(WAITING, CANCELED, SeqCst, SeqCst).is_ok();
        if canceled {
            self.wake();
        }
        canceled
    }

    /// Has the session look at its server: it was cut.
    pub fn look_at_server(&self) {
        self.wake();
    }

    /// Asks the session to do something; a greater order replaces a smaller one.
    pub fn order(&self, order: Order) {
        if self.order.fetch_max(order as u8, SeqCst) < order as u8 {
            self.wake();
        }
    }

    /// What the session has been asked to do.
    #[inline]
    pub fn ordered(&self) -> Order {
        Order::from_u8(self.order.load(Relaxed))
    }

    /// Forgets an order that has been obeyed, so that it can be given again. KILL stays.
    pub(crate) fn obeyed(&self, order: Order) {
        let _ = self.order.compare_exchange(order as u8, Order::None as u8, SeqCst, SeqCst);
    }

    /// Has that one woken by whatever is to reach the session, until another is registered.
    pub(crate) fn register(&self, waker: &Waker) {
        *self.waker() = Some(waker.clone());
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker() {
            waker.wake_by_ref();
        }
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().expect("nothing panics while it holds the waker")
    }
}

/// All clients that are connected.
#[derive(Debug, Default)]
pub struct Clients {
    shards: [Mutex<HashMap<u32, Arc<ClientInfo>>>; Self::SHARDS],
    count: AtomicUsize,
}

impl Clients {
    const SHARDS: usize = 16;

    /// Counts a connection in, unless there are `max` already.
    #[must_use]
    pub fn admit(&self, max: usize) -> bool {
        self.count.fetch_update(Relaxed, Relaxed, |count| (count < max).then_some(count + 1)).is_ok()
    }

    /// Counts a connection out.
    pub fn dismiss(&self) {
        self.count.fetch_sub(1, Relaxed);
    }

    /// How many connections there are, those that have not logged in yet included.
    pub fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Registers a client under a process id that is free.
    pub fn register(&self, client: NewClient) -> Arc<ClientInfo> {
        let now = Moment::now().micros();
        let mut info = Arc::new(ClientInfo {
            pid: 0,
            key: rand::random(),
            user: client.user,
            database: client.database,
            application: client.application,
            address: client.address,
            local: client.local,
            tls: client.tls,
            console: client.console,
            connected: SystemTime::now(),
            worker: client.worker,
            key_bytes: client.key_bytes.min(CANCEL_KEY_BYTES),
            state: AtomicU8::new(ClientState::Idle as u8),
            order: AtomicU8::new(Order::None as u8),
            since_micros: AtomicU64::new(now),
            transaction_since_micros: AtomicU64::new(0),
            server: AtomicU64::new(0),
            statements: AtomicU32::new(0),
            pins: AtomicU16::new(0),
            pinned_since_micros: AtomicU64::new(0),
            wait: AtomicU8::new(NOT_WAITING),
            waker: Mutex::default(),
        });
        loop {
            // Positive as a signed number, as a process id is.
            let pid = match client.peer_id {
                0 => rand::random::<u32>() >> 1,
                id => u32::from(id) << DRAWN_BITS | rand::random::<u32>() >> (32 - DRAWN_BITS),
            };
            let mut shard = self.shard(pid);
            if pid != 0 && !shard.contains_key(&pid) {
                Arc::get_mut(&mut info).expect("nobody else has it yet").pid = pid;
                shard.insert(pid, Arc::clone(&info));
                return info;
            }
        }
    }

    /// Forgets a client.
    pub fn forget(&self, pid: u32) {
        self.shard(pid).remove(&pid);
    }

    /// The client of that process id.
    pub fn find(&self, pid: u32) -> Option<Arc<ClientInfo>> {
        self.shard(pid).get(&pid).cloned()
    }

    /// All clients.
    pub fn list(&self) -> Vec<Arc<ClientInfo>> {
        (0..Self::SHARDS).flat_map(|shard| self.lock(shard).values().cloned().collect::<Vec<_>>()).collect()
    }

    fn shard(&self, pid: u32) -> MutexGuard<'_, HashMap<u32, Arc<ClientInfo>>> {
        self.lock(pid as usize % Self::SHARDS)
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, HashMap<u32, Arc<ClientInfo>>> {
        self.shards[shard].lock().expect("nothing panics while it holds the table")
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicU32, task::Wake};

    use super::*;
    use crate::net::stream::PeerAddr;

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn a_session_that_has_registered_once_is_woken_each_time() {
        let [user, database, application] = ["u", "d", "a"].map(Arc::from);
        let (address, local) = (PeerAddr::Unix, PeerAddr::Unix);
        let client = Clients::default().register(NewClient {
            user,
            database,
            application,
            address,
            local,
            tls: false,
            console: false,
            worker: 0,
            key_bytes: 4,
            peer_id: 0,
        });
        let woken = Arc::new(Woken::default());
        client.register(&Waker::from(Arc::clone(&woken)));

        client.order(Order::Leave);
        client.order(Order::Leave);
        assert_eq!(woken.0.load(SeqCst), 1, "it was told so before");
        client.obeyed(Order::Leave);
        client.order(Order::Kill);
        client.look_at_server();
        assert_eq!(woken.0.load(SeqCst), 3);

        assert!(!client.cancel_wait(), "it does not wait");
        client.begin_wait();
        assert!(client.cancel_wait() && client.end_wait());
        assert_eq!(woken.0.load(SeqCst), 4);
    }
}
