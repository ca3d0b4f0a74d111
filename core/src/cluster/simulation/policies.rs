//! Policies: right most of the time, and otherwise late, wrong, or gone.

use std::time::Duration;

use super::{
    super::{
        action::{Ask, Event, QuestionId},
        verdict::{
            Divergence, Election, FollowAction, FollowingStandby, Promotion, PromotionEvent, Ranked, StandbyPlan,
            StandbySet, StepFailure, SyncDecision, SyncMethod, Verdict,
        },
        view::{Role, View, ViewedNode},
    },
    steward::Steward,
    world::World,
};

impl Steward {
    pub fn ask(&mut self, world: &World, id: QuestionId, ask: &Ask) {
        if !self.sane && self.dice.chance(3) {
            return;
        }
        let wrong = !self.sane && self.dice.chance(5);
        let event = match ask {
            Ask::Assess(_) if wrong => Event::Assessed(id, Ok(Verdict::Hold("chance".into()))),
            Ask::Assess(_) => Event::Assessed(id, Ok(Verdict::FailOver("it is lost".into()))),
            Ask::Elect { .. } if wrong => Event::Elected(id, Err("trapped".into())),
            Ask::Elect { view, .. } => Event::Elected(id, Ok(self.elect(view))),
            Ask::Follow(_) if wrong => Event::Planned(id, Err("trapped".into())),
            Ask::Follow(event) => {
                let plan = |standby: &FollowingStandby| StandbyPlan {
                    node: standby.node.id,
                    action: match standby.divergence {
                        Divergence::None => FollowAction::Repoint { upstream: event.new_primary.id, create_slot: true },
                        _ => FollowAction::Rewind { upstream: event.new_primary.id, create_slot: true },
                    },
                    wave: 0,
                    timeout: Duration::from_secs(3),
                    keep_routing: true,
                    why: String::new(),
                };
                Event::Planned(id, Ok(event.standbys.iter().map(plan).collect()))
            }
            Ask::Retry(..) if wrong => Event::Retried(id, Err("trapped".into())),
            Ask::Retry(event, failure) => Event::Retried(id, Ok(self.retry(event, failure))),
            Ask::Sync { .. } if wrong => Event::SyncDecided(id, Err("trapped".into())),
            Ask::Sync { view, current } => Event::SyncDecided(id, Ok(self.decide_set(view, current.as_ref()))),
        };
        let takes = self.dice.between(0, 20);
        self.events.push_back((world.now + takes, event));
    }

    /// The same a few times, then something else.
    fn retry(&mut self, event: &PromotionEvent, failure: &StepFailure) -> StandbyPlan {
        let action = match (&failure.plan.action, failure.attempt) {
            (same, 0..3) => same.clone(),
            (FollowAction::Repoint { .. }, _) if self.dice.chance(50) => {
                FollowAction::Rewind { upstream: event.new_primary.id, create_slot: true }
            }
            _ => FollowAction::LeaveAlone,
        };
        StandbyPlan { action, ..failure.plan.clone() }
    }

    fn elect(&mut self, view: &View) -> Election {
        let mut nodes: Vec<&ViewedNode> = view.nodes.iter().filter(|node| node.role == Role::Standby).collect();
        nodes.sort_by_key(|node| std::cmp::Reverse(node.received));
        if !self.sane && self.dice.chance(30) {
            nodes.reverse();
        }
        let candidates = nodes.iter().map(|node| Ranked { node: node.id, score: 0, why: String::new() }).collect();
        Election::Promote(Promotion { candidates, max_loss_bytes: u64::MAX, ..Promotion::default() })
    }

    /// All who are fit; those who are not for as long as nobody else is there.
    fn decide_set(&mut self, view: &View, current: Option<&StandbySet>) -> SyncDecision {
        let fit = |node: &&ViewedNode| node.sync.is_some() && Some(node.id) != view.primary;
        let members: Vec<String> = view.nodes.iter().filter(fit).map(|node| node.name.to_string()).collect();
        if members.is_empty() {
            return SyncDecision::Nobody("nobody is there".into());
        }
        let count = if members.len() > 2 || members.len() == 2 && self.settings.max_loss_bytes == 2 { 2 } else { 1 };
        let set = StandbySet { method: SyncMethod::Any, count, members };
        if current == Some(&set) { SyncDecision::Keep } else { SyncDecision::Change(set) }
    }
}
