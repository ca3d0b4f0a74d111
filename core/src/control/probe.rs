//! Watches one node over one held session, and nothing else: a node that hangs delays nobody.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::Rng;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{
    cluster_question::{ClusterSample, HOW_IS_THE_CLUSTER, PREPARE_CLUSTER},
    dial::{Dial, Link},
    observation::{Failure, FailureKind, Finding, Loss, Observation, Position, Sample, Timings},
    question::{HOW_ARE_YOU, Identity, PREPARE, WHO_ARE_YOU, WHO_ARE_YOU_ROUGHLY},
};
use crate::server::{ServerTarget, simple::Row};

/// Least time between two probes of one node, however many sessions ask for fresh positions.
const DEMAND_SPACING: Duration = Duration::from_millis(2);

/// First pause before the next connect.
const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(25);

/// Each pause is so much longer than the last. A node that is killed takes a moment to be gone, which is to be known
/// while the moment is a short one.
const RECONNECT_PAUSE_GROWTH: f64 = 1.25;

/// Longest pause before the next connect: a node that is back is noticed within it.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The same in probe intervals, for those who probe more often.
const RECONNECT_PAUSE_MAX_INTERVALS: u32 = 10;

/// What a probe must know, newest first.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    /// Where the node is and how to log in; held for the next connect.
    pub target: ServerTarget,
    /// How often to ask.
    pub timings: Timings,
    /// The cluster heals itself: more is asked, and the silence of the node is measured.
    pub heals: bool,
}

/// Since when a question has been open, for whoever looks at the node from outside.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenQuestion(Arc<Mutex<Option<Instant>>>);

impl OpenQuestion {
    /// When it was asked.
    pub(super) fn since(&self) -> Option<Instant> {
        *self.slot()
    }

    fn set(&self, asked_at: Option<Instant>) {
        *self.slot() = asked_at;
    }

    fn slot(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The watch over one node.
pub(super) struct Probe<D> {
    /// For the log.
    pub cluster: Arc<str>,
    /// Opens sessions.
    pub dial: D,
    /// Changes with a reload.
    pub orders: watch::Receiver<Orders>,
    /// Somebody wants fresh positions.
    pub poke: Arc<Notify>,
    /// Tells this watch's observations from those of others.
    pub key: u64,
    /// The question that is open, if one is.
    pub question: OpenQuestion,
    /// Where observations go.
    pub seen: mpsc::Sender<(u64, Finding)>,
}

impl<D: Dial> Probe<D> {
    /// Watches until it is dropped.
    pub(super) async fn run(self) {
        let mut pause = Pause::default();
        loop {
            let mut asked_at = Instant::now();
            let visited = self.visit(&mut asked_at).await;
            self.question.set(None);
            match visited {
                // It was good and is over; why shows when we come again.
                Ok(()) => pause = Pause::default(),
                Err(failure) => {
                    let kind = failure.kind;
                    self.tell(asked_at, Err(failure)).await;
                    sleep(pause.next(kind, self.timings().probe_interval)).await;
                }
            }
        }
    }

    /// One session, from connect to its end. Fails if it never was of use, or when the node falls silent: to what was
    /// asked last, and when that was.
    async fn visit(&self, asked_at: &mut Instant) -> Result<(), Failure> {
        let target = self.orders.borrow().target.clone();
        let mut link = self.enter(&target).await?;
        let identity = self.introduce(&mut link).await?;
        let tells_more = self.heals() && self.ask(&mut link, PREPARE_CLUSTER).await.is_ok();
        let mut before: Option<Sample> = None;
        loop {
            *asked_at = Instant::now();
            self.question.set(Some(*asked_at));
            let sample = self.sample(&mut link, identity, tells_more).await;
            match sample {
                Ok(sample) => {
                    self.log_receiver(&target.node, before.as_ref(), &sample);
                    before = Some(sample.clone());
                    self.tell(*asked_at, Ok(sample)).await;
                }
                Err(failure) if before.is_none() || matches!(failure.kind, FailureKind::Silent(_)) => {
                    return Err(failure);
                }
                Err(failure) => {
                    if let FailureKind::Ended(loss) = failure.kind {
                        self.lost(loss).await;
                    }
                    return Ok(());
                }
            }
            self.question.set(None);
            tokio::select! {
                () = sleep_until(*asked_at + self.timings().probe_interval) => {}
                () = self.poke.notified() => sleep_until(*asked_at + DEMAND_SPACING).await,
                loss = link.over() => {
                    self.lost(loss).await;
                    return Ok(());
                }
            }
        }
    }

    /// Connects, and tells whether that is possible.
    async fn enter(&self, target: &ServerTarget) -> Result<D::Link, Failure> {
        let entered = self.dial.dial(target).await;
        if self.heals() {
            let told = entered.as_ref().map(drop).map_err(Clone::clone);
            let _ = self.seen.send((self.key, Finding::Dialled(told))).await;
        }
        entered
    }

    async fn sample(&self, link: &mut D::Link, identity: Identity, tells_more: bool) -> Result<Sample, Failure> {
        let rows = self.ask(link, HOW_ARE_YOU).await?;
        let mut sample = identity.sample(&rows).ok_or_else(nonsense)?;
        if tells_more {
            let rows = self.ask(link, HOW_IS_THE_CLUSTER).await?;
            let cluster = ClusterSample::read(&rows).ok_or_else(nonsense)?;
            sample.timeline = sample.timeline.max(cluster.log_timeline);
            sample.cluster = Some(Box::new(cluster));
        }
        Ok(sample)
    }

    async fn ask(&self, link: &mut D::Link, sql: &str) -> Result<Vec<Row>, Failure> {
        link.ask(sql, self.timings().probe_timeout).await
    }

    async fn lost(&self, loss: Loss) {
        self.question.set(None);
        if self.heals() {
            let _ = self.seen.send((self.key, Finding::Lost(loss))).await;
        }
    }

    fn heals(&self) -> bool {
        self.orders.borrow().heals
    }

    async fn introduce(&self, link: &mut D::Link) -> Result<Identity, Failure> {
        let rows = match self.ask(link, WHO_ARE_YOU).await {
            Err(Failure { kind: FailureKind::Broken, .. }) => self.ask(link, WHO_ARE_YOU_ROUGHLY).await?,
            answer => answer?,
        };
        let identity = Identity::read(&rows).ok_or_else(nonsense)?;
        self.ask(link, PREPARE).await?;
        Ok(identity)
    }

    fn timings(&self) -> Timings {
        self.orders.borrow().timings
    }

    async fn tell(&self, asked_at: Instant, outcome: Result<Sample, Failure>) {
        let observation = Observation { asked_at, ended_at: Instant::now(), outcome };
        // Nobody listens only while everything stops.
        let _ = self.seen.send((self.key, Finding::Probe(observation))).await;
    }

    fn log_receiver(&self, node: &str, before: Option<&Sample>, now: &Sample) {
        let receiving = |sample: &Sample| match sample.position {
            Position::Standby { receiving, .. } => Some(receiving),
            Position::Primary { .. } => None,
        };
        let cluster = &*self.cluster;
        match (before.and_then(receiving), receiving(now)) {
            (Some(true), Some(false)) => tracing::warn!(cluster, "{node} receives nothing from its primary any more"),
            (Some(false), Some(true)) => tracing::info!(cluster, "{node} receives from its primary again"),
            _ => {}
        }
    }
}

fn nonsense() -> Failure {
    Failure { kind: FailureKind::Broken, why: "its answer makes no sense: it is not PostgreSQL".into() }
}

/// The pauses between connects that fail.
#[derive(Debug, Default)]
struct Pause {
    last: Duration,
}

impl Pause {
    fn next(&mut self, kind: FailureKind, interval: Duration) -> Duration {
        let longest = match kind {
            // It says that it will be back.
            FailureKind::NotReady => interval,
            _ => interval.saturating_mul(RECONNECT_PAUSE_MAX_INTERVALS),
        };
        self.last = self
            .last
            .mul_f64(RECONNECT_PAUSE_GROWTH)
            .clamp(RECONNECT_PAUSE_MIN, RECONNECT_PAUSE_MAX.min(longest).max(RECONNECT_PAUSE_MIN));
        // Many proxies that lost the same node do not come back in step.
        self.last.mul_f64(rand::rng().random_range(0.8..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(200);

    fn nth(kind: FailureKind, interval: Duration, times: usize) -> Duration {
        let mut pause = Pause::default();
        (0..times).map(|_| pause.next(kind, interval)).last().unwrap()
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let about = |pause: Duration, most: Duration| pause <= most && pause >= most.mul_f64(0.79);
        assert!(about(nth(FailureKind::Refused, INTERVAL, 1), RECONNECT_PAUSE_MIN));
        assert!(about(nth(FailureKind::Refused, INTERVAL, 100), RECONNECT_PAUSE_MAX));
        assert!(about(nth(FailureKind::NotReady, INTERVAL, 100), INTERVAL));
        assert!(about(nth(FailureKind::Refused, Duration::from_millis(10), 100), Duration::from_millis(100)));
        assert!(about(nth(FailureKind::Refused, Duration::ZERO, 100), RECONNECT_PAUSE_MIN));
    }
}
