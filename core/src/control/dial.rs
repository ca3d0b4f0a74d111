//! How the control plane reaches a node: one session of its own, asked one question at a time.
//!
//! Behind two small traits, so that tests can be the nodes.

use std::{error::Error, fmt::Write, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::observation::{Failure, FailureKind, Loss};
use crate::{
    auth::Secret,
    config::types::{Cluster, Config, Node},
    net::stream::SocketOptions,
    server::{
        ConnectError, ServerTarget, ServerTls,
        simple::{ControlSession, QueryError, Row},
    },
    wire::{sqlstate::SqlState, take::ServerMessage},
};

/// What `pg_stat_activity` shows of us.
const APPLICATION_NAME: &str = "howdah monitor";

/// What the control user logs in with, besides its name.
#[derive(Clone, Debug)]
pub struct ControlLogin {
    /// Its secret, when the nodes ask for one.
    pub secret: Option<Secret>,
    /// TLS toward the nodes.
    pub tls: ServerTls,
    /// Keepalive and the like.
    pub socket: SocketOptions,
}

impl ControlLogin {
    /// With the password of the cluster, or the secret of the `auth_file`.
    pub fn of(config: &Config, cluster: &Cluster, tls: &ServerTls) -> Self {
        let secret = cluster
            .control_password
            .as_deref()
            .or_else(|| config.secrets.get(&cluster.control_user).map(|secret| &**secret));
        Self { secret: secret.map(Secret::parse), tls: tls.clone(), socket: SocketOptions::from(config) }
    }

    /// Where to find a node's control database.
    pub fn target(&self, cluster: &Cluster, node: &Node, connect_timeout: Duration) -> ServerTarget {
        ServerTarget {
            node: node.name.clone(),
            host: node.host.clone(),
            port: node.port,
            user: cluster.control_user.as_str().into(),
            database: cluster.control_database.as_str().into(),
            secret: self.secret.clone(),
            tls: self.tls.clone(),
            connect_timeout,
            socket: self.socket,
            parameters: [
                ("application_name".into(), APPLICATION_NAME.into()),
                ("client_encoding".into(), "UTF8".into()),
            ]
            .into(),
        }
    }
}

/// Opens sessions.
pub trait Dial: Clone + Send + Sync + 'static {
    /// What it opens.
    type Link: Link;

    /// Connects and logs in; gives up after the target's `connect_timeout`.
    fn dial(&self, target: &ServerTarget) -> impl Future<Output = Result<Self::Link, Failure>> + Send;
}

/// A session of ours with a node. After a failure it is of no more use.
pub trait Link: Send + 'static {
    /// One question, and all rows of the answer.
    fn ask(&mut self, sql: &str, limit: Duration) -> impl Future<Output = Result<Vec<Row>, Failure>> + Send;

    /// Returns when the session is over, however idle it is, and how it ended. May be dropped without loss.
    fn over(&mut self) -> impl Future<Output = Loss> + Send;
}

/// The real thing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network;

impl Dial for Network {
    type Link = ControlSession;

    async fn dial(&self, target: &ServerTarget) -> Result<ControlSession, Failure> {
        ControlSession::connect(target).await.map_err(|error| Failure::from(&error))
    }
}

impl Link for ControlSession {
    async fn ask(&mut self, sql: &str, limit: Duration) -> Result<Vec<Row>, Failure> {
        match timeout(limit, self.query(sql)).await {
            Ok(answer) => answer.map_err(|error| Failure::from(&error)),
            Err(_) => {
                Err(Failure { kind: FailureKind::Silent(limit), why: format!("no answer within {limit:?}").into() })
            }
        }
    }

    async fn over(&mut self) -> Loss {
        loop {
            if let Err(error) = self.news().await {
                return Loss::from(&error);
            }
        }
    }
}

impl From<&ConnectError> for Failure {
    fn from(error: &ConnectError) -> Self {
        let kind = match error {
            ConnectError::Refused { .. } => FailureKind::Refused,
            ConnectError::Timeout { after } => FailureKind::Silent(*after),
            ConnectError::Auth(_)
            | ConnectError::NoSecret { .. }
            | ConnectError::Scram(_)
            | ConnectError::TlsUnavailable => FailureKind::Rejected,
            ConnectError::Startup(message) => startup_failure(message),
            _ => FailureKind::Broken,
        };
        Self { kind, why: in_words(error) }
    }
}

impl From<&QueryError> for Loss {
    fn from(error: &QueryError) -> Self {
        match error {
            QueryError::Server(message) if message.is_orphaned => Self::Reset,
            QueryError::Server(message) if message.sqlstate == SqlState::ADMIN_SHUTDOWN => Self::Stopped,
            QueryError::Server(message) if message.sqlstate == SqlState::CRASH_SHUTDOWN => Self::Crashed,
            _ => Self::Reset,
        }
    }
}

impl From<&QueryError> for Failure {
    fn from(error: &QueryError) -> Self {
        let kind = match error {
            QueryError::Server(message) if !matches!(message.severity.as_str(), "FATAL" | "PANIC") => {
                FailureKind::Broken
            }
            _ => FailureKind::Ended(Loss::from(error)),
        };
        Self { kind, why: in_words(error) }
    }
}

fn startup_failure(message: &ServerMessage) -> FailureKind {
    match message.sqlstate {
        SqlState::CANNOT_CONNECT_NOW => FailureKind::NotReady,
        SqlState::TOO_MANY_CONNECTIONS => FailureKind::Full,
        // No such control database, or no right to connect to it.
        SqlState::INVALID_CATALOG_NAME | SqlState::INSUFFICIENT_PRIVILEGE => FailureKind::Rejected,
        _ => FailureKind::Broken,
    }
}

/// The error with all of its causes, on one line.
pub fn in_words(error: &dyn Error) -> Arc<str> {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(words, ": {error}").expect("a string takes all");
        cause = error.source();
    }
    words.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_without_a_postmaster_is_not_being_stopped() {
        let said = |routine: &str| {
            let body = format!("SFATAL\0C57P01\0Mterminating connection\0R{routine}\0\0");
            QueryError::Server(ServerMessage::parse(body.as_bytes()).unwrap())
        };
        assert_eq!(Loss::from(&said("ProcessInterrupts")), Loss::Stopped);
        assert_eq!(Loss::from(&said("secure_read")), Loss::Reset);
    }
}
