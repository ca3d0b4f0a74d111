//! Has the policies of configurations loaded, as a reload does: they must take the settings shown.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use howdah::{
    config::{Cluster, ComponentSource, Config},
    facts::{Facts, Health, NodeFacts, Role},
    id::NodeId,
    plugin::{Engine, PolicySpec, Router, builtin},
};

/// Compiles the policy in a folder, sharing what the build has compiled for other policies.
pub fn compiled(folder: &Path) -> Vec<u8> {
    howdah_plugin_build::component_in(folder, &target().join("policies")).unwrap_or_else(|error| panic!("{error}"))
}

/// The folder that the tests were built in.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let target = test.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    target.expect("tests are built in a target folder").to_owned()
}

/// Has the policy of a configuration loaded, if it is an embedded one.
pub fn load_embedded(config: &Config) -> Result<(), String> {
    match config.plugins.router.as_ref().map(|plugin| &plugin.component) {
        Some(ComponentSource::Builtin(name)) => {
            let component = builtin(name).ok_or_else(|| format!("there is no builtin:{name}"))?;
            load(component, config)
        }
        _ => Ok(()),
    }
}

/// Has a component loaded in the place of the configured one.
pub fn load(component: &[u8], config: &Config) -> Result<(), String> {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().expect("components run on this machine"));
    let plugin = config.plugins.router.as_ref().ok_or("there is no router")?;
    let spec = PolicySpec {
        name: "router",
        component,
        sha256: None,
        settings: &plugin.settings,
        grants: &plugin.grants,
        generation: 1,
    };
    for cluster in config.clusters.values() {
        Router::load(&ENGINE, &spec, plugin.on_failure, &facts(cluster)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A cluster in good health whose first node is the primary.
fn facts(cluster: &Cluster) -> Facts {
    let nodes = cluster.nodes.iter().zip(0..).map(|(node, id)| NodeFacts {
        id: NodeId(id),
        name: node.name.clone(),
        host: node.host.clone(),
        port: node.port,
        weight: node.weight,
        labels: node.labels.clone(),
        role: if id == 0 { Role::Primary } else { Role::Standby },
        health: Health::Up,
        ramp_percent: 100,
        server_version: Some(150_018),
        timeline: Some(1),
        received: None,
        replayed: None,
        inserted: None,
        async_commit: false,
        lag_bytes: Some(0),
        lag: None,
        sampled_at: tokio::time::Instant::now(),
        why: None,
    });
    Facts { epoch: 1, primary: Some(NodeId(0)), nodes: nodes.collect(), ..Facts::default() }
}
