//! What the data plane tells the control plane: trouble that real traffic met.

use tokio::sync::mpsc;

use crate::id::NodeId;

/// Something that a session met at a node. It raises suspicion; only probes decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A new connection to the node failed.
    ConnectFailed(NodeId),
    /// An established connection broke.
    ConnectionLost(NodeId),
    /// The node refused a write that was meant for a primary (25006).
    ReadOnly(NodeId),
    /// The node told a client that its disk is full (53100).
    DiskFull(NodeId),
}

/// The way up. Reports beyond the bound are dropped: they are hints.
#[derive(Clone, Debug)]
pub struct Reports(mpsc::Sender<Report>);

impl Reports {
    /// Most reports that wait for the monitor at once.
    const WAITING_MAX: usize = 256;

    /// A way up, with the end that the monitor reads.
    pub fn channel() -> (Self, mpsc::Receiver<Report>) {
        let (sender, receiver) = mpsc::channel(Self::WAITING_MAX);
        (Self(sender), receiver)
    }

    /// Sends a report, or drops it when the monitor is behind.
    pub fn send(&self, report: Report) {
        let _ = self.0.try_send(report);
    }
}
