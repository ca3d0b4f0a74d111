//! One request: routed, lent a server, carried, accounted for.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    OpenTransaction, Session,
    begin::Fate,
    error::SessionError,
    info::ClientState,
    lost::{Before, Next},
    relay::{Broken, Care, Counts, Discarded, Flow, Refused},
    route::Way,
    traces::Causes,
    unit::{Survey, Unit, messages, survey},
};
use crate::{
    clock::Moment,
    facts::{Report, Role},
    id::NodeId,
    server::{RunError, async_commit::SYNCHRONOUS_COMMIT, settings::Settings, statements::Statement},
    wire::{
        frame,
        frontend::Parse,
        reply::{self, Severity, TxStatus},
    },
};

/// Most nodes that one request is tried at.
const ATTEMPTS_MAX: usize = 4;

/// What is done instead of failing with a node's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instead {
    /// Another node is tried.
    Elsewhere,
    /// The way is found anew.
    Here,
    /// The same, when more is known of the primary.
    Later,
}

/// A request that has been cut from the client's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Its complete messages, from the start of the input.
    pub(super) len: usize,
    /// Where it stands in the protocol.
    pub(super) flow: Flow,
    /// It is all there, and asking again elsewhere does nothing twice.
    pub(super) repeatable: bool,
    /// It is all there, and its client takes what result there is; see [`survey`].
    pub(super) takes_any_result: bool,
    /// Bytes of a Query that is too long to be kept whole, beyond what has come.
    pub(super) rest: usize,
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
        let mut request = self.cut(unit)?;
        let is_query = self.input.filled().first() == Some(&b'Q');
        if is_query && self.deallocate_at_once(&request) {
            return Ok(());
        }
        let executed = self.name_executed(&mut request);
        let now = Moment::now();
        self.enter(ClientState::Active, now);
        if self.transaction.since.is_none() {
            self.transaction.since = Some(now);
            self.info.begin_transaction(now);
        }
        if is_query && self.answer_at_once(&request, now) {
            return Ok(());
        }
        match self.attempt(&request, executed.as_ref(), now).await {
            Ok(()) => {
                self.account(now);
                if std::mem::take(&mut self.exchange.kept_ready) {
                    Box::pin(self.hear_own()).await?;
                }
                Ok(())
            }
            Err(error) if error.is_survivable() && request.is_whole() => {
                self.survive(&request, &error);
                Ok(())
            }
            Err(error) if error.outlives_open_requests() => Box::pin(self.survive_open(request, error)).await,
            Err(error) => Err(error),
        }
    }

    fn cut(&self, unit: Unit) -> Result<Request, SessionError> {
        let bytes = self.input.filled();
        let whole = |len| Request { len, flow: Flow::Closed, repeatable: true, takes_any_result: false, rest: 0 };
        Ok(match unit {
            Unit::Simple(len) | Unit::Sync(len) => whole(len),
            Unit::Batch(len) => {
                let Survey { defines_names, takes_any_result } = survey(&bytes[..len]);
                Request { repeatable: !defines_names, takes_any_result, ..whole(len) }
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

    /// Tries nodes until one has served the request.
    async fn attempt(
        &mut self,
        request: &Request,
        executed: Option<&Arc<Statement>>,
        now: Moment,
    ) -> Result<(), SessionError> {
        let (mut avoid, mut left, mut since) = (None, ATTEMPTS_MAX, now);
        while left > 0 {
            left -= 1;
            self.transaction.ends = false;
            let in_transaction = self.is_in_transaction_at_server();
            let place = if in_transaction {
                self.continue_transaction(request).await?;
                None
            } else if self.is_bound() && self.lease.is_some() {
                self.consider(request)?;
                None
            } else if self.begun.as_ref().is_some_and(|begun| begun.fate != Fate::Open) {
                return self.go_on_failed(request);
            } else {
                Some(match self.way(request, avoid)? {
                    Way::To(place) => place,
                    // In a box: what is rare must not make every session larger.
                    Way::Later(plan) => Box::pin(self.way_later(plan, avoid, since)).await?,
                })
            };
            if self.may_commit_listens() {
                Box::pin(self.listen_ahead()).await?;
            }
            if let Some(place) = place {
                let node = place.node;
                if let Err(error) = self.lend(place, since).await {
                    match self.other_than(node, error, left)? {
                        Instead::Elsewhere => avoid = Some(node),
                        // The way is found anew, or waited for.
                        Instead::Here => left += 1,
                        Instead::Later => {
                            Box::pin(self.wait_for_news(since)).await?;
                            left += 1;
                        }
                    }
                    continue;
                }
            } else if !in_transaction {
                if !self.take_up_server() {
                    Box::pin(self.wait_for_own_server(since)).await?;
                }
                if !self.is_up_to_date() {
                    self.bring_up_to_date().await?;
                }
            }
            let node = self.lease_node;
            let relisted = self.relist();
            let begun = self.begin_at_server();
            self.own_sequences();
            self.expect_resets(request);
            self.exchange.keeps_ready = self.may_notify_itself();
            self.exchange.keeps_farewells &= !self.is_bound();
            if let Some(statement) = executed {
                self.have_prepared(statement);
            } else if in_transaction && self.exchange.keeps_farewells {
                self.ask_xid();
            }
            let again = begun.is_none() && !relisted && left > 0;
            self.exchange.absorbs_stale_plans = again && self.may_be_stale(request);
            let care = self.care(request, again, in_transaction);
            match self.carry(request, care).await {
                Ok(None) => return Ok(()),
                Ok(Some(refused)) => self.learn(request, refused, node),
                Err(broken) if self.outlives(&broken) => {
                    let before = Before { in_transaction, begun, repeatable: !relisted && left > 0, since };
                    if Box::pin(self.after_loss(request, before)).await? == Next::Told {
                        return Ok(());
                    }
                    since = Moment::now();
                }
                Err(Broken::Server { untouched: true, .. }) if left > 0 && care == Care::IfRefused => {
                    self.cluster.reports.send(Report::ConnectionLost(node));
                    self.exchange.forget_answer();
                    self.lease = None;
                    self.info.note_server(0);
                }
                Err(broken) => return Err(self.break_off(broken)),
            }
            self.set.stats.shard(self.worker.id).rerouted.add(1);
            avoid = Some(node);
        }
        Err(self.no_primary())
    }

    /// What to do instead of failing with an error of a node that was to lend a server.
    fn other_than(&mut self, node: NodeId, error: SessionError, left: usize) -> Result<Instead, SessionError> {
        if matches!(error, SessionError::Moved) {
            return Ok(Instead::Here);
        }
        if left > 0 && self.is_too_serializable(&error) {
            self.serializable = true;
            self.release(Moment::now());
            return Ok(Instead::Elsewhere);
        }
        let at_primary = self.lease_role == Role::Primary;
        if Self::is_node_trouble(&error) {
            self.cluster.reports.send(Report::ConnectFailed(node));
            if left > 0 && !at_primary {
                return Ok(Instead::Elsewhere);
            }
            if at_primary && Self::is_out_of_reach(&error) && self.cluster.facts.load().heals {
                return Ok(Instead::Later);
            }
        }
        if self.lost_before_request(&error) {
            self.lose_server();
            return Ok(if at_primary { Instead::Later } else { Instead::Elsewhere });
        }
        Err(error)
    }

    /// What becomes of the request if its server fails it.
    fn care(&self, request: &Request, again: bool, in_transaction: bool) -> Care {
        let is_alone = !in_transaction || self.transaction.ends;
        if again && self.is_repeatable_here(request) {
            Care::IfRefused
        } else if self.exchange.absorbs_stale_plans || (self.exchange.keeps_farewells && request.is_whole() && is_alone)
        {
            Care::IfLost
        } else {
            Care::Once
        }
    }

    /// A request of prepared statements, outside a transaction. When PostgreSQL refuses the first of them
    /// because its result has changed, nothing has been done and the request can be made again, if
    /// its client asks what the result is like. One that believes to know must be told of the error.
    fn may_be_stale(&self, request: &Request) -> bool {
        request.takes_any_result && (!self.prepared.is_empty() || !request.repeatable) && !self.is_in_transaction()
    }

    /// A request to a standby outside a transaction may be made again elsewhere: it cannot have written.
    fn is_repeatable_here(&self, request: &Request) -> bool {
        request.repeatable && self.lease_role == Role::Standby && !self.is_in_transaction()
    }

    /// Gets ready for a request of the transaction that the server is in.
    async fn continue_transaction(&mut self, request: &Request) -> Result<(), SessionError> {
        let undoing = self.undoing_resets();
        if self.cluster.router.looks_closer() {
            // It may be refused, and then nothing goes in front of it.
            if let (false, Some(lease)) = (undoing.is_empty(), &mut self.lease)
                && let Err(error) = Box::pin(lease.run(&undoing)).await
            {
                if !matches!(error, RunError::Server { .. }) {
                    self.lease = None;
                }
                return Err(SessionError::Settings(error));
            }
            return self.consider_in_transaction(request).await;
        }
        if let (false, Some(lease)) = (undoing.is_empty(), &mut self.lease) {
            self.exchange.precede(lease, undoing.as_bytes());
        }
        self.note_request(request)
    }

    /// Inside a transaction a RESET has gone to the server's default; what the client asked for at login is
    /// set again, in front of the next request. Empty when there is nothing to set.
    fn undoing_resets(&mut self) -> String {
        let (Some(traces), Some(lease)) = (&mut self.traces, &self.lease) else { return String::new() };
        let resets = std::mem::take(&mut traces.resets);
        let all = std::mem::take(&mut traces.reset_all);
        if (resets.is_empty() && !all) || self.startup.is_empty() || lease.status != TxStatus::InTransaction {
            return String::new();
        }
        let wanted = self.startup.only(|name| all || resets.iter().any(|reset| **reset == *name));
        Settings::default().sql_towards(&wanted)
    }

    /// What the client will hear of a request that is one RESET or DISCARD ALL. Of a longer one it hears what the server
    /// says.
    fn expect_resets(&mut self, request: &Request) {
        self.exchange.resets.begin();
        let Some(traces) = &self.traces else { return };
        if traces.resets.is_empty() && !traces.reset_all {
            return;
        }
        let (resets, all) = (traces.resets.clone(), traces.reset_all);
        let shapes = self.shapes(request.len);
        let [shape] = &*shapes else { return };
        if shape.facts.traits.multi_statement {
            return;
        }
        let wanted = |name: &str| all || resets.iter().any(|reset| **reset == *name);
        for (name, value) in self.startup.iter().filter(|(name, _)| wanted(name)) {
            self.exchange.resets.expect(name, value);
        }
    }

    /// The batch will be made again, so the names that it gave do not count.
    pub(super) fn forget_names(&mut self, request: &Request) {
        let names: Vec<Box<[u8]>> = messages(&self.input.filled()[..request.len])
            .filter(|(tag, ..)| *tag == b'P')
            .filter_map(|(_, body, _)| Some(Parse::read(body)?.name.into()))
            .collect();
        for name in names {
            self.prepared.remove(&name);
        }
    }

    /// Remembers that a standby cannot serve a shape.
    fn learn(&mut self, request: &Request, refused: Refused, node: NodeId) {
        tracing::debug!(%node, ?refused, "a standby refused a request; it goes elsewhere");
        if refused == Refused::ReadOnly {
            self.correct_plan(request);
        }
        if refused == Refused::StalePlan {
            self.forget_names(request);
        }
        if refused == Refused::Leaving {
            self.lease = None;
            self.info.note_server(0);
        } else if self.set.mode == crate::config::PoolMode::Transaction {
            self.release(Moment::now());
        }
    }

    /// The exchange broke: what the client is told depends on who is to blame.
    pub(super) fn break_off(&mut self, broken: Broken) -> SessionError {
        if matches!(broken, Broken::Server { .. } | Broken::Protocol) {
            self.cluster.reports.send(Report::ConnectionLost(self.lease_node));
            self.lease = None;
            self.info.note_server(0);
        }
        match broken {
            Broken::Ordered(order) => SessionError::Ordered(order),
            broken => broken.into(),
        }
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
        let shard = self.set.stats.shard(self.worker.id);
        if self.exchange.unacknowledged {
            shard.unacknowledged.add(1);
        }
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

    pub(super) fn end_transaction(&mut self, now: Moment) {
        if let Some(since) = self.transaction.since {
            let shard = self.set.stats.shard(self.worker.id);
            shard.transactions.add(1);
            shard.transaction_time.observe(now.micros_since(since));
        }
        if self.transaction.wrote {
            let (now, unflushed) = (Instant::now(), self.may_be_unflushed());
            self.mark.wrote(now, unflushed);
            self.set.shared.note_write(now, unflushed);
            if self.is_to_stamp() {
                self.stamp_keys(unflushed);
            }
        }
        if self.transaction.changed_catalog {
            self.tell_of_changed_catalog();
        }
        self.transaction = OpenTransaction::default();
        self.info.end_transaction();
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
        if !self.prepared.is_empty() || self.info.statements() > 0 {
            self.info.note_statements(self.prepared.len());
        }
    }
}
