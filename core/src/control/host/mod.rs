//! What can be done on a node's machine: a few fixed steps, through an executor.
//!
//! A [`Job`](job::Job) says which steps, [`NodeState`](state::NodeState) is what the machine looks like afterwards,
//! [`HostError`](error::HostError) why not. Everything else is a way to a machine.

pub mod error;
pub mod job;
pub mod state;

use self::{error::HostError, job::Job, state::NodeState};

/// Hears what a job is doing: its steps, and the lines that its commands print.
pub trait Listen: Send {
    /// One line, without its end.
    fn line(&mut self, line: &str);
}

impl<F: FnMut(&str) + Send> Listen for F {
    fn line(&mut self, line: &str) {
        self(line);
    }
}

/// A node's machine.
pub trait Host: Send + Sync {
    /// Carries out a job. When this is dropped midway, what was begun may go on: a rewind must not be cut short.
    fn carry_out(
        &self,
        job: &Job,
        listen: &mut dyn Listen,
    ) -> impl Future<Output = Result<NodeState, HostError>> + Send;

    /// Whether the node can be acted upon while its server is down.
    fn reaches_a_node_that_is_down(&self) -> bool;
}
