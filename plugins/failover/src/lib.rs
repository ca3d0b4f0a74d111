//! The default failover policy: when a quorum of observers has lost the primary, the standby that has most of
//! its log takes over.
//!
//! [`assess`](assess::assess) and [`elect`](elect::elect) are the whole policy, pure functions;
//! [`settings`] is what operators may say. `cases.toml` lists what must come out, for this crate natively and
//! for the component.

use howdah_plugin::{
    NodeId, Policy, export_failover,
    failover::{Election, Failover, Requirements, Trigger, Verdict},
    observation::Cluster,
};

pub mod assess;
pub mod elect;
pub mod settings;

pub use settings::Settings;

/// The policy with its settings.
#[derive(Clone, Debug, Default)]
pub struct QuorumFailover(pub Settings);

impl Policy for QuorumFailover {
    type Settings = Settings;
    const NAME: &'static str = "failover";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "promotes the standby that has most, when a quorum has lost the primary";

    fn configure(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        Ok(Self(settings))
    }
}

impl Failover for QuorumFailover {
    fn setup(&self) -> Requirements {
        Requirements { tick: self.0.recheck.0, ..Requirements::default() }
    }

    fn assess(&self, cluster: &Cluster) -> Result<Verdict, String> {
        Ok(assess::assess(&self.0, cluster))
    }

    fn elect(&self, cluster: &Cluster, trigger: Trigger, target: Option<NodeId>) -> Result<Election, String> {
        Ok(elect::elect(&self.0, cluster, trigger, target))
    }
}

export_failover!(QuorumFailover);
