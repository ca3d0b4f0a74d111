//! What every policy implements, whatever it decides.

use serde::{Deserialize, de::DeserializeOwned};

/// A policy: its name, and how it takes its settings. What it decides is in the traits of its roles, such as
/// [`Router`](crate::Router).
///
/// The host may keep several instances of a policy, and throws one away when it panics, so nothing that
/// matters may live in `self` alone.
pub trait Policy: Sized + 'static {
    /// The plugin's `settings` table. Keys that it does not name are errors, whether or not it
    /// says `#[serde(deny_unknown_fields)]`; with that, the error also lists the known ones.
    type Settings: DeserializeOwned;

    /// Name of the policy, `lower-kebab`.
    const NAME: &'static str;

    /// Version of the policy.
    const VERSION: &'static str = "0.1.0";

    /// What it does, in one line.
    const SUMMARY: &'static str;

    /// JSON Schema of the settings, if there is one.
    const SETTINGS_SCHEMA: Option<&'static str> = None;

    /// Takes the settings. An error refuses the whole new configuration; name the offending key.
    fn configure(settings: Self::Settings) -> Result<Self, String>;
}

/// For policies without settings.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}
