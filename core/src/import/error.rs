//! Why nothing could be imported.

use std::{fmt, io, path::PathBuf};

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Why nothing was imported. No message repeats a value, which may be a password.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error("could not read {}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A line that the other program would not take either.
    #[error("{spot}: {what}")]
    Syntax {
        /// Where.
        spot: Spot,
        /// What is wrong.
        what: String,
    },
    /// It is neither program's file.
    #[error("{}: neither PgBouncer's nor pgpool-II's configuration; --kind says whose it is", file.display())]
    UnknownKind {
        /// Which.
        file: PathBuf,
    },
    /// There is nothing to connect to.
    #[error("{}: {what}", file.display())]
    Empty {
        /// Which.
        file: PathBuf,
        /// What is not there.
        what: &'static str,
    },
    /// A way of running a cluster that we have not.
    #[error("{}: {what}; Howdah works with streaming replication", file.display())]
    NotStreaming {
        /// Which.
        file: PathBuf,
        /// What it asks for.
        what: String,
    },
    /// The output is there already.
    #[error("{} is there already; --force overwrites it, --output names another one", file.display())]
    Exists {
        /// Which.
        file: PathBuf,
    },
    /// The output cannot be written.
    #[error("could not write {}", file.display())]
    Write {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}
