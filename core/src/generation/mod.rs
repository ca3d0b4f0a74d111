//! One immutable configuration together with its instantiated policies, swapped as a whole.
//!
//! [`builder`] makes one beside the running one; nothing of the running one changes until the new
//! one is complete. [`last_catalog`] spares sessions most look-ups.

pub mod builder;
pub mod last_catalog;
mod policies;
mod running;

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use crate::{
    auth::{Secret, Secrets},
    config::{Config, Database},
    facts::{FactsCell, Reading, Reports, StatusCell},
    id::NodeId,
    net::{
        stream::SocketOptions,
        tls::{Acceptor, Connector},
    },
    plugin::{ControlPolicies, Router},
    server::{ServerTarget, ServerTls},
    sql::Catalog,
};

pub use running::RunningGeneration;

/// A configuration, its policies and what they decide about.
pub struct Generation {
    /// Counts reloads, from 1.
    pub number: u64,
    /// When it became the running one.
    pub since: SystemTime,
    /// What brought it: `start`, `RELOAD`, `SIGHUP`, `file change`, `ROLLBACK TO n`.
    pub cause: String,
    /// The checked configuration.
    pub config: Arc<Config>,
    /// Secrets of the `auth_file`, ready for use.
    pub secrets: Arc<Secrets>,
    /// By name.
    pub clusters: HashMap<Arc<str>, Arc<ClusterRuntime>>,
    /// TLS for clients, if it is on.
    pub client_tls: Option<Acceptor>,
    /// TLS towards servers.
    pub server_tls: ServerTls,
}

/// What sessions need to know of a cluster.
pub struct ClusterRuntime {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// What the monitor knows.
    pub facts: Arc<FactsCell>,
    /// What the cluster decides by itself, for operators.
    pub status: Arc<StatusCell>,
    /// The routing policy.
    pub router: Arc<Router>,
    /// The policies of the control plane. A run keeps those that it began with.
    pub policies: ControlPolicies,
    /// What only the databases know of names in statements.
    pub catalogs: Arc<dyn CatalogSource>,
    /// Where sessions tell what they met.
    pub reports: Reports,
}

/// Where the catalog of a database is read; never waits.
pub trait CatalogSource: Send + Sync {
    /// Changes when any [`catalog`](Self::catalog) may have, and now and then for those who keep one,
    /// so that it is known which are in use.
    fn changes(&self) -> u64;

    /// What is known of a database, by its name on the servers; the empty catalog until it is read.
    fn catalog(&self, dbname: &str) -> Arc<Catalog>;

    /// Has the catalog read again: a statement has changed it. `unflushed` says that its commit may have been
    /// acknowledged before it was flushed. Tells when that is done; none when that catalog is not kept.
    fn refresh(&self, dbname: &str, unflushed: bool) -> Option<Reading>;
}

impl Generation {
    /// How servers of a pool are reached and entered. `shown` is what the client has shown of its
    /// own secret, or what was looked up; it is used when neither the database nor the `auth_file` has one.
    pub fn target(
        &self,
        config: &Config,
        entry: &Database,
        database: &str,
        user: &str,
        node: NodeId,
        shown: Option<&Secret>,
    ) -> ServerTarget {
        let cluster = config.clusters.get(&*entry.cluster);
        let node = cluster.and_then(|cluster| cluster.nodes.get(node.index()));
        // What one user has shown is nothing to be shown in another's name.
        let shown = shown.filter(|_| entry.user.as_deref().is_none_or(|forced| forced == user));
        let user = entry.user.as_deref().unwrap_or(user);
        let secret = entry
            .password
            .as_ref()
            .map(|password| Secret::parse(password))
            .or_else(|| self.secrets.of(user).cloned())
            .or_else(|| shown.cloned());
        ServerTarget {
            node: node.map_or_else(|| Arc::from(""), |node| Arc::clone(&node.name)),
            host: node.map_or_else(|| Arc::from(""), |node| Arc::clone(&node.host)),
            port: node.map_or(0, |node| node.port),
            user: user.into(),
            database: entry.dbname.as_deref().unwrap_or(database).into(),
            secret,
            tls: self.server_tls.clone(),
            connect_timeout: config.server_connect_timeout,
            socket: SocketOptions::towards(config, cluster.is_some_and(|cluster| cluster.heals())),
            parameters: Arc::from([]),
        }
    }

    /// How a node is entered to look up users: as `auth_user`, whomever the database logs in otherwise.
    pub fn lookup_target(&self, entry: &Database, database: &str, auth_user: &str, node: NodeId) -> ServerTarget {
        let is_own = entry.user.as_deref() == Some(auth_user);
        let password = entry.password.clone().filter(|_| is_own);
        let entry = Database { user: None, password, ..entry.clone() };
        let target = self.target(&self.config, &entry, database, auth_user, node, None);
        let parameters = [("application_name", "howdah auth_query"), ("client_encoding", "UTF8")];
        ServerTarget { parameters: parameters.map(|(name, value)| (name.into(), value.into())).into(), ..target }
    }

    /// TLS towards servers, by the configuration.
    pub fn server_tls(config: &Config) -> Result<ServerTls, crate::net::tls::TlsError> {
        Ok(ServerTls { mode: config.server_tls.sslmode, connector: Connector::load(&config.server_tls)? })
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").field("number", &self.number).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ClusterRuntime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClusterRuntime").field("name", &self.name).finish_non_exhaustive()
    }
}
