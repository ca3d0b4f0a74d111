//! What others did to the cluster: who is primary at first sight, and promotions that no operation of ours made.
//!
//! Without failover, whoever takes writes on a newer timeline is the primary: somebody else fails over, and knows.
//! With failover, a node that somebody promoted is accepted only once the old primary is certainly none any more,
//! because it says itself that it is in recovery, or by an operator's `FAILOVER TO`. Until then there are two, and
//! everything stands still. A node that an operation of ours deposed is never a rival, whatever it claims.

use super::super::{
    action::Urgency,
    name::Name,
    operation::{FORKS_MAX, Fork},
    settings::{FailoverMode, SyncMode},
    sight::SeenNode,
    state::Cause,
    sync_set::Electorate,
};
use super::{Machine, upkeep::NO_OPERATION};

impl Machine {
    /// Nobody was primary yet: the only node that takes writes is.
    pub(super) fn crown_the_first(&mut self) -> bool {
        let Some(seen) = &self.sight else { return false };
        let mut claims: Vec<&SeenNode> = seen.sight.nodes.iter().filter(|node| node.claims()).collect();
        claims.sort_by_key(|node| node.viewed.timeline);
        // A server of another cluster at the address of one of ours: no standby is of its kind.
        let has_kin = |claim: &&SeenNode| {
            let kin = |node: &SeenNode| node.follows() && node.system.is_some() && node.system == claim.system;
            seen.sight.nodes.iter().any(kin)
        };
        if claims.iter().any(has_kin) {
            claims.retain(has_kin);
        }
        if claims.len() > 1 && self.settings.failover == FailoverMode::Policy {
            self.rivals = claims.iter().map(|node| Name::from(&node.viewed.name)).collect();
            let names: Vec<&str> = claims.iter().map(|node| &*node.viewed.name).collect();
            let names = names.join(" and ");
            self.turn_because(Cause::Rival, &format!("{names} take writes at first sight"));
            return false;
        }
        let Some(first) = claims.last() else { return false };
        let (name, timeline, system) = (Name::from(&first.viewed.name), first.viewed.timeline, first.system);
        let Some(timeline) = timeline else { return false };
        self.record.route.system = system;
        self.crown(name, timeline, "the only node that takes writes");
        true
    }

    /// Makes a node the route's primary that became one without us.
    fn crown(&mut self, name: Name, timeline: u32, why: &str) {
        let route = &mut self.record.route;
        let before = route.primary.replace(name.clone());
        route.term += 1;
        route.timeline = route.timeline.max(timeline);
        route.deposed.retain(|deposed| *deposed != name);
        route.deposed.extend(before.filter(|before| *before != name));
        self.record.electorate = match self.settings.sync {
            SyncMode::Off => Electorate::Unbound,
            SyncMode::On | SyncMode::Strict => Electorate::Nobody,
        };
        self.change_reign(false);
        self.log();
        self.publish_route();
        self.tell(Urgency::Warning, "accept", Some(name), why.to_owned());
    }

    /// What was known of the old primary says nothing of the new one.
    pub(super) fn change_reign(&mut self, alone: bool) {
        (self.flushed, self.confirmed) = (None, None);
        self.route_since = self.now;
        self.tasks.clear(NO_OPERATION);
        self.upkeep.renew(alone);
    }

    /// The primary is on a newer timeline than we know, or another node may be accepted.
    pub(super) fn accept_promotion_by_others(&mut self) -> bool {
        let Some(seen) = &self.sight else { return false };
        let route = &self.record.route;
        let newer = |node: &&SeenNode| {
            let ours = route.system.is_none() || node.system.is_none() || node.system == route.system;
            node.claims() && ours && node.viewed.timeline.is_some_and(|theirs| theirs > route.timeline)
        };
        let Some(node) = seen.sight.nodes.iter().filter(newer).max_by_key(|node| node.viewed.timeline) else {
            return false;
        };
        let name = Name::from(&node.viewed.name);
        let own = route.is_primary(&name);
        let free = self.settings.failover == FailoverMode::Off || self.old_is_in_recovery();
        if !own && (route.is_deposed(&name) || !free) {
            return false;
        }
        let timeline = node.viewed.timeline.unwrap_or_default();
        if let Some(at) = node.viewed.received {
            // It began there or before; what a standby has beyond is not the primary's.
            self.remember_fork(Fork { term: self.record.route.term + 1, timeline, at, next_xid: None });
        }
        self.crown(name, timeline, "promoted to a newer timeline by others");
        true
    }

    pub(super) fn remember_fork(&mut self, fork: Fork) {
        let forks = &mut self.record.route.forks;
        forks.push(fork);
        let surplus = forks.len().saturating_sub(FORKS_MAX);
        forks.drain(..surplus);
    }

    fn old_is_in_recovery(&self) -> bool {
        let primary = self.record.route.primary.as_deref().and_then(|name| self.seen(name));
        primary.is_some_and(|node| node.follows() && self.asked_after(node, self.route_since))
    }

    /// A second node claims to be primary.
    pub(super) fn notice_rival(&mut self) -> bool {
        let Some(rival) = self.rival() else { return false };
        self.rivals = vec![rival.clone()];
        self.turn_because(Cause::Rival, &rival)
    }

    /// The node that takes writes although neither the route nor the operation names it, and that nobody deposed.
    fn rival(&self) -> Option<Name> {
        let seen = self.sight.as_ref()?;
        let candidate = self.record.operation.as_ref().and_then(|operation| operation.candidate.clone());
        let is_rival = |node: &&SeenNode| {
            let (name, route) = (&*node.viewed.name, &self.record.route);
            let ours = node.system.is_none() || route.system.is_none() || node.system == route.system;
            let newer = node.viewed.timeline.is_some_and(|theirs| theirs >= route.timeline);
            node.claims()
                && ours
                && newer
                && !route.is_primary(name)
                && !route.is_deposed(name)
                && candidate.as_deref() != Some(name)
        };
        seen.sight.nodes.iter().find(is_rival).map(|node| Name::from(&node.viewed.name))
    }

    /// Split: goes on once at most one node claims, and the others say that they do not.
    pub(super) fn wait_for_one_claim(&mut self) -> bool {
        if self.record.route.primary.is_some() && self.accept_promotion_by_others() {
            return self.turn(Cause::RivalGone);
        }
        let rivals = self.rivals.iter().filter_map(|name| self.seen(name));
        let claims = rivals.clone().filter(|node| !self.record.route.is_primary(&node.viewed.name));
        // A rival that only fell silent is still one.
        let settled = match self.record.route.primary {
            Some(_) => claims.clone().all(SeenNode::follows) && self.rival().is_none(),
            None => rivals.clone().all(SeenNode::answers) && rivals.filter(|node| node.claims()).count() <= 1,
        };
        settled && self.turn(Cause::RivalGone)
    }

    /// An operator chose one of those that claim.
    pub(super) fn choose_claim(&mut self, name: Name, timeline: u32) {
        let rivals = std::mem::take(&mut self.rivals);
        let deposed = &mut self.record.route.deposed;
        deposed.extend(rivals.into_iter().filter(|rival| *rival != name));
        self.crown(name, timeline, "an operator chose it");
        self.turn(Cause::RivalGone);
    }
}
