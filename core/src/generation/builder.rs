//! Makes a generation beside the running one: every part is loaded and tried before any is used.

use std::{collections::HashMap, io, path::PathBuf, sync::Arc, time::SystemTime};

use super::{CatalogSource, ClusterRuntime, Generation};
use crate::{
    config::{Cluster, ComponentSource, Config},
    facts::{FactsCell, Reports},
    net::tls::{Acceptor, TlsError},
    plugin::{Engine, PluginError, PolicySpec, Router, builtin, builtin_names},
};

/// Why a generation is refused.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file of TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no such component in the program.
    #[error("plugins.router.component: there is no builtin \"{name}\"; there are: {}", builtin_names().collect::<Vec<_>>().join(", "))]
    NoBuiltin {
        /// What was asked for.
        name: String,
    },
    /// The component's file.
    #[error("plugins.router.component: could not read {}", path.display())]
    Component {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The control plane has no thread.
    #[error("could not start the control plane")]
    Thread(#[source] io::Error),
    /// The component itself.
    #[error("plugins.router: {0}")]
    Plugin(#[from] PluginError),
}

/// What the control plane has for a cluster.
pub struct ClusterParts {
    /// Where its facts are published.
    pub facts: Arc<FactsCell>,
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
    let component = component(&config)?;
    let mut clusters = HashMap::new();
    for cluster in config.clusters.values() {
        let parts = parts_of(cluster);
        let router = match (&component, &config.plugins.router) {
            (Some(bytes), Some(plugin)) => {
                let spec = PolicySpec {
                    name: "router",
                    component: bytes,
                    sha256: plugin.sha256.as_deref(),
                    settings: &plugin.settings,
                    grants: &plugin.grants,
                    generation: number,
                };
                Router::load(engine, &spec, plugin.on_failure, &parts.facts.load())?
            }
            _ => Router::null(),
        };
        let runtime = ClusterRuntime {
            name: Arc::clone(&cluster.name),
            facts: parts.facts,
            router: Arc::new(router),
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

/// The bytes of the configured component.
fn component(config: &Config) -> Result<Option<Vec<u8>>, BuildError> {
    let Some(plugin) = &config.plugins.router else { return Ok(None) };
    match &plugin.component {
        ComponentSource::Builtin(name) => match builtin(name) {
            Some(bytes) => Ok(Some(bytes.to_vec())),
            None => Err(BuildError::NoBuiltin { name: name.clone() }),
        },
        ComponentSource::File(path) => {
            std::fs::read(path).map(Some).map_err(|cause| BuildError::Component { path: path.clone(), cause })
        }
    }
}
