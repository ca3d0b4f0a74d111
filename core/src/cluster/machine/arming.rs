//! Keeps the primary armed: whoever restarts it gets a standby (`armed_primary`).
//!
//! What arms it is written again in each term, and after each operation: those that stop the primary arm it to
//! follow one node, and whoever is promoted is disarmed by that.

use std::time::Duration;

use super::super::{action::Effect, name::Name};
use super::{Machine, switchover::ARM_MAX, tasks::Progress, upkeep::NO_OPERATION};

/// From a failure to the next try: nobody waits for it, and the node's machine may be away for long.
const AGAIN: Duration = Duration::from_secs(30);

/// What this proxy has done of it since it started. [`Record::armed`](super::super::operation::Record::armed) outlives
/// that.
#[derive(Debug, Default)]
pub(super) struct Arming {
    /// The primary that is armed, and the term in which it was.
    armed: Option<(Name, u64)>,
    /// Nothing is tried before.
    rests_until: Duration,
}

impl Arming {
    /// Others may have written to the same files.
    pub(super) fn renew(&mut self) {
        self.armed = None;
    }
}

impl Machine {
    /// Arms the primary, or disarms it when that is not wanted any more.
    pub(super) fn keep_armed(&mut self) -> bool {
        let Some(primary) = self.healthy_primary().map(|node| Name::from(&node.viewed.name)) else { return false };
        let now_armed = Some((primary.clone(), self.record.route.term));
        let wanted = self.settings.armed_primary && self.settings.node(&primary).is_some_and(|node| node.controlled);
        let was_armed = self.record.armed.as_ref() == Some(&primary);
        let is_as_wanted = if wanted { self.arming.armed == now_armed } else { !was_armed };
        if is_as_wanted {
            return false;
        }
        if self.now < self.arming.rests_until {
            self.wake_by(self.arming.rests_until);
            return false;
        }
        if wanted && !was_armed {
            self.record.armed = Some(primary.clone());
            self.log();
        }
        let effect = if wanted { Effect::Arm { upstream: None, slot: None } } else { Effect::Disarm };
        match self.want(NO_OPERATION, &primary, effect.clone(), ARM_MAX) {
            Progress::Pending | Progress::Failing { tries: 0, .. } => return false,
            Progress::Done(_) if wanted => self.arming.armed = now_armed,
            Progress::Done(_) => {
                self.arming.armed = None;
                self.record.armed = None;
                self.log();
            }
            Progress::Failing { .. } => {
                self.arming.rests_until = self.now + AGAIN;
                self.wake_by(self.arming.rests_until);
            }
        }
        self.tasks.renew(&primary, &effect);
        false
    }
}
