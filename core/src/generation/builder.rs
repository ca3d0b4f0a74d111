//! Makes a generation beside the running one: every part is loaded and tried before any is used.

use std::{collections::HashMap, io, path::PathBuf, sync::Arc, time::SystemTime};

use super::{
    CatalogSource, ClusterRuntime, Generation,
    policies::{Components, Policies},
};
use crate::{
    config::{Cluster, Config},
    facts::{FactsCell, Reports, StatusCell},
    net::tls::{Acceptor, TlsError},
    plugin::{Engine, PluginError, Role, builtin_names},
};

/// Why a generation is refused.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file of TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no such component in the program.
    #[error("plugins.{}.component: there is no builtin \"{name}\"; there are: {}", .role.key(), builtin_names().collect::<Vec<_>>().join(", "))]
    NoBuiltin {
        /// For which role.
        role: Role,
        /// What was asked for.
        name: String,
    },
    /// The component's file.
    #[error("plugins.{}.component: could not read {}", .role.key(), path.display())]
    Component {
        /// Of which role.
        role: Role,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The control plane has no thread.
    #[error("could not start the control plane")]
    Thread(#[source] io::Error),
    /// No component can be run at all.
    #[error(transparent)]
    Engine(#[from] PluginError),
    /// The component itself.
    #[error("plugins.{}: {cause}", .role.key())]
    Plugin {
        /// Of which role.
        role: Role,
        /// What is wrong with it; said in full, so that nobody says it again.
        cause: PluginError,
    },
}

/// What the control plane has for a cluster.
pub struct ClusterParts {
    /// Where its facts are published.
    pub facts: Arc<FactsCell>,
    /// Where it tells operators what it decides.
    pub status: Arc<StatusCell>,
    /// Where its databases' catalogs are read.
    pub catalogs: Arc<dyn CatalogSource>,
    /// Where sessions tell what they met.
    pub reports: Reports,
}

/// Makes the generation of a checked configuration. `parts_of` finds or starts the monitor.
pub fn build(
    engine: &Engine,
    config: Config,
    number: u64,
    cause: &str,
    mut parts_of: impl FnMut(&Arc<Cluster>) -> ClusterParts,
) -> Result<Generation, BuildError> {
    let client_tls = Acceptor::load(&config.client_tls)?;
    let server_tls = Generation::server_tls(&config)?;
    let components = Components::read(&config)?;
    let mut clusters = HashMap::new();
    for cluster in config.clusters.values() {
        let parts = parts_of(cluster);
        let policies = Policies { engine, number, nodes: &parts.facts.load() };
        let runtime = ClusterRuntime {
            name: Arc::clone(&cluster.name),
            router: Arc::new(policies.router(components.router.as_ref())?),
            policies: policies.control(&components)?,
            facts: parts.facts,
            status: parts.status,
            catalogs: parts.catalogs,
            reports: parts.reports,
        };
        clusters.insert(Arc::clone(&cluster.name), Arc::new(runtime));
    }
    let secrets = config.secrets.iter().map(|(user, secret)| (user, &**secret)).collect::<Vec<_>>();
    let secrets = Arc::new(secrets.iter().map(|(user, secret)| (*user, secret)).collect());
    Ok(Generation {
        number,
        since: SystemTime::now(),
        cause: cause.to_owned(),
        config: Arc::new(config),
        secrets,
        clusters,
        client_tls,
        server_tls,
    })
}
