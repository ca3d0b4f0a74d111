//! How everybody learns that the proxy is going to end.

use std::sync::Arc;

use tokio::sync::watch;

/// How far the end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Business as usual.
    #[default]
    Running,
    /// No new clients; those that are here go when their transaction is over.
    Leaving,
    /// Everybody out.
    Now,
}

/// One end of it: cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown {
    phase: watch::Receiver<Phase>,
    sender: Arc<watch::Sender<Phase>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        let (sender, phase) = watch::channel(Phase::Running);
        Self { phase, sender: Arc::new(sender) }
    }
}

impl Shutdown {
    /// Goes on to a later phase; never back.
    pub fn advance(&self, to: Phase) {
        self.sender.send_if_modified(|phase| {
            let later = to > *phase;
            if later {
                *phase = to;
            }
            later
        });
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Waits until no new clients are taken.
    pub async fn no_more_clients(&self) {
        self.reached(Phase::Leaving).await;
    }

    /// Waits until a phase has been reached.
    pub async fn reached(&self, wanted: Phase) {
        let mut phase = self.phase.clone();
        // The sender lives as long as we do, so waiting cannot fail.
        let _ = phase.wait_for(|phase| *phase >= wanted).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_never_goes_back() {
        let shutdown = Shutdown::default();
        shutdown.advance(Phase::Now);
        shutdown.advance(Phase::Leaving);
        shutdown.no_more_clients().await;
        assert_eq!(shutdown.phase(), Phase::Now);
    }
}
