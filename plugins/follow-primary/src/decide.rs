//! What each standby does: the gentlest step that can work, and a stronger one when that fails.

use howdah_plugin::{
    NodeHealth, NodeRole,
    follow_primary::{
        Action, Capabilities, Divergence, PromotionEvent, Rebuild, RebuildSource, Repoint, Standby, StandbyPlan,
        StepFailure,
    },
};

use crate::Settings;

/// Waves of steps that restart or empty a standby come after those that do not, one standby at a time, so
/// that most of the cluster serves.
const FIRST_HEAVY_WAVE: u16 = 1_000;

/// A plan for every standby, in waves.
pub fn plan(settings: &Settings, event: &PromotionEvent) -> Vec<StandbyPlan> {
    let case = Case { settings, event };
    let mut plans: Vec<_> = event.standbys.iter().map(|standby| case.first_step(standby)).collect();
    let (mut light, mut heavy) = (0_u16, FIRST_HEAVY_WAVE);
    for plan in &mut plans {
        match plan.action {
            Action::LeaveAlone => {}
            Action::Repoint(_) => {
                plan.wave = light.checked_div(settings.parallel).unwrap_or(0);
                light = light.saturating_add(1);
            }
            Action::Rewind(_) | Action::Rebuild(_) => {
                plan.wave = heavy;
                heavy = heavy.saturating_add(1);
            }
        }
    }
    plans
}

/// The same step until it was tried often enough, then a stronger one, then none.
pub fn retry(settings: &Settings, event: &PromotionEvent, failure: &StepFailure) -> StandbyPlan {
    let StepFailure { plan, attempt, message, .. } = failure;
    if *attempt < settings.attempts {
        return plan.clone();
    }
    let case = Case { settings, event };
    let standby = event.standbys.iter().find(|standby| standby.node.id == plan.node);
    let stronger = standby.and_then(|standby| match plan.action {
        // pg_rewind does not harm a standby that could follow as it is, and it restarts it, which mends what
        // a change of settings cannot: a server whose programs were replaced under it.
        Action::Repoint(_) => case.rewind(standby).or_else(|| case.rebuild(standby)),
        Action::Rewind(_) => case.rebuild(standby),
        Action::Rebuild(_) | Action::LeaveAlone => None,
    });
    let why = format!("tried {attempt} times: {message}");
    let action = stronger.unwrap_or(Action::LeaveAlone);
    let keep_routing = plan.keep_routing && action == Action::LeaveAlone;
    StandbyPlan { timeout: case.timeout(&action), action, keep_routing, why, ..plan.clone() }
}

struct Case<'a> {
    settings: &'a Settings,
    event: &'a PromotionEvent,
}

impl Case<'_> {
    fn first_step(&self, standby: &Standby) -> StandbyPlan {
        let (action, why) = self.step(standby);
        let is_whole = standby.following || standby.divergence == Divergence::None;
        StandbyPlan {
            node: standby.node.id,
            wave: 0,
            timeout: self.timeout(&action),
            // What is stale serves on; what has rows that the new primary has not does not.
            keep_routing: is_whole && matches!(action, Action::LeaveAlone | Action::Repoint(_)),
            action,
            why,
        }
    }

    fn step(&self, standby: &Standby) -> (Action, String) {
        let leave = |why: &str| (Action::LeaveAlone, why.to_owned());
        if standby.following {
            return leave("it streams from the new primary already");
        }
        if standby.node.health == NodeHealth::Down {
            return leave("it is down; nobody but its operator starts it");
        }
        if standby.node.role != NodeRole::Standby {
            return leave("it is no standby");
        }
        match standby.divergence {
            Divergence::None => self.follow(standby),
            Divergence::Ahead(bytes) => {
                let why = format!("it has received {bytes} bytes that the new primary does not have");
                self.start_over(standby, why)
            }
            Divergence::Unknown => leave("it is not known whether it has more than the new primary"),
        }
    }

    /// It can follow as it is, if it is told and the log is still there.
    fn follow(&self, standby: &Standby) -> (Action, String) {
        if let Some(name) = self.follows_by_way_of(standby) {
            return (Action::LeaveAlone, format!("it streams from {name}, which follows"));
        }
        let can = |capability| standby.capabilities.contains(capability);
        if !can(Capabilities::WAL_AVAILABLE) {
            return self.start_over(standby, "the new primary no longer has the log that it needs".to_owned());
        }
        if !can(Capabilities::FOLLOWS_LATEST) {
            let why = "its recovery_target_timeline is not latest, so it would not follow";
            return (Action::LeaveAlone, why.to_owned());
        }
        if !can(Capabilities::RECONFIGURE) {
            return (Action::LeaveAlone, "its settings cannot be changed".to_owned());
        }
        (Action::Repoint(self.new_primary()), "it can follow as it is".to_owned())
    }

    /// Whatever it has that does not fit has to go.
    fn start_over(&self, standby: &Standby, why: String) -> (Action, String) {
        let is_ahead = matches!(standby.divergence, Divergence::Ahead(_));
        let rewind = if is_ahead { self.rewind(standby) } else { None };
        match rewind.or_else(|| self.rebuild(standby)) {
            Some(action) => (action, why),
            None => (Action::LeaveAlone, format!("{why}, and it may neither be rewound nor built anew")),
        }
    }

    fn rewind(&self, standby: &Standby) -> Option<Action> {
        let needs = Capabilities::REWIND | Capabilities::RESTART;
        let can = self.settings.rewind && standby.capabilities.contains(needs);
        can.then(|| Action::Rewind(self.new_primary()))
    }

    fn rebuild(&self, standby: &Standby) -> Option<Action> {
        let can = self.settings.rebuild && standby.capabilities.contains(Capabilities::REBUILD);
        let rate = self.settings.rebuild_max_rate.and_then(|rate| u32::try_from(rate.0 >> 10).ok());
        let upstream = self.event.new_primary.id;
        let rebuild = Rebuild { source: RebuildSource::CopyFrom(upstream), upstream, max_rate_kib: rate };
        can.then_some(Action::Rebuild(rebuild))
    }

    /// A standby of a standby goes with it, as long as that one follows without being emptied.
    fn follows_by_way_of(&self, standby: &Standby) -> Option<&str> {
        let upstream = standby.node.upstream?;
        let upstream = self.event.standbys.iter().find(|other| other.node.id == upstream)?;
        let follows = upstream.following || matches!(self.step(upstream).0, Action::Repoint(_));
        follows.then_some(upstream.node.name.as_str())
    }

    fn new_primary(&self) -> Repoint {
        Repoint { upstream: self.event.new_primary.id, create_slot: self.settings.create_slots }
    }

    fn timeout(&self, action: &Action) -> u32 {
        match action {
            Action::LeaveAlone | Action::Repoint(_) => self.settings.repoint_timeout.0,
            Action::Rewind(_) => self.settings.rewind_timeout.0,
            Action::Rebuild(_) => self.settings.rebuild_timeout.0,
        }
    }
}
