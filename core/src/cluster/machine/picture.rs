//! What others see: policies a [`View`], everybody else a [`Standing`].

use std::time::Duration;

use super::super::{
    condition::HEARD_FRESH,
    operation::{Kind, Step},
    sight::{Door, SeenNode, SyncNames},
    standing::{Hold, HoldCause, Standing},
    state::State,
    sync_set::Electorate,
    view::{Health, NodeReport, ObserverReport, Quorum, SyncRole, View, ViewedNode},
};
use super::Machine;

impl Machine {
    /// What policies see now; none before the first sight.
    pub fn view(&self) -> Option<View> {
        let seen = self.sight.as_ref()?;
        let age = self.now - seen.at;
        let credible = self.now - self.awake_since;
        let primary = self.record.route.primary.as_deref().and_then(|name| seen.sight.node(name));
        let nodes = seen.sight.nodes.iter().map(|node| {
            let quarantined = self.quarantine.iter().any(|entry| *entry.node == *node.viewed.name);
            let drained = self.record.drained.iter().any(|name| **name == *node.viewed.name);
            let health = match node.viewed.health {
                Health::Up | Health::Degraded | Health::Draining if quarantined => Health::Down,
                Health::Up | Health::Degraded if drained => Health::Draining,
                health => health,
            };
            // What the primary has lost is lost at once; what it has again counts when it has behaved well for a while.
            let sync = node.viewed.sync.filter(|role| *role == SyncRole::None || self.is_fit(&node.viewed.name));
            ViewedNode { health, sync, ..node.viewed.clone() }
        });
        // A standby that answers nobody here has told its primary nothing either since then.
        let unheard = |node: &SeenNode| {
            let senders = primary.filter(|_| node.door == Door::TimedOut).map(|primary| primary.senders.as_slice());
            let sender = senders.unwrap_or_default().iter().find(|sender| *sender.name == *node.viewed.name);
            sender.and_then(|sender| sender.replied).map_or(Duration::ZERO, |replied| (replied + age).min(credible))
        };
        let reports = seen.sight.nodes.iter().map(|node| NodeReport {
            node: node.viewed.id,
            reachability: node.door.reachability(),
            role: node.viewed.role,
            timeline: node.viewed.timeline,
            position: node.viewed.received,
            streaming: match node.receiver {
                // A receiver says that it streams for a minute after its primary has fallen silent.
                Some(receiver) => {
                    let hears = receiver.heard.is_none_or(|heard| heard + age < HEARD_FRESH);
                    let from_it = primary.is_some_and(|primary| receiver.upstream == Some(primary.viewed.id));
                    Some(receiver.streaming && hears && from_it)
                }
                // It has ended when its primary did.
                None => node.follows().then_some(false),
            },
            lasting: node.door_lasting(age, credible).max(unheard(node)),
            checks: node.checks,
        });
        let synchronous = matches!(self.record.electorate, Electorate::Quorum { .. });
        Some(View {
            now_unix_ms: self.unix_ms(),
            term: self.record.route.term,
            leader: true,
            primary: primary.map(|primary| primary.viewed.id),
            nodes: nodes.collect(),
            reports: vec![ObserverReport {
                observer: "this proxy".into(),
                this_proxy: true,
                age,
                zone: None,
                nodes: reports.collect(),
            }],
            quorum: Quorum { observers: 1, fresh: 1, needed: 1 },
            acknowledged: if synchronous { self.confirmed } else { self.flushed },
            synchronous,
            last_promotion_unix_ms: self.record.promoted_unix_ms,
            paused: self.record.paused,
        })
    }

    /// Whether clients wait for nodes, or may have to: what changes there is to be known at once.
    pub fn in_haste(&self) -> bool {
        match self.state {
            State::Suspect | State::Confirm => true,
            // They wait for an operator.
            State::NoPrimarySafe => false,
            _ => self.hold_cause().is_some(),
        }
    }

    /// How the cluster stands.
    pub fn standing(&self) -> Standing {
        let primary = self.record.route.primary.as_deref().and_then(|name| self.seen(name));
        let sync = primary.and_then(|primary| match &primary.sync_names {
            SyncNames::Set(set) => Some(set.clone()),
            SyncNames::Unknown | SyncNames::Nobody | SyncNames::Foreign(_) => None,
        });
        let hold = self.hold_cause().map(|cause| Hold {
            cause,
            since: self.hold_since.unwrap_or(self.now),
            why: self.why.clone(),
        });
        Standing {
            state: self.state,
            since: self.since,
            why: self.why.clone(),
            route: self.record.route.clone(),
            hold,
            quarantine: self.quarantine.clone(),
            drained: self.record.drained.clone(),
            sync,
            electorate: self.record.electorate.clone(),
            paused: !self.may_fail_over(),
            operation: self.record.operation.clone(),
            tasks: self.tasks.pending(),
        }
    }

    /// Whether new transactions wait now. In doubt they do: the primary may be back in a moment.
    pub(super) fn hold_cause(&self) -> Option<HoldCause> {
        let operation = self.record.operation.as_ref();
        let switchover = operation.is_some_and(|operation| operation.kind == Kind::Switchover);
        match self.state {
            State::Suspect | State::CrashGrace | State::Confirm => self.watch.useless.then_some(HoldCause::Suspect),
            State::Switchover => {
                operation.is_some_and(|operation| operation.step > Step::Checkpoint).then_some(HoldCause::Switchover)
            }
            State::Fence
            | State::Elect
            | State::FastForward
            | State::NoPrimarySafe
            | State::Promote
            | State::Publish
            | State::Undo => Some(if switchover { HoldCause::Switchover } else { HoldCause::Failover }),
            State::Learning if operation.is_some() => Some(HoldCause::Failover),
            State::Learning
            | State::Steady
            | State::DegradedSync
            | State::Paused
            | State::Repair
            | State::Split
            | State::CoordLost => None,
        }
    }
}
