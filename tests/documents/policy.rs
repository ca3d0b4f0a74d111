//! Has the policies of configurations loaded, as a reload does: they must take the settings shown.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use howdah::{
    config::{Cluster, ComponentSource, Config, Plugin},
    facts::{self, Facts, Health, NodeFacts},
    id::NodeId,
    plugin::{Engine, FailoverPolicy, FollowPolicy, PolicySpec, Role, Router, SyncSetPolicy, builtin},
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

/// Has the policies of a configuration loaded, as far as they are embedded ones.
pub fn load_embedded(config: &Config) -> Result<(), String> {
    let plugins = &config.plugins;
    let control = [
        (Role::Failover, &plugins.failover),
        (Role::FollowPrimary, &plugins.follow_primary),
        (Role::SyncSet, &plugins.sync_set),
    ];
    for (role, plugin) in [(Role::Router, &plugins.router)].into_iter().chain(control) {
        let Some(plugin) = plugin else { continue };
        if let ComponentSource::Builtin(name) = &plugin.component {
            let component = builtin(name).ok_or_else(|| format!("there is no builtin:{name}"))?;
            load_as(role, component, plugin, config)?;
        }
    }
    Ok(())
}

/// Has a component loaded in the place of the configured one.
pub fn load(role: Role, component: &[u8], config: &Config) -> Result<(), String> {
    let plugin = match role {
        Role::Router => &config.plugins.router,
        Role::Failover => &config.plugins.failover,
        Role::FollowPrimary => &config.plugins.follow_primary,
        Role::SyncSet => &config.plugins.sync_set,
    };
    let plugin = plugin.as_ref().ok_or_else(|| format!("there is no {role}"))?;
    load_as(role, component, plugin, config)
}

fn load_as(role: Role, component: &[u8], plugin: &Plugin, config: &Config) -> Result<(), String> {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::new().expect("components run on this machine"));
    let spec = PolicySpec {
        name: role.key(),
        component,
        sha256: None,
        settings: &plugin.settings,
        grants: &plugin.grants,
        generation: 1,
    };
    for cluster in config.clusters.values() {
        let nodes = well(cluster);
        let loaded = match role {
            Role::Router => Router::load(&ENGINE, &spec, plugin.on_failure, &nodes).map(drop),
            Role::Failover => FailoverPolicy::load(&ENGINE, &spec, &nodes).map(drop),
            Role::FollowPrimary => FollowPolicy::load(&ENGINE, &spec, &nodes).map(drop),
            Role::SyncSet => SyncSetPolicy::load(&ENGINE, &spec, &nodes).map(drop),
        };
        loaded.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A cluster in good health whose first node is the primary.
fn well(cluster: &Cluster) -> Facts {
    let nodes = cluster.nodes.iter().zip(0..).map(|(node, id)| NodeFacts {
        id: NodeId(id),
        name: node.name.clone(),
        host: node.host.clone(),
        port: node.port,
        weight: node.weight,
        labels: node.labels.clone(),
        role: if id == 0 { facts::Role::Primary } else { facts::Role::Standby },
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
