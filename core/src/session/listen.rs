//! LISTEN in transaction mode: the [hub](crate::listen) hears for the session, so that it keeps no server.
//!
//! The hub listens *before* a LISTEN is committed. So whatever is committed afterwards comes through the
//! hub, and what the server sends of it meanwhile is dropped; nothing has to be compared. When the
//! transaction is over, the server says what it listens to ([`settle`](super::settle)); the session has
//! the hub listen to just that, and the server to nothing. A session that leaves channels, or asks for
//! them, has its server listen to all of them first: what UNLISTEN does, and when, is PostgreSQL's.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::timeout;

use super::{
    Session,
    error::SessionError,
    relay::Broken,
    traces::{Causes, Relisted, Traces},
    unit::messages,
};
use crate::{
    config::PoolMode,
    facts::Role,
    id::NodeId,
    listen::{self, CHANNELS_MAX, Parcel, Primary},
    server::{RunError, ServerTarget},
    sql::effect::Effect,
    wire::{
        reply::{self, Severity, TxStatus},
        sqlstate::SqlState,
    },
    worker::Shared,
};

/// Longest wait for the hub. Without it the session keeps its server, as for whatever cannot be carried.
const HUB_PATIENCE: Duration = Duration::from_secs(3);

/// How much is told to the client at one go.
const TOLD_MAX_BYTES: usize = 64 * 1024;

/// What payloads are encoded in.
const ENCODING: &str = "client_encoding";

/// Where a session's primary is, through all reloads.
struct PrimaryOf {
    shared: Arc<Shared>,
    database: Arc<str>,
    user: Arc<str>,
}

impl Primary for PrimaryOf {
    fn target(&self) -> Option<Arc<ServerTarget>> {
        let set = self.shared.registry.find(&self.database, &self.user)?;
        let generation = self.shared.generation.load();
        let facts = generation.clusters.get(&set.cluster)?.facts.load();
        // A cluster of one node has its primary even when nobody may ask it.
        let primary = facts.primary.or((facts.nodes.len() == 1).then_some(NodeId(0)))?;
        let pool = set.pool(facts.node(primary)?)?;
        Some(Arc::clone(&pool.target()))
    }
}

impl Session {
    /// Somebody else may listen for the session.
    pub(super) fn has_listener(&self) -> bool {
        self.set.mode == PoolMode::Transaction || self.listening.is_some()
    }

    /// Whether the request may commit a LISTEN; then the hub is to listen already.
    #[inline]
    pub(super) fn may_commit_listens(&self) -> bool {
        let Some(traces) = &self.traces else { return false };
        !traces.listens.is_empty() && self.has_listener() && (traces.commits || !self.is_in_transaction())
    }

    /// Has the hub listen to what the request may commit.
    pub(super) async fn listen_ahead(&mut self) -> Result<(), SessionError> {
        let Some(traces) = &mut self.traces else { return Ok(()) };
        let mut wanted = std::mem::take(&mut traces.listens);
        if let Some(listening) = &self.listening {
            wanted.retain(|channel| !listening.channels().contains(&**channel));
        }
        let heard = self.subscribe(&wanted).await;
        self.mute();
        let Some(traces) = &mut self.traces else { return Ok(()) };
        if heard {
            traces.ahead.append(&mut wanted);
            return Ok(());
        }
        traces.unheard = true;
        let allowed = self.may_keep_server(Causes::LISTEN);
        if allowed.is_err()
            && let Some(traces) = &mut self.traces
        {
            // Whoever sends the COMMIT again has to be refused again.
            traces.listens = wanted;
        }
        allowed
    }

    /// Has the hub listen to these too. False, and nothing has changed, when it cannot be had in time.
    async fn subscribe<T: AsRef<str>>(&mut self, channels: &[T]) -> bool {
        let names = || channels.iter().map(T::as_ref);
        // A name that could not be read back is nobody's.
        if names().any(|name| name.contains('\u{fffd}')) {
            return false;
        }
        let listening = self.listening.get_or_insert_with(|| {
            let place = PrimaryOf {
                shared: Arc::clone(&self.worker.shared),
                database: Arc::clone(&self.set.database),
                user: Arc::clone(&self.set.user),
            };
            Box::new(self.set.shared.listen.subscription(Arc::new(place)))
        });
        let before = Arc::clone(listening.channels());
        let mut heard = before.len() + channels.len() <= CHANNELS_MAX;
        if heard {
            listening.add(names());
            heard = timeout(HUB_PATIENCE, listening.listens()).await.is_ok();
            heard &= self.is_encoded_alike();
        }
        if !heard {
            self.listen_only_to(|channel| before.contains(channel));
        }
        heard
    }

    /// The hub, if there is one, hears in the session's encoding; the default of its servers is the hub's too.
    fn is_encoded_alike(&self) -> bool {
        match (&self.listening, self.settings.value(ENCODING)) {
            (Some(listening), Some(encoding)) => listening.is_encoded_as(encoding),
            _ => true,
        }
    }

    /// Leaves all other channels.
    fn listen_only_to(&mut self, kept: impl Fn(&str) -> bool) {
        let Some(listening) = &mut self.listening else { return };
        listening.keep(kept);
        if listening.channels().is_empty() {
            self.listening = None;
        }
    }

    /// Of channels that the hub hears, the servers' word is not needed.
    fn mute(&mut self) {
        self.exchange.muted = self.listening.as_ref().map(|listening| Arc::clone(listening.channels()));
    }

    /// The LISTENs that the hub was told of have not come to be.
    pub(super) fn listen_to_no_more(&mut self, traces: &Traces) {
        if !traces.ahead.is_empty() {
            self.listen_only_to(|channel| !traces.ahead.iter().any(|ahead| **ahead == *channel));
            self.mute();
        }
    }

    /// Notes whether a statement needs a server that knows what the session listens to.
    pub(super) fn note_channels(&self, effect: &Effect, traces: &mut Traces) -> bool {
        let needs = match effect {
            Effect::RecallChannels => {
                self.set.shared.note_recalls_channels();
                true
            }
            // Inside, a server shows only what it has listened to before.
            Effect::Begin(_) => self.set.shared.recalls_channels(),
            _ => false,
        };
        if needs && self.listening.is_some() {
            traces.need_channels();
        }
        needs && self.listening.is_some()
    }

    /// The request needs a server that knows what the session listens to.
    #[inline]
    pub(super) fn must_relist(&self) -> bool {
        self.listening.is_some()
            && (self.traces.as_ref().is_some_and(|traces| traces.unlistens)
                || self.begun.is_some() && self.set.shared.recalls_channels())
    }

    /// In front of such a request, has the server listen to what the session listens to.
    #[inline]
    pub(super) fn relist(&mut self) -> bool {
        self.must_relist() && self.lease_role != Role::Standby && self.relist_at_server()
    }

    #[inline(never)]
    fn relist_at_server(&mut self) -> bool {
        let (Some(listening), Some(lease)) = (&self.listening, &mut self.lease) else { return false };
        let traces = self.traces.get_or_insert_default();
        traces.suspect(Causes::LISTEN);
        if lease.status == TxStatus::Failed || traces.knows_channels() || matches!(traces.relisted, Relisted::Inside(_))
        {
            return false;
        }
        let mut sql = String::new();
        for channel in listening.channels().iter() {
            if !traces.ahead.iter().any(|ahead| **ahead == **channel) {
                listen::push_command(&mut sql, "LISTEN", channel);
            }
        }
        traces.unlistens = false;
        traces.committed = false;
        traces.relisted = match lease.status {
            TxStatus::Idle => Relisted::Before,
            // It may be undone by what it is sent with: then rather a channel too many.
            _ if self.transaction.rolls_back => Relisted::No,
            _ => Relisted::Inside(Vec::new()),
        };
        if !sql.is_empty() {
            self.exchange.precede(lease, sql.as_bytes());
        }
        true
    }

    /// The transaction is over: what the session listens to, the hub has to hear, and nobody else. False
    /// when the server has to go on listening.
    #[inline]
    pub(super) async fn settle_channels(&mut self, traces: &Traces, found: &[String]) -> Result<bool, SessionError> {
        let mut carried = true;
        if traces.suspects.contain(Causes::LISTEN) {
            carried = match self.has_listener() {
                true => Box::pin(self.carry_channels(traces, found)).await?,
                false => found.is_empty(),
            };
        }
        // A standby cannot listen.
        if !self.is_encoded_alike() && self.lease_role != Role::Standby {
            carried = false;
            Box::pin(self.listen_by_itself()).await?;
        }
        Ok(carried)
    }

    /// The server listens to `found`: hands that over to the hub, if that can be.
    async fn carry_channels(&mut self, traces: &Traces, found: &[String]) -> Result<bool, SessionError> {
        let before = self.listening.as_ref().map(|listening| Arc::clone(listening.channels())).unwrap_or_default();
        // These come as a surprise: a function listens, or a text that could not be read.
        let more: Vec<&str> = found.iter().map(String::as_str).filter(|channel| !before.contains(*channel)).collect();
        let carried = match more.is_empty() {
            true => found.is_empty() || self.is_encoded_alike(),
            false => !traces.unheard && self.subscribe(&more).await,
        };
        if !carried && found.iter().any(|channel| before.contains(channel.as_str())) {
            self.tell_of_change().await?;
        }
        let knows = traces.knows_channels();
        self.listen_only_to(|channel| {
            let ahead = traces.ahead.iter().any(|ahead| **ahead == *channel);
            match found.iter().any(|found| *found == *channel) {
                true => carried,
                false => !knows && !ahead && before.contains(channel),
            }
        });
        if carried && !found.is_empty() {
            self.tell_server("UNLISTEN *").await?;
        }
        self.mute();
        Ok(carried)
    }

    /// By now the session has another encoding than the hub: its server listens instead.
    async fn listen_by_itself(&mut self) -> Result<(), SessionError> {
        let Some(listening) = &self.listening else { return Ok(()) };
        let mut sql = String::new();
        listening.channels().iter().for_each(|channel| listen::push_command(&mut sql, "LISTEN", channel));
        self.tell_server(&sql).await?;
        self.tell_of_change().await?;
        self.listening = None;
        self.mute();
        Ok(())
    }

    /// From now on the server is heard. What the hub has not heard yet nobody tells.
    async fn tell_of_change(&mut self) -> Result<(), SessionError> {
        self.deliver().await?;
        self.exchange.say(tell_of_gap);
        Ok(())
    }

    /// Has the server listen to other channels; what it heard last goes to the client.
    async fn tell_server(&mut self, sql: &str) -> Result<(), SessionError> {
        let Some(lease) = &mut self.lease else { return Ok(()) };
        let mut aside = Vec::new();
        let done = lease.ask_aside(sql, |_| (), |tag, message| keep_notification(&mut aside, tag, message)).await;
        self.pass_on(&aside);
        done.map_err(|error: RunError| {
            self.lease = None;
            SessionError::Settings(error)
        })
    }

    /// Passes on notifications that came with an answer of ours, unless the hub hears them too.
    pub(super) fn pass_on(&mut self, notifications: &[u8]) {
        for (_, body, whole) in messages(notifications) {
            if !self.exchange.mutes(body) {
                self.exchange.say(|out| out.extend_from_slice(whole));
            }
        }
    }

    /// Ready when the client can be told something: never in a transaction, as PostgreSQL does.
    pub(super) fn poll_heard(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.listening {
            Some(listening) if !self.is_in_transaction() => listening.poll_news(cx),
            _ => Poll::Pending,
        }
    }

    /// Whether the client is to hear of the request's own NOTIFY before it hears that it is over, as it does from a
    /// server that listens.
    pub(super) fn may_notify_itself(&self) -> bool {
        self.listening.is_some() && self.transaction.wrote
    }

    /// Tells what was committed so far, and then that the transaction is over.
    pub(super) async fn hear_own(&mut self) -> Result<(), SessionError> {
        // What it listens to may have changed with the transaction.
        if self.traces.is_some() {
            self.settle().await?;
        }
        if let Some(listening) = &self.listening {
            let _ = timeout(HUB_PATIENCE, listening.catches_up()).await;
        }
        self.deliver().await?;
        self.exchange.say(|out| reply::ready_for_query(out, TxStatus::Idle));
        Ok(())
    }

    /// Tells the client what was heard, or some of it: in between it may ask for something.
    /// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC>
    pub(super) async fn deliver(&mut self) -> Result<(), SessionError> {
        if self.is_in_transaction() {
            return Ok(());
        }
        while let Some(listening) = &mut self.listening
            && self.exchange.to_client.len() < TOLD_MAX_BYTES
        {
            if listening.has_overflowed() {
                return Err(SessionError::TooManyNotifications);
            }
            match listening.next() {
                Some(Parcel::Notification(heard)) => self.exchange.say(|out| out.extend_from_slice(&heard.message)),
                Some(Parcel::Gap) => self.exchange.say(tell_of_gap),
                None => break,
            }
        }
        poll_fn(|cx| self.poll_told(cx)).await
    }

    /// Sends the client all that it is told; gives up on one that does not read while more is heard.
    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SessionError>> {
        if let Poll::Ready(flushed) = self.exchange.poll_flush(&mut self.client, cx) {
            return Poll::Ready(flushed.map_err(|cause| Broken::Client(cause).into()));
        }
        if let Some(listening) = &self.listening {
            // Wakes with whatever comes next, too.
            let _ = listening.poll_news(cx);
            if listening.has_overflowed() {
                return Poll::Ready(Err(SessionError::TooManyNotifications));
            }
        }
        self.heed_orders(cx);
        self.due_order().map_or(Poll::Pending, |order| Poll::Ready(Err(SessionError::Ordered(order))))
    }
}

/// Keeps a message that came with an answer of ours, if it is one that the client is to see.
pub(super) fn keep_notification(kept: &mut Vec<u8>, tag: u8, message: &[u8]) {
    if tag == b'A' {
        kept.extend_from_slice(message);
    }
}

fn tell_of_gap(out: &mut Vec<u8>) {
    reply::notice(
        out,
        Severity::Notice,
        SqlState::WARNING,
        "notifications may have been lost",
        "Another connection listens for this session now.",
        "Look at what you would have been notified of.",
    );
}
