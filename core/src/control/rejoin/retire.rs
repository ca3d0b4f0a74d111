//! The old primary in a planned switchover: it becomes a standby-to-be, goes down cleanly, and comes back.
//!
//! A clean stop is what makes `pg_rewind` unnecessary: walsenders stay until standbys have the shutdown's record, and
//! nothing is written after it. So the other node is promoted after [`retire`] and never before.

use std::time::Duration;

use crate::{
    control::host::{Host, HostError, Job, Listen, NodeState, Step, StopMode, Upstream, Warrant},
    id::Lsn,
};

/// Whose job it is.
#[derive(Clone, Debug)]
pub struct Retirement {
    /// The operation in the cluster's log.
    pub op: String,
    /// Its epoch.
    pub epoch: u64,
    /// The node that will be the primary.
    pub upstream: Upstream,
    /// How long the stop may take.
    pub limit: Duration,
}

/// What has become of the old primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retired {
    /// It is down, and the last record of its log begins here. Whoever is promoted has to have replayed it.
    Down {
        /// The record of its shutdown.
        shutdown: Lsn,
    },
    /// It runs again as a standby already, because nobody could have started it later.
    Standby,
}

impl Retirement {
    fn job(&self, steps: Vec<Step>) -> Job {
        Job { op: self.op.clone(), epoch: self.epoch, steps, limit: self.limit }
    }

    /// Plants `standby.signal` and stops the old primary cleanly. May be repeated.
    pub async fn retire(&self, host: &impl Host, listen: &mut dyn Listen) -> Result<Retired, HostError> {
        let mut steps = vec![Step::Follow(self.upstream.clone()), Step::Stop(StopMode::Fast)];
        if !host.reaches_a_node_that_is_down() {
            steps.push(Step::Start(Warrant::Switchover));
            host.carry_out(&self.job(steps), listen).await?;
            return Ok(Retired::Standby);
        }
        let state = host.carry_out(&self.job(steps), listen).await?;
        match state.control {
            Some(control) if control.is_clean() && !state.running => {
                Ok(Retired::Down { shutdown: Lsn(control.checkpoint) })
            }
            control => Err(HostError::Failed {
                step: "stop".into(),
                why: format!("it did not stop cleanly: {}", control.map(|it| it.state).unwrap_or_default()),
                said: Default::default(),
            }),
        }
    }

    /// Starts it as the standby that [`retire`](Self::retire) made of it. May be repeated.
    pub async fn bring_back(&self, host: &impl Host, listen: &mut dyn Listen) -> Result<NodeState, HostError> {
        host.carry_out(&self.job(vec![Step::Start(Warrant::Switchover)]), listen).await
    }

    /// The switchover was called off while the old primary still ran: it stays what it is, also after a restart.
    pub async fn call_off(&self, host: &impl Host, listen: &mut dyn Listen) -> Result<NodeState, HostError> {
        host.carry_out(&self.job(vec![Step::Disarm]), listen).await
    }
}
