//! Who is in the set: members stay until they are gone, and others join when they have been well for a while.

use std::cmp::Reverse;

use howdah_plugin::{
    Node, NodeHealth, NodeId, NodeRole, SyncRole,
    observation::{Cluster, Reachability},
    sync_set::{Decision, StandbySet},
};

use crate::{Settings, settings::Mode};

/// Of a standby without the label `sync-priority`.
const DEFAULT_PRIORITY: u32 = 100;

/// The set from now on.
pub fn decide(settings: &Settings, cluster: &Cluster, current: Option<&StandbySet>) -> Decision {
    let case = Case { settings, cluster, current };
    let Some(primary) = case.primary() else { return Decision::Keep };
    let mut members: Vec<&Node> = cluster.nodes.iter().filter(|node| case.belongs(node, primary)).collect();
    members.sort_by_key(|node| case.rank(node));
    members.truncate(settings.members_max());

    let count = u16::try_from(members.len()).unwrap_or(u16::MAX).min(settings.count);
    if count < settings.min_count && !settings.allow_degrade {
        return Decision::Keep;
    }
    if count == 0 {
        let why = "no standby that could acknowledge a commit is left".to_owned();
        return if current.is_some() { Decision::None(why) } else { Decision::Keep };
    }
    members.sort_by_key(|node| match settings.mode {
        Mode::Any => (Reverse(DEFAULT_PRIORITY), node.id),
        Mode::First => (priority(node), node.id),
    });
    let members: Vec<NodeId> = members.iter().map(|node| node.id).collect();
    let wanted = StandbySet { method: settings.mode.into(), count, members };
    if current.is_some_and(|current| same(current, &wanted)) { Decision::Keep } else { Decision::Change(wanted) }
}

/// Whether two sets ask for the same; their order matters to `FIRST` alone.
fn same(current: &StandbySet, wanted: &StandbySet) -> bool {
    let mut members = current.members.clone();
    if wanted.method == Mode::Any.into() {
        members.sort_unstable();
    }
    (current.method, current.count, members) == (wanted.method, wanted.count, wanted.members.clone())
}

struct Case<'a> {
    settings: &'a Settings,
    cluster: &'a Cluster,
    current: Option<&'a StandbySet>,
}

impl Case<'_> {
    /// The primary, if it answers: nothing is changed on one that does not.
    fn primary(&self) -> Option<&Node> {
        let primary = self.cluster.node(self.cluster.primary?)?;
        let own = self.cluster.own_report(primary.id)?;
        (primary.role == NodeRole::Primary && own.reachability == Reachability::Ok).then_some(primary)
    }

    fn belongs(&self, node: &Node, primary: &Node) -> bool {
        let could = node.id != primary.id && node.role == NodeRole::Standby && !node.has("nosync");
        let is_there = if self.is_member(node.id) { self.stays(node) } else { self.may_join(node) };
        could && is_there
    }

    /// A member is gone when the primary has lost it, or when it has not answered for a while: it may look as
    /// if it streamed for a minute when it hangs.
    fn stays(&self, node: &Node) -> bool {
        let is_lost = self.streams(node) == Some(false) || node.health == NodeHealth::Draining;
        let own = self.cluster.own_report(node.id);
        let hangs =
            own.is_some_and(|own| own.reachability != Reachability::Ok && own.lasting >= self.settings.stall_timeout.0);
        !is_lost && !hangs
    }

    fn may_join(&self, node: &Node) -> bool {
        let streams = self.streams(node) == Some(true);
        let keeps_up = node.lag_bytes.is_some_and(|lag| lag <= self.settings.restore_max_lag.0);
        let own = self.cluster.own_report(node.id);
        let is_well =
            own.is_some_and(|own| own.reachability == Reachability::Ok && own.lasting >= self.settings.restore_after.0);
        streams && keeps_up && is_well && node.health == NodeHealth::Up
    }

    /// Whether it streams from the primary: as the primary tells, or else as it tells itself.
    fn streams(&self, node: &Node) -> Option<bool> {
        let by_itself = || {
            let own = self.cluster.own_report(node.id)?;
            own.streaming.filter(|_| own.reachability == Reachability::Ok)
        };
        node.sync.map(|sync| sync != SyncRole::None).or_else(by_itself)
    }

    fn is_member(&self, id: NodeId) -> bool {
        self.current.is_some_and(|current| current.members.contains(&id))
    }

    /// The smallest come first: by priority, then those that are members, so that the set changes no more than
    /// it has to.
    fn rank(&self, node: &Node) -> impl Ord + use<> {
        (priority(node), !self.is_member(node.id), node.id)
    }
}

/// The label `sync-priority`: higher comes first.
fn priority(node: &Node) -> Reverse<u32> {
    Reverse(node.label("sync-priority").and_then(|text| text.trim().parse().ok()).unwrap_or(DEFAULT_PRIORITY))
}
