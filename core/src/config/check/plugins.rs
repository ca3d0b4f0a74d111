//! `[plugins]`.

use std::time::Duration;

use figment::value::{Dict, Value};
use sha2::{Digest, Sha256};

use super::{
    super::{
        healing::Healing,
        keys::{
            Kind,
            sections::{self, GRANTS, PLUGIN_KINDS},
        },
        path::KeyPath,
        section::{Context, Section, nearest},
        types::{ComponentSource, OnFailure, Plugin, Plugins},
        value::FromValue,
    },
    refuse_name,
};

pub(super) fn plugins(context: &Context<'_>, table: &Dict) -> Plugins {
    let path = KeyPath::root().key("plugins");
    for kind in table.keys().filter(|kind| !PLUGIN_KINDS.contains(&kind.as_str())) {
        let hint = nearest(kind, &PLUGIN_KINDS).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        let path = path.key(kind);
        refuse_name(context, &path, format!("unknown key `{path}`{hint}"));
    }
    let plugin = |kind| table.get(kind).and_then(|value| plugin(context, &path, kind, value));
    Plugins {
        router: plugin("router"),
        failover: plugin("failover"),
        follow_primary: plugin("follow-primary"),
        sync_set: plugin("sync-set"),
    }
}

/// Who heals clusters needs policies: where none is named, the embedded ones. What the clusters' own keys say is
/// enforced for each cluster; the policies are to be no more patient than any of them.
pub(super) fn for_healing<'a>(plugins: &mut Plugins, healed: impl Iterator<Item = &'a Healing>) {
    let healed: Vec<_> = healed.collect();
    if healed.is_empty() {
        return;
    }
    let builtin = |name: &str, settings| Plugin {
        component: ComponentSource::Builtin(name.to_owned()),
        sha256: None,
        settings,
        grants: Vec::new(),
        on_failure: OnFailure::default(),
    };
    let least = |time: fn(&Healing) -> Duration| healed.iter().map(|healing| time(healing).as_millis()).min();
    plugins.failover.get_or_insert_with(|| {
        let settings = serde_json::json!({
            "hang_timeout": least(|healing| healing.hang_timeout),
            "crash_grace": least(|healing| healing.crash_grace),
            "min_interval": least(|healing| healing.failover_interval),
            "maximum_lag_on_failover": healed.iter().map(|healing| healing.maximum_lag_on_failover).max(),
        });
        builtin("failover", settings)
    });
    plugins.follow_primary.get_or_insert_with(|| builtin("follow-primary", serde_json::json!({})));
    plugins.sync_set.get_or_insert_with(|| {
        // Whether commits may wait for nobody is what `synchronous_mode` says.
        let settings = serde_json::json!({
            "allow_degrade": true,
            "stall_timeout": least(|healing| healing.sync_stall_timeout),
            "restore_after": least(|healing| healing.sync_restore_after),
        });
        builtin("sync-set", settings)
    });
}

fn plugin(context: &Context<'_>, path: &KeyPath, kind: &str, value: &Value) -> Option<Plugin> {
    let table = context.table(path, kind, value)?;
    let keys = sections::plugin(kind);
    let section = Section::new(context, table, path.key(kind), keys);
    let sha256 = section.maybe::<String>("sha256").map(|digest| digest.to_ascii_lowercase());
    Some(Plugin {
        component: component(context, &section, sha256.as_deref()),
        sha256,
        settings: section.maybe("settings").unwrap_or_else(|| serde_json::json!({})),
        grants: grants(&section),
        on_failure: keys.find("on_failure").map_or_else(OnFailure::default, |key| section.value(key.name)),
    })
}

/// Where the component is; that a file is there and has the digest asked for. What is in it is for the
/// engine to judge.
fn component(context: &Context<'_>, section: &Section<'_>, sha256: Option<&str>) -> ComponentSource {
    let file = match section.needed("component") {
        Some(ComponentSource::File(file)) => context.base.join(file),
        Some(builtin) => return builtin,
        None => return ComponentSource::Builtin(String::new()),
    };
    let digest = section.read("component", &file).map(|contents| hex(&Sha256::digest(&contents)));
    if let (Some(wanted), Some(digest)) = (sha256, digest)
        && wanted != digest
    {
        let path = section.path.key("sha256");
        section.refuse("sha256", format!("`{path}` is not that of {}, which has {digest}", file.display()));
    }
    ComponentSource::File(file)
}

impl FromValue for ComponentSource {
    fn from_value(value: &Value, kind: &Kind) -> Option<Self> {
        let text = String::from_value(value, kind).filter(|text| !text.is_empty())?;
        match text.strip_prefix("builtin:") {
            Some("") => None,
            Some(name) => Some(Self::Builtin(name.to_owned())),
            None => Some(Self::File(text.into())),
        }
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn grants(section: &Section<'_>) -> Vec<String> {
    let grants: Vec<String> = section.value("grants");
    for grant in grants.iter().filter(|grant| !GRANTS.contains(&grant.as_str())) {
        let path = section.path.key("grants");
        section.refuse(
            "grants",
            format!("`{path}` contains {grant:?}, expected {}", GRANTS.map(|grant| format!("{grant:?}")).join(" or ")),
        );
    }
    grants
}
