//! How an exchange may end.

use std::io;

use crate::{server::RunError, session::info::Order};

/// What is to be possible when a request fails at its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// Nothing: the client hears what the server says.
    Once,
    /// The request is kept, and the answer kept back until it is sure, because the server may be lost.
    IfLost,
    /// The same, and the server may refuse what another does.
    IfRefused,
}

/// How a server went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// Without a word, as with a node that dies.
    Silent,
    /// It said that it goes, behind part of an answer or unasked.
    Said,
    /// It said so instead of an answer.
    SaidAtOnce,
}

/// An error of a standby that another node need not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It cannot write (25006).
    ReadOnly,
    /// Recovery was in the way (40001).
    /// <https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-CONFLICT>
    Conflict,
    /// It is going away (57P01 to 57P03).
    Leaving,
    /// What was prepared has another result by now; nothing was executed.
    StalePlan,
}

impl Refused {
    pub(super) fn read(sqlstate: &[u8]) -> Option<Self> {
        match sqlstate {
            b"25006" => Some(Self::ReadOnly),
            b"40001" => Some(Self::Conflict),
            b"57P01" | b"57P02" | b"57P03" => Some(Self::Leaving),
            _ => None,
        }
    }
}

/// How an exchange ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The server is ready for the next request.
    Ready,
    /// The server refused what another node may do, and the client has seen nothing.
    Refused,
    /// The server has said what it makes of a statement, or that it will not.
    Described,
    /// Bytes of the client are in the input that belong to this request.
    ClientSpoke,
}

/// Why an exchange could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The client vanished.
    #[error("the client went away")]
    Client(#[source] io::Error),
    /// The server vanished; `untouched` says that the client has seen nothing of the answer.
    #[error("the server went away")]
    Server {
        /// Nothing of the answer reached the client.
        untouched: bool,
        /// What the socket said.
        #[source]
        cause: io::Error,
    },
    /// The server sent what the protocol does not allow.
    #[error("the server broke the protocol")]
    Protocol,
    /// A statement of our own in front of the request failed, though servers had taken it before.
    #[error("the session's settings could not be restored")]
    Prefix(#[source] Box<RunError>),
    /// Somebody asked the session to stop.
    #[error("the session was told to stop")]
    Ordered(Order),
}
