//! Waits at the boundary of a transaction for a primary that takes it.
//!
//! While there is none, or while it is suspected or about to change ([`facts::Hold`](crate::facts::Hold)), nothing
//! that needs one begins. Whoever waits holds no server, may be cancelled, and is let go when its client vanishes.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{Session, WAIT_FOR_NODE_MAX, error::SessionError, info::ClientState, relay::Broken};
use crate::{clock::Moment, facts::Facts, id::NodeId, server::given_up};

/// How soon a primary that could not be reached is tried again, if nothing else is heard of it.
const TRY_EVERY: Duration = Duration::from_millis(100);

impl Session {
    /// The node that takes writes; while there is none that may, waits for one.
    pub(super) async fn primary(&mut self, since: Moment) -> Result<NodeId, SessionError> {
        if let Some(primary) = self.cluster.facts.load().open_primary() {
            return Ok(primary);
        }
        // In a box: what is rare must not make every session larger.
        Box::pin(self.wait_for_primary(since)).await
    }

    async fn wait_for_primary(&mut self, since: Moment) -> Result<NodeId, SessionError> {
        let began = Moment::now();
        let found = self.wait_for(since, |facts| facts.open_primary().is_some()).await?;
        let shard = self.set.stats.shard(self.worker.id);
        shard.held.add(1);
        shard.hold_time.observe(Moment::now().micros_since(began));
        found.and_then(|facts| facts.open_primary()).ok_or_else(|| self.no_primary())
    }

    /// A session that keeps its server waits until that may be used again.
    pub(super) async fn wait_for_own_server(&mut self, since: Moment) -> Result<(), SessionError> {
        let node = self.lease_node;
        let own = self.lease.as_ref().map(|lease| Arc::clone(&lease.info));
        let is_lost = move || own.as_ref().is_none_or(|own| own.is_cut());
        let found = self.wait_for(since, |facts| facts.open_primary() == Some(node) || is_lost()).await?;
        match found {
            Some(facts) if facts.open_primary() == Some(node) => Ok(()),
            Some(_) => Err(self.break_off(Broken::Server { untouched: true, cause: given_up() })),
            None => Err(self.no_primary()),
        }
    }

    /// The primary could not be reached. Until more is known of it, it is tried again.
    pub(super) async fn wait_for_news(&mut self, since: Moment) -> Result<(), SessionError> {
        let again_at = Instant::now() + TRY_EVERY;
        let epoch = self.cluster.facts.load().epoch;
        let is_news = |facts: &Facts| facts.epoch != epoch || Instant::now() >= again_at;
        match self.wait_until(since, again_at, is_news).await? {
            Some(_) => Ok(()),
            None => Err(self.no_primary()),
        }
    }

    /// Waits until the facts are like that, as long as clients may wait that came then; `None` when it takes longer.
    pub(super) async fn wait_for(
        &mut self,
        since: Moment,
        holds: impl Fn(&Facts) -> bool,
    ) -> Result<Option<Arc<Facts>>, SessionError> {
        let far = Instant::now() + Duration::from_secs(3600);
        self.wait_until(since, far, holds).await
    }

    async fn wait_until(
        &mut self,
        since: Moment,
        look_at: Instant,
        holds: impl Fn(&Facts) -> bool,
    ) -> Result<Option<Arc<Facts>>, SessionError> {
        let now = Moment::now();
        let deadline = Instant::now() + self.patience().saturating_sub(now.since(since));
        self.enter(ClientState::Waiting, since);
        self.info.begin_wait();
        let waited = self.wait_within(deadline, look_at, holds).await;
        // Whatever came at the same moment, the client does not want it any more.
        if self.info.end_wait() {
            return Err(SessionError::Canceled);
        }
        self.enter(ClientState::Active, Moment::now());
        waited
    }

    async fn wait_within(
        &mut self,
        deadline: Instant,
        look_at: Instant,
        holds: impl Fn(&Facts) -> bool,
    ) -> Result<Option<Arc<Facts>>, SessionError> {
        let cell = Arc::clone(&self.cluster.facts);
        loop {
            let mut newer = pin!(cell.changed());
            // From here on nothing is missed.
            newer.as_mut().enable();
            let facts = cell.newest();
            if holds(&facts) {
                return Ok(Some(facts));
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(None);
            }
            let mut alarm = pin!(sleep_until(if look_at > now { deadline.min(look_at) } else { deadline }));
            poll_fn(|cx| {
                if newer.as_mut().poll(cx).is_ready() || alarm.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Ok(()));
                }
                self.poll_client_gone(cx).map(Err)
            })
            .await?;
        }
    }

    /// How long clients wait for a primary.
    fn patience(&self) -> Duration {
        let facts = self.cluster.facts.load();
        if facts.heals || facts.hold.is_some() {
            self.worker.shared.generation.load().config.failover_hold_timeout
        } else {
            WAIT_FOR_NODE_MAX
        }
    }

    /// Nobody came in time.
    #[cold]
    pub(super) fn no_primary(&self) -> SessionError {
        let facts = self.cluster.facts.load();
        let cluster = self.cluster.name.to_string();
        if !facts.heals && facts.hold.is_none() {
            return SessionError::NoPrimary { cluster };
        }
        let why = facts.hold.as_ref().map(|hold| Arc::clone(&hold.why));
        SessionError::Held { cluster, waited: self.patience(), why }
    }
}
