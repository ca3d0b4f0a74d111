//! The policies of a generation: each component is read once, and loaded once for each cluster.

use std::sync::{Arc, LazyLock};

use super::builder::BuildError;
use crate::{
    config::{ComponentSource, Config, Plugin},
    facts::Facts,
    plugin::{
        ControlPolicies, Engine, FailoverPolicy, FollowPolicy, PluginError, PolicySpec, Role, Router, SyncSetPolicy,
        builtin,
    },
};

/// The configured policies, with their components' bytes. Each is read once, for all clusters.
pub(super) struct Components<'a> {
    pub(super) router: Option<Component<'a>>,
    pub(super) failover: Option<Component<'a>>,
    pub(super) follow_primary: Option<Component<'a>>,
    pub(super) sync_set: Option<Component<'a>>,
}

/// An entry of `[plugins]`, and the component that it names.
pub(super) type Component<'a> = (&'a Plugin, Vec<u8>);

impl<'a> Components<'a> {
    pub(super) fn read(config: &'a Config) -> Result<Self, BuildError> {
        let plugins = &config.plugins;
        let read = |role, plugin: &'a Option<Plugin>| -> Result<_, BuildError> {
            let Some(plugin) = plugin else { return Ok(None) };
            Ok(Some((plugin, bytes(role, &plugin.component)?)))
        };
        Ok(Self {
            router: read(Role::Router, &plugins.router)?,
            failover: read(Role::Failover, &plugins.failover)?,
            follow_primary: read(Role::FollowPrimary, &plugins.follow_primary)?,
            sync_set: read(Role::SyncSet, &plugins.sync_set)?,
        })
    }
}

fn bytes(role: Role, component: &ComponentSource) -> Result<Vec<u8>, BuildError> {
    match component {
        ComponentSource::Builtin(name) => match builtin(name) {
            Some(bytes) => Ok(bytes.to_vec()),
            None => Err(BuildError::NoBuiltin { role, name: name.clone() }),
        },
        ComponentSource::File(path) => {
            std::fs::read(path).map_err(|cause| BuildError::Component { role, path: path.clone(), cause })
        }
    }
}

/// What a stand-in for a failover policy is set to: `failover_interval` holds for whoever decides.
static STAND_IN: LazyLock<serde_json::Value> = LazyLock::new(|| serde_json::json!({ "min_interval": 0 }));

/// Loads the policies of one cluster.
pub(super) struct Policies<'a> {
    pub(super) engine: &'a Engine,
    pub(super) number: u64,
    pub(super) nodes: &'a Facts,
}

impl Policies<'_> {
    pub(super) fn router(&self, component: Option<&Component<'_>>) -> Result<Router, BuildError> {
        let load =
            |spec: &PolicySpec<'_>, plugin: &Plugin| Router::load(self.engine, spec, plugin.on_failure, self.nodes);
        self.load(Role::Router, component, load).map(|router| router.unwrap_or_else(Router::null))
    }

    pub(super) fn control(&self, components: &Components<'_>) -> Result<ControlPolicies, BuildError> {
        let Self { engine, nodes, .. } = *self;
        let failover = self
            .load(Role::Failover, components.failover.as_ref(), |spec, _| FailoverPolicy::load(engine, spec, nodes))?;
        let follow_primary = self.load(Role::FollowPrimary, components.follow_primary.as_ref(), |spec, _| {
            FollowPolicy::load(engine, spec, nodes)
        })?;
        let failover = match (failover, self.stand_in(Role::Failover, components.failover.as_ref())) {
            (Some(own), Some(spec)) => Some(
                own.with_stand_in(
                    FailoverPolicy::load(engine, &spec, nodes)
                        .map_err(|cause| BuildError::Plugin { role: Role::Failover, cause })?,
                ),
            ),
            (failover, _) => failover,
        };
        let follow_primary =
            match (follow_primary, self.stand_in(Role::FollowPrimary, components.follow_primary.as_ref())) {
                (Some(own), Some(spec)) => Some(
                    own.with_stand_in(
                        FollowPolicy::load(engine, &spec, nodes)
                            .map_err(|cause| BuildError::Plugin { role: Role::FollowPrimary, cause })?,
                    ),
                ),
                (follow_primary, _) => follow_primary,
            };
        let sync_set =
            self.load(Role::SyncSet, components.sync_set.as_ref(), |spec, _| SyncSetPolicy::load(engine, spec, nodes))?;
        Ok(ControlPolicies {
            failover: Arc::new(failover.unwrap_or_default()),
            follow_primary: Arc::new(follow_primary.unwrap_or_default()),
            sync_set: Arc::new(sync_set.unwrap_or_default()),
        })
    }

    /// The builtin policy that answers when a component of the operator's gives no answer: a cluster that has lost its
    /// primary is healed all the same. A set for commits to wait for just stays as it is.
    fn stand_in(&self, role: Role, component: Option<&Component<'_>>) -> Option<PolicySpec<'static>> {
        let own = component.is_some_and(|(plugin, _)| !matches!(plugin.component, ComponentSource::Builtin(_)));
        let component = builtin(role.key()).filter(|_| own)?;
        let settings = if role == Role::Failover { &*STAND_IN } else { &serde_json::Value::Null };
        Some(PolicySpec { name: role.key(), component, sha256: None, settings, grants: &[], generation: self.number })
    }

    fn load<P>(
        &self,
        role: Role,
        component: Option<&Component<'_>>,
        load: impl FnOnce(&PolicySpec<'_>, &Plugin) -> Result<P, PluginError>,
    ) -> Result<Option<P>, BuildError> {
        let Some((plugin, component)) = component else { return Ok(None) };
        let spec = PolicySpec {
            name: role.key(),
            component,
            sha256: plugin.sha256.as_deref(),
            settings: &plugin.settings,
            grants: &plugin.grants,
            generation: self.number,
        };
        load(&spec, plugin).map(Some).map_err(|cause| BuildError::Plugin { role, cause })
    }
}

#[cfg(test)]
mod tests;
