//! What can be done on a node's machine: a few fixed steps, through an executor.
//!
//! A [`Job`] says which steps, [`NodeState`] is what the machine looks like afterwards, [`HostError`] why not. The steps
//! themselves are `verbs.sh`, which [`script`] completes and which needs nothing but PostgreSQL's programs.
//! [`local`], [`program`] and [`agent`] are the ways to a machine, [`executor`] chooses by the configuration. When which steps are due is
//! for [`rejoin`](super::rejoin).
//!

pub mod agent;
pub mod error;
pub mod executor;
pub mod frame;
pub mod job;
mod lines;
pub mod local;
pub mod program;
pub mod quote;
mod run;
pub mod script;
pub mod state;

pub use error::HostError;
pub use executor::Executor;
pub use job::{Address, Job, KeepFrom, Password, Rebuild, Rewind, Source, Step, StopMode, Upstream, Warrant};
pub use state::{ControlData, NodeState};

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
    /// Carries out a job. When this is dropped midway, the command that runs is not cut short, and no other begun.
    fn carry_out(
        &self,
        job: &Job,
        listen: &mut dyn Listen,
    ) -> impl Future<Output = Result<NodeState, HostError>> + Send;

    /// Whether the node can be acted upon while its server is down. If not, a job that stops it must start it too.
    fn reaches_a_node_that_is_down(&self) -> bool;
}
