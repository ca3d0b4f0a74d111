//! What it takes to reach and enter a node.

use std::{sync::Arc, time::Duration};

use crate::{
    auth::Secret,
    config::SslMode,
    net::{stream::SocketOptions, tls::Connector},
};

/// Where to connect to, as whom, and how.
#[derive(Clone, Debug)]
pub struct ServerTarget {
    /// The node's name from the configuration, for messages.
    pub node: Arc<str>,
    /// Host name, address, or the directory of a unix socket.
    pub host: Arc<str>,
    /// Port; part of the unix socket's name too.
    pub port: u16,
    /// Whom to log in as.
    pub user: Arc<str>,
    /// The database on the server.
    pub database: Arc<str>,
    /// Proof, for servers that ask.
    pub secret: Option<Secret>,
    /// Whether and how strictly TLS is used.
    pub tls: ServerTls,
    /// Limit of everything up to ReadyForQuery, name resolution included; zero is forever.
    pub connect_timeout: Duration,
    /// Keepalive and the like.
    pub socket: SocketOptions,
    /// Settings in the startup packet (`application_name`, `client_encoding`, `options` …).
    pub parameters: Arc<[(String, String)]>,
}

/// TLS toward servers.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// `server_tls_sslmode`.
    pub mode: SslMode,
    /// Opens TLS; `None` only when the mode is `disable`.
    pub connector: Option<Connector>,
}

impl ServerTls {
    /// No TLS.
    pub const DISABLED: Self = Self { mode: SslMode::Disable, connector: None };
}

impl ServerTarget {
    /// Whether the node is reached through a unix socket.
    pub fn is_unix(&self) -> bool {
        self.host.starts_with('/')
    }

    /// The unix socket's path, as PostgreSQL names it in its directory.
    pub(super) fn socket_path(&self) -> String {
        format!("{}/.s.PGSQL.{}", self.host, self.port)
    }
}
