//! What was heard for one session and has not been told to its client yet.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use atomic_waker::AtomicWaker;

/// Most that waits for one session. Sessions of one channel share what was heard, so each costs a pointer.
pub(super) const PARCELS_MAX: usize = 10_000;
/// Most bytes of it, for a session that shares with nobody: as many notifications of some common length.
pub(super) const PARCELS_MAX_BYTES: usize = 16 * 1024 * 1024;

/// A NOTIFY that was heard, ready for every client.
#[derive(Debug, PartialEq, Eq)]
pub struct Notification {
    /// Its channel.
    pub channel: Arc<str>,
    /// The NotificationResponse.
    pub message: Box<[u8]>,
}

/// One thing that a session has to tell its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parcel {
    /// A NOTIFY.
    Notification(Arc<Notification>),
    /// The connection was lost and is back: there may have been more before.
    Gap,
}

impl Parcel {
    fn len_bytes(&self) -> usize {
        match self {
            Self::Notification(heard) => heard.message.len(),
            Self::Gap => 0,
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    parcels: VecDeque<Parcel>,
    bytes: usize,
}

/// A bounded queue with one reader.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// Whose it is.
    pub(super) id: u64,
    queue: Mutex<Queue>,
    overflowed: AtomicBool,
    reader: AtomicWaker,
}

impl Mailbox {
    pub(super) fn new(id: u64) -> Self {
        Self { id, queue: Mutex::default(), overflowed: AtomicBool::new(false), reader: AtomicWaker::new() }
    }

    /// Puts one more in; what does not fit takes all else with it.
    pub(super) fn put(&self, parcel: Parcel) {
        if self.has_overflowed() {
            return;
        }
        let mut queue = self.lock();
        let bytes = queue.bytes + parcel.len_bytes();
        if queue.parcels.len() >= PARCELS_MAX || bytes > PARCELS_MAX_BYTES {
            *queue = Queue::default();
            self.overflowed.store(true, SeqCst);
        } else if parcel != Parcel::Gap || queue.parcels.back() != Some(&Parcel::Gap) {
            queue.bytes = bytes;
            queue.parcels.push_back(parcel);
        }
        drop(queue);
        self.reader.wake();
    }

    pub(super) fn take(&self) -> Option<Parcel> {
        let mut queue = self.lock();
        let Some(parcel) = queue.parcels.pop_front() else {
            // Who is told all that was heard needs no room for more.
            *queue = Queue::default();
            return None;
        };
        queue.bytes -= parcel.len_bytes();
        Some(parcel)
    }

    pub(super) fn has_overflowed(&self) -> bool {
        self.overflowed.load(SeqCst)
    }

    pub(super) fn poll_filled(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Registered first, so that what comes in between wakes.
        self.reader.register(cx.waker());
        if self.has_overflowed() || !self.lock().parcels.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics while it holds the queue")
    }
}
