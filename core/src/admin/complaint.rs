//! Why a command was not obeyed, and what the operator is told.

use thiserror::Error;

use super::command::CommandError;
use crate::{
    pool::holds::TooManyHeld,
    wire::{
        reply::{self, Severity},
        sqlstate::SqlState,
    },
};

/// A command, or a message of the extended protocol, that was refused. The session goes on.
#[derive(Debug, Error)]
pub enum Complaint {
    /// It is no command.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A message of the protocol is not as it should be.
    #[error("invalid {0} message")]
    Malformed(&'static str),
    /// The user may only look.
    #[error("admin access needed")]
    Denied,
    /// The configuration has no such database.
    #[error("no such database: {0}")]
    NoSuchDatabase(String),
    /// An order for everything while everything is paused.
    #[error("already suspended/paused")]
    AlreadyPaused,
    /// RESUME of what goes on.
    #[error("pooler is not paused/suspended")]
    NotPaused {
        /// The databases that are paused by their names.
        paused: Vec<String>,
    },
    /// RESUME of a database that goes on.
    #[error("database {0} is not paused")]
    DatabaseNotPaused(String),
    /// RESUME while the proxy goes away.
    #[error("pooler is shutting down")]
    ShuttingDown,
    /// Too many databases are held by their names.
    #[error(transparent)]
    TooManyHeld(#[from] TooManyHeld),
    /// There is no client of that number.
    #[error("client not found")]
    NoSuchClient,
    /// The configuration was refused, and the running one stays.
    #[error("{command} failed: {cause}")]
    Configuration {
        /// Which command.
        command: &'static str,
        /// The first thing that is wrong.
        cause: String,
        /// What else is wrong, one thing a line.
        more: String,
    },
    /// The control plane refused.
    #[error("{command} failed: {cause}")]
    Node {
        /// Which command.
        command: &'static str,
        /// Why.
        cause: String,
    },
    /// A cluster does not do what was ordered.
    #[error("{command} failed: {cause}")]
    Cluster {
        /// Which command.
        command: &'static str,
        /// Why.
        cause: String,
    },
    /// EXPLAIN ROUTE of a database without a cluster.
    #[error("no such cluster: {0}")]
    NoSuchCluster(String),
    /// SET of a key of the configuration.
    #[error("\"{0}\" is set in the configuration, not on the console")]
    SetInFile(String),
    /// SET or SHOW of something unknown.
    #[error("unrecognized configuration parameter \"{0}\"")]
    UnknownSetting(String),
    /// BEGIN, COMMIT and the like.
    #[error("{0}: the console has no transactions")]
    NoTransactions(&'static str),
    /// PgBouncer has it and we do not.
    #[error("{0} is not supported")]
    Unsupported(&'static str, &'static str),
    /// A cancel request ended the wait.
    #[error("canceling statement due to user request")]
    Canceled,
    /// Describe, Bind or Execute of a name that was never given.
    #[error("prepared statement \"{0}\" does not exist")]
    NoSuchStatement(String),
    /// The same for portals.
    #[error("portal \"{0}\" does not exist")]
    NoSuchPortal(String),
    /// Parse of a name that is in use.
    #[error("prepared statement \"{0}\" already exists")]
    StatementExists(String),
    /// Bind of a name that is in use.
    #[error("cursor \"{0}\" already exists")]
    PortalExists(String),
    /// More names than a console keeps.
    #[error("too many prepared statements or portals; the limit is {0}")]
    TooManyNames(usize),
}

impl Complaint {
    /// What drivers act on.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            Self::Command(CommandError::Parameter)
            | Self::SetInFile(_)
            | Self::NoTransactions(_)
            | Self::Unsupported(..) => SqlState::FEATURE_NOT_SUPPORTED,
            Self::Command(CommandError::TooLong(_) | CommandError::TooMany)
            | Self::TooManyHeld(_)
            | Self::TooManyNames(_) => SqlState::PROGRAM_LIMIT_EXCEEDED,
            Self::Command(_) => SqlState::SYNTAX_ERROR,
            Self::Malformed(_) => SqlState::PROTOCOL_VIOLATION,
            Self::Denied => SqlState::INSUFFICIENT_PRIVILEGE,
            Self::NoSuchDatabase(_) | Self::NoSuchCluster(_) => SqlState::INVALID_CATALOG_NAME,
            Self::AlreadyPaused | Self::NotPaused { .. } | Self::DatabaseNotPaused(_) | Self::Cluster { .. } => {
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE
            }
            Self::ShuttingDown => SqlState::CANNOT_CONNECT_NOW,
            Self::NoSuchClient | Self::Node { .. } | Self::UnknownSetting(_) => SqlState::UNDEFINED_OBJECT,
            Self::Configuration { .. } => SqlState::CONFIG_FILE_ERROR,
            Self::Canceled => SqlState::QUERY_CANCELED,
            Self::NoSuchStatement(_) => SqlState::INVALID_SQL_STATEMENT_NAME,
            Self::NoSuchPortal(_) => SqlState::INVALID_CURSOR_NAME,
            Self::StatementExists(_) => SqlState::DUPLICATE_PSTATEMENT,
            Self::PortalExists(_) => SqlState::DUPLICATE_CURSOR,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Configuration { more, .. } => more.clone(),
            Self::NotPaused { paused } if !paused.is_empty() => {
                format!("Paused by their names: {}.", paused.join(", "))
            }
            _ => String::new(),
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Configuration { .. } => "Nothing has changed.",
            Self::SetInFile(_) => "Change the file, then RELOAD.",
            Self::NoTransactions(_) => "Use autocommit.",
            Self::Unsupported(_, hint) => hint,
            Self::NotPaused { paused } if !paused.is_empty() => "RESUME each of them.",
            _ => "",
        }
    }

    /// Appends it as an ErrorResponse.
    pub fn put(&self, out: &mut Vec<u8>) {
        reply::error(out, Severity::Error, self.sqlstate(), &self.to_string(), &self.detail(), self.hint());
    }
}
