//! LISTEN for many sessions over one connection.
//!
//! A [`Hub`] belongs to one (database, user). Sessions say in its [`table`] which channels they want,
//! its [`task`] keeps one connection to the primary that listens to just these, and what is heard goes
//! to the [`mailbox`] of each. When a client is told of it, its session decides; NOTIFY is left to
//! PostgreSQL, and so is what rolls back with a transaction.
//! <https://www.postgresql.org/docs/current/sql-listen.html>

mod mailbox;
mod table;
mod task;

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use indexmap::IndexSet;
use tokio::sync::Notify;

pub use self::mailbox::{Notification, Parcel};
use self::{mailbox::Mailbox, table::Table};
use crate::server::ServerTarget;

/// Most channels of one session. Each of its transactions with an UNLISTEN names them all.
pub const CHANNELS_MAX: usize = 1_000;

/// The names of channels, as PostgreSQL has them and in its order: that of the LISTENs, which
/// `pg_listening_channels()` shows.
pub type Channels = IndexSet<Arc<str>>;

/// Appends a command on a channel: `LISTEN "a";`.
pub fn push_command(sql: &mut String, command: &str, channel: &str) {
    sql.push_str(command);
    sql.push_str(" \"");
    for character in channel.chars() {
        if character == '"' {
            sql.push('"');
        }
        sql.push(character);
    }
    sql.push_str("\";");
}

/// Knows where notifications come from: asked again and again, so that a failover or a reload is noticed.
pub trait Primary: Send + Sync {
    /// The node that takes writes now, and how it is entered; `None` while that is not known.
    fn target(&self) -> Option<Arc<ServerTarget>>;
}

/// What one (database, user) listens to. Costs no connection while that is nothing.
#[derive(Debug, Default)]
pub struct Hub {
    table: Mutex<Table>,
    /// Rings when the table has work for the connection.
    wanted: Notify,
    /// Rings when the connection listens to more channels than before, has caught up, or is lost.
    confirmed: Notify,
    gaps: AtomicU64,
    ids: AtomicU64,
}

/// Numbers for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// There is a connection.
    pub connected: bool,
    /// Channels that somebody listens to.
    pub channels: usize,
    /// Sessions that listen to something.
    pub sessions: usize,
    /// How often the connection was lost while somebody listened.
    pub gaps: u64,
}

impl Hub {
    /// A session that listens to nothing yet.
    pub fn subscription(self: &Arc<Self>, primary: Arc<dyn Primary>) -> Subscription {
        let mailbox = Arc::new(Mailbox::new(self.ids.fetch_add(1, Relaxed)));
        Subscription { hub: Arc::clone(self), primary, mailbox, channels: Arc::default() }
    }

    /// Numbers for metrics.
    pub fn numbers(&self) -> Numbers {
        let gaps = self.gaps.load(Relaxed);
        let table = self.table();
        Numbers { connected: table.connected, channels: table.channels(), sessions: table.sessions(), gaps }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing panics while it holds the table")
    }

    /// Has the table looked at, by a task that is started if there is none.
    fn ask(self: &Arc<Self>, primary: &Arc<dyn Primary>) {
        let kept = std::mem::replace(&mut self.table().kept, true);
        if !kept {
            tokio::spawn(task::keep(Arc::clone(self), Arc::clone(primary)));
        }
        self.wanted.notify_one();
    }

    /// The connection has ended. Until there is another, whoever listened may miss something.
    fn lose(&self) {
        if self.table().lose() {
            self.gaps.fetch_add(1, Relaxed);
        }
        self.confirmed.notify_waiters();
    }

    /// How many sessions have asked to hear what was committed before; `None` when all have.
    fn asked(&self) -> Option<u64> {
        let table = self.table();
        (table.asked > table.answered).then_some(table.asked)
    }

    /// So many have heard it.
    fn answer(&self, asked: u64) {
        self.table().answered = asked;
        self.confirmed.notify_waiters();
    }

    /// The connection listens to these too; who may have missed something is told so.
    fn confirm(&self, listened: &[Arc<str>]) {
        let missed = self.table().confirm(listened);
        for mailbox in missed {
            mailbox.put(Parcel::Gap);
        }
        self.confirmed.notify_waiters();
    }
}

/// One session's channels, and what was heard on them. Dropped, it listens to nothing.
pub struct Subscription {
    hub: Arc<Hub>,
    primary: Arc<dyn Primary>,
    mailbox: Arc<Mailbox>,
    channels: Arc<Channels>,
}

impl Subscription {
    /// What it listens to, or has begun to.
    pub fn channels(&self) -> &Arc<Channels> {
        &self.channels
    }

    /// Begins to listen to these too. [`listens`](Self::listens) waits until it does.
    pub fn add<'a>(&mut self, channels: impl Iterator<Item = &'a str>) {
        let own = Arc::make_mut(&mut self.channels);
        let mut table = self.hub.table();
        for channel in channels {
            let channel: Arc<str> = Arc::from(channel);
            table.subscribe(&channel, &self.mailbox);
            own.insert(channel);
        }
        drop(table);
        self.hub.ask(&self.primary);
    }

    /// Listens to no others any more.
    pub fn keep(&mut self, kept: impl Fn(&str) -> bool) {
        let own = Arc::make_mut(&mut self.channels);
        let mut table = self.hub.table();
        own.retain(|channel| {
            let kept = kept(channel);
            if !kept {
                table.unsubscribe(channel, &self.mailbox);
            }
            kept
        });
        drop(table);
        self.hub.wanted.notify_one();
    }

    /// Waits until whatever is committed from now on is heard, on all of the channels.
    pub async fn listens(&self) {
        loop {
            let confirmed = self.hub.confirmed.notified();
            tokio::pin!(confirmed);
            confirmed.as_mut().enable();
            if self.hub.table().hears_all(&self.channels) {
                return;
            }
            confirmed.await;
        }
    }

    /// Waits until all that has been committed is heard; not when there is no connection.
    pub async fn catches_up(&self) {
        let asked = {
            let mut table = self.hub.table();
            table.asked += 1;
            table.asked
        };
        self.hub.wanted.notify_one();
        loop {
            let confirmed = self.hub.confirmed.notified();
            tokio::pin!(confirmed);
            confirmed.as_mut().enable();
            {
                let table = self.hub.table();
                if table.answered >= asked || !table.connected {
                    return;
                }
            }
            confirmed.await;
        }
    }

    /// Whether payloads come in this `client_encoding`; in what else they come if not, nobody could tell.
    pub fn is_encoded_as(&self, encoding: &str) -> bool {
        self.hub.table().encoding.as_deref().is_some_and(|ours| ours.eq_ignore_ascii_case(encoding))
    }

    /// Ready when [`next`](Self::next) has something, or [`has_overflowed`](Self::has_overflowed).
    pub fn poll_news(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.mailbox.poll_filled(cx)
    }

    /// What was heard first.
    #[expect(clippy::should_implement_trait, reason = "it ends and goes on again")]
    pub fn next(&mut self) -> Option<Parcel> {
        loop {
            match self.mailbox.take()? {
                // On a channel that it has left meanwhile.
                Parcel::Notification(heard) if !self.channels.contains(&heard.channel) => {}
                parcel => return Some(parcel),
            }
        }
    }

    /// More was heard than is kept for one session; all of it is lost.
    pub fn has_overflowed(&self) -> bool {
        self.mailbox.has_overflowed()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.keep(|_| false);
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("channels", &self.channels).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
