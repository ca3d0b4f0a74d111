//! One request: cut from what the client has sent, given to [`attempt`](super::attempt), accounted for.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    OpenTransaction, Session, apart,
    begin::Fate,
    error::SessionError,
    info::ClientState,
    relay::{Care, Counts, Discarded, Flow},
    traces::Causes,
    unit::{Batch, Unit},
};
use crate::{
    clock::Moment,
    facts::{Report, Role},
    server::{async_commit::SYNCHRONOUS_COMMIT, statements::Statement},
    wire::{
        frame,
        reply::{self, Severity, TxStatus},
    },
};

/// A request that has been cut from the client's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Its complete messages, from the start of the input.
    pub(super) len: usize,
    /// Where it stands in the protocol.
    pub(super) flow: Flow,
    /// It is all there, and asking again elsewhere does nothing twice.
    pub(super) repeatable: bool,
    /// It is all there, and has something described.
    pub(super) describes: bool,
    /// Bytes of a Query that is too long to be kept whole, beyond what has come.
    pub(super) rest: usize,
}

/// A request on its way to a server.
struct Opened {
    request: Request,
    /// What it executes by SQL.
    executed: Option<Arc<Statement>>,
    /// When it came.
    now: Moment,
}

impl Request {
    /// All of it is there to be looked at.
    pub(super) fn is_whole(&self) -> bool {
        self.flow == Flow::Closed && self.rest == 0
    }
}

impl Session {
    /// Serves one request; errors that the session survives have been told to the client.
    pub(super) async fn request(&mut self, unit: Unit) -> Result<(), SessionError> {
        let Some(Opened { request, executed, now }) = self.open(unit)? else { return Ok(()) };
        match self.attempt(&request, executed.as_ref(), now).await {
            Ok(()) => {
                self.account(now);
                if std::mem::take(&mut self.exchange.kept_ready) {
                    apart(self.hear_own()).await?;
                }
                Ok(())
            }
            Err(error) => apart(self.outlive(request, error)).await,
        }
    }

    /// Begins a request; none if it has been answered without a server.
    fn open(&mut self, unit: Unit) -> Result<Option<Opened>, SessionError> {
        let mut request = self.cut(unit)?;
        let is_query = self.input.filled().first() == Some(&b'Q');
        if is_query && self.deallocate_at_once(&request) {
            return Ok(None);
        }
        let executed = self.name_executed(&mut request);
        let now = Moment::now();
        self.enter(ClientState::Active, now);
        if self.transaction.since.is_none() {
            self.transaction.since = Some(now);
            self.info.begin_transaction(now);
        }
        if is_query && self.answer_at_once(&request, now) {
            return Ok(None);
        }
        Ok(Some(Opened { request, executed, now }))
    }

    /// Tells the client of an error if its session goes on.
    async fn outlive(&mut self, request: Request, error: SessionError) -> Result<(), SessionError> {
        if error.is_survivable() && request.is_whole() {
            self.survive(&request, &error);
            Ok(())
        } else if error.outlives_open_requests() {
            self.survive_open(request, error).await
        } else {
            Err(error)
        }
    }

    fn cut(&self, unit: Unit) -> Result<Request, SessionError> {
        let bytes = self.input.filled();
        let whole = |len| Request { len, flow: Flow::Closed, repeatable: true, describes: false, rest: 0 };
        Ok(match unit {
            Unit::Simple(len) | Unit::Sync(len) => whole(len),
            Unit::Batch(Batch { len, defines_names, describes }) => {
                Request { repeatable: !defines_names, describes, ..whole(len) }
            }
            Unit::Flushed(len) => Request { flow: Flow::Batch, repeatable: false, ..whole(len) },
            Unit::Partial { complete: 0 } if bytes[0] == b'Q' => {
                let total = frame::header(bytes)?.map_or(bytes.len(), |header| header.total);
                Request { repeatable: false, rest: total - bytes.len(), ..whole(bytes.len()) }
            }
            Unit::Partial { complete } => Request { flow: Flow::Batch, repeatable: false, ..whole(complete) },
            Unit::Stray(_) | Unit::Terminate | Unit::Unknown(_) => whole(0),
        })
    }

    /// The same when the client has not said all of its request.
    async fn survive_open(&mut self, request: Request, error: SessionError) -> Result<(), SessionError> {
        self.exchange.begin(Care::Once);
        self.exchange.flow = request.flow;
        self.exchange.client_rest = request.rest;
        self.exchange.simple = self.input.filled().first() == Some(&b'Q');
        self.exchange.kept = request.len;
        self.fail_begun();
        let told = self.tell(&request, &error).await;
        self.exchange.abandon();
        told?;
        self.enter_after_request(Moment::now());
        Ok(())
    }

    /// A transaction that no server knows of fails with its statement.
    fn fail_begun(&mut self) {
        if let (None, Some(begun)) = (&self.lease, &mut self.begun) {
            begun.fate = Fate::Failed;
        }
    }

    /// Tells the client of an error that ends its request but not its session.
    fn survive(&mut self, request: &Request, error: &SessionError) {
        self.input.consume(request.len);
        self.set.stats.shard(self.worker.id).errors.add(1);
        self.fail_begun();
        let status = self.status();
        let detail = match error {
            SessionError::Refused(refusal) => refusal.detail.as_deref().unwrap_or_default(),
            _ => "",
        };
        self.exchange.say(|out| {
            reply::error(out, Severity::Error, error.sqlstate(), &error.told(), detail, error.hint());
            reply::ready_for_query(out, status);
        });
        self.enter_after_request(Moment::now());
    }

    /// The request has been served: counts it, and lets go of the server if the transaction is over.
    fn account(&mut self, began: Moment) {
        let now = Moment::now();
        let Some(lease) = &mut self.lease else { return };
        let status = lease.status;
        lease.pool().count_request();
        if self.transaction.moves_sequence || self.traces.is_some() || self.exchange.is_remarkable() {
            self.account_for_remarks(now);
        }
        self.note_statements();
        let shard = self.set.stats.shard(self.worker.id);
        shard.queries.add(1);
        shard.sent.add(self.exchange.received);
        let counts = self.exchange.counts;
        if counts != Counts::default() {
            shard.client_parses.add(u64::from(counts.client_parses));
            shard.server_parses.add(u64::from(counts.server_parses));
            shard.binds.add(u64::from(counts.binds));
        }
        shard.query_time.observe(now.micros_since(began));
        if self.lease_role != Role::Primary {
            shard.standby_queries.add(1);
        }
        if status == TxStatus::Idle {
            self.end_transaction(now);
            if self.traces.is_none() {
                self.release(now);
            }
            self.enter(ClientState::Idle, now);
        } else {
            self.enter(ClientState::IdleInTransaction, now);
        }
    }

    /// The same of what is not said of most requests.
    #[inline(never)]
    fn account_for_remarks(&mut self, now: Moment) {
        let Some(lease) = &mut self.lease else { return };
        // A standby has refused it.
        if self.transaction.moves_sequence && self.lease_role != Role::Standby {
            lease.sequence_user = self.info.pid;
            lease.sequence_moved = Some(now);
            self.note_moved_sequence();
            if self.set.shared.recalls_sequences() {
                self.traces.get_or_insert_default().suspect(Causes::SEQUENCE);
            }
        }
        self.after_discard();
        if let Some(traces) = &mut self.traces {
            traces.committed |= self.exchange.committed;
            traces.doubtful |= self.exchange.failed;
        }
        if self.exchange.settings_changed && self.traces.as_ref().is_none_or(|traces| traces.names.is_empty()) {
            // A function or a trigger has set it.
            self.traces.get_or_insert_default().all_settings = true;
        }
        if self.exchange.disk_full {
            self.cluster.reports.send(Report::DiskFull(self.lease_node));
        }
        if self.exchange.unacknowledged {
            self.set.stats.shard(self.worker.id).unacknowledged.add(1);
        }
    }

    pub(super) fn end_transaction(&mut self, now: Moment) {
        if let Some(since) = self.transaction.since {
            let shard = self.set.stats.shard(self.worker.id);
            shard.transactions.add(1);
            shard.transaction_time.observe(now.micros_since(since));
        }
        if self.transaction.wrote {
            self.note_written();
        }
        if self.transaction.changed_catalog {
            self.tell_of_changed_catalog();
        }
        self.transaction = OpenTransaction::default();
        self.info.end_transaction();
    }

    /// The transaction that has ended may have written.
    #[inline(never)]
    fn note_written(&mut self) {
        let (now, unflushed) = (Instant::now(), self.may_be_unflushed());
        self.mark.wrote(now, unflushed);
        self.set.shared.note_write(now, unflushed);
        if self.is_to_stamp() {
            self.stamp_keys(unflushed);
        }
    }

    /// The transaction that has ended may have been acknowledged before it was flushed. What it has set
    /// for its session is not known yet.
    pub(super) fn may_be_unflushed(&self) -> bool {
        self.transaction.sets_commit
            || self.traces.as_ref().is_some_and(|traces| traces.may_set(SYNCHRONOUS_COMMIT))
            || self.lease.as_ref().is_none_or(|lease| lease.commits_asynchronously())
    }

    /// Forgets what never came to be, and what the client has just discarded.
    fn after_discard(&mut self) {
        self.undo_names();
        match self.exchange.discarded {
            Discarded::Nothing => {}
            Discarded::Statements => self.prepared.clear(),
            Discarded::All => {
                self.prepared.clear();
                self.executes = None;
                self.set_pins(self.pins.without(Causes::SEQUENCE));
                self.forget_deeds();
            }
        }
    }

    /// Says how many statements the session has.
    #[inline]
    fn note_statements(&self) {
        let count = self.prepared.len();
        if self.info.statements() as usize != count {
            self.info.note_statements(count);
        }
    }
}
