//! The executors `exec` and `ssh`: a script for a shell, here or on the node's machine.

use std::sync::Arc;

use super::{
    Host, Listen,
    error::HostError,
    job::Job,
    run::{here, run, there, would_be_root},
    script::Place,
    state::NodeState,
};

/// Commands on this machine.
#[derive(Clone, Debug)]
pub struct Exec {
    /// Where things are.
    pub place: Place,
    /// The user to run as.
    pub run_as: Option<String>,
}

impl Host for Exec {
    async fn carry_out(&self, job: &Job, listen: &mut dyn Listen) -> Result<NodeState, HostError> {
        let script = self.place.script(job)?;
        if would_be_root(self.run_as.as_deref()) {
            return Err(HostError::Root { node: self.place.node.clone() });
        }
        run(here(self.run_as.as_deref())?, script, job.limit, listen, "this machine").await
    }

    fn reaches_a_node_that_is_down(&self) -> bool {
        true
    }
}

/// Commands on another machine.
#[derive(Clone, Debug)]
pub struct Ssh {
    /// Where things are there.
    pub place: Place,
    /// The ssh program and its options.
    pub command: Vec<String>,
    /// `user@host`.
    pub target: Arc<str>,
}

impl Host for Ssh {
    async fn carry_out(&self, job: &Job, listen: &mut dyn Listen) -> Result<NodeState, HostError> {
        let script = self.place.script(job)?;
        run(there(&self.command, &self.target), script, job.limit, listen, &self.target).await
    }

    fn reaches_a_node_that_is_down(&self) -> bool {
        true
    }
}
