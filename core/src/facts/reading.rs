//! When the control plane has read of a database what a session has changed in it.

use tokio::sync::watch;

/// Says when a catalog has been read that includes a change.
#[derive(Clone, Debug)]
pub struct Reading {
    change: u64,
    included: watch::Receiver<u64>,
}

impl Reading {
    /// Of the change of that number; `included` has the number of the last one that has been read.
    pub fn of(change: u64, included: watch::Receiver<u64>) -> Self {
        Self { change, included }
    }

    /// Waits for it; also over when nobody reads that catalog any more.
    pub async fn done(mut self) {
        let change = self.change;
        let _ = self.included.wait_for(|included| *included >= change).await;
    }
}
