//! Why a client does not get in, and what it is told.

use std::{borrow::Cow, io, time::Duration};

use super::access::Visitor;
use crate::{
    auth::scram::ScramError,
    wire::{
        reply::{self, Severity},
        sqlstate::SqlState,
        startup::StartupError,
        take::Malformed,
    },
};

/// A reason outside of the handshake to turn a client away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the driver acts on.
    pub sqlstate: SqlState,
    /// What the human reads.
    pub message: Cow<'static, str>,
}

/// Why nobody could say whether there is a user.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LookupError(pub String);

/// Why a client did not get in. By then it has been told, if it could be.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// It left. Port scanners and health checks do.
    #[error("the client left")]
    ClientLeft,
    /// The connection broke.
    #[error("the connection to the client broke")]
    Io(#[source] io::Error),
    /// TLS could not be agreed on.
    #[error("the TLS handshake with the client failed")]
    Tls(#[source] io::Error),
    /// It speaks TLS at once, and we speak none.
    #[error("the client started TLS, which is not enabled")]
    TlsDisabled,
    /// Direct TLS without the protocol's name.
    #[error("received direct SSL connection request without ALPN protocol negotiation extension")]
    NoAlpn,
    /// It sent more before TLS began. Taken for encrypted, such bytes could come from anyone.
    #[error("received unencrypted data after SSL request")]
    UnencryptedData,
    /// It would not use TLS.
    #[error("SSL required")]
    TlsRequired,
    /// Its first packet is refused.
    #[error(transparent)]
    Startup(#[from] StartupError),
    /// It took too long.
    #[error("client_login_timeout: not logged in within {after:?}")]
    TimedOut {
        /// The limit.
        after: Duration,
    },
    /// It is turned away for a reason of our own.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// No rule of `auth_hba_file` is about it.
    #[error("no HBA rule for {0}")]
    NoRule(Visitor),
    /// The first rule that is about it says no.
    #[error("an HBA rule rejects {0}")]
    Rejected(Visitor),
    /// It has to show a certificate and has shown none.
    #[error("connection requires a valid client certificate")]
    NoCertificate,
    /// Its certificate is somebody else's.
    #[error("certificate authentication failed for user \"{user}\"")]
    Certificate {
        /// The name it gave.
        user: String,
    },
    /// Its process is somebody else's.
    #[error("peer authentication failed for user \"{user}\"")]
    Peer {
        /// The name it gave.
        user: String,
    },
    /// The user is not in the `auth_file`, and nobody can say whether there is one.
    #[error("could not look up user \"{user}\"")]
    Lookup {
        /// The name it gave.
        user: String,
        /// For the log, not for the client.
        #[source]
        cause: LookupError,
    },
    /// There is no such user.
    #[error("no such user: {user}")]
    NoSuchUser {
        /// The name it gave.
        user: String,
    },
    /// The proof is wrong, or the user does not exist.
    #[error("password authentication failed for user \"{user}\"")]
    Password {
        /// The name it gave.
        user: String,
    },
    /// The SCRAM exchange is wrong in another way than the proof.
    #[error(transparent)]
    Scram(ScramError),
    /// It sent something else than was its turn.
    #[error("unexpected message: {0}")]
    Unexpected(&'static str),
    /// A message is not what its type says.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The console is for `admin_users` and `stats_users`.
    #[error("permission denied for database \"{database}\"")]
    ConsoleDenied {
        /// The console's name, as asked for.
        database: String,
    },
}

impl HandshakeError {
    /// The code for the client; `None` when there is nobody to tell.
    pub fn sqlstate(&self) -> Option<SqlState> {
        match self {
            Self::ClientLeft | Self::Io(_) | Self::Tls(_) | Self::TlsDisabled => None,
            Self::NoAlpn | Self::UnencryptedData | Self::Unexpected(_) | Self::Malformed(_) => {
                Some(SqlState::PROTOCOL_VIOLATION)
            }
            Self::TlsRequired
            | Self::NoSuchUser { .. }
            | Self::NoRule(_)
            | Self::Rejected(_)
            | Self::NoCertificate
            | Self::Certificate { .. }
            | Self::Peer { .. } => Some(SqlState::INVALID_AUTHORIZATION_SPECIFICATION),
            Self::Lookup { .. } => Some(SqlState::CANNOT_CONNECT_NOW),
            Self::Startup(cause) => Some(cause.sqlstate()),
            // PostgreSQL's code for "canceling authentication due to timeout".
            Self::TimedOut { .. } => Some(SqlState::QUERY_CANCELED),
            Self::Refused(refusal) => Some(refusal.sqlstate),
            Self::Password { .. } => Some(SqlState::INVALID_PASSWORD),
            Self::Scram(ScramError::ChannelBinding(_)) => Some(SqlState::INVALID_AUTHORIZATION_SPECIFICATION),
            Self::Scram(ScramError::AuthorizationIdentity | ScramError::MandatoryExtension) => {
                Some(SqlState::FEATURE_NOT_SUPPORTED)
            }
            Self::Scram(_) => Some(SqlState::PROTOCOL_VIOLATION),
            Self::ConsoleDenied { .. } => Some(SqlState::INSUFFICIENT_PRIVILEGE),
        }
    }

    /// Appends the FATAL ErrorResponse, if there is somebody to tell.
    pub(super) fn tell(&self, out: &mut Vec<u8>) {
        if let Some(sqlstate) = self.sqlstate() {
            reply::error(out, Severity::Fatal, sqlstate, &self.to_string(), "", "");
        }
    }
}

impl From<io::Error> for HandshakeError {
    fn from(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                Self::ClientLeft
            }
            io::ErrorKind::InvalidData => Self::Unexpected("invalid length of an authentication message"),
            _ => Self::Io(cause),
        }
    }
}
