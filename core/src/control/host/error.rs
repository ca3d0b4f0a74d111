//! Why a job on a node's machine has come to nothing.

use std::{fmt, io, time::Duration};

use super::job::Unfit;
use crate::{server::ConnectError, server::simple::QueryError};

/// What the commands of a job said last, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said(pub Vec<String>);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// The job is not done, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Nobody may act on the machine.
    #[error(
        "nobody may act on the machine of {node}: its `executor` is \"none\" ([clusters.{cluster}], or its entry in \
         `nodes`)"
    )]
    NoExecutor {
        /// The node.
        node: String,
        /// Its cluster.
        cluster: String,
    },
    /// This executor cannot do it.
    #[error("the executor \"{executor}\" of {node} cannot {what}")]
    Unable {
        /// The node.
        node: String,
        /// Its executor.
        executor: &'static str,
        /// Do what.
        what: &'static str,
    },
    /// Commands would run as root.
    #[error("PostgreSQL's programs refuse to run as root: set `run_as` for {node}")]
    Root {
        /// The node.
        node: String,
    },
    /// The job makes no sense.
    #[error("the job was refused")]
    Unfit(#[from] Unfit),
    /// A program could not be run here.
    #[error("could not run {program}")]
    Run {
        /// Which.
        program: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A step failed.
    #[error("{step} failed: {why}{said}")]
    Failed {
        /// Which step.
        step: String,
        /// In words.
        why: String,
        /// The last output.
        said: Said,
    },
    /// The time is over. What was begun on another machine may still go on there.
    #[error("{step} did not end within {limit:?}{said}")]
    Late {
        /// The step that it was at.
        step: String,
        /// The limit.
        limit: Duration,
        /// The last output.
        said: Said,
    },
    /// The machine could not be reached, so nothing was begun.
    #[error("could not reach {place}{said}")]
    Unreachable {
        /// Where.
        place: String,
        /// What was said about it.
        said: Said,
        /// Why.
        #[source]
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The connection broke after the job had begun; it may go on.
    #[error("the connection to {place} broke during {step}; what was begun may go on there{said}")]
    Lost {
        /// Where.
        place: String,
        /// The step that it was at.
        step: String,
        /// The last output.
        said: Said,
    },
    /// Another operation's job runs on the machine.
    #[error("{place} is busy with {op}")]
    Busy {
        /// Where.
        place: String,
        /// The other operation.
        op: String,
    },
    /// The machine's agent refuses us.
    #[error("the agent refused: {why}")]
    Refused {
        /// In its words.
        why: String,
    },
    /// The node's SQL could not be reached, or refuses us.
    #[error("could not log in to {node}")]
    Connect {
        /// The node.
        node: String,
        /// Why.
        #[source]
        cause: Box<ConnectError>,
    },
    /// The node's SQL refuses a statement.
    #[error("{node} refused {what}")]
    Query {
        /// The node.
        node: String,
        /// What was asked.
        what: &'static str,
        /// Why.
        #[source]
        cause: Box<QueryError>,
    },
}
