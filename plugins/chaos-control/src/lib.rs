//! A policy of the control plane, in all of its roles, that misbehaves as its settings say, for the tests of
//! the host.
//!
//! It misbehaves when there is a term, which the first question of a policy that is loaded has not, unless
//! the settings say that it should do so at once.

use howdah_plugin::{
    NodeId, Policy, Probe, ProbeScope, export_policy,
    failover::{self, Election, Failover, Promotion, Ranked, Trigger, Verdict},
    follow_primary::{
        self, Action, FollowPrimary, PromotionEvent, Rebuild, RebuildSource, Repoint, StandbyPlan, StepFailure,
    },
    observation::Cluster,
    sync_set::{Decision, StandbySet, SyncMethod, SyncSet},
};
use serde::Deserialize;

/// The import that most policies do without.
mod sql {
    #![allow(missing_docs, clippy::all, reason = "generated from wit/v0.1, which documents itself")]
    howdah_plugin::wit_bindgen::generate!({
        path: "../../wit/v0.1",
        inline: "package howdah:chaos; world with-sql { import howdah:plugin/node-sql@0.1.0; }",
        world: "howdah:chaos/with-sql",
        runtime_path: "::howdah_plugin::wit_bindgen::rt",
        generate_all,
        with: { "howdah:plugin/types@0.1.0": howdah_plugin::bindings::base::howdah::plugin::types },
    });

    pub use self::howdah::plugin::node_sql::query;
}

/// What to do wrong, and when.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What to do.
    pub misbehave: Misbehaviour,
    /// In the first question too.
    #[serde(default)]
    pub at_once: bool,
}

/// Ways to misbehave. Those that make no sense for a role are good behaviour there.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "named after what they do")]
pub enum Misbehaviour {
    None,
    Trap,
    Loop,
    Error,
    UnknownNode,
    Twice,
    Nobody,
    OtherNode,
    LongWait,
    NoWait,
    OldPrimary,
    OwnUpstream,
    Circle,
    FromBackup,
    WaitForItself,
    WaitForMoreThanAll,
    LongText,
    AskForProbe,
    TickTooFast,
    UseSql,
}

use Misbehaviour as Do;

/// The policy.
#[derive(Debug)]
pub struct Chaos(Settings);

const NO_SUCH_NODE: NodeId = 4_711;

impl Policy for Chaos {
    type Settings = Settings;
    const NAME: &'static str = "chaos-control";
    const SUMMARY: &'static str = "misbehaves";

    fn configure(settings: Settings) -> Result<Self, String> {
        Ok(Self(settings))
    }
}

impl Chaos {
    /// What to do wrong in this term. What every role can do wrong is done here.
    fn act(&self, term: u64) -> Result<Misbehaviour, String> {
        let how = if term == 0 && !self.0.at_once { Do::None } else { self.0.misbehave };
        match how {
            Do::Trap => panic!("told to trap"),
            Do::Loop => spin(),
            Do::Error => return Err("told to fail".to_owned()),
            Do::UseSql => {
                let answer = sql::query(0, "SELECT 1", &[], 1_000, 1);
                return Err(format!("{answer:?}"));
            }
            _ => {}
        }
        Ok(how)
    }

    fn probes(&self) -> Vec<Probe> {
        let probe = Probe {
            name: "bloat".to_owned(),
            sql: "SELECT 1".to_owned(),
            scope: ProbeScope::EveryNode,
            every: 1_000,
            timeout: 1_000,
        };
        (self.0.misbehave == Do::AskForProbe).then_some(probe).into_iter().collect()
    }
}

fn spin() {
    let mut turns = 0_u64;
    while std::hint::black_box(turns) < u64::MAX {
        turns += 1;
    }
}

fn why(how: Misbehaviour) -> String {
    if how == Do::LongText { "two\nlines ".repeat(1_000) } else { "well-behaved".to_owned() }
}

impl Failover for Chaos {
    fn setup(&self) -> failover::Requirements {
        let tick = if self.0.misbehave == Do::TickTooFast { 0 } else { 500 };
        failover::Requirements { probes: self.probes(), tick }
    }

    fn assess(&self, cluster: &Cluster) -> Result<Verdict, String> {
        let how = self.act(cluster.term)?;
        Ok(match how {
            Do::LongWait => Verdict::Wait((u32::MAX, why(how))),
            Do::NoWait => Verdict::Wait((0, why(how))),
            _ => Verdict::FailOver(why(how)),
        })
    }

    fn elect(&self, cluster: &Cluster, _: Trigger, target: Option<NodeId>) -> Result<Election, String> {
        let how = self.act(cluster.term)?;
        let candidate = |node| Ranked { node, score: i64::MIN, why: why(how) };
        let candidates = match how {
            Do::UnknownNode => vec![candidate(NO_SUCH_NODE)],
            Do::Twice => vec![candidate(1), candidate(1)],
            Do::Nobody => Vec::new(),
            Do::OtherNode => vec![candidate(2)],
            _ => vec![candidate(target.unwrap_or(1))],
        };
        let catch_up = if how == Do::LongWait { u32::MAX } else { 0 };
        Ok(match how {
            Do::NoWait => Election::Retry((0, why(how))),
            _ => Election::Promote(Promotion { candidates, wait_for: None, catch_up, max_loss_bytes: u64::MAX }),
        })
    }
}

impl FollowPrimary for Chaos {
    fn setup(&self) -> follow_primary::Requirements {
        follow_primary::Requirements { probes: self.probes() }
    }

    fn plan(&self, event: &PromotionEvent) -> Result<Vec<StandbyPlan>, String> {
        let how = self.act(if event.standbys.is_empty() { 0 } else { event.term })?;
        let new_primary = event.new_primary.id;
        let repoint = |node, upstream| step(how, node, Action::Repoint(Repoint { upstream, create_slot: true }));
        let all: Vec<_> = event.standbys.iter().map(|standby| standby.node.id).collect();
        let all = || all.iter().copied();
        Ok(match how {
            Do::UnknownNode => vec![repoint(NO_SUCH_NODE, new_primary)],
            Do::OldPrimary => vec![repoint(0, new_primary)],
            Do::Twice => all().chain(all()).map(|node| repoint(node, new_primary)).collect(),
            Do::OwnUpstream => all().map(|node| repoint(node, node)).collect(),
            Do::Circle => all().zip(all().cycle().skip(1)).map(|(node, next)| repoint(node, next)).collect(),
            Do::FromBackup => {
                let source = RebuildSource::FromBackup("b1".to_owned());
                let rebuild = Rebuild { source, upstream: new_primary, max_rate_kib: None };
                all().map(|node| step(how, node, Action::Rebuild(rebuild.clone()))).collect()
            }
            _ => all().map(|node| repoint(node, new_primary)).collect(),
        })
    }

    fn retry(&self, event: &PromotionEvent, failure: &StepFailure) -> Result<StandbyPlan, String> {
        let how = self.act(event.term)?;
        let other = event.standbys.iter().map(|standby| standby.node.id).find(|id| *id != failure.plan.node);
        let node = other.filter(|_| how == Do::OtherNode).unwrap_or(failure.plan.node);
        Ok(step(how, node, failure.plan.action.clone()))
    }
}

fn step(how: Misbehaviour, node: NodeId, action: Action) -> StandbyPlan {
    let timeout = match how {
        Do::LongWait => u32::MAX,
        Do::NoWait => 0,
        _ => 1_000,
    };
    StandbyPlan { node, action, wave: u16::MAX, timeout, keep_routing: true, why: why(how) }
}

impl SyncSet for Chaos {
    fn decide(&self, cluster: &Cluster, _: Option<&StandbySet>) -> Result<Decision, String> {
        let how = self.act(cluster.term)?;
        let (count, members) = match how {
            Do::UnknownNode => (1, vec![NO_SUCH_NODE]),
            Do::Twice => (1, vec![1, 1]),
            Do::Nobody => (0, Vec::new()),
            Do::WaitForItself => (1, vec![0, 1]),
            Do::WaitForMoreThanAll => (3, vec![1, 2]),
            Do::LongText => return Ok(Decision::None(why(how))),
            _ => (1, vec![1, 2]),
        };
        Ok(match cluster.term {
            0 => Decision::Keep,
            _ => Decision::Change(StandbySet { method: SyncMethod::First, count, members }),
        })
    }
}

export_policy!(Chaos: failover, follow_primary, sync_set);
