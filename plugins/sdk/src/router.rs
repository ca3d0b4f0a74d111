//! What a routing policy implements.

use serde::{Deserialize, de::DeserializeOwned};

use crate::{Admission, Plan, Requirements, Session, Statement, Topology};

/// A routing policy. Calls come in the order of the methods; see `wit/v0.1/router.wit`.
///
/// The host keeps a few instances of a policy and shares the calls among them, so nothing that
/// matters may live in `self` alone; it throws an instance away when it panics.
pub trait Router: Sized + 'static {
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

    /// What the policy needs to see; by default kind, traits and transaction of a statement only.
    /// The less it asks for, the more requests share one plan. One that asks for
    /// [`RAW_TEXT`](crate::StatementAttributes) or `PARAMETERS` is asked for every execution, which takes
    /// microseconds each time; see [`Plan::kept_by`].
    fn setup(&self) -> Requirements {
        Requirements::default()
    }

    /// Called before the first [`route`](Self::route) and when roles, health, membership or labels
    /// of nodes changed.
    fn update_topology(&mut self, _topology: &Topology) -> Result<(), String> {
        Ok(())
    }

    /// A session starts.
    fn admit(&self, _session: &Session) -> Result<Admission, String> {
        Ok(Admission::Accept(Vec::new()))
    }

    /// Where statements of this shape go; for a policy that sees raw texts or parameters, where this
    /// execution goes.
    fn route(&self, session: &Session, statement: &Statement) -> Result<Plan, String>;
}

/// For policies without settings.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

impl Default for Requirements {
    fn default() -> Self {
        Self {
            session: crate::SessionAttributes::empty(),
            session_parameters: Vec::new(),
            statement: crate::StatementAttributes::empty(),
            probes: Vec::new(),
        }
    }
}
