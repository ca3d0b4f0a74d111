//! The default policy for the synchronous set: a quorum of standbys that keep up.
//!
//! [`decide`](decide::decide) is the whole policy, a pure function; [`settings`] is what operators may say.
//! `cases.toml` lists what must come out, for this crate natively and for the component.

use howdah_plugin::{
    Policy, export_sync_set,
    observation::Cluster,
    sync_set::{Decision, StandbySet, SyncSet},
};

pub mod decide;
pub mod settings;

pub use settings::Settings;

/// The policy with its settings.
#[derive(Clone, Debug, Default)]
pub struct QuorumSet(pub Settings);

impl Policy for QuorumSet {
    type Settings = Settings;
    const NAME: &'static str = "sync-set";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "has commits wait for standbys that keep up";

    fn configure(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        Ok(Self(settings))
    }
}

impl SyncSet for QuorumSet {
    fn decide(&self, cluster: &Cluster, current: Option<&StandbySet>) -> Result<Decision, String> {
        Ok(decide::decide(&self.0, cluster, current))
    }
}

export_sync_set!(QuorumSet);
