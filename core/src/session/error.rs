//! What can go wrong for a session, who is to blame, and what the client is told.

use std::{sync::Arc, time::Duration};

use thiserror::Error;

use super::{info::Order, lost::Loss, relay::Broken};
use crate::{
    plugin::plan::Refusal,
    pool::CheckoutError,
    server::RunError,
    wire::{frame::BadLength, sqlstate::SqlState},
};

/// A request, or the whole session, that could not be served.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The client sent what the protocol does not allow.
    #[error("invalid frontend message type {0}")]
    UnknownMessage(u8),
    /// The client sent a message of an impossible length.
    #[error(transparent)]
    BadLength(#[from] BadLength),
    /// A message that has to be kept whole is too long to keep.
    #[error("statement of {bytes} bytes is too large; the limit is {max}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The most that is kept.
        max: usize,
    },
    /// A policy refused the request.
    #[error("{}", .0.message)]
    Refused(Refusal),
    /// An earlier statement of the transaction failed.
    #[error("current transaction is aborted, commands ignored until end of transaction block")]
    Aborted,
    /// The client asked to stop what waited for a server.
    #[error("canceling statement due to user request")]
    Canceled,
    /// There is no node to send it to.
    #[error("no primary of cluster {cluster} is known")]
    NoPrimary {
        /// Which cluster.
        cluster: String,
    },
    /// There was none in time, or none that may be used.
    #[error("no primary of cluster {cluster} within {waited:?}{}", reason(.why))]
    Held {
        /// Which cluster.
        cluster: String,
        /// `failover_hold_timeout`.
        waited: Duration,
        /// Why the known one may not be used.
        why: Option<Arc<str>>,
    },
    /// The server was lost, and the session goes on.
    #[error(transparent)]
    Lost(#[from] Loss),
    /// The node in whose line the session stood is the primary no more.
    #[error("the primary has changed")]
    Moved,
    /// The request would have the session keep its server, and that is not allowed here.
    #[error("a session may not keep its server here: {cause}")]
    PinRefused {
        /// What it would be for.
        cause: &'static str,
    },
    /// As many sessions keep their servers as may.
    #[error("too many sessions keep their server ({limit}, pin_limit): {cause}")]
    TooManyPinned {
        /// What it would be for.
        cause: &'static str,
        /// `pin_limit`.
        limit: usize,
    },
    /// More was heard for the client than is kept for it.
    #[error("too many notifications wait for the client")]
    TooManyNotifications,
    /// No server could be had.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// The session's settings could not be given to its server.
    #[error("could not restore the session's settings: {0}")]
    Settings(#[source] RunError),
    /// The exchange broke.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// Somebody asked the session to stop.
    #[error("terminating connection: {}", words(*.0))]
    Ordered(Order),
}

fn reason(why: &Option<Arc<str>>) -> String {
    why.as_ref().map_or_else(String::new, |why| format!(": {why}"))
}

fn words(order: Order) -> &'static str {
    match order {
        Order::None => "nobody asked",
        Order::Leave => "the proxy is shutting down",
        Order::Switchover => "the session keeps a server of a node that is to be the primary no more",
        Order::IdleTransaction => "idle_transaction_timeout",
        Order::Pin => "pin_timeout",
        Order::Idle => "client_idle_timeout",
        Order::Transaction => "transaction_timeout",
        Order::Query => "query_timeout",
        Order::Kill => "an administrator asked for it",
    }
}

impl SessionError {
    /// What the client is told. The session goes on after some of them.
    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    pub fn sqlstate(&self) -> SqlState {
        match self {
            Self::UnknownMessage(_) | Self::BadLength(_) => SqlState::PROTOCOL_VIOLATION,
            Self::TooLarge { .. } | Self::TooManyNotifications => SqlState::PROGRAM_LIMIT_EXCEEDED,
            Self::Refused(refusal) => SqlState::parse(&refusal.sqlstate).unwrap_or(SqlState::INSUFFICIENT_PRIVILEGE),
            Self::Aborted => SqlState::IN_FAILED_SQL_TRANSACTION,
            Self::NoPrimary { .. } | Self::Held { .. } | Self::Moved => SqlState::CANNOT_CONNECT_NOW,
            Self::Lost(loss) => loss.sqlstate(),
            Self::Checkout(CheckoutError::Timeout { .. }) => SqlState::TOO_MANY_CONNECTIONS,
            Self::Checkout(CheckoutError::Connect { cause, .. }) => {
                cause.sqlstate().unwrap_or(SqlState::CONNECTION_FAILURE)
            }
            Self::Checkout(CheckoutError::Closed { .. }) => SqlState::ADMIN_SHUTDOWN,
            Self::Settings(RunError::Server { sqlstate, .. }) => {
                SqlState::parse(sqlstate.as_bytes()).unwrap_or(SqlState::INTERNAL_ERROR)
            }
            Self::Settings(_) | Self::Broken(_) => SqlState::CONNECTION_FAILURE,
            Self::Ordered(Order::IdleTransaction) => SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            Self::Ordered(Order::Transaction) => SqlState::TRANSACTION_TIMEOUT,
            Self::Ordered(Order::Idle | Order::Pin) => SqlState::IDLE_SESSION_TIMEOUT,
            Self::PinRefused { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            Self::TooManyPinned { .. } => SqlState::TOO_MANY_CONNECTIONS,
            Self::Canceled | Self::Ordered(Order::Query) => SqlState::QUERY_CANCELED,
            Self::Ordered(_) => SqlState::ADMIN_SHUTDOWN,
        }
    }

    /// The session goes on after it, if the request is known to its end.
    pub fn is_survivable(&self) -> bool {
        match self {
            Self::Refused(refusal) => !refusal.close_session,
            Self::Aborted
            | Self::Canceled
            | Self::NoPrimary { .. }
            | Self::Held { .. }
            | Self::Lost(_)
            | Self::Moved
            | Self::PinRefused { .. }
            | Self::TooManyPinned { .. }
            | Self::Checkout(_)
            | Self::Settings(RunError::Server { .. }) => true,
            _ => false,
        }
    }

    /// The session goes on after it even if the client has not said all of its request yet.
    pub fn outlives_open_requests(&self) -> bool {
        matches!(self, Self::Aborted | Self::Held { .. } | Self::Lost(_))
    }

    /// What to do about it, if that is known.
    pub fn hint(&self) -> &str {
        match self {
            Self::Refused(refusal) => refusal.hint.as_deref().unwrap_or_default(),
            Self::Held { .. } => "It was not executed, and may be tried again. failover_hold_timeout bounds the wait.",
            Self::Lost(loss) => loss.hint(),
            _ => "",
        }
    }

    /// The client is there to be told.
    pub fn reaches_client(&self) -> bool {
        !matches!(self, Self::Broken(Broken::Client(_)))
    }

    /// The message with its causes.
    pub fn told(&self) -> String {
        let mut told = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let words = error.to_string();
            if !told.contains(&words) {
                told.push_str(": ");
                told.push_str(&words);
            }
            cause = error.source();
        }
        told
    }
}
