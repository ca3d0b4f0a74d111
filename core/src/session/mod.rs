//! A client's stay: takes its requests one by one, has each routed, lent a server and carried.
//!
//! The story is [`Session::serve`]. [`unit`] finds where a request ends, [`attempt`] tries nodes until one has
//! served it: [`route`] chooses the node, [`lend`] gets a server ready, [`translate`] rewrites names, and [`relay`]
//! carries the bytes. [`settle`] finds out what the transaction left behind. [`listen`] has the session hear of
//! NOTIFY. Where a shape is not enough, [`ask`] looks closer; [`keys`] knows what all sessions have written.

pub mod choose;
pub mod error;
pub mod info;
pub mod keys;
pub mod mark;
pub mod plans;
pub mod prepared;
pub mod relay;
pub mod traces;
pub mod translate;
pub mod unit;
pub mod unnamed;

pub mod start;

mod ask;
mod attempt;
mod begin;
mod carry;
mod class;
mod deallocate;
mod execute;
mod lend;
mod linger;
mod listen;
mod lost;
mod notes;
mod outcome;
mod pin;
mod recover;
mod request;
mod route;
mod settle;
mod wait;

use std::{
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use tokio::time::Instant;

use self::{
    ask::Stamps,
    begin::Begun,
    error::SessionError,
    info::{ClientInfo, ClientState, Order},
    keys::{Doubt, KeyWrites},
    linger::{End, Linger},
    mark::Mark,
    prepared::PreparedStatements,
    recover::Reset,
    relay::{Broken, Care, Exchange},
    traces::{Causes, Executes, Traces},
    unit::{Unit, first_unit},
    unnamed::Unnamed,
};
use crate::{
    clock::Moment,
    config::{Config, PoolMode, UnacknowledgedCommit},
    facts::Role,
    generation::ClusterRuntime,
    id::NodeId,
    listen::Subscription,
    net::{buffer::Buffer, stream::Stream},
    plugin::input::SessionAttributes,
    pool::{Lease, PoolSet},
    server::{given_up, poll_read, settings::Settings, sql_statements::SqlStatements},
    wire::{
        frame,
        reply::{self, Severity, TxStatus},
    },
    worker::Worker,
};

/// A request longer than this goes to the primary in pieces, without being kept whole.
const WHOLE_REQUEST_MAX_BYTES: usize = 256 * 1024;

/// Longest Parse message, and longest other message of an open batch, that is kept whole.
const KEPT_MESSAGE_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Longest wait for a node that can serve, before the client is told that there is none.
const WAIT_FOR_NODE_MAX: Duration = Duration::from_secs(5);

/// Why a session ended in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// The client said goodbye or hung up between requests.
    ClientLeft,
    /// We told it to leave.
    SentAway,
}

/// What a session waits for between requests.
enum Next {
    /// A request.
    Request(Unit),
    /// Something else.
    Met(Met),
}

/// What a session meets while it waits for its client.
enum Met {
    /// The client has hung up.
    Left,
    /// The server that it holds says something, or is lost.
    Server,
    /// Something was heard that the client listens to.
    Heard,
    /// It need not linger any more.
    Lingered(End),
    /// It was told to do something.
    Order(Order),
}

/// The transaction that the session is in.
#[derive(Clone, Copy, Debug, Default)]
struct OpenTransaction {
    since: Option<Moment>,
    read_only: bool,
    /// Whether it is SERIALIZABLE, if its BEGIN says so or otherwise.
    serializable: Option<bool>,
    wrote: bool,
    /// It sets how it is committed, for itself only.
    sets_commit: bool,
    changed_catalog: bool,
    /// … and what later statements may run unseen.
    defined: bool,
    /// A sequence may have been moved.
    moves_sequence: bool,
    /// The request asks what a sequence answered before.
    recalls_sequence: bool,
    /// The request rolls back, perhaps to a savepoint.
    rolls_back: bool,
    /// Of the request nobody knows what it does.
    unseen: bool,
    /// The request ends the transaction, or prepares it.
    ends: bool,
}

/// One client.
pub struct Session {
    worker: Rc<Worker>,
    info: Arc<ClientInfo>,
    /// What orders wake.
    waker: Option<Waker>,
    client: Stream,
    input: Buffer,
    exchange: Exchange,
    prepared: PreparedStatements,
    unnamed: Unnamed,
    /// What the client asked for at login; RESET goes back to it.
    startup: Settings,
    settings: Settings,
    /// Its transactions are SERIALIZABLE unless they say otherwise, which a standby refuses.
    serializable: bool,
    /// What the statements since may have left behind.
    traces: Option<Box<Traces>>,
    /// The client has begun a transaction that no server knows of yet.
    begun: Option<Box<Begun>>,
    /// What somebody else listens to for the session.
    listening: Option<Box<Subscription>>,
    /// Why the session keeps its server.
    pins: Causes,
    /// It has changed the schema.
    linger: Option<Box<Linger>>,
    /// Statements of SQL's PREPARE.
    sql_statements: SqlStatements,
    /// What statements of SQL's PREPARE do when they are executed.
    executes: Option<Box<Executes>>,
    set: Arc<PoolSet>,
    cluster: Arc<ClusterRuntime>,
    generation: u64,
    attributes: Rc<SessionAttributes>,
    full_attributes: Arc<SessionAttributes>,
    class: u32,
    lease: Option<Lease>,
    lease_node: NodeId,
    /// What that node was when the session last turned to it.
    lease_role: Role,
    parked: Vec<(NodeId, Lease)>,
    mark: Mark,
    /// What all sessions have written, by key.
    keys: Arc<KeyWrites>,
    /// The keys of what the running transaction has written.
    stamps: Stamps,
    /// Something is committed, and the transaction goes on.
    doubt: Option<Doubt>,
    transaction: OpenTransaction,
    held: Option<(NodeId, Option<Instant>)>,
}

/// What a session starts with.
pub struct NewSession {
    /// The client's connection, authenticated and welcomed.
    pub client: Stream,
    /// What others see of it.
    pub info: Arc<ClientInfo>,
    /// Its pools.
    pub set: Arc<PoolSet>,
    /// Its cluster.
    pub cluster: Arc<ClusterRuntime>,
    /// The generation that both are of.
    pub generation: u64,
    /// What it has set, in canonical form.
    pub settings: Settings,
    /// All that a policy might look at.
    pub attributes: Arc<SessionAttributes>,
    /// What the client has sent already.
    pub unread: Vec<u8>,
}

impl Session {
    /// A session at its first request.
    pub fn new(worker: Rc<Worker>, start: NewSession) -> Self {
        let mut session = Self {
            keys: worker.shared.keys.of(&start.cluster.name),
            worker,
            info: start.info,
            waker: None,
            client: start.client,
            input: Buffer::default(),
            exchange: Exchange::default(),
            prepared: PreparedStatements::default(),
            unnamed: Unnamed::default(),
            startup: start.settings.clone(),
            serializable: is_serializable(&start.settings),
            settings: start.settings,
            traces: None,
            begun: None,
            listening: None,
            pins: Causes::NONE,
            linger: None,
            sql_statements: SqlStatements::default(),
            executes: None,
            set: start.set,
            cluster: start.cluster,
            generation: start.generation,
            attributes: Rc::default(),
            full_attributes: start.attributes,
            class: 0,
            lease: None,
            lease_node: NodeId(0),
            lease_role: Role::Unknown,
            parked: Vec::new(),
            mark: Mark::default(),
            stamps: Stamps::Unknown,
            doubt: None,
            transaction: OpenTransaction::default(),
            held: None,
        };
        // What the user wrote on another connection is there as well for whoever comes back.
        if let Some(last) = session.set.shared.last_write() {
            session.mark.wrote(last.ended, last.unflushed);
        }
        let config = Arc::clone(&session.worker.shared.generation.load().config);
        session.exchange.doubts_unacknowledged = doubts_unacknowledged(&config);
        session.input.extend(&start.unread);
        session.classify();
        session
    }

    /// What others see of it.
    pub fn info(&self) -> &Arc<ClientInfo> {
        &self.info
    }

    /// Serves the client until it leaves, we send it away, or something breaks beyond repair.
    pub async fn serve(mut self: Box<Self>) -> Result<Farewell, SessionError> {
        loop {
            match self.turn().await {
                Ok(None) => {}
                Ok(Some(farewell)) => {
                    apart(self.wind_up()).await;
                    return Ok(farewell);
                }
                Err(error) => {
                    apart(self.fail(&error)).await;
                    return Err(error);
                }
            }
        }
    }

    /// One request, from its arrival to the last byte of its answer.
    async fn turn(&mut self) -> Result<Option<Farewell>, SessionError> {
        let unit = loop {
            let met = match poll_fn(|cx| self.poll_next(cx)).await? {
                Next::Request(unit) => break unit,
                Next::Met(met) => met,
            };
            if let Some(farewell) = apart(self.meet(met)).await? {
                return Ok(Some(farewell));
            }
        };
        match unit {
            Unit::Terminate => return Ok(Some(Farewell::ClientLeft)),
            Unit::Unknown(tag) => return Err(SessionError::UnknownMessage(tag)),
            Unit::Stray(n) => self.input.consume(n),
            Unit::Sync(n) if !self.is_in_transaction_at_server() => {
                self.input.consume(n);
                self.say_ready();
            }
            unit => self.request(unit).await?,
        }
        self.flush().await?;
        if self.traces.is_some() && !self.is_in_transaction() {
            apart(self.settle()).await?;
            self.flush().await?;
        }
        if self.listening.is_some() {
            apart(self.deliver()).await?;
        }
        Ok(None)
    }

    /// Waits until a request has come, as far as it has to be there to be routed, or anything else that it is time for.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, SessionError>> {
        loop {
            if !self.input.is_empty() {
                match first_unit(self.input.filled())? {
                    Unit::Partial { complete } => {
                        if let Some(unit) = self.oversized(complete)? {
                            return Poll::Ready(Ok(Next::Request(unit)));
                        }
                    }
                    unit => return Poll::Ready(Ok(Next::Request(unit))),
                }
            }
            if let Some(met) = ready!(self.poll_client(cx))? {
                return Poll::Ready(Ok(Next::Met(met)));
            }
        }
    }

    /// Answers a Sync that has nothing in front of it.
    #[inline(never)]
    fn say_ready(&mut self) {
        let status = self.status();
        self.exchange.say(|out| reply::ready_for_query(out, status));
    }

    /// A request that is too long to be kept whole begins before its end has come.
    #[inline(never)]
    fn oversized(&self, complete: usize) -> Result<Option<Unit>, SessionError> {
        if self.input.len() < WHOLE_REQUEST_MAX_BYTES {
            return Ok(None);
        }
        match frame::header(&self.input.filled()[complete..])? {
            Some(next) if next.tag == b'P' && complete == 0 => {
                if next.total > KEPT_MESSAGE_MAX_BYTES {
                    return Err(SessionError::TooLarge { bytes: next.total, max: KEPT_MESSAGE_MAX_BYTES });
                }
                Ok(None)
            }
            _ => Ok(Some(Unit::Partial { complete })),
        }
    }

    /// Reads once from the client, unless there is an order or something to hear of a server that the session holds.
    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Met>, SessionError>> {
        if let Some(order) = self.due_order() {
            return Poll::Ready(Ok(Some(Met::Order(order))));
        }
        if let Some(lease) = &mut self.lease
            && (lease.stream.poll_read_ready(cx).is_ready() || lease.info.is_cut())
        {
            return Poll::Ready(Ok(Some(Met::Server)));
        }
        if self.linger.is_some()
            && let Poll::Ready(end) = self.poll_linger(cx)
        {
            return Poll::Ready(Ok(Some(Met::Lingered(end))));
        }
        // An idle client costs no buffer.
        let silent = self.input.is_empty() && self.client.poll_read_ready(cx).is_pending();
        if !silent && let Poll::Ready(read) = poll_read(&mut self.client, &mut self.input, cx) {
            let left = read.map_err(Broken::Client)? == 0;
            return Poll::Ready(Ok(left.then_some(Met::Left)));
        }
        if self.listening.is_some() && self.poll_heard(cx).is_ready() {
            return Poll::Ready(Ok(Some(Met::Heard)));
        }
        self.heed_orders(cx);
        // One may have come just before, or the server may have been cut.
        if self.lease.as_ref().is_some_and(|lease| lease.info.is_cut()) {
            return Poll::Ready(Ok(Some(Met::Server)));
        }
        self.due_order().map_or(Poll::Pending, |order| Poll::Ready(Ok(Some(Met::Order(order)))))
    }

    /// Does what it is time for; says whether the session is over.
    async fn meet(&mut self, met: Met) -> Result<Option<Farewell>, SessionError> {
        match met {
            Met::Left => return Ok(Some(Farewell::ClientLeft)),
            Met::Order(order) => return Err(SessionError::Ordered(order)),
            Met::Server => self.hear_server().await?,
            Met::Heard => self.deliver().await?,
            Met::Lingered(end) => self.end_linger(end).await?,
        }
        Ok(None)
    }

    /// Has this task woken by orders from now on. One that comes while it runs has it polled once more, and what was said
    /// before is seen then.
    #[inline]
    fn heed_orders(&mut self, cx: &Context<'_>) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            self.info.register(cx.waker());
            self.waker = Some(cx.waker().clone());
        }
    }

    /// What the session has been told to do and can do between two requests.
    #[inline]
    fn due_order(&self) -> Option<Order> {
        match self.info.ordered() {
            Order::None => None,
            order => self.weigh_order(order),
        }
    }

    #[cold]
    fn weigh_order(&self, order: Order) -> Option<Order> {
        match order {
            Order::None => None,
            Order::Leave | Order::Switchover if self.is_in_transaction() => None,
            Order::Pin if self.is_in_transaction() => None,
            order @ (Order::Pin | Order::Switchover) if !self.is_bound() => {
                self.info.obeyed(order);
                None
            }
            order @ Order::IdleTransaction if !self.is_in_transaction() => {
                // Its transaction ended just before it was told.
                self.info.obeyed(order);
                None
            }
            order => Some(order),
        }
    }

    /// Passes on what a server says unasked: notifications, notices, or why it goes away.
    async fn hear_server(&mut self) -> Result<(), SessionError> {
        // Without its linger the session would have none now.
        let outlives = self.outlives_servers() || self.only_lingers();
        let Some(lease) = &mut self.lease else { return Ok(()) };
        self.exchange.begin(Care::Once);
        self.exchange.keeps_farewells = outlives;
        let heard = match lease.info.is_cut() {
            true => Err(Broken::Server { untouched: true, cause: given_up() }),
            false => poll_fn(|cx| self.exchange.poll_unasked(&mut self.client, lease, cx)).await,
        };
        match heard {
            Ok(()) => Ok(()),
            Err(broken) if self.outlives(&broken) => {
                self.lose_idle_server();
                Ok(())
            }
            Err(broken) => {
                self.lease = None;
                Err(broken.into())
            }
        }
    }

    /// As the client sees it; the server may not know of it yet.
    fn is_in_transaction(&self) -> bool {
        self.begun.is_some() || self.is_in_transaction_at_server()
    }

    fn is_in_transaction_at_server(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.status != TxStatus::Idle)
    }

    async fn flush(&mut self) -> Result<(), SessionError> {
        poll_fn(|cx: &mut Context<'_>| self.exchange.poll_flush(&mut self.client, cx))
            .await
            .map_err(|cause| Broken::Client(cause).into())
    }

    /// Says why the session ends, if the client is there to hear it.
    async fn fail(&mut self, error: &SessionError) {
        // A server that ends its session says why, and that is enough.
        let is_told = self.exchange.told_fatal && matches!(error, SessionError::Broken(Broken::Server { .. }));
        if error.reaches_client() && !is_told && !self.exchange.is_mid_message() {
            self.exchange.drop_unscanned();
            self.exchange.say(|out| reply::error(out, Severity::Fatal, error.sqlstate(), &error.told(), "", ""));
            let patience = Duration::from_secs(1);
            let _ = tokio::time::timeout(patience, self.flush()).await;
        }
        self.wind_up().await;
    }

    /// Gives back, cleaned, what the session still has.
    async fn wind_up(&mut self) {
        let reset = match self.set.mode {
            PoolMode::Session => Reset::Configured,
            PoolMode::Transaction if self.is_pinned() || self.traces.is_some() => Reset::Everything,
            PoolMode::Transaction => Reset::Nothing,
        };
        let config = Arc::clone(&self.worker.shared.generation.load().config);
        let kept = self.pins;
        self.linger = None;
        self.set_pins(Causes::NONE);
        for (_, lease) in std::mem::take(&mut self.parked) {
            recover::clean_up(lease, reset, &config);
        }
        if let Some(lease) = self.lease.take() {
            self.info.note_server(0);
            // Some causes are not undone by any statement.
            let clean = kept.common(Causes::LIBRARY.and(Causes::OTHER)).is_none();
            if self.exchange.is_between_requests() && !clean {
                drop(lease);
            } else if self.exchange.is_between_requests() {
                recover::clean_up(lease, reset, &config);
            } else {
                recover::abandon(lease);
            }
        }
    }

    /// Notes what the session does now, for the console and the time limits.
    fn enter(&self, state: ClientState, now: Moment) {
        self.info.enter(state, now);
    }
}

/// A future in a box of its own, whose code stands for itself as well. What is rare is done so: it makes no session larger,
/// and the code for each request stays short.
#[cold]
#[inline(never)]
fn apart<'a, T>(rare: impl Future<Output = T> + 'a) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    Box::pin(rare)
}

/// Whether clients are told that a commit may be lost which its standbys did not acknowledge.
fn doubts_unacknowledged(config: &Config) -> bool {
    config.unacknowledged_commit == UnacknowledgedCommit::Error
}

/// Whether transactions are SERIALIZABLE by these settings.
fn is_serializable(settings: &Settings) -> bool {
    settings.value("default_transaction_isolation") == Some("serializable")
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_bound() {
            self.set.shared.count_unpinned();
        }
        self.set.shared.clients.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        self.worker.shared.clients.forget(self.info.pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An idle client has one of these. What is rare goes into boxes, and is not part of it; the rest is the kernel's
    /// and the allocator's.
    const IDLE_MAX_BYTES: usize = 1_536;

    /// The future of a client's stay, the session itself aside.
    fn size_of_stay<F>(_: fn(Box<Session>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_session_stays_small() {
        let (stay, session, exchange) = (size_of_stay(Session::serve), size_of::<Session>(), size_of::<Exchange>());
        assert!(
            stay + session <= IDLE_MAX_BYTES,
            "{stay} bytes, and {session} the session, {exchange} of these the exchange"
        );
    }
}
