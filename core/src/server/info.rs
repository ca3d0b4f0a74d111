//! What the console shows of a server, and what a cancel request needs of it.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    task::Waker,
    time::SystemTime,
};

use atomic_waker::AtomicWaker;
use tokio::sync::Notify;

use super::ServerTarget;
use crate::id::PoolKey;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static ALL: LazyLock<Mutex<HashMap<u64, Weak<ServerInfo>>>> = LazyLock::new(Mutex::default);

/// One open server, as others than its session see it.
#[derive(Debug)]
pub struct ServerInfo {
    /// Unique in this process, never zero.
    pub id: u64,
    /// Its pool.
    pub pool: PoolKey,
    /// Where it is, for cancel requests.
    pub target: Arc<ServerTarget>,
    /// The server process that serves it.
    pub pid: u32,
    /// Its cancel key.
    pub key: Vec<u8>,
    /// When it was opened.
    pub connected: SystemTime,
    /// Pool age it was opened in.
    pub age: u64,
    /// Under TLS.
    pub tls: bool,
    client: AtomicU64,
    canceling: AtomicU32,
    cancel_done: Notify,
    statements: AtomicU32,
    close_needed: AtomicBool,
    cut: AtomicBool,
    waker: AtomicWaker,
}

impl ServerInfo {
    /// Registers an open server; it is forgotten when the last owner drops it.
    pub fn register(
        pool: PoolKey,
        target: Arc<ServerTarget>,
        pid: u32,
        key: Vec<u8>,
        age: u64,
        tls: bool,
    ) -> Arc<Self> {
        let info = Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            pool,
            target,
            pid,
            key,
            connected: SystemTime::now(),
            age,
            tls,
            client: AtomicU64::new(0),
            canceling: AtomicU32::new(0),
            cancel_done: Notify::new(),
            statements: AtomicU32::new(0),
            close_needed: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        all().insert(info.id, Arc::downgrade(&info));
        info
    }

    /// The open server of that number.
    pub fn find(id: u64) -> Option<Arc<Self>> {
        all().get(&id).and_then(Weak::upgrade)
    }

    /// All open servers.
    pub fn list() -> Vec<Arc<Self>> {
        all().values().filter_map(Weak::upgrade).collect()
    }

    /// The client that has it, 0 for none.
    pub fn client(&self) -> u64 {
        self.client.load(Ordering::Relaxed)
    }

    /// Notes which client has it.
    pub fn went_to(&self, client: u64) {
        self.client.store(client, Ordering::Relaxed);
    }

    /// Notes that nobody has it. A cancel request goes by what its client's [`ClientInfo`] says, not by this.
    ///
    /// [`ClientInfo`]: crate::session::info::ClientInfo
    pub fn went_idle(&self) {
        self.client.store(0, Ordering::Relaxed);
    }

    /// Announces a cancel request; until the guard is dropped the server goes to nobody else.
    pub fn begin_cancel(self: &Arc<Self>) -> Canceling {
        self.canceling.fetch_add(1, Ordering::SeqCst);
        Canceling(Arc::clone(self))
    }

    /// A cancel request for it is on its way.
    pub fn is_being_canceled(&self) -> bool {
        self.canceling.load(Ordering::SeqCst) > 0
    }

    /// Waits until no cancel request is on its way.
    pub async fn canceled(&self) {
        loop {
            let done = self.cancel_done.notified();
            if !self.is_being_canceled() {
                return;
            }
            done.await;
        }
    }

    /// How many statements are prepared on it.
    pub fn statements(&self) -> u32 {
        self.statements.load(Ordering::Relaxed)
    }

    /// Notes how many statements are prepared on it.
    pub fn note_statements(&self, count: usize) {
        self.statements.store(u32::try_from(count).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// It is closed as soon as it comes back.
    pub fn close_needed(&self) -> bool {
        self.close_needed.load(Ordering::Relaxed)
    }

    /// Has it closed as soon as it comes back.
    pub fn need_close(&self) {
        self.close_needed.store(true, Ordering::Relaxed);
    }

    /// Its node has nothing to say any more: nobody waits for an answer of it from now on.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Gives it up, whoever uses it. A session that waits for a client's request at it has to be woken too.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    /// Wakes a statement of our own when the server is [cut](Self::cut).
    pub(super) fn wake_when_cut(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}

impl Drop for ServerInfo {
    fn drop(&mut self) {
        all().remove(&self.id);
    }
}

fn all() -> std::sync::MutexGuard<'static, HashMap<u64, Weak<ServerInfo>>> {
    ALL.lock().expect("nothing panics while it holds the table")
}

/// A cancel request on its way.
#[derive(Debug)]
pub struct Canceling(Arc<ServerInfo>);

impl Drop for Canceling {
    fn drop(&mut self) {
        self.0.canceling.fetch_sub(1, Ordering::SeqCst);
        self.0.cancel_done.notify_waiters();
    }
}
