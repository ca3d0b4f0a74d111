//! Finds out whether a node still takes new sessions, when a session of the proxy could not open one.
//!
//! The held session of a [`Probe`](super::probe::Probe) goes on working while the postmaster hangs:
//! work on open connections does too, and yet whoever needs another one waits for nothing.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, watch},
    time::sleep,
};

use super::{
    dial::Dial,
    observation::{Failure, FailureKind, Finding},
    probe::Orders,
    sights::SILENCE_AT_THE_DOOR,
};
use crate::server::ServerTarget;

/// From one knock at a node that does not open to the next; also the least time between two.
const KNOCK_SPACING: Duration = Duration::from_secs(1);

/// Knocks at one node.
pub(super) struct Knock<D> {
    /// Opens sessions.
    pub dial: D,
    /// Where the node is.
    pub orders: watch::Receiver<Orders>,
    /// Somebody could not open a session.
    pub doubt: Arc<Notify>,
    /// As for the probe.
    pub key: u64,
    /// As for the probe.
    pub seen: mpsc::Sender<(u64, Finding)>,
}

impl<D: Dial> Knock<D> {
    /// Knocks when in doubt, and on until the node opens.
    pub(super) async fn run(self) {
        let mut opened = true;
        loop {
            if opened {
                self.doubt.notified().await;
            }
            let target = self.target();
            let outcome = match self.dial.dial(&target).await {
                Err(failure) if keeps_everyone_out(&failure) => Err(failure),
                _ => Ok(()),
            };
            // A node that opens is worth no word unless it did not.
            let news = outcome.is_err() || !opened;
            opened = outcome.is_ok();
            if news && self.seen.send((self.key, Finding::Entry(outcome))).await.is_err() {
                return;
            }
            sleep(KNOCK_SPACING).await;
        }
    }
}

impl<D> Knock<D> {
    /// Where a cluster heals itself, nobody waits long at a door.
    fn target(&self) -> ServerTarget {
        let orders = self.orders.borrow();
        let mut target = orders.target.clone();
        if orders.heals {
            target.connect_timeout = target.connect_timeout.min(SILENCE_AT_THE_DOOR);
        }
        target
    }
}

/// A full node opens again for whoever returns a session; a rejected control user is our affair alone.
fn keeps_everyone_out(failure: &Failure) -> bool {
    !matches!(failure.kind, FailureKind::Full | FailureKind::Rejected)
}
