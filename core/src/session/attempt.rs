//! Tries nodes until one has served a request.
//!
//! Most requests wait for nobody before they go to a server, and their way is one straight run of code
//! ([`set_out`](Session::set_out)). Whatever has to be waited for is in a box: it must neither make every session
//! larger nor stand in the way of the others.

use std::sync::Arc;

use super::{
    Session, apart,
    begin::{Begun, Fate},
    error::SessionError,
    lend::Place,
    lost::{Before, Next},
    relay::{Broken, Care, Refused},
    request::Request,
    route::Way,
    unit::{messages, takes_any_result},
};
use crate::{
    clock::Moment,
    facts::{Report, Role},
    id::NodeId,
    plugin::plan::Plan,
    server::{RunError, settings::Settings, statements::Statement},
    wire::{frontend::Parse, reply::TxStatus},
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

/// How an attempt has failed.
enum Failed {
    /// The server refused what another node may do.
    Refused(Refused),
    /// The exchange broke, of which this was to be possible.
    Broken(Broken, Care),
}

/// One attempt after the other.
struct Attempt {
    /// A node that has just failed the request.
    avoid: Option<NodeId>,
    /// How many more nodes may be tried.
    left: usize,
    /// Since when the client waits.
    since: Moment,
    /// The server is in a transaction.
    in_transaction: bool,
    /// The transaction that begins in front of the request.
    begun: Option<Box<Begun>>,
    /// The server was told in front of the request what the session listens to.
    relisted: bool,
}

impl Attempt {
    /// The request may be made again at another server without anything in front of it.
    fn is_repeatable(&self) -> bool {
        !self.relisted && self.left > 0
    }
}

/// How an attempt begins.
enum Start {
    /// A server is there for the request.
    Ready,
    /// The client has been answered.
    Answered,
    /// Something has to be waited for first.
    Waits(Wait),
}

/// What an attempt waits for.
enum Wait {
    /// What the server says of the transaction that it is in.
    Transaction,
    /// A node, which this plan allows, or the primary.
    Node(Option<Arc<Plan>>),
    /// Somebody who listens for the session; then, if not the session's own, a server at this place.
    Listener(Option<Place>),
    /// A server at this place.
    Server(Place),
    /// The session's own server.
    OwnServer,
}

impl Session {
    /// Tries nodes until one has served the request.
    pub(super) async fn attempt(
        &mut self,
        request: &Request,
        executed: Option<&Arc<Statement>>,
        now: Moment,
    ) -> Result<(), SessionError> {
        let mut attempt = Attempt {
            avoid: None,
            left: ATTEMPTS_MAX,
            since: now,
            in_transaction: false,
            begun: None,
            relisted: false,
        };
        while attempt.left > 0 {
            attempt.left -= 1;
            match self.set_out(request, &mut attempt)? {
                Start::Ready => {}
                Start::Answered => return Ok(()),
                Start::Waits(wait) => {
                    if !apart(self.wait_to_set_out(request, wait, &mut attempt)).await? {
                        continue;
                    }
                }
            }
            let care = self.get_ready(request, executed, &mut attempt);
            let failed = match self.carry(request, care).await {
                Ok(None) => return Ok(()),
                Ok(Some(refused)) => Failed::Refused(refused),
                Err(broken) => Failed::Broken(broken, care),
            };
            if apart(self.after_failure(request, failed, &mut attempt)).await? == Next::Told {
                return Ok(());
            }
        }
        Err(self.no_primary())
    }

    /// Gets the request a server, if nobody has to be waited for.
    fn set_out(&mut self, request: &Request, attempt: &mut Attempt) -> Result<Start, SessionError> {
        self.transaction.ends = false;
        attempt.in_transaction = self.is_in_transaction_at_server();
        let place = if attempt.in_transaction {
            if !self.continue_at_once(request)? {
                return Ok(Start::Waits(Wait::Transaction));
            }
            None
        } else if self.is_bound() && self.lease.is_some() {
            self.consider(request)?;
            None
        } else if self.begun.as_ref().is_some_and(|begun| begun.fate != Fate::Open) {
            self.go_on_failed(request)?;
            return Ok(Start::Answered);
        } else {
            match self.way(request, attempt.avoid)? {
                Way::To(place) => Some(place),
                Way::Later(plan) => return Ok(Start::Waits(Wait::Node(plan))),
            }
        };
        if self.may_commit_listens() {
            return Ok(Start::Waits(Wait::Listener(place)));
        }
        Ok(match place {
            Some(place) if self.lend_at_once(&place, attempt.since) => Start::Ready,
            Some(place) => Start::Waits(Wait::Server(place)),
            None if attempt.in_transaction => Start::Ready,
            None if self.take_up_server() && self.is_brought_ahead() => Start::Ready,
            None => Start::Waits(Wait::OwnServer),
        })
    }

    /// Waits for what the attempt waits for; false when another one is to be made instead.
    async fn wait_to_set_out(
        &mut self,
        request: &Request,
        wait: Wait,
        attempt: &mut Attempt,
    ) -> Result<bool, SessionError> {
        let place = match wait {
            Wait::Transaction => {
                self.continue_transaction(request).await?;
                None
            }
            Wait::Node(plan) => Some(self.way_later(plan, attempt.avoid, attempt.since).await?),
            Wait::Listener(place) => place,
            Wait::Server(place) => return self.wait_for_server(place, attempt).await,
            Wait::OwnServer => None,
        };
        if self.may_commit_listens() {
            self.listen_ahead().await?;
        }
        match place {
            Some(place) if self.lend_at_once(&place, attempt.since) => {}
            Some(place) => return self.wait_for_server(place, attempt).await,
            None if attempt.in_transaction => {}
            None => {
                if !self.take_up_server() {
                    self.wait_for_own_server(attempt.since).await?;
                }
                self.bring_up_to_date().await?;
            }
        }
        Ok(true)
    }

    /// Waits for a server at that place; false when none can be had there, but elsewhere.
    async fn wait_for_server(&mut self, place: Place, attempt: &mut Attempt) -> Result<bool, SessionError> {
        let node = place.node;
        let Err(error) = self.lend_later(place, attempt.since).await else { return Ok(true) };
        match self.other_than(node, error, attempt.left)? {
            Instead::Elsewhere => attempt.avoid = Some(node),
            // The way is found anew, or waited for.
            Instead::Here => attempt.left += 1,
            Instead::Later => {
                self.wait_for_news(attempt.since).await?;
                attempt.left += 1;
            }
        }
        Ok(false)
    }

    /// Puts in front of the request what has to be; says what becomes of it if the server fails it.
    fn get_ready(&mut self, request: &Request, executed: Option<&Arc<Statement>>, attempt: &mut Attempt) -> Care {
        attempt.relisted = self.relist();
        attempt.begun = self.begin_at_server();
        self.own_sequences();
        self.expect_resets(request);
        self.exchange.keeps_ready = self.may_notify_itself();
        self.exchange.keeps_farewells &= !self.is_bound();
        if let Some(statement) = executed {
            self.have_prepared(statement);
        } else if attempt.in_transaction && self.exchange.keeps_farewells {
            self.ask_xid();
        }
        let again = attempt.begun.is_none() && attempt.is_repeatable();
        self.exchange.absorbs_stale_plans = again && self.may_be_stale(request);
        self.care(request, again, attempt.in_transaction)
    }

    /// What comes after an attempt that has failed.
    async fn after_failure(
        &mut self,
        request: &Request,
        failed: Failed,
        attempt: &mut Attempt,
    ) -> Result<Next, SessionError> {
        let node = self.lease_node;
        match failed {
            Failed::Refused(refused) => self.learn(request, refused, node),
            Failed::Broken(broken, _) if self.outlives(&broken) => {
                let before = Before {
                    in_transaction: attempt.in_transaction,
                    begun: attempt.begun.take(),
                    repeatable: attempt.is_repeatable(),
                    since: attempt.since,
                };
                if self.after_loss(request, before).await? == Next::Told {
                    return Ok(Next::Told);
                }
                attempt.since = Moment::now();
            }
            Failed::Broken(Broken::Server { untouched: true, .. }, Care::IfRefused) if attempt.left > 0 => {
                self.cluster.reports.send(Report::ConnectionLost(node));
                self.exchange.forget_answer();
                self.lease = None;
                self.info.note_server(0);
            }
            Failed::Broken(broken, _) => return Err(self.break_off(broken)),
        }
        self.set.stats.shard(self.worker.id).rerouted.add(1);
        attempt.avoid = Some(node);
        Ok(Next::Again)
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
        let prepares = !self.prepared.is_empty() || !request.repeatable;
        let may_be = request.describes && prepares && !self.is_in_transaction();
        may_be && takes_any_result(&self.input.filled()[..request.len])
    }

    /// A request to a standby outside a transaction may be made again elsewhere: it cannot have written.
    fn is_repeatable_here(&self, request: &Request) -> bool {
        request.repeatable && self.lease_role == Role::Standby && !self.is_in_transaction()
    }

    /// Gets ready for a request of the transaction that the server is in, if nobody has to be asked for it. False when
    /// there is more to do, for [`continue_transaction`](Self::continue_transaction).
    #[inline]
    fn continue_at_once(&mut self, request: &Request) -> Result<bool, SessionError> {
        if self.traces.is_some() || self.cluster.router.looks_closer() {
            return Ok(false);
        }
        self.note_request(request)?;
        Ok(true)
    }

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
    #[inline]
    fn expect_resets(&mut self, request: &Request) {
        self.exchange.resets.begin();
        if self.traces.is_some() {
            self.expect_traced_resets(request);
        }
    }

    #[inline(never)]
    fn expect_traced_resets(&mut self, request: &Request) {
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
}
