//! A plugin's entry in the configuration, and what can be wrong with it.

use super::{error::PluginError, v0_1::lifecycle};

/// Longest settings.
const SETTINGS_MAX_BYTES: usize = 256 << 10;

/// A plugin entry of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct PolicySpec<'a> {
    /// Its key in the configuration.
    pub name: &'a str,
    /// The component's bytes.
    pub component: &'a [u8],
    /// Hex SHA-256 that it must have.
    pub sha256: Option<&'a str>,
    /// Its `settings` table.
    pub settings: &'a serde_json::Value,
    /// Capabilities that the operator gives it.
    pub grants: &'a [String],
    /// The generation that it will belong to.
    pub generation: u64,
}

/// What `configure` is given.
pub(super) fn settings(spec: &PolicySpec<'_>) -> Result<lifecycle::Settings, PluginError> {
    let json = match spec.settings {
        serde_json::Value::Null => "{}".to_owned(),
        settings => settings.to_string(),
    };
    if json.len() > SETTINGS_MAX_BYTES {
        return Err(PluginError::SettingsTooLarge { bytes: json.len(), max: SETTINGS_MAX_BYTES });
    }
    Ok(lifecycle::Settings {
        name: spec.name.to_owned(),
        generation: spec.generation,
        json,
        grants: spec.grants.to_vec(),
        host: lifecycle::HostInfo {
            product: "howdah".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            instance: String::new(),
            api: "0.1.0".to_owned(),
        },
    })
}

/// Whether the file is the one that the operator means.
pub(super) fn check_pin(expected: Option<&str>, actual: &[u8]) -> Result<(), PluginError> {
    let actual = hex(actual);
    match expected {
        Some(expected) if !expected.eq_ignore_ascii_case(&actual) => {
            Err(PluginError::Sha256 { expected: expected.to_owned(), actual })
        }
        _ => Ok(()),
    }
}

/// Whether `state` is granted.
pub(super) fn check_grants(grants: &[String]) -> Result<bool, PluginError> {
    match grants.iter().find(|grant| !matches!(grant.as_str(), "state" | "probes")) {
        Some(grant) => Err(PluginError::UnknownGrant { grant: grant.clone() }),
        None => Ok(grants.iter().any(|grant| grant == "state")),
    }
}

/// As `sha256sum` prints it.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
