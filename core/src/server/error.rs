//! Why a connection to a node did not come about.

use std::{io, time::Duration};

use crate::{
    auth::scram::ScramError,
    wire::{
        sqlstate::SqlState,
        take::{Malformed, ServerMessage},
    },
};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens there.
    #[error("connection refused by {address}")]
    Refused {
        /// Where.
        address: String,
    },
    /// The host's name means nothing.
    #[error("could not resolve {host}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        #[source]
        cause: io::Error,
    },
    /// It took longer than allowed.
    #[error("not connected within {after:?}")]
    Timeout {
        /// The limit.
        after: Duration,
    },
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[source] io::Error),
    /// The server closed before it was done.
    #[error("server closed the connection unexpectedly")]
    Closed,
    /// The mode demands TLS and the server has none.
    #[error("server does not support SSL, but SSL was required")]
    TlsUnavailable,
    /// TLS failed: a certificate that is not believed, mostly.
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    /// The server asks for a proof that we cannot give.
    #[error("the server asks for {method}, and there is no suitable secret for user \"{user}\"")]
    NoSecret {
        /// What it asks for.
        method: &'static str,
        /// Whom we log in as.
        user: String,
    },
    /// The SCRAM exchange failed on our side.
    #[error("SCRAM authentication failed")]
    Scram(#[source] ScramError),
    /// The server does not believe us: its error of class 28.
    #[error("authentication failed")]
    Auth(#[source] ServerMessage),
    /// The server refused for another reason: starting up, shutting down, too many connections, no such database …
    #[error("the server refused the connection")]
    Startup(#[source] ServerMessage),
    /// The `connect_query` failed.
    #[error("connect_query failed")]
    Query(#[source] Box<super::RunError>),
    /// It sent what a server would not.
    #[error("protocol violation by the server: {0}")]
    Protocol(&'static str),
    /// A message is not what its type says.
    #[error("protocol violation by the server")]
    Malformed(#[from] Malformed),
}

impl ConnectError {
    /// The code that the server gave, if it came to that.
    pub fn sqlstate(&self) -> Option<SqlState> {
        self.server_message().map(|message| message.sqlstate)
    }

    /// The error that the server sent, if it came to that.
    pub fn server_message(&self) -> Option<&ServerMessage> {
        match self {
            Self::Auth(message) | Self::Startup(message) => Some(message),
            _ => None,
        }
    }

    /// Whether the node lives but is starting up, shutting down or not yet consistent (57P03).
    pub fn is_not_ready(&self) -> bool {
        self.sqlstate() == Some(SqlState::CANNOT_CONNECT_NOW)
    }

    /// Whether the node has no connection left for us (53300).
    pub fn is_full(&self) -> bool {
        self.sqlstate() == Some(SqlState::TOO_MANY_CONNECTIONS)
    }

    /// Whether the node itself could not be reached or did not answer, as opposed to answering no.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Resolve { .. } | Self::Timeout { .. } | Self::Io(_) | Self::Closed)
    }

    pub(super) fn from_server(message: ServerMessage) -> Self {
        if message.sqlstate.class() == "28" { Self::Auth(message) } else { Self::Startup(message) }
    }
}

impl From<io::Error> for ConnectError {
    fn from(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            io::ErrorKind::InvalidData => Self::Protocol("a message's length is out of bounds"),
            _ => Self::Io(cause),
        }
    }
}
