//! What can go wrong with a cluster of our own.

use std::{io, time::Duration};

use super::{account::NoAccount, binaries::NoBinaries};

/// A cluster could not be made, or one of its nodes did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// PostgreSQL is not installed.
    #[error("PostgreSQL is missing")]
    Binaries(#[from] NoBinaries),
    /// Nobody to run it as.
    #[error("nobody can run PostgreSQL")]
    Account(#[from] NoAccount),
    /// A file, a folder or a process.
    #[error("could not {task}")]
    Io {
        /// What was tried.
        task: String,
        /// Why it failed.
        #[source]
        cause: io::Error,
    },
    /// One of PostgreSQL's programs ended with an error.
    #[error("{program} failed: {said}")]
    Program {
        /// Its name.
        program: String,
        /// Its error output and, for a server, the end of its log.
        said: String,
    },
    /// Something that should follow by itself did not.
    #[error("{event} did not happen within {limit:?}")]
    Late {
        /// What was waited for.
        event: String,
        /// For how long.
        limit: Duration,
    },
    /// Every port of our range is in use.
    #[error("no loopback port is free")]
    NoPort,
    /// No node has this name.
    #[error("the cluster has no node {0:?}")]
    NoNode(String),
}

impl ClusterError {
    /// For `map_err`.
    pub(super) fn io(task: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let task = task.into();
        move |cause| Self::Io { task, cause }
    }
}
