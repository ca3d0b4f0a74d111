//! Gets a session the server that its request was routed to, and gives it back.

use std::{future::poll_fn, sync::Arc, task::Poll};

use super::{Session, error::SessionError, info::ClientState, relay::Broken};
use crate::{
    clock::Moment,
    config::PoolMode,
    facts::{Facts, Role},
    id::NodeId,
    pool::{CheckoutError, Lease, Pool},
    server::{RunError, settings::Settings},
    wire::{
        reply::{self, Severity, TxStatus},
        sqlstate::SqlState,
    },
};

/// The session's pool of a node.
pub(super) struct Place {
    pub(super) node: NodeId,
    pool: Arc<Pool>,
}

impl Session {
    /// Has the session hold a server at that place, with the session's settings, if nobody has to be waited for. False
    /// when there is more to do, for [`lend_later`](Self::lend_later).
    #[inline]
    pub(super) fn lend_at_once(&mut self, place: &Place, now: Moment) -> bool {
        self.drop_dead_server();
        self.take_at_once(place, now)
            && self.lease.as_ref().is_some_and(|lease| !lease.is_check_due(now))
            && self.take_up_server()
            && self.is_brought_ahead()
    }

    /// Goes on where that has ended, for whoever has to wait: for a server, or for what it says.
    pub(super) async fn lend_later(&mut self, place: Place, now: Moment) -> Result<(), SessionError> {
        if self.lease.is_none() {
            let lease = self.wait_in_line(&place, now).await?;
            self.take(place.node, lease, now);
        }
        self.check_alive(now).await?;
        if !self.take_up_server() {
            self.drop_linger();
            self.release(now);
            return Err(SessionError::Moved);
        }
        self.bring_up_to_date().await
    }

    /// Takes a server that nobody has; false when there is none.
    fn take_at_once(&mut self, place: &Place, now: Moment) -> bool {
        let Place { node, pool } = place;
        if (self.lease.is_some() || !self.parked.is_empty()) && self.take_held(*node) {
            return true;
        }
        let own = self.transaction.recalls_sequence.then(|| pool.try_checkout_of(self.worker.id, self.info.pid));
        match own.flatten().or_else(|| pool.try_checkout(self.worker.id)) {
            Some(lease) => {
                self.take(*node, lease, now);
                true
            }
            None => !self.parked.is_empty() && self.unpark_primary(*node),
        }
    }

    /// Takes the session's own server of that node; false when it has none. One of another node is parked.
    #[inline(never)]
    fn take_held(&mut self, node: NodeId) -> bool {
        if self.lease.is_some() {
            if self.lease_node == node {
                return true;
            }
            self.park();
        }
        let Some(at) = self.parked_at(node) else { return false };
        self.lease = Some(self.parked.swap_remove(at).1);
        self.lease_node = node;
        true
    }

    fn take(&mut self, node: NodeId, lease: Lease, now: Moment) {
        self.lease = Some(lease);
        self.lease_node = node;
        self.count_assignment(now);
    }

    /// Begins to use the server that the session has; false when it may not do any more what only the primary may.
    ///
    /// Announced first, checked second: either we see that it may not, or whoever wants the node to be without
    /// transactions sees this one.
    pub(super) fn take_up_server(&mut self) -> bool {
        let bound = self.is_bound();
        let Some(lease) = &mut self.lease else { return false };
        lease.info.went_to(u64::from(self.info.pid));
        self.info.note_server(lease.info.id);
        let facts = self.cluster.facts.load();
        lease.term = facts.term;
        self.exchange.keeps_farewells = facts.heals && !bound;
        let careful = facts.heals || facts.hold.is_some();
        !careful || self.lease_role != Role::Primary || facts.open_primary() == Some(self.lease_node)
    }

    /// In session mode, the session's own server may have died since its last request, and nobody is worse off.
    #[inline]
    fn drop_dead_server(&mut self) {
        if (self.lease.is_some() || !self.parked.is_empty()) && self.outlives_servers() {
            self.drop_what_is_dead();
        }
    }

    #[inline(never)]
    fn drop_what_is_dead(&mut self) {
        self.parked.retain(|(_, lease)| !lease.info.is_cut());
        if self.lease.as_mut().is_some_and(|lease| lease.info.is_cut() || !lease.is_quiet()) {
            self.lose_server();
        }
    }

    fn parked_at(&self, node: NodeId) -> Option<usize> {
        self.parked.iter().position(|(parked, _)| *parked == node)
    }

    /// In session mode a session may hold servers of several nodes. Nobody waits for one while
    /// holding another that others wait for: servers of standbys go back, and whoever has one of the
    /// primary makes do with it. True if the primary's is the session's server now.
    #[inline(never)]
    fn unpark_primary(&mut self, wanted: NodeId) -> bool {
        let primary = self.cluster.facts.load().primary;
        for (node, lease) in std::mem::take(&mut self.parked) {
            if Some(node) == primary {
                self.parked.push((node, lease));
            } else {
                let config = &self.worker.shared.generation.load().config;
                super::recover::clean_up(lease, super::recover::Reset::Configured, config);
            }
        }
        let Some((node, lease)) = self.parked.pop() else { return false };
        debug_assert_ne!(node, wanted, "a server that is parked is not waited for");
        self.info.note_server(lease.info.id);
        lease.info.went_to(u64::from(self.info.pid));
        self.lease = Some(lease);
        self.lease_node = node;
        self.lease_role = Role::Primary;
        true
    }

    /// The session's pool for a node; notes what that node is now.
    pub(super) fn turn_to(&mut self, node: NodeId, facts: &Facts) -> Result<Place, SessionError> {
        let found = facts.node(node).and_then(|known| Some((known.role, self.set.pool(known)?)));
        let Some((role, pool)) = found else { return Err(self.unknown_node()) };
        self.lease_role = if facts.primary == Some(node) { Role::Primary } else { role };
        Ok(Place { node, pool: Arc::clone(pool) })
    }

    #[cold]
    fn unknown_node(&self) -> SessionError {
        SessionError::NoPrimary { cluster: self.cluster.name.to_string() }
    }

    fn count_assignment(&self, since: Moment) {
        let shard = self.set.stats.shard(self.worker.id);
        shard.assignments.add(1);
        if self.info.state().0 == ClientState::Waiting {
            self.end_waiting(since);
        } else {
            shard.wait_time.observe(0);
        }
    }

    #[inline(never)]
    fn end_waiting(&self, since: Moment) {
        let now = Moment::now();
        self.set.stats.shard(self.worker.id).wait_time.observe(now.micros_since(since));
        self.enter(ClientState::Active, now);
    }

    /// Waits in line; a client that hangs up leaves the line.
    async fn wait_in_line(&mut self, place: &Place, since: Moment) -> Result<Lease, SessionError> {
        self.enter(ClientState::Waiting, since);
        self.info.begin_wait();
        let served = self.wait_until_served(place).await;
        // A server that came at the same moment goes back into the pool.
        if self.info.end_wait() { Err(SessionError::Canceled) } else { served }
    }

    async fn wait_until_served(&mut self, place: &Place) -> Result<Lease, SessionError> {
        let facts = Arc::clone(&self.cluster.facts);
        let mut newer = std::pin::pin!(facts.changed());
        let told = std::cell::Cell::new(false);
        let mut line = std::pin::pin!(place.pool.checkout(self.worker.id, || told.set(true)));
        poll_fn(|cx| {
            if let Poll::Ready(served) = line.as_mut().poll(cx) {
                return Poll::Ready(served.map_err(SessionError::from));
            }
            if told.take() {
                self.exchange.say(|out| {
                    reply::notice(
                        out,
                        Severity::Notice,
                        SqlState::SUCCESSFUL_COMPLETION,
                        "no server connection available, client being queued",
                        "",
                        "",
                    );
                });
                let _ = self.exchange.poll_flush(&mut self.client, cx);
            }
            while newer.as_mut().poll(cx).is_ready() {
                newer.set(facts.changed());
            }
            if self.has_moved(place.node) {
                return Poll::Ready(Err(SessionError::Moved));
            }
            match self.poll_client_gone(cx) {
                Poll::Ready(error) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Whoever waits for a server of the primary waits in vain when that is another, or held back.
    fn has_moved(&self, node: NodeId) -> bool {
        let facts = self.cluster.facts.load();
        let careful = facts.heals || facts.hold.is_some();
        careful && self.lease_role == Role::Primary && facts.open_primary() != Some(node)
    }

    pub(super) fn poll_client_gone(&mut self, cx: &mut std::task::Context<'_>) -> Poll<SessionError> {
        self.heed_orders(cx);
        if self.info.ordered() == super::Order::Kill {
            return Poll::Ready(Broken::Ordered(super::Order::Kill).into());
        }
        if self.info.is_wait_canceled() {
            return Poll::Ready(SessionError::Canceled);
        }
        if !self.input.has_room() {
            return Poll::Pending;
        }
        match crate::server::poll_read(&mut self.client, &mut self.input, cx) {
            Poll::Ready(Ok(0)) => Poll::Ready(Broken::Client(std::io::ErrorKind::UnexpectedEof.into()).into()),
            Poll::Ready(Err(cause)) => Poll::Ready(Broken::Client(cause).into()),
            Poll::Ready(Ok(_)) | Poll::Pending => Poll::Pending,
        }
    }

    /// Asks a server that was idle for long whether it still lives; replaces it if not.
    async fn check_alive(&mut self, now: Moment) -> Result<(), SessionError> {
        while let Some(lease) = &mut self.lease {
            let Some(query) = lease.due_check(now) else { return Ok(()) };
            if lease.run(&query).await.is_ok() {
                return Ok(());
            }
            let place = Place { node: self.lease_node, pool: Arc::clone(lease.pool()) };
            self.lease = None;
            self.lease = Some(self.wait_in_line(&place, now).await?);
        }
        Ok(())
    }

    /// Whether the server has the session's settings. In a transaction it keeps those that it has.
    #[inline]
    fn is_up_to_date(&self) -> bool {
        let Some(lease) = &self.lease else { return true };
        let same = lease.settings.same(&self.settings) && lease.sql_statements.same(&self.sql_statements);
        (same && !self.are_strange(lease)) || lease.status != TxStatus::Idle
    }

    /// Whether the server has the session's settings, or will have them in front of the request.
    #[inline]
    pub(super) fn is_brought_ahead(&mut self) -> bool {
        self.is_up_to_date() || self.bring_ahead()
    }

    /// Gives the server what the pool's servers have taken before, in front of the request. False when it has to be asked.
    #[inline(never)]
    fn bring_ahead(&mut self) -> bool {
        let Some(lease) = &self.lease else { return true };
        let is_strange = self.are_strange(lease);
        let has_identity = self.settings.have_identity() || lease.settings.have_identity();
        let prepares = !lease.sql_statements.same(&self.sql_statements);
        if is_strange || has_identity || prepares || !lease.pool().has_taken(&self.settings) {
            return false;
        }
        let Some(lease) = &mut self.lease else { return true };
        let sql = lease.settings.sql_towards(&self.settings);
        self.exchange.precede(lease, sql.as_bytes());
        lease.settings = self.settings.clone();
        true
    }

    /// Another session may have set what nobody knows of.
    fn are_strange(&self, lease: &Lease) -> bool {
        lease.settings_of != 0 && lease.settings_of != self.info.pid
    }

    /// Gives the server the session's settings.
    ///
    /// What the pool's servers have taken before goes in front of the request, in the same packet.
    /// What they have not, or what decides whose rights the request has, is tried first, and so are settings that
    /// statements of SQL's PREPARE are to be read with.
    pub(super) async fn bring_up_to_date(&mut self) -> Result<(), SessionError> {
        if self.is_brought_ahead() {
            return Ok(());
        }
        if self.lease.as_ref().is_some_and(|lease| self.are_strange(lease)) {
            self.forget_strange_settings().await?;
        }
        self.bring_settings().await?;
        self.bring_sql_statements().await
    }

    async fn forget_strange_settings(&mut self) -> Result<(), SessionError> {
        let Some(lease) = &mut self.lease else { return Ok(()) };
        if let Err(error) = lease.run("RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL").await {
            self.lease = None;
            return Err(SessionError::Settings(error));
        }
        (lease.settings, lease.settings_of) = (Settings::default(), 0);
        Ok(())
    }

    async fn bring_settings(&mut self) -> Result<(), SessionError> {
        if self.is_brought_ahead() {
            return Ok(());
        }
        let Some(lease) = &mut self.lease else { return Ok(()) };
        let sql = lease.settings.sql_towards(&self.settings);
        if !sql.is_empty() {
            match lease.run(&sql).await {
                Ok(()) => lease.pool().note_taken(&self.settings),
                Err(error @ RunError::Server { .. }) => return Err(SessionError::Settings(error)),
                Err(error) => {
                    self.lease = None;
                    return Err(SessionError::Settings(error));
                }
            }
        }
        lease.settings = self.settings.clone();
        Ok(())
    }

    /// Has the server forget what other sessions prepared by SQL, and prepare what this one has.
    async fn bring_sql_statements(&mut self) -> Result<(), SessionError> {
        let Some(lease) = &mut self.lease else { return Ok(()) };
        if lease.sql_statements.same(&self.sql_statements) {
            return Ok(());
        }
        for step in lease.sql_statements.towards(&self.sql_statements) {
            match lease.run(&step).await {
                // Its table may be gone: then EXECUTE fails as it would have anyway.
                Ok(()) | Err(RunError::Server { .. }) => {}
                Err(error) => {
                    self.lease = None;
                    return Err(SessionError::Settings(error));
                }
            }
        }
        lease.sql_statements = self.sql_statements.clone();
        Ok(())
    }

    /// In session mode, keeps the present server for later; else gives it back.
    fn park(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        self.drop_linger();
        if self.set.mode == PoolMode::Session {
            self.parked.push((self.lease_node, lease));
        } else {
            lease.give_back(Moment::now());
        }
    }

    /// The transaction is over: in transaction mode somebody else may have the server.
    pub(super) fn release(&mut self, now: Moment) {
        if self.set.mode == PoolMode::Transaction
            && !self.is_pinned()
            && let Some(lease) = self.lease.take()
        {
            self.info.note_server(0);
            lease.give_back(now);
        }
    }

    /// Whether a standby would not even take the session's settings, because its transactions are SERIALIZABLE by
    /// the defaults of its user or database.
    pub(super) fn is_too_serializable(&self, error: &SessionError) -> bool {
        let refused = matches!(error, SessionError::Settings(RunError::Server { sqlstate, .. }) if sqlstate == "0A000");
        refused && self.lease_role != Role::Primary
    }

    /// Whether a node did not even answer, or was not ready to.
    pub(super) fn is_out_of_reach(error: &SessionError) -> bool {
        let SessionError::Checkout(CheckoutError::Connect { cause, .. }) = error else { return false };
        cause.is_unreachable() || cause.is_not_ready()
    }

    /// Whether an attempt at a node failed in a way that another node may not.
    pub(super) fn is_node_trouble(error: &SessionError) -> bool {
        matches!(error, SessionError::Checkout(CheckoutError::Connect { .. }))
    }
}
